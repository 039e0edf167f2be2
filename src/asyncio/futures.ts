/**
 * Future: a result that is set later.
 *
 * Theory of operation. A Future is not a native promise, but can be awaited: on every runtime, `await` calls its `then`
 * in the flow of the awaiting code, so the Future learns which task waits for it. Cancellation uses that link:
 * cancelling a task that awaits a Future cancels the Future, as in asyncio.
 *
 * A result reaches the awaiting task in the next iteration of the loop. A `cancel()` of that task in between takes
 * precedence: the task gets the CancelledError instead, again as in asyncio.
 */

import type { Context } from "../contextvars/context.ts";
import { knowMethodsOf } from "../contextvars/detached.ts";
import { angled, className, guardRecursion, Inspectable, repr, safeRepr, shortRepr } from "../repr.ts";
import { checkFunction, isThenable, notHandedOver } from "./arguments.ts";
import { fromCallback, passOn, thrownHere } from "./async-stacks.ts";
import { FUTURE, hasBrand } from "./brands.ts";
import { creationStack, isDebug } from "./debug/debug.ts";
import { type CallbackOptions, contextFor, Handle } from "./events.ts";
import {
  callbackDetails,
  enqueueAll,
  FutureWait,
  Observer,
  tasksAmong,
  type WaitingItems,
  withItem,
  withoutItem,
} from "./future-waits.ts";
import type { EventLoop } from "./loop.ts";
import { enqueue, type Ready } from "./ready.ts";
import { runningLoop } from "./running-loop.ts";
import {
  type CancelledError,
  type CancelMessage,
  cancelledError,
  InvalidStateError,
  isCancelled,
} from "./task-errors.ts";
import { type FailureReport, Unretrieved } from "./unretrieved.ts";
import { type Receiver, waitingTask } from "./waits.ts";

type State = "pending" | "cancelled" | "finished";

/**
 * A result, an error or a cancellation that will be set later.
 *
 * Any number of tasks can await it. Awaiting it in a task links the two: cancelling the task cancels the Future.
 *
 * Python: `asyncio.Future`. Differs: `then`, `catch` and `finally` besides `await`.
 *
 * @typeParam T - The type of the result.
 *
 * @example Passing a result on
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const future = new asyncio.Future<number>();
 * asyncio.getRunningLoop().callSoon(() => future.setResult(42));
 * assert.equal(await future, 42);
 * ```
 */
export class Future<T> extends Inspectable implements Promise<T> {
  declare readonly [Symbol.toStringTag]: string;

