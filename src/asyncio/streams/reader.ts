/**
 * StreamReader: reading the bytes that arrive, by number, line or separator.
 *
 * There is a feeding side (a protocol calls `feedData`, `feedEof`, `setException`) and a reading side, used by one task
 * at a time. The reader checks arguments; `ReadBuffer` takes the bytes of a read, and `Intake` holds the read that
 * waits.
 */
import { knowMethodsOf } from "../../contextvars/detached.ts";
import { angled, Inspectable, repr, safeRepr } from "../../repr.ts";
import { checkOptions } from "../arguments.ts";
import { quiet, quietRejection } from "../async-stacks.ts";
import { ReadPipeTransport } from "../transports/pipes.ts";
import type { ByteSource } from "../transports/sources.ts";
import { Intake, OverriddenIntake } from "./intake.ts";
import { checkedLimit, checkedMin, checkSize, type Separator, toSeparators } from "./read-arguments.ts";
import { NEWLINE } from "./read-buffer.ts";
import type { ReadTransport } from "./read-transport.ts";
import { ReaderFeed } from "./reader-feed.ts";
import { readableStreamOf } from "./web-streams.ts";

/** The default limit: how many bytes a line may have. */
export const DEFAULT_LIMIT: number = 64 * 1024; // bytes

/** Options of {@linkcode StreamReader}. */
export interface StreamReaderOptions {
  /** How many bytes may precede a separator; reading is paused above twice as many. @default 65536 */
  limit?: number | undefined;
}

/** Options of {@linkcode StreamReader.readInto}. */
export interface ReadIntoOptions {
  /** The minimum number of bytes to wait for. @default 1 */
  min?: number | undefined;
}

/**
 * Reads bytes: a given number, a line, up to a separator, or everything until EOF.
 *
 * Only one task may read at a time. A cancelled read leaves everything in the buffer. When the peer resets the
 * connection, reads return the bytes that arrived before; a read that needs more throws the error.
 *
 * If a subclass overrides `feedData()` or `feedEof()`, a connection calls its methods, in a copy of the Context in which
 * the reader was created.
 *
 * Python: `asyncio.StreamReader`. Differs: returns Buffers; has `tryRead...` methods that return no promise.
 *
 * @example Feeding by hand, as a protocol does
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const reader = new asyncio.StreamReader();
 * reader.feedData(Buffer.from("first\nsecond\nrest"));
 * reader.feedEof();
 * assert.equal(String(await reader.readline()), "first\n");
 * for await (const line of reader) {
 *   console.log(String(line));
 * }
 * assert.ok(reader.atEof());
 * ```
 */
export class StreamReader extends Inspectable implements AsyncIterable<Buffer> {
  readonly #intake: Intake;

  constructor(options?: StreamReaderOptions) {
    super();
    checkOptions("StreamReader()", options, ["limit"]);
    const limit = checkedLimit(options?.limit ?? DEFAULT_LIMIT);
    this.#intake =
      new.target !== StreamReader && hasOwnFeed(this) ? new OverriddenIntake(this, limit) : new Intake(this, limit);
  }

  /**
   * Creates a reader from any source of bytes: a Node Readable, such as `process.stdin` or a file; a ReadableStream,
   * such as a response's body; or a sync or async iterable of byte chunks.
   *
   * From then on, only the reader may use the source. The source is paused when more than twice the limit is buffered.
   * If the source fails, reads return the bytes before the failure and then throw its error; a Node stream that is
   * destroyed before its end fails with a ConnectionAbortedError, and a source that yields anything except bytes, such as
   * `null`, with a TypeError. `using reader = ...` cancels the source at the end of the block; cancelling a read does
   * not. The chunks are not copied and must not be changed afterwards.
   *
   * Python: has no such method; `loop.connect_read_pipe()` with a `StreamReaderProtocol`.
   *
   * @param options - `limit`: as for a new StreamReader.
   * @throws {TypeError} If `source` is not a source of bytes: a string, a single Uint8Array, another object.
   * @throws {ValueError} If it is a Readable that is in object mode, has an encoding, or is already destroyed.
   * @throws {RuntimeError} If other code reads from the source: a locked ReadableStream, or a Readable that another
   * reader uses.
   *
   * @example
   * ```ts
   * import * as asyncio from "contextvars/asyncio";
   * import assert from "node:assert/strict";
   *
   * const { body } = new Response("first\nsecond\n");
   * const reader = asyncio.StreamReader.from(body!);
   * assert.equal(String(await reader.readline()), "first\n");
   * assert.equal(String(await reader.read()), "second\n");
   * ```
   */
  static from(source: ByteSource, options: StreamReaderOptions = {}): StreamReader {
    checkOptions("StreamReader.from()", options, ["limit"]);
    const reader = new StreamReader(options);
    reader.#intake.ownSource();
    new ReadPipeTransport("StreamReader.from()", source, new ReaderFeed(reader));
    return reader;
  }

