/** asyncio's errors, apart from those of tasks and Futures (task-errors.ts), without which no program is. */
import { RuntimeError, setErrorName, ValueError } from "../errors.ts";
import { EOFError } from "../io-errors.ts";
import { isBytes, safeRepr } from "../repr.ts";

/**
 * The user pressed Ctrl-C while `asyncio.run()` was running, and the main task has been cancelled for it.
 *
 * Python: `KeyboardInterrupt`. Differs: an ordinary Error, thrown by `run()` only.
 */
export class KeyboardInterrupt extends Error {
  static {
    setErrorName(this, "KeyboardInterrupt");
  }
  /** `SIGINT`. */
  readonly code = "SIGINT" as const;
}

/**
 * The stream ended before all requested bytes had arrived: the peer closed it too early.
 *
 * Python: `asyncio.IncompleteReadError`. Differs: `expected` is `null` where Python has `None`.
 */
export class IncompleteReadError extends EOFError {
  static {
    setErrorName(this, "IncompleteReadError");
  }
  /** The bytes that had arrived; they are no longer in the buffer. */
  readonly partial: Buffer;
  /** The number of requested bytes; `null` for `readuntil()`, where it is unknown. */
  readonly expected: number | null;

  /** @throws {TypeError} If `partial` is not a Uint8Array. */
  constructor(partial: Buffer, expected: number | null) {
    checkPartial(partial);
    super(`${partial.length} bytes read on a total of ${expected ?? "undefined"} expected bytes`, {
      code: "ERR_INCOMPLETE_READ",
    });
    this.partial = partial;
    this.expected = expected;
  }
}

/**
 * No separator was found within the reader's limit: the peer sends longer pieces than you allow.
 *
 * The bytes are still in the buffer.
 *
 * Python: `asyncio.LimitOverrunError`. Differs: carries `code`.
 */
export class LimitOverrunError extends Error {
  static {
    setErrorName(this, "LimitOverrunError");
  }
  /** `ERR_LIMIT_OVERRUN`. */
  readonly code = "ERR_LIMIT_OVERRUN" as const;
  /** How many bytes can be read before the separator, or before the position where it may begin. */
  readonly consumed: number;
  /** The limit, in bytes. Python: has no such attribute. */
  readonly limit: number | undefined;

  constructor(message: string, consumed: number, limit?: number) {
    super(message);
    this.consumed = consumed;
    this.limit = limit;
  }
}

/**
 * `getNowait()` was called on an empty queue.
 *
 * Python: `asyncio.QueueEmpty`. Differs: carries `code`.
 */
export class QueueEmpty extends Error {
  static {
    setErrorName(this, "QueueEmpty");
  }
  /** `ERR_QUEUE_EMPTY`. */
  readonly code = "ERR_QUEUE_EMPTY" as const;
}

/**
 * `putNowait()` was called on a full queue.
 *
 * Python: `asyncio.QueueFull`. Differs: carries `code`.
 */
export class QueueFull extends Error {
  static {
    setErrorName(this, "QueueFull");
  }
  /** `ERR_QUEUE_FULL`. */
  readonly code = "ERR_QUEUE_FULL" as const;
}

/**
 * The queue was shut down: no item can be put into it, or no item is left to take.
 *
 * Python: `asyncio.QueueShutDown`. Differs: carries `code`.
 */
export class QueueShutDown extends Error {
  static {
    setErrorName(this, "QueueShutDown");
  }
  /** `ERR_QUEUE_SHUT_DOWN`. */
  readonly code = "ERR_QUEUE_SHUT_DOWN" as const;
}

/**
 * The barrier was aborted or reset, so the tasks that wait at it do not get through.
 *
 * Python: `asyncio.BrokenBarrierError`. Differs: carries `code`.
 */
export class BrokenBarrierError extends RuntimeError {
  static {
    setErrorName(this, "BrokenBarrierError");
  }

  constructor(message?: string) {
    super(message, { code: "ERR_BROKEN_BARRIER" });
  }
}

/**
 * What {@linkcode ExceptionGroup.split} looks for: a class of errors, several classes, or a function that gets each error
 * and returns whether it is meant.
 */
export type ErrorCondition =
  | (abstract new (
      ...args: never
    ) => Error)
  | readonly (abstract new (
      ...args: never
    ) => Error)[]
  | ((error: unknown) => unknown);

/**
 * Tasks of a group failed; `exceptions` contains all their errors.
 *
 * Python: `ExceptionGroup`. Differs: an AggregateError, whose `errors` are the same; `split()` takes the place of
 * `except*`.
 */
export class ExceptionGroup extends AggregateError {
  static {
    setErrorName(this, "ExceptionGroup");
  }
  /** `ERR_EXCEPTION_GROUP`. */
  readonly code = "ERR_EXCEPTION_GROUP" as const;
  /** The message without the number of errors. */
  readonly #text: string;

