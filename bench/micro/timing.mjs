/** How the small programs measure: several samples, and the least of them, since all that disturbs makes it slower. */

const SAMPLES = 40; // the compiler needs the first ten and more: a task takes twice as long until it has finished
const SAMPLE_TIME = 15; // milliseconds

/**
 * @param {(count: number) => unknown} loop Does it so many times.
 * @returns {number} Nanoseconds for one.
 */
export function nanoseconds(loop) {
  let count = 1;
  for (let took = 0; took < SAMPLE_TIME; took = timed(loop, count)) {
    count *= 2;
  }
  return (1e6 * Math.min(...Array.from({ length: SAMPLES }, () => timed(loop, count)))) / count;
}

/**
 * The same of a loop that awaits.
 *
 * @param {(count: number) => Promise<unknown>} loop
 * @returns {Promise<number>}
 */
export async function nanosecondsAwaited(loop) {
  let count = 1;
  for (let took = 0; took < SAMPLE_TIME; took = await timedAwaited(loop, count)) {
    count *= 2;
  }
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < SAMPLES; i++) {
    least = Math.min(least, await timedAwaited(loop, count));
  }
  return (1e6 * least) / count;
}

/** @param {number} value */
export function report(value) {
  process.stdout.write(`${JSON.stringify({ cost: value })}\n`, () => process.exit());
}

/**
 * @param {(count: number) => unknown} loop
 * @param {number} count
 */
function timed(loop, count) {
  const start = performance.now();
  loop(count);
  return performance.now() - start;
}

/**
 * @param {(count: number) => Promise<unknown>} loop
 * @param {number} count
 */
async function timedAwaited(loop, count) {
  const start = performance.now();
  await loop(count);
  return performance.now() - start;
}
