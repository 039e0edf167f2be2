/** The codecs with options whose values are drawn, beside models that know the frames because they have laid them out. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { type Codec, delimiterCodec, framed, lengthDelimitedCodec, varintCodec } from "contextvars/codecs";
import * as fc from "fast-check";
import { encoded } from "../support/codecs.ts";
import { chunkings, cut } from "../support/peers-bytes.ts";

const byteArrays = fc.uint8Array({ maxLength: 60 });

/** The frames in the bytes, and the name of the error after them; `null` for a clean end. */
async function framesOf(codec: Codec<Buffer, never>, chunks: readonly Buffer[]): Promise<[Buffer[], string | null]> {
  const frames: Buffer[] = [];
  try {
    for await (const frame of framed(asyncio.StreamReader.from(chunks), null, codec)) {
      frames.push(frame);
    }
  } catch (error) {
    const { name, code } = error as Error & { code?: string };
    return [frames, code === "ERR_FRAME_LENGTH" ? code : name];
  }
  return [frames, null];
}

describe("lengthDelimitedCodec() with any options", () => {
  const layouts = fc
    .record({
      lengthFieldLength: fc.integer({ min: 1, max: 8 }),
      lengthFieldOffset: fc.nat({ max: 5 }),
      lengthAdjustment: fc.integer({ min: -20, max: 20 }),
      littleEndian: fc.boolean(),
      more: fc.nat({ max: 4 }),
      keepsLength: fc.boolean(),
    })
    .map(({ more, keepsLength, ...options }) => {
      const { lengthFieldOffset: from, lengthFieldLength: size } = options;
      return { ...options, numSkip: keepsLength ? Math.min(more, from) : from + size + more };
    });
  type Layout = typeof layouts extends fc.Arbitrary<infer T> ? T : never;

  /** A frame with its head around these bytes; `null` if the layout has no place for a frame of that size. */
  function laidOut(layout: Layout, skipped: Uint8Array, content: Uint8Array): Buffer | null {
    const { lengthFieldLength, lengthFieldOffset, lengthAdjustment, littleEndian, numSkip } = layout;
    const field = content.length - lengthAdjustment;
    const whole = Buffer.concat([Buffer.concat([skipped], numSkip), content]);
    const end = lengthFieldOffset + lengthFieldLength;
    if (field < 0 || field >= 256 ** lengthFieldLength || whole.length < end) {
      return null;
    }
    const digits = Buffer.alloc(8);
    digits.writeBigUInt64BE(BigInt(field));
    const written = digits.subarray(8 - lengthFieldLength);
    whole.set(littleEndian ? written.reverse() : written, lengthFieldOffset);
    return whole;
  }

  it("finds the frames, however they were cut, and the end that is missing", async () => {
    const parts = fc.array(fc.tuple(byteArrays, byteArrays), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(layouts, parts, chunkings, fc.nat({ max: 3 }), async (layout, drawn, cuts, missing) => {
        const wholes = drawn.flatMap(([skipped, content]) => laidOut(layout, skipped, content) ?? []);
        const codec = lengthDelimitedCodec(layout);
        const bytes = Buffer.concat(wholes);
        const isCut = missing > 0 && missing < (wholes.at(-1)?.length ?? 0);
        const sent = isCut ? bytes.subarray(0, -missing) : bytes;
        const expected = (isCut ? wholes.slice(0, -1) : wholes).map((whole) => whole.subarray(layout.numSkip));
        const error = isCut ? "IncompleteReadError" : null;
        assert.deepEqual(await framesOf(codec, cut(sent, cuts)), [expected, error]);
      }),
      { numRuns: 300 },
    );
  });

  it("sends what another one with the same options finds, with zeros where nothing is known", () => {
    fc.assert(
      fc.property(layouts, byteArrays, (layout, content) => {
        const whole = laidOut(layout, Buffer.alloc(0), content);
        const codec = lengthDelimitedCodec(layout);
        if (whole === null) {
          assert.throws(() => codec.encode(content), { code: "ERR_FRAME_LENGTH" });
        } else {
          assert.deepEqual(encoded(codec as Codec<unknown, never>, [whole.subarray(layout.numSkip)]), whole);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("varintCodec() with any options", () => {
  it("reads the length with 7 bits in each byte, in as many bytes as are allowed", async () => {
    const limits = fc.record({
      maxFrameLength: fc.integer({ min: 1, max: 40 }),
      maxLengthLength: fc.integer({ min: 1, max: 10 }),
    });
    await fc.assert(
      fc.asyncProperty(limits, byteArrays, fc.nat({ max: 10 }), chunkings, async (options, content, padding, cuts) => {
        // Zeros at the end make a length longer, not another one.
        const low = content.length & 0x7f;
        const head = padding === 0 ? [low] : [low | 0x80, ...Array<number>(padding - 1).fill(0x80), 0];
        const bytes = Buffer.concat([Buffer.from(head), content]);
        const result = await framesOf(varintCodec(options), cut(bytes, cuts));
        if (head.length > options.maxLengthLength) {
          assert.deepEqual(result, [[], "ERR_FRAME_LENGTH"]);
        } else if (content.length > options.maxFrameLength) {
          assert.deepEqual(result, [[], "LimitOverrunError"]);
        } else {
          assert.deepEqual(result, [[Buffer.from(content)], null]);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("delimiterCodec() with any separators", () => {
  const words = (min: number, max: number): fc.Arbitrary<string> =>
    fc.array(fc.constantFrom("a", "b", "c"), { minLength: min, maxLength: max }).map((letters) => letters.join(""));

  /** The frames, by trying every end: of the separators that end there, the longest is taken off. */
  function split(text: string, separators: readonly string[]): [string[], rest: string] {
    const frames: string[] = [];
    let from = 0;
    for (let end = 1; end <= text.length; end++) {
      const endings = separators.filter((each) => text.slice(from, end).endsWith(each));
      if (endings.length > 0) {
        frames.push(text.slice(from, end - Math.max(...endings.map(({ length }) => length))));
        from = end;
      }
    }
    return [frames, text.slice(from)];
  }

  it("ends a frame where the first separator ends", async () => {
    const separators = fc.array(words(1, 3), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(separators, words(0, 60), chunkings, async (chosen, text, cuts) => {
        const [frames, rest] = split(text, chosen);
        const [found, error] = await framesOf(delimiterCodec(chosen), cut(Buffer.from(text), cuts));
        assert.deepEqual([found.map(String), error], [frames, rest === "" ? null : "IncompleteReadError"]);
      }),
      { numRuns: 300 },
    );
  });

  it("sends the frames that are received as they are, and refuses the others", () => {
    const separators = fc.array(words(1, 3), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(separators, words(0, 10), (chosen, text) => {
        const codec = delimiterCodec(chosen);
        const [frames, rest] = split(text + chosen[0], chosen);
        if (frames.length === 1 && frames[0] === text && rest === "") {
          assert.equal(String(encoded(codec as Codec<unknown, never>, [text])), text + chosen[0]);
        } else {
          assert.throws(() => codec.encode(text), { code: "ERR_FRAME_CONTENT" });
        }
      }),
      { numRuns: 300 },
    );
  });
});
