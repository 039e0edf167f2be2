/**
 * The open connections of a server.
 *
 * They form a linked list, as the tasks that are not done do: a place in a Set would cost more memory, and time for each
 * connection that comes and goes.
 */
import type { SocketTransport } from "../transports/socket-transport.ts";

export class OpenConnections {
  #oldest: SocketTransport | null = null;
  #newest: SocketTransport | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Returns all of them, the oldest first. */
  all(): SocketTransport[] {
    const all: SocketTransport[] = [];
    for (let each = this.#oldest; each !== null; each = each._newer) {
      all.push(each);
    }
    return all;
  }

  add(transport: SocketTransport): void {
    transport._older = this.#newest;
    if (this.#newest === null) {
      this.#oldest = transport;
    } else {
      this.#newest._newer = transport;
    }
    this.#newest = transport;
    this.#size += 1;
  }

  /** Removes a connection that was added. */
  delete(transport: SocketTransport): void {
    const { _older: older, _newer: newer } = transport;
    if (older === null) {
      this.#oldest = newer;
    } else {
      older._newer = newer;
    }
    if (newer === null) {
      this.#newest = older;
    } else {
      newer._older = older;
    }
    transport._older = null;
    transport._newer = null;
    this.#size -= 1;
  }
}
