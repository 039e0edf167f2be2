/**
 * run() and Runner, as CPython's test_runners has them; in brackets the names of its cases.
 *
 * Not here: one Context for all runs (callback-context.test.ts), Ctrl-C (programs/runner-signals.test.ts), and what
 * needs loops that are made and closed, which there are none of.
 */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Context } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { Reports } from "../support/peers.ts";

const loop = asyncio.getRunningLoop();
const loopRunning = { name: "RuntimeError", code: "ERR_LOOP_RUNNING" };
const runnerClosed = { name: "RuntimeError", code: "ERR_RUNNER_CLOSED", message: "Runner is closed" };

afterEach(() => {
  loop.setExceptionHandler(null);
  loop.setDebug(false);
});

describe("run()", () => {
  it("run() returns the result of the function (test_asyncio_run_return)", async () => {
    const result = await asyncio.run(async () => {
      await asyncio.sleep(0);
      return 42;
    });
    assert.equal(result, 42);
    assert.equal(await asyncio.run(() => "no promise"), "no promise");
    assert.equal(await asyncio.run(async () => {}), undefined);
  });

  it("run() throws what the function throws, the very error (test_asyncio_run_raises)", async () => {
    const error = new Error("spam");
    const failing = asyncio.run(async () => {
      await asyncio.sleep(0);
      throw error;
    });
    await assert.rejects(failing, (thrown) => thrown === error);
    const atOnce = asyncio.run(() => {
      throw error;
    });
    await assert.rejects(atOnce, (thrown) => thrown === error);
  });

  it("run() runs the function as a task", async () => {
    await asyncio.run(async () => {
      assert.ok(asyncio.currentTask() instanceof asyncio.Task);
      assert.ok(asyncio.allTasks().has(asyncio.currentTask() as asyncio.Task<unknown>));
    });
    assert.equal(asyncio.currentTask(), null);
  });

  it("run() starts the function when the caller waits, not immediately", async () => {
    let started = false;
    const running = asyncio.run(async () => {
      started = true;
    });
    assert.equal(started, false);
    await running;
    assert.ok(started);
  });

  it("run() throws a TypeError unless it gets a function (test_asyncio_run_only_coro)", async () => {
    for (const wrong of [1, "text", null, undefined, {}]) {
      await assert.rejects(asyncio.run(wrong as never), {
        name: "TypeError",
        message: /^run\(\) needs a function, got /,
      });
    }
    const promise = Promise.resolve(1);
    await assert.rejects(asyncio.run(promise as never), {
      name: "TypeError",
      message: /pass \(\) => f\(x\), not f\(x\)$/,
    });
    assert.equal(await asyncio.run(() => 1), 1, "a refused call does not affect the next one");
  });

  it("run() refuses options that it does not have, or that are none", async () => {
    await assert.rejects(
      asyncio.run(() => 1, { debugging: true } as never),
      { name: "TypeError", message: /debugging/ },
    );
    await assert.rejects(
      asyncio.run(() => 1, true as never),
      { name: "TypeError" },
    );
    assert.equal(await asyncio.run(() => 1, {}), 1);
  });

  it("run() throws a RuntimeError in a task, which continues (test_asyncio_run_from_running_loop)", async () => {
    const result = await asyncio.run(async () => {
      await assert.rejects(
        asyncio.run(() => assert.fail("it was run")),
        loopRunning,
      );
      await asyncio.sleep(0);
      return "went on";
    });
    assert.equal(result, "went on");
  });

  it("run() after one that has failed runs", async () => {
    for (let i = 0; i < 3; i++) {
      await assert.rejects(
        asyncio.run(async () => {
          throw new Error(`number ${i}`);
        }),
        { message: `number ${i}` },
      );
    }
    assert.equal(await asyncio.run(() => 1), 1);
  });

  it("run() throws the CancelledError of a main task that cancels itself, with its message", async () => {
    const cancelled = asyncio.run(async () => {
      asyncio.currentTask()?.cancel("enough");
      await asyncio.sleep(60);
    });
    await assert.rejects(cancelled, { name: "CancelledError", message: /enough/ });
  });

  it("run() asks for no text of the result (test_no_repr_is_call_on_the_task_result)", async () => {
    const silent = {
      toString: () => assert.fail("toString() was called"),
      [Symbol.for("nodejs.util.inspect.custom")]: () => assert.fail("it was inspected"),
    };
    assert.equal(await asyncio.run(() => silent), silent);
  });

  it("run() waits for a task or a promise that the function returns", async () => {
    assert.equal(await asyncio.run(() => asyncio.createTask(async () => 1)), 1);
    assert.equal(await asyncio.run(() => Promise.resolve(2)), 2);
    const future = new asyncio.Future<number>();
    loop.callLater(0.002, () => future.setResult(3));
    assert.equal(await asyncio.run(() => future), 3);
  });
});

