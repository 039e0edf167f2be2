/**
 * SocketTransport: a connection over a `net.Socket` or any Duplex. It calls the protocol, and closes the connection.
 *
 * Theory of operation. Written bytes go through a `Sender`; bytes that arrive come directly from `socket-events`.
 *
 * The end: the state is `closing` after a call of `close()` or `abort()`, or after the peer's EOF if the protocol does
 * not stay open. The socket is ended only when everything has been sent, since a write after that would destroy it.
 * `connectionLost` is called exactly once, on the socket's 'close', with the error that preceded it, if there was one.
 *
 * Callbacks of the protocol run in the connection's Context: the runtimes disagree about which Context a socket event
 * runs in, and after a pause it is the Context of the code that called `resume()`. StreamReaderProtocol runs user code
 * only inside the handler's task, so its methods are called without entering a Context, which would cost as much as
 * some of the methods themselves.
 */

import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Context } from "../../contextvars/context.ts";
import { Flow, runInFlow } from "../../contextvars/current.ts";
import { ConnectionAbortedError, ConnectionResetError, RuntimeError } from "../../errors.ts";
import { angled, inspectCustom } from "../../repr.ts";
import { toBytes } from "../arguments.ts";
import { nextTick } from "../clock.ts";
import {
  connectionLost,
  connectionMade,
  readingPaused,
  readingResumed,
  tell,
  writingPaused,
  writingResumed,
} from "../debug/channels.ts";
import { callExceptionHandler } from "../events.ts";
import { isAbortError, isCancelled } from "../exceptions.ts";
import type { BaseProtocol, BufferedProtocol, Protocol } from "../protocols/protocols.ts";
import { ownAddress, peerAddress, type SocketAddress } from "./addresses.ts";
import { IdleTimer } from "./idle-timer.ts";
import { isNodeSocket } from "./node-sockets.ts";
import { closed, type Openable, opened } from "./open.ts";
import { eventError } from "./os-errors.ts";
import { HIGH_WATER, Sender, type SenderOwner } from "./sender.ts";
import { listenForData, listenForEnd, type SocketListener, stopListening } from "./socket-events.ts";
import { endAndDestroy, endTls, type TlsOptions, type TlsRequest, tlsInfo, tlsRequest, upgradeStream } from "./tls.ts";
import type { Transport, Upgradable, WriteBufferLimits } from "./transport.ts";

/** The default high mark with TLS, in bytes. */
const HIGH_WATER_TLS = 512 * 1024;
/** After this many writes to a lost connection, the next one emits a warning. */
const WRITES_BEFORE_WARNING = 5;

type State = "open" | "closing" | "closed";

/** Any stream, with the members that only a socket or a stream in memory has. */
type AnySocket = Duplex & Partial<Socket> & PartOfMemory;

/** The members that only a stream in memory has. */
interface PartOfMemory {
  readonly _name?: string;
  /** Reports to the other end that the connection was aborted, which it could not distinguish from an EOF otherwise. */
  _resetAndDestroy?(): void;
}

/** Arguments of a SocketTransport. */
export interface TransportInit {
  readonly socket: Duplex;
  /** The source or sink that the stream was created from, if it is not a socket. */
  readonly pipe?: object;
  readonly protocol: BaseProtocol;
  /** The connection's Context. */
  readonly context: Context;
  /** Called before the protocol's `connectionMade()`, so that a server can count connections, */
  readonly onOpened?: (transport: SocketTransport) => void;
  /** and when the connection has ended. */
  readonly onClosed?: (transport: SocketTransport) => void;
  /** The request by which TLS was started on the socket, if it was. */
  readonly tls?: TlsRequest | undefined;
  /** The host that was connected to: the name that a certificate is checked against. */
  readonly host?: string | undefined;
  /** Addresses that are already known, or that the socket cannot report because they are paths. */
  readonly peername?: string | undefined;
  readonly sockname?: SocketAddress | string | undefined;
  /** Aborts the connection after this many seconds without traffic in either direction. */
  readonly idleTimeout?: number | undefined;
}

