/** StreamReaderProtocol, made by hand as Python's programs do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";

const HOST = "127.0.0.1";
const loop = asyncio.getRunningLoop();

describe("StreamReaderProtocol", () => {
  for (const side of ["client", "server"]) {
    it(`a connection calls feedData() and feedEof() of a subclass of StreamReader, in its Context: ${side}`, async () => {
      const name = new ContextVar<string>("name");
      class Counting extends asyncio.StreamReader {
        received = 0;
        ends = 0;
        readonly names = new Set<unknown>();
        override feedData(data: Uint8Array): void {
          this.received += data.length;
          this.names.add(name.get());
          super.feedData(data);
        }
        override feedEof(): void {
          this.ends += 1;
          this.names.add(name.get());
          super.feedEof();
        }
      }
      const [near, far] = await asyncio.socketpair();
      let reader: Counting | undefined;
      const handled = new asyncio.Future<Buffer>();
      const handler = async (): Promise<void> => handled.setResult(await (reader as Counting).read());
      name.set("connection");
      await loop.createConnection(
        () => {
          reader = new Counting();
          return new asyncio.StreamReaderProtocol(reader, side === "server" ? handler : null);
        },
        null,
        null,
        { sock: near },
      );
      name.set("other");
      far.write("one");
      await asyncio.sleep(0.02);
      far.end("two");
      const text = side === "server" ? await handled : await reader?.read();
      assert.equal(String(text), "onetwo");
      assert.equal(reader?.received, 6);
      assert.equal(reader.ends > 0, true);
      assert.deepEqual([...reader.names], ["connection"]);
      near.destroy();
      far.destroy();
    });
  }

  it("StreamReaderProtocol() ties a reader and a writer to a transport, on both sides", async () => {
    const name = new ContextVar<string>("name");
    name.set("outer");
    const seen: unknown[] = [];
    const server = await loop.createServer(
      () =>
        new asyncio.StreamReaderProtocol(new asyncio.StreamReader({ limit: 8 }), async (reader, writer) => {
          seen.push(name.get(), reader instanceof asyncio.StreamReader, asyncio.currentTask() !== null);
          await writer.send(await reader.readline());
          writer.close();
        }),
      HOST,
      0,
    );
    const reader = new asyncio.StreamReader();
    const [transport, protocol] = await loop.createConnection(
      () => new asyncio.StreamReaderProtocol(reader),
      HOST,
      server.sockets[0]?.getsockname().port,
    );
    const writer = new asyncio.StreamWriter(transport, protocol, reader);
    await writer.send("hello\n");
    assert.equal(String(await reader.read()), "hello\n");
    writer.close();
    await writer.waitClosed();
    server.close();
    await server.waitClosed();
    assert.deepEqual(seen, ["outer", true, true]);
  });

  it("StreamReaderProtocol can be extended: its methods run in the connection's Context", async () => {
    const name = new ContextVar<string>("name");
    const seen: unknown[] = [];
    class Watched extends asyncio.StreamReaderProtocol {
      override connectionLost(error: unknown): void {
        seen.push(name.get("none"), error);
        super.connectionLost(error);
      }
    }
    const [left, right] = await asyncio.socketpair();
    const reader = new asyncio.StreamReader();
    name.set("connection's");
    const [transport] = await loop.createConnection(() => new Watched(reader), undefined, undefined, { sock: left });
    right.end("bytes");
    assert.equal(String(await reader.read()), "bytes");
    const writer = new asyncio.StreamWriter(transport, transport.getProtocol() as Watched, reader);
    writer.close();
    await writer.waitClosed();
    assert.deepEqual(seen, ["connection's", null]);
    right.destroy();
  });

  it("StreamReaderProtocol() refuses what is no reader, no function and no Context", () => {
    assert.throws(() => new asyncio.StreamReaderProtocol(5 as never), {
      name: "TypeError",
      message: "StreamReaderProtocol(): reader must be a StreamReader, got 5",
    });
    assert.throws(() => new asyncio.StreamReaderProtocol(new asyncio.StreamReader(), 5 as never), {
      name: "TypeError",
      message: "StreamReaderProtocol() needs a function, got 5",
    });
    for (const context of [5, null, loop]) {
      const make = (): unknown =>
        new asyncio.StreamReaderProtocol(new asyncio.StreamReader(), () => {}, context as never);
      assert.throws(make, { name: "TypeError", message: /^StreamReaderProtocol\(\): context must be a Context, got / });
    }
  });

  it("StreamReader.tryReadexactly() has a paused transport read on: what it asks for can come", async () => {
    const [left, right] = await asyncio.socketpair();
    const [reader, writer] = await asyncio.openConnection({ sock: left, limit: 1000 });
    right.end(Buffer.alloc(300_000, "x"));
    let bytes = reader.tryReadexactly(300_000);
    while (bytes === null) {
      await asyncio.sleep(0.001);
      bytes = reader.tryReadexactly(300_000);
    }
    assert.equal(bytes.length, 300_000);
    writer.close();
    await writer.waitClosed();
  });

  it("reader.feedEof() and then the peer's data ends the connection, and tells the exception handler", async () => {
    const told: unknown[] = [];
    const [left, right] = await asyncio.socketpair();
    const [reader, writer] = await asyncio.openConnection({ sock: left });
    loop.setExceptionHandler((_, context) => told.push(context.message));
    try {
      reader.feedEof();
      assert.equal(String(await reader.read()), "");
      right.write("late");
      await assert.rejects(writer.waitClosed(), { message: "feedData() after feedEof()" });
    } finally {
      loop.setExceptionHandler(null);
    }
    assert.deepEqual(told, ["Fatal error: protocol.dataReceived() call failed."]);
    right.destroy();
  });
});
