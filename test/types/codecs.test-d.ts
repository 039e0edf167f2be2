/** What the compiler infers for frames. */
import * as asyncio from "contextvars/asyncio";
import {
  type Codec,
  delimiterCodec,
  type Framed,
  framed,
  jsonLinesCodec,
  lengthDelimitedCodec,
  linesCodec,
} from "contextvars/codecs";
import { expectTypeOf } from "expect-type";

const [reader, writer] = await asyncio.openConnection("127.0.0.1", 80);

const lines = framed(reader, writer, linesCodec());
expectTypeOf(lines).toEqualTypeOf<Framed<string, string>>();
expectTypeOf(lines.receive()).toEqualTypeOf<Promise<string | null>>();
expectTypeOf(lines.tryReceive()).toEqualTypeOf<string | null>();
// @ts-expect-error lines are strings
void lines.send(Buffer.from("a"));

const frames = framed(reader, writer, lengthDelimitedCodec());
expectTypeOf(frames.receive()).toEqualTypeOf<Promise<Buffer | null>>();
expectTypeOf(frames.send).parameter(0).toEqualTypeOf<string | Uint8Array>();
for await (const frame of framed(reader, null, delimiterCodec(["\r\n", "\n"]))) {
  expectTypeOf(frame).toEqualTypeOf<Buffer>();
}

const values = framed(reader, writer, jsonLinesCodec());
expectTypeOf(await values.receive()).toBeUnknown();
const rpc = framed(reader, writer, jsonLinesCodec<{ id: number }, { method: string }>());
expectTypeOf(rpc.receive()).toEqualTypeOf<Promise<{ id: number } | null>>();
// @ts-expect-error a request has a method
void rpc.send({ id: 1 });
void rpc.sendAll([{ method: "a" }]);

// A codec of one's own: what arrives need not be what is sent.
const own: Codec<number, string> = {
  maxLength: 10,
  decode: (bytes) => (bytes.length < 1 ? 1 : { frame: bytes.length, size: 1 }),
  encode: (item) => item,
};
expectTypeOf(framed(reader, writer, own)).toEqualTypeOf<Framed<number, string>>();
// @ts-expect-error a codec has a limit
framed(reader, writer, { decode: () => null, encode: () => "" });

// What decode() returns says what arrives, also for a codec that is written in place.
expectTypeOf(
  framed(reader, writer, {
    maxLength: 10,
    decode: (bytes) => ({ frame: bytes.toString(), size: bytes.length }),
    encode: (item: number) => String(item),
  }),
).toEqualTypeOf<Framed<string, number>>();
// A frame that is null would be taken for the end of the stream.
const replies: Codec<string | null, string> = {
  maxLength: 10,
  // @ts-expect-error no frame is null
  decode: (bytes) => ({ frame: bytes.length === 1 ? null : "x", size: 1 }),
  encode: (item) => item,
};
framed(reader, writer, replies);
// @ts-expect-error decode() does not wait
framed(reader, writer, { maxLength: 1, decode: async () => null, encode: () => "" });
