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
import { CancelledError } from "./exceptions.ts";

/** Something that a cancelled task has to be called back from. */
export interface Cancellable {
  /** Ends the wait with a CancelledError. False when it has ended already and only its task does not know yet. */
  cancel(message: string | undefined): boolean;
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

/** A rejected promise that may go unnoticed. */
export function rejected(error: unknown): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(noop);
  return promise;
}

let givenResolve: (value: never) => void;
let givenReject: (error: unknown) => void;
/** One function for all promises: a closure for each would cost more than the promise. */
function executor(resolve: (value: never) => void, reject: (error: unknown) => void): void {
  givenResolve = resolve;
  givenReject = reject;
}

/** A promise to be settled from outside, which the task that waits for it can be cancelled out of. */
export class Wait<T> implements Cancellable {
  readonly promise: Promise<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onCancel: (() => void) | undefined;
  #task: WaitingTask | null = null;
  #ended = false;

  /** @param onCancel - Called when the wait is cancelled: takes away the timer or the place in a queue. */
  constructor(onCancel?: () => void) {
    this.promise = new Promise<T>(executor);
    this.#resolve = givenResolve as (value: T) => void;
    this.#reject = givenReject;
    this.#onCancel = onCancel;
  }

  /** Tells the running task, if there is one, and gives the promise. */
  begin(): Promise<T> {
    const task = waitingTask();
    if (task !== null && !this.#ended) {
      this.#task = task;
      task._waitFor(this);
    }
    return this.promise;
  }

  /** Answers the wait. A cancellation that comes after this is delivered by the task's next wait. */
  resolve(value: T): void {
    if (this.#end()) {
      this.#resolve(value);
    }
  }

  reject(error: unknown): void {
    if (this.#end()) {
      this.promise.catch(noop);
      this.#reject(error);
    }
  }

  cancel(message: string | undefined): boolean {
    if (this.#ended) {
      return false;
    }
    this.#onCancel?.();
    this.reject(new CancelledError(message));
    return true;
  }

  #end(): boolean {
    if (this.#ended) {
      return false;
    }
    this.#ended = true;
    this.#task?._stopWaiting(this);
    this.#task = null;
    return true;
  }
}
