/** The open connections, servers and child processes, collected while a test asks for them. */

/** A connection, a server or a child process. */
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

/** From now on, keeps every new connection, server and child process in the set until it has ended; `null` ends that. */
export function collectOpen(into: Set<Openable> | null): void {
  collected = into;
}

/** Whether a test asks for what is left open: then nothing may end because it was garbage-collected. */
export function isCollecting(): boolean {
  return collected !== null;
}

/** Whether a test hears of the connection, server or child process. */
export function isCollected(openable: object): boolean {
  return (collected as Set<object> | null)?.has(openable) === true;
}

export function opened(openable: Openable): void {
  collected?.add(openable);
}

export function closed(openable: Openable): void {
  collected?.delete(openable);
}
