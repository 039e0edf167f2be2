/**
 * Waits: the base of every wait in the library.
 *
 * Theory of operation. A wait is a promise that ends when its task is cancelled. The task is found through the current
 * flow when the wait begins; it keeps a list of its waits, and `cancel()` cancels them. So cancellation works at any
 * depth of plain async functions, without passing anything along, and a wait that begins outside any task cannot be
 * cancelled.
 *
 * The library may reject a promise that is not awaited yet (a read begun early, a discarded sleep). Such a promise is
 * marked as handled: neither a peer nor a cancellation may end the process with an unhandled rejection.
 */
import { currentFlow } from "../contextvars/current.ts";
import { repr } from "../repr.ts";
import { fromCallback, noop, probeAwaited, rejectAwaited } from "./async-stacks.ts";
import { isDebug } from "./debug/debug.ts";
import { stackNow } from "./debug/stacks.ts";
import { enqueue, type Ready } from "./ready.ts";
import { ON_BUN } from "./runtime.ts";
import { type CancelledError, type CancelMessage, cancelledError } from "./task-errors.ts";
import { addTimer, nextTimerOrder, removeTimer, type Timer, time } from "./timers.ts";

/** A wait that a cancelled task has to end. */
export interface Cancellable {
  /** Describes what is waited for, for messages; `null` if it has no description. */
  waitedFor(): string | null;
  /** Whether something outside the library may end it: a socket, another library's promise. For test clocks. */
  isOutside(): boolean;
  /** Returns the stack of the awaiting code; empty if the runtime does not report it. */
  probe(): Promise<string>;
  /**
   * Ends the wait with a CancelledError. Returns `false` if it has already ended and only its task has not noticed yet.
   */
  cancel(message: CancelMessage): boolean;
}

/** A task as waits see it. */
export interface WaitingTask {
  /** Called when a wait begins. Cancels the wait immediately if a cancellation is pending. */
  _waitFor(wait: Cancellable): void;
  /** Called when a wait has ended. */
  _stopWaiting(wait: Cancellable): void;
  /** Returns the pending cancellation, which then counts as delivered; `null` if there is none. */
  _takeCancellation(): CancelledError | null;
  getName(): string;
  done(): boolean;
}

/** The Futures that will be settled from outside the library, collected while a test clock needs them. */
let outsideFutures: Set<object> | null = null;

/** Collects the arguments of `settledFromOutside()` in the set; `null` ends that. */
export function collectOutsideFutures(futures: Set<object> | null): void {
  outsideFutures = futures;
}

/** Records that a socket or another library's promise will settle the Future. */
export function settledFromOutside(future: object): void {
  outsideFutures?.add(future);
}

/** The running task, or `null`. */
export function waitingTask(): WaitingTask | null {
  return currentFlow().owner as WaitingTask | null;
}

/**
 * Calls one of the two functions, once, as `await` would continue. The value may be any thenable: one that throws when
 * it is inspected, or that calls back twice or immediately.
 */
export function whenSettled<T>(
  value: PromiseLike<T>,
  onResult: (result: T) => void,
  onError: (error: unknown) => void,
): void {
  let promise: Promise<T>;
  try {
    // The value itself if it is a native promise; otherwise a promise that calls its `then` in a microtask.
    promise = Promise.resolve(value);
  } catch (error) {
    onError(error);
    return;
  }
  // An own `then` property is ignored, as `await` does for native promises.
  void Promise.prototype.then.call(promise, onResult as (result: unknown) => void, onError);
}

let givenResolve: (value: never) => void;
/**
 * One function for all promises, because a closure for each would cost more than the promise. The function that rejects
 * the promise is not kept, because the other one can do it as well.
 */
function executor(resolve: (value: never) => void): void {
  givenResolve = resolve;
}

/** On Node 20 and 22 a promise holds the flow in which it was created, and so its task; the function holds the promise. */
function forgetGiven(): void {
  givenResolve = noop;
}

/** The receiver of an outcome. */
export interface Receiver<T> {
  fulfil(value: T): void;
  fail(error: unknown): void;
}

/** The latest probe of a wait. */
interface Probe {
  /** The number of probes so far. */
  readonly count: number;
  readonly stack: Promise<string>;
  /** The outcomes of the wait that arrive during the probe; `null` when the probe is over. */
  outcomes: (() => void)[] | null;
}

const probes = new WeakMap<object, Probe>();

/** Each probe makes the wait follow one more promise, so after this many probes the last stack is returned again. */
const MOST_PROBES = 16;

