/**
 * Waiters: those that wait for a lock, or for a queue to change, in the order in which they came.
 *
 * Theory of operation. They are a doubly linked list: whatever is done with it costs the same, however many wait. (A Set
 * is no queue: whoever asks for its first makes V8 pass over all that were deleted before it.)
 *
 * One that was woken or cancelled stays in the list until its task runs and takes it out. So that nobody looks at all of
 * these again and again, the list knows how far it has looked: what is done stays done, what is cancelled stays cancelled.
 */
import { Future } from "./futures.ts";

/** A Future with its place in the list. */
export class Waiter<T> {
  readonly future: Future<T> = new Future();
  /** @internal */
  _before: Waiter<T> | null = null;
  /** @internal */
  _behind: Waiter<T> | null = null;
}

export class Waiters<T> {
  #first: Waiter<T> | null = null;
  #last: Waiter<T> | null = null;
  /** All before it are done; `null`: all are. */
  #maybePending: Waiter<T> | null = null;
  /** All before it are cancelled; `null`: all are. */
  #maybeWanted: Waiter<T> | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Waiter<T> | null {
    return this.#first;
  }

  /** Puts a new one at the end. */
  add(): Waiter<T> {
    const waiter = new Waiter<T>();
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
    return waiter;
  }

  /** Takes it out, if it is in. */
  delete(waiter: Waiter<T>): void {
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

  /** Waits at the end of the list until woken, and is taken out in whatever way the wait ends. */
  async wait(waiter: Waiter<T> = this.add()): Promise<T> {
    try {
      return await waiter.future;
    } finally {
      this.delete(waiter);
    }
  }

  /** The first that was neither woken nor cancelled. */
  firstPending(): Waiter<T> | null {
    while (this.#maybePending?.future.done()) {
      this.#maybePending = this.#maybePending._behind;
    }
    return this.#maybePending;
  }

  /** Whether there is one that was not cancelled. */
  areWanted(): boolean {
    while (this.#maybeWanted?.future.cancelled()) {
      this.#maybeWanted = this.#maybeWanted._behind;
    }
    return this.#maybeWanted !== null;
  }
}
