/** socketpair: two sockets that are connected to each other. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { SOCKET_OPTIONS } from "./transports/node-sockets.ts";
import { eventError } from "./transports/os-errors.ts";
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
  /** The runtimes report the two ends in different orders, and another program may have connected to the port. */
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
      // Closing a server that does not listen yet has no effect.
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
