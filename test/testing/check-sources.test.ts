/** The checks of checkStreams() that need one direction only, on every source of StreamReader.from() and sink of StreamWriter.from(). */
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { memoryStreamPair } from "contextvars/testing";
import { oneWayChecks } from "#dist/testing/stream-checks.js";

/** Makes a writer and the reader that gets what it writes. */
const makers: Record<string, () => [asyncio.StreamWriter, asyncio.StreamReader]> = {
  "Node's Writable and Readable": () => {
    const stream = new PassThrough();
    return [asyncio.StreamWriter.from(stream), asyncio.StreamReader.from(stream)];
  },
  "WritableStream and ReadableStream": () => {
    const { writable, readable } = new TransformStream<Uint8Array, Uint8Array>();
    return [asyncio.StreamWriter.from(writable), asyncio.StreamReader.from(readable)];
  },
  "an async iterable": () => {
    const [[reader], [, writer]] = memoryStreamPair();
    return [writer, asyncio.StreamReader.from(reader.chunks())];
  },
};

for (const [name, make] of Object.entries(makers)) {
  describe(`checks of streams, ${name}`, () => {
    for (const check of oneWayChecks) {
      it(`StreamReader.from(): ${check.name}`, async () => {
        const [writer, farReader] = make();
        const [[reader, farWriter]] = memoryStreamPair();
        try {
          await asyncio.waitFor(() => check.run({ reader, writer, farReader, farWriter }, { limit: 65536 }), 10);
        } finally {
          writer.transport.abort();
          farWriter.transport.abort();
        }
      });
    }
  });
}
