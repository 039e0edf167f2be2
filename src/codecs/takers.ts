/**
 * Takers: they take Framed's frames from a reader's buffer.
 *
 * Theory of operation. A taker is a kind of read, like `readline()` and `readexactly()`, that never waits: it takes a
 * frame, or leaves the bytes in the reader and records how many are needed. An Arrival is a read that waits for that
 * many bytes and takes none. `receive()` alternates between the two. So a cancelled `receive()` loses nothing, other
 * reads see every byte that no frame has taken, a codec runs in the receiving task and its Context, and the reader's
 * rules for back-pressure, time limits and lost connections apply.
 *
 * A frame that is dropped because it is too long is never buffered as a whole: its bytes are dropped as they arrive.
 */
import { Buffer } from "node:buffer";
import { createdDeep } from "../asyncio/async-stacks.ts";
import { IncompleteReadError, LimitOverrunError } from "../asyncio/index.ts";
import type { ReadBuffer, Taker } from "../asyncio/streams/read-buffer.ts";
import { repr } from "../repr.ts";
import { type Codec, type Decoded, overrun } from "./codec.ts";
import { PrefixedCodec } from "./prefixed.ts";
import { SeparatedCodec } from "./separated.ts";

/** The result of a taker at a clean EOF; `null` means that it has to wait. */
export const END: unique symbol = Symbol("end");

/** A taker that knows how many bytes it needs after it has returned `null`. */
export interface FrameTaker extends Taker {
  readonly needed: number;
}

/** Waits until the bytes that a frame needs have arrived, or EOF. */
export class Arrival implements Taker {
  readonly method = "receive";
  readonly owner = "Framed.";
  readonly #taker: FrameTaker;

  constructor(taker: FrameTaker) {
    this.#taker = taker;
  }

  take(buffer: ReadBuffer): true | null {
    return buffer.length >= this.#taker.needed || buffer.ended() ? true : null;
  }
}

/** Creates the taker for the codec. */
export function takerFor(codec: Codec<unknown, never>): FrameTaker {
  if (codec instanceof SeparatedCodec) {
    return new SeparatedTaker(codec);
  }
  return codec instanceof PrefixedCodec ? new PrefixedTaker(codec) : new ViewTaker(codec);
}

/** Takes frames whose size the codec reports. The bytes of a frame are joined if they lie in several chunks. */
abstract class SizedTaker<C extends Codec<unknown, never>> implements FrameTaker {
  readonly method = "receive";
  readonly owner = "Framed.";
  readonly codec: C;
  needed = 1;
  /** How many bytes of a frame that is too long are still to be dropped. */
  #toDrop = 0;

  constructor(codec: C) {
    this.codec = codec;
  }

  take(buffer: ReadBuffer): unknown {
    for (;;) {
      if (this.#toDrop > 0 && !this.#drop(buffer)) {
        return null;
      }
      const taken = this.next(buffer);
      if (this.#toDrop === 0) {
        return taken;
      }
    }
  }

  protected abstract next(buffer: ReadBuffer): unknown;

  /** Called for an incomplete frame: requests more bytes, unless no more will arrive. */
  protected wait(buffer: ReadBuffer, needed: number, expected: number | null): typeof END | null {
    if (!buffer.ended()) {
      this.needed = needed;
      return null;
    }
    if (buffer.length === 0) {
      return END;
    }
    throw createdDeep(() => new IncompleteReadError(buffer.takeAll(), expected));
  }

  /** Begins to drop the frame that is too long, if the codec requests that; otherwise throws the error. */
  protected dropOrThrow(error: unknown): null {
    if (!(error instanceof LimitOverrunError && this.codec.onOverrun === "skip")) {
      throw error;
    }
    this.#toDrop = Math.max(1, error.consumed);
    return null;
  }

  /** Drops the part of an overlong frame that has arrived, and returns whether that was the rest of it. */
  #drop(buffer: ReadBuffer): boolean {
    const size = Math.min(this.#toDrop, buffer.length);
    buffer.drop(size);
    this.#toDrop -= size;
    this.needed = 1;
    if (this.#toDrop > 0 && buffer.ended()) {
      const expected = this.#toDrop;
      this.#toDrop = 0;
      throw createdDeep(() => new IncompleteReadError(Buffer.alloc(0), expected));
    }
    return this.#toDrop === 0;
  }
}

class PrefixedTaker extends SizedTaker<PrefixedCodec> {
  protected override next(buffer: ReadBuffer): unknown {
    let needed = 1;
    try {
      while (buffer.length >= needed) {
        const place = this.codec._placeAt(buffer.front(needed), buffer.frontStart);
        if (typeof place !== "number") {
          return buffer.takePart(place.size, place.from, place.to);
        }
        needed = place;
      }
    } catch (error) {
      return this.dropOrThrow(error);
    }
    return this.wait(buffer, needed, needed);
  }
}

