/** Cutting bytes into chunks, as a network does. */
import * as fc from "fast-check";

/** Where to cut: lengths of chunks, used over and over. */
export const chunkings: fc.Arbitrary<readonly number[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 12 }) },
    { weight: 2, arbitrary: fc.integer({ min: 250, max: 320 }) },
  ),
  { minLength: 1, maxLength: 10 },
);

/**
 * Bytes in which short needles of the letters are found, and half-found, all the time, with long stretches between them:
 * a queue treats small and large chunks differently, so both have to have borders in interesting places.
 */
export function textOf(letters: readonly string[], filler: string): fc.Arbitrary<Buffer> {
  const word = fc.array(fc.constantFrom(...letters), { maxLength: 12 }).map((word) => word.join(""));
  const stretch = fc.integer({ min: 200, max: 330 }).map((length) => filler.repeat(length));
  return fc
    .array(fc.oneof({ weight: 4, arbitrary: word }, { weight: 1, arbitrary: stretch }), { maxLength: 8 })
    .map((words) => Buffer.from(words.join("")));
}

/** The bytes in chunks of these lengths, in turn. */
export function cut(whole: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let start = 0, i = 0; start < whole.length; i++) {
    const end = start + (lengths[i % lengths.length] as number);
    // A copy, because each chunk of a socket has its own memory.
    chunks.push(Buffer.from(whole.subarray(start, end)));
    start = end;
  }
  return chunks;
}
