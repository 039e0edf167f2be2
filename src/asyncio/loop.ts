/** EventLoop: asyncio's view of Node's event loop. There is one for the process. */

import { inspectCustom, repr } from "../repr.ts";
import { checkBooleans, checkFunction, checkOptions } from "./arguments.ts";
import {
  type AcceptedSocketOptions,
  type ConnectedSocket,
  type ConnectionOptions,
  type CreateConnectionOptions,
  connectAcceptedSocket,
  createConnection,
  createUnixConnection,
} from "./connections.ts";
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
import { createTask, type Task, type TaskOptions } from "./tasks.ts";
import { time } from "./timers.ts";
import { type AddressInfoOptions, lookUp, lookUpName, SocketAddress } from "./transports/addresses.ts";
import { checkedPort } from "./transports/services.ts";
import type { ByteSink } from "./transports/sinks.ts";
import type { ByteSource } from "./transports/sources.ts";
import type { SSLContext, TlsOptions } from "./transports/tls.ts";
import type { ReadTransport, Transport, Upgradable, WriteTransport } from "./transports/transport.ts";
import { quiet } from "./waits.ts";

/** Options of `loop.startTls()`. */
interface StartTlsOptions extends TlsOptions {
  /** Whether this side is the server. @default false */
  serverSide?: boolean | undefined;
}

/** Called with the loop and what is known of an error that nobody caught. */
export type ExceptionHandler = (loop: EventLoop, context: ExceptionContext) => unknown;

/**
 * The event loop: what is called when.
 *
 * It is Node's own. There is one for the process, got by {@linkcode getRunningLoop}; it needs no starting, and cannot be
 * stopped.
 *
 * Python: `asyncio.AbstractEventLoop`. Differs: callbacks take no arguments, close over them instead.
 */
export class EventLoop {
  #exceptionHandler: ExceptionHandler | null = null;

  private constructor() {}

  static {
    setRunningLoop(new EventLoop());
    register();
  }

  /**
   * Has the function called in the next turn of the loop, after what was scheduled before it.
   *
   * What it throws goes to the exception handler.
   *
   * Python: `loop.call_soon()`. Differs: no arguments for the callback.
   *
   * @throws {TypeError} If `callback` is not a function.
   */
  callSoon(callback: () => unknown, options?: CallbackOptions): Handle {
    return events.callSoon(callback, options);
  }

  /**
   * Has the function called after the delay, in seconds. A delay of any length will do.
   *
   * Python: `loop.call_later()`. Differs: no arguments for the callback.
   *
   * @throws {TypeError} If `callback` is not a function, or `delay` no number.
   * @throws {ValueError} If `delay` is NaN.
   */
  callLater(delay: number, callback: () => unknown, options?: CallbackOptions): TimerHandle {
    return events.callLater(delay, callback, options);
  }

  /**
   * Has the function called at a moment of the loop's clock, in seconds.
   *
   * Python: `loop.call_at()`. Differs: no arguments for the callback.
   *
   * @throws {TypeError} If `callback` is not a function, or `when` no number.
   * @throws {ValueError} If `when` is NaN.
   */
  callAt(when: number, callback: () => unknown, options?: CallbackOptions): TimerHandle {
    return events.callAt(when, callback, options);
  }

  /** The loop's clock, in seconds; never goes back. Python: `loop.time()`. */
  time(): number {
    return time();
  }

  /** As {@linkcode createTask}. Python: `loop.create_task()`. Differs: takes a function. */
  createTask<T>(callable: () => T | PromiseLike<T>, options?: TaskOptions): Task<Awaited<T>> {
    return createTask(callable, options);
  }

  /** A new Future. Python: `loop.create_future()`. */
  createFuture<T>(): Future<T> {
    return new Future<T>();
  }

  /**
   * Connects to a host and a port, and hands the connection to a protocol; see `openConnection()` for the arguments.
   *
   * The protocol is made, and called, in a copy of the current Context.
   *
   * Python: `loop.create_connection()`. Differs: the local address is `localAddr`.
   *
   * @param protocolFactory - Makes the protocol when the connection is there.
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
   * Hands a connection to a protocol that something else has accepted. The transport owns the socket from now on.
   *
   * Python: `loop.connect_accepted_socket()`.
   *
   * @param protocolFactory - Makes the protocol, when TLS is there if `ssl` asks for it.
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
   * Hands what a source gives to a protocol; see `StreamReader.from()` for the sources.
   *
   * The transport ends with the source, whatever `eofReceived()` returns. `getExtraInfo("pipe")` is the source.
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
   * The transport ends with the sink, and with `writeEof()`. `getExtraInfo("pipe")` is the sink.
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
   * Returns all addresses that a host name stands for, in the order of the system.
   *
   * Python: `loop.getaddrinfo()`. Differs: TCP only; a {@linkcode SocketAddress} instead of a tuple for each.
   *
   * @param port - A number, or the name of a well-known service; 0 or `null` for none.
   * @throws {gaierror} If there are none.
   */
  getaddrinfo(
    host: string,
    port: number | string | null = 0,
    options: AddressInfoOptions = {},
  ): Promise<SocketAddress[]> {
    return quiet(addressesOf(host, port, options));
  }

