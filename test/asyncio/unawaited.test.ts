/**
 * Promises that are not awaited: what the library rejects never ends the process, and what a function of the user threw is
 * told to the exception handler, once. Every published function and method that gives a promise stands in a table.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { framed, linesCodec } from "contextvars/codecs";
import { checkStreams, MockClock, memoryServer, Sequencer, waitAllTasksBlocked } from "contextvars/testing";
import { outcomeOf, turns } from "../support/peers.ts";
import { runProgram } from "../support/programs.ts";
import { promiseGivers } from "../support/published.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const HOST = "127.0.0.1";
const loop = asyncio.getRunningLoop();
const nothing = (): void => {};
const factory = (): asyncio.Protocol => new asyncio.Protocol();
const forever = (): Promise<void> => asyncio.sleep(3600);
/** What no call takes. */
const wrong = 42 as never;

/** A handler whose connection stays open until its peer ends it. */
async function untilEnded(reader: asyncio.StreamReader, own: asyncio.StreamWriter): Promise<void> {
  await outcomeOf(reader.read());
  own.close();
}

let server: asyncio.Server;
let address: [string, number];
const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): void => void unhandled.push(reason);

before(async () => {
  server = await asyncio.startServer(untilEnded, HOST, 0);
  address = [HOST, server.sockets[0]?.getsockname().port as number];
  process.on("unhandledRejection", onUnhandled);
});

after(async () => {
  process.off("unhandledRejection", onUnhandled);
  server.close();
  for (const each of writers) {
    each.transport.abort();
  }
  // Tasks that a cancelled wait() did not cancel.
  for (const task of asyncio.allTasks()) {
    task.cancel();
  }
});

/** The connections of the test, which stay open until it is over. */
const writers: asyncio.StreamWriter[] = [];

async function writer(port = address[1]): Promise<asyncio.StreamWriter> {
  const [, connected] = await asyncio.openConnection(HOST, port);
  writers.push(connected);
  return connected;
}

/** A writer whose connection is lost with an error. */
async function lostWriter(): Promise<asyncio.StreamWriter> {
  const lost = await writer();
  (lost.getExtraInfo("socket") as import("node:net").Socket).destroy(new Error("lost"));
  await outcomeOf(lost.waitClosed());
  return lost;
}

function failedReader(): asyncio.StreamReader {
  const reader = new asyncio.StreamReader();
  reader.setException(new Error("failed"));
  return reader;
}

async function held<L extends asyncio.Lock | asyncio.Condition | asyncio.Semaphore>(lock: L): Promise<L> {
  await lock.acquire();
  return lock;
}

async function fullQueue(): Promise<asyncio.Queue<number>> {
  const queue = new asyncio.Queue<number>(1);
  await queue.put(1);
  return queue;
}

function closedServer(): Promise<asyncio.Server> {
  return asyncio.startServer(nothing, HOST, 0).then((closed) => {
    closed.close();
    return closed;
  });
}

/** A closed server with a connection that stays open. */
async function usedServer(): Promise<asyncio.Server> {
  const connected = new asyncio.Event();
  const used = await asyncio.startServer(
    async (...streams) => {
      connected.set();
      await untilEnded(...streams);
    },
    HOST,
    0,
  );
  await writer(used.sockets[0]?.getsockname().port);
  await connected.wait();
  used.close();
  return used;
}

/** A process that ends when its input does, which is when the test is over. */
async function subprocess(): Promise<asyncio.Process> {
  const process = await asyncio.createSubprocessExec("cat", [], { stdin: asyncio.PIPE });
  writers.push(process.stdin as asyncio.StreamWriter);
  return process;
}

type Promises = PromiseLike<unknown>[];

/** Cancels the task before the promises are fulfilled, which would not take long. */
function cancelledAtOnce(...promises: Promises): Promises {
  asyncio.currentTask()?.cancel();
  return promises;
}

const readRows = (read: (reader: asyncio.StreamReader) => Promise<unknown>) => async (): Promise<Promises> => [
  read(failedReader()),
  read(new asyncio.StreamReader()),
];

/**
 * Promises that are rejected, by the name of what gives them. The calls are made in a task which awaits none of them, and
 * which is cancelled then.
 */
