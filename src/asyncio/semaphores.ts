/** Semaphore and BoundedSemaphore. Their waiters queue as those of a Lock do (`locks.ts`). */
import { knowMethodsOf } from "../contextvars/detached.ts";
import { ValueError } from "../errors.ts";
import { className } from "../repr.ts";
import { checkWholeNumber } from "./arguments.ts";
import { described, Holdable } from "./holdable.ts";
import { Waiter, Waiters } from "./waiters.ts";

/**
 * Lets a limited number of tasks through at a time, in the order of their `acquire()` calls.
 *
 * Python: `asyncio.Semaphore`. Differs: `with()` instead of `async with`.
 */
export class Semaphore extends Holdable {
  /** How many tasks may still acquire it. */
  protected value: number;
  readonly #waiters = new Waiters();

  /**
   * @param value - How many tasks may hold it at a time.
   * @throws {ValueError} If `value` is negative.
   */
  constructor(value = 1) {
    super();
    checkWholeNumber(`${className(this)}(): value`, value);
    if (value < 0) {
      throw new ValueError(`Semaphore initial value must be >= 0, got ${value}`);
    }
    this.value = value;
  }

  /** Whether `acquire()` would wait. Python: `Semaphore.locked()`. */
  locked(): boolean {
    return this.value === 0 || this.#waiters.areWanted();
  }

  /**
   * Waits until a place is free and takes it. A cancelled `acquire()` does not change the semaphore. Python:
   * `Semaphore.acquire()`.
   */
  acquire(): Promise<true> {
    if (this.locked()) {
      return new SemaphoreWaiter(this, this.#waiters).wait();
    }
    this.value -= 1;
    return Promise.resolve(true);
  }

  /** Lets one more task through. Python: `Semaphore.release()`. */
  release(): void {
    this.value += 1;
    this.#wakeNext();
  }

  /** Python's `repr()`: `<asyncio.locks.Semaphore object at 0x... [unlocked, value:1]>`. */
  override toString(): string {
    return described(this, this.locked() ? "locked" : `unlocked, value:${this.value}`, this.#waiters.size);
  }

  /**
   * @internal Called when a waiter has acquired, or gives its place back. Tasks that came meanwhile had to queue behind
   * it.
   */
  _leftQueue(givesBack: boolean): void {
    if (givesBack) {
      this.value += 1;
    }
    while (this.value > 0 && this.#wakeNext()) {
      // Each turn lets one waiter through.
    }
  }

  /** @internal */
  _what(): string {
    return `${className(this)}.acquire() ${this.value} free`;
  }

  #wakeNext(): boolean {
    const waiter = this.#waiters.firstPending();
    if (waiter === null) {
      return false;
    }
    // The place is taken immediately, so that no other task takes it before the woken task runs.
    this.value -= 1;
    waiter.wake();
    return true;
  }
}

class SemaphoreWaiter extends Waiter<true> {
  readonly #semaphore: Semaphore;

  constructor(semaphore: Semaphore, list: Waiters) {
    super(list);
    this.#semaphore = semaphore;
  }

  what(): string {
    return this.#semaphore._what();
  }

  protected takeTurn(): void {
    this.#semaphore._leftQueue(false);
    this.fulfil(true);
  }

  protected override gaveUp(wasWoken: boolean): void {
    this.#semaphore._leftQueue(wasWoken);
  }
}

/**
 * A Semaphore that cannot be released more often than it was acquired.
 *
 * Python: `asyncio.BoundedSemaphore`. Differs: `with()` instead of `async with`.
 */
export class BoundedSemaphore extends Semaphore {
  readonly #bound: number;

  constructor(value = 1) {
    super(value);
    this.#bound = value;
  }

  /**
   * Lets one more task through.
   *
   * Python: `BoundedSemaphore.release()`.
   *
   * @throws {ValueError} If it is released more often than it was acquired.
   */
  override release(): void {
    if (this.value >= this.#bound) {
      throw new ValueError("BoundedSemaphore released too many times");
    }
    super.release();
  }
}

knowMethodsOf({ BoundedSemaphore, Semaphore });
