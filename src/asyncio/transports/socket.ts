/**
 * SocketTransport: a connection over a `net.Socket`, or any Duplex. The only file that listens to socket events.
 *
 * Theory of operation.
 *
 * Out: what is written in one turn is gathered and leaves at its end, small pieces as one. The socket gets at most one
 * batch at a time, of bounded size, and the next one when it has none left, because a socket has no low mark: it tells
 * only when everything is gone. So the number of bytes that wait is known, and `pauseWriting` and `resumeWriting` come
 * at the marks.
 *
 * In: every chunk goes to the protocol at once.
 *
 * The end: `closing` since somebody asked for it, or since the peer's EOF with a protocol that does not stay; the socket
 * is told to end only when everything has been sent, since a write after that would destroy it. `connectionLost` is
 * called exactly once, on the socket's 'close', with the error that came before it if one did.
 *
 * Callbacks of the protocol run in the connection's Context: the runtimes do not agree on the Context of a socket's
 * event, and a socket that was paused has that of whoever resumed it.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Context } from "../../contextvars/context.ts";
import { Flow, runInFlow } from "../../contextvars/current.ts";
import { RuntimeError, ValueError } from "../../errors.ts";
import { inspectCustom, repr } from "../../repr.ts";
import { callExceptionHandler } from "../events.ts";
import { type BaseProtocol, Protocol } from "../protocols/protocols.ts";
import { ownAddress, peerAddress } from "./addresses.ts";
import { toOSError } from "./os-errors.ts";
import type { Transport, WriteBufferLimits } from "./transport.ts";

/** The socket gets at most this much at a time. */
const BATCH = 64 * 1024; // bytes
/** After so many writes to a connection that is lost, each further one is warned of. */
const WRITES_BEFORE_WARNING = 5;

type State = "open" | "closing" | "closed";

/** What is known about any stream, and what only a socket has. */
type AnySocket = Duplex & Partial<Socket>;

const transportKey: unique symbol = Symbol("transport");
type Carrier = AnySocket & { [transportKey]: SocketTransport };

/** Called when a transport has ended, for whoever counts them. */
export type OnLost = (transport: SocketTransport) => void;

export class SocketTransport implements Transport {
  readonly #socket: Carrier;
  readonly #flow: Flow;
  readonly #onLost: OnLost | undefined;
  readonly #extra: ReadonlyMap<string, unknown>;
  #protocol: BaseProtocol;
  #state: State = "open";
  #reading = true;
  /** The EOF was asked for; it is sent when nothing waits any more. */
  #eofWritten = false;
  /** The socket was told to end: nothing may be written to it. */
  #ended = false;
  #queue: Buffer[] = [];
  #queued = 0;
  #flushing = false;
  #writingPaused = false;
  #high = 64 * 1024;
  #low = 16 * 1024;
  #error: unknown = null;
  #writesWhenLost = 0;
  readonly #onWritten = (): void => this.#written();

