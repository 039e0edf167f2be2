/**
 * Future: a result that is not there yet.
 *
 * Theory of operation. A Future is no promise but can be awaited: `await` calls its `then` in the flow of the code that
 * awaits, on every runtime, and so learns which task waits for it. That is the link on which cancellation travels: to
 * cancel a task that awaits a Future is to cancel the Future, as in asyncio.
 *
 * A result reaches the awaiting task in the next iteration of the loop. A `cancel()` of that task in between still wins:
 * the task gets the CancelledError instead, again as in asyncio.
 */

import type { Context } from "../contextvars/context.ts";
import { knowMethodsOf } from "../contextvars/detached.ts";
import { className, functionName, inspectCustom, repr, safeRepr, shortRepr, unlessPrinting } from "../repr.ts";
import { checkFunction, notHandedOver } from "./arguments.ts";
import { fromCallback, thrownHere } from "./async-stacks.ts";
import { FUTURE, hasBrand } from "./brands.ts";
import { creationStack, isDebug } from "./debug/debug.ts";
import { type CallbackOptions, contextFor, Handle } from "./events.ts";
import {
  type CancelledError,
  type CancelMessage,
  cancelledError,
  InvalidStateError,
  isCancelled,
  isThenable,
} from "./exceptions.ts";
import type { EventLoop } from "./loop.ts";
import { type Ready, soon, soonAtStepEnd } from "./ready.ts";
import { runningLoop } from "./running-loop.ts";
import { type Failure, Unretrieved } from "./unretrieved.ts";
import { type Cancellable, type Receiver, Settleable, type WaitingTask, waitingTask } from "./waits.ts";

type State = "pending" | "cancelled" | "finished";

/** A function of the library itself, which waits for nothing and cannot fail. */
class Observer implements Ready {
  readonly #callback: () => void;
  /** Who observes, for messages. */
  readonly observer: string | undefined;
  /** The task that waits for what is observed. */
  readonly awaitedBy: object | null;

  constructor(callback: () => void, observer: string | undefined, awaitedBy: object | null) {
    this.#callback = callback;
    this.observer = observer;
    this.awaitedBy = awaitedBy;
  }

  _step(): boolean {
    this.#callback();
    return false;
  }
}

/** A task that waits for a Future; for the task, the wait it can be cancelled out of. */
class FutureWait<T> extends Settleable<T> implements Cancellable, Ready {
  readonly #future: Future<T>;
  readonly #task: WaitingTask | null = waitingTask();

  constructor(future: Future<T>) {
    super();
    this.#future = future;
  }

  begin(): void {
    this.#task?._waitFor(this);
  }

  get awaitedBy(): object | null {
    return this.#task;
  }

  waitedFor(): string {
    return this.#future._awaitedAs();
  }

  override toString(): string {
    return repr(this.#task ?? this.#future);
  }

  cancel(message: CancelMessage): boolean {
    return this.#future.cancel(message);
  }

  _step(): boolean {
    this.#task?._stopWaiting(this);
    this.#future._tell(this, this.#task?._takeCancellation() ?? null);
    return true;
  }
}

/**
 * A result that will be set later, or an error, or a cancellation.
 *
 * It can be awaited by any number of tasks. To await it in a task links the two: cancelling the task cancels the Future.
 *
 * Python: `asyncio.Future`. Differs: `then`, `catch` and `finally` besides `await`.
 *
 * @typeParam T - The type of the result.
 *
 * @example Handing a result over
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const future = new asyncio.Future<number>();
 * asyncio.getRunningLoop().callSoon(() => future.setResult(42));
 * assert.equal(await future, 42);
 * ```
 */
export class Future<T> implements Promise<T> {
  declare readonly [Symbol.toStringTag]: string;

