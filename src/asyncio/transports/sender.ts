/**
 * Sender: the bytes that wait to be sent, the next batch, and the write buffer's limits.
 *
 * Theory of operation. Bytes written in one turn are collected and sent at its end, with small pieces copied into one.
 * The frames of a codec are put into one from the beginning.
 * If several of the peer's messages in a row were each answered with a single write, the next answer does not wait for
 * the end of the turn. The sink gets one batch of bounded size at a time, and the next batch when the sink is empty,
 * because a stream has no low mark: it reports only that everything has been sent. So the number of waiting bytes is
 * known, and the owner is called to pause and to resume at its limits.
 *
 * If the sink sent a batch before `write()` returned, the next batch is written without a callback, which would cost a
 * tick. If that batch is not sent immediately, an empty write after it reports when it has been sent.
 */
import { Buffer } from "node:buffer";
import { RuntimeError } from "../../errors.ts";
import { nextTick } from "../clock.ts";
import { WaitSet } from "../wait-set.ts";
import { PLACED, type Placed, placeAfter } from "./placed.ts";
import type { Placer } from "./transport.ts";
import { HIGH_WATER, marksOf, type WriteBufferLimits } from "./water-marks.ts";

/** The maximum size of a batch. */
const BATCH = 64 * 1024; // bytes
/** Pieces of at least this size on average are not copied into one: copying would cost more. */
const LARGE_PIECE = 512; // bytes
/**
 * After this many consecutive messages that were each answered with a single write, the next answer is written
 * immediately instead of at the end of the turn.
 */
const STREAK_BEFORE_IMMEDIATE = 8;

const NOTHING = Buffer.alloc(0);

/** The part of a stream that the sender needs. */
export interface Sink {
  /** The number of bytes that it has not sent yet. */
  readonly writableLength: number;
  readonly destroyed: boolean;
  /** Calls back when the bytes have been sent, or, with the error if there is one, when they never will be. */
  write(bytes: Uint8Array, onWritten?: (error?: Error | null) => void): unknown;
  /** Bytes written between `cork()` and `uncork()` are sent together. */
  cork(): void;
  uncork(): void;
}

/** The sender's calls to its owner. */
export interface SenderOwner {
  /** @internal More bytes wait than the high mark. */
  _pauseWriting(): void;
  /** @internal No more bytes wait than the low mark. */
  _resumeWriting(): void;
  /** @internal Bytes were sent. */
  _onSent(): void;
  /** @internal All bytes were sent. */
  _onAllSent(): void;
  /** @internal The sink threw, or the memory of written bytes was transferred. */
  _onSinkError(error: unknown): void;
}

export class Sender {
  readonly #owner: SenderOwner;
  #sink: Sink;
  /**
   * Whether the sink is a Node socket without TLS: an empty write sends nothing there, and corked writes are sent by
   * one system call.
   */
  #isPlain: boolean;
  /** The piece that waits, if it is the only one: so most messages need no array, nor does an idle connection. */
  #only: Uint8Array | null = null;
  /** If several pieces wait, they begin at `#head`: removing the first piece of a long array would move all others. */
  #queue: Uint8Array[] | null = null;
  #head = 0;
  /** The size of the queue and of what is placed, in bytes. */
  #queued = 0;
  /** What was placed after everything in the queue. */
  #placed: Placed | null = null;
  /** How many unsent bytes the sink had when last asked; now it has no more than that. */
  #backlog = 0;
  /** Whether the next batch needs no callback, because the last one was sent before `write()` returned. */
  #sentAtOnce: boolean;
  #flushScheduled = false;
  /** Whether nothing is sent, because another sink is about to replace this one. */
  #held = false;
  /** The number of writes since data arrived, */
  #writesSinceData = 0;
  /** and how many times in a row it was one. */
  #singleWriteStreak = 0;
  #high = HIGH_WATER;
  #low = HIGH_WATER / 4;
  #ownerPaused = false;
  /** The waits for everything to be sent. */
  #sentWaits: WaitSet<void> | null = null;

  /** @param isPlain - Whether the sink is a Node socket without TLS; see `#isPlain`. */
  constructor(sink: Sink, isPlain: boolean, owner: SenderOwner) {
    this.#sink = sink;
    this.#isPlain = isPlain;
    // A new connection takes its first batch at once.
    this.#sentAtOnce = isPlain;
    this.#owner = owner;
  }

