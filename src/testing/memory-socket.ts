/**
 * MemorySocket: one end of a connection in memory, which a transport uses like a system's socket.
 *
 * Theory of operation. A connection has two ends, and a wire in each direction. Written bytes go into the wire, cut
 * into pieces if requested, and arrive piece by piece, each in its own iteration of the loop, as from a socket. So a
 * program sees the same arrivals in the same order whenever it runs. With a delay, a piece arrives that many seconds of
 * the loop's clock later.
 *
 * A wire is a window: it takes the writer's next batch when no more than `highWater` bytes are in transit. A piece
 * stays in the wire while the other end's buffer is full, or, in lockstep, while no read waits there.
 *
 * Connections end as in TCP. An EOF arrives after the bytes. If an end is aborted, or receives bytes after it was
 * closed, the other end fails with ECONNRESET; bytes sent earlier arrive first.
 */
import { Duplex } from "node:stream";
import { getRunningLoop } from "../asyncio/index.ts";
import { fromCallback, systemError } from "../asyncio/seam.ts";
import { type Context, copyContext, ValueError } from "../contextvars/index.ts";

/** How a wire transports bytes. */
export interface WireOptions {
  /** How many bytes may be in transit. */
  readonly highWater: number;
  /** Returns the size of the next piece for the number of bytes left of a write; `null` to not cut. */
  readonly cut: ((left: number) => number) | null;
  /** How long a piece is in transit, in seconds. */
  readonly delay: number;
  /** Whether a piece arrives only while a read waits. */
  readonly lockstep: boolean;
}

/** An item in transit: bytes, or the end. */
interface Item {
  what: Buffer | "eof" | "reset";
  /** When it may arrive, in seconds of the loop's clock. */
  readonly due: number;
}

/** One direction of a connection. */
class Wire {
  readonly #options: WireOptions;
  readonly #from: MemorySocket;
  readonly #to: MemorySocket;
  /** Arrivals belong to no task and no test: they run in the Context in which the connection was created. */
  readonly #context: Context;
  #items: Item[] = [];
  /** How many bytes are in transit. */
  #size = 0;
  /** Notifies the writer that there is room again. */
  #onRoom: (() => void) | null = null;
  #arrivalScheduled = false;

  constructor(from: MemorySocket, to: MemorySocket, options: WireOptions, context: Context) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#context = context;
  }

  send(bytes: Buffer, onRoom: () => void): void {
    if (this.#to.destroyed) {
      this.#refuse();
      onRoom();
      return;
    }
    this.#put(bytes);
    this.#size += bytes.length;
    this.#onRoom = onRoom;
    this.#tellOfRoom();
  }

  sendEnd(what: "eof" | "reset"): void {
    this.#put(what);
  }

  /** Called when the other end accepts more bytes. */
  wanted(): void {
    this.#schedule();
  }

  /** Called when the other end has closed: bytes in transit are lost, and this end gets a reset. */
  drop(): void {
    if (this.#size > 0) {
      this.#refuse();
    }
    this.#items = [];
    this.#size = 0;
    this.#onRoom = null;
  }

  /** Answers bytes for a closed end with a reset. */
  #refuse(): void {
    this.#from._incoming.sendEnd("reset");
  }

  #put(what: Item["what"]): void {
    if (this.#to.destroyed) {
      return;
    }
    this.#items.push({ what, due: getRunningLoop().time() + this.#options.delay });
    this.#schedule();
  }

  #schedule(): void {
    const next = this.#items[0];
    if (next === undefined || this.#arrivalScheduled || !this.#mayArrive(next)) {
      return;
    }
    this.#arrivalScheduled = true;
    const loop = getRunningLoop();
    const arrive = (): void => this.#arrive();
    if (next.due > loop.time()) {
      loop.callAt(next.due, arrive, { context: this.#context });
    } else {
      loop.callSoon(arrive, { context: this.#context });
    }
  }

  /**
   * Bytes need room. A reset and the bytes before it do not, because a TCP reset is reported even if the program does
   * not read.
   */
  #mayArrive({ what }: Item): boolean {
    return typeof what === "string" || this.#to._takesMore || this.#items.at(-1)?.what === "reset";
  }

  #arrive(): void {
    this.#arrivalScheduled = false;
    const next = this.#items[0];
    if (next !== undefined && this.#mayArrive(next)) {
      try {
        this.#deliver(next);
      } catch (error) {
        // The error of the `chunks` function goes to the end that wrote.
        this.#items = [];
        this.#size = 0;
        this.#from._resetAndDestroy(error as Error);
        return;
      }
      this.#tellOfRoom();
    }
    this.#schedule();
  }

  #deliver(item: Item): void {
    const { what } = item;
    if (typeof what === "string") {
      this.#items.shift();
      this.#to._end(what);
      return;
    }
    const { cut } = this.#options;
    const size = cut === null ? what.length : checkedPiece(cut(what.length), what.length);
    if (size < what.length) {
      item.what = what.subarray(size);
    } else {
      this.#items.shift();
    }
    this.#size -= size;
    this.#to._take(what.subarray(0, size));
  }

  #tellOfRoom(): void {
    const onRoom = this.#onRoom;
    if (onRoom !== null && this.#size <= this.#options.highWater) {
      this.#onRoom = null;
      onRoom();
    }
  }
}

