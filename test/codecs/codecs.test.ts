/** What each codec makes of the bytes that its format publishes, and what it refuses. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import {
  type Codec,
  delimiterCodec,
  Framed,
  framed,
  jsonLinesCodec,
  lengthDelimitedCodec,
  linesCodec,
  netstringCodec,
  varintCodec,
} from "contextvars/codecs";
import * as fc from "fast-check";
import { codecCases, encoded } from "../support/codecs.ts";
import { turns } from "../support/peers.ts";

function readerOf(bytes: Uint8Array | string): asyncio.StreamReader {
  const reader = new asyncio.StreamReader();
  reader.feedData(Buffer.from(bytes as string));
  reader.feedEof();
  return reader;
}

/** All frames as text, then the error if there is one. */
async function decoded(codec: Codec<unknown, never>, bytes: Uint8Array | string): Promise<string[]> {
  const all: string[] = [];
  try {
    for await (const frame of framed(readerOf(bytes), null, codec)) {
      all.push(
        Buffer.isBuffer(frame) ? frame.toString("latin1") : typeof frame === "string" ? frame : JSON.stringify(frame),
      );
    }
  } catch (error) {
    const { name, code } = error as asyncio.ValueError;
    all.push(`${name} ${code}`);
  }
  return all;
}

const HELLO = "HELLO, WORLD";

interface LengthVector {
  readonly what: string;
  readonly options: Parameters<typeof lengthDelimitedCodec>[0];
  readonly wire: string;
  readonly frame: string;
}

/**
 * The cases of Netty's LengthFieldBasedFrameDecoder, whose adjustment counts from the end of the length, ours from the
 * skipped bytes.
 */
const netty: readonly LengthVector[] = [
  netting("a length of 2 bytes, kept", { offset: 0, length: 2, adjustment: 0, strip: 0 }, `\x00\x0c${HELLO}`, 0),
  netting("a length of 2 bytes, stripped", { offset: 0, length: 2, adjustment: 0, strip: 2 }, `\x00\x0c${HELLO}`, 2),
  netting("a length that counts itself", { offset: 0, length: 2, adjustment: -2, strip: 0 }, `\x00\x0e${HELLO}`, 0),
  netting(
    "a length of 3 bytes at the end of a head",
    { offset: 2, length: 3, adjustment: 0, strip: 0 },
    `\xca\xfe\x00\x00\x0c${HELLO}`,
    0,
  ),
  netting(
    "a length of 3 bytes at the beginning of a head",
    { offset: 0, length: 3, adjustment: 2, strip: 0 },
    `\x00\x00\x0c\xca\xfe${HELLO}`,
    0,
  ),
  netting(
    "a length in the midst of a head",
    { offset: 1, length: 2, adjustment: 1, strip: 3 },
    `\xca\x00\x0c\xfe${HELLO}`,
    3,
  ),
  netting(
    "a length of the whole message in the midst of a head",
    { offset: 1, length: 2, adjustment: -3, strip: 3 },
    `\xca\x00\x10\xfe${HELLO}`,
    3,
  ),
];

interface NettyOptions {
  readonly offset: number;
  readonly length: number;
  readonly adjustment: number;
  readonly strip: number;
}

function netting(
  what: string,
  { offset, length, adjustment, strip }: NettyOptions,
  wire: string,
  from: number,
): LengthVector {
  return {
    what: `Netty: ${what}`,
    options: {
      lengthFieldOffset: offset,
      lengthFieldLength: length,
      lengthAdjustment: offset + length + adjustment - strip,
      numSkip: strip,
    },
    wire,
    frame: wire.slice(from),
  };
}

const TOKIO = "Hello world";

