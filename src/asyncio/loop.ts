/** EventLoop: asyncio's view of Node's event loop. There is one for the process. */

import { Inspectable, repr } from "../repr.ts";
import {
  checkBoolean,
  checkBooleans,
  checkFunction,
  checkOptions,
  checkProtocol,
  notConstructible,
} from "./arguments.ts";
import { quiet } from "./async-stacks.ts";
import {
  type AcceptedSocketOptions,
  type ConnectionOptions,
  type CreateConnectionOptions,
  connectAcceptedSocket,
  createConnection,
  createUnixConnection,
} from "./connections.ts";
import { createTask } from "./create-task.ts";
import { getSlowCallbackDuration, isDebug, setDebug, setSlowCallbackDuration } from "./debug/debug.ts";
import { register } from "./debug/registry.ts";
import type { CallbackOptions, ExceptionContext, Handle, TimerHandle } from "./events.ts";
import * as events from "./events.ts";
import { Future } from "./futures.ts";
import { connectReadPipe, connectWritePipe } from "./pipes.ts";
import type { BaseProtocol } from "./protocols/protocols.ts";
import { runningLoop, setRunningLoop } from "./running-loop.ts";
import type { CreateServerOptions, CreateUnixServerOptions } from "./servers/options.ts";
import type { Server } from "./servers/server.ts";
import { createServer, createUnixServer } from "./servers/start.ts";
import { addSignalHandler, removeSignalHandler } from "./signals.ts";
import type { Task, TaskOptions } from "./tasks.ts";
import { time } from "./timers.ts";
import { type AddressInfoOptions, lookUp, lookUpName, SocketAddress } from "./transports/addresses.ts";
import type { ConnectedSocket } from "./transports/adopt.ts";
import { checkedPort } from "./transports/services.ts";
import type { ByteSink } from "./transports/sinks.ts";
import type { ByteSource } from "./transports/sources.ts";
import type { SSLContext, TlsOptions } from "./transports/tls.ts";
import type { ReadTransport, Transport, Upgradable, WriteTransport } from "./transports/transport.ts";

/**
 * Options of `loop.startTls()`.
 *
 * @inline
 */
interface StartTlsOptions extends TlsOptions {
  /** Whether this side is the server. @default false */
  serverSide?: boolean | undefined;
}

let madeLoop = false;

/** Called with the loop and the details of an uncaught error. */
export type ExceptionHandler = (loop: EventLoop, context: ExceptionContext) => unknown;

/**
 * The event loop: schedules callbacks, and creates tasks, connections and servers.
 *
 * It is Node's own loop. There is one for the process, returned by {@linkcode getRunningLoop}; it is always running and
 * cannot be stopped.
 *
 * Python: `asyncio.AbstractEventLoop`. Differs: callbacks take no arguments; use a closure instead.
 */
export class EventLoop extends Inspectable {
  #exceptionHandler: ExceptionHandler | null = null;

  private constructor() {
    super();
    if (madeLoop) {
      throw notConstructible("EventLoop", "there is one, which getRunningLoop() returns");
    }
    madeLoop = true;
  }

  static {
    setRunningLoop(new EventLoop());
    register();
  }

  /**
   * Calls the function in the next turn of the loop, after the callbacks that were scheduled earlier.
   *
   * If the function throws, the error is reported to the exception handler.
   *
   * Python: `loop.call_soon()`. Differs: no arguments for the callback.
   *
   * @throws {TypeError} If `callback` is not a function.
   */
  callSoon(callback: () => unknown, options?: CallbackOptions): Handle {
    return events.callSoon(callback, options);
  }

  /**
   * Calls the function after the delay, in seconds. The delay may be of any length.
   *
   * Python: `loop.call_later()`. Differs: no arguments for the callback.
   *
   * @throws {TypeError} If `callback` is not a function, or `delay` is not a number.
   * @throws {ValueError} If `delay` is NaN.
   */
  callLater(delay: number, callback: () => unknown, options?: CallbackOptions): TimerHandle {
    return events.callLater(delay, callback, options);
  }

