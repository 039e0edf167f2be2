/** What can be waited for, and how it becomes a Future. */
import { safeRepr } from "../repr.ts";
import { isThenable } from "./arguments.ts";
import { createTask } from "./create-task.ts";
import { Future, isfuture } from "./futures.ts";
import { asCancelledError, cancellationIn } from "./task-errors.ts";
import type { Task } from "./tasks.ts";
import { settledFromOutside, whenSettled } from "./waits.ts";

/**
 * A value that can be waited for: a function, which becomes a task with a copy of the Context; a Task or Future; or any
 * promise, which is observed but cannot be interrupted.
 */
export type Awaitable<T> = (() => T | PromiseLike<T>) | PromiseLike<T>;

/** The type of an Awaitable's result. */
export type AwaitedResult<A> = A extends () => infer R ? Awaited<R> : Awaited<A>;

/**
 * Returns the awaitable as a Future: a function becomes a task, a Task or Future is returned itself, and a promise is
 * observed.
 *
 * Python: `asyncio.ensure_future()`. Differs: a promise cannot be cancelled; cancelling its Future only stops waiting.
 *
 * @throws {TypeError} If `awaitable` cannot be waited for.
 */
export function ensureFuture<T>(awaitable: Awaitable<T>): Future<T> {
  return asFuture("ensureFuture()", awaitable);
}

/** Like `ensureFuture()`, for the call that an error names. */
export function asFuture<T>(caller: string, awaitable: Awaitable<T>): Future<T> {
  if (typeof awaitable === "function") {
    return createTask(awaitable) as Task<unknown> as Task<T>;
  }
  if (isfuture(awaitable) && canBeAsked(awaitable)) {
    return awaitable as Future<T>;
  }
  if (!isThenable(awaitable)) {
    throw new TypeError(
      `${caller}: awaitable must be a function, a Task, a Future or a promise, got ${safeRepr(awaitable)}`,
    );
  }
  return observed(awaitable, new Future());
}

/** Whether the methods work: those of a Proxy of a Future throw, as its `then` does. */
function canBeAsked(future: Pick<Future<unknown>, "done">): boolean {
  try {
    future.done();
    return true;
  } catch {
    return false;
  }
}

/** Returns the Future, which gets the outcome of the promise. */
export function observed<T>(promise: PromiseLike<T>, future: Future<T>): Future<T> {
  settledFromOutside(future);
  whenSettled(
    promise,
    (result) => future._finishIfPending(result),
    (error) => {
      if (future.done()) {
        return;
      }
      const cancellation = cancellationIn(error);
      if (cancellation === null) {
        future._fail(error);
      } else {
        future._finishCancelled(cancellation.reason, asCancelledError(error, undefined));
      }
    },
  );
  return future;
}
