/**
 * Frames over streams: lines, JSON lines, netstrings, frames with their length before them, and codecs of your own.
 *
 * `framed()` puts a codec over a reader and a writer. Every codec has a limit, every chunking of the same bytes gives the
 * same frames, and a frame that has arrived costs no promise (`tryReceive()`).
 *
 * @example Frames with their length before them
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { framed, lengthDelimitedCodec } from "contextvars/codecs";
 * import assert from "node:assert/strict";
 *
 * const server = await asyncio.startServer(async (reader, writer) => {
 *   await using peer = framed(reader, writer, lengthDelimitedCodec());
 *   for await (const frame of peer) await peer.send(frame);
 * }, "127.0.0.1", 0);
 *
 * const [reader, writer] = await asyncio.openConnection("127.0.0.1", server.sockets[0]!.getsockname().port);
 * await using client = framed(reader, writer, lengthDelimitedCodec({ maxFrameLength: 1024 }));
 * await client.send("hello");
 * assert.equal(String(await client.receive()), "hello");
 * server.close();
 * ```
 *
 * @module
 */
export type { Codec, Decoded, OnOverrun } from "./codec.ts";
export { Framed, framed } from "./framed.ts";
export {
  type LengthDelimitedCodecOptions,
  lengthDelimitedCodec,
  type NetstringCodecOptions,
  netstringCodec,
  type VarintCodecOptions,
  varintCodec,
} from "./prefixed.ts";
export {
  type DelimiterCodecOptions,
  delimiterCodec,
  type JsonLinesCodecOptions,
  jsonLinesCodec,
  type LinesCodecOptions,
  linesCodec,
} from "./separated.ts";
