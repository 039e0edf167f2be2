/**
 * Functions that a task has started and not awaited, and that still run when it has ended: their time limits and groups
 * work, and a cancellation of the task does not reach them afterwards.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { latch } from "../support/latch.ts";
import { outcomeOf, Reports } from "../support/peers.ts";

function foreignPause(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });
}

async function held(): Promise<asyncio.Lock> {
  const lock = new asyncio.Lock();
  await lock.acquire();
  return lock;
}

/** Waits that nothing ends. */
const endless: Readonly<Record<string, () => PromiseLike<unknown>>> = {
  "sleep()": () => asyncio.sleep(3600),
  "await future": () => new asyncio.Future(),
  "await task": () => asyncio.createTask(() => asyncio.sleep(3600)),
  "gather()": () => asyncio.gather([() => asyncio.sleep(3600)]),
  "wait()": () => asyncio.wait([new asyncio.Future()]),
  "shield()": () => asyncio.shield(new asyncio.Future()),
  "asCompleted()": () => asyncio.asCompleted([new asyncio.Future()]).next(),
  "Event.wait()": () => new asyncio.Event().wait(),
  "Lock.acquire()": async () => (await held()).acquire(),
  "Semaphore.acquire()": () => new asyncio.Semaphore(0).acquire(),
  "Condition.wait()": () => {
    const condition = new asyncio.Condition();
    return condition.with(() => condition.wait());
  },
  "Barrier.wait()": () => new asyncio.Barrier(2).wait(),
  "Queue.get()": () => new asyncio.Queue().get(),
  "Queue.put()": () => {
    const queue = new asyncio.Queue<number>(1);
    queue.putNowait(1);
    return queue.put(2);
  },
  "Queue.join()": () => {
    const queue = new asyncio.Queue<number>();
    queue.putNowait(1);
    return queue.join();
  },
  "StreamReader.read()": () => new asyncio.StreamReader().read(),
};

/** Those that need a current task, so that they can only begin before it has ended. */
const endlessInTask: typeof endless = {
  "another time limit": () => asyncio.timeout(3600).with(() => new asyncio.Event().wait()),
  "another group": () => new asyncio.TaskGroup().with(() => new asyncio.Event().wait()),
};

type Limit = (body: () => PromiseLike<unknown>) => PromiseLike<unknown>;

/** What ends a body, and how: by the name of the error, or without one. */
const limits: Readonly<Record<string, readonly [ends: string | null, limit: Limit]>> = {
  "timeout()": ["TimeoutError", (body) => asyncio.timeout(0.05).with(body)],
  "timeoutAt()": ["TimeoutError", (body) => asyncio.timeoutAt(asyncio.getRunningLoop().time() + 0.05).with(body)],
  "Timeout.reschedule()": [
    "TimeoutError",
    (body) =>
      asyncio.timeout(3600).with(async (limit) => {
        const result = body();
        await foreignPause(0.03);
        limit.reschedule(0);
        return await result;
      }),
  ],
  "waitFor()": ["TimeoutError", (body) => asyncio.waitFor(body, 0.05)],
  "TaskGroup, of which a task fails": [
    "ExceptionGroup",
    (body) =>
      new asyncio.TaskGroup().with(async (group) => {
        group.createTask(async () => {
          await asyncio.sleep(0.05);
          throw new Error("a task of the group");
        });
        group.createTask(() => asyncio.sleep(3600));
        await body();
      }),
  ],
  "TaskGroup.cancel()": [
    null,
    (body) =>
      new asyncio.TaskGroup().with(async (group) => {
        asyncio.getRunningLoop().callLater(0.05, () => group.cancel());
        await body();
      }),
  ],
};

/** How the task ends while the function runs. */
const ends: Readonly<Record<string, (start: () => void) => Promise<unknown>>> = {
  "has returned": async (start) => await asyncio.createTask(start),
  "has failed": async (start) =>
    await outcomeOf(
      asyncio.createTask(() => {
        start();
        throw new Error("the task");
      }),
    ),
};

