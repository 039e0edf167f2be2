/** Codecs whose frames end with a separator: lines, JSON lines, and frames with your own separators. */
import { Buffer } from "node:buffer";
import { createdDeep } from "../asyncio/async-stacks.ts";
import { LimitOverrunError, type Separator, type StreamWriter, ValueError } from "../asyncio/index.ts";
import { toSeparators } from "../asyncio/streams/read-arguments.ts";
import { ReadBuffer } from "../asyncio/streams/read-buffer.ts";
import { repr } from "../repr.ts";
import {
  bytesOf,
  type Codec,
  checkCodecOptions,
  checkedLimit,
  checkedOnOverrun,
  checkSendable,
  DEFAULT_MAX_LENGTH,
  type Decoded,
  type OnOverrun,
  type WritingCodec,
  writeEncoded,
} from "./codec.ts";

const NEWLINE = toSeparators("linesCodec()", "\n");
const NEWLINE_BYTE = 10;
const NEWLINE_BYTES = Uint8Array.of(NEWLINE_BYTE);
const RETURN_BYTE = 13;
/** The character that Node decodes invalid UTF-8 to. */
const REPLACEMENT = "\ufffd";

/** Options of {@linkcode linesCodec}. */
export interface LinesCodecOptions {
  /** How many bytes a line may have, without its newline. @default 65536 */
  maxLength?: number | undefined;
  /** How the text is encoded. @default "utf-8" */
  encoding?: "utf-8" | "utf8" | "latin1" | undefined;
  /** The treatment of a longer line. @default "error" */
  onOverrun?: OnOverrun | undefined;
}

/** Options of {@linkcode delimiterCodec}. */
export interface DelimiterCodecOptions {
  /** The maximum size of a frame in bytes, without its separator. @default 65536 */
  maxLength?: number | undefined;
  /** The treatment of a longer frame. @default "error" */
  onOverrun?: OnOverrun | undefined;
}

/** Options of {@linkcode jsonLinesCodec}. */
export interface JsonLinesCodecOptions {
  /** How many bytes a line may have, without its newline. @default 65536 */
  maxLength?: number | undefined;
  /** The treatment of a longer line. @default "error" */
  onOverrun?: OnOverrun | undefined;
}

/** The differences between the codecs of this file. */
interface Kind<In, Out> {
  readonly separators: ReturnType<typeof toSeparators>;
  /** Whether the bytes after the last separator at EOF are a frame. */
  readonly endIsSeparator: boolean;
  /** Returns the content of the frame that lies from `from` to before `to`, with its separator, except at EOF. */
  parse(bytes: Buffer, from: number, to: number): NonNullable<In>;
  /** Returns the bytes of a frame, without the separator. */
  format(item: Out): Uint8Array | string;
  /** The bytes written after each frame. */
  readonly terminator: Uint8Array;
}

/** A codec whose frames are found by the reader's own search, which examines no byte twice. */
export class SeparatedCodec<In, Out> implements Codec<In, Out>, WritingCodec<Out> {
  readonly maxLength: number;
  readonly onOverrun: OnOverrun;
  readonly kind: Kind<In, Out>;

  constructor(kind: Kind<In, Out>, options: DelimiterCodecOptions) {
    this.maxLength = checkedLimit("maxLength", options.maxLength ?? DEFAULT_MAX_LENGTH);
    this.onOverrun = checkedOnOverrun(options.onOverrun);
    this.kind = kind;
  }

  decode(bytes: Buffer): Decoded<In> | null {
    const buffer = new ReadBuffer(this.maxLength);
    buffer.push(bytes);
    const frame = this.take(buffer);
    return frame === null ? null : { frame: this.kind.parse(frame, 0, frame.length), size: frame.length };
  }

  encode(item: Out): Uint8Array | readonly Uint8Array[] {
    const content = this.kind.format(item);
    return this.#encode(content, this.#frameSize(content));
  }

  _writeTo(writer: StreamWriter, item: Out): void {
    const content = this.kind.format(item);
    const size = this.#frameSize(content);
    if (!writer._place(size, this, content)) {
      writeEncoded(writer, this.#encode(content, size));
    }
  }

  _putAt(target: Buffer, start: number, content: Uint8Array | string): void {
    const { terminator } = this.kind;
    // Joining the strings first would cost as much again.
    const length = typeof content === "string" ? target.write(content, start) : content.length;
    if (typeof content !== "string") {
      target.set(content, start);
    }
    target.set(terminator, start + length);
  }

  #encode(content: Uint8Array | string, size: number): Uint8Array | readonly Uint8Array[] {
    if (typeof content !== "string") {
      return [content, this.kind.terminator];
    }
    const frame = Buffer.allocUnsafe(size);
    this._putAt(frame, 0, content);
    return frame;
  }

