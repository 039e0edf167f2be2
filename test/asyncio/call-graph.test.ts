/**
 * Where tasks wait, and who waits for them; the text is compared with CPython's in
 * test/conformance/call-graphs.test.ts.
 */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { importCopy } from "../support/copies.ts";
import { values } from "../support/hostile-values.ts";
import { runProgram } from "../support/programs.ts";
import { limitOf } from "../support/runtime-limits.ts";

const loop = asyncio.getRunningLoop();
/** Where V8 is not there to be asked, stacks are recorded in debug mode. */
const asksAfterwards = limitOf("stack of an error that ends a wait") === false;

async function inner(event: asyncio.Event): Promise<void> {
  await event.wait();
}

class Service {
  async handle(event: asyncio.Event): Promise<void> {
    await inner(event);
  }
}

function names(frames: readonly asyncio.FrameCallGraphEntry[]): string[] {
  return frames.map(({ functionName }) => functionName.replace(/^.*\./, ""));
}

/** A task that waits for the event, in two functions. */
async function waiting(event: asyncio.Event, name = "waiting"): Promise<[asyncio.Task<void>]> {
  const task = asyncio.createTask(() => new Service().handle(event), { name });
  await asyncio.sleep(0);
  return [task];
}

/** Runs the function in debug mode where stacks are recorded only there. */
async function whereKnown<T>(body: () => Promise<T>): Promise<T> {
  loop.setDebug(!asksAfterwards);
  try {
    return await body();
  } finally {
    loop.setDebug(false);
  }
}

// On Bun all test files are one program: what is left here would be there in the next ones.
after(() => assert.deepEqual([...asyncio.allTasks()], []));

describe("Task.getStack()", () => {
  it("Task.getStack() returns the waiting functions of the program, the oldest first, with their places", async () => {
    await whereKnown(async () => {
      const event = new asyncio.Event();
      const [task] = await waiting(event);
      const stack = await task.getStack();
      assert.deepEqual(names(stack), ["handle", "inner"]);
      for (const { fileName, lineNumber, columnNumber, isAsync } of stack) {
        assert.match(fileName, /^\/.*call-graph\.test\.[jt]s$/);
        assert.ok(lineNumber > 0 && columnNumber > 0);
        assert.equal(isAsync, asksAfterwards);
      }
      event.set();
      await task;
    });
  });

  it("Task.getStack({ limit }) returns the oldest functions; none for 0 and less, all for null", async () => {
    await whereKnown(async () => {
      const event = new asyncio.Event();
      const [task] = await waiting(event);
      const expected: readonly [number | null, string[]][] = [
        [1, ["handle"]],
        [2, ["handle", "inner"]],
        [9, ["handle", "inner"]],
        [0, []],
        [-1, []],
        [null, ["handle", "inner"]],
      ];
      for (const [limit, functions] of expected) {
        assert.deepEqual(names(await task.getStack({ limit })), functions, String(limit));
      }
      event.set();
      await task;
    });
  });

  it("Task.getStack() is empty before the start, after the end, after a cancellation, and at a foreign promise", async () => {
    let free = (): void => {};
    const foreign = new Promise<void>((resolve) => {
      free = resolve;
    });
    const task = asyncio.createTask(async () => await foreign);
    assert.deepEqual(await task.getStack(), []);
    await asyncio.sleep(0);
    assert.deepEqual(await task.getStack(), []);
    free();
    await task;
    assert.deepEqual(await task.getStack(), []);
    const [cancelled] = await waiting(new asyncio.Event());
    cancelled.cancel();
    await asyncio.wait([cancelled]);
    assert.deepEqual(await cancelled.getStack(), []);
  });

  it("Task.getStack() of a task that has failed leads to the place where its error was made", async () => {
    const task = asyncio.createTask(async function outer() {
      await (async function thrower() {
        await asyncio.sleep(0);
        throw new RangeError("bad");
      })();
    });
    await asyncio.wait([task]);
    assert.deepEqual(names(await task.getStack()).slice(-1), ["thrower"]);
  });

  it("Task.getStack() of the running task is where it is called", async () => {
    await asyncio.createTask(async function runs() {
      const stack = await (asyncio.currentTask() as asyncio.Task<unknown>).getStack();
      assert.deepEqual(names(stack), ["runs"]);
    });
  });

  it("Task.getStack() of a task with several waits is that of the one for which most functions wait", async () => {
    await whereKnown(async () => {
      const task = asyncio.createTask(async function several() {
        const early = asyncio.sleep(60);
        await new Service().handle(new asyncio.Event());
        await early;
      });
      await asyncio.sleep(0);
      assert.deepEqual(names(await task.getStack()), ["several", "handle", "inner"]);
      task.cancel();
      await asyncio.wait([task]);
    });
  });

  it("Task.getStack() can be called any number of times at the same time, and the outcome still arrives", async () => {
    const outcomes = [
      (future: asyncio.Future<string>) => future.setResult("result"),
      (future: asyncio.Future<string>) => future.setException(new RangeError("bad")),
      (future: asyncio.Future<string>) => future.cancel(),
    ];
    for (const settle of outcomes) {
      for (const times of [1, 2, 100]) {
        const future = new asyncio.Future<string>();
        const task = asyncio.createTask(async () => await future);
        await asyncio.sleep(0);
        for (let i = 0; i < times; i++) {
          await Promise.all([task.getStack(), task.getStack()]);
        }
        const last = task.getStack();
        settle(future);
        await last;
        await asyncio.wait([task]);
        assert.equal(task.cancelled(), future.cancelled());
        if (!future.cancelled()) {
          assert.equal(task.exception(), future.exception());
          assert.equal(task.exception() === null ? task.result() : "", task.exception() === null ? "result" : "");
        }
      }
    }
  });
});

