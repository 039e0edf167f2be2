/**
 * Connecting to a host and a port, or to a path. The result is a transport and a protocol, or a reader and a writer.
 */
import type { Duplex } from "node:stream";
import { copyContext } from "../contextvars/context.ts";
import { ValueError } from "../errors.ts";
import { repr } from "../repr.ts";
import {
  addressOrOptions,
  afterHost,
  checkBooleans,
  checkedProtocol,
  checkFactory,
  checkOptions,
  checkPositiveSeconds,
  checkSecondsFromZero,
  checkWholeNumber,
} from "./arguments.ts";
import { noop, quiet } from "./async-stacks.ts";
import { ReportedUnlessAwaited } from "./awaited.ts";
import { nodeFs } from "./on-demand.ts";
import type { BaseProtocol } from "./protocols/protocols.ts";
import { ON_BUN } from "./runtime.ts";
import type { StreamReader } from "./streams/reader.ts";
import { READER_OPTIONS, type ReaderOptions, readerWith } from "./streams/reader-options.ts";
import { StreamReaderProtocol } from "./streams/stream-protocol.ts";
import { StreamWriter } from "./streams/writer.ts";
import { checkPath, type Family, lookUp, SocketAddress } from "./transports/addresses.ts";
import { adoptSocket, type ConnectedSocket, untilConnected } from "./transports/adopt.ts";
import { claim } from "./transports/claims.ts";
import { connectAny, interleaved } from "./transports/connect.ts";
import { newSocket } from "./transports/node-sockets.ts";
import { toOSError } from "./transports/os-errors.ts";
import { checkedPort } from "./transports/services.ts";
import { SocketTransport } from "./transports/socket-transport.ts";
import {
  checkServerContext,
  type SSLContext,
  startTls,
  type TlsOptions,
  type TlsRequest,
  tlsRequest,
} from "./transports/tls.ts";
import type { Transport } from "./transports/transport.ts";

/** Options of every client connection. */
export interface ConnectionOptions extends TlsOptions {
  /** A connected socket to use instead of an address. The connection owns it from then on. */
  sock?: ConnectedSocket | undefined;
  /** TLS: `true`, options of `node:tls`, or a `tls.SecureContext`; `false` for none. @default false */
  ssl?: SSLContext | boolean | undefined;
  /**
   * Aborts the connection with a TimeoutError after this many seconds without traffic in either direction. @default
   * never
   */
  idleTimeout?: number | undefined;
}

/** Options of `loop.createConnection()`. */
export interface CreateConnectionOptions extends ConnectionOptions {
  /** Which addresses to look up: 4, 6, or 0 for both. @default 0 */
  family?: Family | undefined;
  /** The protocol number: 0, or 6 for TCP. @default 0 */
  proto?: number | undefined;
  /** Flags for the name look-up: `ADDRCONFIG`, `V4MAPPED`, `ALL` of `node:dns`. @default 0 */
  flags?: number | undefined;
  /** The host and port to connect from. @default the system's choice */
  localAddr?: readonly [host: string, port: number] | undefined;
  /**
   * How long to wait, in seconds, before the next address is tried in parallel ("Happy Eyeballs"). @default the next
   * address is tried only after the previous one has failed
   */
  happyEyeballsDelay?: number | undefined;
  /**
   * How many addresses of the first family to try before one of the other. @default 1 with `happyEyeballsDelay`,
   * otherwise the system's order
   */
  interleave?: number | undefined;
  /** Whether to throw the errors of all addresses, as an ExceptionGroup. @default false */
  allErrors?: boolean | undefined;
}

/** Options of {@linkcode openConnection}. */
export interface OpenConnectionOptions extends CreateConnectionOptions, ReaderOptions {}

/** Options of {@linkcode openUnixConnection}. */
export interface OpenUnixConnectionOptions extends ConnectionOptions, ReaderOptions {}

/** Options of `loop.connectAcceptedSocket()`. */
export interface AcceptedSocketOptions extends Omit<TlsOptions, "serverHostname"> {
  /** TLS: options of `node:tls` with key and certificate, or a `tls.SecureContext`. @default no TLS */
  ssl?: SSLContext | undefined;
}

