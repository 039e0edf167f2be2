/**
 * Frames over streams: lines, JSON lines, netstrings, frames that begin with their length, and your own codecs.
 *
 * `framed()` combines a codec with a reader and a writer. Every codec has a limit, the same bytes yield the same frames
 * however they are split into chunks, and a frame that has arrived needs no promise (`tryReceive()`).
 *
 * @example Frames that begin with their length
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
