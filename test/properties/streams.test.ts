/** StreamReader: what a program reads depends on the bytes, not on how they were cut on the way. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import * as fc from "fast-check";
import { turn } from "../support/latch.ts";
import { outcomeOf } from "../support/peers.ts";
import { chunkings, cut, textOf } from "../support/peers-bytes.ts";

type Read =
  | { readonly kind: "read" | "readexactly"; readonly n: number }
  | { readonly kind: "readline" }
  | { readonly kind: "readuntil"; readonly separators: readonly string[] };

/** What came of a read, as text. */
type Answer = string;

const alphabet = fc.constantFrom("a", "b", "\n");
const bytes = textOf(["a", "b", "\n"], "b");
const separator = fc.array(alphabet, { minLength: 1, maxLength: 4 }).map((letters) => letters.join(""));
const untilOrLine: fc.Arbitrary<Read>[] = [
  fc.record({ kind: fc.constant("readline" as const) }),
  fc.record({
    kind: fc.constant("readuntil" as const),
    separators: fc.array(separator, { minLength: 1, maxLength: 3 }),
  }),
];
const exactly: fc.Arbitrary<Read> = fc.record({
  kind: fc.constant("readexactly" as const),
  n: fc.oneof(fc.nat({ max: 30 }), fc.nat({ max: 600 })),
});
const some: fc.Arbitrary<Read> = fc.record({ kind: fc.constant("read" as const), n: fc.integer({ min: -1, max: 30 }) });

function start(reader: asyncio.StreamReader, read: Read): Promise<Buffer> {
  switch (read.kind) {
    case "read":
      return reader.read(read.n);
    case "readexactly":
      return reader.readexactly(read.n);
    case "readline":
      return reader.readline();
    case "readuntil":
      return reader.readuntil(read.separators);
  }
}

function described(outcome: unknown): Answer {
  if (outcome instanceof asyncio.IncompleteReadError) {
    return `IncompleteReadError ${outcome.partial} ${outcome.expected}`;
  }
  if (outcome instanceof asyncio.LimitOverrunError) {
    return `LimitOverrunError ${outcome.message} ${outcome.consumed}`;
  }
  return outcome instanceof Error ? `${outcome.name} ${outcome.message}` : String(outcome);
}

/** What the reads give when everything has arrived before the first of them: the semantics in a few lines. */
function expected(whole: Buffer, reads: readonly Read[], limit: number): Answer[] {
  let left = whole.toString();
  const take = (count: number): string => {
    const taken = left.slice(0, count);
    left = left.slice(count);
    return taken;
  };
  const until = (separators: readonly string[]): string => {
    const matches = separators
      .map((each) => ({ start: left.indexOf(each), end: left.indexOf(each) + each.length }))
      .filter((match) => match.start >= 0)
      .sort((a, b) => a.end - b.end || b.start - a.start);
    const [first] = matches;
    if (first !== undefined && first.start > limit) {
      return `LimitOverrunError Separator is found, but chunk is longer than limit ${first.start}`;
    }
    if (first !== undefined) {
      return take(first.end);
    }
    const lengths = separators.map((each) => each.length);
    const searched = left.length < Math.min(...lengths) ? 0 : Math.max(0, left.length + 1 - Math.max(...lengths));
    if (searched > limit) {
      return `LimitOverrunError Separator is not found, and chunk exceed the limit ${searched}`;
    }
    return `IncompleteReadError ${take(left.length)} null`;
  };
  const answer = (read: Read): Answer => {
    switch (read.kind) {
      case "read":
        return take(read.n < 0 ? left.length : read.n);
      case "readexactly":
        return left.length < read.n ? `IncompleteReadError ${take(left.length)} ${read.n}` : take(read.n);
      case "readuntil":
        return until(read.separators);
      case "readline": {
        const line = until(["\n"]);
        if (line.startsWith("IncompleteReadError")) {
          return line.slice("IncompleteReadError ".length, -" null".length);
        }
        if (!line.startsWith("LimitOverrunError")) {
          return line;
        }
        const [, message = ""] = /^LimitOverrunError (.*) \d+$/.exec(line) ?? [];
        take(message.includes("is found") ? left.indexOf("\n") + 1 : left.length);
        return `ValueError ${message}; give a larger limit than ${limit} bytes`;
      }
    }
  };
  return reads.map(answer);
}

