/** In which Context every kind of callback, task and wait runs. Servers and protocols: see server-context.test.ts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Context, ContextVar, copyContext, isolated } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { survivors } from "../support/garbage.ts";

const variable = new ContextVar("variable", { default: "unset" });
const loop = asyncio.getRunningLoop();

/** Runs the body as a task in a Context of its own, so that no test sees what another has set. */
async function inTask(body: () => Promise<void>): Promise<void> {
  await asyncio.createTask(body, { context: new Context() });
}

/** A Context in which the variable has the value. */
function contextWith(value: string): Context {
  const context = new Context();
  context.run(() => variable.set(value));
  return context;
}

/** A way to have a function called once, later, by the loop. */
type Schedule = (callback: () => void, options?: { context?: Context }) => void;

const schedules: Readonly<Record<string, Schedule>> = {
  "loop.callSoon()": (callback, options) => loop.callSoon(callback, options),
  "loop.callLater() of no time": (callback, options) => loop.callLater(0, callback, options),
  "loop.callLater()": (callback, options) => loop.callLater(0.002, callback, options),
  "loop.callAt() of the past": (callback, options) => loop.callAt(0, callback, options),
  "loop.callAt()": (callback, options) => loop.callAt(loop.time() + 0.002, callback, options),
  "Future.addDoneCallback()": (callback, options) => {
    const future = new asyncio.Future<number>();
    future.addDoneCallback(callback, options);
    // The code that sets the result does not decide where the callback runs.
    contextWith("where the result is set").run(() => future.setResult(1));
  },
  "Future.addDoneCallback() of one that is done": (callback, options) => {
    const future = new asyncio.Future<number>();
    future.setResult(1);
    future.addDoneCallback(callback, options);
  },
  "Future.addDoneCallback() of one that is cancelled": (callback, options) => {
    const future = new asyncio.Future<number>();
    future.addDoneCallback(callback, options);
    future.cancel();
  },
  "Task.addDoneCallback()": (callback, options) => {
    asyncio.createTask(() => void variable.set("in the task")).addDoneCallback(callback, options);
  },
};

/** Resolves when the callback has run, which is scheduled in this very step. */
function ran<T>(schedule: Schedule, callback: () => T, options?: { context?: Context }): PromiseLike<T> {
  const result = new asyncio.Future<T>();
  schedule(() => result.setResult(callback()), options);
  return result;
}

for (const [name, schedule] of Object.entries(schedules)) {
  describe(name, () => {
    it(`${name} calls in a copy of the Context at the call: later values are not seen`, () =>
      inTask(async () => {
        variable.set("at the call");
        const seen = ran(schedule, () => variable.get());
        variable.set("later");
        assert.equal(await seen, "at the call");
      }));

    it(`${name} keeps what the callback sets from the creator, and from the next callback`, () =>
      inTask(async () => {
        variable.set("creator's");
        const change = (): string => {
          const before = variable.get();
          variable.set("callback's");
          return before;
        };
        const seen = [ran(schedule, change), ran(schedule, change)];
        assert.deepEqual([await seen[0], await seen[1]], ["creator's", "creator's"]);
        assert.equal(variable.get(), "creator's");
        assert.equal(await ran(schedule, change), "creator's");
      }));

    it(`${name} with a context calls in that one itself: the next callback sees what is set`, () =>
      inTask(async () => {
        variable.set("creator's");
        const context = contextWith("given");
        const append = (): string => {
          variable.set(`${variable.get()} and more`);
          return variable.get();
        };
        assert.equal(await ran(schedule, append, { context }), "given and more");
        assert.equal(await ran(schedule, append, { context }), "given and more and more");
        assert.equal(context.get(variable), "given and more and more");
        assert.equal(variable.get(), "creator's");
      }));

    it(`${name} calls outside of the task that has asked for it`, () =>
      inTask(async () => {
        assert.equal(await ran(schedule, () => asyncio.currentTask()), null);
      }));

    it(`${name} outside of tasks calls in a copy of the Context at the call`, async () => {
      variable.set("outside");
      const seen = ran(schedule, () => variable.get());
      variable.set("later");
      assert.equal(await seen, "outside");
      variable.set("unset");
    });

    it(`${name} in Context.run() calls in a copy of that Context, which can be entered meanwhile`, () =>
      inTask(async () => {
        const context = contextWith("in run()");
        const seen = context.run(() => ran(schedule, () => context.run(() => variable.get())));
        assert.equal(await seen, "in run()");
      }));
  });
}

