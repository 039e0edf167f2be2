/**
 * How the small programs measure: they take the least of several samples, since every disturbance makes a sample slower.
 *
 * The number of operations in a sample is found by the least of three as well: a sample that the collector interrupts looks
 * long enough, and forty samples that are too short end before the compiler begins.
 */

const SAMPLES = 40; // the compiler needs the first ten and more: a task takes twice as long until it has finished
const SAMPLE_TIME = 15; // milliseconds

/**
 * @param {(count: number) => unknown} loop Does it so many times.
 * @returns {number} Nanoseconds for one.
 */
export function nanoseconds(loop) {
  let count = 1;
  while (leastTime(loop, count, 3) < SAMPLE_TIME) {
    count *= 2;
  }
  return (1e6 * leastTime(loop, count, SAMPLES)) / count;
}

/**
 * The same of a loop that awaits.
 *
 * @param {(count: number) => Promise<unknown>} loop
 * @returns {Promise<number>}
 */
export async function nanosecondsAwaited(loop) {
  let count = 1;
  while ((await leastTimeAwaited(loop, count, 3)) < SAMPLE_TIME) {
    count *= 2;
  }
  return (1e6 * (await leastTimeAwaited(loop, count, SAMPLES))) / count;
}

/** @param {number} value */
export function report(value) {
  process.stdout.write(`${JSON.stringify({ cost: value })}\n`, () => process.exit());
}

/**
 * @param {(count: number) => unknown} loop
 * @param {number} count
 * @param {number} samples
 */
function leastTime(loop, count, samples) {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < samples; i++) {
    const start = performance.now();
    loop(count);
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

/**
 * @param {(count: number) => Promise<unknown>} loop
 * @param {number} count
 * @param {number} samples
 */
async function leastTimeAwaited(loop, count, samples) {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < samples; i++) {
    const start = performance.now();
    await loop(count);
    least = Math.min(least, performance.now() - start);
  }
  return least;
}
