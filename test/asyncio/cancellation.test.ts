/** What counts as a cancellation, and what a signal has to do with it. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { packageRoot } from "../support/paths.ts";

/** The outcome of something that is expected to fail. */
async function failureOf(awaitable: PromiseLike<unknown>): Promise<Error & { code?: string }> {
  try {
    await awaitable;
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

function ownSignal(): AbortSignal {
  return (asyncio.currentTask() as asyncio.Task<unknown>).signal;
}

/** A function of a library: waits until the signal is aborted, then throws what the second function makes of it. */
async function foreignWait(signal: AbortSignal, error: (reason: unknown) => unknown): Promise<never> {
  return await new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(error(signal.reason)), { once: true });
  });
}

class NamedAbortError extends Error {
  override name = "AbortError";
}

/** What libraries throw when the signal that they were given is aborted. */
const abortErrors: Readonly<Record<string, (reason: unknown) => unknown>> = {
  "the reason": (reason) => reason,
  "a DOMException": () => new DOMException("aborted", "AbortError"),
  "an AbortError without a cause": () => new NamedAbortError("aborted"),
  "an AbortError with the reason as its cause": (cause) => new NamedAbortError("aborted", { cause }),
  "an AbortError of an AbortError": (cause) =>
    new NamedAbortError("outer", { cause: new NamedAbortError("aborted", { cause }) }),
  "an AbortError that causes itself": () => {
    const error = new NamedAbortError("aborted");
    error.cause = error;
    return error;
  },
};

describe("a cancellation at the end of a using block, after another error in the block", () => {
  // The first cancel() ends the block, or, if the block has failed, its end.
  const failing: [string, () => Promise<unknown>, string][] = [
    ["was cancelled", () => asyncio.sleep(10), "second"],
    ["failed", () => Promise.reject(new Error("in the block")), "first"],
  ];
  for (const [how, wait, message] of failing) {
    const block = async (): Promise<void> => {
      await using _ = { [Symbol.asyncDispose]: () => asyncio.sleep(10) };
      await wait();
    };

    it(`the task is cancelled, as in Python, if the block ${how}`, async () => {
      const task = asyncio.createTask(block);
      await asyncio.sleep(0);
      task.cancel("first");
      await asyncio.sleep(0.001);
      task.cancel("second");
      const error = await failureOf(task);
      assert.ok(task.cancelled());
      assert.equal(error.message, message);
      assert.equal((error.cause as Error).name, "SuppressedError");
    });
  }

  it("timeout() throws a TimeoutError if its deadline comes at the end of a block that failed", async () => {
    const block = async (): Promise<void> => {
      await using _ = { [Symbol.asyncDispose]: () => asyncio.sleep(10) };
      throw new Error("in the block");
    };
    const task = asyncio.createTask(() => asyncio.timeout(0.01).with(block));
    assert.ok((await failureOf(task)) instanceof asyncio.TimeoutError);
  });

  it("the task fails if the end of the block has failed", async () => {
    const task = asyncio.createTask(async () => {
      await using _ = { [Symbol.asyncDispose]: () => Promise.reject(new Error("at the end")) };
      await asyncio.sleep(10);
    });
    await asyncio.sleep(0);
    task.cancel();
    const error = await failureOf(task);
    assert.ok(!task.cancelled());
    assert.equal(error.name, "SuppressedError");
    assert.ok(!asyncio.isCancelled(error));
  });
});

describe("a cancellation that Promise.any() throws as an AggregateError", () => {
  const both = (): Promise<unknown> => Promise.any([asyncio.sleep(10), asyncio.sleep(10)]);

  it("the task is cancelled, with the message, and the AggregateError is the cause", async () => {
    const task = asyncio.createTask(both);
    await asyncio.sleep(0);
    task.cancel("enough");
    const error = await failureOf(task);
    assert.ok(task.cancelled());
    assert.equal(error.message, "enough");
    assert.ok(error.cause instanceof AggregateError);
  });

  it("timeout() throws a TimeoutError, and so does waitFor()", async () => {
    const limited = asyncio.createTask(() => asyncio.timeout(0.001).with(both));
    assert.ok((await failureOf(limited)) instanceof asyncio.TimeoutError);
    assert.ok((await failureOf(asyncio.waitFor(both, 0.001))) instanceof asyncio.TimeoutError);
  });

  it("isCancelled() of an AggregateError is true if it has cancellations and nothing else", () => {
    const cancelled = new asyncio.CancelledError();
    const aborted = new NamedAbortError("aborted", { cause: cancelled });
    assert.ok(asyncio.isCancelled(new AggregateError([cancelled, aborted])));
    const cyclic = new AggregateError([]);
    cyclic.errors.push(cyclic);
    for (const errors of [
      [],
      [cancelled, new Error("failed")],
      [undefined],
      [cyclic],
      [new AggregateError([cancelled])],
    ]) {
      assert.ok(!asyncio.isCancelled(new AggregateError(errors)));
    }
    assert.ok(!asyncio.isCancelled(cyclic));
    assert.ok(!asyncio.isCancelled(new asyncio.ExceptionGroup("group", [cancelled])));
    assert.ok(!asyncio.isCancelled(Object.assign(new AggregateError([]), { errors: 42 })));
  });
});

