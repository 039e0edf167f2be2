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
import { repr, safeRepr, shortRepr } from "../repr.ts";
import { type CancelledError, type CancelMessage, cancelledError } from "./exceptions.ts";
import { type Ready, soon } from "./ready.ts";
import { addTimer, nextTimerOrder, removeTimer, type Timer, time } from "./timers.ts";

/** Something that a cancelled task has to be called back from. */
export interface Cancellable {
  /** What is waited for, for messages; `null` where it is nothing that could be named. */
  waitedFor(): string | null;
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
}

/** The task that runs, or `null`. */
export function waitingTask(): WaitingTask | null {
  return currentFlow().owner as WaitingTask | null;
}

export function noop(): void {}

/** The promise itself, whose rejection may go unnoticed. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(noop);
  return promise;
}

/** A rejected promise that may go unnoticed. */
export function rejected(error: unknown): Promise<never> {
  return quiet(Promise.reject(error));
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

/**
 * A promise to be settled from outside, which the task that waits for it can be cancelled out of.
 *
 * A cancellation takes effect at once, in that an answer comes too late, and reaches the task in its turn.
 */
export class Wait<T> implements Cancellable, Ready {
  readonly promise: Promise<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onCancel: (() => void) | undefined;
  #task: WaitingTask | null = null;
  #state: "waiting" | "cancelled" | "ended" = "waiting";
  #reason: CancelMessage;

  /** @param onCancel - Called when the wait is cancelled: takes away the timer or the place in a queue. */
  constructor(onCancel?: () => void) {
    this.promise = new Promise<T>(executor);
    this.#resolve = givenResolve as (value: T) => void;
    this.#reject = givenReject;
    forgetGiven();
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
      this.#resolve(value);
    }
  }

  reject(error: unknown): void {
    if (this.#state === "waiting") {
      this.#fail(error);
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

  waitedFor(): string {
    return "<Future pending cb=[Task.task_wakeup()]>";
  }

  toString(): string {
    return this.#task === null ? "<wait>" : repr(this.#task);
  }

  /** The cancellation reaches the task. */
  _step(): boolean {
    // One that came after it is delivered with it.
    this.#task?._takeCancellation();
    this.#fail(cancelledError(this.#reason));
    return true;
  }

  #fail(error: unknown): void {
    this.#end();
    this.promise.catch(noop);
    this.#reject(error);
  }

  #end(): void {
    this.#state = "ended";
    this.#task?._stopWaiting(this);
    this.#task = null;
  }
}

/** A wait for the next iteration of the loop, after a turn. A cancellation does not make it shorter. */
export class Yield<T> implements Cancellable, Ready {
  readonly promise: Promise<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  readonly #task: WaitingTask | null = waitingTask();
  readonly #result: T;

  constructor(result: T) {
    this.promise = new Promise<T>(executor);
    this.#resolve = givenResolve as (value: T) => void;
    this.#reject = givenReject;
    forgetGiven();
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

  toString(): string {
    return this.#task === null ? "<sleep(0)>" : repr(this.#task);
  }

  _step(): boolean {
    this.#task?._stopWaiting(this);
    const cancelled = this.#task?._takeCancellation() ?? null;
    if (cancelled === null) {
      this.#resolve(this.#result);
    } else {
      this.promise.catch(noop);
      this.#reject(cancelled);
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
export class Sleep<T> implements Cancellable, Timer {
  readonly promise: Promise<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  readonly #task: WaitingTask | null = waitingTask();
  readonly #result: T;
  readonly #when: number;
  #state: "asleep" | "rung" | "cancelled" = "asleep";
  /** @internal */
  _place = -1;
  /** @internal */
  readonly _order: number = nextTimerOrder();

  /** @param delay - In seconds, more than 0. */
  constructor(delay: number, result: T) {
    this.promise = new Promise<T>(executor);
    this.#resolve = givenResolve as (value: T) => void;
    this.#reject = givenReject;
    forgetGiven();
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

  /** As of the Future that asyncio's `sleep()` waits for. */
  waitedFor(): string {
    switch (this.#state) {
      case "asleep":
        return "<Future pending cb=[Task.task_wakeup()]>";
      case "rung":
        return `<Future finished result=${safeRepr(this.#result, shortRepr)}>`;
      default:
        return "<Future cancelled>";
    }
  }

  toString(): string {
    return this.#task === null ? "<sleep>" : repr(this.#task);
  }

  _step(): boolean {
    if (this.#state === "cancelled") {
      return false;
    }
    if (this.#state === "asleep") {
      this.#state = "rung";
      soon(this);
      return false;
    }
    const cancelled = this.#takeCancellation();
    if (cancelled === null) {
      this.#resolve(this.#result);
    } else {
      this.#fail(cancelled);
    }
    return true;
  }

  /** @internal The cancellation reaches the task; one that came after it is delivered with it. */
  _wakeCancelled(message: CancelMessage): void {
    this.#takeCancellation();
    this.#fail(cancelledError(message));
  }

  #takeCancellation(): CancelledError | null {
    this.#task?._stopWaiting(this);
    return this.#task?._takeCancellation() ?? null;
  }

  #fail(error: CancelledError): void {
    this.promise.catch(noop);
    this.#reject(error);
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
