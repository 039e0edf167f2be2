/** Frames depend on the bytes, not on how these were cut on the way, nor on how frames are asked for. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { type Framed, framed } from "contextvars/codecs";
import * as fc from "fast-check";
import { codecCases, encoded, LIMIT } from "../support/codecs.ts";
import { turn } from "../support/latch.ts";
import { chunkings, cut } from "../support/peers-bytes.ts";

/** How frames are asked for. */
const receivers = {
  async "receive()"(frames: Framed<unknown, never>): Promise<unknown[]> {
    const all: unknown[] = [];
    for (let frame = await frames.receive(); frame !== null; frame = await frames.receive()) {
      all.push(frame);
    }
    return all;
  },
  async "tryReceive()"(frames: Framed<unknown, never>): Promise<unknown[]> {
    const all: unknown[] = [];
    for (let frame = await frames.receive(); frame !== null; frame = frames.tryReceive() ?? (await frames.receive())) {
      all.push(frame);
    }
    return all;
  },
  async "for await"(frames: Framed<unknown, never>): Promise<unknown[]> {
    const all: unknown[] = [];
    for await (const frame of frames) {
      all.push(frame);
    }
    return all;
  },
  /** Each wait is cancelled once before it is waited for to its end. */
  async "receive() that is cancelled"(frames: Framed<unknown, never>): Promise<unknown[]> {
    const all: unknown[] = [];
    for (;;) {
      const task = asyncio.createTask(() => frames.receive());
      await asyncio.sleep(0);
      task.cancel();
      let frame: unknown;
      try {
        frame = await task;
      } catch (error) {
        assert.ok(asyncio.isCancelled(error), String(error));
        frame = await frames.receive();
      }
      if (frame === null) {
        return all;
      }
      all.push(frame);
    }
  },
};

type How = keyof typeof receivers;
const hows = fc.constantFrom(...(Object.keys(receivers) as How[]));

/** Feeds the chunks, each a turn after the one before, and the end. */
async function feed(reader: asyncio.StreamReader, chunks: readonly Buffer[]): Promise<void> {
  for (const chunk of chunks) {
    await turn();
    reader.feedData(chunk);
  }
  await turn();
  reader.feedEof();
}

