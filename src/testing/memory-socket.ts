/**
 * MemorySocket: one end of a connection in memory, for a transport to stand on as on a socket of the system.
 *
 * Theory of operation. A connection has two ends, and a wire in each direction. What is written goes into the wire, cut
 * into pieces where that was asked for, and arrives piece by piece: each in an iteration of the loop of its own, as what
 * comes from a socket does, so that a program sees the same arrivals in the same order whenever it runs. With a delay it
 * arrives so many seconds of the loop's clock later.
 *
 * A wire is a window: the writer's next batch is taken when no more than `highWater` bytes are under way. A piece waits
 * in it while the other end has its own buffer full, or, in lockstep, while nobody waits in a read there.
 *
 * The end is that of TCP. An EOF comes behind the bytes. An end that is aborted, or that is written to when it is gone, has
 * the other end fail with ECONNRESET; what had been sent before arrives first.
 */
import { Duplex } from "node:stream";
import { getRunningLoop } from "../asyncio/index.ts";
import { systemError } from "../asyncio/seam.ts";
import { type Context, copyContext, ValueError } from "../contextvars/index.ts";

/** How bytes travel. */
export interface WireOptions {
  /** How many bytes may be under way, in bytes. */
  readonly highWater: number;
  /** Of what is left of a write, how many bytes the next piece has; `null`: all. */
  readonly cut: ((left: number) => number) | null;
  /** How long a piece is under way, in seconds. */
  readonly delay: number;
  /** Whether a piece arrives only where somebody waits in a read. */
  readonly lockstep: boolean;
}

/** What is under way: bytes, or the end. */
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
  /** Arrivals belong to no task and no test: they have the Context in which the connection was made. */
  readonly #context: Context;
  #items: Item[] = [];
  /** How many bytes are under way. */
  #size = 0;
  /** Tells the writer that there is room again. */
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

  /** The other end takes more. */
  wanted(): void {
    this.#schedule();
  }

  /** The other end is gone: what is under way is lost, and this end told of it. */
  drop(): void {
    if (this.#size > 0) {
      this.#refuse();
    }
    this.#items = [];
    this.#size = 0;
    this.#onRoom = null;
  }

  /** The answer to what is written to an end that is gone. */
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

  /** Bytes need room; a reset takes the bytes before it along, as one of TCP tells of itself while nobody reads. */
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
        // What the function threw that cuts: it belongs to whoever has written.
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
    throw new ValueError(`chunks() must return a whole number of bytes above 0, got ${String(size)}`);
  }
  return Math.min(size, left);
}

/** The name of both ends, as `getExtraInfo("peername")` gives it. */
export const MEMORY = "memory";

export class MemorySocket extends Duplex {
  /** @internal What stands for the addresses of both ends. */
  readonly _name: string = MEMORY;
  /** Both are there as soon as the pair is. */
  #outgoing: Wire | null = null;
  #incoming: Wire | null = null;
  /** Whether its buffer has room, as the stream says. */
  #hasRoom = false;
  /** Whether bytes arrive only where somebody waits in a read. */
  readonly isLockstep: boolean;
  #isAwaited = false;
  #isReset = false;

  private constructor({ highWater, lockstep }: WireOptions) {
    // With a size of 0 the stream would never ask for bytes by itself; one byte fills a buffer of size 1.
    super({ allowHalfOpen: true, highWaterMark: Math.max(1, highWater) });
    this.isLockstep = lockstep;
  }

  /** The two ends of one connection. */
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

  /** @internal Somebody waits in a read, or nobody does any more: for lockstep. */
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

  /** @internal What a transport does that is aborted. */
  _resetAndDestroy(error?: Error): void {
    this.#isReset = true;
    this.destroy(error);
  }

  /** @internal The other end has sent its EOF, or is gone. */
  _end(what: "eof" | "reset"): void {
    if (what === "eof") {
      this.push(null);
    } else {
      this.destroy(systemError("ECONNRESET", "read"));
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
