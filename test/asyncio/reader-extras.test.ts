/** StreamReader and StreamWriter: what Python does not have, beside reads that wait, and at the marks. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { FakeTransport } from "../conformance/reader-sessions.ts";
import { turn } from "../support/latch.ts";
import { connect, outcomeOf, roles, stillWaits } from "../support/peers.ts";

function readerWith(text: string, limit = 65_536): [asyncio.StreamReader, FakeTransport] {
  const reader = new asyncio.StreamReader({ limit });
  const transport = new FakeTransport();
  reader.setTransport(transport as unknown as asyncio.Transport);
  reader.feedData(Buffer.from(text));
  return [reader, transport];
}

describe("StreamReader beside a read that waits", () => {
  it("StreamReader answers another read if it need not wait, and lets the first continue", async () => {
    const [reader] = readerWith("one\ntwo\nthree");
    const parked = reader.readexactly(20);
    assert.equal(String(await reader.readline()), "one\n");
    assert.equal(String(await reader.readuntil("\n")), "two\n");
    assert.equal(String(await reader.peek(2)), "th");
    const target = Buffer.alloc(3);
    assert.equal(await reader.readInto(target), 3);
    assert.equal(String(target), "thr");
    assert.equal(String(await reader.read(100)), "ee");
    reader.feedData(Buffer.from("12345678901234567890rest"));
    assert.equal(String(await parked), "12345678901234567890");
    assert.equal(String(await reader.read(10)), "rest");
  });

  it("StreamReader refuses every other read that would have to wait, by its name", async () => {
    const [reader] = readerWith("abc");
    const parked = reader.readline();
    for (const [read, name] of [
      [() => reader.readexactly(4), "readexactly"],
      [() => reader.read(), "read"],
      [() => reader.readline(), "readuntil"],
      [() => reader.readuntil("x"), "readuntil"],
      [() => reader.peek(4), "peek"],
      [() => reader.readInto(Buffer.alloc(4), { min: 4 }), "readInto"],
    ] as const) {
      const error = await outcomeOf(read());
      assert.ok(error instanceof asyncio.RuntimeError, String(error));
      assert.ok(error.message.startsWith(`${name}() called while another coroutine is already waiting`), error.message);
      assert.equal(error.code, "ERR_READER_BUSY");
    }
    reader.feedData(Buffer.from("\n"));
    assert.equal(String(await parked), "abc\n");
  });

  it("StreamReader answers reads of no bytes immediately, even beside a read to the end", async () => {
    const [reader] = readerWith("abc");
    const parked = reader.read();
    assert.equal(String(await reader.read(0)), "");
    assert.equal(String(await reader.readexactly(0)), "");
    assert.equal(String(await reader.peek(0)), "");
    assert.equal(((await outcomeOf(reader.read(1))) as Error).name, "RuntimeError");
    assert.equal(((await outcomeOf(reader.peek(1))) as Error).name, "RuntimeError");
    reader.feedEof();
    assert.equal(String(await parked), "abc");
  });

  it("StreamReader tells another read that the limit is passed, and drops the line for it, as in Python", async () => {
    const [reader] = readerWith("a long line", 3);
    const parked = reader.readexactly(20);
    const overrun = await outcomeOf(reader.readuntil("\n"));
    assert.ok(overrun instanceof asyncio.LimitOverrunError);
    assert.equal(overrun.consumed, 11);
    assert.equal(((await outcomeOf(reader.readline())) as Error).name, "ValueError");
    reader.feedData(Buffer.from("12345678901234567890"));
    assert.equal(String(await parked), "12345678901234567890");
  });

  it("StreamReader that another read has taken bytes from still finds the separator that is waited for", async () => {
    const [reader] = readerWith("abcde");
    const parked = reader.readuntil("--");
    assert.equal(String(await reader.read(4)), "abcd");
    // CPython continues after the bytes that it has searched, which are gone, and misses this one.
    reader.feedData(Buffer.from("--rest"));
    assert.equal(String(await parked), "e--");
  });

  it("StreamReader.readInto() that waits keeps its buffer, whatever another one is given", async () => {
    const [reader] = readerWith("ab");
    const [first, second] = [Buffer.alloc(5, "."), Buffer.alloc(5, ".")];
    const parked = reader.readInto(first, { min: 4 });
    assert.equal(await reader.readInto(second), 2);
    reader.feedData(Buffer.from("cdef"));
    assert.equal(await parked, 4);
    assert.deepEqual([String(first), String(second)], ["cdef.", "ab..."]);
  });

  it("StreamReader's reads that do not wait give null beside one that does, and nothing is lost", async () => {
    const [reader] = readerWith("line\nmore\n");
    const parked = reader.readexactly(20);
    assert.deepEqual([reader.tryReadline(), reader.tryReadexactly(1), reader.tryReaduntil("e")], [null, null, null]);
    assert.throws(() => reader.tryReadexactly(-1), asyncio.ValueError);
    assert.throws(() => reader.tryReaduntil([]), asyncio.ValueError);
    reader.feedData(Buffer.from("0123456789"));
    assert.equal(String(await parked), "line\nmore\n0123456789");
  });
});

describe("StreamReader and its marks", () => {
  it("StreamReader pauses for more than twice the limit, though a read that waits takes some of it, unless it takes enough", async () => {
    for (const [size, paused] of [
      [1, true],
      [3, true],
      [4, false],
      [7, false],
    ] as const) {
      const [reader, transport] = readerWith("", 3);
      const parked = reader.read(size);
      reader.feedData(Buffer.from("1234567"));
      assert.equal((await parked).length, size);
      // Above the limit of 3 it is, or not.
      assert.equal(transport.paused, paused, `read(${size})`);
    }
  });

  it("StreamReader does not pause for no more than twice the limit, whatever is left of it", async () => {
    const [reader, transport] = readerWith("", 3);
    const parked = reader.read(1);
    reader.feedData(Buffer.from("123456"));
    await parked;
    assert.equal(transport.paused, false);
  });

  it("StreamReader resumes for tryRead..., readInto() and not for peek()", async () => {
    const reads: readonly [string, (reader: asyncio.StreamReader) => unknown, boolean][] = [
      ["tryReadexactly", (reader) => reader.tryReadexactly(6), false],
      ["tryReadline", (reader) => reader.tryReadline(), false],
      ["tryReaduntil", (reader) => reader.tryReaduntil("6"), true],
      ["readInto", (reader) => reader.readInto(Buffer.alloc(8)), false],
      ["peek", (reader) => reader.peek(9), true],
    ];
    for (const [name, read, staysPaused] of reads) {
      const [reader, transport] = readerWith("12345\n789", 3);
      assert.equal(transport.paused, true);
      await outcomeOf((async () => read(reader))());
      assert.equal(transport.paused, staysPaused, name);
    }
  });

  it("StreamReader.peek() of more than twice the limit resumes its transport for as long as it waits", async () => {
    const [reader, transport] = readerWith("1234567", 3);
    assert.equal(transport.paused, true);
    const peeked = reader.peek(10);
    assert.equal(transport.paused, false);
    reader.feedData(Buffer.from("89"));
    assert.equal(transport.paused, false);
    reader.feedData(Buffer.from("0ab"));
    assert.equal(String(await peeked), "1234567890");
    assert.equal(transport.paused, true);
    assert.equal(String(await reader.readexactly(9)), "123456789");
    assert.equal(transport.paused, false);
  });
});

describe("StreamReader.readInto() and peek() that fail", () => {
  it("StreamReader.readInto() rejects an invalid target or min, even if an error is set", async () => {
    const [reader] = readerWith("abc");
    for (const [target, options, error] of [
      [[], {}, TypeError],
      [null, {}, TypeError],
      ["text", {}, TypeError],
      [new Uint16Array(2), {}, TypeError],
      [new Uint8Array(2), { min: 0 }, asyncio.ValueError],
      [new Uint8Array(2), { min: 3 }, asyncio.ValueError],
      [new Uint8Array(2), { min: 1.5 }, asyncio.ValueError],
      [new Uint8Array(2), { max: 1 }, TypeError],
      [new Uint8Array(0), {}, asyncio.ValueError],
    ] as const) {
      const outcome = await outcomeOf(reader.readInto(target as never, options as never));
      assert.ok(outcome instanceof error, String(outcome));
    }
    assert.equal(String(await reader.readexactly(3)), "abc");
  });

  it("StreamReader.readInto() and peek() throw what was set, whether they wait or not", async () => {
    for (const read of [
      (reader: asyncio.StreamReader) => reader.readInto(Buffer.alloc(9), { min: 9 }),
      (reader: asyncio.StreamReader) => reader.peek(9),
      (reader: asyncio.StreamReader) => reader.peek(0),
    ]) {
      const [reader] = readerWith("abc");
      const error = new RangeError("set");
      const waiting = outcomeOf(read(reader));
      reader.setException(error);
      const outcome = await waiting;
      assert.ok(outcome === error || String(outcome) === "");
      assert.equal(await outcomeOf(read(reader)), error);
    }
  });

  it("StreamReader.peek() that is cancelled leaves everything, and another may read", async () => {
    const [reader] = readerWith("abc");
    const task = asyncio.createTask(() => reader.peek(10));
    await turn();
    task.cancel();
    await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
    assert.equal(String(await reader.readexactly(3)), "abc");
  });

  it("StreamReader.peek() and the tryRead... take the size and the separators that their like take, and no other", async () => {
    const [reader] = readerWith("abc");
    assert.ok((await outcomeOf(reader.peek(-1))) instanceof asyncio.ValueError);
    assert.ok((await outcomeOf(reader.peek(1.5))) instanceof TypeError);
    assert.throws(() => reader.tryReadexactly(1.5), TypeError);
    assert.throws(() => reader.tryReadexactly(-1), asyncio.ValueError);
    assert.throws(() => reader.tryReaduntil(""), asyncio.ValueError);
    assert.throws(() => reader.tryReaduntil(5 as never), TypeError);
    assert.equal(String(reader.tryReaduntil(["x", Buffer.from("b")])), "ab");
    assert.equal(String(reader.tryReadexactly(0)), "");
  });
});

describe("StreamWriter.send() and needsDrain", () => {
  for (const role of roles) {
    it(`StreamWriter.send() of a ${role} writes, and waits as drain() would`, async () => {
      await using connection = await connect(role, { reads: false });
      const { writer, peer } = connection;
      await writer.send("little");
      assert.equal(writer.needsDrain, false);
      const sending = writer.send(Buffer.alloc(16 * 1024 * 1024));
      assert.equal(writer.needsDrain, true);
      assert.ok(await stillWaits(sending));
      peer.read();
      await sending;
      assert.equal(writer.needsDrain, false);
      await peer.received(6 + 16 * 1024 * 1024);
    });

    it(`StreamWriter.send() of a ${role} that is cancelled has written all the same`, async () => {
      await using connection = await connect(role, { reads: false });
      const { writer, peer } = connection;
      const task = asyncio.createTask(() => writer.send(Buffer.alloc(16 * 1024 * 1024)));
      assert.ok(await stillWaits(task));
      task.cancel();
      await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
      peer.read();
      await peer.received(16 * 1024 * 1024);
    });

    it(`StreamWriter.send() of a ${role} throws what write() and drain() throw`, async () => {
      await using connection = await connect(role);
      const { writer } = connection;
      await assert.rejects(writer.send(5 as never), TypeError);
      writer.writeEof();
      await assert.rejects(writer.send("x"), { name: "RuntimeError", message: "Cannot call write() after writeEof()" });
      assert.equal(writer.needsDrain, false);
      writer.close();
      assert.equal(writer.needsDrain, true, "drain() would throw");
      await writer.waitClosed();
      await assert.rejects(writer.drain(), { name: "ConnectionResetError", message: "Connection lost" });
    });
  }
});
