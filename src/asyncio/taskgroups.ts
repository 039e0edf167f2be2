/**
 * TaskGroup: tasks that end together.
 *
 * Theory of operation. The group belongs to the task that enters it. When a task of the group fails, the other tasks
 * and the body are cancelled; that cancellation is the group's own, and is withdrawn on exit. A cancellation from
 * outside cancels the tasks, and propagates when they have ended, unless one of them failed: errors take precedence.
 */
import { knowMethodsOf } from "../contextvars/detached.ts";
import { RuntimeError } from "../errors.ts";
import { angled, Inspectable, isA } from "../repr.ts";
import { checkFunction, checkNoArguments } from "./arguments.ts";
import { ReportedUnlessAwaited } from "./awaited.ts";
import { createTask } from "./create-task.ts";
import { currentTask } from "./current-task.ts";
import { ExceptionGroup, KeyboardInterrupt } from "./exceptions.ts";
import { type Failure, type Future, failureOf } from "./futures.ts";
import { InnerFuture } from "./inner-future.ts";
import type { Task, TaskOptions } from "./tasks.ts";

/**
 * Runs tasks together: `with()` ends when all of them have ended, and when one fails, the others are cancelled.
 *
 * Python: `asyncio.TaskGroup`, as in 3.15. Differs: `with()` instead of `async with`.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * await asyncio.run(async () => {
 *   const [a, b] = await new asyncio.TaskGroup().with(async (tg) => [
 *     tg.createTask(() => asyncio.sleep(0.01, "a")),
 *     tg.createTask(() => asyncio.sleep(0.01, "b")),
 *   ] as const);
 *   assert.equal(a.result() + b.result(), "ab");
 * });
 * ```
 */
export class TaskGroup extends Inspectable {
  #parent: Task<unknown> | null = null;
  readonly #tasks = new Set<Task<unknown>>();
  #errors: unknown[] = [];
  /** The first KeyboardInterrupt, which is thrown without the other errors. */
  #interrupt: KeyboardInterrupt | null = null;
  // After the body has ended, only the tasks are waited for. Aborting: the tasks were cancelled, and no more may be
  // created. Both can only become true; aborting may come first.
  #exiting = false;
  #aborting = false;
  /** Whether the group itself has cancelled its parent, and has to withdraw that. */
  #parentCancelRequested = false;
  #cancelOnEntry = false;
  #allDone: Future<void> | null = null;
  readonly #onTaskDone = (task: Task<unknown>): void => this.#taskDone(task);

  constructor(...none: never[]) {
    super();
    checkNoArguments("TaskGroup()", none);
  }

  /**
   * Starts a task of the group.
   *
   * Python: `TaskGroup.create_task()`. Differs: takes a function.
   *
   * @throws {RuntimeError} Before `with()`, after it when all tasks have ended, and while the tasks are being
   * cancelled.
   * @throws {TypeError} If `callable` is not a function.
   */
  createTask<T>(callable: () => T | PromiseLike<T>, options?: TaskOptions): Task<Awaited<T>> {
    if (this.#parent === null) {
      throw this.#refusal("has not been entered");
    }
    if (this.#exiting && this.#tasks.size === 0) {
      throw this.#refusal("is finished");
    }
    if (this.#aborting) {
      throw this.#refusal("is shutting down");
    }
    const task = createTask(callable, options);
    this.#tasks.add(task as Task<unknown>);
    (task as Task<unknown>)._observe(this.#onTaskDone, "TaskGroup()", this.#parent);
    if (this.#aborting) {
      // The task started eagerly and cancelled the group before it belonged to it.
      task.cancel();
    }
    return task;
  }

  /**
   * Cancels all tasks of the group and its body; `with()` then ends without an error.
   *
   * A call before `with()` takes effect on entry. Further calls have no effect.
   *
   * Python: `TaskGroup.cancel()`, since 3.15.
   */
  cancel(): void {
    if (this.#parent === null) {
      this.#cancelOnEntry = true;
      return;
    }
    if (this.#exiting && this.#tasks.size === 0) {
      return;
    }
    if (!this.#aborting) {
      this.#abort();
      this.#cancelParent();
    }
  }

  /**
   * Runs the function, then waits until all tasks of the group have ended.
   *
   * Python: `async with asyncio.TaskGroup() as tg:`. Differs: a method.
   *
   * @param body - Called with this group.
   * @returns The function's result.
   * @throws {ExceptionGroup} If tasks or the body failed; it contains all errors except cancellations.
   * @throws {KeyboardInterrupt} If a task or the body threw it; the other errors are then dropped.
   * @throws {CancelledError} If the current task was cancelled, and nothing failed.
   * @throws {RuntimeError} If the group was already entered, or there is no current task.
   */
  with<T>(body: (group: this) => T | PromiseLike<T>): Promise<Awaited<T>> {
    return new ReportedUnlessAwaited(this.#with(body));
  }

  async #with<T>(body: (group: this) => T | PromiseLike<T>): Promise<Awaited<T>> {
    checkFunction("TaskGroup.with()", body);
    const parent = this.#enter();
    let result: Awaited<T> | undefined;
    let failure: Failure | null = null;
    try {
      result = await body(this);
    } catch (error) {
      failure = { error };
    }
    await this.#exit(parent, failure);
    // A body that the group itself cancelled has no result.
    return result as Awaited<T>;
  }

  /** Python's `repr()`: `<TaskGroup tasks=2 entered>`. */
  override toString(): string {
    return angled(
      "TaskGroup",
      this.#tasks.size > 0 ? `tasks=${this.#tasks.size}` : "",
      this.#errors.length > 0 ? `errors=${this.#errors.length}` : "",
      this.#aborting ? "cancelling" : this.#parent === null ? "" : "entered",
    );
  }

  #refusal(why: string): RuntimeError {
    return new RuntimeError(`TaskGroup ${this} ${why}`, { code: "ERR_TASK_GROUP_STATE" });
  }