/**
 * A promise that is settled from outside.
 *
 * The constructors of this class, of CancellableWait and of ParkedRead set plain properties, since V8 adds the private
 * members of a base class slowly: with them, a wait takes 60 ns instead of 35, or 90 once there are waits of several
 * classes.
 */
export abstract class Settleable<T> implements Receiver<T> {
  declare readonly promise: Promise<T>;
  declare private resolvePromise: (value: T) => void;
  /**
   * In debug mode, the stack when it began, on runtimes that cannot report it later; otherwise the property does not
   * exist.
   */
  declare readonly _stackAtBegin: string | undefined;

  constructor() {
    this.promise = new Promise<T>(executor);
    this.resolvePromise = givenResolve as (value: T) => void;
    forgetGiven();
    if (ON_BUN && isDebug()) {
      this._stackAtBegin = stackNow();
    }
  }

  probe(): Promise<string> {
    if (ON_BUN) {
      return Promise.resolve(this._stackAtBegin ?? "");
    }
    const latest = probes.get(this);
    if (latest !== undefined && (latest.outcomes !== null || latest.count === MOST_PROBES)) {
      return latest.stack;
    }
    const outcomes: (() => void)[] = [];
    const settle = this.resolvePromise as (value: unknown) => void;
    this.resolvePromise = (value) => void outcomes.push(() => this.fulfil(value));
    const stack = probeAwaited(settle, (resolve) => {
      probe.outcomes = null;
      this.resolvePromise = resolve as (value: T) => void;
      for (const outcome of outcomes) {
        outcome();
      }
    });
    const probe: Probe = { count: (latest?.count ?? 0) + 1, stack, outcomes };
    probes.set(this, probe);
    return stack;
  }

  isOutside(): boolean {
    return false;
  }

  fulfil(value: T): void {
    this.resolvePromise(value);
  }

  fail(error: unknown): void {
    const outcomes = probes.get(this)?.outcomes ?? null;
    if (outcomes !== null) {
      outcomes.push(() => this.fail(error));
      return;
    }
    rejectAwaited(this.promise, this.resolvePromise as (value: unknown) => void, error);
  }
}

/**
 * A promise that is settled from outside and can be cancelled by the task that waits for it.
 *
 * `cancel()` takes effect immediately: a later `resolve()` is ignored. The task receives the CancelledError when its
 * turn in the ready queue comes.
 */
export abstract class CancellableWait<T> extends Settleable<T> implements Cancellable, Ready {
  declare private task: WaitingTask | null;
  declare private state: "waiting" | "cancelled" | "ended";
  declare private reason: CancelMessage;

  constructor() {
    super();
    this.task = null;
    this.state = "waiting";
    this.reason = undefined;
  }

  /** Registers the wait with the running task, if there is one, and returns the promise. */
  begin(): Promise<T> {
    const task = waitingTask();
    if (task !== null && this.state === "waiting") {
      this.task = task;
      task._waitFor(this);
    }
    return this.promise;
  }

  /** Resolves the wait. A later cancellation of the task is delivered by its next wait. */
  resolve(value: T): void {
    if (this.state === "waiting") {
      this.end();
      this.fulfil(value);
    }
  }

  reject(error: unknown): void {
    if (this.state === "waiting") {
      this.end();
      this.fail(error);
    }
  }

  cancel(message: CancelMessage): boolean {
    if (this.state !== "waiting") {
      return false;
    }
    this.abandon();
    this.state = "cancelled";
    this.reason = message;
    enqueue(this);
    return true;
  }

  /** Called when it is cancelled: removes the timer or the place in a queue. */
  protected abstract abandon(): void;

  abstract waitedFor(): string;

  override isOutside(): boolean {
    return true;
  }

  override toString(): string {
    return this.task === null ? "<wait>" : repr(this.task);
  }

  /** Delivers the cancellation to the task. */
  _step(): boolean {
    // A later cancellation is delivered together with this one.
    this.task?._takeCancellation();
    this.end();
    this.fail(fromCallback(cancelledError(this.reason)));
    return true;
  }

  private end(): void {
    this.state = "ended";
    this.task?._stopWaiting(this);
    this.task = null;
  }
}

/** A wait that is described by a text, and cancelled by a function. */
export class Wait<T> extends CancellableWait<T> {
  readonly #what: string | (() => string);
  readonly #onCancel: (() => void) | undefined;

