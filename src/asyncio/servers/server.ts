/**
 * Server: listening sockets and the connections accepted from them. The handler of each connection has its own Context.
 *
 * Theory of operation. A Server owns a listening socket for each address it listens at. It copies the current Context
 * once, when it is created. Every connection gets a copy of that copy, so that no connection sees values set later by
 * another connection or by the code around the server.
 *
 * A Server is closed in two steps, as in Python: `close()` stops listening and keeps the connections open;
 * `waitClosed()` waits until the last connection has ended as well. `shutdown()` does all of this within a given time.
 */

import type * as net from "node:net";
import type { Duplex } from "node:stream";
import type { Context } from "../../contextvars/context.ts";
import { Flow, runInFlow } from "../../contextvars/current.ts";
import { knowMethodsOf } from "../../contextvars/detached.ts";
import { RuntimeError } from "../../errors.ts";
import { Inspectable } from "../../repr.ts";
import { checkFunction, notConstructible } from "../arguments.ts";
import { fromCallback, quiet, quietRejection } from "../async-stacks.ts";
import { ReportedUnlessAwaited } from "../awaited.ts";
import { serverClosed, serverListening, tell } from "../debug/channels.ts";
import { isDebug, warn } from "../debug/debug.ts";
import { callExceptionHandler, callLater } from "../events.ts";
import { Future } from "../futures.ts";
import { LinkedList } from "../linked-list.ts";
import type { EventLoop } from "../loop.ts";
import { closed, type Openable, opened } from "../open.ts";
import type { BaseProtocol } from "../protocols/protocols.ts";
import { runningLoop } from "../running-loop.ts";
import { CancelledError, isCancelled } from "../task-errors.ts";
import { SocketAddress } from "../transports/addresses.ts";
import { type Listener, ServerSocket } from "../transports/listen.ts";
import { SocketTransport } from "../transports/socket-transport.ts";
import { startTls } from "../transports/tls.ts";
import { WaitSet } from "../wait-set.ts";
import { settledFromOutside, type Wait, WaitOn } from "../waits.ts";
import type { ServerSettings } from "./options.ts";
import { checkedGrace, endHandlers, type HandlerOutcome, type ShutdownOptions } from "./shutdown.ts";

/** How long a cancelled `serveForever()` waits for peers to take the bytes written to them. */
const CLOSE_TIMEOUT = 10; // seconds

/** The address, or `undefined` if it stands for all addresses of the machine. */
function specificAddress(address: SocketAddress | string | undefined): SocketAddress | undefined {
  return address instanceof SocketAddress && !["0.0.0.0", "::"].includes(address.address) ? address : undefined;
}

/**
 * A listening server; created by `startServer()`.
 *
 * Python: `asyncio.Server`. Differs: `with()`, or `await using`, instead of `async with`.
 */
