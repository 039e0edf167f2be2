/** How queues hold their items: pure data structures, without waits. */

/** The storage of a queue's items. */
export interface Store<T> {
  readonly size: number;
  put(item: T): void;
  take(): T;
  list(): readonly T[];
}

/** First in, first out: an array and the index of the first item, so that taking is as cheap as putting. */
export class Fifo<T> implements Store<T> {
  #items: (T | undefined)[] = [];
  #first = 0;

  get size(): number {
    return this.#items.length - this.#first;
  }

  put(item: T): void {
    this.#items.push(item);
  }

  take(): T {
    const item = this.#items[this.#first] as T;
    this.#items[this.#first] = undefined;
    this.#first += 1;
    if (this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  list(): readonly T[] {
    return this.#items.slice(this.#first) as T[];
  }
}

/** Last in, first out. */
export class Lifo<T> implements Store<T> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  put(item: T): void {
    this.#items.push(item);
  }

  take(): T {
    return this.#items.pop() as T;
  }

  list(): readonly T[] {
    return this.#items;
  }
}

/** Smallest first: a binary heap, in which no item is smaller than its parent at half its index. */
export class Heap<T> implements Store<T> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  put(item: T): void {
    this.#rise(item, this.#items.length);
  }

  take(): T {
    const items = this.#items;
    const smallest = items[0] as T;
    const last = items.pop() as T;
    if (items.length > 0) {
      this.#sink(last);
    }
    return smallest;
  }

  list(): readonly T[] {
    return this.#items;
  }

  /** Moves the item up from the free place `from` until its parent is not greater. */
  #rise(item: T, from: number): void {
    const items = this.#items;
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isLess(item, items[parent])) {
        break;
      }
      items[place] = items[parent] as T;
      place = parent;
    }
    items[place] = item;
  }

  /**
   * Inserts the item at the top by Python's algorithm, so that equal items are returned in Python's order: first down
   * to the bottom along the smaller children, then up.
   */
  #sink(item: T): void {
    const items = this.#items;
    let place = 0;
    for (let child = 1; child < items.length; child = 2 * place + 1) {
      if (child + 1 < items.length && !isLess(items[child], items[child + 1])) {
        child += 1;
      }
      items[place] = items[child] as T;
      place = child;
    }
    this.#rise(item, place);
  }
}

/** JavaScript's `<`, and for arrays Python's: the first pair that differs decides. */
function isLess(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) {
    return (a as number) < (b as number);
  }
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (isLess(a[i], b[i])) {
      return true;
    }
    if (isLess(b[i], a[i])) {
      return false;
    }
  }
  return a.length < b.length;
}
