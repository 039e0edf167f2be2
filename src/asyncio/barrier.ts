/** Barrier: built on a Condition, as Python's is. */
import { knowMethodsOf } from "../contextvars/detached.ts";
import { ValueError } from "../errors.ts";
import { addressOf, className, Inspectable } from "../repr.ts";
import { checkFunction, checkWholeNumber } from "./arguments.ts";
import { quiet } from "./async-stacks.ts";
import { ReportedUnlessAwaited } from "./awaited.ts";
import { BrokenBarrierError } from "./exceptions.ts";
import { Condition } from "./locks.ts";

/** The Condition of a Barrier; messages name its waits as the Barrier's. */
class BarrierCondition extends Condition {
  readonly #barrier: Barrier;

  constructor(barrier: Barrier) {
    super();
    this.#barrier = barrier;
  }

  /** @internal */
  override _what(): string {
    const { parties, nWaiting } = this.#barrier;
    return `${className(this.#barrier)}.wait() ${nWaiting} of ${parties} have come`;
  }
}

type BarrierState = "filling" | "draining" | "resetting" | "broken";

/**
 * Makes tasks wait until a given number of them have arrived.
 *
 * Python: `asyncio.Barrier`. Differs: `with()` instead of `async with`.
 */
export class Barrier extends Inspectable {
  readonly #condition = new BarrierCondition(this);
  readonly #parties: number;
  #state: BarrierState = "filling";
  /** How many tasks are inside: waiting for the others, or on their way out. */
  #count = 0;

  /**
   * @param parties - How many tasks have to arrive.
   * @throws {ValueError} If `parties` is less than 1.
   */
  constructor(parties: number) {
    super();
    checkWholeNumber("Barrier(): parties", parties);
    if (parties < 1) {
      throw new ValueError(`parties must be >= 1, got ${parties}`);
    }
    this.#parties = parties;
  }

  /** How many tasks have to arrive. Python: `Barrier.parties`. */
  get parties(): number {
    return this.#parties;
  }

  /** How many tasks wait for the others. Python: `Barrier.n_waiting`. */
  get nWaiting(): number {
    return this.#state === "filling" ? this.#count : 0;
  }

  /** Whether the barrier was aborted. Python: `Barrier.broken`. */
  get broken(): boolean {
    return this.#state === "broken";
  }

  /**
   * Waits until all tasks have arrived.
   *
   * Python: `Barrier.wait()`.
   *
   * @returns A number from 0 to `parties - 1`, a different one for each task.
   * @throws {BrokenBarrierError} If the barrier is aborted, or is reset during the wait.
   */
  wait(): Promise<number> {
    return quiet(this.#condition._with(() => this.#wait()));
  }

  /**
   * Waits until all tasks have arrived, then runs the function with the task's number.
   *
   * Python: `async with barrier as position:`. Differs: a method.
   */
  with<T>(body: (position: number) => T | PromiseLike<T>): Promise<Awaited<T>> {
    return new ReportedUnlessAwaited(this.#with(body));
  }

  /** Restores an empty barrier: every task that waits at it gets a BrokenBarrierError. Python: `Barrier.reset()`. */
  reset(): Promise<void> {
    return quiet(
      this.#condition._with(() => {
        this.#state = this.#count > 0 ? "resetting" : "filling";
        this.#condition.notifyAll();
      }),
    );
  }

  /**
   * Breaks the barrier: every task that waits at it, now or later, gets a BrokenBarrierError until `reset()`. Python:
   * `Barrier.abort()`.
   */
  abort(): Promise<void> {
    return quiet(
      this.#condition._with(() => {
        this.#state = "broken";
        this.#condition.notifyAll();
      }),
    );
  }

  /** Python's `repr()`: `<asyncio.locks.Barrier object at 0x... [filling, waiters:0/3]>`. */
  override toString(): string {
    const waiting = this.broken ? "" : `, waiters:${this.nWaiting}/${this.#parties}`;
    return `<asyncio.locks.Barrier object at ${addressOf(this)} [${this.#state}${waiting}]>`;
  }

  async #with<T>(body: (position: number) => T | PromiseLike<T>): Promise<Awaited<T>> {
    checkFunction("Barrier.with()", body);
    return await body(await this.wait());
  }

  async #wait(): Promise<number> {
    // The tasks of the previous round have to leave first.
    await this.#condition._waitFor(() => this.#state !== "draining" && this.#state !== "resetting");
    if (this.#state === "broken") {
      throw new BrokenBarrierError("Barrier aborted");
    }
    const index = this.#count;
    this.#count += 1;
    try {
      if (this.#count === this.#parties) {
        this.#state = "draining";
        this.#condition.notifyAll();
      } else {
        await this.#waitForOthers();
      }
      return index;
    } finally {
      this.#count -= 1;
      this.#leave();
    }
  }

  async #waitForOthers(): Promise<void> {
    await this.#condition._waitFor(() => this.#state !== "filling");
    if (this.#state === "broken" || this.#state === "resetting") {
      throw new BrokenBarrierError("Abort or reset of barrier");
    }
  }

  #leave(): void {
    if (this.#count > 0) {
      return;
    }
    if (this.#state === "resetting" || this.#state === "draining") {
      this.#state = "filling";
    }
    this.#condition.notifyAll();
  }
}

knowMethodsOf({ Barrier });
