/**
 * StreamReader: what has arrived, asked for line by line.
 *
 * Theory of operation. There is a feeding side (a protocol calls `feedData`, `feedEof`, `setException`) and a reading
 * side, used by one task at a time. Every read is the same loop: enough in the buffer? take it. Too much? error. Closed?
 * error or end. Else wait. What is read most, a line or so many bytes, has a short cut past the loop where the answer is
 * plain.
 *
 * A read that waits is parked: its kind and measure stay in the reader, and what arrives tries it again, so that the
 * promise is settled with the bytes at once: by a connection in the callback that brings them, by `feedData()` a microtask
 * later, since a `cancel()` may follow it. There is one parked read; a second reader that would have to wait is refused. A
 * parked read that is cancelled has taken nothing.
 *
 * Back-pressure: when more than twice the limit has arrived the transport is paused, unless a read takes so much of it at
 * once that no more than the limit is left; at or below the limit, or when a read has to wait, it is resumed, and it is
 * not paused while one waits.
 *
 * Invariants: no read is parked when `#end` says that no more will come; `#paused` only with a transport, and never while
 * a read is parked.
 */
import { Buffer } from "node:buffer";
import { RuntimeError, TimeoutError, ValueError } from "../../errors.ts";
import { inspectCustom, repr } from "../../repr.ts";
import { checkOptions, checkPositiveSeconds } from "../arguments.ts";
import { ByteQueue } from "../bytes/byte-queue.ts";
import { findSeparator, type Separators, searchedUpTo, separators } from "../bytes/separator.ts";
import { callLater } from "../events.ts";
import { IncompleteReadError, LimitOverrunError } from "../exceptions.ts";
import { quiet, rejected, Wait } from "../waits.ts";

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

/** What a reader needs of a transport. */
export interface ReadTransport {
  pauseReading(): void;
  resumeReading(): void;
}

/** Who feeds the reader, and holds it no longer: it is held while a read waits, as nothing else may hold what waits. */
export interface ReaderHolder {
  /** @param reader - The one to hold; `null`: none. */
  _hold(reader: StreamReader | null): void;
}

/** What ends a piece of text: bytes, or a string, taken as UTF-8. */
export type Separator = Uint8Array | string;

/** What a read asks for: `some` bytes and `exactly` so many have a size, `until` has separators. */
type Request = "some" | "all" | "exactly" | "until" | "line" | "into" | "peek";

/** What a read is answered with: the bytes, or how many went into the caller's buffer. */
type Answer = Buffer | number;

const EMPTY = Buffer.alloc(0);
const NEWLINE = separators([Buffer.from("\n")]);
const NEWLINE_BYTE = 10;

