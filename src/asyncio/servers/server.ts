/**
 * Server: listening sockets, and the connections accepted from them, each with its handler in a Context of its own.
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
import type { Context } from "../../contextvars/context.ts";
import { Flow, runInFlow } from "../../contextvars/current.ts";
import { knowMethodsOf } from "../../contextvars/detached.ts";
import { RuntimeError } from "../../errors.ts";
import { inspectCustom } from "../../repr.ts";
import { checkFunction } from "../arguments.ts";
import { fromCallback } from "../async-stacks.ts";
import { ReportedUnlessAwaited } from "../awaited.ts";
import { serverClosed, serverListening, tell } from "../debug/channels.ts";
import { isDebug, warn } from "../debug/debug.ts";
import { callExceptionHandler, callLater } from "../events.ts";
import { CancelledError, isCancelled } from "../exceptions.ts";
import { Future } from "../futures.ts";
import type { EventLoop } from "../loop.ts";
import type { BaseProtocol } from "../protocols/protocols.ts";
import { runningLoop } from "../running-loop.ts";
import { SocketAddress } from "../transports/addresses.ts";
import { type Listener, ServerSocket } from "../transports/listen.ts";
import { closed, type Openable, opened } from "../transports/open.ts";
import { SocketTransport } from "../transports/socket-transport.ts";
import { startTls } from "../transports/tls.ts";
import { quiet, rejected, settledFromOutside, type Wait, WaitOn } from "../waits.ts";
import type { ServerSettings } from "./options.ts";
import { checkedGrace, endHandlers, type HandlerOutcome, type ShutdownOptions } from "./shutdown.ts";

/** So long `serveForever()` waits, when it is cancelled, for peers to take what was written to them. */
const LAST_WORDS = 10; // seconds

/** The address, unless it stands for all of the machine. */
function oneAddress(address: SocketAddress | string | undefined): SocketAddress | undefined {
  return address instanceof SocketAddress && !["0.0.0.0", "::"].includes(address.address) ? address : undefined;
}

/**
 * A server that listens; made by `startServer()`.
 *
 * Python: `asyncio.Server`. Differs: `with()`, or `await using`, instead of `async with`.
 */