/** The cases of the documentation of tokio's LengthDelimitedCodec, whose options ours are. */
const tokio: readonly LengthVector[] = [
  { what: "the head is skipped", options: { lengthFieldLength: 2 }, wire: `\x00\x0b${TOKIO}`, frame: TOKIO },
  {
    what: "the head is kept",
    options: { lengthFieldLength: 2, lengthAdjustment: 2, numSkip: 0 },
    wire: `\x00\x0b${TOKIO}`,
    frame: `\x00\x0b${TOKIO}`,
  },
  {
    what: "the length counts the head",
    options: { lengthFieldLength: 2, lengthAdjustment: -2 },
    wire: `\x00\x0d${TOKIO}`,
    frame: TOKIO,
  },
  {
    what: "a head of 5 bytes is kept",
    options: { lengthFieldLength: 3, lengthAdjustment: 5, numSkip: 0 },
    wire: `\x00\x00\x0b\xca\xfe${TOKIO}`,
    frame: `\x00\x00\x0b\xca\xfe${TOKIO}`,
  },
  {
    what: "part of the head is kept",
    options: { lengthFieldOffset: 1, lengthFieldLength: 2, lengthAdjustment: 1, numSkip: 3 },
    wire: `\xca\x00\x0b\xfe${TOKIO}`,
    frame: `\xfe${TOKIO}`,
  },
  {
    what: "part of the head is kept, and the length counts all of it",
    options: { lengthFieldOffset: 1, lengthFieldLength: 2, lengthAdjustment: -3, numSkip: 3 },
    wire: `\xca\x00\x0f\xfe${TOKIO}`,
    frame: `\xfe${TOKIO}`,
  },
  {
    what: "more than the length is skipped",
    options: { lengthFieldLength: 3, numSkip: 4 },
    wire: `\x00\x00\x0b\xff${TOKIO}`,
    frame: TOKIO,
  },
].map((each) => ({ ...each, what: `tokio: ${each.what}` }));

describe("lengthDelimitedCodec()", () => {
  for (const { what, options, wire, frame } of [...netty, ...tokio]) {
    it(`decodes the published example, ${what}`, async () => {
      const bytes = Buffer.from(wire, "latin1");
      const codec = lengthDelimitedCodec(options);
      assert.deepEqual(await decoded(codec, Buffer.concat([bytes, bytes])), [frame, frame]);
    });

    it(`sends what it has received, ${what}`, async () => {
      const bytes = Buffer.from(wire, "latin1");
      const codec = lengthDelimitedCodec(options);
      const [received = ""] = await decoded(codec, bytes);
      const sent = encoded(codec, [Buffer.from(received, "latin1")]);
      assert.equal(sent.length, bytes.length);
      assert.deepEqual(await decoded(codec, sent), [frame]);
    });
  }

  it("reads and writes lengths of 1 to 8 bytes in both orders", async () => {
    for (const littleEndian of [false, true]) {
      for (let lengthFieldLength = 1; lengthFieldLength <= 8; lengthFieldLength++) {
        const codec = lengthDelimitedCodec({ lengthFieldLength, littleEndian });
        const head = Buffer.alloc(lengthFieldLength);
        head[littleEndian ? 0 : lengthFieldLength - 1] = 44;
        if (lengthFieldLength > 1) {
          head[littleEndian ? 1 : lengthFieldLength - 2] = 1;
        }
        const body = "b".repeat(lengthFieldLength > 1 ? 300 : 44);
        assert.deepEqual(encoded(codec, [body]), Buffer.concat([head, Buffer.from(body)]));
        assert.deepEqual(await decoded(codec, encoded(codec, [body, ""])), [body, ""]);
      }
    }
  });

  it("refuses a length that no frame can have", async () => {
    const tooSmall = { lengthFieldLength: 2, lengthAdjustment: -2 };
    assert.deepEqual(await decoded(lengthDelimitedCodec(tooSmall), "\x00\x01abc"), ["ValueError ERR_FRAME_LENGTH"]);
    const largest = Buffer.alloc(12, 0xff);
    assert.deepEqual(await decoded(lengthDelimitedCodec({ lengthFieldLength: 8 }), largest), [
      "LimitOverrunError ERR_LIMIT_OVERRUN",
    ]);
  });

  it("sends the skipped bytes as zeros, with the length among them", () => {
    for (const [options, item, wire] of [
      [{ lengthFieldOffset: 4, lengthFieldLength: 2, numSkip: 8 }, "ab", "0000000000020000" + "6162"],
      [{ lengthFieldOffset: 2, lengthFieldLength: 2, numSkip: 2, lengthAdjustment: 2 }, "\0\x01a", "0000" + "000161"],
      [{ lengthFieldLength: 2, numSkip: 4 }, "ab", "00020000" + "6162"],
    ] as const) {
      assert.equal(encoded(lengthDelimitedCodec(options), [item]).toString("hex"), wire);
    }
  });

  it("refuses to send what does not fit, or a frame that does not contain its length", () => {
    const refused = { name: "ValueError", code: "ERR_FRAME_LENGTH" };
    assert.throws(() => lengthDelimitedCodec({ lengthFieldLength: 1 }).encode("a".repeat(256)), refused);
    assert.throws(() => lengthDelimitedCodec({ lengthAdjustment: 5 }).encode("four"), refused);
    const kept = lengthDelimitedCodec({ lengthFieldLength: 2, lengthAdjustment: 2, numSkip: 0 });
    for (const item of ["", "\x00", "\x00\x09hello"]) {
      assert.throws(() => kept.encode(item), refused);
    }
    assert.equal(String(encoded(kept, ["\x00\x05hello"])), "\x00\x05hello");
  });
});

