/** Options of a server: their types, names and defaults. */
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
  /** A listening socket to use instead of an address. The Server owns it from then on. */
  sock?: ListeningSocket | undefined;
  /** How many connections the system queues until they are accepted. @default 100 */
  backlog?: number | undefined;
  /** TLS: options of `node:tls` with key and certificate, or a `tls.SecureContext`. @default no TLS */
  ssl?: SSLContext | undefined;
  /** Whether to accept connections immediately instead of after `startServing()`. @default true */
  startServing?: boolean | undefined;
  /** The maximum number of open connections; further ones are closed immediately. @default no limit */
  maxConnections?: number | undefined;
  /**
   * Aborts a connection with a TimeoutError after this many seconds without traffic in either direction. @default never
   */
  idleTimeout?: number | undefined;
}

/** The options that have a meaning without a port. */
export const PORTLESS_OPTIONS: readonly string[] = [
  "ssl",
  "sslHandshakeTimeout",
  "sslShutdownTimeout",
  "startServing",
  "maxConnections",
  "idleTimeout",
];

const COMMON_OPTIONS = ["sock", "backlog", ...PORTLESS_OPTIONS];

/** Options of `loop.createServer()`. */
export interface CreateServerOptions extends ServerOptions {
  /** Which addresses to listen at: 4, 6, or 0 for both. @default 0 */
  family?: Family | undefined;
  /** Flags for the name look-up. @default 0 */
  flags?: number | undefined;
  /**
   * Whether a server can listen at the port again immediately after it was closed. Node always allows this. @default
   * true
   */
  reuseAddress?: boolean | undefined;
  /** Whether several processes may listen at the port. @default false */
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
  /** Whether closing removes the socket's file, if the file is still the server's own. @default true */
  cleanupSocket?: boolean | undefined;
}

export const UNIX_SERVER_OPTIONS: readonly string[] = [...COMMON_OPTIONS, "cleanupSocket"];

/** Options of `startServer()`. */
export interface StartServerOptions extends CreateServerOptions, ReaderOptions {}

/** Options of `startUnixServer()`. */
export interface StartUnixServerOptions extends CreateUnixServerOptions, ReaderOptions {}

const BOOLEAN_OPTIONS = ["startServing", "reuseAddress", "reusePort", "keepAlive", "cleanupSocket"] as const;

const DEFAULT_BACKLOG = 100;

/** What a Server needs for each connection. */
export interface ServerSettings {
  readonly context: Context;
  readonly backlog: number;
  readonly tls: TlsRequest | undefined;
  readonly maxConnections: number;
  readonly idleTimeout: number | undefined;
  /** The path it listens at; `undefined` for TCP. */
  readonly path: string | undefined;
  readonly makeProtocol: MakeProtocol;
}

/** Creates the protocol of one connection from the connection's Context. */
export interface MakeProtocol {
  (context: Context): BaseProtocol;
  /** `false` if it runs no user code: it gets the server's Context then, of which the protocol makes a copy. */
  readonly runsUserCode?: boolean;
}

/** Checks the options that all servers share, and copies the current Context for the server. */
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
