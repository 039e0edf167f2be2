/**
 * Lock, Event, Condition. The Semaphores (`semaphores.ts`) queue their waiters in the same way.
 *
 * Theory of operation. Waiters form a queue, and the first in the queue is woken first. A woken waiter stays in the
 * queue until its turn, so that other tasks know that the lock is promised to it. If it is cancelled in between, it
 * passes the wake-up on: no wake-up is lost.
 */
import { knowMethodsOf } from "../contextvars/detached.ts";
import { RuntimeError } from "../errors.ts";
import { className, Inspectable, repr } from "../repr.ts";
import { checkFunction, checkNoArguments, checkNumber, isThenable } from "./arguments.ts";
import { quiet } from "./async-stacks.ts";
import { ReportedUnlessAwaited } from "./awaited.ts";
import { described, Holdable } from "./holdable.ts";
import { isCancelled } from "./task-errors.ts";
import { Waiter, Waiters } from "./waiters.ts";
import { type WaitingTask, waitingTask } from "./waits.ts";

/**
 * Lets one task through at a time, in the order of their `acquire()` calls.
 *
 * Python: `asyncio.Lock`. Differs: `with()` instead of `async with`.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 *
 * const lock = new asyncio.Lock();
 * await lock.with(async () => {
 *   await asyncio.sleep(0);
 * });
 * ```
 */
export class Lock extends Holdable {
  #locked = false;
  /** The task that holds the lock, for messages. */
  #holder: WaitingTask | null = null;
  readonly #waiters = new Waiters();

  constructor(...none: never[]) {
    super();
    checkNoArguments("Lock()", none);
  }

  /** Whether the lock is held. Python: `Lock.locked()`. */
  locked(): boolean {
    return this.#locked;
  }