  /**
   * @throws {TypeError} If `exceptions` is not an array.
   * @throws {ValueError} If `exceptions` is empty.
   */
  constructor(message: string, exceptions: readonly unknown[]) {
    if (!Array.isArray(exceptions)) {
      throw new TypeError(
        `ExceptionGroup(): exceptions must be an array, after the message, got ${safeRepr(exceptions)}`,
      );
    }
    if (exceptions.length === 0) {
      throw new ValueError("ExceptionGroup(): exceptions must be at least one error, got none");
    }
    super(exceptions, `${message} (${exceptions.length} sub-exception${exceptions.length === 1 ? "" : "s"})`);
    this.#text = message;
  }

  /** The errors, in the order in which they occurred. */
  get exceptions(): readonly unknown[] {
    return this.errors;
  }

  /**
   * Returns a group of the errors that meet the condition, or `null` if none does.
   *
   * Groups within the group are searched as well, and keep their places. A condition that the group itself meets returns
   * the group. The new groups have the message, the stack and the cause of the old ones, which do not change.
   *
   * Python: `ExceptionGroup.subgroup()`.
   *
   * @throws {TypeError} If `condition` is neither a class of errors, nor an array of these, nor a function.
   */
  subgroup(condition: ErrorCondition): ExceptionGroup | null {
    return this.split(toTest("subgroup()", condition))[0];
  }

  /**
   * Returns two groups, of the errors that meet the condition and of the others; `null` in the place of an empty one.
   *
   * Otherwise as {@linkcode ExceptionGroup.subgroup}.
   *
   * Python: `ExceptionGroup.split()`.
   *
   * @throws {TypeError} If `condition` is neither a class of errors, nor an array of these, nor a function.
   *
   * @example In place of except*: the errors of one class are handled, and the others thrown on
   * ```ts
   * import { ValueError } from "contextvars";
   * import * as asyncio from "contextvars/asyncio";
   * import assert from "node:assert/strict";
   *
   * async function main(): Promise<void> {
   *   try {
   *     await new asyncio.TaskGroup().with(async (tg) => {
   *       tg.createTask(() => {
   *         throw new ValueError("not a number");
   *       });
   *       tg.createTask(() => asyncio.sleep(3600));
   *     });
   *   } catch (error) {
   *     if (!(error instanceof asyncio.ExceptionGroup)) throw error;
   *     const [values, others] = error.split(ValueError);
   *     if (values !== null) assert.equal(String(values.exceptions), "ValueError: not a number");
   *     if (others !== null) throw others;
   *   }
   * }
   * await asyncio.run(main);
   * ```
   */
  split(condition: ErrorCondition): [matching: ExceptionGroup | null, others: ExceptionGroup | null] {
    const test = toTest("split()", condition);
    if (test(this)) {
      return [this, null];
    }
    const matching: unknown[] = [];
    const others: unknown[] = [];
    for (const error of this.exceptions) {
      if (!(error instanceof ExceptionGroup)) {
        (test(error) ? matching : others).push(error);
        continue;
      }
      const [some, rest] = error.split(test);
      matching.push(...(some === null ? [] : [some]));
      others.push(...(rest === null ? [] : [rest]));
    }
    return [this.#part(matching), this.#part(others)];
  }

  #part(exceptions: readonly unknown[]): ExceptionGroup | null {
    if (exceptions.length === 0) {
      return null;
    }
    const part = this.derive(exceptions);
    if (Object.hasOwn(this, "cause")) {
      part.cause = this.cause;
    }
    part.stack = `${part}${/\n {4}at .*/s.exec(this.stack ?? "") ?? ""}`;
    return part;
  }

  /**
   * Returns a group with the same message and other errors. A subclass overrides it, so that `split()` and `subgroup()`
   * make groups of that class.
   *
   * Python: `ExceptionGroup.derive()`.
   *
   * @throws {TypeError} If `exceptions` is not an array.
   * @throws {ValueError} If `exceptions` is empty.
   */
  derive(exceptions: readonly unknown[]): ExceptionGroup {
    return new ExceptionGroup(this.#text, exceptions);
  }
}

/** The function that tells whether an error meets the condition. */
function toTest(caller: string, condition: unknown): (error: unknown) => unknown {
  const classes = Array.isArray(condition) ? condition : [condition];
  if (classes.every(isErrorClass)) {
    return (error) => classes.some((each) => error instanceof each);
  }
  if (typeof condition !== "function") {
    throw new TypeError(
      `${caller}: condition must be a class of errors, an array of these, or a function, got ${safeRepr(condition)}`,
    );
  }
  return condition as (error: unknown) => unknown;
}

function isErrorClass(value: unknown): value is ErrorConstructor {
  return typeof value === "function" && (value === Error || value.prototype instanceof Error);
}

function checkPartial(partial: unknown): void {
  if (!isBytes(partial)) {
    throw new TypeError(`IncompleteReadError(): partial must be bytes, got ${safeRepr(partial)}`);
  }
}
