/**
 * Every place where the library makes a task wait: what the task says that it waits for, and whether the error that ends
 * the wait leads to the function of the program that awaits it.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { framed, linesCodec } from "contextvars/codecs";
import { portOf } from "../support/peers.ts";
import { promiseGivers } from "../support/published.ts";
import { limitOf } from "../support/runtime-limits.ts";

/** What the waits of the table need; each row has its own. */
interface Place {
  readonly reader: asyncio.StreamReader;
  readonly writer: asyncio.StreamWriter;
  /** The other end, on which nothing happens. */
  readonly peer: Socket;
  /** A server with one connection, and its port. */
  readonly server: asyncio.Server;
  readonly port: number;
  /** Called at the end. */
  readonly later: (() => unknown)[];
}

interface WaitRow {
  readonly name: string;
  readonly wait: (place: Place) => PromiseLike<unknown>;
  /** What the task waits for, with `N` for numbers and `PEER` for an address. */
  readonly says: string;
  /** The function whose wait is cancelled, where that is a task of its own: its frames come first. */
  readonly frame?: "childFunction";
}

const never = (): asyncio.Future<void> => new asyncio.Future<void>();

async function childFunction(): Promise<void> {
  await asyncio.sleep(60);
}

async function held(): Promise<asyncio.Lock> {
  const lock = new asyncio.Lock();
  await lock.acquire();
  return lock;
}

function full<Q extends asyncio.Queue<number>>(queue: Q): Q {
  queue.putNowait(1);
  return queue;
}

async function inCondition(wait: (condition: asyncio.Condition) => Promise<unknown>): Promise<void> {
  const condition = new asyncio.Condition();
  await condition.with(() => wait(condition));
}

/** A task that does not end when it is cancelled, before the test is over. */
function stubborn({ later }: Place): asyncio.Task<void> {
  const end = never();
  later.push(() => end.setResult());
  return asyncio.createTask(
    async function stays() {
      await asyncio.sleep(60).catch(() => {});
      await end;
    },
    { name: "stubborn", eagerStart: true },
  );
}

const CHILD = "<Task pending name='child' coro=<childFunction()> wait_for=<sleep() N s left>";
const child = (): asyncio.Task<void> => asyncio.createTask(childFunction, { name: "child", eagerStart: true });

