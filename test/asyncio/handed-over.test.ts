/** Where a Future or another promise is handed over as a value: refused, or waited for, but never lost in silence. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";

/** Each of these would be waited for by `await`. */
const thenables: Readonly<Record<string, (result: string) => PromiseLike<string>>> = {
  "a Future": (result) => {
    const future = new asyncio.Future<string>();
    future.setResult(result);
    return future;
  },
  "a Task": (result) => asyncio.createTask(() => result),
  "a promise": (result) => Promise.resolve(result),
  "a thenable": (result) => ({
    then: (onFulfilled) => Promise.resolve(result).then(onFulfilled),
  }),
};

type Value = PromiseLike<string>;

/** A value is put into these by one who is not the one that gets it, so JavaScript would have the latter wait. */
const refusing: Readonly<Record<string, readonly [give: (value: Value) => unknown, hint: RegExp]>> = {
  "Queue.put()": [(value) => new asyncio.Queue<Value>().put(value), /put\(\{ reply \}\)/],
  "Queue.putNowait()": [(value) => new asyncio.Queue<Value>().putNowait(value), /putNowait\(\{ reply \}\)/],
  "LifoQueue.put()": [(value) => new asyncio.LifoQueue<Value>().put(value), /put\(\{ reply \}\)/],
  "PriorityQueue.putNowait()": [
    (value) => new asyncio.PriorityQueue<Value>().putNowait(value),
    /putNowait\(\{ reply \}\)/,
  ],
  "Queue.put() of a full queue": [
    (value) => {
      const queue = new asyncio.Queue<Value | number>(1);
      queue.putNowait(1);
      return queue.put(value);
    },
    /put\(\{ reply \}\)/,
  ],
  "Future.setResult()": [(value) => new asyncio.Future<Value>().setResult(value), /setResult\(\{ result \}\)/],
  "Condition.waitFor()": [
    (value) => {
      const condition = new asyncio.Condition();
      return condition.with(() => condition.waitFor(() => value as never));
    },
    /predicate must return a value/,
  ],
  "sleep(0)": [(value) => asyncio.sleep(0, value), /sleep\(delay, \{ result \}\)/],
  "sleep()": [(value) => asyncio.sleep(0.001, value), /sleep\(delay, \{ result \}\)/],
};

/** A function in JavaScript may return a promise: code that waits for the function waits for that promise as well. */
const waiting: Readonly<Record<string, (value: Value) => PromiseLike<unknown>>> = {
  "createTask() of an async function": (value) => asyncio.createTask(async () => value),
  "createTask() of a plain function": (value) => asyncio.createTask(() => value),
  "createTask() with eagerStart": (value) => asyncio.createTask(() => value, { eagerStart: true }),
  "ensureFuture()": (value) => asyncio.ensureFuture(() => value),
  "ensureFuture() of a promise": (value) => asyncio.ensureFuture(Promise.resolve({ value }).then((each) => each.value)),
  "gather()": async (value) => (await asyncio.gather([() => value]))[0],
  "shield()": (value) => asyncio.shield(() => value),
  "waitFor()": (value) => asyncio.waitFor(() => value, 5),
  "asCompleted()": async (value) => {
    for await (const done of asyncio.asCompleted([() => value])) {
      return done;
    }
    return null;
  },
  "asCompleted() in a plain loop": async (value) => {
    const [first] = asyncio.asCompleted([() => value]);
    return await first;
  },
  "Timeout.with()": (value) => asyncio.timeout(5).with(() => value),
  "TaskGroup.with()": (value) => new asyncio.TaskGroup().with(() => value),
  "Lock.with()": (value) => new asyncio.Lock().with(() => value),
};

for (const [kind, make] of Object.entries(thenables)) {
  describe(`${kind} as a value`, () => {
    for (const [place, [give, hint]] of Object.entries(refusing)) {
      it(`${place} refuses ${kind} with a TypeError that says what to write`, async () => {
        const value = make("kept");
        await assert.rejects(
          async () => await give(value),
          (error) => error instanceof TypeError && hint.test(error.message),
        );
        assert.equal(await value, "kept");
      });
    }

    for (const [place, wait] of Object.entries(waiting)) {
      it(`${place} waits for ${kind} that the function returns`, async () => {
        assert.equal(await asyncio.createTask(async () => await wait(make("result"))), "result");
      });
    }

    it(`run() waits for ${kind} that the function returns`, async () => {
      assert.equal(await asyncio.run(() => make("result")), "result");
    });
  });
}

describe("a Future in an object", () => {
  it("Queue hands it over, which is the way of request and reply", async () => {
    const requests = new asyncio.Queue<{ readonly n: number; readonly reply: asyncio.Future<number> }>();
    const server = asyncio.createTask(async () => {
      const { n, reply } = await requests.get();
      reply.setResult(n + 1);
    });
    const reply = new asyncio.Future<number>();
    await requests.put({ n: 1, reply });
    assert.equal(await reply, 2);
    await server;
  });

  it("PriorityQueue hands it over in an array", async () => {
    const queue = new asyncio.PriorityQueue<readonly [number, asyncio.Future<number>]>();
    const reply = new asyncio.Future<number>();
    queue.putNowait([1, reply]);
    assert.equal((await queue.get())[1], reply);
  });

  it("Future.setResult() that was refused leaves the Future pending", () => {
    const future = new asyncio.Future<unknown>();
    assert.throws(() => future.setResult(future), TypeError);
    assert.equal(future.done(), false);
    future.setResult({ future });
    assert.deepEqual(future.result(), { future });
  });
});