describe("run() at the end", () => {
  it("run() cancels the tasks that are left, and waits for them (test_asyncio_run_cancels_hanging_tasks)", async () => {
    let left: asyncio.Task<void> | undefined;
    const result = await asyncio.run(async () => {
      left = asyncio.createTask(() => asyncio.sleep(60));
      await asyncio.sleep(0);
      return 123;
    });
    assert.equal(result, 123);
    assert.ok(left?.cancelled());
  });

  it("run() cancels the remaining tasks even if the function throws", async () => {
    let left: asyncio.Task<void> | undefined;
    const failing = asyncio.run(async () => {
      left = asyncio.createTask(() => asyncio.sleep(60));
      await asyncio.sleep(0);
      throw new Error("spam");
    });
    await assert.rejects(failing, /spam/);
    assert.ok(left?.cancelled());
  });

  it("run() lets a task that was made in the last step begin, then cancels it", async () => {
    const steps: string[] = [];
    let left: asyncio.Task<void> | undefined;
    await asyncio.run(async () => {
      left = asyncio.createTask(async () => {
        steps.push("begun");
        await asyncio.sleep(0);
        steps.push("not reached");
      });
    });
    assert.ok(left?.cancelled());
    assert.deepEqual(steps, ["begun"]);
  });

  it("run() waits until finally blocks with awaits have ended before it returns the result", async () => {
    const steps: string[] = [];
    const worker = (name: string) => async (): Promise<void> => {
      try {
        await asyncio.sleep(60);
      } finally {
        steps.push(`${name} cleans up`);
        await asyncio.sleep(0);
        await new Promise((resolve) => setTimeout(resolve, 1));
        steps.push(`${name} has ended`);
      }
    };
    await asyncio.run(async () => {
      asyncio.createTask(worker("first"));
      asyncio.createTask(worker("second"));
      await asyncio.sleep(0);
      steps.push("main has ended");
    });
    steps.push("run() has ended");
    assert.deepEqual(steps, [
      "main has ended",
      "first cleans up",
      "second cleans up",
      "first has ended",
      "second has ended",
      "run() has ended",
    ]);
  });

  it("run() waits for a task that does not let itself be cancelled", async () => {
    let outcome = "";
    await asyncio.run(async () => {
      asyncio.createTask(async () => {
        try {
          await asyncio.sleep(60);
        } catch {
          await asyncio.sleep(0);
          outcome = "ended by itself";
        }
      });
      await asyncio.sleep(0);
    });
    assert.equal(outcome, "ended by itself");
  });

  it("run() reports the errors of tasks that fail then (test_asyncio_run_reports_hanging_tasks_errors)", async () => {
    const reports = new Reports().all;
    const error = new RangeError("while cleaning up");
    let failing: asyncio.Task<void> | undefined;
    const result = await asyncio.run(async () => {
      failing = asyncio.createTask(async () => {
        try {
          await asyncio.sleep(60);
        } catch {
          throw error;
        }
      });
      asyncio.createTask(() => asyncio.sleep(60));
      await asyncio.sleep(0);
      return 123;
    });
    assert.equal(result, 123);
    assert.deepEqual(reports, [
      { message: "unhandled exception during asyncio.run() shutdown", exception: error, task: failing },
    ]);
  });

  it("run() reports nothing of tasks that had failed before", async () => {
    using reports = new Reports();
    let failed: asyncio.Task<void> | undefined;
    await asyncio.run(async () => {
      failed = asyncio.createTask(async () => {
        throw new Error("before");
      });
      await asyncio.sleep(0);
    });
    // What other tests left behind may be collected meanwhile, and is reported then.
    assert.deepEqual(
      reports.all.filter(({ exception }) => String(exception) === "Error: before"),
      [],
    );
    assert.match(String(failed?.exception()), /before/);
  });

  it("run() does not cancel tasks that existed before, or that other code starts later", async () => {
    const event = new asyncio.Event();
    const before = asyncio.createTask(() => event.wait());
    await asyncio.run(() => asyncio.sleep(0));
    const after = asyncio.createTask(() => event.wait());
    event.set();
    assert.deepEqual(await asyncio.gather([before, after]), [true, true]);
  });

  it("run() in debug mode also cancels the remaining tasks", async () => {
    let left: asyncio.Task<void> | undefined;
    await asyncio.run(
      async () => {
        left = asyncio.createTask(() => asyncio.sleep(60));
        await asyncio.sleep(0);
      },
      { debug: true },
    );
    assert.ok(left?.cancelled());
  });
});

