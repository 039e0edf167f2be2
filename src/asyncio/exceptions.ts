/** asyncio's errors, apart from those of tasks and Futures (task-errors.ts), without which no program is. */
import { RuntimeError, setErrorName } from "../errors.ts";
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
 * Tasks of a group failed; `exceptions` contains all their errors.
 *
 * Python: `ExceptionGroup`. Differs: an AggregateError, whose `errors` are the same; no `except*`.
 */
export class ExceptionGroup extends AggregateError {
  static {
    setErrorName(this, "ExceptionGroup");
  }
  /** `ERR_EXCEPTION_GROUP`. */
  readonly code = "ERR_EXCEPTION_GROUP" as const;

  /** @throws {TypeError} If `exceptions` is not an array. */
  constructor(message: string, exceptions: readonly unknown[]) {
    if (!Array.isArray(exceptions)) {
      throw new TypeError(
        `ExceptionGroup(): exceptions must be an array, after the message, got ${safeRepr(exceptions)}`,
      );
    }
    super(exceptions, `${message} (${exceptions.length} sub-exception${exceptions.length === 1 ? "" : "s"})`);
  }

  /** The errors, in the order in which they occurred. */
  get exceptions(): readonly unknown[] {
    return this.errors;
  }
}

function checkPartial(partial: unknown): void {
  if (!isBytes(partial)) {
    throw new TypeError(`IncompleteReadError(): partial must be bytes, got ${safeRepr(partial)}`);
  }
}
