/**
 * How the time grows with the number: `growth.mjs OPERATION [N] [SAMPLES]`.
 *
 * The exponent between n and 4n, by processor time: 1 where each costs the same, 2 where each looks at all others. Needs
 * the flags that bench/workloads/growth.mjs gives: with Node's usual ones the collector copies what is alive once n has
 * filled its first space, and a jump from nothing to something is no exponent. Nor is the jump where 4n no longer fit the
 * processor's caches: on some machines what is linear shows 1.8 between 4000 and 16,000, and 1 below and above.
 */
import * as asyncio from "contextvars/asyncio";

const MOST_SAMPLES = 30;
const SAMPLE_TIME = 4; // milliseconds, at least
const WARM_UP = 50; // milliseconds
/** No more samples are needed. */
const GOOD = 1.1;

/** @typedef {(n: number) => Promise<unknown>} Operation */

/** @type {<T>(n: number, make: (i: number) => T) => T[]} */
const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));

/** All of them begin to wait. @type {(n: number, wait: () => PromiseLike<unknown>) => Promise<asyncio.Task<unknown>[]>} */
async function waiting(n, wait) {
  const tasks = times(n, () => asyncio.createTask(async () => await wait()));
  await asyncio.sleep(0);
  return tasks;
}

/** Waits for their end, whatever it is. @param {asyncio.Future<unknown>[]} futures */
async function ended(futures) {
  await asyncio.wait(futures);
  for (const future of futures) {
    void (future.cancelled() || future.exception());
  }
}

/** @param {asyncio.Future<unknown>[]} futures */
async function cancelled(futures) {
  for (const future of futures) {
    future.cancel();
  }
  await ended(futures);
}

/** @param {Pick<asyncio.Lock, "acquire" | "release">} lock @param {number} n */
async function contended(lock, n) {
  const tasks = times(n, () =>
    asyncio.createTask(async () => {
      await lock.acquire();
      await asyncio.sleep(0);
      lock.release();
    }),
  );
  await ended(tasks);
}

const KILOBYTE = Buffer.alloc(1024);

let seed = 1;

/** Not the same each time: the processor would learn the order. @param {asyncio.Queue<number>} queue @param {number} n */
async function through(queue, n) {
  for (let i = 0; i < n; i++) {
    seed = (seed * 48271) % 2147483647;
    queue.putNowait(seed);
  }
  for (let i = 0; i < n; i++) {
    queue.getNowait();
  }
}

/** Bytes that arrive in n chunks. @param {number} n @param {string} chunk @param {string} end */
async function fed(n, chunk, end) {
  const reader = new asyncio.StreamReader({ limit: 2 ** 30 });
  const bytes = Buffer.from(chunk);
  const task = asyncio.createTask(() => reader.readuntil(end === "\n" ? end : ["\r\n", end]));
  for (let i = 0; i < n; i++) {
    await asyncio.sleep(0);
    reader.feedData(bytes);
  }
  reader.feedData(Buffer.from(end));
  await task;
}

