/** The loop: what is called when, and what becomes of errors. The order of tasks: see test/conformance. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { MockClock } from "contextvars/testing";
import { survivors } from "../support/garbage.ts";
import { shown } from "../support/outcomes.ts";
import { Reports } from "../support/peers.ts";
import { randomFrom } from "../support/random.ts";

const loop = asyncio.getRunningLoop();

afterEach(() => {
  loop.setExceptionHandler(null);
  loop.setDebug(false);
});

/** What is written to standard error by console.error() while the body runs: the arguments of each call. */
async function written(body: () => unknown): Promise<unknown[][]> {
  const calls: unknown[][] = [];
  const before = console.error;
  console.error = (...args: unknown[]) => calls.push(args);
  try {
    await body();
  } finally {
    console.error = before;
  }
  return calls;
}

/** So many iterations of the loop. */
async function iterations(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await asyncio.sleep(0);
  }
}

describe("loop.callSoon()", () => {
  it("loop.callSoon() calls in order; callbacks that a callback adds run in the next iteration", async () => {
    const order: string[] = [];
    loop.callSoon(() => {
      order.push("a");
      loop.callSoon(() => order.push("next"));
    });
    loop.callSoon(() => order.push("b"));
    loop.callLater(0, () => order.push("timer"));
    loop.callLater(-1, () => order.push("earlier timer"));
    loop.callSoon(() => order.push("c"));
    assert.deepEqual(order, []);
    await asyncio.sleep(0.01);
    assert.deepEqual(order, ["a", "b", "c", "earlier timer", "timer", "next"]);
  });

  it("loop.callSoon() that adds itself again and again lets timers, input and output in", async () => {
    let count = 0;
    let handle = loop.callSoon(function again() {
      count += 1;
      handle = loop.callSoon(again);
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await asyncio.sleep(0.002);
    handle.cancel();
    assert.ok(count > 1);
    const before = count;
    await iterations(3);
    assert.equal(count, before);
  });

  it("Handle.cancel() takes the callback back, also by a callback of the same iteration", async () => {
    const called: string[] = [];
    loop.callSoon(() => handle.cancel());
    const handle = loop.callSoon(() => called.push("not called"));
    const other = loop.callSoon(() => called.push("called"));
    assert.equal(handle.cancelled(), false);
    await iterations(2);
    assert.equal(handle.cancelled(), true);
    assert.deepEqual(called, ["called"]);
    assert.equal(other.cancelled(), false);
    other.cancel();
    assert.equal(other.cancelled(), true);
  });

  it("loop.callSoon() ignores what the callback returns, be it a promise that fails later and is dealt with", async () => {
    const reports = new Reports().all;
    const failing = Promise.reject(new Error("dealt with"));
    failing.catch(() => {});
    loop.callSoon(() => failing);
    await iterations(2);
    assert.deepEqual(reports, []);
  });

  it("loop.callSoon(), callLater() and callAt() throw a TypeError unless they get a function, for a promise as well", () => {
    for (const wrong of [3, "text", null, undefined, Promise.resolve()]) {
      const callback = wrong as never;
      assert.throws(() => loop.callSoon(callback), {
        name: "TypeError",
        message: /^callSoon\(\) needs a function, got /,
      });
      assert.throws(() => loop.callLater(1, callback), {
        name: "TypeError",
        message: /^callLater\(\) needs a function/,
      });
      assert.throws(() => loop.callAt(1, callback), { name: "TypeError", message: /^callAt\(\) needs a function/ });
    }
    assert.throws(() => loop.callSoon(() => {}, { contxt: 1 } as never), { name: "TypeError", message: /contxt/ });
  });
});

describe("loop.callLater() and callAt()", () => {
  it("loop.callAt() calls in the order of the moments, those of the past first", async () => {
    const order: number[] = [];
    const moment = loop.time() + 0.01;
    for (const [number, when] of [
      [4, moment],
      [3, moment - 0.003],
      [2, moment - 0.006],
      [0, moment - 60],
      [1, moment - 30],
    ] as const) {
      assert.equal(loop.callAt(when, () => order.push(number)).when(), when);
    }
    await asyncio.sleep(0.03);
    assert.deepEqual(order, [0, 1, 2, 3, 4]);
  });

  it("loop.callAt() calls any number of timers in the order of their moments, those of one moment as they were made", async () => {
    const below = randomFrom(20_261_121);
    const round = async (): Promise<void> => {
      const start = loop.time() + 0.002;
      const ran: number[] = [];
      const timers = Array.from({ length: 300 }, (_, number) => {
        const when = start + below(40) * 0.0002;
        return { number, when, handle: loop.callAt(when, () => ran.push(number)) };
      });
      const cancelled = new Set(timers.filter(() => below(3) === 0));
      for (const { handle } of cancelled) {
        handle.cancel();
      }
      await asyncio.sleep(0.02);
      const expected = timers
        .filter((timer) => !cancelled.has(timer))
        .sort((a, b) => a.when - b.when)
        .map(({ number }) => number);
      assert.deepEqual(ran, expected);
    };
    await new MockClock().with(() =>
      asyncio.run(async () => {
        for (let rounds = 0; rounds < 20; rounds++) {
          await round();
        }
      }),
    );
  });

  it("loop.callLater() never calls before its time", async () => {
    const early: number[] = [];
    await asyncio.gather(
      Array.from({ length: 20 }, (_, i) => {
        const future = new asyncio.Future<void>();
        const timer = loop.callLater(0.001 + i * 0.0003, () => {
          if (loop.time() < timer.when()) {
            early.push(timer.when() - loop.time());
          }
          future.setResult();
        });
        return future;
      }),
    );
    assert.deepEqual(early, []);
  });

  it("loop.callLater() of more than 2**31 milliseconds, and of Infinity, does not call immediately, and causes no warning", async () => {
    const warnings: string[] = [];
    const onWarning = ({ name }: Error): void => void warnings.push(name);
    process.on("warning", onWarning);
    const called: number[] = [];
    const timers = [2 ** 31 / 1000, 2 ** 32 / 1000, 1e12, Number.POSITIVE_INFINITY].map((delay) =>
      loop.callLater(delay, () => called.push(delay)),
    );
    timers.push(loop.callAt(Number.POSITIVE_INFINITY, () => called.push(-1)));
    await asyncio.sleep(0.02);
    for (const timer of timers) {
      timer.cancel();
    }
    process.off("warning", onWarning);
    assert.deepEqual(called, []);
    assert.deepEqual(warnings, []);
    assert.equal(timers.at(-1)?.when(), Number.POSITIVE_INFINITY);
  });

  it("TimerHandle.cancel() prevents the callback at any time, even if it is due", async () => {
    const called: string[] = [];
    const waiting = loop.callLater(0.002, () => called.push("waiting"));
    const due = loop.callLater(0, () => called.push("due"));
    loop.callSoon(() => due.cancel());
    waiting.cancel();
    await asyncio.sleep(0.01);
    assert.deepEqual(called, []);
    assert.ok(waiting.cancelled() && due.cancelled());
    waiting.cancel();
  });

  it("loop.callLater() and callAt() throw unless they get a number of seconds", () => {
    for (const wrong of ["1", null, undefined, 1n]) {
      assert.throws(() => loop.callLater(wrong as never, () => {}), {
        name: "TypeError",
        message: /^callLater\(\): delay must be a number of seconds/,
      });
      assert.throws(() => loop.callAt(wrong as never, () => {}), {
        name: "TypeError",
        message: /^callAt\(\): when must be a number of seconds/,
      });
    }
    assert.throws(() => loop.callLater(Number.NaN, () => {}), { name: "ValueError" });
    assert.throws(() => loop.callAt(Number.NaN, () => {}), { name: "ValueError" });
  });

  it("loop.time() counts seconds, and never goes back", async () => {
    const start = loop.time();
    await asyncio.sleep(0.02);
    const passed = loop.time() - start;
    assert.ok(passed >= 0.02 && passed < 10, String(passed));
  });
});

describe("The exception handler", () => {
  it("loop.setExceptionHandler(): the handler gets the error of a callback, and the loop continues", async () => {
    const told: unknown[] = [];
    const handler = (...args: unknown[]): void => void told.push(...args);
    loop.setExceptionHandler(handler);
    assert.equal(loop.getExceptionHandler(), handler);
    const error = new Error("it broke");
    const handle = loop.callSoon(function breaks() {
      throw error;
    });
    const called = new asyncio.Future<string>();
    loop.callSoon(() => called.setResult("the next one"));
    assert.equal(await called, "the next one");
    assert.deepEqual(told, [loop, { message: "Exception in callback breaks()", exception: error, handle }]);
  });

  it("loop.setExceptionHandler(): the function gets errors of timers and of done callbacks", async () => {
    const reports = new Reports().all;
    loop.callLater(0.001, function timer() {
      throw new Error("of a timer");
    });
    const future = new asyncio.Future<number>();
    const called: string[] = [];
    future.addDoneCallback(function doneCallback() {
      throw new Error("of a done callback");
    });
    future.addDoneCallback(() => called.push("the next one"));
    future.setResult(1);
    await asyncio.sleep(0.01);
    assert.deepEqual(called, ["the next one"]);
    assert.deepEqual(
      reports.map(({ exception }) => (exception as Error).message),
      ["of a done callback", "of a timer"],
    );
  });

  it("loop.setExceptionHandler(null) brings the default back", async () => {
    const reports = new Reports().all;
    loop.setExceptionHandler(null);
    assert.equal(loop.getExceptionHandler(), null);
    const calls = await written(() => loop.callExceptionHandler({ message: "to the default" }));
    assert.deepEqual(calls, [["to the default"]]);
    assert.deepEqual(reports, []);
  });

  it("loop.setExceptionHandler() throws a TypeError unless it gets a function", () => {
    for (const wrong of ["text", 1, undefined, {}]) {
      assert.throws(() => loop.setExceptionHandler(wrong as never), { name: "TypeError" });
    }
    assert.equal(loop.getExceptionHandler(), null);
  });

  it("loop.defaultExceptionHandler() writes message, what is known in the order of its names, and the error", async () => {
    const error = new Error("it broke");
    const calls = await written(() => {
      loop.defaultExceptionHandler({ message: "just this" });
      loop.defaultExceptionHandler({ message: "", exception: error });
      loop.defaultExceptionHandler({ message: "more", zeta: 1, exception: error, alpha: "text", list: ["a"] });
    });
    assert.deepEqual(calls, [
      ["just this"],
      ["Unhandled exception in event loop", error],
      ["more\nalpha: 'text'\nlist: ['a']\nzeta: 1", error],
    ]);
  });

  it("loop.defaultExceptionHandler() is what an error of a callback goes to by default", async () => {
    const error = new Error("it broke");
    const calls = await written(async () => {
      loop.callSoon(function breaks() {
        throw error;
      });
      await iterations(2);
    });
    assert.deepEqual(calls, [["Exception in callback breaks()\nhandle: <Handle breaks()>", error]]);
  });

  it("loop.callExceptionHandler() writes the error of a handler that throws, and the error that the handler got", async () => {
    const error = new Error("in the handler");
    loop.setExceptionHandler(() => {
      throw error;
    });
    const calls = await written(async () => {
      loop.callExceptionHandler({ message: "original", exception: new RangeError("first") });
      loop.callSoon(() => {
        throw new RangeError("second");
      });
      await iterations(2);
    });
    assert.equal(calls.length, 2);
    assert.deepEqual(calls[0], [
      "Unhandled error in exception handler\ncontext: {'message': 'original', 'exception': RangeError('first')}",
      error,
    ]);
    assert.match(String(calls[1]?.[0]), /'exception': RangeError\('second'\), 'handle': <Handle anonymous\(\)>/);
  });

  it("loop.callExceptionHandler() writes the error of an async handler that fails, and ends nothing", async () => {
    const error = new Error("in the handler");
    loop.setExceptionHandler(async () => {
      throw error;
    });
    const calls = await written(async () => {
      loop.callExceptionHandler({ message: "original" });
      await iterations(2);
    });
    assert.deepEqual(calls, [["Unhandled error in exception handler\ncontext: {'message': 'original'}", error]]);
  });

  it("loop.callExceptionHandler() never throws, whatever it is to write", async () => {
    const unprintable = new (class Unprintable {
      toString(): string {
        throw new Error("no text");
      }
    })();
    const calls = await written(() => loop.callExceptionHandler({ message: "unprintable", unprintable }));
    assert.deepEqual(
      calls.map(([text]) => shown(text)),
      ["unprintable\nunprintable: <Unprintable instance at 0xHEX>"],
    );
    const before = console.error;
    const lines: unknown[] = [];
    console.error = (line: unknown) => {
      lines.push(line);
      if (!String(line).startsWith("Exception in default exception handler")) {
        throw new Error("nobody listens");
      }
    };
    try {
      loop.callExceptionHandler({ message: "by the default" });
      loop.setExceptionHandler(() => {
        throw new Error("in the handler");
      });
      loop.callExceptionHandler({ message: "by a handler" });
    } finally {
      console.error = before;
    }
    assert.deepEqual(lines, [
      "by the default",
      "Exception in default exception handler",
      "Unhandled error in exception handler\ncontext: {'message': 'by a handler'}",
      // Once more, with the text of the error instead of the error.
      "Unhandled error in exception handler\ncontext: {'message': 'by a handler'}",
      "Exception in default exception handler while handling an unexpected error in custom exception handler",
    ]);
  });
});

describe("What is reported of a Future", () => {
  const user = new ContextVar<string>("user", { default: "nobody" });

  it("the exception handler sees the values of the shield() whose Future has failed, or those of the failed task", async () => {
    const seen: string[] = [];
    loop.setExceptionHandler(() => seen.push(user.get()));
    const protects = (inner: asyncio.Future<unknown>): asyncio.Task<void> =>
      asyncio.createTask(async () => {
        user.set("who shields");
        asyncio.shield(inner).cancel();
        await iterations(2);
      });
    const future = new asyncio.Future<void>();
    await protects(future);
    await asyncio.createTask(async () => {
      user.set("who fails it");
      await asyncio.sleep(0);
      future.setException(new Error("expected"));
      await iterations(2);
    });
    const task = asyncio.createTask(async () => {
      user.set("the task");
      await iterations(3);
      throw new Error("expected");
    });
    await protects(task);
    await iterations(5);
    assert.deepEqual(seen, ["who shields", "the task"]);
  });

  const throwing = new Error("a method of a subclass");
  class Throwing extends asyncio.Future<void> {
    override exception(): never {
      throw throwing;
    }
  }
  const observers: Readonly<Record<string, (future: asyncio.Future<void>) => unknown>> = {
    "gather()": (future) => asyncio.gather([future]),
    "shield()": (future) => asyncio.shield(future),
    "shield() that was cancelled": (future) => asyncio.shield(future).cancel(),
  };
  for (const [name, observe] of Object.entries(observers)) {
    it(`${name} of a Future whose subclass throws reports that, and the loop continues`, async () => {
      using reports = new Reports();
      const future = new Throwing();
      observe(future);
      await asyncio.sleep(0);
      future.setException(new Error("expected"));
      await assert.rejects(Promise.resolve(future), { message: "expected" });
      await iterations(2);
      assert.deepEqual(
        reports.all.map(({ message, exception }) => [message, exception]),
        [[`Exception in ${name.replace(/\).*/, ")")}`, throwing]],
      );
    });
  }
});

describe("Timers of which an earlier one was cancelled", () => {
  for (const later of [1, 3]) {
    it(`loop.callLater() calls ${later} later ones, in their order and not before their moments`, async () => {
      const called: number[] = [];
      for (let i = 0; i < later; i++) {
        const handle = loop.callLater(0.4 + i / 1000, () => {
          assert.ok(loop.time() >= handle.when());
          called.push(i);
        });
      }
      for (let i = 0; i < 3; i++) {
        // Each is the earliest one while it is there; the first alarm that was set for them is still set.
        await asyncio.createTask(() => asyncio.timeout(0.3).with(() => asyncio.sleep(0)));
      }
      await asyncio.sleep(0.45);
      assert.deepEqual(called, [...called.keys()]);
      assert.equal(called.length, later);
    });
  }
});

describe("An error that is never retrieved", () => {
  it("an error of a task or a Future is reported once it is garbage, and once", async () => {
    const reports = new Reports().all;
    const make = (): WeakRef<object>[] => {
      const task = asyncio.createTask(
        async function fails() {
          await asyncio.sleep(0.001);
          throw new Error("of a task");
        },
        { name: "failing" },
      );
      const future = new asyncio.Future<number>();
      future.setException(new Error("of a Future"));
      return [new WeakRef(task), new WeakRef(future)];
    };
    const references = make();
    await asyncio.sleep(0.005);
    assert.equal(await survivors(references), 0);
    await asyncio.sleep(0.02);
    assert.deepEqual(reports.map(({ message, future }) => `${message}: ${future}`).sort(), [
      "Future exception was never retrieved: <Future finished exception=Error('of a Future')>",
      "Task exception was never retrieved: " +
        "<Task finished name='failing' coro=<fails()> exception=Error('of a task')>",
    ]);
  });

  it("an error is not reported that result() or exception() has given, or a done callback has asked for", async () => {
    const reports = new Reports().all;
    const make = async (): Promise<WeakRef<object>[]> => {
      const futures = Array.from({ length: 4 }, () => new asyncio.Future<number>());
      const [first, second, third, fourth] = futures as [
        asyncio.Future<number>,
        asyncio.Future<number>,
        asyncio.Future<number>,
        asyncio.Future<number>,
      ];
      third.addDoneCallback((done) => done.exception());
      for (const future of futures) {
        future.setException(new Error("known"));
      }
      assert.throws(() => first.result(), /known/);
      assert.ok(second.exception() instanceof Error);
      await fourth.catch(() => {});
      await iterations(2);
      return futures.map((future) => new WeakRef(future));
    };
    await survivors(await make(), 20);
    await asyncio.sleep(0.02);
    assert.deepEqual(reports, []);
  });

  it("an error of waitFor() is reported once if it is not awaited, and not at all if it is", async () => {
    const reports = new Reports().all;
    const fails = async (message: string): Promise<void> => {
      await asyncio.sleep(0.001);
      throw new Error(message);
    };
    const start = async (): Promise<WeakRef<object>[]> => {
      const references = ["in a task", "outside tasks", "awaited late"].map((message, i) => {
        const wait = () => asyncio.waitFor(() => fails(message), 5);
        const started: { promise?: Promise<void> } = {};
        if (i === 1) {
          started.promise = wait();
        } else {
          void asyncio.createTask(
            async () => {
              started.promise = wait();
            },
            { eagerStart: true },
          );
        }
        return started as { promise: Promise<void> };
      });
      await asyncio.sleep(0.01);
      await assert.rejects(references[2]?.promise as Promise<void>, /awaited late/);
      return references.map(({ promise }) => new WeakRef(promise));
    };
    await survivors(await start());
    await asyncio.sleep(0.02);
    assert.deepEqual(reports.map(({ exception }) => (exception as Error).message).sort(), [
      "in a task",
      "outside tasks",
    ]);
  });

  it("an error whose text cannot be made reaches who awaits the task, and ends nothing else", async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", onUnhandled);
    class Unprintable extends Error {
      override toString(): string {
        throw new Error("no text");
      }
      override get message(): string {
        throw new Error("no message");
      }
    }
    const thrown = [
      new Unprintable(),
      Object.assign(new Error("x"), { message: undefined }),
      Object.assign(new Error("x"), { name: Symbol("name") }),
      new (class {
        toString(): string {
          throw new Error("no text");
        }
      })(),
      Object.create(null, { toString: { value: null } }),
    ];
    for (const error of thrown) {
      const task = asyncio.createTask(async () => {
        throw error;
      });
      await assert.rejects(Promise.resolve(task), (reason) => reason === error);
      assert.match(String(task), /^<Task finished name='Task-\d+' coro=<anonymous\(\)> exception=/);
      const future = new asyncio.Future<unknown>();
      future.setResult(error);
      assert.match(String(future), /^<Future finished result=/);
    }
    await asyncio.sleep(0.005);
    process.off("unhandledRejection", onUnhandled);
    assert.deepEqual(unhandled, []);
  });
});

describe("Debug mode", () => {
  it("loop.setDebug() has a task reported that is garbage while it waits, and where it was made", async () => {
    const reports = new Reports().all;
    loop.setDebug(true);
    const make = (): WeakRef<object> =>
      new WeakRef(
        asyncio.createTask(
          async function forgotten() {
            await new asyncio.Future();
          },
          { name: "forgotten" },
        ),
      );
    const references = [make()];
    await asyncio.sleep(0.002);
    assert.equal(await survivors(references), 0);
    await asyncio.sleep(0.02);
    assert.equal(reports.length, 1);
    assert.equal(reports[0]?.message, "Task was destroyed but it is pending!");
    assert.equal(reports[0]?.["task"], "<Task pending name='forgotten' coro=<forgotten()>>");
    assert.match(String(reports[0]?.["sourceTraceback"]), /loop\.test/);
  });

  it("loop.setDebug() that is off records nothing, and a report has no sourceTraceback", async () => {
    const reports = new Reports().all;
    loop.callSoon(() => {
      throw new Error("it broke");
    });
    await iterations(2);
    assert.deepEqual(Object.keys(reports[0] ?? {}), ["message", "exception", "handle"]);
  });

  it("loop.slowCallbackDuration is a tenth of a second by default", () => {
    assert.equal(loop.slowCallbackDuration, 0.1);
  });
});

describe("loop.addSignalHandler() in a worker thread", () => {
  it("has the signal handled, or throws a RuntimeError where no signal reaches a worker", async () => {
    // Otherwise the signal would end the process.
    const ignore = (): void => {};
    process.on("SIGUSR2", ignore);
    const worker = new Worker(new URL("../support/programs/signal-worker.js", import.meta.url));
    try {
      const [first] = (await once(worker, "message")) as [string];
      if (first !== "added") {
        assert.match(first, /^RuntimeError: addSignalHandler\('SIGUSR2'\) only works in the main thread/);
        return;
      }
      process.kill(process.pid, "SIGUSR2");
      assert.deepEqual(await once(worker, "message"), ["handled"]);
    } finally {
      await worker.terminate();
      process.off("SIGUSR2", ignore);
    }
  });
});