  static {
    // On the prototype: they are the same for all.
    Object.defineProperty(this.prototype, FUTURE, { value: true });
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: "Future", configurable: true });
  }

  #state: State = "pending";
  #result: T | undefined;
  /** Tells an error that is `null`, which JavaScript allows, from none. */
  #failed = false;
  /** Of a task that was cancelled: the CancelledError of its body, until somebody has asked for it. */
  #exception: unknown = null;
  /** @internal What the cancellation came with; of a task, the latest request to end. */
  _cancelMessage: CancelMessage;
  /** Who goes into the queue when it is done, in the order in which they came. */
  #waiting: Ready | Set<Ready> | null = null;
  /** Those of them that `removeDoneCallback()` can take back. */
  #callbacks: Map<(future: never) => unknown, Handle[]> | null = null;
  #unretrieved: Unretrieved | null = null;
  /** @internal In debug mode, where it was made; otherwise not even a property, of which there may be very many. */
  declare readonly _stack: string | undefined;

  constructor() {
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

  /** Whether it was cancelled. Python: `Future.cancelled()`. */
  cancelled(): boolean {
    return this.#state === "cancelled";
  }

  /**
   * The result.
   *
   * Python: `Future.result()`.
   *
   * @throws {InvalidStateError} If it is not done yet.
   * @throws {CancelledError} If it was cancelled. Any other error that was set is thrown as it is.
   */
  result(): T {
    const exception = this.#outcome("Result");
    if (this.#failed) {
      throw exception;
    }
    return this.#result as T;
  }

  /**
   * The error that was set, or `null` where there is a result.
   *
   * Python: `Future.exception()`.
   *
   * @throws {InvalidStateError} If it is not done yet.
   * @throws {CancelledError} If it was cancelled.
   */
  exception(): unknown {
    return this.#outcome("Exception");
  }

  /**
   * Sets the result, and lets everybody go on who waits for it.
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
   * Sets an error, which everybody gets who waits for the result.
   *
   * If nobody ever asks for it, the loop's exception handler is told.
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
   * Cancels it: everybody who waits for it gets a CancelledError.
   *
   * Python: `Future.cancel()`.
   *
   * @param message - Put into the CancelledError.
   * @returns False if it was done already.
   */
  cancel(message?: string): boolean;
  /** @internal */
  cancel(message: CancelMessage): boolean;
  cancel(message?: CancelMessage): boolean {
    if (this.#state !== "pending") {
      return false;
    }
    this._cancelled(message);
    return true;
  }

  /**
   * Has the function called, with this Future, once it is done: in a later turn of the loop, never at once.
   *
   * Python: `Future.add_done_callback()`.
   *
   * @param callback - Gets the Future. What it throws goes to the loop's exception handler.
   * @throws {TypeError} If `callback` is not a function.
   */
  addDoneCallback(callback: (future: this) => unknown, options?: CallbackOptions): void {
    checkFunction("addDoneCallback()", callback);
    const handle = new Handle(() => callback(this), contextFor("addDoneCallback()", options), callback);
    if (this.#state !== "pending") {
      soon(handle);
      return;
    }
    this.#enqueue(handle);
    this.#callbacks ??= new Map();
    const handles = this.#callbacks.get(callback);
    if (handles === undefined) {
      this.#callbacks.set(callback, [handle]);
    } else {
      handles.push(handle);
    }
  }

  /**
   * Takes back every registration of the function that has not been called yet.
   *
   * Python: `Future.remove_done_callback()`.
   *
   * @returns How many there were.
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
   * What `await` calls. In a task it links the two: cancelling the task cancels this Future.
   *
   * Python: `await future`. Differs: can be called as a promise's `then`.
   */
  // biome-ignore lint/suspicious/noThenProperty: to be awaited is what it is for
  then<R1 = T, R2 = never>(
    onFulfilled?: ((value: T) => R1 | PromiseLike<R1>) | null,
    onRejected?: ((reason: unknown) => R2 | PromiseLike<R2>) | null,
  ): Promise<R1 | R2> {
    return this._wait().then(onFulfilled, onRejected);
  }

  /** As a promise's `catch`. Python: has no such method. */
  catch<R = never>(onRejected?: ((reason: unknown) => R | PromiseLike<R>) | null): Promise<T | R> {
    return this._wait().catch(onRejected);
  }

  /** As a promise's `finally`. Python: has no such method. */
  finally(onFinally?: (() => void) | null): Promise<T> {
    return this._wait().finally(onFinally);
  }

  /** Python's `repr()`: `<Future pending>`, `<Future finished result=42>`. */
  toString(): string {
    return unlessPrinting(this, "...", () => `<${this._kind} ${[this._status, ...this._details()].join(" ")}>`);
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }

  /** @internal The Context in which an error is reported that nobody asked for. */
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

  /** @internal What a task waits for that waits for it. */
  _awaitedAs(): string {
    return repr(this);
  }

  /** @internal Whether it ended with an error, which may be any value, `null` and `undefined` as well. */
  get _failed(): boolean {
    return this.#failed;
  }

  /** @internal What `toString()` shows after the state. */
  _details(): string[] {
    if (this.#state === "pending") {
      return this.#callbackNames();
    }
    if (this.#state === "cancelled") {
      return [];
    }
    return [this.#failed ? `exception=${safeRepr(this.#exception)}` : `result=${safeRepr(this.#result, shortRepr)}`];
  }

  #callbackNames(): string[] {
    const names = this.#waitingItems()
      .map(callbackName)
      .filter((name) => name !== undefined);
    if (names.length === 0) {
      return [];
    }
    const shown = names.length <= 2 ? names : [names[0], `<${names.length - 2} more>`, names.at(-1)];
    return [`cb=[${shown.join(", ")}]`];
  }

  #waitingItems(): Ready[] {
    const waiting = this.#waiting;
    return waiting instanceof Set ? [...waiting] : waiting === null ? [] : [waiting];
  }

  /**
   * @internal Has the function called when it is done, in turn with the callbacks: for the library's own bookkeeping.
   * It must not throw.
   *
   * @param name - Who observes, for messages.
   * @param awaitedBy - The task that waits by this; the running one by default, where there is a name.
   */
  _observe(
    callback: () => void,
    name?: string,
    awaitedBy: object | null = name === undefined ? null : waitingTask(),
  ): Ready {
    const observer = new Observer(callback, name, awaitedBy);
    if (this.#state === "pending") {
      this.#enqueue(observer);
    } else {
      soon(observer);
    }
    return observer;
  }

  /** @internal The tasks that wait for it, in the order in which they came. */
  _awaitedBy(): Set<object> {
    const tasks = new Set<object>();
    for (const item of this.#waitingItems()) {
      const task = item instanceof Observer || item instanceof FutureWait ? item.awaitedBy : null;
      if (task !== null) {
        tasks.add(task);
      }
    }
    return tasks;
  }

  /** @internal Takes an observer back. */
  _unobserve(observer: Ready): void {
    if (this.#waiting instanceof Set) {
      this.#waiting.delete(observer);
    } else if (this.#waiting === observer) {
      this.#waiting = null;
    }
  }

  /** @internal @param stepEnds - Whether the running step has come to its end with this. */
  _finish(result: T, stepEnds = false): void {
    this.#result = result;
    this.#end("finished", stepEnds);
  }

  /** @internal */
  _fail(exception: unknown): void {
    this.#failed = true;
    this.#exception = exception;
    this.#end("finished");
    this.#unretrieved = new Unretrieved(this);
    // Behind those that wait, most of whom ask for the error.
    soon(this.#unretrieved);
  }

  /** @internal What is reported if nobody asks for the error. */
  _failure(): Failure {
    return {
      message: `${this._kind} exception was never retrieved`,
      exception: this.#exception,
      future: safeRepr(this),
      stack: this._stack,
      context: this._reportContext(),
    };
  }

  /** @internal @param error - What the body of a task threw. */
  _cancelled(message: CancelMessage, error: CancelledError | null = null): void {
    this._cancelMessage = message;
    this.#exception = error;
    this.#end("cancelled");
  }

  /** @internal The error of the body for the first who asks; a new one, with a stack of its own, for everybody else. */
  _cancelledError(): CancelledError {
    const error = this.#exception as CancelledError | null;
    this.#exception = null;
    return error ?? fromCallback(cancelledError(this._cancelMessage));
  }

  /** The error, or `null`; from here on somebody knows of it. */
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
    if (waiting instanceof Set) {
      for (const item of waiting) {
        soon(item);
      }
    } else if (waiting !== null && stepEnds) {
      soonAtStepEnd(waiting);
    } else if (waiting !== null) {
      soon(waiting);
    }
  }

  #enqueue(item: Ready): void {
    if (this.#waiting === null) {
      // There is one as a rule.
      this.#waiting = item;
    } else if (this.#waiting instanceof Set) {
      this.#waiting.add(item);
    } else {
      this.#waiting = new Set([this.#waiting, item]);
    }
  }

  #retrieved(): void {
    this.#unretrieved?.forget();
    this.#unretrieved = null;
  }

  /** @internal A promise of the outcome, for the running task. */
  _wait(): Promise<T> {
    const wait = new FutureWait(this);
    if (this.#state === "pending") {
      this.#enqueue(wait);
      wait.begin();
    } else {
      this._tell(wait, null);
    }
    return wait.promise;
  }

  /** @internal Tells the outcome, or the cancellation that came after it. */
  _tell(wait: Receiver<T>, cancelled: CancelledError | null): void {
    this.#retrieved();
    if (this.#state === "cancelled") {
      wait.fail(this._cancelledError());
    } else if (cancelled !== null && !isCancelled(this.#exception)) {
      wait.fail(cancelled);
    } else if (this.#failed) {
      wait.fail(this.#exception);
    } else {
      wait.fulfil(this.#result as T);
    }
  }
}

/** A Future of the library's own, which nobody sees: whoever waits for it waits for what it stands for. */
export class InnerFuture<T> extends Future<T> {
  readonly #what: () => string;

  /** @param what - The call that waits, and what it waits for. */
  constructor(what: () => string) {
    super();
    this.#what = what;
  }

  /** @internal */
  override _awaitedAs(): string {
    return `<${this.#what()}>`;
  }
}

/**
 * Whether the value is a Future or a Task, of this installed copy of the package or another.
 *
 * Python: `asyncio.isfuture()`.
 */
export function isfuture(value: unknown): value is Future<unknown> {
  return hasBrand(value, FUTURE);
}

/** Who waits, for messages. */
function callbackName(item: Ready): string | undefined {
  if (item instanceof Observer) {
    return item.observer;
  }
  if (item instanceof FutureWait) {
    return "Task.task_wakeup()";
  }
  return item instanceof Handle ? `${functionName(item._named)}()` : undefined;
}

knowMethodsOf({ Future });
