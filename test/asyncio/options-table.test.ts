/** Every function and class of the package that takes options refuses unknown ones and wrong types; see the two tables. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as contextvars from "contextvars";
import { Context, ContextVar, copyContext } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import * as testing from "contextvars/testing";
import { packageRoot } from "../support/paths.ts";
import { outcomeOf } from "../support/peers.ts";

type Call = (options: never) => unknown;
const loop = asyncio.getRunningLoop();
const nothing = (): void => {};
const factory = (): asyncio.Protocol => new asyncio.Protocol();
const futures = (): asyncio.Future<void>[] => {
  const future = new asyncio.Future<void>();
  future.setResult();
  return [future];
};

/** What takes options, by its name in exports.txt, or by the class of a method. */
const takesOptions: Record<string, Call> = {
  ContextVar: (options) => new ContextVar("v", options),
  StreamReader: (options) => new asyncio.StreamReader(options),
  "StreamReader.from": (options) => asyncio.StreamReader.from([], options),
  Runner: (options) => new asyncio.Runner(options),
  run: (options) => asyncio.run(nothing, options),
  createTask: (options) => asyncio.createTask(nothing, options),
  gather: (options) => asyncio.gather(futures(), options),
  wait: (options) => asyncio.wait(futures(), options),
  asCompleted: (options) => asyncio.asCompleted(futures(), options),
  captureCallGraph: (options) => asyncio.captureCallGraph(futures()[0], options),
  formatCallGraph: (options) => asyncio.formatCallGraph(futures()[0], options),
  printCallGraph: (options) => asyncio.printCallGraph(futures()[0], options),
  "Task.getStack": (options) => asyncio.createTask(nothing).getStack(options),
  "Task.printStack": (options) => asyncio.createTask(nothing).printStack(options),
  openConnection: (options) => asyncio.openConnection("127.0.0.1", 0, options),
  openUnixConnection: (options) => asyncio.openUnixConnection("/none", options),
  startServer: (options) => asyncio.startServer(nothing, "127.0.0.1", 0, options),
  startUnixServer: (options) => asyncio.startUnixServer(nothing, "/none/none", options),
  createSubprocessExec: (options) => asyncio.createSubprocessExec("/none", [], options),
  createSubprocessShell: (options) => asyncio.createSubprocessShell("exit", options),
  "EventLoop.callSoon": (options) => loop.callSoon(nothing, options),
  "EventLoop.callLater": (options) => loop.callLater(0, nothing, options),
  "EventLoop.callAt": (options) => loop.callAt(0, nothing, options),
  "EventLoop.createTask": (options) => loop.createTask(nothing, options),
  "EventLoop.createConnection": (options) => loop.createConnection(factory, "127.0.0.1", 0, options),
  "EventLoop.createUnixConnection": (options) => loop.createUnixConnection(factory, "/none", options),
  "EventLoop.createServer": (options) => loop.createServer(factory, "127.0.0.1", 0, options),
  "EventLoop.createUnixServer": (options) => loop.createUnixServer(factory, "/none/none", options),
  "EventLoop.connectAcceptedSocket": (options) => loop.connectAcceptedSocket(factory, { fd: -1 }, options),
  "EventLoop.getaddrinfo": (options) => loop.getaddrinfo("127.0.0.1", 0, options),
  "Future.addDoneCallback": (options) => new asyncio.Future<void>().addDoneCallback(nothing, options),
  // In the body it would come out in an ExceptionGroup.
  "TaskGroup.createTask": (options) =>
    asyncio.createTask(async () => {
      const group = new asyncio.TaskGroup();
      const call = async (): Promise<unknown> => group.createTask(nothing, options);
      const error = await group.with(() => outcomeOf(call()));
      if (error instanceof Error) {
        throw error;
      }
    }),
  "StreamReader.readInto": (options) => new asyncio.StreamReader().readInto(Buffer.alloc(1), options),
  "Server.shutdown": async (options) => {
    const server = await asyncio.startServer(nothing, "127.0.0.1", 0);
    try {
      await server.shutdown(options);
    } finally {
      server.close();
    }
  },
};

/** The same of contextvars/testing. */
const testingTakesOptions: Record<string, Call> = {
  MockClock: (options) => new testing.MockClock(options),
  asyncioTest: (options) => testing.asyncioTest(nothing, options),
  checkStreams: (options) => testing.checkStreams(() => testing.memoryStreamPair(), options),
  lockstepStreamPair: (options) => testing.lockstepStreamPair(options),
  memoryServer: (options) => testing.memoryServer(nothing, options),
  "MemoryServer.connect": (options) => testing.memoryServer(nothing).connect(options),
  memoryStreamPair: (options) => testing.memoryStreamPair(options),
  "TestContext.test": (options) => testing.testContext().test(nothing, options),
  waitAllTasksBlocked: (options) => testing.waitAllTasksBlocked(options),
};

