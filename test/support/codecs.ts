/** Every codec of `contextvars/codecs`, and one of a user's, with frames for each: the tests go through all of them. */
import {
  type Codec,
  delimiterCodec,
  jsonLinesCodec,
  lengthDelimitedCodec,
  linesCodec,
  netstringCodec,
  type OnOverrun,
  varintCodec,
} from "contextvars/codecs";
import * as fc from "fast-check";

/** The limit in the tests of too long frames. */
export const LIMIT = 20; // bytes

export interface CodecCase {
  readonly name: string;
  /** The codec with its default limit, or with this one. */
  make(limit?: number, onOverrun?: OnOverrun): Codec<unknown, never>;
  /** Frames that it can send. */
  readonly items: fc.Arbitrary<unknown>;
  /** A frame of this many bytes, not counting its separators or its length. */
  item(length: number): unknown;
  /** Whether it refuses to send what is too long; a user's codec does not. */
  readonly checksWhatItSends: boolean;
  /** How many bytes around a frame do not count, at most. */
  readonly around: number;
  /** What becomes of bytes at EOF that no frame's end follows. */
  readonly rest: "frame" | "error";
}

const bytes = fc.uint8Array({ maxLength: 400 }).map((each) => Buffer.from(each));
const filled = (length: number): Buffer => Buffer.alloc(length, "a");

/** A type of one byte, a length of two, and the body: a codec of a user's, which is given views. */
interface Packet {
  readonly type: number;
  readonly body: string;
}

function packetCodec(limit = 3 + 1024, onOverrun?: OnOverrun): Codec<Packet> {
  return {
    maxLength: limit,
    onOverrun,
    decode(view) {
      if (view.length < 3) {
        return 3;
      }
      const size = 3 + view.readUInt16BE(1);
      return view.length < size
        ? size
        : { frame: { type: view.readUInt8(0), body: view.toString("latin1", 3, size) }, size };
    },
    encode({ type, body }) {
      const head = Buffer.alloc(3);
      head.writeUInt8(type);
      head.writeUInt16BE(body.length, 1);
      return [head, Buffer.from(body, "latin1")];
    },
  };
}

/** The same frames as packetCodec(), by a codec that never says how many bytes it needs. */
function unknowingCodec(limit = 3 + 1024, onOverrun?: OnOverrun): Codec<Packet> {
  const codec = packetCodec(limit, onOverrun);
  return {
    ...codec,
    decode(view) {
      const found = codec.decode(view);
      return typeof found === "number" && found <= limit ? null : found;
    },
  };
}

const packets = fc
  .tuple(fc.nat({ max: 255 }), bytes)
  .map(([type, body]): Packet => ({ type, body: body.toString("latin1") }));
const packet = (length: number): Packet => ({ type: 1, body: "a".repeat(length) });

/** A case whose codec has the type that its own frames have. */
function codecCase(
  each: Omit<CodecCase, "make"> & { make(limit?: number, onOverrun?: OnOverrun): unknown },
): CodecCase {
  return each as CodecCase;
}

const ending = { checksWhatItSends: true, around: 3 } as const;

export const codecCases: readonly CodecCase[] = [
  codecCase({
    ...ending,
    name: "linesCodec()",
    make: (limit, onOverrun) => linesCodec({ maxLength: limit, onOverrun }),
    items: fc.string({ unit: "grapheme", maxLength: 400 }).filter((text) => !/\n|\r$/.test(text)),
    item: (length) => "a".repeat(length),
    rest: "frame",
  }),
  codecCase({
    ...ending,
    name: "linesCodec() of latin1",
    make: (limit, onOverrun) => linesCodec({ maxLength: limit, onOverrun, encoding: "latin1" }),
    items: bytes.map((each) => each.toString("latin1").replaceAll("\n", "").replace(/\r+$/, "")),
    item: (length) => "a".repeat(length),
    rest: "frame",
  }),
  codecCase({
    ...ending,
    name: "delimiterCodec()",
    make: (limit, onOverrun) => delimiterCodec("b\n", { maxLength: limit, onOverrun }),
    items: fc
      .array(fc.constantFrom("a", "b", "\n"), { maxLength: 300 })
      .map((letters) => {
        const text = letters.join("");
        return Buffer.from(text.replaceAll("b\n", ""));
      })
      .filter((each) => !each.includes("b\n")),
    item: filled,
    rest: "error",
  }),
  codecCase({
    ...ending,
    name: "delimiterCodec() of several",
    make: (limit, onOverrun) => delimiterCodec(["\r\n", "\n", Buffer.of(0)], { maxLength: limit, onOverrun }),
    items: bytes.map((each) => Buffer.from(each.filter((byte) => ![0, 10, 13].includes(byte)))),
    item: filled,
    rest: "error",
  }),
  codecCase({
    ...ending,
    name: "jsonLinesCodec()",
    make: (limit, onOverrun) => jsonLinesCodec({ maxLength: limit, onOverrun }),
    items: fc
      .jsonValue()
      .map((value) => JSON.parse(JSON.stringify(value)) as unknown)
      .filter((value) => value !== null),
    item: (length) => "a".repeat(length - 2),
    rest: "frame",
  }),
  codecCase({
    name: "lengthDelimitedCodec()",
    make: (limit, onOverrun) => lengthDelimitedCodec({ maxFrameLength: limit, onOverrun }),
    items: bytes,
    item: filled,
    checksWhatItSends: true,
    around: 4,
    rest: "error",
  }),
  codecCase({
    name: "lengthDelimitedCodec() with every option",
    make: (limit, onOverrun) =>
      lengthDelimitedCodec({
        lengthFieldLength: 3,
        lengthFieldOffset: 2,
        lengthAdjustment: -7,
        numSkip: 7,
        littleEndian: true,
        maxFrameLength: limit,
        onOverrun,
      }),
    items: bytes,
    item: filled,
    checksWhatItSends: true,
    around: 7,
    rest: "error",
  }),
  codecCase({
    name: "varintCodec()",
    make: (limit, onOverrun) => varintCodec({ maxFrameLength: limit, onOverrun }),
    items: bytes,
    item: filled,
    checksWhatItSends: true,
    around: 8,
    rest: "error",
  }),
  codecCase({
    name: "netstringCodec()",
    make: (limit, onOverrun) => netstringCodec({ maxLength: limit, onOverrun }),
    items: bytes,
    item: filled,
    checksWhatItSends: true,
    around: 17,
    rest: "error",
  }),
  codecCase({
    name: "a codec of a user's",
    make: (limit, onOverrun) => packetCodec(limit === undefined ? undefined : limit + 3, onOverrun),
    items: packets,
    item: packet,
    checksWhatItSends: false,
    around: 3,
    rest: "error",
  }),
  codecCase({
    name: "a codec of a user's that never knows how much it needs",
    make: (limit, onOverrun) => unknowingCodec(limit === undefined ? undefined : limit + 3, onOverrun),
    items: packets,
    item: packet,
    checksWhatItSends: false,
    around: 3,
    rest: "error",
  }),
];

/** The bytes that the codec sends for the items. */
export function encoded(codec: Codec<unknown, never>, items: readonly unknown[]): Buffer {
  return Buffer.concat(
    items.flatMap((item) => {
      const data = codec.encode(item as never);
      const pieces = typeof data === "string" || data instanceof Uint8Array ? [data] : data;
      return pieces.map((piece) => Buffer.from(piece as string));
    }),
  );
}
