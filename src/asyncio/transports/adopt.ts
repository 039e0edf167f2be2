/** Taking over a socket, a stream or a file descriptor that other code created, for the option `sock`. */
import { Socket, type TcpNetConnectOpts } from "node:net";
import { Duplex } from "node:stream";
import { RuntimeError, ValueError } from "../../errors.ts";
import { ConnectionAbortedError } from "../../io-errors.ts";
import { className, repr } from "../../repr.ts";
import { fromCallback } from "../async-stacks.ts";
import { ON_BUN } from "../runtime.ts";
import { Wait } from "../waits.ts";
import { checkReadable, checkWritable, claim } from "./claims.ts";
import { SOCKET_OPTIONS, socketDescriptor } from "./node-sockets.ts";
import { connectError, eventError } from "./os-errors.ts";

/** A connected socket, any two-way stream, or a file descriptor of a connected socket. */
export type ConnectedSocket = Socket | Duplex | { readonly fd: number };

/** Returns a socket that other code created, once it is connected. */
export async function adoptSocket(sock: ConnectedSocket, caller: string): Promise<Duplex> {
  if (sock instanceof Duplex) {
    const socket = sock as Duplex & Partial<Socket>;
    if (socket.destroyed) {
      throw new ValueError(`sock is already closed: ${className(socket)}`);
    }
    checkReadable("sock", socket);
    checkWritable("sock", socket);
    if (socket.listenerCount("readable") > 0) {
      throw new RuntimeError(`sock has a listener for 'readable', which would keep its data: remove it first`);
    }
    if (!claim(socket)) {
      throw new RuntimeError(`another connection already uses sock: ${className(socket)}`);
    }
    if (socket.connecting === true) {
      await untilConnected(socket, () => `${caller} sock`);
    }
    while (socket.writableCorked > 0) {
      socket.uncork();
    }
    socket.setNoDelay?.(true);
    return socket;
  }
  return socketOf(socketDescriptor(sock));
}

function socketOf(fd: number): Socket {
  try {
    const socket = new Socket({ ...SOCKET_OPTIONS, fd });
    // Bun needs the second call.
    return ON_BUN ? socket.connect({ fd } as object as TcpNetConnectOpts) : socket;
  } catch (cause) {
    // A datagram socket, for example.
    throw new ValueError(`A Stream Socket was expected, got ${repr({ fd })}`, { cause });
  }
}

/**
 * Waits until the socket is connected; a cancellation destroys it.
 *
 * @param address - The address it connects to, as error messages show it, if it is known.
 */
export function untilConnected(socket: Duplex, what: () => string, address?: string): Promise<void> {
  const wait = new Wait<void>(what, () => socket.destroy());
  const onError = (error: Error): void =>
    wait.reject(address === undefined ? eventError(error) : connectError(error, address));
  socket.once("error", onError);
  socket.once("close", () =>
    wait.reject(fromCallback(new ConnectionAbortedError("the socket was closed before it was connected"))),
  );
  socket.once("connect", () => {
    socket.off("error", onError);
    wait.resolve();
  });
  return wait.begin();
}
