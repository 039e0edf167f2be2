/** The errors of asyncio, and the test for the one that must never be swallowed. */
import { EOFError, named, RuntimeError } from "../errors.ts";
import { safeRepr } from "../repr.ts";
import { ABORT_REASON, hasBrand } from "./brands.ts";

/**
 * The task was cancelled: somebody called `cancel()` on it, or on something it waits for.
 *
 * JavaScript's `catch` cannot leave it out, as Python's `except Exception` does: re-throw it, see
 * {@linkcode isCancelled}.
 *
 * Python: `asyncio.CancelledError`. Differs: an ordinary Error; the message is also in `reason`.
 */
export class CancelledError extends Error {
  static {
    named(this, "CancelledError");
  }
  /** `ERR_CANCELLED`. */
  readonly code = "ERR_CANCELLED" as const;
  /** What was given to `cancel()`; `undefined` where nothing was. */
  readonly reason: string | undefined;

  constructor(reason?: string, options?: ErrorOptions) {
    // A program without types may give `cancel()` anything, a Symbol for one.
    const text: unknown = reason ?? "";
    super(typeof text === "string" ? text : safeRepr(text), options);
    this.reason = reason;
  }
}

/** Why an AbortSignal was aborted; stands in the place of the message where the signal cancels a task. */
export class AbortReason {
  static {
    Object.defineProperty(this.prototype, ABORT_REASON, { value: true });
  }
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

/** What a cancellation carries to everything that it cancels. */
export type CancelMessage = string | AbortReason | undefined;

/** A new error for a cancellation. */
export function cancelledError(message: CancelMessage): CancelledError {
  return hasBrand(message, ABORT_REASON)
    ? new CancelledError(undefined, { cause: (message as AbortReason).cause })
    : new CancelledError(message as string | undefined);
}

/**
 * Whether the error is a cancellation, which a `catch` has to pass on.
 *
 * Also true for a CancelledError of another copy of the package, and for an AbortError that was caused by one. Not true
 * for an error of another library that has the same name.
 *
 * Python: has no such function; there `except Exception` does not catch a CancelledError.
 *
 * @example Handling every error but a cancellation
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const task = asyncio.createTask(async () => {
 *   try {
 *     await asyncio.sleep(3600);
 *   } catch (error) {
 *     if (asyncio.isCancelled(error)) throw error;
 *     console.error("could not sleep:", error);
 *   }
 * });
 * await asyncio.sleep(0);
 * task.cancel();
 * await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
 * ```
 */
export function isCancelled(error: unknown): boolean {
  return cancellationIn(error) !== null;
}

/** AbortErrors that caused one another are followed this far: a `cause` may lead back to its error. */
const MOST_CAUSES = 16;

/** The CancelledError that the error is, or that has caused it where it is an AbortError; otherwise `null`. */
export function cancellationIn(error: unknown): CancelledError | null {
  try {
    let each = error;
    for (let i = 0; i < MOST_CAUSES && each !== null && typeof each === "object"; i++) {
      if (each instanceof CancelledError || isOfOtherCopy(each)) {
        // The task will ask for it, and is not to fail then.
        void (each as CancelledError).reason;
        return each as CancelledError;
      }
      if (!isAbortError(each)) {
        return null;
      }
      each = (each as Error).cause;
    }
  } catch {
    // A getter or a Proxy threw: the error is none of this library's.
  }
  return null;
}

function isOfOtherCopy(error: object): boolean {
  return (error as Error).name === "CancelledError" && (error as CancelledError).code === "ERR_CANCELLED";
}

/** Whether the error is what functions throw that were given an aborted AbortSignal. */
export function isAbortError(error: unknown): boolean {
  try {
    return (error as Error | null | undefined)?.name === "AbortError";
  } catch {
    return false;
  }
}

/** The error as a CancelledError, given that a cancellation has caused it: the very error where it is one. */
export function asCancelledError(error: unknown, message: CancelMessage): CancelledError {
  const cancellation = cancellationIn(error);
  if (cancellation !== null && cancellation === error) {
    return cancellation;
  }
  return new CancelledError(cancellation?.reason ?? (typeof message === "string" ? message : undefined), {
    cause: error,
  });
}

/**
 * The user pressed Ctrl-C while `asyncio.run()` was running, and the main task has been cancelled for it.
 *
 * Python: `KeyboardInterrupt`. Differs: an ordinary Error, thrown by `run()` only.
 */
export class KeyboardInterrupt extends Error {
  static {
    named(this, "KeyboardInterrupt");
  }
  /** `SIGINT`. */
  readonly code = "SIGINT" as const;
}

/**
 * A Future or Task was asked for something that its state does not allow: its result before it is done, a second result.
 *
 * Python: `asyncio.InvalidStateError`. Differs: carries `code`.
 */
export class InvalidStateError extends Error {
  static {
    named(this, "InvalidStateError");
  }
  /** `ERR_INVALID_STATE`. */
  readonly code = "ERR_INVALID_STATE" as const;
}

/**
 * The stream ended before everything that was asked for had arrived: the peer closed it too early.
 *
 * Python: `asyncio.IncompleteReadError`. Differs: `expected` is `null` where Python has `None`.
 */
export class IncompleteReadError extends EOFError {
  static {
    named(this, "IncompleteReadError");
  }
  /** What had arrived; it is no longer in the buffer. */
  readonly partial: Buffer;
  /** How many bytes were asked for; `null` where that is not a number: `readuntil()`. */
  readonly expected: number | null;

