/**
 * SocketTransport: a connection over a `net.Socket`, or any Duplex. The only file that listens to socket events.
 *
 * Theory of operation.
 *
 * Out: what is written in one turn is gathered and leaves at its end, small pieces copied into one. Where the peer's
 * messages were answered with one write each, several times in a row, the next answer does not wait for the end of the
 * turn. The socket gets at most one batch at a time, of bounded size, and the next one when it has none left, because a
 * socket has no low mark: it tells only when everything is gone. So the number of bytes that wait is known, and
 * `pauseWriting` and `resumeWriting` come at the marks.
 *
 * A socket that has sent a batch before `write()` returned is not asked to call back for the next one, which would cost a
 * tick; if that one does not leave at once, an empty write behind it tells when it has.
 *
 * In: every chunk goes to the protocol at once, also past the socket's own machinery: while it flows, and nobody else
 * listens, `push()` would buffer nothing and emit 'data' to the one listener there is.
 *
 * The end: `closing` since somebody asked for it, or since the peer's EOF with a protocol that does not stay; the socket
 * is told to end only when everything has been sent, since a write after that would destroy it. `connectionLost` is
 * called exactly once, on the socket's 'close', with the error that came before it if one did.
 *
 * Callbacks of the protocol run in the connection's Context: the runtimes do not agree on the Context of a socket's
 * event, and a socket that was paused has that of whoever resumed it. A protocol of streams runs no code of the user's
 * but in the handler's task, and is called as it is: entering a Context costs as much as some of its methods.
 */
import { Buffer } from "node:buffer";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Context } from "../../contextvars/context.ts";
import { Flow, runInFlow } from "../../contextvars/current.ts";
import { ConnectionResetError, RuntimeError, SSLError, TimeoutError, ValueError } from "../../errors.ts";
import { inspectCustom, repr } from "../../repr.ts";
import { callExceptionHandler, callLater } from "../events.ts";
import { isCancelled } from "../exceptions.ts";
import type { BaseProtocol, BufferedProtocol, Protocol } from "../protocols/protocols.ts";
import { noop, Wait } from "../waits.ts";
import { ownAddress, peerAddress, type SocketAddress } from "./addresses.ts";
import { toOSError } from "./os-errors.ts";
import { ON_NODE } from "./sockets.ts";
import { startTls, type TlsOptions, type TlsRequest, tlsInfo, tlsRequest } from "./tls.ts";
import type { Transport, Upgradable, WriteBufferLimits } from "./transport.ts";

/** Above this many bytes the protocol is asked to stop writing. */
const HIGH_WATER = 64 * 1024;
const HIGH_WATER_TLS = 512 * 1024;
/** The socket gets at most this much at a time. */
const BATCH = 64 * 1024; // bytes
/** Pieces of a batch that are on average as large as this are left as they are: copying them would cost more. */
const LARGE_PIECE = 512; // bytes
/** After so many messages that got one write as their answer, the answer to the next one is not kept for the turn's end. */
const SINGLE_ANSWERS = 8;
/** `setTimeout` fires at once for a delay that does not fit 31 bits. */
const LONGEST_TIMEOUT = 2 ** 31 - 1; // milliseconds
/** After so many writes to a connection that is lost, the next one is warned of. */
const WRITES_BEFORE_WARNING = 5;

type State = "open" | "closing" | "closed";

/** What is known about any stream, and what only a socket has. */
type AnySocket = Duplex & Partial<Socket>;

const transportKey: unique symbol = Symbol("transport");
type Carrier = AnySocket & { [transportKey]: SocketTransport; push: Duplex["push"] };

const NOTHING = Buffer.alloc(0);