const ACCEPTED_OPTIONS = ["ssl", "sslHandshakeTimeout", "sslShutdownTimeout"] as const;
const TLS_OPTIONS = ["ssl", "serverHostname", "sslHandshakeTimeout", "sslShutdownTimeout"] as const;
const UNIX_OPTIONS = ["sock", "idleTimeout", ...TLS_OPTIONS] as const;
const TCP_OPTIONS = [
  ...UNIX_OPTIONS,
  "family",
  "proto",
  "flags",
  "localAddr",
  "happyEyeballsDelay",
  "interleave",
  "allErrors",
] as const;

/**
 * Connects to a host and a port.
 *
 * Tries the host's addresses one after the other, or in parallel with `happyEyeballsDelay`. A cancellation closes all
 * sockets. With `ssl`, the server's certificate is verified, and its name is checked against the host.
 *
 * Python: `asyncio.open_connection()`.
 *
 * @param host - A name or an IP address.
 * @param port - A number, or the name of a well-known service.
 * @returns The reader and the writer of the connection.
 * @throws {ConnectionRefusedError} If no server listens there.
 * @throws {gaierror} If the host or the service does not resolve.
 * @throws {OSError} If the connection fails for another reason. Several different failures are thrown as one error with
 * all their texts.
 * @throws {SSLError} If TLS fails; {@linkcode SSLCertVerificationError} if the server cannot be trusted.
 * @throws {ValueError} If neither a host and port nor `sock` is given, or both; or if options exclude each other.
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
  port: number | string,
  options?: OpenConnectionOptions,
): Promise<[StreamReader, StreamWriter]>;
export function openConnection(options: OpenConnectionOptions): Promise<[StreamReader, StreamWriter]>;
export function openConnection(
  hostOrOptions?: string | OpenConnectionOptions | null,
  port?: number | string,
  moreOptions: OpenConnectionOptions = {},
): Promise<[StreamReader, StreamWriter]> {
  const { value: host, options } = addressOrOptions<string, OpenConnectionOptions>(hostOrOptions, moreOptions);
  const connect = (makeProtocol: () => StreamReaderProtocol): Promise<SocketTransport> =>
    connectTcp("openConnection()", makeProtocol, host, port, options);
  return quiet(openStream("openConnection()", options, TCP_OPTIONS, connect));
}

/**
 * Connects to a Unix socket.
 *
 * Python: `asyncio.open_unix_connection()`.
 *
 * @param path - The socket's path; a path that begins with a zero byte is in Linux's abstract namespace.
 * @returns The reader and the writer of the connection.
 * @throws {FileNotFoundError} If there is no such path.
 * @throws {ConnectionRefusedError} If no server listens there.
 * @throws {ValueError} If neither a path nor `sock` is given, or both; or if `ssl` is given without `serverHostname`.
 */
export function openUnixConnection(
  path: string,
  options?: OpenUnixConnectionOptions,
): Promise<[StreamReader, StreamWriter]>;
export function openUnixConnection(options: OpenUnixConnectionOptions): Promise<[StreamReader, StreamWriter]>;
export function openUnixConnection(
  pathOrOptions?: string | OpenUnixConnectionOptions | null,
  moreOptions: OpenUnixConnectionOptions = {},
): Promise<[StreamReader, StreamWriter]> {
  const { value: path, options } = addressOrOptions<string, OpenUnixConnectionOptions>(pathOrOptions, moreOptions);
  const connect = (makeProtocol: () => StreamReaderProtocol): Promise<SocketTransport> =>
    connectUnix("openUnixConnection()", makeProtocol, path, options);
  return quiet(openStream("openUnixConnection()", options, UNIX_OPTIONS, connect));
}

/** `loop.createConnection()`. */
export function createConnection<P extends BaseProtocol>(
  protocolFactory: () => P,
  host?: string | null,
  port?: number | string | null,
  options: CreateConnectionOptions = {},
): Promise<[Transport, P]> {
  return withProtocol("createConnection()", protocolFactory, options, TCP_OPTIONS, (makeProtocol) =>
    connectTcp("createConnection()", makeProtocol, host, port, options),
  );
}

/** `loop.createUnixConnection()`. */
export function createUnixConnection<P extends BaseProtocol>(
  protocolFactory: () => P,
  path?: string | null,
  options: ConnectionOptions = {},
): Promise<[Transport, P]> {
  return withProtocol("createUnixConnection()", protocolFactory, options, UNIX_OPTIONS, (makeProtocol) =>
    connectUnix("createUnixConnection()", makeProtocol, path, options),
  );
}

