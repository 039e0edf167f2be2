/**
 * Waiting for several things: gather, wait, waitFor, shield; asCompleted has a file of its own.
 *
 * They observe their Futures through the same queue that wakes tasks, so that outcomes are noticed in asyncio's order.
 */
import { type Context, copyContext } from "../contextvars/context.ts";
import { ValueError } from "../errors.ts";
import { TimeoutError } from "../io-errors.ts";
import { errorName, safeRepr } from "../repr.ts";
import { checkBooleans, checkFunction, checkOptions, checkSeconds, refused } from "./arguments.ts";
import { fromCallback, quiet, quietRejection } from "./async-stacks.ts";
import { ReportedUnlessAwaited } from "./awaited.ts";
import { createTask } from "./create-task.ts";
import { currentTask } from "./current-task.ts";
import { type Awaitable, type AwaitedResult, asFuture } from "./ensure-future.ts";
import { callExceptionHandler, callLater } from "./events.ts";
import { Future, failureOf, isfuture } from "./futures.ts";
import { InnerFuture } from "./inner-future.ts";
import { type CancelMessage, cancelledError, isCancelled } from "./task-errors.ts";
import type { Task } from "./tasks.ts";
import { timeout as timeoutAfter } from "./timeouts.ts";

/** Options of {@linkcode gather}. */
export interface GatherOptions {
  /** Whether errors are returned in the array of results, instead of the first error ending the wait. @default false */
  returnExceptions?: boolean | undefined;
}

/** The result of `gather()`: cancelling it cancels everything that it waits for. */
class GatheringFuture extends Future<unknown[]> {
  readonly #children: readonly Future<unknown>[];
  readonly #returnExceptions: boolean;
  #pending: number;
  /** Whether the outcome is a cancellation, however the children end. */
  #cancelRequested = false;
  #cancelReason: CancelMessage;

  constructor(children: readonly Future<unknown>[], returnExceptions: boolean) {
    super();
    this.#children = children;
    this.#returnExceptions = returnExceptions;
    this.#pending = children.length;
  }

