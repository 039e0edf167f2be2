/** What tasks leave behind: nothing. */
import assert from "node:assert/strict";
import { it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { survivors } from "../support/garbage.ts";
import { runProgram } from "../support/programs.ts";

it("a million tasks, created and finished, leave the heap where it was", async () => {
  const { growth, left } = (await runProgram("many-tasks.js", "1000000")) as { growth: number; left: number };
  assert.ok(growth < 8, `the heap has grown by ${growth} bytes for each task`);
  assert.equal(left, 0);
});

it("a task that is done, its result and what its function closes over are collected", async () => {
  const references: WeakRef<object>[] = [];
  await (async () => {
    const closedOver = { big: true };
    const task = asyncio.createTask(async () => ({ closedOver }));
    references.push(new WeakRef(task), new WeakRef(closedOver), new WeakRef(await task));
  })();
  assert.equal(await survivors(references), 0);
});

it("a timer that has fired or was cancelled keeps the task alive no longer that was the last to set one", async () => {
  const sleeper = async (seconds: number): Promise<WeakRef<object>> => {
    const task = asyncio.createTask(async () => await asyncio.sleep(seconds));
    await new Promise((resolve) => setTimeout(resolve, 10));
    task.cancel();
    await new Promise((resolve) => setTimeout(resolve, 10));
    return new WeakRef(task);
  };
  // Bun's collector takes what looks like an address on the machine's stack for a reference: one task in many
  // is held by that, but not one after the other.
  const isKept = async (seconds: number, attempts = 5): Promise<boolean> =>
    attempts > 0 && (await survivors([await sleeper(seconds)], 20)) > 0 && (await isKept(seconds, attempts - 1));
  assert.equal(await isKept(0.001), false, "one that has fired");
  assert.equal(await isKept(10), false, "one that was cancelled");
});