/** What a transport is made of. */
export interface TransportInit {
  readonly socket: Duplex;
  readonly protocol: BaseProtocol;
  /** The connection's Context. */
  readonly context: Context;
  /** Called when it has ended, for whoever counts them. */
  readonly onLost?: (transport: SocketTransport) => void;
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

export class SocketTransport implements Transport, Upgradable {
  #socket: Carrier;
  #tls: TlsRequest | null;
  readonly #context: Context;
  /** In which the protocol is called; made when that is needed. */
  #flow: Flow | null = null;
  readonly #onLost: TransportInit["onLost"];
  readonly #given: Duplex;
  readonly #peername: SocketAddress | string | undefined;
  readonly #sockname: SocketAddress | string | undefined;
  /** What is known about TLS. */
  #tlsExtra: ReadonlyMap<string, unknown> | null = null;
  readonly #idle: IdleTimer | null;
  readonly #host: string | undefined;
  #protocol: BaseProtocol;
  #state: State = "open";
  #reading = true;
  /** The peer's EOF came while reading was paused: it is told of when reading goes on. */
  #endHeld = false;
  /** The EOF was asked for; it is sent when nothing waits any more. */
  #eofWritten = false;
  /** The socket was told to end: nothing may be written to it. */
  #ended = false;
  #queue: Uint8Array[] = [];
  #queued = 0;
  /** How many bytes the socket had left when that was last asked: no fewer than now. */
  #handedOver = 0;
  /** A socket of Node's without TLS: an empty write means nothing to it, and several leave by one call of the system. */
  #isPlain: boolean;
  /** The last batch was sent before `write()` returned. */
  #sentAtOnce = false;
  #flushing = false;
  /** How many writes there were since data arrived, */
  #answers = 0;
  /** and how often in a row there was one. */
  #singleAnswers = 0;
  /** TLS is being put on the socket: nothing may be read from it or written to it meanwhile. */
  #upgrading = false;
  #writingPaused = false;
  #high = HIGH_WATER;
  #low = HIGH_WATER / 4;
  #error: unknown = null;
  #writesWhenLost = 0;
  readonly #onWritten = (): void => this.#written();
  /** Those that wait for everything to be sent. */
  #sentWaits: Set<Wait<void>> | null = null;

  constructor(init: TransportInit) {
    const { socket, tls = null, idleTimeout } = init;
    this.#socket = socket as Carrier;
    this.#isPlain = isNodeSocket(socket) && !("encrypted" in socket);
    this.#protocol = init.protocol;
    this.#context = init.context;
    this.#onLost = init.onLost;
    this.#tls = tls;
    this.#host = init.host;
    this.#given = socket;
    // Asked for now: a socket that has failed knows them no more.
    this.#peername = init.peername ?? peerAddress(this.#socket);
    this.#sockname = init.sockname ?? ownAddress(this.#socket);
    this.#idle = idleTimeout === undefined ? null : new IdleTimer(idleTimeout, (error) => this._fail(error));
    this.#learnOfTls();
    this.#listen();
    this.#call("connectionMade", () => this.#protocol.connectionMade(this));
    this.#receive();
  }

  /**
   * @internal Puts TLS on the connection: what was written before goes out without, what comes after goes through it.
   *
   * A server hands on what it has read of the handshake already. A client refuses it: somebody has put words into the
   * server's mouth, which the program would take for protected ones.
   */
  async _startTls(ssl: unknown, serverSide: boolean, options: TlsOptions, early: () => Buffer): Promise<void> {
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
      this.#socket = (await this.#upgrade(request, early)) as unknown as Carrier;
    } catch (error) {
      this.#error ??= isCancelled(error) ? null : error;
      this.#socket.destroy();
      this._onClose();
      throw isCancelled(error) ? error : this.#error;
    } finally {
      this.#upgrading = false;
    }
    this.#tls = request;
    this.#isPlain = false;
    this.#sentAtOnce = false;
    this.#learnOfTls();
    this.#listen();
    this.#receive();
    this.#flush();
  }