  /**
   * Reads up to `n` bytes, or everything until EOF.
   *
   * If `n` is positive, returns the bytes that are buffered, at most `n`, and waits only if there are none; an empty
   * Buffer means EOF. If `n` is 0, returns an empty Buffer immediately. If `n` is negative, waits for EOF and returns
   * everything.
   *
   * The limit does not apply. After a cancellation all bytes are still in the buffer.
   *
   * Python: `StreamReader.read()`. Differs: a cancelled `read(-1)` loses nothing.
   *
   * @param n - The number of bytes; a negative one for everything until EOF.
   * @throws {RuntimeError} If another task is already waiting for data.
   * @throws {TypeError} If `n` is not an integer.
   */
  read(n = -1): Promise<Buffer> {
    if (!Number.isInteger(n)) {
      return quietRejection(checkSize("read", n));
    }
    if (n === 0) {
      return this.#intake.nothing();
    }
    return n < 0 ? this.#intake.read("all") : this.#intake.read("some", n);
  }

  /**
   * Reads one line, with its newline.
   *
   * At EOF, returns the remaining bytes, which have no newline, or an empty Buffer if there are none. If a line is
   * longer than the limit, throws an error and drops the line including its newline, or, if the newline has not arrived
   * yet, everything in the buffer.
   *
   * Python: `StreamReader.readline()`.
   *
   * @throws {ValueError} If the line is longer than the limit; its `cause` is the LimitOverrunError.
   * @throws {RuntimeError} If another task is already waiting for data.
   */
  readline(): Promise<Buffer> {
    const line = this.#intake.lineAtHand();
    return line === null ? this.#intake.read("line") : Promise.resolve(line);
  }

  /**
   * Reads exactly `n` bytes.
   *
   * The limit does not apply. If EOF comes first, throws an error that carries the bytes that had arrived; the buffer
   * is then empty.
   *
   * Python: `StreamReader.readexactly()`.
   *
   * @param n - The number of bytes; 0 returns an empty Buffer immediately.
   * @throws {IncompleteReadError} If the stream ends before.
   * @throws {ValueError} If `n` is negative.
   * @throws {TypeError} If `n` is not an integer.
   * @throws {RuntimeError} If another task is already waiting for data.
   */
  readexactly(n: number): Promise<Buffer> {
    const error = checkSize("readexactly", n);
    if (error !== null) {
      return quietRejection(error);
    }
    if (n === 0) {
      return this.#intake.nothing();
    }
    const bytes = this.#intake.bytesAtHand(n);
    return bytes === null ? this.#intake.read("exactly", n) : Promise.resolve(bytes);
  }

  /**
   * Reads up to a separator, and returns the bytes including it.
   *
   * Of several separators, the one that ends first counts, and the shortest of those that end at the same place. If the
   * limit is exceeded, throws an error, and everything stays in the buffer. If EOF comes first, throws an error that
   * carries the bytes that had arrived; the buffer is then empty.
   *
   * Python: `StreamReader.readuntil()`. Differs: accepts strings, which are encoded as UTF-8.
   *
   * @param separator - Bytes, a string, or an array of them.
   * @throws {IncompleteReadError} If the stream ends before a separator; its `expected` is `null`.
   * @throws {LimitOverrunError} If more bytes than the limit precede the separator, or have arrived without one.
   * @throws {ValueError} If a separator is empty, or the array is.
   * @throws {RuntimeError} If another task is already waiting for data.
   */
  readuntil(separator: Separator | readonly Separator[] = "\n"): Promise<Buffer> {
    try {
      return this.#intake.read("until", 0, toSeparators("readuntil()", separator));
    } catch (error) {
      return quietRejection(error);
    }
  }

  /**
   * Returns the next line if it has arrived: like `readline()`, but without a promise.
   *
   * At EOF, returns the remaining bytes, or an empty Buffer if there are none. A line over the limit is dropped as in
   * `readline()`.
   *
   * Python: has no such method.
   *
   * @returns The line; `null` if `readline()` would wait.
   * @throws {ValueError} If the line is longer than the limit. Any error that `readline()` would throw.
   *
   * @example Every line that has arrived, then one wait
   * ```ts
   * import * as asyncio from "contextvars/asyncio";
   * import assert from "node:assert/strict";
   *
   * const reader = new asyncio.StreamReader();
   * reader.feedData(Buffer.from("one\ntwo\nthr"));
   * const lines: string[] = [];
   * for (let line = await reader.readline(); ; ) {
   *   lines.push(String(line));
   *   const next = reader.tryReadline();
   *   if (next === null) break;
   *   line = next;
   * }
   * assert.deepEqual(lines, ["one\n", "two\n"]);
   * ```
   */
  tryReadline(): Buffer | null {
    return this.#intake.lineAtHand() ?? this.#intake.try("line");
  }