  /**
   * Calls the function at the given time of the loop's clock, in seconds.
   *
   * Python: `loop.call_at()`. Differs: no arguments for the callback.
   *
   * @throws {TypeError} If `callback` is not a function, or `when` is not a number.
   * @throws {ValueError} If `when` is NaN.
   */
  callAt(when: number, callback: () => unknown, options?: CallbackOptions): TimerHandle {
    return events.callAt(when, callback, options);
  }

  /** The loop's clock, in seconds; never goes back. Python: `loop.time()`. */
  time(): number {
    return time();
  }

  /** Like {@linkcode createTask}. Python: `loop.create_task()`. Differs: takes a function. */
  createTask<T>(callable: () => T | PromiseLike<T>, options?: TaskOptions): Task<Awaited<T>> {
    return createTask(callable, options);
  }

  /** A new Future. Python: `loop.create_future()`. */
  createFuture<T>(): Future<T> {
    return new Future<T>();
  }

  /**
   * Connects to a host and a port, and gives the connection to a protocol; see `openConnection()` for the arguments.
   *
   * The protocol is created and called in a copy of the current Context.
   *
   * Python: `loop.create_connection()`. Differs: the local address is `localAddr`.
   *
   * @param protocolFactory - Creates the protocol once the connection is established.
   * @returns The transport and the protocol.
   */
  createConnection<P extends BaseProtocol>(
    protocolFactory: () => P,
    host?: string | null,
    port?: number | string | null,
    options?: CreateConnectionOptions,
  ): Promise<[Transport, P]> {
    return createConnection(protocolFactory, host, port, options);
  }

  /**
   * Gives a protocol a connection that other code has accepted. The transport owns the socket from then on.
   *
   * Python: `loop.connect_accepted_socket()`.
   *
   * @param protocolFactory - Creates the protocol; with `ssl`, after the TLS handshake.
   * @returns The transport and the protocol.
   * @throws {ValueError} If `sock` is not a connected stream socket.
   * @throws {SSLError} If TLS fails.
   */
  connectAcceptedSocket<P extends BaseProtocol>(
    protocolFactory: () => P,
    sock: ConnectedSocket,
    options?: AcceptedSocketOptions,
  ): Promise<[Transport, P]> {
    return connectAcceptedSocket(protocolFactory, sock, options);
  }

  /**
   * Passes the bytes of a source to a protocol; see `StreamReader.from()` for the sources.
   *
   * The transport closes at the end of the source, whatever `eofReceived()` returns. `getExtraInfo("pipe")` is the
   * source.
   *
   * Python: `loop.connect_read_pipe()`. Differs: takes any source of bytes, not a file.
   *
   * @returns The transport and the protocol.
   * @throws As `StreamReader.from()` does.
   */
  connectReadPipe<P extends BaseProtocol>(protocolFactory: () => P, pipe: ByteSource): Promise<[ReadTransport, P]> {
    return connectReadPipe(protocolFactory, pipe);
  }

  /**
   * Gives a protocol a transport that writes to a sink; see `StreamWriter.from()` for the sinks.
   *
   * The transport closes when the sink ends, and after `writeEof()`. `getExtraInfo("pipe")` is the sink.
   *
   * Python: `loop.connect_write_pipe()`. Differs: takes any sink of bytes, not a file.
   *
   * @returns The transport and the protocol.
   * @throws As `StreamWriter.from()` does.
   */
  connectWritePipe<P extends BaseProtocol>(protocolFactory: () => P, pipe: ByteSink): Promise<[WriteTransport, P]> {
    return connectWritePipe(protocolFactory, pipe);
  }

