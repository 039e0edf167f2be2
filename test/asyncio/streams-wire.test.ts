/**
 * How a connection ends, seen by everything that can wait for it: a read, a later read, `drain()`, `waitClosed()`.
 *
 * The rows show what CPython 3.13 does, in both roles. If this library differs, the row says so.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import {
  type Connection,
  connect,
  eventually,
  outcomeOf,
  Reports,
  type Role,
  roles,
  stillWaits,
  turns,
} from "../support/peers.ts";

const CHUNK = Buffer.alloc(64 * 1024, "x");

/** Writes until `drain()` would wait. The peer must not be reading. */
async function fill({ writer }: Connection): Promise<void> {
  for (let i = 0; i < 1024; i++) {
    writer.write(CHUNK);
    if (await stillWaits(writer.drain())) {
      return;
    }
  }
  throw new Error("a peer that does not read took 64 MiB");
}

const reads: Readonly<Record<string, (reader: asyncio.StreamReader) => Promise<Buffer>>> = {
  "read(10)": (reader) => reader.read(10),
  "read()": (reader) => reader.read(),
  "readline()": (reader) => reader.readline(),
  "readexactly(4)": (reader) => reader.readexactly(4),
  "readuntil()": (reader) => reader.readuntil(),
};

/** What a read gives when the end comes, in order, before any byte. */
function checkEnd(outcome: unknown, read: string): void {
  if (read === "readexactly(4)" || read === "readuntil()") {
    assert.ok(outcome instanceof asyncio.IncompleteReadError, `${read}: ${outcome}`);
    assert.equal(outcome.partial.length, 0);
    assert.equal(outcome.expected, read === "readuntil()" ? null : 4);
  } else {
    assert.ok(Buffer.isBuffer(outcome), `${read}: ${outcome}`);
    assert.equal(outcome.length, 0);
  }
}

function checkLost(outcome: unknown): void {
  assert.ok(outcome instanceof asyncio.ConnectionResetError, `${outcome}`);
  assert.equal(outcome.message, "Connection lost");
  assert.equal(outcome.code, "ECONNRESET");
}

function checkReset(outcome: unknown): void {
  assert.ok(outcome instanceof asyncio.ConnectionResetError, `${outcome}`);
  assert.equal(outcome.message, "[Errno 104] Connection reset by peer");
  assert.equal(outcome.code, "ECONNRESET");
  assert.equal((outcome.cause as NodeJS.ErrnoException).code, "ECONNRESET");
}

async function withConnection(
  role: Role,
  options: { readonly reads?: boolean; readonly limit?: number },
  body: (connection: Connection) => Promise<void>,
): Promise<void> {
  using reports = new Reports();
  await using connection = await connect(role, options);
  await body(connection);
  assert.deepEqual(reports.all, [], "the loop's exception handler has nothing to do with it");
}

