/** Who waits for a Future: what it puts into the queue when it is done. */
import { functionName, repr } from "../repr.ts";
import { Handle } from "./events.ts";
import type { CancelMessage } from "./exceptions.ts";
import type { Future } from "./futures.ts";
import type { Ready } from "./ready.ts";
import { type Cancellable, Settleable, type WaitingTask, waitingTask } from "./waits.ts";

/** A function of the library itself, which does not wait and cannot throw. */
export class Observer implements Ready {
  readonly #callback: () => void;
  /** The name of the observer, for messages. */
  readonly observer: string | undefined;
  /** The task that waits for the observed Future. */
  readonly awaitedBy: object | null;

  constructor(callback: () => void, observer: string | undefined, awaitedBy: object | null) {
    this.#callback = callback;
    this.observer = observer;
    this.awaitedBy = awaitedBy;
  }

  _step(): boolean {
    this.#callback();
    return false;
  }
}

/** A task's wait for a Future, which cancelling the task ends. */
export class FutureWait<T> extends Settleable<T> implements Cancellable, Ready {
  readonly #future: Future<T>;
  readonly #task: WaitingTask | null = waitingTask();

  constructor(future: Future<T>) {
    super();
    this.#future = future;
  }

  begin(): void {
    this.#task?._waitFor(this);
  }

  get awaitedBy(): object | null {
    return this.#task;
  }

  waitedFor(): string {
    return this.#future._awaitedAs();
  }

  override toString(): string {
    return repr(this.#task ?? this.#future);
  }

  cancel(message: CancelMessage): boolean {
    return this.#future.cancel(message);
  }

  _step(): boolean {
    this.#task?._stopWaiting(this);
    this.#future._tell(this, this.#task?._takeCancellation() ?? null);
    return true;
  }
}

/** The name of a waiting item, for messages. */
export function callbackName(item: Ready): string | undefined {
  if (item instanceof Observer) {
    return item.observer;
  }
  if (item instanceof FutureWait) {
    return "Task.task_wakeup()";
  }
  return item instanceof Handle ? `${functionName(item._named)}()` : undefined;
}
