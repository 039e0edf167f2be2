/**
 * Intake: who waits for bytes, and when the wait is answered.
 *
 * Theory of operation. A read that the buffer cannot answer is parked: its request stands in the wait, and what arrives
 * tries it again, so that the promise is settled with the bytes at once: by a connection in the callback that brings them,
 * by `feed()` a microtask later, since a `cancel()` may follow it. There is one parked read; a second reader that would
 * have to wait is refused. A parked read that is cancelled has taken nothing.
 *
 * Back-pressure: when more than twice the limit has arrived the transport is paused, unless a read takes so much of it at
 * once that no more than the limit is left. At or below the limit, or when a read has to wait, or would have to, the
 * transport is resumed. It is not paused while a read waits.
 *
 * Invariants: no read is parked when no more will come; `#paused` only with a transport, and never while a read is parked.
 */
import { RuntimeError, TimeoutError } from "../../errors.ts";
import { checkPositiveSeconds } from "../arguments.ts";
import { fromCallback, thrownHere } from "../async-stacks.ts";
import type { Separators } from "../bytes/separator.ts";
import { queueMicrotask } from "../clock.ts";
import { callLater } from "../events.ts";
import { quiet, rejected, Wait } from "../waits.ts";
import { type Answer, EMPTY, NEWLINE, ReadBuffer, type Request, type Taker } from "./read-buffer.ts";
import type { StreamReader } from "./reader.ts";

/** What a reader needs of a transport. */
export interface ReadTransport {
  pauseReading(): void;
  resumeReading(): void;
  getExtraInfo?(name: string): unknown;
  /** Ends the connection; of a source that is read, its maker is told to stop. */
  close?(): void;
  /** @internal Whether the bytes come from outside the process; one that does not say so is taken for such. */
  readonly _isOutside?: boolean;
}

/** The peer's address, for messages; empty where there is none. */
export function peerText(transport: Pick<ReadTransport, "getExtraInfo"> | null): string {
  return String((transport?.getExtraInfo?.("peername") as string | null) ?? "");
}

/** What feeds the reader and holds it no longer: it holds the reader while a read waits, since nothing else may do so. */
export interface ReaderHolder {
  /** @param reader - The one to hold; `null`: none. */
  _hold(reader: StreamReader | null): void;
}

/** The name under which a read that may not wait is refused: Python's `readline()` is a `readuntil()`. */
const refusedAs: Readonly<Record<NamedRequest, string>> = {
  some: "read",
  all: "read",
  exactly: "readexactly",
  until: "readuntil",
  line: "readuntil",
  into: "readInto",
  peek: "peek",
};

/** The methods, as they are called. */
const methods: Readonly<Record<NamedRequest, string>> = {
  some: "read",
  all: "read",
  exactly: "readexactly",
  until: "readuntil",
  line: "readline",
  into: "readInto",
  peek: "peek",
};

type NamedRequest = Exclude<Request, Taker>;

function methodOf(request: Request, names: Readonly<Record<NamedRequest, string>>): string {
  return typeof request === "string" ? names[request] : request.method;
}

/** A read that waits, with what it asks for. */
class ParkedRead extends Wait<Answer> {
  readonly #intake: Intake;
  readonly request: Request;
  readonly size: number;
  readonly needles: Separators;
  readonly target: Uint8Array;

  constructor(
    intake: Intake,
    onCancel: () => void,
    request: Request,
    size: number,
    needles: Separators,
    target: Uint8Array,
  ) {
    super(methodOf(request, methods), onCancel);
    this.#intake = intake;
    this.request = request;
    this.size = size;
    this.needles = needles;
    this.target = target;
  }

  override waitedFor(): string {
    const { buffer, transport } = this.#intake;
    const wanted = { until: buffer.limit, line: buffer.limit, exactly: this.size, into: this.size, peek: this.size };
    const isBounded = typeof this.request === "string" && this.request in wanted;
    const of = isBounded ? ` of ${wanted[this.request as keyof typeof wanted]}` : "";
    const peer = peerText(transport);
    const owner = typeof this.request === "string" ? "StreamReader." : this.request.owner;
    return `<${owner}${methodOf(this.request, methods)}() ${buffer.length}${of} bytes${peer === "" ? "" : `, ${peer}`}>`;
  }

