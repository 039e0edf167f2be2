/**
 * Task: a function that runs in its own Context and can be cancelled.
 *
 * Theory of operation. A task calls its function in a flow that names the task, so that every wait of the library finds
 * it (`waits.ts`). Its body is a plain async function; the task's own part is the outcome and the cancellation:
 *
 *     cancel()   waits pending    each of them is cancelled: sleep and read reject, an awaited task is cancelled itself
 *                none pending     the request stays pending (`cancellation.ts`) and is delivered by the next wait, by the
 *                                 result that was on its way, or by the end of the body
 *
 * A delivered cancellation is an ordinary rejection. The body may catch it and continue; `cancelling()` still counts
 * it, until `uncancel()`.
 *
 * A new task starts in the next iteration of the loop, after the items that were ready before it.
 */

import { type Context, copyContext } from "../contextvars/context.ts";
import {
  captureSurroundings,
  currentFlow,
  Flow,
  runInFlow,
  runInSurroundings,
  type Surroundings,
} from "../contextvars/current.ts";
import { knowMethodsOf } from "../contextvars/detached.ts";
import { RuntimeError } from "../errors.ts";
import { nameOf } from "../repr.ts";
import { addTask, removeTask } from "./all-tasks.ts";
import { isThenable, notConstructible } from "./arguments.ts";
import { quiet } from "./async-stacks.ts";
import { hasBrand, TASK } from "./brands.ts";
import { Cancellation, cancelOnAbort } from "./cancellation.ts";
import { taskCancelled, taskCreated, taskDone, taskStarted } from "./debug/channels.ts";
import { isDebug, warn } from "./debug/debug.ts";
import type { FrameCallGraphEntry, PrintOptions, StackOptions } from "./debug/frames.ts";
import { printStackOf, stackOf } from "./debug/task-stack.ts";
import { taskDetails } from "./debug/task-text.ts";
import { Future } from "./futures.ts";
import { enqueue } from "./ready.ts";
import { type CancelledError, type CancelMessage, cancelMessageOf } from "./task-errors.ts";
import { type Cancellable, TurnWait, waitingTask, whenSettled } from "./waits.ts";

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

let nextNumber = 1;

/** The function of a task. */
type Body<T> = (...given: never[]) => T | PromiseLike<T>;

/** Who creates a task for a call of its own: a connection, for its handler. */
export interface TaskOwner {
  /** Called with the task before it starts. */
  _taskMade(task: Task<unknown>): void;
  /** Creates the task's name; called when it is read. */
  _taskName(): string;
}