describe("Task.printStack()", () => {
  it("Task.printStack() prints as CPython does: waiting, ended and failed tasks", async () => {
    await whereKnown(async () => {
      const printed = async (task: asyncio.Task<unknown>): Promise<string> => {
        let text = "";
        await task.printStack({ file: { write: (more) => (text += more) } });
        return text.replace(/File ".*", line \d+, in (?:.*\.)?/g, "FILE ").replace(/<Task .*>/, "TASK");
      };
      const event = new asyncio.Event();
      const [task] = await waiting(event);
      assert.equal(await printed(task), "Stack for TASK (most recent call last):\n  FILE handle\n  FILE inner\n");
      event.set();
      await task;
      assert.equal(await printed(task), "No stack for TASK\n");
      const failed = asyncio.createTask(function fails() {
        throw new RangeError("bad");
      });
      await asyncio.wait([failed]);
      assert.equal(
        await printed(failed),
        "Traceback for TASK (most recent call last):\n  FILE fails\nRangeError: bad\n",
      );
    });
  });
});

describe("stacks of odd errors", () => {
  for (const [name, value] of Object.entries(values)) {
    it(`Task.getStack() and printStack() of a task that has failed with ${name} return`, async () => {
      const failed = asyncio.createTask(() => {
        throw value;
      });
      await asyncio.wait([failed]);
      let text = "";
      await failed.printStack({ file: { write: (more) => (text += more) } });
      assert.match(text, /^(?:No stack|Traceback) for <Task (?:finished|cancelled) .*\n/);
      assert.ok(Array.isArray(await failed.getStack()));
      await failed.catch(() => {});
    });
  }

  const places: readonly (readonly [frame: string, functionName: string, fileName: string, line: number])[] = [
    ["at load (C:\\Program Files (x86)\\app\\main.js:10:5)", "load", "C:\\Program Files (x86)\\app\\main.js", 10],
    ["at async C:\\Program Files (x86)\\app\\main.js:10:5", "anonymous", "C:\\Program Files (x86)\\app\\main.js", 10],
    ["at async Loader.load [as run] (/app (1)/main.js:10:5)", "Loader.load", "/app (1)/main.js", 10],
    ["at f (file:///app/a%20b/main.js:10:5)", "f", "/app/a b/main.js", 10],
    ["at f (file://elsewhere/main.js:10:5)", "f", "file://elsewhere/main.js", 10],
    ["at f (file:///app/a%2Fb.js:10:5)", "f", "file:///app/a%2Fb.js", 10],
    ["at async f (eval at g (/app/main.js:10:5), <anonymous>:3:7)", "f", "/app/main.js", 10],
    [
      "at eval (eval at f (eval at g (/app (1)/main.js:10:5), <anonymous>:1:1), <anonymous>:3:7)",
      "eval",
      "/app (1)/main.js",
      10,
    ],
    ["at f (webpack-internal:///./src/main.js:10:5)", "f", "webpack-internal:///./src/main.js", 10],
    ["at <anonymous>:10:5", "anonymous", "<anonymous>", 10],
  ];
  for (const [frame, functionName, fileName, lineNumber] of places) {
    it(`Task.getStack() knows the function and the place of "${frame}"`, async () => {
      const failed = asyncio.createTask(() => {
        throw Object.assign(new Error("bad"), { stack: `Error: bad\n    ${frame}` });
      });
      await asyncio.wait([failed]);
      const [found, ...more] = await failed.getStack();
      assert.deepEqual([found?.functionName, found?.fileName, found?.lineNumber], [functionName, fileName, lineNumber]);
      assert.deepEqual(more, []);
    });
  }

  const changes = [
    "frozen",
    "without captureStackTrace",
    "without stacks",
    "without a limit",
    "with a prepareStackTrace that returns no text",
  ];
  for (const change of changes) {
    for (const mode of ["production", "debug"]) {
      it(`errors stay what they are, and stacks are found, in a program whose Error is ${change}, in ${mode} mode`, async () => {
        const isKnown = asksAfterwards || mode === "debug";
        assert.deepEqual(await runProgram("changed-errors.js", change, mode), {
          stack: isKnown ? ["waits"] : [],
          ownFrames: false,
          ends: [true, true],
          refused: "ConnectionRefusedError",
        });
      });
    }
  }
});