const waits: readonly WaitRow[] = [
  { name: "sleep()", wait: () => asyncio.sleep(60), says: "<sleep() N s left>" },
  { name: "await of a Future", wait: never, says: "<Future pending cb=[Task.task_wakeup()]>" },
  {
    name: "await of a Task",
    wait: child,
    says: `${CHILD} cb=[Task.task_wakeup()]>`,
    frame: "childFunction",
  },
  {
    name: "gather()",
    wait: () => asyncio.gather([child()]),
    says: "<_GatheringFuture pending cb=[Task.task_wakeup()]>",
    frame: "childFunction",
  },
  { name: "shield()", wait: () => asyncio.shield(never()), says: "<Future pending cb=[shield(), Task.task_wakeup()]>" },
  { name: "wait()", wait: () => asyncio.wait([never(), never()]), says: "<wait() N of N pending>" },
  { name: "wait({ timeout })", wait: () => asyncio.wait([never()], { timeout: 60 }), says: "<wait() N of N pending>" },
  { name: "waitFor() of a function", wait: () => asyncio.waitFor(childFunction, 60), says: "<sleep() N s left>" },
  {
    name: "waitFor() of a Future",
    wait: () => asyncio.waitFor(never(), 60),
    says: "<Future pending cb=[Task.task_wakeup()]>",
  },
  {
    name: "waitFor() without time",
    wait: (place) => asyncio.waitFor(stubborn(place), 0),
    says:
      "<waitFor() until it has ended: <Task cancelling name='stubborn' coro=<stays()> " +
      "wait_for=<Future pending cb=[Task.task_wakeup()]> cb=[waitFor()]>>",
  },
  {
    name: "asCompleted(), for await",
    wait: async () => {
      for await (const _ of asyncio.asCompleted([never(), never()])) {
        // None comes.
      }
    },
    says: "<asCompleted() N of N pending>",
  },
  {
    name: "asCompleted(), for",
    wait: async () => {
      for (const next of asyncio.asCompleted([never(), never()])) {
        await next;
      }
    },
    says: "<asCompleted() N of N pending>",
  },
  {
    name: "Timeout.with()",
    wait: () => asyncio.timeout(60).with(() => asyncio.sleep(60)),
    says: "<sleep() N s left>",
  },
  {
    name: "TaskGroup.with()",
    wait: () => new asyncio.TaskGroup().with((group) => void group.createTask(childFunction)),
    says: "<TaskGroup.with() N tasks left>",
  },
  {
    name: "Lock.acquire()",
    wait: async () => await (await held()).acquire(),
    says: "<Lock.acquire() locked by 'the user'>",
  },
  {
    name: "Lock.with()",
    wait: async () => await (await held()).with(() => {}),
    says: "<Lock.acquire() locked by 'the user'>",
  },
  {
    name: "Lock.acquire() of a lock that a task has left locked",
    wait: async () => {
      const lock = new asyncio.Lock();
      await asyncio.createTask(() => lock.acquire(), { name: "gone" });
      await lock.acquire();
    },
    says: "<Lock.acquire() locked by 'gone', which is done>",
  },
  { name: "Event.wait()", wait: () => new asyncio.Event().wait(), says: "<Event.wait()>" },
  { name: "Condition.wait()", wait: () => inCondition((each) => each.wait()), says: "<Condition.wait()>" },
  {
    name: "Condition.waitFor()",
    wait: () => inCondition((each) => each.waitFor(() => false)),
    says: "<Condition.wait()>",
  },
  {
    name: "Condition.acquire()",
    wait: async () => await new asyncio.Condition(await held()).acquire(),
    says: "<Lock.acquire() locked by 'the user'>",
  },
  {
    name: "Condition.with()",
    wait: async () => await new asyncio.Condition(await held()).with(() => {}),
    says: "<Lock.acquire() locked by 'the user'>",
  },
  {
    name: "Semaphore.with()",
    wait: () => new asyncio.Semaphore(0).with(() => {}),
    says: "<Semaphore.acquire() N free>",
  },
  { name: "Semaphore.acquire()", wait: () => new asyncio.Semaphore(0).acquire(), says: "<Semaphore.acquire() N free>" },
  {
    name: "BoundedSemaphore.with()",
    wait: () => new asyncio.BoundedSemaphore(0).with(() => {}),
    says: "<BoundedSemaphore.acquire() N free>",
  },
  { name: "Barrier.wait()", wait: () => new asyncio.Barrier(3).wait(), says: "<Barrier.wait() N of N have come>" },
  {
    name: "Barrier.with()",
    wait: () => new asyncio.Barrier(3).with(() => {}),
    says: "<Barrier.wait() N of N have come>",
  },
  { name: "Queue.get()", wait: () => new asyncio.Queue(10).get(), says: "<Queue.get() of N/N>" },
  { name: "LifoQueue.get()", wait: () => new asyncio.LifoQueue().get(), says: "<LifoQueue.get() of N>" },
  { name: "Queue.put()", wait: () => full(new asyncio.Queue<number>(1)).put(2), says: "<Queue.put() of N/N>" },
  {
    name: "PriorityQueue.put()",
    wait: () => full(new asyncio.PriorityQueue<number>(1)).put(2),
    says: "<PriorityQueue.put() of N/N>",
  },
  { name: "Queue.join()", wait: () => full(new asyncio.Queue<number>()).join(), says: "<Queue.join() N unfinished>" },

  { name: "StreamReader.read()", wait: ({ reader }) => reader.read(), says: "<StreamReader.read() N bytes, PEER>" },
  { name: "StreamReader.read(n)", wait: ({ reader }) => reader.read(9), says: "<StreamReader.read() N bytes, PEER>" },
  {
    name: "StreamReader.readline()",
    wait: ({ reader }) => reader.readline(),
    says: "<StreamReader.readline() N of N bytes, PEER>",
  },
  {
    name: "StreamReader.readexactly()",
    wait: ({ reader }) => reader.readexactly(9),
    says: "<StreamReader.readexactly() N of N bytes, PEER>",
  },
  {
    name: "StreamReader.readuntil()",
    wait: ({ reader }) => reader.readuntil("x"),
    says: "<StreamReader.readuntil() N of N bytes, PEER>",
  },
  {
    name: "StreamReader.readInto()",
    wait: ({ reader }) => reader.readInto(new Uint8Array(9)),
    says: "<StreamReader.readInto() N of N bytes, PEER>",
  },
  {
    name: "StreamReader.peek()",
    wait: ({ reader }) => reader.peek(9),
    says: "<StreamReader.peek() N of N bytes, PEER>",
  },
  {
    name: "for await over a StreamReader",
    wait: async ({ reader }) => {
      for await (const _ of reader) {
        // None comes.
      }
    },
    says: "<StreamReader.readline() N of N bytes, PEER>",
  },
  {
    name: "StreamReader.read() without a connection",
    wait: () => new asyncio.StreamReader().read(1),
    says: "<StreamReader.read() N bytes>",
  },
  {
    name: "StreamWriter.drain()",
    wait: ({ writer }) => {
      writer.write(Buffer.alloc(16 << 20));
      return writer.drain();
    },
    says: "<StreamWriter.drain() N KiB waiting, PEER>",
  },
  {
    name: "StreamWriter.send()",
    wait: ({ writer }) => writer.send(Buffer.alloc(16 << 20)),
    says: "<StreamWriter.drain() N KiB waiting, PEER>",
  },
  {
    name: "StreamWriter.waitClosed()",
    wait: ({ writer }) => writer.waitClosed(),
    says: "<StreamWriter.waitClosed(), PEER>",
  },
  {
    name: "StreamWriter.startTls()",
    wait: ({ writer }) => writer.startTls({}, { serverHostname: "localhost" }),
    says: "<startTls(), TLS handshake>",
  },
  {
    name: "openConnection()",
    wait: ({ port }) => asyncio.openConnection("127.0.0.1", port),
    says: "<openConnection() PEER>",
  },
  {
    name: "openConnection() that looks a name up",
    wait: () => asyncio.openConnection("localhost", 1),
    says: "<openConnection() localhost:N, name look-up>",
  },
  {
    name: "openConnection() that starts TLS",
    wait: async ({ later }) => {
      const [near, far] = await asyncio.socketpair();
      later.push(() => far.destroy());
      await asyncio.openConnection({ sock: near, ssl: true, serverHostname: "localhost" });
    },
    says: "<openConnection() sock, TLS handshake>",
  },
  {
    name: "loop.createConnection()",
    wait: ({ port }) => asyncio.getRunningLoop().createConnection(() => new asyncio.Protocol(), "127.0.0.1", port),
    says: "<createConnection() PEER>",
  },
  {
    name: "loop.getaddrinfo()",
    wait: () => asyncio.getRunningLoop().getaddrinfo("localhost", 1),
    says: "<getaddrinfo() localhost, name look-up>",
  },
  {
    name: "startServer()",
    wait: () => asyncio.startServer(() => {}, "127.0.0.1", 0),
    says: "<startServer() PEER>",
  },
  {
    name: "Server.serveForever()",
    wait: ({ server }) => server.serveForever(),
    says: "<Server.serveForever() at PEER>",
  },
  {
    name: "Server.waitClosed()",
    wait: ({ server }) => server.waitClosed(),
    says: "<Server.waitClosed() N connections>",
  },
  {
    name: "Server.shutdown()",
    wait: ({ server }) => server.shutdown(),
    says: "<Server.shutdown() N of N pending>",
  },
  {
    name: "Process.wait()",
    wait: async ({ later }) => {
      const process = await asyncio.createSubprocessExec("sleep", ["60"]);
      later.push(() => process.kill());
      await process.wait();
    },
    says: "<Process.wait() N>",
  },
  {
    name: "Process.communicate()",
    wait: async ({ later }) => {
      const process = await asyncio.createSubprocessExec("sleep", ["60"], { stdout: asyncio.PIPE });
      later.push(() => process.kill());
      await process.communicate();
    },
    says: "<_GatheringFuture pending cb=[Task.task_wakeup()]>",
  },
  {
    name: "relay()",
    wait: ({ reader, writer }) => asyncio.relay([reader, writer], [new asyncio.StreamReader(), writer]),
    says: "<_GatheringFuture pending cb=[Task.task_wakeup()]>",
  },
  {
    name: "StreamReader.chunks()",
    wait: async ({ reader }) => {
      for await (const _ of reader.chunks()) {
        // None comes.
      }
    },
    says: "<StreamReader.read() N bytes, PEER>",
  },
  { name: "socketpair()", wait: () => asyncio.socketpair(), says: "<socketpair()>" },
  {
    name: "loop.startTls()",
    wait: ({ writer }) =>
      asyncio.getRunningLoop().startTls(writer.transport, new asyncio.Protocol(), {}, { serverHostname: "localhost" }),
    says: "<startTls(), TLS handshake>",
  },
  {
    name: "Framed.receive()",
    wait: ({ reader, writer }) => framed(reader, writer, linesCodec()).receive(),
    says: "<Framed.receive() N bytes, PEER>",
  },
  {
    name: "Framed.[Symbol.asyncIterator]()",
    wait: async ({ reader, writer }) => {
      for await (const _ of framed(reader, writer, linesCodec())) {
        // None comes.
      }
    },
    says: "<Framed.receive() N bytes, PEER>",
  },
  {
    name: "Framed.send()",
    wait: ({ reader, writer }) => framed(reader, writer, linesCodec({ maxLength: 1 << 26 })).send("x".repeat(16 << 20)),
    says: "<StreamWriter.drain() N KiB waiting, PEER>",
  },
  {
    name: "Framed.sendAll()",
    wait: ({ reader, writer }) =>
      framed(reader, writer, linesCodec({ maxLength: 1 << 26 })).sendAll(["x".repeat(16 << 20)]),
    says: "<StreamWriter.drain() N KiB waiting, PEER>",
  },
  {
    name: "Framed.close()",
    wait: ({ reader, writer }) => {
      writer.write(Buffer.alloc(16 << 20));
      return framed(reader, writer, linesCodec()).close();
    },
    says: "<StreamWriter.waitClosed(), PEER>",
  },
];