describe("run({ debug })", () => {
  it("run({ debug }) sets debug mode while it runs, and then what was before (test_asyncio_run_debug)", async () => {
    const debug = (): boolean => loop.getDebug();
    for (const before of [false, true]) {
      loop.setDebug(before);
      assert.equal(await asyncio.run(debug), before);
      assert.equal(await asyncio.run(debug, { debug: undefined }), before);
      assert.equal(await asyncio.run(debug, { debug: true }), true);
      assert.equal(loop.getDebug(), before);
      assert.equal(await asyncio.run(debug, { debug: false }), false);
      assert.equal(loop.getDebug(), before);
    }
  });

  it("run({ debug }) restores debug mode even if the function throws", async () => {
    const failing = asyncio.run(
      () => {
        throw new Error("spam");
      },
      { debug: true },
    );
    await assert.rejects(failing, /spam/);
    assert.equal(loop.getDebug(), false);
  });

  it("run({ debug }) is still in debug mode while the tasks that are left clean up", async () => {
    const seen: boolean[] = [];
    await asyncio.run(
      async () => {
        asyncio.createTask(async () => {
          try {
            await asyncio.sleep(60);
          } finally {
            seen.push(loop.getDebug());
          }
        });
        await asyncio.sleep(0);
      },
      { debug: true },
    );
    assert.deepEqual(seen, [true]);
  });
});

