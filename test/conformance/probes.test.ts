/**
 * Asking where tasks wait changes nothing: random scripts and sessions with a reader have the same trace while all their
 * tasks are asked all the time.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { randomFrom } from "../support/random.ts";
import { firstDifference } from "./asyncio/compare.ts";
import { runScript } from "./asyncio/interpreter.ts";
import type { Entry } from "./asyncio/language.ts";
import { randomScript } from "./asyncio/random-scripts.ts";
import { difference, randomSession, runSessionHere } from "./reader-sessions.ts";

/** `CONTEXTVARS_SEEDS=100000-150000` runs others, and more. */
const [first = 0, last = 200] = (process.env["CONTEXTVARS_SEEDS"] ?? "0-200").split("-").map(Number);
const BATCH = 50;

let probes = 0;

/** Runs the function while tasks are asked where they wait, between any two of their steps and within them. */
async function probed<T>(seed: number, run: (probe: () => void) => Promise<T>): Promise<T> {
  const below = randomFrom(seed);
  let ended = false;
  const probe = (): void => {
    const tasks = [...asyncio.allTasks()];
    const task = tasks[below(Math.max(tasks.length, 1) * 4)];
    if (task !== undefined) {
      probes += 1;
      void (below(2) === 0 ? task.getStack() : asyncio.captureCallGraph(task));
    }
  };
  const goOn = (): void => {
    if (!ended) {
      probe();
      (below(3) === 0 ? process.nextTick : setImmediate)(goOn);
    }
  };
  goOn();
  try {
    return await run(probe);
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
        const trace = await probed(seed, (probe) => runScript(script, probe));
        assert.equal(firstDifference(trace, undisturbed), null, `seed ${seed}, ${probes - before} probes`);
      }
      assert.ok(probes > 0);
    });

    it(`random sessions with a reader have the same trace while the reads are asked, seeds ${from} to ${to - 1}`, async () => {
      for (let seed = from; seed < to; seed++) {
        const session = randomSession(seed);
        const undisturbed = await runSessionHere(session);
        const before = probes;
        const trace = await probed(seed, (probe) => runSessionHere(session, probe));
        assert.equal(difference(trace, undisturbed), null, `seed ${seed}, ${probes - before} probes`);
      }
    });
  }
});
