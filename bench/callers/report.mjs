/** What every client under test does: counts for so long, after a warm-up, and tells its rate and its processor time. */

export const [, , port = "", connections = "", size = "", seconds = "", warmup = ""] = process.argv;
export const message = Buffer.alloc(Number(size), "x");

let count = 0;
const WARMUP = Number(warmup) * 1000;
const DURATION = Number(seconds) * 1000;

/** One round trip is done. */
export function done() {
  count += 1;
}

setTimeout(() => {
  count = 0;
  const start = performance.now();
  const before = process.cpuUsage();
  setTimeout(() => {
    const { user, system } = process.cpuUsage(before);
    const result = {
      operations: count,
      seconds: (performance.now() - start) / 1000,
      serverCpu: (user + system) * 1000,
    };
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
  }, DURATION);
}, WARMUP);