/** @type {Record<string, Operation>} */
const OPERATIONS = {
  "Lock, contended": (n) => contended(new asyncio.Lock(), n),
  "Lock, waiters cancelled": async (n) => {
    const lock = new asyncio.Lock();
    await lock.acquire();
    await cancelled(await waiting(n, () => lock.acquire()));
  },
  "Lock, taken beside cancelled waiters": async (n) => {
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
    await ended(tasks);
  },
  "Event, set": async (n) => {
    const event = new asyncio.Event();
    const tasks = await waiting(n, () => event.wait());
    event.set();
    await ended(tasks);
  },
  "Event, set and cleared n times": async (n) => {
    const event = new asyncio.Event();
    const tasks = await waiting(n, () => event.wait());
    for (let i = 0; i < n; i++) {
      event.set();
      event.clear();
    }
    await ended(tasks);
  },
  "Event, waiters cancelled": async (n) => {
    const event = new asyncio.Event();
    await cancelled(await waiting(n, () => event.wait()));
  },
  "Condition, notify() n times": async (n) => {
    const condition = new asyncio.Condition();
    const tasks = await waiting(n, () => condition.with(() => condition.wait()));
    await condition.with(() => {
      for (let i = 0; i < n; i++) {
        condition.notify();
      }
    });
    await ended(tasks);
  },
  "Condition, notifyAll()": async (n) => {
    const condition = new asyncio.Condition();
    const tasks = await waiting(n, () => condition.with(() => condition.wait()));
    await condition.with(() => condition.notifyAll());
    await ended(tasks);
  },
  "Condition, waiters cancelled": async (n) => {
    const condition = new asyncio.Condition();
    await cancelled(await waiting(n, () => condition.with(() => condition.wait())));
  },
  "Semaphore, contended": (n) => contended(new asyncio.Semaphore(2), n),
  "Semaphore(0), released n times": async (n) => {
    const semaphore = new asyncio.Semaphore(0);
    const tasks = await waiting(n, () => semaphore.acquire());
    for (let i = 0; i < n; i++) {
      semaphore.release();
    }
    await ended(tasks);
  },
  "Semaphore, waiters cancelled": async (n) => {
    const semaphore = new asyncio.Semaphore(0);
    await cancelled(await waiting(n, () => semaphore.acquire()));
  },
  "Barrier(n)": async (n) => {
    const barrier = new asyncio.Barrier(n);
    await ended(times(n, () => asyncio.createTask(() => barrier.wait())));
  },
  "Queue, waiting getters": async (n) => {
    const queue = new asyncio.Queue();
    const tasks = await waiting(n, () => queue.get());
    for (let i = 0; i < n; i++) {
      queue.putNowait(i);
    }
    await ended(tasks);
  },
  "Queue, waiting putters": async (n) => {
    const queue = new asyncio.Queue(1);
    const tasks = await waiting(n, () => queue.put(1));
    for (let i = 0; i < n; i++) {
      await queue.get();
    }
    await ended(tasks);
  },
  "Queue, getters cancelled": async (n) => {
    const queue = new asyncio.Queue();
    await cancelled(await waiting(n, () => queue.get()));
  },
  "Queue, shut down": async (n) => {
    const queue = new asyncio.Queue();
    const tasks = await waiting(n, () => queue.get());
    queue.shutdown();
    await ended(tasks);
  },
  "Queue, n items": (n) => through(new asyncio.Queue(), n),
  "LifoQueue, n items": (n) => through(new asyncio.LifoQueue(), n),
  "PriorityQueue, n items": (n) => through(new asyncio.PriorityQueue(), n),
  gather: async (n) => {
    await asyncio.gather(times(n, () => () => asyncio.sleep(0)));
  },
  "gather, of one future": async (n) => {
    const future = new asyncio.Future();
    const all = asyncio.gather(times(n, () => future));
    future.setResult(1);
    await all;
  },
  "gather, cancelled": async (n) => {
    const all = asyncio.gather(times(n, () => () => asyncio.sleep(3600)));
    await asyncio.sleep(0);
    await cancelled([all]);
  },
  wait: async (n) => {
    await asyncio.wait(times(n, () => asyncio.createTask(() => asyncio.sleep(0))));
  },
  "wait, n times for one future, cancelled": async (n) => {
    const future = new asyncio.Future();
    await cancelled(await waiting(n, () => asyncio.wait([future])));
  },
  asCompleted: async (n) => {
    for (const done of asyncio.asCompleted(times(n, () => () => asyncio.sleep(0)))) {
      await done;
    }
  },
  "shield, of one future": async (n) => {
    const future = new asyncio.Future();
    const shields = times(n, () => asyncio.shield(future));
    future.setResult(1);
    await ended(shields);
  },
  "shield, of one future, cancelled": async (n) => {
    const future = new asyncio.Future();
    await cancelled(times(n, () => asyncio.shield(future)));
  },
  "Future, n waiting tasks": async (n) => {
    const future = new asyncio.Future();
    const tasks = await waiting(n, () => future);
    future.setResult(1);
    await ended(tasks);
  },
  "Future, n callbacks": async (n) => {
    const future = new asyncio.Future();
    for (let i = 0; i < n; i++) {
      future.addDoneCallback(() => i);
    }
    future.setResult(1);
    await asyncio.sleep(0);
  },
  "Future, n callbacks taken back": async (n) => {
    const future = new asyncio.Future();
    const callbacks = times(n, (i) => () => i);
    for (const callback of callbacks) {
      future.addDoneCallback(callback);
    }
    for (const callback of callbacks) {
      future.removeDoneCallback(callback);
    }
  },
  "Future, n errors": async (n) => {
    const futures = times(n, () => new asyncio.Future());
    for (const future of futures) {
      future.setException(new Error("expected"));
    }
    for (const future of futures) {
      future.exception();
    }
  },
  TaskGroup: async (n) => {
    await new asyncio.TaskGroup().with((group) => {
      for (let i = 0; i < n; i++) {
        group.createTask(() => asyncio.sleep(0));
      }
    });
  },
  "TaskGroup, cancelled": async (n) => {
    await new asyncio.TaskGroup().with(async (group) => {
      for (let i = 0; i < n; i++) {
        group.createTask(() => asyncio.sleep(3600));
      }
      await asyncio.sleep(0);
      group.cancel();
    });
  },
  "TaskGroup, all fail": async (n) => {
    const group = new asyncio.TaskGroup().with((tasks) => {
      for (let i = 0; i < n; i++) {
        tasks.createTask(() => {
          throw new Error("expected");
        });
      }
    });
    await group.catch(() => {});
  },
  "createTask, and allTasks()": async (n) => {
    const tasks = times(n, () => asyncio.createTask(() => {}));
    asyncio.allTasks();
    await ended(tasks);
  },
  "task, n waits at once, cancelled": async (n) => {
    const task = asyncio.createTask(() => Promise.all(times(n, () => asyncio.sleep(3600))));
    await asyncio.sleep(0);
    await cancelled([task]);
  },
  "task, n waits at once": async (n) => {
    await asyncio.createTask(() => Promise.all(times(n, () => asyncio.sleep(0))));
  },
  "sleep, n at once": async (n) => {
    await ended(times(n, (i) => asyncio.createTask(() => asyncio.sleep(0.001 + i / 1e7))));
  },
  "sleep, cancelled": async (n) => {
    await cancelled(await waiting(n, () => asyncio.sleep(3600)));
  },
  timeout: async (n) => {
    await ended(times(n, () => asyncio.createTask(() => asyncio.timeout(3600).with(() => asyncio.sleep(0)))));
  },
  waitFor: async (n) => {
    await ended(times(n, () => asyncio.createTask(() => asyncio.waitFor(() => asyncio.sleep(0), 3600))));
  },
  callSoon: async (n) => {
    const loop = asyncio.getRunningLoop();
    for (let i = 0; i < n; i++) {
      loop.callSoon(() => {});
    }
    await asyncio.sleep(0);
  },
  "callLater, cancelled": async (n) => {
    const loop = asyncio.getRunningLoop();
    for (const timer of times(n, (i) => loop.callLater(3600 + ((i * 7919) % n), () => {}))) {
      timer.cancel();
    }
  },
  "StreamReader, a line of n chunks": (n) => fed(n, "x".repeat(100), "\n"),
  "StreamReader, two separators, n chunks": (n) => fed(n, "x".repeat(100), "\0"),
  "StreamWriter, n writes without drain()": async (n) => {
    const server = await asyncio.startServer(
      async (reader, writer) => {
        for (let read = 1; read > 0; read = (await reader.read(65536)).length) {
          // Thrown away.
        }
        writer.close();
      },
      "127.0.0.1",
      0,
    );
    const [reader, writer] = await asyncio.openConnection("127.0.0.1", server.sockets[0]?.getsockname().port);
    for (let i = 0; i < n; i++) {
      writer.write(KILOBYTE);
    }
    writer.writeEof();
    await reader.read();
    writer.close();
    server.close();
    await server.waitClosed();
  },
};

