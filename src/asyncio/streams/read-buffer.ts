/**
 * ReadBuffer: what a read takes from the bytes that have arrived, or `null` if it has to wait. No promises, no transports.
 *
 * Each method is one kind of read, and follows the same order: enough in the buffer? take it. Too much? error. Closed?
 * error or end. Otherwise `null`, and nothing has changed.
 *
 * A search that found nothing notes how far it came, and the next search for the same separators goes on from there, so
 * that a line which arrives in many chunks costs its length. Whatever takes bytes makes that note void.
 */
import { Buffer } from "node:buffer";
import { RuntimeError, ValueError } from "../../errors.ts";
import { ByteQueue } from "../bytes/byte-queue.ts";
import { findSeparator, type Separators, searchedUpTo, separators } from "../bytes/separator.ts";
import { IncompleteReadError, LimitOverrunError } from "../exceptions.ts";

/** What a read asks for: `some` bytes and `exactly` so many have a size, `until` has separators. */
export type Request = "some" | "all" | "exactly" | "until" | "line" | "into" | "peek" | Taker;

/** A read of another kind, which looks for what it takes by itself: a frame of `contextvars/codecs`, what `relay()` sends. */
export interface Taker {
  /** The method that reads, for messages, */
  readonly method: string;
  /** and its class, with a point behind it; empty for a function. */
  readonly owner: string;
  /** Takes what it looks for; `null`, with the bytes unchanged, if it has to wait. */
  take(buffer: ReadBuffer): unknown;
}

/** What a read is answered with: bytes, how many went into the caller's buffer, what a Taker takes; `null`: it has to wait. */
export type Answer = unknown;

export const EMPTY: Buffer = Buffer.alloc(0);
export const NEWLINE: Separators = separators([Buffer.from("\n")]);
const NEWLINE_BYTE = 10;

export class ReadBuffer {
  /** How many bytes may stand before a separator. */
  readonly limit: number;
  readonly #bytes = new ByteQueue();
  #eof = false;
  /** Thrown by a read that the buffer cannot answer: the connection was lost. */
  #lost: unknown = null;
  /** Up to here there is none of the separators, */
  #searched = 0;
  /** which are these. */
  #searchedFor: Separators = NEWLINE;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** How many bytes there are. */
  get length(): number {
    return this.#bytes.length;
  }

  /** Whether the end was fed, with or without bytes before it. */
  get eof(): boolean {
    return this.#eof;
  }

  /** What the connection was lost with; `null` if it was not. */
  get lost(): unknown {
    return this.#lost;
  }