describe("captureCallGraph()", () => {
  it("captureCallGraph() returns the stack, the innermost function first, and the waiting tasks, each with a stack", async () => {
    await whereKnown(async () => {
      const event = new asyncio.Event();
      const [task] = await waiting(event, "below");
      const above = asyncio.createTask(async function waitsForTask() {
        await task;
      });
      await asyncio.sleep(0);
      const graph = await asyncio.captureCallGraph(task);
      assert.equal(graph?.future, task);
      assert.deepEqual(names(graph.callStack), ["inner", "handle"]);
      assert.deepEqual(
        graph.awaitedBy.map((each) => [each.future, names(each.callStack), each.awaitedBy.length]),
        [[above, asksAfterwards ? ["waitsForTask"] : [], 0]],
      );
      event.set();
      await above;
    });
  });

  it("captureCallGraph() of a Future has no stack, but who waits for it", async () => {
    const future = new asyncio.Future<void>();
    const task = asyncio.createTask(async () => await future);
    await asyncio.sleep(0);
    const graph = await asyncio.captureCallGraph(future);
    assert.deepEqual([graph?.callStack, graph?.awaitedBy.map((each) => each.future)], [[], [task]]);
    future.setResult();
    await task;
  });

  it("captureCallGraph() knows who waits through asCompleted(), and each task once", async () => {
    const future = new asyncio.Future<void>();
    const above = asyncio.createTask(async () => {
      for await (const done of asyncio.asCompleted([future])) {
        await done;
      }
    });
    const twice = asyncio.createTask(() => Promise.all([future, asyncio.shield(future)]));
    await asyncio.sleep(0);
    const graph = await asyncio.captureCallGraph(future);
    assert.deepEqual(
      graph?.awaitedBy.map((each) => each.future),
      [above, twice],
    );
    future.setResult();
    await asyncio.wait([above, twice]);
  });

  it("captureCallGraph() without an argument is that of the current task; null outside of tasks", async () => {
    assert.equal(await asyncio.captureCallGraph(), null);
    assert.equal(await asyncio.formatCallGraph(), "");
    await asyncio.createTask(async function current() {
      const graph = await asyncio.captureCallGraph();
      assert.equal(graph?.future, asyncio.currentTask());
      assert.deepEqual(names(graph?.callStack ?? []), ["current"]);
      assert.match(await asyncio.formatCallGraph(null), /^\* Task\(name='Task-\d+', id=0x\w+\)\n {2}\+ Call stack:/);
    });
  });

  it("captureCallGraph() says that there is a cycle, and does not follow it", async () => {
    // cancel() would follow the cycle forever, as in CPython, so something else has to end it.
    const end = new asyncio.Future<void>();
    const first: asyncio.Task<void> = asyncio.createTask(() => Promise.race([second, end]), { name: "first" });
    const second: asyncio.Task<void> = asyncio.createTask(async () => await first, { name: "second" });
    await asyncio.sleep(0);
    const graph = await asyncio.captureCallGraph(first);
    const again = graph?.awaitedBy[0]?.awaitedBy[0];
    assert.deepEqual([again?.future, again?.omitted, again?.callStack, again?.awaitedBy], [first, "cycle", [], []]);
    assert.match(await asyncio.formatCallGraph(first), /\n {8}\* Task\(name='first', id=\w+\): a cycle, see above$/);
    end.setResult();
    await second;
  });

  it("captureCallGraph() of ten thousand tasks in a row goes a hundred deep", async () => {
    const bottom = new asyncio.Future<void>();
    let before: PromiseLike<void> = bottom;
    for (let i = 0; i < 10_000; i++) {
      const waitedFor = before;
      before = asyncio.createTask(async () => await waitedFor);
    }
    await asyncio.sleep(0);
    const text = await asyncio.formatCallGraph(bottom);
    assert.match(text, /: and more$/);
    assert.equal(text.match(/\* /g)?.length, 101);
    bottom.setResult();
    await before;
  });

  it("captureCallGraph() of layers of tasks that share what they wait for ends, with the first task left out", async () => {
    const bottom = new asyncio.Future<void>();
    let layer: PromiseLike<void>[] = [bottom];
    for (let i = 0; i < 12; i++) {
      const below = layer;
      layer = Array.from({ length: 12 }, () =>
        asyncio.createTask(async () => void (await asyncio.wait(below.map((each) => asyncio.ensureFuture(each))))),
      );
    }
    await asyncio.sleep(0);
    const text = await asyncio.formatCallGraph(bottom, { limit: 0 });
    assert.match(text, /: and more$/m);
    assert.ok((text.match(/\* /g)?.length ?? 0) <= 20_001);
    bottom.setResult();
    await asyncio.gather(layer);
  });

  it("captureCallGraph() and its kin throw a TypeError unless they get a Future, and a whole number as the limit", async () => {
    const calls = [asyncio.captureCallGraph, asyncio.formatCallGraph, asyncio.printCallGraph];
    for (const call of calls) {
      await assert.rejects(call({} as asyncio.Future<void>), /^TypeError: .*future must be a Task or Future, got {}/);
      await assert.rejects(call(new asyncio.Future(), { limit: 1.5 }), /^TypeError: .*limit must be a whole number/);
    }
    const task = asyncio.createTask(() => {});
    await assert.rejects(task.getStack({ limit: "1" as never }), /^TypeError: .*limit must be a whole number/);
    await assert.rejects(task.printStack({ limit: "1" as never }), /^TypeError: .*limit must be a whole number/);
    await task;
  });
});

