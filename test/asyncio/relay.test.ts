/** `relay()`: two connections joined, by the rules of tokio's `copy_bidirectional`. */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import * as fc from "fast-check";
import { type Connection, connect, eventually, outcomeOf, stillWaits, turns } from "../support/peers.ts";

const MIB = 1024 * 1024;

/** Two connections, each with a raw peer. */
class Joined implements AsyncDisposable {
  readonly left: Connection;
  readonly right: Connection;

  private constructor(left: Connection, right: Connection) {
    this.left = left;
    this.right = right;
  }

  static async open(options: { readonly reads?: boolean } = {}): Promise<Joined> {
    return new Joined(await connect("server"), await connect("client", options));
  }

  relay(): Promise<[number, number]> {
    return asyncio.relay([this.left.reader, this.left.writer], [this.right.reader, this.right.writer]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.left[Symbol.asyncDispose]();
    await this.right[Symbol.asyncDispose]();
  }
}

describe("relay()", () => {
  it("relay() passes on what each side sends, then its EOF, and counts the bytes", async () => {
    await using joined = await Joined.open();
    const { left, right } = joined;
    const counts = joined.relay();
    left.peer.write("question");
    assert.equal(await right.peer.received(8), "question");
    right.peer.write("answer");
    assert.equal(await left.peer.received(6), "answer");
    left.peer.socket.end();
    await right.peer.untilEnded();
    assert.ok(await stillWaits(counts));
    right.peer.write(" and more");
    assert.equal(await left.peer.received(15), "answer and more");
    right.peer.socket.end();
    await left.peer.untilEnded();
    assert.deepEqual(await counts, [8, 15]);
    assert.ok(left.writer.isClosing() && right.writer.isClosing());
  });

  it("relay() passes on the same bytes, whatever is sent in which pieces, with what had arrived before", async () => {
    const script = fc.array(fc.record({ fromLeft: fc.boolean(), bytes: fc.uint8Array({ maxLength: 3000 }) }), {
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(script, fc.nat({ max: 5 }), async (steps, before) => {
        await using joined = await Joined.open();
        const { left, right } = joined;
        const send = (step: (typeof steps)[number]): void => {
          (step.fromLeft ? left : right).peer.write(step.bytes);
        };
        steps.slice(0, before).forEach(send);
        await turns(1);
        const counts = joined.relay();
        for (const step of steps.slice(before)) {
          send(step);
          await turns(step.bytes.length % 2);
        }
        left.peer.socket.end();
        right.peer.socket.end();
        const sent = [true, false].map((fromLeft) =>
          Buffer.concat(steps.filter((step) => step.fromLeft === fromLeft).map(({ bytes }) => bytes)),
        );
        assert.deepEqual(
          await counts,
          sent.map(({ length }) => length),
        );
        await Promise.all([left.peer.untilEnded(), right.peer.untilEnded()]);
        assert.deepEqual([Buffer.concat(right.peer.chunks), Buffer.concat(left.peer.chunks)], sent);
      }),
      { numRuns: 25 },
    );
  });

  it("relay() passes on a million small writes", async () => {
    await using joined = await Joined.open();
    const { left, right } = joined;
    const counts = joined.relay();
    const size = 1_000_000 * 3;
    for (let i = 0; i < 1000; i++) {
      left.peer.socket.cork();
      for (let j = 0; j < 1000; j++) {
        left.peer.write("ab\n");
      }
      left.peer.socket.uncork();
      await turns(1);
    }
    left.peer.socket.end();
    right.peer.socket.end();
    assert.deepEqual(await counts, [size, 0]);
    await right.peer.untilEnded();
    assert.ok(Buffer.concat(right.peer.chunks).equals(Buffer.alloc(size, "ab\n")));
  });

  it("a side that does not read stops the other one, and all arrives when it does", async () => {
    await using joined = await Joined.open({ reads: false });
    const { left, right } = joined;
    const counts = joined.relay();
    const size = 64 * MIB;
    const bytes = Buffer.alloc(MIB, "0123456789");
    let sent = 0;
    const send = (): void => {
      while (sent < size) {
        sent += bytes.length;
        if (!left.peer.socket.write(bytes)) {
          left.peer.socket.once("drain", send);
          return;
        }
      }
      left.peer.socket.end();
    };
    send();
    assert.ok(await eventually(() => right.writer.needsDrain));
    await turns(50);
    // The mark, and what one read of the system brings: on Bun half a MiB.
    const waiting = right.writer.transport.getWriteBufferSize();
    assert.ok(waiting <= MIB, `${waiting} bytes wait`);
    assert.ok(sent < size);
    right.peer.write("the other direction goes on");
    assert.equal(await left.peer.received(27), "the other direction goes on");
    right.peer.read();
    right.peer.socket.end();
    assert.deepEqual(await counts, [size, 27]);
    await right.peer.untilEnded();
    assert.equal(right.peer.length, size);
  });

  for (const side of ["left", "right"] as const) {
    it(`a reset of the ${side} side is thrown, and closes the other side behind what was sent to it`, async () => {
      await using joined = await Joined.open();
      const other = joined[side === "left" ? "right" : "left"];
      const counts = joined.relay();
      joined[side].peer.write("last words");
      assert.equal(await other.peer.received(10), "last words");
      joined[side].peer.socket.resetAndDestroy();
      assert.ok((await outcomeOf(counts)) instanceof asyncio.ConnectionResetError);
      await other.peer.untilEnded();
      assert.ok(other.writer.isClosing());
    });
  }

  it("a reset ends a direction that waits for a side that does not read", async () => {
    await using joined = await Joined.open({ reads: false });
    const { left, right } = joined;
    const counts = joined.relay();
    left.peer.write(Buffer.alloc(20 * MIB));
    assert.ok(await eventually(() => right.writer.needsDrain));
    right.peer.write("a write finds out");
    assert.equal(await left.peer.received(17), "a write finds out");
    left.peer.socket.resetAndDestroy();
    right.peer.write("that there is nobody");
    assert.ok((await outcomeOf(counts)) instanceof asyncio.ConnectionError);
  });

  it("a task that is cancelled in relay() closes both connections", async () => {
    await using joined = await Joined.open();
    const { left, right } = joined;
    const task = asyncio.createTask(() => joined.relay());
    left.peer.write("before");
    assert.equal(await right.peer.received(6), "before");
    task.cancel();
    assert.ok(asyncio.isCancelled(await outcomeOf(task)));
    await left.peer.untilEnded();
    await right.peer.untilEnded();
    assert.equal(asyncio.allTasks().size, 0);
  });

  it("relay() joins pipes as well as sockets", async () => {
    await using right = await connect("client");
    const input = new PassThrough();
    const output = new PassThrough();
    const counts = asyncio.relay(
      [asyncio.StreamReader.from(input), asyncio.StreamWriter.from(output)],
      [right.reader, right.writer],
    );
    input.end("typed");
    assert.equal(await right.peer.received(5), "typed");
    await right.peer.untilEnded();
    right.peer.socket.end("answered");
    assert.deepEqual(await counts, [5, 8]);
    assert.equal(String(output.read()), "answered");
  });

  it("relay() of what is no pair throws a TypeError; of a reader that is in use, or twice the same, a RuntimeError", async () => {
    await using joined = await Joined.open();
    const { left, right } = joined;
    const pair = [left.reader, left.writer] as const;
    for (const wrong of [null, {}, [left.reader], [left.writer, left.reader], "ab"]) {
      assert.ok((await outcomeOf(asyncio.relay(pair, wrong as never))) instanceof TypeError);
      assert.ok((await outcomeOf(asyncio.relay(wrong as never, pair))) instanceof TypeError);
    }
    assert.ok((await outcomeOf(asyncio.relay(pair, pair))) instanceof asyncio.RuntimeError);
    const read = right.reader.readline();
    assert.ok((await outcomeOf(joined.relay())) instanceof asyncio.RuntimeError);
    right.peer.write("line\n");
    assert.equal(String(await read), "line\n");
    left.peer.write("line\n");
    assert.equal(String(await left.reader.readline()), "line\n");
    assert.equal(left.writer.isClosing(), false);
    const counts = joined.relay();
    assert.ok((await outcomeOf(left.reader.read(1))) instanceof asyncio.RuntimeError);
    left.peer.socket.end();
    right.peer.socket.end();
    assert.deepEqual(await counts, [0, 0]);
  });
});