  constructor(partial: Buffer, expected: number | null) {
    super(`${partial.length} bytes read on a total of ${expected ?? "undefined"} expected bytes`, {
      code: "ERR_INCOMPLETE_READ",
    });
    this.partial = partial;
    this.expected = expected;
  }
}

/**
 * The separator did not come within the limit of the reader: the peer sends more in one piece than you allow.
 *
 * The bytes are still in the buffer.
 *
 * Python: `asyncio.LimitOverrunError`. Differs: carries `code`.
 */
export class LimitOverrunError extends Error {
  static {
    named(this, "LimitOverrunError");
  }
  /** `ERR_LIMIT_OVERRUN`. */
  readonly code = "ERR_LIMIT_OVERRUN" as const;
  /** How many bytes can be read before the separator, or before the place where it may begin. */
  readonly consumed: number;
  /** How many bytes were allowed. Python: has no such attribute. */
  readonly limit: number | undefined;

  constructor(message: string, consumed: number, limit?: number) {
    super(message);
    this.consumed = consumed;
    this.limit = limit;
  }
}

/**
 * `getNowait()` on a queue that is empty.
 *
 * Python: `asyncio.QueueEmpty`. Differs: carries `code`.
 */
export class QueueEmpty extends Error {
  static {
    named(this, "QueueEmpty");
  }
  /** `ERR_QUEUE_EMPTY`. */
  readonly code = "ERR_QUEUE_EMPTY" as const;
}

/**
 * `putNowait()` on a queue that is full.
 *
 * Python: `asyncio.QueueFull`. Differs: carries `code`.
 */
export class QueueFull extends Error {
  static {
    named(this, "QueueFull");
  }
  /** `ERR_QUEUE_FULL`. */
  readonly code = "ERR_QUEUE_FULL" as const;
}

/**
 * The queue was shut down: nothing can be put into it any more, or everything was taken out of it.
 *
 * Python: `asyncio.QueueShutDown`. Differs: carries `code`.
 */
export class QueueShutDown extends Error {
  static {
    named(this, "QueueShutDown");
  }
  /** `ERR_QUEUE_SHUT_DOWN`. */
  readonly code = "ERR_QUEUE_SHUT_DOWN" as const;
}

/**
 * Others that wait at the barrier will not get through: it was aborted or reset.
 *
 * Python: `asyncio.BrokenBarrierError`. Differs: carries `code`.
 */
export class BrokenBarrierError extends RuntimeError {
  static {
    named(this, "BrokenBarrierError");
  }

  constructor(message?: string) {
    super(message, { code: "ERR_BROKEN_BARRIER" });
  }
}

/**
 * Several tasks of a group failed; all their errors are in `exceptions`.
 *
 * Python: `ExceptionGroup`. Differs: an AggregateError, whose `errors` are the same; no `except*`.
 */
export class ExceptionGroup extends AggregateError {
  static {
    named(this, "ExceptionGroup");
  }
  /** `ERR_EXCEPTION_GROUP`. */
  readonly code = "ERR_EXCEPTION_GROUP" as const;

  constructor(message: string, exceptions: readonly unknown[]) {
    super(exceptions, `${message} (${exceptions.length} sub-exception${exceptions.length === 1 ? "" : "s"})`);
  }

  /** The errors, in the order in which they came. */
  get exceptions(): readonly unknown[] {
    return this.errors;
  }
}

/** Whether `await` would wait for the value. */
export function isThenable(value: unknown): boolean {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) {
    return false;
  }
  try {
    return typeof (value as { then?: unknown }).then === "function";
  } catch {
    // A getter or a Proxy threw, as it would for `await`.
    return true;
  }
}
