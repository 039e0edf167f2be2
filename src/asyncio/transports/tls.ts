/**
 * TLS over a connected stream: one implementation for clients, servers, STARTTLS and Unix sockets.
 *
 * Theory of operation. A `TLSSocket` wraps the plain socket, for servers as well: `tls.Server` cannot end a handshake
 * that takes too long, and cannot take over a connection. So this file implements the time limit and the check of a
 * client's certificate; for a client, Node's own code checks the server's certificate.
 */
import { isIP } from "node:net";
import { Duplex } from "node:stream";
import type * as tls from "node:tls";
import { ValueError } from "../../errors.ts";
import { ConnectionAbortedError, ConnectionResetError, SSLError } from "../../io-errors.ts";
import { repr } from "../../repr.ts";
import { checkPositiveSeconds, checkString } from "../arguments.ts";
import { fromCallback, noop, quietRejection } from "../async-stacks.ts";
import { callLater, type TimerHandle } from "../events.ts";
import { nodeTls } from "../on-demand.ts";
import { ON_DENO } from "../runtime.ts";
import { Wait } from "../waits.ts";
import { DENO_READ_AHEAD, TlsUnderlay } from "./deno-tls.ts";
import { eventError, toOSError } from "./os-errors.ts";
import { clientCallbacks, serverCallbacks } from "./tls-callbacks.ts";

/** Node's options for TLS, or a context made from them. */
export type SSLContext = tls.SecureContext | tls.ConnectionOptions | tls.TlsOptions;

/** Options of all calls that start TLS. */
export interface TlsOptions {
  /** The name that the server's certificate is checked against; "" to skip the check of the name. @default the host */
  serverHostname?: string | undefined;
  /** How long the handshake may take, in seconds. @default 60 */
  sslHandshakeTimeout?: number | undefined;
  /** How long to wait after `close()` for the peer to end TLS, in seconds. @default no wait */
  sslShutdownTimeout?: number | undefined;
}

const HANDSHAKE_TIMEOUT = 60; // seconds

/** How to start TLS on a stream. */
export interface TlsRequest {
  readonly ssl: SSLContext | true;
  readonly serverSide: boolean;
  readonly host: string | undefined;
  readonly options: TlsOptions;
  /** On a listening server: the context made from `ssl` when it was started. */
  context?: tls.SecureContext;
}

/**
 * Recognized by its own properties: the class is not public on all runtimes, and Deno's has accessors named like the
 * options.
 */
function isSecureContext(ssl: object): ssl is tls.SecureContext {
  return Object.hasOwn(ssl, "context") && !Object.hasOwn(ssl, "key") && !Object.hasOwn(ssl, "cert");
}

/**
 * Checks `ssl` and the options that go with it; returns `undefined` if TLS is not used.
 *
 * @throws {ValueError} If an option is given that has no meaning without TLS, or a timeout is not positive.
 * @throws {TypeError} If `ssl` is nothing that TLS can be made with, or an option is of another type.
 */
export function tlsRequest(
  ssl: unknown,
  serverSide: boolean,
  host: string | undefined,
  options: TlsOptions,
): TlsRequest | undefined {
  const { serverHostname, sslHandshakeTimeout, sslShutdownTimeout } = options;
  checkString("serverHostname", serverHostname);
  checkPositiveSeconds("sslHandshakeTimeout", sslHandshakeTimeout);
  checkPositiveSeconds("sslShutdownTimeout", sslShutdownTimeout);
  if (ssl === undefined || ssl === null || ssl === false) {
    for (const [name, value] of Object.entries({ serverHostname, sslHandshakeTimeout, sslShutdownTimeout })) {
      if (value !== undefined) {
        throw new ValueError(`${name} is only meaningful with ssl`);
      }
    }
    return undefined;
  }
  if (ssl === true ? serverSide : typeof ssl !== "object") {
    const what = serverSide ? "options of node:tls with key and cert" : "true, options of node:tls,";
    throw new TypeError(`ssl must be ${what} or a tls.SecureContext, got ${repr(ssl)}`);
  }
  if (!serverSide && host === undefined && serverHostname === undefined && !hasServername(ssl)) {
    throw new ValueError(
      'You must set serverHostname when using ssl without a host; serverHostname: "" checks no name',
    );
  }
  return { ssl: ssl as SSLContext | true, serverSide, host, options };
}