for (const { name, make, items, item, around, rest, checksWhatItSends } of codecCases) {
  describe(`framed() with ${name}`, () => {
    it("gives the frames that were sent, however they arrive and are asked for", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(items, { maxLength: 8 }), chunkings, hows, async (sent, lengths, how) => {
          const codec = make();
          const reader = new asyncio.StreamReader();
          const received = receivers[how](framed(reader, null, codec));
          await Promise.all([received, feed(reader, cut(encoded(codec, sent), lengths))]);
          assert.deepEqual(await received, sent);
        }),
        { numRuns: 60 },
      );
    });

    it("gives every frame that has arrived without a promise", () => {
      fc.assert(
        fc.property(fc.array(items, { maxLength: 8 }), chunkings, (sent, lengths) => {
          const codec = make();
          const reader = new asyncio.StreamReader();
          for (const chunk of cut(encoded(codec, sent), lengths)) {
            reader.feedData(chunk);
          }
          const frames = framed(reader, null, codec);
          assert.deepEqual(
            sent.map(() => frames.tryReceive()),
            sent,
          );
          assert.equal(frames.tryReceive(), null);
        }),
        { numRuns: 60 },
      );
    });

    it("skips frames that are too long if asked to, and gives the others whole", async () => {
      const lengths = fc.array(fc.integer({ min: 2, max: 3 * LIMIT }), { maxLength: 8 });
      await fc.assert(
        fc.asyncProperty(lengths, chunkings, hows, async (sizes, cuts, how) => {
          const sent = encoded(make(), sizes.map(item));
          const reader = new asyncio.StreamReader();
          const received = receivers[how](framed(reader, null, make(LIMIT, "skip")));
          await Promise.all([received, feed(reader, cut(sent, cuts))]);
          assert.deepEqual(await received, sizes.filter((size) => size <= LIMIT).map(item));
        }),
        { numRuns: 60 },
      );
    });

    it("ends garbage with an error or EOF, and holds no more than a frame and a chunk of it", async () => {
      const ours = items.map((each) => encoded(make(), [each]));
      const garbage = fc.array(fc.oneof(fc.uint8Array({ maxLength: 300 }), ours), { maxLength: 8 });
      await fc.assert(
        fc.asyncProperty(
          garbage,
          chunkings,
          fc.constantFrom("error" as const, "skip" as const),
          async (parts, cuts, on) => {
            const reader = new asyncio.StreamReader();
            const frames = framed(reader, null, make(LIMIT, on));
            const chunks = cut(Buffer.concat(parts), cuts);
            let ended = false;
            const received = (async () => {
              // Content that is wrong is an error of its frame; the next one may be right.
              for (let errors = 0; errors < 500; ) {
                try {
                  if ((await frames.receive()) === null) {
                    return;
                  }
                } catch (error) {
                  assert.ok(isOfGarbage(error), String(error));
                  if (!(error instanceof asyncio.ValueError && error.code === "ERR_FRAME_CONTENT")) {
                    return;
                  }
                  errors += 1;
                }
              }
            })().finally(() => {
              ended = true;
            });
            for (const chunk of chunks) {
              if (!ended) {
                reader.feedData(chunk);
                await turn();
                const held = ended ? 0 : Number(/(\d+) bytes/.exec(String(reader))?.[1] ?? 0);
                assert.ok(held <= LIMIT + around + chunk.length, `${held} bytes held`);
              }
            }
            reader.feedEof();
            await received;
          },
        ),
        { numRuns: 100 },
      );
    });

    it("never holds a frame that is skipped", async () => {
      const reader = new asyncio.StreamReader();
      const frames = framed(reader, null, make(LIMIT, "skip"));
      const received = frames.receive();
      for (const chunk of cut(encoded(make(), [item(900), item(5)]), [10])) {
        reader.feedData(chunk);
        await turn();
        assert.ok(Number(/(\d+) bytes/.exec(String(reader))?.[1] ?? 0) <= LIMIT + around + chunk.length);
      }
      assert.deepEqual(await received, item(5));
    });

    it("throws a LimitOverrunError for a frame that is too long, again and again, and leaves its bytes", async () => {
      const sent = encoded(make(), [item(LIMIT), item(LIMIT + 1), item(3)]);
      const reader = new asyncio.StreamReader();
      reader.feedData(sent);
      const frames = framed(reader, null, make(LIMIT));
      assert.deepEqual(await frames.receive(), item(LIMIT));
      const size = encoded(make(), [item(LIMIT + 1)]).length;
      for (const receive of [() => frames.receive(), () => frames.receive(), async () => frames.tryReceive()]) {
        await assert.rejects(receive, (error: unknown) => {
          assert.ok(error instanceof asyncio.LimitOverrunError);
          assert.ok(error.limit === LIMIT || error.limit === LIMIT + around, String(error.limit));
          assert.ok(error.consumed > LIMIT && error.consumed <= size, String(error.consumed));
          return true;
        });
      }
      assert.equal(
        String(await reader.readexactly(size)),
        String(encoded(make(), [item(LIMIT + 1)])),
        "the frame is still there",
      );
      assert.deepEqual(await frames.receive(), item(3));
    });

    it("sends nothing that is too long", async () => {
      await using pair = await connected();
      const frames = framed(null, pair.writer, make(LIMIT));
      if (checksWhatItSends) {
        await assert.rejects(frames.send(item(LIMIT + 1) as never), { name: "ValueError", code: "ERR_FRAME_LENGTH" });
      }
      await frames.send(item(LIMIT) as never);
      await frames.close();
      assert.deepEqual(await pair.peer.read(), encoded(make(), [item(LIMIT)]));
    });

    it(`takes the bytes behind the last frame for ${rest === "frame" ? "a frame" : "an error"} at EOF`, async () => {
      const whole = encoded(make(), [item(10)]);
      for (let length = 1; length < whole.length; length++) {
        const reader = new asyncio.StreamReader();
        reader.feedData(whole.subarray(0, length));
        reader.feedEof();
        const frames = framed(reader, null, make());
        const outcome = await frames.receive().then(
          () => "frame",
          (error: unknown) => {
            if (error instanceof asyncio.IncompleteReadError) {
              assert.equal(String(error.partial), String(whole.subarray(0, length)));
              return "error";
            }
            assert.equal((error as asyncio.ValueError).code, "ERR_FRAME_CONTENT");
            return "frame";
          },
        );
        assert.equal(outcome, rest);
        assert.equal(await frames.receive(), null, "the reader is empty");
      }
    });
  });
}

function isOfGarbage(error: unknown): boolean {
  return (
    error instanceof asyncio.LimitOverrunError ||
    error instanceof asyncio.IncompleteReadError ||
    (error instanceof asyncio.ValueError && /^ERR_FRAME_(LENGTH|CONTENT)$/.test(error.code))
  );
}

/** A writer, and the reader at its other end. */
async function connected(): Promise<AsyncDisposable & { writer: asyncio.StreamWriter; peer: asyncio.StreamReader }> {
  const [a, b] = await asyncio.socketpair();
  const [, writer] = await asyncio.openConnection({ sock: a });
  const [peer, other] = await asyncio.openConnection({ sock: b });
  return {
    writer,
    peer,
    async [Symbol.asyncDispose]() {
      writer.close();
      other.close();
      await Promise.allSettled([writer.waitClosed(), other.waitClosed()]);
    },
  };
}
