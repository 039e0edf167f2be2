/**
 * Task: a function that runs in its own Context and can be cancelled.
 *
 * Theory of operation. A task calls its function in a flow that names the task, so that every wait of the library finds
 * it (`waits.ts`). Its body is a plain async function; the task's own part is the outcome and the cancellation:
 *
 *     cancel()   waits pending    each of them is cancelled: sleep and read reject, an awaited task is cancelled itself
 *                none pending     the request is kept (mustCancel) and delivered by the next wait, by the result that
 *                                 was on its way, or by the end of the body
 *
 * A delivered cancellation is an ordinary rejection. The body may catch it and continue; `cancelling()` still counts
 * it, until `uncancel()`.
 *
 * A new task starts in the next iteration of the loop, after the items that were ready before it.
 */

import { type Context, copyContext } from "../contextvars/context.ts";
import { currentFlow, Flow, moveIntoFlow, runInFlow } from "../contextvars/current.ts";
import { knowMethodsOf } from "../contextvars/detached.ts";
import { RuntimeError } from "../errors.ts";
import { functionName, nameOf, repr } from "../repr.ts";
import { fromCallback, quiet } from "./async-stacks.ts";
import { hasBrand, TASK } from "./brands.ts";
import { taskCancelled, taskCreated, taskDone, taskStarted } from "./debug/channels.ts";
import { isDebug, warn } from "./debug/debug.ts";
import { type FrameCallGraphEntry, framesIn, type PrintOptions, type StackOptions, stackNow } from "./debug/frames.ts";
import { printStackOf, stackOf } from "./debug/task-stack.ts";
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
import { Future } from "./futures.ts";
import { soon } from "./ready.ts";
import { type Cancellable, waitingTask, whenSettled, Yield } from "./waits.ts";
import { stopWatching, watch, watchedTasks } from "./watched-tasks.ts";

/** Options of {@linkcode createTask}. */
export interface TaskOptions {
  /** Shown by `getName()` and in messages. @default "Task-1", "Task-2", ... */
  name?: string | undefined;
  /** The Context to run in; values that the task sets stay in it. @default a copy of the current one */
  context?: Context | undefined;
  /**
   * Whether to run the function immediately, up to its first wait, instead of in the next iteration of the loop.
   * @default false
   */
  eagerStart?: boolean | undefined;
  /** Cancels the task when it is aborted; its reason is the `cause` of the CancelledError. @default none */
  signal?: AbortSignal | undefined;
}

/** The tasks that are not done: a linked list, which costs less than a place in a Set. */
let oldest: Task<unknown> | null = null;
let newest: Task<unknown> | null = null;
let nextNumber = 1;

const NOTHING_MORE: InternalOptions = {};

/** A name that is created when it is first read. */
interface LazyName {
  toString(): string;
}

/** Options that only the library itself uses. */
interface InternalOptions {
  /** Creates the name when it is first read. */
  readonly lazyName?: LazyName;
  /** Called with the task before it starts. */
  readonly onMade?: (task: Task<unknown>) => void;
}

/** The wait of a task that has not started yet: it waits for its turn. */
const START: Cancellable = {
  isOutside: () => false,
  waitedFor: () => null,
  probe: () => Promise.resolve(""),
  cancel: () => false,
};

/**
 * A function that runs concurrently in its own Context; created by {@linkcode createTask}.
 *
 * It is a Future of the function's result. Awaiting it in another task links the two: cancelling the waiting task
 * cancels this one.
 *
 * Python: `asyncio.Task`. Differs: created from a function, not from a coroutine object.
 *
 * @typeParam T - The type of the result.
 */
export class Task<T> extends Future<T> {
  static {
    Object.defineProperty(this.prototype, TASK, { value: true });
  }

  /** The function; only its name after it has ended, so that its closure can be garbage-collected. */
  #body: (() => T | PromiseLike<T>) | { readonly name: string | undefined };
  readonly #flow: Flow;
  /** A number for a default name, an object for a name that is created when it is first read. */
  #name: string | number | LazyName;
  /** The current waits: usually one, or several if the body waits for several things at the same time. */
  #wait: Cancellable | null = START;
  #moreWaits: Set<Cancellable> | null = null;
  /** Whether a cancellation has not been delivered yet. */
  #mustCancel = false;
  #cancelRequests = 0;
  #abort: AbortController | null = null;
  /** The neighbours in the list of tasks that are not done. */
  #older: Task<unknown> | null = null;
  #newer: Task<unknown> | null = null;

