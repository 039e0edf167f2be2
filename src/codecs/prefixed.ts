/** Codecs whose frames begin with their length: as a fixed-size number, as a varint, or as decimal digits. */
import { Buffer } from "node:buffer";
import { checkBooleans } from "../asyncio/arguments.ts";
import { type StreamWriter, ValueError } from "../asyncio/index.ts";
import {
  badHead,
  bytesOf,
  type Codec,
  checkCodecOptions,
  checkedLimit,
  checkedOnOverrun,
  checkedSize,
  checkSendable,
  DEFAULT_MAX_LENGTH,
  type Decoded,
  type OnOverrun,
  overrun,
  type WritingCodec,
  writeEncoded,
} from "./codec.ts";

/** The maximum size of the length field, and of the bytes around it. */
const MAX_HEAD = 64 * 1024; // bytes
/** The number of decimal digits that JavaScript always represents exactly. */
const MAX_DIGITS = 15;
/** A frame of at most this size is copied after its head and sent as one piece: several would cost more than the copy. */
const COPIED = 1024; // bytes
const NOTHING = new Uint8Array(0);
const COMMA = 44;
const COLON = 58;
const DIGIT_0 = 48;

/** Options of {@linkcode lengthDelimitedCodec}. */
export interface LengthDelimitedCodecOptions {
  /** How many bytes the length takes, from 1 to 8. @default 4 */
  lengthFieldLength?: number | undefined;
  /** How many bytes precede the length. @default 0 */
  lengthFieldOffset?: number | undefined;
  /** Added to the length to get the number of bytes that follow the skipped ones. @default 0 */
  lengthAdjustment?: number | undefined;
  /** How many bytes at the beginning are not part of the frame. @default everything up to the end of the length */
  numSkip?: number | undefined;
  /** Whether the length has its lowest byte first. @default false */
  littleEndian?: boolean | undefined;
  /** The maximum size of a frame in bytes, without the skipped ones. @default 8388608 */
  maxFrameLength?: number | undefined;
  /** The treatment of a longer frame. @default "error" */
  onOverrun?: OnOverrun | undefined;
}

/** Options of {@linkcode varintCodec}. */
export interface VarintCodecOptions {
  /** The maximum size of a frame in bytes, without its length. @default 4194304 */
  maxFrameLength?: number | undefined;
  /** How many bytes the length may take, from 1 to 10. @default 8 */
  maxLengthLength?: number | undefined;
  /** The treatment of a longer frame. @default "error" */
  onOverrun?: OnOverrun | undefined;
}

/** Options of {@linkcode netstringCodec}. */
export interface NetstringCodecOptions {
  /** The maximum size of a frame in bytes, without its length and the comma. @default 65536 */
  maxLength?: number | undefined;
  /** The treatment of a longer frame. @default "error" */
  onOverrun?: OnOverrun | undefined;
}

/** The place of a frame: how many bytes it takes, and which of them are its content. */
export interface Place {
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/**
 * A codec that decodes within a larger Buffer: an extra view of all bytes for each frame would cost as much as the
 * frame's own view.
 */
export abstract class PrefixedCodec implements Codec<Buffer, Uint8Array | string>, WritingCodec<Uint8Array | string> {
  abstract readonly maxLength: number;
  readonly onOverrun: OnOverrun;
  /** The bytes after each frame. */
  readonly #tail: Uint8Array;

  constructor(onOverrun: OnOverrun | undefined, tail: Uint8Array = NOTHING) {
    this.onOverrun = checkedOnOverrun(onOverrun);
    this.#tail = tail;
  }

  decode(bytes: Buffer): Decoded<Buffer> | number {
    const found = this._placeAt(bytes, 0);
    return typeof found === "number" ? found : { frame: bytes.subarray(found.from, found.to), size: found.size };
  }

  /** Like `decode()`, for a frame that begins at `start`. */
  abstract _placeAt(bytes: Buffer, start: number): Place | number;

  encode(item: Uint8Array | string): Uint8Array | readonly Uint8Array[] {
    const bytes = bytesOf(item);
    return this.#encode(bytes, this._headSize(bytes));
  }