  /**
   * @param what - Describes the call that waits, and what it waits for.
   * @param onCancel - Called when the wait is cancelled; removes the timer or the place in a queue.
   */
  constructor(what: string | (() => string), onCancel?: () => void) {
    super();
    this.#what = what;
    this.#onCancel = onCancel;
  }

  protected override abandon(): void {
    this.#onCancel?.();
  }

  override waitedFor(): string {
    return `<${typeof this.#what === "string" ? this.#what : this.#what()}>`;
  }
}

/** A wait for which it is known whether something outside the library ends it. */
export class WaitOn<T> extends Wait<T> {
  readonly #isOutside: () => boolean;

  constructor(what: string | (() => string), isOutside: () => boolean, onCancel?: () => void) {
    super(what, onCancel);
    this.#isOutside = isOutside;
  }

  override isOutside(): boolean {
    return this.#isOutside();
  }
}

/** A wait for the next iteration of the loop, after a turn. A cancellation does not shorten it. */
export class TurnWait<T> extends Settleable<T> implements Cancellable, Ready {
  readonly #task: WaitingTask | null = waitingTask();
  readonly #result: T;

  constructor(result: T) {
    super();
    this.#result = result;
    this.#task?._waitFor(this);
    enqueue(this, true);
  }

  cancel(): boolean {
    return false;
  }

  waitedFor(): null {
    return null;
  }

  override toString(): string {
    return this.#task === null ? "<sleep(0)>" : repr(this.#task);
  }

  _step(): boolean {
    this.#task?._stopWaiting(this);
    const cancelled = this.#task?._takeCancellation() ?? null;
    if (cancelled === null) {
      this.fulfil(this.#result);
    } else {
      this.fail(cancelled);
    }
    return true;
  }
}

/**
 * A wait for a given time: timer, promise and wait in one object, because programs have many sleeping tasks.
 *
 * When the timer's turn comes, the task is only queued, as in asyncio: a cancellation in between takes precedence. A
 * cancelled sleep queues another item, because its own may be in the queue as the timer.
 */
export class Sleep<T> extends Settleable<T> implements Cancellable, Timer {
  readonly #task: WaitingTask | null = waitingTask();
  readonly #result: T;
  readonly #when: number;
  #state: "asleep" | "over" | "cancelled" = "asleep";
  /** @internal */
  _place = -1;
  /** @internal */
  readonly _order: number = nextTimerOrder();

  /** @param delay - In seconds, more than 0. */
  constructor(delay: number, result: T) {
    super();
    this.#result = result;
    this.#when = time() + delay;
    addTimer(this);
    this.#task?._waitFor(this);
  }

  when(): number {
    return this.#when;
  }

  cancel(message: CancelMessage): boolean {
    if (this.#state !== "asleep") {
      return false;
    }
    this.#state = "cancelled";
    removeTimer(this);
    enqueue(new CancelledWait(this, message));
    return true;
  }

  waitedFor(): string {
    const left = Math.max(this.#when - time(), 0);
    return this.#state === "asleep" ? `<sleep() ${left.toFixed(1)} s left>` : `<sleep() ${this.#state}>`;
  }

  override toString(): string {
    return this.#task === null ? "<sleep>" : repr(this.#task);
  }

  _step(): boolean {
    if (this.#state === "cancelled") {
      return false;
    }
    if (this.#state === "asleep") {
      this.#state = "over";
      enqueue(this);
      return false;
    }
    const cancelled = this.#takeCancellation();
    if (cancelled === null) {
      this.fulfil(this.#result);
    } else {
      this.fail(cancelled);
    }
    return true;
  }

  /** @internal Delivers the cancellation to the task, together with a later one. */
  _wakeCancelled(message: CancelMessage): void {
    this.#takeCancellation();
    this.fail(fromCallback(cancelledError(message)));
  }

  #takeCancellation(): CancelledError | null {
    this.#task?._stopWaiting(this);
    return this.#task?._takeCancellation() ?? null;
  }
}

/** Wakes the task of a cancelled wait that cannot be queued itself. */
export class CancelledWait implements Ready {
  readonly #wait: { _wakeCancelled(message: CancelMessage): void };
  readonly #message: CancelMessage;

  constructor(wait: { _wakeCancelled(message: CancelMessage): void }, message: CancelMessage) {
    this.#wait = wait;
    this.#message = message;
  }

  toString(): string {
    return repr(this.#wait);
  }

  _step(): boolean {
    this.#wait._wakeCancelled(this.#message);
    return true;
  }
}