/** Checks `ssl` and the other arguments of `startTls()`. */
export function upgradeRequest(
  ssl: unknown,
  serverSide: boolean,
  host: string | undefined,
  options: TlsOptions,
): TlsRequest {
  const request = tlsRequest(ssl, serverSide, host, options);
  if (request === undefined) {
    const what = "options of node:tls or a tls.SecureContext (a client may also pass true)";
    throw new TypeError(`startTls(): ssl must be ${what}, got ${repr(ssl)}`);
  }
  return request;
}

function hasServername(ssl: unknown): boolean {
  return typeof (ssl as { servername?: unknown }).servername === "string";
}

/**
 * Wraps the stream in TLS and performs the handshake. A failure or a cancellation destroys the stream.
 *
 * @throws {SSLCertVerificationError} If the peer's certificate cannot be trusted.
 * @throws {SSLError} If TLS fails for another reason.
 * @throws {ConnectionAbortedError} If the handshake takes too long.
 * @throws {ConnectionResetError} If the peer closes the connection during the handshake.
 */
export function startTls(stream: Duplex, request: TlsRequest, what: () => string): Promise<tls.TLSSocket> {
  stream.on("error", noop);
  let socket: tls.TLSSocket;
  try {
    socket = request.serverSide ? serverSocket(stream, request) : clientSocket(stream, request);
  } catch (error) {
    stream.destroy();
    return quietRejection(toOSError(error));
  }
  return new Handshake(stream, socket, request, what).run();
}

/**
 * Starts TLS on a stream that has carried plain bytes.
 *
 * A server passes bytes of the handshake that it has already read on to TLS. A client rejects bytes that it has already
 * read: an attacker may have injected them, and the program would take them for protected ones.
 *
 * @param bufferedPlaintext - The bytes that were read from the stream and not used.
 * @throws The errors of `startTls()`.
 */
export async function upgradeStream(
  plain: Duplex,
  request: TlsRequest,
  bufferedPlaintext: Buffer,
): Promise<tls.TLSSocket> {
  const size = bufferedPlaintext.length + plain.readableLength;
  if (!request.serverSide && size > 0) {
    plain.on("error", noop);
    throw new SSLError(`startTls() refused: ${size} bytes came without TLS after the server had agreed to TLS`, {
      code: "ERR_STARTTLS_INJECTION",
    });
  }
  if (plain.readableEnded) {
    throw new ConnectionResetError("the peer closed the connection before the TLS handshake");
  }
  if (bufferedPlaintext.length > 0) {
    plain.unshift(bufferedPlaintext);
  }
  return await startTls(plain, request, () => "startTls()");
}

/** Calls back with an error when the handshake, or what has to be sent before it, takes too long. */
export function limitHandshake({ options }: TlsRequest, onTimeout: (error: unknown) => void): TimerHandle {
  const { sslHandshakeTimeout: seconds = HANDSHAKE_TIMEOUT } = options;
  return callLater(seconds, () => {
    const message = `SSL handshake is taking longer than ${seconds} seconds: aborting the connection`;
    onTimeout(fromCallback(new ConnectionAbortedError(message)));
  });
}

/** Performs the handshake of the TLSSocket that wraps the stream. */
class Handshake {
  readonly #stream: Duplex;
  readonly #socket: tls.TLSSocket;
  readonly #request: TlsRequest;
  readonly #wait: Wait<tls.TLSSocket>;
  readonly #timer: TimerHandle;
  readonly #onError = (error: unknown): void => (isHangUp(error) ? this.#onClosed() : this.#fail(error));
  readonly #onClosed = (): void =>
    this.#fail(fromCallback(new ConnectionResetError("the connection was closed during the TLS handshake")));

