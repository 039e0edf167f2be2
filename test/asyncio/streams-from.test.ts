/** `StreamReader.from()` and `StreamWriter.from()`, over every kind of source and of sink. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { tmpdir } from "node:os";
import { PassThrough, Readable, Writable } from "node:stream";
import { describe, it } from "node:test";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import * as fc from "fast-check";
import { eventually, outcomeOf, stillWaits, turns } from "../support/peers.ts";
import { type Gate, gatedSinks, type Pieces, realSinks, realSources, sourceKinds } from "../support/pipes.ts";

const loop = asyncio.getRunningLoop();
const TEXT = "first\nsecond\nthird";

/** The pieces, then an error if one is given. */
function* piecesOf(pieces: readonly (Uint8Array | string)[], failure?: { readonly error: unknown }): Pieces {
  for (const piece of pieces) {
    yield Buffer.from(piece as string);
  }
  if (failure !== undefined) {
    throw failure.error;
  }
}

function* endless(size: number, count: { given: number }): Pieces {
  for (;;) {
    count.given += size;
    yield Buffer.alloc(size, "x");
  }
}

const ignored = (): void => {};

for (const [name, { make, failsWithAnything }] of Object.entries(sourceKinds)) {
  describe(`StreamReader.from() of ${name}`, () => {
    it(`a reader of ${name} gives its bytes and its EOF, however they are cut`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }), async (pieces) => {
          const reader = asyncio.StreamReader.from(make(piecesOf(pieces), ignored), { limit: 16 });
          assert.deepEqual(await reader.read(), Buffer.concat(pieces));
          assert.ok(reader.atEof());
        }),
        { numRuns: 30 },
      );
    });

    it(`a reader of ${name} gives lines, and what is left at the end`, async () => {
      const reader = asyncio.StreamReader.from(make(piecesOf(["fir", "st\nsec", "ond\nthird"]), ignored));
      const lines: string[] = [];
      for await (const line of reader) {
        lines.push(String(line));
      }
      assert.deepEqual(lines, ["first\n", "second\n", "third"]);
    });

    it(`a read of ${name} throws what it fails with, after the bytes before it`, async () => {
      const error = new RangeError("failed");
      const reader = asyncio.StreamReader.from(make(piecesOf(["line\n", "rest"], { error }), ignored));
      assert.equal(String(await reader.readline()), "line\n");
      assert.equal(String(await reader.readexactly(4)), "rest");
      assert.equal(await outcomeOf(reader.read()), error);
      assert.equal(await outcomeOf(reader.readline()), error);
    });

    it(`a read of ${name} throws an error of the system by its Python name`, async () => {
      const cause = Object.assign(new Error("read EIO"), { code: "ECONNRESET", errno: -104, syscall: "read" });
      const reader = asyncio.StreamReader.from(make(piecesOf([], { error: cause }), ignored));
      const error = await outcomeOf(reader.readline());
      assert.ok(error instanceof asyncio.ConnectionResetError);
      assert.equal(error.cause, cause);
    });

    it(`a fast one as ${name} is paused when more than twice the limit has arrived`, async () => {
      const count = { given: 0 };
      const reader = asyncio.StreamReader.from(make(endless(100, count), ignored), { limit: 1000 });
      assert.ok(await eventually(() => count.given > 2000));
      await turns(20);
      const before = count.given;
      // A Readable reads ahead up to its own mark.
      assert.ok(before <= 2000 + 64 * 1024 + 1000, `${before} bytes were taken`);
      for (let taken = 0; taken <= before; taken += 1000) {
        await reader.readexactly(1000);
      }
      assert.ok(await eventually(() => count.given > before));
      reader[Symbol.dispose]();
    });

    it(`"using" a reader of ${name} cancels it, and leaves what has arrived`, async () => {
      let cancelled = 0;
      const reader = asyncio.StreamReader.from(
        make(endless(100, { given: 0 }), () => {
          cancelled += 1;
        }),
        { limit: 100 },
      );
      {
        using held = reader;
        await held.readexactly(10);
      }
      assert.ok(await eventually(() => cancelled === 1));
      assert.ok((await reader.read()).length >= 90);
      assert.ok(reader.atEof());
      reader[Symbol.dispose]();
      await turns(3);
      assert.equal(cancelled, 1);
    });

    if (failsWithAnything) {
      for (const thrown of [undefined, null, 0, "text"]) {
        it(`a read of ${name} ends when that fails with ${String(thrown)}`, async () => {
          const reader = asyncio.StreamReader.from(make(piecesOf(["1"], { error: thrown }), ignored));
          const error = await outcomeOf(reader.readexactly(2));
          assert.equal(error instanceof Error ? error.cause : error, thrown);
        });
      }
    }

    it(`what is no bytes in ${name} is a TypeError`, async () => {
      // To a Node stream, null is its end.
      for (const piece of [{ no: "bytes" }, ...(failsWithAnything ? [null, undefined, 0] : [])]) {
        const pieces = [Buffer.from("1"), piece as unknown as Uint8Array, Buffer.from("2")][Symbol.iterator]();
        const reader = asyncio.StreamReader.from(make(pieces, ignored));
        assert.ok((await outcomeOf(reader.readexactly(2))) instanceof TypeError, typeof piece);
      }
    });
  });
}

