/**
 * Servers: accepted connections, each with its handler in a Context of its own.
 *
 * Theory of operation. One Server owns a listening socket for each address it listens at. It copies the Context once, when
 * it is made; every connection gets a copy of that copy, so that no connection sees what another one, or the code around
 * the server, has set since.
 *
 * A Server is closed in two steps, as in Python: `close()` stops listening, and leaves the connections alone;
 * `waitClosed()` waits until the last of them has ended, too. `shutdown()` does it all, in a given time.
 */
import type * as net from "node:net";
import type { Duplex } from "node:stream";
import { type Context, copyContext } from "../contextvars/context.ts";
import { Flow, runInFlow } from "../contextvars/current.ts";
import { RuntimeError, ValueError } from "../errors.ts";
import { inspectCustom, repr } from "../repr.ts";
import { checkOptions, functionNeeded } from "./arguments.ts";
import { wait } from "./combinators.ts";
import { addressOrOptions, checkedPort, checkFactory, type ReaderOptions } from "./connections.ts";
import { isDebug, warn } from "./debug/debug.ts";
import { callExceptionHandler, callLater } from "./events.ts";
import { CancelledError, isCancelled } from "./exceptions.ts";
import { Future } from "./futures.ts";
import type { EventLoop } from "./loop.ts";
import type { BaseProtocol } from "./protocols/protocols.ts";
import { getRunningLoop } from "./running-loop.ts";
import { StreamReader } from "./streams/reader.ts";
import { type ClientConnectedCb, StreamProtocol } from "./streams/stream-protocol.ts";
import type { Task } from "./tasks.ts";
import { type Family, SocketAddress } from "./transports/addresses.ts";
import { checkIdleTimeout } from "./transports/idle-timer.ts";
import {
  adoptListener,
  type Listener,
  type ListeningSocket,
  type ListenOptions,
  listenTcp,
  listenUnix,
} from "./transports/listen.ts";
import { SocketTransport } from "./transports/socket-transport.ts";
import {
  checkServerContext,
  type SSLContext,
  startTls,
  type TlsOptions,
  type TlsRequest,
  tlsRequest,
} from "./transports/tls.ts";
import { Wait } from "./waits.ts";

/** Options of every server. */
export interface ServerOptions extends Omit<TlsOptions, "serverHostname"> {
  /** A listening socket, instead of an address. The Server owns it from now on. */
  sock?: ListeningSocket | undefined;
  /** How many connections the system keeps waiting to be accepted. @default 100 */
  backlog?: number | undefined;
  /** TLS: options of `node:tls` with key and certificate, or a `tls.SecureContext`. @default no TLS */
  ssl?: SSLContext | undefined;
  /** Whether connections are accepted at once, instead of after `startServing()`. @default true */
  startServing?: boolean | undefined;
  /** So many connections are served at a time; further ones are closed at once. @default any number */
  maxConnections?: number | undefined;
  /** After so long without a byte in or out a connection is ended, in seconds. @default never */
  idleTimeout?: number | undefined;
}

/** Options of `loop.createServer()`. */
export interface CreateServerOptions extends ServerOptions {
  /** Which addresses to listen at: 0 any, 4 or 6. @default 0 */
  family?: Family | undefined;
  /** Flags of the name look-up. @default 0 */
  flags?: number | undefined;
  /** Whether a port can be listened at again at once. Always so with Node. @default true */
  reuseAddress?: boolean | undefined;
  /** Whether several processes can listen at the port. @default false */
  reusePort?: boolean | undefined;
  /** Whether idle connections are probed. @default false */
  keepAlive?: boolean | undefined;
}

/** Options of `loop.createUnixServer()`. */
export interface CreateUnixServerOptions extends ServerOptions {
  /** Whether closing removes the file of the socket, if it still is its own. @default true */
  cleanupSocket?: boolean | undefined;
}

/** Options of {@linkcode startServer}. */
export interface StartServerOptions extends CreateServerOptions, ReaderOptions {}

/** Options of {@linkcode startUnixServer}. */
export interface StartUnixServerOptions extends CreateUnixServerOptions, ReaderOptions {}

/** Options of {@linkcode Server.shutdown}. */
export interface ShutdownOptions {
  /** How long handlers may take to finish by themselves, in seconds. @default 30 */
  grace?: number | undefined;
  /** How long they may take after they were cancelled, in seconds. @default 5 */
  cancelGrace?: number | undefined;
}