  constructor(stream: Duplex, socket: tls.TLSSocket, request: TlsRequest, what: () => string) {
    this.#wait = new Wait(
      () => `${what()}, TLS handshake`,
      () => this.#end(),
    );
    this.#stream = stream;
    this.#socket = socket;
    this.#request = request;
    this.#timer = limitHandshake(request, (error) => this.#fail(error));
  }

  run(): Promise<tls.TLSSocket> {
    // An EOF that the stream has already received never reaches TLS; in Deno the stream in between passes it on.
    if (!ON_DENO) {
      this.#stream.once("end", this.#onClosed);
    }
    this.#socket.on("error", this.#onError);
    this.#socket.once("close", this.#onClosed);
    this.#socket.once("end", this.#onClosed);
    this.#socket.once(this.#request.serverSide ? "secure" : "secureConnect", () => this.#secured());
    return this.#wait.begin();
  }

  #secured(): void {
    const { serverSide, ssl } = this.#request;
    const socket = this.#socket;
    const error = serverSide ? clientCertificateError(socket, ssl) : null;
    if (error !== null) {
      this.#fail(error);
      return;
    }
    this.#timer.cancel();
    this.#stream.off("end", this.#onClosed);
    socket.off("close", this.#onClosed);
    socket.off("end", this.#onClosed);
    socket.off("error", this.#onError);
    // Until the transport listens, an error has no other listener.
    socket.on("error", noop);
    if (serverSide) {
      // Node does not report errors, such as a broken record, to a server-side TLSSocket that no tls.Server created.
      socket.on("_tlsError", (broken: Error) => socket.destroy(broken));
    }
    this.#wait.resolve(socket);
  }

  #fail(error: unknown): void {
    this.#wait.reject(eventError(error));
    this.#end();
  }

  #end(): void {
    this.#timer.cancel();
    this.#socket.destroy();
    this.#stream.destroy();
  }
}

/** Whether the runtime tells of the peer's EOF, as Bun does by "socket hang up". A reset has the system's number. */
function isHangUp(error: unknown): boolean {
  const translated = toOSError(error);
  return translated !== error && translated instanceof ConnectionResetError && translated.errno === undefined;
}

function clientSocket(stream: Duplex, { ssl, host, options }: TlsRequest): tls.TLSSocket {
  const given: tls.ConnectionOptions =
    ssl === true ? {} : isSecureContext(ssl) ? { secureContext: ssl } : (ssl as tls.ConnectionOptions);
  const name = options.serverHostname ?? given.servername ?? host ?? "";
  return wrapStream(stream, (socket, ownOptions) =>
    nodeTls().connect({
      ...given,
      ...ownOptions,
      socket,
      // The name that the certificate is checked against if there is no servername, as for an IP address.
      host: name,
      servername: isIP(name) === 0 ? name : "",
      ...clientCallbacks(name, given),
    } as tls.ConnectionOptions),
  );
}

function serverSocket(stream: Duplex, { ssl, context }: TlsRequest): tls.TLSSocket {
  const given = ssl as tls.SecureContext | tls.TlsOptions;
  const options: tls.TLSSocketOptions = isSecureContext(given)
    ? { secureContext: given }
    : {
        ...(given as tls.TLSSocketOptions),
        ...serverCallbacks(given, () => goOn(socket)),
        secureContext: context ?? contextOf(given),
      };
  const socket = wrapStream(
    stream,
    (socket, ownOptions) =>
      new (nodeTls().TLSSocket)(socket as never, {
        ...options,
        ...ownOptions,
        isServer: true,
        // The same default as in tls.Server: OpenSSL itself then rejects clients without a certificate.
        rejectUnauthorized: options.rejectUnauthorized !== false,
      }),
  );
  return socket;
}

/** In Deno, a handshake over a stream that is not a socket does not continue by itself after a late answer. */
function goOn(socket: tls.TLSSocket): void {
  if (ON_DENO && !socket.destroyed) {
    socket.write("");
  }
}

/** Creates the TLSSocket on the stream; in Deno with a stream in between. */
function wrapStream(stream: Duplex, make: (stream: Duplex, options: object) => tls.TLSSocket): tls.TLSSocket {
  if (!ON_DENO) {
    return make(stream, {});
  }
  const under = new TlsUnderlay(stream);
  return under.attach(make(under, { highWaterMark: DENO_READ_AHEAD }));
}

