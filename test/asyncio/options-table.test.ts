/**
 * Every function and class of the package that takes options refuses unknown ones and wrong types; see the two tables.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import * as contextvars from "contextvars";
import { Context, ContextVar, copyContext } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import * as codecs from "contextvars/codecs";
import { extract, inject, propagated } from "contextvars/propagate";
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
  "StreamWriter.startTls": (options) => testing.memoryStreamPair()[0][1].startTls(true, options),
  "Transport.setWriteBufferLimits": (options) =>
    testing.memoryStreamPair()[0][1].transport.setWriteBufferLimits(options),
  "EventLoop.startTls": (options) =>
    loop.startTls(testing.memoryStreamPair()[0][1].transport, factory(), true, options),
  propagated: (options) => propagated(new ContextVar("options-table"), options),
  extract: (options) => extract({}, options),
  inject: (options) => inject({}, options),
  linesCodec: (options) => codecs.linesCodec(options),
  jsonLinesCodec: (options) => codecs.jsonLinesCodec(options),
  delimiterCodec: (options) => codecs.delimiterCodec("|", options),
  lengthDelimitedCodec: (options) => codecs.lengthDelimitedCodec(options),
  netstringCodec: (options) => codecs.netstringCodec(options),
  varintCodec: (options) => codecs.varintCodec(options),
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

const noBoolean = [1, 0, "yes", null, {}];
const noSeconds = ["1", Number.NaN, {}, true];
const noTimeLimit = [...noSeconds, 0, -1, null];
const noTimeFromZero = [...noSeconds, -1, null];
const noWholeNumber = ["1", 1.5, Number.NaN, {}];
const noText = [42, {}, null];

/** Values that an option of this name refuses, wherever it is. */
const wrongValues: Record<string, readonly unknown[]> = {
  allErrors: noBoolean,
  backlog: noWholeNumber,
  cancelGrace: noTimeFromZero,
  cleanupSocket: noBoolean,
  context: [42, "no", {}, new Map(), null],
  cwd: noText,
  debug: noBoolean,
  autojumpThreshold: noTimeFromZero.filter((value) => value !== null),
  chunks: [0, "1", 1.5, {}, null],
  clock: [42, "mock", {}, null],
  clogged: [42, "x"],
  cushion: noTimeFromZero,
  delay: noTimeFromZero,
  halfClose: noBoolean,
  high: ["1", {}, true, null],
  highWater: noWholeNumber,
  // Whatever it is, it is the default.
  default: [],
  eagerStart: noBoolean,
  env: [42, "PATH=/bin", null],
  family: [5, "4", {}, null],
  file: [42, "out", {}],
  getter: [42, "get", {}, null],
  setter: [42, "set", {}, null],
  flags: [-1, "1", 1.5, {}, null],
  grace: noTimeFromZero,
  group: noWholeNumber,
  happyEyeballsDelay: noTimeFromZero,
  idleTimeout: noTimeLimit,
  interleave: noWholeNumber,
  keepAlive: noBoolean,
  limit: ["1", Number.NaN, {}],
  codec: ["zip", 42, {}, null],
  encoding: ["ascii", 42, null],
  key: ["", 42, null],
  lengthAdjustment: noWholeNumber,
  lengthFieldLength: noWholeNumber,
  lengthFieldOffset: noWholeNumber,
  littleEndian: noBoolean,
  maxFrameLength: noWholeNumber,
  maxLength: noWholeNumber,
  maxLengthLength: noWholeNumber,
  numSkip: noWholeNumber,
  onOverrun: ["drop", true, null],
  low: ["1", {}, true, null],
  localAddr: ["127.0.0.1", 42, [], {}, null, [null, 0], [42, 0]],
  maxConnections: noWholeNumber,
  min: ["1", 0, 1.5, {}, null],
  // Any value is taken by its text, as by Python.
  name: [],
  proto: [17, "tcp", {}, null],
  readTimeout: noTimeLimit,
  returnExceptions: noBoolean,
  returnWhen: ["ALL", 1, null],
  reuseAddress: noBoolean,
  reusePort: noBoolean,
  serverHostname: noText,
  serverSide: noBoolean,
  signal: [42, "SIGINT", {}, null],
  // Beside an address it is refused whatever it is; see adopted-sock.test.ts.
  sock: [],
  ssl: [42, "yes"],
  sslHandshakeTimeout: noTimeLimit,
  sslShutdownTimeout: noTimeLimit,
  startNewSession: noBoolean,
  startServing: noBoolean,
  stderr: ["pipe", -7, 1.5, {}],
  stdin: ["pipe", -7, 1.5, {}],
  stdout: ["pipe", -7, 1.5, {}],
  timeout: noSeconds,
  user: noWholeNumber,
};

/**
 * What takes no options, but could be given an object by mistake: Python's `loop`, or the options of another library.
 */
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
  TaskGroup: (options) => new (asyncio.TaskGroup as new (given: unknown) => unknown)(options),
  waitFor: (options) => asyncio.waitFor(nothing, options),
};

/** What takes neither: nothing is constructed or configured by it. Errors are left out by their class. */
const others = [
  ..."DEVNULL PIPE STDOUT Process".split(" "),
  ..."ALL_COMPLETED FIRST_COMPLETED FIRST_EXCEPTION Context Token copyContext isolated BaseProtocol BufferedProtocol".split(
    " ",
  ),
  ..."EventLoop Future Protocol Server ServerSocket SocketAddress StreamReaderProtocol StreamWriter Task".split(" "),
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

  it("every export of contextvars/testing is in the table, except those without options", () => {
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

  for (const [name, call] of Object.entries({ ...takesOptions, ...testingTakesOptions })) {
    it(`${name} with an option of a wrong type throws an error that says what it must be, and what it is`, async () => {
      const refusal = (await errorOf(call, { nonsense: 1 })) as Error;
      const options = refusal.message.split("known options: ")[1]?.split(", ") ?? [];
      assert.ok(options.length > 0, refusal.message);
      const accepted: string[] = [];
      for (const option of options) {
        const values = wrongValues[option];
        assert.ok(values !== undefined, `${option} is in the table of wrong values`);
        for (const value of values) {
          const error = await errorOf(call, { [option]: value });
          const isRefused =
            (error instanceof TypeError || error instanceof asyncio.ValueError) &&
            new RegExp(`(?:^|: )${option} (?:must be .+|needs a function), got `).test(error.message);
          if (!isRefused) {
            accepted.push(`${option} ${inspect(value)}: ${String(error)}`);
          }
        }
      }
      assert.deepEqual(accepted, []);
    });
  }

  it("createTask() with eagerStart in a Context that is entered throws a RuntimeError", () => {
    const context = new Context();
    context.run(() => {
      assert.throws(() => asyncio.createTask(nothing, { context, eagerStart: true }), asyncio.RuntimeError);
      asyncio.createTask(nothing, { context: copyContext(), eagerStart: true });
    });
  });
});