const rejected: Record<string, () => Promise<Promises> | Promises> = {
  sleep: () => [asyncio.sleep(wrong), asyncio.sleep(3600)],
  socketpair: () => cancelledAtOnce(asyncio.socketpair()),
  wait: () => [asyncio.wait([]), asyncio.wait([asyncio.createTask(forever)])],
  waitFor: () => [asyncio.waitFor(nothing, "1" as never), asyncio.waitFor(forever, 5), asyncio.waitFor(forever, 0)],
  asCompleted: () => {
    const completed = asyncio.asCompleted([forever], { timeout: 0 });
    return [completed.next(), asyncio.asCompleted([forever])[Symbol.asyncIterator]().next()];
  },
  openConnection: () => cancelledAtOnce(asyncio.openConnection(...address), asyncio.openConnection(HOST, wrong, wrong)),
  openUnixConnection: () => [asyncio.openUnixConnection(wrong), asyncio.openUnixConnection("/none")],
  relay: async () => {
    const pair = (own: asyncio.StreamWriter) => [new asyncio.StreamReader(), own] as const;
    return [asyncio.relay(wrong, wrong), asyncio.relay(pair(await lostWriter()), pair(await writer()))];
  },
  startServer: () => [asyncio.startServer(wrong, HOST, 0), asyncio.startServer(nothing, HOST, 0, wrong)],
  startUnixServer: () => [asyncio.startUnixServer(nothing, "/none/none")],
  createSubprocessExec: () => [asyncio.createSubprocessExec(wrong), asyncio.createSubprocessExec("/none")],
  createSubprocessShell: () => [asyncio.createSubprocessShell(wrong)],
  captureCallGraph: () => [asyncio.captureCallGraph(wrong)],
  formatCallGraph: () => [asyncio.formatCallGraph(wrong)],
  printCallGraph: () => [asyncio.printCallGraph(wrong)],
  "Process.wait": async () => cancelledAtOnce((await subprocess()).wait()),
  "Process.communicate": async () => cancelledAtOnce((await subprocess()).communicate()),
  "Task.getStack": () => [(asyncio.currentTask() as asyncio.Task<unknown>).getStack(wrong)],
  "Task.printStack": () => [(asyncio.currentTask() as asyncio.Task<unknown>).printStack(wrong)],
  "EventLoop.createConnection": () => [loop.createConnection(factory, HOST, wrong, wrong)],
  "EventLoop.createUnixConnection": () => [loop.createUnixConnection(factory, "/none")],
  "EventLoop.connectAcceptedSocket": () => [loop.connectAcceptedSocket(factory, { fd: -1 })],
  "EventLoop.connectReadPipe": () => [loop.connectReadPipe(factory, wrong)],
  "EventLoop.connectWritePipe": () => [loop.connectWritePipe(factory, wrong)],
  "EventLoop.createServer": () => [loop.createServer(wrong, HOST, 0), loop.createServer(factory, HOST, 0, wrong)],
  "EventLoop.createUnixServer": () => [loop.createUnixServer(factory, "/none/none")],
  "EventLoop.getaddrinfo": () => [loop.getaddrinfo(wrong), loop.getaddrinfo("")],
  "EventLoop.getnameinfo": () => [loop.getnameinfo({ address: "none", port: 1 } as asyncio.SocketAddress)],
  "EventLoop.startTls": async () => [loop.startTls((await writer()).transport, factory(), wrong)],
  "Barrier.wait": () => [new asyncio.Barrier(2).wait()],
  "Barrier.with": () => [new asyncio.Barrier(2).with(nothing), new asyncio.Barrier(1).with(forever)],
  "Condition.with": async () => [
    new asyncio.Condition().with(forever),
    (await held(new asyncio.Condition())).with(nothing),
  ],
  "Condition.acquire": async () => [(await held(new asyncio.Condition())).acquire()],
  "Condition.wait": async () => [new asyncio.Condition().wait(), (await held(new asyncio.Condition())).wait()],
  "Condition.waitFor": async () => [
    new asyncio.Condition().waitFor(() => false),
    (await held(new asyncio.Condition())).waitFor(() => false),
  ],
  "Event.wait": () => [new asyncio.Event().wait()],
  "Framed.receive": readRows((reader) => framed(reader, null, linesCodec()).receive()),
  "Framed.[Symbol.asyncIterator]": readRows((reader) =>
    framed(reader, null, linesCodec())[Symbol.asyncIterator]().next(),
  ),
  "Framed.send": async () => [framed(null, await lostWriter(), linesCodec()).send("x")],
  "Framed.sendAll": async () => [framed(null, await lostWriter(), linesCodec()).sendAll(["x"])],
  "Framed.close": async () => cancelledAtOnce(framed(null, await writer(), linesCodec()).close()),
  "Framed.[Symbol.asyncDispose]": async () =>
    cancelledAtOnce(framed(null, await writer(), linesCodec())[Symbol.asyncDispose]()),
  "Lock.with": async () => [new asyncio.Lock().with(forever), (await held(new asyncio.Lock())).with(nothing)],
  "Lock.acquire": async () => [(await held(new asyncio.Lock())).acquire()],
  "Semaphore.with": async () => [
    new asyncio.Semaphore().with(forever),
    new asyncio.Semaphore().with(wrong),
    (await held(new asyncio.Semaphore())).with(nothing),
  ],
  "Semaphore.acquire": async () => [(await held(new asyncio.Semaphore())).acquire()],
  "Queue.put": async () => [(await fullQueue()).put(2), new asyncio.Queue().put(Promise.resolve(1))],
  "Queue.get": () => [new asyncio.Queue().get()],
  "Queue.join": async () => [(await fullQueue()).join()],
  "MemoryServer.connect": () => {
    const closed = memoryServer(nothing);
    closed.close();
    return [closed.connect()];
  },
  "Server.startServing": async () => [(await closedServer()).startServing()],
  "Server.serveForever": async () => {
    const serving = await asyncio.startServer(nothing, HOST, 0);
    return [serving.serveForever(), serving.serveForever(), (await closedServer()).serveForever()];
  },
  "Server.waitClosed": async () => [(await usedServer()).waitClosed()],
  "Server.shutdown": async () => cancelledAtOnce((await usedServer()).shutdown(), server.shutdown({ grace: -1 })),
  "Server.with": async () => [(await closedServer()).with(forever)],
  "Server.[Symbol.asyncDispose]": async () => [(await usedServer())[Symbol.asyncDispose]()],
  "StreamReader.read": readRows((reader) => reader.read(1)),
  "StreamReader.readline": readRows((reader) => reader.readline()),
  "StreamReader.readexactly": readRows((reader) => reader.readexactly(1)),
  "StreamReader.readuntil": readRows((reader) => reader.readuntil("x")),
  "StreamReader.readInto": readRows((reader) => reader.readInto(Buffer.alloc(1))),
  "StreamReader.peek": readRows((reader) => reader.peek(1)),
  "StreamReader.chunks": readRows((reader) => reader.chunks().next()),
  "StreamReader.[Symbol.asyncIterator]": readRows((reader) => reader[Symbol.asyncIterator]().next()),
  "StreamWriter.drain": async () => {
    const [closed, aborted] = [await writer(), await writer()];
    closed.close();
    aborted.transport.abort();
    return [closed.drain(), aborted.drain(), (await lostWriter()).drain()];
  },
  "StreamWriter.waitClosed": async () => [(await writer()).waitClosed(), (await lostWriter()).waitClosed()],
  "StreamWriter.send": async () => {
    const closed = await writer();
    closed.close();
    return [closed.send("x"), (await lostWriter()).send("x"), (await writer()).send(wrong)];
  },
  "StreamWriter.startTls": async () => [(await writer()).startTls(wrong), (await lostWriter()).startTls(true)],
  "StreamWriter.[Symbol.asyncDispose]": async () => cancelledAtOnce((await writer())[Symbol.asyncDispose]()),
  "MockClock.with": () => [new MockClock().with(wrong), new MockClock({ autojumpThreshold: null }).with(forever)],
  checkStreams: () => [checkStreams(wrong)],
  waitAllTasksBlocked: () => cancelledAtOnce(waitAllTasksBlocked({ cushion: 3600 }), waitAllTasksBlocked(wrong)),
  "Sequencer.with": () => [new Sequencer().with(-1, wrong), new Sequencer().with(0, forever)],
  "TaskGroup.with": () => [new asyncio.TaskGroup().with(forever), new asyncio.TaskGroup().with(wrong)],
  "Timeout.with": () => [asyncio.timeout(5).with(forever), asyncio.timeout(0).with(forever)],
};

