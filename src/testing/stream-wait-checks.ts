/** The checks of half-close, and of waits for room; the latter get an end whose `drain()` already waits. */
import * as asyncio from "../asyncio/index.ts";
import { arrival, type Check } from "./stream-checks.ts";
import { begin, expectEqual, expectError, failure, outcome } from "./stream-expectations.ts";

export const halfCloseChecks: readonly Check[] = [
  {
    name: "writeEof(): bytes written before arrive, then EOF",
    run: async ({ writer, farReader }) => {
      expectEqual("canWriteEof()", writer.canWriteEof(), true);
      writer.write("question");
      writer.writeEof();
      expectEqual("read()", await farReader.read(), "question");
      expectEqual("atEof()", farReader.atEof(), true);
      expectEqual("drain()", await writer.drain(), undefined);
    },
  },
  {
    name: "writeEof(): a later write throws, a second writeEof() does not",
    run: async ({ writer, farReader }) => {
      writer.writeEof();
      writer.writeEof();
      await expectError("write()", () => writer.write("more"), asyncio.RuntimeError);
      await expectError("writelines()", () => writer.writelines(["more"]), asyncio.RuntimeError);
      expectEqual("read()", await farReader.read(), "");
    },
  },
  {
    name: "writeEof(): the other direction stays open, and neither side is closing",
    run: async ({ reader, writer, farReader, farWriter }) => {
      writer.writeEof();
      expectEqual("read()", await farReader.read(), "");
      await arrival();
      expectEqual("isClosing() of the side that wrote it", writer.isClosing(), false);
      expectEqual("isClosing() of the side that read it", farWriter.isClosing(), false);
      farWriter.write("answer\n");
      expectEqual("readline()", await reader.readline(), "answer\n");
      farWriter.close();
      expectEqual("read()", await reader.read(), "");
    },
  },
];

/** Reads until the other side ends, and returns the number of bytes. */
async function readAll(reader: asyncio.StreamReader): Promise<number> {
  let size = 0;
  for (let piece = await reader.read(65536); piece.length > 0; piece = await reader.read(65536)) {
    size += piece.length;
  }
  return size;
}

export const waitChecks: readonly Check[] = [
  {
    name: "drain() and send() wait while the other side does not read, and end when the other side reads",
    run: async ({ writer, farReader }) => {
      const { transport } = writer;
      const waits = [() => writer.drain(), () => writer.drain(), () => writer.send("x")].map(begin);
      await arrival();
      expectEqual(
        "whether drain() and send() wait",
        [...waits.map((task) => task.done()), writer.needsDrain],
        [false, false, false, true],
      );
      const [low] = transport.getWriteBufferLimits();
      expectEqual("whether the write buffer is above its low limit", transport.getWriteBufferSize() > low, true);
      const reading = begin(() => readAll(farReader));
      await asyncio.gather(waits);
      expectEqual("needsDrain", writer.needsDrain, false);
      expectEqual("whether the write buffer is at or below it", transport.getWriteBufferSize() <= low, true);
      expectEqual("whether the other side still reads", reading.done(), false);
      reading.cancel();
    },
  },
  {
    name: "a cancelled drain() loses no written bytes",
    run: async ({ writer, farReader }) => {
      const size = writer.transport.getWriteBufferSize();
      const waiting = begin(() => writer.drain());
      await asyncio.sleep(0);
      waiting.cancel();
      await expectError("the cancelled drain()", () => waiting, asyncio.CancelledError);
      writer.write("end");
      writer.close();
      const got = await readAll(farReader);
      expectEqual("whether all has arrived", got >= size + 3, true);
    },
  },
  {
    name: "abort() of this side wakes a drain() that waits",
    run: async ({ writer }) => {
      const waiting = begin(() => outcome(writer.drain()));
      await asyncio.sleep(0);
      writer.transport.abort();
      const got = await waiting;
      if (!(got === undefined || got instanceof asyncio.ConnectionError)) {
        throw failure("drain()", "nothing, or a ConnectionError", got);
      }
    },
  },
  {
    name: "abort() of the other side wakes a drain() that waits, and later calls throw",
    run: async ({ writer, farWriter }) => {
      const waiting = begin(() => writer.drain());
      await asyncio.sleep(0);
      farWriter.transport.abort();
      await expectError("drain()", () => waiting, asyncio.ConnectionError);
      await expectError("drain() once more", () => writer.drain(), asyncio.ConnectionError);
      await expectError("waitClosed()", () => writer.waitClosed(), asyncio.ConnectionError);
    },
  },
  {
    name: "close() sends the waiting bytes, and waitClosed() waits until they are sent",
    run: async ({ writer, farReader }) => {
      const size = writer.transport.getWriteBufferSize();
      writer.close();
      const closing = begin(() => writer.waitClosed());
      await arrival();
      expectEqual("whether waitClosed() waits", closing.done(), false);
      const got = await readAll(farReader);
      expectEqual("whether all has arrived", got >= size, true);
      await closing;
    },
  },
  {
    name: "abort() after close() does not wait until the waiting bytes are sent",
    run: async ({ writer }) => {
      writer.close();
      const closing = begin(() => outcome(writer.waitClosed()));
      await asyncio.sleep(0);
      writer.transport.abort();
      const got = await closing;
      if (!(got === undefined || got instanceof asyncio.ConnectionError)) {
        throw failure("waitClosed()", "nothing, or a ConnectionError", got);
      }
    },
  },
  {
    name: "a cancelled waitClosed() does not prevent the close",
    run: async ({ writer, farReader }) => {
      const size = writer.transport.getWriteBufferSize();
      writer.close();
      const waiting = begin(() => writer.waitClosed());
      await arrival();
      waiting.cancel();
      await expectError("the cancelled waitClosed()", () => waiting, asyncio.CancelledError);
      const got = await readAll(farReader);
      expectEqual("whether all has arrived", got >= size, true);
      await writer.waitClosed();
    },
  },
  {
    name: "writeEof() is sent after the waiting bytes",
    needsHalfClose: true,
    run: async ({ writer, farReader }) => {
      const size = writer.transport.getWriteBufferSize();
      writer.writeEof();
      await expectError("write()", () => writer.write("more"), asyncio.RuntimeError);
      const got = await readAll(farReader);
      expectEqual("whether all has arrived", got >= size, true);
      await writer.drain();
    },
  },
];