  /** Called when each of the children is done. */
  childDone(child: Future<unknown>): void {
    this.#pending -= 1;
    if (this.done()) {
      // From here on the error counts as retrieved.
      failureOf(child);
    } else if (child.cancelled() && !this.#returnExceptions) {
      this.setException(child._cancelledError());
    } else if (child._failed && !this.#returnExceptions) {
      this.setException(child.exception());
    } else if (this.#pending === 0 && this.#cancelRequested) {
      const last = this.#children.at(-1) as Future<unknown>;
      this.setException(last.cancelled() ? last._cancelledError() : fromCallback(cancelledError(this.#cancelReason)));
    } else if (this.#pending === 0) {
      this.setResult(this.#children.map(outcomeOf));
    }
  }

  override cancel(message?: CancelMessage): boolean {
    if (this.done()) {
      return false;
    }
    let accepted = false;
    for (const child of this.#children) {
      accepted = child.cancel(message) || accepted;
    }
    if (accepted) {
      this.#cancelRequested = true;
      this.#cancelReason = message;
    }
    return accepted;
  }

  /** @internal */
  override get _kind(): string {
    return "_GatheringFuture";
  }
}

/**
 * Waits for several awaitables concurrently and returns their results in the order of the arguments.
 *
 * Each function becomes a task with its own copy of the Context. The first error ends the wait; the other awaitables
 * continue. With `returnExceptions` errors are returned in the array instead, typed `unknown` because anything can be
 * thrown. Cancelling `gather()` cancels everything that it waits for; the cancellation of one of them counts as an
 * error and does not cancel the others.
 *
 * Python: `asyncio.gather()`. Differs: takes an array.
 *
 * @throws {TypeError} If `awaitables` is not an array, or holds something that cannot be waited for.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const results = await asyncio.gather([() => asyncio.sleep(0.02, "slow"), () => asyncio.sleep(0.01, "fast")]);
 * assert.deepEqual(results, ["slow", "fast"]);
 * ```
 */
export function gather<const A extends readonly Awaitable<unknown>[]>(
  awaitables: A,
  options?: GatherOptions & { returnExceptions?: false | undefined },
): Future<{ -readonly [K in keyof A]: AwaitedResult<A[K]> }>;
export function gather<const A extends readonly Awaitable<unknown>[]>(
  awaitables: A,
  options: GatherOptions,
): Future<{ -readonly [K in keyof A]: unknown }>;
export function gather(awaitables: readonly Awaitable<unknown>[], options: GatherOptions = {}): Future<unknown> {
  if (!Array.isArray(awaitables)) {
    throw new TypeError(`gather(): awaitables must be an array, got ${safeRepr(awaitables)}; write gather([a, b])`);
  }
  checkOptions("gather()", options, ["returnExceptions"]);
  checkBooleans(options, ["returnExceptions"]);
  // Not `map()`, which passes over holes, and gives an array of the same subclass.
  const children = [...awaitables].map((awaitable) => asFuture("gather()", awaitable));
  if (children.length === 0) {
    const nothing = new Future<unknown[]>();
    nothing.setResult([]);
    return nothing;
  }
  const outer = new GatheringFuture(children, options.returnExceptions === true);
  const childDone = (child: Future<unknown>): void => outer.childDone(child);
  for (const child of children) {
    if (child.done()) {
      outer.childDone(child);
    } else {
      child._observe(childDone, "gather()");
    }
  }
  return outer;
}

/** The outcome of the Future as a value: its result, its error, or a cancellation. */
function outcomeOf(future: Future<unknown>): unknown {
  if (future.cancelled()) {
    return cancelledError(future._cancelMessage);
  }
  const failure = failureOf(future);
  return failure === null ? future.result() : failure.error;
}

/** `wait()` returns when one is done. Python: `asyncio.FIRST_COMPLETED`. */
export const FIRST_COMPLETED = "FIRST_COMPLETED" as const;
/** `wait()` returns when one has failed, or all are done. Python: `asyncio.FIRST_EXCEPTION`. */
export const FIRST_EXCEPTION = "FIRST_EXCEPTION" as const;
/** `wait()` returns when all are done. Python: `asyncio.ALL_COMPLETED`. */
export const ALL_COMPLETED = "ALL_COMPLETED" as const;

/** Options of {@linkcode wait}. */
export interface WaitOptions {
  /** In seconds; `null` for no limit. @default null */
  timeout?: number | null | undefined;
  /** When to return. @default ALL_COMPLETED */
  returnWhen?: typeof FIRST_COMPLETED | typeof FIRST_EXCEPTION | typeof ALL_COMPLETED | undefined;
}

/**
 * Waits for Tasks and Futures until one is done, one has failed, or all are done, but not longer than the timeout.
 *
 * `wait()` does not throw for a timeout or for failed Futures, and it cancels nothing, neither at the timeout nor when
 * the wait itself is cancelled.
 *
 * Python: `asyncio.wait()`. Differs: returns an array of the two sets.
 *
 * @param futures - An iterable of at least one Task or Future.
 * @returns The set of done Futures, and the set of pending ones.
 * @throws {ValueError} If `futures` is empty, or `returnWhen` is not one of the three constants.
 * @throws {TypeError} If one of them is neither a Task nor a Future; use `createTask()` for functions.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const quick = asyncio.createTask(() => asyncio.sleep(0.01));
 * const slow = asyncio.createTask(() => asyncio.sleep(3600));
 * const [done, pending] = await asyncio.wait([quick, slow], { returnWhen: asyncio.FIRST_COMPLETED });
 * assert.ok(done.has(quick) && pending.has(slow));
 * slow.cancel();
 * ```
 */
export function wait<F extends Future<unknown>>(
  futures: Iterable<F>,
  options: WaitOptions = {},
): Promise<[done: Set<F>, pending: Set<F>]> {
  return quiet(waitFutures(futures, options));
}

/** @param name - The name of the waiting call, for messages. */
export async function waitFutures<F extends Future<unknown>>(
  futures: Iterable<F>,
  options: WaitOptions,
  name = "wait()",
): Promise<[Set<F>, Set<F>]> {
  checkOptions("wait()", options, ["timeout", "returnWhen"]);
  const { timeout = null, returnWhen = ALL_COMPLETED } = options;
  if (timeout !== null) {
    checkSeconds("timeout", timeout);
  }
  if (![FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED].includes(returnWhen)) {
    throw new ValueError(
      `returnWhen must be FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED, got ${safeRepr(returnWhen)}`,
    );
  }
  const all = checkedFutures(futures);
  const waiter = new InnerFuture<void>(() => `${name} ${left} of ${all.size} pending`);
  const release = (): void => waiter._finishIfPending();
  const timer = timeout === null ? null : callLater(timeout, release);
  let left = all.size;
  const oneDone = ({ _failed }: F): void => {
    left -= 1;
    if (left === 0 || returnWhen === FIRST_COMPLETED || (returnWhen === FIRST_EXCEPTION && _failed)) {
      timer?.cancel();
      release();
    }
  };
  const observers = [...all].map((each) => [each, each._observe(oneDone, "wait()")] as const);
  try {
    await waiter;
  } finally {
    timer?.cancel();
    for (const [each, observer] of observers) {
      each._unobserve(observer);
    }
  }
  return [new Set([...all].filter((each) => each.done())), new Set([...all].filter((each) => !each.done()))];
}

function checkedFutures<F extends Future<unknown>>(futures: Iterable<F>): Set<F> {
  if (isfuture(futures) || typeof (futures as Iterable<F> | null)?.[Symbol.iterator] !== "function") {
    throw new TypeError(`wait(): futures must be an iterable, got ${safeRepr(futures)}; write wait([task])`);
  }
  const all = new Set(futures);
  if (all.size === 0) {
    throw new ValueError("wait(): futures must be at least one Task or Future, got none");
  }
  for (const each of all) {
    if (!isfuture(each)) {
      throw new TypeError(
        `wait(): futures must be Tasks and Futures, got ${safeRepr(each)}; pass a function to createTask() first`,
      );
    }
  }
  return all;
}

/**
 * Waits for an awaitable, but not longer than the timeout; then cancels it and waits until it has ended.
 *
 * A function runs in the current task and its Context. The function decides how it handles the cancellation: if it
 * returns normally, its value is the result, unless it did not notice the deadline because it waited for a promise that
 * is not the library's. A promise passed in place of a function is not interrupted; `waitFor()` only stops waiting for
 * it. The cancellation is the task's: it also ends the waits of functions that the task runs at the same time, as in
 * `Promise.all()`; {@linkcode gather} runs each in its own task.
 *
 * It begins immediately. If it is never awaited, an error is reported to the loop's exception handler.
 *
 * Python: `asyncio.wait_for()`. Differs: also works outside tasks.
 *
 * @param timeout - In seconds. With 0 or less, the awaitable has to be done already; `null` means no limit.
 * @throws {TimeoutError} If the timeout is reached. Any error of the awaitable is thrown unchanged.
 * @throws {TypeError} If there is no timeout, or `awaitable` cannot be waited for.
 * @throws {CancelledError} If the task or the awaitable is cancelled.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * assert.equal(await asyncio.waitFor(() => asyncio.sleep(0.01, "in time"), 5), "in time");
 * await assert.rejects(asyncio.waitFor(() => asyncio.sleep(3600), 0.01), asyncio.TimeoutError);
 * ```
 */
export function waitFor<T>(awaitable: Awaitable<T>, timeout: number | null): Promise<Awaited<T>> {
  if (timeout !== null && typeof timeout !== "number") {
    return quietRejection(
      new TypeError(
        `waitFor(): timeout must be a number of seconds, or null for none, got ${refused("timeout", timeout)}`,
      ),
    );
  }
  if (currentTask() === null) {
    return createTask(() => waitInTask(awaitable, timeout)) as Task<Awaited<T>>;
  }
  return new ReportedUnlessAwaited(waitInTask(awaitable, timeout) as Promise<Awaited<T>>);
}

async function waitInTask<T>(awaitable: Awaitable<T>, timeout: number | null): Promise<T> {
  if (typeof awaitable === "function") {
    checkFunction("waitFor()", awaitable);
  }
  if (timeout === null || timeout > 0 || Number.isNaN(timeout)) {
    return await timeoutAfter(timeout)._with(async () =>
      typeof awaitable === "function" ? await awaitable() : await asFuture("waitFor()", awaitable),
    );
  }
  const future = asFuture("waitFor()", awaitable);
  if (future.done()) {
    return future.result();
  }
  await cancelAndWait(future);
  try {
    return future.result();
  } catch (error) {
    throw isCancelled(error) ? timedOut(error) : error;
  }
}

function timedOut(cause: unknown): TimeoutError {
  return new TimeoutError("waitFor() timed out: the timeout is 0 or less and the awaitable was not done", { cause });
}

/** Cancels the Future and waits for its end. Cancelling this wait does not cancel the Future again. */
async function cancelAndWait(future: Future<unknown>): Promise<void> {
  const waiter = new InnerFuture<void>(() => `waitFor() until it has ended: ${safeRepr(future)}`);
  const observer = future._observe(() => waiter._finishIfPending(), "waitFor()");
  try {
    future.cancel();
    await waiter;
  } finally {
    future._unobserve(observer);
  }
}

/**
 * Protects an awaitable from the cancellation of the task that waits for it.
 *
 * If the waiting task is cancelled, it gets the CancelledError, and the protected awaitable continues. Keep a reference
 * to the awaitable: if it fails afterwards, the error is reported to the loop's exception handler.
 *
 * Python: `asyncio.shield()`.
 *
 * @throws {TypeError} If it is nothing that can be waited for.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const saving = asyncio.createTask(() => asyncio.sleep(0.02, "saved"));
 * const request = asyncio.createTask(async () => await asyncio.shield(saving));
 * await asyncio.sleep(0);
 * request.cancel();
 * await assert.rejects(Promise.resolve(request), asyncio.CancelledError);
 * assert.equal(await saving, "saved");
 * ```
 */
export function shield<T>(awaitable: Awaitable<T>): Future<T> {
  const inner = asFuture("shield()", awaitable);
  if (inner.done()) {
    return inner;
  }
  const outer = new Future<T>();
  const context = copyContext();
  const innerDone = inner._observe(() => {
    if (outer.done()) {
      return;
    }
    const failure = failureOf(inner);
    if (inner.cancelled()) {
      outer.cancel();
    } else if (failure !== null) {
      outer.setException(failure.error);
    } else {
      outer._finish(inner.result());
    }
  }, "shield()");
  outer._observe(
    () => {
      if (!inner.done()) {
        inner._unobserve(innerDone);
        reportError(inner, context);
      }
    },
    "shield()",
    null,
  );
  return outer;
}

/** The Futures whose error will be reported, once, however many waits for them were cancelled. */
const reporting = new WeakSet<Future<unknown>>();

/** @param context - The Context to report it in; a task has its own. */
function reportError(inner: Future<unknown>, context: Context): void {
  if (reporting.has(inner)) {
    return;
  }
  reporting.add(inner);
  inner._observe(
    () => {
      const failure = failureOf(inner);
      if (failure !== null) {
        const message = `${errorName(failure.error)} exception in shielded future`;
        callExceptionHandler({ message, exception: failure.error, future: inner }, inner._reportContext() ?? context);
      }
    },
    "shield()",
    null,
  );
}
