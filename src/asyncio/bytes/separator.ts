/**
 * Looking for the end of a piece of text: separators, and a search that never goes over the same bytes twice.
 *
 * With several separators the match that ends first wins, and among those that end at the same place the first in the
 * list: the shortest, as in Python.
 */
import type { ByteQueue } from "./byte-queue.ts";

/** How many bytes are searched for every separator before the next ones are. */
const FIRST_WINDOW = 1024; // bytes

/** Separators in the order in which they are looked for: shortest first. */
export interface Separators {
  readonly needles: readonly Buffer[];
  readonly shortest: number;
  readonly longest: number;
}

/** Where a separator stands. */
export interface Match {
  readonly start: number;
  readonly end: number;
}

/** Puts separators in order. None of them may be empty, and there has to be one. */
export function separators(needles: readonly Buffer[]): Separators {
  const sorted = [...needles].sort((a, b) => a.length - b.length);
  return {
    needles: sorted,
    shortest: sorted[0]?.length ?? 0,
    longest: sorted.at(-1)?.length ?? 0,
  };
}

/**
 * The first match at or behind `from`, or `null`.
 *
 * Several separators are looked for in windows, each twice as long as the one before: a separator that never comes must
 * not cost a search of the whole queue for each match of another one.
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

/** The match that ends first, at or before `end`, where there is none at or before `searched`. */
function firstBefore(
  queue: ByteQueue,
  needles: readonly Buffer[],
  from: number,
  searched: number,
  end: number,
): Match | null {
  let best: Match | null = null;
  for (const needle of needles) {
    // One that began before the place searched may end behind it.
    const start = queue.indexOf(needle, Math.max(from, searched + 1 - needle.length), best?.end ?? end);
    if (start >= 0 && (best === null || start + needle.length < best.end)) {
      best = { start, end: start + needle.length };
    }
  }
  return best;
}

/** From where to go on when everything up to `length` was searched: a separator may have begun before the end. */
export function searchedUpTo(length: number, { longest }: Separators): number {
  return Math.max(0, length + 1 - longest);
}