describe("varintCodec()", () => {
  it("decodes and encodes lengths as the documentation of Protocol Buffers does", async () => {
    // 1 is 01, 150 is 96 01, 300 is AC 02.
    for (const [length, head] of [
      [1, "01"],
      [127, "7f"],
      [128, "8001"],
      [150, "9601"],
      [300, "ac02"],
      [16_384, "808001"],
    ] as const) {
      const frame = "a".repeat(length);
      const bytes = Buffer.concat([Buffer.from(head, "hex"), Buffer.from(frame)]);
      assert.deepEqual(encoded(varintCodec(), [frame]), bytes);
      assert.deepEqual(await decoded(varintCodec(), bytes), [frame]);
    }
  });

  it("takes lengths that are written longer than they need be, up to maxLengthLength", async () => {
    assert.deepEqual(await decoded(varintCodec(), Buffer.from("8380808080808000616263", "hex")), ["abc"]);
    assert.deepEqual(await decoded(varintCodec({ maxLengthLength: 2 }), Buffer.from("838000616263", "hex")), [
      "ValueError ERR_FRAME_LENGTH",
    ]);
    assert.throws(() => varintCodec({ maxLengthLength: 1 }).encode("a".repeat(128)), { code: "ERR_FRAME_LENGTH" });
  });

  it("agrees with a varint that is written out in BigInt, whatever the length", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 56n - 1n), (length) => {
        const head: number[] = [];
        let left = length;
        for (; left >= 128n; left >>= 7n) {
          head.push(Number(left & 127n) | 128);
        }
        head.push(Number(left));
        const codec = varintCodec({ maxFrameLength: Number.MAX_SAFE_INTEGER });
        const inexact = length + BigInt(head.length) > BigInt(Number.MAX_SAFE_INTEGER);
        if (inexact) {
          assert.throws(() => codec.decode(Buffer.from(head)), asyncio.LimitOverrunError);
        } else if (length > 0n) {
          assert.equal(codec.decode(Buffer.from(head)), Number(length) + head.length);
        }
      }),
    );
  });
});

