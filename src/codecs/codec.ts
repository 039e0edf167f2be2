/** Codec: how frames stand in the bytes, and what the codecs of this entry point have in common. */
import { Buffer } from "node:buffer";
import { checkOptions } from "../asyncio/arguments.ts";
import { LimitOverrunError, ValueError } from "../asyncio/index.ts";
import { repr } from "../repr.ts";

/** What `decode()` found: a frame, and how many bytes it takes, with everything around it. */
export interface Decoded<Frame> {
  /** What the frame says; not `null`, which stands for the end of the stream. */
  readonly frame: Frame;
  /** How many bytes the frame takes, head and separator included. */
  readonly size: number;
}

/** What becomes of a frame that is longer than the limit: `error` throws, `skip` drops the frame and goes on behind it. */
export type OnOverrun = "error" | "skip";

/**
 * How one protocol puts frames into bytes. The same codec can serve any number of connections: it keeps no state.
 *
 * Python: has no such thing.
 *
 * @example A codec of one's own: a type of one byte, a length of two, then the body
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
  /** How many bytes a frame may take, its head included. There is no codec without a limit. */
  readonly maxLength: number;
  /** What becomes of a frame that is longer. @default "error" */
  readonly onOverrun?: OnOverrun | undefined;

  /**
   * Looks for a frame at the beginning of the bytes, which hold everything that has arrived, or as much as was asked for.
   *
   * If the frame is not complete, returns how many bytes it takes, or how many are needed to know that; `null` if that
   * cannot be told. A number is better: after `null`, every chunk that arrives is looked at together with all bytes
   * before it. A number above `maxLength` is a frame that is too long. The bytes may be kept, not changed.
   *
   * @throws {ValueError} For bytes that no frame can begin with; best with the code `ERR_FRAME_LENGTH`. `receive()` throws
   * what `decode()` throws, and the bytes stay in the reader.
   */
  decode(bytes: Buffer): Decoded<In> | number | null;

  /** Returns the bytes of a frame, in one piece or several. `send()` throws what this throws, and sends nothing. */
  encode(item: Out): Uint8Array | string | readonly (Uint8Array | string)[];
}

/** How many bytes a frame may have unless said otherwise: as many as a line of a StreamReader. */
export const DEFAULT_MAX_LENGTH: number = 64 * 1024; // bytes

/** Returns a limit. @throws {ValueError} Unless it is a positive number of bytes. */
export function checkedLimit(name: string, limit: number): number {
  if (!Number.isSafeInteger(limit) || limit <= 0) {
    throw new ValueError(`${name} must be a positive integer, a number of bytes, got ${repr(limit)}`);
  }
  return limit;
}

/** Returns a number of bytes within bounds. @throws {ValueError} If it is another one. */
export function checkedSize(name: string, size: number, least: number, most: number): number {
  if (!Number.isSafeInteger(size) || size < least || size > most) {
    throw new ValueError(`${name} must be an integer from ${least} to ${most}, got ${repr(size)}`);
  }
  return size;
}

/** Returns what becomes of frames that are too long, by default an error. @throws {ValueError} If it is anything else. */
export function checkedOnOverrun(onOverrun: OnOverrun = "error"): OnOverrun {
  if (onOverrun !== "error" && onOverrun !== "skip") {
    throw new ValueError(`onOverrun must be "error" or "skip", got ${repr(onOverrun)}`);
  }
  return onOverrun;
}

/** Refuses options that the codec does not have. */
export function checkCodecOptions(codec: string, options: object, known: readonly string[]): void {
  checkOptions(`${codec}()`, options, [...known, "onOverrun"]);
}

/** The bytes of what was given to `send()`. */
export function bytesOf(item: Uint8Array | string): Uint8Array {
  if (typeof item === "string") {
    return Buffer.from(item);
  }
  if (!(item instanceof Uint8Array)) {
    throw new TypeError(`send() needs a Uint8Array or a string, got ${repr(item)}`);
  }
  return item;
}

/** The error for a head that no frame can have. */
export function badHead(message: string): ValueError {
  return new ValueError(message, { code: "ERR_FRAME_LENGTH" });
}

/** The error for a frame that arrives and is longer than allowed; `size` with everything around it. */
export function overrun(length: number, option: string, limit: number, size: number): LimitOverrunError {
  return new LimitOverrunError(
    `a frame of ${length} bytes is longer than ${option}, ${limit}; give a larger ${option}, or onOverrun: "skip"`,
    size,
    limit,
  );
}

/** Refuses to send what the other side, with the same limit, would not take. */
export function checkSendable(length: number, option: string, limit: number): void {
  if (length > limit) {
    throw badHead(`send(): a frame of ${length} bytes is longer than ${option}, ${limit}; give a larger ${option}`);
  }
}