/** What waits as one of the table does, for a task, or only until the next turns of the loop. */
const withoutRow = [
  ..."Barrier.reset Barrier.abort".split(" "),
  ..."EventLoop.createTask EventLoop.createFuture EventLoop.connectAcceptedSocket EventLoop.connectReadPipe".split(" "),
  ..."EventLoop.connectWritePipe EventLoop.getnameinfo EventLoop.createUnixConnection EventLoop.createServer".split(
    " ",
  ),
  ..."EventLoop.createUnixServer Future.then Future.catch Future.finally".split(" "),
  ..."Runner.run Runner.close Runner.[Symbol.asyncDispose] run".split(" "),
  ..."Server.startServing Server.with Server.[Symbol.asyncDispose] StreamWriter.[Symbol.asyncDispose]".split(" "),
  ..."StreamReader.[Symbol.asyncIterator] Task.getStack Task.printStack TaskGroup.createTask".split(" "),
  ..."captureCallGraph formatCallGraph printCallGraph createSubprocessExec createSubprocessShell".split(" "),
  ..."createTask currentTask ensureFuture openUnixConnection startUnixServer".split(" "),
  ..."Framed.[Symbol.asyncDispose] MemoryServer.connect MockClock.with Sequencer.with checkStreams".split(" "),
  "waitAllTasksBlocked",
];