  /**
   * Returns exactly `n` bytes if they have arrived: like `readexactly()`, but without a promise.
   *
   * Python: has no such method.
   *
   * After a `null`, bytes continue to arrive, even beyond twice the limit, as they do while `readexactly()` waits.
   *
   * @returns The bytes; `null` if `readexactly()` would wait.
   * @throws {IncompleteReadError} If the stream ended before `n` bytes. Any error that `readexactly()` would throw.
   */
  tryReadexactly(n: number): Buffer | null {
    const error = checkSize("tryReadexactly", n);
    if (error !== null) {
      throw error;
    }
    return this.#intake.bytesAtHand(n) ?? this.#intake.try("exactly", n);
  }

  /**
   * Returns the bytes up to a separator and the separator, if it has arrived: like `readuntil()`, but without a
   * promise.
   *
   * Python: has no such method.
   *
   * @returns The bytes; `null` if `readuntil()` would wait.
   * @throws {IncompleteReadError} If the stream ended before a separator. Any error that `readuntil()` would throw.
   */
  tryReaduntil(separator: Separator | readonly Separator[] = "\n"): Buffer | null {
    return this.#intake.try("until", 0, toSeparators("tryReaduntil()", separator));
  }

  /**
   * Reads into the caller's own buffer, which can be reused.
   *
   * Waits until `min` bytes have arrived, and takes as many as fit. The limit does not apply. After a cancellation all
   * bytes are still in the reader.
   *
   * Python: has no such method.
   *
   * @param target - The array to fill, from its beginning.
   * @param options - `min`: the minimum number of bytes to wait for; by default 1.
   * @returns The number of bytes read; 0 at EOF.
   * @throws {IncompleteReadError} If the stream ends after at least one but fewer than `min` bytes; the reader is then
   * empty.
   * @throws {ValueError} If `min` is less than 1 or greater than the size of the target.
   * @throws {RuntimeError} If another task is already waiting for data, or if the target's memory was transferred, or
   * became smaller than `min`, during the wait; all bytes are then still in the reader.
   */
  readInto(target: Uint8Array, options: ReadIntoOptions = {}): Promise<number> {
    try {
      return this.#intake.read<number>("into", checkedMin(target, options), NEWLINE, target);
    } catch (error) {
      return quietRejection(error);
    }
  }

  /**
   * Waits for `n` bytes and returns them, as `readexactly()` does, but leaves them in the reader.
   *
   * `n` may exceed twice the limit. If EOF comes first, throws an error, and everything stays in the reader.
   *
   * Python: has no such method.
   *
   * @param n - The number of bytes; 0 returns an empty Buffer immediately.
   * @throws {IncompleteReadError} If the stream ends before.
   * @throws {ValueError} If `n` is negative.
   * @throws {TypeError} If `n` is not an integer.
   * @throws {RuntimeError} If another task is already waiting for data.
   */
  peek(n: number): Promise<Buffer> {
    const error = checkSize("peek", n);
    if (error !== null) {
      return quietRejection(error);
    }
    return n === 0 ? this.#intake.nothing() : this.#intake.read("peek", n);
  }

  /** Whether EOF was fed and everything was read. Python: `StreamReader.at_eof()`. */
  atEof(): boolean {
    const { buffer } = this.#intake;
    return buffer.eof && buffer.length === 0;
  }

  /**
   * Iterates over the lines, each with its newline; ends at EOF.
   *
   * Python: `async for line in reader`.
   */
  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return { next: () => this.#nextLine() };
  }

  /**
   * Iterates over the bytes in chunks as they arrive, each a Buffer of at least one byte; ends at EOF. The limit does
   * not apply. Leaving the loop loses nothing: the remaining bytes can still be read.
   *
   * `Readable.from(reader.chunks(), { objectMode: false })` makes a Node stream of the bytes; `Readable.from(reader)`
   * would iterate over lines.
   *
   * Python: has no such method.
   */
  chunks(): AsyncIterableIterator<Buffer> {
    const chunks = {
      next: () => this.#nextChunk(),
      [Symbol.asyncIterator]: () => chunks,
    };
    return chunks;
  }