/** `loop.connectAcceptedSocket()`. */
export function connectAcceptedSocket<P extends BaseProtocol>(
  protocolFactory: () => P,
  sock: ConnectedSocket,
  options: AcceptedSocketOptions = {},
): Promise<[Transport, P]> {
  return withProtocol("connectAcceptedSocket()", protocolFactory, options, ACCEPTED_OPTIONS, async (makeProtocol) => {
    const request = tlsRequest(options.ssl, true, undefined, options);
    checkServerContext(request);
    const socket = await adoptSocket(sock, "connectAcceptedSocket()");
    return await transportOver(makeProtocol, socket, request, { what: () => "connectAcceptedSocket()" });
  });
}

/** An error of the user's protocol factory is reported even if no code awaits the promise. */
function withProtocol<P extends BaseProtocol>(
  caller: string,
  protocolFactory: () => P,
  options: object,
  known: readonly string[],
  connect: (makeProtocol: () => P) => Promise<SocketTransport>,
): Promise<[Transport, P]> {
  const made = async (): Promise<[Transport, P]> => {
    checkOptions(caller, options, known);
    checkFactory(caller, protocolFactory);
    const transport = await connect(() => checkedProtocol(caller, protocolFactory()));
    return [transport, transport.getProtocol() as P];
  };
  return new ReportedUnlessAwaited(made());
}

async function openStream(
  caller: string,
  options: ReaderOptions,
  known: readonly string[],
  connect: (makeProtocol: () => StreamReaderProtocol) => Promise<SocketTransport>,
): Promise<[StreamReader, StreamWriter]> {
  checkOptions(caller, options, [...known, ...READER_OPTIONS]);
  const reader = readerWith(options);
  const protocol = new StreamReaderProtocol(reader);
  return streamsOf(reader, protocol, await connect(() => protocol));
}

/** Returns a reader and a writer over a connected stream, without waiting. */
export function streamsOver(
  socket: Duplex,
  reader: StreamReader,
  protocol: StreamReaderProtocol,
): [StreamReader, StreamWriter] {
  claim(socket);
  return streamsOf(reader, protocol, new SocketTransport({ socket, protocol, context: copyContext() }));
}

function streamsOf(
  reader: StreamReader,
  protocol: StreamReaderProtocol,
  transport: SocketTransport,
): [StreamReader, StreamWriter] {
  protocol._releaseReader(reader, transport);
  return [reader, new StreamWriter(transport, protocol, reader)];
}

async function connectTcp(
  caller: string,
  protocolFactory: () => BaseProtocol,
  host: string | null | undefined,
  port: number | string | null | undefined,
  options: CreateConnectionOptions,
): Promise<SocketTransport> {
  const request = tlsRequest(options.ssl, false, host ?? undefined, options);
  checkPositiveSeconds("idleTimeout", options.idleTimeout);
  if (options.sock !== undefined) {
    if ((host ?? port ?? undefined) !== undefined) {
      throw new ValueError("host/port and sock can not be specified at the same time");
    }
    return await overSock(caller, protocolFactory, options.sock, request, options);
  }
  if ((host ?? undefined) === undefined || (port ?? undefined) === undefined) {
    throw new ValueError("host and port was not specified and no sock specified; pass host and port, or { sock }");
  }
  if (typeof host !== "string") {
    throw new TypeError(`${caller}: host must be a string, got ${repr(host)}${afterHost(host)}`);
  }
  checkTcpOptions(caller, options);
  const { family = 0, flags = 0, happyEyeballsDelay: delay = null, localAddr } = options;
  const { interleave = delay === null ? 0 : 1 } = options;
  const portNumber = checkedPort(caller, port);
  const what = (): string => `${caller} ${new SocketAddress(host, portNumber)}`;
  const found = await lookUp(host, family, flags, what);
  const socket = await connectAny({
    addresses: interleave === 0 ? found : interleaved(found, interleave),
    port: portNumber,
    localAddresses: localAddr === undefined ? undefined : await lookUp(localAddr[0], family, 0, what),
    localPort: localAddr === undefined ? undefined : checkedPort(caller, localAddr[1]),
    delay,
    allErrors: options.allErrors === true,
    what,
  });
  return await transportOver(protocolFactory, socket, request, { ...options, host, what });
}

