/** StreamReader: its additional methods agree with Python's methods. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import * as fc from "fast-check";
import {
  bytesOf,
  drained,
  type FakeTransport,
  type Operation,
  type ReadOperation,
  randomSession,
  readerFor,
  type Session,
  sizeOf,
  startRead,
  type Told,
  tell,
} from "../conformance/reader-sessions.ts";
import { turn } from "../support/latch.ts";
import { shown } from "../support/outcomes.ts";
import { outcomeOf, turns } from "../support/peers.ts";
import { chunkings, cut, textOf } from "../support/peers-bytes.ts";

const SESSIONS = 2500;

/** Reads that have a form that does not wait. */
function hasTryForm([name]: Operation): boolean {
  return name === "readline" || name === "readexactly" || name === "readuntil";
}

function isRead([name]: Operation): boolean {
  return name !== "feed" && name !== "eof" && name !== "setException" && name !== "cancel";
}

/** What the read gives that does not wait; `null` where it would have to. */
function tryRead(reader: asyncio.StreamReader, operation: Operation): Told | null {
  try {
    const bytes =
      operation[0] === "readline"
        ? reader.tryReadline()
        : operation[0] === "readexactly"
          ? reader.tryReadexactly(operation[1])
          : reader.tryReaduntil(bytesOf((operation as readonly ["readuntil", string])[1]));
    return bytes === null ? null : tell(bytes);
  } catch (error) {
    // Each form names itself in its error.
    const { message, ...told } = tell(error);
    return { ...told, message: (message as string).replace(/^tryR/, "r") };
  }
}

/** A reader, with the reads that wait at it. */
class Side {
  readonly reader: asyncio.StreamReader;
  readonly #transport: FakeTransport;
  readonly reads = new Set<asyncio.Task<Buffer | null>>();
  /** What came of reads, in order. */
  readonly ended: Told[] = [];

