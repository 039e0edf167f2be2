/**
 * Looking for the end of a piece of text: separators, and a search that never goes over the same bytes twice.
 *
 * With several separators the match that ends first wins, and among those that end at the same place the shortest.
 */
import type { ByteQueue } from "./byte-queue.ts";

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

/** The first match at or behind `from`, or `null`. */
export function findSeparator(queue: ByteQueue, { needles }: Separators, from: number): Match | null {
  let best: Match | null = null;
  for (const needle of needles) {
    const start = queue.indexOf(needle, from);
    const end = start + needle.length;
    if (start >= 0 && (best === null || end < best.end)) {
      best = { start, end };
    }
  }
  return best;
}

/** From where to go on when everything up to `length` was searched: a separator may have begun before the end. */
export function searchedUpTo(length: number, { longest }: Separators): number {
  return Math.max(0, length + 1 - longest);
}
