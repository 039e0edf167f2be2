/** Tasks among Node's own things: signals, promises, timers, processes, garbage. */
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { Context, ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { attachScoped } from "#dist/contextvars/scope.js";
import { keyOf } from "../support/internals.ts";
import { packageRoot } from "../support/paths.ts";

/** Runs the body, and gives what the loop's exception handler was told meanwhile. */
async function reported(body: () => Promise<void>): Promise<asyncio.ExceptionContext[]> {
  const loop = asyncio.getRunningLoop();
  const contexts: asyncio.ExceptionContext[] = [];
  loop.setExceptionHandler((_, context) => contexts.push(context));
  try {
    await body();
  } finally {
    loop.setExceptionHandler(null);
  }
  return contexts;
}

/** Starts a task and lets it run to its first wait. In an object, because a promise of a task would wait for it. */
async function started<T>(body: () => Promise<T>): Promise<{ task: asyncio.Task<Awaited<T>> }> {
  const task = asyncio.createTask(body);
  await asyncio.sleep(0);
  return { task };
}

describe("Task.cancel()", () => {
  it("rejects all waits that the body has begun, immediately", async () => {
    const outcomes: string[] = [];
    const told = (name: string, wait: Promise<unknown>): Promise<void> =>
      wait.then(
        () => void outcomes.push(`${name} done`),
        (error: Error) => void outcomes.push(`${name} ${error.name}`),
      );
    const event = new asyncio.Event();
    const queue = new asyncio.Queue<number>();
    const { task } = await started(async () => {
      await Promise.all([
        told("sleep", asyncio.sleep(60)),
        told("event", event.wait()),
        told("queue", queue.get()),
        told("task", Promise.resolve(asyncio.createTask(() => asyncio.sleep(60)))),
      ]);
    });
    await asyncio.sleep(0);
    assert.equal(task.cancel("enough"), true);
    await task;
    assert.deepEqual(outcomes.sort(), [
      "event CancelledError",
      "queue CancelledError",
      "sleep CancelledError",
      "task CancelledError",
    ]);
    assert.equal(queue.qsize(), 0);
  });

  it("causes no unhandledRejection for waits that are not awaited", async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", onUnhandled);
    const { task } = await started(async () => {
      void asyncio.sleep(60);
      void new asyncio.Queue().get();
      void new asyncio.Lock().acquire();
      void new asyncio.Event().wait();
      void asyncio.waitFor(() => asyncio.sleep(60), 60);
      await asyncio.sleep(60);
    });
    task.cancel();
    await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
    await asyncio.sleep(0.02);
    process.off("unhandledRejection", onUnhandled);
    assert.deepEqual(unhandled, []);
  });

  it("reaches a wait at any depth of plain async functions, and their finally blocks run with awaits in them", async () => {
    const seen: string[] = [];
    const deep = async (depth: number): Promise<void> => {
      try {
        await (depth === 0 ? asyncio.sleep(60) : deep(depth - 1));
      } finally {
        await asyncio.sleep(0);
        seen.push(`left ${depth}`);
      }
    };
    const { task } = await started(() => deep(3));
    task.cancel();
    await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
    assert.deepEqual(seen, ["left 0", "left 1", "left 2", "left 3"]);
  });

  it("leaves no timer and no place in a queue behind", async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    const lock = new asyncio.Lock();
    await lock.acquire();
    const queue = new asyncio.Queue();
    const tasks = Array.from({ length: 1000 }, (_, i) =>
      asyncio.createTask<unknown>(() => [asyncio.sleep(60), lock.acquire(), queue.get()][i % 3] as Promise<unknown>),
    );
    await asyncio.sleep(0);
    for (const task of tasks) {
      task.cancel();
    }
    await asyncio.gather(tasks, { returnExceptions: true });
    assert.equal(timers(), before);
    assert.match(String(lock), /\[locked\]>$/);
    assert.doesNotMatch(String(queue), /_getters/);
  });
});