/** What became of the handler of a connection in {@linkcode Server.shutdown}. */
export interface HandlerOutcome {
  /** The name of the handler's task; `null` for a protocol, which has none. */
  readonly name: string | null;
  /** The peer's address. */
  readonly peername: SocketAddress | string | null;
  /** It came to its end; it was cancelled, and came to its end; it did not. */
  readonly outcome: "finished" | "cancelled" | "aborted";
}

const COMMON_OPTIONS = [
  "sock",
  "backlog",
  "ssl",
  "sslHandshakeTimeout",
  "sslShutdownTimeout",
  "startServing",
  "maxConnections",
  "idleTimeout",
] as const;
const TCP_OPTIONS = [...COMMON_OPTIONS, "family", "flags", "reuseAddress", "reusePort", "keepAlive"] as const;
const UNIX_OPTIONS = [...COMMON_OPTIONS, "cleanupSocket"] as const;
const READER_OPTIONS = ["limit", "readTimeout"] as const;
const DEFAULT_BACKLOG = 100;
/** So long `serveForever()` waits, when it is cancelled, for peers to take what was written to them. */
const LAST_WORDS = 10; // seconds

/** What a Server does with each connection. */
interface ServerSettings {
  readonly context: Context;
  readonly backlog: number;
  readonly tls: TlsRequest | undefined;
  readonly maxConnections: number | undefined;
  readonly idleTimeout: number | undefined;
  /** The path it listens at, if it is one. */
  readonly path: string | undefined;
  readonly makeProtocol: (context: Context) => BaseProtocol;
}

function checkGrace(name: string, seconds: unknown): void {
  if (typeof seconds !== "number" || !(seconds >= 0)) {
    throw new ValueError(`${name} should be a number of seconds, not negative, got ${repr(seconds)}`);
  }
}

/** A connection belongs to no task: cancelling whoever started the server cancels none of its connections' waits. */
function flowOf(context: Context): Flow {
  return new Flow(context, null, false, null);
}

/** The address, unless it stands for all of the machine. */
function oneAddress(address: SocketAddress | string | undefined): SocketAddress | undefined {
  return address instanceof SocketAddress && !["0.0.0.0", "::"].includes(address.address) ? address : undefined;
}

/** The task of the handler; `null` for a protocol of the user. */
function taskOf(transport: SocketTransport): Task<unknown> | null {
  const protocol = transport.getProtocol();
  return protocol instanceof StreamProtocol ? protocol.handlerTask : null;
}

/** A listening socket of a {@linkcode Server}. */
export class ServerSocket {
  readonly #address: SocketAddress | string;

  /** @internal */
  constructor(address: SocketAddress | string) {
    this.#address = address;
  }

  /** Where it listens. Python: `socket.getsockname()`. Differs: a {@linkcode SocketAddress}. */
  getsockname(): SocketAddress {
    // A server on a Unix socket knows that it gets a path: the type serves the many.
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
  readonly #listeners: readonly Listener[];
  readonly #context: Context;
  readonly #settings: ServerSettings;
  readonly #transports = new Set<SocketTransport>();
  /** Connections whose TLS handshake is under way. */
  readonly #handshakes = new Set<net.Socket>();
  /** What all connections came to, where that is one address: the system need not be asked each time. */
  readonly #sockname: SocketAddress | string | undefined;
  #sockets: readonly ServerSocket[];
  #state: "created" | "serving" | "closed" = "created";
  /** Connections that came before `startServing()`. */
  #early: net.Socket[] = [];
  #forever: Wait<void> | null = null;
  #closeWaits = new Set<Wait<void>>();
  /** Connections whose end `shutdown()` waits for. */
  readonly #ends = new WeakMap<SocketTransport, Future<void>>();
  readonly #onLost = (lost: SocketTransport): void => {
    this.#transports.delete(lost);
    this.#ends.get(lost)?.setResult();
    this.#wakeIfDone();
  };