describe("a cancellation that a function throws as an AbortError", () => {
  for (const [name, made] of Object.entries(abortErrors)) {
    const body = () => foreignWait(ownSignal(), made);

    it(`Task: ${name} out of a body whose signal was aborted cancels the task`, async () => {
      const task = asyncio.createTask(body);
      await asyncio.sleep(0);
      task.cancel("why");
      const error = await failureOf(task);
      assert.ok(task.cancelled());
      assert.ok(error instanceof asyncio.CancelledError);
      assert.equal(error.reason, "why");
    });

    it(`timeout() makes a TimeoutError of ${name}`, async () => {
      await asyncio.createTask(async () => {
        const error = await failureOf(asyncio.timeout(0.01).with(body));
        assert.equal(error.name, "TimeoutError");
        assert.equal(asyncio.currentTask()?.cancelling(), 0);
        await asyncio.sleep(0);
      });
    });

    it(`waitFor() makes a TimeoutError of ${name}`, async () => {
      assert.equal((await failureOf(asyncio.waitFor(body, 0.01))).name, "TimeoutError");
    });

    it(`TaskGroup: ${name} that its body throws is not an error of the group`, async () => {
      await asyncio.createTask(async () => {
        const error = await failureOf(
          new asyncio.TaskGroup().with(async (group) => {
            group.createTask(async () => {
              await asyncio.sleep(0);
              throw new Error("the task's");
            });
            await body();
          }),
        );
        assert.ok(error instanceof asyncio.ExceptionGroup);
        assert.deepEqual(error.exceptions.map(String), ["Error: the task's"]);
      });
    });

    it(`a TaskGroup within a cancelled task lets ${name} cancel that task once`, async () => {
      const task = asyncio.createTask(async () => {
        const error = await failureOf(
          new asyncio.TaskGroup().with(async (group) => {
            group.createTask(() => asyncio.sleep(3600));
            await body();
          }),
        );
        await asyncio.sleep(0);
        throw error;
      });
      await asyncio.sleep(0.01);
      task.cancel();
      assert.ok((await failureOf(task)) instanceof asyncio.CancelledError);
    });
  }

  it("Task is cancelled when events.once() ends by its signal", async () => {
    const task = asyncio.createTask(() => once(new EventEmitter(), "never", { signal: ownSignal() }));
    await asyncio.sleep(0);
    task.cancel();
    assert.ok((await failureOf(task)) instanceof asyncio.CancelledError);
    assert.ok(task.cancelled());
  });

  it("Task fails with an AbortError when it was not cancelled", async () => {
    const controller = new AbortController();
    const task = asyncio.createTask(async () => {
      void ownSignal();
      await foreignWait(controller.signal, () => new NamedAbortError("its own"));
    });
    await asyncio.sleep(0);
    controller.abort();
    assert.equal((await failureOf(task)).message, "its own");
    assert.equal(task.cancelled(), false);
  });

  it("Task fails with an AbortError after a wait has delivered its cancellation and the body has caught it", async () => {
    const task = asyncio.createTask(async () => {
      void ownSignal();
      await assert.rejects(asyncio.sleep(3600), asyncio.CancelledError);
      throw new NamedAbortError("another matter");
    });
    await asyncio.sleep(0);
    task.cancel();
    assert.equal((await failureOf(task)).message, "another matter");
    assert.equal(task.cancelled(), false);
  });
});

describe("errors that are merely named so", () => {
  class CancelledError extends Error {
    override name = "CancelledError";
    readonly orderId = 4711;
  }

  const foreign: Readonly<Record<string, () => unknown>> = {
    "a CancelledError of another library": () => new CancelledError("the customer has cancelled"),
    "an AbortError caused by one": () => new NamedAbortError("aborted", { cause: new CancelledError("foreign") }),
    "an object of that name": () => ({ name: "CancelledError" }),
    "an error whose name throws": () =>
      Object.defineProperty(new Error("hostile"), "name", {
        get() {
          throw new Error("no name");
        },
      }),
    null: () => null,
    "a string": () => "CancelledError",
  };

  for (const [name, made] of Object.entries(foreign)) {
    it(`Task fails with ${name}, the very value that was thrown`, async () => {
      const thrown = made();
      assert.equal(asyncio.isCancelled(thrown), false);
      const task = asyncio.createTask(() => {
        throw thrown;
      });
      assert.equal(await failureOf(task), thrown);
      assert.equal(task.cancelled(), false);
    });
  }
});

