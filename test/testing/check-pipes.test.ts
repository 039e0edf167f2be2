/**
 * checkStreams() over readers and writers that are made of other streams, and through `relay()`.
 *
 * Not here: files, standard input, pipes of child processes and bodies of `fetch()`, which cannot be the two ends of a
 * connection that its other end resets. That they give and take all bytes, and fail as themselves, is tested in
 * streams-from.test.ts, subprocess.test.ts and standard-streams.test.ts.
 */
import { Duplex, PassThrough, pipeline, Readable, Writable } from "node:stream";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { checkStreams, memoryStreamPair, type StreamPair } from "contextvars/testing";

type Ends = [StreamPair, StreamPair];

async function* generated(reader: asyncio.StreamReader): AsyncGenerator<Uint8Array> {
  for await (const chunk of reader.chunks()) {
    yield chunk;
  }
}

const readable = (reader: asyncio.StreamReader): Readable => Readable.from(reader.chunks(), { objectMode: false });

/** The bytes of a connection, as every kind of source. */
const sources: Record<string, (reader: asyncio.StreamReader) => asyncio.ByteSource> = {
  "an iterator": (reader) => reader.chunks(),
  "an async generator": generated,
  "a Readable": readable,
  "a PassThrough": (reader) => {
    const through = new PassThrough();
    pipeline(readable(reader), through, () => {});
    return through;
  },
  "a ReadableStream of bytes": (reader) => reader.toReadableStream(),
  "a TransformStream": (reader) => reader.toReadableStream().pipeThrough(new TransformStream<Uint8Array, Uint8Array>()),
  "the body of a response": (reader) => new Response(reader.toReadableStream()).body as ReadableStream<Uint8Array>,
  "the readable of a Duplex": (reader) => Duplex.from({ readable: readable(reader), objectMode: false }),
};

/** A reader that a protocol feeds from a pipe, as Python's programs make it. */
async function readPipe(reader: asyncio.StreamReader): Promise<asyncio.StreamReader> {
  const piped = new asyncio.StreamReader();
  await asyncio.getRunningLoop().connectReadPipe(() => new asyncio.StreamReaderProtocol(piped), readable(reader));
  return piped;
}

/** Calls back when the connection is lost, with the error if there was one. */
function whenLost(writer: asyncio.StreamWriter, callback: (error?: unknown) => void): void {
  void writer.waitClosed().then(() => callback(), callback);
}

/** Both kinds of sink; the end of a sink is that of the connection. */
const sinks: Record<string, (writer: asyncio.StreamWriter) => asyncio.ByteSink> = {
  "a Writable": (writer) => {
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => void writer.send(chunk).then(() => done(), done),
      final: (done) => {
        writer.close();
        whenLost(writer, (error) => done(error as Error | undefined));
      },
      destroy: (error, done) => {
        writer.transport.abort();
        done(error);
      },
    });
    whenLost(writer, (error) => {
      // Destroyed before `final` has called back, it would have failed to end.
      if (error !== undefined || !sink.writableEnded) {
        sink.destroy(error as Error | undefined);
      }
    });
    return sink;
  },
  "a WritableStream": (writer) =>
    new WritableStream<Uint8Array>({
      start: (controller) =>
        whenLost(writer, (error) => controller.error(error ?? new asyncio.ConnectionResetError("Connection lost"))),
      write: (chunk) => writer.send(chunk),
      close: () => {
        writer.close();
        return writer.waitClosed();
      },
      abort: () => writer.transport.abort(),
    }),
};

describe("checkStreams() of pipes", () => {
  for (const [name, make] of Object.entries(sources)) {
    it(`checkStreams() finds nothing in readers made by StreamReader.from() of ${name}`, () =>
      checkStreams((): Ends => {
        const [near, far] = memoryStreamPair();
        return [
          [asyncio.StreamReader.from(make(near[0])), near[1]],
          [asyncio.StreamReader.from(make(far[0])), far[1]],
        ];
      }));
  }

  it("checkStreams() finds nothing in readers of connectReadPipe()", () =>
    checkStreams(async (): Promise<Ends> => {
      const [near, far] = memoryStreamPair();
      return [
        [await readPipe(near[0]), near[1]],
        [await readPipe(far[0]), far[1]],
      ];
    }));

  for (const [name, make] of Object.entries(sinks)) {
    it(`checkStreams() finds nothing in writers made by StreamWriter.from() of ${name}`, () =>
      checkStreams(
        (): Ends => {
          const [near, far] = memoryStreamPair();
          return [
            [near[0], asyncio.StreamWriter.from(make(near[1]))],
            [far[0], asyncio.StreamWriter.from(make(far[1]))],
          ];
        },
        { halfClose: false },
      ));
  }

  it("checkStreams() finds nothing in two connections that relay() has joined", () =>
    checkStreams((): Ends => {
      const [near, middle] = memoryStreamPair();
      const [otherMiddle, far] = memoryStreamPair();
      void asyncio.relay(middle, otherMiddle);
      return [near, far];
    }));
});
