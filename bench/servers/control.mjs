/**
 * What every server in JavaScript does for the suite: it prints its port, reports its memory, and ends with its standard
 * input. A server that outlived the program that started it would disturb all later rounds.
 */

/** How many bytes one read may bring, as in the peers' servers. */
export const READ_SIZE = 256 * 1024;

/** What a download sends, again and again. */
export const BLOCK = Buffer.alloc(64 * 1024, "x");

/** What is measured: one of the modes that `bench/README.md` lists. */
export const [, , mode = "echo", argument = ""] = process.argv;

/** @param {number} port */
export function ready(port) {
  process.stdout.write(`${port}\n`);
  process.stdin.on("data", tellMemory);
  process.stdin.on("end", () => process.exit());
}

function tellMemory() {
  // Twice: what the first collection finalizes is freed by the second.
  globalThis.gc?.();
  globalThis.gc?.();
  process.stdout.write(`${JSON.stringify({ heap: process.memoryUsage().heapUsed })}\n`);
}

/**
 * Refuses a mode that a server does not have.
 *
 * @returns {never}
 */
export function unknownMode() {
  process.stderr.write(`${process.argv[1]} has no mode ${mode}\n`);
  process.exit(2);
}
