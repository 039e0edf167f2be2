/**
 * AsyncLocalStorages of other libraries: in tasks and callbacks they hold what they held where the task was created or the
 * callback was scheduled, however many requests do so at the same time.
 */
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { MockClock } from "contextvars/testing";

const loop = asyncio.getRunningLoop();
const storage = new AsyncLocalStorage<string>();

type Look = () => Promise<void>;

/** Calls the function in a callback. */
function called(schedule: (callback: () => void) => void, look: Look): Promise<void> {
  return new Promise((resolve, reject) => {
    schedule(() => {
      look().then(resolve, reject);
    });
  });
}

/** Calls the function when the signal of a task is aborted. */
function aborted(look: Look, ends: (body: () => Promise<void>) => PromiseLike<unknown>): Promise<void> {
  return called((callback) => {
    const task = asyncio.createTask(() => {
      asyncio.currentTask()?.signal.addEventListener("abort", callback);
      return ends(() => asyncio.sleep(3600));
    });
    task.catch(() => {});
  }, look);
}

/** Every way to have a function called, and every wait after which a function continues. */
const ways: Readonly<Record<string, (look: Look) => PromiseLike<unknown>>> = {
  "createTask()": (look) => asyncio.createTask(look),
  "createTask(), eagerly": (look) => asyncio.createTask(look, { eagerStart: true }),
  "EventLoop.createTask()": (look) => loop.createTask(look),
  "ensureFuture()": (look) => asyncio.ensureFuture(look),
  "gather()": (look) => asyncio.gather([look, look]),
  "waitFor()": (look) => asyncio.waitFor(look, 60),
  "shield()": (look) => asyncio.shield(look),
  "asCompleted()": async (look) => {
    for await (const done of asyncio.asCompleted([look])) {
      await done;
    }
  },
  "TaskGroup.createTask()": (look) =>
    asyncio.createTask(() =>
      new asyncio.TaskGroup().with(async (group) => {
        group.createTask(look);
        await look();
      }),
    ),
  "Timeout.with()": (look) => asyncio.createTask(() => asyncio.timeout(60).with(look)),
  "EventLoop.callSoon()": (look) => called((callback) => loop.callSoon(callback), look),
  "EventLoop.callLater()": (look) => called((callback) => loop.callLater(0.002, callback), look),
  "EventLoop.callAt()": (look) => called((callback) => loop.callAt(loop.time() + 0.002, callback), look),
  "Future.addDoneCallback()": (look) =>
    called((callback) => {
      const future = new asyncio.Future<void>();
      future.addDoneCallback(callback);
      storage.run("who sets the result", () => future.setResult());
    }, look),
  "Task.addDoneCallback()": (look) =>
    called((callback) => asyncio.createTask(() => asyncio.sleep(0.001)).addDoneCallback(callback), look),
  "task.signal, aborted by a deadline": (look) => aborted(look, (body) => asyncio.timeout(0.002).with(body)),
  "task.signal, aborted by a group": (look) =>
    aborted(look, (body) =>
      new asyncio.TaskGroup().with(async (group) => {
        group.createTask(() => Promise.reject(new Error("a task of the group")));
        await body();
      }),
    ),
  "task.signal, aborted by another task": (look) =>
    aborted(look, (body) => {
      const task = asyncio.currentTask();
      storage.run("who cancels", () => loop.callSoon(() => task?.cancel()));
      return body();
    }),
  "a subclass of Queue": async (look) => {
    const looked: Promise<void>[] = [];
    class Watched<T> extends asyncio.Queue<T> {
      override getNowait(): T {
        looked.push(look());
        return super.getNowait();
      }
      override putNowait(item: T): void {
        looked.push(look());
        super.putNowait(item);
      }
    }
    const queue = new Watched<number>(1);
    const empty = new Watched<number>(1);
    await queue.put(1);
    const waiting = [queue.put(2), empty.get()];
    await asyncio.sleep(0);
    // The looks of these calls are not counted: they are code of the one who calls.
    asyncio.Queue.prototype.getNowait.call(queue);
    asyncio.Queue.prototype.putNowait.call(empty, 1);
    await Promise.all(waiting);
    await Promise.all(looked);
  },
  "Lock.with()": (look) => new asyncio.Lock().with(look),
  "sleep()": (look) => asyncio.sleep(0.002).then(look),
  "await future": async (look) => {
    const future = new asyncio.Future<void>();
    storage.run("who sets the result", () => loop.callSoon(() => future.setResult()));
    await future;
    await look();
  },
  "Event.wait()": async (look) => {
    const event = new asyncio.Event();
    storage.run("who sets it", () => loop.callSoon(() => event.set()));
    await event.wait();
    await look();
  },
  "Queue.get()": async (look) => {
    const queue = new asyncio.Queue<number>();
    storage.run("who puts it", () => loop.callSoon(() => queue.putNowait(1)));
    await queue.get();
    await look();
  },
};

const requests = ["first", "second", "third"];

/** Three requests at the same time; returns what each saw that was another's. */
async function mistaken(way: (look: Look) => PromiseLike<unknown>): Promise<string[]> {
  const wrong: string[] = [];
  let looks = 0;
  const looking = (request: string) => async (): Promise<void> => {
    const look = (): void => {
      looks += 1;
      const seen = storage.getStore();
      if (seen !== request) {
        wrong.push(`${request} sees ${seen}`);
      }
    };
    look();
    await null;
    look();
    await asyncio.sleep(0);
    look();
  };
  await Promise.all(requests.map((request) => storage.run(request, () => way(looking(request)))));
  assert.ok(looks >= 3 * requests.length);
  return wrong;
}

describe("an AsyncLocalStorage of another library", () => {
  for (const [name, way] of Object.entries(ways)) {
    it(`holds the value of its own request in ${name}, outside tasks`, async () => {
      assert.deepEqual(await mistaken(way), []);
    });

    it(`holds the value of its own request in ${name}, in a task`, async () => {
      assert.deepEqual(await asyncio.createTask(() => mistaken(way)), []);
    });

    it(`holds the value of its own request in ${name}, by a MockClock`, async () => {
      assert.deepEqual(await new MockClock().with(() => asyncio.run(() => mistaken(way))), []);
    });
  }

  it("holds the value of the code that calls run()", async () => {
    const seen = await storage.run("program", () =>
      asyncio.run(async () => {
        await asyncio.sleep(0);
        return storage.getStore();
      }),
    );
    assert.equal(seen, "program");
  });

  it("keeps what a task enters in that task", async () => {
    await asyncio.gather(
      requests.map((request) => async () => {
        storage.enterWith(request);
        await asyncio.sleep(0);
        assert.equal(storage.getStore(), request);
        assert.equal(await asyncio.createTask(() => storage.getStore()), request);
      }),
    );
    assert.equal(storage.getStore(), undefined);
  });
});
