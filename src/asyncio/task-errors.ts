/**
 * The errors of tasks and Futures, and `isCancelled()`, the test for the one that must never be swallowed.
 */
import { setErrorName } from "../errors.ts";
import { safeRepr } from "../repr.ts";
import { ABORT_REASON, hasBrand } from "./brands.ts";

/**
 * The task was cancelled: code called `cancel()` on it, or on something it waits for.
 *
 * JavaScript's `catch` also catches it, unlike Python's `except Exception`: rethrow it, see {@linkcode isCancelled}.
 *
 * Python: `asyncio.CancelledError`. Differs: an ordinary Error; the message is also in `reason`.
 */
export class CancelledError extends Error {
  static {
    setErrorName(this, "CancelledError");
  }
  /** `ERR_CANCELLED`. */
  readonly code = "ERR_CANCELLED" as const;
  /** The message passed to `cancel()`; `undefined` if there was none. */
  readonly reason: string | undefined;

  constructor(reason?: string, options?: ErrorOptions) {
    // An untyped program may pass anything to `cancel()`, such as a Symbol.
    const text: unknown = reason ?? "";
    super(typeof text === "string" ? text : safeRepr(text), options);
    this.reason = reason;
  }
}

/** The reason of an aborted AbortSignal; takes the place of the message when the signal cancels a task. */
export class AbortReason {
  static {
    Object.defineProperty(this.prototype, ABORT_REASON, { value: true });
  }
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

/** The message that a cancellation passes to everything that it cancels. */
export type CancelMessage = string | AbortReason | undefined;

/** Creates the error for a cancellation. */
export function cancelledError(message: CancelMessage): CancelledError {
  return hasBrand(message, ABORT_REASON)
    ? new CancelledError(undefined, { cause: (message as AbortReason).cause })
    : new CancelledError(message as string | undefined);
}

/** What the cancellation passed on that became the error. */
export function cancelMessageOf({ reason, cause }: CancelledError): CancelMessage {
  return reason === undefined && cause !== undefined ? new AbortReason(cause) : reason;
}

/**
 * Whether the error is a cancellation, which a `catch` has to rethrow.
 *
 * Also true for a CancelledError of another copy of the package; for an AbortError that a CancelledError caused; for an
 * AggregateError whose errors are all cancellations, as `Promise.any()` throws it; and for a SuppressedError whose
 * `error` is a cancellation: a block threw an error, and then the end of its `using` was cancelled. False for an error of
 * another library with the same name.
 *
 * Python: has no such function; there `except Exception` does not catch a CancelledError.
 *
 * @example Handling every error except a cancellation
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

/** How many AbortErrors that caused one another are followed: a `cause` may lead back to its error. */
const MOST_CAUSES = 16;

/**
 * The error itself if it is a CancelledError; the CancelledError that caused an AbortError, or that the end of a `using`
 * block has thrown; the first of an AggregateError that holds only cancellations; otherwise `null`.
 */
export function cancellationIn(error: unknown): CancelledError | null {
  try {
    if ((error as Error | null | undefined)?.name !== "AggregateError") {
      return causeIn(error);
    }
    const causes = (error as AggregateError).errors.map(causeIn);
    return causes.includes(null) ? null : (causes[0] ?? null);
  } catch {
    // A getter or a Proxy threw, so the error is not one of this library's.
    return null;
  }
}

function causeIn(error: unknown): CancelledError | null {
  let each = error;
  for (let i = 0; i < MOST_CAUSES && each !== null && typeof each === "object"; i++) {
    if (each instanceof CancelledError || isOfOtherCopy(each)) {
      // The task will read them, and must not fail then.
      void (each as CancelledError).reason;
      void (each as CancelledError).cause;
      return each as CancelledError;
    }
    const { name } = each as Error;
    if (name !== "AbortError" && name !== "SuppressedError") {
      return null;
    }
    // `using` keeps the later error so, which in Python is the one that is raised.
    each = name === "AbortError" ? (each as Error).cause : (each as SuppressedError).error;
  }
  return null;
}

function isOfOtherCopy(error: object): boolean {
  return (error as Error).name === "CancelledError" && (error as CancelledError).code === "ERR_CANCELLED";
}

/** Whether the error is an AbortError, as thrown by functions whose AbortSignal is aborted. */
export function isAbortError(error: unknown): boolean {
  try {
    return (error as Error | null | undefined)?.name === "AbortError";
  } catch {
    return false;
  }
}

/** Returns the error as a CancelledError, given that a cancellation caused it: the same error if it is one. */
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
 * The operation is not possible in the Future's or Task's state: reading a result before it is done, or setting a
 * second result.
 *
 * Python: `asyncio.InvalidStateError`. Differs: carries `code`.
 */
export class InvalidStateError extends Error {
  static {
    setErrorName(this, "InvalidStateError");
  }
  /** `ERR_INVALID_STATE`. */
  readonly code = "ERR_INVALID_STATE" as const;
}