  /** A reader without a transport is fed by the program. */
  override isOutside(): boolean {
    const { transport } = this.#intake;
    return transport !== null && transport._isOutside !== false;
  }

  /** Whether the bytes are just what was asked for. */
  isAnsweredBy(size: number): boolean {
    return (this.request === "some" && size <= this.size) || (this.request === "exactly" && size === this.size);
  }
}

export class Intake {
  readonly buffer: ReadBuffer;
  transport: ReadTransport | null = null;
  /** The protocol, when it holds the reader no longer; see `StreamReaderProtocol`. */
  holder: ReaderHolder | null = null;
  readonly #reader: StreamReader;
  /** Set by `setException()`, and thrown by every read at once, whatever is in the buffer. */
  exception: unknown = null;
  /** The reader was made of a source, which nobody else has. */
  ownsSource = false;
  /** What a read throws at once: that exception, or the error for a reader that is locked. */
  #refusal: unknown = null;
  /** Who alone may read. */
  #lockedBy: string | null = null;
  #paused = false;
  #parked: ParkedRead | null = null;
  #timeout: number | undefined;
  readonly #onCancel = (): void => {
    this.#unpark();
  };

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

  /** Limits how long a read may wait, in seconds. */
  setTimeout(seconds: number | undefined): void {
    checkPositiveSeconds("readTimeout", seconds);
    this.#timeout = seconds;
  }

  /** Appends bytes; the parked read has its answer a microtask later. */
  feed(data: Uint8Array): void {
    this.#retrySoon(this.#push(data));
  }

  /** Appends bytes, for callers that do nothing after it: the parked read has its answer at once. */
  feedNow(data: Buffer): void {
    const parked = this.#parked;
    // What is just what was asked for need not go through the buffer.
    if (
      parked !== null &&
      data.length > 0 &&
      this.buffer.length === 0 &&
      !this.buffer.eof &&
      parked.isAnsweredBy(data.length)
    ) {
      this.#unpark();
      parked.resolve(data);
      return;
    }
    this.#retry(this.#push(data));
  }

  feedEof(): void {
    this.buffer.feedEof();
    this.#retrySoon(false);
  }

  /** The connection is lost: what has arrived can be read, then comes the error. */
  lose(error: unknown): void {
    this.buffer.lose(error);
    this.#retrySoon(false);
  }

  /** Has every read throw the error from now on, the one that waits included. */
  fail(error: unknown): void {
    this.exception = error;
    this.#refusal = error;
    this.#unpark()?.reject(error);
  }

  /** A read of no bytes, which neither waits nor minds another one that does. */
  nothing(): Promise<Buffer> {
    return this.#refusal === null ? Promise.resolve(EMPTY) : rejected(this.#refusal);
  }

  /** The next line where nothing stands in the way of it: the shortest way. */
  lineAtHand(): Buffer | null {
    if (this.#parked !== null || this.#refusal !== null) {
      return null;
    }
    const line = this.buffer.lineAtHand();
    // Asked here, too: a call for each line shows.
    if (this.#paused) {
      this.#resumeIfLow();
    }
    return line;
  }

  /** So many bytes, more than none, likewise. */
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

  /** The first chunk that has arrived, as it is, where nothing stands in the way of it. */
  chunkAtHand(): Buffer | null {
    return this.#parked === null && this.#refusal === null ? this.#takeChunk() : null;
  }

  /** Answers at once if the buffer allows it, otherwise parks the read. */
  read<A = Buffer>(request: Request, size = 0, needles: Separators = NEWLINE, target: Uint8Array = EMPTY): Promise<A> {
    return this.#refusal === null ? this.#read(request, size, needles, target) : rejected(this.#refusal);
  }

  /** Keeps all others from reading; only `lockedChunk()` and `lockedRead()` may. */
  lock(caller: string): void {
    if (this.#lockedBy !== null) {
      throw locked(caller, this.#lockedBy);
    }
    if (this.#parked !== null) {
      throw busy(caller);
    }
    this.#lockedBy = caller;
    this.#refusal ??= locked("a read", caller);
  }

  /** A read that waits gets no answer any more. */
  unlock(): void {
    this.#unpark();
    this.#lockedBy = null;
    this.#refusal = this.exception;
  }

  get isLocked(): boolean {
    return this.#lockedBy !== null;
  }

  /** Whether a read may wait for a limited time only. */
  get hasTimeout(): boolean {
    return this.#timeout !== undefined;
  }

  /** The first chunk that has arrived, or the next one; an empty one at the end. */
  lockedChunk(): Buffer | Promise<Buffer> {
    const chunk = this.exception === null ? this.#takeChunk() : null;
    return chunk ?? this.lockedRead("some", Number.POSITIVE_INFINITY);
  }

  lockedRead<A>(request: Request, size = 0, target: Uint8Array = EMPTY): Promise<A> {
    return this.exception === null ? this.#read(request, size, NEWLINE, target) : rejected(this.exception);
  }

  #takeChunk(): Buffer | null {
    const chunk = this.buffer.chunkAtHand();
    this.#resumeIfLow();
    return chunk;
  }

  #read<A>(request: Request, size: number, needles: Separators, target: Uint8Array): Promise<A> {
    try {
      // A read to the end that is parked has all of the buffer already.
      const data = this.#parked?.request === "all" ? null : this.#ask(request, size, needles, target);
      if (data !== null) {
        return Promise.resolve(data as A);
      }
    } catch (error) {
      return rejected(error);
    }
    if (this.#parked !== null) {
      return rejected(busy(`${methodOf(request, refusedAs)}()`));
    }
    // Waiting while paused would be waiting for ever.
    this.#resume();
    this.#parked = new ParkedRead(this, this.#onCancel, request, size, needles, target);
    this.holder?._hold(this.#reader);
    const answer = this.#parked.begin() as Promise<A>;
    return this.#timeout === undefined ? answer : this.#limited(answer, this.#timeout);
  }

  /** Answers from the buffer, or not at all: `null` where the read would wait. */
  try(request: Request, size = 0, needles: Separators = NEWLINE): Buffer | null {
    if (this.#refusal !== null) {
      throw thrownHere(this.#refusal);
    }
    if (this.#parked !== null) {
      return null;
    }
    const data = this.#ask(request, size, needles, EMPTY) as Buffer | null;
    if (data === null) {
      // What it asks for can only come while the transport is not paused.
      this.#resume();
    }
    return data;
  }

  /** The same for a Taker, by the shortest way. */
  tryTake<A>(taker: Taker): A | null {
    if (this.#refusal !== null) {
      throw this.#refusal;
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

  /** Appends the bytes, and returns whether there is more now than may be. */
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

  /** Ends the wait after the time given by `readTimeout`; what has arrived stays in the buffer. */
  #limited<A>(answer: Promise<A>, seconds: number): Promise<A> {
    const expire = (): void => {
      this.#unpark()?.reject(fromCallback(new TimeoutError(`no data for ${seconds} seconds (readTimeout)`)));
    };
    const timer = callLater(seconds, expire);
    return quiet(answer.finally(() => timer.cancel()));
  }

  /** Something has changed: the parked read may have its answer, and there may be too much. */
  #retry(isHigh: boolean): void {
    const parked = this.#parked;
    if (parked !== null) {
      try {
        const data = this.buffer.answer(parked.request, parked.size, parked.needles, parked.target);
        if (data !== null) {
          this.#unpark();
          parked.resolve(data);
        }
      } catch (error) {
        this.#unpark();
        parked.reject(error === this.buffer.lost ? error : fromCallback(error));
      }
    }
    if (isHigh) {
      this.#pauseUnlessLow();
    }
  }

  /** The same when whoever changed it is through: a read that is cancelled until then has taken nothing. */
  #retrySoon(isHigh: boolean): void {
    if (this.#parked === null) {
      this.#retry(isHigh);
    } else {
      queueMicrotask(() => this.#retry(isHigh));
    }
  }

  #unpark(): ParkedRead | null {
    const parked = this.#parked;
    this.#parked = null;
    this.holder?._hold(null);
    return parked;
  }

  /** Not while a read waits: a read that waits for more than the mark would wait for ever. */
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

/** The error for a read that would have to wait beside another one. */
function busy(caller: string): RuntimeError {
  return new RuntimeError(
    `${caller} called while another coroutine is already waiting for incoming data; await that one first`,
    { code: "ERR_READER_BUSY" },
  );
}

function locked(caller: string, by: string): RuntimeError {
  return new RuntimeError(`${caller} is refused while ${by} has the reader; let that end first`, {
    code: "ERR_READER_LOCKED",
  });
}
