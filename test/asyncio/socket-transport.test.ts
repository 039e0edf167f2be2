/** SocketTransport over streams that misbehave: what they do ends their connection, and nothing else. */
import assert from "node:assert/strict";
import { Duplex, type DuplexOptions } from "node:stream";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { connect, outcomeOf, Reports, roles } from "../support/peers.ts";

const KIB = 1024;

/** Takes what it gets, and gives nothing. */
function idleStream(options: DuplexOptions = {}): Duplex {
  return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(), ...options });
}

type Act = (writer: asyncio.StreamWriter, stream: Duplex) => void;

const write: Act = (writer) => writer.write("x");
const close: Act = (writer) => writer.close();
const abort: Act = (writer) => writer.transport.abort();
const pause: Act = (writer) => writer.transport.pauseReading();

/** Methods of a stream that the transport calls, and what has it call them. */
const methods: readonly [string, string, Act][] = [
  ["write", "write()", write],
  ["write", "writelines()", (writer) => writer.writelines(["x", "y"])],
  ["end", "writeEof()", (writer) => writer.writeEof()],
  ["end", "close()", close],
  ["destroy", "close()", close],
  ["destroy", "abort()", abort],
  ["pause", "pauseReading()", pause],
  ["pause", "close()", close],
  [
    "resume",
    "resumeReading()",
    (writer) => {
      writer.transport.pauseReading();
      writer.transport.resumeReading();
    },
  ],
];

describe("SocketTransport over a Duplex that throws", () => {
  for (const [method, call, act] of methods) {
    it(`${call} on a stream whose ${method}() throws tells the exception handler and ends the connection`, async () => {
      const broken = new Error(`no ${method}`);
      const stream = idleStream();
      const [, writer] = await asyncio.openConnection({ sock: stream });
      using reports = new Reports();
      Object.assign(stream, {
        [method]: () => {
          throw broken;
        },
      });
      act(writer, stream);
      assert.equal(await outcomeOf(writer.waitClosed()), broken);
      assert.equal(reports.all[0]?.exception, broken);
      assert.deepEqual(new Set(reports.messages), new Set(["Fatal error: a method of the stream failed."]));
    });
  }

  const parts: readonly [string, DuplexOptions, Act][] = [
    ["_write", { write: fail }, write],
    ["_final", { final: fail }, close],
    ["_final", { final: failLater }, close],
    ["_final", { final: failLater }, writeEofAndClose],
    ["_destroy", { destroy: fail }, close],
    ["_destroy", { destroy: fail, emitClose: false }, abort],
    ["_read", { read: fail }, () => {}],
  ];
  for (const [part, options, act] of parts) {
    it(`waitClosed() throws what ${part}() of a stream${"emitClose" in options ? " without 'close'" : ""} fails with`, async () => {
      using _reports = new Reports();
      const stream = idleStream(options);
      const [, writer] = await asyncio.openConnection({ sock: stream });
      act(writer, stream);
      assert.equal(await outcomeOf(writer.waitClosed()), broken);
    });
  }
});

function writeEofAndClose(writer: asyncio.StreamWriter): void {
  writer.writeEof();
  writer.close();
}

const broken = new Error("broken");
function fail(): never {
  throw broken;
}
function failLater(done: (error: Error) => void): void {
  setImmediate(done, broken);
}

describe("A peer whose messages were each answered with a single write", () => {
  const MESSAGES = 20;

  /** A connection whose next answer is sent immediately; the stream holds what it gets once `held` is set. */
  async function answering(): Promise<{ writer: asyncio.StreamWriter; stream: Duplex; held: (() => void)[] | null }> {
    const state = { held: null as (() => void)[] | null };
    const stream = idleStream({
      write: (_chunk, _encoding, done) => void (state.held === null ? done() : state.held.push(done)),
    });
    const [reader, writer] = await asyncio.openConnection({ sock: stream });
    for (let i = 0; i < MESSAGES; i++) {
      stream.push("x");
      writer.write(await reader.read(1));
      await writer.drain();
      await asyncio.sleep(0);
    }
    stream.push("x");
    await reader.read(1);
    return Object.assign(state, { writer, stream });
  }

  it("gets the next answer before write() returns; drain() waits for none of it", async () => {
    const { writer } = await answering();
    writer.transport.setWriteBufferLimits({ high: 0 });
    writer.write("answer");
    assert.equal(writer.transport.getWriteBufferSize(), 0);
    assert.equal(writer.needsDrain, false);
    writer.close();
  });

  it("pauses writing with an answer over the high mark that it does not take", async () => {
    const state = await answering();
    const { writer } = state;
    const held: (() => void)[] = [];
    state.held = held;
    writer.transport.setWriteBufferLimits({ high: 3 });
    writer.write("answer");
    assert.equal(held.length, 1);
    assert.equal(writer.transport.getWriteBufferSize(), "answer".length);
    assert.equal(writer.needsDrain, true);
    state.held = null;
    for (const done of held) {
      done();
    }
    await writer.drain();
    assert.equal(writer.transport.getWriteBufferSize(), 0);
    writer.close();
  });

  it("ends its connection with what write() of its stream throws", async () => {
    const { writer, stream } = await answering();
    using reports = new Reports();
    Object.assign(stream, { write: fail });
    writer.write("answer");
    assert.equal(await outcomeOf(writer.waitClosed()), broken);
    assert.deepEqual(reports.messages, ["Fatal error: a method of the stream failed."]);
  });
});