describe("Handle.getContext()", () => {
  it("Handle.getContext() is the given Context itself", () => {
    const context = new Context();
    const handles = [
      loop.callSoon(() => {}, { context }),
      loop.callLater(60, () => {}, { context }),
      loop.callAt(loop.time() + 60, () => {}, { context }),
    ];
    for (const handle of handles) {
      assert.equal(handle.getContext(), context);
      handle.cancel();
    }
  });

  it("Handle.getContext() is a copy where none is given, one for each callback", () =>
    inTask(async () => {
      variable.set("copied");
      const [first, second] = [loop.callSoon(() => {}), loop.callSoon(() => {})];
      assert.notEqual(first.getContext(), second.getContext());
      assert.equal(first.getContext().get(variable), "copied");
      assert.ok(first.getContext().equals(copyContext()));
    }));
});

describe("loop.addSignalHandler()", () => {
  it(
    "loop.addSignalHandler() calls in a copy of the Context at the call, the same one for each signal",
    {
      skip: process.platform === "win32" && "no process can send itself a signal",
    },
    () =>
      inTask(async () => {
        const seen = new asyncio.Queue<string>();
        const tasks: unknown[] = [];
        variable.set("at the call");
        loop.addSignalHandler("SIGHUP", () => {
          tasks.push(asyncio.currentTask());
          seen.putNowait(variable.get());
          variable.set("in the handler");
        });
        variable.set("later");
        process.kill(process.pid, "SIGHUP");
        // The time limit keeps the process waiting: a listener for a signal does not.
        assert.equal(await asyncio.waitFor(() => seen.get(), 60), "at the call");
        process.kill(process.pid, "SIGHUP");
        assert.equal(await asyncio.waitFor(() => seen.get(), 60), "in the handler");
        assert.equal(loop.removeSignalHandler("SIGHUP"), true);
        assert.equal(variable.get(), "later");
        assert.deepEqual(tasks, [null, null]);
      }),
  );
});

/** A way to run a function as a task, or as several things at once. */
type Spawn = (body: () => Promise<string>) => PromiseLike<string>;

const spawns: Readonly<Record<string, Spawn>> = {
  "createTask()": (body) => asyncio.createTask(body),
  "createTask({ eagerStart: true })": (body) => asyncio.createTask(body, { eagerStart: true }),
  "loop.createTask()": (body) => loop.createTask(body),
  "ensureFuture()": (body) => asyncio.ensureFuture(body),
  "gather()": (body) => asyncio.gather([body]).then(([result]) => result),
  "shield()": (body) => asyncio.shield(body),
  "asCompleted()": async (body) => {
    const [first] = asyncio.asCompleted([body]);
    return (await first) as string;
  },
  "TaskGroup.createTask()": (body) => new asyncio.TaskGroup().with(async (group) => await group.createTask(body)),
};

for (const [name, spawn] of Object.entries(spawns)) {
  describe(name, () => {
    it(`${name} runs the function in a copy of the Context at the call, in one for its whole life`, () =>
      inTask(async () => {
        variable.set("at the call");
        const seen: string[] = [];
        const ended = spawn(async () => {
          seen.push(variable.get());
          variable.set("task's");
          await asyncio.sleep(0);
          seen.push(variable.get());
          await asyncio.sleep(0.002);
          seen.push(variable.get());
          return "ended";
        });
        variable.set("later");
        assert.equal(await ended, "ended");
        assert.deepEqual(seen, ["at the call", "task's", "task's"]);
        assert.equal(variable.get(), "later");
      }));

    it(`${name} keeps what the function sets from its siblings and from the creator`, () =>
      inTask(async () => {
        variable.set("creator's");
        const body = (mine: string) => async (): Promise<string> => {
          const before = variable.get();
          variable.set(mine);
          await asyncio.sleep(0.002);
          return `${before} ${variable.get()}`;
        };
        const both = [spawn(body("first")), spawn(body("second"))];
        assert.deepEqual([await both[0], await both[1]], ["creator's first", "creator's second"]);
        assert.equal(variable.get(), "creator's");
      }));

    it(`${name} lets the function enter the creator's other Contexts, and not its own`, () =>
      inTask(async () => {
        const other = contextWith("other");
        const seen = await spawn(async () => {
          const own = asyncio.currentTask()?.getContext() as Context;
          assert.throws(() => own.run(() => {}), /is already entered/);
          return other.run(() => variable.get());
        });
        assert.equal(seen, "other");
      }));
  });
}

