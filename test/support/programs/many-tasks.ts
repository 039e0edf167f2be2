/**
 * Creates and finishes so many tasks. Prints how many are left, and the growth of the heap for each, in bytes, in the
 * best quarter of them. A process of its own, since a test runner's hooks make every task several times as slow.
 *
 * Usage: many-tasks TOTAL    TOTAL is a multiple of 4000
 */
import * as asyncio from "contextvars/asyncio";
import { growths } from "../garbage.ts";

const PARTS = 4;
const BATCH = 1000;
const part = Number(process.argv[2]) / PARTS;

async function work(): Promise<number> {
  await null;
  return 1;
}

const grown = await growths(PARTS, async () => {
  for (let i = 0; i < part; i += BATCH) {
    await asyncio.gather(Array.from({ length: BATCH }, () => work));
  }
});
process.stdout.write(JSON.stringify({ growth: Math.min(...grown) / part, left: asyncio.allTasks().size }));
