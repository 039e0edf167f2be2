/**
 * Intake: which read waits for bytes, and when it gets them.
 *
 * Theory of operation. A read that the buffer cannot answer is parked: its request is kept in the wait and tried again
 * when bytes arrive, so that its promise resolves directly with the bytes. A connection does this in the callback that
 * delivers the bytes; `feed()` does it a microtask later, since a `cancel()` may follow the call. At most one read is
 * parked; a second read that would have to wait throws. A parked read that is cancelled has taken nothing.
 *
 * Back-pressure: the transport is paused when more than twice the limit is buffered, unless the parked read immediately
 * takes enough to leave no more than the limit. The transport is resumed when the buffer is at or below the limit, or
 * when a read waits or would have to wait. It is never paused while a read waits.
 *
 * Invariants: no read is parked after EOF; `#paused` is true only with a transport, and never while a read is parked.
 */
import { copyContext } from "../../contextvars/context.ts";
import { Flow, runInFlow } from "../../contextvars/current.ts";
import { RuntimeError } from "../../errors.ts";
import { TimeoutError } from "../../io-errors.ts";
import { checkPositiveSeconds } from "../arguments.ts";
import { fromCallback, quiet, quietRejection, thrownHere } from "../async-stacks.ts";
import type { Separators } from "../bytes/separator.ts";
import { queueMicrotask } from "../clock.ts";
import { callLater } from "../events.ts";
import { ParkedRead, refusedName } from "./parked-read.ts";
import { type Answer, EMPTY, NEWLINE, ReadBuffer, type Request, type Taker } from "./read-buffer.ts";
import type { ReadTransport } from "./read-transport.ts";
import type { StreamReader } from "./reader.ts";

/**
 * The protocol that feeds the reader but no longer keeps it alive. While a read waits, the protocol holds the reader
 * strongly, because nothing else may refer to a reader that has a waiting read.
 */
export interface ReaderHolder {
  /** @param reader - The reader to hold, or `null` for none. */
  _keepAlive(reader: StreamReader | null): void;
}

/** What few readers have. It is apart from the others, so that they need no memory for it. */
class Rare {
  /** Whether the reader was created from a source, which only this reader uses. */
  ownsSource = false;
  /** The call that has locked the reader and alone may read. */
  lockedBy: string | undefined;
  /** How long a read may wait, in seconds. */
  timeout: number | undefined;
}

export class Intake {
  readonly buffer: ReadBuffer;
  transport: ReadTransport | null = null;
  /** The protocol, once it no longer holds the reader; see `StreamReaderProtocol`. */
  #holder: ReaderHolder | null = null;
  readonly #reader: StreamReader;
  /** Set by `setException()`, and thrown by every read, whatever is in the buffer. */
  exception: unknown = null;
  /** The error that a read throws immediately: that exception, or the error for a locked reader. */
  #refusal: unknown = null;
  #paused = false;
  #parked: ParkedRead | null = null;
  #rare: Rare | null = null;

  constructor(reader: StreamReader, limit: number) {
    this.#reader = reader;
    this.buffer = new ReadBuffer(limit);
  }