for (const [name, make] of Object.entries(realSources)) {
  it(`StreamReader.from() reads ${name} to its end`, async () => {
    for (const bytes of [Buffer.from(TEXT), Buffer.alloc(300_000, TEXT)]) {
      const reader = asyncio.StreamReader.from(await make(bytes));
      assert.deepEqual(await reader.read(), bytes);
    }
  });
}

describe("What streams of Node fail with", () => {
  for (const make of [createGunzip, createInflate, createBrotliDecompress]) {
    it(`an error of zlib, whose number is not the system's, stays what it is: ${make.name}()`, async () => {
      const source = make();
      const reader = asyncio.StreamReader.from(source);
      const failed = once(source, "error");
      source.end("this is not compressed");
      assert.equal(await outcomeOf(reader.read()), (await failed)[0]);
    });
  }

  it("an error of a file is an OSError with its code", async () => {
    const error = await outcomeOf(asyncio.StreamReader.from(createReadStream(tmpdir())).read());
    assert.ok(error instanceof asyncio.OSError);
    assert.equal(error.code, "EISDIR");
  });
});

describe("StreamReader.from() and tasks", () => {
  const variable = new ContextVar<string>("variable", { default: "none" });

  it("a source runs in a copy of the Context in which the reader was made", async () => {
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(variable.get());
      variable.set("changed");
      yield Buffer.from(` ${variable.get()}`);
    }
    const reader = await asyncio.createTask(async () => {
      variable.set("mine");
      return { reader: asyncio.StreamReader.from(source()) };
    });
    const text = await asyncio.createTask(async () => {
      const bytes = await reader.reader.read();
      return `${bytes} ${variable.get()}`;
    });
    assert.equal(text, "mine changed none");
  });

  it("a task that is cancelled out of a read cancels nothing that the source waits for", async () => {
    const arrival = new asyncio.Future<void>();
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("1");
      await arrival;
      yield Buffer.from("2");
      await asyncio.sleep(0.001);
      yield Buffer.from("3");
    }
    const reader = await asyncio.createTask(async () => ({ reader: asyncio.StreamReader.from(source()) }));
    const task = asyncio.createTask(() => reader.reader.readexactly(3));
    assert.ok(await stillWaits(task));
    task.cancel();
    assert.ok(asyncio.isCancelled(await outcomeOf(task)));
    arrival.setResult();
    assert.equal(String(await reader.reader.read()), "123");
  });
});

