/**
 * SocketTransport: a connection over a `net.Socket`, or any Duplex: what its protocol is told, and when it ends.
 *
 * Theory of operation. What is written goes through a `Sender`, what arrives comes by `socket-events`, at once.
 *
 * The end: `closing` since somebody asked for it, or since the peer's EOF with a protocol that does not stay; the socket
 * is told to end only when everything has been sent, since a write after that would destroy it. `connectionLost` is
 * called exactly once, on the socket's 'close', with the error that came before it if one did.
 *
 * Callbacks of the protocol run in the connection's Context: the runtimes do not agree on the Context of a socket's
 * event, and a socket that was paused has that of whoever resumed it. A protocol of streams runs no code of the user's
 * but in the handler's task, and is called as it is: entering a Context costs as much as some of its methods.
 */
import type { Socket } from "node:net";
import { nextTick } from "node:process";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Context } from "../../contextvars/context.ts";
import { Flow, runInFlow } from "../../contextvars/current.ts";
import { ConnectionAbortedError, ConnectionResetError, RuntimeError } from "../../errors.ts";
import { inspectCustom } from "../../repr.ts";
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
import { HIGH_WATER, Sender, type SenderOwner, toBytes } from "./sender.ts";
import { listenForData, listenForEnd, type SocketListener, stopListening } from "./socket-events.ts";
import { endAndDestroy, endTls, type TlsOptions, type TlsRequest, tlsInfo, tlsRequest, upgradeStream } from "./tls.ts";
import type { Transport, Upgradable, WriteBufferLimits } from "./transport.ts";

/** The same over TLS. */
const HIGH_WATER_TLS = 512 * 1024;
/** After so many writes to a connection that is lost, the next one is warned of. */
const WRITES_BEFORE_WARNING = 5;

type State = "open" | "closing" | "closed";

/** What is known about any stream, and what only a socket has. */
type AnySocket = Duplex & Partial<Socket> & PartOfMemory;

/** What only a stream in memory has. */
interface PartOfMemory {
  readonly _name?: string;
  /** Tells the other end that the connection was aborted, which it cannot tell from an end otherwise. */
  _resetAndDestroy?(): void;
}

/** What a transport is made of. */
export interface TransportInit {
  readonly socket: Duplex;
  /** What the stream was made of where it is no socket: a source or a sink. */
  readonly pipe?: object;
  readonly protocol: BaseProtocol;
  /** The connection's Context. */
  readonly context: Context;
  /** Called before its protocol learns of the connection, for whoever counts them, */
  readonly onOpened?: (transport: SocketTransport) => void;
  /** and when it has ended. */
  readonly onClosed?: (transport: SocketTransport) => void;
  /** How TLS was put on the socket, if it was. */
  readonly tls?: TlsRequest | undefined;
  /** What was connected to: the name that a certificate is checked against. */
  readonly host?: string | undefined;
  /** Addresses that the socket cannot tell, which are paths, or that are known already. */
  readonly peername?: string | undefined;
  readonly sockname?: SocketAddress | string | undefined;
  /** After so long without a byte in or out the connection is ended, in seconds. */
  readonly idleTimeout?: number | undefined;
}

export class SocketTransport implements Transport, Upgradable, SenderOwner, SocketListener, Openable {
  #socket: AnySocket;
  readonly #sender: Sender;
  #tls: TlsRequest | null;
  readonly #context: Context;
  /** In which the protocol is called; made when that is needed. */
  #flow: Flow | null = null;
  readonly #onClosed: TransportInit["onClosed"];
  readonly #originalSocket: Duplex;
  readonly #pipe: object | undefined;
  readonly #peername: SocketAddress | string | undefined;
  readonly #sockname: SocketAddress | string | undefined;
  /** What is known about TLS. */
  #tlsExtra: ReadonlyMap<string, unknown> | null = null;
  readonly #idle: IdleTimer | null;
  readonly #host: string | undefined;
  #protocol: BaseProtocol;
  #state: State = "open";

  // In. The EOF is pending only while it is not reading.
  #reading = true;
  /** The peer's EOF came while reading was paused: it is told of when reading goes on. */
  #eofPending = false;

