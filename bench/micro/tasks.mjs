/**
 * Tasks: `tasks.mjs KIND [bare]`, where bare takes promises instead.
 *
 * create   make one and await it
 * gather   100 at a time, the time of each
 * sleeping  100,000 at once; the processor time of each
 * memory    bytes that one holds while it sleeps
 * timeout N   timeout(30) around nothing, while so many other timers are pending; microseconds
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

const SLEEPING = 100_000; // tasks

/** @param {number} delay seconds */
const sleeping = (delay) => Array.from({ length: SLEEPING }, () => asyncio.createTask(() => asyncio.sleep(delay)));

/** What has a figure of its own. @type {Record<string, () => Promise<number>>} */
const FIGURES = {
  sleeping: async () => {
    const { user, system } = process.cpuUsage();
    await asyncio.gather(sleeping(0.1));
    const after = process.cpuUsage();
    return ((after.user + after.system - user - system) * 1000) / SLEEPING;
  },
  memory: async () => {
    const heap = () => {
      globalThis.gc?.();
      return process.memoryUsage().heapUsed;
    };
    const before = heap();
    const tasks = sleeping(3600);
    await asyncio.sleep(0);
    // The list is the measurement's own.
    const held = heap() - before - 8 * SLEEPING;
    for (const task of tasks) {
      task.cancel();
    }
    await asyncio.wait(tasks);
    return held / SLEEPING / 1000;
  },
  timeout: async () => {
    const loop = asyncio.getRunningLoop();
    // Each later than the timeout's.
    const timers = Array.from({ length: Number(variant) }, (_, i) => loop.callLater(60 + i, () => {}));
    const taken = await nanosecondsAwaited(async (count) => {
      for (let i = 0; i < count; i++) {
        await asyncio.timeout(30).with(async () => {});
      }
    });
    for (const timer of timers) {
      timer.cancel();
    }
    return taken / 1000;
  },
};

await asyncio.run(async () => {
  const figure = FIGURES[kind];
  if (figure !== undefined) {
    report(await figure());
    return;
  }
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
