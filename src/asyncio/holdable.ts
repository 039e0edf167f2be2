/** What the locks have in common: they are held for the duration of a function, and shown as Python shows them. */
import { addressOf, className, Inspectable } from "../repr.ts";
import { checkFunction } from "./arguments.ts";
import { ReportedUnlessAwaited } from "./awaited.ts";

/** The text of a lock, as Python's `repr()` gives it. */
export function described(object: object, state: string, waiters: number): string {
  const waiting = waiters > 0 ? `, waiters:${waiters}` : "";
  return `<asyncio.locks.${className(object)} object at ${addressOf(object)} [${state}${waiting}]>`;
}

/** A lock that can be held for the duration of a function. */
export abstract class Holdable extends Inspectable {
  abstract acquire(): Promise<true>;
  abstract release(): void;
  abstract override toString(): string;

  /**
   * Acquires the lock, runs the function, and releases the lock, even if the function throws.
   *
   * Python: `async with lock:`. Differs: a method.
   */
  with<T>(body: () => T | PromiseLike<T>): Promise<Awaited<T>> {
    return new ReportedUnlessAwaited(this._with(body));
  }

  /** @internal */
  async _with<T>(body: () => T | PromiseLike<T>): Promise<Awaited<T>> {
    checkFunction(`${className(this)}.with()`, body);
    await this.acquire();
    try {
      return await body();
    } finally {
      this.release();
    }
  }
}
