/**
 * Task: a function that runs in a Context of its own, and can be cancelled.
 *
 * Theory of operation. A task calls its function in a flow that names the task, so that every wait of the library finds
 * it (`waits.ts`). Its body is a plain async function; the task's own part is the outcome and the cancellation:
 *
 *     cancel()   waits pending    each of them is cancelled: sleep and read reject, an awaited task is cancelled itself
 *                none pending     the request is kept (mustCancel) and delivered by the next wait, by the result that
 *                                 was on its way, or by the end of the body
 *
 * A delivered cancellation is an ordinary rejection. The body may catch it and go on; `cancelling()` still counts it,
 * until `uncancel()`.
 *
 * A new task starts in the next iteration of the loop, after what was ready before it.
 */

import { type Context, copyContext } from "../contextvars/context.ts";
import { currentFlow, Flow, isEntered, moveIntoFlow, runInFlow } from "../contextvars/current.ts";
import { knowMethodsOf } from "../contextvars/detached.ts";
import { RuntimeError } from "../errors.ts";
import { functionName, nameOf, repr, safeRepr } from "../repr.ts";
import { checkBooleans, checkContext, checkFunction, checkOptions, checkSeconds, notHandedOver } from "./arguments.ts";
import { fromCallback } from "./async-stacks.ts";
import { hasBrand, TASK } from "./brands.ts";
import { taskCancelled, taskCreated, taskDone, taskStarted } from "./debug/channels.ts";
import { isDebug, warn } from "./debug/debug.ts";
import {
  checkedLimit,
  type FrameCallGraphEntry,
  framesIn,
  PRINT_OPTIONS,
  type PrintOptions,
  type StackOptions,
  stackNow,
} from "./debug/frames.ts";
import { callExceptionHandler } from "./events.ts";
import {
  AbortReason,
  asCancelledError,
  type CancelledError,
  type CancelMessage,
  cancellationIn,
  cancelledError,
  isAbortError,
  isThenable,
} from "./exceptions.ts";
import { Future, isfuture } from "./futures.ts";
import { soon } from "./ready.ts";
import {
  type Cancellable,
  quiet,
  rejected,
  Sleep,
  settledFromOutside,
  waitingTask,
  whenSettled,
  Yield,
} from "./waits.ts";

/** Options of {@linkcode createTask}. */
export interface TaskOptions {
  /** Shown by `getName()` and in messages. @default "Task-1", "Task-2", ... */
  name?: string | undefined;
  /** The Context to run in; what the task sets stays in it. @default a copy of the current one */
  context?: Context | undefined;
  /** Whether to run the function at once, up to its first wait, instead of a moment later. @default false */
  eagerStart?: boolean | undefined;
  /** Cancels the task when it is aborted; its reason is the `cause` of the CancelledError. @default none */
  signal?: AbortSignal | undefined;
}

/**
 * What can be waited for: a function, which becomes a task with a copy of the Context; a Task or Future; or any promise,
 * which is observed but cannot be interrupted.
 */
export type Awaitable<T> = (() => T | PromiseLike<T>) | PromiseLike<T>;

/** The type of an Awaitable's result. */
export type AwaitedResult<A> = A extends () => infer R ? Awaited<R> : Awaited<A>;

/** The tasks that are not done: each knows its neighbours, which costs less than a place in a Set. */
let oldest: Task<unknown> | null = null;
let newest: Task<unknown> | null = null;
/** The same in debug mode, where they are held weakly, so that it shows when one can never end. */
const references = new Set<WeakRef<Task<unknown>>>();
/** Which of those is a task's own; not a property of the task, because nearly no task has one. */
const watched = new WeakMap<Task<unknown>, WeakRef<Task<unknown>>>();
let nextNumber = 1;

const NO_OPTIONS: TaskOptions & InternalOptions = {};

/** A name that is made when it is asked for. */
interface LazyName {
  toString(): string;
}

/** What only the library itself says of a task. */
interface InternalOptions {
  /** Gives the name when it is asked for. */
  readonly lazyName?: LazyName;
  /** Gets the task before it starts. */
  readonly onMade?: (task: Task<unknown>) => void;
}