describe("gather() and others that run several functions", () => {
  /** A body that appends to the variable's value, and returns what it sees a turn later. */
  const body = (mine: string) => async (): Promise<string> => {
    variable.set(`${variable.get()} ${mine}`);
    await asyncio.sleep(0);
    return variable.get();
  };

  it("gather() runs each function in its own copy", () =>
    inTask(async () => {
      variable.set("creator's");
      assert.deepEqual(await asyncio.gather([body("1"), body("2"), body("3")]), [
        "creator's 1",
        "creator's 2",
        "creator's 3",
      ]);
      assert.equal(variable.get(), "creator's");
    }));

  it("wait() lets each task run in its own copy", () =>
    inTask(async () => {
      variable.set("creator's");
      const [done] = await asyncio.wait(["1", "2"].map((mine) => asyncio.createTask(body(mine))));
      assert.deepEqual([...done].map((task) => task.result()).sort(), ["creator's 1", "creator's 2"]);
      assert.equal(variable.get(), "creator's");
    }));

  it("waitFor() runs the function in the Context of the task that waits, even with a time limit", () =>
    inTask(async () => {
      await asyncio.waitFor(async () => {
        await asyncio.sleep(0);
        variable.set("in waitFor()");
      }, 60);
      assert.equal(variable.get(), "in waitFor()");
    }));

  it("waitFor() of a task leaves it in its own Context", () =>
    inTask(async () => {
      await asyncio.waitFor(
        asyncio.createTask(async () => {
          variable.set("task's");
        }),
        60,
      );
      assert.equal(variable.get(), "unset");
    }));
});

describe("Task.getContext()", () => {
  it("createTask({ context }) shares the Context: creator, task and the next task see each other's values", () =>
    inTask(async () => {
      const context = contextWith("given");
      const step = async (): Promise<string> => {
        const before = variable.get();
        await asyncio.sleep(0);
        variable.set(`${before}.`);
        return before;
      };
      const first = asyncio.createTask(step, { context });
      assert.equal(first.getContext(), context);
      assert.equal(await first, "given");
      assert.equal(await loop.createTask(step, { context }), "given.");
      assert.equal(await asyncio.createTask(step, { context, eagerStart: true }), "given..");
      await new asyncio.TaskGroup().with(async (group) => {
        assert.equal(await group.createTask(step, { context }), "given...");
      });
      assert.equal(context.get(variable), "given....");
      assert.equal(variable.get(), "unset");
    }));

  it("createTask({ context }) with the creator's own Context: the creator sees what the task has set", () =>
    inTask(async () => {
      const own = asyncio.currentTask()?.getContext() as Context;
      await asyncio.createTask(
        async () => {
          variable.set("task's");
        },
        { context: own },
      );
      assert.equal(variable.get(), "task's");
    }));

  it("createTask({ eagerStart: true }) puts the creator's Context back when the task first waits", () =>
    inTask(async () => {
      variable.set("creator's");
      const creator = asyncio.currentTask();
      const seen: unknown[] = [];
      const task = asyncio.createTask(
        async () => {
          seen.push(variable.get(), asyncio.currentTask() === creator);
          variable.set("task's");
          await asyncio.sleep(0);
          seen.push(variable.get());
        },
        { eagerStart: true },
      );
      assert.deepEqual(seen, ["creator's", false]);
      assert.equal(variable.get(), "creator's");
      assert.equal(asyncio.currentTask(), creator);
      await task;
      assert.deepEqual(seen, ["creator's", false, "task's"]);
      assert.equal(variable.get(), "creator's");
    }));

  it("createTask({ eagerStart: true }) restores the creator's Context when the function throws immediately", () =>
    inTask(async () => {
      variable.set("creator's");
      const task = asyncio.createTask(
        () => {
          variable.set("task's");
          throw new Error("at once");
        },
        { eagerStart: true },
      );
      assert.equal(variable.get(), "creator's");
      await assert.rejects(Promise.resolve(task), /at once/);
      assert.equal(task.getContext().get(variable), "task's");
    }));
});

