/** StreamReader, fed by hand: no sockets. The names in parentheses are CPython's, of `test_streams.py`. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import * as asyncio from "contextvars/asyncio";
import { turn } from "../support/latch.ts";
import { outcomeOf, stillWaits } from "../support/peers.ts";

const DATA = "line1\nline2\nline3\n";

interface Fed {
  readonly limit?: number;
  readonly eof?: boolean;
}

/** A reader that the texts were fed to, one after the other. */
function fed(chunks: readonly string[], { limit, eof }: Fed = {}): asyncio.StreamReader {
  const reader = new asyncio.StreamReader({ limit });
  feed(reader, ...chunks);
  if (eof === true) {
    reader.feedEof();
  }
  return reader;
}

function feed(reader: asyncio.StreamReader, ...chunks: string[]): void {
  for (const chunk of chunks) {
    reader.feedData(Buffer.from(chunk));
  }
}

async function text(read: Promise<Buffer>): Promise<string> {
  const bytes = await read;
  assert.ok(Buffer.isBuffer(bytes), "a read gives a Buffer");
  return bytes.toString();
}

/** What is left in the buffer; the reader is at its end afterwards. */
async function rest(reader: asyncio.StreamReader): Promise<string> {
  if (!reader.atEof()) {
    reader.feedEof();
  }
  return text(reader.read());
}

/** Notes what a reader asks of its transport. */
class FakeTransport {
  readonly calls: string[] = [];

  pauseReading(): void {
    this.calls.push("pause");
  }

  resumeReading(): void {
    this.calls.push("resume");
  }

  toString(): string {
    return "<FakeTransport>";
  }
}

function withTransport(limit: number): [asyncio.StreamReader, string[]] {
  const reader = new asyncio.StreamReader({ limit });
  const transport = new FakeTransport();
  reader.setTransport(transport);
  return [reader, transport.calls];
}

describe("StreamReader.feedData()", () => {
  it("StreamReader.feedData() leaves the buffer empty when given no bytes, and wakes no read (test_feed_empty_data)", async () => {
    const reader = fed([""]);
    assert.equal(String(reader), "<StreamReader>");
    const read = reader.read(10);
    feed(reader, "");
    assert.ok(await stillWaits(read));
    feed(reader, "x");
    assert.equal(await text(read), "x");
  });

  it("StreamReader.feedData() keeps the bytes until they are read (test_feed_nonempty_data)", async () => {
    const reader = fed([DATA]);
    assert.equal(String(reader), "<StreamReader 18 bytes>");
    assert.equal(await rest(reader), DATA);
  });

  it("StreamReader.feedData() takes a part of a larger array as it stands", async () => {
    const reader = new asyncio.StreamReader();
    const { buffer } = new Uint8Array([1, 2, 3, 4, 5]);
    reader.feedData(new Uint8Array(buffer, 1, 3));
    assert.deepEqual([...(await reader.read(10))], [2, 3, 4]);
  });

  it("StreamReader.feedData() after feedEof() is a RuntimeError", () => {
    const reader = fed([], { eof: true });
    assert.throws(() => feed(reader, "late"), {
      name: "RuntimeError",
      code: "ERR_READER_EOF",
      message: "feedData() after feedEof()",
    });
  });
});

describe("new StreamReader()", () => {
  it("new StreamReader() refuses a limit of 0 or less (test_invalid_limit)", () => {
    for (const limit of [0, -1]) {
      assert.throws(() => new asyncio.StreamReader({ limit }), {
        name: "ValueError",
        message: `Limit cannot be <= 0, got ${limit}`,
      });
    }
  });

  it("new StreamReader() refuses a limit that is no number, and an option it does not have", () => {
    for (const limit of ["5", Number.NaN]) {
      assert.throws(() => new asyncio.StreamReader({ limit: limit as number }), TypeError);
    }
    assert.throws(() => new asyncio.StreamReader({ limt: 5 } as object), {
      name: "TypeError",
      message: "StreamReader() got an unexpected option 'limt'; known options: limit",
    });
  });
});

describe("StreamReader.read()", () => {
  it("StreamReader.read(0) returns an empty Buffer immediately, and takes nothing (test_read_zero)", async () => {
    const reader = fed([DATA]);
    assert.equal(await text(reader.read(0)), "");
    assert.equal(await rest(reader), DATA);
  });

  it("StreamReader.read(n) waits for data, then gives what has come, though fewer bytes than n (test_read)", async () => {
    const reader = fed([]);
    const read = reader.read(30);
    assert.ok(await stillWaits(read));
    feed(reader, DATA);
    assert.equal(await text(read), DATA);
    assert.equal(await rest(reader), "");
  });

  it("StreamReader.read(n) takes n bytes and leaves the rest (test_read_line_breaks)", async () => {
    const reader = fed(["line1", "line2"]);
    assert.equal(await text(reader.read(5)), "line1");
    assert.equal(await rest(reader), "line2");
  });

  it("StreamReader.read(n) puts what spans several chunks together", async () => {
    const reader = fed(["ab", "cd", "ef", "gh"]);
    assert.equal(await text(reader.read(5)), "abcde");
    assert.equal(await text(reader.read(100)), "fgh");
  });

  it("StreamReader.read(n) that waits gives an empty Buffer at EOF (test_read_eof)", async () => {
    const reader = fed([]);
    const read = reader.read(1024);
    assert.ok(await stillWaits(read));
    reader.feedEof();
    assert.equal(await text(read), "");
    assert.equal(await text(reader.read(1)), "", "and again");
  });

  it("StreamReader.read() gives everything up to EOF (test_read_until_eof)", async () => {
    for (const ask of [-1, undefined]) {
      const reader = fed([]);
      const read = reader.read(ask);
      feed(reader, "chunk1\n");
      await turn();
      feed(reader, "chunk2");
      assert.ok(await stillWaits(read));
      reader.feedEof();
      assert.equal(await text(read), "chunk1\nchunk2");
      assert.ok(reader.atEof());
    }
  });

  it("StreamReader.read(n) throws the error that was set, though data is in the buffer (test_read_exception)", async () => {
    const reader = fed([DATA]);
    const error = new asyncio.ValueError("mine");
    assert.equal(await text(reader.read(2)), "li");
    reader.setException(error);
    for (const read of [reader.read(2), reader.read(), reader.read(0)]) {
      assert.equal(await outcomeOf(read), error);
    }
    assert.equal(String(reader), "<StreamReader 16 bytes exception=ValueError('mine')>");
  });

  it("StreamReader.read(n) is not bound by the limit (test_read_limit)", async () => {
    const reader = fed(["chunk"], { limit: 3 });
    assert.equal(await text(reader.read(5)), "chunk");
    assert.equal(await rest(reader), "");
  });

  it("StreamReader.read() refuses what is no whole number, and takes nothing", async () => {
    const reader = fed([DATA]);
    for (const n of [1.5, Number.NaN, "5", null]) {
      await assert.rejects(reader.read(n as number), TypeError);
    }
    assert.equal(await rest(reader), DATA);
  });
});

