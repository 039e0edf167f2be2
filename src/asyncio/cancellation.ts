/** The cancellation of a task: how often it was requested, whether it was delivered, and the signal that announces it. */
import { captureSurroundings, type Surroundings } from "../contextvars/current.ts";
import { fromCallback } from "./async-stacks.ts";
import { FutureWait } from "./future-waits.ts";
import {
  AbortReason,
  asCancelledError,
  type CancelledError,
  type CancelMessage,
  cancellationIn,
  cancelledError,
  isAbortError,
} from "./task-errors.ts";
import type { Task } from "./tasks.ts";
import type { Cancellable } from "./waits.ts";

/** The cancellation requests of one task. Most tasks have none. */
export class Cancellation {
  /** The number of requests that were not withdrawn. */
  requests = 0;
  /** Whether a request has not been delivered yet. */
  isPending = false;
  /** Whether the pending request comes from a `timeout()` or TaskGroup in the task itself. */
  isOwn = false;
  /** The message of the latest request. */
  message: CancelMessage;
  #abort: AbortController | null = null;
  /** The surroundings of the code that asked for the signal. Its listeners run in them, whoever cancels the task. */
  #surroundings: Surroundings | null = null;
  /** Whether the task's waits are being cancelled, and whether that has led back to the task, which awaits itself. */
  #isUnderway = false;
  #ledBack = false;

  /** @returns False for a request that is part of another one, because the task awaits itself through other tasks. */
  request(message: CancelMessage, waits: readonly Cancellable[], isOwn: boolean): boolean {
    if (this.#isUnderway) {
      this.#ledBack = true;
      return false;
    }
    this.requests += 1;
    const isDelivered = this.#cancelWaits(message, waits);
    this.message = message;
    if (!isDelivered) {
      this.isOwn = isOwn && (this.isOwn || !this.isPending);
      this.isPending = true;
    }
    this.#surroundings?.runInAsyncScope(() => this.#abort?.abort(cancelledError(message)));
    return true;
  }

  /** Returns whether one of the waits was cancelled. */
  #cancelWaits(message: CancelMessage, waits: readonly Cancellable[]): boolean {
    let isDelivered = false;
    this.#isUnderway = true;
    try {
      for (const wait of waits) {
        this.#ledBack = false;
        const isCancelled = wait.cancel(message);
        if (this.#ledBack && wait instanceof FutureWait) {
          wait.abandon(message);
        }
        isDelivered ||= isCancelled || this.#ledBack;
      }
    } finally {
      this.#isUnderway = false;
    }
    return isDelivered;
  }

  /** Withdraws one request, and returns how many are left. */
  withdraw(): number {
    if (this.requests > 0) {
      this.requests -= 1;
    }
    if (this.requests === 0) {
      this.isPending = false;
      if (this.#abort?.signal.aborted) {
        this.#abort = null;
        this.#surroundings = null;
      }
    }
    return this.requests;
  }

  /** A signal that the next request aborts. It is already aborted if there are requests. */
  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      this.#surroundings = captureSurroundings();
      if (this.requests > 0) {
        this.#abort.abort(cancelledError(this.message));
      }
    }
    return this.#abort.signal;
  }

  /** Returns the error of the pending request, which then counts as delivered; `null` if there is none. */
  deliver(): CancelledError | null {
    if (!this.isPending) {
      return null;
    }
    this.isPending = false;
    return fromCallback(cancelledError(this.message));
  }

  /**
   * The cancellation that caused an error of the task's function, which then counts as delivered; otherwise `null`.
   *
   * Functions with an aborted signal throw its reason, or an AbortError with or without the reason as its cause. An
   * AbortError without it counts if the request has not been delivered in another way.
   */
  causeOf(error: unknown): CancelledError | null {
    const signal = this.#abort?.signal;
    const cancellation = cancellationIn(error);
    if (cancellation === null && !(this.isPending && signal?.aborted === true && isAbortError(error))) {
      return null;
    }
    if (cancellation === null || cancellation === signal?.reason) {
      this.isPending = false;
    }
    return asCancelledError(error, this.message);
  }
}

/** The tasks that a signal cancels, and the listener that they share. */
interface Abortable {
  readonly tasks: Set<Task<unknown>>;
  readonly onAbort: () => void;
}

const abortables = new WeakMap<AbortSignal, Abortable>();

/**
 * Cancels the task when the signal is aborted.
 *
 * A signal has one listener for all its tasks: Node 20 warns of more than ten, and removing one of many takes as long
 * as there are listeners.
 */
export function cancelOnAbort(task: Task<unknown>, signal: AbortSignal): void {
  if (signal.aborted) {
    task.cancel(new AbortReason(signal.reason));
    return;
  }
  const { tasks, onAbort } = abortables.get(signal) ?? listenForAbort(signal);
  tasks.add(task);
  task._observe(() => {
    tasks.delete(task);
    if (tasks.size === 0 && abortables.get(signal)?.tasks === tasks) {
      abortables.delete(signal);
      signal.removeEventListener("abort", onAbort);
    }
  });
}

function listenForAbort(signal: AbortSignal): Abortable {
  const tasks = new Set<Task<unknown>>();
  const onAbort = (): void => {
    for (const task of tasks) {
      task.cancel(new AbortReason(signal.reason));
    }
  };
  const abortable = { tasks, onAbort };
  abortables.set(signal, abortable);
  signal.addEventListener("abort", onAbort, { once: true });
  return abortable;
}
