/** startServer and its variants: they create a Server from a handler or a protocol factory and an address. */
import type { Context } from "../../contextvars/context.ts";
import { Flow, runInFlow } from "../../contextvars/current.ts";
import { ValueError } from "../../errors.ts";
import { repr } from "../../repr.ts";
import { addressOrOptions, checkedProtocol, checkFactory, checkFunction, checkOptions } from "../arguments.ts";
import { quiet } from "../async-stacks.ts";
import type { BaseProtocol } from "../protocols/protocols.ts";
import { READER_OPTIONS, type ReaderOptions, readerWith } from "../streams/reader-options.ts";
import { type ClientConnectedCb, StreamReaderProtocol } from "../streams/stream-protocol.ts";
import {
  adoptListener,
  checkedReusePort,
  type Listener,
  type ListenOptions,
  listenTcp,
  listenUnix,
} from "../transports/listen.ts";
import {
  type CreateServerOptions,
  type CreateUnixServerOptions,
  type MakeProtocol,
  type ServerOptions,
  type ServerSettings,
  type StartServerOptions,
  type StartUnixServerOptions,
  settingsOf,
  TCP_SERVER_OPTIONS,
  UNIX_SERVER_OPTIONS,
} from "./options.ts";
import { Server } from "./server.ts";

/**
 * Starts a server that calls the handler for each connection.
 *
 * An async handler runs as a task in its own Context, a copy of the one that was current when `startServer` was called:
 * values that it sets are visible to the functions that it calls and to no other connection. If it throws, the error is
 * reported to the loop's exception handler and its connection is closed; the server continues.
 *
 * Python: `asyncio.start_server()`. Differs: without a host and with port 0, both families listen at the same port.
 *
 * @param clientConnectedCb - Called with the reader and the writer of each connection.
 * @param host - A name or an address, or an array of them; `null` or "" for every address of the machine.
 * @param port - A number; 0 to let the system choose.
 * @throws {OSError} If listening at an address fails; the message names the address, and `code` is `EADDRINUSE` or the
 * like.
 * @throws {gaierror} If a host does not resolve.
 * @throws {ValueError} If neither a host or port nor `sock` is given, or both.
 * @throws {TypeError} If the handler is not a function, or `sock` is a TLS or an HTTP server, which would handle its
 * connections itself.
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
export function startServer(
  clientConnectedCb: ClientConnectedCb,
  hostOrOptions?: string | readonly string[] | StartServerOptions | null,
  port?: number | string | null,
  moreOptions: StartServerOptions = {},
): Promise<Server> {
  const { value: host, options } = addressOrOptions<string | readonly string[], StartServerOptions>(
    hostOrOptions,
    moreOptions,
  );
  const start = async (): Promise<Server> => {
    checkOptions("startServer()", options, [...TCP_SERVER_OPTIONS, ...READER_OPTIONS]);
    const makeProtocol = streamProtocols("startServer()", clientConnectedCb, options);
    return await listenAtTcp("startServer()", makeProtocol, host, port, options);
  };
  return quiet(start());
}

/**
 * Starts a server on a Unix socket, as {@linkcode startServer} does on TCP.
 *
 * A stale socket at the path is removed first. Closing the server removes the file if it is still the server's own.
 *
 * Python: `asyncio.start_unix_server()`.
 *
 * @param clientConnectedCb - Called with the reader and the writer of each connection.
 * @param path - Up to 107 bytes; a path that begins with a zero byte is in Linux's abstract namespace.
 * @throws {OSError} If listening at the path fails; the message names the path.
 * @throws {ValueError} If neither a path nor `sock` is given, or both.
 * @throws {TypeError} If the handler is not a function, or `sock` is a TLS or an HTTP server, which would handle its
 * connections itself.
 */
export function startUnixServer(
  clientConnectedCb: ClientConnectedCb,
  path?: string | null,
  options?: StartUnixServerOptions,
): Promise<Server>;
export function startUnixServer(clientConnectedCb: ClientConnectedCb, options: StartUnixServerOptions): Promise<Server>;
export function startUnixServer(
  clientConnectedCb: ClientConnectedCb,
  pathOrOptions?: string | StartUnixServerOptions | null,
  moreOptions: StartUnixServerOptions = {},
): Promise<Server> {
  const { value: path, options } = addressOrOptions<string, StartUnixServerOptions>(pathOrOptions, moreOptions);
  const start = async (): Promise<Server> => {
    checkOptions("startUnixServer()", options, [...UNIX_SERVER_OPTIONS, ...READER_OPTIONS]);
    const makeProtocol = streamProtocols("startUnixServer()", clientConnectedCb, options);
    return await listenAtPath("startUnixServer()", makeProtocol, path, options);
  };
  return quiet(start());
}

/** `loop.createServer()`. */
export function createServer(
  protocolFactory: () => BaseProtocol,
  host?: string | readonly string[] | null,
  port?: number | string | null,
  options: CreateServerOptions = {},
): Promise<Server> {
  const create = async (): Promise<Server> => {
    checkOptions("createServer()", options, TCP_SERVER_OPTIONS);
    return await listenAtTcp("createServer()", checkedFactory("createServer()", protocolFactory), host, port, options);
  };
  return quiet(create());
}

/** `loop.createUnixServer()`. */
export function createUnixServer(
  protocolFactory: () => BaseProtocol,
  path?: string | null,
  options: CreateUnixServerOptions = {},
): Promise<Server> {
  const create = async (): Promise<Server> => {
    checkOptions("createUnixServer()", options, UNIX_SERVER_OPTIONS);
    const makeProtocol = checkedFactory("createUnixServer()", protocolFactory);
    return await listenAtPath("createUnixServer()", makeProtocol, path, options);
  };
  return quiet(create());
}

function checkedFactory(caller: string, protocolFactory: () => BaseProtocol): MakeProtocol {
  checkFactory(caller, protocolFactory);
  // In a flow without a task: cancelling the task that started the server must not cancel the waits of its connections.
  return (context) => checkedProtocol(caller, runInFlow(Flow.entered(context), protocolFactory));
}

/** Creates a reader and its protocol for each connection. */
export function streamProtocols(caller: string, callback: ClientConnectedCb, options: ReaderOptions): MakeProtocol {
  checkFunction(caller, callback);
  // Reports an invalid limit now instead of with the first connection.
  readerWith(options);
  const makeProtocol = (context: Context): StreamReaderProtocol =>
    new StreamReaderProtocol(readerWith(options), callback, context);
  return Object.assign(makeProtocol, { runsUserCode: false });
}

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
    reusePort: checkedReusePort(caller, options),
    caller,
  };
  if (options.sock === undefined) {
    if (!given) {
      throw new ValueError("Neither host/port nor sock were specified; pass host and port, or { sock }");
    }
    const { family = 0, flags = 0 } = options;
    return await serve(await listenTcp(host, port, family, flags, how), settings, options);
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
  const how: ListenOptions = { backlog: settings.backlog, keepAlive: false, reusePort: false, caller };
  if (sock !== undefined) {
    if ((path ?? undefined) !== undefined) {
      throw new ValueError("path and sock can not be specified at the same time");
    }
    const listener = await adoptListener(sock, cleanupSocket, how);
    return await serve([listener], { ...settings, path: String(listener.address) }, options);
  }
  if ((path ?? undefined) === undefined) {
    throw new ValueError("path was not specified, and no sock specified; pass a path, or { sock }");
  }
  if (typeof path !== "string") {
    throw new TypeError(`${caller}: path must be a string, got ${repr(path)}`);
  }
  return await serve([await listenUnix(path, cleanupSocket, how)], { ...settings, path }, options);
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
