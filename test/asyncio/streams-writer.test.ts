/** StreamWriter over TCP, with a raw socket at the other end. The names in parentheses are CPython's. */
import assert from "node:assert/strict";
import * as net from "node:net";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import * as asyncio from "contextvars/asyncio";
import { turn } from "../support/latch.ts";
import { connect, outcomeOf, Reports, rawPeer, roles, serve, stillWaits } from "../support/peers.ts";

const KIB = 1024;
const CHUNK = Buffer.alloc(64 * KIB, "x");

/** Writes until the system takes no more, and gives how much was written. The peer must not be reading. */
async function fill(writer: asyncio.StreamWriter): Promise<number> {
  for (let written = CHUNK.length; written <= 1024 * CHUNK.length; written += CHUNK.length) {
    writer.write(CHUNK);
    if (await stillWaits(writer.drain())) {
      return written;
    }
  }
  throw new Error("a peer that does not read took 64 MiB");
}

/**
 * Takes the place of the transport's protocol until it is disposed of, and notes when it is told to pause and resume.
 */
class Marks extends asyncio.Protocol implements Disposable {
  readonly calls: { readonly call: string; readonly size: number }[] = [];
  readonly #transport: asyncio.Transport;
  readonly #before: asyncio.BaseProtocol;

  constructor(transport: asyncio.Transport) {
    super();
    this.#transport = transport;
    this.#before = transport.getProtocol();
    transport.setProtocol(this);
  }

  [Symbol.dispose](): void {
    this.#transport.setProtocol(this.#before);
  }