  /** @internal */
  constructor(listeners: readonly Listener[], settings: ServerSettings) {
    this.#listeners = listeners;
    this.#context = settings.context;
    this.#settings = settings;
    this.#sockets = listeners.map(({ address }) => new ServerSocket(address));
    this.#sockname = settings.path ?? (listeners.length === 1 ? oneAddress(listeners[0]?.address) : undefined);
    for (const { server } of listeners) {
      server.on("connection", (socket: net.Socket) => this.#connected(socket));
      server.on("error", (exception) => {
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
   * A connection whose peer has not taken everything after 10 seconds is aborted. Handlers are not cancelled: their reads
   * end as at EOF. To give them time, or to cancel them: `shutdown()`.
   *
   * Python: `Server.serve_forever()`. Differs: waits for no peer for ever.
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
        const deadline = callLater(LAST_WORDS, () => this.abortClients());
        await this.waitClosed().finally(() => deadline.cancel());
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
    for (const socket of this.#handshakes) {
      socket.destroy();
    }
    for (const transport of [...this.#transports]) {
      transport.close();
    }
  }

  /** Closes all connections at once; what they have not sent is lost. Python: `Server.abort_clients()`. */
  abortClients(): void {
    for (const socket of this.#handshakes) {
      socket.destroy();
    }
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
   * Ends the server within a given time: stops listening, lets the handlers finish, cancels those that have not after
   * `grace` seconds, and after another `cancelGrace` seconds aborts what is left.
   *
   * When a handler has ended, its connection is closed, if it was not. A protocol, which has no task, has its connection
   * closed instead of being cancelled. Does not throw for what handlers and peers do.
   *
   * Python: has no such method.
   *
   * @returns What became of the handler of each connection that was open.
   * @throws {ValueError} If `grace` or `cancelGrace` is negative, or no number.
   */
  async shutdown(options: ShutdownOptions = {}): Promise<HandlerOutcome[]> {
    checkOptions("shutdown()", options, ["grace", "cancelGrace"]);
    const { grace = 30, cancelGrace = 5 } = options;
    checkGrace("grace", grace);
    checkGrace("cancelGrace", cancelGrace);
    this.close();
    for (const socket of this.#handshakes) {
      socket.destroy();
    }
    const open = [...this.#transports].map((transport) => ({
      transport,
      end: this.#endOf(transport),
      task: taskOf(transport),
    }));
    for (const { transport, task } of open) {
      task?._observe(() => transport.close());
    }
    const outcomes = new Map<SocketTransport, HandlerOutcome["outcome"]>();
    const settle = async (seconds: number, ended: HandlerOutcome["outcome"]): Promise<void> => {
      const left = open.filter(({ transport }) => !outcomes.has(transport));
      if (left.length > 0) {
        await wait(
          left.map(({ end }) => end),
          { timeout: seconds },
        );
      }
      for (const { transport, end, task } of left) {
        if (end.done() || task?.done() === true) {
          outcomes.set(transport, task?.cancelled() === true ? "cancelled" : ended);
        }
      }
    };
    await settle(grace, "finished");
    for (const { transport, task } of open) {
      if (outcomes.has(transport)) {
        continue;
      }
      if (task === null) {
        // A protocol learns of it by the end of its connection, which has sent everything by then.
        transport.close();
      } else {
        task.cancel("the server is shutting down");
      }
    }
    await settle(cancelGrace, "cancelled");
    this.abortClients();
    await this.waitClosed();
    return open.map(({ transport, task }) => ({
      name: task?.getName() ?? null,
      peername: transport.getExtraInfo("peername") as SocketAddress | string | null,
      outcome: outcomes.get(transport) ?? "aborted",
    }));
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

  /** Has a result when the connection has ended. */
  #endOf(transport: SocketTransport): Future<void> {
    const end = this.#ends.get(transport) ?? new Future<void>();
    this.#ends.set(transport, end);
    return end;
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
    const { backlog, maxConnections = Number.POSITIVE_INFINITY } = this.#settings;
    if (this.#transports.size + this.#handshakes.size + this.#early.length >= maxConnections) {
      socket.destroy();
    } else if (this.#state === "serving") {
      this.#accept(socket);
    } else if (this.#state === "created" && this.#early.length < backlog) {
      socket.pause();
      socket.on("error", () => socket.destroy());
      // One that ends before it was served is as if it had never come.
      socket.once("close", () => {
        this.#early = this.#early.filter((each) => each !== socket);
      });
      this.#early.push(socket);
    } else {
      socket.destroy();
    }
  }

  #accept(socket: net.Socket): void {
    const { tls } = this.#settings;
    const context = this.#context.copy();
    if (tls === undefined) {
      this.#open(socket, context);
      return;
    }
    this.#handshakes.add(socket);
    runInFlow(flowOf(context), startTls, socket as Duplex, tls).then(
      (secured) => {
        this.#handshakes.delete(socket);
        if (socket.destroyed) {
          // Closed, by the server itself for one, in the turn in which the handshake came to its end.
          secured.destroy();
          this.#wakeIfDone();
          return;
        }
        this.#open(secured, context);
      },
      (error: unknown) => {
        this.#handshakes.delete(socket);
        if (isDebug()) {
          warn(`TLS handshake failed on ${this}: ${String(error)}`);
        }
        this.#wakeIfDone();
      },
    );
  }

  #open(socket: Duplex, context: Context): void {
    const { makeProtocol, tls, idleTimeout, path } = this.#settings;
    let protocol: BaseProtocol;
    try {
      protocol = makeProtocol(context);
    } catch (exception) {
      callExceptionHandler({ message: "Error on transport creation for incoming connection", exception, server: this });
      socket.destroy();
      this.#wakeIfDone();
      return;
    }
    const transport = new SocketTransport({
      socket,
      protocol,
      context,
      tls,
      idleTimeout,
      sockname: this.#sockname,
      peername: path === undefined ? undefined : "",
      onClosed: this.#onLost,
    });
    this.#transports.add(transport);
  }

  #wakeIfDone(): void {
    if (this.#state !== "closed" || this.#transports.size + this.#handshakes.size > 0) {
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
  port?: number | string | null,
  options?: StartServerOptions,
): Promise<Server>;
export function startServer(clientConnectedCb: ClientConnectedCb, options: StartServerOptions): Promise<Server>;
export async function startServer(
  clientConnectedCb: ClientConnectedCb,
  hostOrOptions?: string | readonly string[] | StartServerOptions | null,
  port?: number | string | null,
  moreOptions: StartServerOptions = {},
): Promise<Server> {
  const { value: host, options } = addressOrOptions<string | readonly string[], StartServerOptions>(
    hostOrOptions,
    moreOptions,
  );
  checkOptions("startServer()", options, [...TCP_OPTIONS, ...READER_OPTIONS]);
  const makeProtocol = streamProtocols("startServer()", clientConnectedCb, options);
  return await listenAtTcp("startServer()", makeProtocol, host, port, options);
}

/**
 * Starts a server on a Unix socket, as {@linkcode startServer} does on TCP.
 *
 * A socket that is left over at the path is removed first. On closing, the file is removed if it still is the server's own.
 *
 * Python: `asyncio.start_unix_server()`. Differs: nothing.
 *
 * @param clientConnectedCb - Gets the reader and the writer of a connection.
 * @param path - Up to 107 bytes; one that begins with a zero byte is in Linux' abstract name space.
 * @throws {OSError} If the path cannot be listened at; the message names it.
 * @throws {ValueError} If there is neither path nor `sock`, or both.
 * @throws {TypeError} If the handler is not a function.
 */
export function startUnixServer(
  clientConnectedCb: ClientConnectedCb,
  path?: string | null,
  options?: StartUnixServerOptions,
): Promise<Server>;
export function startUnixServer(clientConnectedCb: ClientConnectedCb, options: StartUnixServerOptions): Promise<Server>;
export async function startUnixServer(
  clientConnectedCb: ClientConnectedCb,
  pathOrOptions?: string | StartUnixServerOptions | null,
  moreOptions: StartUnixServerOptions = {},
): Promise<Server> {
  const { value: path, options } = addressOrOptions<string, StartUnixServerOptions>(pathOrOptions, moreOptions);
  checkOptions("startUnixServer()", options, [...UNIX_OPTIONS, ...READER_OPTIONS]);
  const makeProtocol = streamProtocols("startUnixServer()", clientConnectedCb, options);
  return await listenAtPath("startUnixServer()", makeProtocol, path, options);
}

/** `loop.createServer()`. */
export async function createServer(
  protocolFactory: () => BaseProtocol,
  host?: string | readonly string[] | null,
  port?: number | string | null,
  options: CreateServerOptions = {},
): Promise<Server> {
  checkOptions("createServer()", options, TCP_OPTIONS);
  return await listenAtTcp("createServer()", checkedFactory("createServer()", protocolFactory), host, port, options);
}

/** `loop.createUnixServer()`. */
export async function createUnixServer(
  protocolFactory: () => BaseProtocol,
  path?: string | null,
  options: CreateUnixServerOptions = {},
): Promise<Server> {
  checkOptions("createUnixServer()", options, UNIX_OPTIONS);
  return await listenAtPath("createUnixServer()", checkedFactory("createUnixServer()", protocolFactory), path, options);
}

function checkedFactory(caller: string, protocolFactory: () => BaseProtocol): MakeProtocol {
  checkFactory(caller, protocolFactory);
  return (context) => runInFlow(flowOf(context), protocolFactory);
}

/** Makes a reader and its protocol for each connection. */
function streamProtocols(
  caller: string,
  callback: ClientConnectedCb,
  { limit, readTimeout }: ReaderOptions,
): (context: Context) => StreamProtocol {
  if (typeof callback !== "function") {
    throw functionNeeded(caller, callback);
  }
  const makeReader = (): StreamReader => {
    const reader = new StreamReader({ limit });
    reader._setReadTimeout(readTimeout);
    return reader;
  };
  // Makes a wrong limit known now, not with the first connection.
  makeReader();
  return (context) => new StreamProtocol(makeReader(), callback, context);
}

type MakeProtocol = ServerSettings["makeProtocol"];

async function listenAtTcp(
  caller: string,
  makeProtocol: MakeProtocol,
  host: string | readonly string[] | null | undefined,
  port: number | string | null | undefined,
  options: CreateServerOptions,
): Promise<Server> {
  const settings = settingsOf(makeProtocol, options);
  const given = [host, port].some((each) => (each ?? undefined) !== undefined);
  const how = {
    backlog: settings.backlog,
    keepAlive: options.keepAlive === true,
    reusePort: reusePort(caller, options),
  };
  if (options.sock === undefined) {
    if (!given) {
      throw new ValueError("Neither host/port nor sock were specified");
    }
    const portNumber = checkedPort(caller, port ?? 0, 0);
    const { family = 0, flags = 0 } = options;
    return await serve(await listenTcp(host, portNumber, family, flags, how), settings, options);
  }
  if (given) {
    throw new ValueError("host/port and sock can not be specified at the same time");
  }
  return await serve([await adoptListener(options.sock, true, how)], settings, options);
}

async function listenAtPath(
  caller: string,
  makeProtocol: MakeProtocol,
  path: string | null | undefined,
  options: CreateUnixServerOptions,
): Promise<Server> {
  const { sock, cleanupSocket = true } = options;
  const settings = settingsOf(makeProtocol, options);
  const how: ListenOptions = { backlog: settings.backlog, keepAlive: false, reusePort: false };
  if (sock !== undefined) {
    if ((path ?? undefined) !== undefined) {
      throw new ValueError("path and sock can not be specified at the same time");
    }
    const listener = await adoptListener(sock, cleanupSocket, how);
    return await serve([listener], { ...settings, path: String(listener.address) }, options);
  }
  if ((path ?? undefined) === undefined) {
    throw new ValueError("path was not specified, and no sock specified");
  }
  if (typeof path !== "string") {
    throw new TypeError(`${caller} needs a path, got ${repr(path)}`);
  }
  return await serve([await listenUnix(path, cleanupSocket, how)], { ...settings, path }, options);
}

function settingsOf(makeProtocol: MakeProtocol, options: ServerOptions): ServerSettings {
  const tls = tlsRequest(options.ssl, true, undefined, options);
  checkServerContext(tls);
  checkIdleTimeout(options.idleTimeout);
  return {
    context: copyContext(),
    backlog: options.backlog ?? DEFAULT_BACKLOG,
    tls,
    maxConnections: options.maxConnections,
    idleTimeout: options.idleTimeout,
    path: undefined,
    makeProtocol,
  };
}

async function serve(
  listeners: readonly Listener[],
  settings: ServerSettings,
  { startServing = true }: ServerOptions,
): Promise<Server> {
  const server = new Server(listeners, settings);
  if (startServing) {
    await server.startServing();
  }
  return server;
}

/** Node 20 takes the option and does nothing about it; so it is refused where it would be a lie. */
function reusePort(caller: string, { reusePort: wanted, reuseAddress }: CreateServerOptions): boolean {
  if (reuseAddress === false) {
    throw new ValueError(`${caller} cannot switch reuseAddress off: Node always sets SO_REUSEADDR`);
  }
  if (wanted === true && !heedsReusePort()) {
    throw new ValueError(
      "reuse_port not supported by this runtime; Node has it from 22.12 and 23.1 on, Bun from 1.4 on, Deno from 2.9 on",
    );
  }
  return wanted === true;
}

function heedsReusePort(): boolean {
  const { node = "0", bun, deno } = process.versions as Record<string, string | undefined>;
  const [major = 0, minor = 0] = (bun ?? deno ?? node).split(".").map(Number);
  if (bun !== undefined) {
    return major > 1 || (major === 1 && minor >= 4);
  }
  if (deno !== undefined) {
    return major > 2 || (major === 2 && minor >= 9);
  }
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}