/** Feeds the chunks one by one, each when the read that is under way has to wait for it. */
async function readAsTheyCome(chunks: readonly Buffer[], reads: readonly Read[]): Promise<Answer[]> {
  const reader = new asyncio.StreamReader();
  const toCome = [...chunks];
  const answers: Answer[] = [];
  for (const read of reads) {
    const outcome = outcomeOf(start(reader, read));
    while (String(reader).includes("waiter")) {
      const chunk = toCome.shift();
      if (chunk === undefined) {
        reader.feedEof();
      } else {
        reader.feedData(chunk);
      }
      await null;
    }
    answers.push(described(await outcome));
  }
  return answers;
}

describe("StreamReader and how bytes are cut", () => {
  it("StreamReader gives the same sequence of reads for every chunking of the same bytes, errors included", async () => {
    await fc.assert(
      fc.asyncProperty(
        bytes,
        chunkings,
        fc.array(fc.oneof(...untilOrLine, exactly, some), { maxLength: 15 }),
        fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 800 })),
        async (whole, cuts, reads, limit) => {
          const reader = new asyncio.StreamReader({ limit });
          for (const chunk of cut(whole, cuts)) {
            reader.feedData(chunk);
          }
          reader.feedEof();
          const answers: Answer[] = [];
          for (const read of reads) {
            answers.push(described(await outcomeOf(start(reader, read))));
          }
          assert.deepEqual(answers, expected(whole, reads, limit));
        },
      ),
      { numRuns: 1500 },
    );
  });

  it("StreamReader gives the same sequence of reads when each of them has to wait for its chunks", async () => {
    await fc.assert(
      fc.asyncProperty(
        bytes,
        chunkings,
        fc.array(fc.oneof(...untilOrLine, exactly), { maxLength: 15 }),
        async (whole, cuts, reads) => {
          const answers = await readAsTheyCome(cut(whole, cuts), reads);
          assert.deepEqual(answers, expected(whole, reads, Number.POSITIVE_INFINITY));
        },
      ),
      { numRuns: 1500 },
    );
  });

  it("StreamReader.read(n) gives every byte once and in order, whatever the chunks and the sizes", async () => {
    await fc.assert(
      fc.asyncProperty(bytes, chunkings, fc.integer({ min: 1, max: 400 }), async (whole, cuts, n) => {
        const reads = Array.from({ length: whole.length + 1 }, (): Read => ({ kind: "read", n }));
        const answers = await readAsTheyCome(cut(whole, cuts), reads);
        assert.equal(answers.join(""), whole.toString());
        assert.ok(answers.every(({ length }) => length <= n));
        assert.equal(answers.at(-1), "", "the end");
      }),
      { numRuns: 200 },
    );
  });

  it("StreamReader loses no byte to cancelled reads, whenever they are cancelled", async () => {
    await fc.assert(
      fc.asyncProperty(
        bytes,
        chunkings,
        fc.array(fc.tuple(fc.oneof(...untilOrLine, exactly, some), fc.nat({ max: 3 }), fc.boolean()), {
          maxLength: 10,
        }),
        async (whole, cuts, steps) => {
          const reader = new asyncio.StreamReader();
          const toCome = cut(whole, cuts);
          let got = "";
          for (const [read, chunksBefore, atOnce] of steps) {
            const task = asyncio.createTask(() => start(reader, read));
            await turn();
            for (const chunk of toCome.splice(0, chunksBefore)) {
              reader.feedData(chunk);
            }
            if (!atOnce) {
              await turn();
            }
            task.cancel();
            const outcome = await outcomeOf(task);
            got += Buffer.isBuffer(outcome) ? outcome.toString() : "";
          }
          for (const chunk of toCome) {
            reader.feedData(chunk);
          }
          reader.feedEof();
          got += await reader.read();
          assert.equal(got, whole.toString());
        },
      ),
      { numRuns: 300 },
    );
  });
});
