import { isEntered } from "../contextvars/current.ts";
import { RuntimeError } from "../errors.ts";
import { repr } from "../repr.ts";
import { checkBooleans, checkContext, checkFunction, checkOptions } from "./arguments.ts";
import { Task, type TaskOptions } from "./tasks.ts";

const NO_OPTIONS: TaskOptions = {};

/**
 * Runs the function as a task: concurrently, in its own Context.
 *
 * The task starts when the running code ends or waits. Values that it sets are visible only in the task.
 *
 * Python: `asyncio.create_task()`. Differs: takes a function, not a coroutine object.
 *
 * @param callable - The function to run. Not a promise, which has already started, in the wrong Context.
 * @throws {TypeError} If `callable` is not a function.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const task = asyncio.createTask(async () => {
 *   await asyncio.sleep(0.01);
 *   return 42;
 * });
 * assert.equal(await task, 42);
 * ```
 */
export function createTask<T>(callable: () => T | PromiseLike<T>, options: TaskOptions = NO_OPTIONS): Task<Awaited<T>> {
  checkFunction("createTask()", callable);
  if (options !== NO_OPTIONS) {
    checkOptions("createTask()", options, ["name", "context", "eagerStart", "signal"]);
    checkBooleans(options, ["eagerStart"]);
  }
  checkContext("createTask()", options.context);
  if (options.eagerStart === true && options.context !== undefined && isEntered(options.context)) {
    throw new RuntimeError(
      `createTask() cannot start the task: cannot enter context: ${options.context} is already entered`,
      {
        code: "ERR_CONTEXT_ENTERED",
      },
    );
  }
  if (options.signal !== undefined && typeof options.signal?.addEventListener !== "function") {
    throw new TypeError(`signal must be an AbortSignal, got ${repr(options.signal)}`);
  }
  return new Task(callable as () => Awaited<T>, options);
}
