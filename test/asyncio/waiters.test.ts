/**
 * Each waiter is examined a few times, however many wait. The test counts, because a count does not depend on the
 * machine.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { Waiter } from "#dist/asyncio/waiters.js";

const MANY = 500;
/** By how many times `MANY` the looks may be more. */
const FEW_LOOKS = 8;

/** What n waits do to a collection, in a way in which all of them stand in it at once. */
const programs: readonly { readonly name: string; readonly run: (n: number) => Promise<void> }[] = [
  {
    name: "Lock.acquire() beside n cancelled waiters",
    run: async (n) => {
      const lock = new asyncio.Lock();
      await lock.acquire();
      const tasks = await waiting(n, () => lock.acquire());
      for (const task of tasks) {
        task.cancel();
      }
      for (let i = 0; i < n; i++) {
        lock.release();
        await lock.acquire();
      }
      await asyncio.wait(tasks);
    },
  },
  {
    name: "Event.set() and clear() n times beside n waiters",
    run: async (n) => {
      const event = new asyncio.Event();
      const tasks = await waiting(n, () => event.wait());
      for (let i = 0; i < n; i++) {
        event.set();
        event.clear();
      }
      await asyncio.wait(tasks);
    },
  },
  {
    name: "Condition.notify() n times",
    run: async (n) => {
      const condition = new asyncio.Condition();
      const tasks = await waiting(n, () => condition.with(() => condition.wait()));
      await condition.with(() => {
        for (let i = 0; i < n; i++) {
          condition.notify();
        }
      });
      await asyncio.wait(tasks);
    },
  },
  {
    name: "Condition.wait() cancelled n times",
    run: async (n) => {
      const condition = new asyncio.Condition();
      const tasks = await waiting(n, () => condition.with(() => condition.wait()));
      for (const task of tasks) {
        task.cancel();
      }
      await asyncio.wait(tasks);
    },
  },
  {
    name: "Semaphore.release() n times in one step",
    run: async (n) => {
      const semaphore = new asyncio.Semaphore(0);
      const tasks = await waiting(n, () => semaphore.acquire());
      for (let i = 0; i < n; i++) {
        semaphore.release();
      }
      await asyncio.wait(tasks);
    },
  },
  {
    name: "Semaphore.locked() beside n cancelled waiters",
    run: async (n) => {
      const semaphore = new asyncio.Semaphore(0);
      const tasks = await waiting(n, () => semaphore.acquire());
      for (const task of tasks) {
        task.cancel();
      }
      semaphore.release();
      for (let i = 0; i < n; i++) {
        assert.equal(semaphore.locked(), false);
      }
      await asyncio.wait(tasks);
    },
  },
  {
    name: "Queue.putNowait() for n waiting getters",
    run: async (n) => {
      const queue = new asyncio.Queue<number>();
      const tasks = await waiting(n, () => queue.get());
      for (let i = 0; i < n; i++) {
        queue.putNowait(i);
      }
      await asyncio.wait(tasks);
    },
  },
];

describe("waiters", () => {
  for (const { name, run } of programs) {
    it(`${name} looks at each waiter a few times, not at all of them each time`, async () => {
      const looks = await countLooks(() => run(MANY));
      assert.ok(looks > 0);
      assert.ok(looks <= FEW_LOOKS * MANY, `${looks} looks at ${MANY} waiters`);
    });
  }
});

async function waiting(n: number, wait: () => Promise<unknown>): Promise<asyncio.Task<unknown>[]> {
  const tasks = Array.from({ length: n }, () => asyncio.createTask(wait));
  await asyncio.sleep(0);
  return tasks;
}

/** How often the program examines whether a waiter was woken or cancelled. */
async function countLooks(program: () => Promise<void>): Promise<number> {
  const names = ["isPending", "isCancelled"] as const;
  const getters = names.map((name) => Object.getOwnPropertyDescriptor(Waiter.prototype, name)?.get as () => boolean);
  let looks = 0;
  for (const [i, name] of names.entries()) {
    Object.defineProperty(Waiter.prototype, name, {
      configurable: true,
      get(this: Waiter<unknown>): boolean {
        looks += 1;
        return (getters[i] as () => boolean).call(this);
      },
    });
  }
  try {
    await program();
  } finally {
    for (const [i, name] of names.entries()) {
      Object.defineProperty(Waiter.prototype, name, { configurable: true, get: getters[i] as () => boolean });
    }
  }
  return looks;
}
