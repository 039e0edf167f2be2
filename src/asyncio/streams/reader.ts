/**
 * StreamReader: what has arrived, asked for line by line.
 *
 * There is a feeding side (a protocol calls `feedData`, `feedEof`, `setException`) and a reading side, used by one task at
 * a time. The reader checks what it is asked for; `ReadBuffer` knows what a read takes, and `Intake` who waits for it.
 */
import { knowMethodsOf } from "../../contextvars/detached.ts";
import { inspectCustom, repr, safeRepr } from "../../repr.ts";
import { checkOptions } from "../arguments.ts";
import { ReadPipeTransport } from "../transports/pipes.ts";
import type { ByteSource } from "../transports/sources.ts";
import { quiet, rejected } from "../waits.ts";
import { Intake, type ReaderHolder, type ReadTransport } from "./intake.ts";
import { checkedLimit, checkReadInto, checkSize, type Separator, toSeparators } from "./read-arguments.ts";
import { NEWLINE, type Taker } from "./read-buffer.ts";
import { ReaderFeed } from "./reader-feed.ts";
import { readableStreamOf } from "./web-streams.ts";

/** How many bytes a line may have, unless said otherwise. */
export const DEFAULT_LIMIT: number = 64 * 1024; // bytes

/** Options of {@linkcode StreamReader}. */
export interface StreamReaderOptions {
  /** How many bytes may stand before a separator; reading is paused at twice as many. @default 65536 */
  limit?: number | undefined;
}

/** Options of {@linkcode StreamReader.readInto}. */
export interface ReadIntoOptions {
  /** How many bytes there have to be, at least. @default 1 */
  min?: number | undefined;
}