  // The end. `#ended` stays when it is set; it may be set with or without an EOF before, but never while upgrading.
  /** The EOF was asked for; it is sent when nothing waits any more. */
  #eofWritten = false;
  /** The socket was told to end: nothing may be written to it. */
  #ended = false;
  /** TLS is being put on the socket: nothing may be read from it or written to it meanwhile. */
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
    // Asked for now: a socket that has failed knows them no more.
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
   * @internal Puts TLS on the connection: what was written before goes out without, what comes after goes through it.
   *
   * A server hands on what it has read of the handshake already. A client refuses it: somebody has put words into the
   * server's mouth, which the program would take for protected ones.
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

  /** Ends the plain part of the connection, and shakes hands. */
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

  /** An error is one even if it is `null` or `undefined`, which would stand for a proper end. */
  #lostWith(error: unknown): void {
    this.#error ??= error ?? new ConnectionAbortedError(`the connection failed with ${error}`);
  }

  /** Hears of the end of the socket, from now on. */
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

  /** @internal Whether bytes come from outside the process. TLS takes its time, also in memory. */
  get _isOutside(): boolean {
    return this.#socket._name === undefined;
  }

  isClosing(): boolean {
    // A socket that has failed tells of it in a later tick, which a loop of write() and drain() must not keep away.
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
      // What comes meanwhile belongs to the handshake.
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
    // All are looked at before any is sent: a bad one, or an error of the iterable, must not leave half a message behind.
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
      // There is no way to end a TLS connection that is not there yet.
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
      // It will not tell of its end.
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
    const parts = [
      this.getExtraInfo("sockname", ""),
      this.getExtraInfo("peername") === null ? "" : `peer=${this.getExtraInfo("peername")}`,
      this.#state === "open" ? "" : this.#state,
      this.#reading ? "" : "paused",
      this.getWriteBufferSize() === 0 ? "" : `bufsize=${this.getWriteBufferSize()}`,
    ];
    return `<${[this._kind, ...parts.filter((part) => part !== "")].join(" ")}>`;
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }

  /** @internal Data has arrived. */
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

  /** Copies the chunk into the protocol's buffers; what is left when it closes, or hands over to another, is not its. */
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

  /** @internal The peer has sent its EOF. */
  _onEnd(): void {
    if (this.#state !== "open") {
      return;
    }
    if (!this.#reading) {
      // A socket takes in an EOF also while it is paused, if nothing stands before it.
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
    // A stream made of two others calls it an error when this side destroys it.
    if (!(this.#ended && isAbortError(error))) {
      this.#lostWith(eventError(error));
    }
    // What had arrived while reading was paused; the socket would take it to its grave.
    this.#callStream((stream) => {
      const rest = stream.read() as Buffer | null;
      if (rest !== null) {
        this._onData(rest);
      }
    });
    // TLS tells of an alert, or of a broken record, and leaves the socket open; what comes then is an EOF, if anything.
    if (!this.#socket.destroyed) {
      this.abort();
    }
  }

  /** @internal The socket is gone. */
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

  /** @internal Bytes have left. */
  _onSent(): void {
    this.#idle?.touch();
  }

  /** @internal Everything was sent: now is the time for the EOF or the close, if one was asked for. */
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

  /** @internal The stream has thrown. */
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
    // Once: a peer that goes away must not be able to fill the log.
    if (this.#writesWhenLost === WRITES_BEFORE_WARNING + 1) {
      process.emitWarning(`write() to a connection that is lost: ${this}; drain() tells of it`, "RuntimeWarning");
    }
  }

  /** Calls the protocol in the connection's Context. An error there ends this connection, and nothing else. */
  #call(method: string, callback: () => void): void {
    try {
      if (this.#protocol._needsContext === false) {
        callback();
      } else {
        this.#flow ??= new Flow(this.#context, null, false, null);
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

  /** Calls a method of the stream, which may be anybody's. An error there ends this connection, and nothing else. */
  #callStream(callback: (stream: AnySocket) => void): void {
    try {
      callback(this.#socket);
    } catch (error) {
      this._onSinkError(error);
    }
  }
}

/** Whether it gets bytes in buffers of its own. Asked of what it can do: another copy of the package has other classes. */
function isBuffered(protocol: BaseProtocol): protocol is BufferedProtocol {
  return "getBuffer" in protocol;
}