/** The name under which a read that may not wait is refused: Python's `readline()` is a `readuntil()`. */
const methodOf: Readonly<Record<Request, string>> = {
  some: "read",
  all: "read",
  exactly: "readexactly",
  until: "readuntil",
  line: "readuntil",
  into: "readInto",
  peek: "peek",
};

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
  readonly #limit: number;
  readonly #buffer = new ByteQueue();
  #transport: ReadTransport | null = null;
  #paused = false;
  #readTimeout: number | undefined;
  #eof = false;
  /** Raised by every read at once. */
  #exception: unknown = null;
  /** Raised by a read that the buffer cannot answer: the connection was lost. */
  #lost: unknown = null;
  /** The parked read: its promise, and what it asks for. */
  #wait: Wait<Answer> | null = null;
  /** The protocol, when it holds the reader no longer; see `StreamProtocol`. */
  #holder: ReaderHolder | null = null;
  #request: Request = "some";
  #size = 0;
  #needles: Separators = NEWLINE;
  #target: Uint8Array = EMPTY;
  /** Up to here the buffer was searched for the separators already. */
  #searched = 0;
  readonly #onCancel = (): void => {
    this.#unpark();
  };

  constructor(options: StreamReaderOptions = {}) {
    checkOptions("StreamReader()", options, ["limit"]);
    this.#limit = checkedLimit(options.limit ?? DEFAULT_LIMIT);
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
      return rejected(new TypeError(`read() needs an integer number of bytes, got ${repr(n)}`));
    }
    if (n === 0) {
      return this.#nothing();
    }
    return n < 0 ? this.#read("all", 0, NEWLINE) : this.#read("some", n, NEWLINE);
  }

  /**
   * Reads one line, with its newline.
   *
   * At EOF: what is left, without a newline, an empty Buffer if nothing is. A line longer than the limit is dropped, with
   * its newline if that has arrived, else with everything in the buffer, and an error thrown.
   *
   * Python: `StreamReader.readline()`. Differs: nothing.
   *
   * @throws {ValueError} If the line is longer than the limit; its `cause` is the LimitOverrunError.
   * @throws {RuntimeError} If another task is already waiting for data.
   */
  readline(): Promise<Buffer> {
    const line = this.#lineAtHand();
    return line === null ? this.#read("line", 0, NEWLINE) : Promise.resolve(line);
  }

  /**
   * Reads exactly `n` bytes.
   *
   * The limit plays no part. At EOF before that: an error that carries what had come; the buffer is empty then.
   *
   * Python: `StreamReader.readexactly()`. Differs: nothing.
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
      return this.#nothing();
    }
    const bytes = this.#bytesAtHand(n);
    return bytes === null ? this.#read("exactly", n, NEWLINE) : Promise.resolve(bytes);
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
    let needles: Separators;
    try {
      needles = toSeparators(separator);
    } catch (error) {
      return rejected(error);
    }
    return this.#read("until", 0, needles);
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
    return this.#lineAtHand() ?? this.#try("line", 0, NEWLINE);
  }

  /**
   * Exactly `n` bytes, if they are there: as `readexactly()`, without a promise.
   *
   * Python: has no such method.
   *
   * @returns `null` where `readexactly()` would wait.
   * @throws {IncompleteReadError} If the stream has ended before. Any error that `readexactly()` would throw.
   */
  tryReadexactly(n: number): Buffer | null {
    const error = checkSize("readexactly", n);
    if (error !== null) {
      throw error;
    }
    return this.#bytesAtHand(n) ?? this.#try("exactly", n, NEWLINE);
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
    return this.#try("until", 0, toSeparators(separator));
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
    return this.#read<number>("into", min, NEWLINE, target);
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
    return n === 0 ? this.#nothing() : this.#read("peek", n, NEWLINE);
  }

  /** Whether the end has come and everything was read. Python: `StreamReader.at_eof()`. Differs: nothing. */
  atEof(): boolean {
    return this.#eof && this.#buffer.length === 0;
  }

  /**
   * Iterates over the lines, each with its newline; ends at EOF.
   *
   * Python: `async for line in reader`. Differs: nothing.
   */
  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return { next: () => this.#nextLine() };
  }

  /**
   * Appends bytes that have arrived; the Buffer must not be changed afterwards.
   *
   * Python: `StreamReader.feed_data()`. Differs: nothing.
   *
   * @throws {RuntimeError} After `feedEof()`.
   */
  feedData(data: Uint8Array): void {
    const isHigh = this.#append(data);
    this.#retrySoon(isHigh);
  }

  /** Says that no more will arrive. Python: `StreamReader.feed_eof()`. Differs: nothing. */
  feedEof(): void {
    this.#eof = true;
    this.#retrySoon(false);
  }

  /**
   * Has every read throw the error from now on, the one that waits included, whatever is in the buffer.
   *
   * Python: `StreamReader.set_exception()`. Differs: nothing.
   */
  setException(exception: unknown): void {
    this.#exception = exception;
    this.#rejectParked(exception);
  }

  /** The error that was set, or with which the connection was lost; `null` if none was. Python: `StreamReader.exception()`. */
  exception(): unknown {
    return this.#exception ?? this.#lost;
  }

  /** Sets what is paused when too much arrives. Python: `StreamReader.set_transport()`. Differs: nothing. */
  setTransport(transport: ReadTransport): void {
    this.#transport = transport;
  }

  /** Python's `repr()`: `<StreamReader 4 bytes eof>`. */
  toString(): string {
    const parts = [
      this.#buffer.length > 0 ? `${this.#buffer.length} bytes` : "",
      this.#eof ? "eof" : "",
      this.#limit === DEFAULT_LIMIT ? "" : `limit=${this.#limit}`,
      this.#wait === null ? "" : "waiter=<Future pending>",
      this.exception() === null ? "" : `exception=${repr(this.exception())}`,
      this.#transport === null ? "" : `transport=${repr(this.#transport)}`,
      this.#paused ? "paused" : "",
    ];
    return `<${["StreamReader", ...parts.filter((part) => part !== "")].join(" ")}>`;
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }

  /** @internal From now on it is held while a read waits, and by whoever uses it. */
  _letGo(holder: ReaderHolder): void {
    this.#holder = holder;
    holder._hold(this.#wait === null ? null : this);
  }

  /** @internal How long a read may wait, in seconds. */
  _setReadTimeout(seconds: number | undefined): void {
    checkPositiveSeconds("readTimeout", seconds);
    this.#readTimeout = seconds;
  }

  /** @internal Everything that has arrived and was not read; the buffer is empty afterwards. */
  _takeAll(): Buffer {
    const bytes = this.#buffer.take(this.#buffer.length);
    this.#resumeIfLow();
    return bytes;
  }

  /** @internal As `feedData()`, for those that do nothing after it: the parked read has its answer at once. */
  _feedData(data: Buffer): void {
    // What is just what was asked for need not go through the buffer.
    if (this.#isWholeAnswer(data.length)) {
      this.#unpark()?.resolve(data);
      return;
    }
    const isHigh = this.#append(data);
    this.#retry(isHigh);
  }

  #isWholeAnswer(size: number): boolean {
    if (this.#wait === null || this.#buffer.length > 0 || size === 0) {
      return false;
    }
    return (this.#request === "some" && size <= this.#size) || (this.#request === "exactly" && size === this.#size);
  }

  /** @internal The connection is lost: what has arrived can be read, then comes the error. */
  _connectionLost(exception: unknown): void {
    this.#lost = exception;
    this.#retrySoon(false);
  }

  /** Whether there is more now than may be. */
  #append(data: Uint8Array): boolean {
    if (this.#eof) {
      throw new RuntimeError("feedData() after feedEof()", { code: "ERR_READER_EOF" });
    }
    if (data.length === 0) {
      return false;
    }
    this.#buffer.push(Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    return this.#buffer.length > 2 * this.#limit;
  }

  /** A read of no bytes, which neither waits nor minds another one that does. */
  #nothing(): Promise<Buffer> {
    return this.#exception === null ? Promise.resolve(EMPTY) : rejected(this.#exception);
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
      ? quiet(this.#read("line", 0, NEWLINE).then(iteratorResult))
      : Promise.resolve(iteratorResult(line));
  }

  /** The next line where nothing stands in the way of it: the rule, and the shortest way. */
  #lineAtHand(): Buffer | null {
    if (this.#wait !== null || this.#exception !== null) {
      return null;
    }
    const line = this.#buffer.takeThrough(NEWLINE_BYTE, this.#limit);
    // Asked here, too: a call for each line shows.
    if (this.#paused) {
      this.#resumeIfLow();
    }
    return line;
  }

  /** So many bytes, more than none, likewise. */
  #bytesAtHand(n: number): Buffer | null {
    if (this.#wait !== null || this.#exception !== null || n === 0 || this.#buffer.length < n) {
      return null;
    }
    const bytes = this.#buffer.take(n);
    if (this.#paused) {
      this.#resumeIfLow();
    }
    return bytes;
  }

  /** Answers at once if the buffer allows it, else parks the read. */
  #read<A extends Answer = Buffer>(
    request: Request,
    size: number,
    needles: Separators,
    target: Uint8Array = EMPTY,
  ): Promise<A> {
    if (this.#exception !== null) {
      return rejected(this.#exception);
    }
    if (this.#wait !== null) {
      return this.#readBesideParked<A>(request, size, needles, target);
    }
    try {
      const data = this.#ask(request, size, needles, target);
      if (data !== null) {
        return Promise.resolve(data as A);
      }
    } catch (error) {
      return rejected(error);
    }
    // Waiting while paused would be waiting for ever.
    this.#resume();
    this.#wait = new Wait(this.#onCancel);
    this.#holder?._hold(this);
    const answer = this.#wait.begin() as Promise<A>;
    return this.#readTimeout === undefined ? answer : this.#limited(answer, this.#readTimeout);
  }

  /** Ends the wait after the time given by `readTimeout`; what has arrived stays in the buffer. */
  #limited<A>(answer: Promise<A>, seconds: number): Promise<A> {
    const expire = (): void => this.#rejectParked(new TimeoutError(`no data for ${seconds} seconds (readTimeout)`));
    const timer = callLater(seconds, expire);
    return quiet(answer.finally(() => timer.cancel()));
  }

  /** Another read is parked: this one may take what is there, as in Python, but not wait. */
  #readBesideParked<A extends Answer>(
    request: Request,
    size: number,
    needles: Separators,
    target: Uint8Array,
  ): Promise<A> {
    const parked = [this.#request, this.#size, this.#needles, this.#target] as const;
    try {
      // A read to the end has all of the buffer already.
      const data = this.#request === "all" ? null : this.#ask(request, size, needles, target);
      if (data !== null) {
        return Promise.resolve(data as A);
      }
    } catch (error) {
      return rejected(error);
    } finally {
      [this.#request, this.#size, this.#needles, this.#target] = parked;
      this.#searched = 0;
    }
    return rejected(
      new RuntimeError(
        `${methodOf[request]}() called while another coroutine is already waiting for incoming data; await that one first`,
        { code: "ERR_READER_BUSY" },
      ),
    );
  }

  /** Something has changed: the parked read may have its answer. */
  #retry(isHigh: boolean): void {
    if (this.#wait !== null) {
      try {
        const data = this.#attempt();
        if (data !== null) {
          this.#unpark()?.resolve(data);
        }
      } catch (error) {
        this.#rejectParked(error);
      }
    }
    if (isHigh) {
      this.#pauseUnlessLow();
    }
  }

  /** The same when whoever changed it is through: a read that is cancelled until then has taken nothing. */
  #retrySoon(isHigh: boolean): void {
    if (this.#wait === null) {
      this.#retry(isHigh);
    } else {
      queueMicrotask(() => this.#retry(isHigh));
    }
  }

  #rejectParked(error: unknown): void {
    this.#unpark()?.reject(error);
  }

  #unpark(): Wait<Answer> | null {
    const wait = this.#wait;
    this.#wait = null;
    this.#holder?._hold(null);
    return wait;
  }

  /** Notes what is asked for, and answers it if the buffer allows it. */
  #ask(request: Request, size: number, needles: Separators, target: Uint8Array): Answer | null {
    this.#request = request;
    this.#size = size;
    this.#needles = needles;
    this.#target = target;
    this.#searched = 0;
    try {
      return this.#attempt();
    } finally {
      this.#resumeIfLow();
    }
  }

  /** Takes from the buffer what the request asks for. `null`: has to wait. */
  #attempt(): Answer | null {
    switch (this.#request) {
      case "some":
        return this.#attemptSome(this.#size);
      case "all":
        return this.#attemptAll();
      case "exactly":
        return this.#attemptExactly(this.#size);
      case "until":
        return this.#attemptUntil(this.#needles);
      case "line":
        return this.#attemptLine();
      case "into":
        return this.#attemptInto(this.#size, this.#target);
      case "peek":
        return this.#attemptPeek(this.#size);
    }
  }

  /** Answers from the buffer, or not at all. */
  #try(request: Request, size: number, needles: Separators): Buffer | null {
    if (this.#exception !== null) {
      throw this.#exception;
    }
    if (this.#wait !== null) {
      return null;
    }
    return this.#ask(request, size, needles, EMPTY) as Buffer | null;
  }

  /** Not while a read waits: whoever waits for more than the mark would wait for ever. */
  #pauseUnlessLow(): void {
    if (this.#transport !== null && this.#wait === null && !this.#paused && this.#buffer.length > this.#limit) {
      this.#paused = true;
      this.#transport.pauseReading();
    }
  }

  #resumeIfLow(): void {
    if (this.#paused && this.#buffer.length <= this.#limit) {
      this.#resume();
    }
  }

  #resume(): void {
    if (this.#paused) {
      this.#paused = false;
      this.#transport?.resumeReading();
    }
  }

  #attemptSome(n: number): Buffer | null {
    if (this.#buffer.length > 0) {
      return this.#buffer.take(n);
    }
    return this.#end() ? EMPTY : null;
  }

  #attemptAll(): Buffer | null {
    return this.#end() ? this.#buffer.take(this.#buffer.length) : null;
  }

  #attemptExactly(n: number): Buffer | null {
    if (this.#buffer.length >= n) {
      return n === 0 ? EMPTY : this.#buffer.take(n);
    }
    if (this.#end()) {
      throw new IncompleteReadError(this.#buffer.take(this.#buffer.length), n);
    }
    return null;
  }

  #attemptInto(min: number, target: Uint8Array): number | null {
    const { length } = this.#buffer;
    if (length >= min || (length === 0 && this.#end())) {
      const size = Math.min(length, target.length);
      this.#buffer.copyTo(target, 0, size);
      this.#buffer.drop(size);
      return size;
    }
    if (this.#end()) {
      throw new IncompleteReadError(this.#buffer.take(length), min);
    }
    return null;
  }

  #attemptPeek(n: number): Buffer | null {
    const { length } = this.#buffer;
    if (length >= n) {
      return this.#buffer.copy(0, n);
    }
    if (this.#end()) {
      throw new IncompleteReadError(this.#buffer.copy(0, length), n);
    }
    return null;
  }

  #attemptUntil(needles: Separators): Buffer | null {
    const found = this.#takeUpTo(needles);
    if (found === null && this.#end()) {
      throw new IncompleteReadError(this.#buffer.take(this.#buffer.length), null);
    }
    return found;
  }

  #attemptLine(): Buffer | null {
    let line: Buffer | null;
    try {
      line = this.#takeUpTo(NEWLINE);
    } catch (error) {
      if (!(error instanceof LimitOverrunError)) {
        throw error;
      }
      if (this.#buffer.indexOf(NEWLINE.needles[0] as Buffer, error.consumed) === error.consumed) {
        this.#buffer.drop(error.consumed + 1);
      } else {
        this.#buffer.clear();
      }
      throw new ValueError(`${error.message}; give a larger limit than ${this.#limit} bytes`, {
        code: "ERR_LIMIT_OVERRUN",
        cause: error,
      });
    }
    return line === null && this.#end() ? this.#buffer.take(this.#buffer.length) : line;
  }

  /** Takes what stands up to a separator; `null` where none has come. */
  #takeUpTo(needles: Separators): Buffer | null {
    const { length } = this.#buffer;
    const match =
      length - this.#searched >= needles.shortest ? findSeparator(this.#buffer, needles, this.#searched) : null;
    if (match !== null) {
      if (match.start > this.#limit) {
        throw new LimitOverrunError("Separator is found, but chunk is longer than limit", match.start);
      }
      return this.#buffer.take(match.end);
    }
    if (length - this.#searched >= needles.shortest) {
      this.#searched = searchedUpTo(length, needles);
      if (this.#searched > this.#limit) {
        throw new LimitOverrunError("Separator is not found, and chunk exceed the limit", this.#searched);
      }
    }
    return null;
  }

  /** Whether no more will arrive. Throws what the connection was lost with. */
  #end(): boolean {
    if (this.#lost !== null) {
      throw this.#lost;
    }
    return this.#eof;
  }
}

