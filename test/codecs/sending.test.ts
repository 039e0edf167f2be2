/** Frames that are sent over sockets, among other writes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { framed, jsonLinesCodec, lengthDelimitedCodec, linesCodec } from "contextvars/codecs";
import * as fc from "fast-check";
import { codecCases, encoded } from "../support/codecs.ts";
import { connect, type Role } from "../support/peers.ts";

/** What one of the two connections does next. */
type Step =
  | { readonly kind: "send" | "sendAll"; readonly items: readonly unknown[] }
  | { readonly kind: "write"; readonly bytes: Uint8Array }
  | { readonly kind: "turn" };

function stepsOf(items: fc.Arbitrary<unknown>): fc.Arbitrary<readonly (Step & { readonly on: number })[]> {
  const on = fc.nat({ max: 1 });
  const some = fc.array(items, { maxLength: 30 });
  return fc.array(
    fc.oneof(
      fc.record({ on, kind: fc.constantFrom("send" as const, "sendAll" as const), items: some }),
      fc.record({ on, kind: fc.constant("write" as const), bytes: fc.uint8Array({ maxLength: 3000 }) }),
      fc.record({ on, kind: fc.constant("turn" as const) }),
    ),
    { maxLength: 12 },
  );
}

describe("Framed.send() over sockets", () => {
  for (const { name, make, items } of codecCases) {
    it(`keeps frames and other writes of two connections in order and apart: ${name}`, async () => {
      const codec = make();
      await fc.assert(
        fc.asyncProperty(stepsOf(items), async (steps) => {
          await using first = await connect("client");
          await using second = await connect("server");
          const sides = [first, second].map(({ writer, peer }) => {
            const expected: Uint8Array[] = [];
            return { writer, peer, peerFrames: framed(null, writer, codec), expected };
          });
          for (const step of steps) {
            const { writer, peerFrames, expected } = sides[step.on] as (typeof sides)[number];
            if (step.kind === "turn") {
              await writer.drain();
              await asyncio.sleep(0);
            } else if (step.kind === "write") {
              expected.push(step.bytes);
              writer.write(step.bytes);
            } else {
              expected.push(encoded(codec, step.items));
              await (step.kind === "sendAll"
                ? peerFrames.sendAll(step.items as never[])
                : Promise.all(step.items.map((item) => peerFrames.send(item as never))));
            }
          }
          for (const { writer, peer, expected } of sides) {
            writer.writeEof();
            await peer.untilEnded();
            assert.equal(Buffer.concat(peer.chunks).compare(Buffer.concat(expected)), 0);
          }
        }),
        { numRuns: 30 },
      );
    });
  }

  const roles: readonly Role[] = ["client", "server"];
  for (const role of roles) {
    it(`counts small frames as bytes that wait: ${role}`, async () => {
      await using connection = await connect(role, { reads: false });
      const { writer } = connection;
      const frames = framed(null, writer, lengthDelimitedCodec());
      void frames.send("12345");
      assert.equal(writer.transport.getWriteBufferSize(), 9);
      for (let count = 1; !writer.needsDrain; count++) {
        assert.ok(writer.transport.getWriteBufferSize() <= 64 * 1024, `${count} frames wait`);
        void frames.send("12345");
      }
      writer.transport.abort();
      assert.equal(writer.transport.getWriteBufferSize(), 0);
    });
  }

  it("throws after writeEof(), as write() does", async () => {
    await using connection = await connect("client");
    const lines = framed(null, connection.writer, linesCodec());
    connection.writer.writeEof();
    await assert.rejects(lines.send("late"), { code: "ERR_WRITE_AFTER_EOF" });
    await assert.rejects(lines.sendAll(["late"]), { code: "ERR_WRITE_AFTER_EOF" });
  });

  it("encodes an item once, however long it is", async () => {
    await using connection = await connect("client");
    for (const length of [1, 1500, 5000, 50_000]) {
      let count = 0;
      const item = {
        toJSON() {
          count += 1;
          return "a".repeat(length);
        },
      };
      await framed(null, connection.writer, jsonLinesCodec()).send(item);
      assert.equal(count, 1);
    }
  });
});
