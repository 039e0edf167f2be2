/** The open connections and servers, collected while a test asks for them. */

/** A connection or a server. */
export interface Openable {
  /**
   * Closes it immediately.
   *
   * @internal - As in the classes, so that their declarations fit this one.
   */
  _endNow(): void;
  toString(): string;
}

let collected: Set<Openable> | null = null;

/** From now on, keeps every newly opened connection and server in the set until it is closed; `null` ends that. */
export function collectOpen(into: Set<Openable> | null): void {
  collected = into;
}

export function opened(openable: Openable): void {
  collected?.add(openable);
}

export function closed(openable: Openable): void {
  collected?.delete(openable);
}