describe("A wait", () => {
  /** A thing to wait for, and what ends the wait; that is called in another task with another value. */
  const waits: Readonly<Record<string, () => [wait: () => PromiseLike<unknown>, end: () => void]>> = {
    Future: () => {
      const future = new asyncio.Future<number>();
      return [() => future, () => future.setResult(1)];
    },
    "Lock.acquire()": () => {
      const lock = new asyncio.Lock();
      void lock.acquire();
      return [() => lock.acquire(), () => lock.release()];
    },
    "Event.wait()": () => {
      const event = new asyncio.Event();
      return [() => event.wait(), () => event.set()];
    },
    "Condition.wait()": () => {
      const condition = new asyncio.Condition();
      return [() => condition.with(() => condition.wait()), () => void condition.with(() => condition.notify())];
    },
    "Condition.waitFor()": () => {
      const condition = new asyncio.Condition();
      let ready = false;
      return [
        () =>
          condition.with(() =>
            condition.waitFor(() => {
              // The predicate is the waiter's code, no matter which task calls notify().
              assert.equal(variable.get(), "waiter's");
              return ready;
            }),
          ),
        () => {
          ready = true;
          void condition.with(() => condition.notify());
        },
      ];
    },
    "Semaphore.acquire()": () => {
      const semaphore = new asyncio.Semaphore(0);
      return [() => semaphore.acquire(), () => semaphore.release()];
    },
    "Barrier.wait()": () => {
      const barrier = new asyncio.Barrier(2);
      return [() => barrier.wait(), () => void barrier.wait()];
    },
    "Queue.get()": () => {
      const queue = new asyncio.Queue<number>();
      return [() => queue.get(), () => queue.putNowait(1)];
    },
    "Queue.put()": () => {
      const queue = new asyncio.Queue<number>(1);
      queue.putNowait(1);
      return [() => queue.put(2), () => queue.getNowait()];
    },
    "Queue.join()": () => {
      const queue = new asyncio.Queue<number>();
      queue.putNowait(1);
      return [() => queue.join(), () => queue.taskDone()];
    },
    "StreamReader.readline()": () => {
      const reader = new asyncio.StreamReader();
      return [() => reader.readline(), () => reader.feedData(Buffer.from("line\n"))];
    },
    "shield()": () => {
      const future = new asyncio.Future<number>();
      return [() => asyncio.shield(future), () => future.setResult(1)];
    },
    "gather()": () => {
      const future = new asyncio.Future<number>();
      return [() => asyncio.gather([future]), () => future.setResult(1)];
    },
    "wait()": () => {
      const future = new asyncio.Future<number>();
      return [() => asyncio.wait([future]), () => future.setResult(1)];
    },
    "waitFor()": () => {
      const future = new asyncio.Future<number>();
      return [() => asyncio.waitFor(future, 60), () => future.setResult(1)];
    },
    "asCompleted()": () => {
      const future = new asyncio.Future<number>();
      return [
        async () => {
          for await (const done of asyncio.asCompleted([future])) {
            assert.equal(await done, 1);
          }
        },
        () => future.setResult(1),
      ];
    },
  };

  for (const [name, make] of Object.entries(waits)) {
    it(`${name} continues in the waiting code's Context, not in that of the code that ends the wait`, () =>
      inTask(async () => {
        const [wait, end] = make();
        const seen: string[] = [];
        const waiter = asyncio.createTask(async () => {
          variable.set("waiter's");
          await wait();
          seen.push(variable.get());
          variable.set("waiter's later");
        });
        await asyncio.sleep(0.002);
        await asyncio.createTask(async () => {
          variable.set("ender's");
          end();
          await waiter;
          seen.push(variable.get());
        });
        assert.deepEqual(seen, ["waiter's", "ender's"]);
        assert.equal(variable.get(), "unset");
      }));

    it(`${name} that is cancelled continues in the waiting code's Context`, () =>
      inTask(async () => {
        const [wait] = make();
        const seen: string[] = [];
        const waiter = asyncio.createTask(async () => {
          variable.set("waiter's");
          try {
            await wait();
          } finally {
            seen.push(variable.get());
          }
        });
        await asyncio.sleep(0.002);
        variable.set("canceller's");
        waiter.cancel();
        await assert.rejects(Promise.resolve(waiter), asyncio.CancelledError);
        assert.deepEqual(seen, ["waiter's"]);
      }));
  }

  it("Lock.with(), and the like of others, run the block in the Context around it", () =>
    inTask(async () => {
      const holders = [new asyncio.Lock(), new asyncio.Semaphore(), new asyncio.Condition()];
      for (const holder of holders) {
        await holder.with(async () => {
          await asyncio.sleep(0);
          variable.set(`in a ${holder.constructor.name}`);
        });
        assert.equal(variable.get(), `in a ${holder.constructor.name}`);
      }
    }));

  it("timeout().with() runs the block in the Context around it", () =>
    inTask(async () => {
      await asyncio.timeout(60).with(async () => {
        await asyncio.sleep(0);
        variable.set("in the block");
      });
      assert.equal(variable.get(), "in the block");
    }));

  it("timeout() that expires keeps the values set in the block, and continues in the Context around it", () =>
    inTask(async () => {
      await assert.rejects(
        asyncio.timeout(0.002).with(async () => {
          variable.set("in the block");
          await asyncio.sleep(60);
        }),
        asyncio.TimeoutError,
      );
      assert.equal(variable.get(), "in the block");
    }));

  it("TaskGroup.with() runs the block in the Context around it", () =>
    inTask(async () => {
      await new asyncio.TaskGroup().with(async (group) => {
        group.createTask(() => void variable.set("in a task of the group"));
        await asyncio.sleep(0);
        variable.set("in the block");
      });
      assert.equal(variable.get(), "in the block");
    }));

  it("an async function that is awaited shares the Context: its caller sees what it has set, and can reset it", () =>
    inTask(async () => {
      variable.set("before");
      const setter = async () => {
        await asyncio.sleep(0);
        return variable.set("by the function");
      };
      const token = await setter();
      assert.equal(variable.get(), "by the function");
      variable.reset(token);
      assert.equal(variable.get(), "before");
    }));

  it("a token of one task cannot be reset in another", () =>
    inTask(async () => {
      const token = variable.set("creator's");
      await asyncio.createTask(async () => {
        assert.throws(() => variable.reset(token), { name: "ValueError", message: /different Context/ });
      });
      variable.reset(token);
      assert.equal(variable.get(), "unset");
    }));

  it("an async generator runs each step in the Context of the task that asks for it", () =>
    inTask(async () => {
      async function* steps(): AsyncGenerator<string, void> {
        for (let i = 1; ; i++) {
          await asyncio.sleep(0);
          const before = variable.get();
          variable.set(`step ${i}`);
          yield before;
        }
      }
      const generator = steps();
      const next = async (): Promise<unknown> => (await generator.next()).value;
      assert.equal(await next(), "unset");
      assert.equal(variable.get(), "step 1");
      const inOther = asyncio.createTask(async () => {
        variable.set("other's");
        const before = await next();
        return [before, variable.get()];
      });
      assert.deepEqual(await inOther, ["other's", "step 2"]);
      assert.equal(variable.get(), "step 1");
      await generator.return();
    }));
});