export class SocketTransport implements Transport, Upgradable, SenderOwner, SocketListener, Openable {
  #socket: AnySocket;
  readonly #sender: Sender;
  #tls: TlsRequest | null;
  readonly #context: Context;
  /** The flow in which the protocol is called; created when it is needed. */
  #flow: Flow | null = null;
  readonly #onClosed: TransportInit["onClosed"];
  readonly #originalSocket: Duplex;
  readonly #pipe: object | undefined;
  readonly #peername: SocketAddress | string | undefined;
  readonly #sockname: SocketAddress | string | undefined;
  /** The TLS values of `getExtraInfo()`. */
  #tlsExtra: ReadonlyMap<string, unknown> | null = null;
  readonly #idle: IdleTimer | null;
  readonly #host: string | undefined;
  #protocol: BaseProtocol;
  #state: State = "open";

  // Incoming. An EOF is pending only while reading is paused.
  #reading = true;
  /** The peer's EOF came while reading was paused: it is reported when reading resumes. */
  #eofPending = false;

  // The end. Once set, `#ended` stays set; it may be set with or without an EOF before, but never while upgrading.
  /** `writeEof()` was called; the EOF is sent after all waiting bytes. */
  #eofWritten = false;
  /** The socket was ended: nothing may be written to it. */
  #ended = false;
  /** TLS is being started on the socket: nothing may be read from it or written to it meanwhile. */
  #upgrading = false;
  #error: unknown = null;
  #writesWhenLost = 0;

  constructor(init: TransportInit) {
    const { socket, tls = null, idleTimeout } = init;
    this.#socket = socket as AnySocket;
    this.#sender = new Sender(socket, isNodeSocket(socket) && !("encrypted" in socket), this);
    this.#protocol = init.protocol;
    this.#context = init.context;
    this.#onClosed = init.onClosed;
    this.#tls = tls;
    this.#host = init.host;
    this.#originalSocket = socket;
    this.#pipe = init.pipe;
    // Read now, because a socket no longer knows its addresses after a failure.
    this.#peername = init.peername ?? peerAddress(this.#socket);
    this.#sockname = init.sockname ?? ownAddress(this.#socket);
    this.#idle = idleTimeout === undefined ? null : new IdleTimer(idleTimeout, (error) => this._fail(error));
    this.#learnOfTls();
    this.#listen();
    opened(this);
    init.onOpened?.(this);
    tell(connectionMade, { transport: this });
    this.#call("connectionMade", () => this.#protocol.connectionMade(this));
    this.#receive();
  }

  /**
   * @internal Starts TLS on the connection: bytes written before are sent without TLS, later bytes with TLS.
   *
   * A server passes bytes of the handshake that it has already read on to TLS. A client rejects bytes that it has
   * already read: an attacker may have injected them, and the program would take them for protected ones.
   */
  async _startTls(
    ssl: unknown,
    serverSide: boolean,
    options: TlsOptions,
    bufferedPlaintext: () => Buffer,
  ): Promise<void> {
    const request = tlsRequest(ssl, serverSide, this.#host, options);
    if (request === undefined) {
      throw new TypeError("startTls() needs ssl: options of node:tls, or a tls.SecureContext; a client may say true");
    }
    if (this.#upgrading) {
      throw new RuntimeError("startTls() is under way already", { code: "ERR_TLS_BUSY" });
    }
    if (this.#state !== "open" || this.#eofWritten) {
      throw new ConnectionResetError("Connection lost");
    }
    this.#upgrading = true;
    try {
      this.#socket = await this.#upgrade(request, bufferedPlaintext);
    } catch (error) {
      this.#error ??= isCancelled(error) ? null : error;
      this.#destroy();
      this._onClose();
      throw isCancelled(error) ? error : this.#error;
    } finally {
      this.#upgrading = false;
    }
    this.#tls = request;
    this.#sender.moveTo(this.#socket, false);
    this.#learnOfTls();
    this.#listen();
    this.#receive();
    this.#sender.flush();
  }

  /** Stops using the plain socket, and performs the handshake. */
  async #upgrade(request: TlsRequest, bufferedPlaintext: () => Buffer): Promise<TLSSocket> {
    const plain = this.#socket;
    plain.pause();
    await this.#sender.hold();
    if (this.#state !== "open") {
      throw this.#error ?? new ConnectionResetError("Connection lost");
    }
    stopListening(plain);
    return await upgradeStream(plain, request, bufferedPlaintext());
  }

