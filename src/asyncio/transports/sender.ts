/**
 * Sender: what waits to be sent, the batch that goes next, and when there is too much.
 *
 * Theory of operation. What is written in one turn is gathered and leaves at its end, small pieces copied into one. Where
 * the peer's messages were answered with one write each, several times in a row, the next answer does not wait for the
 * end of the turn. The sink gets at most one batch at a time, of bounded size, and the next one when it has none left,
 * because a stream has no low mark: it tells only when everything is gone. So the number of bytes that wait is known, and
 * the owner is told to pause and to resume at the marks.
 *
 * A sink that has sent a batch before `write()` returned is not asked to call back for the next one, which would cost a
 * tick; if that one does not leave at once, an empty write behind it tells when it has.
 */
import { Buffer } from "node:buffer";
import { nextTick } from "node:process";
import { RuntimeError, ValueError } from "../../errors.ts";
import { repr } from "../../repr.ts";
import { Wait } from "../waits.ts";
import type { WriteBufferLimits } from "./transport.ts";

/** Above this many bytes the owner is asked to stop writing, if no other mark is set. */
export const HIGH_WATER: number = 64 * 1024;
/** The sink gets at most this much at a time. */
const BATCH = 64 * 1024; // bytes
/** Pieces of a batch that are on average as large as this are left as they are: copying them would cost more. */
const LARGE_PIECE = 512; // bytes
/** After so many messages that got one write as their answer, the answer to the next one is not kept for the turn's end. */
const STREAK_BEFORE_IMMEDIATE = 8;

const NOTHING = Buffer.alloc(0);

/** Where the bytes go: what the sender needs of a stream. */
export interface Sink {
  /** How many bytes it has not sent yet. */
  readonly writableLength: number;
  readonly destroyed: boolean;
  /** Calls back when the bytes are sent, or when they never will be, with the error if there is one. */
  write(bytes: Uint8Array, onWritten?: (error?: Error | null) => void): unknown;
  /** What is written between the two leaves together. */
  cork(): void;
  uncork(): void;
}

/** What the sender tells its owner. */
export interface SenderOwner {
  /** @internal More than the high mark waits. */
  _pauseWriting(): void;
  /** @internal No more than the low mark waits. */
  _resumeWriting(): void;
  /** @internal Bytes have left. */
  _onSent(): void;
  /** @internal Nothing waits any more. */
  _onAllSent(): void;
  /** @internal The sink has thrown, or there is nothing left of what was written. */
  _onSinkError(error: unknown): void;
}

