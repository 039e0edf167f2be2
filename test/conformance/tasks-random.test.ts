/**
 * Random scripts of tasks on both sides: spawn, await, cancel at any point, shield, timeout, group, gather, waitFor,
 * queues, locks, callbacks, variables. The whole trace has to be the same, in its order, and so the final states.
 *
 * `CONTEXTVARS_SEEDS=0-10000` runs others, and more; these ten thousand agreed when they were last run, on 2026-11-27.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Json, pythonVersion } from "../support/cpython.ts";
import { firstDifference } from "./asyncio/compare.ts";
import { runScript } from "./asyncio/interpreter.ts";
import { runScriptsThere } from "./asyncio/interpreter-there.ts";
import type { Entry } from "./asyncio/language.ts";
import { randomScript } from "./asyncio/random-scripts.ts";

const [first = 0, last = 1000] = (process.env["CONTEXTVARS_SEEDS"] ?? "0-1000").split("-").map(Number);
const BATCH = 250;

describe(`random scripts of tasks, against CPython ${pythonVersion}`, () => {
  for (let from = first; from < last; from += BATCH) {
    const to = Math.min(from + BATCH, last);
    it(`tasks, cancellations and their order are the same on both sides, seeds ${from} to ${to - 1}`, async () => {
      const seeds = Array.from({ length: to - from }, (_, i) => from + i);
      const scripts = seeds.map((seed) => randomScript(seed));
      const there = runScriptsThere(scripts as unknown as Json) as unknown as readonly (readonly Entry[])[];
      for (const [i, script] of scripts.entries()) {
        const here = await runScript(script);
        assert.equal(firstDifference(here, there[i] ?? []), null, `seed ${seeds[i]}`);
      }
    });
  }
});
