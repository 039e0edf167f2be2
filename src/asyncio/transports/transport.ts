/** What a transport is to protocols and streams. */
import type { Socket } from "node:net";
import type { PeerCertificate, TLSSocket } from "node:tls";
import type { BaseProtocol } from "../protocols/protocols.ts";
import type { SocketAddress } from "./addresses.ts";
import type { SSLContext, TlsOptions } from "./tls.ts";

export type { SSLContext, TlsOptions };

/** Low and high marks of a write buffer, in bytes. */
export interface WriteBufferLimits {
  /** Above this many bytes the protocol is asked to stop writing. @default 65536, or four times `low` */
  high?: number | undefined;
  /** At or below this many bytes it may go on. @default a quarter of `high` */
  low?: number | undefined;
}

/** A transport that can put TLS on its connection, for `StreamWriter.startTls()`. */
export interface Upgradable {
  /** @internal Bytes that were read already are given in `early`. */
  _startTls(ssl: unknown, serverSide: boolean, options: TlsOptions, early: () => Buffer): Promise<void>;
}

/**
 * What `getExtraInfo()` returns, by name.
 *
 * The types of addresses and socket are those of TCP. A Unix socket has its path as an address, which is `""` where it has
 * none. A stream that was given as `sock` is the socket, and has `null` as its addresses.
 *
 * Python: a mapping. Differs: addresses are objects that print as `127.0.0.1:8081`; has `alpn` and `servername`.
 */
export interface ExtraInfo {
  /** The peer's address. */
  peername: SocketAddress;
  /** This side's address. */
  sockname: SocketAddress;
  /** The socket; of a connection with TLS the one below. */
  socket: Socket;
  /** The source of `StreamReader.from()` and `loop.connectReadPipe()`, or the sink of `StreamWriter.from()`. */
  pipe: object | null;
  /** The value that was given as `ssl`. */
  sslcontext: SSLContext | true | null;
  /** The socket of TLS. */
  ssl_object: TLSSocket | null;
  /** The peer's certificate, as `tls.TLSSocket.getPeerCertificate()` returns it. */
  peercert: PeerCertificate | null;
  /** The cipher suite, the version of TLS, and the length of the key in bits. */
  cipher: readonly [name: string, protocol: string | null, secretBits: number | null] | null;
  /** Always `null`: TLS does not compress here. */
  compression: null;
  /** The application protocol that both sides agreed on. */
  alpn: string | null;
  /** The host name that the client asked for. */
  servername: string | null;
}

/**
 * What every transport has.
 *
 * Python: `asyncio.BaseTransport`. Differs: has `abort()`.
 */
export interface BaseTransport {
  /** What is known of the connection, also when it is closed: see {@linkcode ExtraInfo}. */
  getExtraInfo<N extends keyof ExtraInfo>(name: N): ExtraInfo[N];
  getExtraInfo<N extends keyof ExtraInfo, F>(name: N, fallback: F): NonNullable<ExtraInfo[N]> | F;
  getExtraInfo(name: string, fallback?: unknown): unknown;
  /** Whether it is closing or closed. */
  isClosing(): boolean;
  /** Sends what is buffered, then closes. No more data is received. */
  close(): void;
  /** Closes at once; what is buffered is lost. */
  abort(): void;
  /** Who gets what arrives. */
  getProtocol(): BaseProtocol;
  /** Hands what arrives to another protocol from now on. */
  setProtocol(protocol: BaseProtocol): void;
  /** What it is, and in which state. */
  toString(): string;
}

/**
 * A transport that bytes come from. They go to its protocol.
 *
 * Python: `asyncio.ReadTransport`.
 */
export interface ReadTransport extends BaseTransport {
  /** Whether data is being received: neither paused nor closing. */
  isReading(): boolean;
  /** Receives no more, one chunk that is under way excepted, until `resumeReading()`. */
  pauseReading(): void;
  /** Receives again. */
  resumeReading(): void;
}

/**
 * A transport that bytes are written to.
 *
 * Python: `asyncio.WriteTransport`.
 */
export interface WriteTransport extends BaseTransport {
  /** Sends bytes, or a string as UTF-8. Never waits. The bytes must not be changed afterwards. */
  write(data: Uint8Array | string): void;
  /** Sends several pieces, as one; none where it throws. */
  writelines(data: Iterable<Uint8Array | string>): void;
  /** Sends what is buffered, then an EOF. Data can still be received. */
  writeEof(): void;
  /** Whether `writeEof()` is possible. */
  canWriteEof(): boolean;
  /** How many bytes wait to be sent. */
  getWriteBufferSize(): number;
  /** The marks, low first. */
  getWriteBufferLimits(): [low: number, high: number];
  /** Sets the marks. */
  setWriteBufferLimits(limits?: WriteBufferLimits): void;
}

/**
 * A connection: bytes out, and control over bytes in. What comes in goes to its protocol.
 *
 * Python: `asyncio.Transport`.
 */
export interface Transport extends ReadTransport, WriteTransport {}
