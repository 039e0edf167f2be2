/** openConnection: from a host and a port to a reader and a writer. */
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { copyContext } from "../contextvars/context.ts";
import { OSError, ValueError } from "../errors.ts";
import { repr } from "../repr.ts";
import { checkOptions } from "./exceptions.ts";
import { StreamReader } from "./streams/reader.ts";
import { StreamProtocol } from "./streams/stream-protocol.ts";
import { StreamWriter } from "./streams/writer.ts";
import { addressTuple, type Family, lookUp } from "./transports/addresses.ts";
import { toOSError } from "./transports/os-errors.ts";
import { SocketTransport } from "./transports/socket.ts";
import { Wait } from "./waits.ts";

/** How much a socket reads ahead; the same on every Node. */
export const READ_SIZE: number = 64 * 1024; // bytes

/** A connected socket, any two-way stream, or a file descriptor of a connected socket. */
export type ConnectedSocket = Socket | Duplex | { readonly fd: number };

/** Options of {@linkcode openConnection}. */
export interface OpenConnectionOptions {
  /** Of the reader, in bytes. @default 65536 */
  limit?: number | undefined;
  /** Which addresses to look for: 0 any, 4 or 6. @default 0 */
  family?: Family | undefined;
  /** A socket that is connected already, instead of host and port. The writer owns it from now on. */
  sock?: ConnectedSocket | undefined;
  /** Host and port to connect from. @default the system chooses */
  localAddr?: readonly [host: string, port: number] | undefined;
}

const OPTIONS = ["limit", "family", "sock", "localAddr"] as const;

/**
 * Connects to a host and a port.
 *
 * The addresses that the host stands for are tried one after the other. After a cancellation no socket is left behind.
 *
 * Python: `asyncio.open_connection()`. Differs: nothing.
 *
 * @param host - A name or an IP address.
 * @param port - A number.
 * @returns The reader and the writer of the connection.
 * @throws {ConnectionRefusedError} If nobody listens there.
 * @throws {gaierror} If the host does not resolve.
 * @throws {OSError} If the connection fails otherwise; of several different failures, one error with all their texts.
 * @throws {ValueError} If there is neither host and port nor `sock`, or both.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const server = await asyncio.startServer((reader, writer) => {
 *   writer.write("220 ready\r\n");
 *   writer.close();
 * }, "127.0.0.1", 0);
 *
 * const [reader, writer] = await asyncio.openConnection("127.0.0.1", server.sockets[0]!.getsockname().port);
 * assert.equal(String(await reader.readuntil("\r\n")), "220 ready\r\n");
 * writer.close();
 * server.close();
 * ```
 */
export function openConnection(
  host: string,
  port: number,
  options?: OpenConnectionOptions,
): Promise<[StreamReader, StreamWriter]>;
export function openConnection(options: OpenConnectionOptions): Promise<[StreamReader, StreamWriter]>;
export async function openConnection(
  hostOrOptions?: string | OpenConnectionOptions | null,
  port?: number,
  moreOptions: OpenConnectionOptions = {},
): Promise<[StreamReader, StreamWriter]> {
  const onlyOptions = typeof hostOrOptions === "object" && hostOrOptions !== null;
  const options = onlyOptions ? hostOrOptions : moreOptions;
  const host = onlyOptions ? undefined : hostOrOptions;
  checkOptions("openConnection()", options, OPTIONS);
  const context = copyContext();
  const reader = new StreamReader({ limit: options.limit });
  const socket = await connectedSocket(host ?? undefined, port ?? undefined, options);
  const protocol = new StreamProtocol(reader, null);
  const transport = new SocketTransport(socket, protocol, context);
  return [reader, new StreamWriter(transport, protocol, reader)];
}

async function connectedSocket(
  host: string | undefined,
  port: number | undefined,
  options: OpenConnectionOptions,
): Promise<Duplex> {
  if (options.sock !== undefined) {
    if (host !== undefined || port !== undefined) {
      throw new ValueError("host/port and sock can not be specified at the same time");
    }
    return adopted(options.sock);
  }
  if (host === undefined || port === undefined) {
    throw new ValueError("host and port was not specified and no sock specified");
  }
  if (typeof host !== "string") {
    throw new TypeError(`openConnection() needs a host name, got ${repr(host)}`);
  }
  checkPort("openConnection()", port, 1);
  const errors: unknown[] = [];
  for (const address of await lookUp(host, options.family ?? 0)) {
    try {
      return await connect(address, port, options);
    } catch (error) {
      if (!(error instanceof OSError)) {
        throw error;
      }
      errors.push(error);
    }
  }
  throw oneOf(errors as OSError[]);
}

/** One error for all: the first where they say the same, else one that says everything. */
function oneOf(errors: readonly OSError[]): OSError {
  const [first] = errors;
  if (first !== undefined && errors.every(({ message }) => message === first.message)) {
    return first;
  }
  return new OSError(`Multiple exceptions: ${errors.map(({ message }) => message).join(", ")}`, {
    code: first?.code,
    cause: new AggregateError(errors),
  });
}

function connect(address: string, port: number, { localAddr }: OpenConnectionOptions): Promise<Socket> {
  const socket = new Socket({ allowHalfOpen: true, highWaterMark: READ_SIZE } as object);
  const wait = new Wait<Socket>(() => socket.destroy());
  const onError = (error: Error): void => {
    wait.reject(toOSError(error, `Connect call failed ${addressTuple(address, port)}`));
  };
  socket.once("error", onError);
  socket.once("connect", () => {
    socket.off("error", onError);
    wait.resolve(socket);
  });
  socket.connect({
    host: address,
    port,
    autoSelectFamily: false,
    noDelay: true,
    ...(localAddr === undefined ? {} : { localAddress: localAddr[0], localPort: localAddr[1] }),
  });
  return wait.begin();
}

/** A socket made elsewhere, connected; a promise of it while it still connects. */
async function adopted(sock: ConnectedSocket): Promise<Duplex> {
  if (sock instanceof Duplex) {
    const socket = sock as Duplex & Partial<Socket>;
    if (socket.destroyed) {
      throw new ValueError(`sock is closed already: ${socket.constructor.name}`);
    }
    if (socket.connecting !== true) {
      return socket;
    }
    const wait = new Wait<Duplex>(() => socket.destroy());
    socket.once("connect", () => wait.resolve(socket));
    socket.once("error", (error) => wait.reject(toOSError(error)));
    return wait.begin();
  }
  const fd = (sock as { fd?: unknown } | null)?.fd;
  if (typeof fd !== "number") {
    throw new ValueError(`A Stream Socket was expected, got ${repr(sock)}`);
  }
  return new Socket({ fd, allowHalfOpen: true, highWaterMark: READ_SIZE } as object);
}

export function checkPort(caller: string, port: number, lowest: number): void {
  if (typeof port !== "number") {
    throw new TypeError(`${caller} needs a port number, got ${repr(port)}`);
  }
  if (!Number.isInteger(port) || port < lowest || port > 65535) {
    throw new ValueError(`${caller} needs a port from ${lowest} to 65535, got ${port}`);
  }
}
