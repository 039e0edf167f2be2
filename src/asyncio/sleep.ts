import { checkSeconds, isThenable, notHandedOver } from "./arguments.ts";
import { quietRejection } from "./async-stacks.ts";
import { Sleep, TurnWait } from "./waits.ts";

/**
 * Waits for the given time, in seconds, while other tasks, input and output continue. 0 waits for one turn of the loop.
 *
 * After a cancellation no timer is left behind.
 *
 * Python: `asyncio.sleep()`.
 *
 * @param delay - In seconds; a negative delay counts as 0. The delay may be of any length, unlike Node's timers, which
 * are limited to 24 days.
 * @throws {ValueError} If `delay` is NaN.
 * @throws {TypeError} If `delay` is not a number, or `result` is a promise, a Future or a Task.
 * @throws {CancelledError} If the task is cancelled.
 */
export function sleep(delay: number): Promise<void>;
/**
 * Waits for the given time, in seconds, and resolves to `result`.
 *
 * @param delay - In seconds; a negative delay counts as 0.
 * @param result - The value that the promise resolves to.
 */
export function sleep<T>(delay: number, result: T): Promise<T>;
export function sleep<T>(delay: number, result?: T): Promise<T | undefined> {
  try {
    checkSeconds("sleep(): delay", delay);
  } catch (error) {
    return quietRejection(error);
  }
  if (isThenable(result)) {
    return quietRejection(notHandedOver("sleep()", "sleep(delay, { result })"));
  }
  if (delay <= 0) {
    return new TurnWait(result).promise;
  }
  return new Sleep(delay, result).promise;
}
