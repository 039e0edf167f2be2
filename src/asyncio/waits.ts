/**
 * Waits: every place where the library makes a task wait.
 *
 * Theory of operation. A wait is a promise that the task which asked for it can be cancelled out of. The task is found
 * through the current flow, at the moment the wait begins; it keeps a list of the waits it has begun, and `cancel()`
 * turns to them. So cancellation works at any depth of plain async functions, with nothing passed along, and a wait
 * that was begun outside any task is simply not cancellable.
 *
 * A promise that the library rejects may be one that nobody awaits yet (a read begun early, a sleep thrown away). It is
 * marked as handled: what a peer does, or a cancel, must not end the process with an unhandled rejection.
 */
import { currentFlow } from "../contextvars/current.ts";
import { repr } from "../repr.ts";
import { fromCallback, noop, probeAwaited, rejectAwaited } from "./async-stacks.ts";
import { isDebug } from "./debug/debug.ts";
import { stackNow } from "./debug/frames.ts";
import { type CancelledError, type CancelMessage, cancelledError } from "./exceptions.ts";
import { type Ready, soon } from "./ready.ts";
import { ON_BUN } from "./runtime.ts";
import { addTimer, nextTimerOrder, removeTimer, type Timer, time } from "./timers.ts";

export { noop, quiet, rejected } from "./async-stacks.ts";

/** Something that a cancelled task has to be called back from. */
export interface Cancellable {
  /** What is waited for, for messages; `null` where it is nothing that could be named. */
  waitedFor(): string | null;
  /** Whether something may end it that is not the library's: a socket, a promise of others. For clocks of tests. */
  isOutside(): boolean;
  /** The stack of the code that awaits; empty where the runtime does not tell. */
  probe(): Promise<string>;
  /** Ends the wait with a CancelledError. False when it has ended already and only its task does not know yet. */
  cancel(message: CancelMessage): boolean;
}

/** A task, as far as waits know it. */
export interface WaitingTask {
  /** The wait begins. Cancels it at once if a cancellation is still to be delivered. */
  _waitFor(wait: Cancellable): void;
  /** The wait has ended. */
  _stopWaiting(wait: Cancellable): void;
  /** The cancellation that is still to be delivered, which is hereby done; `null` where there is none. */
  _takeCancellation(): CancelledError | null;
  getName(): string;
  done(): boolean;
}

/** Futures that something from outside will settle, while a clock of a test asks for them. */
let outsideFutures: Set<object> | null = null;

/** Has what `settledFromOutside()` is told put into the set, or nowhere. */
export function collectOutsideFutures(futures: Set<object> | null): void {
  outsideFutures = futures;
}

/** Tells that a socket, or a promise of others, will settle the Future. */
export function settledFromOutside(future: object): void {
  outsideFutures?.add(future);
}

/** The task that runs, or `null`. */
export function waitingTask(): WaitingTask | null {
  return currentFlow().owner as WaitingTask | null;
}

/**
 * Calls one of the two functions, once, as `await` would go on with the value, which is a thenable of whatever make: one
 * that throws when it is looked at, or calls back twice, or at once.
 */
export function whenSettled<T>(
  value: PromiseLike<T>,
  onResult: (result: T) => void,
  onError: (error: unknown) => void,
): void {
  let promise: Promise<T>;
  try {
    // The very value where it is a plain promise; otherwise a promise that asks it, in a microtask.
    promise = Promise.resolve(value);
  } catch (error) {
    onError(error);
    return;
  }
  // Not its own `then`, if it has one: `await` does not look at that either.
  void Promise.prototype.then.call(promise, onResult as (result: unknown) => void, onError);
}

let givenResolve: (value: never) => void;
let givenReject: (error: unknown) => void;
/** One function for all promises: a closure for each would cost more than the promise. */
function executor(resolve: (value: never) => void, reject: (error: unknown) => void): void {
  givenResolve = resolve;
  givenReject = reject;
}

/** On Node 20 and 22 a promise holds the flow it was made in, and so its task; these functions hold the promise. */
function forgetGiven(): void {
  givenResolve = noop;
  givenReject = noop;
}

/** Whoever gets an outcome. */
export interface Receiver<T> {
  fulfil(value: T): void;
  fail(error: unknown): void;
}

/** The latest probe of a wait. */
interface Probe {
  /** How many there were. */
  readonly count: number;
  readonly stack: Promise<string>;
  /** What the wait ends with while the probe is under way; `null` when it is over. */
  outcomes: (() => void)[] | null;
}

const probes = new WeakMap<object, Probe>();

/** Each probe has the wait follow one more promise, so that after so many its stack is taken for what it was. */
const MOST_PROBES = 16;

/** A promise that is settled from outside. */
export abstract class Settleable<T> implements Receiver<T> {
  readonly promise: Promise<T>;
  #resolve: (value: T) => void;
  #reject: (error: unknown) => void;
  /** In debug mode, the stack at its beginning, where a runtime cannot be asked later; otherwise not even a property. */
  declare readonly _stackAtBegin: string | undefined;