  override pauseWriting(): void {
    this.calls.push({ call: "pause", size: this.#transport.getWriteBufferSize() });
  }

  override resumeWriting(): void {
    this.calls.push({ call: "resume", size: this.#transport.getWriteBufferSize() });
  }
}

for (const role of roles) {
  describe(`StreamWriter of a ${role}: write() and drain()`, () => {
    it("StreamWriter.write() sends bytes, views of larger arrays, and strings as UTF-8, in order", async () => {
      await using connection = await connect(role);
      const { writer, peer } = connection;
      writer.write("grüße ");
      writer.write(Buffer.from("a Buffer "));
      writer.write(new Uint8Array(new TextEncoder().encode("xxa viewxx").buffer, 2, 6));
      writer.writelines([" and", Buffer.from(" several"), "", " pieces"]);
      writer.write("");
      await writer.drain();
      writer.close();
      await peer.untilEnded();
      assert.equal(peer.text, "grüße a Buffer a view and several pieces");
    });

    it("StreamWriter.write() refuses what is neither bytes nor text, and names it", async () => {
      await using connection = await connect(role);
      const { writer, peer } = connection;
      assert.throws(() => writer.write(5 as unknown as string), {
        name: "TypeError",
        message: "write(): data must be bytes (a Uint8Array) or a string, got 5",
      });
      assert.throws(() => writer.writelines(["a", null as unknown as string]), {
        name: "TypeError",
        message: "writelines(): data must be bytes (a Uint8Array) or a string, got null",
      });
      writer.close();
      await peer.untilEnded();
    });

    it("StreamWriter.write() many times in one turn leaves as one segment", async () => {
      await using connection = await connect(role);
      const { writer, peer } = connection;
      for (let i = 0; i < 1000; i++) {
        writer.write(`${i};`);
      }
      await peer.received(1);
      assert.equal(peer.chunks.length, 1);
      assert.equal(peer.text, Array.from({ length: 1000 }, (_, i) => `${i};`).join(""));
    });

    it("StreamWriter.write() keeps the order when answers of one write are followed by answers of several", async () => {
      await using connection = await connect(role);
      const { reader, writer, peer } = connection;
      let expected = "";
      const answer = async (...pieces: string[]): Promise<void> => {
        peer.write("?");
        await reader.readexactly(1);
        for (const piece of pieces) {
          writer.write(piece);
        }
        expected += pieces.join("");
        assert.equal(await peer.received(expected.length), expected);
      };
      for (let i = 0; i < 20; i++) {
        await answer(`${i};`);
      }
      await answer("a", "b", "c");
      const before = peer.chunks.length;
      await answer("d", "e", "f");
      assert.equal(peer.chunks.length, before + 1, "from the second answer on they leave together again");
    });

    it("StreamWriter.drain() returns immediately while little is buffered", async () => {
      await using connection = await connect(role);
      connection.writer.write("x");
      assert.equal(await connection.writer.drain(), undefined);
    });

    it("StreamWriter.drain() waits when the peer does not read, so that the buffer is bounded, until it does", async () => {
      await using connection = await connect(role, { reads: false });
      const { writer, peer } = connection;
      const written = await fill(writer);
      const { transport } = writer;
      const buffered = transport.getWriteBufferSize();
      assert.ok(buffered > 64 * KIB && buffered <= 64 * KIB + CHUNK.length, `${buffered} bytes are buffered`);
      const drained = writer.drain();
      assert.ok(await stillWaits(drained));
      peer.read();
      await drained;
      assert.ok(transport.getWriteBufferSize() <= 16 * KIB);
      writer.close();
      await peer.untilEnded();
      assert.equal(peer.length, written);
    });

    it("StreamWriter.needsDrain is true while drain() would wait, and send() writes and drains", async () => {
      await using connection = await connect(role, { reads: false });
      const { writer, peer } = connection;
      assert.equal(writer.needsDrain, false);
      await writer.send("x");
      const written = 1 + (await fill(writer));
      assert.equal(writer.needsDrain, true);
      const sent = writer.send("y");
      assert.ok(await stillWaits(sent));
      peer.read();
      await sent;
      assert.equal(writer.needsDrain, false);
      assert.equal((await peer.received(written + 1)).at(-1), "y");
    });

    it("StreamWriter.drain() may be awaited by many tasks at the same time (test_multiple_drain)", async () => {
      await using connection = await connect(role, { reads: false });
      const { writer, peer } = connection;
      await fill(writer);
      const drains = asyncio.gather(Array.from({ length: 10 }, () => () => writer.drain()));
      assert.ok(await stillWaits(drains));
      peer.read();
      assert.equal((await drains).length, 10);
    });

    it("StreamWriter.drain() that is cancelled leaves the others waiting, and everything is sent", async () => {
      await using connection = await connect(role, { reads: false });
      const { writer, peer } = connection;
      const written = await fill(writer);
      const task = asyncio.createTask(() => writer.drain());
      const other = asyncio.createTask(() => writer.drain());
      await turn();
      task.cancel();
      assert.ok((await outcomeOf(task)) instanceof asyncio.CancelledError);
      assert.ok(await stillWaits(other));
      peer.read();
      await other;
      assert.equal((await peer.received(written)).length, written);
    });

    it("StreamWriter.drain() in a loop of writes to a peer that has gone ends with an error (test_drain_raises)", async () => {
      await using connection = await connect(role);
      const { writer, peer } = connection;
      peer.socket.destroy();
      const lost = await outcomeOf(
        (async () => {
          for (let i = 0; i < 100_000; i++) {
            writer.write("foo\n");
            await writer.drain();
            await asyncio.sleep(0);
          }
        })(),
      );
      assert.ok(lost instanceof asyncio.ConnectionError, `${lost}`);
      assert.match(lost.name, /^(ConnectionResetError|ConnectionAbortedError|BrokenPipeError)$/);
    });

    it("StreamWriter.drain() in a loop that does nothing else ends with an error when the peer goes in the middle of it", async () => {
      await using connection = await connect(role);
      const { writer, peer } = connection;
      const lost = await outcomeOf(
        (async () => {
          const block = Buffer.alloc(100 * KIB);
          // So many only where the loop keeps everything else from happening.
          for (let blocks = 0; blocks < 300_000; blocks++) {
            writer.write(block);
            if (blocks === 0) {
              // After the first half of the block was sent; the second half fails, in a tick that continues the loop.
              process.nextTick(() => peer.socket.resetAndDestroy());
            }
            await writer.drain();
          }
        })(),
      );
      assert.ok(lost instanceof asyncio.ConnectionError, `${lost}`);
    });

    it("StreamWriter.drain() throws the error that was set on the reader", async () => {
      await using connection = await connect(role);
      const error = new asyncio.ValueError("mine");
      connection.reader.setException(error);
      assert.equal(await outcomeOf(connection.writer.drain()), error);
    });
  });

  describe(`Transport of a ${role}: marks`, () => {
    it("Transport calls pauseWriting() above 65536 bytes and resumeWriting() at or below 16384", async () => {
      await using connection = await connect(role, { reads: false });
      const { writer, peer } = connection;
      const { transport } = writer;
      assert.deepEqual(transport.getWriteBufferLimits(), [16 * KIB, 64 * KIB]);
      using marks = new Marks(transport);
      let written = 0;
      for (; marks.calls.length === 0 || transport.getWriteBufferSize() <= 64 * KIB; written += 1000) {
        assert.ok(written < 64 * KIB * KIB);
        transport.write(Buffer.alloc(1000));
        if (written % 50_000 === 0) {
          await turn();
        }
      }
      await turn();
      const [paused] = marks.calls;
      assert.equal(paused?.call, "pause");
      assert.ok((paused?.size ?? 0) > 64 * KIB && (paused?.size ?? 0) <= 64 * KIB + 1000);
      peer.read();
      await peer.received(written);
      const pauses = marks.calls.filter(({ call }) => call === "pause");
      const resumes = marks.calls.filter(({ call }) => call === "resume");
      assert.equal(pauses.length, resumes.length);
      assert.ok(resumes.every(({ size }) => size <= 16 * KIB));
    });

    it("Transport.setWriteBufferLimits() sets both marks from either, and pauses immediately if too much is buffered", async () => {
      await using connection = await connect(role, { reads: false });
      const { transport } = connection.writer;
      transport.setWriteBufferLimits({ high: 1000 });
      assert.deepEqual(transport.getWriteBufferLimits(), [250, 1000]);
      transport.setWriteBufferLimits({ low: 1000 });
      assert.deepEqual(transport.getWriteBufferLimits(), [1000, 4000]);
      transport.setWriteBufferLimits({ high: 30, low: 20 });
      assert.deepEqual(transport.getWriteBufferLimits(), [20, 30]);
      transport.setWriteBufferLimits();
      assert.deepEqual(transport.getWriteBufferLimits(), [16 * KIB, 64 * KIB]);

      using marks = new Marks(transport);
      transport.write("12345");
      assert.deepEqual(marks.calls, []);
      transport.setWriteBufferLimits({ high: 4 });
      assert.deepEqual(marks.calls, [{ call: "pause", size: 5 }]);
      await connection.peer.received(0);
    });

    it("Transport.setWriteBufferLimits({ high: 0 }) pauses for every byte, and resumes when none is left", async () => {
      await using connection = await connect(role);
      const { writer, peer } = connection;
      writer.transport.setWriteBufferLimits({ high: 0 });
      for (let i = 0; i < 10; i++) {
        writer.write("x");
        await writer.drain();
        assert.equal(writer.transport.getWriteBufferSize(), 0);
      }
      assert.equal(await peer.received(10), "xxxxxxxxxx");
    });

    it("Transport.setWriteBufferLimits() refuses marks in the wrong order", async () => {
      await using connection = await connect(role);
      const { transport } = connection.writer;
      const cases = [
        [{ high: 1, low: 5 }, "high (1) must be >= low (5) must be >= 0"],
        [{ high: -1 }, "high (-1) must be >= low (-1) must be >= 0"],
        [{ low: -1 }, "high (-4) must be >= low (-1) must be >= 0"],
        [{ high: Number.NaN }, "high (NaN) must be >= low (NaN) must be >= 0"],
      ] as const;
      for (const [limits, message] of cases) {
        assert.throws(() => transport.setWriteBufferLimits(limits), { name: "ValueError", message });
      }
      assert.deepEqual(transport.getWriteBufferLimits(), [16 * KIB, 64 * KIB]);
    });
  });

  describe(`StreamWriter of a ${role}: close()`, () => {
    it("StreamWriter.close() sends everything that was written, then an EOF; abort() does not", async () => {
      for (const how of ["close", "abort"] as const) {
        await using connection = await connect(role, { reads: false });
        const { writer, peer } = connection;
        const written = await fill(writer);
        writer.transport[how]();
        assert.ok(writer.isClosing());
        peer.read();
        await peer.untilEnded();
        assert.equal(peer.length === written, how === "close");
        assert.equal(await writer.waitClosed(), undefined, "closed on this side, so without an error");
        assert.equal(peer.error, null);
      }
    });

    it("StreamWriter.close() while the peer has more to send than was read ends the connection all the same", async () => {
      await using connection = await connect(role, { limit: 10 });
      const { reader, writer, peer } = connection;
      peer.write("y".repeat(1000 * KIB));
      await reader.readexactly(1);
      writer.close();
      await writer.waitClosed();
      await peer.untilEnded();
      assert.ok(peer.ended || peer.error === "ECONNRESET");
    });

    it("StreamWriter.waitClosed() returns once the connection is closed (test_wait_closed_on_close)", async () => {
      await using connection = await connect(role);
      const { writer, peer } = connection;
      assert.equal(writer.isClosing(), false);
      const waits = writer.waitClosed();
      assert.ok(await stillWaits(waits), "the connection is not closed");
      writer.close();
      assert.equal(writer.isClosing(), true);
      await waits;
      await writer.waitClosed();
      await peer.untilEnded();
      writer.close();
    });

    it("StreamWriter.waitClosed() returns with unread data in the reader (test_wait_closed_on_close_with_unread_data)", async () => {
      await using connection = await connect(role);
      const { reader, writer, peer } = connection;
      peer.write("line\nunread");
      assert.equal(String(await reader.readline()), "line\n");
      writer.close();
      await writer.waitClosed();
      assert.equal(String(await reader.read()), "unread", "what had arrived is still there");
    });

    it("StreamWriter and StreamReader go through a whole conversation quietly (test_async_writer_api)", async () => {
      using reports = new Reports();
      await using connection = await connect(role);
      const { reader, writer, peer } = connection;
      peer.write("line 1\nline 2\n");
      assert.equal(String(await reader.readline()), "line 1\n");
      peer.socket.end();
      assert.equal(String(await reader.read()), "line 2\n");
      writer.close();
      await writer.waitClosed();
      assert.deepEqual(reports.all, []);
    });

    it("StreamWriter.drain() after close() and flush is a ConnectionResetError 'Connection lost' (test_async_writer_api_exception_after_close)", async () => {
      using reports = new Reports();
      await using connection = await connect(role);
      const { writer, peer } = connection;
      writer.write("sent");
      await peer.received(4);
      writer.close();
      writer.write("dropped");
      await assert.rejects(writer.drain(), {
        name: "ConnectionResetError",
        code: "ECONNRESET",
        message: "Connection lost",
      });
      await writer.waitClosed();
      await assert.rejects(writer.drain(), { name: "ConnectionResetError", message: "Connection lost" });
      await peer.untilEnded();
      assert.equal(peer.text, "sent");
      assert.deepEqual(reports.all, []);
    });

    it("StreamReader is at EOF after close() and waitClosed() of its writer (test_eof_feed_when_closing_writer)", async () => {
      using reports = new Reports();
      await using connection = await connect(role);
      const { reader, writer } = connection;
      writer.close();
      await writer.waitClosed();
      assert.equal(reader.atEof(), true);
      assert.equal((await reader.read()).length, 0);
      assert.deepEqual(reports.all, []);
    });

    it("StreamWriter.write() after close() is still sent while earlier data is", async () => {
      await using connection = await connect(role, { reads: false });
      const { writer, peer } = connection;
      const written = await fill(writer);
      writer.close();
      writer.write("LATE");
      const drained = writer.drain();
      const closed = writer.waitClosed();
      assert.ok(await stillWaits(drained));
      assert.ok(await stillWaits(closed));
      peer.read();
      await peer.untilEnded();
      assert.equal(peer.length, written + 4);
      assert.equal(peer.chunks.at(-1)?.subarray(-4).toString(), "LATE");
      await closed;
      await drained;
    });

    it("StreamWriter.write() right before close() is sent", async () => {
      await using connection = await connect(role);
      connection.writer.write("last words");
      connection.writer.close();
      await connection.peer.untilEnded();
      assert.equal(connection.peer.text, "last words");
    });

    it("StreamWriter.waitClosed() that is cancelled does not spoil another one", async () => {
      await using connection = await connect(role);
      const { writer } = connection;
      const cancelled = asyncio.createTask(() => writer.waitClosed());
      const other = asyncio.createTask(() => writer.waitClosed());
      await turn();
      cancelled.cancel();
      assert.ok((await outcomeOf(cancelled)) instanceof asyncio.CancelledError);
      writer.close();
      assert.equal(await outcomeOf(other), undefined);
      assert.equal(await writer.waitClosed(), undefined);
    });

    it("Transport.abort() and close() on a closed transport do nothing", async () => {
      using reports = new Reports();
      await using connection = await connect(role);
      const { writer } = connection;
      writer.close();
      await writer.waitClosed();
      writer.transport.abort();
      writer.transport.close();
      writer.writeEof();
      writer.transport.pauseReading();
      writer.transport.resumeReading();
      assert.equal(writer.transport.isReading(), false);
      await turn();
      assert.deepEqual(reports.all, []);
    });

    it("StreamWriter as an async disposable closes and waits, even if the peer is dead", async () => {
      await using connection = await connect(role);
      const { reader, writer, peer } = connection;
      {
        await using disposed = writer;
        disposed.write("x");
        await peer.received(1);
      }
      assert.ok(writer.isClosing());
      await peer.untilEnded();
      assert.ok(reader.atEof());

      await using dead = await connect(role);
      dead.peer.socket.resetAndDestroy();
      await outcomeOf(dead.reader.read());
      await dead.writer[Symbol.asyncDispose]();
      assert.ok(dead.writer.isClosing());
    });
  });

  describe(`StreamWriter of a ${role}: writeEof()`, () => {
    it("StreamWriter.writeEof() ends this side only: the peer's answer can still be read", async () => {
      await using connection = await connect(role);
      const { reader, writer, peer } = connection;
      assert.equal(writer.canWriteEof(), true);
      writer.write("question");
      writer.writeEof();
      await peer.untilEnded();
      assert.equal(peer.text, "question");
      assert.equal(writer.isClosing(), false);
      peer.write("late");
      assert.equal(String(await reader.read(100)), "late");
      peer.socket.end();
      assert.equal((await reader.read()).length, 0);
      writer.close();
      await writer.waitClosed();
      await peer.untilClosed();
      assert.equal(peer.error, null);
    });

    it("StreamWriter can still write when the peer has ended its side", async () => {
      await using connection = await connect(role);
      const { reader, writer, peer } = connection;
      peer.write("question");
      peer.socket.end();
      assert.equal(String(await reader.read()), "question");
      assert.ok(reader.atEof());
      assert.equal(writer.isClosing(), false);
      for (let i = 0; i < 3; i++) {
        writer.write("late");
        await writer.drain();
        await turn();
      }
      writer.close();
      await writer.waitClosed();
      await peer.untilEnded();
      assert.equal(peer.text, "latelatelate");
      assert.equal(peer.error, null);
    });

    it("StreamWriter.writeEof() comes after everything that was written before", async () => {
      await using connection = await connect(role, { reads: false });
      const { writer, peer } = connection;
      const written = await fill(writer);
      writer.writeEof();
      peer.read();
      await peer.untilEnded();
      assert.equal(peer.length, written);
      assert.equal(writer.isClosing(), false);
    });

    it("StreamWriter.write() after writeEof() is a RuntimeError; a second writeEof() is nothing", async () => {
      await using connection = await connect(role);
      const { writer, peer } = connection;
      writer.writeEof();
      writer.writeEof();
      assert.throws(() => writer.write("x"), {
        name: "RuntimeError",
        code: "ERR_WRITE_AFTER_EOF",
        message: "Cannot call write() after writeEof()",
      });
      assert.throws(() => writer.writelines(["x"]), { message: "Cannot call writelines() after writeEof()" });
      await peer.untilEnded();
      writer.close();
      await writer.waitClosed();
    });

    it("StreamWriter.writeEof() after close() does nothing", async () => {
      await using connection = await connect(role, { reads: false });
      const { writer, peer } = connection;
      const written = await fill(writer);
      writer.close();
      writer.writeEof();
      writer.write("LATE");
      peer.read();
      await peer.untilEnded();
      assert.equal(peer.length, written + 4);
    });
  });

  describe(`StreamWriter of a ${role}: getExtraInfo()`, () => {
    it("StreamWriter.getExtraInfo() tells both addresses and the socket, also after close()", async () => {
      await using connection = await connect(role);
      const { writer, peer } = connection;
      const { localAddress, localPort, remoteAddress, remotePort } = peer.socket;
      const check = (): void => {
        const peername = writer.getExtraInfo("peername") as asyncio.SocketAddress;
        const sockname = writer.getExtraInfo("sockname") as asyncio.SocketAddress;
        assert.ok(peername instanceof asyncio.SocketAddress);
        assert.deepEqual([peername.address, peername.port, peername.family], [localAddress, localPort, "IPv4"]);
        assert.deepEqual([sockname.address, sockname.port, sockname.family], [remoteAddress, remotePort, "IPv4"]);
        assert.equal(String(peername), `127.0.0.1:${localPort}`);
        assert.equal(inspect(sockname), `127.0.0.1:${remotePort}`);
        assert.ok(writer.getExtraInfo("socket") instanceof net.Socket);
        assert.equal(writer.getExtraInfo("sslcontext"), null);
        assert.equal(writer.getExtraInfo("no such thing"), null);
        assert.equal(writer.getExtraInfo("no such thing", "instead"), "instead");
        assert.equal(writer.transport.getExtraInfo("sockname"), sockname);
      };
      check();
      writer.close();
      await writer.waitClosed();
      check();
    });
  });

  describe(`StreamWriter of a ${role} as text`, () => {
    it("StreamWriter as text names its transport and its reader", async () => {
      await using connection = await connect(role);
      const { reader, writer } = connection;
      const name = `<SocketTransport ${writer.getExtraInfo("sockname")} peer=${writer.getExtraInfo("peername")}>`;
      assert.equal(String(writer.transport), name);
      assert.equal(String(reader), `<StreamReader transport=${name}>`);
      assert.equal(String(writer), `<StreamWriter transport=${name} reader=${reader}>`);
      assert.equal(inspect(writer), String(writer));
      writer.write("1234");
      assert.match(String(writer.transport), / bufsize=4>$/);
      writer.transport.pauseReading();
      assert.match(String(writer.transport), / paused /);
      writer.close();
      assert.match(String(writer.transport), / closing /);
      await writer.waitClosed();
      assert.match(String(writer.transport), / closed /);
    });
  });
}

describe("Transport.pauseReading()", () => {
  it("Transport.pauseReading() lets no more than a bounded amount through, until resumeReading()", async () => {
    await using connection = await connect("client", { limit: 10 });
    const { reader, writer, peer } = connection;
    const { transport } = writer;
    assert.equal(transport.isReading(), true);
    transport.pauseReading();
    transport.pauseReading();
    assert.equal(transport.isReading(), false);
    peer.write("x".repeat(10));
    await asyncio.sleep(0.02);
    assert.equal(String(reader).includes("bytes"), false);
    transport.resumeReading();
    transport.resumeReading();
    assert.equal(String(await reader.readexactly(10)), "x".repeat(10));
  });

  it("StreamReader without reads makes the peer wait, whatever it sends", async () => {
    await using connection = await connect("server", { limit: 64 * KIB });
    const { reader, peer } = connection;
    let sent = 0;
    let stalled = false;
    // The peer stops when its own socket has taken nothing for a while, since the reader has paused.
    while (!stalled || !String(reader).endsWith(" paused>")) {
      assert.ok(sent < 64 * KIB * KIB, "the peer could get rid of 64 MiB");
      sent += CHUNK.length;
      const flushed = new Promise<string>((resolve) => {
        peer.socket.write(CHUNK, () => resolve("flushed"));
      });
      stalled = (await Promise.race([flushed, asyncio.sleep(0.2, "stalled")])) === "stalled";
    }
    const [, arrived] = /^<StreamReader (\d+) bytes/.exec(String(reader)) ?? [];
    // Twice the limit, and one chunk, which is 64 KiB in Node and up to 512 KiB in Bun.
    assert.ok(Number(arrived) > 128 * KIB && Number(arrived) <= 640 * KIB, `${arrived} bytes are in the reader`);
    assert.match(String(reader), / paused>$/);
    peer.socket.end();
    let read = 0;
    for (let chunk = await reader.read(CHUNK.length); chunk.length > 0; chunk = await reader.read(CHUNK.length)) {
      read += chunk.length;
    }
    assert.equal(read, sent);
  });

  it("StreamReader.read() to the end gets far more than twice the limit over TCP (test_read_all_from_pipe_reader)", async () => {
    await using connection = await connect("client", { limit: 1 });
    const { reader, peer } = connection;
    const whole = Buffer.alloc(1000 * KIB, "abcdefghij");
    peer.socket.end(whole);
    assert.ok((await reader.read()).equals(whole));
  });

  it("StreamReader.readexactly() of far more than twice the limit gets it over TCP", async () => {
    await using connection = await connect("client", { limit: 100 });
    const { reader, peer } = connection;
    const whole = Buffer.alloc(1000 * KIB, "abcdefghij");
    peer.write(whole);
    assert.ok((await reader.readexactly(whole.length)).equals(whole));
  });
});

describe("StreamWriter.write() to a lost connection", () => {
  it("StreamWriter.write() to a lost connection warns from the sixth time on", async () => {
    await using connection = await connect("client");
    const { writer } = connection;
    writer.close();
    await writer.waitClosed();
    const warnings: string[] = [];
    const onWarning = ({ name, message }: Error): void => {
      warnings.push(`${name}: ${message}`);
    };
    process.on("warning", onWarning);
    for (let i = 0; i < 7; i++) {
      writer.write("x");
    }
    await turn();
    await turn();
    process.off("warning", onWarning);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /^RuntimeWarning: write\(\) to a lost connection: <SocketTransport .*closed/);
  });
});

describe("Connection that carries much", () => {
  it("StreamWriter and StreamReader carry 8 MiB in both directions at the same time, unchanged", async () => {
    const whole = Buffer.alloc(8 * KIB * KIB);
    for (let i = 0; i < whole.length; i += 4) {
      whole.writeUInt32LE((i * 2654435761) >>> 0, i);
    }
    await using serving = await serve(async (reader, writer) => {
      for (let chunk = await reader.read(100_000); chunk.length > 0; chunk = await reader.read(100_000)) {
        writer.write(chunk);
        await writer.drain();
      }
      writer.close();
    });
    const peer = await rawPeer(serving.port);
    peer.socket.end(whole);
    await peer.untilEnded();
    assert.ok(Buffer.concat(peer.chunks).equals(whole));
  });
});

for (const role of roles) {
  describe(`StreamWriter of a ${role}: writelines() that throws`, () => {
    const mistake = new Error("no more");
    const bad: readonly [string, unknown, unknown][] = [
      ["a number behind other pieces", ["half ", 5, "rest"], TypeError],
      ["null before other pieces", [null, "rest"], TypeError],
      [
        "an iterable that throws",
        (function* () {
          yield "half ";
          throw mistake;
        })(),
        mistake,
      ],
      ["something that is not iterable", 5, TypeError],
    ];
    for (const [what, pieces, expected] of bad) {
      it(`StreamWriter.writelines() of ${what} sends nothing`, async () => {
        await using connection = await connect(role);
        const { writer, peer } = connection;
        assert.throws(
          () => writer.writelines(pieces as string[]),
          (error) => error === expected || (typeof expected === "function" && error instanceof expected),
        );
        assert.equal(writer.transport.getWriteBufferSize(), 0);
        writer.write("next");
        writer.writeEof();
        await peer.untilEnded();
        assert.equal(String(Buffer.concat(peer.chunks)), "next");
      });
    }

    it("StreamWriter.writelines() after writeEof() throws a RuntimeError, even if there is nothing to write", async () => {
      await using connection = await connect(role);
      connection.writer.writeEof();
      for (const pieces of [["x"], []]) {
        assert.throws(() => connection.writer.writelines(pieces), asyncio.RuntimeError);
      }
    });
  });
}