function iteratorResult(line: Buffer): IteratorResult<Buffer> {
  return line.length === 0 ? { done: true, value: undefined } : { done: false, value: line };
}

function checkedLimit(limit: number): number {
  if (typeof limit !== "number" || Number.isNaN(limit)) {
    throw new TypeError(`the limit has to be a number of bytes, got ${repr(limit)}`);
  }
  if (limit <= 0) {
    throw new ValueError(`Limit cannot be <= 0, got ${limit}`);
  }
  return limit;
}

function checkSize(method: string, n: number): Error | null {
  if (!Number.isInteger(n)) {
    return new TypeError(`${method}() needs an integer number of bytes, got ${repr(n)}`);
  }
  return n < 0 ? new ValueError(`${method} size can not be less than zero, got ${n}`) : null;
}

function checkReadInto(target: Uint8Array, min: number, options: ReadIntoOptions): void {
  checkOptions("readInto()", options, ["min"]);
  if (!(target instanceof Uint8Array)) {
    throw new TypeError(`readInto() needs a Uint8Array, got ${repr(target)}`);
  }
  if (!Number.isInteger(min) || min < 1 || min > target.length) {
    throw new ValueError(`readInto() needs a min from 1 to the size of the target, ${target.length}, got ${repr(min)}`);
  }
}

function toSeparators(separator: Separator | readonly Separator[]): Separators {
  const list = typeof separator === "string" || separator instanceof Uint8Array ? [separator] : separator;
  if (!Array.isArray(list)) {
    throw new TypeError(`readuntil() needs a separator of bytes or text, or an array of them, got ${repr(separator)}`);
  }
  if (list.length === 0) {
    throw new ValueError("Separator should contain at least one element");
  }
  const needles = (list as readonly Separator[]).map((each) => {
    if (typeof each !== "string" && !(each instanceof Uint8Array)) {
      throw new TypeError(`readuntil() needs separators of bytes or text, got ${repr(each)}`);
    }
    return Buffer.from(each as string);
  });
  if (needles.some((needle) => needle.length === 0)) {
    throw new ValueError("Separator should be at least one-byte string");
  }
  return separators(needles);
}
