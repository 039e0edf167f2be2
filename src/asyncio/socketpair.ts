/** socketpair: two sockets that are connected with each other. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { SOCKET_OPTIONS } from "./transports/node-sockets.ts";
import { eventError } from "./transports/os-errors.ts";
import { Wait } from "./waits.ts";

/**
 * Two connected sockets: what is written to the one arrives at the other.
 *
 * They are connected over the loopback address, and end each side by itself.
 *
 * Python: `socket.socketpair()`. Differs: gives a promise; JavaScript has no such function of its own.
 *
 * @throws {OSError} If the system gives no sockets.
 */
export function socketpair(): Promise<[Socket, Socket]> {
  const options = { ...SOCKET_OPTIONS, noDelay: true };
  const server = createServer(options);
  const accepted: Socket[] = [];
  let near: Socket | null = null;
  let stopped = false;
  const stop = (): void => {
    stopped = true;
    server.close();
    for (const socket of [near, ...accepted]) {
      socket?.destroy();
    }
  };
  const wait = new Wait<[Socket, Socket]>("socketpair()", stop);
  const fail = (error: Error): void => {
    stop();
    wait.reject(eventError(error));
  };
  /** The runtimes do not agree on which end is told first, and somebody else may have found the port. */
  const match = (): void => {
    const one = near;
    const other = one?.connecting === false && accepted.find(({ remotePort }) => remotePort === one.localPort);
    if (!one || !other) {
      return;
    }
    server.close();
    for (const stranger of accepted.filter((socket) => socket !== other)) {
      stranger.destroy();
    }
    one.off("error", fail);
    wait.resolve([one, other]);
  };
  server.on("error", fail);
  server.on("connection", (socket) => {
    accepted.push(socket);
    match();
  });
  server.on("listening", () => {
    if (stopped) {
      // Closing does nothing to a server that is only about to listen.
      server.close();
      return;
    }
    near = connect({ ...options, host: "127.0.0.1", port: (server.address() as AddressInfo).port });
    near.on("error", fail);
    near.on("connect", match);
  });
  server.listen({ host: "127.0.0.1", port: 0, backlog: 1 });
  return wait.begin();
}
