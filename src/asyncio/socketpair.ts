/** socketpair: two sockets that are connected to each other. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { fromCallback } from "./async-stacks.ts";
import { SOCKET_OPTIONS } from "./transports/node-sockets.ts";
import { listenError } from "./transports/os-errors.ts";
import { Wait } from "./waits.ts";

/**
 * Returns two connected sockets: bytes written to one arrive at the other.
 *
 * They are connected over the loopback address. Ending one socket does not end the other.
 *
 * Python: `socket.socketpair()`. Differs: returns a promise.
 *
 * @throws {OSError} If the system cannot create the sockets.
 */
export function socketpair(): Promise<[Socket, Socket]> {
  return new Pairing().run();
}

const OPTIONS = { ...SOCKET_OPTIONS, noDelay: true };

/** A server that accepts the connection of its own client. */
class Pairing {
  readonly #server = createServer(OPTIONS);
  readonly #accepted: Socket[] = [];
  #near: Socket | null = null;
  #isStopped = false;
  readonly #wait = new Wait<[Socket, Socket]>("socketpair()", () => this.#stop());
  readonly #fail = (error: Error): void => {
    this.#stop();
    this.#wait.reject(fromCallback(listenError(error)));
  };

  run(): Promise<[Socket, Socket]> {
    this.#server.on("error", this.#fail);
    this.#server.on("connection", (socket) => {
      this.#accepted.push(socket);
      this.#match();
    });
    this.#server.on("listening", () => this.#connect());
    this.#server.listen({ host: "127.0.0.1", port: 0, backlog: 1 });
    return this.#wait.begin();
  }

  #connect(): void {
    if (this.#isStopped) {
      // Closing a server that does not listen yet has no effect.
      this.#server.close();
      return;
    }
    const { port } = this.#server.address() as AddressInfo;
    this.#near = connect({ ...OPTIONS, host: "127.0.0.1", port });
    this.#near.on("error", this.#fail);
    this.#near.on("connect", () => this.#match());
  }

  /** The runtimes report the two ends in different orders, and another program may have connected to the port. */
  #match(): void {
    const near = this.#near;
    const far = near?.connecting === false && this.#accepted.find(({ remotePort }) => remotePort === near.localPort);
    if (!near || !far) {
      return;
    }
    this.#server.close();
    for (const stranger of this.#accepted.filter((socket) => socket !== far)) {
      stranger.destroy();
    }
    near.off("error", this.#fail);
    this.#wait.resolve([near, far]);
  }

  #stop(): void {
    this.#isStopped = true;
    this.#server.close();
    for (const socket of [this.#near, ...this.#accepted]) {
      socket?.destroy();
    }
  }
}