describe("the end of a body", () => {
  it("ends the body's own task, whatever the body has entered and left entered", async () => {
    const storage = new AsyncLocalStorage<string>();
    const variable = new ContextVar<string>("scoped");
    const entering: Record<string, () => unknown> = {
      "another storage": () => storage.enterWith("mine"),
      "a scope": () => attachScoped(keyOf(variable), "mine"),
      "a Context": () => new Context().run(() => asyncio.createTask(async () => "of another task")),
      "a task": () => asyncio.createTask(async () => "of another task", { eagerStart: true }),
      "a task that waits": () => asyncio.createTask(() => asyncio.sleep(0, "of another task"), { eagerStart: true }),
    };
    const promises: ((name: string) => PromiseLike<string>)[] = [
      async (name) => name,
      (name) => asyncio.sleep(0, name),
      (name) => ({ then: (resolve) => Promise.resolve(name).then(resolve) }) as PromiseLike<string>,
      (name) => Promise.reject(name),
    ];
    const tasks = Object.entries(entering).flatMap(([name, enter]) =>
      promises.flatMap((promise) =>
        [true, false].map((eagerStart) => {
          const body = (): PromiseLike<string> => {
            enter();
            return promise(name);
          };
          return [name, asyncio.createTask(body, { eagerStart })] as const;
        }),
      ),
    );
    for (const [name, task] of tasks) {
      assert.equal(await task.then(String, String), name);
    }
  });
});

describe("Task.signal", () => {
  it("ends a fetch() with the task", async () => {
    const server = createServer(() => {}).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    let caught: unknown;
    const task = asyncio.createTask(async () => {
      try {
        await fetch(`http://127.0.0.1:${port}/`, { signal: (asyncio.currentTask() as asyncio.Task<unknown>).signal });
      } catch (error) {
        caught = error;
        throw error;
      }
    });
    await once(server, "request");
    task.cancel("enough");
    await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
    assert.ok(asyncio.isCancelled(caught));
    assert.ok(task.cancelled());
    server.closeAllConnections();
    server.close();
  });

  it("is a fresh one after uncancel() has taken back all requests, and its reason is the CancelledError", async () => {
    await asyncio.createTask(async () => {
      const task = asyncio.currentTask() as asyncio.Task<unknown>;
      const first = task.signal;
      assert.equal(task.signal, first);
      await assert.rejects(
        asyncio.timeout(0).with(async () => {
          await asyncio.sleep(60);
        }),
        asyncio.TimeoutError,
      );
      assert.ok(first.aborted);
      assert.ok(first.reason instanceof asyncio.CancelledError);
      assert.notEqual(task.signal, first);
      assert.equal(task.signal.aborted, false);
    });
  });
});

describe("an error that is never retrieved", () => {
  it("is not reported when the task is awaited later", async () => {
    const contexts = await reported(async () => {
      const { task } = await started(async () => {
        throw new Error("late");
      });
      await asyncio.sleep(0.01);
      await assert.rejects(Promise.resolve(task), /late/);
    });
    assert.deepEqual(contexts, []);
  });

  it("is reported once when the process ends, and does not end it by itself", async () => {
    const program = `
      import * as asyncio from "contextvars/asyncio";
      asyncio.createTask(async function fails() { throw new Error("never seen"); });
      await asyncio.sleep(0.01);
      console.log("still here");
    `;
    const child = spawn(process.execPath, programArguments(program), { cwd: packageRoot });
    const [output, errors] = await outputOf(child);
    assert.equal(child.exitCode, 0, errors);
    assert.equal(output, "still here\n");
    assert.equal(errors.match(/Task exception was never retrieved/g)?.length, 1);
    assert.match(errors, /never seen/);
    assert.match(errors, /<Task finished name='Task-1' coro=<fails\(\)>/);
  });
});