describe("The exception handler", () => {
  /** What the handler was told while the body ran, and which value it saw. */
  async function handled(body: () => Promise<unknown>): Promise<[message: string, value: string][]> {
    const calls: [string, string][] = [];
    loop.setExceptionHandler((_, { message }) => calls.push([message, variable.get()]));
    try {
      await body();
    } finally {
      loop.setExceptionHandler(null);
    }
    return calls;
  }

  it("loop.setExceptionHandler() has the function called in the Context of the callback that has failed", () =>
    inTask(async () => {
      const calls = await handled(async () => {
        loop.callSoon(function callback() {
          variable.set("callback's");
          throw new Error("it broke");
        });
        await asyncio.sleep(0.002);
      });
      assert.deepEqual(calls, [["Exception in callback callback()", "callback's"]]);
      assert.equal(variable.get(), "unset");
    }));

  it("loop.setExceptionHandler() has the function called in the Context of the done callback that has failed", () =>
    inTask(async () => {
      const calls = await handled(async () => {
        const future = new asyncio.Future<number>();
        const context = contextWith("done callback's");
        future.addDoneCallback(
          () => {
            throw new Error("it broke");
          },
          { context },
        );
        future.setResult(1);
        await asyncio.sleep(0);
        await asyncio.sleep(0);
      });
      assert.deepEqual(
        calls.map(([, value]) => value),
        ["done callback's"],
      );
    }));

  it("loop.setExceptionHandler(): the handler runs in the Context of the task whose error was never retrieved", () =>
    inTask(async () => {
      const calls = await handled(async () => {
        const start = (): WeakRef<object> => {
          const task = asyncio.createTask(async () => {
            variable.set("task's");
            throw new Error("never seen");
          });
          return new WeakRef(task);
        };
        const references = [start()];
        await asyncio.sleep(0.002);
        assert.equal(await survivors(references), 0);
        await asyncio.sleep(0.02);
      });
      assert.deepEqual(calls, [["Task exception was never retrieved", "task's"]]);
    }));

  it("loop.callExceptionHandler() with a task, a future or a handle calls in the Context of that", () =>
    inTask(async () => {
      variable.set("caller's");
      const task = asyncio.createTask(async () => {}, { context: contextWith("task's") });
      const handle = loop.callSoon(() => {}, { context: contextWith("handle's") });
      const future = new asyncio.Future<void>();
      const calls = await handled(async () => {
        loop.callExceptionHandler({ message: "nothing" });
        loop.callExceptionHandler({ message: "task", task });
        loop.callExceptionHandler({ message: "a task as the future", future: task });
        loop.callExceptionHandler({ message: "handle", handle });
        loop.callExceptionHandler({ message: "task and handle", handle, task });
        loop.callExceptionHandler({ message: "future and handle", handle, future });
      });
      assert.deepEqual(calls, [
        ["nothing", "caller's"],
        ["task", "task's"],
        ["a task as the future", "task's"],
        ["handle", "handle's"],
        ["task and handle", "task's"],
        ["future and handle", "caller's"],
      ]);
      await task;
    }));

  it("loop.callExceptionHandler() with the current task calls the handler", () =>
    inTask(async () => {
      variable.set("task's");
      const calls = await handled(async () => {
        loop.callExceptionHandler({ message: "current", task: asyncio.currentTask() });
      });
      assert.deepEqual(calls, [["current", "task's"]]);
    }));
});

