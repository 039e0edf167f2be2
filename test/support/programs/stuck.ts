/**
 * Waits in run() for what never comes.
 *
 * Usage: stuck [awaited] (at the top level)
 */
import * as asyncio from "contextvars/asyncio";

const running = asyncio.run(async function main() {
  await new asyncio.Queue().get();
});
if (process.argv[2] === "awaited") {
  await running;
}