describe("StreamReader.readline()", () => {
  it("StreamReader.readline() waits for the newline, and leaves what comes after it (test_readline)", async () => {
    const reader = fed(["chunk1 "]);
    const line = reader.readline();
    for (const chunk of ["chunk2 ", "chunk3 "]) {
      feed(reader, chunk);
      assert.ok(await stillWaits(line));
    }
    feed(reader, "\n chunk4");
    assert.equal(await text(line), "chunk1 chunk2 chunk3 \n");
    assert.equal(await rest(reader), " chunk4");
  });

  it("StreamReader.readline() drops a line over the limit, with its newline if that is there, else with all (test_readline_limit_with_existing_data)", async () => {
    const whole = fed(["li", "ne1\nline2\n"], { limit: 3 });
    await assert.rejects(whole.readline(), asyncio.ValueError);
    assert.equal(await rest(whole), "line2\n");

    const cut = fed(["li", "ne1", "li"], { limit: 3 });
    await assert.rejects(cut.readline(), asyncio.ValueError);
    assert.equal(await rest(cut), "");
  });

  it("StreamReader.readline() that waits throws when the line grows over the limit (test_readline_limit)", async () => {
    const cases = [
      { chunks: ["chunk1", "chunk2", "chunk3\n"], eof: true, left: "" },
      { chunks: ["chunk1", "chunk2\n", "chunk3\n"], eof: true, left: "chunk3\n" },
    ];
    for (const { chunks, eof, left } of cases) {
      // All of it arrives before the next read, as when a task is busy.
      const reader = fed(chunks, { limit: 7, eof });
      await assert.rejects(reader.readline(), asyncio.ValueError);
      assert.equal(await rest(reader), left);
    }
    const reader = fed([], { limit: 7 });
    const line = reader.readline();
    feed(reader, "chunk1");
    assert.ok(await stillWaits(line));
    feed(reader, "chunk2");
    await assert.rejects(line, asyncio.ValueError);
    assert.equal(String(reader), "<StreamReader limit=7>", "without its newline, everything is dropped");
  });

  it("StreamReader.readline() does not count the newline towards the limit (test_readline_limit)", async () => {
    for (const [line, fits] of [
      ["1234567\n", true],
      ["12345678\n", false],
      ["12345678", false],
    ] as const) {
      const reader = fed([line], { limit: 7 });
      if (fits) {
        assert.equal(await text(reader.readline()), line);
      } else {
        await assert.rejects(reader.readline(), asyncio.ValueError);
      }
      assert.equal(await rest(reader), "");
    }
  });

  it("StreamReader.readline() over the limit says what to do, and carries the LimitOverrunError", async () => {
    const cases = [
      ["12345678\n", "Separator is found, but chunk is longer than limit", 8],
      ["12345678", "Separator is not found, and chunk exceed the limit", 8],
    ] as const;
    for (const [line, message, consumed] of cases) {
      const error = await outcomeOf(fed([line], { limit: 7 }).readline());
      assert.ok(error instanceof asyncio.ValueError);
      assert.equal(error.message, `${message}; give a larger limit than 7 bytes`);
      assert.equal(error.code, "ERR_LIMIT_OVERRUN");
      assert.ok(error.cause instanceof asyncio.LimitOverrunError);
      assert.equal(error.cause.message, message);
      assert.equal(error.cause.consumed, consumed);
    }
  });

  it("StreamReader.readline() continues with the next line after one over the limit", async () => {
    const reader = fed(["far too long\nshort\n"], { limit: 7 });
    await assert.rejects(reader.readline(), asyncio.ValueError);
    assert.equal(await text(reader.readline()), "short\n");
  });

  it("StreamReader.readline() returns immediately when the line is buffered (test_readline_nolimit_nowait)", async () => {
    const reader = fed([DATA.slice(0, 6), DATA.slice(6)]);
    assert.equal(await text(reader.readline()), "line1\n");
    assert.equal(await rest(reader), "line2\nline3\n");
  });

  it("StreamReader.readline() gives what is left at EOF, without a newline (test_readline_eof)", async () => {
    const reader = fed(["some data"], { eof: true });
    assert.equal(await text(reader.readline()), "some data");
    assert.ok(reader.atEof());
  });

  it("StreamReader.readline() gives an empty Buffer when there is only EOF (test_readline_empty_eof)", async () => {
    assert.equal(await text(fed([], { eof: true }).readline()), "");
  });

  it("StreamReader.readline() and read(n) take turns at the same bytes (test_readline_read_byte_count)", async () => {
    const reader = fed([DATA]);
    await reader.readline();
    assert.equal(await text(reader.read(7)), "line2\nl");
    assert.equal(await rest(reader), "ine3\n");
  });

  it("StreamReader.readline() throws the error that was set (test_readline_exception)", async () => {
    const reader = fed(["line\n"]);
    assert.equal(await text(reader.readline()), "line\n");
    const error = new asyncio.ValueError("mine");
    reader.setException(error);
    assert.equal(await outcomeOf(reader.readline()), error);
    assert.equal(String(reader), "<StreamReader exception=ValueError('mine')>");
  });

  it("StreamReader.readline() knows no newline but the line feed", async () => {
    const reader = fed(["one\rtwo\r\nthree\u2028four\n"]);
    assert.equal(await text(reader.readline()), "one\rtwo\r\n");
    assert.equal(await text(reader.readline()), "three\u2028four\n");
  });
});