describe("StreamReader.from() of what it cannot read", () => {
  const { ValueError, RuntimeError } = asyncio;
  const locked = new ReadableStream();
  locked.getReader();
  const generator = piecesOf([]) as unknown as Iterable<Uint8Array>;
  const taken = new Readable({ read: ignored });
  const destroyed = new Readable({ read: ignored });
  destroyed.destroy();
  const refused: readonly [string, unknown, new (...given: never[]) => Error, RegExp][] = [
    [
      "a Readable in object mode",
      Readable.from([Buffer.from("1")]),
      ValueError,
      /got a Readable: it is in object mode/,
    ],
    ["a Readable with an encoding", new Readable({ read: ignored }).setEncoding("utf8"), ValueError, /setEncoding/],
    ["a Readable that was destroyed", destroyed, ValueError, /already closed/],
    [
      "a Readable with a 'readable' listener",
      new Readable({ read: ignored }).on("readable", ignored),
      RuntimeError,
      /'readable'/,
    ],
    ["a Readable that a reader has", taken, RuntimeError, /taken the Readable/],
    ["a generator that a reader has", generator, RuntimeError, /another stream has taken/],
    ["a ReadableStream that is locked", locked, RuntimeError, /locked/],
    ["a string", "text", TypeError, /\[bytes\]/],
    ["a Buffer", Buffer.from("text"), TypeError, /\[bytes\]/],
    ["null", null, TypeError, /got None|got null/],
    ["an object", {}, TypeError, /must be a Readable, a ReadableStream or an iterable/],
    ["a number", 42, TypeError, /got 42/],
  ];
  asyncio.StreamReader.from(taken);
  asyncio.StreamReader.from(generator);
  const ways: Record<string, (source: never) => unknown> = {
    "StreamReader.from()": (source) => asyncio.StreamReader.from(source),
    "loop.connectReadPipe()": (source) => loop.connectReadPipe(() => new asyncio.Protocol(), source),
  };
  for (const [way, call] of Object.entries(ways)) {
    for (const [name, source, errorClass, message] of refused) {
      it(`${way} of ${name} throws a ${errorClass.name} that says why`, async () => {
        const error = await outcomeOf((async () => await call(source as never))());
        assert.ok(error instanceof errorClass, String(error));
        assert.match(error.message, message);
      });
    }
  }

  it("a stream whose one side is taken is refused as a sock, and the other way round", async () => {
    const half = new PassThrough();
    asyncio.StreamReader.from(half);
    asyncio.StreamWriter.from(half);
    assert.ok((await outcomeOf(asyncio.openConnection({ sock: half }))) instanceof RuntimeError);
    const whole = new PassThrough();
    const [, writer] = await asyncio.openConnection({ sock: whole });
    assert.throws(() => asyncio.StreamReader.from(whole), RuntimeError);
    assert.throws(() => asyncio.StreamWriter.from(whole), RuntimeError);
    writer.transport.abort();
  });

  it("a Readable that is destroyed before its end makes reads throw a ConnectionAbortedError", async () => {
    for (const options of [{}, { emitClose: false }]) {
      const source = new Readable({ read: ignored, ...options });
      const reader = asyncio.StreamReader.from(source);
      source.push("some");
      await turns(2);
      source.destroy();
      assert.equal(String(await reader.readexactly(4)), "some");
      assert.ok((await outcomeOf(reader.readline())) instanceof asyncio.ConnectionAbortedError);
    }
  });

  it("a Duplex that has ended, but not its other side, gives its EOF", async () => {
    const source = new PassThrough({ autoDestroy: false, allowHalfOpen: true });
    source.end();
    source.resume();
    assert.ok(await eventually(() => source.readableEnded));
    assert.equal((await asyncio.StreamReader.from(source).read()).length, 0);
  });
});

/** A gate that notes what passes. */
class Notes implements Gate {
  readonly pieces: Buffer[] = [];
  ends: boolean[] = [];
  #opened: Promise<void> | null = null;
  #open: () => void = ignored;
  /** The error of the end, and how many turns the end takes. */
  endFailure: { readonly error: unknown; readonly delay: number } | null = null;
  failure: { readonly error: unknown } | null = null;

  get text(): string {
    return String(Buffer.concat(this.pieces));
  }

  shut(): void {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#opened = null;
    this.#open();
  }

  async pass(piece: Uint8Array): Promise<void> {
    await this.#opened;
    if (this.failure !== null) {
      throw this.failure.error;
    }
    this.pieces.push(Buffer.from(piece));
  }

  async ended(properly: boolean): Promise<void> {
    this.ends.push(properly);
    if (this.endFailure !== null) {
      await turns(this.endFailure.delay);
      throw this.endFailure.error;
    }
  }
}