  /**
   * Waits until the lock is free and takes it. A cancelled `acquire()` does not change the lock.
   *
   * Python: `Lock.acquire()`.
   */
  acquire(): Promise<true> {
    if (this.#locked || this.#waiters.areWanted()) {
      return new LockWaiter(this, this.#waiters).wait();
    }
    this._take(waitingTask());
    return Promise.resolve(true);
  }

  /**
   * Releases the lock; the task that has waited longest gets it.
   *
   * Python: `Lock.release()`.
   *
   * @throws {RuntimeError} If the lock is not held.
   */
  release(): void {
    if (!this.#locked) {
      throw new RuntimeError("Lock is not acquired.", { code: "ERR_LOCK_STATE" });
    }
    this.#locked = false;
    this.#holder = null;
    this._wakeFirst();
  }

  /** Python's `repr()`: `<asyncio.locks.Lock object at 0x... [unlocked]>`. */
  override toString(): string {
    return described(this, this.#locked ? "locked" : "unlocked", this.#waiters.size);
  }

  /** @internal */
  _take(holder: WaitingTask | null): void {
    this.#locked = true;
    this.#holder = holder;
  }

  /** @internal Wakes the first waiter unless the lock is held. */
  _wakeFirst(): void {
    // Only the first waiter is considered: if it was already woken, it is about to take the lock.
    const { first } = this.#waiters;
    if (!this.#locked && first?.isPending) {
      first.wake();
    }
  }

  /** @internal The task that holds the lock, for messages. */
  _heldBy(): string {
    if (!this.#locked || this.#holder === null) {
      return this.#locked ? " locked" : "";
    }
    return ` locked by ${repr(this.#holder.getName())}${this.#holder.done() ? ", which is done" : ""}`;
  }
}

class LockWaiter extends Waiter<true> {
  readonly #lock: Lock;

  constructor(lock: Lock, list: Waiters) {
    super(list);
    this.#lock = lock;
  }

  what(): string {
    return `${className(this.#lock)}.acquire()${this.#lock._heldBy()}`;
  }

  protected takeTurn(): void {
    this.#lock._take(this.task);
    this.fulfil(true);
  }

  protected override gaveUp(): void {
    this.#lock._wakeFirst();
  }
}

/**
 * Notifies any number of tasks that something has happened.
 *
 * Python: `asyncio.Event`.
 */
export class Event extends Inspectable {
  #value = false;
  readonly #waiters = new Waiters();

  constructor(...none: never[]) {
    super();
    checkNoArguments("Event()", none);
  }

  /** Whether the event is set. Python: `Event.is_set()`. */
  isSet(): boolean {
    return this.#value;
  }

  /** Sets the event: all waiting tasks continue, and no task has to wait until `clear()`. Python: `Event.set()`. */
  set(): void {
    if (this.#value) {
      return;
    }
    this.#value = true;
    for (let next = this.#waiters.firstPending(); next !== null; next = this.#waiters.firstPending()) {
      next.wake();
    }
  }

  /** Clears the event. Python: `Event.clear()`. */
  clear(): void {
    this.#value = false;
  }

  /** Waits until the event is set; returns immediately if it already is. Python: `Event.wait()`. */
  wait(): Promise<true> {
    return this.#value ? Promise.resolve(true) : new EventWaiter(this, this.#waiters).wait();
  }

  /** Python's `repr()`: `<asyncio.locks.Event object at 0x... [unset]>`. */
  override toString(): string {
    return described(this, this.#value ? "set" : "unset", this.#waiters.size);
  }

  /** @internal The text for a waiting `wait()`, for messages. */
  _what(): string {
    return `${className(this)}.wait()`;
  }
}

/** A waiter for an Event or a Condition. */
class EventWaiter extends Waiter<true> {
  readonly #event: { _what(): string };

  constructor(event: { _what(): string }, list: Waiters) {
    super(list);
    this.#event = event;
  }

  what(): string {
    return this.#event._what();
  }

  protected takeTurn(): void {
    this.fulfil(true);
  }
}

/**
 * A lock whose holder can release it while waiting for another task to report a change.
 *
 * Python: `asyncio.Condition`. Differs: `with()` instead of `async with`.
 */
export class Condition extends Holdable {
  readonly #lock: Lock;
  readonly #waiters = new Waiters();

  /** @param lock - The lock to use; several Conditions may share one. By default a new one. */
  constructor(lock: Lock = new Lock()) {
    super();
    if (!(lock instanceof Lock)) {
      throw new TypeError(`Condition(): lock must be a Lock, got ${repr(lock)}`);
    }
    this.#lock = lock;
  }

  /** Whether the lock is held. Python: `Condition.locked()`. */
  locked(): boolean {
    return this.#lock.locked();
  }

  /** Like `Lock.acquire()`. Python: `Condition.acquire()`. */
  acquire(): Promise<true> {
    return this.#lock.acquire();
  }

  /** Like `Lock.release()`. Python: `Condition.release()`. */
  release(): void {
    this.#lock.release();
  }

  /**
   * Releases the lock, waits for a `notify()`, and takes the lock again, even after a cancellation.
   *
   * It may return without a `notify()`: check your condition afterwards, or use `waitFor()`.
   *
   * Python: `Condition.wait()`.
   *
   * @throws {RuntimeError} If the lock is not held.
   */
  wait(): Promise<true> {
    return quiet(this.#wait());
  }

  /**
   * Waits until the predicate returns a true value, and returns that value.
   *
   * Python: `Condition.wait_for()`.
   *
   * @throws {RuntimeError} If the lock is not held.
   * @throws {TypeError} If the predicate returns a promise, a Future or a Task, which would always count as true.
   */
  waitFor<T>(predicate: () => T extends PromiseLike<unknown> ? never : T): Promise<T> {
    return new ReportedUnlessAwaited(this._waitFor<T>(predicate));
  }

  /**
   * Wakes the `n` tasks that have waited longest; they continue when the lock is free.
   *
   * Python: `Condition.notify()`.
   *
   * @throws {RuntimeError} If the lock is not held.
   * @throws {TypeError} If `n` is not a number.
   */
  notify(n = 1): void {
    if (!this.locked()) {
      throw new RuntimeError("cannot notify on un-acquired lock", { code: "ERR_LOCK_STATE" });
    }
    checkNumber("notify(): n", n);
    this.#notify(n);
  }

  /** Wakes all waiting tasks. Python: `Condition.notify_all()`. */
  notifyAll(): void {
    this.notify(this.#waiters.size);
  }

  /** Python's `repr()`: `<asyncio.locks.Condition object at 0x... [unlocked]>`. */
  override toString(): string {
    return described(this, this.locked() ? "locked" : "unlocked", this.#waiters.size);
  }

  async #wait(): Promise<true> {
    if (!this.locked()) {
      throw new RuntimeError("cannot wait on un-acquired lock", { code: "ERR_LOCK_STATE" });
    }
    this.release();
    try {
      try {
        await new EventWaiter(this, this.#waiters).wait();
      } finally {
        await this.#acquireAgain();
      }
      return true;
    } catch (error) {
      // The waiter may have been woken before it was cancelled: then the wake-up goes to another one.
      this.#notify(1);
      throw error;
    }
  }

  /** Takes the lock in any case; a cancellation that arrives meanwhile is thrown afterwards. */
  async #acquireAgain(): Promise<void> {
    let cancelled: { readonly error: unknown } | null = null;
    for (;;) {
      try {
        await this.acquire();
        break;
      } catch (error) {
        if (!isCancelled(error)) {
          throw error;
        }
        cancelled = { error };
      }
    }
    if (cancelled !== null) {
      throw cancelled.error;
    }
  }

  /** @internal */
  async _waitFor<T>(predicate: () => T): Promise<T> {
    checkFunction("Condition.waitFor()", predicate);
    let value = predicate();
    while (!value) {
      await this.wait();
      value = predicate();
    }
    if (isThenable(value)) {
      throw new TypeError(
        "Condition.waitFor(): predicate must return a value, got a promise, which is always true; " +
          "await it before, and test its result",
      );
    }
    return value;
  }

  #notify(n: number): void {
    for (let left = n; left > 0; left--) {
      const waiter = this.#waiters.firstPending();
      if (waiter === null) {
        return;
      }
      waiter.wake();
    }
  }

  /** @internal The text for a waiting `wait()`, for messages. */
  _what(): string {
    return `${className(this)}.wait()`;
  }
}

knowMethodsOf({ Condition, Event, Lock });