describe("StreamReader.readuntil()", () => {
  it("StreamReader.readuntil() refuses separators that are empty (test_readuntil_separator)", async () => {
    const reader = fed([DATA]);
    for (const separator of [Buffer.alloc(0), "", ["a", ""], [Buffer.alloc(0)]]) {
      await assert.rejects(reader.readuntil(separator), {
        name: "ValueError",
        message: "Separator should be at least one-byte string",
      });
    }
    await assert.rejects(reader.readuntil([]), {
      name: "ValueError",
      message: "Separator should contain at least one element",
    });
    assert.equal(await rest(reader), DATA);
  });

  it("StreamReader.readuntil() refuses what is neither bytes nor text", async () => {
    const reader = fed([DATA]);
    for (const separator of [5, null, {}, ["a", 5], [["a"]]]) {
      await assert.rejects(reader.readuntil(separator as string), TypeError);
    }
    assert.equal(await rest(reader), DATA);
  });

  it("StreamReader.readuntil() looks for a newline unless told otherwise", async () => {
    assert.equal(await text(fed([DATA]).readuntil()), "line1\n");
  });

  it("StreamReader.readuntil() gives everything up to the separator, and leaves the rest (test_readuntil_multi_chunks)", async () => {
    const reader = fed(["lineAAA"]);
    assert.equal(await text(reader.readuntil("AAA")), "lineAAA");
    assert.equal(String(reader), "<StreamReader>");
    feed(reader, "lineAAA");
    assert.equal(await text(reader.readuntil(Buffer.from("AAA"))), "lineAAA");
    feed(reader, "lineAAAxxx");
    assert.equal(await text(reader.readuntil("AAA")), "lineAAA");
    assert.equal(await rest(reader), "xxx");
  });

  it("StreamReader.readuntil() finds a separator however it is cut into chunks (test_readuntil_multi_chunks_1)", async () => {
    const pieces = ["QWEaa", "XYaa", "a"];
    const splittings = [
      pieces,
      ["QWEaa", "XYa", "aa"],
      ["aaa"],
      ["Xaaa"],
      ["XX", "X", "a", "a", "a"],
      ["aa", "Xaa", "Xaa", "a"],
    ];
    for (const chunks of splittings) {
      const read = fed(chunks);
      assert.equal(await text(read.readuntil("aaa")), chunks.join(""), `all there: ${inspect(chunks)}`);
      assert.equal(await rest(read), "");

      const waiting = fed([]);
      const until = waiting.readuntil("aaa");
      for (const chunk of chunks) {
        await turn();
        feed(waiting, chunk);
      }
      assert.equal(await text(until), chunks.join(""), `one by one: ${inspect(chunks)}`);
      assert.equal(await rest(waiting), "");
    }
  });

  it("StreamReader.readuntil() throws what had come when EOF comes first (test_readuntil_eof)", async () => {
    const reader = fed(["some dataAA"], { eof: true });
    const error = await outcomeOf(reader.readuntil("AAA"));
    assert.ok(error instanceof asyncio.IncompleteReadError);
    assert.equal(error.partial.toString(), "some dataAA");
    assert.equal(error.expected, null);
    assert.equal(error.message, "11 bytes read on a total of undefined expected bytes");
    assert.equal(await rest(reader), "");
  });

  it("StreamReader.readuntil() leaves everything when the separator is not within the limit (test_readuntil_limit_found_sep)", async () => {
    const reader = fed(["some dataAA"], { limit: 3 });
    const missing = await outcomeOf(reader.readuntil("AAA"));
    assert.ok(missing instanceof asyncio.LimitOverrunError);
    assert.equal(missing.message, "Separator is not found, and chunk exceed the limit");
    assert.equal(missing.consumed, 9);
    assert.equal(String(reader), "<StreamReader 11 bytes limit=3>");

    feed(reader, "A");
    const found = await outcomeOf(reader.readuntil("AAA"));
    assert.ok(found instanceof asyncio.LimitOverrunError);
    assert.equal(found.message, "Separator is found, but chunk is longer than limit");
    assert.equal(found.consumed, 9);
    assert.equal(await rest(reader), "some dataAAA");
  });

  it("StreamReader.readuntil() past the limit can be gone on from with readexactly(consumed)", async () => {
    const reader = fed(["some dataAA"], { limit: 3 });
    const error = (await outcomeOf(reader.readuntil("AAA"))) as asyncio.LimitOverrunError;
    assert.equal(await text(reader.readexactly(error.consumed)), "some data");
    feed(reader, "A");
    assert.equal(await text(reader.readuntil("AAA")), "AAA");
  });

  it("StreamReader.readuntil() takes the separator that ends first, of several (test_readuntil_multi_separator)", async () => {
    const lines = fed(["line 1\nline 2\r"]);
    assert.equal(await text(lines.readuntil(["\r", "\n"])), "line 1\n");
    assert.equal(await text(lines.readuntil(["\r", "\n"])), "line 2\r");
    assert.equal(await rest(lines), "");

    const letters = fed(["ABCDEFG"]);
    assert.equal(await text(letters.readuntil([Buffer.from("DEF"), "BCDE"])), "ABCDE");
    assert.equal(await rest(letters), "FG");
  });

  it("StreamReader.readuntil() counts the shortest of the separators that end at the same place (test_readuntil_multi_separator_limit)", async () => {
    const reader = fed(["some dataA"], { limit: 3 });
    const error = await outcomeOf(reader.readuntil(["A", "ome dataA"]));
    assert.ok(error instanceof asyncio.LimitOverrunError);
    assert.equal(error.message, "Separator is found, but chunk is longer than limit");
    assert.equal(error.consumed, 9);
    assert.equal(await rest(reader), "some dataA");
  });

  it("StreamReader.readuntil() searches from the start while there are fewer bytes than the longest separator has (test_readuntil_multi_separator_negative_offset)", async () => {
    const reader = fed(["data"]);
    const until = reader.readuntil(["A", "long sep"]);
    await turn();
    feed(reader, "Z");
    assert.ok(await stillWaits(until));
    feed(reader, "Aaaa");
    assert.equal(await text(until), "dataZA");
    assert.equal(await rest(reader), "aaa");
  });

  it("StreamReader.readuntil() takes any array of bytes for a separator (test_readuntil_bytearray)", async () => {
    const reader = fed(["some data\r\n"]);
    assert.equal(await text(reader.readuntil(new Uint8Array([13, 10]))), "some data\r\n");
  });

  it("StreamReader.readuntil() takes a string for its UTF-8 bytes", async () => {
    const reader = new asyncio.StreamReader();
    const until = reader.readuntil("→");
    for (const byte of Buffer.from("a→b")) {
      reader.feedData(Buffer.of(byte));
    }
    assert.equal(await text(until), "a→");
    assert.equal(await rest(reader), "b");
  });

  it("StreamReader.readuntil() does not see what is done to the separator while it waits", async () => {
    const reader = fed(["data"]);
    const separator = Buffer.from("\r\n");
    const until = reader.readuntil(separator);
    separator.fill("x");
    feed(reader, "xx\r\n");
    assert.equal(await text(until), "dataxx\r\n");
  });
});

