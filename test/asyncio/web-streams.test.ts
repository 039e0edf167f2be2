/** A reader and a writer handed on: as chunks, as web streams, through `pipeline()`, `fetch()` and `Response`. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import * as fc from "fast-check";
import { connect, eventually, outcomeOf, roles, stillWaits, turns } from "../support/peers.ts";
import { chunkings, cut } from "../support/peers-bytes.ts";
import { sourceKinds } from "../support/pipes.ts";
import { connectTls } from "../support/wire-tls.ts";

type Bytes = ReadableStream<Uint8Array>;

/** A reader that was fed, with its EOF. */
function fed(...pieces: readonly string[]): asyncio.StreamReader {
  const reader = new asyncio.StreamReader();
  for (const piece of pieces) {
    reader.feedData(Buffer.from(piece));
  }
  reader.feedEof();
  return reader;
}

async function collected(source: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) {
    pieces.push(piece);
  }
  return String(Buffer.concat(pieces));
}

/** Everything that is left in the stream. */
async function textOf(stream: Bytes): Promise<string> {
  return await collected(stream as unknown as AsyncIterable<Uint8Array>);
}

describe("StreamReader.chunks()", () => {
  it("chunks() gives all bytes in order, however they are cut, whatever the limit", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), chunkings, async (bytes, lengths) => {
        const reader = new asyncio.StreamReader({ limit: 1 });
        const pieces = cut(Buffer.from(bytes), lengths);
        const whole = collected(reader.chunks());
        for (const piece of pieces) {
          reader.feedData(piece);
          await Promise.resolve();
        }
        reader.feedEof();
        assert.equal(await whole, String(Buffer.from(bytes)));
      }),
      { numRuns: 50 },
    );
  });

  it("chunks() returns a chunk as it arrived, the rest of a chunk that was read in part, and the next one when it arrives", async () => {
    const reader = new asyncio.StreamReader();
    const first = Buffer.alloc(1000, "1");
    reader.feedData(first);
    reader.feedData(Buffer.alloc(1000, "2"));
    await reader.readexactly(1);
    const chunks = reader.chunks();
    const { value } = await chunks.next();
    assert.deepEqual([value?.length, value?.buffer], [999, first.buffer]);
    assert.equal((await chunks.next()).value?.length, 1000);
    const next = chunks.next();
    assert.ok(await stillWaits(next));
    reader.feedData(Buffer.from("3"));
    assert.equal(String((await next).value), "3");
    reader.feedEof();
    assert.deepEqual(await chunks.next(), { done: true, value: undefined });
  });

  it("leaving a loop over chunks() loses nothing", async () => {
    const reader = fed("1", "\n2\n");
    for await (const chunk of reader.chunks()) {
      assert.equal(String(chunk), "1");
      break;
    }
    assert.equal(String(await reader.readline()), "\n");
    assert.equal(await collected(reader.chunks()), "2\n");
  });

  it("chunks() throws what a read throws: a reset, an exception that was set, another read that waits", async () => {
    await using connection = await connect("client");
    connection.peer.socket.resetAndDestroy();
    const chunks = connection.reader.chunks();
    assert.ok((await outcomeOf(chunks.next())) instanceof asyncio.ConnectionResetError);
    const reader = new asyncio.StreamReader();
    const waits = reader.readline();
    assert.ok((await outcomeOf(reader.chunks().next())) instanceof asyncio.RuntimeError);
    reader.setException(new RangeError("set"));
    assert.ok((await outcomeOf(reader.chunks().next())) instanceof RangeError);
    await outcomeOf(waits);
  });

  it("a task that is cancelled in a loop over chunks() has taken nothing", async () => {
    const reader = new asyncio.StreamReader();
    const task = asyncio.createTask(async () => await collected(reader.chunks()));
    await turns(2);
    task.cancel();
    reader.feedData(Buffer.from("kept"));
    assert.ok(asyncio.isCancelled(await outcomeOf(task)));
    assert.equal(String(await reader.readexactly(4)), "kept");
  });

  it("Readable.from(reader.chunks(), { objectMode: false }) is a Readable of the bytes, Readable.from(reader) one of lines", async () => {
    const long = "x".repeat(200_000);
    const readable = Readable.from(fed("a\nb", long).chunks(), { objectMode: false });
    assert.equal(await collected(readable), `a\nb${long}`);
    const lines: string[] = [];
    for await (const line of Readable.from(fed("a\nb"))) {
      lines.push(String(line));
    }
    assert.deepEqual(lines, ["a\n", "b"]);
    assert.ok((await outcomeOf(collected(Readable.from(fed(long))))) instanceof asyncio.ValueError);
  });
});