for (const role of roles) {
  describe(`Connection of a ${role} that is closed on this side`, () => {
    for (const [read, start] of Object.entries(reads)) {
      it(`StreamReader.${read} that waits ends when close() is called`, async () => {
        await withConnection(role, {}, async ({ reader, writer, peer }) => {
          const blocked = outcomeOf(start(reader));
          const closed = outcomeOf(writer.waitClosed());
          await turns(2);
          writer.close();
          checkEnd(await blocked, read);
          checkEnd(await outcomeOf(start(reader)), read);
          checkLost(await outcomeOf(writer.drain()));
          assert.equal(await closed, undefined);
          await peer.untilEnded();
        });
      });
    }

    it("Transport.abort() lets the drain() that waits return, and later ones throw", async () => {
      await withConnection(role, { reads: false }, async (connection) => {
        const { reader, writer } = connection;
        await fill(connection);
        const blocked = outcomeOf(reader.read());
        const drained = outcomeOf(writer.drain());
        const closed = outcomeOf(writer.waitClosed());
        await turns(2);
        writer.transport.abort();
        assert.equal(await drained, undefined);
        checkEnd(await blocked, "read()");
        checkLost(await outcomeOf(writer.drain()));
        assert.equal(await closed, undefined);
        assert.equal(reader.exception(), null);
      });
    });

    it("StreamWriter.close() with a peer that does not read lets drain() and waitClosed() wait until it does", async () => {
      await withConnection(role, { reads: false }, async (connection) => {
        const { writer, peer } = connection;
        await fill(connection);
        writer.close();
        const drained = outcomeOf(writer.drain());
        const closed = outcomeOf(writer.waitClosed());
        assert.ok(await stillWaits(drained));
        assert.ok(await stillWaits(closed));
        peer.read();
        assert.equal(await closed, undefined);
        assert.equal(await drained, undefined);
        checkLost(await outcomeOf(writer.drain()));
      });
    });
  });

  describe(`Connection of a ${role} whose peer has sent its EOF`, () => {
    for (const [read, start] of Object.entries(reads)) {
      it(`StreamReader.${read} that waits ends, and the connection stays open for writing`, async () => {
        await withConnection(role, {}, async ({ reader, writer, peer }) => {
          const blocked = outcomeOf(start(reader));
          const closed = writer.waitClosed();
          await turns(2);
          peer.socket.end();
          checkEnd(await blocked, read);
          checkEnd(await outcomeOf(start(reader)), read);
          assert.equal(await outcomeOf(writer.drain()), undefined);
          assert.ok(await stillWaits(closed), "until it is closed on this side");
          assert.equal(writer.isClosing(), false);
          writer.close();
          assert.equal(await outcomeOf(closed), undefined);
        });
      });
    }

    it("StreamWriter.drain() in a loop throws what the writes came to, and so does everything else", async () => {
      await withConnection(role, {}, async ({ reader, writer, peer }) => {
        peer.socket.destroy();
        checkEnd(await outcomeOf(reader.read()), "read()");
        let lost: unknown;
        for (let i = 0; lost === undefined && i < 100_000; i++) {
          writer.write("x");
          await turns(1);
          lost = await outcomeOf(writer.drain());
        }
        assert.ok(lost instanceof asyncio.BrokenPipeError || lost instanceof asyncio.ConnectionResetError, `${lost}`);
        const error = reader.exception();
        assert.ok(error instanceof asyncio.BrokenPipeError || error instanceof asyncio.ConnectionResetError);
        for (const outcome of [reader.read(), reader.readline(), writer.drain(), writer.waitClosed()]) {
          assert.equal(await outcomeOf(outcome), error);
        }
      });
    });
  });

  describe(`Connection of a ${role} that its peer has reset`, () => {
    for (const [read, start] of Object.entries(reads)) {
      it(`StreamReader.${read} that waits throws, and everything after it throws the same error`, async () => {
        await withConnection(role, {}, async ({ reader, writer, peer }) => {
          const blocked = outcomeOf(start(reader));
          const closed = outcomeOf(writer.waitClosed());
          await turns(2);
          peer.socket.resetAndDestroy();
          const error = await blocked;
          checkReset(error);
          assert.equal(await closed, error);
          assert.equal(reader.exception(), error);
          for (const outcome of [start(reader), writer.drain(), writer.waitClosed()]) {
            assert.equal(await outcomeOf(outcome), error);
          }
          assert.equal(writer.isClosing(), true);
        });
      });
    }

    it("StreamReader gives what had arrived before the reset, then the error; CPython loses the bytes", async () => {
      await withConnection(role, {}, async ({ reader, writer, peer }) => {
        peer.write("one\ntwo\nthr");
        assert.equal(String(await reader.readline()), "one\n");
        const closed = outcomeOf(writer.waitClosed());
        peer.socket.resetAndDestroy();
        checkReset(await closed);
        assert.equal(String(await reader.readline()), "two\n");
        checkReset(await outcomeOf(reader.readline()));
        checkReset(await outcomeOf(reader.readexactly(4)));
        assert.equal(String(await reader.readexactly(2)), "th");
        assert.equal(String(await reader.read(10)), "r");
        checkReset(await outcomeOf(reader.read(10)));
        assert.equal(reader.atEof(), false);
      });
    });

    it("StreamReader.readexactly() that waits with some of its bytes there throws, and leaves them", async () => {
      await withConnection(role, {}, async ({ reader, peer }) => {
        peer.write("so");
        const blocked = outcomeOf(reader.readexactly(4));
        assert.ok(await eventually(() => String(reader).includes("2 bytes")));
        peer.socket.resetAndDestroy();
        checkReset(await blocked);
        assert.equal(String(await reader.read(10)), "so");
        checkReset(await outcomeOf(reader.read(10)));
      });
    });

    it("StreamReader throws out of an async iteration, after the lines that had arrived", async () => {
      await withConnection(role, {}, async ({ reader, peer }) => {
        peer.write("one\ntwo\nthr");
        const lines: string[] = [];
        const iteration = outcomeOf(
          (async () => {
            for await (const line of reader) {
              if (lines.push(String(line)) === 2) {
                peer.socket.resetAndDestroy();
              }
            }
          })(),
        );
        checkReset(await iteration);
        assert.deepEqual(lines, ["one\n", "two\n"]);
      });
    });

    it("StreamReader that has paused its transport gives every byte up to the reset", async () => {
      await withConnection(role, { limit: 100 }, async ({ reader, peer }) => {
        // The reader pauses at the first part; the rest comes into the socket's own buffer.
        peer.write("a".repeat(1000));
        assert.ok(await eventually(() => String(reader).endsWith("paused>")));
        await new Promise((resolve) => peer.socket.write("b".repeat(1000), resolve));
        await asyncio.sleep(0.05);
        peer.socket.resetAndDestroy();
        await asyncio.sleep(0.05);
        let text = "";
        let error: unknown;
        for (let i = 0; error === undefined && i < 100; i++) {
          const outcome = await outcomeOf(reader.read(300));
          if (Buffer.isBuffer(outcome) && outcome.length > 0) {
            text += outcome;
          } else {
            error = outcome;
          }
        }
        checkReset(error);
        assert.equal(text.length, 2000);
      });
    });

    it("StreamWriter.drain() of two tasks that wait throws in both", async () => {
      await withConnection(role, { reads: false }, async (connection) => {
        const { reader, writer, peer } = connection;
        await fill(connection);
        const drains = [outcomeOf(writer.drain()), outcomeOf(writer.drain())];
        const closed = outcomeOf(writer.waitClosed());
        await turns(2);
        peer.socket.resetAndDestroy();
        const [one, two] = await Promise.all(drains);
        assert.ok(one instanceof asyncio.ConnectionError, `${one}`);
        assert.equal(one, two);
        assert.equal(await closed, one);
        assert.equal(reader.exception(), one);
      });
    });

    it("StreamWriter.close() after it is quiet, and waitClosed() throws the error all the same", async () => {
      await withConnection(role, {}, async ({ reader, writer, peer }) => {
        peer.socket.resetAndDestroy();
        const error = await outcomeOf(reader.read());
        writer.close();
        writer.transport.abort();
        writer.writeEof();
        assert.equal(await outcomeOf(writer.waitClosed()), error);
      });
    });

    it("StreamReader.setException() raises at once, whatever has arrived, as in Python", async () => {
      await withConnection(role, {}, async ({ reader, peer }) => {
        peer.write("data");
        assert.equal(String(await reader.readexactly(1)), "d");
        const error = new asyncio.ValueError("mine");
        reader.setException(error);
        assert.equal(await outcomeOf(reader.read(1)), error);
      });
    });
  });
}
