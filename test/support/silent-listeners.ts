/** Addresses that never answer: listeners that accept no connection, with a full queue. */
import { once } from "node:events";
import * as net from "node:net";
import { Worker } from "node:worker_threads";
import * as asyncio from "contextvars/asyncio";

/** A listener in a thread that sleeps forever: the system accepts connections for it until its queue is full. */
const PROGRAM = `
const { parentPort, workerData } = require("node:worker_threads");
const server = require("node:net").createServer();
server.listen({ ...workerData, backlog: 1 }, () => {
  parentPort.postMessage(null);
  setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
});
`;

/** More than any runtime makes of a backlog of 1. */
const MOST_CONNECTIONS = 5;

/** Makes an address never answer at the port, until it is disposed of; `null` if that is not possible. */
export async function silentListener(host: string, port: number): Promise<AsyncDisposable | null> {
  const worker = new Worker(PROGRAM, { eval: true, workerData: { host, port } });
  await once(worker, "message");
  const taken: net.Socket[] = [];
  const dispose = async (): Promise<void> => {
    for (const socket of taken) {
      socket.destroy();
    }
    await worker.terminate();
  };
  for (let i = 0; i < MOST_CONNECTIONS; i++) {
    const socket = net.connect({ host, port });
    socket.on("error", () => {});
    taken.push(socket);
    // Over the loopback device a connection is made immediately or not at all; a runtime may report it late.
    await asyncio.sleep(0.02);
    if (socket.connecting) {
      return { [Symbol.asyncDispose]: dispose };
    }
  }
  await dispose();
  return null;
}

/** Records all sockets that connect, until it is disposed of. */
export class Attempts implements Disposable {
  readonly sockets: net.Socket[] = [];
  /** Where to, in order. */
  readonly hosts: string[] = [];
  readonly #connect = net.Socket.prototype.connect;

  constructor() {
    // oxlint-disable-next-line typescript/no-this-alias
    const attempts = this;
    const connect = this.#connect;
    net.Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]): net.Socket {
      const [{ host, path }] = args as [{ host?: string; path?: string }];
      attempts.sockets.push(this);
      attempts.hosts.push(host ?? path ?? "");
      return Reflect.apply(connect, this, args) as net.Socket;
    } as typeof connect;
  }

  [Symbol.dispose](): void {
    net.Socket.prototype.connect = this.#connect;
  }
}