describe("StreamReader.readexactly()", () => {
  it("StreamReader.readexactly() rejects fewer than 0 bytes, and returns 0 bytes immediately (test_readexactly_zero_or_less)", async () => {
    const reader = fed([DATA]);
    assert.equal(await text(reader.readexactly(0)), "");
    await assert.rejects(reader.readexactly(-1), {
      name: "ValueError",
      message: "readexactly size can not be less than zero, got -1",
    });
    for (const n of [1.5, "5", undefined, Number.POSITIVE_INFINITY]) {
      await assert.rejects(reader.readexactly(n as number), TypeError);
    }
    assert.equal(await rest(reader), DATA);
  });

  it("StreamReader.readexactly() waits for all bytes, and leaves those behind them (test_readexactly)", async () => {
    const reader = fed([]);
    const read = reader.readexactly(2 * DATA.length);
    feed(reader, DATA);
    assert.ok(await stillWaits(read));
    feed(reader, DATA, DATA);
    assert.equal(await text(read), DATA + DATA);
    assert.equal(await rest(reader), DATA);
  });

  it("StreamReader.readexactly() is not bound by the limit (test_readexactly_limit)", async () => {
    const reader = fed(["chunk"], { limit: 3 });
    assert.equal(await text(reader.readexactly(5)), "chunk");
    assert.equal(await rest(reader), "");
  });

  it("StreamReader.readexactly() throws what had come when EOF comes first (test_readexactly_eof)", async () => {
    const reader = fed([]);
    const read = reader.readexactly(2 * DATA.length);
    feed(reader, DATA);
    assert.ok(await stillWaits(read));
    reader.feedEof();
    const error = await outcomeOf(read);
    assert.ok(error instanceof asyncio.IncompleteReadError);
    assert.ok(error instanceof asyncio.EOFError);
    assert.equal(error.partial.toString(), DATA);
    assert.equal(error.expected, 36);
    assert.equal(error.code, "ERR_INCOMPLETE_READ");
    assert.equal(error.message, "18 bytes read on a total of 36 expected bytes");
    assert.equal(await rest(reader), "");
  });

  it("StreamReader.readexactly(0) returns immediately at EOF", async () => {
    assert.equal(await text(fed([], { eof: true }).readexactly(0)), "");
  });

  it("StreamReader.readexactly() throws the error that was set (test_readexactly_exception)", async () => {
    const reader = fed(["line\n"]);
    assert.equal(await text(reader.readexactly(5)), "line\n");
    const error = new asyncio.ValueError("mine");
    reader.setException(error);
    assert.equal(await outcomeOf(reader.readexactly(5)), error);
  });
});

describe("StreamReader.exception()", () => {
  it("StreamReader.exception() is null until an error is set, then that error (test_exception)", () => {
    const reader = fed([]);
    assert.equal(reader.exception(), null);
    const error = new asyncio.ValueError("mine");
    reader.setException(error);
    assert.equal(reader.exception(), error);
  });

  it("StreamReader.setException() fails the read that waits (test_exception_waiter)", async () => {
    for (const start of [
      (reader: asyncio.StreamReader) => reader.readline(),
      (reader: asyncio.StreamReader) => reader.read(5),
      (reader: asyncio.StreamReader) => reader.read(),
      (reader: asyncio.StreamReader) => reader.readexactly(5),
      (reader: asyncio.StreamReader) => reader.readuntil("x"),
    ]) {
      const reader = fed([]);
      const error = new asyncio.ValueError("mine");
      const task = asyncio.createTask(() => start(reader));
      await turn();
      reader.setException(error);
      assert.equal(await outcomeOf(task), error);
    }
  });

  it("StreamReader.setException() after the waiting read was cancelled does nothing to it (test_exception_cancel)", async () => {
    const reader = fed([]);
    const task = asyncio.createTask(() => reader.readline());
    await turn();
    task.cancel();
    reader.setException(new asyncio.RuntimeError("message"));
    await turn();
    assert.ok(task.cancelled());
    assert.equal(String(reader), "<StreamReader exception=RuntimeError('message')>", "no read waits");
  });
});

describe("StreamReader.atEof()", () => {
  it("StreamReader.atEof() is true once EOF has come and everything was read (test_at_eof)", async () => {
    const reader = fed([]);
    assert.equal(reader.atEof(), false);
    feed(reader, "some data\n");
    assert.equal(reader.atEof(), false);
    await reader.readline();
    assert.equal(reader.atEof(), false, "more may come");
    feed(reader, "some data\n");
    reader.feedEof();
    assert.equal(reader.atEof(), false, "there is something to read");
    await reader.readline();
    assert.equal(reader.atEof(), true);
  });
});