describe("StreamReader.toReadableStream()", () => {
  it("toReadableStream() gives all bytes and closes, however they are cut, to any reader with any min", async () => {
    const arbitrarySteps = fc.array(
      fc.record({ size: fc.integer({ min: 1, max: 50 }), min: fc.integer({ min: 1, max: 50 }), byob: fc.boolean() }),
      { minLength: 1, maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), chunkings, arbitrarySteps, async (bytes, lengths, steps) => {
        const reader = new asyncio.StreamReader();
        const stream = reader.toReadableStream();
        const received: Uint8Array[] = [];
        const receive = async (): Promise<void> => {
          for (let i = 0; ; i++) {
            const { size, min, byob } = steps[i % steps.length] as (typeof steps)[number];
            const { done, value } = await readOnce(stream, byob ? size : null, Math.min(min, size));
            if (value !== undefined && value.length > 0) {
              assert.ok(done || !byob || value.length >= Math.min(min, size));
              received.push(value);
            }
            if (done) {
              return;
            }
          }
        };
        const received_ = receive();
        for (const piece of cut(Buffer.from(bytes), lengths)) {
          reader.feedData(piece);
          await turns(fc.sample(fc.nat({ max: 1 }), 1)[0] as number);
        }
        reader.feedEof();
        await received_;
        assert.deepEqual(Buffer.concat(received), Buffer.from(bytes));
        assert.ok(reader.atEof());
      }),
      { numRuns: 50 },
    );
  });

  async function readOnce(
    stream: Bytes,
    size: number | null,
    min: number,
  ): Promise<{ done: boolean; value?: Uint8Array }> {
    if (size === null) {
      const reader = stream.getReader();
      const result = await reader.read();
      reader.releaseLock();
      return result as { done: boolean; value?: Uint8Array };
    }
    const reader = stream.getReader({ mode: "byob" });
    const read = reader.read as (view: Uint8Array, options: object) => Promise<{ done: boolean; value?: Uint8Array }>;
    const result = await read.call(reader, new Uint8Array(size), { min });
    reader.releaseLock();
    return result;
  }

  it("nothing is taken before the stream is read", async () => {
    const reader = fed("1234");
    const stream = reader.toReadableStream();
    await turns(3);
    const byob = stream.getReader({ mode: "byob" });
    assert.equal(String(Buffer.from((await byob.read(new Uint8Array(2))).value as Uint8Array)), "12");
    byob.releaseLock();
    await stream.cancel();
    assert.equal(String(await reader.read()), "34");
  });

  it("every read throws a RuntimeError while a stream has the reader, and none afterwards", async () => {
    const reader = new asyncio.StreamReader();
    const calls: Record<string, () => unknown> = {
      read: () => reader.read(),
      "read(1)": () => reader.read(1),
      "read(0)": () => reader.read(0),
      readline: () => reader.readline(),
      readexactly: () => reader.readexactly(1),
      "readexactly(0)": () => reader.readexactly(0),
      readuntil: () => reader.readuntil(),
      readInto: () => reader.readInto(new Uint8Array(1)),
      peek: () => reader.peek(1),
      tryReadline: () => reader.tryReadline(),
      tryReadexactly: () => reader.tryReadexactly(1),
      tryReaduntil: () => reader.tryReaduntil(),
      iteration: () => reader[Symbol.asyncIterator]().next(),
      chunks: () => reader.chunks().next(),
      toReadableStream: () => reader.toReadableStream(),
      relay: async () => {
        await using connection = await connect("client");
        await asyncio.relay([reader, connection.writer], [connection.reader, connection.writer]);
      },
    };
    reader.feedData(Buffer.from("line\n"));
    const stream = reader.toReadableStream();
    for (const [name, call] of Object.entries(calls)) {
      const error = await outcomeOf((async () => await call())());
      assert.ok(error instanceof asyncio.RuntimeError, `${name}: ${error}`);
      assert.match(error.message, /while toReadableStream\(\) uses the reader/);
    }
    await stream.cancel();
    assert.equal(String(await reader.readline()), "line\n");
    const waits = reader.readline();
    assert.throws(() => reader.toReadableStream(), asyncio.RuntimeError);
    reader.feedEof();
    await waits;
    assert.equal(await textOf(reader.toReadableStream()), "");
    assert.equal((await reader.read()).length, 0);
  });

  it("cancel() leaves what was not taken, while a read of the stream waits too", async () => {
    const reader = new asyncio.StreamReader();
    const stream = reader.toReadableStream();
    const web = stream.getReader();
    const pending = web.read();
    await turns(2);
    await web.cancel(new RangeError("enough"));
    assert.equal((await pending).done, true);
    reader.feedData(Buffer.from("kept\n"));
    assert.equal(String(await reader.readline()), "kept\n");
  });

  it("cancel() leaves a connection open, and cancels the source of StreamReader.from()", async () => {
    await using connection = await connect("client");
    await connection.reader.toReadableStream().cancel();
    assert.equal(connection.writer.isClosing(), false);
    for (const [name, { make }] of Object.entries(sourceKinds)) {
      let cancelled = 0;
      function* endless(): Generator<Uint8Array> {
        for (;;) {
          yield Buffer.alloc(1000);
        }
      }
      const source = make(endless(), () => {
        cancelled += 1;
      });
      const stream = asyncio.StreamReader.from(source).toReadableStream();
      const web = stream.getReader();
      await web.read();
      await web.cancel();
      assert.ok(await eventually(() => cancelled === 1), name);
    }
  });

  it("the stream fails as a read would, after the bytes that had arrived", async () => {
    await using connection = await connect("client");
    connection.peer.write("some");
    await connection.reader.peek(4);
    const web = connection.reader.toReadableStream().getReader();
    connection.peer.socket.resetAndDestroy();
    assert.equal(String(Buffer.from((await web.read()).value as Uint8Array)), "some");
    assert.ok((await outcomeOf(web.read())) instanceof asyncio.ConnectionResetError);
    assert.ok((await outcomeOf(connection.reader.readline())) instanceof asyncio.ConnectionResetError);
    const reader = new asyncio.StreamReader();
    const stream = reader.toReadableStream();
    reader.setException(new RangeError("set"));
    assert.ok((await outcomeOf(stream.getReader().read())) instanceof RangeError);
  });

  it("a task that is cancelled while it waits for the stream does not make that fail", async () => {
    const reader = new asyncio.StreamReader();
    const web = reader.toReadableStream().getReader();
    const first = new asyncio.Future<void>();
    const task = asyncio.createTask(async () => {
      const result = web.read();
      first.setResult();
      await asyncio.sleep(100);
      return result;
    });
    await first;
    task.cancel();
    assert.ok(asyncio.isCancelled(await outcomeOf(task)));
    reader.feedData(Buffer.from("lost to the read of the task"));
    await turns(2);
    reader.feedData(Buffer.from("next"));
    reader.feedEof();
    assert.equal(String(Buffer.from((await web.read()).value as Uint8Array)), "next");
    assert.equal((await web.read()).done, true);
  });

  it("bytes that were fed still belong to the caller", async () => {
    const mine = new Uint8Array([49, 50, 51]);
    const reader = asyncio.StreamReader.from([mine]);
    assert.equal(await textOf(reader.toReadableStream()), "123");
    assert.equal(mine.length, 3);
  });

  it("a Response and a Request take the stream as their body", async () => {
    assert.equal(await new Response(fed("a", "b").toReadableStream()).text(), "ab");
    const body = fed("c").toReadableStream();
    const request = new Request("http://127.0.0.1/", { method: "POST", body, duplex: "half" } as RequestInit);
    assert.equal(await request.text(), "c");
  });

  it("startTls() is refused while a stream has the reader", async () => {
    await using connection = await connect("client");
    const stream = connection.reader.toReadableStream();
    assert.ok((await outcomeOf(connection.writer.startTls(true))) instanceof asyncio.RuntimeError);
    await stream.cancel();
  });
});