describe("SocketTransport over a Duplex that emits no 'close'", () => {
  const ends: readonly [string, Act, Error | undefined][] = [
    ["close()", close, undefined],
    ["close() after write()", (writer) => writer.writelines(["x", "y"]), undefined],
    ["abort()", abort, undefined],
    ["the stream's destroy()", (_writer, stream) => stream.destroy(), undefined],
    ["the stream's destroy(error)", (_writer, stream) => stream.destroy(broken), broken],
    [
      "EOF on both sides",
      (writer, stream) => {
        writer.writeEof();
        stream.push(null);
      },
      undefined,
    ],
  ];
  for (const [end, act, error] of ends) {
    it(`waitClosed() ends after ${end}`, async () => {
      const stream = idleStream({ emitClose: false });
      const [reader, writer] = await asyncio.openConnection({ sock: stream });
      act(writer, stream);
      if (end.endsWith("write()")) {
        writer.close();
      }
      assert.equal(await outcomeOf(writer.waitClosed()), error);
      assert.equal(await outcomeOf(reader.read().then(String)), error ?? "");
    });
  }
});

describe("Memory that is transferred after write()", () => {
  const bytes = (size: number): Uint8Array<ArrayBuffer> => new Uint8Array(size).fill(1);
  const writes: readonly [string, number, (writer: asyncio.StreamWriter, moved: Uint8Array) => void][] = [
    ["the only piece", 10, (writer, moved) => writer.write(moved)],
    ["the first of several pieces", 10, (writer, moved) => writer.writelines([moved, "x"])],
    ["the last of several pieces", 10, (writer, moved) => writer.writelines(["x", moved])],
    ["a piece of several batches", 200 * KIB, (writer, moved) => writer.write(moved)],
    ["a piece after several batches", 10, (writer, moved) => writer.writelines([bytes(200 * KIB), moved])],
  ];
  for (const [which, size, send] of writes) {
    it(`StreamWriter.write() of ${which} ends the connection with a RuntimeError`, async () => {
      using reports = new Reports();
      const [, writer] = await asyncio.openConnection({ sock: idleStream() });
      const moved = bytes(size);
      send(writer, moved);
      structuredClone(moved, { transfer: [moved.buffer] });
      const error = await outcomeOf(writer.waitClosed());
      assert.ok(error instanceof asyncio.RuntimeError);
      assert.match(error.message, /transferred after write\(\)/);
      assert.deepEqual(
        reports.all.map(({ exception }) => exception),
        [error],
      );
    });
  }
});

describe("Memory that grows after write()", () => {
  const writes: readonly [string, (writer: asyncio.StreamWriter, growing: Uint8Array) => void][] = [
    ["the only piece", (writer, growing) => writer.write(growing)],
    ["the first of several pieces", (writer, growing) => writer.writelines([growing, "x"])],
    ["the last of several pieces", (writer, growing) => writer.writelines(["x", growing])],
  ];
  for (const [which, send] of writes) {
    for (const size of [20, 60 * KIB, 200 * KIB]) {
      it(`StreamWriter.write() of ${which}, which grows to ${size} bytes: waitClosed() throws a RuntimeError, reported once`, async () => {
        using reports = new Reports();
        const [, writer] = await asyncio.openConnection({ sock: idleStream() });
        const memory = new (ArrayBuffer as new (size: number, options: object) => ArrayBuffer)(10, {
          maxByteLength: size,
        });
        send(writer, new Uint8Array(memory));
        (memory as ArrayBuffer & { resize(size: number): void }).resize(size);
        writer.close();
        const error = await outcomeOf(writer.waitClosed());
        assert.ok(error instanceof asyncio.RuntimeError, String(error));
        assert.match(error.message, /resized or transferred after write/);
        assert.equal(reports.all.length, 1);
      });
    }
  }
});

describe("StreamReader.feedEof() by the program", () => {
  for (const role of roles) {
    it(`data that arrives after feedEof() ends the connection of a ${role}, with one report`, async () => {
      await using connection = await connect(role);
      const { reader, writer, peer } = connection;
      using reports = new Reports();
      reader.feedEof();
      peer.write("data");
      assert.ok((await outcomeOf(writer.waitClosed())) instanceof asyncio.RuntimeError);
      assert.deepEqual(reports.messages, ["Fatal error: protocol.dataReceived() call failed."]);
    });
  }
});
