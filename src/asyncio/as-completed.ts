import { TimeoutError } from "../io-errors.ts";
import { safeRepr } from "../repr.ts";
import { checkOptions, checkSeconds } from "./arguments.ts";
import { quiet } from "./async-stacks.ts";
import { WhenAwaited } from "./awaited.ts";
import { type Awaitable, type AwaitedResult, asFuture } from "./ensure-future.ts";
import { callLater, type TimerHandle } from "./events.ts";
import { type Future, isfuture } from "./futures.ts";
import { Queue } from "./queues.ts";

/** The Futures that are done; `null` for each that was not done at the timeout. */
class CompletedQueue<T> extends Queue<{ readonly future: Future<T> | null }> {
  readonly #left: () => string;

  /** @param left - Describes how many Futures are not done. */
  constructor(left: () => string) {
    super();
    this.#left = left;
  }

  /** @internal */
  override _what(): string {
    return `asCompleted() ${this.#left()}`;
  }
}

/** Options of {@linkcode asCompleted}. */
export interface AsCompletedOptions {
  /** For all awaitables together, in seconds; `null` for no limit. @default null */
  timeout?: number | null | undefined;
}

/**
 * Iterates over awaitables in the order in which they are done.
 *
 * `for await` yields each as a Future that is done: the Task or Future that was passed in, if it was one. A plain `for`
 * yields promises of the next results: each begins to wait when it is awaited, and gets the next result from then on.
 * (TypeScript assumes that `for await` yields results: await each value, and the types fit. To look a Task up in a Map,
 * or to call its methods, write `done as unknown as Task<string>`.)
 *
 * Python: `asyncio.as_completed()`, as since 3.13.
 *
 * @throws {TimeoutError} In the iteration, if the timeout is reached before all are done.
 * @throws {TypeError} If `awaitables` is not iterable, or holds something that cannot be waited for.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const order: string[] = [];
 * for await (const done of asyncio.asCompleted([() => asyncio.sleep(0.02, "slow"), () => asyncio.sleep(0, "fast")])) {
 *   order.push(await done);
 * }
 * assert.deepEqual(order, ["fast", "slow"]);
 * ```
 */
export function asCompleted<A extends Awaitable<unknown>>(
  awaitables: Iterable<A>,
  options: AsCompletedOptions = {},
): AsyncIterableIterator<Future<AwaitedResult<A>>> & Iterable<Promise<AwaitedResult<A>>> {
  checkOptions("asCompleted()", options, ["timeout"]);
  if (isfuture(awaitables) || typeof (awaitables as Iterable<unknown> | null)?.[Symbol.iterator] !== "function") {
    throw new TypeError(
      `asCompleted(): awaitables must be an iterable, got ${safeRepr(awaitables)}; write asCompleted([a, b])`,
    );
  }
  const { timeout = null } = options;
  if (timeout !== null) {
    checkSeconds("timeout", timeout);
  }
  const futures = [...new Set(awaitables)].map((each) =>
    asFuture("asCompleted()", each as Awaitable<AwaitedResult<A>>),
  );
  return new Completions(new Set(futures), timeout);
}

/** The Futures of one `asCompleted()`, in the order in which they are done. */
class Completions<T> implements AsyncIterableIterator<Future<T>> {
  readonly #pending: Set<Future<T>>;
  readonly #done: CompletedQueue<T>;
  readonly #timeout: number | null;
  readonly #timer: TimerHandle | null;
  /** How many Futures the iteration has not asked for. */
  #left: number;

  constructor(futures: Set<Future<T>>, timeout: number | null) {
    const all = futures.size;
    this.#pending = futures;
    this.#done = new CompletedQueue(() => `${this.#pending.size} of ${all} pending`);
    this.#timeout = timeout;
    this.#timer = timeout === null || all === 0 ? null : callLater(timeout, () => this.#expire());
    this.#left = all;
    const futureDone = (future: Future<T>): void => this.#futureDone(future);
    for (const future of futures) {
      future._observe(futureDone, "asCompleted()");
    }
  }

  next(): Promise<IteratorResult<Future<T>>> {
    if (this.#left === 0) {
      return Promise.resolve({ done: true, value: undefined });
    }
    this.#left -= 1;
    return quiet(this.#next().then((future) => ({ done: false, ...future })));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  *[Symbol.iterator](): Generator<Promise<T>> {
    while (this.#left > 0) {
      this.#left -= 1;
      yield new WhenAwaited(async () => (await this.#next()).value.result());
    }
  }

  /** Waits for the next Future. In an object, because a promise would wait for a Future that it resolves to. */
  async #next(): Promise<{ readonly value: Future<T> }> {
    const { future } = await this.#done.get();
    if (future === null) {
      throw new TimeoutError(`asCompleted() timed out after ${this.#timeout} seconds`);
    }
    return { value: future };
  }

  #futureDone(future: Future<T>): void {
    if (!this.#pending.delete(future)) {
      return;
    }
    this.#done.putNowait({ future });
    if (this.#pending.size === 0) {
      this.#timer?.cancel();
    }
  }

  #expire(): void {
    for (let i = this.#pending.size; i > 0; i--) {
      this.#done.putNowait({ future: null });
    }
    this.#pending.clear();
  }
}
