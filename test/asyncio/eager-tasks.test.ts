/**
 * Eager tasks that end while the code that created them continues, which a first step does only in JavaScript
 * (DIFFERENCES.md, 40).
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";

/** Microtasks of a step: the loop does nothing meanwhile. */
async function goOn(microtasks: number): Promise<void> {
  for (let i = 0; i < microtasks; i++) {
    await null;
  }
}

/** Runs the body in a task that has just been woken, when nothing else is ready. */
async function inStep(body: () => Promise<void>): Promise<void> {
  await asyncio.run(async () => {
    await asyncio.sleep(0);
    await body();
  });
}

describe("an eager task that ends within its maker's step", () => {
  it("has its callbacks called when that step has ended", async () => {
    const order: string[] = [];
    await inStep(async () => {
      const task = asyncio.createTask(async () => goOn(1), { eagerStart: true });
      task.addDoneCallback(() => order.push("callback"));
      await goOn(20);
      assert.ok(task.done());
      order.push("end of the step");
      await asyncio.sleep(0);
    });
    assert.deepEqual(order, ["end of the step", "callback"]);
  });

  it("wakes the task that awaits it when that step has ended", async () => {
    const order: string[] = [];
    await inStep(async () => {
      const waiter = asyncio.createTask(
        async () => {
          await asyncio.createTask(async () => goOn(1), { eagerStart: true });
          order.push("waiter");
        },
        { eagerStart: true },
      );
      await goOn(20);
      order.push("end of the step");
      await waiter;
    });
    assert.deepEqual(order, ["end of the step", "waiter"]);
  });
});

it("an eager task that ends in a step of its own has its callbacks called after it", async () => {
  const order: string[] = [];
  await inStep(async () => {
    const task = asyncio.createTask(
      async () => {
        await asyncio.sleep(0);
        order.push("task");
      },
      { eagerStart: true },
    );
    task.addDoneCallback(() => order.push("callback"));
    await task;
    order.push("maker");
  });
  assert.deepEqual(order, ["task", "callback", "maker"]);
});