  /** How many bytes wait to be sent, here and in the sink. */
  get size(): number {
    return this.#queued + this.#sink.writableLength;
  }

  get limits(): [low: number, high: number] {
    return [this.#low, this.#high];
  }

  /** @param standard - The high mark if none is given. */
  setLimits(limits: WriteBufferLimits, standard: number): void {
    const [lowMark, highMark] = marksOf(limits, standard);
    this.#high = highMark;
    this.#low = lowMark;
    this.#pauseIfHigh();
  }

  /** Records that data has arrived: the next write may be the answer. */
  dataArrived(): void {
    this.#singleWriteStreak += this.#writesSinceData === 1 ? 1 : 0;
    this.#writesSinceData = 0;
  }

  /** Sends the bytes at the end of the turn, or immediately if single writes have answered the last messages. */
  write(bytes: Uint8Array): void {
    this.#countWrite();
    if (this.#singleWriteStreak >= STREAK_BEFORE_IMMEDIATE) {
      this.#writeNow(bytes);
      return;
    }
    this.#add(bytes);
    this.#flushLater();
  }

  /**
   * Sends a piece at the end of the turn. The placer puts it into memory of the sender, so that it needs no Buffer of its
   * own and is not copied again.
   *
   * Returns `false`, with nothing done, if the piece is too large, is to be sent immediately, or the sink is not a Node
   * socket.
   */
  place<T>(size: number, placer: Placer<T>, item: T): boolean {
    if (size > PLACED || !this.#isPlain || this.#singleWriteStreak >= STREAK_BEFORE_IMMEDIATE) {
      return false;
    }
    const placed = placeAfter(this.#placed, size, placer, item);
    if (placed !== this.#placed) {
      this.#queuePlaced();
      this.#placed = placed;
    }
    this.#grow(size);
    this.#countWrite();
    this.#flushLater();
    return true;
  }

  #countWrite(): void {
    this.#writesSinceData += 1;
    if (this.#writesSinceData > 1) {
      this.#singleWriteStreak = 0;
    }
  }

  /** Passes the bytes to the sink immediately, past the queue if it is empty. */
  #writeNow(bytes: Uint8Array): void {
    const sink = this.#sink;
    const isNext = this.#queued === 0 && sink.writableLength === 0 && !sink.destroyed && !this.#held;
    if (!isNext || bytes.length === 0 || bytes.length > BATCH) {
      this.#add(bytes);
      this.flush();
      return;
    }
    try {
      this.#send(bytes);
    } catch (error) {
      this.#owner._onSinkError(error);
      return;
    }
    this.#backlog = sink.writableLength;
    if (this.#backlog > this.#high) {
      this.#pauseIfHigh();
    }
  }

  /** Sends the pieces at the end of the turn. */
  writeAll(pieces: Iterable<Uint8Array>): void {
    for (const piece of pieces) {
      this.#add(piece);
    }
    this.#flushLater();
  }