describe("StreamReader as an async iterable", () => {
  it("StreamReader is iterated line by line up to EOF, with a last line that has no newline", async () => {
    const reader = fed(["one\ntwo", "\n\nthr", "ee"], { eof: true });
    const lines: string[] = [];
    for await (const line of reader) {
      lines.push(line.toString());
    }
    assert.deepEqual(lines, ["one\n", "two\n", "\n", "three"]);
    assert.ok(reader.atEof());
  });

  it("StreamReader keeps the lines that a broken-off iteration did not get to, and can be iterated again", async () => {
    const reader = fed(["one\ntwo\nthree\n"], { eof: true });
    for await (const line of reader) {
      assert.equal(line.toString(), "one\n");
      break;
    }
    const lines: string[] = [];
    for await (const line of reader) {
      lines.push(line.toString());
    }
    assert.deepEqual(lines, ["two\n", "three\n"]);
  });

  it("StreamReader throws out of an iteration what readline() throws", async () => {
    const reader = fed(["short\nfar too long\nrest\n"], { limit: 7, eof: true });
    const lines: string[] = [];
    await assert.rejects(async () => {
      for await (const line of reader) {
        lines.push(line.toString());
      }
    }, asyncio.ValueError);
    assert.deepEqual(lines, ["short\n"]);
    assert.equal(await text(reader.readline()), "rest\n");
  });
});

describe("StreamReader with two reads at the same time", () => {
  const reads: Readonly<Record<string, (reader: asyncio.StreamReader) => Promise<Buffer>>> = {
    "read(5)": (reader) => reader.read(5),
    "read()": (reader) => reader.read(),
    "readexactly(20)": (reader) => reader.readexactly(20),
    "readuntil('y')": (reader) => reader.readuntil("y"),
    "readline()": (reader) => reader.readline(),
  };
  const refusedAs: Readonly<Record<string, string>> = {
    "read(5)": "read",
    "read()": "read",
    "readexactly(20)": "readexactly",
    "readuntil('y')": "readuntil",
    "readline()": "readuntil",
  };

  for (const [first, startFirst] of Object.entries(reads)) {
    it(`StreamReader.${first} that waits keeps waiting, and every other read that would have to is refused by name`, async () => {
      for (const [second, startSecond] of Object.entries(reads)) {
        const reader = fed([]);
        const waiting = startFirst(reader);
        const error = await outcomeOf(startSecond(reader));
        assert.ok(error instanceof asyncio.RuntimeError, second);
        assert.equal(
          error.message,
          `${refusedAs[second]}() called while another coroutine is already waiting for incoming data; await that one first`,
        );
        assert.equal(error.code, "ERR_READER_BUSY");
        assert.ok(await stillWaits(waiting));
        feed(reader, "x\ny and so on, and on");
        reader.feedEof();
        const answer = await text(waiting);
        assert.equal(answer + (await rest(reader)), "x\ny and so on, and on");
      }
    });
  }

  it("StreamReader lets a second read take the buffered bytes, as in Python, while the first continues to wait", async () => {
    const seconds: [string, (reader: asyncio.StreamReader) => Promise<Buffer>][] = [
      ["a\n", (reader) => reader.readline()],
      ["a\n", (reader) => reader.readuntil("\n")],
      ["a\nb", (reader) => reader.readexactly(3)],
      ["a\nbc", (reader) => reader.read(100)],
      ["", (reader) => reader.read(0)],
    ];
    for (const [taken, second] of seconds) {
      const reader = fed(["a\nbc"]);
      const first = reader.readexactly(6);
      assert.ok(await stillWaits(first));
      assert.equal(await text(second(reader)), taken);
      assert.ok(await stillWaits(first));
      feed(reader, "defghi");
      assert.equal((await text(first)) + (await rest(reader)), `a\nbcdefghi`.slice(taken.length));
    }
  });
});

describe("StreamReader and cancellation", () => {
  it("StreamReader.readexactly(10) that is cancelled with 5 bytes there leaves the 5", async () => {
    const reader = fed([]);
    const task = asyncio.createTask(() => reader.readexactly(10));
    await turn();
    feed(reader, "12345");
    await turn();
    task.cancel();
    assert.ok((await outcomeOf(task)) instanceof asyncio.CancelledError);
    assert.equal(String(reader), "<StreamReader 5 bytes>");
    feed(reader, "67");
    assert.equal(await text(reader.readexactly(7)), "1234567");
  });

  it("StreamReader keeps every byte when a read of any kind is cancelled", async () => {
    const starts: ((reader: asyncio.StreamReader) => Promise<Buffer>)[] = [
      (reader) => reader.read(),
      (reader) => reader.readexactly(100),
      (reader) => reader.readline(),
      (reader) => reader.readuntil(["\r\n", "--"]),
    ];
    for (const start of starts) {
      const reader = fed(["be"]);
      const task = asyncio.createTask(() => start(reader));
      await turn();
      feed(reader, "fo", "re");
      await turn();
      task.cancel();
      assert.ok((await outcomeOf(task)) instanceof asyncio.CancelledError);
      feed(reader, " and after");
      assert.equal(await rest(reader), "before and after");
    }
  });

  it("StreamReader.read() that fails leaves the collected bytes in the buffer", async () => {
    const reader = fed(["some"]);
    const read = reader.read();
    feed(reader, " data");
    await turn();
    const error = new asyncio.ValueError("mine");
    reader.setException(error);
    assert.equal(await outcomeOf(read), error);
    assert.equal(String(reader), "<StreamReader 9 bytes exception=ValueError('mine')>");
  });

  it("StreamReader loses nothing when the data and the cancellation come in one turn, in either order", async () => {
    for (const order of ["data first", "cancellation first"]) {
      const reader = fed([]);
      const got: string[] = [];
      const task = asyncio.createTask(async () => {
        got.push(await text(reader.readexactly(4)));
        got.push(await text(reader.readexactly(4)));
      });
      await turn();
      if (order === "data first") {
        feed(reader, "12345678");
        task.cancel();
      } else {
        task.cancel();
        feed(reader, "12345678");
      }
      await outcomeOf(task);
      assert.ok(task.cancelled() || got.length === 2);
      assert.equal(got.join("") + (await rest(reader)), "12345678", order);
    }
  });

  it("StreamReader.read() to the end that waits owns the whole buffer: no other read takes bytes of it", async () => {
    const reader = fed(["so"]);
    const all = reader.read();
    feed(reader, "me\n");
    for (const read of [reader.read(1), reader.readline(), reader.readexactly(2), reader.readuntil("m")]) {
      assert.ok((await outcomeOf(read)) instanceof asyncio.RuntimeError);
    }
    reader.feedEof();
    assert.equal(await text(all), "some\n");
  });

  it("StreamReader lets another task read once no read waits", async () => {
    const reader = fed([]);
    const first = asyncio.createTask(() => reader.readline());
    await turn();
    first.cancel();
    const second = reader.readline();
    feed(reader, "for the second\n");
    assert.equal(await text(second), "for the second\n");
    assert.ok((await outcomeOf(first)) instanceof asyncio.CancelledError);
  });
});

