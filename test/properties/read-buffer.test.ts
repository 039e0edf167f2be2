/** ReadBuffer against the simplest model there is: one Buffer, and each kind of read written down as a slice of it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import * as fc from "fast-check";
import { separators } from "#dist/asyncio/bytes/separator.js";
import { ReadBuffer } from "#dist/asyncio/streams/read-buffer.js";
import { textOf } from "../support/peers-bytes.ts";

const LIMIT = 40;

type Read =
  | { readonly do: "some" | "exactly" | "into" | "peek"; readonly size: number }
  | { readonly do: "until"; readonly needles: readonly string[] }
  | { readonly do: "line" | "all" };

type Step = Read | { readonly do: "push"; readonly chunk: Buffer } | { readonly do: "eof" };

const size = fc.integer({ min: 1, max: 30 });
const needle = fc.constantFrom("\n", "a\n", "ab", "bab", "b");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant("push" as const), chunk: textOf(["a", "b", "\n"], "b") }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom("some" as const, "exactly" as const, "into" as const, "peek" as const),
      size,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("until" as const),
      needles: fc.array(needle, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("line" as const, "all" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("eof" as const) }) },
);

/** The place of the separator that ends first; of several that end at the same place, the shortest. */
function firstMatch(bytes: string, needles: readonly string[]): { start: number; end: number } | null {
  const found = needles
    .map((each) => ({ start: bytes.indexOf(each), end: bytes.indexOf(each) + each.length }))
    .filter(({ start }) => start >= 0)
    .sort((a, b) => a.end - b.end || b.start - a.start);
  return found[0] ?? null;
}

class Model {
  bytes = "";
  eof = false;

  answer(request: Read): string | number | null {
    switch (request.do) {
      case "some":
        return this.bytes !== "" || this.eof ? this.#take(request.size) : null;
      case "all":
        return this.eof ? this.#take(this.bytes.length) : null;
      case "exactly":
        return this.bytes.length >= request.size ? this.#take(request.size) : this.#early();
      case "into": {
        const min = Math.ceil(request.size / 2);
        return this.bytes.length >= min || (this.eof && this.bytes === "")
          ? this.#take(request.size).length
          : this.#early();
      }
      case "peek":
        return this.bytes.length >= request.size
          ? this.bytes.slice(0, request.size)
          : this.eof
            ? `early ${this.bytes}`
            : null;
      case "until":
        return this.#until(request.needles) ?? this.#early();
      case "line":
        return this.#line();
    }
  }

  #take(count: number): string {
    const taken = this.bytes.slice(0, count);
    this.bytes = this.bytes.slice(count);
    return taken;
  }

  #early(): string | null {
    return this.eof ? `early ${this.#take(this.bytes.length)}` : null;
  }

  #until(needles: readonly string[]): string | null {
    const match = firstMatch(this.bytes, needles);
    if (match !== null) {
      return match.start > LIMIT ? `overrun ${match.start}` : this.#take(match.end);
    }
    const longest = Math.max(...needles.map((each) => each.length));
    const searched = this.bytes.length + 1 - longest;
    return searched > LIMIT ? `overrun ${searched}` : null;
  }

  #line(): string | null {
    const line = this.#until(["\n"]);
    if (line?.startsWith("overrun")) {
      const end = this.bytes.indexOf("\n");
      this.#take(end < 0 ? this.bytes.length : end + 1);
      return "dropped";
    }
    return line ?? (this.eof ? this.#take(this.bytes.length) : null);
  }
}

function answer(buffer: ReadBuffer, request: Read): string | number | null {
  try {
    const given = ask(buffer, request);
    return given === null || typeof given === "number" ? given : given.toString();
  } catch (error) {
    if (error instanceof asyncio.IncompleteReadError) {
      return `early ${error.partial}`;
    }
    if (error instanceof asyncio.LimitOverrunError) {
      return `overrun ${error.consumed}`;
    }
    assert.ok(error instanceof asyncio.ValueError, String(error));
    return "dropped";
  }
}

