/** framed(): receiving and sending frames over a reader and a writer. */

import { checkIterable, notConstructible } from "../asyncio/arguments.ts";
import { quiet, quietRejection } from "../asyncio/async-stacks.ts";
import { ReportedUnlessAwaited } from "../asyncio/awaited.ts";
import { StreamReader, StreamWriter } from "../asyncio/index.ts";
import { RuntimeError } from "../errors.ts";
import { repr } from "../repr.ts";
import { type Codec, checkedLimit, checkedOnOverrun, type WritingCodec, writeEncoded } from "./codec.ts";
import { PrefixedCodec } from "./prefixed.ts";
import { SeparatedCodec } from "./separated.ts";
import { Arrival, END, type FrameTaker, takerFor } from "./takers.ts";

/**
 * Receives and sends frames over a reader and a writer.
 *
 * Bytes that no frame has taken stay in the reader, so other reads can continue after the last frame, and `startTls()`
 * finds the plaintext that it has to reject. The codec decides whether frames are Buffers, strings or other values; a
 * Buffer is a view of the bytes that arrived.
 *
 * Created by {@linkcode framed}. Python: has no such thing.
 */
export class Framed<In, Out = In> implements AsyncIterable<In> {
  readonly #reader: StreamReader | null;
  readonly #writer: StreamWriter | null;
  readonly #codec: Codec<In, Out>;
  readonly #writing: WritingCodec<Out> | null;
  readonly #taker: FrameTaker;
  readonly #arrival: Arrival;

  /** @internal */
  constructor(reader: StreamReader | null, writer: StreamWriter | null, codec: Codec<In, Out>) {
    if (codec === undefined) {
      throw notConstructible("Framed", "call framed()");
    }
    this.#reader = reader;
    this.#writer = writer;
    this.#codec = codec;
    this.#writing = writingCodec(codec);
    this.#taker = takerFor(codec);
    this.#arrival = new Arrival(this.#taker);
  }

  /**
   * Waits for the next frame and returns it; returns `null` at EOF.
   *
   * If a frame is too long, the codec's `onOverrun` decides: either `receive()` throws an error and the frame stays in
   * the reader, or the frame is dropped. After a cancellation everything that has arrived is still in the reader. Only
   * one task may receive at a time.
   *
   * @throws {IncompleteReadError} If the stream ends within a frame; `partial` contains the bytes that had arrived, and
   * the reader is then empty.
   * @throws {LimitOverrunError} If a frame is longer than the codec allows; every further call throws the error again.
   * @throws {ValueError} If the bytes are not a valid frame. The codec decides whether they stay in the reader.
   * @throws {RuntimeError} If another task is already waiting for data, or there is no reader.
   * @throws The error with which the connection was lost, after the last frame that had arrived.
   */
  receive(): Promise<In | null> {
    let frame: In | null | typeof END;
    try {
      frame = this.#take();
    } catch (error) {
      return quietRejection(error);
    }
    return frame === null ? quiet(this.#waitForFrame().then(nullAtEnd)) : Promise.resolve(nullAtEnd(frame));
  }

  /**
   * Returns the next frame if it has arrived: like `receive()`, but without a promise.
   *
   * @returns The frame; `null` if `receive()` would wait, and at EOF. Call `receive()` to distinguish the two.
   * @throws The errors of `receive()`.
   *
   * @example Every frame that has arrived, then one wait
   * ```ts
   * import * as asyncio from "contextvars/asyncio";
   * import { framed, linesCodec } from "contextvars/codecs";
   * import assert from "node:assert/strict";
   *
   * const reader = new asyncio.StreamReader();
   * reader.feedData(Buffer.from("one\ntwo\nthree\n"));
   * reader.feedEof();
   * const lines = framed(reader, null, linesCodec());
   * const all: string[] = [];
   * for (let line = await lines.receive(); line !== null; line = lines.tryReceive() ?? (await lines.receive())) {
   *   all.push(line);
   * }
   * assert.deepEqual(all, ["one", "two", "three"]);
   * ```
   */
  tryReceive(): In | null {
    const frame = this.#take();
    return frame === null ? null : nullAtEnd(frame);
  }

  /**
   * Sends a frame, then waits as `drain()` does.
   *
   * The frame is written before `send()` returns its promise, so frames of several tasks never mix; a cancellation does
   * not undo the write.
   *
   * @throws {ValueError} If the codec cannot encode the item, or the frame is longer than the codec allows; nothing is
   * written.
   * @throws {RuntimeError} If there is no writer. Also throws the errors of `write()` and `drain()`.
   */
  send(item: Out): Promise<void> {
    try {
      this.#write(item);
    } catch (error) {
      return quietRejection(error);
    }
    const writer = this.#sink();
    return writer.needsDrain ? quiet(writer.drain()) : writer.drain();
  }

  /**
   * Sends any number of frames, and waits between them when `drain()` would wait.
   *
   * @param items - An iterable or an async iterable.
   * @throws The errors of `send()` and of the iterable. Earlier frames are sent. If nobody awaits the promise, its error
   * is reported to the exception handler.
   */
  sendAll(items: Iterable<Out> | AsyncIterable<Out>): Promise<void> {
    const isAsync = typeof (items as AsyncIterable<Out> | null | undefined)?.[Symbol.asyncIterator] === "function";
    return new ReportedUnlessAwaited(
      isAsync ? this.#sendEach(items as AsyncIterable<Out>) : this.#sendEvery(items as Iterable<Out>),
    );
  }

  /**
   * Iterates over the frames; ends at EOF, and throws the errors of `receive()`. Leaving the loop does not close
   * anything.
   */
  [Symbol.asyncIterator](): AsyncIterator<In> {
    return { next: () => this.#next() };
  }

  /**
   * Closes the writer after everything has been sent, and waits until it is closed. Does not throw if the connection
   * was lost.
   */
  close(): Promise<void> {
    return this.#writer === null ? Promise.resolve() : quiet(this.#writer[Symbol.asyncDispose]());
  }

  /** Calls `close()`: `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #write(item: Out): void {
    if (this.#writing !== null) {
      this.#writing._writeTo(this.#sink(), item);
    } else {
      writeEncoded(this.#sink(), this.#codec.encode(item));
    }
  }

  async #sendEvery(items: Iterable<Out>): Promise<void> {
    checkIterable("sendAll(): items", items);
    const writer = this.#sink();
    for (const item of items) {
      this.#write(item);
      if (writer.needsDrain) {
        await writer.drain();
      }
    }
    await writer.drain();
  }

  async #sendEach(items: AsyncIterable<Out>): Promise<void> {
    const writer = this.#sink();
    for await (const item of items) {
      this.#write(item);
      if (writer.needsDrain) {
        await writer.drain();
      }
    }
    await writer.drain();
  }

  /** The next step of an iteration; creates no second promise if the frame has arrived. */
  #next(): Promise<IteratorResult<In>> {
    let frame: In | null | typeof END;
    try {
      frame = this.#take();
    } catch (error) {
      return quietRejection(error);
    }
    return frame === null ? quiet(this.#waitForFrame().then(iteratorResult)) : Promise.resolve(iteratorResult(frame));
  }

  /** The next frame, `END` at EOF, or `null` if the frame has not arrived. */
  #take(): In | typeof END | null {
    return this.#source()._intake.tryTake<In | typeof END>(this.#taker);
  }

  async #waitForFrame(): Promise<In | typeof END> {
    for (;;) {
      await this.#source()._intake.read<true>(this.#arrival);
      const frame = this.#take();
      if (frame !== null) {
        return frame;
      }
    }
  }