  /** Ends the plain part of the connection, and shakes hands. */
  async #upgrade(request: TlsRequest, early: () => Buffer): Promise<TLSSocket> {
    const plain = this.#socket;
    plain.pause();
    await this.#sendPlain();
    if (plain.push === push) {
      plain.push = pushToBuffer;
    }
    plain.off("data", onData);
    plain.off("end", onEnd);
    plain.off("error", onError);
    plain.off("close", onClose);
    const bytes = early();
    const size = bytes.length + plain.readableLength;
    if (!request.serverSide && size > 0) {
      plain.on("error", noop);
      throw new SSLError(`startTls() refused: ${size} bytes came without TLS after the server had agreed to it`, {
        code: "ERR_STARTTLS_INJECTION",
      });
    }
    if (plain.readableEnded) {
      throw new ConnectionResetError("the peer closed the connection before the TLS handshake");
    }
    if (bytes.length > 0) {
      plain.unshift(bytes);
    }
    return await startTls(plain, request);
  }

  /** @internal Ends the connection with an error. */
  _fail(error: unknown): void {
    this.#error ??= error;
    this.abort();
  }

  /** Hears of the end of the socket, from now on. */
  #listen(): void {
    this.#socket[transportKey] = this;
    // The peer's EOF ends its side only, also on a socket that was made elsewhere.
    this.#socket.allowHalfOpen = true;
    this.#socket.on("error", onError);
    this.#socket.on("close", onClose);
    if (this.#socket.destroyed) {
      // It has ended between the handshake and now, and may have said so already.
      this.#error ??= toOSError(this.#socket.errored ?? null);
      process.nextTick(() => this._onClose());
    }
  }

  /** Begins to receive; listening starts the flow, unless somebody paused the socket before. */
  #receive(): void {
    this.#socket.on("end", onEnd);
    this.#socket.on("data", onData);
    if (isNodeSocket(this.#socket)) {
      this.#socket.push = push;
    }
    if (this.#socket.readableEnded) {
      // The peer's EOF came before anybody listened.
      process.nextTick(() => this._onEnd());
    }
    if (this.#reading) {
      this.#socket.resume();
    } else {
      this.#socket.pause();
    }
  }

  #learnOfTls(): void {
    if (this.#tls === null) {
      return;
    }
    this.#tlsExtra = new Map(tlsInfo(this.#socket as unknown as TLSSocket, this.#tls));
    this.setWriteBufferLimits({ high: HIGH_WATER_TLS });
  }

  /** Waits until everything is sent that was written up to now; what is written later waits for TLS. */
  async #sendPlain(): Promise<void> {
    for (const piece of this.#queue.splice(0)) {
      this.#socket.write(piece, this.#onWritten);
    }
    this.#queued = 0;
    this.#handedOver = this.#socket.writableLength;
    while (this.#socket.writableLength > 0) {
      const sent = new Wait<void>(() => this.#sentWaits?.delete(sent));
      this.#sentWaits ??= new Set();
      this.#sentWaits.add(sent);
      await sent.begin();
    }
    if (this.#state !== "open") {
      throw this.#error ?? new ConnectionResetError("Connection lost");
    }
  }

  #wakeSentWaits(): void {
    for (const wait of this.#sentWaits ?? []) {
      wait.resolve();
    }
    this.#sentWaits = null;
  }

  getExtraInfo(name: string, fallback: unknown = null): unknown {
    return this.#known(name) ?? fallback;
  }

  #known(name: string): unknown {
    switch (name) {
      case "socket":
        return this.#given;
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
      if (!this.#upgrading) {
        this.#socket.pause();
      }
    }
  }

  resumeReading(): void {
    if (this.#state === "open" && !this.#reading) {
      this.#reading = true;
      // What comes meanwhile belongs to the handshake.
      if (!this.#upgrading) {
        this.#socket.resume();
      }
      if (this.#endHeld) {
        this.#endHeld = false;
        process.nextTick(() => this._onEnd());
      }
    }
  }

  write(data: Uint8Array | string): void {
    this.#write("write()", data);
    this.#answers += 1;
    if (this.#answers > 1) {
      this.#singleAnswers = 0;
    } else if (this.#singleAnswers >= SINGLE_ANSWERS) {
      this.#flush();
      return;
    }
    this.#flushLater();
  }

  writelines(data: Iterable<Uint8Array | string>): void {
    for (const piece of data) {
      this.#write("writelines()", piece);
    }
    this.#flushLater();
  }

  canWriteEof(): boolean {
    return true;
  }

  writeEof(): void {
    if (this.#state !== "open" || this.#eofWritten) {
      return;
    }
    this.#eofWritten = true;
    this.#flush();
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
    this.#socket.pause();
    this.#flush();
  }

  abort(): void {
    if (this.#state === "closed") {
      return;
    }
    this.#state = "closing";
    this.#discard();
    this.#socket.destroy();
  }

  getWriteBufferSize(): number {
    return this.#queued + this.#socket.writableLength;
  }

  getWriteBufferLimits(): [low: number, high: number] {
    return [this.#low, this.#high];
  }

  setWriteBufferLimits({ high, low }: WriteBufferLimits = {}): void {
    const standard = this.#tls === null ? HIGH_WATER : HIGH_WATER_TLS;
    const highMark = high ?? (low === undefined ? standard : 4 * low);
    const lowMark = low ?? Math.floor(highMark / 4);
    if (!(highMark >= lowMark && lowMark >= 0)) {
      throw new ValueError(`high (${highMark}) must be >= low (${lowMark}) must be >= 0`);
    }
    this.#high = highMark;
    this.#low = lowMark;
    this.#pauseIfHigh();
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
    return `<${["SocketTransport", ...parts.filter((part) => part !== "")].join(" ")}>`;
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
    this.#singleAnswers += this.#answers === 1 ? 1 : 0;
    this.#answers = 0;
    const protocol = this.#protocol;
    if (protocol._needsContext === false) {
      (protocol as Protocol).dataReceived(chunk);
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
      this.#endHeld = true;
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
    const isOurs = this.#ended && (error as Error | null)?.name === "AbortError";
    this.#error ??= isOurs ? null : toOSError(error);
    // What had arrived while reading was paused; the socket would take it to its grave.
    const rest = this.#socket.read() as Buffer | null;
    if (rest !== null) {
      this._onData(rest);
    }
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
    if (this.#endHeld) {
      this.#reading = true;
      this._onEnd();
    }
    this.#state = "closed";
    this.#idle?.stop();
    this.#discard();
    this.#wakeSentWaits();
    this.#call("connectionLost", () => this.#protocol.connectionLost(this.#error));
    this.#onLost?.(this);
  }

  #write(method: string, data: Uint8Array | string): void {
    if (this.#eofWritten) {
      throw new RuntimeError(`Cannot call ${method} after writeEof()`, { code: "ERR_WRITE_AFTER_EOF" });
    }
    const bytes = toBytes(method, data);
    if (this.#ended || this.#state === "closed" || this.#socket.destroyed) {
      this.#warnOfLateWrite();
      return;
    }
    if (bytes.length > 0) {
      this.#queue.push(bytes);
      this.#queued += bytes.length;
      if (this.#queued + this.#handedOver > this.#high) {
        this.#pauseIfHigh();
      }
    }
  }

  #warnOfLateWrite(): void {
    this.#writesWhenLost += 1;
    // Once: a peer that goes away must not be able to fill the log.
    if (this.#writesWhenLost === WRITES_BEFORE_WARNING + 1) {
      process.emitWarning(`write() to a connection that is lost: ${this}; drain() tells of it`, "RuntimeWarning");
    }
  }

  /** What is written in one turn leaves together, at its end. */
  #flushLater(): void {
    if (!this.#flushing && this.#queued > 0) {
      this.#flushing = true;
      process.nextTick(flushNow, this);
    }
  }

  /** @internal */
  _flushNow(): void {
    this.#flushing = false;
    this.#flush();
  }

  /** Gives the socket what waits, a batch at a time; when nothing waits, the end that was asked for. */
  #flush(): void {
    if (this.#upgrading) {
      return;
    }
    const socket = this.#socket;
    while (this.#queued > 0 && socket.writableLength === 0 && !socket.destroyed) {
      this.#send(this.#nextBatch());
    }
    this.#handedOver = socket.writableLength;
    if (!socket.destroyed) {
      this.#resumeIfLow();
    }
    if ((this.#state !== "open" || this.#eofWritten) && this.getWriteBufferSize() === 0) {
      this.#end();
    }
  }

  #send(batch: Uint8Array | readonly Uint8Array[]): void {
    const socket = this.#socket;
    const onWritten = this.#sentAtOnce ? undefined : this.#onWritten;
    if (batch instanceof Uint8Array) {
      socket.write(batch, onWritten);
    } else {
      writeTogether(socket, batch, onWritten);
    }
    if (onWritten === undefined) {
      this.#idle?.touch();
      if (socket.writableLength > 0 && !socket.destroyed) {
        socket.write(NOTHING, this.#onWritten);
      }
    }
    this.#sentAtOnce = this.#isPlain && socket.writableLength === 0;
  }

  /** The socket has sent a batch. */
  #written(): void {
    // A socket that is destroyed answers for what it has not sent, too; the end tells why, and wakes whoever waits.
    if (this.#socket.destroyed || this.#socket.writableLength > 0) {
      return;
    }
    this.#idle?.touch();
    this.#flush();
    this.#resumeIfLow();
    if (this.#sentWaits !== null && this.#socket.writableLength === 0) {
      this.#wakeSentWaits();
    }
  }

  #nextBatch(): Uint8Array | readonly Uint8Array[] {
    const first = this.#queue[0] as Uint8Array;
    if (first.length === this.#queued && first.length <= BATCH) {
      this.#queued = 0;
      return this.#queue.pop() as Uint8Array;
    }
    let count = 1;
    let size = first.length;
    while (count < this.#queue.length && size + (this.#queue[count] as Uint8Array).length <= BATCH) {
      size += (this.#queue[count] as Uint8Array).length;
      count += 1;
    }
    if (size > BATCH) {
      this.#queue[0] = first.subarray(BATCH);
      this.#queued -= BATCH;
      return first.subarray(0, BATCH);
    }
    this.#queued -= size;
    if (count === 1) {
      return this.#queue.shift() as Uint8Array;
    }
    const pieces = this.#queue.splice(0, count);
    return this.#isPlain && size >= count * LARGE_PIECE ? pieces : Buffer.concat(pieces, size);
  }

  /** Everything was sent: now is the time for the EOF or the close. */
  #end(): void {
    if (this.#ended) {
      return;
    }
    if (this.#state === "open") {
      if (!this.#socket.writableEnded) {
        this.#socket.end();
      }
      return;
    }
    this.#ended = true;
    const seconds = this.#tls?.options.sslShutdownTimeout;
    if (seconds === undefined) {
      endAndDestroy(this.#socket);
    } else {
      this.#endTls(seconds);
    }
  }

  /** Closes when the peer has ended TLS, too. */
  #endTls(seconds: number): void {
    const socket = this.#socket;
    const timer = callLater(seconds, () => this._fail(new TimeoutError("SSL shutdown timed out")));
    socket.once("close", () => timer.cancel());
    socket.once("end", () => endAndDestroy(socket));
    socket.end();
    // What still comes is dropped; the end stands behind it.
    socket.resume();
    if (socket.readableEnded) {
      endAndDestroy(socket);
    }
  }

  #discard(): void {
    this.#queue = [];
    this.#queued = 0;
    this.#ended = true;
  }

  #pauseIfHigh(): void {
    if (!this.#writingPaused && this.getWriteBufferSize() > this.#high) {
      this.#writingPaused = true;
      this.#call("pauseWriting", () => this.#protocol.pauseWriting());
    }
  }

  #resumeIfLow(): void {
    if (this.#writingPaused && this.getWriteBufferSize() <= this.#low) {
      this.#writingPaused = false;
      this.#call("resumeWriting", () => this.#protocol.resumeWriting());
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
    } catch (exception) {
      callExceptionHandler({
        message: `Fatal error: protocol.${method}() call failed.`,
        exception,
        transport: this,
        protocol: this.#protocol,
      });
      this._fail(exception);
    }
  }
}