  /** Whether a read waits. */
  get isWaiting(): boolean {
    return this.#parked !== null;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** From now on, the holder keeps the reader alive only while a read waits. */
  releaseTo(holder: ReaderHolder): void {
    this.#holder = holder;
    holder._keepAlive(this.#parked === null ? null : this.#reader);
  }

  /** Limits how long a read may wait, in seconds. */
  setTimeout(seconds: number | undefined): void {
    checkPositiveSeconds("readTimeout", seconds);
    if (seconds !== undefined) {
      this.#makeRare().timeout = seconds;
    }
  }

  get ownsSource(): boolean {
    return this.#rare?.ownsSource === true;
  }

  /** Records that only this reader uses the source that it was created from. */
  ownSource(): void {
    this.#makeRare().ownsSource = true;
  }

  /** Appends bytes; the parked read resolves a microtask later. */
  feed(data: Uint8Array): void {
    this.#retrySoon(this.#push(data));
  }

  /** Appends bytes and resolves the parked read immediately, for callers that do nothing afterwards. */
  feedNow(data: Buffer): void {
    const parked = this.#parked;
    // Bytes that answer the request exactly need not go through the buffer.
    if (
      parked !== null &&
      data.length > 0 &&
      this.buffer.length === 0 &&
      !this.buffer.eof &&
      parked.isAnsweredBy(data.length)
    ) {
      this.unpark();
      parked.resolve(data);
      return;
    }
    this.#retry(this.#push(data));
  }

  feedEof(): void {
    this.buffer.feedEof();
    this.#retrySoon(false);
  }

  /** Does the same and answers the parked read immediately, for callers that do nothing afterwards. */
  feedEofNow(): void {
    this.buffer.feedEof();
    this.#retry(false);
  }

  /** Records the EOF of a connection that has closed properly. */
  feedLastEof(): void {
    this.feedEof();
  }

  /**
   * Records that the connection is lost: reads return the buffered bytes, and a read that needs more throws the error.
   */
  lose(error: unknown): void {
    this.buffer.lose(error);
    this.#retrySoon(false);
  }

  /** Makes every read throw the error from now on, including the one that waits. */
  fail(error: unknown): void {
    this.exception = error;
    this.#refusal = error;
    this.unpark()?.reject(error);
  }

  /** A read of no bytes: it does not wait, and is allowed while another read waits. */
  nothing(): Promise<Buffer> {
    return this.#refusal === null ? Promise.resolve(EMPTY) : quietRejection(this.#refusal);
  }

  /**
   * The fast path for a line: takes it if it is in the first chunk and no other read, error or lock prevents it;
   * otherwise returns `null`.
   */
  lineAtHand(): Buffer | null {
    if (this.#parked !== null || this.#refusal !== null) {
      return null;
    }
    const line = this.buffer.lineAtHand();
    // The flag is tested here as well, because a call for each line would show in benchmarks.
    if (this.#paused) {
      this.#resumeIfLow();
    }
    return line;
  }

  /** The fast path for `n` bytes, `n` being more than 0; otherwise like `lineAtHand()`. */
  bytesAtHand(n: number): Buffer | null {
    if (this.#parked !== null || this.#refusal !== null || n === 0) {
      return null;
    }
    const bytes = this.buffer.bytesAtHand(n);
    if (this.#paused) {
      this.#resumeIfLow();
    }
    return bytes;
  }

  /**
   * The first chunk as it arrived, unless it is missing or another read, an error or a lock prevents it; then `null`.
   */
  chunkAtHand(): Buffer | null {
    return this.#parked === null && this.#refusal === null ? this.#takeChunk() : null;
  }

  /** Answers immediately if the buffer allows it, otherwise parks the read. */
  read<A = Buffer>(request: Request, size = 0, needles: Separators = NEWLINE, target: Uint8Array = EMPTY): Promise<A> {
    return this.#refusal === null ? this.#read(request, size, needles, target) : quietRejection(this.#refusal);
  }

  /** Refuses all reads except `lockedChunk()` and `lockedRead()`. */
  lock(caller: string): void {
    const rare = this.#makeRare();
    if (rare.lockedBy !== undefined) {
      throw locked(caller, rare.lockedBy);
    }
    if (this.#parked !== null) {
      throw busy(caller);
    }
    rare.lockedBy = caller;
    this.#refusal ??= locked("a read", caller);
  }

  /** Ends the lock. A read that waits is abandoned: it is never settled. */
  unlock(): void {
    this.unpark();
    this.#makeRare().lockedBy = undefined;
    this.#refusal = this.exception;
  }

  get isLocked(): boolean {
    return this.#rare?.lockedBy !== undefined;
  }

  /** Whether the time that a read may wait is limited. */
  get hasTimeout(): boolean {
    return this.#rare?.timeout !== undefined;
  }

  /** The first chunk in the buffer, or the next one to arrive; an empty one at EOF. */
  lockedChunk(): Buffer | Promise<Buffer> {
    const chunk = this.exception === null ? this.#takeChunk() : null;
    return chunk ?? this.lockedRead("some", Number.POSITIVE_INFINITY);
  }

  lockedRead<A>(request: Request, size = 0, target: Uint8Array = EMPTY): Promise<A> {
    return this.exception === null ? this.#read(request, size, NEWLINE, target) : quietRejection(this.exception);
  }

  #makeRare(): Rare {
    this.#rare ??= new Rare();
    return this.#rare;
  }

  #takeChunk(): Buffer | null {
    const chunk = this.buffer.takeChunk();
    this.#resumeIfLow();
    return chunk;
  }