async function place(): Promise<Place> {
  const server = await asyncio.startServer((reader) => reader.read(), "127.0.0.1", 0);
  const port = portOf(server);
  const [, client] = await asyncio.openConnection("127.0.0.1", port);
  const [near, peer] = await asyncio.socketpair();
  const [reader, writer] = await asyncio.openConnection({ sock: near });
  const later = [
    () => writer.transport.abort(),
    () => peer.destroy(),
    () => server.close(),
    () => server.abortClients(),
    () => client.close(),
  ];
  return { reader, writer, peer, server, port, later };
}

/** Lets microtasks run until the task waits for what it is to wait for: no input or output comes in between. */
async function untilItWaits(task: asyncio.Task<unknown>, says: string): Promise<string> {
  for (let turn = 0; turn < 100; turn++) {
    for (let i = 0; i < 100; i++) {
      const [, found = ""] = / wait_for=(.*)>$/.exec(String(task)) ?? [];
      if (withoutNumbers(found) === says) {
        return says;
      }
      await null;
    }
    await asyncio.sleep(0.01);
  }
  return withoutNumbers(String(task));
}

function withoutNumbers(text: string): string {
  return text.replace(/127\.0\.0\.1:\d+/g, "PEER").replace(/\d+(\.\d+)?/g, "N");
}

/** Fails unless the stack leads from the wait to the functions of the program: where the runtime tells them. */
function assertLeadsTo(error: unknown, ...functions: string[]): void {
  assert.ok(error instanceof Error);
  const frames = String(error.stack).split("\n").slice(1);
  if (limitOf("stack of an error that ends a wait") === false) {
    const places = functions.map((name) => frames.findIndex((frame) => frame.includes(name)));
    assert.ok(
      places.every((place, i) => place >= 0 && place >= (places[i - 1] ?? 0)),
      `${functions.join(", ")} are not in ${error.stack}`,
    );
  }
  assert.ok(String(error.stack).startsWith(error.name), `the stack begins with the name: ${error.stack}`);
}

