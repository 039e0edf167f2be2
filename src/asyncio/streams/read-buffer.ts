/**
 * ReadBuffer: the bytes that have arrived. A read takes bytes from it, or gets `null` if it has to wait. No promises,
 * no transports.
 *
 * Each method is one kind of read, and follows the same order: enough in the buffer? Take it. Too much? Throw an error.
 * Closed? Throw an error or return the end. Otherwise return `null`, with nothing changed.
 *
 * A search that finds nothing records how far it got, and the next search for the same separators continues from there,
 * so that a line which arrives in many chunks costs no more than its length. Taking bytes resets that record.
 */
import { Buffer } from "node:buffer";
import { RuntimeError, ValueError } from "../../errors.ts";
import { ByteQueue } from "../bytes/byte-queue.ts";
import { areSameSeparators, findSeparator, type Separators, searchedUpTo, separators } from "../bytes/separator.ts";
import { IncompleteReadError, LimitOverrunError } from "../exceptions.ts";

/** The kind of a read. `some` and `exactly` have a size, `until` has separators. */
export type Request = "some" | "all" | "exactly" | "until" | "line" | "into" | "peek" | Taker;

/**
 * A read of another kind, which finds by itself what it takes: a frame of `contextvars/codecs`, or the bytes that
 * `relay()` sends.
 */
export interface Taker {
  /** The name of the reading method, for messages, */
  readonly method: string;
  /** and its class with a dot; empty for a function. */
  readonly owner: string;
  /** Takes a frame, or returns `null` and leaves the bytes unchanged if it has to wait. */
  take(buffer: ReadBuffer): unknown;
}

/**
 * The answer to a read: bytes, the number of bytes put into the caller's buffer, or the result of a Taker; `null` if
 * the read has to wait.
 */
export type Answer = unknown;

export const EMPTY: Buffer = Buffer.alloc(0);
export const NEWLINE: Separators = separators([Buffer.from("\n")]);
const NEWLINE_BYTE = 10;

/** Extends the queue of its bytes: a connection has no memory for two objects, nor a read time to go through both. */
export class ReadBuffer extends ByteQueue {
  /** How many bytes may precede a separator. */
  readonly limit: number;
  #eof = false;
  /** The error of a lost connection, thrown by a read that the buffer cannot answer. */
  #connectionError: unknown = null;
  /** None of the separators ends before this position, */
  #searched = 0;
  /** and these are the separators. */
  #searchedFor: Separators = NEWLINE;

  constructor(limit: number) {
    super();
    this.limit = limit;
  }

  /** Whether EOF was fed, even if bytes before it remain. */
  get eof(): boolean {
    return this.#eof;
  }

  /** The error with which the connection was lost; `null` if it was not lost. */
  get lost(): unknown {
    return this.#connectionError;
  }

