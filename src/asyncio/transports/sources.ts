/**
 * Sources: anything that produces bytes, as a Duplex that a transport reads from.
 *
 * Theory of operation. A Duplex that is never written to connects a source with its transport. It buffers at most one
 * chunk: while the transport is paused, a Node stream is paused, and a web stream or an iterable is not read. A source
 * is called in a Flow that belongs to no task, with a copy of the Context in which it was opened: cancelling a task
 * that reads must not cancel what the source waits for.
 *
 * The Duplex ends with the source, and fails with the source's error. If it is destroyed before that, the source is
 * cancelled: a Node stream is destroyed, and a web stream's `cancel()` or an iterator's `return()` is called.
 */
import { Duplex, type Readable } from "node:stream";
import { copyContext } from "../../contextvars/context.ts";
import { Flow, runInFlow } from "../../contextvars/current.ts";
import { RuntimeError, ValueError } from "../../errors.ts";
import { ConnectionAbortedError } from "../../io-errors.ts";
import { className, isBytes, repr, safeRepr } from "../../repr.ts";
import { ON_DENO } from "../runtime.ts";
import { checkReadable, claimSide } from "./claims.ts";
import { tellOfClose } from "./socket-events.ts";

/**
 * A source of bytes: a Node Readable, a ReadableStream such as a response's body, or a sync or async iterable of byte
 * chunks. Strings and other objects are refused.
 */
export type ByteSource =
  | Readable
  | NodeJS.ReadableStream
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>;

/** Makes a Duplex buffer at most one chunk. */
const ONE_CHUNK = { readableHighWaterMark: 1 };

/** A flow that belongs to no task, for the code of a source or a sink. */
export function ownFlow(): Flow {
  return Flow.entered(copyContext());
}

/**
 * Returns the source as a Duplex, which owns it from then on.
 *
 * @throws {TypeError} If `source` is not a source of bytes.
 * @throws {ValueError} If the source has already ended, or produces strings or objects.
 * @throws {RuntimeError} If other code reads from the source.
 */
export function openSource(caller: string, source: ByteSource): Duplex {
  if (typeof source !== "object" || source === null || isBytes(source)) {
    throw notSource(caller, source);
  }
  if (isNodeReadable(source)) {
    checkReadable(`${caller}: source`, source);
    if (source.destroyed) {
      throw new ValueError(`${caller}: source is already closed: ${className(source)}`, {
        cause: source.errored,
      });
    }
    if (source.listenerCount("readable") > 0) {
      throw usedAlready(caller, "it has a listener for 'readable'");
    }
    claimFor(caller, source);
    return new NodeSource(source);
  }
  if ("getReader" in source) {
    if (source.locked) {
      throw usedAlready(caller, "the ReadableStream is locked");
    }
    return new PulledSource(webPuller(source));
  }
  const puller = iterablePuller(source);
  if (puller === null) {
    throw notSource(caller, source);
  }
  claimFor(caller, puller.iterator);
  return new PulledSource(puller);
}

function claimFor(caller: string, source: object): void {
  if (!claimSide(source, "read")) {
    throw usedAlready(caller, `another stream has taken the ${className(source)}`);
  }
}

function usedAlready(caller: string, reason: string): RuntimeError {
  return new RuntimeError(`${caller}: other code already reads from source: ${reason}`, { code: "ERR_STREAM_BUSY" });
}

function notSource(caller: string, given: unknown): TypeError {
  const hint = isBytes(given) || typeof given === "string" ? "; put bytes into an array: [bytes]" : "";
  return new TypeError(
    `${caller}: source must be a Readable, a ReadableStream or an iterable of bytes, got ${repr(given)}${hint}`,
  );
}

function isNodeReadable(source: object): source is Readable {
  return "pipe" in source && "on" in source;
}

/** Returns the chunk if it consists of bytes; otherwise throws. */
function checkedChunk(chunk: unknown): Uint8Array {
  if (!isBytes(chunk)) {
    throw new TypeError(`the source must return bytes (a Uint8Array), got ${repr(chunk)}`);
  }
  return chunk;
}

/**
 * Converts a thrown value to an Error for `destroy()`: Node reads its stack, and TLS its code and message; and a stream
 * destroyed with `undefined` would have no error.
 */
