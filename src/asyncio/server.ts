/**
 * startServer and Server: accepted connections, each with its handler in a Context of its own.
 *
 * Theory of operation. One Server owns a `net.Server` for each address it listens at, because a name can stand for
 * several, and "every address" is one of each family. It copies the Context once, when it is made; every connection gets
 * a copy of that copy, so that no connection sees what another one, or the code around the server, has set since.
 *
 * A Server is closed in two steps, as in Python: `close()` stops listening, and leaves the connections alone;
 * `waitClosed()` waits until the last of them has ended, too.
 */
import * as net from "node:net";
import { type Context, copyContext } from "../contextvars/context.ts";
import { OSError, RuntimeError, ValueError } from "../errors.ts";
import { inspectCustom, repr } from "../repr.ts";
import { checkPort, READ_SIZE } from "./connections.ts";
import { callExceptionHandler } from "./events.ts";
import { CancelledError, checkOptions, functionNeeded, isCancelled } from "./exceptions.ts";
import { type EventLoop, getRunningLoop } from "./loop.ts";
import type { BaseProtocol } from "./protocols/protocols.ts";
import { StreamReader } from "./streams/reader.ts";
import { type ClientConnectedCb, StreamProtocol } from "./streams/stream-protocol.ts";
import { addressTuple, type Family, lookUp, SocketAddress } from "./transports/addresses.ts";
import { toOSError } from "./transports/os-errors.ts";
import { SocketTransport } from "./transports/socket.ts";
import { Wait } from "./waits.ts";

/** A server that is not listening yet or listens already, or the file descriptor of a listening socket. */
export type ListeningSocket = net.Server | { readonly fd: number };

/** Options of {@linkcode startServer}. */
export interface StartServerOptions {
  /** Of each connection's reader, in bytes. @default 65536 */
  limit?: number | undefined;
  /** Which addresses to listen at: 0 any, 4 or 6. @default 0 */
  family?: Family | undefined;
  /** A listening socket, instead of host and port. The Server owns it from now on. */
  sock?: ListeningSocket | undefined;
  /** How many connections the system keeps waiting to be accepted. @default 100 */
  backlog?: number | undefined;
  /** Whether idle connections are probed. @default false */
  keepAlive?: boolean | undefined;
  /** Whether connections are accepted at once, instead of after `startServing()`. @default true */
  startServing?: boolean | undefined;
}

const OPTIONS = ["limit", "family", "sock", "backlog", "keepAlive", "startServing"] as const;
const DEFAULT_BACKLOG = 100;

/** A listening socket of a {@linkcode Server}. */
export class ServerSocket {
  readonly #address: SocketAddress | string;

  /** @internal */
  constructor(address: SocketAddress | string) {
    this.#address = address;
  }

  /** Where it listens. Python: `socket.getsockname()`. Differs: a {@linkcode SocketAddress}. */
  getsockname(): SocketAddress {
    return this.#address as SocketAddress;
  }

  /** `<ServerSocket 127.0.0.1:8081>` */
  toString(): string {
    return `<ServerSocket ${this.#address}>`;
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }
}

/**
 * A server that listens; made by {@linkcode startServer}.
 *
 * Python: `asyncio.Server`. Differs: `with()`, or `await using`, instead of `async with`.
 */
export class Server {
  readonly #listeners: readonly net.Server[];
  readonly #context: Context;
  readonly #makeProtocol: (context: Context) => BaseProtocol;
  readonly #backlog: number;
  readonly #transports = new Set<SocketTransport>();
  #sockets: readonly ServerSocket[];
  #state: "created" | "serving" | "closed" = "created";
  /** Connections that came before `startServing()`. */
  #early: net.Socket[] = [];
  #forever: Wait<void> | null = null;
  #closeWaits = new Set<Wait<void>>();