for (const [name, make] of Object.entries(gatedSinks)) {
  describe(`StreamWriter.from() of ${name}`, () => {
    it(`a writer to ${name} hands on what is written, however it is cut, and close() ends it`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 12 }),
          fc.boolean(),
          async (pieces, eof) => {
            const notes = new Notes();
            const writer = asyncio.StreamWriter.from(make(notes));
            for (const piece of pieces) {
              await writer.send(piece);
            }
            if (eof) {
              writer.writeEof();
            } else {
              writer.close();
            }
            await writer.waitClosed();
            assert.deepEqual(Buffer.concat(notes.pieces), Buffer.concat(pieces));
            assert.deepEqual(notes.ends, [true]);
          },
        ),
        { numRuns: 30 },
      );
    });

    it(`drain() waits while ${name} takes nothing, and returns when it does`, async () => {
      const notes = new Notes();
      notes.shut();
      const writer = asyncio.StreamWriter.from(make(notes));
      writer.write(Buffer.alloc(200_000, "x"));
      assert.ok(writer.needsDrain);
      const drained = writer.drain();
      assert.ok(await stillWaits(drained));
      notes.open();
      await drained;
      assert.ok(writer.transport.getWriteBufferSize() <= 16 * 1024);
      writer.close();
      await writer.waitClosed();
      assert.equal(notes.text.length, 200_000);
    });

    it(`close() waits for ${name} to take what was written`, async () => {
      const notes = new Notes();
      notes.shut();
      const writer = asyncio.StreamWriter.from(make(notes));
      writer.write("last words");
      writer.close();
      const closed = writer.waitClosed();
      assert.ok(await stillWaits(closed));
      assert.deepEqual(notes.ends, []);
      notes.open();
      await closed;
      assert.deepEqual([notes.text, notes.ends], ["last words", [true]]);
    });

    it(`waitClosed() and a drain() that waits throw what ${name} fails with`, async () => {
      const notes = new Notes();
      const error = new RangeError("failed");
      notes.failure = { error };
      const writer = asyncio.StreamWriter.from(make(notes));
      writer.write(Buffer.alloc(200_000));
      assert.equal(await outcomeOf(writer.drain()), error);
      assert.equal(await outcomeOf(writer.waitClosed()), error);
      assert.ok((await outcomeOf(writer.drain())) instanceof asyncio.ConnectionResetError);
    });

    for (const end of ["close", "writeEof"] as const) {
      it(`waitClosed() after ${end}() throws what ${name} fails with when it ends`, async () => {
        const error = new RangeError("failed");
        for (const delay of [0, 2]) {
          const notes = new Notes();
          notes.endFailure = { error, delay };
          const writer = asyncio.StreamWriter.from(make(notes));
          writer.write("all");
          writer[end]();
          assert.equal(await outcomeOf(writer.waitClosed()), error);
          assert.equal(notes.text, "all");
        }
      });
    }

    it(`abort() destroys ${name}`, async () => {
      const notes = new Notes();
      notes.shut();
      const writer = asyncio.StreamWriter.from(make(notes));
      writer.write("lost");
      await turns(2);
      writer.transport.abort();
      notes.open();
      await writer.waitClosed();
      assert.ok(await eventually(() => notes.ends.length > 0));
      assert.deepEqual(notes.ends, [false]);
    });

    it(`the writer to ${name} shows its pipe and refuses TLS`, async () => {
      const sink = make(new Notes());
      const writer = asyncio.StreamWriter.from(sink);
      assert.equal(writer.getExtraInfo("pipe"), sink);
      assert.equal(writer.getExtraInfo("socket"), null);
      assert.match(String(writer), /^<StreamWriter transport=<WritePipeTransport>>$/);
      assert.ok((await outcomeOf(writer.startTls(true))) instanceof asyncio.NotImplementedError);
      writer.close();
      await writer.waitClosed();
    });
  });
}

for (const [name, make] of Object.entries(realSinks)) {
  it(`StreamWriter.from() writes to ${name}, with drain() and close()`, async () => {
    const { sink, received } = await make();
    const writer = asyncio.StreamWriter.from(sink);
    const arrived = received();
    const pieces = Array.from({ length: 50 }, (_, i) => Buffer.alloc(10_000, String(i)));
    for (const piece of pieces) {
      await writer.send(piece);
    }
    writer.close();
    await writer.waitClosed();
    assert.deepEqual(await arrived, Buffer.concat(pieces));
  });
}

