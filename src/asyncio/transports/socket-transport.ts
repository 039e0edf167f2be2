/**
 * SocketTransport: a connection over a `net.Socket` or any Duplex. It starts TLS, and closes the connection.
 *
 * Theory of operation. Written bytes go through a `Sender`; bytes that arrive come directly from `socket-events`, and
 * the base class passes them to the protocol.
 *
 * The end: the state is `closing` after a call of `close()` or `abort()`, or after the peer's EOF if the protocol does
 * not stay open. The socket is ended only when everything has been sent, since a write after that would destroy it.
 * `connectionLost` is called exactly once, on the socket's 'close', with the error that preceded it, if there was one.
 */

import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { RuntimeError } from "../../errors.ts";
import { ConnectionAbortedError, ConnectionResetError } from "../../io-errors.ts";
import { angled } from "../../repr.ts";
import { checkIterable, toBytes } from "../arguments.ts";
import { nextTick } from "../clock.ts";
import { connectionLost, connectionMade, readingPaused, readingResumed, tell } from "../debug/channels.ts";
import { callExceptionHandler } from "../events.ts";
import { closed, type Openable, opened } from "../open.ts";
import { isAbortError, isCancelled } from "../task-errors.ts";
import { IdleTimer } from "./idle-timer.ts";
import { isPlainNodeSocket } from "./node-sockets.ts";
import { eventError } from "./os-errors.ts";
import { eofReceived, lost, made, ProtocolSide, type ProtocolSideInit } from "./protocol-side.ts";
import { Rare } from "./rare.ts";
import { Sender, type SenderOwner } from "./sender.ts";
import { listenForData, listenForEnd, type SocketListener, stopListening } from "./socket-events.ts";
import { destroyStream, endAndDestroy, endTls, isOfMemory } from "./stream-end.ts";
import { isTls, limitHandshake, type TlsOptions, type TlsRequest, upgradeRequest, upgradeStream } from "./tls.ts";
import type { Placer, Placing, Transport, Upgradable } from "./transport.ts";
import { HIGH_WATER, HIGH_WATER_TLS, type WriteBufferLimits } from "./water-marks.ts";

type State = "open" | "closing" | "closed";

/** Arguments of a SocketTransport. */
export interface TransportInit extends ProtocolSideInit {
  /** Called before the protocol's `connectionMade()`, so that a server can count connections, */
  readonly onOpened?: (transport: SocketTransport) => void;
  /** and when the connection has ended. */
  readonly onClosed?: (transport: SocketTransport) => void;
  /** The request by which TLS was started on the socket, if it was. */
  readonly tls?: TlsRequest | undefined;
  /** The host that was connected to: the name that a certificate is checked against. */
  readonly host?: string | undefined;
  /** Aborts the connection after this many seconds without traffic in either direction. */
  readonly idleTimeout?: number | undefined;
}

