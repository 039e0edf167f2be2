/** waitAllTasksBlocked: waits until nothing more happens by itself. */
import { checkFiniteSeconds, checkOptions, quiet, WaitOn } from "../asyncio/seam.ts";
import { Quiet, Watch } from "./stillness.ts";

/** Options of {@linkcode waitAllTasksBlocked}. */
export interface WaitAllTasksBlockedOptions {
  /** How much longer nothing may happen, in real seconds. @default 0 */
  cushion?: number | undefined;
}

/** The interval between two checks during a cushion, in real seconds. */
const LOOK_INTERVAL = 0.001;

/** How many calls wait. */
let waiting = 0;

/** Whether any code waits until all tasks are blocked. */
export function isAwaited(): boolean {
  return waiting > 0;
}

/**
 * Waits until all other tasks wait: nothing is ready to run, over two turns of Node's loop.
 *
 * A test calls it to let the tasks that it has started reach their waits. A task that waits for a socket counts as
 * waiting; pass a `cushion` to let its answer arrive. A `MockClock` does not jump before this returns.
 *
 * Python: has no such function; trio has `trio.testing.wait_all_tasks_blocked()`.
 *
 * @throws {ValueError} If `cushion` is negative, infinite or NaN.
 * @throws {TypeError} If `cushion` is not a number.
 * @throws {CancelledError} If the task is cancelled.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { waitAllTasksBlocked } from "contextvars/testing";
 * import assert from "node:assert/strict";
 *
 * const lock = new asyncio.Lock();
 * await lock.acquire();
 * const task = asyncio.createTask(() => lock.acquire());
 * await waitAllTasksBlocked();
 * assert.match(String(lock), /locked, waiters:1/);
 * lock.release();
 * await task;
 * ```
 */
export function waitAllTasksBlocked(options: WaitAllTasksBlockedOptions = {}): Promise<void> {
  return quiet(untilBlocked(options));
}

async function untilBlocked(options: WaitAllTasksBlockedOptions): Promise<void> {
  checkOptions("waitAllTasksBlocked()", options, ["cushion"]);
  const { cushion = 0 } = options;
  checkFiniteSeconds("cushion", cushion);
  const wait = new WaitOn<void>("waitAllTasksBlocked()", () => false);
  const stillness = new Quiet();
  let ended = false;
  const watch = new Watch(() => {
    stillness.compare();
    const left = cushion === 0 ? 0 : cushion - stillness.seconds;
    if (ended || left <= 0) {
      wait.resolve();
      return null;
    }
    return Math.min(left, LOOK_INTERVAL);
  });
  waiting += 1;
  watch.start();
  try {
    await wait.begin();
  } finally {
    ended = true;
    waiting -= 1;
  }
}