/** For users' own codecs, which get a view of the bytes. */
class ViewTaker extends SizedTaker<Codec<unknown, never>> {
  protected override next(buffer: ReadBuffer): unknown {
    const { maxLength } = this.codec;
    let needed = 1;
    let found: Decoded<unknown> | number | null = null;
    while (buffer.length >= needed) {
      const chunk = buffer.front(needed);
      const view = chunk.subarray(buffer.frontStart);
      try {
        found = this.codec.decode(view);
      } catch (error) {
        return this.dropOrThrow(error);
      }
      if (found === null) {
        if (view.length >= maxLength) {
          // The end of the frame is unknown, so the frame cannot be skipped.
          throw overrun(view.length, "maxLength", maxLength, view.length);
        }
        needed = Math.max(view.length + 1, Math.min(buffer.length, maxLength));
        continue;
      }
      needed = checkedFrameSize(found, view.length);
      if (needed > maxLength) {
        return this.dropOrThrow(overrun(needed, "maxLength", maxLength, needed));
      }
      if (typeof found !== "number") {
        buffer.drop(needed);
        return found.frame;
      }
    }
    return this.wait(buffer, needed, typeof found === "number" ? found : null);
  }
}

/** Takes frames that end with a separator. */
class SeparatedTaker implements FrameTaker {
  readonly method = "receive";
  readonly owner = "Framed.";
  needed = 1;
  readonly #codec: SeparatedCodec<unknown, never>;
  /** Whether the bytes up to the next separator belong to a frame that is too long. */
  #isDropping = false;

  constructor(codec: SeparatedCodec<unknown, never>) {
    this.#codec = codec;
  }

  take(buffer: ReadBuffer): unknown {
    for (;;) {
      if (this.#isDropping && !this.#drop(buffer)) {
        return null;
      }
      try {
        return this.#next(buffer);
      } catch (error) {
        if (!(error instanceof LimitOverrunError && this.#codec.onOverrun === "skip")) {
          throw error;
        }
        this.#isDropping = true;
      }
    }
  }

  #next(buffer: ReadBuffer): unknown {
    const { kind } = this.#codec;
    const size = this.#codec.sizeAtHand(buffer);
    if (size > 0) {
      // Parsed within its chunk: a view of each line would cost a sixth of the whole.
      const chunk = buffer.front(size);
      const from = buffer.frontStart;
      buffer.drop(size);
      return kind.parse(chunk, from, from + size);
    }
    const bytes = this.#codec.take(buffer);
    if (bytes !== null) {
      return kind.parse(bytes, 0, bytes.length);
    }
    if (!buffer.ended()) {
      this.needed = buffer.length + 1;
      return null;
    }
    if (buffer.length === 0) {
      return END;
    }
    if (!kind.endIsSeparator) {
      throw createdDeep(() => new IncompleteReadError(buffer.takeAll(), null));
    }
    const rest = buffer.takeAll();
    return kind.parse(rest, 0, rest.length);
  }

  /** Drops the part of an overlong frame that has arrived, and returns whether that was the rest of it. */
  #drop(buffer: ReadBuffer): boolean {
    const { separators, endIsSeparator } = this.#codec.kind;
    if (buffer.through(separators, Number.POSITIVE_INFINITY) !== null) {
      this.#isDropping = false;
      return true;
    }
    // The last bytes may begin a separator.
    buffer.drop(buffer.length - separators.longest + 1);
    if (!buffer.ended()) {
      this.needed = buffer.length + 1;
      return false;
    }
    const partial = buffer.takeAll();
    this.#isDropping = false;
    if (!endIsSeparator) {
      throw createdDeep(() => new IncompleteReadError(partial, null));
    }
    return true;
  }
}

/**
 * Returns the size that `decode()` reported. Throws if a frame is larger than the bytes or cannot be told from EOF, or if
 * the bytes to wait for have already arrived.
 */
function checkedFrameSize(found: Decoded<unknown> | number, seen: number): number {
  const isWhole = typeof found === "object";
  const size = isWhole ? found.size : found;
  if (!(isWhole ? Number.isInteger(size) && size > 0 && size <= seen : size > seen)) {
    throw new TypeError(
      `decode() was given ${seen} bytes and returned ${isWhole ? "a frame of the size" : "the size"} ${repr(size)}; ` +
        "return { frame, size } for a frame whose bytes are there, a larger number if they are not",
    );
  }
  if (isWhole && (found.frame === null || found.frame === undefined)) {
    throw new TypeError(
      `decode() returned a frame that is ${found.frame}, but receive() returns null at EOF and tryReceive() when no frame ` +
        "has arrived; return an object that holds the value",
    );
  }
  return size;
}