/**
 * Reads bytes: a number of them, a line, up to a separator, to the end.
 *
 * One task reads at a time. A read that is cancelled leaves everything in the buffer. When the peer resets the
 * connection, what had arrived can still be read; then comes the error.
 *
 * Python: `asyncio.StreamReader`. Differs: gives Buffers; `tryRead...` methods beside the promises.
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
export class StreamReader implements AsyncIterable<Buffer> {
  readonly #intake: Intake;

  constructor(options: StreamReaderOptions = {}) {
    checkOptions("StreamReader()", options, ["limit"]);
    this.#intake = new Intake(this, checkedLimit(options.limit ?? DEFAULT_LIMIT));
  }

  /**
   * Makes a reader of anything that gives bytes: a Readable of Node, such as `process.stdin` or a file; a ReadableStream,
   * such as the body of a response; an iterable of byte chunks, an async one or not.
   *
   * The source belongs to the reader from now on. It is paused when more than twice the limit is buffered. What it fails
   * with is thrown by reads, after the bytes before it; a Node stream that is destroyed before its end fails with a
   * ConnectionAbortedError. `using reader = ...` cancels the source at the end of the block; a read that is cancelled
   * does not. The chunks are not copied and must not be changed afterwards.
   *
   * Python: has no such method; `loop.connect_read_pipe()` with a `StreamReaderProtocol`.
   *
   * @param options - `limit`: as for a new StreamReader.
   * @throws {TypeError} If `source` gives no bytes: a string, a single Uint8Array, an object.
   * @throws {ValueError} If it is a Readable in object mode, with an encoding, or destroyed already.
   * @throws {RuntimeError} If other code reads from it: a locked ReadableStream, or a Readable that another reader has.
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
    reader.#intake.ownsSource = true;
    new ReadPipeTransport("StreamReader.from()", source, new ReaderFeed(reader));
    return reader;
  }

  /**
   * Reads up to `n` bytes, or everything up to the end.
   *
   * With a positive `n`: what is there, at least one byte; waits only when nothing is. An empty Buffer means EOF. With
   * `n` 0: an empty Buffer at once. With a negative one: everything, when the end has come.
   *
   * The limit plays no part. After a cancellation all bytes are still in the buffer.
   *
   * Python: `StreamReader.read()`. Differs: a cancelled `read(-1)` loses nothing.
   *
   * @param n - In bytes.
   * @throws {RuntimeError} If another task is already waiting for data.
   * @throws {TypeError} If `n` is not an integer.
   */
  read(n = -1): Promise<Buffer> {
    if (!Number.isInteger(n)) {
      return rejected(checkSize("read", n));
    }
    if (n === 0) {
      return this.#intake.nothing();
    }
    return n < 0 ? this.#intake.read("all") : this.#intake.read("some", n);
  }

  /**
   * Reads one line, with its newline.
   *
   * At EOF: what is left, without a newline, an empty Buffer if nothing is. A line longer than the limit is dropped, with
   * its newline if that has arrived, else with everything in the buffer, and an error thrown.
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
   * The limit plays no part. At EOF before that: an error that carries what had come; the buffer is empty then.
   *
   * Python: `StreamReader.readexactly()`.
   *
   * @param n - In bytes; 0 gives an empty Buffer at once.
   * @throws {IncompleteReadError} If the stream ends before.
   * @throws {ValueError} If `n` is negative.
   * @throws {TypeError} If `n` is not an integer.
   * @throws {RuntimeError} If another task is already waiting for data.
   */
  readexactly(n: number): Promise<Buffer> {
    const error = checkSize("readexactly", n);
    if (error !== null) {
      return rejected(error);
    }
    if (n === 0) {
      return this.#intake.nothing();
    }
    const bytes = this.#intake.bytesAtHand(n);
    return bytes === null ? this.#intake.read("exactly", n) : Promise.resolve(bytes);
  }

  /**
   * Reads up to a separator, and gives the bytes with it.
   *
   * Of several separators the one that ends first counts, and the shortest of those that end at the same place. Past the
   * limit everything stays in the buffer. At EOF: an error that carries what had come; the buffer is empty then.
   *
   * Python: `StreamReader.readuntil()`. Differs: a string is taken as UTF-8.
   *
   * @param separator - Bytes, a string, or an array of them.
   * @throws {IncompleteReadError} If the stream ends before; its `expected` is `null`.
   * @throws {LimitOverrunError} If there are more bytes than the limit before the separator, or without one.
   * @throws {ValueError} If a separator is empty, or there is none.
   * @throws {RuntimeError} If another task is already waiting for data.
   */
  readuntil(separator: Separator | readonly Separator[] = "\n"): Promise<Buffer> {
    try {
      return this.#intake.read("until", 0, toSeparators(separator));
    } catch (error) {
      return rejected(error);
    }
  }

  /**
   * The next line, if it is there: as `readline()`, without a promise.
   *
   * At EOF: what is left, an empty Buffer if nothing is. A line over the limit is dropped as `readline()` drops it.
   *
   * Python: has no such method.
   *
   * @returns `null` where `readline()` would wait.
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
   * Exactly `n` bytes, if they are there: as `readexactly()`, without a promise.
   *
   * Python: has no such method.
   *
   * Bytes go on arriving after a `null`, even past twice the limit, as while `readexactly()` waits.
   *
   * @returns `null` where `readexactly()` would wait.
   * @throws {IncompleteReadError} If the stream has ended before. Any error that `readexactly()` would throw.
   */
  tryReadexactly(n: number): Buffer | null {
    const error = checkSize("readexactly", n);
    if (error !== null) {
      throw error;
    }
    return this.#intake.bytesAtHand(n) ?? this.#intake.try("exactly", n);
  }

  /**
   * What stands up to a separator, if it is there: as `readuntil()`, without a promise.
   *
   * Python: has no such method.
   *
   * @returns `null` where `readuntil()` would wait.
   * @throws {IncompleteReadError} If the stream has ended before. Any error that `readuntil()` would throw.
   */
  tryReaduntil(separator: Separator | readonly Separator[] = "\n"): Buffer | null {
    return this.#intake.try("until", 0, toSeparators(separator));
  }

  /**
   * Reads into a buffer of the caller's, which can be used again and again.
   *
   * Waits until there are `min` bytes, and takes as many as fit. The limit plays no part. After a cancellation all bytes
   * are still in the reader.
   *
   * Python: has no such method.
   *
   * @param target - Where the bytes go, from its beginning.
   * @param options - `min`: how many bytes there have to be, at least; by default 1.
   * @returns How many bytes there are; 0 at EOF.
   * @throws {IncompleteReadError} If the stream ends with fewer bytes than `min`, but some; the reader is empty then.
   * @throws {ValueError} If `min` is less than 1 or more than fit.
   * @throws {RuntimeError} If another task is already waiting for data.
   */
  readInto(target: Uint8Array, options: ReadIntoOptions = {}): Promise<number> {
    const { min = 1 } = options;
    try {
      checkReadInto(target, min, options);
    } catch (error) {
      return rejected(error);
    }
    return this.#intake.read<number>("into", min, NEWLINE, target);
  }

  /**
   * Waits for `n` bytes and gives them, as `readexactly()` does, but leaves them in the reader.
   *
   * More bytes than twice the limit can be peeked at, too. At EOF before that everything stays in the reader.
   *
   * Python: has no such method.
   *
   * @param n - In bytes; 0 gives an empty Buffer at once.
   * @throws {IncompleteReadError} If the stream ends before.
   * @throws {ValueError} If `n` is negative.
   * @throws {TypeError} If `n` is not an integer.
   * @throws {RuntimeError} If another task is already waiting for data.
   */
  peek(n: number): Promise<Buffer> {
    const error = checkSize("peek", n);
    if (error !== null) {
      return rejected(error);
    }
    return n === 0 ? this.#intake.nothing() : this.#intake.read("peek", n);
  }

  /** Whether the end has come and everything was read. Python: `StreamReader.at_eof()`. */
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
   * Iterates over what arrives, chunk by chunk, each a Buffer of one byte or more; ends at EOF. The limit plays no part.
   * Leaving the loop loses nothing: what was not given yet can still be read.
   *
   * Of a Node stream this makes the bytes: `Readable.from(reader.chunks(), { objectMode: false })`. `Readable.from(reader)`
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
   * Gives the rest of what arrives as a web stream of bytes, for `fetch()`, a `Response`, `pipeTo()`. It can be read with
   * a buffer of one's own ("byob") and its `min`, closes at EOF, and fails as a read would.
   *
   * Nothing else can read until the stream has closed, failed or been cancelled. Bytes are taken when the stream is read.
   * After `cancel()` what was not taken can be read here; a reader made by `StreamReader.from()` cancels its source. When
   * a task that waits for the stream is cancelled, the stream goes on.
   *
   * Python: has no such method.
   *
   * @throws {RuntimeError} If a read waits, or the reader is locked already.
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
    this.#intake.feed(data);
  }

  /** Says that no more will arrive. Python: `StreamReader.feed_eof()`. */
  feedEof(): void {
    this.#intake.feedEof();
  }

  /**
   * Has every read throw the error from now on, the one that waits included, whatever is in the buffer.
   *
   * Python: `StreamReader.set_exception()`.
   */
  setException(exception: unknown): void {
    this.#intake.fail(exception);
  }

  /** The error that was set, or with which the connection was lost; `null` if none was. Python: `StreamReader.exception()`. */
  exception(): unknown {
    return this.#intake.exception ?? this.#intake.buffer.lost;
  }

  /** Sets what is paused when too much arrives. Python: `StreamReader.set_transport()`. */
  setTransport(transport: ReadTransport): void {
    this.#intake.transport = transport;
  }

  /**
   * Closes what the reader reads from: cancels the source of `StreamReader.from()`, closes a connection as
   * `writer.close()` does. What has arrived can still be read.
   *
   * Python: has no such thing on a reader.
   */
  [Symbol.dispose](): void {
    this.#intake.transport?.close?.();
  }

  /** Python's `repr()`: `<StreamReader 4 bytes eof>`. */
  toString(): string {
    const { buffer, transport } = this.#intake;
    const parts = [
      buffer.length > 0 ? `${buffer.length} bytes` : "",
      buffer.eof ? "eof" : "",
      buffer.limit === DEFAULT_LIMIT ? "" : `limit=${buffer.limit}`,
      this.#intake.isWaiting ? "waiter=<Future pending>" : "",
      this.exception() === null ? "" : `exception=${safeRepr(this.exception())}`,
      transport === null ? "" : `transport=${repr(transport)}`,
      this.#intake.isPaused ? "paused" : "",
    ];
    return `<${["StreamReader", ...parts.filter((part) => part !== "")].join(" ")}>`;
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }

  /** @internal From now on it is held while a read waits, and by whoever uses it. */
  _letGo(holder: ReaderHolder): void {
    this.#intake.holder = holder;
    holder._hold(this.#intake.isWaiting ? this : null);
  }

  /** @internal How long a read may wait, in seconds. */
  _setReadTimeout(seconds: number | undefined): void {
    this.#intake.setTimeout(seconds);
  }

  /** @internal Keeps all others from reading until `_unlock()`. */
  _lock(caller: string): void {
    this.#intake.lock(caller);
  }

  /** @internal */
  _unlock(): void {
    this.#intake.unlock();
  }

  /** @internal */
  get _isLocked(): boolean {
    return this.#intake.isLocked;
  }

  /** @internal A read for whoever has locked the reader. */
  _lockedTake<A>(taker: Taker): Promise<A> {
    return this.#intake.lockedRead(taker);
  }

  /** @internal */
  get _hasReadTimeout(): boolean {
    return this.#intake.hasTimeout;
  }

  /** @internal Everything that has arrived and was not read; the buffer is empty afterwards. */
  _takeAll(): Buffer {
    return this.#intake.takeAll();
  }

  /** @internal As `feedData()`, for those that do nothing after it: the parked read has its answer at once. */
  _feedData(data: Buffer): void {
    this.#intake.feedNow(data);
  }

  /** @internal Reads what the Taker takes: the seam of `contextvars/codecs`. */
  _read<A>(taker: Taker): Promise<A> {
    return this.#intake.read<A>(taker);
  }

  /** @internal As `_read()`, without a promise; `null` where that would wait. */
  _tryRead<A>(taker: Taker): A | null {
    return this.#intake.tryTake<A>(taker);
  }

  /** @internal The connection is lost: what has arrived can be read, then comes the error. */
  _connectionLost(exception: unknown): void {
    this.#intake.lose(exception);
  }

  /** The next step of an iteration; where the line is there already, without a second promise. */
  #nextLine(): Promise<IteratorResult<Buffer>> {
    let line: Buffer | null;
    try {
      line = this.tryReadline();
    } catch (error) {
      return rejected(error);
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

function iteratorResult(bytes: Buffer): IteratorResult<Buffer> {
  return bytes.length === 0 ? { done: true, value: undefined } : { done: false, value: bytes };
}

knowMethodsOf({ StreamReader });