  #enter(): Task<unknown> {
    if (this.#parent !== null) {
      throw this.#refusal("has already been entered");
    }
    const parent = currentTask();
    if (parent === null) {
      throw new RuntimeError(
        `TaskGroup ${this} cannot determine the parent task; call with() in a function that createTask() or run() starts`,
        {
          code: "ERR_NO_CURRENT_TASK",
        },
      );
    }
    this.#parent = parent;
    if (this.#cancelOnEntry) {
      this.cancel();
    }
    return parent;
  }

  async #exit(parent: Task<unknown>, failure: Failure | null): Promise<void> {
    this.#exiting = true;
    const cancellation = failure === null ? null : parent._cancellationIn(failure.error);
    if (failure !== null && isA(failure.error, KeyboardInterrupt)) {
      this.#interrupt ??= failure.error;
    }
    if (failure !== null && !this.#aborting) {
      this.#abort();
    }
    const { aborting, latest } = await this.#waitForTasks();
    if (this.#interrupt !== null) {
      throw this.#interrupt;
    }
    let cancelled = cancellation === null ? aborting : { error: cancellation };
    if (this.#parentCancelRequested) {
      // At zero no other code has cancelled the parent. Otherwise other code has, perhaps only since the body ended.
      cancelled = parent.uncancel() === 0 ? null : (cancelled ?? latest);
    }
    if (cancelled !== null && this.#errors.length === 0) {
      throw cancelled.error;
    }
    if (failure !== null && cancellation === null) {
      this.#errors.push(failure.error);
    }
    this.#throwErrors(parent);
  }

  /** Returns the cancellation of the parent that aborted the group meanwhile, and the latest one. */
  async #waitForTasks(): Promise<{ aborting: Failure | null; latest: Failure | null }> {
    let aborting: Failure | null = null;
    let latest: Failure | null = null;
    // Repeated, because the parent may be cancelled several times while it waits.
    while (this.#tasks.size > 0) {
      this.#allDone ??= new InnerFuture(() => `TaskGroup.with() ${this.#tasks.size} tasks left`);
      try {
        await this.#allDone;
      } catch (error) {
        latest = { error };
        if (!this.#aborting) {
          aborting = latest;
          this.#abort();
        }
      }
      this.#allDone = null;
    }
    return { aborting, latest };
  }

  #throwErrors(parent: Task<unknown>): void {
    const errors = this.#errors;
    this.#errors = [];
    if (errors.length === 0) {
      return;
    }
    if (parent.cancelling() > 0) {
      // The errors replace the CancelledError, which is thrown again at the next wait.
      parent.uncancel();
      parent.cancel();
    }
    throw new ExceptionGroup("unhandled errors in a TaskGroup", errors);
  }

  #taskDone(task: Task<unknown>): void {
    this.#tasks.delete(task);
    if (this.#tasks.size === 0) {
      this.#allDone?._finishIfPending();
    }
    const failure = failureOf(task);
    if (failure === null) {
      return;
    }
    const exception = failure.error;
    this.#errors.push(exception);
    if (isA(exception, KeyboardInterrupt)) {
      this.#interrupt ??= exception;
    }
    if (!this.#aborting && !this.#parentCancelRequested) {
      this.#abort();
      this.#cancelParent();
    }
  }

  #abort(): void {
    this.#aborting = true;
    for (const task of this.#tasks) {
      task.cancel();
    }
  }

  #cancelParent(): void {
    if (!this.#parentCancelRequested) {
      this.#parentCancelRequested = true;
      this.#parent?._interrupt();
    }
  }
}

knowMethodsOf({ TaskGroup });