describe("waits", () => {
  it("every published function and method that gives a promise has a row in the table, or is listed beside it", () => {
    const rows = waits.map(({ name }) => name.replace(/\(.*/, "").replace(/^loop\./, "EventLoop."));
    const expected = promiseGivers().map(({ name }) => name);
    assert.deepEqual(
      expected.filter((name) => !rows.includes(name) && !withoutRow.includes(name)),
      [],
      "have no row",
    );
    assert.deepEqual(
      withoutRow.filter((name) => !expected.includes(name) || rows.includes(name)),
      [],
      "are listed for nothing",
    );
  });

  for (const { name, wait, says, frame } of waits) {
    it(`${name} is named by the task that waits, and its CancelledError leads to the program`, async () => {
      const where = await place();
      async function innerFunction(): Promise<void> {
        await wait(where);
      }
      async function outerFunction(): Promise<void> {
        await innerFunction();
      }
      const task = asyncio.createTask(outerFunction, { name: "the user", eagerStart: true });
      try {
        assert.equal(await untilItWaits(task, says), says);
        task.cancel("enough");
        const error = await task.catch((reason: unknown) => reason);
        assert.ok(error instanceof asyncio.CancelledError);
        assert.equal(error.reason, "enough");
        assertLeadsTo(error, ...(frame === undefined ? [] : [frame]), "innerFunction", "outerFunction");
      } finally {
        for (const each of where.later) {
          await each();
        }
      }
    });
  }

  it("a foreign promise is said to be one, and not by a task that runs or was not started", async () => {
    let free = (): void => {};
    const foreign = new Promise<void>((resolve) => {
      free = resolve;
    });
    let inside = "";
    const task = asyncio.createTask(
      async function waiter() {
        inside = String(task);
        await foreign;
      },
      { name: "waiter" },
    );
    assert.equal(String(task), "<Task pending name='waiter' coro=<waiter()>>");
    await asyncio.sleep(0);
    assert.equal(inside, "<Task pending name='waiter' coro=<waiter()>>");
    assert.equal(
      String(task),
      "<Task pending name='waiter' coro=<waiter()> wait_for=<a promise that is not the library's>>",
    );
    free();
    await task;
    assert.equal(String(task), "<Task finished name='waiter' coro=<waiter()> result=undefined>");
  });

  it("a task that runs is not said to wait while a task that it starts eagerly runs inside of it", async () => {
    let inside = "";
    const task: asyncio.Task<void> = asyncio.createTask(async function outer() {
      asyncio.createTask(
        async () => {
          inside = String(task);
        },
        { eagerStart: true },
      );
    });
    await task;
    assert.doesNotMatch(inside, /wait_for/);
  });

  it("a handler's task is named by its function and its peer", async () => {
    const names: string[] = [];
    const server = await asyncio.startServer(
      async function greet(_reader, writer) {
        names.push(String(asyncio.currentTask()), asyncio.currentTask()?.getName() as string);
        writer.close();
      },
      "127.0.0.1",
      0,
    );
    const port = portOf(server);
    const [reader, writer] = await asyncio.openConnection("127.0.0.1", port);
    await reader.read();
    const name = `greet() ${writer.getExtraInfo("sockname")}`;
    assert.deepEqual(names, [`<Task pending name='${name}' coro=<greet()>>`, name]);
    writer.close();
    server.close();
    await server.waitClosed();
  });

  it("String(Task) is short where ten thousand tasks wait for each other, in a chain or all for one", async () => {
    const chain: asyncio.Task<void>[] = [];
    const first = never();
    let before: PromiseLike<void> = first;
    for (let i = 0; i < 10_000; i++) {
      const waitedFor = before;
      const task = asyncio.createTask(async () => await waitedFor, { name: "link" });
      chain.push(task);
      before = task;
    }
    const all = asyncio.gather(chain);
    await asyncio.sleep(0);
    const last = chain.at(-1) as asyncio.Task<void>;
    const [text, whole] = [String(last), String(all)];
    assert.match(text, /wait_for=<Task pending name='link' .*wait_for=\.\.\./);
    assert.ok(text.length < 1000 && whole.length < 1000, `${text.length} and ${whole.length} characters`);
    first.setResult();
    await all;
  });
});