  constructor() {
    this.promise = new Promise<T>(executor);
    this.#resolve = givenResolve as (value: T) => void;
    this.#reject = givenReject;
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
    const settling = { resolve: this.#resolve, reject: this.#reject };
    this.#resolve = (value) => void outcomes.push(() => this.fulfil(value));
    const stack = probeAwaited(settling, ({ resolve, reject }) => {
      probe.outcomes = null;
      this.#resolve = resolve as (value: T) => void;
      this.#reject = reject;
      for (const settle of outcomes) {
        settle();
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
    this.#resolve(value);
  }

  fail(error: unknown): void {
    const outcomes = probes.get(this)?.outcomes ?? null;
    if (outcomes !== null) {
      outcomes.push(() => this.fail(error));
      return;
    }
    rejectAwaited(this.promise, this.#resolve, this.#reject, error);
  }
}

/**
 * A promise to be settled from outside, which the task that waits for it can be cancelled out of.
 *
 * A cancellation takes effect at once, in that an answer comes too late, and reaches the task in its turn.
 */
export class Wait<T> extends Settleable<T> implements Cancellable, Ready {
  readonly #what: string | (() => string);
  readonly #onCancel: (() => void) | undefined;
  #task: WaitingTask | null = null;
  #state: "waiting" | "cancelled" | "ended" = "waiting";
  #reason: CancelMessage;

  /**
   * @param what - The call that waits, and what it waits for.
   * @param onCancel - Called when the wait is cancelled: takes away the timer or the place in a queue.
   */
  constructor(what: string | (() => string), onCancel?: () => void) {
    super();
    this.#what = what;
    this.#onCancel = onCancel;
  }

  /** Tells the running task, if there is one, and gives the promise. */
  begin(): Promise<T> {
    const task = waitingTask();
    if (task !== null && this.#state === "waiting") {
      this.#task = task;
      task._waitFor(this);
    }
    return this.promise;
  }

  /** Answers the wait. A cancellation of the task that comes after this is delivered by its next wait. */
  resolve(value: T): void {
    if (this.#state === "waiting") {
      this.#end();
      this.fulfil(value);
    }
  }

  reject(error: unknown): void {
    if (this.#state === "waiting") {
      this.#end();
      this.fail(error);
    }
  }

  cancel(message: CancelMessage): boolean {
    if (this.#state !== "waiting") {
      return false;
    }
    this.#onCancel?.();
    this.#state = "cancelled";
    this.#reason = message;
    soon(this);
    return true;
  }

  override isOutside(): boolean {
    return true;
  }

  waitedFor(): string {
    return `<${typeof this.#what === "string" ? this.#what : this.#what()}>`;
  }

  override toString(): string {
    return this.#task === null ? "<wait>" : repr(this.#task);
  }

  /** The cancellation reaches the task. */
  _step(): boolean {
    // One that came after it is delivered with it.
    this.#task?._takeCancellation();
    this.#end();
    this.fail(fromCallback(cancelledError(this.#reason)));
    return true;
  }

  #end(): void {
    this.#state = "ended";
    this.#task?._stopWaiting(this);
    this.#task = null;
  }
}

/** A wait for something of which it is known whether it comes from outside. */
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

/** A wait for the next iteration of the loop, after a turn. A cancellation does not make it shorter. */
export class Yield<T> extends Settleable<T> implements Cancellable, Ready {
  readonly #task: WaitingTask | null = waitingTask();
  readonly #result: T;

  constructor(result: T) {
    super();
    this.#result = result;
    this.#task?._waitFor(this);
    soon(this, true);
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
 * A wait for a moment: the timer, the promise and the wait in one object, because programs have many that sleep.
 *
 * When the timer's turn comes, the task is only put into the queue, as asyncio's is: a cancellation that comes between the
 * two still wins. The cancelled sleep has another item put there, because its own may be in the queue as a timer's.
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
    soon(new CancelledSleep(this as Sleep<unknown>, message));
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
      soon(this);
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

  /** @internal The cancellation reaches the task; one that came after it is delivered with it. */
  _wakeCancelled(message: CancelMessage): void {
    this.#takeCancellation();
    this.fail(fromCallback(cancelledError(message)));
  }

  #takeCancellation(): CancelledError | null {
    this.#task?._stopWaiting(this);
    return this.#task?._takeCancellation() ?? null;
  }
}

/** Wakes the task of a sleep that was cancelled. */
class CancelledSleep implements Ready {
  readonly #sleep: Sleep<unknown>;
  readonly #message: CancelMessage;

  constructor(sleep: Sleep<unknown>, message: CancelMessage) {
    this.#sleep = sleep;
    this.#message = message;
  }

  _step(): boolean {
    this.#sleep._wakeCancelled(this.#message);
    return true;
  }
}