describe("asyncio.run()", () => {
  const program = `
    import * as asyncio from "contextvars/asyncio";
    async function main() {
      const other = asyncio.createTask(async () => {
        try { await asyncio.sleep(60); } finally { console.log("other cleaned up"); }
      });
      try {
        console.log("ready");
        await asyncio.sleep(60);
      } finally {
        await asyncio.sleep(0.05);
        console.log("main cleaned up", other.done());
      }
    }
    process.on("exit", (status) => console.log("status", status));
    try { await asyncio.run(main); } catch (error) { console.log(error.name, error.code); }
  `;

  it("cancels the main task at the first SIGINT, then all others, and throws a KeyboardInterrupt", async () => {
    const child = spawn(process.execPath, programArguments(program), { cwd: packageRoot });
    const ended = outputOf(child);
    await once(child.stdout, "data");
    child.kill("SIGINT");
    const [output] = await ended;
    assert.equal(output, "ready\nmain cleaned up false\nother cleaned up\nKeyboardInterrupt SIGINT\nstatus 0\n");
  });

  it("does not catch the second SIGINT", async () => {
    const stubborn = program.replace("asyncio.sleep(0.05)", 'asyncio.sleep(30, console.log("cleaning"))');
    const child = spawn(process.execPath, programArguments(stubborn), { cwd: packageRoot });
    const ended = outputOf(child);
    await once(child.stdout, "data");
    child.kill("SIGINT");
    await once(child.stdout, "data");
    child.kill("SIGINT");
    await ended;
    assert.equal(child.signalCode, "SIGINT");
  });

  it("refuses to run in a task, and beside another run()", async () => {
    await asyncio.run(async () => {
      await assert.rejects(
        asyncio.run(async () => 1),
        { name: "RuntimeError", code: "ERR_LOOP_RUNNING" },
      );
    });
    const first = asyncio.run(() => asyncio.sleep(0.02));
    await assert.rejects(
      asyncio.run(async () => 1),
      { name: "RuntimeError", code: "ERR_LOOP_RUNNING" },
    );
    await first;
  });

  it("leaves tasks alone that were there before", async () => {
    const { task: before } = await started(() => asyncio.sleep(0.05, "untouched"));
    await asyncio.run(async () => {});
    assert.equal(await before, "untouched");
  });

  it("keeps one Context for all that one Runner runs", async () => {
    const variable = new ContextVar("variable", { default: -1 });
    const runner = new asyncio.Runner();
    const step = async (): Promise<number> => {
      const value = variable.get();
      variable.set(value === -1 ? 1 : value + 1);
      return value;
    };
    assert.deepEqual([await runner.run(step), await runner.run(step), await runner.run(step)], [-1, 1, 2]);
    await runner.close();
    assert.equal(variable.get(), -1);
  });
});

describe("outside any task", () => {
  it("waits, queues, gather, waitFor and locks work", async () => {
    assert.equal(asyncio.currentTask(), null);
    assert.equal(await asyncio.sleep(0, 1), 1);
    assert.deepEqual(await asyncio.gather([async () => 1, () => 2]), [1, 2]);
    assert.equal(await asyncio.waitFor(() => asyncio.sleep(0, "in time"), 5), "in time");
    await assert.rejects(
      asyncio.waitFor(() => asyncio.sleep(60), 0.01),
      asyncio.TimeoutError,
    );
    const queue = new asyncio.Queue<number>();
    setTimeout(() => queue.putNowait(7), 5);
    assert.equal(await queue.get(), 7);
    assert.equal(await new asyncio.Lock().with(() => 3), 3);
  });

  it("timeout() and TaskGroup say that they need a task", async () => {
    const needsTask = { name: "RuntimeError", code: "ERR_NO_CURRENT_TASK" };
    await assert.rejects(
      asyncio.timeout(1).with(async () => {}),
      needsTask,
    );
    await assert.rejects(
      new asyncio.TaskGroup().with(async () => {}),
      needsTask,
    );
  });
});