describe("StreamReader and its transport", () => {
  it("StreamReader pauses its transport above twice the limit, and not at it", () => {
    const [reader, calls] = withTransport(10);
    feed(reader, "x".repeat(20));
    assert.deepEqual(calls, []);
    feed(reader, "x");
    assert.deepEqual(calls, ["pause"]);
    feed(reader, "x".repeat(100));
    assert.deepEqual(calls, ["pause"], "once");
    assert.match(String(reader), /^<StreamReader 121 bytes limit=10 transport=.* paused>$/);
  });

  it("StreamReader resumes its transport when a read leaves no more than the limit, and not before", async () => {
    const [reader, calls] = withTransport(10);
    feed(reader, "x".repeat(21));
    await reader.read(10);
    assert.deepEqual(calls, ["pause"], "11 bytes are left");
    await reader.read(1);
    assert.deepEqual(calls, ["pause", "resume"]);
    feed(reader, "x".repeat(11));
    assert.deepEqual(calls, ["pause", "resume", "pause"], "and so on");
  });

  it("StreamReader resumes its transport after a read of any kind", async () => {
    const reads: ((reader: asyncio.StreamReader) => Promise<unknown>)[] = [
      (reader) => reader.read(12),
      (reader) => reader.readexactly(12),
      (reader) => reader.readuntil("\n"),
      (reader) => reader.readline(),
      (reader) => reader[Symbol.asyncIterator]().next(),
    ];
    for (const read of reads) {
      const [reader, calls] = withTransport(11);
      feed(reader, `${"x".repeat(11)}\n${"x".repeat(11)}`);
      assert.deepEqual(calls, ["pause"]);
      await read(reader);
      assert.deepEqual(calls, ["pause", "resume"]);
      assert.equal(await rest(reader), "x".repeat(11));
    }
  });

  it("StreamReader resumes its transport when readline() drops a line over the limit", async () => {
    const [reader, calls] = withTransport(10);
    feed(reader, "x".repeat(50));
    await assert.rejects(reader.readline(), asyncio.ValueError);
    assert.deepEqual(calls, ["pause", "resume"]);
  });

  it("StreamReader keeps its transport paused when readuntil() refuses what is over the limit, which stays", async () => {
    const [reader, calls] = withTransport(10);
    feed(reader, "x".repeat(50));
    await assert.rejects(reader.readuntil("\n"), asyncio.LimitOverrunError);
    assert.deepEqual(calls, ["pause"]);
    assert.equal((await reader.readexactly(50)).length, 50);
    assert.deepEqual(calls, ["pause", "resume"]);
  });

  it("StreamReader resumes its transport when a read has to wait for more than twice the limit, and does not pause it again", async () => {
    const [reader, calls] = withTransport(10);
    feed(reader, "x".repeat(21));
    const read = reader.readexactly(100);
    assert.deepEqual(calls, ["pause", "resume"]);
    feed(reader, "x".repeat(50));
    assert.deepEqual(calls, ["pause", "resume"], "the read would wait forever");
    feed(reader, "x".repeat(60));
    assert.equal((await read).length, 100);
    assert.deepEqual(calls, ["pause", "resume", "pause"], "31 bytes are left over");
  });

  it("StreamReader.read() to the end never leaves its transport paused", async () => {
    const [reader, calls] = withTransport(1);
    feed(reader, "x".repeat(21));
    const read = reader.read();
    feed(reader, "x".repeat(50));
    reader.feedEof();
    assert.equal((await read).length, 71);
    assert.deepEqual(calls, ["pause", "resume"]);
  });

  it("StreamReader keeps what is fed right before its reader is cancelled, as the last thing that the reader does", async () => {
    for (const read of [
      (reader: asyncio.StreamReader) => reader.readline(),
      (reader: asyncio.StreamReader) => reader.read(),
      (reader: asyncio.StreamReader) => reader.readexactly(5),
    ]) {
      const reader = new asyncio.StreamReader();
      const task = asyncio.createTask(() => read(reader));
      await turn();
      feed(reader, "line\n");
      reader.feedEof();
      task.cancel();
      assert.ok(asyncio.isCancelled(await outcomeOf(task)));
      assert.equal(await rest(reader), "line\n");
    }
  });

  it("StreamReader pauses its transport again after a read for much was cancelled", async () => {
    const [reader, calls] = withTransport(10);
    const task = asyncio.createTask(() => reader.readexactly(100));
    await turn();
    feed(reader, "x".repeat(50));
    await turn();
    task.cancel();
    await outcomeOf(task);
    assert.deepEqual(calls, []);
    feed(reader, "x");
    assert.deepEqual(calls, ["pause"]);
  });

  it("StreamReader without a transport takes any amount", async () => {
    const reader = fed(["x".repeat(1000)], { limit: 1 });
    assert.equal((await reader.read(1000)).length, 1000);
  });
});