describe("StreamWriter.from() of what it cannot write to", () => {
  const locked = new WritableStream();
  locked.getWriter();
  const taken = new Writable({ write: ignored });
  asyncio.StreamWriter.from(taken);
  const ended = new Writable({ write: ignored }).end();
  const destroyed = new Writable({ write: ignored });
  destroyed.destroy();
  const refused: readonly [string, unknown, new (...given: never[]) => Error, RegExp][] = [
    [
      "a Writable in object mode",
      new Writable({ objectMode: true, write: ignored }),
      asyncio.ValueError,
      /object mode/,
    ],
    ["a Writable that has ended", ended, asyncio.ValueError, /already closed: Writable/],
    ["a Writable that was destroyed", destroyed, asyncio.ValueError, /already closed/],
    ["a Writable that a writer has", taken, asyncio.RuntimeError, /taken the Writable/],
    ["a WritableStream that is locked", locked, asyncio.RuntimeError, /locked/],
    ["a Readable", new Readable({ read: ignored }), TypeError, /must be a Writable or a WritableStream/],
    ["null", null, TypeError, /must be a Writable/],
    ["a string", "text", TypeError, /got 'text'/],
  ];
  const ways: Record<string, (sink: never) => unknown> = {
    "StreamWriter.from()": (sink) => asyncio.StreamWriter.from(sink),
    "loop.connectWritePipe()": (sink) => loop.connectWritePipe(() => new asyncio.Protocol(), sink),
  };
  for (const [way, call] of Object.entries(ways)) {
    for (const [name, sink, errorClass, message] of refused) {
      it(`${way} of ${name} throws a ${errorClass.name} that says why`, async () => {
        const error = await outcomeOf((async () => await call(sink as never))());
        assert.ok(error instanceof errorClass, String(error));
        assert.match(error.message, message);
      });
    }
  }

  it("a Writable that others destroy ends the writer, with a BrokenPipeError if it was writing", async () => {
    for (const options of [{}, { emitClose: false }]) {
      const idle = new Writable({ write: ignored, ...options });
      const idleWriter = asyncio.StreamWriter.from(idle);
      idle.destroy();
      await idleWriter.waitClosed();
      const busy = new Writable({ write: ignored, ...options });
      const busyWriter = asyncio.StreamWriter.from(busy);
      busyWriter.write("under way");
      await turns(1);
      busy.destroy();
      assert.ok((await outcomeOf(busyWriter.waitClosed())) instanceof asyncio.BrokenPipeError);
    }
  });

  it("process.stdout stays open when its writer is closed, and can be written to by another", async () => {
    for (let i = 0; i < 2; i++) {
      const writer = asyncio.StreamWriter.from(process.stdout);
      assert.throws(() => asyncio.StreamWriter.from(process.stdout), asyncio.RuntimeError);
      writer.write("");
      writer.close();
      await writer.waitClosed();
    }
    assert.equal(process.stdout.writable, true);
  });
});

describe("loop.connectReadPipe() and loop.connectWritePipe()", () => {
  class Recorder extends asyncio.Protocol {
    readonly calls: string[] = [];
    override connectionMade(transport: asyncio.Transport): void {
      this.calls.push(`made ${transport.getExtraInfo("pipe") === pipe}`);
    }
    override dataReceived(data: Buffer): void {
      this.calls.push(`data ${data}`);
    }
    override eofReceived(): boolean {
      this.calls.push("eof");
      return true;
    }
    override connectionLost(exception: unknown): void {
      this.calls.push(`lost ${exception}`);
    }
  }
  let pipe: Readable | Writable;

  it("a protocol is called as by a read pipe of Python, which ends at EOF in any case", async () => {
    pipe = Readable.from([Buffer.from("some")], { objectMode: false });
    const [transport, protocol] = await loop.connectReadPipe(() => new Recorder(), pipe as Readable);
    assert.ok(await eventually(() => protocol.calls.length >= 4));
    assert.deepEqual(protocol.calls, ["made true", "data some", "eof", "lost null"]);
    assert.ok(transport.isClosing());
    assert.equal(transport.getProtocol(), protocol);
  });

  it("the transport of a read pipe cannot write", async () => {
    pipe = new Readable({ read: ignored });
    const [transport] = await loop.connectReadPipe(() => new Recorder(), pipe as Readable);
    const both = transport as asyncio.Transport;
    assert.equal(both.canWriteEof(), false);
    for (const call of [() => both.write("1"), () => both.writelines([]), () => both.writeEof()]) {
      assert.throws(call, asyncio.NotImplementedError);
    }
    transport.close();
    assert.ok(await eventually(() => pipe.destroyed));
  });

  it("a protocol is called as by a write pipe of Python: no EOF, and the end after writeEof()", async () => {
    const written: string[] = [];
    pipe = new Writable({
      write: (chunk, _encoding, done) => {
        written.push(String(chunk));
        done();
      },
    });
    const [transport, protocol] = await loop.connectWritePipe(() => new Recorder(), pipe as Writable);
    assert.equal(transport.canWriteEof(), true);
    transport.write("some");
    transport.writeEof();
    assert.ok(await eventually(() => protocol.calls.length >= 2));
    assert.deepEqual(protocol.calls, ["made true", "lost null"]);
    assert.deepEqual(written, ["some"]);
  });

  it("a factory that throws leaves the pipe alone", async () => {
    pipe = new PassThrough();
    const error = new RangeError("no protocol");
    const fail = (): asyncio.Protocol => {
      throw error;
    };
    assert.equal(await outcomeOf(loop.connectReadPipe(fail, pipe as Readable)), error);
    assert.equal(await outcomeOf(loop.connectWritePipe(fail, pipe as Writable)), error);
    assert.equal(pipe.destroyed, false);
    await loop.connectReadPipe(() => new asyncio.Protocol(), pipe as Readable);
  });
});