describe("Runner and the Context", () => {
  it("run() runs the main function in a copy of the Context around it: what it sets stays inside", async () => {
    await contextWith("around").run(async () => {
      const seen = await asyncio.run(async () => {
        const before = variable.get();
        variable.set("main's");
        await asyncio.sleep(0);
        return [before, variable.get()];
      });
      assert.deepEqual(seen, ["around", "main's"]);
      assert.equal(variable.get(), "around");
    });
  });

  it("Runner.run() sees the values of the moment at which the Runner began, not those of later calls", async () => {
    await contextWith("first").run(async () => {
      await using runner = new asyncio.Runner();
      const read = async (): Promise<string> => variable.get();
      assert.equal(await runner.run(read), "first");
      variable.set("second");
      assert.equal(await runner.run(read), "first");
    });
  });

  it("Runner.run({ context }) runs in the given Context itself, and leaves the Runner's own alone", async () => {
    await using runner = new asyncio.Runner();
    const context = contextWith("given");
    const append = async (): Promise<string> => {
      const before = variable.get();
      variable.set(`${before} and more`);
      return before;
    };
    assert.equal(await runner.run(append), "unset");
    assert.equal(await runner.run(append, { context }), "given");
    assert.equal(context.get(variable), "given and more");
    assert.equal(await runner.run(append), "unset and more");
  });

  it("Runner.close() has finally blocks run in the Context of their task", async () => {
    const seen: string[] = [];
    await asyncio.run(async () => {
      asyncio.createTask(async () => {
        variable.set("task's");
        try {
          await asyncio.sleep(60);
        } finally {
          await asyncio.sleep(0);
          seen.push(variable.get());
        }
      });
      variable.set("main's");
      await asyncio.sleep(0);
    });
    assert.deepEqual(seen, ["task's"]);
  });
});

describe("isolated() in tasks", () => {
  it("isolated() keeps the values of where it was called, and leaves the task to the caller", () =>
    inTask(async () => {
      variable.set("registered");
      const registering = asyncio.currentTask();
      const seen = isolated(() => [variable.get(), asyncio.currentTask()]);
      const calling = asyncio.createTask(async () => {
        variable.set("of the caller");
        await asyncio.sleep(0);
        return seen();
      });
      assert.deepEqual(await calling, ["registered", calling]);
      assert.deepEqual(await ran(schedules["loop.callSoon()"] as Schedule, seen), ["registered", null]);
      assert.deepEqual(seen(), ["registered", registering]);
    }));

  it("a timeout() in isolated() cancels the wait of the task that calls", () =>
    inTask(async () => {
      const registering = asyncio.currentTask();
      const job = isolated(async () => {
        await asyncio.timeout(0).with(() => asyncio.sleep(60));
      });
      const worker = asyncio.createTask(job);
      await assert.rejects(worker, asyncio.TimeoutError);
      assert.equal(worker.cancelled(), false);
      assert.equal(registering?.cancelling(), 0);
    }));

  it("cancel() of the task that calls reaches a wait in isolated()", () =>
    inTask(async () => {
      const job = isolated(() => asyncio.sleep(60));
      const worker = asyncio.createTask(async () => {
        await job();
      });
      await asyncio.sleep(0);
      worker.cancel();
      await assert.rejects(worker, asyncio.CancelledError);
    }));
});