describe("StreamReader and what an error leaves in the buffer", () => {
  const lost = new asyncio.ConnectionResetError("lost");
  const cases: {
    readonly of: string;
    readonly limit?: number;
    readonly chunks: readonly string[];
    readonly eof?: boolean;
    readonly read: (reader: asyncio.StreamReader) => Promise<Buffer>;
    readonly error: string;
    readonly left: number;
  }[] = [
    {
      of: "readline() over the limit with its newline there",
      limit: 3,
      chunks: ["long\nrest"],
      read: (reader) => reader.readline(),
      error: "ValueError",
      left: 4,
    },
    {
      of: "readline() over the limit without its newline",
      limit: 3,
      chunks: ["longer"],
      read: (reader) => reader.readline(),
      error: "ValueError",
      left: 0,
    },
    {
      of: "readuntil() over the limit",
      limit: 3,
      chunks: ["long;rest"],
      read: (reader) => reader.readuntil(";"),
      error: "LimitOverrunError",
      left: 9,
    },
    {
      of: "readuntil() at EOF",
      chunks: ["so", "me"],
      eof: true,
      read: (reader) => reader.readuntil(";"),
      error: "IncompleteReadError",
      left: 0,
    },
    {
      of: "readexactly() at EOF",
      chunks: ["so", "me"],
      eof: true,
      read: (reader) => reader.readexactly(5),
      error: "IncompleteReadError",
      left: 0,
    },
    {
      of: "readexactly() of a negative number",
      chunks: ["some"],
      read: (reader) => reader.readexactly(-1),
      error: "ValueError",
      left: 4,
    },
    {
      of: "readuntil() of nothing",
      chunks: ["some"],
      read: (reader) => reader.readuntil(""),
      error: "ValueError",
      left: 4,
    },
    {
      of: "read() after setException()",
      chunks: ["some"],
      read: (reader) => {
        reader.setException(lost);
        return reader.read();
      },
      error: "ConnectionResetError",
      left: 4,
    },
  ];
  for (const { of, limit, chunks, eof, read, error, left } of cases) {
    it(`StreamReader.${of} is a ${error} and leaves ${left === 0 ? "nothing" : `${left} bytes`}`, async () => {
      const reader = fed(chunks, { ...(limit === undefined ? {} : { limit }), ...(eof === undefined ? {} : { eof }) });
      assert.equal(((await outcomeOf(read(reader))) as Error).name, error);
      assert.equal(String(reader).includes("bytes"), left > 0);
      if (left > 0) {
        assert.match(String(reader), new RegExp(`^<StreamReader ${left} bytes`));
      }
    });
  }

  it("StreamReader's rejected reads do not end the process if they are not awaited", async () => {
    const reader = fed(["some"], { limit: 1 });
    for (const read of [reader.readexactly(-1), reader.readuntil(""), reader.readuntil(";"), reader.readline()]) {
      assert.ok(read instanceof Promise);
    }
    const waiting = reader.readline();
    reader.setException(lost);
    await turn();
    assert.equal(await outcomeOf(waiting), lost);
  });
});

describe("StreamReader.tryReadline(), tryReadexactly() and tryReaduntil()", () => {
  it("StreamReader.tryReadline() returns what readline() would return immediately, and null where readline() would wait", async () => {
    const reader = fed(["one\ntw"]);
    assert.equal(String(reader.tryReadline()), "one\n");
    assert.equal(reader.tryReadline(), null);
    feed(reader, "o\nthree");
    assert.equal(String(reader.tryReadline()), "two\n");
    assert.equal(reader.tryReadline(), null);
    reader.feedEof();
    assert.equal(String(reader.tryReadline()), "three");
    assert.equal(reader.tryReadline()?.length, 0);
  });

  it("StreamReader.tryReadexactly() and tryReaduntil() throw what the reads would be rejected with", () => {
    const reader = fed(["some;data"], { limit: 3 });
    assert.equal(reader.tryReadexactly(10), null);
    assert.equal(reader.tryReaduntil("!!!!!!!!"), null);
    assert.throws(() => reader.tryReaduntil(";"), asyncio.LimitOverrunError);
    assert.throws(() => reader.tryReadexactly(-1), { name: "ValueError" });
    assert.throws(() => reader.tryReaduntil(""), { name: "ValueError" });
    assert.equal(String(reader.tryReadexactly(2)), "so");
    assert.equal(String(reader.tryReaduntil(["x", ";"])), "me;");
    reader.feedEof();
    assert.throws(() => reader.tryReadexactly(10), { name: "IncompleteReadError", expected: 10 });
    assert.equal(reader.tryReadexactly(0)?.length, 0);
    assert.throws(() => reader.tryReaduntil(";"), { name: "IncompleteReadError", expected: null });
  });

  it("StreamReader.tryReadline() throws an error that was set, drops a line over the limit, and resumes the transport", () => {
    const [reader, calls] = withTransport(10);
    feed(reader, `${"x".repeat(30)}\nshort\n`);
    assert.throws(() => reader.tryReadline(), { name: "ValueError", code: "ERR_LIMIT_OVERRUN" });
    assert.deepEqual(calls, ["pause", "resume"]);
    assert.equal(String(reader.tryReadline()), "short\n");
    const error = new asyncio.ValueError("mine");
    reader.setException(error);
    assert.throws(() => reader.tryReadline(), error);
  });

  it("StreamReader.tryReadline() takes nothing from a read that waits", async () => {
    const reader = fed(["one\nt"]);
    const waiting = reader.readexactly(8);
    assert.equal(reader.tryReadline(), null);
    feed(reader, "wo\n");
    assert.equal(await text(waiting), "one\ntwo\n");
  });
});