const task = () => asyncio.currentTask() as asyncio.Task<unknown>;
/**
 * Longer than the limits below; a promise that nothing can cancel. The loop's timer ends it, because one of Node could
 * overtake the limit's on a busy machine.
 */
const foreignPause = (seconds = 0.02) =>
  new Promise<void>((resolve) => void asyncio.getRunningLoop().callLater(seconds, () => resolve()));

describe("a deadline that passes unnoticed by the body", () => {
  const limits: Readonly<Record<string, <T>(body: () => Promise<T>) => Promise<T>>> = {
    "timeout()": (body) => asyncio.timeout(0.005).with(body),
    "timeoutAt()": (body) => asyncio.timeoutAt(asyncio.getRunningLoop().time() + 0.005).with(body),
    "Timeout.reschedule()": (body) =>
      asyncio.timeout(null).with((limit) => {
        limit.reschedule(asyncio.getRunningLoop().time() + 0.005);
        return body();
      }),
    "waitFor()": (body) => asyncio.waitFor(body, 0.005),
  };

  for (const [name, limited] of Object.entries(limits)) {
    it(`${name} throws a TimeoutError when its body has waited for a foreign promise beyond the deadline`, async () => {
      await asyncio.createTask(async () => {
        const error = await failureOf(limited(async () => await foreignPause()));
        assert.equal(error.name, "TimeoutError");
        // Nothing of it is left.
        assert.equal(task().cancelling(), 0);
        await asyncio.sleep(0);
      });
    });

    it(`${name} around a body that catches the CancelledError and returns, returns the result`, async () => {
      await asyncio.createTask(async () => {
        const result = await limited(async () => {
          await assert.rejects(asyncio.sleep(3600), asyncio.CancelledError);
          return "caught";
        });
        assert.equal(result, "caught");
        assert.equal(task().cancelling(), 0);
      });
    });

    it(`${name} throws the error of a body that fails after the deadline`, async () => {
      await asyncio.createTask(async () => {
        const limit = limited(async () => {
          await foreignPause();
          throw new Error("late");
        });
        assert.equal((await failureOf(limit)).message, "late");
        await asyncio.sleep(0);
      });
    });

    it(`${name} does not swallow another cancellation of its task`, async () => {
      const cancelled = asyncio.createTask(async () => {
        await limited(async () => await foreignPause(0.04));
        await assert.rejects(asyncio.sleep(0), asyncio.CancelledError);
        return task().cancelling();
      });
      await foreignPause(0.015);
      cancelled.cancel();
      assert.equal(await cancelled, 1);
    });

    it(`${name} in a task that has caught a cancellation before leaves none behind`, async () => {
      await asyncio.createTask(async () => {
        task().cancel();
        await assert.rejects(asyncio.sleep(0), asyncio.CancelledError);
        assert.equal((await failureOf(limited(async () => await foreignPause()))).name, "TimeoutError");
        assert.equal(task().cancelling(), 1);
        await asyncio.sleep(0);
      });
    });

    it(`${name} keeps an earlier cancellation for the next wait`, async () => {
      await asyncio.createTask(async () => {
        task().cancel();
        assert.equal((await failureOf(limited(async () => await foreignPause()))).name, "TimeoutError");
        await assert.rejects(asyncio.sleep(0), asyncio.CancelledError);
      });
    });
  }

  it("waitFor() of a promise ends at the deadline", async () => {
    assert.equal((await failureOf(asyncio.waitFor(new Promise(() => {}), 0.005))).name, "TimeoutError");
  });

  it("waitFor() without a timeout throws a TypeError and does not run the function", async () => {
    let ran = false;
    for (const timeout of [undefined, "1", {}, 1n] as unknown as number[]) {
      const wait = asyncio.waitFor(() => {
        ran = true;
      }, timeout);
      assert.equal((await failureOf(wait)).name, "TypeError");
    }
    assert.equal(ran, false);
    assert.equal(await asyncio.waitFor(() => asyncio.sleep(0.001, "no limit"), null), "no limit");
  });
});