function checkTcpOptions(caller: string, options: CreateConnectionOptions): void {
  const { proto = 0, interleave = 0, localAddr } = options;
  if (proto !== 0 && proto !== 6) {
    throw new ValueError(`${caller}: proto must be 0 or 6, which is TCP, got ${repr(proto)}`);
  }
  checkBooleans(options, ["allErrors"]);
  checkSecondsFromZero("happyEyeballsDelay", options.happyEyeballsDelay);
  checkWholeNumber("interleave", interleave);
  if (
    localAddr !== undefined &&
    !(Array.isArray(localAddr) && localAddr.length === 2 && typeof localAddr[0] === "string")
  ) {
    throw new TypeError(`localAddr must be [host, port], got ${repr(localAddr)}`);
  }
}

async function connectUnix(
  caller: string,
  protocolFactory: () => BaseProtocol,
  path: string | null | undefined,
  options: ConnectionOptions,
): Promise<SocketTransport> {
  const { ssl } = options;
  if ((ssl === true || (typeof ssl === "object" && ssl !== null)) && options.serverHostname === undefined) {
    throw new ValueError("you have to pass serverHostname when using ssl");
  }
  const request = tlsRequest(options.ssl, false, undefined, options);
  checkPositiveSeconds("idleTimeout", options.idleTimeout);
  if (options.sock !== undefined) {
    if ((path ?? undefined) !== undefined) {
      throw new ValueError("path and sock can not be specified at the same time");
    }
    return await overSock(caller, protocolFactory, options.sock, request, options);
  }
  if ((path ?? undefined) === undefined) {
    throw new ValueError("no path and sock were specified; pass a path, or { sock }");
  }
  if (typeof path !== "string") {
    throw new TypeError(`${caller}: path must be a string, got ${repr(path)}`);
  }
  checkPath(path);
  const socket = newSocket();
  // The order matters: a pending cancellation destroys the socket, and connecting would revive it.
  socket.connect({ path });
  const what = (): string => `${caller} ${path}`;
  await untilConnected(socket, what, repr(path)).catch((error) => {
    throw ON_BUN && !path.startsWith("\0") ? (pathError(path) ?? error) : error;
  });
  return await transportOver(protocolFactory, socket, request, { ...options, peername: path, sockname: "", what });
}

/** The error for a path that does not exist, which Bun does not report; `null` if the path exists. */
function pathError(path: string): unknown {
  try {
    nodeFs().statSync(path);
    return null;
  } catch (error) {
    return toOSError(error, `Connect call failed ${repr(path)}`);
  }
}

async function overSock(
  caller: string,
  protocolFactory: () => BaseProtocol,
  sock: ConnectedSocket,
  request: TlsRequest | undefined,
  options: ConnectionOptions,
): Promise<SocketTransport> {
  const socket = await adoptSocket(sock, caller);
  return await transportOver(protocolFactory, socket, request, { ...options, what: () => `${caller} sock` });
}

interface Connected {
  /** The call and the address it connects to, for messages. */
  readonly what: () => string;
  readonly idleTimeout?: number | undefined;
  readonly host?: string | undefined;
  readonly peername?: string;
  readonly sockname?: string;
}

async function transportOver(
  protocolFactory: () => BaseProtocol,
  socket: Duplex,
  request: TlsRequest | undefined,
  { idleTimeout, host, peername, sockname, what }: Connected,
): Promise<SocketTransport> {
  const context = copyContext();
  const stream = request === undefined ? socket : await startTls(socket, request, what);
  return new SocketTransport({
    socket: stream,
    protocol: makeProtocolOrDestroy(stream, () => context.run(protocolFactory)),
    context,
    tls: request,
    idleTimeout,
    host,
    peername,
    sockname,
  });
}

/** Creates the protocol for the stream; destroys the stream if the factory throws. */
function makeProtocolOrDestroy(stream: Duplex, makeProtocol: () => BaseProtocol): BaseProtocol {
  try {
    return makeProtocol();
  } catch (error) {
    stream.on("error", noop);
    stream.destroy();
    throw error;
  }
}