export class Server implements Openable {
  readonly #listeners: readonly Listener[];
  readonly #context: Context;
  readonly #settings: ServerSettings;
  readonly #transports = new Set<SocketTransport>();
  /** Connections that have no transport yet: their TLS handshake is under way, or their protocol is being made. */
  readonly #arriving = new Set<Duplex>();
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
  readonly #onOpened = (transport: SocketTransport): void => {
    this.#transports.add(transport);
  };
  readonly #onClosed = (lost: SocketTransport): void => {
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
    opened(this);
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

  /** Whether connections are accepted. Python: `Server.is_serving()`. */
  isServing(): boolean {
    return this.#state === "serving";
  }

  /** The loop. Python: `Server.get_loop()`. */
  getLoop(): EventLoop {
    return runningLoop();
  }

  /**
   * Accepts connections from now on; without effect when it does already.
   *
   * Python: `Server.start_serving()`.
   *
   * @throws {RuntimeError} If the server is closed.
   */
  startServing(): Promise<void> {
    try {
      this.#startServing();
    } catch (error) {
      return rejected(error);
    }
    return Promise.resolve();
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
  serveForever(): Promise<void> {
    return quiet(this.#serveForever());
  }

  /**
   * Stops listening. Connections that are open stay open.
   *
   * Python: `Server.close()`.
   */
  close(): void {
    if (this.#state === "closed") {
      return;
    }
    this.#state = "closed";
    closed(this);
    tell(serverClosed, { server: this });
    this.#sockets = [];
    for (const listener of this.#listeners) {
      listener.close();
    }
    for (const socket of this.#early.splice(0)) {
      socket.destroy();
    }
    this.#forever?.reject(fromCallback(new CancelledError()));
    this.#wakeIfDone();
  }

  /** Closes all connections, each when its write buffer is empty. Python: `Server.close_clients()`. */
  closeClients(): void {
    this.#endArriving();
    for (const transport of [...this.#transports]) {
      transport.close();
    }
  }

  /** Closes all connections at once; what they have not sent is lost. Python: `Server.abort_clients()`. */
  abortClients(): void {
    this.#endArriving();
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
    const wait: Wait<void> = new WaitOn(
      () => `Server.waitClosed() ${this.#transports.size + this.#arriving.size} connections`,
      () => this.#arriving.size > 0 || [...this.#transports].some(({ _isOutside: isOutside }) => isOutside),
      () => this.#closeWaits.delete(wait),
    );
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
   * @throws {ValueError} If `grace` or `cancelGrace` is negative or NaN.
   * @throws {TypeError} If one of them is no number.
   */
  shutdown(options: ShutdownOptions = {}): Promise<HandlerOutcome[]> {
    return quiet(this.#shutdown(options));
  }

  /**
   * Calls the function with the server; then closes it and waits until its last connection has ended.
   *
   * Python: `async with server`. Differs: a method.
   */
  with<T>(body: (server: this) => T | PromiseLike<T>): Promise<Awaited<T>> {
    return new ReportedUnlessAwaited(this.#with(body));
  }

  /** Closes the server and waits until its last connection has ended: `await using`. Python: `async with server`. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return this.waitClosed();
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

  async #serveForever(): Promise<void> {
    if (this.#forever !== null) {
      throw new RuntimeError(`server ${this} is already being awaited on serveForever()`, { code: "ERR_SERVER_BUSY" });
    }
    this.#startServing();
    this.#forever = new WaitOn(
      () => `Server.serveForever() at ${this.#sockets.map((each) => each.getsockname()).join(", ")}`,
      () => false,
    );
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

  async #shutdown(options: ShutdownOptions): Promise<HandlerOutcome[]> {
    const { grace, cancelGrace } = checkedGrace(options);
    this.close();
    this.#endArriving();
    const open = [...this.#transports].map((transport) => ({ transport, end: this.#endOf(transport) }));
    const outcomes = await endHandlers(open, grace, cancelGrace);
    this.abortClients();
    await this.waitClosed();
    return outcomes;
  }

  async #with<T>(body: (server: this) => T | PromiseLike<T>): Promise<Awaited<T>> {
    try {
      checkFunction("Server.with()", body);
      return await body(this);
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  /** @internal */
  _endNow(): void {
    this.close();
  }

  #endArriving(): void {
    for (const socket of this.#arriving) {
      socket.destroy();
    }
  }

  /** Has a result when the connection has ended. */
  #endOf(transport: SocketTransport): Future<void> {
    const end = this.#ends.get(transport) ?? new Future<void>();
    this.#ends.set(transport, end);
    if (transport._isOutside) {
      settledFromOutside(end);
    }
    return end;
  }

  #startServing(): void {
    if (this.#state === "closed") {
      throw new RuntimeError(`server ${this} is closed`, { code: "ERR_SERVER_CLOSED" });
    }
    if (this.#state === "created") {
      this.#state = "serving";
      tell(serverListening, { server: this });
      for (const socket of this.#early.splice(0)) {
        this.#take(socket);
      }
    }
  }

  /** Serves the connection, unless the handler of one before it has closed the server. */
  #take(socket: net.Socket): void {
    if (this.#state === "serving") {
      this.#accept(socket);
    } else {
      socket.destroy();
    }
  }

  #connected(socket: net.Socket): void {
    const { backlog, maxConnections } = this.#settings;
    if (this.#transports.size + this.#arriving.size + this.#early.length >= maxConnections) {
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
    this.#arriving.add(socket);
    if (tls === undefined) {
      this.#open(socket, context);
      return;
    }
    runInFlow(flowOf(context), startTls, socket as Duplex, tls, () => String(this)).then(
      (secured) => {
        if (socket.destroyed) {
          // Closed, by the server itself for one, in the turn in which the handshake came to its end.
          secured.destroy();
          this.#dropArriving(socket);
          return;
        }
        this.#arriving.delete(socket);
        this.#arriving.add(secured);
        this.#open(secured, context);
      },
      (error: unknown) => {
        if (isDebug()) {
          warn(`TLS handshake failed on ${this}: ${String(error)}`);
        }
        this.#dropArriving(socket);
      },
    );
  }

  /** Makes the protocol and the transport. Both run code of the user, in which the connection counts already. */
  #open(socket: Duplex, context: Context): void {
    const { makeProtocol, tls, idleTimeout, path } = this.#settings;
    let protocol: BaseProtocol;
    try {
      protocol = makeProtocol(context);
    } catch (exception) {
      callExceptionHandler({ message: "Error on transport creation for incoming connection", exception, server: this });
      socket.destroy();
      this.#dropArriving(socket);
      return;
    }
    this.#arriving.delete(socket);
    new SocketTransport({
      socket,
      protocol,
      context,
      tls,
      idleTimeout,
      sockname: this.#sockname,
      peername: path === undefined ? undefined : "",
      onOpened: this.#onOpened,
      onClosed: this.#onClosed,
    });
  }

  /** The connection has ended before it had a transport. */
  #dropArriving(socket: Duplex): void {
    this.#arriving.delete(socket);
    this.#wakeIfDone();
  }

  #wakeIfDone(): void {
    if (this.#state !== "closed" || this.#transports.size + this.#arriving.size > 0) {
      return;
    }
    const waits = this.#closeWaits;
    this.#closeWaits = new Set();
    for (const wait of waits) {
      wait.resolve();
    }
  }
}

/** A connection belongs to no task: cancelling whoever started the server cancels none of its connections' waits. */
export function flowOf(context: Context): Flow {
  return new Flow(context, null, false, null);
}

knowMethodsOf({ Server });
