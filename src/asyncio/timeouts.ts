/**
 * timeout and timeoutAt: a time limit for a block of code.
 *
 * Theory of operation. At the deadline the task is cancelled. Counting decides whether the CancelledError that leaves
 * the block belongs to this deadline: the task's `cancelling()` is recorded on entry, and `uncancel()` on exit must
 * return that number. If it returns more, other code has cancelled the task as well, and the CancelledError propagates.
 *
 * Promises that are not the library's are not interrupted. A block that waits for one beyond the deadline may return
 * normally; its cancellation is then still pending, and the exit throws a TimeoutError for it.
 */
import { knowMethodsOf } from "../contextvars/detached.ts";
import { RuntimeError } from "../errors.ts";
import { TimeoutError } from "../io-errors.ts";
import { angled, Inspectable, safeRepr } from "../repr.ts";
import { checkFunction, checkSeconds, notConstructible } from "./arguments.ts";
import { ReportedUnlessAwaited } from "./awaited.ts";
import { currentTask } from "./current-task.ts";
import { callAfter, callSoon, type Handle } from "./events.ts";
import type { Task } from "./tasks.ts";
import { time } from "./timers.ts";

type State = "created" | "active" | "expiring" | "expired" | "finished";

/**
 * A time limit; created by {@linkcode timeout} or {@linkcode timeoutAt}, and used once, by `with()`.
 *
 * Python: `asyncio.Timeout`. Differs: `with()` instead of `async with`.
 */
export class Timeout extends Inspectable {
  #when: number | null;
  #state: State = "created";
  #task: Task<unknown> | null = null;
  #handle: Handle | null = null;
  /** The task's number of cancellation requests on entry. */
  #cancelling = 0;
  /** Whether one of those requests was not delivered yet. */
  #mustCancelOnEntry = false;

  /** @internal */
  constructor(when: number | null) {
    super();
    if (when !== null && typeof when !== "number") {
      throw notConstructible("Timeout", "call timeout() or timeoutAt()");
    }
    this.#when = when;
  }

  /** The deadline, in seconds of the loop's clock; `null` for none. Python: `Timeout.when()`. */
  when(): number | null {
    return this.#when;
  }

  /** Whether the deadline was reached inside the block. Python: `Timeout.expired()`. */
  expired(): boolean {
    return this.#state === "expiring" || this.#state === "expired";
  }

  /**
   * Moves the deadline.
   *
   * Python: `Timeout.reschedule()`.
   *
   * @param when - In seconds of the loop's clock; `null` for none.
   * @throws {RuntimeError} Before or after `with()`, and once the deadline was reached.
   * @throws {TypeError} If `when` is neither a number nor `null`; the deadline stays as it was.
   * @throws {ValueError} If `when` is NaN; the deadline stays as it was.
   */
  reschedule(when: number | null): void {
    if (this.#state === "created") {
      throw new RuntimeError("Timeout has not been entered; call reschedule() inside with()", {
        code: "ERR_TIMEOUT_STATE",
      });
    }
    if (this.#state !== "active") {
      throw new RuntimeError(`Cannot change state of ${this.#state} Timeout`, { code: "ERR_TIMEOUT_STATE" });
    }
    if (when !== null) {
      checkSeconds("reschedule(): when", when);
    }
    this.#when = when;
    this.#handle?.cancel();
    this.#handle = null;
    if (when !== null) {
      const now = time();
      const expire = (): void => this.#expire();
      this.#handle = when <= now ? callSoon(expire) : callAfter(now, when, expire);
    }
  }

  /**
   * Runs the function in the current task, and cancels it if it has not returned by the deadline.
   *
   * Python: `async with asyncio.timeout(delay) as t:`. Differs: a method.
   *
   * @param body - Called with this Timeout.
   * @returns The function's result.
   * @throws {TimeoutError} If the deadline was reached, and the function ended with the CancelledError (which is the
   * `cause`), or returned without receiving it because it waited for a promise that is not the library's.
   * @throws {RuntimeError} If the Timeout was already entered, or there is no current task.
   */
  with<T>(body: (timeout: this) => T | PromiseLike<T>): Promise<Awaited<T>> {
    return new ReportedUnlessAwaited(this._with(body));
  }

