/** The checks of writing and reading; each gets its own pair. */
import { randomBytes } from "node:crypto";
import * as asyncio from "../asyncio/index.ts";
import { waitAllTasksBlocked } from "./blocked.ts";
import { arrival, type Check } from "./stream-checks.ts";
import { begin, expectEqual, expectError } from "./stream-expectations.ts";

const MESSAGE = "one\ntwo\r\n\r\nthree, and four\n12345678";

/** The reads of this input, which have the same results however it is split. */
const READS: readonly [name: string, read: (reader: asyncio.StreamReader) => Promise<Buffer>, bytes: string][] = [
  ["readline()", (reader) => reader.readline(), "one\n"],
  ['readuntil("\\r\\n\\r\\n")', (reader) => reader.readuntil("\r\n\r\n"), "two\r\n\r\n"],
  ["peek(5)", (reader) => reader.peek(5), "three"],
  ['readuntil([", ", "\\n"])', (reader) => reader.readuntil([", ", "\n"]), "three, "],
  ["readline()", (reader) => reader.readline(), "and four\n"],
  ["readexactly(5)", (reader) => reader.readexactly(5), "12345"],
  ["readInto()", readInto, "678"],
];

async function readInto(reader: asyncio.StreamReader): Promise<Buffer> {
  const target = Buffer.alloc(3);
  const count = await reader.readInto(target, { min: 3 });
  return target.subarray(0, count);
}