describe("createTask() with a signal", () => {
  const makers: Readonly<
    Record<string, (body: () => Promise<unknown>, options: asyncio.TaskOptions) => Promise<unknown>>
  > = {
    "createTask()": async (body, options) => await asyncio.createTask(body, options),
    "loop.createTask()": async (body, options) => await asyncio.getRunningLoop().createTask(body, options),
    "TaskGroup.createTask()": async (body, options) =>
      await new asyncio.TaskGroup().with((group) => group.createTask(body, options)),
    "createTask() with eagerStart": async (body, options) =>
      await asyncio.createTask(body, { ...options, eagerStart: true }),
  };

  for (const [name, make] of Object.entries(makers)) {
    it(`${name}: an abort cancels the task, at any depth, with the reason as the cause`, async () => {
      const controller = new AbortController();
      const reason = new Error("the user went away");
      const seen: unknown[] = [];
      const wait = asyncio.createTask(() =>
        make(
          async () => {
            try {
              await asyncio.createTask(async () => {
                try {
                  await asyncio.sleep(3600);
                } catch (error) {
                  seen.push((error as Error).cause);
                  throw error;
                }
              });
            } catch (error) {
              seen.push((error as Error).cause, (ownSignal().reason as Error).cause);
              throw error;
            }
          },
          { signal: controller.signal },
        ),
      );
      await asyncio.sleep(0.01);
      controller.abort(reason);
      const error = await failureOf(wait);
      assert.ok(error instanceof asyncio.CancelledError);
      assert.equal(error.cause, reason);
      assert.deepEqual(seen, [reason, reason, reason]);
    });

    it(`${name}: a signal that was aborted before keeps the task from running`, async () => {
      let ran = false;
      const wait = asyncio.createTask(() =>
        make(
          async () => {
            ran = true;
          },
          { signal: AbortSignal.abort("too late") },
        ),
      );
      const error = await failureOf(wait);
      assert.ok(error instanceof asyncio.CancelledError);
      assert.equal(error.cause, "too late");
      assert.equal(ran, false);
    });

    it(`${name}: a thousand tasks of one signal are one listener, which stays as long as there is a task`, async () => {
      const { controller, signal, added, removed } = countingSignal();
      const warnings: string[] = [];
      const onWarning = (warning: Error): void => void warnings.push(String(warning));
      process.on("warning", onWarning);
      const all = async (body: () => Promise<unknown>): Promise<unknown[]> => {
        const tasks = Array.from({ length: 1000 }, () => asyncio.createTask(() => make(body, { signal })));
        return await asyncio.gather(tasks, { returnExceptions: true });
      };
      await all(() => asyncio.sleep(0));
      await asyncio.sleep(0);
      assert.equal(removed(), added(), "listeners are left after the end of all tasks");
      const aborted = asyncio.createTask(() => all(() => asyncio.sleep(3600)));
      await asyncio.sleep(0.01);
      assert.equal(added() - removed(), 1);
      controller.abort("enough");
      for (const error of await aborted) {
        assert.ok(error instanceof asyncio.CancelledError);
        assert.equal(error.cause, "enough");
      }
      await asyncio.sleep(0.01);
      process.off("warning", onWarning);
      assert.deepEqual(warnings, []);
    });

    it(`${name}: an abort after the end does nothing, and the signal keeps no listener`, async () => {
      const { signal, added, removed } = countingSignal();
      assert.equal(await asyncio.createTask(() => make(async () => "done", { signal })), "done");
      await asyncio.sleep(0);
      assert.equal(added(), 1);
      assert.equal(removed(), 1);
    });
  }

  it("is tested for all functions that take the options of a task", () => {
    const declared = readdirSync(join(packageRoot, "dist/asyncio"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".d.ts"))
      .map((file) => readFileSync(join(packageRoot, "dist/asyncio", file), "utf8"))
      .flatMap((text) => text.match(/\boptions\?: TaskOptions\b/g) ?? []);
    assert.equal(declared.length, new Set(Object.keys(makers).map((name) => name.split(" ")[0])).size);
  });

  it("every await of a task that its signal has cancelled gets the reason", async () => {
    const task = asyncio.createTask(() => asyncio.sleep(3600), { signal: AbortSignal.timeout(5) });
    for (let i = 0; i < 3; i++) {
      assert.equal(((await failureOf(task)).cause as Error).name, "TimeoutError");
    }
  });

  it("createTask() throws a TypeError unless signal is an AbortSignal", () => {
    for (const signal of [null, 1, {}, new AbortController()] as unknown as AbortSignal[]) {
      assert.throws(() => asyncio.createTask(async () => {}, { signal }), TypeError);
    }
  });
});

