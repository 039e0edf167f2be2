/**
 * Waiters: the list of waits for a lock or a queue, in order of arrival.
 *
 * Theory of operation. It is a doubly linked list, in which every operation takes constant time. (A Set is not suitable
 * as a queue: to find its first element, V8 passes over all elements deleted before it.)
 *
 * A waiter that is woken or cancelled enters the ready queue, as asyncio's Futures do, and acts when its turn comes. A
 * `cancel()` of its task in between takes precedence.
 *
 * A woken or cancelled waiter stays in the list until its turn. To avoid examining all of these repeatedly, the list
 * remembers how far it has searched: a waiter that was woken or cancelled stays so.
 */
import { repr } from "../repr.ts";
import { fromCallback } from "./async-stacks.ts";
import { enqueue, type Ready } from "./ready.ts";
import { type CancelMessage, cancelledError } from "./task-errors.ts";
import { type Cancellable, Settleable, type WaitingTask, waitingTask } from "./waits.ts";

/** A wait, with its place in the list. */
export abstract class Waiter<T> extends Settleable<T> implements Cancellable, Ready {
  readonly #list: Waiters;
  /** The task that waits, if there is one. */
  protected readonly task: WaitingTask | null = waitingTask();
  #state: "waiting" | "woken" | "cancelled" = "waiting";
  #reason: CancelMessage;
  /** @internal */
  _before: Waiter<unknown> | null = null;
  /** @internal */
  _behind: Waiter<unknown> | null = null;

  constructor(list: Waiters) {
    super();
    this.#list = list;
  }

  /** A description of the wait, for messages. */
  abstract what(): string;

  /**
   * Called when its turn has come, after it was removed from the list: resolves the promise, or waits again. The wait
   * throws any error that this throws.
   */
  protected abstract takeTurn(): void;

  /**
   * Called when it ends with an error, after it was removed from the list. @param wasWoken - Whether it had been woken
   * before it was cancelled.
   */
  protected gaveUp(_wasWoken: boolean): void {}

  /** Appends itself to the list and waits until it is woken. */
  wait(): Promise<T> {
    this.#state = "waiting";
    this.#list.add(this as Waiter<unknown>);
    this.task?._waitFor(this);
    return this.promise;
  }

  /** Whether the waiter was neither woken nor cancelled. */
  get isPending(): boolean {
    return this.#state === "waiting";
  }

  get isCancelled(): boolean {
    return this.#state === "cancelled";
  }

  wake(): void {
    this.#state = "woken";
    enqueue(this);
  }

  cancel(message: CancelMessage): boolean {
    if (this.#state !== "waiting") {
      return false;
    }
    this.#state = "cancelled";
    this.#reason = message;
    enqueue(this);
    return true;
  }

  waitedFor(): string {
    return `<${this.what()}>`;
  }

  override toString(): string {
    return this.task === null ? this.waitedFor() : repr(this.task);
  }

  _step(): boolean {
    this.task?._stopWaiting(this);
    const cancelled = this.task?._takeCancellation() ?? null;
    const wasWoken = this.#state === "woken";
    this.#list.delete(this as Waiter<unknown>);
    try {
      if (wasWoken && cancelled === null) {
        this.takeTurn();
      } else {
        this.gaveUp(wasWoken);
        this.fail(wasWoken ? cancelled : fromCallback(cancelledError(this.#reason)));
      }
    } catch (error) {
      this.fail(fromCallback(error));
    }
    return true;
  }
}

export class Waiters {
  #first: Waiter<unknown> | null = null;
  #last: Waiter<unknown> | null = null;
  /** All waiters before this one were woken or cancelled; `null` if all in the list were. */
  #maybePending: Waiter<unknown> | null = null;
  /** All waiters before this one are cancelled; `null` if all in the list are. */
  #maybeWanted: Waiter<unknown> | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Waiter<unknown> | null {
    return this.#first;
  }

  /** Appends the waiter. */
  add(waiter: Waiter<unknown>): void {
    waiter._before = this.#last;
    if (this.#last === null) {
      this.#first = waiter;
    } else {
      this.#last._behind = waiter;
    }
    this.#last = waiter;
    this.#maybePending ??= waiter;
    this.#maybeWanted ??= waiter;
    this.#size += 1;
  }

  /** Removes the waiter if it is in the list. */
  delete(waiter: Waiter<unknown>): void {
    const { _before: before, _behind: behind } = waiter;
    if (before === null && this.#first !== waiter) {
      return;
    }
    if (this.#maybePending === waiter) {
      this.#maybePending = behind;
    }
    if (this.#maybeWanted === waiter) {
      this.#maybeWanted = behind;
    }
    if (before === null) {
      this.#first = behind;
    } else {
      before._behind = behind;
    }
    if (behind === null) {
      this.#last = before;
    } else {
      behind._before = before;
    }
    waiter._before = null;
    waiter._behind = null;
    this.#size -= 1;
  }

  /** The first waiter that was neither woken nor cancelled. */
  firstPending(): Waiter<unknown> | null {
    while (this.#maybePending?.isPending === false) {
      this.#maybePending = this.#maybePending._behind;
    }
    return this.#maybePending;
  }

  /** Whether any waiter was not cancelled. */
  areWanted(): boolean {
    while (this.#maybeWanted?.isCancelled) {
      this.#maybeWanted = this.#maybeWanted._behind;
    }
    return this.#maybeWanted !== null;
  }
}