for (const role of roles) {
  describe(`StreamWriter.toWritableStream() of a ${role}`, () => {
    it(`close() of a ${role}'s stream sends all bytes and an EOF, and the other direction continues`, async () => {
      await using connection = await connect(role);
      const { reader, writer, peer } = connection;
      const bytes = Buffer.alloc(300_000, "0123456789");
      await new Blob([bytes]).stream().pipeTo(writer.toWritableStream());
      assert.equal(writer.transport.getWriteBufferSize(), 0);
      await peer.untilEnded();
      assert.ok(bytes.equals(Buffer.concat(peer.chunks)));
      peer.write("answer");
      assert.equal(String(await reader.readexactly(6)), "answer");
      assert.equal(writer.isClosing(), false);
      assert.deepEqual(writer.transport.getWriteBufferLimits(), [16 * 1024, 64 * 1024]);
    });

    it(`a write to a ${role}'s stream waits while its peer takes nothing`, async () => {
      await using connection = await connect(role, { reads: false });
      const web = connection.writer.toWritableStream().getWriter();
      let written = 0;
      const pour = async (): Promise<void> => {
        for (; written < 64 * 1024 * 1024; written += 65536) {
          await web.write(new Uint8Array(65536));
        }
      };
      const poured = pour();
      poured.catch(() => {});
      let before = -1;
      assert.ok(
        await eventually(() => {
          const stands = before === written && connection.writer.needsDrain;
          before = written;
          return stands;
        }),
      );
      assert.ok(written < 64 * 1024 * 1024);
      assert.ok(connection.writer.transport.getWriteBufferSize() <= 3 * 65536);
      connection.writer.transport.abort();
      assert.ok((await outcomeOf(poured)) instanceof asyncio.ConnectionResetError);
    });

    it(`a ${role}'s stream fails when the connection is reset, though nothing is written`, async () => {
      await using connection = await connect(role);
      const web = connection.writer.toWritableStream().getWriter();
      connection.peer.socket.resetAndDestroy();
      assert.ok((await outcomeOf(web.closed)) instanceof asyncio.ConnectionResetError);
    });

    it(`abort() of a ${role}'s stream aborts the connection`, async () => {
      await using connection = await connect(role);
      await connection.writer.toWritableStream().abort(new RangeError("no more"));
      assert.ok(connection.writer.isClosing());
      await connection.peer.untilEnded();
    });

    it(`a ${role} that echoes by pipeTo() answers a peer that sends 300 kB and its EOF`, async () => {
      await using connection = await connect(role);
      const { reader, writer, peer } = connection;
      const bytes = Buffer.alloc(300_000, "abcdefg");
      peer.socket.end(bytes);
      await reader.toReadableStream().pipeTo(writer.toWritableStream());
      await peer.untilEnded();
      assert.ok(bytes.equals(Buffer.concat(peer.chunks)));
    });

    it(`a ${role} that echoes through TLS by pipeTo() answers a peer that ends its side`, async () => {
      await using connection = await connectTls(role);
      const { reader, writer, tls } = connection;
      const bytes = Buffer.alloc(300_000, "abcdefg");
      const answer: Buffer[] = [];
      tls.on("data", (chunk) => answer.push(chunk));
      const ended = once(tls, "end");
      tls.end(bytes);
      await reader.toReadableStream().pipeTo(writer.toWritableStream());
      writer.close();
      await ended;
      assert.ok(bytes.equals(Buffer.concat(answer)));
    });
  });
}

