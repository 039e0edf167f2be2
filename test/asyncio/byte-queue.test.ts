/** ByteQueue: what views, copies and searches give, with chunks in every position. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ByteQueue } from "#dist/asyncio/bytes/byte-queue.js";
import { findSeparator, searchedUpTo, separators } from "#dist/asyncio/bytes/separator.js";

/** More than the queue puts together with its neighbours. */
const LARGE = 300;

function queueOf(...chunks: string[]): ByteQueue {
  const queue = new ByteQueue();
  for (const chunk of chunks) {
    queue.push(Buffer.from(chunk));
  }
  return queue;
}

/** A chunk that is kept unchanged: it ends, or begins, with the text. */
function ending(text: string): string {
  return ".".repeat(LARGE) + text;
}

function beginning(text: string): string {
  return text + ".".repeat(LARGE);
}

/** Everything in the queue, which stays there. */
function content(queue: ByteQueue): string {
  return queue.copy(0, queue.length).toString();
}

describe("ByteQueue.push()", () => {
  it("ByteQueue.push() appends, and ignores what is empty", () => {
    const queue = queueOf("ab", "", "cd");
    assert.equal(queue.length, 4);
    assert.equal(content(queue), "abcd");
  });

  it("ByteQueue.push() keeps a large chunk unchanged, and copies a small one that follows another", () => {
    const queue = queueOf("first");
    const large = Buffer.alloc(LARGE, "l");
    const small = Buffer.from("small");
    queue.push(large);
    queue.push(small);
    small.fill("x");
    queue.take(5);
    assert.ok(queue.take(LARGE) === large);
    assert.equal(queue.take(5).toString(), "small");
  });

  it("ByteQueue.push() of small chunks changes nothing that was given out before", () => {
    const queue = queueOf("head");
    const taken: Buffer[] = [];
    const expected: string[] = [];
    let all = "head";
    for (let i = 0; i < 2000; i++) {
      queue.push(Buffer.from(`<${i}>`));
      all += `<${i}>`;
      if (i % 3 === 0) {
        const size = 1 + (i % 9);
        taken.push(queue.take(size));
        expected.push(all.slice(0, size));
        all = all.slice(size);
      }
    }
    assert.deepEqual(taken.map(String), expected);
    assert.equal(content(queue), all);
  });

  it("ByteQueue.push() of 128 KiB byte by byte neither takes long to search nor much memory", () => {
    const queue = new ByteQueue();
    const needle = Buffer.from("\n");
    const byte = Buffer.from("x");
    for (let i = 0; i < 128 * 1024; i++) {
      queue.push(byte);
      assert.equal(queue.indexOf(needle, queue.length - 1), -1);
    }
    const chunks = new Set<ArrayBufferLike>();
    while (queue.length > 0) {
      chunks.add(queue.take(1).buffer);
    }
    assert.ok(chunks.size < 200, `${chunks.size} pieces of memory`);
  });
});

describe("ByteQueue.take()", () => {
  it("ByteQueue.take() gives nothing of an empty queue", () => {
    assert.equal(new ByteQueue().take(5).length, 0);
  });

  it("ByteQueue.take() of less than the first chunk is a view of it, not a copy", () => {
    const chunk = Buffer.from("abcdef");
    const queue = new ByteQueue();
    queue.push(chunk);
    const first = queue.take(2);
    const middle = queue.take(2);
    assert.equal(queue.length, 2);
    chunk.fill("x");
    assert.equal(`${first}${middle}`, "xxxx");
  });

  it("ByteQueue.take() of exactly one chunk is that chunk", () => {
    const chunk = Buffer.from("abc");
    const queue = new ByteQueue();
    queue.push(chunk);
    queue.push(Buffer.from("rest"));
    assert.ok(queue.take(3) === chunk);
    assert.equal(content(queue), "rest");
  });

  it("ByteQueue.take() of more than there is gives everything", () => {
    assert.equal(queueOf("ab").take(100).toString(), "ab");
    assert.equal(queueOf("ab", "cd").take(100).toString(), "abcd");
  });

  it("ByteQueue.take() across chunks gives a copy that later pushes do not change", () => {
    const queue = queueOf("ab", "cd", "ef");
    const taken = queue.take(3);
    assert.equal(taken.toString(), "abc");
    queue.push(Buffer.from("gh"));
    assert.equal(queue.take(5).toString(), "defgh");
    assert.equal(taken.toString(), "abc");
    assert.equal(queue.length, 0);
  });

  it("ByteQueue.take() and push() can alternate forever", () => {
    const queue = new ByteQueue();
    let taken = "";
    for (let i = 0; i < 1000; i++) {
      queue.push(Buffer.from(`${i},`));
      queue.push(Buffer.from(`${i};`));
      taken += queue.take(3);
    }
    taken += queue.take(queue.length);
    assert.equal(taken, Array.from({ length: 1000 }, (_, i) => `${i},${i};`).join(""));
  });
});