  constructor(session: Session) {
    [this.reader, this.#transport] = readerFor(session);
  }

  start(operation: Operation): void {
    const task = asyncio.createTask(() => startRead(this.reader, operation as ReadOperation));
    this.reads.add(task);
    const end = (outcome: unknown): void => {
      this.reads.delete(task);
      this.ended.push(tell(outcome));
    };
    task.then(end, end);
  }

  /** Everything but reads. What it throws is the same on both sides. */
  do(operation: Operation): void {
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check
    switch (operation[0]) {
      case "feed":
        try {
          this.reader.feedData(Buffer.from(operation[1], "latin1"));
        } catch (error) {
          this.ended.push(tell(error));
        }
        break;
      case "eof":
        this.reader.feedEof();
        break;
      case "setException":
        this.reader.setException(new Error(operation[1]));
        break;
      case "cancel":
        for (const task of this.reads) {
          task.cancel();
        }
    }
  }

  get state(): unknown {
    return [shown(this.reader), this.#transport.paused, this.ended.splice(0)];
  }
}

/** Runs the session twice: once with reads that wait, once with reads that do not, where these can answer. */
async function compareForms(session: Session, seen: Map<string, number>): Promise<void> {
  const waiting = new Side(session);
  const trying = new Side(session);
  for (const [i, operation] of session.operations.entries()) {
    const about = `operation ${i} of ${JSON.stringify(session)}`;
    if (!isRead(operation)) {
      waiting.do(operation);
      trying.do(operation);
    } else if (!hasTryForm(operation)) {
      waiting.start(operation);
      trying.start(operation);
    } else {
      const isParked = trying.reads.size > 0;
      const before = String(trying.reader);
      const told = tryRead(trying.reader, operation);
      const isRefused =
        told !== null && told["error"] === "ValueError" && !(told["message"] as string).includes("chunk");
      if (told === null || isRefused) {
        // A `null` resumes a paused transport, as the read that waits does.
        assert.equal(String(trying.reader), told === null ? before.replace(" paused", "") : before, about);
      }
      if (isParked && !isRefused) {
        assert.equal(told, null, `${about}: beside a read that waits`);
      }
      waiting.start(operation);
      if (told === null) {
        trying.start(operation);
      } else {
        trying.ended.push(told);
      }
      await turns(2);
      if (!isParked) {
        // Both or none: it is `null` exactly where the other one waits.
        assert.equal(told === null, waiting.reads.size > 0, about);
      }
      const kind = `${operation[0]}: ${told === null ? "null" : ((told["error"] as string | undefined) ?? "bytes")}`;
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
    }
    await turns(2);
    assert.deepEqual(trying.state, waiting.state, about);
  }
  for (const task of [...waiting.reads, ...trying.reads]) {
    task.cancel();
  }
  await turn();
  assert.equal(drained(trying.reader), drained(waiting.reader));
}

describe("StreamReader's reads that do not wait", () => {
  it("StreamReader.tryReadline(), tryReadexactly() and tryReaduntil() give what the promised forms give, and null where those wait", async () => {
    const seen = new Map<string, number>();
    for (let seed = 1; seed <= SESSIONS; seed++) {
      await compareForms(randomSession(seed), seen);
    }
    const errors = (name: string, list: readonly string[]): string[] => list.map((each) => `${name}: ${each}`);
    assert.deepEqual(
      [...seen.keys()].sort(),
      [
        ...errors("readexactly", ["Error", "IncompleteReadError", "ValueError", "bytes", "null"]),
        ...errors("readline", ["Error", "ValueError", "bytes", "null"]),
        ...errors("readuntil", ["Error", "IncompleteReadError", "LimitOverrunError", "ValueError", "bytes", "null"]),
      ].sort(),
    );
  });
});

const bytes = textOf(["a", "b", "\n"], "b");

/** A reader whose chunks come one by one, when it has to wait. */
class Fed {
  readonly reader: asyncio.StreamReader;
  readonly #chunks: Buffer[];

  constructor(whole: Buffer, cuts: readonly number[], limit = 65_536) {
    this.reader = new asyncio.StreamReader({ limit });
    this.#chunks = cut(whole, cuts);
  }

  /** What comes of the read. */
  async outcome(read: () => Promise<unknown>): Promise<unknown> {
    const outcome = outcomeOf(read());
    while (String(this.reader).includes("waiter")) {
      this.feedOne();
      await null;
    }
    return await outcome;
  }

  feedOne(): void {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) {
      this.reader.feedEof();
    } else {
      this.reader.feedData(chunk);
    }
  }
}

describe("StreamReader.readInto()", () => {
  it("StreamReader.readInto() gives the bytes in order, at least min of them, no more than fit, and then the end", async () => {
    await fc.assert(
      fc.asyncProperty(
        bytes,
        chunkings,
        fc.array(fc.tuple(fc.integer({ min: 1, max: 700 }), fc.nat()), { minLength: 1, maxLength: 10 }),
        async (whole, cuts, targets) => {
          const fed = new Fed(whole, cuts);
          let got = Buffer.alloc(0);
          for (let i = 0; ; i++) {
            const [size, seed] = targets[i % targets.length] as [number, number];
            const min = 1 + (seed % size);
            const target = Buffer.alloc(size, "-");
            const outcome = await fed.outcome(() => fed.reader.readInto(target, { min }));
            if (outcome instanceof asyncio.IncompleteReadError) {
              // The end came too early: all that was left is in the error, and nothing in the target.
              assert.equal(outcome.expected, min);
              assert.ok(outcome.partial.length > 0 && outcome.partial.length < min);
              assert.equal(target.toString(), "-".repeat(size));
              got = Buffer.concat([got, outcome.partial]);
              continue;
            }
            const count = outcome as number;
            assert.equal(target.toString("latin1", count), "-".repeat(size - count), "nothing behind the bytes");
            if (count === 0) {
              break;
            }
            assert.ok(count >= min && count <= size);
            got = Buffer.concat([got, target.subarray(0, count)]);
          }
          assert.equal(got.toString(), whole.toString());
          assert.ok(fed.reader.atEof());
        },
      ),
      { numRuns: 600 },
    );
  });

  it("StreamReader.readInto() that is cancelled has taken nothing, and written nothing", async () => {
    await fc.assert(
      fc.asyncProperty(bytes, chunkings, fc.integer({ min: 1, max: 6 }), async (whole, cuts, chunksBefore) => {
        const fed = new Fed(whole, cuts, 10);
        const target = Buffer.alloc(whole.length + 1, "-");
        const task = asyncio.createTask(() => fed.reader.readInto(target, { min: whole.length + 1 }));
        await turn();
        for (let i = 0; i < chunksBefore; i++) {
          if (!String(fed.reader).includes("eof")) {
            fed.feedOne();
          }
        }
        if (String(fed.reader).includes("eof")) {
          await outcomeOf(task);
          return;
        }
        task.cancel();
        await turn();
        assert.equal(target.toString(), "-".repeat(target.length));
        assert.equal(String(await fed.outcome(() => fed.reader.read())), whole.toString());
      }),
      { numRuns: 200 },
    );
  });
});

describe("StreamReader.peek()", () => {
  it("StreamReader.peek() gives what readexactly() gives next, and leaves it, for every chunking and any limit", async () => {
    await fc.assert(
      fc.asyncProperty(
        bytes,
        chunkings,
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.tuple(fc.nat({ max: 700 }), fc.nat({ max: 300 })), { maxLength: 8 }),
        async (whole, cuts, limit, steps) => {
          const fed = new Fed(whole, cuts, limit);
          let taken = 0;
          for (const [peeked, read] of steps) {
            const seen = await fed.outcome(() => fed.reader.peek(peeked));
            const left = whole.subarray(taken);
            if (seen instanceof asyncio.IncompleteReadError) {
              assert.ok(left.length < peeked);
              assert.equal(seen.expected, peeked);
              assert.equal(seen.partial.toString(), left.toString());
              assert.equal(sizeOf(fed.reader), left.length, "everything stays");
            } else {
              assert.equal(String(seen), left.subarray(0, peeked).toString());
            }
            if (left.length >= read) {
              const got = await fed.outcome(() => fed.reader.readexactly(read));
              assert.equal(String(got), left.subarray(0, read).toString());
              taken += read;
            }
          }
          assert.equal(String(await fed.outcome(() => fed.reader.read())), whole.subarray(taken).toString());
        },
      ),
      { numRuns: 500 },
    );
  });

  it("StreamReader.peek() gives bytes of their own: what is written to them changes nothing in the reader", async () => {
    const reader = new asyncio.StreamReader();
    reader.feedData(Buffer.from("abc"));
    (await reader.peek(2)).fill("x");
    assert.equal(String(await reader.readexactly(3)), "abc");
  });
});