  /**
   * Returns the host name and the name of the service that an address stands for.
   *
   * Python: `loop.getnameinfo()`. Differs: no flags.
   *
   * @throws {gaierror} If the host has no name.
   * @throws {ValueError} If the address is not an IP address.
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

  /** As `createConnection()`, to a Unix socket. Python: `loop.create_unix_connection()`. */
  createUnixConnection<P extends BaseProtocol>(
    protocolFactory: () => P,
    path?: string | null,
    options?: ConnectionOptions,
  ): Promise<[Transport, P]> {
    return createUnixConnection(protocolFactory, path, options);
  }

  /**
   * Starts a server that makes a protocol for each connection; see `startServer()` for the arguments.
   *
   * Every protocol is made, and called, in a copy of the Context that was current when the server was made.
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

  /** As `createServer()`, on a Unix socket. Python: `loop.create_unix_server()`. */
  createUnixServer(
    protocolFactory: () => BaseProtocol,
    path?: string | null,
    options?: CreateUnixServerOptions,
  ): Promise<Server> {
    return createUnixServer(protocolFactory, path, options);
  }

  /**
   * Puts TLS on the connection of a transport, and hands it to the protocol.
   *
   * Python: `loop.start_tls()`. Differs: gives the same transport, not a new one.
   *
   * @param ssl - Options of `node:tls`, or a `tls.SecureContext`; a client may say `true`.
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
   * Sets the function that is told of errors nobody caught; `null` brings the default back.
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

  /** Tells the exception handler of an error. Never throws. Python: `loop.call_exception_handler()`. */
  callExceptionHandler(context: ExceptionContext): void {
    events.callExceptionHandler(context);
  }

  /**
   * Switches debug mode: slow callbacks and steps of tasks are warned of, tasks that were collected before they were
   * done, and tasks that swallowed a cancellation; messages tell where a task or callback was made.
   *
   * Python: `loop.set_debug()`.
   */
  setDebug(enabled: boolean): void {
    setDebug(enabled);
  }

  /** Whether debug mode is on. Python: `loop.get_debug()`. */
  getDebug(): boolean {
    return isDebug();
  }

  /** What is slow in debug mode, in seconds. Python: `loop.slow_callback_duration`. */
  get slowCallbackDuration(): number {
    return getSlowCallbackDuration();
  }

  set slowCallbackDuration(seconds: number) {
    setSlowCallbackDuration(seconds);
  }

  /**
   * Has the function called when the process gets the signal, instead of what would happen else.
   *
   * It is called in a turn of the loop, in a copy of the current Context. A second one for the same signal takes the place
   * of the first; one for SIGINT takes the place of what `run()` does at Ctrl-C.
   *
   * Python: `loop.add_signal_handler()`. Differs: signals by their names; no arguments for the callback.
   *
   * @param signal - Such as `"SIGTERM"`.
   * @throws {RuntimeError} If the signal cannot be caught.
   * @throws {ValueError} If there is no such signal.
   * @throws {TypeError} If `callback` is not a function.
   */
  addSignalHandler(signal: NodeJS.Signals, callback: () => unknown): void {
    addSignalHandler(signal, callback);
  }

  /**
   * Takes the function for the signal back; what happens then is Node's default.
   *
   * Python: `loop.remove_signal_handler()`.
   *
   * @returns Whether there was one.
   */
  removeSignalHandler(signal: NodeJS.Signals): boolean {
    return removeSignalHandler(signal);
  }

  /** Python's `repr()`: it always runs. */
  toString(): string {
    return `<EventLoop running=True closed=False debug=${isDebug() ? "True" : "False"}>`;
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }
}

async function addressesOf(
  host: string,
  port: number | string | null,
  options: AddressInfoOptions,
): Promise<SocketAddress[]> {
  checkOptions("getaddrinfo()", options, ["family", "flags"]);
  if (typeof host !== "string") {
    throw new TypeError(`getaddrinfo() needs a host name, got ${repr(host)}`);
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
  const { _startTls } = transport as Transport & Partial<Upgradable>;
  if (_startTls === undefined) {
    throw new TypeError(`transport ${repr(transport)} is not supported by startTls()`);
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
// Defined here, so that a bundle with this function has the loop, too.
export function getRunningLoop(): EventLoop {
  return runningLoop();
}