function ask(buffer: ReadBuffer, request: Read): Buffer | number | null {
  switch (request.do) {
    case "until":
      return buffer.until(separators(request.needles.map((each) => Buffer.from(each))));
    case "line":
      return buffer.lineAtHand() ?? buffer.line();
    case "all":
      return buffer.all();
    case "into":
      return buffer.into(Buffer.alloc(request.size), Math.ceil(request.size / 2));
    default:
      return buffer[request.do](request.size);
  }
}

describe("ReadBuffer as a model", () => {
  it("ReadBuffer answers every kind of read as slices of one Buffer would, in any order of pushes and reads", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const buffer = new ReadBuffer(LIMIT);
        const model = new Model();
        for (const each of steps) {
          if (each.do === "push") {
            if (!model.eof) {
              buffer.push(each.chunk);
              model.bytes += each.chunk.toString();
            }
          } else if (each.do === "eof") {
            buffer.feedEof();
            model.eof = true;
          } else {
            assert.equal(answer(buffer, each), model.answer(each), JSON.stringify(each));
          }
          assert.equal(buffer.length, model.bytes.length);
        }
        assert.equal(buffer.takeAll().toString(), model.bytes);
      }),
      { numRuns: 2000 },
    );
  });
});

/** Calls `during`, and returns how many bytes were searched and copied meanwhile. */
function bytesTouched(during: () => void): number {
  const { indexOf, copy } = Buffer.prototype;
  let touched = 0;
  Buffer.prototype.indexOf = function (this: Buffer, ...args: Parameters<typeof indexOf>): number {
    const found = Reflect.apply(indexOf, this, args) as number;
    touched += 1 + (found < 0 ? this.length : found) - ((args[1] as number | undefined) ?? 0);
    return found;
  } as typeof indexOf;
  Buffer.prototype.copy = function (this: Buffer, ...args: Parameters<typeof copy>): number {
    const count = Reflect.apply(copy, this, args) as number;
    touched += 1 + count;
    return count;
  };
  try {
    during();
  } finally {
    Object.assign(Buffer.prototype, { indexOf, copy });
  }
  return touched;
}

const NEVER = Buffer.from("\0\0\0");

const growing: Readonly<Record<string, (buffer: ReadBuffer, count: number) => void>> = {
  "one line in many chunks": (buffer, count) => {
    for (let i = 0; i < count; i++) {
      buffer.push(Buffer.alloc(300, "a"));
      assert.equal(buffer.line(), null);
    }
  },
  "one text up to two bytes in many chunks": (buffer, count) => {
    const needles = separators([Buffer.from("\r\n")]);
    for (let i = 0; i < count; i++) {
      buffer.push(Buffer.alloc(300, "a"));
      assert.equal(buffer.until(needles), null);
    }
  },
  "one text up to any of several separators in many chunks": (buffer, count) => {
    const needles = separators([Buffer.from("\r\n"), NEVER]);
    for (let i = 0; i < count; i++) {
      buffer.push(Buffer.alloc(300, "a"));
      assert.equal(buffer.until(needles), null);
    }
  },
  "one text up to any of several separators, which are given anew with each chunk": (buffer, count) => {
    for (let i = 0; i < count; i++) {
      buffer.push(Buffer.alloc(300, "a"));
      assert.equal(buffer.until(separators([Buffer.from("\r\n"), NEVER])), null);
    }
  },
  "many texts up to one separator beside another that never comes": (buffer, count) => {
    buffer.push(Buffer.from(`${"a".repeat(298)}\r\n`.repeat(count)));
    for (let i = 0; i < count; i++) {
      assert.equal(buffer.until(separators([Buffer.from("\r\n"), NEVER]))?.length, 300);
    }
  },
};

describe("ReadBuffer under a large limit", () => {
  for (const [name, work] of Object.entries(growing)) {
    it(`ReadBuffer searches and copies four times as many bytes for four times as much: ${name}`, () => {
      const small = bytesTouched(() => work(new ReadBuffer(1e9), 500));
      const large = bytesTouched(() => work(new ReadBuffer(1e9), 2000));
      assert.ok(large <= small * 4.4, `${small} bytes, then ${large}`);
      assert.ok(large >= small * 3, `${small} bytes, then ${large}: the count counts nothing`);
    });
  }
});
