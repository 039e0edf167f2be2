/**
 * Random scripts of tasks on both sides: spawn, await, cancel at any point, shield, timeout, group, gather, waitFor,
 * queues, locks, callbacks, variables. The whole trace has to be the same, in its order, and so the final states.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Json, pythonFunction, pythonVersion, runPythonFile } from "../support/cpython.ts";
import { firstDifference } from "./asyncio/compare.ts";
import { runScript } from "./asyncio/interpreter.ts";
import type { Entry } from "./asyncio/language.ts";
import { randomScript } from "./asyncio/random-scripts.ts";

/** `CONTEXTVARS_SEEDS=100000-150000` runs others, and more. */
const [first = 0, last = 3000] = (process.env["CONTEXTVARS_SEEDS"] ?? "0-3000").split("-").map(Number);
const BATCH = 250;

runPythonFile("test/conformance/asyncio/interpreter.py");
const runScriptsThere = pythonFunction("run_scripts");

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
