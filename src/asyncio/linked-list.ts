/** A linked list of objects that hold their neighbours themselves, which costs less than a place in a Set. */

/** An object that can be in one list. */
export interface Linked<T> {
  /** @internal */
  _older: T | null;
  /** @internal */
  _newer: T | null;
}

export class LinkedList<T extends Linked<T>> {
  #oldest: T | null = null;
  #newest: T | null = null;

  /** Goes through the list, the oldest first. An object must not leave the list meanwhile. */
  *[Symbol.iterator](): Generator<T, void> {
    for (let each = this.#oldest; each !== null; each = each._newer) {
      yield each;
    }
  }

  add(added: T): void {
    added._older = this.#newest;
    if (this.#newest === null) {
      this.#oldest = added;
    } else {
      this.#newest._newer = added;
    }
    this.#newest = added;
  }

  /** Removes an object that was added. */
  delete(removed: T): void {
    const { _older: older, _newer: newer } = removed;
    if (older === null) {
      this.#oldest = newer;
    } else {
      older._newer = newer;
      removed._older = null;
    }
    if (newer === null) {
      this.#newest = older;
    } else {
      newer._older = older;
      removed._newer = null;
    }
  }
}