  /**
   * Returns the remaining bytes as a web byte stream, for `fetch()`, a `Response` or `pipeTo()`. The stream supports
   * reading into your own buffer ("byob") with `min`, closes at EOF, and fails with the error that a read would throw.
   *
   * No other code can read until the stream has closed, failed or been cancelled. Bytes are taken only when the stream
   * is read. After the stream's `cancel()`, the reader can read the bytes that were not taken; a reader from
   * `StreamReader.from()` cancels its source instead. Cancelling a task that waits for the stream does not affect the
   * stream.
   *
   * Python: has no such method.
   *
   * @throws {RuntimeError} If a read waits, or the reader is already locked.
   *
   * @example
   * ```ts
   * import * as asyncio from "contextvars/asyncio";
   * import assert from "node:assert/strict";
   *
   * const reader = asyncio.StreamReader.from([Buffer.from("head\n"), Buffer.from("body")]);
   * assert.equal(String(await reader.readline()), "head\n");
   * assert.equal(await new Response(reader.toReadableStream()).text(), "body");
   * ```
   */
  toReadableStream(): ReadableStream<Uint8Array> {
    return readableStreamOf(this.#intake);
  }

  /**
   * Appends bytes that have arrived; the Buffer must not be changed afterwards.
   *
   * Python: `StreamReader.feed_data()`.
   *
   * @throws {RuntimeError} After `feedEof()`.
   */
  feedData(data: Uint8Array): void {
    if (!ArrayBuffer.isView(data)) {
      throw new TypeError(`feedData(): data must be bytes (a Uint8Array), got ${repr(data)}`);
    }
    this.#intake.feed(data);
  }

  /** Records that no more bytes will arrive. Python: `StreamReader.feed_eof()`. */
  feedEof(): void {
    this.#intake.feedEof();
  }

  /**
   * Makes every read throw the error from now on, including the one that waits, whatever is in the buffer.
   *
   * Python: `StreamReader.set_exception()`.
   */
  setException(exception: unknown): void {
    this.#intake.fail(exception);
  }

  /**
   * The error that was set, or with which the connection was lost; `null` if there is none. Python:
   * `StreamReader.exception()`.
   */
  exception(): unknown {
    return this.#intake.exception ?? this.#intake.buffer.lost;
  }

  /** Sets the transport that is paused when too much arrives. Python: `StreamReader.set_transport()`. */
  setTransport(transport: ReadTransport): void {
    this.#intake.transport = transport;
  }

  /**
   * Closes the reader's source: cancels the source of `StreamReader.from()`, or closes the connection as
   * `writer.close()` does. Bytes that have arrived can still be read.
   *
   * Python: has no such thing on a reader.
   */
  [Symbol.dispose](): void {
    this.#intake.transport?.close?.();
  }

  /** Python's `repr()`: `<StreamReader 4 bytes eof>`. */
  override toString(): string {
    const { buffer, transport } = this.#intake;
    return angled(
      "StreamReader",
      buffer.length > 0 ? `${buffer.length} bytes` : "",
      buffer.eof ? "eof" : "",
      buffer.limit === DEFAULT_LIMIT ? "" : `limit=${buffer.limit}`,
      this.#intake.isWaiting ? "waiter=<Future pending>" : "",
      this.exception() === null ? "" : `exception=${safeRepr(this.exception())}`,
      transport === null ? "" : `transport=${repr(transport)}`,
      this.#intake.isPaused ? "paused" : "",
    );
  }

  /** @internal How the library's other files feed, read and lock the reader. */
  get _intake(): Intake {
    return this.#intake;
  }

  /** The next step of an iteration; creates no second promise if the line has arrived. */
  #nextLine(): Promise<IteratorResult<Buffer>> {
    let line: Buffer | null;
    try {
      line = this.tryReadline();
    } catch (error) {
      return quietRejection(error);
    }
    return line === null
      ? quiet(this.#intake.read("line").then(iteratorResult))
      : Promise.resolve(iteratorResult(line));
  }

  #nextChunk(): Promise<IteratorResult<Buffer>> {
    const chunk = this.#intake.chunkAtHand();
    return chunk === null
      ? quiet(this.#intake.read("some", Number.POSITIVE_INFINITY).then(iteratorResult))
      : Promise.resolve(iteratorResult(chunk));
  }
}

/** Whether a subclass has overridden how the reader is fed. */
function hasOwnFeed(reader: StreamReader): boolean {
  return (["feedData", "feedEof"] as const).some((name) => reader[name] !== StreamReader.prototype[name]);
}

function iteratorResult(bytes: Buffer): IteratorResult<Buffer> {
  return bytes.length === 0 ? { done: true, value: undefined } : { done: false, value: bytes };
}

knowMethodsOf({ StreamReader });
