/** The checks of closing, aborting and both directions at once; each gets its own pair. */
import { randomBytes } from "node:crypto";
import * as asyncio from "../asyncio/index.ts";
import { arrival, type Check } from "./stream-checks.ts";
import { begin, expectEqual, expectError, failure, outcome } from "./stream-expectations.ts";

export const closeChecks: readonly Check[] = [
  {
    name: "bytes written before close() arrive, then EOF",
    run: async ({ writer, farReader }) => {
      const data = randomBytes(100_000);
      writer.write(data);
      expectEqual("isClosing() before", writer.isClosing(), false);
      writer.close();
      expectEqual("isClosing() after", writer.isClosing(), true);
      expectEqual("read()", await farReader.read(), data);
      expectEqual("read() once more", await farReader.read(), "");
      expectEqual("read(1)", await farReader.read(1), "");
      expectEqual("readline()", await farReader.readline(), "");
      expectEqual("atEof()", farReader.atEof(), true);
    },
  },
  {
    name: "close() may be called again, and every waitClosed() ends",
    run: async ({ writer, farWriter }) => {
      writer.close();
      const waits = [1, 2, 3].map(() => begin(() => writer.waitClosed()));
      await asyncio.sleep(0);
      waits[0]?.cancel();
      farWriter.close();
      writer.close();
      expectEqual("waitClosed()", await outcome(waits[1] as asyncio.Task<void>), undefined);
      expectEqual("waitClosed()", await outcome(waits[2] as asyncio.Task<void>), undefined);
      expectEqual("waitClosed() when it is closed", await writer.waitClosed(), undefined);
      writer.close();
    },
  },
  {
    name: "after close() of this side, drain() throws and reads end",
    run: async ({ reader, writer, farWriter }) => {
      writer.close();
      farWriter.close();
      await writer.waitClosed();
      await expectError("drain()", () => writer.drain(), asyncio.ConnectionError);
      expectEqual("read()", await reader.read(), "");
    },
  },
  {
    name: "close() wakes a read that waits on this side",
    run: async ({ reader, writer, farWriter }) => {
      const reading = begin(() => reader.read(1));
      await asyncio.sleep(0);
      writer.close();
      farWriter.close();
      expectEqual("read(1)", await reading, "");
    },
  },
  {
    name: "close() of the other side ends a read that waits",
    run: async ({ writer, farReader }) => {
      const reading = begin(() => farReader.read(1));
      await asyncio.sleep(0);
      writer.close();
      expectEqual("read(1)", await reading, "");
    },
  },
  {
    name: "writes to a closed side fail eventually, and keep failing",
    run: async ({ writer, farWriter }) => {
      farWriter.close();
      await farWriter.waitClosed();
      let error: unknown;
      for (let i = 0; i < 1000 && error === undefined; i++) {
        writer.write("x".repeat(100));
        error = await outcome(writer.drain());
        await asyncio.sleep(0.001);
      }
      if (!(error instanceof asyncio.ConnectionError)) {
        throw failure("drain() after writes to a closed side", "a ConnectionError", error);
      }
      await expectError("drain() once more", () => writer.drain(), asyncio.ConnectionError);
    },
  },
  {
    name: "abort() of the writer ends the other side's reads, without unsent data",
    run: async ({ writer, farReader }) => {
      writer.write("sent");
      await arrival();
      writer.transport.abort();
      const got = await outcome(farReader.read());
      const isEnd = got instanceof asyncio.ConnectionError || (got instanceof Buffer && "sent".startsWith(String(got)));
      if (!isEnd) {
        throw failure("read() after abort()", "a ConnectionError, or what was sent", got);
      }
      await writer.waitClosed();
    },
  },
  {
    name: "a reader that has no more room hears of EOF",
    run: async ({ writer, farReader }, { limit }) => {
      const data = randomBytes(2 * limit + 1);
      writer.write(data);
      await arrival();
      writer.close();
      await arrival();
      expectEqual("read()", await farReader.read(), data);
      expectEqual("atEof()", farReader.atEof(), true);
    },
  },
  {
    name: "bytes that have arrived are read before the error of a lost connection",
    run: async ({ writer, farReader }) => {
      writer.write("arrived");
      await farReader.peek(7);
      writer.transport.abort();
      await arrival();
      expectEqual("readexactly(3)", await farReader.readexactly(3), "arr");
      expectEqual("read(9)", await farReader.read(9), "ived");
      const end = await outcome(farReader.read(1));
      if (!(end instanceof asyncio.ConnectionError || (end instanceof Buffer && end.length === 0))) {
        throw failure("read(1) behind them", "an empty Buffer, or a ConnectionError", end);
      }
    },
  },
  {
    name: "leaving an `await using` of a lost connection throws nothing",
    run: async ({ writer, farWriter }) => {
      farWriter.transport.abort();
      await arrival();
      expectEqual("[Symbol.asyncDispose]()", await outcome(writer[Symbol.asyncDispose]()), undefined);
    },
  },
  {
    name: "abort() wakes a read that waits on this side",
    run: async ({ reader, writer }) => {
      const reading = begin(() => outcome(reader.read(1)));
      await asyncio.sleep(0);
      writer.transport.abort();
      const got = await reading;
      if (!(got instanceof asyncio.ConnectionError || (got instanceof Buffer && got.length === 0))) {
        throw failure("read(1)", "an empty Buffer, or a ConnectionError", got);
      }
    },
  },
  {
    name: "a cancelled read and a cancelled drain() do not prevent close()",
    run: async ({ reader, writer, farReader }) => {
      const tasks = [() => reader.read(1), () => writer.drain()].map((body) => begin<unknown>(body));
      await asyncio.sleep(0);
      for (const task of tasks) {
        task.cancel();
        await outcome(task);
      }
      writer.write("last");
      writer.close();
      expectEqual("read()", await farReader.read(), "last");
    },
  },
  {
    name: "random bytes travel in both directions at the same time, in pieces of any size",
    run: async ({ reader, writer, farReader, farWriter }) => {
      const [there, back] = [randomBytes(2 ** 20), randomBytes(2 ** 20)];
      const [gotThere, gotBack] = await asyncio.gather([
        () => readInPieces(farReader, there.length),
        () => readInPieces(reader, back.length),
        () => writeInPieces(writer, there),
        () => writeInPieces(farWriter, back),
      ]);
      expectEqual("what was read", gotThere, there);
      expectEqual("what was read on the way back", gotBack, back);
    },
  },
];

const LARGEST_PIECE = 16 * 1024;

async function writeInPieces(writer: asyncio.StreamWriter, data: Buffer): Promise<void> {
  for (let rest = data; rest.length > 0; ) {
    const size = 1 + Math.floor(Math.random() * LARGEST_PIECE);
    await writer.send(rest.subarray(0, size));
    rest = rest.subarray(size);
  }
}

async function readInPieces(reader: asyncio.StreamReader, size: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let left = size; left > 0; ) {
    const piece = await reader.read(Math.min(left, 1 + Math.floor(Math.random() * LARGEST_PIECE)));
    if (piece.length === 0) {
      break;
    }
    left -= piece.length;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
