/** What is open: connections and servers, while a test asks for it. */

/** A connection or a server. */
export interface Openable {
  /** Closes it at once. */
  _endNow(): void;
  toString(): string;
}

let collected: Set<Openable> | null = null;

/** Has everything put into the set that is opened from now on, until it is closed; `null` ends that. */
export function collectOpen(into: Set<Openable> | null): void {
  collected = into;
}

export function opened(openable: Openable): void {
  collected?.add(openable);
}

export function closed(openable: Openable): void {
  collected?.delete(openable);
}
