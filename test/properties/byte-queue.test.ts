/** ByteQueue against the simplest model there is: one Buffer that is put together anew each time. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { ByteQueue } from "#dist/asyncio/bytes/byte-queue.js";
import { chunkings, cut, textOf } from "../support/peers-bytes.ts";

const bytes = textOf(["a", "b", "c"], "c");
const chunk = fc.oneof(textOf(["a", "b", "c"], "c"), fc.constant(Buffer.from("a")), fc.constant(Buffer.from("ab")));
const needle = fc
  .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 5 })
  .map((letters) => Buffer.from(letters.join("")));

function queueOf(chunks: readonly Buffer[]): ByteQueue {
  const queue = new ByteQueue();
  for (const chunk of chunks) {
    queue.push(chunk);
  }
  return queue;
}

type Step =
  | { readonly do: "push"; readonly chunk: Buffer }
  | { readonly do: "take" | "drop" | "front" | "takePart"; readonly size: number }
  | { readonly do: "copy"; readonly from: number; readonly to: number }
  | { readonly do: "indexOf"; readonly needle: Buffer; readonly from: number }
  | { readonly do: "clear" };

const size = fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 200, max: 700 }));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("push" as const), chunk }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("take" as const, "drop" as const), size }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("front" as const, "takePart" as const), size }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("copy" as const), from: size, to: size }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("indexOf" as const), needle, from: size }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clear" as const) }) },
);

describe("ByteQueue as a model", () => {
  it("ByteQueue gives what one Buffer would, in any order of pushes, reads and searches", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new ByteQueue();
        let model = Buffer.alloc(0);
        for (const each of steps) {
          switch (each.do) {
            case "push":
              queue.push(each.chunk);
              model = Buffer.concat([model, each.chunk]);
              break;
            case "take":
              assert.equal(queue.take(each.size).toString(), model.subarray(0, each.size).toString());
              model = model.subarray(each.size);
              break;
            case "drop":
              queue.drop(each.size);
              model = model.subarray(each.size);
              break;
            case "front": {
              const wanted = Math.min(each.size, model.length);
              const front = queue.front(each.size).subarray(queue.frontStart);
              assert.ok(front.length >= wanted);
              assert.equal(front.toString(), model.subarray(0, front.length).toString());
              break;
            }
            case "takePart": {
              const front = queue.front(each.size).subarray(queue.frontStart);
              const size = Math.min(each.size, front.length);
              if (size > 0) {
                const from = size >> 2;
                const to = size - (size >> 3);
                assert.equal(queue.takePart(size, from, to).toString(), model.subarray(from, to).toString());
                model = model.subarray(size);
              }
              break;
            }
            case "copy": {
              const from = Math.min(each.from, each.to, model.length);
              const to = Math.min(Math.max(each.from, each.to), model.length);
              assert.equal(queue.copy(from, to).toString(), model.subarray(from, to).toString());
              break;
            }
            case "indexOf":
              assert.equal(queue.indexOf(each.needle, each.from), model.indexOf(each.needle, each.from));
              break;
            case "clear":
              queue.clear();
              model = Buffer.alloc(0);
              break;
          }
          assert.equal(queue.length, model.length);
        }
        assert.equal(queue.copy(0, queue.length).toString(), model.toString());
      }),
      { numRuns: 1000 },
    );
  });

  it("ByteQueue.indexOf() is Buffer.indexOf() of all chunks together, from any place, however they are cut", () => {
    fc.assert(
      fc.property(bytes, chunkings, needle, size, size, (whole, cuts, wanted, from, taken) => {
        const queue = queueOf(cut(whole, cuts));
        queue.drop(taken);
        assert.equal(queue.indexOf(wanted, from), whole.subarray(taken).indexOf(wanted, from));
      }),
      { numRuns: 3000 },
    );
  });

  it("ByteQueue gives the same pieces however the bytes were cut into chunks", () => {
    fc.assert(
      fc.property(bytes, chunkings, fc.array(size, { maxLength: 20 }), (whole, cuts, sizes) => {
        const queue = queueOf(cut(whole, cuts));
        let position = 0;
        for (const wanted of sizes) {
          const taken = queue.take(wanted);
          assert.equal(taken.toString(), whole.subarray(position, position + wanted).toString());
          position += taken.length;
        }
        assert.equal(queue.length, whole.length - position);
      }),
      { numRuns: 1000 },
    );
  });
});
