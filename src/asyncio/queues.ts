/**
 * Queues: Queue, PriorityQueue, LifoQueue.
 *
 * Theory of operation. A waiting task is woken to check the queue again; it is not handed an item. A task takes an item
 * only when its turn comes, so no item is lost when a waiting task is cancelled. A task that is woken, and cancelled
 * before its turn, wakes the next one.
 */
import { captureSurroundings } from "../contextvars/current.ts";
import { knowMethodsOf } from "../contextvars/detached.ts";
import { ValueError } from "../errors.ts";
import { addressOf, angled, className, Inspectable, repr } from "../repr.ts";
import { checkBoolean, checkNumber, isThenable, notHandedOver } from "./arguments.ts";
import { quiet, quietRejection } from "./async-stacks.ts";
import { QueueEmpty, QueueFull, QueueShutDown } from "./exceptions.ts";
import { Event } from "./locks.ts";
import { Fifo, Heap, Lifo, type Store } from "./queue-stores.ts";
import { Waiter, Waiters } from "./waiters.ts";

/**
 * Passes items between tasks, first in, first out.
 *
 * Python: `asyncio.Queue`.
 *
 * @typeParam T - The type of the items.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const queue = new asyncio.Queue<number>(1);
 * const producer = asyncio.createTask(async () => {
 *   for (const item of [1, 2, 3]) {
 *     await queue.put(item);
 *   }
 *   queue.shutdown();
 * });
 * const items: number[] = [];
 * try {
 *   for (;;) {
 *     items.push(await queue.get());
 *   }
 * } catch (error) {
 *   assert.ok(error instanceof asyncio.QueueShutDown);
 * }
 * await producer;
 * assert.deepEqual(items, [1, 2, 3]);
 * ```
 */
export class Queue<T> extends Inspectable {
  readonly #maxsize: number;
  readonly #store: Store<T>;
  readonly #getters = new Waiters();
  readonly #putters = new Waiters();
  readonly #finished = new QueueFinished(this);
  #unfinished = 0;
  #shutDown = false;

  /** @param maxsize - The maximum number of items; 0 or less for no limit. */
  constructor(maxsize = 0) {
    super();
    checkNumber(`${className(this)}(): maxsize`, maxsize);
    this.#maxsize = maxsize;
    this.#store = this._makeStore();
    this.#finished.set();
  }

  /** The maximum number of items. Python: `Queue.maxsize`. */
  get maxsize(): number {
    return this.#maxsize;
  }

  /** The number of items in the queue. Python: `Queue.qsize()`. */
  qsize(): number {
    return this.#store.size;
  }

  /** Whether the queue is empty. Python: `Queue.empty()`. */
  empty(): boolean {
    return this.#store.size === 0;
  }

  /** Whether the queue is full. Python: `Queue.full()`. */
  full(): boolean {
    return this.#maxsize > 0 && this.#store.size >= this.#maxsize;
  }

