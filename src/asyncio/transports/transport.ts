/** The interfaces of transports. */
import type { Socket } from "node:net";
import type { PeerCertificate, TLSSocket } from "node:tls";
import type { BaseProtocol } from "../protocols/protocols.ts";
import type { SocketAddress } from "./addresses.ts";
import type { SSLContext, TlsOptions } from "./tls.ts";
import type { WriteBufferLimits } from "./water-marks.ts";

export type { SSLContext, TlsOptions, WriteBufferLimits };

/** A transport that can start TLS on its connection, for `StreamWriter.startTls()`. */
export interface Upgradable {
  /** @internal `bufferedPlaintext` returns the bytes that have already been read. */
  _startTls(ssl: unknown, serverSide: boolean, options: TlsOptions, bufferedPlaintext: () => Buffer): Promise<void>;
}

/** Puts a piece into memory that it is given. */
export interface Placer<T> {
  /** @internal */
  _putAt(target: Buffer, start: number, item: T): void;
}

/** A transport that has memory for small pieces, for `contextvars/codecs`. */
export interface Placing {
  /** @internal Writes a piece of `size` bytes; returns `false`, with nothing done, if `write()` has to be called. */
  _place<T>(size: number, placer: Placer<T>, item: T): boolean;
}

/**
 * The values of `getExtraInfo()`, by name.
 *
 * The types of the addresses and the socket are those of TCP. A Unix socket's address is its path, or `""` if it has
 * none. For a stream that was passed as `sock`, `socket` is that stream, and the addresses are `null`.
 *
 * Python: a mapping. Differs: addresses are objects that print as `127.0.0.1:8081`; has `alpn` and `servername`.
 */
export interface ExtraInfo {
  /** The peer's address. */
  peername: SocketAddress;
  /** This side's address. */
  sockname: SocketAddress;
  /** The socket; with TLS, the plain socket below it. */
  socket: Socket;
  /** The source of `StreamReader.from()` and `loop.connectReadPipe()`, or the sink of `StreamWriter.from()`. */
  pipe: object | null;
  /** The value that was passed as `ssl`. */
  sslcontext: SSLContext | true | null;
  /** The TLSSocket. */
  ssl_object: TLSSocket | null;
  /** The peer's certificate, as `tls.TLSSocket.getPeerCertificate()` returns it. */
  peercert: PeerCertificate | null;
  /** The cipher suite, the TLS version, and the key length in bits. */
  cipher: readonly [name: string, protocol: string | null, secretBits: number | null] | null;
  /** Always `null`: TLS does not compress here. */
  compression: null;
  /** The application protocol that both sides agreed on. */
  alpn: string | null;
  /** The host name that the client asked for. */
  servername: string | null;
}

/**
 * The methods of every transport.
 *
 * Python: `asyncio.BaseTransport`. Differs: has `abort()`.
 */
export interface BaseTransport {
  /** Returns information about the connection, even after it was closed; see {@linkcode ExtraInfo}. */
  getExtraInfo<N extends keyof ExtraInfo>(name: N): ExtraInfo[N];
  getExtraInfo<N extends keyof ExtraInfo, F>(name: N, fallback: F): NonNullable<ExtraInfo[N]> | F;
  getExtraInfo(name: string, fallback?: unknown): unknown;
  /** Whether the transport is closing or closed. */
  isClosing(): boolean;
  /** Sends the buffered bytes, then closes. No more data is received. */
  close(): void;
  /** Closes immediately; buffered bytes are lost. */
  abort(): void;
  /** The protocol that receives the data. */
  getProtocol(): BaseProtocol;
  /** Makes another protocol receive the data from now on. */
  setProtocol(protocol: BaseProtocol): void;
  /** A description with the transport's state. */
  toString(): string;
}

/**
 * A transport that receives bytes and passes them to its protocol.
 *
 * Python: `asyncio.ReadTransport`.
 */
export interface ReadTransport extends BaseTransport {
  /** Whether data is being received: neither paused nor closing. */
  isReading(): boolean;
  /** Stops receiving until `resumeReading()`; one chunk that is in transit may still arrive. */
  pauseReading(): void;
  /** Resumes receiving. */
  resumeReading(): void;
}

/**
 * A transport that sends bytes.
 *
 * Python: `asyncio.WriteTransport`.
 */
export interface WriteTransport extends BaseTransport {
  /** Sends bytes, or a string as UTF-8. Never waits. The bytes must not be changed afterwards. */
  write(data: Uint8Array | string): void;
  /** Sends several pieces in order, at the end of the turn: all of them, or none if it throws. */
  writelines(data: Iterable<Uint8Array | string>): void;
  /** Sends the buffered bytes, then an EOF. Data can still be received. */
  writeEof(): void;
  /** Whether `writeEof()` is possible. */
  canWriteEof(): boolean;
  /** How many bytes wait to be sent. */
  getWriteBufferSize(): number;
  /** Returns the marks, low first. */
  getWriteBufferLimits(): [low: number, high: number];
  /** Sets the marks. */
  setWriteBufferLimits(limits?: WriteBufferLimits): void;
}

/**
 * A connection: sends bytes, and passes the bytes that it receives to its protocol.
 *
 * Python: `asyncio.Transport`.
 */
export interface Transport extends ReadTransport, WriteTransport {}