/** Ways to end that a time limit which has begun before counts as a cancellation of its block, as in Python. */
const cancelledEnds: typeof ends = {
  "was cancelled, and did not notice it": async (start) => {
    const pass = latch(2);
    const task = asyncio.createTask(async () => {
      start();
      await pass();
    });
    await asyncio.sleep(0);
    task.cancel();
    void pass();
    await outcomeOf(task);
    assert.ok(task.cancelled());
  },
};

/** Starts the function in a task, and returns its outcome when the task has ended long since. */
async function outcomeAfter(
  end: (start: () => void) => Promise<unknown>,
  f: () => PromiseLike<unknown>,
): Promise<unknown> {
  let outcome: Promise<unknown> = Promise.resolve();
  await end(() => {
    outcome = outcomeOf(f());
  });
  return await outcome;
}

describe("a function that its task has not awaited", () => {
  for (const [name, [error, limit]] of Object.entries(limits)) {
    it(`${name} ends every wait that begins when the task has ended, however it has ended`, async () => {
      using reports = new Reports();
      for (const [how, end] of Object.entries(ends)) {
        const outcomes = Object.entries(endless).map(async ([wait, body]) => {
          const outcome = await outcomeAfter(end, () => limit(() => foreignPause(0.02).then(body)));
          assert.equal(outcome instanceof Error ? outcome.name : null, error, `${wait}, whose task ${how}`);
        });
        await Promise.all(outcomes);
      }
      assert.deepEqual(reports.messages, []);
    });

    it(`${name} ends a wait that began before the task has ended`, async () => {
      const outcomes = Object.entries({ ...endless, ...endlessInTask }).map(async ([wait, body]) => {
        const outcome = await outcomeAfter(
          (start) => Promise.resolve(asyncio.createTask(start)),
          () => limit(body),
        );
        assert.equal(outcome instanceof Error ? outcome.name : null, error, wait);
      });
      await Promise.all(outcomes);
    });
  }

  for (const [name, [error, limit]] of Object.entries(limits)) {
    it(`${name} that nothing has noticed leaves the result of the task alone`, async () => {
      const pass = latch(2);
      let left: Promise<unknown> = Promise.resolve();
      const task = asyncio.createTask(async () => {
        left = outcomeOf(limit(pass));
        await foreignPause(0.1);
        return "result";
      });
      assert.equal(await task, "result");
      void pass();
      const outcome = await left;
      assert.equal(outcome instanceof Error ? outcome.name : null, error);
    });
  }

  for (const [how, end] of Object.entries({ ...ends, ...cancelledEnds })) {
    it(`no wait gets a cancellation of its task, which ${how}`, async () => {
      const ending: Readonly<Record<string, () => PromiseLike<unknown>>> = {
        "sleep(0)": () => asyncio.sleep(0),
        "sleep()": () => asyncio.sleep(0.001),
        "await task": () => asyncio.createTask(() => asyncio.sleep(0.001)),
        "gather()": () => asyncio.gather([() => asyncio.sleep(0.001)]),
        "timeout()": () => asyncio.waitFor(() => asyncio.sleep(0.001), 3600),
        "Queue.get()": () => {
          const queue = new asyncio.Queue<number>();
          asyncio.getRunningLoop().callSoon(() => queue.putNowait(1));
          return queue.get();
        },
        "Event.wait()": () => {
          const event = new asyncio.Event();
          asyncio.getRunningLoop().callSoon(() => event.set());
          return event.wait();
        },
      };
      for (const [wait, body] of Object.entries(ending)) {
        const outcome = await outcomeAfter(end, () => foreignPause(0.02).then(body));
        assert.ok(!(outcome instanceof Error), `${wait}: ${String(outcome)}`);
      }
    });
  }

  it("is not shown as what its task waits for", async () => {
    const event = new asyncio.Event();
    let left: Promise<unknown> = Promise.resolve();
    const task = asyncio.createTask(function main() {
      left = event.wait();
    });
    await task;
    assert.equal(
      String(task),
      "<Task finished name='Task-X' coro=<main()> result=undefined>".replace("Task-X", task.getName()),
    );
    assert.deepEqual(await task.getStack(), []);
    event.set();
    await left;
  });
});