  #source(): StreamReader {
    if (this.#reader === null) {
      throw new RuntimeError("receive() needs a reader; pass one to framed()");
    }
    return this.#reader;
  }

  #sink(): StreamWriter {
    if (this.#writer === null) {
      throw new RuntimeError("send() needs a writer; pass one to framed()");
    }
    return this.#writer;
  }
}

/**
 * Returns a Framed that receives and sends frames over a reader and a writer, encoded by the codec.
 *
 * Python: has no such thing.
 *
 * @param reader - The reader to receive frames from, or `null` to only send.
 * @param writer - The writer to send frames to, or `null` to only receive.
 * @param codec - A codec of this module, or your own.
 * @throws {TypeError} If an argument has another type.
 * @throws {ValueError} If the codec has no limit.
 *
 * @example A server that answers each line of JSON
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { framed, jsonLinesCodec } from "contextvars/codecs";
 * import assert from "node:assert/strict";
 *
 * const server = await asyncio.startServer(async (reader, writer) => {
 *   await using peer = framed(reader, writer, jsonLinesCodec<{ id: number }>());
 *   for await (const { id } of peer) await peer.send({ id, ok: true });
 * }, "127.0.0.1", 0);
 *
 * const [reader, writer] = await asyncio.openConnection("127.0.0.1", server.sockets[0]!.getsockname().port);
 * const client = framed(reader, writer, jsonLinesCodec());
 * await client.send({ id: 7 });
 * assert.deepEqual(await client.receive(), { id: 7, ok: true });
 * await client.close();
 * server.close();
 * await server.waitClosed();
 * ```
 */
export function framed<In, Out = In>(
  reader: StreamReader | null,
  writer: StreamWriter | null,
  codec: Codec<In, Out>,
): Framed<In, Out> {
  if (reader !== null && !(reader instanceof StreamReader)) {
    throw new TypeError(`framed(): reader must be a StreamReader or null, got ${repr(reader)}`);
  }
  if (writer !== null && !(writer instanceof StreamWriter)) {
    throw new TypeError(`framed(): writer must be a StreamWriter or null, got ${repr(writer)}`);
  }
  if (typeof codec?.decode !== "function" || typeof codec.encode !== "function") {
    throw new TypeError(`framed(): codec must have decode() and encode(), got ${repr(codec)}`);
  }
  checkedLimit("codec.maxLength", codec.maxLength);
  checkedOnOverrun(codec.onOverrun);
  return new Framed(reader, writer, codec);
}

/** The codec itself, if it is one of this entry point, and so writes its frames. */
function writingCodec<Out>(codec: Codec<unknown, Out>): WritingCodec<Out> | null {
  const isOurs: boolean = codec instanceof PrefixedCodec || codec instanceof SeparatedCodec;
  return isOurs ? (codec as unknown as WritingCodec<Out>) : null;
}

function nullAtEnd<In>(frame: In | typeof END): In | null {
  return frame === END ? null : frame;
}

function iteratorResult<In>(frame: In | typeof END): IteratorResult<In> {
  // In this order, which is that of V8's own results, the loop finds the properties faster.
  return frame === END ? { value: undefined, done: true } : { value: frame, done: false };
}