/** What a task waits for that was not started yet: its turn. */
const START: Cancellable = {
  isOutside: () => false,
  waitedFor: () => null,
  probe: () => Promise.resolve(""),
  cancel: () => false,
};

/**
 * A function that runs by itself, in its own Context; made by {@linkcode createTask}.
 *
 * It is a Future of what the function returns. Awaiting it in another task links the two: a cancellation of the one that
 * waits cancels this one.
 *
 * Python: `asyncio.Task`. Differs: made from a function, not from a coroutine object.
 *
 * @typeParam T - The type of the result.
 */
export class Task<T> extends Future<T> {
  static {
    Object.defineProperty(this.prototype, TASK, { value: true });
  }

  /** The function; its name only when it has ended, so that what it closes over can be collected. */
  #body: (() => T | PromiseLike<T>) | { readonly name: string | undefined };
  readonly #flow: Flow;
  /** A number stands for the name that a task has by itself, an object for one that is made when it is asked for. */
  #name: string | number | LazyName;
  /** Waits under way: one as a rule, more where the body waits for several things at once. */
  #wait: Cancellable | null = START;
  #moreWaits: Set<Cancellable> | null = null;
  /** A cancellation that is not delivered yet. */
  #mustCancel = false;
  #cancelRequests = 0;
  #abort: AbortController | null = null;
  /** Its neighbours among the tasks that are not done. */
  #older: Task<unknown> | null = null;
  #newer: Task<unknown> | null = null;

  /** @internal */
  constructor(body: () => T | PromiseLike<T>, options: TaskOptions, internal: InternalOptions = NO_OPTIONS) {
    super();
    this.#body = body;
    this.#name = internal.lazyName ?? (options.name === undefined ? nextNumber++ : String(options.name));
    internal.onMade?.(this as Task<unknown>);
    this.#flow = new Flow(options.context ?? copyContext(), this, false, null);
    if (isDebug()) {
      watch(this as Task<unknown>);
    } else {
      this.#register();
    }
    if (options.signal !== undefined) {
      cancelOnAbort(this as Task<unknown>, options.signal);
    }
    if (taskCreated.hasSubscribers) {
      taskCreated.publish({ task: this });
    }
    if (options.eagerStart === true) {
      this.#start(currentFlow());
    } else {
      soon(this);
    }
  }

  /** The task's name. Python: `Task.get_name()`. */
  getName(): string {
    return typeof this.#name === "number" ? `Task-${this.#name}` : String(this.#name);
  }

  /** Changes the name. Python: `Task.set_name()`. */
  setName(name: string): void {
    this.#name = String(name);
  }

  /** The Context the task runs in, itself and not a copy. Python: `Task.get_context()`. */
  getContext(): Context {
    return this.#flow.context as Context;
  }

  /**
   * Asks the task to end: its wait, or its next one, throws a CancelledError.
   *
   * The body may catch the error to clean up, and may go on; it may be at any depth of plain async functions. A task
   * that waits for another one cancels that one first. A task that was not started yet never runs. Promises that are
   * not the library's are not interrupted: pass them {@linkcode signal}.
   *
   * Python: `Task.cancel()`. Differs: a wait whose result has arrived already is not interrupted; the next one is.
   *
   * @param message - Put into the CancelledError.
   * @returns False if the task was done already.
   */
  override cancel(message?: string): boolean;
  /** @internal */
  override cancel(message: CancelMessage): boolean;
  override cancel(message?: CancelMessage): boolean {
    if (this.done()) {
      return false;
    }
    this.#cancelRequests += 1;
    let delivered = false;
    for (const wait of this._waits()) {
      delivered = wait.cancel(message) || delivered;
    }
    this._cancelMessage = message;
    if (!delivered) {
      this.#mustCancel = true;
    }
    this.#abort?.abort(cancelledError(message));
    return true;
  }

  /** How often the task was asked to end, less `uncancel()`. Python: `Task.cancelling()`. */
  cancelling(): number {
    return this.#cancelRequests;
  }

  /**
   * Takes one request to end back: whoever made it has dealt with it. At zero an undelivered one is dropped.
   *
   * Python: `Task.uncancel()`.
   *
   * @returns How many requests are left.
   */
  uncancel(): number {
    if (this.#cancelRequests > 0) {
      this.#cancelRequests -= 1;
    }
    if (this.#cancelRequests === 0) {
      this.#mustCancel = false;
      if (this.#abort?.signal.aborted) {
        this.#abort = null;
      }
    }
    return this.#cancelRequests;
  }

