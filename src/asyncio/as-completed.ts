import { TimeoutError } from "../errors.ts";
import { safeRepr } from "../repr.ts";
import { checkOptions, checkSeconds } from "./arguments.ts";
import { quiet } from "./async-stacks.ts";
import { WhenAwaited } from "./awaited.ts";
import { type Awaitable, type AwaitedResult, ensureFuture } from "./ensure-future.ts";
import { callLater } from "./events.ts";
import { type Future, isfuture } from "./futures.ts";
import { Queue } from "./queues.ts";

/** The queue from which `asCompleted()` takes results. */
class CompletedQueue<T> extends Queue<T> {
  readonly #left: () => string;

  /** @param left - Returns how many results are still to come. */
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
 * (TypeScript assumes that `for await` yields results: await each value, and the types fit.)
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
  type T = AwaitedResult<A>;
  checkOptions("asCompleted()", options, ["timeout"]);
  if (isfuture(awaitables) || typeof (awaitables as Iterable<unknown> | null)?.[Symbol.iterator] !== "function") {
    throw new TypeError(`expect an iterable of futures, not ${safeRepr(awaitables)}; write asCompleted([a, b])`);
  }
  const { timeout = null } = options;
  if (timeout !== null) {
    checkSeconds("timeout", timeout);
  }
  const todo = new Set([...new Set(awaitables)].map((awaitable) => ensureFuture(awaitable as Awaitable<T>)));
  const all = todo.size;
  // Wrapped in objects, because a promise would wait for a Future that it resolves to.
  const done = new CompletedQueue<{ readonly future: Future<T> | null }>(() => `${todo.size} of ${all} pending`);
  let left = todo.size;
  const timer =
    timeout === null || todo.size === 0
      ? null
      : callLater(timeout, () => {
          for (let i = todo.size; i > 0; i--) {
            done.putNowait({ future: null });
          }
          todo.clear();
        });
  for (const future of todo) {
    future._observe(() => {
      if (!todo.delete(future)) {
        return;
      }
      done.putNowait({ future });
      if (todo.size === 0) {
        timer?.cancel();
      }
    }, "asCompleted()");
  }
  const one = async (): Promise<{ readonly value: Future<T> }> => {
    const { future } = await done.get();
    if (future === null) {
      throw new TimeoutError(`asCompleted() timed out after ${timeout} seconds`);
    }
    return { value: future };
  };
  return {
    next(): Promise<IteratorResult<Future<T>>> {
      if (left === 0) {
        return Promise.resolve({ done: true, value: undefined });
      }
      left -= 1;
      return quiet(one().then((found) => ({ done: false, ...found })));
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    *[Symbol.iterator](): Generator<Promise<T>> {
      while (left > 0) {
        left -= 1;
        yield new WhenAwaited(async () => (await one()).value.result());
      }
    },
  };
}