export function asStreamError(thrown: unknown, what: string): Error {
  try {
    if (thrown) {
      const { stack: _stack, code: _code, message: _message } = thrown as NodeJS.ErrnoException;
      return thrown as Error;
    }
  } catch {
    // A getter or a Proxy threw, and would throw in `destroy()` as well.
  }
  return new Error(`the ${what} failed with ${safeRepr(thrown)}`, { cause: thrown });
}

/** A Node Readable, whose chunks are passed on as they arrive. */
class NodeSource extends Duplex {
  readonly #source: Readable;
  readonly #flow = ownFlow();
  #hasEnded = false;
  readonly #onData = (chunk: unknown): void => {
    try {
      if (!this.push(checkedChunk(chunk))) {
        this.#source.pause();
      }
    } catch (error) {
      this.destroy(error as Error);
    }
  };

  constructor(source: Readable) {
    super(ONE_CHUNK);
    this.#source = source;
    this.once("end", () => this.destroy());
    runInFlow(this.#flow, () => this.#listen());
  }

  #listen(): void {
    const source = this.#source;
    source.on("end", () => this.#end());
    source.on("error", (error) => this.destroy(asStreamError(error, "source")));
    source.on("data", this.#onData);
    const onClose = (): void => this.#closed();
    source.on("close", onClose);
    tellOfClose(source, onClose);
    if (source.readableEnded) {
      this.#end();
    }
  }

  #closed(): void {
    if (!this.#hasEnded) {
      this.destroy(new ConnectionAbortedError("the source was destroyed before its end"));
    }
  }

  #end(): void {
    this.#hasEnded = true;
    this.push(null);
  }

  override _read(): void {
    runInFlow(this.#flow, () => this.#source.resume());
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source.off("data", this.#onData);
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      runInFlow(this.#flow, () => this.#source.destroy());
      if (ON_DENO && (this.#source as unknown) === process.stdin) {
        closeInputOfDeno();
      }
    }
    callback(error);
  }
}

/** In Deno, a pending read of standard input continues after the stream was destroyed, and keeps the process alive. */
function closeInputOfDeno(): void {
  const { Deno } = globalThis as { Deno?: { readonly stdin: { close(): void } } };
  try {
    Deno?.stdin.close();
  } catch {
    // It is closed already.
  }
}

/** What a Puller returns at the end; `null` would be a chunk that is not of bytes. */
const END: unique symbol = Symbol("end");

/** Returns the chunks one by one. */
interface Puller {
  /** Returns `END` at the end. */
  next(): Promise<unknown>;
  cancel(): unknown;
}

/** A web stream or an iterable; a chunk is requested when there is room for it. */
class PulledSource extends Duplex {
  readonly #puller: Puller;
  readonly #flow = ownFlow();
  #hasEnded = false;

  constructor(puller: Puller) {
    super(ONE_CHUNK);
    this.#puller = puller;
    this.once("end", () => this.destroy());
  }

  override _read(): void {
    void runInFlow(this.#flow, () => this.#pull());
  }

  async #pull(): Promise<void> {
    let chunk: unknown;
    try {
      chunk = await this.#puller.next();
    } catch (error) {
      this.#hasEnded = true;
      this.destroy(asStreamError(error, "source"));
      return;
    }
    this.#hasEnded = chunk === END;
    try {
      this.push(chunk === END ? null : checkedChunk(chunk));
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      runInFlow(this.#flow, () => void this.#cancel());
    }
    callback(error);
  }

  async #cancel(): Promise<void> {
    try {
      await this.#puller.cancel();
    } catch {
      // Nothing reads any more, so the error has no recipient.
    }
  }
}

function webPuller(source: ReadableStream<Uint8Array>): Puller {
  const reader = source.getReader();
  return {
    next: async () => {
      const { done, value } = await reader.read();
      return done ? END : value;
    },
    cancel: () => reader.cancel(),
  };
}

/** `null` if the source is not iterable. */
function iterablePuller(source: object): (Puller & { readonly iterator: object }) | null {
  const iterable = source as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  const iterator = iterable[Symbol.asyncIterator]?.() ?? iterable[Symbol.iterator]?.();
  if (iterator === undefined) {
    return null;
  }
  return {
    iterator,
    next: async () => {
      const { done, value } = await iterator.next();
      // A sync iterable may yield promises.
      return done === true ? END : await value;
    },
    cancel: () => iterator.return?.(),
  };
}
