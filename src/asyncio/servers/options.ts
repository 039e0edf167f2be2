/** What a server can be told, the names of its options, and the defaults. */
import { type Context, copyContext } from "../../contextvars/context.ts";
import { checkBooleans, checkPositiveSeconds, checkWholeNumber } from "../arguments.ts";
import type { BaseProtocol } from "../protocols/protocols.ts";
import type { ReaderOptions } from "../streams/reader-options.ts";
import type { Family } from "../transports/addresses.ts";
import type { ListeningSocket } from "../transports/listen.ts";
import {
  checkServerContext,
  type SSLContext,
  type TlsOptions,
  type TlsRequest,
  tlsRequest,
} from "../transports/tls.ts";

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

export const TCP_SERVER_OPTIONS: readonly string[] = [
  ...COMMON_OPTIONS,
  "family",
  "flags",
  "reuseAddress",
  "reusePort",
  "keepAlive",
];

/** Options of `loop.createUnixServer()`. */
export interface CreateUnixServerOptions extends ServerOptions {
  /** Whether closing removes the file of the socket, if it still is its own. @default true */
  cleanupSocket?: boolean | undefined;
}

export const UNIX_SERVER_OPTIONS: readonly string[] = [...COMMON_OPTIONS, "cleanupSocket"];

/** Options of `startServer()`. */
export interface StartServerOptions extends CreateServerOptions, ReaderOptions {}

/** Options of `startUnixServer()`. */
export interface StartUnixServerOptions extends CreateUnixServerOptions, ReaderOptions {}

const BOOLEAN_OPTIONS = ["startServing", "reuseAddress", "reusePort", "keepAlive", "cleanupSocket"] as const;

const DEFAULT_BACKLOG = 100;

/** What a Server does with each connection. */
export interface ServerSettings {
  readonly context: Context;
  readonly backlog: number;
  readonly tls: TlsRequest | undefined;
  readonly maxConnections: number;
  readonly idleTimeout: number | undefined;
  /** The path it listens at, if it is one. */
  readonly path: string | undefined;
  readonly makeProtocol: MakeProtocol;
}

/** Makes the protocol of one connection, in whose Context it runs. */
export type MakeProtocol = (context: Context) => BaseProtocol;

/** Checks what is the same for every server. Copies the Context: now is when the server is made. */
export function settingsOf(makeProtocol: MakeProtocol, options: ServerOptions): ServerSettings {
  checkBooleans(options as CreateServerOptions & CreateUnixServerOptions, BOOLEAN_OPTIONS);
  checkPositiveSeconds("idleTimeout", options.idleTimeout);
  const tls = tlsRequest(options.ssl, true, undefined, options);
  checkServerContext(tls);
  const { backlog = DEFAULT_BACKLOG, maxConnections = Number.POSITIVE_INFINITY } = options;
  checkWholeNumber("backlog", backlog);
  if (maxConnections !== Number.POSITIVE_INFINITY) {
    checkWholeNumber("maxConnections", maxConnections);
  }
  return {
    context: copyContext(),
    // Python does the same with a negative one.
    backlog: Math.max(backlog, 0),
    tls,
    maxConnections,
    idleTimeout: options.idleTimeout,
    path: undefined,
    makeProtocol,
  };
}