  /** @internal */
  async _with<T>(body: (timeout: this) => T | PromiseLike<T>): Promise<Awaited<T>> {
    checkFunction("Timeout.with()", body);
    const task = this.#enter();
    let result: Awaited<T>;
    try {
      result = await body(this);
    } catch (error) {
      const cancellation = task._cancellationIn(error);
      const isMine = this.#exit(task);
      if (cancellation === null) {
        throw error;
      }
      throw isMine ? new TimeoutError("the timeout has expired", { cause: error }) : cancellation;
    }
    const isUnnoticed = task._mustCancel;
    if (this.#exit(task) && isUnnoticed) {
      throw new TimeoutError("the timeout expired while the body waited for a promise that cannot be cancelled");
    }
    return result;
  }

  /** Python's `repr()`: `<Timeout [active] when=12.5>`. */
  override toString(): string {
    const when = this.#when === null ? "None" : Math.round(this.#when * 1000) / 1000;
    return angled(`Timeout [${this.#state}]`, this.#state === "active" ? `when=${when}` : "");
  }

  #enter(): Task<unknown> {
    if (this.#state !== "created") {
      throw new RuntimeError("Timeout has already been entered", { code: "ERR_TIMEOUT_STATE" });
    }
    const task = currentTask();
    if (task === null) {
      throw new RuntimeError(
        "Timeout should be used inside a task; call with() in a function that createTask() or run() starts",
        {
          code: "ERR_NO_CURRENT_TASK",
        },
      );
    }
    this.#state = "active";
    this.#task = task;
    this.#cancelling = task.cancelling();
    this.#mustCancelOnEntry = task._mustCancel;
    this.reschedule(this.#when);
    return task;
  }

  /**
   * Leaves the block. Returns `true` if the cancellation that ended it is this Timeout's own and no other is pending.
   */
  #exit(task: Task<unknown>): boolean {
    this.#handle?.cancel();
    this.#handle = null;
    if (this.#state === "expiring") {
      this.#state = "expired";
      if (task.uncancel() > this.#cancelling) {
        return false;
      }
      if (!this.#mustCancelOnEntry) {
        task._takeCancellation();
      }
      return true;
    }
    if (this.#state === "active") {
      this.#state = "finished";
    }
    return false;
  }

  #expire(): void {
    this.#handle = null;
    this.#task?._interrupt();
    this.#state = "expiring";
  }
}

/**
 * Returns a time limit for a block of code, which starts now.
 *
 * ```text
 * await asyncio.timeout(5).with(async (t) => { ... });
 * ```
 *
 * Timeouts can be nested. At the deadline the task's waits are cancelled, those of functions that it runs at the same time
 * included, as in `Promise.all()`; `gather()` runs each in its own task. Promises that are not the library's are not
 * interrupted: `with()` then throws when the block has ended.
 *
 * Python: `asyncio.timeout()`. Differs: `with()` instead of `async with`.
 *
 * @param delay - In seconds. If it is 0 or less, the first wait is cancelled; `null` means no limit, until
 * `reschedule()`.
 * @throws {ValueError} If `delay` is NaN.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * await asyncio.run(async () => {
 *   const answer = asyncio.timeout(0.01).with(async () => {
 *     await asyncio.sleep(3600);
 *   });
 *   await assert.rejects(answer, asyncio.TimeoutError);
 * });
 * ```
 */
export function timeout(delay: number | null): Timeout;
export function timeout(delay: number | null, body?: unknown): Timeout {
  checkNoBody("timeout()", body);
  return new Timeout(delay === null ? null : time() + checkSeconds("timeout(): delay", delay));
}

/**
 * Returns a time limit for a block of code, as a time of the loop's clock.
 *
 * Python: `asyncio.timeout_at()`. Differs: `with()` instead of `async with`.
 *
 * @param when - In seconds of `getRunningLoop().time()`; `null` for no limit.
 * @throws {ValueError} If `when` is NaN.
 */
export function timeoutAt(when: number | null): Timeout;
export function timeoutAt(when: number | null, body?: unknown): Timeout {
  checkNoBody("timeoutAt()", body);
  return new Timeout(when === null ? null : checkSeconds("timeoutAt(): when", when));
}

/** Refuses the block in the place where other libraries take it: it would never run. */
function checkNoBody(caller: string, body: unknown): void {
  if (body !== undefined) {
    throw new TypeError(`${caller} takes no block, got ${safeRepr(body)}; pass it to with()`);
  }
}

knowMethodsOf({ Timeout });