  /** @internal */
  constructor(
    listeners: readonly net.Server[],
    context: Context,
    backlog: number,
    makeProtocol: (context: Context) => BaseProtocol,
  ) {
    this.#listeners = listeners;
    this.#context = context;
    this.#backlog = backlog;
    this.#makeProtocol = makeProtocol;
    this.#sockets = listeners.map((listener) => new ServerSocket(listeningAddress(listener)));
    for (const listener of listeners) {
      listener.on("connection", (socket: net.Socket) => this.#connected(socket));
      listener.on("error", (exception) => {
        callExceptionHandler({ message: "Error on a listening socket", exception, server: this });
      });
    }
  }

  /** The sockets it listens at; none when it is closed. Python: `Server.sockets`. Differs: an array. */
  get sockets(): readonly ServerSocket[] {
    return this.#sockets;
  }

  /** Whether connections are accepted. Python: `Server.is_serving()`. Differs: nothing. */
  isServing(): boolean {
    return this.#state === "serving";
  }

  /** The loop. Python: `Server.get_loop()`. Differs: nothing. */
  getLoop(): EventLoop {
    return getRunningLoop();
  }

  /**
   * Accepts connections from now on; without effect when it does already.
   *
   * Python: `Server.start_serving()`. Differs: nothing.
   *
   * @throws {RuntimeError} If the server is closed.
   */
  async startServing(): Promise<void> {
    this.#startServing();
  }

  /**
   * Accepts connections until the task is cancelled; then closes the server and its connections, and waits for that.
   *
   * Python: `Server.serve_forever()`. Differs: nothing.
   *
   * @throws {CancelledError} Always, in the end: when the task is cancelled, or the server closed.
   * @throws {RuntimeError} If it is being awaited already, or the server is closed.
   */
  async serveForever(): Promise<void> {
    if (this.#forever !== null) {
      throw new RuntimeError(`server ${this} is already being awaited on serve_forever()`, { code: "ERR_SERVER_BUSY" });
    }
    this.#startServing();
    this.#forever = new Wait();
    try {
      await this.#forever.begin();
    } catch (error) {
      if (isCancelled(error)) {
        this.close();
        this.closeClients();
        await this.waitClosed();
      }
      throw error;
    } finally {
      this.#forever = null;
    }
  }

  /**
   * Stops listening. Connections that are open stay open.
   *
   * Python: `Server.close()`. Differs: nothing.
   */
  close(): void {
    if (this.#state === "closed") {
      return;
    }
    this.#state = "closed";
    this.#sockets = [];
    for (const listener of this.#listeners) {
      listener.close();
    }
    for (const socket of this.#early.splice(0)) {
      socket.destroy();
    }
    this.#forever?.reject(new CancelledError());
    this.#wakeIfDone();
  }

  /** Closes all connections, each when its write buffer is empty. Python: `Server.close_clients()`. */
  closeClients(): void {
    for (const transport of [...this.#transports]) {
      transport.close();
    }
  }

  /** Closes all connections at once; what they have not sent is lost. Python: `Server.abort_clients()`. */
  abortClients(): void {
    for (const transport of [...this.#transports]) {
      transport.abort();
    }
  }

  /**
   * Waits until the server is closed and its last connection has ended.
   *
   * Python: `Server.wait_closed()`, as since 3.12. Differs: cancelling one call does not spoil another.
   */
  waitClosed(): Promise<void> {
    const wait: Wait<void> = new Wait(() => this.#closeWaits.delete(wait));
    this.#closeWaits.add(wait);
    this.#wakeIfDone();
    return wait.begin();
  }

  /**
   * Calls the function with the server; then closes it and waits until its last connection has ended.
   *
   * Python: `async with server`. Differs: a method.
   */
  async with<T>(body: (server: this) => T | PromiseLike<T>): Promise<Awaited<T>> {
    try {
      return await body(this);
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  /** Closes the server and waits until its last connection has ended: `await using`. Python: `async with server`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.waitClosed();
  }

  /** Python's `repr()`: `<Server sockets=(<ServerSocket 127.0.0.1:8081>,)>`. */
  toString(): string {
    const comma = this.#sockets.length === 1 ? "," : "";
    return `<Server sockets=(${this.#sockets.join(", ")}${comma})>`;
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }

  #startServing(): void {
    if (this.#state === "closed") {
      throw new RuntimeError(`server ${this} is closed`, { code: "ERR_SERVER_CLOSED" });
    }
    if (this.#state === "created") {
      this.#state = "serving";
      for (const socket of this.#early.splice(0)) {
        this.#accept(socket);
      }
    }
  }

  #connected(socket: net.Socket): void {
    if (this.#state === "serving") {
      this.#accept(socket);
    } else if (this.#state === "created" && this.#early.length < this.#backlog) {
      socket.pause();
      socket.on("error", () => socket.destroy());
      this.#early.push(socket);
    } else {
      socket.destroy();
    }
  }

  #accept(socket: net.Socket): void {
    const context = this.#context.copy();
    const transport = new SocketTransport(socket, this.#makeProtocol(context), context, (lost) => {
      this.#transports.delete(lost);
      this.#wakeIfDone();
    });
    this.#transports.add(transport);
  }

  #wakeIfDone(): void {
    if (this.#state !== "closed" || this.#transports.size > 0) {
      return;
    }
    const waits = this.#closeWaits;
    this.#closeWaits = new Set();
    for (const wait of waits) {
      wait.resolve();
    }
  }
}

/**
 * Starts a server that calls the handler for each connection.
 *
 * An async handler runs as a task in a Context of its own, a copy of the one that was current when `startServer` was
 * called: what it sets is seen by everything it calls and by nobody else. When it fails, the loop's exception handler is
 * told and its connection closed; the server goes on.
 *
 * Python: `asyncio.start_server()`. Differs: with no host and port 0, both families listen at the same port.
 *
 * @param clientConnectedCb - Gets the reader and the writer of a connection.
 * @param host - A name, an address, several of them; `null` or "" for every address of the machine.
 * @param port - A number; 0: the system chooses one.
 * @throws {OSError} If an address cannot be listened at; the message names it, `code` is `EADDRINUSE` or the like.
 * @throws {gaierror} If a host does not resolve.
 * @throws {ValueError} If there is neither host or port nor `sock`, or both.
 * @throws {TypeError} If the handler is not a function.
 *
 * @example Echo
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const server = await asyncio.startServer(async (reader, writer) => {
 *   for await (const line of reader) {
 *     writer.write(line);
 *     await writer.drain();
 *   }
 *   writer.close();
 * }, "127.0.0.1", 0);
 *
 * const [reader, writer] = await asyncio.openConnection("127.0.0.1", server.sockets[0]!.getsockname().port);
 * writer.write("one\ntwo\n");
 * writer.writeEof();
 * assert.equal(String(await reader.read()), "one\ntwo\n");
 * writer.close();
 * server.close();
 * await server.waitClosed();
 * ```
 */
export function startServer(
  clientConnectedCb: ClientConnectedCb,
  host?: string | readonly string[] | null,
  port?: number,
  options?: StartServerOptions,
): Promise<Server>;
export function startServer(clientConnectedCb: ClientConnectedCb, options: StartServerOptions): Promise<Server>;
export async function startServer(
  clientConnectedCb: ClientConnectedCb,
  hostOrOptions?: string | readonly string[] | StartServerOptions | null,
  port?: number,
  moreOptions: StartServerOptions = {},
): Promise<Server> {
  if (typeof clientConnectedCb !== "function") {
    throw functionNeeded("startServer()", clientConnectedCb);
  }
  const onlyOptions = typeof hostOrOptions === "object" && hostOrOptions !== null && !Array.isArray(hostOrOptions);
  const options = (onlyOptions ? hostOrOptions : moreOptions) as StartServerOptions;
  const host = onlyOptions ? undefined : (hostOrOptions as string | readonly string[] | null | undefined);
  checkOptions("startServer()", options, OPTIONS);
  // Makes a wrong limit known here, not with the first connection.
  new StreamReader({ limit: options.limit });
  const context = copyContext();
  const backlog = options.backlog ?? DEFAULT_BACKLOG;
  const listeners = await listen(host, port, backlog, options);
  const server = new Server(listeners, context, backlog, (connectionContext) => {
    const reader = new StreamReader({ limit: options.limit });
    return new StreamProtocol(reader, { callback: clientConnectedCb, context: connectionContext });
  });
  if (options.startServing !== false) {
    await server.startServing();
  }
  return server;
}

async function listen(
  host: string | readonly string[] | null | undefined,
  port: number | undefined,
  backlog: number,
  options: StartServerOptions,
): Promise<net.Server[]> {
  if (options.sock !== undefined) {
    if ((host ?? undefined) !== undefined || port !== undefined) {
      throw new ValueError("host/port and sock can not be specified at the same time");
    }
    return [await adopted(options.sock, backlog, options)];
  }
  if ((host ?? undefined) === undefined && port === undefined) {
    throw new ValueError("Neither host/port nor sock were specified");
  }
  checkPort("startServer()", port ?? 0, 0);
  const addresses = await listeningAddresses(host, options.family ?? 0);
  const everywhere = host === null || host === undefined || host === "";
  const listeners: net.Server[] = [];
  let actualPort = port ?? 0;
  try {
    for (const address of addresses) {
      const listener = await listenAt({ host: address, port: actualPort, backlog, ipv6Only: true }, options);
      if (listener === null) {
        continue;
      }
      listeners.push(listener);
      if (everywhere) {
        actualPort = (listener.address() as net.AddressInfo).port;
      }
    }
  } catch (error) {
    for (const listener of listeners) {
      listener.close();
    }
    throw error;
  }
  if (listeners.length === 0) {
    throw new OSError(`could not bind on any address out of ${repr(addresses)}`, { code: "EADDRNOTAVAIL" });
  }
  return listeners;
}

async function listeningAddresses(
  host: string | readonly string[] | null | undefined,
  family: Family,
): Promise<string[]> {
  if (host === null || host === undefined || host === "") {
    return ["::", "0.0.0.0"].filter((address) => family === 0 || net.isIP(address) === family);
  }
  const hosts = typeof host === "string" ? [host] : host;
  const found = await Promise.all(hosts.map((each) => lookUp(each, family)));
  return [...new Set(found.flat())];
}

/** Listens at one address; `null` where the machine has no such address. */
async function listenAt(where: net.ListenOptions, options: StartServerOptions): Promise<net.Server | null> {
  const { host = "", port = 0 } = where;
  try {
    return await listening(newListener(options), where);
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    if (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT") {
      return null;
    }
    const text = String((toOSError(error) as Error).message)
      .replace(/^\[Errno \d+\] /, "")
      .toLowerCase();
    throw toOSError(
      error,
      `error while attempting to bind on address ${addressTuple(host, port)}: [errno ${Math.abs(errno ?? 0)}] ${text}`,
    );
  }
}

function newListener({ keepAlive }: StartServerOptions): net.Server {
  return net.createServer({
    allowHalfOpen: true,
    highWaterMark: READ_SIZE,
    noDelay: true,
    keepAlive: keepAlive === true,
  } as net.ServerOpts);
}

function listening(listener: net.Server, where: net.ListenOptions | { fd: number }): Promise<net.Server> {
  const wait = new Wait<net.Server>(() => listener.close());
  listener.once("error", (error) => wait.reject(error));
  listener.listen(where, () => {
    listener.removeAllListeners("error");
    wait.resolve(listener);
  });
  return wait.begin();
}

async function adopted(sock: ListeningSocket, backlog: number, options: StartServerOptions): Promise<net.Server> {
  if (sock instanceof net.Server) {
    return sock.listening ? sock : listening(sock, { host: "127.0.0.1", port: 0, backlog });
  }
  const fd = (sock as { fd?: unknown } | null)?.fd;
  if (typeof fd !== "number") {
    throw new ValueError(`A Stream Socket was expected, got ${repr(sock)}`);
  }
  return listening(newListener(options), { fd });
}

function listeningAddress(listener: net.Server): SocketAddress | string {
  const address = listener.address();
  return typeof address === "object" && address !== null
    ? new SocketAddress(address.address, address.port)
    : String(address);
}