describe("Runner", () => {
  it("Runner.run() returns the function's result, or throws its error (test_run)", async () => {
    await using runner = new asyncio.Runner();
    assert.equal(await runner.run(async () => "done"), "done");
    await assert.rejects(
      runner.run(() => {
        throw new Error("spam");
      }),
      /spam/,
    );
    assert.equal(await runner.run(() => "again"), "again");
  });

  it("Runner.run() throws a TypeError unless it gets a function (test_run_non_coro)", async () => {
    await using runner = new asyncio.Runner();
    await assert.rejects(runner.run(123 as never), { name: "TypeError" });
    await assert.rejects(runner.run(Promise.resolve(1) as never), { name: "TypeError" });
    await assert.rejects(
      runner.run(() => 1, { context: {} as Context }),
      { name: "TypeError", message: /Context/ },
    );
    await assert.rejects(
      runner.run(() => 1, { contxt: new Context() } as never),
      { name: "TypeError" },
    );
  });

  it("Runner.run() leaves tasks going on until close()", async () => {
    const runner = new asyncio.Runner();
    let left: asyncio.Task<void> | undefined;
    await runner.run(async () => {
      left = asyncio.createTask(() => asyncio.sleep(60));
      await asyncio.sleep(0);
    });
    assert.equal(left?.done(), false);
    await runner.run(() => asyncio.sleep(0));
    assert.equal(left?.done(), false);
    await runner.close();
    assert.ok(left?.cancelled());
  });

  it("Runner.run() refuses a second one while one is under way, of the same Runner as well (test_recursive_run)", async () => {
    await using runner = new asyncio.Runner();
    await runner.run(async () => {
      await assert.rejects(
        runner.run(() => assert.fail("it was run")),
        loopRunning,
      );
    });
    const first = runner.run(() => asyncio.sleep(0, "first"));
    await assert.rejects(
      runner.run(() => assert.fail("it was run")),
      loopRunning,
    );
    assert.equal(await first, "first");
    assert.equal(await runner.run(() => "second"), "second");
  });

  it("Runner.run() refuses while another Runner has not been closed", async () => {
    const first = new asyncio.Runner();
    await first.run(() => 1);
    const second = new asyncio.Runner();
    await assert.rejects(
      second.run(() => 2),
      loopRunning,
    );
    assert.throws(() => second.getLoop(), loopRunning);
    await assert.rejects(
      asyncio.run(() => 3),
      loopRunning,
    );
    await first.close();
    assert.equal(await second.run(() => 2), 2);
    await second.close();
  });

  it("Runner.getLoop() is the loop, before and after run() (test_debug, test_non_debug)", async () => {
    for (const debug of [true, false]) {
      await using runner = new asyncio.Runner({ debug });
      assert.equal(runner.getLoop(), loop);
      assert.equal(runner.getLoop().getDebug(), debug);
      assert.equal(await runner.run(() => loop.getDebug()), debug);
      assert.equal(runner.getLoop(), loop);
    }
    assert.equal(loop.getDebug(), false);
  });

  it("Runner.close() ends it: run() and getLoop() throw (test_explicit_close, test_second_with_block_raises)", async () => {
    const runner = new asyncio.Runner();
    assert.equal(runner.getLoop(), loop);
    await runner.close();
    assert.throws(() => runner.getLoop(), runnerClosed);
    await assert.rejects(
      runner.run(() => assert.fail("it was run")),
      runnerClosed,
    );
  });

  it("Runner.close() again does nothing (test_double_close)", async () => {
    const runner = new asyncio.Runner();
    await runner.run(() => 1);
    await runner.close();
    await runner.close();
    assert.equal(await asyncio.run(() => 2), 2);
  });

  it("Runner.close() of one that was never used does nothing: it can be used", async () => {
    const runner = new asyncio.Runner({ debug: true });
    await runner.close();
    assert.equal(loop.getDebug(), false);
    assert.equal(await runner.run(() => "used"), "used");
    await runner.close();
    await assert.rejects(
      runner.run(() => assert.fail("it was run")),
      runnerClosed,
    );
  });

  it("Runner.close() called twice cancels the remaining tasks once, and both calls wait for them", async () => {
    const runner = new asyncio.Runner();
    let left: asyncio.Task<void> | undefined;
    const steps: string[] = [];
    await runner.run(async () => {
      left = asyncio.createTask(async () => {
        try {
          await asyncio.sleep(60);
        } finally {
          await asyncio.sleep(0);
          steps.push("cleaned up");
        }
      });
      await asyncio.sleep(0);
    });
    const closed = async (): Promise<void> => {
      await runner.close();
      steps.push("closed");
    };
    await Promise.all([closed(), closed()]);
    assert.deepEqual(steps, ["cleaned up", "closed", "closed"]);
    assert.equal(left?.cancelling(), 1);
  });

  it("Runner.run() while close() is under way is refused", async () => {
    const runner = new asyncio.Runner();
    await runner.run(async () => {
      asyncio.createTask(async () => {
        try {
          await asyncio.sleep(60);
        } finally {
          await asyncio.sleep(0);
        }
      });
      await asyncio.sleep(0);
    });
    const closing = runner.close();
    await assert.rejects(
      runner.run(() => assert.fail("it was run")),
      runnerClosed,
    );
    await closing;
  });

  it("Runner in `await using` is closed at the end of the block, even if the block throws", async () => {
    let left: asyncio.Task<void> | undefined;
    let used: asyncio.Runner | undefined;
    const block = async (): Promise<void> => {
      await using runner = new asyncio.Runner();
      used = runner;
      await runner.run(async () => {
        left = asyncio.createTask(() => asyncio.sleep(60));
        await asyncio.sleep(0);
      });
      throw new Error("spam");
    };
    await assert.rejects(block(), /spam/);
    assert.ok(left?.cancelled());
    assert.throws(() => used?.getLoop(), runnerClosed);
  });

  it("Runner refuses options that it does not have", () => {
    assert.throws(() => new asyncio.Runner({ loopFactory: () => loop } as never), { name: "TypeError" });
  });
});