/** The arguments of most bodies. */
const NOTHING: readonly unknown[] = [];

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
  #body: Body<T> | { readonly name: string | undefined };
  readonly #flow: Flow;
  /** The surroundings in which the task was created, until it starts; `null` for an eager task, which starts in them. */
  #surroundings: Surroundings | null = null;
  /** A number for a default name, an object for a name that is created when it is read. */
  #name: string | number | TaskOwner;
  /** The current waits: usually one, or several if the body waits for several things at the same time. */
  #wait: Cancellable | null = START;
  #moreWaits: Set<Cancellable> | null = null;
  /** Its cancellation requests; `null` before the first. */
  #cancellation: Cancellation | null = null;
  /** @internal The neighbours in the list of tasks that are not done. */
  _older: Task<unknown> | null = null;
  /** @internal */
  _newer: Task<unknown> | null = null;

  /** @internal @param given - The arguments of the body, which has to start eagerly then: the task does not keep them. */
  constructor(
    body: Body<T>,
    options: TaskOptions,
    owner: TaskOwner | null = null,
    given: readonly unknown[] = NOTHING,
  ) {
    super();
    if (typeof body !== "function" || typeof options !== "object") {
      throw notConstructible("Task", "call createTask(f)");
    }
    this.#body = body;
    this.#name = owner ?? (options.name === undefined ? nextNumber++ : String(options.name));
    owner?._taskMade(this as Task<unknown>);
    this.#flow = Flow.entered(options.context ?? copyContext(), this);
    addTask(this as Task<unknown>);
    if (options.signal !== undefined) {
      cancelOnAbort(this as Task<unknown>, options.signal);
    }
    if (taskCreated.hasSubscribers) {
      taskCreated.publish({ task: this });
    }
    if (options.eagerStart === true) {
      this.#start(currentFlow(), given);
    } else {
      this.#surroundings = captureSurroundings();
      enqueue(this);
    }
  }

  /** The task's name. Python: `Task.get_name()`. */
  getName(): string {
    if (typeof this.#name === "object") {
      return this.#name._taskName();
    }
    return typeof this.#name === "number" ? `Task-${this.#name}` : this.#name;
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
    return this.done() ? false : this.#someCancellation().request(message, this.#begunWaits(), false);
  }

  /**
   * @internal Like `cancel()`, for a `timeout()` or a TaskGroup in the task. Also after the task has ended: a function of
   * the task that nothing awaited may still run.
   */
  _interrupt(): void {
    this.#someCancellation().request(undefined, this.#begunWaits(), true);
  }

  /** The number of `cancel()` calls minus the number of `uncancel()` calls. Python: `Task.cancelling()`. */
  cancelling(): number {
    return this.#cancellation?.requests ?? 0;
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
    return this.#cancellation?.withdraw() ?? 0;
  }

  /**
   * A signal that is aborted when the task is cancelled: `fetch(url, { signal: currentTask()?.signal })`.
   *
   * Its reason is the CancelledError. A new signal is created once `uncancel()` has withdrawn all requests.
   *
   * Python: has no such thing; there every await can be interrupted.
   */
  get signal(): AbortSignal {
    return this.#someCancellation().signal;
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
    return !this.done() && this.cancelling() > 0 ? "cancelling" : super._status;
  }

  /** @internal */
  override _details(): string[] {
    return [...taskDetails(this as Task<unknown>), ...super._details()];
  }

  /** @internal The function, or only its name. */
  get _function(): { readonly name: string | undefined } {
    return this.#body;
  }

  /** @internal */
  override _wait(): Promise<T> {
    if (waitingTask() === this && !this.done()) {
      // With a link of the task to itself, `cancel()` would never end.
      return quiet(
        new TurnWait(undefined).promise.then(() => {
          throw new RuntimeError(`Task cannot await on itself: ${this}`, { code: "ERR_TASK_AWAITS_ITSELF" });
        }),
      );
    }
    return super._wait();
  }

  /** @internal */
  _waitFor(wait: Cancellable): void {
    if (this.#wait === null) {
      this.#wait = wait;
    } else {
      this.#moreWaits ??= new Set();
      this.#moreWaits.add(wait);
    }
    const cancellation = this.#cancellation;
    if (cancellation?.isPending && wait.cancel(cancellation.message)) {
      cancellation.isPending = false;
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
    return this.#cancellation?.deliver() ?? null;
  }

  /** @internal Whether a cancellation is still to be delivered. */
  get _mustCancel(): boolean {
    return this.#cancellation?.isPending ?? false;
  }

  /** @internal The cancellation that caused an error of the body, which then counts as delivered; otherwise `null`. */
  _cancellationIn(error: unknown): CancelledError | null {
    return this.#someCancellation().causeOf(error);
  }

  #someCancellation(): Cancellation {
    this.#cancellation ??= new Cancellation();
    return this.#cancellation;
  }

  /** @internal */
  _step(): boolean {
    this.#start(null, NOTHING);
    return true;
  }

  /** Starts the body. `outer` is the flow that continues when the body waits. */
  #start(outer: Flow | null, given: readonly unknown[]): void {
    const surroundings = this.#surroundings;
    this.#surroundings = null;
    this.#wait = null;
    if (surroundings !== null) {
      runInSurroundings(surroundings, this.#flow, runBody, this as Task<unknown>);
      return;
    }
    this.#flow.outer = outer;
    try {
      runInFlow(this.#flow, runBody, this as Task<unknown>, given);
    } finally {
      this.#flow.outer = null;
    }
  }

  /** @internal */
  _runBody(given: readonly unknown[]): void {
    if (this.#cancellation?.isPending) {
      this.#end();
      this._finishCancelled(this.#cancellation.message);
      this.#tellOfEnd();
      return;
    }
    if (taskStarted.hasSubscribers) {
      taskStarted.publish({ task: this });
    }
    // Called as a plain function: as a method it would have the task as its `this`, and errors would keep the task
    // alive.
    const body = this.#body as (...given: readonly unknown[]) => T | PromiseLike<T>;
    let outcome: T | PromiseLike<T>;
    try {
      outcome = given === NOTHING ? body() : body(...given);
    } catch (error) {
      this._threw(error);
      return;
    }
    if (!isThenable(outcome)) {
      this._returned(outcome as T);
      return;
    }
    whenSettled(outcome as PromiseLike<unknown>, this.#flow.outer === null ? returned : returnedEagerly, threw);
  }

  /** @internal @param stepEnds - Whether the running step ends with this call. */
  _returned(result: T, stepEnds = false): void {
    this.#end();
    if (isDebug() && this.cancelling() > 0 && !this._mustCancel) {
      warn(
        `${this} was cancelled but returned normally: a catch swallowed the CancelledError. ` +
          "Rethrow it (see isCancelled), or call uncancel() if this was intended.",
      );
    }
    if (this.#cancellation?.isPending && !this.#cancellation.isOwn) {
      this._finishCancelled(this.#cancellation.message);
    } else {
      this._finish(result, stepEnds);
    }
    this.#tellOfEnd();
  }

  /** @internal */
  _threw(error: unknown): void {
    this.#end();
    const cancellation = this._cancellationIn(error);
    if (cancellation === null) {
      this._fail(error);
    } else {
      this._finishCancelled(cancelMessageOf(cancellation), cancellation);
    }
    this.#tellOfEnd();
  }

  /**
   * Publishes the end, and drops a request that is still pending, because there is nothing left to cancel. A request of the
   * task's own is kept for a function of the task that nothing has awaited and that still runs.
   */
  #tellOfEnd(): void {
    if (this.#cancellation?.isOwn === false) {
      this.#cancellation.isPending = false;
    }
    const ended = this.cancelled() ? taskCancelled : taskDone;
    if (ended.hasSubscribers) {
      ended.publish({ task: this });
    }
  }

  #end(): void {
    this.#body = { name: nameOf(this.#body) };
    removeTask(this as Task<unknown>);
  }

  /** @internal The library's waits that the task is in; none once it has ended. */
  _waits(): Cancellable[] {
    return this.done() ? [] : this.#begunWaits();
  }

  #begunWaits(): Cancellable[] {
    return [...(this.#wait === null ? [] : [this.#wait]), ...(this.#moreWaits ?? [])];
  }
}

/** Whether the value is a Task, from any installed copy of the package. */
export function isTask(value: unknown): value is Task<unknown> {
  return hasBrand(value, TASK);
}

function runBody(task: Task<unknown>, given = NOTHING): void {
  task._runBody(given);
}

/*
 * What follows when the promise of a body is settled. The functions are the same for all tasks, because with functions
 * of its own a waiting task would take a sixth more memory: they find the task through the flow, which `then` keeps.
 */

function returned(result: unknown): void {
  flowingTask()._returned(result, true);
}

/**
 * A task that was started eagerly may end within the step of its creator: nothing else may run before that step ends.
 */
function returnedEagerly(result: unknown): void {
  flowingTask()._returned(result);
}

function threw(error: unknown): void {
  flowingTask()._threw(error);
}

function flowingTask(): Task<unknown> {
  return currentFlow().owner as Task<unknown>;
}

knowMethodsOf({ Task });