  /** Writes the waiting bytes to the sink, a batch at a time, and calls the owner when everything has been sent. */
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
   * Waits until everything written so far has been sent. Later writes wait for `moveTo()`.
   *
   * It also ends when the sink closes; the owner knows why.
   */
  async hold(): Promise<void> {
    this.#held = true;
    this.#queuePlaced();
    const pieces = this.#only === null ? (this.#queue ?? []).slice(this.#head) : [this.#only];
    this.discard();
    for (const piece of pieces) {
      this.#sink.write(piece, this.#newCallback());
    }
    this.#backlog = this.#sink.writableLength;
    while (this.#sink.writableLength > 0) {
      this.#sentWaits ??= new WaitSet();
      await this.#sentWaits.begin(
        () => `startTls() ${this.#sink.writableLength} bytes to be sent first`,
        () => true,
      );
    }
  }

  /** Sends the bytes written since `hold()`, and all later ones, to another sink, beginning with the next `flush()`. */
  moveTo(sink: Sink, isPlain: boolean): void {
    this.#sink = sink;
    this.#isPlain = isPlain;
    this.#sentAtOnce = false;
    this.#held = false;
  }

  /** Drops the bytes that wait here. */
  discard(): void {
    this.#only = null;
    this.#queue = null;
    this.#head = 0;
    this.#queued = 0;
    this.#placed = null;
  }

  /** Called when the sink has closed. */
  end(): void {
    this.discard();
    this.#sentWaits?.resolveAll();
  }

  #add(bytes: Uint8Array): void {
    if (bytes.length === 0) {
      return;
    }
    if (this.#placed !== null) {
      this.#queuePlaced();
    }
    if (this.#queue !== null) {
      this.#queue.push(bytes);
    } else if (this.#only === null) {
      this.#only = bytes;
    } else {
      this.#queue = [this.#only, bytes];
      this.#only = null;
    }
    this.#grow(bytes.length);
  }

  #grow(size: number): void {
    this.#queued += size;
    if (this.#queued + this.#backlog > this.#high) {
      this.#pauseIfHigh();
    }
  }

  /** Appends what is placed to the queue, as one piece. */
  #queuePlaced(): void {
    const placed = this.#placed;
    if (placed !== null) {
      this.#placed = null;
      this.#queued -= placed.end - placed.start;
      this.#add(placed.slab.subarray(placed.start, placed.end));
    }
  }

  /** Schedules a flush at the end of the turn. */
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
    const onWritten = this.#sentAtOnce ? undefined : this.#newCallback();
    if (Array.isArray(batch)) {
      writeTogether(sink, batch, onWritten);
    } else {
      sink.write(batch as Uint8Array, onWritten);
    }
    if (onWritten === undefined) {
      this.#owner._onSent();
      if (sink.writableLength > 0 && !sink.destroyed) {
        sink.write(NOTHING, this.#newCallback());
      }
    }
    this.#sentAtOnce = this.#isPlain && sink.writableLength === 0;
  }

  /** One for each use: few batches need it, and an idle connection holds none. */
  #newCallback(): (error?: Error | null) => void {
    return (error) => {
      // The sink itself reports an error to its owner.
      if (!error) {
        this.#written();
      }
    };
  }

  /** Called when the sink has sent a batch. */
  #written(): void {
    // A destroyed stream also calls back for bytes that it has not sent. Its close reports the reason and ends the
    // waits.
    if (this.#sink.destroyed || this.#sink.writableLength > 0) {
      return;
    }
    this.#owner._onSent();
    this.flush();
    this.#resumeIfLow();
    if (this.#sentWaits !== null && this.#sink.writableLength === 0) {
      this.#sentWaits.resolveAll();
    }
  }

  #nextBatch(): Uint8Array | readonly Uint8Array[] {
    this.#queuePlaced();
    const only = this.#only;
    if (only !== null && only.length === this.#queued && only.length <= BATCH) {
      this.#only = null;
      this.#queued = 0;
      return only;
    }
    const queue = this.#queue ?? [only as Uint8Array];
    this.#queue = queue;
    this.#only = null;
    const first = queue[this.#head] as Uint8Array;
    if (first.length > BATCH) {
      this.#checkRest(this.#queued - first.length, queue.length - this.#head - 1);
      queue[this.#head] = first.subarray(BATCH);
      this.#queued -= BATCH;
      return first.subarray(0, BATCH);
    }
    const pieces = this.#take(queue);
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (pieces.length === 1) {
      return first;
    }
    return this.#isPlain && size >= pieces.length * LARGE_PIECE ? pieces : Buffer.concat(pieces, size);
  }

  /** Takes as many pieces as fit into a batch. */
  #take(queue: Uint8Array[]): readonly Uint8Array[] {
    let end = this.#head;
    let size = 0;
    for (; end < queue.length; end++) {
      const { length } = queue[end] as Uint8Array;
      if (length === 0) {
        throw memoryChanged();
      }
      if (size + length > BATCH) {
        break;
      }
      size += length;
    }
    this.#checkRest(this.#queued - size, queue.length - end);
    const pieces = queue.slice(this.#head, end);
    this.#head = end;
    this.#queued -= size;
    if (this.#head === queue.length) {
      this.discard();
    } else if (this.#head > queue.length / 2) {
      this.#queue = queue.slice(this.#head);
      this.#head = 0;
    }
    return pieces;
  }

  /** Throws if pieces have grown: with fewer bytes in the queue than in its pieces, the last would never be sent. */
  #checkRest(bytes: number, pieces: number): void {
    if (bytes < pieces) {
      throw memoryChanged();
    }
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
}

function memoryChanged(): RuntimeError {
  return new RuntimeError("the memory of bytes was resized or transferred after write(); write a copy of them");
}

function flushNow(sender: Sender): void {
  sender._flushNow();
}

/** Sends the pieces by one system call. */
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