describe("the loop", () => {
  it("sleep() of 10**7 seconds does not end immediately, and sleep(0) lets input and output happen", async () => {
    const { task } = await started(() => asyncio.sleep(10 ** 7));
    let polled = false;
    setImmediate(() => {
      polled = true;
    });
    for (let i = 0; i < 5; i++) {
      await asyncio.sleep(0);
    }
    assert.ok(polled);
    assert.equal(task.done(), false);
    task.cancel();
    await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
  });

  it("callSoon(), callLater() and callAt() run in the order of asyncio, each in its own Context", async () => {
    const loop = asyncio.getRunningLoop();
    const variable = new ContextVar("variable", { default: "unset" });
    const seen: string[] = [];
    const given = new Context();
    given.run(() => variable.set("given"));
    await asyncio.createTask(async () => {
      variable.set("then");
      loop.callSoon(() => seen.push(`first ${variable.get()}`));
      loop.callSoon(() => seen.push(`given ${variable.get()}`), { context: given });
      const cancelled = loop.callSoon(() => seen.push("cancelled"));
      loop.callLater(0.01, () => seen.push(`later ${variable.get()}`));
      loop.callAt(loop.time() + 0.02, () => seen.push(`at ${variable.get()}`));
      variable.set("afterwards");
      cancelled.cancel();
      await asyncio.sleep(0.1);
    });
    assert.deepEqual(seen, ["first then", "given given", "later then", "at then"]);
  });

  it("addSignalHandler() has the callback called in place of what would happen", async () => {
    const program = `
      import * as asyncio from "contextvars/asyncio";
      await asyncio.run(async () => {
        const loop = asyncio.getRunningLoop();
        const stop = new asyncio.Event();
        loop.addSignalHandler("SIGTERM", () => stop.set());
        const timer = loop.callLater(30, () => {});
        console.log("ready");
        await stop.wait();
        timer.cancel();
        console.log("stopped", loop.removeSignalHandler("SIGTERM"), loop.removeSignalHandler("SIGTERM"));
      });
    `;
    const child = spawn(process.execPath, programArguments(program), { cwd: packageRoot });
    const ended = outputOf(child);
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    const [output] = await ended;
    assert.equal(output, "ready\nstopped true false\n");
    const loop = asyncio.getRunningLoop();
    assert.throws(() => loop.addSignalHandler("SIGKILL", () => {}), { name: "RuntimeError" });
    assert.throws(() => loop.addSignalHandler("SIGNONE" as NodeJS.Signals, () => {}), { name: "ValueError" });
  });

  it("in debug mode warns of slow steps and callbacks and of a swallowed cancellation, and tells where things were made", async () => {
    const warnings: string[] = [];
    const onWarning = ({ name, message }: Error): void => {
      if (name === "AsyncioWarning") {
        warnings.push(message);
      }
    };
    process.on("warning", onWarning);
    const busy = (): void => {
      const end = performance.now() + 25;
      while (performance.now() < end) {
        // Nothing else can run.
      }
    };
    const loop = asyncio.getRunningLoop();
    const contexts = await reported(async () => {
      const slowBefore = loop.slowCallbackDuration;
      loop.slowCallbackDuration = 0.02;
      await asyncio.run(
        async () => {
          assert.ok(loop.getDebug());
          await asyncio.createTask(async function slowTask() {
            await null;
            busy();
          });
          loop.callSoon(function slowCallback() {
            busy();
          });
          loop.callSoon(function failing() {
            throw new Error("from a callback");
          });
          const { task: swallowing } = await started(async function swallows() {
            await asyncio.sleep(60).catch(() => {});
          });
          swallowing.cancel();
          await swallowing;
        },
        { debug: true },
      );
      loop.slowCallbackDuration = slowBefore;
    });
    await asyncio.sleep(0.01);
    process.off("warning", onWarning);
    assert.equal(loop.getDebug(), false);
    assert.ok(warnings.some((text) => /^Executing <Task finished.*slowTask.*took 0\.\d+ seconds/.test(text)));
    assert.ok(warnings.some((text) => /^Executing <Handle slowCallback\(\)> took/.test(text)));
    assert.ok(warnings.some((text) => /swallows.* was cancelled but returned normally/.test(text)));
    assert.equal(contexts[0]?.message, "Exception in callback failing()");
    assert.match(String(contexts[0]?.["sourceTraceback"]), /tasks-in-node/);
  });
});

function programArguments(program: string): string[] {
  if ("deno" in process.versions) {
    return ["eval", "--ext=mjs", program];
  }
  return "bun" in process.versions ? ["-e", program] : ["--input-type=module", "--eval", program];
}

async function outputOf(child: ReturnType<typeof spawn>): Promise<[output: string, errors: string]> {
  let output = "";
  let errors = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    errors += chunk;
  });
  await once(child, "close");
  return [output, errors];
}