export const readChecks: readonly Check[] = [
  {
    name: "the ends are readers and writers of asyncio",
    run: async ({ reader, writer, farReader, farWriter }) => {
      for (const each of [reader, farReader]) {
        expectEqual("the first of an end is a StreamReader", each instanceof asyncio.StreamReader, true);
      }
      for (const each of [writer, farWriter]) {
        expectEqual("the second of an end is a StreamWriter", each instanceof asyncio.StreamWriter, true);
      }
      expectEqual('getExtraInfo("no such thing", 42)', writer.getExtraInfo("no such thing", 42), 42);
    },
  },
  {
    name: "write() and drain() return undefined, and the bytes arrive",
    run: async ({ writer, farReader }) => {
      const reading = begin(() => farReader.readexactly(14));
      expectEqual("write()", writer.write("bytes"), undefined);
      expectEqual("drain()", await writer.drain(), undefined);
      expectEqual("send()", await writer.send(" and more"), undefined);
      expectEqual("readexactly(14)", await reading, "bytes and more");
    },
  },
  {
    name: "bytes of every type arrive, in the order of their writing",
    run: async ({ writer, farReader }) => {
      const whole = new Uint8Array([0, 65, 66, 255]);
      writer.write(whole.subarray(1, 3));
      writer.write(Buffer.from([255, 0]));
      writer.write("héé");
      writer.writelines([new Uint8Array([1]), "two", Buffer.from([3])]);
      const expected = Buffer.concat([
        Buffer.from([65, 66, 255, 0]),
        Buffer.from("héé"),
        Buffer.from([1, 116, 119, 111, 3]),
      ]);
      expectEqual("what was read", await farReader.readexactly(expected.length), expected);
    },
  },
  {
    name: "a value that is not bytes throws, and nothing of it is sent",
    run: async ({ writer, farReader }) => {
      await expectError("write(1)", () => writer.write(1 as never), TypeError);
      await expectError("write(null)", () => writer.write(null as never), TypeError);
      await expectError('writelines(["a", 1])', () => writer.writelines(["a", 1 as never]), TypeError);
      writer.write("b");
      expectEqual("what was read", await farReader.readexactly(1), "b");
    },
  },
  {
    name: "an empty write has no effect",
    run: async ({ writer, farReader }) => {
      const reading = begin(() => farReader.read(10));
      for (const empty of ["", new Uint8Array()]) {
        writer.write(empty);
        writer.writelines([empty]);
        await writer.drain();
      }
      await arrival();
      expectEqual("whether the read has ended by it", reading.done(), false);
      writer.write("x");
      expectEqual("read(10)", await reading, "x");
    },
  },
  {
    name: "reads throw for invalid sizes and separators",
    run: async ({ farReader }) => {
      await expectError("read(1.5)", () => farReader.read(1.5), TypeError);
      await expectError('read("1")', () => farReader.read("1" as never), TypeError);
      await expectError("readexactly(-1)", () => farReader.readexactly(-1), asyncio.ValueError);
      await expectError('readuntil("")', () => farReader.readuntil(""), asyncio.ValueError);
      expectEqual("read(0)", await farReader.read(0), "");
      expectEqual("readexactly(0)", await farReader.readexactly(0), "");
    },
  },
  {
    name: "read(n) returns the bytes that have arrived, at most n",
    run: async ({ writer, farReader }) => {
      writer.write("abcdef");
      expectEqual("read(4)", (await farReader.read(4)).length <= 4, true);
      await arrival();
      const rest = await farReader.read(100);
      expectEqual("whether something is left", rest.length >= 2, true);
    },
  },
  {
    name: "a second read that would wait throws, and does not disturb the first",
    run: async ({ writer, farReader }) => {
      const first = begin(() => farReader.readline());
      await asyncio.sleep(0);
      for (const read of [() => farReader.read(1), () => farReader.readexactly(1), () => farReader.readline()]) {
        await expectError("the second read", read, asyncio.RuntimeError);
      }
      writer.write("line\n");
      expectEqual("the first read", await first, "line\n");
    },
  },
  {
    name: "drain() does not wait while the write buffer is empty",
    run: async ({ writer, farReader }) => {
      const reading = begin(() => farReader.read(1));
      await asyncio.sleep(0);
      expectEqual("needsDrain", writer.needsDrain, false);
      await writer.drain();
      reading.cancel();
    },
  },
  {
    name: "tryRead...() returns bytes that have arrived, or null if the read would wait",
    run: async ({ writer, farReader }) => {
      expectEqual("tryReadline() of nothing", farReader.tryReadline(), null);
      writer.write("one\ntwo");
      await arrival();
      // In lockstep, bytes move only for a read that waits.
      expectEqual("peek(1)", await farReader.peek(1), "o");
      expectEqual("tryReadline()", farReader.tryReadline(), "one\n");
      expectEqual("tryReaduntil() of half a line", farReader.tryReaduntil("\n"), null);
      expectEqual("tryReadexactly(3)", farReader.tryReadexactly(3), "two");
      expectEqual("tryReadexactly(1) of nothing", farReader.tryReadexactly(1), null);
    },
  },
  {
    name: "every split of the input gives the same reads",
    run: async ({ writer, farReader }) => {
      for (let split = 1; split < MESSAGE.length; split++) {
        const reads = begin(async () => {
          const got: Buffer[] = [];
          for (const [, read] of READS) {
            got.push(await read(farReader));
          }
          return got;
        });
        writer.write(MESSAGE.slice(0, split));
        await waitAllTasksBlocked();
        writer.write(MESSAGE.slice(split));
        const got = await reads;
        for (const [i, [name, , bytes]] of READS.entries()) {
          expectEqual(`${name}, with a split after ${split} bytes`, got[i], bytes);
        }
      }
    },
  },
  {
    name: "iteration yields the lines, the last one without a newline, and ends at EOF",
    run: async ({ writer, farReader }) => {
      writer.write("one\ntwo\nrest");
      writer.close();
      const lines: string[] = [];
      for await (const line of farReader) {
        lines.push(String(line));
      }
      expectEqual("the lines", lines, ["one\n", "two\n", "rest"]);
    },
  },
  {
    name: "a LimitOverrunError of readuntil() leaves the bytes in the buffer",
    run: async ({ writer, farReader }, { limit }) => {
      const long = "x".repeat(limit + 10);
      writer.write(`${long}\nnext\n`);
      const error = await expectError("readuntil()", () => farReader.readuntil("\n"), asyncio.LimitOverrunError);
      expectEqual("consumed is above 0", error.consumed > 0 && error.consumed <= long.length, true);
      expectEqual("what is left", await farReader.readexactly(long.length), long);
      expectEqual("readline() behind it", await farReader.readline(), "\n");
      expectEqual("readline() of the next line", await farReader.readline(), "next\n");
    },
  },
  {
    name: "a line of exactly the limit is read",
    run: async ({ writer, farReader }, { limit }) => {
      const line = `${"x".repeat(limit)}\n`;
      writer.write(line);
      expectEqual("readline()", await farReader.readline(), line);
    },
  },
  {
    name: "a line over the limit throws a ValueError, and the next line is read",
    run: async ({ writer, farReader }, { limit }) => {
      const reading = begin(() => farReader.readline());
      writer.write("x".repeat(2 * limit + 10));
      await expectError("readline()", () => reading, asyncio.ValueError);
      writer.write("\nnext\n");
      // The rest of the long line, which had not arrived yet, may again be too long.
      let line: Buffer = Buffer.alloc(0);
      while (/^x*\n?$/.test(String(line))) {
        line = await farReader.readline().catch((error) => {
          if (error instanceof asyncio.ValueError) {
            return Buffer.alloc(0);
          }
          throw error;
        });
      }
      expectEqual("readline() of the next line", line, "next\n");
    },
  },
  {
    name: "a line that is one byte too long throws, though it has arrived, and the bytes behind it stay",
    run: async ({ writer, farReader }, { limit }) => {
      const line = `${"x".repeat(limit + 1)}\n`;
      writer.write(`${line}next\n`);
      await farReader.peek(line.length + 5);
      await expectError("readline()", () => farReader.readline(), asyncio.ValueError);
      expectEqual("readline() of the next line", await farReader.readline(), "next\n");
      writer.write(line);
      await farReader.peek(line.length);
      const error = await expectError("readuntil()", () => farReader.readuntil("\n"), asyncio.LimitOverrunError);
      expectEqual("consumed", error.consumed, limit + 1);
      expectEqual("what is left", await farReader.readexactly(line.length), line);
    },
  },
  {
    name: "a read of a line without an end throws as soon as it is one byte too long",
    run: async ({ writer, farReader }, { limit }) => {
      const reading = begin(() => farReader.readline());
      writer.write("x".repeat(limit + 1));
      await expectError("readline()", () => reading, asyncio.ValueError);
    },
  },
  {
    name: "consumed of a LimitOverrunError leaves a separator that has begun",
    run: async ({ writer, farReader }, { limit }) => {
      const long = "x".repeat(limit + 10);
      writer.write(`${long}-`);
      await farReader.peek(long.length + 1);
      const { consumed } = await expectError(
        'readuntil("--")',
        () => farReader.readuntil("--"),
        asyncio.LimitOverrunError,
      );
      expectEqual("readexactly(consumed)", await farReader.readexactly(consumed), long);
      writer.write("-");
      expectEqual('readuntil("--") once more', await farReader.readuntil("--"), "--");
    },
  },
  {
    name: "the limit does not apply to readexactly() and peek()",
    run: async ({ writer, farReader }, { limit }) => {
      const data = "x".repeat(3 * limit);
      writer.write(data);
      expectEqual("peek()", await farReader.peek(3 * limit), data);
      expectEqual("readexactly()", await farReader.readexactly(3 * limit), data);
    },
  },
  {
    name: "a reader that has no more room goes on when a read needs more",
    run: async ({ writer, farReader }, { limit }) => {
      const data = randomBytes(4 * limit);
      writer.write(data);
      await arrival();
      expectEqual("readexactly()", await farReader.readexactly(data.length), data);
    },
  },
  {
    name: "readInto() takes no more than fits, and throws at EOF an error with the bytes that had arrived",
    run: async ({ writer, farReader }) => {
      writer.write("abcdef");
      await farReader.peek(6);
      const target = Buffer.alloc(4);
      expectEqual("readInto()", await farReader.readInto(target), 4);
      expectEqual("the bytes", target, "abcd");
      expectEqual("what is left", await farReader.readexactly(2), "ef");
      writer.write("part");
      writer.close();
      const error = await expectError(
        "readInto() of 9 bytes",
        () => farReader.readInto(Buffer.alloc(9), { min: 9 }),
        asyncio.IncompleteReadError,
      );
      expectEqual("partial", error.partial, "part");
      expectEqual("expected", error.expected, 9);
    },
  },
  {
    name: "at EOF, readexactly() and readuntil() throw an error with the bytes that had arrived",
    run: async ({ writer, farReader }) => {
      writer.write("part");
      writer.close();
      const peeked = await expectError("peek(10)", () => farReader.peek(10), asyncio.IncompleteReadError);
      expectEqual("partial of peek()", peeked.partial, "part");
      const error = await expectError("readexactly(10)", () => farReader.readexactly(10), asyncio.IncompleteReadError);
      expectEqual("partial", error.partial, "part");
      expectEqual("expected", error.expected, 10);
      const next = await expectError("readuntil()", () => farReader.readuntil("\n"), asyncio.IncompleteReadError);
      expectEqual("partial of readuntil()", next.partial, "");
      expectEqual("expected of readuntil()", next.expected, null);
    },
  },
  ...cancelledReads(),
  {
    name: "other reads may follow a cancelled one, which has searched the bytes that they take",
    run: async ({ writer, farReader }) => {
      const reading = begin(() => farReader.readline());
      writer.write("abcdef");
      await arrival();
      reading.cancel();
      await expectError("the cancelled read", () => reading, asyncio.CancelledError);
      expectEqual("read(3)", await farReader.read(3), "abc");
      writer.write("\n");
      expectEqual("readline()", await farReader.readline(), "def\n");
    },
  },
];

/** For each kind of read: the bytes that had arrived stay. */
function cancelledReads(): Check[] {
  const reads: Record<string, (reader: asyncio.StreamReader) => Promise<unknown>> = {
    "read()": (reader) => reader.read(),
    "readline()": (reader) => reader.readline(),
    "readexactly()": (reader) => reader.readexactly(100),
    "readuntil()": (reader) => reader.readuntil("\r\n"),
    "readInto()": (reader) => reader.readInto(Buffer.alloc(100), { min: 100 }),
    "peek()": (reader) => reader.peek(100),
  };
  return Object.entries(reads).map(([name, read]) => ({
    name: `a cancelled ${name} keeps all bytes`,
    run: async ({ writer, farReader }) => {
      const reading = begin(() => read(farReader));
      writer.write("first ");
      await arrival();
      reading.cancel();
      await expectError("the cancelled read", () => reading, asyncio.CancelledError);
      writer.write("then\n");
      expectEqual("readline()", await farReader.readline(), "first then\n");
    },
  }));
}