describe("StreamWriter.toWritableStream() and others", () => {
  it("pipeline() and pipeTo() take it as their end, from every kind of source", async () => {
    const sources: Record<string, () => never> = {
      "a Readable": () => Readable.from([Buffer.from("12"), Buffer.from("3")], { objectMode: false }) as never,
      "a Readable of a reader": () => Readable.from(fed("1", "23").chunks(), { objectMode: false }) as never,
      "an async generator": () => fed("1", "23").chunks() as never,
      "a web stream": () => fed("1", "23").toReadableStream() as never,
    };
    for (const [name, make] of Object.entries(sources)) {
      await using connection = await connect("client");
      await pipeline(make(), connection.writer.toWritableStream() as never);
      await connection.peer.untilEnded();
      assert.equal(connection.peer.text, "123", name);
    }
  });

  it("text is written as UTF-8, and anything else fails the stream with a TypeError", async () => {
    await using connection = await connect("client");
    const web = connection.writer.toWritableStream().getWriter();
    await web.write("grüße");
    assert.equal(await connection.peer.received(7), "grüße");
    assert.ok((await outcomeOf(web.write(42 as never))) instanceof TypeError);
    assert.ok((await outcomeOf(web.closed)) instanceof TypeError);
  });

  it("a task that is cancelled while it waits for a write does not make the stream fail", async () => {
    await using connection = await connect("client", { reads: false });
    const web = connection.writer.toWritableStream().getWriter();
    connection.writer.write(Buffer.alloc(20 * 1024 * 1024));
    const task = asyncio.createTask(async () => {
      void web.write("behind it");
      await asyncio.sleep(100);
    });
    await turns(3);
    task.cancel();
    assert.ok(asyncio.isCancelled(await outcomeOf(task)));
    connection.peer.read();
    await web.close();
    await connection.peer.untilEnded();
    assert.equal(connection.peer.length, 20 * 1024 * 1024 + 9);
  });

  it("a writer whose connection is closing gives a stream that fails", async () => {
    await using connection = await connect("client");
    const stream = connection.writer.toWritableStream();
    connection.writer.close();
    const web = stream.getWriter();
    web.closed.catch(() => {});
    assert.ok((await outcomeOf(web.close())) instanceof asyncio.ConnectionResetError);
  });

  it("the stream of a writer made by StreamWriter.from() ends its sink", async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = asyncio.StreamWriter.from(writable);
    const text = textOf(readable as Bytes);
    await fed("through ", "two").toReadableStream().pipeTo(writer.toWritableStream());
    assert.equal(await text, "through two");
    await writer.waitClosed();
  });
});
