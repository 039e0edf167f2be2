/** Asking where tasks wait changes nothing: random scripts have the same trace while all their tasks are asked all the time. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { randomFrom } from "../support/random.ts";
import { firstDifference } from "./asyncio/compare.ts";
import { runScript } from "./asyncio/interpreter.ts";
import type { Entry } from "./asyncio/language.ts";
import { randomScript } from "./asyncio/random-scripts.ts";

/** `CONTEXTVARS_SEEDS=100000-150000` runs others, and more. */
const [first = 0, last = 600] = (process.env["CONTEXTVARS_SEEDS"] ?? "0-300").split("-").map(Number);
const BATCH = 50;

let probes = 0;

/** Runs the function while tasks are asked where they wait, between any two of their steps. */
async function probed<T>(seed: number, run: () => Promise<T>): Promise<T> {
  const below = randomFrom(seed);
  let ended = false;
  const probe = (): void => {
    if (ended) {
      return;
    }
    const tasks = [...asyncio.allTasks()];
    const task = tasks[below(Math.max(tasks.length, 1) * 4)];
    if (task !== undefined) {
      probes += 1;
      void (below(2) === 0 ? task.getStack() : asyncio.captureCallGraph(task));
    }
    (below(3) === 0 ? process.nextTick : setImmediate)(probe);
  };
  probe();
  try {
    return await run();
  } finally {
    ended = true;
  }
}

describe("Task.getStack() and captureCallGraph()", () => {
  for (let from = first; from < last; from += BATCH) {
    const to = Math.min(from + BATCH, last);
    it(`random scripts have the same trace while their tasks are asked, seeds ${from} to ${to - 1}`, async () => {
      for (let seed = from; seed < to; seed++) {
        const script = randomScript(seed);
        const undisturbed: readonly Entry[] = await runScript(script);
        const before = probes;
        const trace = await probed(seed, () => runScript(script));
        assert.equal(firstDifference(trace, undisturbed), null, `seed ${seed}, ${probes - before} probes`);
      }
      assert.ok(probes > 0);
    });
  }
});
