/** Which task the running code belongs to. */
import { currentFlow, type Flow } from "../contextvars/current.ts";
import type { Task } from "./tasks.ts";

/**
 * The task whose code is running, or `null` outside any task.
 *
 * A Node callback that a task registered counts as the task's code until the task is done.
 *
 * Python: `asyncio.current_task()`. Differs: never throws, since a loop is always running.
 */
export function currentTask(): Task<unknown> | null {
  const { owner } = currentFlow();
  return owner !== null && !(owner as Task<unknown>).done() ? (owner as Task<unknown>) : null;
}

/** Whether the task's code is running, including a task that it has started eagerly. */
export function isRunning(task: object): boolean {
  for (let flow: Flow | null = currentFlow(); flow !== null; flow = flow.outer) {
    if (flow.owner === task) {
      return true;
    }
  }
  return false;
}