  /** @internal */
  constructor(body: () => T | PromiseLike<T>, options: TaskOptions, internal: InternalOptions = NOTHING_MORE) {
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

  /** The Context the task runs in; not a copy. Python: `Task.get_context()`. */
  getContext(): Context {
    return this.#flow.context as Context;
  }

  /**
   * Requests that the task end: its current or next wait throws a CancelledError.
   *
   * The body may catch the error to clean up, and may continue; the wait may be at any depth of plain async functions.
   * If the task waits for another task, that task is cancelled first. A task that has not started yet never runs.
   * Promises that are not the library's are not interrupted: pass {@linkcode signal} to the functions that return them.
   *
   * Python: `Task.cancel()`. Differs: a wait whose result has already arrived is not interrupted; the next wait is.
   *
   * @param message - The message of the CancelledError.
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

  /** The number of `cancel()` calls minus the number of `uncancel()` calls. Python: `Task.cancelling()`. */
  cancelling(): number {
    return this.#cancelRequests;
  }

  /**
   * Withdraws one cancellation request, because the code that made it has handled it. When no request is left, a
   * cancellation that has not been delivered yet is dropped.
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
   * Its reason is the CancelledError. A new signal is created once `uncancel()` has withdrawn all requests.
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
   * Returns where the task waits: all functions of the program from the task's own to the innermost, the oldest first.
   * For a failed task, returns where its error was created. The result is empty if the task has not begun or has ended,
   * and while it waits for a promise that is not the library's.
   *
   * Nothing is recorded in advance: the stack is taken from V8 now, without affecting the task. On Bun it is known only
   * in debug mode, and not for a task that awaits a Task or Future.
   *
   * Python: `Task.get_stack()`. Differs: returns a promise; for a waiting task, returns all its functions, while Python
   * returns one.
   *
   * @throws {TypeError} If `limit` is not a whole number.
   */
  getStack(options: StackOptions = {}): Promise<FrameCallGraphEntry[]> {
    return quiet(stackOf(this, options));
  }

  /**
   * Prints where the task waits, the oldest function first; for a failed task, with its error.
   *
   * Python: `Task.print_stack()`. Differs: returns a promise; prints no source lines.
   *
   * @param options - `file` has a `write()`; by default standard error.
   * @throws {TypeError} If `limit` is not a whole number.
   */
  printStack(options: PrintOptions = {}): Promise<void> {
    return quiet(printStackOf(this, options));
  }

  /** @internal The program's frames, the innermost first; for the running task, those of the caller and below it. */
  async _frames(): Promise<FrameCallGraphEntry[]> {
    if (isRunning(this)) {
      return framesIn(stackNow());
    }
    const stacks = await Promise.all(this._waits().map((wait) => wait.probe()));
    // Of several waits, the one with the deepest stack.
    return stacks.map(framesIn).reduce((longest, each) => (each.length > longest.length ? each : longest), []);
  }

  /**
   * Not supported: a task's result is what its function returns.
   *
   * Python: `Task.set_result()`.
   *
   * @throws {RuntimeError} Always.
   */
  override setResult(_result: T): never {
    throw new RuntimeError("Task does not support setResult(): its result is what its function returns");
  }

  /**
   * Not supported: a task's error is what its function throws.
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

  /** @internal The descriptions of its waits; none if it waits only for its turn. */
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
      // With a link of the task to itself, `cancel()` would never end.
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
   * @internal The cancellation that caused an error of the body, which then counts as delivered; otherwise `null`.
   *
   * Functions with an aborted signal throw its reason, or an AbortError with or without the reason as its cause. An
   * AbortError without it counts if the cancellation has not been delivered in another way.
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

  /** Starts the body. `outer` is the flow that continues when the body waits. */
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
    // Called as a plain function: as a method it would have the task as its `this`, and errors would keep the task
    // alive.
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
    // A task that was started eagerly may end within the step of its creator: nothing else may run before that step
    // ends.
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
        `${this} was cancelled but returned normally: a catch swallowed the CancelledError. ` +
          "Rethrow it (see isCancelled), or call uncancel() if this was intended.",
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

  /** @internal The next newer task that is not done. */
  get _newer(): Task<unknown> | null {
    return this.#newer;
  }

  /** @internal The library's waits that the task is in. */
  _waits(): Cancellable[] {
    return [...(this.#wait === null ? [] : [this.#wait]), ...(this.#moreWaits ?? [])];
  }
}

/** How many tasks that wait for each other are shown in the text of the first. */
const SHOWN_TASKS = 3;
let shownTasks = 0;

/** The text, or `...` if it is nested in the texts of too many others. */
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

/** Whether the value is a Task, from any installed copy of the package. */
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
function isRunning(task: object): boolean {
  for (let flow: Flow | null = currentFlow(); flow !== null; flow = flow.outer) {
    if (flow.owner === task) {
      return true;
    }
  }
  return false;
}

/** All tasks that are not done. Python: `asyncio.all_tasks()`. */
export function allTasks(): Set<Task<unknown>> {
  const all = new Set<Task<unknown>>();
  for (let task = oldest; task !== null; task = task._newer) {
    all.add(task);
  }
  for (const task of watchedTasks()) {
    all.add(task);
  }
  return all;
}

knowMethodsOf({ Task });