  /** @internal Ends the connection with an error. */
  _fail(error: unknown): void {
    this.#lostWith(error);
    this.abort();
  }

  /**
   * Records the error. An error that is `null` or `undefined` is replaced, since those values would mean a proper end.
   */
  #lostWith(error: unknown): void {
    this.#error ??= error ?? new ConnectionAbortedError(`the connection failed with ${error}`);
  }

  /** Begins to listen for the socket's end. */
  #listen(): void {
    if (this.#socket.destroyed) {
      this.#error ??= eventError(this.#socket.errored ?? null);
    }
    listenForEnd(this.#socket, this);
  }

  #receive(): void {
    this.#callStream((stream) => listenForData(stream, !this.#reading));
  }

  #learnOfTls(): void {
    if (this.#tls === null) {
      return;
    }
    this.#tlsExtra = new Map(tlsInfo(this.#socket as unknown as TLSSocket, this.#tls));
    this.setWriteBufferLimits({ high: HIGH_WATER_TLS });
  }

  // biome-ignore lint/suspicious/noExplicitAny: the interface says by the name what it is
  getExtraInfo(name: string, fallback: unknown = null): any {
    return this.#lookUpExtra(name) ?? fallback;
  }

  #lookUpExtra(name: string): unknown {
    switch (name) {
      case "socket":
        return this.#pipe === undefined ? this.#originalSocket : null;
      case "pipe":
        return this.#pipe;
      case "peername":
        return this.#peername;
      case "sockname":
        return this.#sockname;
      default:
        return this.#tlsExtra?.get(name);
    }
  }

  getProtocol(): BaseProtocol {
    return this.#protocol;
  }

  setProtocol(protocol: BaseProtocol): void {
    this.#protocol = protocol;
  }

  /** @internal Whether bytes come from outside the process. With TLS it is assumed even in memory. */
  get _isOutside(): boolean {
    return this.#socket._name === undefined;
  }

  isClosing(): boolean {
    // A failed socket reports its close in a later tick, which a loop of write() and drain() could otherwise delay
    // forever.
    return this.#state !== "open" || this.#socket.destroyed;
  }

  isReading(): boolean {
    return this.#state === "open" && this.#reading;
  }

  pauseReading(): void {
    if (this.isReading()) {
      this.#reading = false;
      tell(readingPaused, { transport: this });
      if (!this.#upgrading) {
        this.#callStream((stream) => stream.pause());
      }
    }
  }

  resumeReading(): void {
    if (this.#state === "open" && !this.#reading) {
      this.#reading = true;
      tell(readingResumed, { transport: this });
      // Bytes that arrive during the upgrade belong to the handshake.
      if (!this.#upgrading) {
        this.#callStream((stream) => stream.resume());
      }
      if (this.#eofPending) {
        this.#eofPending = false;
        nextTick(() => this._onEnd());
      }
    }
  }

  write(data: Uint8Array | string): void {
    this.#checkNoEof("write()");
    const bytes = toBytes("write()", data);
    if (!this.#dropsWrites()) {
      this.#sender.write(bytes);
    }
  }

  writelines(data: Iterable<Uint8Array | string>): void {
    this.#checkNoEof("writelines()");
    // All pieces are checked before any is sent: an invalid piece, or an error of the iterable, must not send half a
    // message.
    const pieces: Uint8Array[] = [];
    for (const piece of data) {
      pieces.push(toBytes("writelines()", piece));
    }
    if (pieces.length > 0 && !this.#dropsWrites()) {
      this.#sender.writeAll(pieces);
    }
  }

  canWriteEof(): boolean {
    return true;
  }

  writeEof(): void {
    if (this.#state !== "open" || this.#eofWritten) {
      return;
    }
    this.#eofWritten = true;
    this.#sender.flush();
  }

  close(): void {
    if (this.#state !== "open") {
      return;
    }
    if (this.#upgrading) {
      // A TLS connection cannot be half-closed before its handshake is complete.
      this.abort();
      return;
    }
    this.#state = "closing";
    this.#callStream((stream) => stream.pause());
    this.#sender.flush();
  }

  abort(): void {
    if (this.#state === "closed") {
      return;
    }
    this.#state = "closing";
    this.#ended = true;
    this.#sender.discard();
    this.#destroy();
  }

  #destroy(): void {
    try {
      if (this.#socket._resetAndDestroy === undefined) {
        this.#socket.destroy();
      } else {
        this.#socket._resetAndDestroy();
      }
    } catch (error) {
      callExceptionHandler({
        message: "Fatal error: a method of the stream failed.",
        exception: error,
        transport: this,
      });
      this.#lostWith(error);
      // The stream will not emit 'close'.
      nextTick(() => this._onClose());
    }
  }

  /** @internal */
  _endNow(): void {
    this.abort();
  }

  getWriteBufferSize(): number {
    return this.#sender.size;
  }

  getWriteBufferLimits(): [low: number, high: number] {
    return this.#sender.limits;
  }

  setWriteBufferLimits(limits: WriteBufferLimits = {}): void {
    this.#sender.setLimits(limits, this.#tls === null ? HIGH_WATER : HIGH_WATER_TLS);
  }

  /** @internal The name that `toString()` shows. */
  get _kind(): string {
    return "SocketTransport";
  }

  /** `<SocketTransport 127.0.0.1:8081 peer=127.0.0.1:40000 closing>` */
  toString(): string {
    return angled(
      this._kind,
      String(this.getExtraInfo("sockname", "")),
      this.getExtraInfo("peername") === null ? "" : `peer=${this.getExtraInfo("peername")}`,
      this.#state === "open" ? "" : this.#state,
      this.#reading ? "" : "paused",
      this.getWriteBufferSize() === 0 ? "" : `bufsize=${this.getWriteBufferSize()}`,
    );
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }

  /** @internal Called when data has arrived. */
  _onData(chunk: Buffer): void {
    if (this.#state !== "open") {
      return;
    }
    this.#idle?.touch();
    this.#sender.dataArrived();
    const protocol = this.#protocol;
    if (protocol._needsContext === false) {
      try {
        (protocol as Protocol).dataReceived(chunk);
      } catch (error) {
        this.#protocolFailed("dataReceived", error);
      }
    } else if (isBuffered(protocol)) {
      this.#fill(protocol, chunk);
    } else {
      this.#call("dataReceived", () => (protocol as Protocol).dataReceived(chunk));
    }
  }

  /**
   * Copies the chunk into the protocol's buffers, until the connection closes or another protocol takes over, which
   * then gets the rest.
   */
  #fill(protocol: BufferedProtocol, chunk: Buffer): void {
    let done = 0;
    while (done < chunk.length && this.#state === "open" && this.#protocol === protocol) {
      let size = 0;
      this.#call("getBuffer", () => {
        const buffer = protocol.getBuffer(chunk.length - done);
        size = Math.min(buffer.length, chunk.length - done);
        if (size === 0) {
          throw new RuntimeError("getBuffer() returned an empty buffer");
        }
        buffer.set(chunk.subarray(done, done + size));
      });
      done += size;
      if (size > 0) {
        this.#call("bufferUpdated", () => protocol.bufferUpdated(size));
      }
    }
    if (done < chunk.length) {
      this._onData(chunk.subarray(done));
    }
  }

  /** @internal Called when the peer has sent its EOF. */
  _onEnd(): void {
    if (this.#state !== "open") {
      return;
    }
    if (!this.#reading) {
      // A socket receives an EOF even while it is paused, if no data precedes it.
      this.#eofPending = true;
      return;
    }
    let staysOpen: unknown;
    this.#call("eofReceived", () => {
      staysOpen = (this.#protocol as Protocol).eofReceived?.();
    });
    if (staysOpen !== true) {
      this.close();
    }
  }

  /** @internal */
  _onError(error: unknown): void {
    // A stream composed of two others reports an AbortError when this side destroys it.
    if (!(this.#ended && isAbortError(error))) {
      this.#lostWith(eventError(error));
    }
    // Delivers the data that arrived while reading was paused; the socket would drop it.
    this.#callStream((stream) => {
      const rest = stream.read() as Buffer | null;
      if (rest !== null) {
        this._onData(rest);
      }
    });
    // TLS reports an alert or a broken record but leaves the socket open; nothing except an EOF can follow.
    if (!this.#socket.destroyed) {
      this.abort();
    }
  }

  /** @internal Called when the socket has closed. */
  _onClose(): void {
    if (this.#state === "closed") {
      return;
    }
    if (this.#eofPending) {
      this.#reading = true;
      this._onEnd();
    }
    this.#state = "closed";
    closed(this);
    this.#idle?.stop();
    this.#ended = true;
    this.#sender.end();
    this.#call("connectionLost", () => this.#protocol.connectionLost(this.#error));
    tell(connectionLost, { transport: this, exception: this.#error });
    this.#onClosed?.(this);
  }

  /** @internal Called when bytes were sent. */
  _onSent(): void {
    this.#idle?.touch();
  }

  /** @internal Called when everything was sent: sends the EOF or closes, if requested. */
  _onAllSent(): void {
    if ((this.#state === "open" && !this.#eofWritten) || this.#ended) {
      return;
    }
    if (this.#state === "open") {
      if (!this.#socket.writableEnded) {
        this.#callStream((stream) => stream.end());
      }
      return;
    }
    this.#ended = true;
    const seconds = this.#tls?.options.sslShutdownTimeout;
    this.#callStream((stream) => {
      if (seconds === undefined) {
        endAndDestroy(stream, (error) => this._onSinkError(error));
      } else {
        endTls(stream, seconds, (error) => this._fail(error));
      }
    });
  }

  /** @internal Called when the stream has thrown. */
  _onSinkError(exception: unknown): void {
    if (this.#state !== "closed") {
      callExceptionHandler({ message: "Fatal error: a method of the stream failed.", exception, transport: this });
      this._fail(exception);
    }
  }

  /** @internal */
  _pauseWriting(): void {
    tell(writingPaused, { transport: this });
    this.#call("pauseWriting", () => this.#protocol.pauseWriting());
  }

  /** @internal */
  _resumeWriting(): void {
    tell(writingResumed, { transport: this });
    this.#call("resumeWriting", () => this.#protocol.resumeWriting());
  }

  #checkNoEof(method: string): void {
    if (this.#eofWritten) {
      throw new RuntimeError(`Cannot call ${method} after writeEof()`, { code: "ERR_WRITE_AFTER_EOF" });
    }
  }

  /** Whether nothing can be sent any more. */
  #dropsWrites(): boolean {
    if (!this.#ended && this.#state !== "closed" && !this.#socket.destroyed) {
      return false;
    }
    this.#warnOfLateWrite();
    return true;
  }

  #warnOfLateWrite(): void {
    this.#writesWhenLost += 1;
    // Only once, so that a peer cannot fill the log by disconnecting.
    if (this.#writesWhenLost === WRITES_BEFORE_WARNING + 1) {
      process.emitWarning(`write() to a lost connection: ${this}; await drain() to get the error`, "RuntimeWarning");
    }
  }

  /** Calls the protocol in the connection's Context. An error there ends only this connection. */
  #call(method: string, callback: () => void): void {
    try {
      if (this.#protocol._needsContext === false) {
        callback();
      } else {
        this.#flow ??= Flow.entered(this.#context);
        runInFlow(this.#flow, callback);
      }
    } catch (error) {
      this.#protocolFailed(method, error);
    }
  }

  #protocolFailed(method: string, exception: unknown): void {
    callExceptionHandler({
      message: `Fatal error: protocol.${method}() call failed.`,
      exception,
      transport: this,
      protocol: this.#protocol,
    });
    this._fail(exception);
  }

  /** Calls a method of the stream, which may be user code. An error there ends only this connection. */
  #callStream(callback: (stream: AnySocket) => void): void {
    try {
      callback(this.#socket);
    } catch (error) {
      this._onSinkError(error);
    }
  }
}

/**
 * Whether the protocol receives bytes in its own buffers. It is recognized by its methods, since another copy of the
 * package has other classes.
 */
function isBuffered(protocol: BaseProtocol): protocol is BufferedProtocol {
  return "getBuffer" in protocol;
}