describe("netstringCodec()", () => {
  for (const [wire, frames] of [
    ["12:hello world!,", ["hello world!"]],
    ["0:,", [""]],
    ["3:a,b,1:c,", ["a,b", "c"]],
    ["", []],
    ["01:a,", ["ValueError ERR_FRAME_LENGTH"]],
    ["00:,", ["ValueError ERR_FRAME_LENGTH"]],
    [":a,", ["ValueError ERR_FRAME_LENGTH"]],
    ["-1:a,", ["ValueError ERR_FRAME_LENGTH"]],
    ["1 :a,", ["ValueError ERR_FRAME_LENGTH"]],
    ["3:abcd", ["ValueError ERR_FRAME_LENGTH"]],
    ["1234567890123456", ["ValueError ERR_FRAME_LENGTH"]],
    ["999999999:a,", ["LimitOverrunError ERR_LIMIT_OVERRUN"]],
    ["3:ab", ["IncompleteReadError ERR_INCOMPLETE_READ"]],
    ["3", ["IncompleteReadError ERR_INCOMPLETE_READ"]],
  ] as const) {
    it(`decodes ${JSON.stringify(wire)}`, async () => {
      assert.deepEqual(await decoded(netstringCodec(), wire), frames);
    });
  }

  it("encodes as the specification does", () => {
    assert.equal(String(encoded(netstringCodec(), ["hello world!", ""])), "12:hello world!,0:,");
  });
});

describe("linesCodec()", () => {
  it("strips a newline and one carriage return before it", async () => {
    const wire = "one\ntwo\r\n\n\r\nthree\r\r\n\rfour\nrest\r";
    assert.deepEqual(await decoded(linesCodec(), wire), ["one", "two", "", "", "three\r", "\rfour", "rest\r"]);
  });

  it("throws for a line that is not UTF-8, and continues after it", async () => {
    const lines = framed(readerOf(Buffer.from("ok\n\xff\xfe\nnext\n", "latin1")), null, linesCodec());
    assert.equal(await lines.receive(), "ok");
    await assert.rejects(lines.receive(), { name: "ValueError", code: "ERR_FRAME_CONTENT" });
    assert.equal(await lines.receive(), "next");
  });

  it("keeps a replacement character and a byte order mark that were sent", async () => {
    assert.deepEqual(await decoded(linesCodec(), "\ufeffa\ufffdb\n"), ["\ufeffa\ufffdb"]);
  });

  it("refuses to send two lines as one, text that latin1 cannot encode, and what is no string", () => {
    const refused = { name: "ValueError", code: "ERR_FRAME_CONTENT" };
    assert.throws(() => linesCodec().encode("a\nb"), refused);
    assert.throws(() => linesCodec({ encoding: "latin1" }).encode("€"), refused);
    assert.throws(() => linesCodec().encode(Buffer.from("a") as never), TypeError);
  });
});

describe("delimiterCodec()", () => {
  it("ends a frame at the separator that ends first, and of several that end there at the longest", async () => {
    const wire = "a\r\nb\nc;;d\r\n";
    assert.deepEqual(await decoded(delimiterCodec(["\n", "\r\n", ";"]), wire), ["a", "b", "c", "", "d"]);
  });

  it("appends the first separator, whatever their lengths", () => {
    assert.equal(String(encoded(delimiterCodec(["\n", "\r\n"]), ["a", Buffer.from("b")])), "a\nb\n");
    assert.equal(String(encoded(delimiterCodec(["\r\n", "\n"]), ["a"])), "a\r\n");
  });

  it("refuses to send a frame that would arrive as another one", () => {
    const refused = { name: "ValueError", code: "ERR_FRAME_CONTENT" };
    assert.throws(() => delimiterCodec(";").encode("a;b"), refused);
    assert.throws(() => delimiterCodec("\n\n").encode("a\n"), refused, "a separator that begins in the frame");
    assert.throws(() => delimiterCodec(["\n", "\r\n"]).encode("a\r"), refused, "a longer separator");
  });
});

