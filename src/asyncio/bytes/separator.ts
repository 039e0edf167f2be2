/**
 * Separators, and a search for them that never examines the same bytes twice.
 *
 * Of several separators, the match that ends first wins, and among matches that end at the same place the shortest, as
 * in Python.
 */
import type { ByteQueue } from "./byte-queue.ts";

/** The size of the first window: this many bytes are searched for every separator before the search goes further. */
const FIRST_WINDOW = 1024; // bytes

/** Separators in search order: shortest first. */
export interface Separators {
  readonly needles: readonly Buffer[];
  readonly shortest: number;
  readonly longest: number;
}

/** The place of a separator. */
export interface Match {
  readonly start: number;
  readonly end: number;
}

/** Sorts separators. There must be at least one, and none may be empty. */
export function separators(needles: readonly Buffer[]): Separators {
  const sorted = [...needles].sort((a, b) => a.length - b.length);
  return {
    needles: sorted,
    shortest: sorted[0]?.length ?? 0,
    longest: sorted.at(-1)?.length ?? 0,
  };
}

/** Whether the two find the same: a search for the one has also searched for the other. */
export function areSameSeparators(one: Separators, other: Separators): boolean {
  return (
    one === other ||
    (one.needles.length === other.needles.length &&
      one.needles.every((needle, i) => needle.equals(other.needles[i] as Buffer)))
  );
}

/**
 * The first match at or after `from`, or `null`.
 *
 * Several separators are searched for in windows, each twice as long as the one before: a separator that never occurs
 * must not cost a search of the whole queue for each match of another separator.
 */
export function findSeparator(queue: ByteQueue, { needles }: Separators, from: number): Match | null {
  if (needles.length === 1) {
    const needle = needles[0] as Buffer;
    const start = queue.indexOf(needle, from);
    return start < 0 ? null : { start, end: start + needle.length };
  }
  const { length } = queue;
  for (let searched = from, size = FIRST_WINDOW; searched < length; size *= 2) {
    const end = Math.min(searched + size, length);
    const match = firstBefore(queue, needles, from, searched, end);
    if (match !== null) {
      return match;
    }
    searched = end;
  }
  return null;
}

/** The match that ends first, at or before `end`, given that no match ends at or before `searched`. */
function firstBefore(
  queue: ByteQueue,
  needles: readonly Buffer[],
  from: number,
  searched: number,
  end: number,
): Match | null {
  let best: Match | null = null;
  for (const needle of needles) {
    // A match that begins before the searched position may end after it.
    const start = queue.indexOf(needle, Math.max(from, searched + 1 - needle.length), best?.end ?? end);
    if (start >= 0 && (best === null || start + needle.length < best.end)) {
      best = { start, end: start + needle.length };
    }
  }
  return best;
}

/**
 * The position where the next search starts after everything up to `length` was searched: a separator may begin in the
 * last bytes.
 */
export function searchedUpTo(length: number, { longest }: Separators): number {
  return Math.max(0, length + 1 - longest);
}
