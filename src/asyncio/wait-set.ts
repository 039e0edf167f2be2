/** WaitSet: the waits for one event, such as the end of a connection; the event ends them all. */
import { type Wait, WaitOn } from "./waits.ts";

export class WaitSet<T> {
  readonly #waits = new Set<Wait<T>>();
  readonly #onCancel: (() => void) | undefined;

  /** @param onCancel - Called when a wait was cancelled and is no longer in the set. */
  constructor(onCancel?: () => void) {
    this.#onCancel = onCancel;
  }

  get isEmpty(): boolean {
    return this.#waits.size === 0;
  }

  /**
   * Begins a wait.
   *
   * @param what - Describes the call that waits, and what it waits for.
   * @param isOutside - Whether something outside the library causes the event.
   */
  begin(what: () => string, isOutside: () => boolean): Promise<T> {
    const wait: Wait<T> = new WaitOn(what, isOutside, () => {
      this.#waits.delete(wait);
      this.#onCancel?.();
    });
    this.#waits.add(wait);
    return wait.begin();
  }

  resolveAll(value: T): void {
    for (const wait of this.#waits) {
      wait.resolve(value);
    }
    this.#waits.clear();
  }

  rejectAll(error: unknown): void {
    for (const wait of this.#waits) {
      wait.reject(error);
    }
    this.#waits.clear();
  }
}