function checkedPiece(size: number, left: number): number {
  if (!(Number.isInteger(size) && size > 0)) {
    throw new ValueError(`chunks() must return a positive number of bytes, got ${String(size)}`);
  }
  return Math.min(size, left);
}

/** The name of both ends, as returned by `getExtraInfo("peername")`. */
export const MEMORY = "memory";

export class MemorySocket extends Duplex {
  /** @internal The name in place of both ends' addresses. */
  readonly _name: string = MEMORY;
  /** Both are set when the pair is created. */
  #outgoing: Wire | null = null;
  #incoming: Wire | null = null;
  /** Whether the stream's buffer has room. */
  #hasRoom = false;
  /** Whether bytes arrive only while a read waits. */
  readonly isLockstep: boolean;
  #isAwaited = false;
  #isReset = false;

  private constructor({ highWater, lockstep }: WireOptions) {
    // With a size of 0 the stream would never request bytes by itself; one byte fills a buffer of size 1.
    super({ allowHalfOpen: true, highWaterMark: Math.max(1, highWater) });
    this.isLockstep = lockstep;
  }

  /** Creates the two ends of a connection. */
  static pair(options: WireOptions): [MemorySocket, MemorySocket] {
    const near = new MemorySocket(options);
    const far = new MemorySocket(options);
    const context = copyContext();
    const there = new Wire(near, far, options, context);
    const back = new Wire(far, near, options, context);
    near.#outgoing = there;
    near.#incoming = back;
    far.#outgoing = back;
    far.#incoming = there;
    return [near, far];
  }

  /** @internal */
  get _incoming(): Wire {
    return this.#incoming as Wire;
  }

  /** @internal Whether bytes may arrive. */
  get _takesMore(): boolean {
    return this.#hasRoom && (this.#isAwaited || !this.isLockstep);
  }

  /** @internal Records whether a read waits, for lockstep. */
  _setAwaited(isAwaited: boolean): void {
    this.#isAwaited = isAwaited;
    if (isAwaited) {
      this._incoming.wanted();
    }
  }

  /** @internal */
  _take(bytes: Buffer): void {
    this.#hasRoom = this.push(bytes);
  }

  /** @internal Called by a transport that is aborted. */
  _resetAndDestroy(error?: Error): void {
    this.#isReset = true;
    this.destroy(error);
  }

  /** @internal Called when the other end has sent its EOF or has been aborted. */
  _end(what: "eof" | "reset"): void {
    if (what === "eof") {
      this.push(null);
    } else {
      this.destroy(fromCallback(systemError("ECONNRESET", "read")));
    }
  }

  override _read(): void {
    this.#hasRoom = true;
    this._incoming.wanted();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#outgoing?.send(bytes, callback);
  }

  override _final(callback: () => void): void {
    this.#outgoing?.sendEnd("eof");
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (!this.writableFinished) {
      this.#outgoing?.sendEnd(this.#isReset ? "reset" : "eof");
    }
    this._incoming.drop();
    callback(error);
  }
}