describe("the slot of tools on globalThis", () => {
  it("every installed copy answers there for its own tasks, with text and numbers only", async () => {
    const other = await importCopy();
    const slot = (globalThis as unknown as Record<symbol, { copies: Copy[] }>)[Symbol.for("contextvars.asyncio.1")];
    const copies = slot?.copies.slice(-2) ?? [];
    assert.equal(copies.length, 2);
    const event = new asyncio.Event();
    const [here] = await waiting(event, "here");
    const there = other.asyncio.createTask(async () => await here, { name: "there" });
    await asyncio.sleep(0);
    const named = async (copy: Copy | undefined, name: string): Promise<Description | undefined> =>
      (await copy?.describeTasks())?.find((task) => task.name === name);
    const [first, second] = copies;
    const told = await named(first, "here");
    assert.deepEqual(told, JSON.parse(JSON.stringify(told)));
    assert.deepEqual([told?.function, told?.waitsFor, told?.id], ["anonymous", ["<Event.wait()>"], first?.idOf(here)]);
    assert.equal(await named(first, "there"), undefined);
    assert.equal((await named(second, "there"))?.function, "anonymous");
    assert.equal(await named(second, "here"), undefined);
    const ids = (await Promise.all(copies.map((copy) => copy.describeTasks()))).flat().map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, "no two tasks have the same id");
    assert.deepEqual(told?.awaitedBy, [second?.idOf(there)]);
    event.set();
    await there;
  });
});

interface Description {
  readonly id: string;
  readonly name: string;
  readonly function: string;
  readonly waitsFor: readonly string[];
  readonly awaitedBy: readonly string[];
}

interface Copy {
  describeTasks(): Promise<Description[]>;
  idOf(task: object): string;
}