describe("jsonLinesCodec()", () => {
  it("gives a value for each line, the last one without a newline as well", async () => {
    assert.deepEqual(await decoded(jsonLinesCodec(), '{"a":[1]}\n"é"\r\n0\nfalse'), ['{"a":[1]}', "é", "0", "false"]);
  });

  for (const line of ["", "{", "null", "undefined", "\xff"]) {
    it(`throws for the line ${JSON.stringify(line)}, and continues after it`, async () => {
      const values = framed(readerOf(Buffer.from(`${line}\n7\n`, "latin1")), null, jsonLinesCodec());
      await assert.rejects(values.receive(), { name: "ValueError", code: "ERR_FRAME_CONTENT" });
      assert.equal(await values.receive(), 7);
    });
  }

  it("refuses to send what a line cannot say", () => {
    for (const item of [null, undefined, () => {}, Symbol("a"), Number.NaN]) {
      assert.throws(() => jsonLinesCodec().encode(item), { name: "ValueError", code: "ERR_FRAME_CONTENT" });
    }
  });
});

describe("options of codecs", () => {
  const makers: Readonly<Record<string, (options: object) => unknown>> = {
    linesCodec,
    delimiterCodec: (options) => delimiterCodec("\n", options),
    jsonLinesCodec,
    lengthDelimitedCodec,
    varintCodec,
    netstringCodec,
  };
  const limits: Readonly<Record<string, readonly [option: string, fallback: number]>> = {
    linesCodec: ["maxLength", 65_536],
    delimiterCodec: ["maxLength", 65_536],
    jsonLinesCodec: ["maxLength", 65_536],
    lengthDelimitedCodec: ["maxFrameLength", 8 * 1024 * 1024],
    varintCodec: ["maxFrameLength", 4 * 1024 * 1024],
    netstringCodec: ["maxLength", 65_536],
  };
  for (const [name, make] of Object.entries(makers)) {
    const [option = "", fallback = 0] = limits[name] ?? [];

    it(`${name}() has a limit, whatever is given`, () => {
      for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "7"]) {
        assert.throws(() => make({ [option]: limit }), { name: "ValueError", message: new RegExp(option) });
      }
    });

    it(`${name}() takes frames up to ${fallback} bytes by default`, () => {
      const codec = make({}) as Codec<unknown, string>;
      const item = (length: number): string => "a".repeat(name === "jsonLinesCodec" ? length - 2 : length);
      codec.encode(item(fallback));
      assert.throws(() => codec.encode(item(fallback + 1)), { code: "ERR_FRAME_LENGTH" });
    });

    it(`${name}() refuses an option that it does not have, and a value that it cannot use`, () => {
      assert.throws(() => make({ maxLenght: 7 }), { name: "TypeError", message: /maxLenght/ });
      assert.throws(() => make({ onOverrun: "ignore" }), { name: "ValueError", message: /onOverrun/ });
    });
  }

  it("lengthDelimitedCodec() and varintCodec() refuse numbers out of range, and linesCodec() other encodings", () => {
    for (const options of [
      { lengthFieldLength: 0 },
      { lengthFieldLength: 9 },
      { lengthFieldOffset: -1 },
      { lengthAdjustment: 0.5 },
      { numSkip: -1 },
      { numSkip: 2 },
    ]) {
      assert.throws(() => lengthDelimitedCodec(options), { name: "ValueError" });
    }
    for (const maxLengthLength of [0, 11, 1.5]) {
      assert.throws(() => varintCodec({ maxLengthLength }), { name: "ValueError", message: /maxLengthLength/ });
    }
    assert.throws(() => linesCodec({ encoding: "utf16le" as never }), { name: "ValueError", message: /encoding/ });
    assert.throws(() => delimiterCodec([]), { name: "ValueError" });
    assert.throws(() => delimiterCodec(""), { name: "ValueError" });
  });
});