  #frameSize(content: Uint8Array | string): number {
    const length = typeof content === "string" ? Buffer.byteLength(content) : content.length;
    checkSendable(length, "maxLength", this.maxLength);
    return length + this.kind.terminator.length;
  }

  /** The size of the next frame with its separator, if both lie in the first chunk; otherwise 0. Finds lines only. */
  sizeAtHand(buffer: ReadBuffer): number {
    return this.kind.separators === NEWLINE ? buffer.lineSizeAtHand(this.maxLength) : 0;
  }

  /** Takes the next frame with its separator; returns `null` if the separator has not arrived. */
  take(buffer: ReadBuffer): Buffer | null {
    try {
      return buffer.through(this.kind.separators, this.maxLength);
    } catch (error) {
      throw error instanceof LimitOverrunError ? tooLong(error) : error;
    }
  }
}

/**
 * Returns a codec for lines of text. A newline ends a line; neither the newline nor a carriage return before it is part
 * of the line.
 *
 * `receive()` returns strings. At EOF, text after the last newline is a line as well. If a line is not UTF-8,
 * `receive()` throws a `ValueError` with the code `ERR_FRAME_CONTENT`; the next call continues after that line.
 * `send()` appends `\n`; for a protocol that requires `\r\n`, end the line with `\r`.
 *
 * If a line is too long, `receive()` throws a `LimitOverrunError` with `onOverrun: "error"`, and the line stays in the
 * reader; with `"skip"` the line is dropped including its newline.
 *
 * Python: has no such thing; `readline()` returns bytes with their newline.
 *
 * @throws {ValueError} If an option is out of range.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { framed, linesCodec } from "contextvars/codecs";
 * import assert from "node:assert/strict";
 *
 * const reader = new asyncio.StreamReader();
 * reader.feedData(Buffer.from("one\r\ntwo\n"));
 * reader.feedEof();
 * const lines: string[] = [];
 * for await (const line of framed(reader, null, linesCodec())) lines.push(line);
 * assert.deepEqual(lines, ["one", "two"]);
 * ```
 */
export function linesCodec(options: LinesCodecOptions = {}): Codec<string> {
  checkCodecOptions("linesCodec", options, ["maxLength", "encoding"]);
  const { encoding = "utf-8" } = options;
  if (encoding !== "utf-8" && encoding !== "utf8" && encoding !== "latin1") {
    throw new ValueError(`linesCodec(): encoding must be "utf-8" or "latin1", got ${repr(encoding)}`);
  }
  const isLatin1 = encoding === "latin1";
  return new SeparatedCodec(
    {
      separators: NEWLINE,
      endIsSeparator: true,
      terminator: NEWLINE_BYTES,
      parse(bytes, from, to) {
        let end = to;
        if (bytes[end - 1] === NEWLINE_BYTE) {
          end -= end - 2 >= from && bytes[end - 2] === RETURN_BYTE ? 2 : 1;
        }
        return isLatin1 ? bytes.toString("latin1", from, end) : decodeUtf8(bytes, from, end);
      },
      format(item) {
        if (typeof item !== "string") {
          throw new TypeError(`send(): frame must be a string, got ${repr(item)}`);
        }
        if (item.includes("\n")) {
          throw badContent(`send(): frame must not contain a newline, got ${repr(item)}`);
        }
        return isLatin1 ? encodeLatin1(item) : item;
      },
    },
    options,
  );
}

/**
 * Returns a codec for frames that end with your own separator, or with one of several.
 *
 * `receive()` returns Buffers without the separator. Of several separators, the one that ends first ends the frame, and
 * the longest of those that end at the same place. If EOF follows bytes without a separator, `receive()` throws an
 * `IncompleteReadError`. `send()` appends the first separator, and throws a `ValueError` if the item contains a
 * separator.
 *
 * Python: has no such thing; `readuntil()` returns bytes with their separator.
 *
 * @param separators - Bytes, a string, or an array of them.
 * @throws {ValueError} If a separator is empty, the array is empty, or an option is out of range.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { delimiterCodec, framed } from "contextvars/codecs";
 * import assert from "node:assert/strict";
 *
 * const reader = new asyncio.StreamReader();
 * reader.feedData(Buffer.from("one;two|"));
 * const frames = framed(reader, null, delimiterCodec([";", "|"]));
 * assert.equal(String(await frames.receive()), "one");
 * assert.equal(String(await frames.receive()), "two");
 * ```
 */