function isNodeSocket(stream: Duplex): boolean {
  return ON_NODE && stream instanceof Socket;
}

/** Stands in for the stream's own method where that would do nothing but emit the chunk. */
function push(this: Duplex, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (this.readableFlowing !== true || this.readableLength > 0 || chunk === null || this.listenerCount("data") > 1) {
    return pushToBuffer.call(this, chunk, encoding);
  }
  (this as Carrier)[transportKey]._onData(chunk as Buffer);
  return true;
}

/** The stream's own method. */
function pushToBuffer(this: Duplex, chunk: unknown, encoding?: BufferEncoding): boolean {
  return Socket.prototype.push.call(this, chunk, encoding);
}

/** Has them leave by one call of the system. */
function writeTogether(socket: Duplex, pieces: readonly Uint8Array[], onWritten: (() => void) | undefined): void {
  socket.cork();
  pieces.forEach((piece, i) => {
    socket.write(piece, i === pieces.length - 1 ? onWritten : undefined);
  });
  socket.uncork();
}

function onData(this: Duplex, chunk: Buffer): void {
  (this as Carrier)[transportKey]._onData(chunk);
}

function onEnd(this: Duplex): void {
  (this as Carrier)[transportKey]._onEnd();
}

function onError(this: Duplex, error: unknown): void {
  (this as Carrier)[transportKey]._onError(error);
}