describe("framed()", () => {
  it("refuses what is no reader, writer or codec, and a codec without a limit", () => {
    const reader = new asyncio.StreamReader();
    assert.throws(() => framed({} as never, null, linesCodec()), { name: "TypeError", message: /StreamReader/ });
    assert.throws(() => framed(reader, {} as never, linesCodec()), { name: "TypeError", message: /StreamWriter/ });
    assert.throws(() => framed(reader, null, linesCodec as never), { name: "TypeError", message: /codec/ });
    const unlimited = { decode: () => null, encode: () => "" } as unknown as Codec<string>;
    assert.throws(() => framed(reader, null, unlimited), { name: "ValueError", message: /maxLength/ });
    assert.ok(framed(reader, null, linesCodec()) instanceof Framed);
  });

  it("says what is missing where there is no reader or no writer", async () => {
    await assert.rejects(framed(null, null, linesCodec()).receive(), { name: "RuntimeError", message: /reader/ });
    await assert.rejects(framed(null, null, linesCodec()).send("a"), { name: "RuntimeError", message: /writer/ });
    await framed(null, null, linesCodec()).close();
  });

  it("receives null at EOF, again and again", async () => {
    for (const { make } of codecCases) {
      const frames = framed(readerOf(""), null, make());
      assert.equal(await frames.receive(), null);
      assert.equal(frames.tryReceive(), null);
      assert.equal(await frames.receive(), null);
    }
  });

  it("leaves the bytes behind the last frame to other reads", async () => {
    for (const { make, item } of codecCases) {
      const reader = new asyncio.StreamReader();
      reader.feedData(Buffer.concat([encoded(make(), [item(5), item(7)]), Buffer.from("rest")]));
      const frames = framed(reader, null, make());
      assert.deepEqual(await frames.receive(), item(5));
      assert.deepEqual(await frames.receive(), item(7));
      assert.equal(String(await reader.readexactly(4)), "rest");
    }
  });

  it("refuses a second task that would wait", async () => {
    const reader = new asyncio.StreamReader();
    const frames = framed(reader, null, linesCodec());
    const first = frames.receive();
    await assert.rejects(frames.receive(), { name: "RuntimeError", message: /receive\(\) called while/ });
    await assert.rejects(reader.readline(), { name: "RuntimeError" });
    reader.feedData(Buffer.from("one\n"));
    assert.equal(await first, "one");
  });

  it("throws the error of a lost connection behind the last frame", async () => {
    const [a, b] = await asyncio.socketpair();
    const [reader, writer] = await asyncio.openConnection({ sock: a });
    const frames = framed(reader, writer, linesCodec());
    b.write("one\ntw");
    assert.equal(await frames.receive(), "one");
    const received = frames.receive();
    writer.transport.abort();
    assert.equal(await received.catch((error: Error) => error.name), "tw");
    b.destroy();
    await frames.close();
  });

  it("runs a user's codec in the task that receives, and in its Context", async () => {
    const variable = new ContextVar<string>("variable");
    const seen: string[] = [];
    const codec: Codec<string> = {
      maxLength: 100,
      decode(bytes) {
        seen.push(variable.get("none"));
        return bytes.length < 2 ? 2 : { frame: String(bytes.subarray(0, 2)), size: 2 };
      },
      encode: (item) => item,
    };
    const reader = new asyncio.StreamReader();
    const task = asyncio.createTask(async () => {
      variable.set("ours");
      return framed(reader, null, codec).receive();
    });
    await asyncio.sleep(0);
    reader.feedData(Buffer.from("a"));
    await asyncio.sleep(0);
    reader.feedData(Buffer.from("b"));
    assert.equal(await task, "ab");
    assert.ok(seen.length >= 2);
    assert.deepEqual([...new Set(seen)], ["ours"]);
  });

  it("throws what a user's codec throws, and leaves the bytes", async () => {
    const codec: Codec<string> = {
      maxLength: 100,
      decode() {
        throw new Error("no frame");
      },
      encode: (item) => item,
    };
    const reader = readerOf("abc");
    const frames = framed(reader, null, codec);
    await assert.rejects(frames.receive(), { message: "no frame" });
    assert.throws(() => frames.tryReceive(), { message: "no frame" });
    assert.equal(String(await reader.read()), "abc");
  });

  for (const [what, found] of [
    ["a frame of no bytes", { frame: "", size: 0 }],
    ["a frame of more bytes than there are", { frame: "", size: 4 }],
    ["a frame without a size", { frame: "" }],
    ["a frame of half a byte more", { frame: "", size: 1.5 }],
    ["fewer bytes than there are", 3],
    ["no number", Number.NaN],
    ["nothing", undefined],
    ["a promise", Promise.resolve({ frame: "", size: 3 })],
    ["a frame that is null", { frame: null, size: 3 }],
    ["a frame that is undefined", { frame: undefined, size: 3 }],
  ] as const) {
    it(`refuses a codec that returns ${what}`, async () => {
      const codec: Codec<string> = { maxLength: 100, decode: () => found as never, encode: (item) => item };
      const reader = readerOf("abc");
      const expected = { name: "TypeError", message: /decode\(\)/ };
      await assert.rejects(framed(reader, null, codec).receive(), expected);
      assert.throws(() => framed(reader, null, codec).tryReceive(), expected);
      assert.equal(String(await reader.read()), "abc");
    });
  }

  it("does not skip a frame whose end is unknown", async () => {
    const codec: Codec<string> = { maxLength: 3, onOverrun: "skip", decode: () => null, encode: (item) => item };
    await assert.rejects(framed(readerOf("abcdef"), null, codec).receive(), asyncio.LimitOverrunError);
  });
});