export class Sender {
  readonly #owner: SenderOwner;
  #sink: Sink;
  /** A socket of Node's without TLS: an empty write means nothing to it, and several leave by one call of the system. */
  #isPlain: boolean;
  /** What waits begins at the head: taking the first piece out of a long array would move all others. */
  #queue: Uint8Array[] = [];
  #head = 0;
  /** In bytes. */
  #queued = 0;
  /** How many bytes the sink had left when that was last asked: no fewer than now. */
  #backlog = 0;
  /** The last batch was sent before `write()` returned. */
  #sentAtOnce = false;
  #flushScheduled = false;
  /** Nothing goes to the sink, since another is to take its place. */
  #held = false;
  /** How many writes there were since data arrived, */
  #writesSinceData = 0;
  /** and how often in a row there was one. */
  #singleWriteStreak = 0;
  #high = HIGH_WATER;
  #low = HIGH_WATER / 4;
  #ownerPaused = false;
  readonly #onWritten = (error?: Error | null): void => {
    // The sink tells its owner of an error itself.
    if (!error) {
      this.#written();
    }
  };
  /** Those that wait for everything to be sent. */
  #sentWaits: Set<Wait<void>> | null = null;

  /** @param isPlain - Whether empty writes and corks mean nothing to the sink but what is written here of them. */
  constructor(sink: Sink, isPlain: boolean, owner: SenderOwner) {
    this.#sink = sink;
    this.#isPlain = isPlain;
    this.#owner = owner;
  }

  /** How many bytes wait, here and in the sink. */
  get size(): number {
    return this.#queued + this.#sink.writableLength;
  }

  get limits(): [low: number, high: number] {
    return [this.#low, this.#high];
  }

  /** @param standard - The high mark where none is given. */
  setLimits({ high, low }: WriteBufferLimits, standard: number): void {
    const highMark = high ?? (low === undefined ? standard : 4 * low);
    const lowMark = low ?? Math.floor(highMark / 4);
    if (!(highMark >= lowMark && lowMark >= 0)) {
      throw new ValueError(`high (${highMark}) must be >= low (${lowMark}) must be >= 0`);
    }
    this.#high = highMark;
    this.#low = lowMark;
    this.#pauseIfHigh();
  }

  /** Data has arrived: what is written next may be the answer to it. */
  dataArrived(): void {
    this.#singleWriteStreak += this.#writesSinceData === 1 ? 1 : 0;
    this.#writesSinceData = 0;
  }

  /** Sends the bytes at the end of the turn, or at once where they are a single answer again. */
  write(bytes: Uint8Array): void {
    this.#add(bytes);
    this.#writesSinceData += 1;
    if (this.#writesSinceData > 1) {
      this.#singleWriteStreak = 0;
    } else if (this.#singleWriteStreak >= STREAK_BEFORE_IMMEDIATE) {
      this.flush();
      return;
    }
    this.#flushLater();
  }

  /** Sends the pieces at the end of the turn. */
  writeAll(pieces: Iterable<Uint8Array>): void {
    for (const piece of pieces) {
      this.#add(piece);
    }
    this.#flushLater();
  }

  /** Gives the sink what waits, a batch at a time, and tells the owner when nothing does. */
  flush(): void {
    if (this.#held) {
      return;
    }
    const sink = this.#sink;
    try {
      while (this.#queued > 0 && sink.writableLength === 0 && !sink.destroyed) {
        this.#send(this.#nextBatch());
      }
    } catch (error) {
      this.#owner._onSinkError(error);
      return;
    }
    this.#backlog = sink.writableLength;
    if (!sink.destroyed) {
      this.#resumeIfLow();
    }
    if (this.#queued === 0 && this.#backlog === 0) {
      this.#owner._onAllSent();
    }
  }

  /**
   * Waits until everything has left that was written up to now. What is written later waits for `moveTo()`.
   *
   * It also ends when the sink does; the owner knows why.
   */
  async hold(): Promise<void> {
    this.#held = true;
    const pieces = this.#queue.slice(this.#head);
    this.discard();
    for (const piece of pieces) {
      this.#sink.write(piece, this.#onWritten);
    }
    this.#backlog = this.#sink.writableLength;
    while (this.#sink.writableLength > 0) {
      const sent = new Wait<void>(
        () => `StreamWriter.startTls() ${this.#sink.writableLength} bytes to be sent first`,
        () => this.#sentWaits?.delete(sent),
      );
      this.#sentWaits ??= new Set();
      this.#sentWaits.add(sent);
      await sent.begin();
    }
  }

  /** Has what was written since `hold()`, and all that comes, go to another sink; `flush()` begins. */
  moveTo(sink: Sink, isPlain: boolean): void {
    this.#sink = sink;
    this.#isPlain = isPlain;
    this.#sentAtOnce = false;
    this.#held = false;
  }

  /** Drops what waits here. */
  discard(): void {
    this.#queue.length = 0;
    this.#head = 0;
    this.#queued = 0;
  }

  /** The sink is gone. */
  end(): void {
    this.discard();
    this.#wakeSentWaits();
  }

  #add(bytes: Uint8Array): void {
    if (bytes.length > 0) {
      this.#queue.push(bytes);
      this.#queued += bytes.length;
      if (this.#queued + this.#backlog > this.#high) {
        this.#pauseIfHigh();
      }
    }
  }

  /** What is written in one turn leaves together, at its end. */
  #flushLater(): void {
    if (!this.#flushScheduled && this.#queued > 0) {
      this.#flushScheduled = true;
      nextTick(flushNow, this);
    }
  }

  /** @internal */
  _flushNow(): void {
    this.#flushScheduled = false;
    this.flush();
  }

  #send(batch: Uint8Array | readonly Uint8Array[]): void {
    const sink = this.#sink;
    const onWritten = this.#sentAtOnce ? undefined : this.#onWritten;
    if (batch instanceof Uint8Array) {
      sink.write(batch, onWritten);
    } else {
      writeTogether(sink, batch, onWritten);
    }
    if (onWritten === undefined) {
      this.#owner._onSent();
      if (sink.writableLength > 0 && !sink.destroyed) {
        sink.write(NOTHING, this.#onWritten);
      }
    }
    this.#sentAtOnce = this.#isPlain && sink.writableLength === 0;
  }

  /** The sink has sent a batch. */
  #written(): void {
    // A stream that is destroyed answers for what it has not sent, too; the end tells why, and wakes whoever waits.
    if (this.#sink.destroyed || this.#sink.writableLength > 0) {
      return;
    }
    this.#owner._onSent();
    this.flush();
    this.#resumeIfLow();
    if (this.#sentWaits !== null && this.#sink.writableLength === 0) {
      this.#wakeSentWaits();
    }
  }

  #nextBatch(): Uint8Array | readonly Uint8Array[] {
    const first = this.#queue[this.#head] as Uint8Array;
    if (first.length === this.#queued && first.length <= BATCH) {
      this.discard();
      return first;
    }
    if (first.length > BATCH) {
      this.#queue[this.#head] = first.subarray(BATCH);
      this.#queued -= BATCH;
      return first.subarray(0, BATCH);
    }
    const pieces = this.#take();
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (pieces.length === 1) {
      return first;
    }
    return this.#isPlain && size >= pieces.length * LARGE_PIECE ? pieces : Buffer.concat(pieces, size);
  }

  /** Takes out as many pieces as fit into a batch. */
  #take(): readonly Uint8Array[] {
    let end = this.#head;
    let size = 0;
    for (; end < this.#queue.length; end++) {
      const { length } = this.#queue[end] as Uint8Array;
      if (length === 0) {
        throw new RuntimeError("the memory of bytes was transferred after write(); write a copy of them");
      }
      if (size + length > BATCH) {
        break;
      }
      size += length;
    }
    const pieces = this.#queue.slice(this.#head, end);
    this.#head = end;
    this.#queued -= size;
    if (this.#head === this.#queue.length) {
      this.discard();
    } else if (this.#head > this.#queue.length / 2) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return pieces;
  }

  #pauseIfHigh(): void {
    if (!this.#ownerPaused && this.size > this.#high) {
      this.#ownerPaused = true;
      this.#owner._pauseWriting();
    }
  }

  #resumeIfLow(): void {
    if (this.#ownerPaused && this.size <= this.#low) {
      this.#ownerPaused = false;
      this.#owner._resumeWriting();
    }
  }

  #wakeSentWaits(): void {
    for (const wait of this.#sentWaits ?? []) {
      wait.resolve();
    }
    this.#sentWaits = null;
  }
}

function flushNow(sender: Sender): void {
  sender._flushNow();
}

/** Has them leave by one call of the system. */
function writeTogether(
  sink: Sink,
  pieces: readonly Uint8Array[],
  onWritten: ((error?: Error | null) => void) | undefined,
): void {
  sink.cork();
  pieces.forEach((piece, i) => {
    sink.write(piece, i === pieces.length - 1 ? onWritten : undefined);
  });
  sink.uncork();
}

/** What may be written, as bytes; a string as UTF-8. */
export function toBytes(method: string, data: Uint8Array | string): Uint8Array {
  if (typeof data === "string") {
    return Buffer.from(data);
  }
  if (data instanceof Uint8Array) {
    return data;
  }
  throw new TypeError(`${method} needs bytes (a Uint8Array) or a string, got ${repr(data)}`);
}