  /**
   * A signal that is aborted when the task is cancelled: `fetch(url, { signal: currentTask()?.signal })`.
   *
   * Its reason is the CancelledError. A new signal is made once `uncancel()` has taken back all requests.
   *
   * Python: has no such thing; there every await can be interrupted.
   */
  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      if (this.#cancelRequests > 0) {
        this.#abort.abort(cancelledError(this._cancelMessage));
      }
    }
    return this.#abort.signal;
  }

  /**
   * Where the task waits: all functions of the program from its own to the innermost, the oldest first. Of a task that has
   * failed, where its error was made. Empty if it has not begun or has ended, and while it waits for a foreign promise.
   *
   * Nothing is recorded for it: V8 is asked now, and the task is not disturbed. On Bun it is known in debug mode only,
   * and not of a task that awaits a Task or Future.
   *
   * Python: `Task.get_stack()`. Differs: gives a promise, and all functions of a task that waits, where Python gives one.
   *
   * @throws {TypeError} If `limit` is not a whole number.
   */
  getStack(options: StackOptions = {}): Promise<FrameCallGraphEntry[]> {
    return quiet(this.#getStack(options));
  }

  async #getStack(options: StackOptions): Promise<FrameCallGraphEntry[]> {
    const limit = checkedLimit("getStack()", options);
    const failure = this.done() && !this.cancelled() ? this.exception() : null;
    const frames =
      failure === null ? await this._frames() : failure instanceof Error ? framesIn(String(failure.stack)) : [];
    return limit === null ? frames.reverse() : frames.reverse().slice(0, Math.max(limit, 0));
  }

  /**
   * Prints where the task waits, the oldest function first; of a task that has failed, with its error.
   *
   * Python: `Task.print_stack()`. Differs: gives a promise; has no lines of the source.
   *
   * @param options - `file` has a `write()`; by default standard error.
   * @throws {TypeError} If `limit` is not a whole number.
   */
  printStack(options: PrintOptions = {}): Promise<void> {
    return quiet(this.#printStack(options));
  }

  async #printStack(options: PrintOptions): Promise<void> {
    const limit = checkedLimit("printStack()", options, PRINT_OPTIONS);
    const { file = process.stderr } = options;
    const frames = await this.getStack({ limit });
    const failure = this.done() && !this.cancelled() ? this.exception() : null;
    const head = failure === null ? `Stack for ${this}` : `Traceback for ${this}`;
    const lines = [
      frames.length === 0 ? `No stack for ${this}` : `${head} (most recent call last):`,
      ...frames.map((frame) => `  File "${frame.fileName}", line ${frame.lineNumber}, in ${frame.functionName}`),
      ...(failure instanceof Error ? [`${failure.name}: ${failure.message}`] : []),
    ];
    file.write(`${lines.join("\n")}\n`);
  }

  /** @internal The program's frames, the innermost first; of the running task, those above the caller. */
  async _frames(): Promise<FrameCallGraphEntry[]> {
    if (isRunning(this)) {
      return framesIn(stackNow());
    }
    const stacks = await Promise.all(this._waits().map((wait) => wait.probe()));
    // Of several waits, the one that most functions wait for.
    return stacks.map(framesIn).reduce((longest, each) => (each.length > longest.length ? each : longest), []);
  }

  /**
   * Not possible: a task's result is what its function returns.
   *
   * Python: `Task.set_result()`.
   *
   * @throws {RuntimeError} Always.
   */
  override setResult(_result: T): never {
    throw new RuntimeError("Task does not support setResult(): its result is what its function returns");
  }

  /**
   * Not possible: a task's error is what its function throws.
   *
   * Python: `Task.set_exception()`.
   *
   * @throws {RuntimeError} Always.
   */
  override setException(_exception: unknown): never {
    throw new RuntimeError("Task does not support setException(): its error is what its function throws");
  }

  /** @internal */
  override _reportContext(): Context {
    return this.getContext();
  }

  /** @internal */
  override get _status(): string {
    return !this.done() && this.#cancelRequests > 0 ? "cancelling" : super._status;
  }

  /** @internal */
  override _details(): string[] {
    const body = `coro=<${this._functionName()}()>`;
    const waitedFor = nestedText(() => this._waitsFor()[0]);
    const wait = waitedFor === undefined ? [] : [`wait_for=${waitedFor}`];
    return [`name=${repr(this.getName())}`, body, ...wait, ...super._details()];
  }

  /** @internal The name of its function. */
  _functionName(): string {
    return functionName(this.#body);
  }

  /** @internal What it waits for, as text; nothing where it waits for its turn only. */
  _waitsFor(): string[] {
    return this._isInForeignHands
      ? ["<a promise that is not the library's>"]
      : this._waits()
          .map((wait) => wait.waitedFor())
          .filter((text) => text !== null);
  }

  /** @internal Whether it has begun and waits for a promise that is not the library's. */
  get _isInForeignHands(): boolean {
    return !this.done() && this.#wait === null && (this.#moreWaits?.size ?? 0) === 0 && !isRunning(this);
  }

  /** @internal */
  override _wait(): Promise<T> {
    if (waitingTask() === this && !this.done()) {
      // A link of the task to itself would have `cancel()` go round in circles.
      return quiet(
        new Yield(undefined).promise.then(() => {
          throw new RuntimeError(`Task cannot await on itself: ${this}`, { code: "ERR_TASK_AWAITS_ITSELF" });
        }),
      );
    }
    return super._wait();
  }

  /** @internal */
  _waitFor(wait: Cancellable): void {
    if (this.done()) {
      return;
    }
    if (this.#wait === null) {
      this.#wait = wait;
    } else {
      this.#moreWaits ??= new Set();
      this.#moreWaits.add(wait);
    }
    if (this.#mustCancel && wait.cancel(this._cancelMessage)) {
      this.#mustCancel = false;
    }
  }

  /** @internal */
  _stopWaiting(wait: Cancellable): void {
    if (this.#wait === wait) {
      this.#wait = null;
    } else {
      this.#moreWaits?.delete(wait);
    }
  }

  /** @internal */
  _takeCancellation(): CancelledError | null {
    if (!this.#mustCancel) {
      return null;
    }
    this.#mustCancel = false;
    return fromCallback(cancelledError(this._cancelMessage));
  }

  /** @internal Whether a cancellation is still to be delivered. */
  get _mustCancel(): boolean {
    return this.#mustCancel;
  }

  /**
   * @internal The cancellation that an error of the body stands for, which is hereby delivered; otherwise `null`.
   *
   * Functions that are given an aborted signal throw its reason, or an AbortError, with the reason as its cause or
   * without. The latter counts while nobody has got the cancellation otherwise.
   */
  _cancellationIn(error: unknown): CancelledError | null {
    const signal = this.#abort?.signal;
    const cancellation = cancellationIn(error);
    if (cancellation === null && !(this.#mustCancel && signal?.aborted === true && isAbortError(error))) {
      return null;
    }
    if (cancellation === null || cancellation === signal?.reason) {
      this.#mustCancel = false;
    }
    return asCancelledError(error, this._cancelMessage);
  }

  /** @internal */
  _step(): boolean {
    this.#start(null);
    return true;
  }

  /** Starts the body. The outer flow is that which goes on when the body waits. */
  #start(outer: Flow | null): void {
    if (this.#mustCancel) {
      this.#end();
      this._cancelled(this._cancelMessage);
      this.#tellOfEnd();
      return;
    }
    if (taskStarted.hasSubscribers) {
      taskStarted.publish({ task: this });
    }
    this.#wait = null;
    if (outer === null) {
      moveIntoFlow(this.#flow, runBody, this as Task<unknown>);
      return;
    }
    this.#flow.outer = outer;
    try {
      runInFlow(this.#flow, runBody, this as Task<unknown>);
    } finally {
      this.#flow.outer = null;
    }
  }

  /** @internal */
  _runBody(): void {
    // Called by itself: as a method it would have the task as its `this`, and errors would keep that.
    const body = this.#body as () => T | PromiseLike<T>;
    let outcome: T | PromiseLike<T>;
    try {
      outcome = body();
    } catch (error) {
      this.#threw(error);
      return;
    }
    if (!isThenable(outcome)) {
      this.#returned(outcome as T);
      return;
    }
    // One that was started eagerly may end within the step of its maker, which goes on: nothing may run before that ends.
    const hasOwnSteps = this.#flow.outer === null;
    whenSettled(
      outcome as PromiseLike<T>,
      (result) => this.#returned(result, hasOwnSteps),
      (error) => this.#threw(error),
    );
  }

  #returned(result: T, stepEnds = false): void {
    this.#end();
    if (isDebug() && this.#cancelRequests > 0 && !this.#mustCancel) {
      warn(
        `${this} was cancelled and returned all the same: a catch has swallowed the CancelledError. ` +
          "Throw it again (see isCancelled), or call uncancel() if that was meant.",
      );
    }
    if (this.#mustCancel) {
      this._cancelled(this._cancelMessage);
    } else {
      this._finish(result, stepEnds);
    }
    this.#tellOfEnd();
  }

  #threw(error: unknown): void {
    this.#end();
    const cancellation = this._cancellationIn(error);
    if (cancellation === null) {
      this._fail(error);
    } else {
      this._cancelled(cancellation.reason, cancellation);
    }
    this.#tellOfEnd();
  }

  #tellOfEnd(): void {
    const ended = this.cancelled() ? taskCancelled : taskDone;
    if (ended.hasSubscribers) {
      ended.publish({ task: this });
    }
  }

  #end(): void {
    this.#body = { name: nameOf(this.#body) };
    if (!stopWatching(this as Task<unknown>)) {
      this.#unregister();
    }
    this.#wait = null;
    this.#moreWaits = null;
  }

  #register(): void {
    const self = this as Task<unknown>;
    self.#older = newest;
    if (newest === null) {
      oldest = self;
    } else {
      newest.#newer = self;
    }
    newest = self;
  }

  #unregister(): void {
    const older = this.#older;
    const newer = this.#newer;
    if (older === null) {
      oldest = newer;
    } else {
      older.#newer = newer;
      this.#older = null;
    }
    if (newer === null) {
      newest = older;
    } else {
      newer.#older = older;
      this.#newer = null;
    }
  }

  /** @internal The one that was made next, of those that are not done. */
  get _newer(): Task<unknown> | null {
    return this.#newer;
  }

  /** @internal What it waits for, as far as that is the library's. */
  _waits(): Cancellable[] {
    return [...(this.#wait === null ? [] : [this.#wait]), ...(this.#moreWaits ?? [])];
  }
}

/** So many tasks that wait for each other are shown in the text of the first. */
const SHOWN_TASKS = 3;
let shownTasks = 0;

/** The text, or `...` where it would stand in the texts of too many others. */
function nestedText(text: () => string | undefined): string | undefined {
  if (shownTasks === SHOWN_TASKS) {
    return "...";
  }
  shownTasks += 1;
  try {
    return text();
  } finally {
    shownTasks -= 1;
  }
}

/** Whether the value is a Task, of whatever installed copy of the package. */
export function isTask(value: unknown): value is Task<unknown> {
  return hasBrand(value, TASK);
}

function runBody(task: Task<unknown>): void {
  task._runBody();
}

function cancelOnAbort(task: Task<unknown>, signal: AbortSignal): void {
  const cancel = (): void => void task.cancel(new AbortReason(signal.reason));
  if (signal.aborted) {
    cancel();
    return;
  }
  signal.addEventListener("abort", cancel, { once: true });
  task._observe(() => signal.removeEventListener("abort", cancel));
}

/**
 * Runs the function as a task: by itself, in a Context of its own.
 *
 * It starts when the running code comes to its end or waits. What it sets is seen in the task only.
 *
 * Python: `asyncio.create_task()`. Differs: takes a function, not a coroutine object.
 *
 * @param callable - What to run. Not a promise: that has started already, in the wrong context.
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

/**
 * The task whose code is running, or `null` outside any task.
 *
 * A callback of Node that a task registered counts as the task's code, until the task is done.
 *
 * Python: `asyncio.current_task()`. Differs: `null` instead of an error where no loop runs.
 */
export function currentTask(): Task<unknown> | null {
  const { owner } = currentFlow();
  return owner !== null && !(owner as Task<unknown>).done() ? (owner as Task<unknown>) : null;
}

/** Whether the task's code is running, perhaps a task inside it that it has started eagerly. */
function isRunning(task: object): boolean {
  for (let flow: Flow | null = currentFlow(); flow !== null; flow = flow.outer) {
    if (flow.owner === task) {
      return true;
    }
  }
  return false;
}

/** What is said of a task that was collected before it was done. */
interface Destroyed {
  readonly task: string;
  readonly stack: string | undefined;
}

const destroyed = new FinalizationRegistry<Destroyed>(({ task, stack }) => {
  const message = "Task was destroyed but it is pending!";
  callExceptionHandler(stack === undefined ? { message, task } : { message, task, sourceTraceback: stack });
});

function watch(task: Task<unknown>): void {
  const reference = new WeakRef(task);
  watched.set(task, reference);
  references.add(reference);
  destroyed.register(task, { task: String(task), stack: task._stack }, reference);
}

/** False where the task is not watched. */
function stopWatching(task: Task<unknown>): boolean {
  const reference = references.size === 0 ? undefined : watched.get(task);
  if (reference === undefined) {
    return false;
  }
  references.delete(reference);
  destroyed.unregister(reference);
  return true;
}

/** All tasks that are not done. Python: `asyncio.all_tasks()`. */
export function allTasks(): Set<Task<unknown>> {
  const all = new Set<Task<unknown>>();
  for (let task = oldest; task !== null; task = task._newer) {
    all.add(task);
  }
  for (const reference of references) {
    const task = reference.deref();
    if (task !== undefined) {
      all.add(task);
    }
  }
  return all;
}

/**
 * Waits for the given time, in seconds; other tasks, input and output go on meanwhile. 0 waits for one turn of the loop.
 *
 * After a cancellation no timer is left behind.
 *
 * Python: `asyncio.sleep()`.
 *
 * @param delay - In seconds; less than 0 is 0. Any length: the timers of Node end at 24 days, this does not.
 * @param result - What the promise resolves to.
 * @throws {ValueError} If `delay` is NaN.
 * @throws {TypeError} If `delay` is not a number, or `result` is a promise, a Future or a Task.
 * @throws {CancelledError} If the task is cancelled.
 */
export function sleep(delay: number): Promise<void>;
export function sleep<T>(delay: number, result: T): Promise<T>;
export function sleep<T>(delay: number, result?: T): Promise<T | undefined> {
  try {
    checkSeconds("sleep(): delay", delay);
  } catch (error) {
    return rejected(error);
  }
  if (isThenable(result)) {
    return rejected(notHandedOver("sleep()", "sleep(delay, { result })"));
  }
  if (delay <= 0) {
    return new Yield(result).promise;
  }
  return new Sleep(delay, result).promise;
}

/**
 * The awaitable as a Future: a function becomes a task, a Task or Future stays what it is, a promise is observed.
 *
 * Python: `asyncio.ensure_future()`. Differs: a promise cannot be cancelled; cancelling its Future only stops waiting.
 *
 * @throws {TypeError} If it is nothing that can be waited for.
 */
export function ensureFuture<T>(awaitable: Awaitable<T>): Future<T> {
  if (typeof awaitable === "function") {
    return createTask(awaitable) as Task<unknown> as Task<T>;
  }
  if (isfuture(awaitable)) {
    return awaitable as Future<T>;
  }
  if (!isThenable(awaitable)) {
    throw new TypeError(`a function, a Task, a Future or a promise is needed, got ${safeRepr(awaitable)}`);
  }
  return observed(awaitable, new Future());
}

/** The Future, which gets the outcome of the promise. */
export function observed<T>(promise: PromiseLike<T>, future: Future<T>): Future<T> {
  settledFromOutside(future);
  whenSettled(
    promise,
    (result) => {
      if (!future.done()) {
        future._finish(result);
      }
    },
    (error) => {
      if (future.done()) {
        return;
      }
      const cancellation = cancellationIn(error);
      if (cancellation === null) {
        future._fail(error);
      } else {
        future._cancelled(cancellation.reason, asCancelledError(error, undefined));
      }
    },
  );
  return future;
}

knowMethodsOf({ Task });