describe("StreamReader.readInto()", () => {
  it("StreamReader.readInto() fills the caller's buffer with what is there, over the borders of chunks", async () => {
    const reader = fed(["abc", "def"]);
    const target = new Uint8Array(4).fill(46);
    assert.equal(await reader.readInto(target), 4);
    assert.equal(Buffer.from(target).toString(), "abcd");
    assert.equal(await reader.readInto(target), 2);
    assert.equal(Buffer.from(target).toString(), "efcd", "the rest of the buffer is left alone");
  });

  it("StreamReader.readInto() waits for as many bytes as it was told to, and takes as many as fit", async () => {
    const reader = fed(["ab"]);
    const target = Buffer.alloc(10, ".");
    const read = reader.readInto(target, { min: 4 });
    assert.ok(await stillWaits(read));
    assert.equal(target.toString(), "..........");
    feed(reader, "cdefgh");
    assert.equal(await read, 8);
    assert.equal(target.toString(), "abcdefgh..");
    feed(reader, "ij", "kl");
    assert.equal(await rest(reader), "ijkl");
  });

  it("StreamReader.readInto() gives 0 at EOF, and an error when EOF comes before enough bytes", async () => {
    const reader = fed(["ab"], { eof: true });
    const error = await outcomeOf(reader.readInto(new Uint8Array(4), { min: 3 }));
    assert.ok(error instanceof asyncio.IncompleteReadError);
    assert.equal(error.partial.toString(), "ab");
    assert.equal(error.expected, 3);
    assert.equal(await reader.readInto(new Uint8Array(4)), 0);
  });

  it("StreamReader.readInto() refuses a target that is none, and more bytes than fit", async () => {
    const reader = fed(["ab"]);
    for (const target of ["text", [1, 2], null]) {
      await assert.rejects(reader.readInto(target as unknown as Uint8Array), TypeError);
    }
    for (const min of [0, -1, 5]) {
      await assert.rejects(reader.readInto(new Uint8Array(4), { min }), { name: "ValueError" });
    }
    assert.equal(await rest(reader), "ab");
  });

  it("StreamReader.readInto() that is cancelled leaves the bytes in the reader, and the buffer alone", async () => {
    const reader = fed(["ab"]);
    const target = Buffer.alloc(4, ".");
    const task = asyncio.createTask(() => reader.readInto(target, { min: 3 }));
    await turn();
    task.cancel();
    assert.ok((await outcomeOf(task)) instanceof asyncio.CancelledError);
    feed(reader, "cd");
    assert.equal(target.toString(), "....");
    assert.equal(await rest(reader), "abcd");
  });
});

describe("StreamReader.peek()", () => {
  it("StreamReader.peek() waits for this many bytes, and leaves them in the buffer", async () => {
    const reader = fed(["ab"]);
    const peeked = reader.peek(3);
    assert.ok(await stillWaits(peeked));
    feed(reader, "cd");
    assert.equal(await text(peeked), "abc");
    assert.equal(await text(reader.peek(0)), "");
    assert.equal(await text(reader.peek(4)), "abcd");
    assert.equal(await rest(reader), "abcd");
  });

  it("StreamReader.peek() leaves everything in the buffer even if EOF comes first", async () => {
    const reader = fed(["ab"], { eof: true });
    const error = await outcomeOf(reader.peek(3));
    assert.ok(error instanceof asyncio.IncompleteReadError);
    assert.equal(error.partial.toString(), "ab");
    assert.equal(await rest(reader), "ab");
    await assert.rejects(reader.peek(-1), { name: "ValueError" });
  });

  it("StreamReader.peek() of more than twice the limit ends", async () => {
    const [reader, calls] = withTransport(10);
    feed(reader, "x".repeat(21));
    const peeked = reader.peek(50);
    feed(reader, "x".repeat(20));
    feed(reader, "x".repeat(20));
    assert.equal((await peeked).length, 50);
    assert.deepEqual(calls, ["pause", "resume", "pause"]);
  });
});

describe("StreamReader and a peer that sends byte by byte", () => {
  it("StreamReader searches a line of 64 KiB that comes byte by byte in one go", async () => {
    const reader = new asyncio.StreamReader();
    const line = reader.readline();
    // Bytes of their own, as a socket gives them. To begin the search anew with each would be two thousand million steps.
    for (let i = 0; i < 64 * 1024; i++) {
      reader.feedData(Buffer.from("x"));
    }
    reader.feedData(Buffer.from("\n"));
    assert.equal((await line).length, 64 * 1024 + 1);
  });
});

describe("StreamReader's errors as data", () => {
  it("IncompleteReadError keeps its fields when its own properties are copied (test_IncompleteReadError_pickleable)", async () => {
    const error = await outcomeOf(fed(["abc"], { eof: true }).readexactly(10));
    const copy = structuredClone(Object.assign({}, error as asyncio.IncompleteReadError));
    assert.equal(Buffer.from(copy.partial).toString(), "abc");
    assert.equal(copy.expected, 10);
    assert.equal(copy.code, "ERR_INCOMPLETE_READ");
  });

  it("LimitOverrunError keeps its fields when its own properties are copied (test_LimitOverrunError_pickleable)", async () => {
    const error = await outcomeOf(fed(["abcdefghij"], { limit: 3 }).readuntil("\n"));
    const copy = structuredClone(Object.assign({}, error as asyncio.LimitOverrunError));
    assert.equal(copy.consumed, 10);
    assert.equal(copy.code, "ERR_LIMIT_OVERRUN");
  });
});

describe("StreamReader as text", () => {
  const reprs: readonly [string, () => asyncio.StreamReader, string][] = [
    ["plain (test___repr__)", () => fed([]), "<StreamReader>"],
    [
      "with a limit of its own (test___repr__nondefault_limit)",
      () => fed([], { limit: 123 }),
      "<StreamReader limit=123>",
    ],
    ["with the default limit given", () => fed([], { limit: 65536 }), "<StreamReader>"],
    ["at EOF (test___repr__eof)", () => fed([], { eof: true }), "<StreamReader eof>"],
    ["with data (test___repr__data)", () => fed(["data"]), "<StreamReader 4 bytes>"],
    ["with data at EOF", () => fed(["data"], { eof: true, limit: 9 }), "<StreamReader 4 bytes eof limit=9>"],
  ];
  for (const [when, make, expected] of reprs) {
    it(`StreamReader as text, ${when}`, () => {
      const reader = make();
      assert.equal(String(reader), expected);
      assert.equal(inspect(reader), expected);
    });
  }

  it("StreamReader as text, with an error (test___repr__exception)", () => {
    const reader = fed([]);
    reader.setException(new asyncio.RuntimeError());
    assert.match(String(reader), /^<StreamReader exception=RuntimeError\(.*\)>$/);
  });

  it("StreamReader as text, with a read that waits (test___repr__waiter)", async () => {
    const reader = fed([]);
    const read = reader.readline();
    assert.equal(String(reader), "<StreamReader waiter=<Future pending>>");
    feed(reader, "x\n");
    await read;
    assert.equal(String(reader), "<StreamReader>");
  });

  it("StreamReader as text, with a transport (test___repr__transport)", () => {
    const reader = fed([]);
    reader.setTransport(new FakeTransport());
    assert.equal(String(reader), "<StreamReader transport=<FakeTransport>>");
  });
});