export class Server extends Inspectable implements Openable {
  readonly #listeners: readonly Listener[];
  readonly #context: Context;
  readonly #settings: ServerSettings;
  readonly #transports = new LinkedList<SocketTransport>();
  #transportCount = 0;
  /**
   * Connections that have no transport yet, because their TLS handshake is in progress or their protocol is being
   * created.
   */
  readonly #arriving = new Set<Duplex>();
  /** The local address of all connections, if there is only one: it saves asking the system each time. */
  readonly #sockname: SocketAddress | string | undefined;
  #sockets: readonly ServerSocket[];
  #state: "created" | "serving" | "closed" = "created";
  /** Connections that arrived before `startServing()`. */
  #unserved: net.Socket[] = [];
  #forever: Wait<void> | null = null;
  readonly #closeWaits = new WaitSet<void>();
  /** The Futures by which `shutdown()` waits for connections to end. */
  readonly #ends = new WeakMap<SocketTransport, Future<void>>();
  readonly #onOpened = (transport: SocketTransport): void => {
    this.#transports.add(transport);
    this.#transportCount += 1;
  };
  readonly #onClosed = (lost: SocketTransport): void => {
    this.#transports.delete(lost);
    this.#transportCount -= 1;
    this.#ends.get(lost)?.setResult();
    this.#wakeIfDone();
  };

  /** @internal */
  constructor(listeners: readonly Listener[], settings: ServerSettings) {
    super();
    if (settings?.context === undefined) {
      throw notConstructible("Server", "call startServer()");
    }
    this.#listeners = listeners;
    this.#context = settings.context;
    this.#settings = settings;
    this.#sockets = listeners.map(({ address }) => new ServerSocket(address));
    this.#sockname = settings.path ?? (listeners.length === 1 ? specificAddress(listeners[0]?.address) : undefined);
    opened(this);
    for (const { server } of listeners) {
      server.on("connection", (socket: net.Socket) => this.#connected(socket));
      server.on("error", (exception) => {
        callExceptionHandler({ message: "Error on a listening socket", exception, server: this });
      });
    }
  }

  /** The listening sockets; empty when the server is closed. Python: `Server.sockets`. Differs: an array. */
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
   * Starts accepting connections. Has no effect if the server already does.
   *
   * Python: `Server.start_serving()`.
   *
   * @throws {RuntimeError} If the server is closed.
   */
  startServing(): Promise<void> {
    try {
      this.#startServing();
    } catch (error) {
      return quietRejection(error);
    }
    return Promise.resolve();
  }

  /**
   * Accepts connections until the task is cancelled; then closes the server and its connections, and waits until they
   * are closed.
   *
   * A connection whose peer has not taken everything after 10 seconds is aborted. Handlers are not cancelled: their
   * reads end as at EOF. Use `shutdown()` to give them time or to cancel them.
   *
   * Python: `Server.serve_forever()`. Differs: does not wait forever for a peer.
   *
   * @throws {CancelledError} Always: it ends only when the task is cancelled or the server is closed.
   * @throws {RuntimeError} If another `serveForever()` of this server is running, or the server is closed.
   */
  serveForever(): Promise<void> {
    return quiet(this.#serveForever());
  }

  /**
   * Stops listening. Open connections stay open.
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
    for (const socket of this.#unserved.splice(0)) {
      socket.destroy();
    }
    this.#forever?.reject(fromCallback(new CancelledError()));
    this.#wakeIfDone();
  }

  /** Closes each connection once its write buffer is empty. Python: `Server.close_clients()`. */
  closeClients(): void {
    this.#endArriving();
    for (const transport of [...this.#transports]) {
      transport.close();
    }
  }

  /** Closes all connections immediately; unsent bytes are lost. Python: `Server.abort_clients()`. */
  abortClients(): void {
    this.#endArriving();
    for (const transport of [...this.#transports]) {
      transport.abort();
    }
  }

  /**
   * Waits until the server is closed and its last connection has ended.
   *
   * Python: `Server.wait_closed()`, as since 3.12. Differs: cancelling one call does not affect other calls.
   */
  waitClosed(): Promise<void> {
    if (this.#isDone) {
      return Promise.resolve();
    }
    return this.#closeWaits.begin(
      () => `Server.waitClosed() ${this.#transportCount + this.#arriving.size} connections`,
      () => this.#arriving.size > 0 || [...this.#transports].some(({ _isOutside: isOutside }) => isOutside),
    );
  }

  /**
   * Ends the server within a given time: stops listening, lets the handlers finish, cancels the rest after `grace`
   * seconds, and aborts the connections that remain after another `cancelGrace` seconds.
   *
   * When a handler ends, its connection is closed if it is still open. A protocol has no task to cancel; its connection
   * is closed instead. Errors of handlers and peers do not make `shutdown()` throw.
   *
   * Python: has no such method.
   *
   * @returns The outcome of the handler of each open connection.
   * @throws {ValueError} If `grace` or `cancelGrace` is negative or NaN.
   * @throws {TypeError} If one of them is not a number.
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
  override toString(): string {
    const comma = this.#sockets.length === 1 ? "," : "";
    return `<Server sockets=(${this.#sockets.join(", ")}${comma})>`;
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
        const deadline = callLater(CLOSE_TIMEOUT, () => this.abortClients());
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
    const open = [...this.#transports].map((transport) => ({ transport, end: this.#closedFuture(transport) }));
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

  /** The Future that gets a result when the connection ends. */
  #closedFuture(transport: SocketTransport): Future<void> {
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
      for (const socket of this.#unserved.splice(0)) {
        this.#take(socket);
      }
    }
  }

  /** Serves the connection, unless the handler of an earlier one has closed the server. */
  #take(socket: net.Socket): void {
    if (this.#state === "serving") {
      this.#accept(socket);
    } else {
      socket.destroy();
    }
  }

  #connected(socket: net.Socket): void {
    const { backlog, maxConnections } = this.#settings;
    if (this.#transportCount + this.#arriving.size + this.#unserved.length >= maxConnections) {
      socket.destroy();
    } else if (this.#state === "serving") {
      this.#accept(socket);
    } else if (this.#state === "created" && this.#unserved.length < backlog) {
      socket.pause();
      socket.on("error", () => socket.destroy());
      // A connection that ends before it is served is forgotten.
      socket.once("close", () => {
        this.#unserved = this.#unserved.filter((each) => each !== socket);
      });
      this.#unserved.push(socket);
    } else {
      socket.destroy();
    }
  }

  #accept(socket: net.Socket): void {
    const { tls, makeProtocol } = this.#settings;
    if (tls === undefined && makeProtocol.runsUserCode === false) {
      this.#open(socket, this.#context);
      return;
    }
    const context = this.#context.copy();
    this.#arriving.add(socket);
    if (tls === undefined) {
      this.#open(socket, context);
      return;
    }
    // In a flow without a task: cancelling the task that started the server must not cancel a handshake.
    runInFlow(Flow.entered(context), startTls, socket as Duplex, tls, () => String(this)).then(
      (secured) => {
        if (socket.destroyed) {
          // The connection was closed, for example by the server itself, in the turn in which the handshake completed.
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

  /** Creates the protocol and the transport. Both run user code, during which the connection already counts as open. */
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
      sharesContext: context === this.#context,
      tls,
      idleTimeout,
      sockname: this.#sockname,
      peername: path === undefined ? undefined : "",
      onOpened: this.#onOpened,
      onClosed: this.#onClosed,
    });
  }

  /** Removes a connection that has ended before it had a transport. */
  #dropArriving(socket: Duplex): void {
    this.#arriving.delete(socket);
    this.#wakeIfDone();
  }

  /** Whether the server is closed and its last connection has ended. */
  get #isDone(): boolean {
    return this.#state === "closed" && this.#transportCount + this.#arriving.size === 0;
  }

  #wakeIfDone(): void {
    if (this.#isDone) {
      this.#closeWaits.resolveAll();
    }
  }
}

knowMethodsOf({ Server });