  /**
   * Appends bytes.
   *
   * @throws {RuntimeError} After `feedEof()`.
   */
  push(data: Uint8Array): void {
    if (this.#eof) {
      throw new RuntimeError("feedData() after feedEof()", { code: "ERR_READER_EOF" });
    }
    this.#bytes.push(Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }

  /** No more will arrive. */
  feedEof(): void {
    this.#eof = true;
  }

  /** No more will arrive, and a read that the buffer cannot answer throws the error. */
  lose(error: unknown): void {
    this.#lost = error;
  }

  /** Takes what the request asks for. */
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

  /** Takes the next line if it is in the first chunk and within the limit: the rule, and the shortest way. */
  lineAtHand(limit: number = this.limit): Buffer | null {
    const line = this.#bytes.takeThrough(NEWLINE_BYTE, limit);
    if (line !== null) {
      this.#searched = 0;
    }
    return line;
  }

  /** Takes `n` bytes if they are there, likewise. */
  bytesAtHand(n: number): Buffer | null {
    return this.#bytes.length < n ? null : this.take(n);
  }

  /** Takes the first chunk, as it arrived, if there is one. */
  chunkAtHand(): Buffer | null {
    this.#searched = 0;
    return this.#bytes.takeChunk();
  }

  /** Takes up to `n` bytes; none at the end. */
  some(n: number): Buffer | null {
    if (this.#bytes.length > 0) {
      return this.take(n);
    }
    return this.ended() ? EMPTY : null;
  }

  /** Takes everything at the end. */
  all(): Buffer | null {
    return this.ended() ? this.takeAll() : null;
  }

  /** @throws {IncompleteReadError} If the end has come before `n` bytes; the buffer is empty then. */
  exactly(n: number): Buffer | null {
    if (this.#bytes.length >= n) {
      return n === 0 ? EMPTY : this.take(n);
    }
    if (this.ended()) {
      throw new IncompleteReadError(this.takeAll(), n);
    }
    return null;
  }

  /**
   * Fills the target with at least `min` bytes, and returns how many; 0 at the end.
   *
   * @throws {IncompleteReadError} If the end has come behind some bytes, but fewer; the buffer is empty then.
   */
  into(target: Uint8Array, min: number): number | null {
    const { length } = this.#bytes;
    if (length >= min || (length === 0 && this.ended())) {
      const size = Math.min(length, target.length);
      this.#bytes.copyTo(target, 0, size);
      this.#bytes.drop(size);
      this.#searched = 0;
      return size;
    }
    if (this.ended()) {
      throw new IncompleteReadError(this.takeAll(), min);
    }
    return null;
  }

  /** Copies `n` bytes, which stay. @throws {IncompleteReadError} If the end has come before; everything stays. */
  peek(n: number): Buffer | null {
    const { length } = this.#bytes;
    if (length >= n) {
      return this.#bytes.copy(0, n);
    }
    if (this.ended()) {
      throw new IncompleteReadError(this.#bytes.copy(0, length), n);
    }
    return null;
  }

  /**
   * Takes everything through the separator that ends first.
   *
   * @throws {LimitOverrunError} If more bytes than the limit stand before it, or without one; everything stays.
   * @throws {IncompleteReadError} If the end has come before one; the buffer is empty then.
   */
  until(needles: Separators): Buffer | null {
    const found = this.through(needles, this.limit);
    if (found === null && this.ended()) {
      throw new IncompleteReadError(this.takeAll(), null);
    }
    return found;
  }

  /**
   * Takes the next line, what is left at the end.
   *
   * @throws {ValueError} If the line is longer than the limit. It is dropped, with its newline if that has arrived,
   * otherwise with everything in the buffer.
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

  /** Takes up to `n` bytes, whether the end has come or not. */
  take(n: number): Buffer {
    this.#searched = 0;
    return this.#bytes.take(n);
  }

  /** Takes everything. */
  takeAll(): Buffer {
    return this.take(this.#bytes.length);
  }

  #dropLine(overrun: LimitOverrunError): ValueError {
    const { consumed } = overrun;
    if (this.#bytes.indexOf(NEWLINE.needles[0] as Buffer, consumed) === consumed) {
      this.#bytes.drop(consumed + 1);
    } else {
      this.#bytes.clear();
    }
    this.#searched = 0;
    return new ValueError(`${overrun.message}; give a larger limit than ${this.limit} bytes`, {
      code: "ERR_LIMIT_OVERRUN",
      cause: overrun,
    });
  }

  /**
   * Takes everything through the separator that ends first, whether the end has come or not.
   *
   * @throws {LimitOverrunError} If more bytes than the limit stand before it, or without one; everything stays.
   */
  through(needles: Separators, limit: number): Buffer | null {
    const { length } = this.#bytes;
    const from = this.#searchedFor === needles ? this.#searched : 0;
    if (length - from < needles.shortest) {
      return null;
    }
    const match = findSeparator(this.#bytes, needles, from);
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

  /**
   * Puts the first `size` bytes into one chunk, all bytes if there are fewer, and returns that chunk, in which they begin
   * at `frontStart`. The bytes stay.
   */
  front(size: number): Buffer {
    return this.#bytes.front(size);
  }

  /** Where the bytes that were not taken begin in the first chunk. */
  get frontStart(): number {
    return this.#bytes.frontStart;
  }

  /** Takes the first `size` bytes, which lie in the first chunk, and returns those from `from` to before `to`. */
  takePart(size: number, from: number, to: number): Buffer {
    this.#searched = 0;
    return this.#bytes.takePart(size, from, to);
  }

  /** Drops the first `size` bytes, all bytes if there are fewer. */
  drop(size: number): void {
    this.#searched = 0;
    this.#bytes.drop(size);
  }

  /** Whether no more will arrive. Throws what the connection was lost with. */
  ended(): boolean {
    if (this.#lost !== null) {
      throw this.#lost;
    }
    return this.#eof;
  }
}
