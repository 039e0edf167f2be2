/**
 * Waiters: those that wait for a lock, or for a queue to change, in the order in which they came.
 *
 * Theory of operation. They are a doubly linked list: whatever is done with it costs the same, however many wait. (A Set
 * is no queue: whoever asks for its first makes V8 pass over all that were deleted before it.)
 *
 * Whoever is woken or cancelled goes into the ready queue, as asyncio's Futures do, and what it was woken for is done when
 * its turn comes. A `cancel()` of its task in between still wins.
 *
 * One that was woken or cancelled stays in the list until its turn, when it is taken out. So that nobody looks at all of
 * these again and again, the list knows how far it has looked: what is done stays done, what is cancelled stays cancelled.
 */
import { repr } from "../repr.ts";
import { fromCallback } from "./async-stacks.ts";
import { type CancelMessage, cancelledError } from "./exceptions.ts";
import { type Ready, soon } from "./ready.ts";
import { type Cancellable, Settleable, type WaitingTask, waitingTask } from "./waits.ts";

/** One that waits, with its place in the list. */
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

  /** What waits, and what for, for messages. */
  abstract what(): string;

  /** Its turn has come, and it is out of the list: fulfils the promise, or waits again. What it throws, the wait throws. */
  protected abstract goOn(): void;

  /** It is out of the list, and gets an error. @param wasWoken - Whether it had been woken before it was cancelled. */
  protected gaveUp(_wasWoken: boolean): void {}

  /** Stands at the end of the list, until woken. */
  wait(): Promise<T> {
    this.#state = "waiting";
    this.#list.add(this as Waiter<unknown>);
    this.task?._waitFor(this);
    return this.promise;
  }

  /** Whether it was neither woken nor cancelled. */
  get isPending(): boolean {
    return this.#state === "waiting";
  }

  get isCancelled(): boolean {
    return this.#state === "cancelled";
  }

  wake(): void {
    this.#state = "woken";
    soon(this);
  }

  cancel(message: CancelMessage): boolean {
    if (this.#state !== "waiting") {
      return false;
    }
    this.#state = "cancelled";
    this.#reason = message;
    soon(this);
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
        this.goOn();
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
  /** All before it were woken or cancelled; `null`: all were. */
  #maybePending: Waiter<unknown> | null = null;
  /** All before it are cancelled; `null`: all are. */
  #maybeWanted: Waiter<unknown> | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Waiter<unknown> | null {
    return this.#first;
  }

  /** Puts it at the end. */
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

  /** Takes it out, if it is in. */
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

  /** The first that was neither woken nor cancelled. */
  firstPending(): Waiter<unknown> | null {
    while (this.#maybePending?.isPending === false) {
      this.#maybePending = this.#maybePending._behind;
    }
    return this.#maybePending;
  }

  /** Whether there is one that was not cancelled. */
  areWanted(): boolean {
    while (this.#maybeWanted?.isCancelled) {
      this.#maybeWanted = this.#maybeWanted._behind;
    }
    return this.#maybeWanted !== null;
  }
}