interface CountingSignal {
  readonly controller: AbortController;
  readonly signal: AbortSignal;
  readonly added: () => number;
  readonly removed: () => number;
}

/** A signal that counts its listeners. */
function countingSignal(): CountingSignal {
  const controller = new AbortController();
  const { signal } = controller;
  const counts = { added: 0, removed: 0 };
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    counts.added += 1;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    counts.removed += 1;
    removeEventListener.apply(signal, args);
  };
  return { controller, signal, added: () => counts.added, removed: () => counts.removed };
}

/** Tasks in a ring: each awaits the next one, the last the first. */
async function ring(size: number): Promise<asyncio.Task<unknown>[]> {
  const tasks: asyncio.Task<unknown>[] = Array.from({ length: size }, (_, i) =>
    asyncio.createTask(async () => await tasks[(i + 1) % size]),
  );
  await asyncio.sleep(0);
  return tasks;
}

describe("tasks that await each other", () => {
  for (const size of [2, 3]) {
    it(`Task.cancel() cancels all ${size} tasks that await each other`, async () => {
      const tasks = await ring(size);
      assert.equal(tasks[0]?.cancel("enough"), true);
      assert.deepEqual(
        tasks.map((each) => each.cancelling()),
        tasks.map(() => 1),
      );
      await asyncio.wait(tasks);
      assert.ok(tasks.every((each) => each.cancelled()));
      assert.equal((await failureOf(tasks[0] as asyncio.Task<unknown>)).message, "enough");
    });
  }

  it("Task.cancel() of a task that awaits one of them cancels them as well", async () => {
    const tasks = await ring(2);
    const outer = asyncio.createTask(async () => await tasks[0]);
    await asyncio.sleep(0);
    outer.cancel();
    await asyncio.wait([outer, ...tasks]);
    assert.ok([outer, ...tasks].every((each) => each.cancelled()));
  });

  it("Task.cancel() called twice in a row delivers one CancelledError", async () => {
    const caught: unknown[] = [];
    const first: asyncio.Task<unknown> = asyncio.createTask(async () => {
      await second.catch((error: unknown) => caught.push(error));
      await asyncio.sleep(0);
    });
    const second: asyncio.Task<unknown> = asyncio.createTask(async () => await first);
    await asyncio.sleep(0);
    first.cancel();
    first.cancel();
    await first;
    assert.equal(caught.length, 1);
    assert.equal(first.cancelling(), 2);
    assert.equal(second.cancelling(), 1);
    await asyncio.wait([second]);
  });

  it("Task.cancel() of a task that awaits a gather() of itself cancels both", async () => {
    const waiting: asyncio.Task<unknown> = asyncio.createTask(async () => await gathered);
    const gathered = asyncio.gather([waiting]);
    await asyncio.sleep(0);
    waiting.cancel();
    assert.ok((await failureOf(waiting)) instanceof asyncio.CancelledError);
    assert.ok((await failureOf(gathered)) instanceof asyncio.CancelledError);
  });

  it("Runner.close() ends tasks that await each other", async () => {
    const runner = new asyncio.Runner();
    const tasks = await runner.run(async () => await ring(2));
    await runner.close();
    assert.ok(tasks.every((each) => each.cancelled()));
  });

  it("Task.cancel() of a chain of tasks that is too long for the stack throws", async () => {
    const tasks = [asyncio.createTask(async () => await asyncio.sleep(3600))];
    for (let i = 0; i < 20_000; i++) {
      const previous = tasks.at(-1);
      tasks.push(asyncio.createTask(async () => await previous));
    }
    await asyncio.sleep(0);
    const last = tasks.at(-1) as asyncio.Task<void>;
    assert.throws(() => last.cancel(), RangeError);
    assert.equal(last.cancelling(), 1);
    assert.equal(tasks[0]?.cancelling(), 0);
    tasks[0]?.cancel();
    assert.ok((await failureOf(last)) instanceof asyncio.CancelledError);
    assert.ok(tasks.every((each) => each.cancelled()));
  });
});

it("Task.cancel() has counted the request when it cancels what the task awaits, also if that throws", async () => {
  const seen: number[] = [];
  class Refusing extends asyncio.Future<void> {
    override cancel(): boolean {
      seen.push(task.cancelling());
      throw new Error("not now");
    }
  }
  const awaited = new Refusing();
  const task: asyncio.Task<void> = asyncio.createTask(async () => await awaited);
  await asyncio.sleep(0);
  assert.throws(() => task.cancel(), /not now/);
  awaited.setResult();
  await task;
  assert.deepEqual([...seen, task.cancelling()], [1, 1]);
});