  /**
   * Returns all addresses of a host name, in the system's order.
   *
   * Python: `loop.getaddrinfo()`. Differs: TCP only; a {@linkcode SocketAddress} instead of a tuple for each.
   *
   * @param port - A number, or the name of a well-known service; 0 or `null` for none.
   * @throws {gaierror} If the name has no address.
   */
  getaddrinfo(
    host: string,
    port: number | string | null = 0,
    options: AddressInfoOptions = {},
  ): Promise<SocketAddress[]> {
    return quiet(addressesOf(host, port, options));
  }

  /**
   * Returns the host name and the service name of an address.
   *
   * Python: `loop.getnameinfo()`. Differs: no flags.
   *
   * @throws {gaierror} If the host has no name.
   * @throws {ValueError} If the address is not an IP address, or its port is not a number from 0 to 65535.
   * @throws {TypeError} If `address` is not an object with an address and a port.
   */
  getnameinfo(address: SocketAddress): Promise<[host: string, service: string]> {
    return quiet(lookUpName(address));
  }

  /** Always `true`. Python: `loop.is_running()`. */
  isRunning(): boolean {
    return true;
  }

  /** Always `false`: the loop cannot be closed. Python: `loop.is_closed()`. */
  isClosed(): boolean {
    return false;
  }

  /** Like `createConnection()`, to a Unix socket. Python: `loop.create_unix_connection()`. */
  createUnixConnection<P extends BaseProtocol>(
    protocolFactory: () => P,
    path?: string | null,
    options?: ConnectionOptions,
  ): Promise<[Transport, P]> {
    return createUnixConnection(protocolFactory, path, options);
  }

  /**
   * Starts a server that creates a protocol for each connection; see `startServer()` for the arguments.
   *
   * Every protocol is created and called in its own copy of the Context that was current when the server was created.
   *
   * Python: `loop.create_server()`.
   */
  createServer(
    protocolFactory: () => BaseProtocol,
    host?: string | readonly string[] | null,
    port?: number | string | null,
    options?: CreateServerOptions,
  ): Promise<Server> {
    return createServer(protocolFactory, host, port, options);
  }

  /** Like `createServer()`, on a Unix socket. Python: `loop.create_unix_server()`. */
  createUnixServer(
    protocolFactory: () => BaseProtocol,
    path?: string | null,
    options?: CreateUnixServerOptions,
  ): Promise<Server> {
    return createUnixServer(protocolFactory, path, options);
  }

  /**
   * Starts TLS on a transport's connection, and gives the transport to the protocol.
   *
   * Python: `loop.start_tls()`. Differs: returns the same transport, not a new one.
   *
   * @param ssl - Options of `node:tls`, or a `tls.SecureContext`; a client may also pass `true`.
   * @throws As `StreamWriter.startTls()` does.
   */
  startTls(
    transport: Transport,
    protocol: BaseProtocol,
    ssl: SSLContext | true,
    options: StartTlsOptions = {},
  ): Promise<Transport> {
    return quiet(startTls(transport, protocol, ssl, options));
  }

  /**
   * Sets the function that receives reports of uncaught errors; `null` restores the default.
   *
   * Python: `loop.set_exception_handler()`.
   *
   * @throws {TypeError} If `handler` is neither a function nor `null`.
   */
  setExceptionHandler(handler: ExceptionHandler | null): void {
    if (handler !== null) {
      checkFunction("setExceptionHandler()", handler);
    }
    this.#exceptionHandler = handler;
    events.replaceExceptionHandler(handler === null ? null : (context) => handler(this, context));
  }

  /** The function that was set, or `null`. Python: `loop.get_exception_handler()`. */
  getExceptionHandler(): ExceptionHandler | null {
    return this.#exceptionHandler;
  }

  /** Writes to standard error. Python: `loop.default_exception_handler()`. Differs: no logger. */
  defaultExceptionHandler(context: ExceptionContext): void {
    events.defaultExceptionHandler(context);
  }

  /** Reports an error to the exception handler. Never throws. Python: `loop.call_exception_handler()`. */
  callExceptionHandler(context: ExceptionContext): void {
    events.callExceptionHandler(context);
  }