  constructor(socket: Duplex, protocol: BaseProtocol, context: Context, onLost?: OnLost) {
    const carrier = socket as Carrier;
    this.#socket = carrier;
    this.#protocol = protocol;
    this.#flow = new Flow(context, null, false, null);
    this.#onLost = onLost;
    this.#extra = new Map<string, unknown>([
      ["socket", socket],
      ["peername", peerAddress(carrier)],
      ["sockname", ownAddress(carrier)],
    ]);
    carrier[transportKey] = this;
    // The peer's EOF ends its side only, also on a socket that was made elsewhere.
    carrier.allowHalfOpen = true;
    carrier.on("error", onError);
    carrier.on("close", onClose);
    this.#call("connectionMade", () => this.#protocol.connectionMade(this));
    carrier.on("end", onEnd);
    carrier.on("data", onData);
    // Listening starts the flow, unless somebody paused the socket before.
    if (this.#reading) {
      carrier.resume();
    } else {
      carrier.pause();
    }
  }

  getExtraInfo(name: string, fallback: unknown = null): unknown {
    return this.#extra.get(name) ?? fallback;
  }

  getProtocol(): BaseProtocol {
    return this.#protocol;
  }

  setProtocol(protocol: BaseProtocol): void {
    this.#protocol = protocol;
  }

  isClosing(): boolean {
    return this.#state !== "open";
  }

  isReading(): boolean {
    return this.#state === "open" && this.#reading;
  }

  pauseReading(): void {
    if (this.isReading()) {
      this.#reading = false;
      this.#socket.pause();
    }
  }

  resumeReading(): void {
    if (this.#state === "open" && !this.#reading) {
      this.#reading = true;
      this.#socket.resume();
    }
  }

  write(data: Uint8Array | string): void {
    this.#write("write()", data);
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
    const highMark = high ?? (low === undefined ? 64 * 1024 : 4 * low);
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
    if (this.#state !== "open" || !(this.#protocol instanceof Protocol)) {
      return;
    }
    if (this.#protocol._needsContext) {
      this.#call("dataReceived", () => (this.#protocol as Protocol).dataReceived(chunk));
    } else {
      this.#protocol.dataReceived(chunk);
    }
  }

  /** @internal The peer has sent its EOF. */
  _onEnd(): void {
    if (this.#state !== "open" || !(this.#protocol instanceof Protocol)) {
      return;
    }
    let staysOpen: unknown;
    this.#call("eofReceived", () => {
      staysOpen = (this.#protocol as Protocol).eofReceived();
    });
    if (staysOpen !== true) {
      this.close();
    }
  }

  /** @internal */
  _onError(error: unknown): void {
    this.#error ??= toOSError(error);
  }

  /** @internal The socket is gone. */
  _onClose(): void {
    if (this.#state === "closed") {
      return;
    }
    this.#state = "closed";
    this.#discard();
    this.#call("connectionLost", () => this.#protocol.connectionLost(this.#error));
    this.#onLost?.(this);
  }

  #write(method: string, data: Uint8Array | string): void {
    if (this.#eofWritten) {
      throw new RuntimeError(`Cannot call ${method} after writeEof()`, { code: "ERR_WRITE_AFTER_EOF" });
    }
    const bytes = toBuffer(method, data);
    if (this.#ended || this.#state === "closed" || this.#socket.destroyed) {
      this.#warnOfLateWrite();
      return;
    }
    if (bytes.length > 0) {
      this.#queue.push(bytes);
      this.#queued += bytes.length;
      this.#pauseIfHigh();
    }
  }

  #warnOfLateWrite(): void {
    this.#writesWhenLost += 1;
    if (this.#writesWhenLost > WRITES_BEFORE_WARNING) {
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
    const socket = this.#socket;
    while (this.#queued > 0 && socket.writableLength === 0 && !socket.destroyed) {
      socket.write(this.#nextBatch(), this.#onWritten);
    }
    if (this.getWriteBufferSize() === 0) {
      this.#end();
    }
  }

  /** The socket has sent a batch. */
  #written(): void {
    if (this.#socket.writableLength > 0) {
      return;
    }
    this.#flush();
    this.#resumeIfLow();
  }

  #nextBatch(): Buffer {
    const first = this.#queue[0] as Buffer;
    let count = 1;
    let size = first.length;
    while (count < this.#queue.length && size + (this.#queue[count] as Buffer).length <= BATCH) {
      size += (this.#queue[count] as Buffer).length;
      count += 1;
    }
    if (size > BATCH) {
      this.#queue[0] = first.subarray(BATCH);
      this.#queued -= BATCH;
      return first.subarray(0, BATCH);
    }
    this.#queued -= size;
    return count === 1 ? (this.#queue.shift() as Buffer) : Buffer.concat(this.#queue.splice(0, count), size);
  }

  /** Everything was sent: now is the time for the EOF or the close. */
  #end(): void {
    if (this.#ended || (this.#state === "open" && !this.#eofWritten)) {
      return;
    }
    if (this.#state === "open") {
      if (!this.#socket.writableEnded) {
        this.#socket.end();
      }
      return;
    }
    this.#ended = true;
    endAndDestroy(this.#socket);
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
      runInFlow(this.#flow, callback);
    } catch (exception) {
      callExceptionHandler({
        message: `Fatal error: protocol.${method}() call failed.`,
        exception,
        transport: this,
        protocol: this.#protocol,
      });
      this.abort();
    }
  }
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

/** Closes when everything was handed to the system, whether or not the peer closes its side. */
function endAndDestroy(socket: AnySocket): void {
  if (typeof socket.destroySoon === "function") {
    socket.destroySoon();
    return;
  }
  socket.end(() => socket.destroy());
}

function toBuffer(method: string, data: Uint8Array | string): Buffer {
  if (typeof data === "string") {
    return Buffer.from(data);
  }
  if (Buffer.isBuffer(data)) {
    return data;
  }
  if (data instanceof Uint8Array) {
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }
  throw new TypeError(`${method} needs bytes (a Uint8Array) or a string, got ${repr(data)}`);
}
