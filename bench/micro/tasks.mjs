/**
 * Tasks: `tasks.mjs KIND [bare]`, where bare takes promises instead.
 *
 * create   make one and await it
 * gather   100 at a time, the time of each
 * none, memoization  pyperformance's async_tree: a task for each of six branches on six levels
 */
import * as asyncio from "contextvars/asyncio";
import { nanosecondsAwaited, report } from "./timing.mjs";
import { ASYNC_TREE } from "./tree.mjs";

const [, , kind = "create", variant = ""] = process.argv;
const isBare = variant === "bare";
const eager = { eagerStart: true };

const leaf = async () => 1;
const hundred = Array.from({ length: 100 }, () => leaf);

/** @type {Record<string, (count: number) => Promise<void>>} */
const LOOPS = {
  create: async (count) => {
    for (let i = 0; i < count; i++) {
      await asyncio.createTask(leaf);
    }
  },
  "create eager": async (count) => {
    for (let i = 0; i < count; i++) {
      await asyncio.createTask(leaf, eager);
    }
  },
  "create bare": async (count) => {
    for (let i = 0; i < count; i++) {
      await leaf();
    }
  },
  gather: async (count) => {
    for (let i = 0; i < count; i += 100) {
      await asyncio.gather(hundred);
    }
  },
  "gather bare": async (count) => {
    for (let i = 0; i < count; i += 100) {
      await Promise.all(hundred.map((make) => make()));
    }
  },
};

await asyncio.run(async () => {
  const loop = LOOPS[variant === "" ? kind : `${kind} ${variant}`];
  report(loop === undefined ? await treeTime() : await nanosecondsAwaited(loop));
});

/** Nanoseconds for the whole tree; the least of three. */
async function treeTime() {
  const { levels, branches, memoizable, pause } = ASYNC_TREE;
  /** @type {Map<number, boolean>} */
  const cache = new Map();
  let seed = 1;
  const random = () => {
    seed = (seed * 48271) % 2147483647;
    return seed % 100;
  };
  const wait = isBare ? () => new Promise((resolve) => setTimeout(resolve, pause * 1000)) : () => asyncio.sleep(pause);
  /** @type {(makes: (() => Promise<void>)[]) => PromiseLike<unknown>} */
  const all = isBare ? (makes) => Promise.all(makes.map((make) => make())) : (makes) => asyncio.gather(makes);
  const atLeaf = async () => {
    const key = random();
    if (kind !== "memoization" || (key < memoizable && cache.has(key))) {
      return;
    }
    cache.set(key, true);
    await wait();
  };
  /** @param {number} level @returns {Promise<void>} */
  const recurse = async (level) => {
    if (level === 0) {
      return atLeaf();
    }
    await all(Array.from({ length: branches }, () => () => recurse(level - 1)));
  };
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) {
    cache.clear();
    const start = performance.now();
    await recurse(levels);
    least = Math.min(least, performance.now() - start);
  }
  return least * 1e6;
}