export class SocketTransport
  extends ProtocolSide
  implements Transport, Upgradable, Placing, SenderOwner, SocketListener, Openable
{
  #socket: Duplex;
  readonly #sender: Sender;
  readonly #onClosed: TransportInit["onClosed"];
  #rare: Rare | null = null;
  #state: State = "open";
  /** An EOF of the peer that comes while reading is paused is reported when reading resumes. */
  #reading: "yes" | "paused" | "paused, EOF pending" = "yes";

  // The end. Once set, `#ended` stays set; it may be set with or without an EOF before, but never while upgrading.
  /** `writeEof()` was called; the EOF is sent after all waiting bytes. */
  #eofWritten = false;
  /** The socket was ended: nothing may be written to it. */
  #ended = false;
  #error: unknown = null;
  /** @internal The neighbours among the open connections of its server. */
  _older: SocketTransport | null = null;
  /** @internal */
  _newer: SocketTransport | null = null;

  constructor(init: TransportInit) {
    super(init);
    const { socket, tls, host, idleTimeout } = init;
    this.#socket = socket;
    this.#sender = new Sender(socket, isPlainNodeSocket(socket), this);
    this.#onClosed = init.onClosed;
    if (tls !== undefined || host !== undefined || idleTimeout !== undefined) {
      const rare = this.#makeRare();
      rare.host = host;
      rare.idle = idleTimeout === undefined ? null : new IdleTimer(idleTimeout, (error) => this._fail(error));
      if (tls !== undefined) {
        this.#learnOfTls(tls);
      }
    }
    if (tls === undefined && isTls(socket)) {
      this.#learnOfAdoptedTls(socket);
    }
    this.#listen();
    opened(this);
    init.onOpened?.(this);
    tell(connectionMade, { transport: this });
    this.callProtocol("connectionMade", made, this as Transport);
    this.#receive();
  }

  /** @internal Starts TLS on the connection: bytes written before are sent without TLS, later bytes with TLS. */
  async _startTls(
    ssl: unknown,
    serverSide: boolean,
    options: TlsOptions,
    bufferedPlaintext: () => Buffer,
  ): Promise<void> {
    const rare = this.#makeRare();
    const request = upgradeRequest(ssl, serverSide, rare.host, options);
    if (rare.isUpgrading) {
      throw new RuntimeError("startTls() is already in progress", { code: "ERR_TLS_BUSY" });
    }
    if (this.#state !== "open" || this.#eofWritten) {
      throw new ConnectionResetError("Connection lost");
    }
    rare.isUpgrading = true;
    try {
      this.#socket = await this.#upgrade(request, bufferedPlaintext);
    } catch (error) {
      this.#error ??= isCancelled(error) ? null : error;
      this.#destroy();
      this._onClose();
      throw isCancelled(error) ? error : this.#error;
    } finally {
      rare.isUpgrading = false;
    }
    this.#sender.moveTo(this.#socket, false);
    this.#learnOfTls(request);
    this.#listen();
    this.#receive();
    this.#sender.flush();
  }

  /** Stops using the plain socket, and performs the handshake. */
  async #upgrade(request: TlsRequest, bufferedPlaintext: () => Buffer): Promise<TLSSocket> {
    const plain = this.#socket;
    plain.pause();
    const timer = limitHandshake(request, (error) => this._fail(error));
    await this.#sender.hold().finally(() => timer.cancel());
    if (this.#state !== "open") {
      throw this.#error ?? new ConnectionResetError("Connection lost");
    }
    stopListening(plain);
    return await upgradeStream(plain, request, bufferedPlaintext());
  }

  /** @internal */
  override _fail(error: unknown): void {
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
    this.#callStream((stream) => listenForData(stream, this.#reading !== "yes"));
  }

  #learnOfTls(request: TlsRequest): void {
    this.#makeRare().tls = request;
    this.keepTlsInfo(this.#socket as unknown as TLSSocket, request);
    this.setWriteBufferLimits();
  }

  /** Other code has started TLS on the socket, and the handshake may still be in progress. */
  #learnOfAdoptedTls(socket: TLSSocket): void {
    const keep = (): void => this.keepTlsInfo(socket, undefined);
    keep();
    socket.once("secureConnect", keep);
    this.setWriteBufferLimits();
  }

  #makeRare(): Rare {
    this.#rare ??= new Rare();
    return this.#rare;
  }

  get #isUpgrading(): boolean {
    return this.#rare?.isUpgrading === true;
  }

  /** @internal Whether bytes come from outside the process. With TLS it is assumed even in memory. */
  get _isOutside(): boolean {
    return !isOfMemory(this.#socket);
  }

  protected override get isOpen(): boolean {
    return this.#state === "open";
  }

  isClosing(): boolean {
    // A failed socket reports its close in a later tick, which a loop of write() and drain() could otherwise delay
    // forever.
    return this.#state !== "open" || this.#socket.destroyed;
  }

  isReading(): boolean {
    return this.#state === "open" && this.#reading === "yes";
  }

  pauseReading(): void {
    if (this.isReading()) {
      this.#reading = "paused";
      tell(readingPaused, { transport: this });
      if (!this.#isUpgrading) {
        this.#callStream((stream) => stream.pause());
      }
    }
  }

  resumeReading(): void {
    if (this.#state === "open" && this.#reading !== "yes") {
      const isEofPending = this.#reading === "paused, EOF pending";
      this.#reading = "yes";
      tell(readingResumed, { transport: this });
      // Bytes that arrive during the upgrade belong to the handshake.
      if (!this.#isUpgrading) {
        this.#callStream((stream) => stream.resume());
      }
      if (isEofPending) {
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

  /** @internal */
  _place<T>(size: number, placer: Placer<T>, item: T): boolean {
    const isWritable = this.#state === "open" && !this.#eofWritten && !this.#socket.destroyed;
    return isWritable && this.#sender.place(size, placer, item);
  }

  writelines(data: Iterable<Uint8Array | string>): void {
    this.#checkNoEof("writelines()");
    checkIterable("writelines(): data", data);
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
    if (this.#isUpgrading) {
      // A TLS connection cannot be half-closed before its handshake is complete.
      this.abort();
      return;
    }
    this.#state = "closing";
    if (!this.#socket.readableEnded) {
      this.#callStream((stream) => stream.pause());
    }
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
      destroyStream(this.#socket);
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
    this.#sender.setLimits(limits, isTls(this.#socket) ? HIGH_WATER_TLS : HIGH_WATER);
  }

  /** @internal The name that `toString()` shows. */
  get _kind(): string {
    return "SocketTransport";
  }

  /** `<SocketTransport 127.0.0.1:8081 peer=127.0.0.1:40000 closing>` */
  override toString(): string {
    return angled(
      this._kind,
      String(this.getExtraInfo("sockname", "")),
      this.getExtraInfo("peername") === null ? "" : `peer=${this.getExtraInfo("peername")}`,
      this.#state === "open" ? "" : this.#state,
      this.#reading === "yes" ? "" : "paused",
      this.getWriteBufferSize() === 0 ? "" : `bufsize=${this.getWriteBufferSize()}`,
    );
  }

  /** @internal Called when data has arrived. */
  _onData(chunk: Buffer): void {
    if (this.#state !== "open") {
      return;
    }
    this.#rare?.idle?.touch();
    this.#sender.dataArrived();
    this.deliver(chunk);
  }

  /** @internal Called when the peer has sent its EOF. */
  _onEnd(): void {
    if (this.#state !== "open") {
      return;
    }
    if (this.#reading !== "yes") {
      // A socket receives an EOF even while it is paused, if no data precedes it.
      this.#reading = "paused, EOF pending";
      return;
    }
    if (this.callProtocol("eofReceived", eofReceived, undefined) !== true) {
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
    if (this.#reading === "paused, EOF pending") {
      this.#reading = "yes";
      this._onEnd();
    }
    this.#state = "closed";
    closed(this);
    this.#rare?.idle?.stop();
    this.#ended = true;
    this.#sender.end();
    this.callProtocol("connectionLost", lost, this.#error);
    tell(connectionLost, { transport: this, exception: this.#error });
    this.#onClosed?.(this);
  }

  /** @internal Called when bytes were sent. */
  _onSent(): void {
    this.#rare?.idle?.touch();
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
    const seconds = this.#rare?.tls?.options.sslShutdownTimeout;
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
    this.#makeRare().countLateWrite(this);
    return true;
  }

  /** Calls a method of the stream, which may be user code. An error there ends only this connection. */
  #callStream(callback: (stream: Duplex) => void): void {
    try {
      callback(this.#socket);
    } catch (error) {
      this._onSinkError(error);
    }
  }
}