  /**
   * Puts an item into the queue; waits while the queue is full. After a cancellation the item is not in the queue.
   *
   * Python: `Queue.put()`. Differs: no Future can be an item.
   *
   * @throws {QueueShutDown} If the queue was shut down.
   * @throws {TypeError} If `item` is a promise, a Future or a Task, which `get()` could not return: `put({ reply })`.
   */
  put(item: T): Promise<void> {
    if (isThenable(item)) {
      return quietRejection(notHandedOver("put()", "put({ reply })"));
    }
    if (this.full() && !this.#shutDown) {
      const Kind = this.#isExtended() ? PutterOfSubclass : Putter;
      return new Kind(this, this.#putters, item).wait();
    }
    try {
      this.putNowait(item);
      return Promise.resolve();
    } catch (error) {
      return quietRejection(error);
    }
  }

  /**
   * Puts an item into the queue without waiting.
   *
   * Python: `Queue.put_nowait()`. Differs: no Future can be an item.
   *
   * @throws {QueueFull} If the queue is full.
   * @throws {QueueShutDown} If the queue was shut down.
   * @throws {TypeError} If `item` is a promise, a Future or a Task: `putNowait({ reply })`.
   */
  putNowait(item: T): void {
    if (isThenable(item)) {
      throw notHandedOver("putNowait()", "putNowait({ reply })");
    }
    if (this.#shutDown) {
      throw new QueueShutDown("the queue was shut down");
    }
    if (this.full()) {
      throw new QueueFull(`the queue is full: maxsize is ${this.#maxsize}`);
    }
    this.#store.put(item);
    this.#unfinished += 1;
    this.#finished.clear();
    wakeNext(this.#getters);
  }

  /**
   * Takes an item from the queue; waits while the queue is empty. After a cancellation no item is lost.
   *
   * Python: `Queue.get()`.
   *
   * @throws {QueueShutDown} If the queue was shut down and is empty.
   */
  get(): Promise<T> {
    if (this.empty() && !this.#shutDown) {
      const Kind = this.#isExtended() ? GetterOfSubclass : Getter<T>;
      return new Kind(this, this.#getters).wait();
    }
    try {
      return Promise.resolve(this.getNowait());
    } catch (error) {
      return quietRejection(error);
    }
  }

  /**
   * Takes an item from the queue without waiting.
   *
   * Python: `Queue.get_nowait()`.
   *
   * @throws {QueueEmpty} If the queue is empty.
   * @throws {QueueShutDown} If the queue is empty and was shut down.
   */
  getNowait(): T {
    if (this.empty()) {
      throw this.#shutDown ? new QueueShutDown("the queue was shut down") : new QueueEmpty("the queue is empty");
    }
    const item = this.#store.take();
    wakeNext(this.#putters);
    return item;
  }

  /**
   * Reports that an item taken from the queue has been processed.
   *
   * Python: `Queue.task_done()`.
   *
   * @throws {ValueError} If it is called more often than items were put into the queue.
   */
  taskDone(): void {
    if (this.#unfinished <= 0) {
      throw new ValueError("taskDone() called too many times");
    }
    this.#oneFinished();
  }

  /** Waits until all items that were put into the queue have been processed. Python: `Queue.join()`. */
  join(): Promise<void> {
    return this.#unfinished > 0 ? quiet(this.#join()) : Promise.resolve();
  }

  /**
   * Shuts the queue down: `put()` throws from now on, and `get()` throws once the queue is empty. With `immediate`, the
   * remaining items are dropped, so `get()` throws right away.
   *
   * Python: `Queue.shutdown()`.
   *
   * @param immediate - Whether to drop the remaining items.
   * @throws {TypeError} If `immediate` is not a boolean.
   */
  shutdown(immediate = false): void {
    // Options, as Python's keyword might suggest, would drop the items.
    checkBoolean("shutdown(): immediate", immediate);
    this.#shutDown = true;
    while (immediate && !this.empty()) {
      this.#store.take();
      if (this.#unfinished > 0) {
        this.#oneFinished();
      }
    }
    for (const waiters of [this.#getters, this.#putters]) {
      while (waiters.size > 0) {
        wakeNext(waiters);
      }
    }
  }

  /** Python's `repr()`: `<Queue at 0x... maxsize=0>`. */
  override toString(): string {
    return angled(
      `${className(this)} at ${addressOf(this)}`,
      `maxsize=${this.#maxsize}`,
      this.empty() ? "" : `_queue=${repr(this.#store.list())}`,
      this.#getters.size > 0 ? `_getters[${this.#getters.size}]` : "",
      this.#putters.size > 0 ? `_putters[${this.#putters.size}]` : "",
      this.#unfinished > 0 ? `tasks=${this.#unfinished}` : "",
      this.#shutDown ? "shutdown" : "",
    );
  }

  /** @internal */
  _makeStore(): Store<T> {
    return new Fifo();
  }

  /** @internal Whether the queue was shut down. */
  get _isShutDown(): boolean {
    return this.#shutDown;
  }

  /** @internal The number of items that have not been processed. */
  get _unfinished(): number {
    return this.#unfinished;
  }

  /** @internal The text for a waiting `get()` or `put()`, for messages. */
  _what(method: "get()" | "put()"): string {
    const size = this.#maxsize > 0 ? `${this.qsize()}/${this.#maxsize}` : `${this.qsize()}`;
    return `${className(this)}.${method} of ${size}`;
  }

  /** Whether a subclass of the program has replaced a method that a waiting `get()` or `put()` calls. */
  #isExtended(): boolean {
    const { prototype } = Queue;
    return (
      this.getNowait !== prototype.getNowait ||
      this.putNowait !== prototype.putNowait ||
      this.empty !== prototype.empty ||
      this.full !== prototype.full
    );
  }

  async #join(): Promise<void> {
    await this.#finished.wait();
  }

  #oneFinished(): void {
    this.#unfinished -= 1;
    if (this.#unfinished === 0) {
      this.#finished.set();
    }
  }
}

/** A waiting `get()`. */
class Getter<T> extends Waiter<T> {
  readonly #queue: Queue<T>;
  readonly #getters: Waiters;

  constructor(queue: Queue<T>, getters: Waiters) {
    super(getters);
    this.#queue = queue;
    this.#getters = getters;
  }

  what(): string {
    return this.#queue._what("get()");
  }

  protected takeTurn(): void {
    if (this.#queue.empty() && !this.#queue._isShutDown) {
      // Another task has taken the item.
      void this.wait();
    } else {
      this.fulfil(this.#queue.getNowait());
    }
  }

  protected override gaveUp(wasWoken: boolean): void {
    if (wasWoken && !this.#queue.empty()) {
      wakeNext(this.#getters);
    }
  }
}

/** Calls the program's methods as code of the task that waits. */
class GetterOfSubclass<T> extends Getter<T> {
  readonly #surroundings = captureSurroundings();

  protected override takeTurn(): void {
    this.#surroundings.runInAsyncScope(() => super.takeTurn());
  }
}

/** A waiting `put()`. */
class Putter<T> extends Waiter<void> {
  readonly #queue: Queue<T>;
  readonly #putters: Waiters;
  readonly #item: T;

  constructor(queue: Queue<T>, putters: Waiters, item: T) {
    super(putters);
    this.#queue = queue;
    this.#putters = putters;
    this.#item = item;
  }

  what(): string {
    return this.#queue._what("put()");
  }

  protected takeTurn(): void {
    if (this.#queue.full() && !this.#queue._isShutDown) {
      void this.wait();
    } else {
      this.#queue.putNowait(this.#item);
      this.fulfil();
    }
  }

  protected override gaveUp(wasWoken: boolean): void {
    if (wasWoken && !this.#queue.full()) {
      wakeNext(this.#putters);
    }
  }
}

/** Calls the program's methods as code of the task that waits. */
class PutterOfSubclass<T> extends Putter<T> {
  readonly #surroundings = captureSurroundings();

  protected override takeTurn(): void {
    this.#surroundings.runInAsyncScope(() => super.takeTurn());
  }
}

/** Set while all items of the queue have been processed. */
class QueueFinished extends Event {
  readonly #queue: { readonly _unfinished: number };

  constructor(queue: { readonly _unfinished: number }) {
    super();
    this.#queue = queue;
  }

  /** @internal */
  override _what(): string {
    return `${className(this.#queue)}.join() ${this.#queue._unfinished} unfinished`;
  }
}

function wakeNext(waiters: Waiters): void {
  for (let waiter = waiters.first; waiter !== null; waiter = waiters.first) {
    waiters.delete(waiter);
    if (waiter.isPending) {
      waiter.wake();
      return;
    }
  }
}

/**
 * A queue that returns the smallest item first.
 *
 * Items are compared with `<`; arrays, such as `[priority, item]`, are compared like Python's tuples.
 *
 * Python: `asyncio.PriorityQueue`.
 */
export class PriorityQueue<T> extends Queue<T> {
  /** @internal */
  override _makeStore(): Store<T> {
    return new Heap();
  }
}

/**
 * A queue that returns the newest item first.
 *
 * Python: `asyncio.LifoQueue`.
 */
export class LifoQueue<T> extends Queue<T> {
  /** @internal */
  override _makeStore(): Store<T> {
    return new Lifo();
  }
}

knowMethodsOf({ LifoQueue, PriorityQueue, Queue });