export function delimiterCodec(
  separators: Separator | readonly Separator[],
  options: DelimiterCodecOptions = {},
): Codec<Buffer, Uint8Array | string> {
  checkCodecOptions("delimiterCodec", options, ["maxLength"]);
  const shortestFirst = toSeparators("delimiterCodec()", separators);
  // Of separators that end at the same place, the search finds the first in the list.
  const needles = { ...shortestFirst, needles: [...shortestFirst.needles].reverse() };
  const parse = (bytes: Buffer, from: number, to: number): Buffer => {
    const ending = needles.needles.find((each) => endsWith(bytes, to, each));
    return bytes.subarray(from, to - (ending?.length ?? 0));
  };
  const terminator = bytesOf(Array.isArray(separators) ? (separators[0] as Separator) : (separators as Separator));
  return new SeparatedCodec<Buffer, Uint8Array | string>(
    {
      separators: needles,
      endIsSeparator: false,
      terminator,
      parse,
      format(item) {
        const bytes = bytesOf(item);
        // A separator may also begin in the item and end in the separator after it, or lie within that one.
        const received = new ReadBuffer(Number.POSITIVE_INFINITY);
        received.push(Buffer.concat([bytes, terminator]));
        const frame = received.until(needles);
        if (
          frame?.length !== bytes.length + terminator.length ||
          parse(frame, 0, frame.length).length !== bytes.length
        ) {
          throw badContent(`send(): a frame cannot contain a separator, got ${repr(item)}`);
        }
        return bytes;
      },
    },
    options,
  );
}

/**
 * Returns a codec for JSON Lines: a JSON value in each line.
 *
 * `receive()` returns the parsed value. At EOF, text after the last newline is a line as well. If a line is not UTF-8,
 * is not JSON, or is `null` (which would mean EOF), `receive()` throws a `ValueError` with the code
 * `ERR_FRAME_CONTENT`; the next call continues after that line. `send()` throws for `null`, and for values that JSON
 * cannot represent.
 *
 * Python: has no such thing.
 *
 * @throws {ValueError} If an option is out of range.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { framed, jsonLinesCodec } from "contextvars/codecs";
 * import assert from "node:assert/strict";
 *
 * const reader = new asyncio.StreamReader();
 * reader.feedData(Buffer.from('{"id":1}\n[2]\n'));
 * const values = framed(reader, null, jsonLinesCodec());
 * assert.deepEqual(await values.receive(), { id: 1 });
 * assert.deepEqual(await values.receive(), [2]);
 * ```
 */
export function jsonLinesCodec<In = unknown, Out = unknown>(options: JsonLinesCodecOptions = {}): Codec<In, Out> {
  checkCodecOptions("jsonLinesCodec", options, ["maxLength"]);
  return new SeparatedCodec<In, Out>(
    {
      separators: NEWLINE,
      endIsSeparator: true,
      terminator: NEWLINE_BYTES,
      parse: (bytes, from, to) => parseJson(decodeUtf8(bytes, from, to)) as NonNullable<In>,
      format: formatJson,
    },
    options,
  );
}

function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badContent(`a line is not JSON: ${repr(text.slice(0, 80))}`, error);
  }
  if (value === null) {
    throw badContent("a line is null, which receive() returns at EOF; send an object that holds it");
  }
  return value;
}

function formatJson(item: unknown): string {
  const text = JSON.stringify(item) as string | undefined;
  if (text === undefined || text === "null") {
    throw badContent(`send(): ${repr(item)} cannot be sent as a line of JSON; send an object that holds it`);
  }
  return text;
}

function decodeUtf8(bytes: Buffer, from: number, to: number): string {
  const text = bytes.toString("utf8", from, to);
  if (text.includes(REPLACEMENT)) {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(from, to));
    } catch (error) {
      throw badContent(`a line is not UTF-8: ${repr(text.slice(0, 80))}`, error);
    }
  }
  return text;
}

function encodeLatin1(text: string): Uint8Array {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.toString("latin1") !== text) {
    throw badContent(`send(): latin1 cannot encode ${repr(text)}`);
  }
  return bytes;
}

/** Whether the bytes before `to` end with these; the bytes begin at 0. */
function endsWith(bytes: Buffer, to: number, end: Buffer): boolean {
  return to >= end.length && bytes.compare(end, 0, end.length, to - end.length, to) === 0;
}

function tooLong({ consumed, limit }: LimitOverrunError): LimitOverrunError {
  const message = `no separator within maxLength, ${limit} bytes; give a larger maxLength, or onOverrun: "skip"`;
  return createdDeep(() => new LimitOverrunError(message, consumed, limit));
}

/** The error for a complete frame whose content is invalid. */
function badContent(message: string, cause?: unknown): ValueError {
  const given = cause === undefined ? {} : { cause };
  return createdDeep(() => new ValueError(message, { code: "ERR_FRAME_CONTENT", ...given }));
}