/** What gives a Future or Task, whose error is reported by the same rule; or what only hands on one that is there. */
const futures = [
  ..."createTask EventLoop.createTask TaskGroup.createTask EventLoop.createFuture currentTask".split(" "),
  ..."ensureFuture gather shield".split(" "),
];

/** What cannot fail. */
const neverRejected = ["Barrier.reset", "Barrier.abort", "Runner.close", "Runner.[Symbol.asyncDispose]"];

/** Their promises are the caller's own, as those of a promise's `then()`; the error of a main task ends its program. */
const callersOwn = [..."Future.then Future.catch Future.finally run Runner.run".split(" ")];

describe("Promises that are not awaited", () => {
  it("every published function and method that returns a promise is in one of this test's tables", () => {
    const known = [...Object.keys(rejected), ...futures, ...neverRejected, ...callersOwn];
    assert.deepEqual(
      known.sort(),
      promiseGivers()
        .map(({ name }) => name)
        .sort(),
    );
  });

  for (const [name, call] of Object.entries(rejected)) {
    it(`${name}() that is rejected ends nothing`, async () => {
      let promises: Promises = [];
      const task = asyncio.createTask(async () => {
        promises = await call();
        await forever();
      });
      while (promises.length === 0 && !task.done()) {
        await turns(1);
      }
      await turns(5);
      task.cancel();
      await turns(5);
      assert.deepEqual(unhandled.splice(0), []);
      for (const promise of promises) {
        assert.ok((await outcomeOf(promise)) instanceof Error, "it is rejected");
      }
      assert.deepEqual(unhandled.splice(0), []);
    });
  }

  it("the error of the user's function is reported once", async () => {
    using folder = new TemporaryFolder();
    const { told, unhandled: ended } = (await runProgram("unasked-errors.js", folder.path)) as {
      told: Record<string, number>;
      unhandled: string[];
    };
    assert.deepEqual(ended.sort(), [...callersOwn].sort());
    // These call the function for a connection that comes.
    const calledLater = ["EventLoop.createServer", "EventLoop.createUnixServer"];
    const expected = promiseGivers()
      .filter(({ takesFunction }) => takesFunction)
      .map(({ name }) => name)
      .filter((name) => ![...callersOwn, ...calledLater].includes(name));
    assert.deepEqual(told, Object.fromEntries(expected.map((name) => [name, 1])));
  });
});
