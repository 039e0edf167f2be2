/** A server in memory, which creates its own clients. */
import { EventEmitter } from "node:events";
import {
  type ClientConnectedCb,
  ConnectionRefusedError,
  type OpenConnectionOptions,
  openConnection,
  type ReaderOptions,
  Server,
  type StreamPair,
} from "../asyncio/index.ts";
import {
  checkFunction,
  checkOptions,
  Listener,
  notConstructible,
  PORTLESS_OPTIONS,
  quiet,
  READER_OPTIONS,
  type ServerOptions,
  settingsOf,
  streamProtocols,
} from "../asyncio/seam.ts";
import { MEMORY, MemorySocket, type WireOptions } from "./memory-socket.ts";
import { MEMORY_OPTIONS, type MemoryOptions, wireOptions } from "./memory-streams.ts";

/** Options of {@linkcode memoryServer}: those of `startServer()` that have a meaning without a port. */
export interface MemoryServerOptions
  extends Pick<
      ServerOptions,
      "ssl" | "sslHandshakeTimeout" | "sslShutdownTimeout" | "startServing" | "maxConnections" | "idleTimeout"
    >,
    ReaderOptions,
    MemoryOptions {}

/** Options of {@linkcode MemoryServer.connect}: those of `openConnection()` that have a meaning without an address. */
export type MemoryConnectOptions = Pick<
  OpenConnectionOptions,
  "limit" | "readTimeout" | "idleTimeout" | "ssl" | "serverHostname" | "sslHandshakeTimeout" | "sslShutdownTimeout"
>;

const CONNECT_OPTIONS = [
  "idleTimeout",
  "ssl",
  "serverHostname",
  "sslHandshakeTimeout",
  "sslShutdownTimeout",
  ...READER_OPTIONS,
] as const;

/** The listener of a MemoryServer, with the members that a Server uses. */
class MemoryListener extends EventEmitter {
  isOpen = true;

  close(): void {
    this.isOpen = false;
  }
}

/** A `Server` whose connections come from {@linkcode MemoryServer.connect}; created by {@linkcode memoryServer}. */
export class MemoryServer extends Server {
  readonly #listener: MemoryListener;
  readonly #wire: WireOptions;

  /** @internal */
  constructor(listener: MemoryListener, wire: WireOptions, settings: ReturnType<typeof settingsOf>) {
    if (settings === undefined) {
      throw notConstructible("MemoryServer", "call memoryServer()");
    }
    super([new Listener(listener as never, null, MEMORY)], settings);
    this.#listener = listener;
    this.#wire = wire;
  }

  /**
   * Connects to the server, as `openConnection()` connects to a server at a port.
   *
   * @returns The reader and the writer of the connection.
   * @throws {ConnectionRefusedError} If the server is closed.
   * @throws {SSLError} If TLS fails.
   * @throws {ValueError} As `openConnection()` does.
   */
  connect(options: MemoryConnectOptions = {}): Promise<StreamPair> {
    return quiet(this.#connect(options));
  }

  async #connect(options: MemoryConnectOptions): Promise<StreamPair> {
    checkOptions("connect()", options, CONNECT_OPTIONS);
    if (!this.#listener.isOpen) {
      throw new ConnectionRefusedError("the server in memory is closed; connect() before close()");
    }
    const [near, far] = MemorySocket.pair(this.#wire);
    this.#listener.emit("connection", far);
    return await openConnection({ ...options, sock: near });
  }
}

/**
 * Creates a server without a port: the handler runs for each connection made by {@linkcode MemoryServer.connect}.
 *
 * It works like a `Server` from `startServer()`: each connection has its own Context and task, `maxConnections` and
 * `idleTimeout` apply, and `close()`, `waitClosed()` and `shutdown()` behave the same. It does not keep the process
 * alive.
 *
 * Python: has no such function.
 *
 * @param clientConnectedCb - Called with the reader and the writer of each connection.
 * @throws {TypeError} If the handler is not a function, or an option is unknown.
 * @throws {ValueError} If an option is out of range.
 *
 * @example A protocol without a port
 * ```ts
 * import { memoryServer } from "contextvars/testing";
 * import assert from "node:assert/strict";
 *
 * const server = memoryServer(async (reader, writer) => {
 *   for await (const line of reader) {
 *     await writer.send(line);
 *   }
 *   writer.close();
 * });
 *
 * await server.with(async () => {
 *   const [reader, writer] = await server.connect();
 *   await writer.send("hello\n");
 *   assert.equal(String(await reader.readline()), "hello\n");
 *   writer.close();
 * });
 * ```
 */
export function memoryServer(clientConnectedCb: ClientConnectedCb, options: MemoryServerOptions = {}): MemoryServer {
  checkOptions("memoryServer()", options, [...PORTLESS_OPTIONS, ...READER_OPTIONS, ...MEMORY_OPTIONS]);
  checkFunction("memoryServer()", clientConnectedCb);
  const wire = wireOptions("memoryServer()", options);
  const settings = settingsOf(streamProtocols("memoryServer()", clientConnectedCb, options), options);
  const server = new MemoryServer(new MemoryListener(), wire, settings);
  if (options.startServing !== false) {
    void server.startServing();
  }
  return server;
}