  #read<A>(request: Request, size: number, needles: Separators, target: Uint8Array): Promise<A> {
    try {
      // A parked read to the end owns everything in the buffer.
      const data = this.#parked?.request === "all" ? null : this.#ask(request, size, needles, target);
      if (data !== null) {
        return Promise.resolve(data as A);
      }
    } catch (error) {
      return quietRejection(error);
    }
    if (this.#parked !== null) {
      return quietRejection(busy(`${refusedName(request)}()`));
    }
    // A read that waits while the transport is paused would wait forever.
    this.#resume();
    this.#parked = new ParkedRead(this, request, size, needles, target);
    this.#holder?._keepAlive(this.#reader);
    const answer = this.#parked.begin() as Promise<A>;
    const timeout = this.#rare?.timeout;
    return timeout === undefined ? answer : this.#limited(answer, timeout);
  }

  /** Answers from the buffer, or returns `null` if the read would wait. */
  try(request: Request, size = 0, needles: Separators = NEWLINE): Buffer | null {
    if (this.#refusal !== null) {
      throw thrownHere(this.#refusal);
    }
    if (this.#parked !== null) {
      return null;
    }
    const data = this.#ask(request, size, needles, EMPTY) as Buffer | null;
    if (data === null) {
      // The missing bytes can arrive only while the transport is not paused.
      this.#resume();
    }
    return data;
  }

  /** The fast path of `try()` for a Taker. */
  tryTake<A>(taker: Taker): A | null {
    if (this.#refusal !== null) {
      throw thrownHere(this.#refusal);
    }
    if (this.#parked !== null) {
      return null;
    }
    const taken = taker.take(this.buffer) as A | null;
    if (taken === null) {
      this.#resume();
    } else if (this.#paused) {
      this.#resumeIfLow();
    }
    return taken;
  }

  /** Takes everything that has arrived. */
  takeAll(): Buffer {
    const bytes = this.buffer.takeAll();
    this.#resumeIfLow();
    return bytes;
  }

  /** Appends the bytes, and returns whether more than twice the limit is buffered now. */
  #push(data: Uint8Array): boolean {
    this.buffer.push(data);
    return data.length > 0 && this.buffer.length > 2 * this.buffer.limit;
  }

  #ask(request: Request, size: number, needles: Separators, target: Uint8Array): Answer {
    try {
      return this.buffer.answer(request, size, needles, target);
    } finally {
      this.#resumeIfLow();
    }
  }

  /** Ends the wait with a TimeoutError after `readTimeout`; bytes that have arrived stay in the buffer. */
  #limited<A>(answer: Promise<A>, seconds: number): Promise<A> {
    const expire = (): void => {
      this.unpark()?.reject(fromCallback(new TimeoutError(`no data for ${seconds} seconds (readTimeout)`)));
    };
    const timer = callLater(seconds, expire);
    return quiet(answer.finally(() => timer.cancel()));
  }

  /**
   * After a change: answers the parked read if the buffer allows it, and pauses the transport if too much is buffered.
   */
  #retry(isHigh: boolean): void {
    const parked = this.#parked;
    if (parked !== null) {
      try {
        const data = this.buffer.answer(parked.request, parked.size, parked.needles, parked.target);
        if (data !== null) {
          this.unpark();
          parked.resolve(data);
        }
      } catch (error) {
        this.unpark();
        parked.reject(error === this.buffer.lost ? error : fromCallback(error));
      }
    }
    if (isHigh) {
      this.#pauseUnlessLow();
    }
  }

  /**
   * Like #retry(), but in a microtask if a read waits: the caller may still cancel that read, which must then have
   * taken nothing.
   */
  #retrySoon(isHigh: boolean): void {
    if (this.#parked === null) {
      this.#retry(isHigh);
    } else {
      queueMicrotask(() => this.#retry(isHigh));
    }
  }

  unpark(): ParkedRead | null {
    const parked = this.#parked;
    this.#parked = null;
    this.#holder?._keepAlive(null);
    return parked;
  }

  /** Never pauses while a read waits: a read that needs more than twice the limit would wait forever. */
  #pauseUnlessLow(): void {
    if (this.transport !== null && this.#parked === null && !this.#paused && this.buffer.length > this.buffer.limit) {
      this.#paused = true;
      this.transport.pauseReading();
    }
  }

  #resumeIfLow(): void {
    if (this.#paused && this.buffer.length <= this.buffer.limit) {
      this.#resume();
    }
  }

  #resume(): void {
    if (this.#paused) {
      this.#paused = false;
      this.transport?.resumeReading();
    }
  }
}

/**
 * The intake of a subclass of StreamReader that has a `feedData()` or `feedEof()` of its own: a connection calls those, in
 * a Flow that belongs to no task, with a copy of the Context in which the reader was created.
 */
export class OverriddenIntake extends Intake {
  readonly #reader: StreamReader;
  readonly #flow = Flow.entered(copyContext());

  constructor(reader: StreamReader, limit: number) {
    super(reader, limit);
    this.#reader = reader;
  }

  override feedNow(data: Buffer): void {
    runInFlow(this.#flow, () => this.#reader.feedData(data));
  }

  override feedEofNow(): void {
    runInFlow(this.#flow, () => this.#reader.feedEof());
  }

  override feedLastEof(): void {
    this.feedEofNow();
  }
}

/** The error for a read that would have to wait while another read waits. */
function busy(caller: string): RuntimeError {
  return new RuntimeError(
    `${caller} called while another coroutine is already waiting for incoming data; await that one first`,
    { code: "ERR_READER_BUSY" },
  );
}

function locked(caller: string, by: string): RuntimeError {
  return new RuntimeError(`${caller} is refused while ${by} uses the reader; let ${by} end first`, {
    code: "ERR_READER_LOCKED",
  });
}
