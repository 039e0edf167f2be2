/** Sequencer: blocks of several tasks in a given order. */
import { Event } from "../asyncio/index.ts";
import { checkFunction, checkWholeNumber, ReportedUnlessAwaited } from "../asyncio/seam.ts";
import { RuntimeError, ValueError } from "../contextvars/index.ts";

/**
 * Runs blocks of several tasks in the order of their numbers, to produce one particular interleaving in a test.
 *
 * Python: has no such class; trio has `trio.testing.Sequencer`.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { Sequencer } from "contextvars/testing";
 * import assert from "node:assert/strict";
 *
 * const sequencer = new Sequencer();
 * const seen: number[] = [];
 * await asyncio.gather([
 *   async () => {
 *     await sequencer.with(0, () => seen.push(0));
 *     await sequencer.with(2, () => seen.push(2));
 *   },
 *   () => sequencer.with(1, () => seen.push(1)),
 * ]);
 * assert.deepEqual(seen, [0, 1, 2]);
 * ```
 */
export class Sequencer {
  /** For each number, an event that is set when its block may run. */
  readonly #turns = new Map<number, Event>();
  readonly #used = new Set<number>();
  #isBroken = false;

  /**
   * Calls the function when the block with the number `n - 1` has ended; 0 is the first.
   *
   * A block that throws has ended as well. If a call is cancelled while it waits, the sequence cannot continue: all
   * waiting and later calls throw.
   *
   * Python: has no such method.
   *
   * @param n - The number of the block; each number may be used once.
   * @returns The function's result.
   * @throws {RuntimeError} If the number was already used, or a cancellation has broken the sequence.
   * @throws {ValueError} If `n` is negative.
   * @throws {TypeError} If `n` is not an integer, or `f` is not a function.
   * @throws {CancelledError} If the task is cancelled.
   */
  with<T>(n: number, f: () => T | PromiseLike<T>): Promise<Awaited<T>> {
    return new ReportedUnlessAwaited(this.#with(n, f));
  }

  async #with<T>(n: number, f: () => T | PromiseLike<T>): Promise<Awaited<T>> {
    checkWholeNumber("Sequencer.with(): n", n);
    checkFunction("Sequencer.with()", f);
    if (n < 0) {
      throw new ValueError(`Sequencer.with(): n must be 0 or more, got ${n}`);
    }
    if (this.#used.has(n)) {
      throw new RuntimeError(`Sequencer.with(): the number ${n} was already used; give each block its own number`, {
        code: "ERR_SEQUENCE_USED",
      });
    }
    this.#used.add(n);
    await this.#turnOf(n);
    try {
      return await f();
    } finally {
      this.#turn(n + 1).set();
    }
  }

  async #turnOf(n: number): Promise<void> {
    if (n > 0 && !this.#isBroken) {
      try {
        await this.#turn(n).wait();
      } catch (error) {
        this.#break();
        throw error;
      }
    }
    if (this.#isBroken) {
      throw new RuntimeError("Sequencer.with(): the sequence is broken, since a block was cancelled before its turn", {
        code: "ERR_SEQUENCE_BROKEN",
      });
    }
  }

  #break(): void {
    this.#isBroken = true;
    for (const turn of this.#turns.values()) {
      turn.set();
    }
  }

  #turn(n: number): Event {
    const turn = this.#turns.get(n) ?? new Event();
    this.#turns.set(n, turn);
    return turn;
  }
}
