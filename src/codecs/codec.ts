/** Codec: the interface of codecs, and helpers that the codecs of this entry point share. */
import type { Buffer } from "node:buffer";
import { checkOptions, toBytes } from "../asyncio/arguments.ts";
import { createdDeep } from "../asyncio/async-stacks.ts";
import { LimitOverrunError, type StreamWriter, ValueError } from "../asyncio/index.ts";
import { isBytes, repr } from "../repr.ts";

/** The result of `decode()`: a frame, and the number of bytes it takes, including everything around it. */
export interface Decoded<Frame> {
  /** The content of the frame; not `null`, which means the end of the stream, and not `undefined`. */
  readonly frame: NonNullable<Frame>;
  /** How many bytes the frame takes, including head and separator. */
  readonly size: number;
}

/**
 * The treatment of a frame that is longer than the limit: `error` throws, `skip` drops the frame and continues after
 * it.
 */
export type OnOverrun = "error" | "skip";

/**
 * Encodes and decodes the frames of a protocol. A codec keeps no state, so any number of connections can share it.
 *
 * Python: has no such thing.
 *
 * @example Your own codec: a type of one byte, a length of two bytes, then the body
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { type Codec, framed } from "contextvars/codecs";
 * import assert from "node:assert/strict";
 *
 * interface Packet {
 *   readonly type: number;
 *   readonly body: Buffer;
 * }
 *
 * const packets: Codec<Packet> = {
 *   maxLength: 3 + 1024,
 *   decode(bytes) {
 *     if (bytes.length < 3) return 3;
 *     const size = 3 + bytes.readUInt16BE(1);
 *     if (bytes.length < size) return size;
 *     return { frame: { type: bytes.readUInt8(0), body: bytes.subarray(3, size) }, size };
 *   },
 *   encode({ type, body }) {
 *     const head = Buffer.alloc(3);
 *     head.writeUInt8(type, 0);
 *     head.writeUInt16BE(body.length, 1);
 *     return [head, body];
 *   },
 * };
 *
 * const reader = new asyncio.StreamReader();
 * reader.feedData(Buffer.from([7, 0, 2, 104, 105]));
 * const packet = await framed(reader, null, packets).receive();
 * assert.equal(packet?.type, 7);
 * assert.equal(String(packet?.body), "hi");
 * ```
 */
export interface Codec<In, Out = In> {
  /** How many bytes a frame may take, including its head. Every codec has a limit. */
  readonly maxLength: number;
  /** The treatment of a longer frame. @default "error" */
  readonly onOverrun?: OnOverrun | undefined;

  /**
   * Decodes the frame at the beginning of the bytes. The bytes are everything that has arrived, or as many as were
   * requested.
   *
   * If the frame is not complete, returns how many bytes it takes, or how many are needed to determine that; `null` if
   * that is unknown. Prefer a number: after `null`, `decode()` is called for every chunk that arrives, with all bytes
   * before it. A number above `maxLength` means that the frame is too long. The bytes may be kept but not changed.
   *
   * @throws {ValueError} If no frame can begin with the bytes; use the code `ERR_FRAME_LENGTH`. `receive()` throws the
   * same error, and the bytes stay in the reader.
   */
  decode(bytes: Buffer): Decoded<In> | number | null;

  /**
   * Returns the bytes of a frame, in one piece or several. If this throws, `send()` throws the same error and sends
   * nothing.
   */
  encode(item: Out): Uint8Array | string | readonly (Uint8Array | string)[];
}

/** A codec of this entry point. It places small frames into the writer's memory, without a Buffer for each. */
export interface WritingCodec<Out> {
  /** Writes a frame. @throws The errors of `encode()` and of the writer; nothing is written then. */
  _writeTo(writer: StreamWriter, item: Out): void;
}

/** Writes what `encode()` returned. */
export function writeEncoded(writer: StreamWriter, data: ReturnType<Codec<unknown>["encode"]>): void {
  if (typeof data === "string" || isBytes(data)) {
    writer.write(data);
  } else if (typeof data?.[Symbol.iterator] === "function") {
    writer.writelines(data);
  } else {
    throw new TypeError(`encode() must return bytes, a string or an array of them, got ${repr(data)}`);
  }
}

/** The default limit of a frame: the same as that of a line in a StreamReader. */
export const DEFAULT_MAX_LENGTH: number = 64 * 1024; // bytes

/** Returns the limit. @throws {ValueError} Unless it is a positive number of bytes. */
export function checkedLimit(name: string, limit: number): number {
  if (!Number.isSafeInteger(limit) || limit <= 0) {
    throw new ValueError(`${name} must be a positive integer, a number of bytes, got ${repr(limit)}`);
  }
  return limit;
}

/** Returns the number of bytes. @throws {ValueError} Unless it is an integer within the bounds. */
export function checkedSize(name: string, size: number, least: number, most: number): number {
  if (!Number.isSafeInteger(size) || size < least || size > most) {
    throw new ValueError(`${name} must be an integer from ${least} to ${most}, got ${repr(size)}`);
  }
  return size;
}

/** Returns the option, by default `error`. @throws {ValueError} If it is another value. */
export function checkedOnOverrun(onOverrun: OnOverrun = "error"): OnOverrun {
  if (onOverrun !== "error" && onOverrun !== "skip") {
    throw new ValueError(`onOverrun must be "error" or "skip", got ${repr(onOverrun)}`);
  }
  return onOverrun;
}

/** Throws if there is an option that the codec does not have. */
export function checkCodecOptions(codec: string, options: object, known: readonly string[]): void {
  checkOptions(`${codec}()`, options, [...known, "onOverrun"]);
}

/** Returns the bytes of the argument of `send()`. */
export function bytesOf(item: Uint8Array | string): Uint8Array {
  return toBytes("send()", item);
}

/** The error for an invalid head. */
export function badHead(message: string): ValueError {
  return createdDeep(() => new ValueError(message, { code: "ERR_FRAME_LENGTH" }));
}

/** The error for a received frame that is longer than allowed; `size` includes everything around it. */
export function overrun(length: number, option: string, limit: number, size: number): LimitOverrunError {
  const message = `a frame of ${length} bytes is longer than ${option}, ${limit}; give a larger ${option}, or onOverrun: "skip"`;
  return createdDeep(() => new LimitOverrunError(message, size, limit));
}

/** Throws if the other side, with the same limit, would not accept the frame. */
export function checkSendable(length: number, option: string, limit: number): void {
  if (length > limit) {
    throw badHead(`send(): a frame of ${length} bytes is longer than ${option}, ${limit}; give a larger ${option}`);
  }
}