/** What takes no options, but could be given an object by mistake: Python's `loop`, or the options of another library. */
const takesNone: Record<string, Call> = {
  Barrier: (options) => new asyncio.Barrier(options),
  BoundedSemaphore: (options) => new asyncio.BoundedSemaphore(options),
  Condition: (options) => new asyncio.Condition(options),
  Event: (options) => new (asyncio.Event as new (given: unknown) => unknown)(options),
  LifoQueue: (options) => new asyncio.LifoQueue(options),
  Lock: (options) => new (asyncio.Lock as new (given: unknown) => unknown)(options),
  PriorityQueue: (options) => new asyncio.PriorityQueue(options),
  Queue: (options) => new asyncio.Queue(options),
  Semaphore: (options) => new asyncio.Semaphore(options),
  sleep: (options) => asyncio.sleep(options),
  timeout: (options) => asyncio.timeout(options),
  timeoutAt: (options) => asyncio.timeoutAt(options),
  waitFor: (options) => asyncio.waitFor(nothing, options),
};

/** What takes neither: nothing is constructed or configured by it. Errors are left out by their class. */
const others = [
  ..."DEVNULL PIPE STDOUT Process".split(" "),
  ..."ALL_COMPLETED FIRST_COMPLETED FIRST_EXCEPTION Context Token copyContext isolated BaseProtocol BufferedProtocol".split(
    " ",
  ),
  ..."EventLoop Future Protocol Server ServerSocket SocketAddress StreamReaderProtocol StreamWriter Task TaskGroup".split(
    " ",
  ),
  ..."Timeout allTasks currentTask ensureFuture getRunningLoop isCancelled isfuture relay shield socketpair".split(" "),
];

/** The error of the call, thrown or by its promise. */
async function errorOf(call: Call, options: unknown): Promise<unknown> {
  return await outcomeOf((async () => await call(options as never))());
}

describe("Options", () => {
  it("every export is in one of the tables of this test", () => {
    const exported = readFileSync(join(packageRoot, "test/package/exports.txt"), "utf8")
      .split("\n")
      .map((line) => line.split(" "))
      .filter(([entry, name]) => (entry === "contextvars" || entry === "contextvars/asyncio") && name !== "type")
      .map(([, name]) => name as string)
      .filter((name) => {
        const value = ({ ...contextvars, ...asyncio } as Record<string, unknown>)[name];
        return !(typeof value === "function" && (value === Error || value.prototype instanceof Error));
      });
    const known = [...Object.keys(takesOptions), ...Object.keys(takesNone), ...others];
    assert.deepEqual(
      exported.filter((name) => !known.includes(name)),
      [],
    );
  });

  it("every export of contextvars/testing is in the table, but those that take no options", () => {
    const others = ["MemoryServer", "Sequencer", "testContext"];
    const known = [...Object.keys(testingTakesOptions), ...others];
    assert.deepEqual(
      Object.keys(testing).filter((name) => !known.includes(name)),
      [],
    );
  });

  for (const [name, call] of Object.entries({ ...takesOptions, ...testingTakesOptions })) {
    it(`${name} with an option that does not exist throws a TypeError which names it`, async () => {
      const error = await errorOf(call, { nonsense: 1 });
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, /'nonsense'/);
    });

    it(`${name} with 42 as its options throws a TypeError`, async () => {
      assert.ok((await errorOf(call, 42)) instanceof TypeError);
    });
  }

  for (const [name, call] of Object.entries(takesNone)) {
    it(`${name} with an object throws a TypeError`, async () => {
      assert.ok((await errorOf(call, { loop: null })) instanceof TypeError);
    });
  }

  const takeContext = Object.entries(takesOptions).filter(([name]) =>
    /call(Soon|Later|At)|createTask|addDoneCallback/.test(name),
  );
  for (const [name, call] of takeContext) {
    for (const context of [42, "no", {}, new Map(), null]) {
      it(`${name} with ${JSON.stringify(context)} as its context throws a TypeError`, async () => {
        assert.ok((await errorOf(call, { context })) instanceof TypeError);
      });
    }
  }

  for (const name of ["startServer", "EventLoop.createServer", "startUnixServer", "EventLoop.createUnixServer"]) {
    for (const option of ["backlog", "maxConnections"]) {
      for (const value of [Number.NaN, "10", 1.5, {}]) {
        it(`${name} with ${option} ${JSON.stringify(value)} throws a TypeError`, async () => {
          const error = await errorOf(takesOptions[name] as Call, { [option]: value });
          assert.ok(error instanceof TypeError, String(error));
          assert.match(error.message, new RegExp(option));
        });
      }
    }
  }

  it("createTask() with eagerStart in a Context that is entered throws a RuntimeError", () => {
    const context = new Context();
    context.run(() => {
      assert.throws(() => asyncio.createTask(nothing, { context, eagerStart: true }), asyncio.RuntimeError);
      asyncio.createTask(nothing, { context: copyContext(), eagerStart: true });
    });
  });
});