/** OpenSSL resumes no session with a client certificate unless it is set; `tls.Server` generates one as well. */
const SESSION_ID_CONTEXT = "contextvars/asyncio";

/** The contexts made from options objects, and what the options were then. */
const contexts = new WeakMap<object, { readonly from: tls.TlsOptions; readonly context: tls.SecureContext }>();

/**
 * Parsing keys and certificates takes longer than a handshake, so it is done once for each options object, and again if
 * an option was changed: a certificate may have been renewed.
 */
function contextOf(options: tls.TlsOptions): tls.SecureContext {
  const made = contexts.get(options);
  if (made !== undefined && hasSameEntries(made.from, options)) {
    return made.context;
  }
  const from = { ...options };
  const context = nodeTls().createSecureContext({ sessionIdContext: SESSION_ID_CONTEXT, ...from });
  contexts.set(options, { from, context });
  return context;
}

function hasSameEntries(first: object, second: object): boolean {
  const entries = Object.entries(second);
  return (
    entries.length === Object.keys(first).length &&
    entries.every(([name, value]) => (first as Record<string, unknown>)[name] === value)
  );
}

/**
 * Parses keys and certificates now, and tries the other options, so that an error appears at the call that passed them.
 */
export function checkServerContext(request: TlsRequest | undefined): void {
  if (request !== undefined) {
    try {
      serverSocket(new Duplex({ read: noop, write: noop }), request)
        .on("error", noop)
        .destroy();
      if (!isSecureContext(request.ssl as object)) {
        request.context = contextOf(request.ssl as tls.TlsOptions);
      }
    } catch (error) {
      throw toOSError(error);
    }
  }
}

/** The reason to reject the client's certificate; `null` if it is accepted or was not requested. */
function clientCertificateError(socket: tls.TLSSocket, ssl: SSLContext | true): Error | null {
  const { requestCert, rejectUnauthorized } = ssl as tls.TlsOptions;
  if (requestCert !== true || rejectUnauthorized === false) {
    return null;
  }
  const { ssl: connection } = socket as unknown as { ssl?: { verifyError(): Error | string | null } | null };
  // A client whose certificate was not verified is rejected. Deno returns only the code, which is empty if the
  // certificate is valid.
  const found = connection ? connection.verifyError() : "UNABLE_TO_GET_CERT";
  if ((found ?? "") === "") {
    return null;
  }
  return typeof found === "string" ? Object.assign(new Error(found), { code: found }) : found;
}

/** Whether it is a TLS socket. */
export function isTls(stream: Duplex): stream is tls.TLSSocket {
  return "encrypted" in stream && "getPeerCertificate" in stream;
}

/**
 * Information about the TLS connection, by the names of `getExtraInfo()`.
 *
 * @param request - The request by which TLS was started; `undefined` if other code has started it.
 */
export function tlsInfo(socket: tls.TLSSocket, request: TlsRequest | undefined): [string, unknown][] {
  // A connection that has ended since the handshake has no information left.
  const certificate = socket.getPeerCertificate();
  const cipher = (socket.getCipher() as tls.CipherNameAndProtocol | null | undefined) ?? null;
  return [
    ["sslcontext", request?.ssl ?? null],
    ["ssl_object", socket],
    ["peercert", certificate === null || Object.keys(certificate).length === 0 ? null : certificate],
    ["cipher", cipher === null ? null : [cipher.name, socket.getProtocol(), secretBits(cipher.name)]],
    ["compression", null],
    ["alpn", socket.alpnProtocol || null],
    ["servername", (socket as { servername?: string | false }).servername || null],
  ];
}

/**
 * The key length, which Node does not report, taken from the name of the cipher suite; `null` if the name contains
 * none.
 */
function secretBits(cipher: string): number | null {
  if (/CHACHA20/.test(cipher)) {
    return 256;
  }
  const bits = /(?:AES|ARIA|CAMELLIA)[-_]?(128|256)/.exec(cipher)?.[1];
  return bits === undefined ? null : Number(bits);
}