  /**
   * Appends bytes.
   *
   * @throws {RuntimeError} After `feedEof()`.
   */
  override push(data: Uint8Array): void {
    if (this.#eof) {
      throw new RuntimeError("feedData() after feedEof()", { code: "ERR_READER_EOF" });
    }
    super.push(Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }

  /** Records that no more bytes will arrive. */
  feedEof(): void {
    this.#eof = true;
  }

  /** Records that no more bytes will arrive; a read that the buffer cannot answer throws the error. */
  lose(error: unknown): void {
    this.#connectionError = error;
  }

  /** Takes what the request asks for, or returns `null` if it has to wait. */
  answer(request: Request, size: number, needles: Separators, target: Uint8Array): Answer {
    switch (request) {
      case "some":
        return this.some(size);
      case "all":
        return this.all();
      case "exactly":
        return this.exactly(size);
      case "until":
        return this.until(needles);
      case "line":
        return this.line();
      case "into":
        return this.into(target, size);
      case "peek":
        return this.peek(size);
      default:
        return request.take(this);
    }
  }

  /** The fast path for the common case: takes the next line if it is in the first chunk and within the limit. */
  lineAtHand(): Buffer | null {
    const size = this.lineSizeAtHand(this.limit);
    return size === 0 ? null : this.take(size);
  }

  /** The size of the next line with its newline, if it is in the first chunk and within the limit; otherwise 0. */
  lineSizeAtHand(limit: number): number {
    return this.sizeThrough(NEWLINE_BYTE, limit);
  }

  /** Takes `n` bytes if they have arrived, otherwise returns `null`. */
  bytesAtHand(n: number): Buffer | null {
    return this.length < n ? null : this.take(n);
  }

  /** Takes up to `n` bytes; an empty Buffer at EOF. */
  some(n: number): Buffer | null {
    if (this.length > 0) {
      return this.take(n);
    }
    return this.ended() ? EMPTY : null;
  }

  /** Takes everything, at EOF. */
  all(): Buffer | null {
    return this.ended() ? this.takeAll() : null;
  }

  /** @throws {IncompleteReadError} If EOF was reached before `n` bytes; the buffer is then empty. */
  exactly(n: number): Buffer | null {
    if (this.length >= n) {
      return n === 0 ? EMPTY : this.take(n);
    }
    if (this.ended()) {
      throw new IncompleteReadError(this.takeAll(), n);
    }
    return null;
  }

  /**
   * Copies at least `min` bytes into the target, and returns how many; 0 at EOF.
   *
   * @throws {IncompleteReadError} If EOF was reached after at least one but fewer than `min` bytes; the buffer is then
   * empty.
   */
  into(target: Uint8Array, min: number): number | null {
    const { length } = this;
    if (length >= min || (length === 0 && this.ended())) {
      if (target.length < Math.min(min, length)) {
        throw new RuntimeError(
          `readInto(): the target has no room for ${min} bytes any more; do not transfer or resize its memory`,
        );
      }
      const size = Math.min(length, target.length);
      this.copyTo(target, 0, size);
      this.drop(size);
      return size;
    }
    if (this.ended()) {
      throw new IncompleteReadError(this.takeAll(), min);
    }
    return null;
  }

  /**
   * Copies `n` bytes, which stay in the buffer. @throws {IncompleteReadError} If EOF was reached before; everything
   * stays.
   */
  peek(n: number): Buffer | null {
    const { length } = this;
    if (length >= n) {
      return this.copy(0, n);
    }
    if (this.ended()) {
      throw new IncompleteReadError(this.copy(0, length), n);
    }
    return null;
  }

  /**
   * Takes everything through the separator that ends first.
   *
   * @throws {LimitOverrunError} If more bytes than the limit precede it, or have arrived without one; everything stays.
   * @throws {IncompleteReadError} If EOF was reached before one; the buffer is then empty.
   */
  until(needles: Separators): Buffer | null {
    const found = this.through(needles, this.limit);
    if (found === null && this.ended()) {
      throw new IncompleteReadError(this.takeAll(), null);
    }
    return found;
  }

  /**
   * Takes the next line; at EOF, the remaining bytes.
   *
   * @throws {ValueError} If the line is longer than the limit. The line is dropped including its newline, or, if the
   * newline has not arrived yet, everything in the buffer.
   */
  line(): Buffer | null {
    let line: Buffer | null;
    try {
      line = this.through(NEWLINE, this.limit);
    } catch (error) {
      throw error instanceof LimitOverrunError ? this.#dropLine(error) : error;
    }
    return line === null && this.ended() ? this.takeAll() : line;
  }

  /** Takes up to `n` bytes, at EOF or before. */
  override take(n: number): Buffer {
    this.#searched = 0;
    return super.take(n);
  }

  /** Takes everything. */
  takeAll(): Buffer {
    return this.take(this.length);
  }

  #dropLine(overrun: LimitOverrunError): ValueError {
    const { consumed } = overrun;
    if (this.indexOf(NEWLINE.needles[0] as Buffer, consumed) === consumed) {
      this.drop(consumed + 1);
    } else {
      this.clear();
    }
    this.#searched = 0;
    return new ValueError(`${overrun.message}; give a larger limit than ${this.limit} bytes`, {
      code: "ERR_LIMIT_OVERRUN",
      cause: overrun,
    });
  }

  /**
   * Takes everything through the separator that ends first, at EOF or before; returns `null` if none has arrived.
   *
   * @throws {LimitOverrunError} If more bytes than the limit precede it, or have arrived without one; everything stays.
   */
  through(needles: Separators, limit: number): Buffer | null {
    const { length } = this;
    const from = areSameSeparators(this.#searchedFor, needles) ? this.#searched : 0;
    if (length - from < needles.shortest) {
      return null;
    }
    const match = findSeparator(this, needles, from);
    if (match === null) {
      const searched = searchedUpTo(length, needles);
      if (searched > limit) {
        throw new LimitOverrunError("Separator is not found, and chunk exceed the limit", searched, limit);
      }
      this.#searchedFor = needles;
      this.#searched = searched;
      return null;
    }
    if (match.start > limit) {
      throw new LimitOverrunError("Separator is found, but chunk is longer than limit", match.start, limit);
    }
    return this.take(match.end);
  }

  override takePart(size: number, from: number, to: number): Buffer {
    this.#searched = 0;
    return super.takePart(size, from, to);
  }

  override drop(size: number): void {
    this.#searched = 0;
    super.drop(size);
  }

  /** Whether no more bytes will arrive. Throws the error with which the connection was lost. */
  ended(): boolean {
    if (this.#connectionError !== null) {
      throw this.#connectionError;
    }
    return this.#eof;
  }
}
