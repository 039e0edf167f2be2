/** socketpair: two sockets that are connected with each other. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { READ_SIZE } from "./transports/connect.ts";
import { toOSError } from "./transports/os-errors.ts";
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
  const options = { allowHalfOpen: true, noDelay: true, highWaterMark: READ_SIZE };
  const server = createServer(options);
  const stop = (): void => {
    server.close();
    near?.destroy();
  };
  const wait = new Wait<[Socket, Socket]>(stop);
  const fail = (error: Error): void => {
    stop();
    wait.reject(toOSError(error));
  };
  let near: Socket | undefined;
  server.on("error", fail);
  server.on("connection", (far) => {
    // Somebody else may have found the port first.
    if (near === undefined || far.remotePort !== near.localPort) {
      far.destroy();
      return;
    }
    const one = near;
    server.close();
    one.off("error", fail);
    if (one.connecting) {
      one.once("connect", () => wait.resolve([one, far]));
    } else {
      wait.resolve([one, far]);
    }
  });
  server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
    near = connect({ ...options, host: "127.0.0.1", port: (server.address() as AddressInfo).port });
    near.on("error", fail);
  });
  return wait.begin();
}
