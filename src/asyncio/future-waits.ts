/** Who waits for a Future: the items that it queues when it is done. */
import { functionName, repr } from "../repr.ts";
import { fromCallback } from "./async-stacks.ts";
import { callExceptionHandler, Handle } from "./events.ts";
import type { Future } from "./futures.ts";
import { enqueue, type Ready, runOrEnqueue } from "./ready.ts";
import { type CancelMessage, cancelledError } from "./task-errors.ts";
import { type Cancellable, CancelledWait, Settleable, type WaitingTask, waitingTask } from "./waits.ts";

/** A function of the library itself, which does not wait. */
export class Observer<F> implements Ready {
  readonly #callback: (future: F) => void;
  readonly #future: F;
  /** The name of the observer, for messages. */
  readonly observer: string | undefined;
  /** The task that waits for the observed Future. */
  readonly awaitedBy: object | null;

  constructor(callback: (future: F) => void, future: F, observer: string | undefined, awaitedBy: object | null) {
    this.#callback = callback;
    this.#future = future;
    this.observer = observer;
    this.awaitedBy = awaitedBy;
  }

  _step(): boolean {
    try {
      this.#callback(this.#future);
    } catch (exception) {
      // Of a method that a subclass of the program has replaced.
      callExceptionHandler({ message: `Exception in ${this.observer ?? "the library"}`, exception });
    }
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

  /**
   * Ends the wait with a CancelledError, and leaves the Future alone: it is a task that waits, through others, for the
   * task of this wait, so neither of them would end.
   */
  abandon(message: CancelMessage): void {
    this.#future._unobserve(this);
    this.#task?._stopWaiting(this);
    enqueue(new CancelledWait(this, message));
  }

  _wakeCancelled(message: CancelMessage): void {
    // A later cancellation is delivered together with this one.
    this.#task?._takeCancellation();
    this.fail(fromCallback(cancelledError(message)));
  }

  _step(): boolean {
    this.#task?._stopWaiting(this);
    this.#future._settle(this, this.#task?._takeCancellation() ?? null);
    return true;
  }
}

/** The items, in order. Usually there is one, which needs no Set. */
export type WaitingItems = Ready | Set<Ready> | null;

/** Returns the items with one more. */
export function withItem(items: WaitingItems, item: Ready): WaitingItems {
  if (items === null) {
    return item;
  }
  return items instanceof Set ? items.add(item) : new Set([items, item]);
}

/** Returns the items without the given one. */
export function withoutItem(items: WaitingItems, item: Ready): WaitingItems {
  if (items instanceof Set) {
    items.delete(item);
    return items;
  }
  return items === item ? null : items;
}

/** @param stepEnds - Whether the running step ends with this call. */
export function enqueueAll(items: WaitingItems, stepEnds: boolean): void {
  if (items instanceof Set) {
    for (const item of items) {
      enqueue(item);
    }
  } else if (items !== null && stepEnds) {
    runOrEnqueue(items);
  } else if (items !== null) {
    enqueue(items);
  }
}

function listOf(items: WaitingItems): Ready[] {
  return items instanceof Set ? [...items] : items === null ? [] : [items];
}

/** The tasks that wait, in order. */
export function tasksAmong(items: WaitingItems): Set<object> {
  const tasks = listOf(items).map((item) =>
    item instanceof Observer || item instanceof FutureWait ? item.awaitedBy : null,
  );
  return new Set(tasks.filter((task) => task !== null));
}

/** The part of a Future's text that names the callbacks. */
export function callbackDetails(items: WaitingItems): string[] {
  const names = listOf(items)
    .map(callbackName)
    .filter((name) => name !== undefined);
  if (names.length === 0) {
    return [];
  }
  const shown = names.length <= 2 ? names : [names[0], `<${names.length - 2} more>`, names.at(-1)];
  return [`cb=[${shown.join(", ")}]`];
}

function callbackName(item: Ready): string | undefined {
  if (item instanceof Observer) {
    return item.observer;
  }
  if (item instanceof FutureWait) {
    return "Task.task_wakeup()";
  }
  return item instanceof Handle ? `${functionName(item._named)}()` : undefined;
}