describe("Framed over a connection", () => {
  it("send(), sendAll() and close() send every frame in order, and the other side ends", async () => {
    for (const { make, item } of codecCases) {
      const [a, b] = await asyncio.socketpair();
      const [, writer] = await asyncio.openConnection({ sock: a });
      const [reader, other] = await asyncio.openConnection({ sock: b });
      const ours = framed(null, writer, make() as Codec<unknown, unknown>);
      const theirs = framed(reader, other, make());
      await ours.send(item(3));
      await ours.sendAll([item(4), item(5)]);
      await ours.sendAll(
        (async function* () {
          yield item(6);
          await asyncio.sleep(0);
          yield item(7);
        })(),
      );
      const closed = ours.close();
      const received: unknown[] = [];
      for await (const frame of theirs) {
        received.push(frame);
      }
      assert.deepEqual(received, [3, 4, 5, 6, 7].map(item));
      await theirs.close();
      await closed;
    }
  });

  it("sendAll() waits for a peer that does not read", async () => {
    const [a, b] = await asyncio.socketpair();
    const [, writer] = await asyncio.openConnection({ sock: a });
    const frames = framed(null, writer, lengthDelimitedCodec());
    function* endless(): Generator<Buffer> {
      for (;;) {
        yield Buffer.alloc(64 * 1024);
      }
    }
    const task = asyncio.createTask(() => frames.sendAll(endless()));
    await turns(100);
    assert.ok(!task.done());
    assert.ok(writer.transport.getWriteBufferSize() < 4 * 64 * 1024);
    task.cancel();
    await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
    writer.transport.abort();
    b.destroy();
    await frames.close();
  });

  it("startTls() finds what an attacker has put behind the line that was received", async () => {
    const [a, b] = await asyncio.socketpair();
    const [reader, writer] = await asyncio.openConnection({ sock: a });
    const lines = framed(reader, writer, linesCodec());
    b.write("220 go ahead\r\n250 not from the server\r\n");
    assert.equal(await lines.receive(), "220 go ahead");
    await assert.rejects(writer.startTls(true, { serverHostname: "localhost" }), {
      name: "SSLError",
      message: /25 bytes came without TLS/,
    });
    b.destroy();
    await lines.close();
  });

  it("send() of a frame that the codec rejects sends nothing, and the connection continues", async () => {
    const [a, b] = await asyncio.socketpair();
    const [, writer] = await asyncio.openConnection({ sock: a });
    const [reader, other] = await asyncio.openConnection({ sock: b });
    const ours = framed(null, writer, linesCodec());
    await assert.rejects(ours.send("a\nb"), { name: "ValueError" });
    await assert.rejects(ours.sendAll(["one", "a\nb", "three"]), { name: "ValueError" });
    await ours.send("two");
    await ours.close();
    assert.equal(String(await reader.read()), "one\ntwo\n");
    other.close();
    await other.waitClosed();
  });
});