  /**
   * Switches debug mode on or off. Debug mode warns about slow callbacks and task steps, about tasks that were
   * garbage-collected before they were done, and about tasks that swallowed a cancellation; messages include the place
   * where the task or callback was created.
   *
   * Python: `loop.set_debug()`.
   *
   * @throws {TypeError} If `enabled` is not a boolean.
   */
  setDebug(enabled: boolean): void {
    checkBoolean("setDebug(): enabled", enabled);
    setDebug(enabled);
  }

  /** Whether debug mode is on. Python: `loop.get_debug()`. */
  getDebug(): boolean {
    return isDebug();
  }

  /**
   * How long a callback or step may take in debug mode before a warning, in seconds. Python:
   * `loop.slow_callback_duration`.
   */
  get slowCallbackDuration(): number {
    return getSlowCallbackDuration();
  }

  set slowCallbackDuration(seconds: number) {
    setSlowCallbackDuration(seconds);
  }

  /**
   * Calls the function when the process receives the signal, in place of the signal's default action.
   *
   * The function is called in a turn of the loop, in a copy of the current Context. A second handler for the same
   * signal replaces the first; a handler for SIGINT also replaces the Ctrl-C handling of `run()`. While `run()` runs, a
   * handler keeps the process alive.
   *
   * Python: `loop.add_signal_handler()`. Differs: signals by their names; no arguments for the callback.
   *
   * @param signal - The signal's name, such as `"SIGTERM"`.
   * @throws {RuntimeError} If the signal cannot be caught, or, except on Deno, in a worker thread, which gets no signals.
   * @throws {ValueError} If there is no such signal.
   * @throws {TypeError} If `callback` is not a function.
   */
  addSignalHandler(signal: NodeJS.Signals, callback: () => unknown): void {
    addSignalHandler(signal, callback);
  }

  /**
   * Removes the function for the signal and restores Node's default action.
   *
   * Python: `loop.remove_signal_handler()`.
   *
   * @returns Whether there was a function to remove.
   */
  removeSignalHandler(signal: NodeJS.Signals): boolean {
    return removeSignalHandler(signal);
  }

  /** Python's `repr()`: it always runs. */
  override toString(): string {
    return `<EventLoop running=True closed=False debug=${isDebug() ? "True" : "False"}>`;
  }
}

async function addressesOf(
  host: string,
  port: number | string | null,
  options: AddressInfoOptions,
): Promise<SocketAddress[]> {
  checkOptions("getaddrinfo()", options, ["family", "flags"]);
  if (typeof host !== "string") {
    throw new TypeError(`getaddrinfo(): host must be a string, got ${repr(host)}`);
  }
  const number = checkedPort("getaddrinfo()", port ?? 0);
  const { family = 0, flags = 0 } = options;
  const found = await lookUp(host, family, flags);
  return found.map((address) => new SocketAddress(address, number));
}

async function startTls(
  transport: Transport,
  protocol: BaseProtocol,
  ssl: SSLContext | true,
  options: StartTlsOptions,
): Promise<Transport> {
  checkOptions("startTls()", options, ["serverSide", "serverHostname", "sslHandshakeTimeout", "sslShutdownTimeout"]);
  checkBooleans(options, ["serverSide"]);
  const { serverSide = false, ...tls } = options;
  checkProtocol("startTls(): protocol", protocol);
  const _startTls = (transport as (Transport & Partial<Upgradable>) | null | undefined)?._startTls;
  if (_startTls === undefined) {
    throw new TypeError(`startTls() is not supported by transport ${repr(transport)}`);
  }
  await _startTls.call(transport as Transport & Upgradable, ssl, serverSide, tls, () => Buffer.alloc(0));
  transport.setProtocol(protocol);
  return transport;
}

/**
 * Returns the event loop.
 *
 * Python: `asyncio.get_running_loop()`. Differs: never fails, because Node's loop always runs.
 */
// Defined here, so that a bundle with this function also contains the loop.
export function getRunningLoop(): EventLoop {
  return runningLoop();
}