  static {
    // On the prototype, because they are the same for all Futures.
    Object.defineProperty(this.prototype, FUTURE, { value: true });
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: "Future", configurable: true });
  }

  #state: State = "pending";
  #result: T | undefined;
  /** Distinguishes the error `null`, which JavaScript allows, from no error. */
  #failed = false;
  /** The error; for a cancelled task, the CancelledError of its body until it is retrieved. */
  #exception: unknown = null;
  /** @internal The message of the cancellation. */
  _cancelMessage: CancelMessage;
  /** The items that are queued when it is done, in order. */
  #waiting: WaitingItems = null;
  /** The callbacks among them, which `removeDoneCallback()` can remove. */
  #callbacks: Map<(future: never) => unknown, Handle[]> | null = null;
  #unretrieved: Unretrieved | null = null;
  /**
   * @internal In debug mode, the stack where it was created. Outside debug mode the property does not exist, since
   * there may be very many Futures.
   */
  declare readonly _stack: string | undefined;

  constructor();
  /** @internal */
  constructor(none?: unknown) {
    super();
    if (none !== undefined) {
      throw new TypeError(
        `Future() takes no arguments, got ${safeRepr(none)}; call setResult() or setException() later`,
      );
    }
    if (isDebug()) {
      this._stack = creationStack();
    }
  }

  /** The loop. Python: `Future.get_loop()`. Differs: there is one for the process. */
  getLoop(): EventLoop {
    return runningLoop();
  }

  /** Whether there is a result, an error or a cancellation. Python: `Future.done()`. */
  done(): boolean {
    return this.#state !== "pending";
  }

  /** Whether the Future was cancelled. Python: `Future.cancelled()`. */
  cancelled(): boolean {
    return this.#state === "cancelled";
  }

  /**
   * The result.
   *
   * Python: `Future.result()`.
   *
   * @throws {InvalidStateError} If the Future is not done yet.
   * @throws {CancelledError} If the Future was cancelled. An error that was set is thrown unchanged.
   */
  result(): T {
    const exception = this.#outcome("Result");
    if (this.#failed) {
      throw exception;
    }
    return this.#result as T;
  }

  /**
   * The error that was set, or `null` if there is a result.
   *
   * Python: `Future.exception()`.
   *
   * @throws {InvalidStateError} If the Future is not done yet.
   * @throws {CancelledError} If it was cancelled.
   */
  exception(): unknown {
    return this.#outcome("Exception");
  }

  /**
   * Sets the result; all code that waits for it continues.
   *
   * Python: `Future.set_result()`. Differs: no Future can be the result.
   *
   * @throws {InvalidStateError} If it is done already.
   * @throws {TypeError} If `result` is a promise, a Future or a Task: awaiting this Future would wait for that one.
   */
  setResult(result: T): void {
    this.#checkPending();
    if (isThenable(result)) {
      throw notHandedOver("setResult()", "setResult({ result })");
    }
    this._finish(result);
  }

  /**
   * Sets an error; all code that waits for the result gets it.
   *
   * An error that is never retrieved is reported to the loop's exception handler.
   *
   * Python: `Future.set_exception()`. Differs: any value can be set.
   *
   * @throws {InvalidStateError} If it is done already.
   */
  setException(exception: unknown): void {
    this.#checkPending();
    this._fail(exception);
  }

  /**
   * Cancels the Future: all code that waits for it gets a CancelledError.
   *
   * Python: `Future.cancel()`.
   *
   * @param message - The message of the CancelledError.
   * @returns False if it was done already.
   */
  cancel(message?: string): boolean;
  /** @internal */
  cancel(message: CancelMessage): boolean;
  cancel(message?: CancelMessage): boolean {
    if (this.#state !== "pending") {
      return false;
    }
    this._finishCancelled(message);
    return true;
  }

  /**
   * Calls the function with this Future once it is done: in a later turn of the loop, never immediately.
   *
   * Python: `Future.add_done_callback()`.
   *
   * @param callback - Called with the Future. If it throws, the error is reported to the loop's exception handler.
   * @throws {TypeError} If `callback` is not a function.
   */
  addDoneCallback(callback: (future: this) => unknown, options?: CallbackOptions): void {
    checkFunction("addDoneCallback()", callback);
    const handle = new Handle(() => callback(this), contextFor("addDoneCallback()", options), callback);
    if (this.#state !== "pending") {
      enqueue(handle);
      return;
    }
    this.#waiting = withItem(this.#waiting, handle);
    this.#callbacks ??= new Map();
    const handles = this.#callbacks.get(callback);
    if (handles === undefined) {
      this.#callbacks.set(callback, [handle]);
    } else {
      handles.push(handle);
    }
  }

  /**
   * Removes every registration of the function that has not been called yet.
   *
   * Python: `Future.remove_done_callback()`.
   *
   * @returns The number of removed registrations.
   */
  removeDoneCallback(callback: (future: this) => unknown): number {
    const handles = this.#callbacks?.get(callback) ?? [];
    for (const handle of handles) {
      this._unobserve(handle);
    }
    this.#callbacks?.delete(callback);
    return handles.length;
  }

  /**
   * Called by `await`. In a task it links the two: cancelling the task cancels this Future.
   *
   * Python: `await future`. Differs: can be called like a promise's `then`.
   */
  // biome-ignore lint/suspicious/noThenProperty: a Future exists to be awaited
  then<R1 = T, R2 = never>(
    onFulfilled?: ((value: T) => R1 | PromiseLike<R1>) | null,
    onRejected?: ((reason: unknown) => R2 | PromiseLike<R2>) | null,
  ): Promise<R1 | R2> {
    return this._wait().then(onFulfilled, onRejected);
  }

  /** Like a promise's `catch`. Python: has no such method. */
  catch<R = never>(onRejected?: ((reason: unknown) => R | PromiseLike<R>) | null): Promise<T | R> {
    return this._wait().catch(onRejected);
  }

  /** Like a promise's `finally`. Python: has no such method. */
  finally(onFinally?: (() => void) | null): Promise<T> {
    return this._wait().finally(onFinally);
  }

  /** Python's `repr()`: `<Future pending>`, `<Future finished result=42>`. */
  override toString(): string {
    return guardRecursion(this, "...", () => angled(this._kind, this._status, ...this._details()));
  }

  /** @internal The Context in which an unretrieved error is reported. */
  _reportContext(): Context | undefined {
    return undefined;
  }

  /** @internal The class name, for messages. */
  get _kind(): string {
    return className(this);
  }

  /** @internal The state, as `toString()` shows it. */
  get _status(): string {
    return this.#state;
  }

  /** @internal The description of a task's wait for this Future. */
  _awaitedAs(): string {
    return repr(this);
  }

  /** @internal Whether it ended with an error, which may be any value, `null` and `undefined` as well. */
  get _failed(): boolean {
    return this.#failed;
  }

  /** @internal The parts of `toString()` after the state. */
  _details(): string[] {
    if (this.#state === "pending") {
      return callbackDetails(this.#waiting);
    }
    if (this.#state === "cancelled") {
      return [];
    }
    return [this.#failed ? `exception=${safeRepr(this.#exception)}` : `result=${safeRepr(this.#result, shortRepr)}`];
  }

  /**
   * @internal Calls the function with the Future when it is done, in order with the callbacks; for the library's own
   * bookkeeping. The function must not throw.
   *
   * @param name - The name of the observer, for messages.
   * @param awaitedBy - The task that waits through this observer; by default the running task, if there is a name.
   */
  _observe(
    callback: (future: this) => void,
    name?: string,
    awaitedBy: object | null = name === undefined ? null : waitingTask(),
  ): Ready {
    const observer = new Observer(callback, this, name, awaitedBy);
    this._enqueueWhenDone(observer);
    return observer;
  }

  /** @internal Queues the item when the Future is done, in order with the callbacks. */
  _enqueueWhenDone(item: Ready): void {
    if (this.#state === "pending") {
      this.#waiting = withItem(this.#waiting, item);
    } else {
      enqueue(item);
    }
  }

  /** @internal The tasks that wait for it, in order. */
  _awaitedBy(): Set<object> {
    return tasksAmong(this.#waiting);
  }

  /** @internal Removes an observer. */
  _unobserve(observer: Ready): void {
    this.#waiting = withoutItem(this.#waiting, observer);
  }

  /** @internal @param stepEnds - Whether the running step ends with this call. */
  _finish(result: T, stepEnds = false): void {
    this.#result = result;
    this.#end("finished", stepEnds);
  }

  /** @internal */
  _finishIfPending(result: T): void {
    if (this.#state === "pending") {
      this._finish(result);
    }
  }

  /** @internal */
  _fail(exception: unknown): void {
    this.#failed = true;
    this.#exception = exception;
    this.#end("finished");
    this.#unretrieved = new Unretrieved(this);
    // After the waiting code, most of which retrieves the error.
    enqueue(this.#unretrieved);
  }

  /** @internal The report if the error is never retrieved. */
  _failure(): FailureReport {
    return {
      message: `${this._kind} exception was never retrieved`,
      exception: this.#exception,
      future: safeRepr(this),
      stack: this._stack,
      context: this._reportContext(),
    };
  }

  /** @internal @param error - The error that a task's body threw. */
  _finishCancelled(message: CancelMessage, error: CancelledError | null = null): void {
    this._cancelMessage = message;
    this.#exception = error;
    this.#end("cancelled");
  }

  /** @internal Returns the body's error for the first caller, and a new one with its own stack for all others. */
  _cancelledError(): CancelledError {
    const error = this.#exception as CancelledError | null;
    this.#exception = null;
    return error ?? fromCallback(cancelledError(this._cancelMessage));
  }

  /** Returns the error or `null`, and marks the error as retrieved. */
  #outcome(wanted: "Result" | "Exception"): unknown {
    if (this.#state === "cancelled") {
      throw thrownHere(this._cancelledError());
    }
    if (this.#state === "pending") {
      throw new InvalidStateError(
        `${wanted} is not set. The ${this._kind} is not done yet: await it, or ask done() first`,
      );
    }
    this.#retrieved();
    return this.#exception;
  }

  #checkPending(): void {
    if (this.#state !== "pending") {
      throw new InvalidStateError(`invalid state: ${this} is done already`);
    }
  }

  #end(state: "cancelled" | "finished", stepEnds = false): void {
    this.#state = state;
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#callbacks = null;
    enqueueAll(waiting, stepEnds);
  }

  #retrieved(): void {
    this.#unretrieved?.forget();
    this.#unretrieved = null;
  }

  /** @internal A promise of the outcome, for the running task. */
  _wait(): Promise<T> {
    const wait = new FutureWait(this);
    if (this.#state === "pending") {
      this.#waiting = withItem(this.#waiting, wait);
      wait.begin();
    } else {
      this._settle(wait, null);
    }
    return wait.promise;
  }

  /** @internal Settles the wait with the outcome, or with a cancellation that came after it. */
  _settle(wait: Receiver<T>, cancelled: CancelledError | null): void {
    this.#retrieved();
    if (this.#state === "cancelled") {
      wait.fail(passOn(this._cancelledError(), this));
    } else if (cancelled !== null && !isCancelled(this.#exception)) {
      wait.fail(cancelled);
    } else if (this.#failed) {
      const error = this.#exception;
      wait.fail(isCancelled(error) ? passOn(error as CancelledError, this) : error);
    } else {
      wait.fulfil(this.#result as T);
    }
  }
}

/** An error that was thrown or set. In an object, because it may be any value, `null` and `undefined` as well. */
export interface Failure {
  readonly error: unknown;
}

/** The error of a Future that has failed, which then counts as retrieved; `null` if the Future has not failed. */
export function failureOf(future: Future<unknown>): Failure | null {
  return future._failed ? { error: future.exception() } : null;
}

/**
 * Whether the value is a Future or a Task, of this installed copy of the package or another.
 *
 * Python: `asyncio.isfuture()`.
 */
export function isfuture(value: unknown): value is Future<unknown> {
  return hasBrand(value, FUTURE);
}

knowMethodsOf({ Future });