  _writeTo(writer: StreamWriter, item: Uint8Array | string): void {
    const bytes = bytesOf(item);
    const headSize = this._headSize(bytes);
    const size = headSize + bytes.length + this.#tail.length;
    if (bytes.length > COPIED || !writer._place(size, this, bytes)) {
      writeEncoded(writer, this.#encode(bytes, headSize));
    }
  }

  _putAt(target: Buffer, start: number, bytes: Uint8Array): void {
    const bodyStart = this._putHead(target, start, bytes);
    target.set(bytes, bodyStart);
    if (this.#tail.length > 0) {
      target.set(this.#tail, bodyStart + bytes.length);
    }
  }

  #encode(bytes: Uint8Array, headSize: number): Uint8Array | readonly Uint8Array[] {
    if (bytes.length > COPIED) {
      const head = Buffer.allocUnsafe(headSize);
      this._putHead(head, 0, bytes);
      return [head, bytes, this.#tail];
    }
    const frame = Buffer.allocUnsafe(headSize + bytes.length + this.#tail.length);
    this._putAt(frame, 0, bytes);
    return frame;
  }

  /** How many bytes precede the content in a frame. @throws {ValueError} If the content cannot be sent. */
  protected abstract _headSize(bytes: Uint8Array): number;

  /** Writes the bytes that precede the content, and returns where they end. */
  protected abstract _putHead(target: Buffer, start: number, bytes: Uint8Array): number;
}

/**
 * Returns a codec for frames that begin with their length, a number of one to eight bytes.
 *
 * `receive()` returns Buffers, which are views of the bytes that arrived. If a length is negative after
 * `lengthAdjustment`, `receive()` throws a `ValueError` with the code `ERR_FRAME_LENGTH`. `send()` writes the skipped
 * bytes as zeros, with the length among them; if `numSkip` leaves the length in the frame, an item has to contain it,
 * as a received frame does.
 *
 * Python: has no such thing. The options are those of tokio's `LengthDelimitedCodec`.
 *
 * @throws {ValueError} If an option is out of range.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { framed, lengthDelimitedCodec } from "contextvars/codecs";
 * import assert from "node:assert/strict";
 *
 * const reader = new asyncio.StreamReader();
 * reader.feedData(Buffer.from("\x00\x05hello"));
 * const frames = framed(reader, null, lengthDelimitedCodec({ lengthFieldLength: 2 }));
 * assert.equal(String(await frames.receive()), "hello");
 * ```
 */
export function lengthDelimitedCodec(options: LengthDelimitedCodecOptions = {}): Codec<Buffer, Uint8Array | string> {
  checkCodecOptions("lengthDelimitedCodec", options, [
    "lengthFieldLength",
    "lengthFieldOffset",
    "lengthAdjustment",
    "numSkip",
    "littleEndian",
    "maxFrameLength",
  ]);
  checkBooleans(options, ["littleEndian"]);
  return new LengthDelimitedCodec(options);
}

class LengthDelimitedCodec extends PrefixedCodec {
  readonly maxLength: number;
  readonly #maxFrameLength: number;
  readonly #fieldStart: number;
  readonly #fieldEnd: number;
  /** The smallest number that does not fit into the length field. */
  readonly #fieldLimit: number;
  readonly #adjustment: number;
  readonly #skip: number;
  readonly #littleEndian: boolean;
  /** How many bytes have to arrive before the length of a frame is known. */
  readonly #head: number;

  constructor(options: LengthDelimitedCodecOptions) {
    super(options.onOverrun);
    const most = Number.MAX_SAFE_INTEGER;
    this.#fieldStart = checkedSize("lengthFieldOffset", options.lengthFieldOffset ?? 0, 0, MAX_HEAD);
    this.#fieldEnd = this.#fieldStart + checkedSize("lengthFieldLength", options.lengthFieldLength ?? 4, 1, 8);
    this.#adjustment = checkedSize("lengthAdjustment", options.lengthAdjustment ?? 0, -most, most);
    this.#skip = checkedSize("numSkip", options.numSkip ?? this.#fieldEnd, 0, MAX_HEAD);
    if (this.#skip > this.#fieldStart && this.#skip < this.#fieldEnd) {
      throw new ValueError(
        `numSkip must be at most ${this.#fieldStart} or at least ${this.#fieldEnd}, to not cut the length in two, got ${this.#skip}`,
      );
    }
    this.#littleEndian = options.littleEndian ?? false;
    this.#maxFrameLength = checkedLimit("maxFrameLength", options.maxFrameLength ?? 8 * 1024 * 1024);
    this.#fieldLimit = 256 ** (this.#fieldEnd - this.#fieldStart);
    this.#head = Math.max(this.#fieldEnd, this.#skip);
    this.maxLength = this.#skip + this.#maxFrameLength;
  }

  _placeAt(bytes: Buffer, start: number): Place | number {
    if (bytes.length - start < this.#head) {
      return this.#head;
    }
    const field = this.#fieldAt(bytes, start);
    const length = field + this.#adjustment;
    const size = this.#skip + length;
    if (length < 0 || size < this.#head) {
      throw badHead(`the length of a frame is too small: ${field}, adjusted by ${this.#adjustment}`);
    }
    if (length > this.#maxFrameLength) {
      throw overrun(length, "maxFrameLength", this.#maxFrameLength, size);
    }
    return bytes.length - start < size ? size : { size, from: this.#skip, to: size };
  }

  protected override _headSize(bytes: Uint8Array): number {
    checkSendable(bytes.length, "maxFrameLength", this.#maxFrameLength);
    const field = bytes.length - this.#adjustment;
    if (field < 0 || field >= this.#fieldLimit) {
      throw badHead(`send(): the length ${field} does not fit into ${this.#fieldEnd - this.#fieldStart} bytes`);
    }
    if (this.#skip < this.#fieldEnd) {
      this.#checkOwnLength(bytes, field);
    }
    return this.#skip;
  }

  /** Writes the skipped bytes, with the length among them. */
  protected override _putHead(target: Buffer, start: number, bytes: Uint8Array): number {
    const end = start + this.#skip;
    const fieldStart = start + this.#fieldStart;
    const fieldEnd = start + this.#fieldEnd;
    if (end !== fieldEnd || this.#fieldStart > 0) {
      target.fill(0, start, end);
    }
    if (fieldEnd > end) {
      return end;
    }
    // Bitwise operators use only the lowest 32 bits.
    const field = bytes.length - this.#adjustment;
    const high = Math.floor(field / 2 ** 32);
    for (let i = 0; i < fieldEnd - fieldStart; i++) {
      const byte = i < 4 ? field >>> (8 * i) : high >>> (8 * (i - 4));
      target[this.#littleEndian ? fieldStart + i : fieldEnd - 1 - i] = byte;
    }
    return end;
  }

  #fieldAt(bytes: Uint8Array, start: number): number {
    const from = start + this.#fieldStart;
    const to = start + this.#fieldEnd;
    let value = 0;
    // Above 2 ** 53 the number is not exact, but it exceeds any limit.
    for (let i = from; i < to; i++) {
      value = value * 256 + (bytes[this.#littleEndian ? from + to - 1 - i : i] as number);
    }
    return value;
  }

  /** Throws unless the length that is part of the content is correct. */
  #checkOwnLength(bytes: Uint8Array, field: number): void {
    if (bytes.length + this.#skip < this.#fieldEnd || this.#fieldAt(bytes, -this.#skip) !== field) {
      throw badHead(`send(): the frame must contain its own length, ${field}, because numSkip is ${this.#skip}`);
    }
  }
}

/**
 * Returns a codec for frames that begin with their length as a varint, as in a stream of Protocol Buffers messages.
 *
 * `receive()` returns Buffers, which are views of the bytes that arrived. If a length takes more than `maxLengthLength`
 * bytes, `receive()` throws a `ValueError` with the code `ERR_FRAME_LENGTH`.
 *
 * Python: has no such thing.
 *
 * @throws {ValueError} If an option is out of range.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { framed, varintCodec } from "contextvars/codecs";
 * import assert from "node:assert/strict";
 *
 * const reader = new asyncio.StreamReader();
 * reader.feedData(Buffer.from("\x05hello"));
 * assert.equal(String(await framed(reader, null, varintCodec()).receive()), "hello");
 * ```
 */
export function varintCodec(options: VarintCodecOptions = {}): Codec<Buffer, Uint8Array | string> {
  checkCodecOptions("varintCodec", options, ["maxFrameLength", "maxLengthLength"]);
  return new VarintCodec(options);
}

class VarintCodec extends PrefixedCodec {
  readonly maxLength: number;
  readonly #maxFrameLength: number;
  readonly #maxLengthLength: number;

  constructor(options: VarintCodecOptions) {
    super(options.onOverrun);
    this.#maxFrameLength = checkedLimit("maxFrameLength", options.maxFrameLength ?? 4 * 1024 * 1024);
    this.#maxLengthLength = checkedSize("maxLengthLength", options.maxLengthLength ?? 8, 1, 10);
    this.maxLength = this.#maxFrameLength + this.#maxLengthLength;
  }

  _placeAt(bytes: Buffer, start: number): Place | number {
    let length = 0;
    let factor = 1;
    for (let i = start; i < bytes.length; i++) {
      const byte = bytes[i] as number;
      length += (byte & 0x7f) * factor;
      factor *= 128;
      const head = i + 1 - start;
      if (byte < 0x80) {
        const size = head + length;
        if (length > this.#maxFrameLength) {
          throw overrun(length, "maxFrameLength", this.#maxFrameLength, size);
        }
        return bytes.length - start < size ? size : { size, from: head, to: size };
      }
      if (head === this.#maxLengthLength) {
        throw badHead(`the length of a frame takes more than ${head} bytes (maxLengthLength)`);
      }
    }
    return bytes.length - start + 1;
  }

  protected override _headSize(bytes: Uint8Array): number {
    checkSendable(bytes.length, "maxFrameLength", this.#maxFrameLength);
    let size = 1;
    for (let left = bytes.length; left >= 0x80; left = Math.floor(left / 128)) {
      size += 1;
    }
    if (size > this.#maxLengthLength) {
      throw badHead(`send(): the length of the frame takes ${size} bytes, maxLengthLength is ${this.#maxLengthLength}`);
    }
    return size;
  }

  protected override _putHead(target: Buffer, start: number, bytes: Uint8Array): number {
    let end = start;
    let left = bytes.length;
    for (; left >= 0x80; left = Math.floor(left / 128)) {
      target[end] = (left % 128) + 128;
      end += 1;
    }
    target[end] = left;
    return end + 1;
  }
}

/**
 * Returns a codec for netstrings: the length in decimal digits, a colon, the bytes, a comma.
 *
 * `receive()` returns Buffers, which are views of the bytes that arrived. If a length has a leading zero or contains
 * anything except digits, or if the comma is missing, `receive()` throws a `ValueError` with the code
 * `ERR_FRAME_LENGTH`.
 *
 * Python: has no such thing.
 *
 * @throws {ValueError} If an option is out of range.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { framed, netstringCodec } from "contextvars/codecs";
 * import assert from "node:assert/strict";
 *
 * const reader = new asyncio.StreamReader();
 * reader.feedData(Buffer.from("12:hello world!,"));
 * assert.equal(String(await framed(reader, null, netstringCodec()).receive()), "hello world!");
 * ```
 */
export function netstringCodec(options: NetstringCodecOptions = {}): Codec<Buffer, Uint8Array | string> {
  checkCodecOptions("netstringCodec", options, ["maxLength"]);
  return new NetstringCodec(options);
}

class NetstringCodec extends PrefixedCodec {
  readonly maxLength: number;
  readonly #maxFrameLength: number;

  constructor(options: NetstringCodecOptions) {
    super(options.onOverrun, Uint8Array.of(COMMA));
    this.#maxFrameLength = checkedLimit("maxLength", options.maxLength ?? DEFAULT_MAX_LENGTH);
    this.maxLength = MAX_DIGITS + 1 + this.#maxFrameLength + 1;
  }

  _placeAt(bytes: Buffer, start: number): Place | number {
    let length = 0;
    for (let i = start; i < bytes.length; i++) {
      const digit = (bytes[i] as number) - DIGIT_0;
      if (bytes[i] === COLON && i > start) {
        return this.#bodyAt(bytes, start, i + 1, length);
      }
      if (digit < 0 || digit > 9) {
        throw badHead(`a netstring begins with its length and a colon, got the byte ${bytes[i]}`);
      }
      if (i > start && length === 0) {
        throw badHead("the length of a netstring begins with 0");
      }
      if (i - start === MAX_DIGITS) {
        throw badHead(`the length of a netstring has more than ${MAX_DIGITS} digits`);
      }
      length = length * 10 + digit;
    }
    return bytes.length - start + 1;
  }

  protected override _headSize(bytes: Uint8Array): number {
    checkSendable(bytes.length, "maxLength", this.#maxFrameLength);
    return String(bytes.length).length + 1;
  }

  protected override _putHead(target: Buffer, start: number, bytes: Uint8Array): number {
    return start + target.write(`${bytes.length}:`, start, "latin1");
  }

  #bodyAt(bytes: Buffer, start: number, from: number, length: number): Place | number {
    const end = from + length;
    const size = end + 1 - start;
    if (length > this.#maxFrameLength) {
      throw overrun(length, "maxLength", this.#maxFrameLength, size);
    }
    if (bytes.length <= end) {
      return size;
    }
    if (bytes[end] !== COMMA) {
      throw badHead(`a netstring of ${length} bytes ends with a comma, got the byte ${bytes[end]}`);
    }
    return { size, from: from - start, to: end - start };
  }
}