function onClose(this: Duplex): void {
  (this as Carrier)[transportKey]._onClose();
}

function flushNow(transport: SocketTransport): void {
  transport._flushNow();
}

/** Whether it gets bytes in buffers of its own. Asked of what it can do: another copy of the package has other classes. */
function isBuffered(protocol: BaseProtocol): protocol is BufferedProtocol {
  return "getBuffer" in protocol;
}

/** Complains of a time limit that is none. */
export function checkIdleTimeout(seconds: number | undefined): void {
  if (seconds !== undefined && !(seconds > 0)) {
    throw new ValueError(`idleTimeout should be a positive number of seconds, got ${repr(seconds)}`);
  }
}

/** Ends a connection on which nothing has moved for some time; one timer, set anew only when it fires. */
class IdleTimer {
  readonly #seconds: number;
  readonly #onIdle: (error: TimeoutError) => void;
  #touched = performance.now();
  #timer: NodeJS.Timeout;

  constructor(seconds: number, onIdle: (error: TimeoutError) => void) {
    this.#seconds = seconds;
    this.#onIdle = onIdle;
    this.#timer = this.#start(seconds * 1000);
  }

  touch(): void {
    this.#touched = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #start(milliseconds: number): NodeJS.Timeout {
    return setTimeout(
      () => {
        const left = this.#touched + this.#seconds * 1000 - performance.now();
        if (left > 0) {
          this.#timer = this.#start(left);
        } else {
          this.#onIdle(new TimeoutError(`no data for ${this.#seconds} seconds (idleTimeout)`));
        }
      },
      Math.min(milliseconds, LONGEST_TIMEOUT),
    );
  }
}

/** Closes when everything was handed to the system, whether or not the peer closes its side. */
function endAndDestroy(socket: AnySocket): void {
  if (typeof socket.destroySoon === "function") {
    socket.destroySoon();
    return;
  }
  socket.end(() => socket.destroy());
}

function toBytes(method: string, data: Uint8Array | string): Uint8Array {
  if (typeof data === "string") {
    return Buffer.from(data);
  }
  if (data instanceof Uint8Array) {
    return data;
  }
  throw new TypeError(`${method} needs bytes (a Uint8Array) or a string, got ${repr(data)}`);
}