describe("ByteQueue.drop() and clear()", () => {
  it("ByteQueue.drop() takes bytes away, over the borders of chunks", () => {
    const queue = queueOf("abc", "d".repeat(LARGE), "ghi");
    queue.drop(0);
    assert.equal(content(queue), `abc${"d".repeat(LARGE)}ghi`);
    queue.drop(1);
    queue.drop(LARGE + 2);
    assert.equal(content(queue), "ghi");
    queue.drop(LARGE);
    assert.equal(queue.length, 0);
    queue.push(Buffer.from("new"));
    assert.equal(content(queue), "new");
  });

  it("ByteQueue.clear() empties the queue, which can be used again", () => {
    const queue = queueOf("abc", "def");
    queue.take(1);
    queue.clear();
    assert.equal(queue.length, 0);
    assert.equal(queue.take(1).length, 0);
    assert.equal(queue.indexOf(Buffer.from("d"), 0), -1);
    queue.push(Buffer.from("xy"));
    assert.equal(queue.take(2).toString(), "xy");
  });
});

describe("ByteQueue.copy() and copyTo()", () => {
  it("ByteQueue.copy() gives any part, and leaves everything", () => {
    const queue = queueOf("abc", "def", "ghi");
    queue.drop(1);
    for (let start = 0; start <= 8; start++) {
      for (let end = start; end <= 8; end++) {
        assert.equal(queue.copy(start, end).toString(), "bcdefghi".slice(start, end));
      }
    }
    assert.equal(queue.length, 8);
  });

  it("ByteQueue.copyTo() writes into the beginning of the target, and no further", () => {
    const target = new Uint8Array(5).fill(46);
    queueOf("abc", "def").copyTo(target, 2, 5);
    assert.equal(Buffer.from(target).toString(), "cde..");
  });
});

describe("ByteQueue.indexOf()", () => {
  it("ByteQueue.indexOf() finds what is cut in any place into two or three chunks", () => {
    const text = "xxABCDyy";
    for (let first = 0; first <= text.length; first++) {
      for (let second = first; second <= text.length; second++) {
        const queue = queueOf(ending(text.slice(0, first)), text.slice(first, second), beginning(text.slice(second)));
        const found = LARGE + 2;
        assert.equal(queue.indexOf(Buffer.from("ABCD"), 0), found);
        assert.equal(queue.indexOf(Buffer.from("ABCD"), found), found);
        assert.equal(queue.indexOf(Buffer.from("ABCD"), found + 1), -1);
        assert.equal(queue.indexOf(Buffer.from("ABCE"), 0), -1);
      }
    }
  });

  it("ByteQueue.indexOf() finds what lies over more than two large chunks", () => {
    const queue = queueOf(ending("A"), "B".repeat(LARGE), "C".repeat(LARGE), beginning("D"));
    const needle = Buffer.from(`A${"B".repeat(LARGE)}${"C".repeat(LARGE)}D`);
    assert.equal(queue.indexOf(needle, 0), LARGE);
    assert.equal(queue.indexOf(needle, LARGE), LARGE);
    assert.equal(queue.indexOf(needle, LARGE + 1), -1);
    assert.equal(queue.indexOf(Buffer.from("CD"), 0), 3 * LARGE);
  });

  it("ByteQueue.indexOf() counts from the first byte that was not taken", () => {
    const queue = queueOf("abcabc", beginning("abc"));
    queue.drop(4);
    assert.equal(queue.indexOf(Buffer.from("b"), 0), 0);
    assert.equal(queue.indexOf(Buffer.from("b"), 1), 3);
    assert.equal(queue.indexOf(Buffer.from("ca"), 0), 1);
    assert.equal(queue.indexOf(Buffer.from("b"), 1000), -1);
  });
});

describe("findSeparator()", () => {
  it("findSeparator() takes the match that ends first, then the shortest", () => {
    const queue = queueOf("ABC", "DEFG");
    const of = (...needles: string[]) =>
      findSeparator(queue, separators(needles.map((needle) => Buffer.from(needle))), 0);
    assert.deepEqual(of("DEF", "BCDE"), { start: 1, end: 5 });
    assert.deepEqual(of("CDE", "E", "BCDE"), { start: 4, end: 5 });
    assert.equal(of("X", "GA"), null);
  });

  it("searchedUpTo() steps back by all but one byte of the longest separator, and not before the start", () => {
    const some = separators([Buffer.from("ab"), Buffer.from("abcd")]);
    assert.equal(searchedUpTo(10, some), 7);
    assert.equal(searchedUpTo(2, some), 0);
  });
});