const [, , name = "", n = "4000", samples = "5"] = process.argv;
const operation = OPERATIONS[name];
if (operation === undefined) {
  throw new Error(`there is no operation ${name}`);
}
await asyncio.run(async () => {
  console.log(JSON.stringify(await exponent(operation, Number(n), Number(samples))));
});
process.exit();

/**
 * The least time for n and the least for 4n: the more samples, the nearer to what undisturbed runs take. So it stops early
 * only where that is good enough.
 *
 * @param {Operation} measured @param {number} few @param {number} leastSamples
 */
async function exponent(measured, few, leastSamples) {
  await milliseconds(measured, few, WARM_UP);
  let short = Number.POSITIVE_INFINITY;
  let long = Number.POSITIVE_INFINITY;
  let cost = Number.POSITIVE_INFINITY;
  for (let i = 0; i < MOST_SAMPLES && (i < leastSamples || cost > GOOD); i++) {
    short = Math.min(short, await milliseconds(measured, few, SAMPLE_TIME));
    long = Math.min(long, await milliseconds(measured, 4 * few, SAMPLE_TIME));
    cost = Math.log(long / short) / Math.log(4);
  }
  return { cost, more: { n: few, ms: short } };
}

/**
 * The processor time that it takes, of as many runs as take so long together.
 *
 * @param {Operation} measured @param {number} count @param {number} least In milliseconds.
 */
async function milliseconds(measured, count, least) {
  // A scavenge in the middle would copy what n leave alive: not at all for few, once for many.
  globalThis.gc?.({ type: "minor" });
  const before = process.cpuUsage();
  for (let runs = 1; ; runs++) {
    await measured(count);
    const { user, system } = process.cpuUsage(before);
    if (user + system >= 1000 * least) {
      return (user + system) / 1000 / runs;
    }
  }
}
