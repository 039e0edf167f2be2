/**
 * Whatever a function throws or returns, and whatever thenable it hands over: code that waits gets what plain `await`
 * would give it, the loop continues, and reports never throw. Every public function that takes a function or an awaitable,
 * times every value of `hostile-values.ts`, with debug mode off and on.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex, type DuplexOptions, PassThrough } from "node:stream";
import { after, before, describe, it } from "node:test";
import { format } from "node:util";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { ContextVar, copyContext, isolated } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { ContextVarsContextManager } from "contextvars/opentelemetry";
import { asyncioTest, MockClock, memoryServer, Sequencer, testContext } from "contextvars/testing";
import { safeRepr } from "#dist/repr.js";
import { type Body, bodies, values } from "../support/hostile-values.ts";
import { eventually, turns } from "../support/peers.ts";
import { takersOfFunctions } from "../support/published.ts";

type Call = Body["call"];
type Outcome = { readonly returned: unknown } | { readonly threw: unknown };

/** One public function, and what it does with a function of the program. */
interface Row {
  /** Has the function run the body; gives what the body gives. */
  readonly via: (call: Call) => unknown;
  /** Of what plain JavaScript does here. By default: `await body()`. */
  readonly like?: (call: Call) => unknown;
  /** The bodies it is for. By default: all. */
  readonly takes?: readonly Body["does"][];
  /** No code waits for the body: its error is reported to the exception handler. */
  readonly tells?: true;
}

const loop = asyncio.getRunningLoop();
const store = new ContextVarsContextManager().asyncLocalStorage;
/** What the exception handler was told, */
const told: unknown[] = [];
/** and what it has written. */
const printed: string[] = [];

async function outcomeOf(call: Call): Promise<Outcome> {
  try {
    return { returned: await call() };
  } catch (threw) {
    return { threw };
  }
}

function inTask<T>(fn: () => T | PromiseLike<T>): PromiseLike<unknown> {
  return asyncio.createTask(fn);
}

const throwsNow = ["throws"] as const;
const awaitable = ["rejects", "returns a thenable"] as const;
/** Of what the library calls without waiting for it. */
const calls = { like: (call: Call) => void call(), takes: ["throws", "returns"] } as const;
/** What a function gets whose argument is an awaitable, not a function. */
const given = (call: Call): PromiseLike<unknown> => call() as PromiseLike<unknown>;

/**
 * What the function returns. What is wrong with an awaitable is for those who await the result, so it throws nothing.
 */
function returned<A, R>(wait: (given: A) => R, argument: A): R {
  try {
    return wait(argument);
  } catch (error) {
    throw new Error("thrown at once, not by what is returned", { cause: error });
  }
}

/** The error in a group of one. */
async function ungrouped(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    assert.ok(error instanceof asyncio.ExceptionGroup);
    assert.equal(error.exceptions.length, 1);
    throw error.exceptions[0];
  }
}

/** One connection to a server whose handler or protocol factory is the body. */
async function serve(
  start: (call: Call) => Promise<asyncio.Server>,
  where: (server: asyncio.Server) => net.NetConnectOpts,
  call: Call,
): Promise<void> {
  const server = await start(call);
  const client = net
    .connect(where(server))
    .on("error", () => {})
    .resume();
  await once(client, "connect");
  await turns(20);
  // An error ends the connection.
  assert.ok(told.length === 0 || (await eventually(() => client.closed)));
  client.destroy();
  server.close();
  server.abortClients();
  await server.waitClosed();
}

const tcp = (server: asyncio.Server): net.NetConnectOpts => ({ port: portOf(server), host: HOST });
const path = join(tmpdir(), `hostile-${process.pid}.sock`);
const unix = (): net.NetConnectOpts => ({ path });
const HOST = "127.0.0.1";

function portOf(server: asyncio.Server): number {
  return server.sockets[0]?.getsockname().port ?? 0;
}

/** Calls the body from a protocol's factory, which has to give a protocol in the end. */
const factory = (call: Call) => (): asyncio.Protocol => {
  call();
  return new asyncio.Protocol();
};

async function connected(connect: (port: number) => PromiseLike<[asyncio.Transport, unknown]>): Promise<unknown> {
  const server = await asyncio.startServer(() => {}, HOST, 0);
  try {
    const [transport] = await connect(portOf(server));
    transport.abort();
    return undefined;
  } finally {
    server.close();
    server.abortClients();
    await server.waitClosed();
  }
}

/** A wait for two, of which the second one ends only when the first one has had its time to end the wait. */
async function waited(call: Call, returnWhen: "FIRST_EXCEPTION" | "FIRST_COMPLETED"): Promise<unknown> {
  const task = asyncio.createTask(call);
  const second = new asyncio.Future<void>();
  task.addDoneCallback(async () => {
    for (let i = 0; i < 10; i++) {
      await asyncio.sleep(0);
    }
    second.setResult();
  });
  const [, pending] = await asyncio.wait<asyncio.Future<unknown>>([task, second], { returnWhen });
  const failed = "threw" in (await outcomeOf(() => task));
  assert.equal(pending.has(second), failed || returnWhen === "FIRST_COMPLETED");
  await second;
  return await task;
}

const rows: Readonly<Record<string, Row>> = {
  "Context.run": { via: (call) => copyContext().run(call) },
  isolated: { via: (call) => isolated(call)() },
  run: { via: (call) => asyncio.run(call) },
  "Runner.run": {
    via: async (call) => {
      const runner = new asyncio.Runner();
      return await Promise.resolve(runner.run(call)).finally(() => runner.close());
    },
  },
  "run, of a task that is left behind": {
    via: (call) =>
      asyncio.run(async () => {
        asyncio.createTask(() => cleaningUp(call));
        await asyncio.sleep(0);
      }),
    tells: true,
  },
  createTask: { via: (call) => asyncio.createTask(call) },
  "createTask, eagerly": { via: (call) => asyncio.createTask(call, { eagerStart: true }) },
  "EventLoop.createTask": { via: (call) => loop.createTask(call) },
  ensureFuture: { via: (call) => asyncio.ensureFuture(call) },
  "ensureFuture, of an awaitable": {
    via: (call) => returned(asyncio.ensureFuture, given(call)),
    takes: awaitable,
  },
  gather: { via: async (call) => (await asyncio.gather([call]))[0] },
  "gather, with returnExceptions": {
    via: async (call) => (await asyncio.gather([call, () => 1], { returnExceptions: true }))[0],
    like: (call) => outcomeOf(call).then((outcome) => ("threw" in outcome ? outcome.threw : outcome.returned)),
  },
  "gather, of an awaitable": {
    via: async (call) => (await returned(asyncio.gather, [given(call)]))[0],
    takes: awaitable,
  },
  wait: { via: (call) => waited(call, "FIRST_EXCEPTION") },
  "wait, for the first one": { via: (call) => waited(call, "FIRST_COMPLETED") },
  waitFor: { via: (call) => asyncio.waitFor(call, 60) },
  "waitFor, in a task": { via: (call) => inTask(() => asyncio.waitFor(call, 60)) },
  "waitFor, without a limit": { via: (call) => inTask(() => asyncio.waitFor(call, null)) },
  "waitFor, of an awaitable": {
    via: (call) => returned(() => asyncio.waitFor(given(call), 60), null),
    takes: awaitable,
  },
  asCompleted: {
    via: async (call) => {
      const [first] = asyncio.asCompleted([call]);
      return await first;
    },
  },
  "asCompleted, with for await": {
    via: async (call) => {
      const { value } = await asyncio.asCompleted([call]).next();
      return await (value as asyncio.Future<unknown>);
    },
  },
  "asCompleted, of an awaitable": {
    via: async (call) => await [...returned(asyncio.asCompleted, [given(call)])][0],
    takes: awaitable,
  },
  shield: { via: (call) => asyncio.shield(call) },
  captureCallGraph: { via: (call) => looked(call, asyncio.captureCallGraph) },
  formatCallGraph: { via: (call) => looked(call, asyncio.formatCallGraph) },
  printCallGraph: { via: (call) => looked(call, (task) => asyncio.printCallGraph(task, { file: new PassThrough() })) },
  "shield, of an awaitable": { via: (call) => returned(asyncio.shield, given(call)), takes: awaitable },
  "shield, which nobody waits for any more": {
    via: async (call) => {
      const inner = asyncio.createTask(async () => {
        await asyncio.sleep(0);
        await call();
      });
      asyncio.shield(inner).cancel();
      await outcomeOf(() => inner);
      await turns(5);
    },
    tells: true,
  },
  "Timeout.with": { via: (call) => inTask(() => asyncio.timeout(60).with(call)) },
  "TaskGroup.with": { via: (call) => ungrouped(asyncio.run(() => new asyncio.TaskGroup().with(call))) },
  "TaskGroup.createTask": {
    via: (call) =>
      ungrouped(
        asyncio
          // It is the group that has to notice that the task has failed.
          .run(() => new asyncio.TaskGroup().with((group) => ({ task: group.createTask(call) })))
          .then(({ task }) => task),
      ),
  },
  "Lock.with": { via: (call) => new asyncio.Lock().with(call) },
  "Condition.with": { via: (call) => new asyncio.Condition().with(call) },
  "Semaphore.with": { via: (call) => new asyncio.Semaphore().with(call) },
  "BoundedSemaphore.with": { via: (call) => new asyncio.BoundedSemaphore().with(call) },
  "Barrier.with": { via: (call) => new asyncio.Barrier(1).with(call) },
  "Condition.waitFor": {
    via: (call) => {
      const condition = new asyncio.Condition();
      return condition.with(() => condition.waitFor(call));
    },
    takes: throwsNow,
  },
  "Server.with": {
    via: async (call) => await (await asyncio.startServer(() => {}, HOST, 0)).with(call),
  },
  "Future.then": {
    via: (call) => doneFuture().then(call),
    like: (call) => Promise.resolve().then(call),
  },
  "Future.catch": {
    via: (call) => doneFuture(new Error("expected")).catch(call),
    like: (call) => Promise.reject(new Error("expected")).catch(call),
  },
  "Future.finally": {
    via: (call) => doneFuture().finally(call as () => void),
    like: (call) => Promise.resolve().finally(call as () => void),
  },
  "Future.addDoneCallback": {
    via: (call) => {
      doneFuture().addDoneCallback(call);
      return turns(5);
    },
    ...calls,
    tells: true,
  },
  "Future.removeDoneCallback": {
    via: (call) => {
      const future = new asyncio.Future<void>();
      future.addDoneCallback(call);
      assert.match(String(future), /^<Future pending cb=\[/);
      assert.equal(future.removeDoneCallback(call), 1);
    },
    like: () => undefined,
  },
  "EventLoop.callSoon": {
    via: (call) => {
      assert.match(String(loop.callSoon(call)), /^<Handle /);
      return turns(5);
    },
    ...calls,
    tells: true,
  },
  "EventLoop.callLater": { via: (call) => called((done) => loop.callLater(0, done(call))), ...calls, tells: true },
  "EventLoop.callAt": { via: (call) => called((done) => loop.callAt(0, done(call))), ...calls, tells: true },
  "EventLoop.addSignalHandler": {
    via: async (call) => {
      loop.addSignalHandler("SIGHUP", call);
      process.emit("SIGHUP");
      await turns(5);
      loop.removeSignalHandler("SIGHUP");
    },
    ...calls,
    tells: true,
  },
  "EventLoop.setExceptionHandler": {
    via: (call) => {
      const before = loop.getExceptionHandler();
      loop.setExceptionHandler(call);
      loop.callExceptionHandler({ message: "a report" });
      loop.setExceptionHandler(before);
    },
    takes: ["throws", "returns"],
    like: () => undefined,
  },
  "EventLoop.createConnection": {
    via: (call) => connected((port) => loop.createConnection(factory(call), HOST, port)),
    ...calls,
  },
  "EventLoop.createUnixConnection": {
    via: async (call) => {
      const server = await asyncio.startUnixServer(() => {}, path);
      try {
        const [transport] = await loop.createUnixConnection(factory(call), path);
        transport.abort();
      } finally {
        server.close();
        server.abortClients();
        await server.waitClosed();
      }
    },
    ...calls,
  },
  "EventLoop.connectAcceptedSocket": {
    via: async (call) => {
      const [one, two] = await asyncio.socketpair();
      try {
        const [transport] = await loop.connectAcceptedSocket(factory(call), one);
        transport.abort();
      } finally {
        two.destroy();
      }
    },
    ...calls,
  },
  "EventLoop.connectReadPipe": {
    via: async (call) => (await loop.connectReadPipe(factory(call), new PassThrough()))[0].close(),
    ...calls,
  },
  "EventLoop.connectWritePipe": {
    via: async (call) => (await loop.connectWritePipe(factory(call), new PassThrough()))[0].close(),
    ...calls,
  },
  "EventLoop.createServer": {
    via: (call) => serve((body) => loop.createServer(factory(body), HOST, 0), tcp, call),
    ...calls,
    tells: true,
  },
  "EventLoop.createUnixServer": {
    via: (call) => serve((body) => loop.createUnixServer(factory(body), path), unix, call),
    ...calls,
    tells: true,
  },
  startServer: { via: (call) => serve((body) => asyncio.startServer(body, HOST, 0), tcp, call), tells: true },
  startUnixServer: { via: (call) => serve((body) => asyncio.startUnixServer(body, path), unix, call), tells: true },
  memoryServer: {
    via: async (call) => {
      const server = memoryServer(call);
      await server.connect();
      await turns(20);
      server.abortClients();
      server.close();
      await server.waitClosed();
    },
    tells: true,
  },
  asyncioTest: { via: (call) => asyncioTest(call)(), like: (call) => ran(call) },
  "TestContext.setUp": { via: (call) => testContext().setUp(call)(), like: (call) => ran(call) },
  "TestContext.tearDown": { via: (call) => testContext().tearDown(call)(), like: (call) => ran(call) },
  "TestContext.test": { via: (call) => testContext().test(call)(), like: (call) => ran(call) },
  "Sequencer.with": { via: (call) => new Sequencer().with(0, call) },
  "MockClock.with": { via: (call) => new MockClock().with(call) },
  "ContextStore.run": { via: (call) => store.run(ROOT_CONTEXT, call) },
  "ContextStore.exit": { via: (call) => store.exit(call) },
  "ContextVarsContextManager.with": { via: (call) => new ContextVarsContextManager().with(ROOT_CONTEXT, call) },
  StreamReaderProtocol: {
    via: (call) => {
      const protocol = () => new asyncio.StreamReaderProtocol(new asyncio.StreamReader(), call);
      return serve(() => loop.createServer(protocol, HOST, 0), tcp, call);
    },
    tells: true,
  },
};

/** Waits until it is cancelled, and then calls the body. */
async function cleaningUp(call: Call): Promise<void> {
  try {
    await asyncio.sleep(3600);
  } finally {
    await call();
  }
}

/** The result of a test is not used. */
async function ran(call: Call): Promise<void> {
  await call();
}

/** A task that is looked at before it starts, while it runs, and when it is done. */
async function looked(call: Call, look: (task: asyncio.Task<unknown>) => Promise<unknown>): Promise<unknown> {
  const task = asyncio.createTask(call);
  await look(task);
  await outcomeOf(() => task);
  await look(task);
  return await task;
}

/** A Future that is done. */
function doneFuture(error?: Error): asyncio.Future<void> {
  const future = new asyncio.Future<void>();
  if (error === undefined) {
    future.setResult();
  } else {
    future.setException(error);
  }
  return future;
}

/** Waits until the callback was called. */
async function called(schedule: (done: (call: Call) => Call) => asyncio.Handle): Promise<void> {
  const future = new asyncio.Future<void>();
  const handle = schedule((call) => () => {
    future.setResult();
    return call();
  });
  assert.match(String(handle), /^<TimerHandle /);
  await future;
  await turns(5);
}

/** The very same value; or errors of the engine, which makes a new one each time. */
function isSame(a: unknown, b: unknown): boolean {
  return Object.is(a, b) || (isOfEngine(a) && isOfEngine(b) && a.message === b.message);
}

function isOfEngine(error: unknown): error is TypeError {
  return !Object.values(values).includes(error) && error instanceof TypeError;
}

function isSameOutcome(a: Outcome, b: Outcome): boolean {
  return "threw" in a ? "threw" in b && isSame(a.threw, b.threw) : "returned" in b && isSame(a.returned, b.returned);
}

function shown(outcome: Outcome): string {
  const [[kind, value] = []] = Object.entries(outcome);
  return `${kind} ${safeRepr(value)}`;
}

/** What is wrong with a body at this place; `null` where it is as it should be. */
async function fault({ via, like, tells }: Row, { call }: Body): Promise<string | null> {
  told.length = 0;
  const plain = await outcomeOf(() => (like === undefined ? call() : like(call)));
  const [expected, expectedToBeTold]: [Outcome, unknown[]] = tells
    ? [{ returned: undefined }, "threw" in plain ? [plain.threw] : []]
    : [plain, []];
  const actual = await outcomeOf(() => via(call));
  if (!isSameOutcome(actual, expected)) {
    return `${shown(expected)} is expected, got ${shown(actual)}`;
  }
  if (told.length !== expectedToBeTold.length || !told.every((error, i) => isSame(error, expectedToBeTold[i]))) {
    return `told the exception handler ${told.length} times`;
  }
  await asyncio.sleep(0);
  return asyncio.allTasks().size === 0 ? null : "left tasks behind";
}

const consoleError = console.error;
const slowCallbackDuration = loop.slowCallbackDuration;

before(() => {
  // As by default, except that nothing is printed.
  console.error = (...parts: unknown[]) => printed.push(format(...parts));
  loop.setExceptionHandler((_, context) => {
    if (!context.message.endsWith("was never retrieved")) {
      told.push(context.exception);
    }
    loop.defaultExceptionHandler(context);
  });
});

after(() => {
  loop.setExceptionHandler(null);
  loop.slowCallbackDuration = slowCallbackDuration;
  console.error = consoleError;
});

for (const debug of [false, true]) {
  describe(`hostile values${debug ? " in debug mode" : ""}`, () => {
    before(() => {
      loop.setDebug(debug);
      loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
    });
    after(() => loop.setDebug(false));

    for (const [name, row] of Object.entries(rows)) {
      it(`${name} has the outcome of a plain await, and the loop continues`, async () => {
        const faults: string[] = [];
        for (const body of bodies.filter(({ does }) => row.takes?.includes(does) ?? true)) {
          const found = await fault(row, body);
          if (found !== null) {
            faults.push(`a function that ${body.name}: ${found}`);
          }
        }
        assert.deepEqual(faults, []);
      });
    }
  });
}

/** Where a value is handed over by itself: a result, an error, or why something was cancelled. */
const places: Readonly<Record<string, (value: unknown) => unknown>> = {
  "Future.setException()": async (value) => {
    const future = new asyncio.Future();
    future.setException(value);
    assert.match(String(future), /^<Future finished exception=/);
    assertSame(future.exception(), value);
    assertSame((await errorOf(() => future.result())).threw, value);
    assertSame((await errorOf(() => future)).threw, value);
  },
  "StreamReader.setException()": async (value) => {
    const reader = new asyncio.StreamReader();
    const read = reader.read();
    reader.setException(value);
    assert.match(String(reader), /^<StreamReader/);
    assertSame((await errorOf(() => read)).threw, value);
  },
  "Future.cancel()": async (value) => {
    const future = new asyncio.Future();
    future.cancel(value as string);
    assertSame(((await errorOf(() => future)).threw as asyncio.CancelledError).reason, value);
  },
  "Task.cancel()": async (value) => {
    const task = asyncio.createTask(() => asyncio.sleep(3600));
    await asyncio.sleep(0);
    task.cancel(value as string);
    assertSame(((await errorOf(() => task)).threw as asyncio.CancelledError).reason, value);
  },
  "createTask() with a signal": async (value) => {
    const controller = new AbortController();
    const task = asyncio.createTask(() => asyncio.sleep(3600), { signal: controller.signal });
    await asyncio.sleep(0);
    // Without a reason it makes one.
    const reason = value === undefined ? null : value;
    controller.abort(reason);
    assertSame(((await errorOf(() => task)).threw as asyncio.CancelledError).cause, reason);
  },
  "EventLoop.callExceptionHandler()": (value) => {
    const before = loop.getExceptionHandler();
    for (const handler of [before, null]) {
      loop.setExceptionHandler(handler);
      printed.length = 0;
      loop.callExceptionHandler({ message: "a report", exception: value, future: value, key: value });
      assert.match(printed.join("\n"), /^a report\n/);
      loop.callExceptionHandler(value as asyncio.ExceptionContext);
    }
    loop.setExceptionHandler(before);
  },
  "openConnection() to a stream whose write() throws it": async (value) => {
    const [, writer] = await asyncio.openConnection({ sock: new Stream({ write: () => throwing(value) }) });
    writer.write("lost");
    assertLostWith(await errorOf(() => writer.waitClosed()), value);
  },
  "openConnection() to a stream whose destroy() throws it": async (value) => {
    const sock = new Stream({});
    const [, writer] = await asyncio.openConnection({ sock });
    sock.destroy = () => throwing(value);
    writer.transport.abort();
    assertLostWith(await errorOf(() => writer.waitClosed()), value);
  },
  "openConnection() to a stream that emits it as an error": async (value) => {
    const sock = new Stream({});
    const [, writer] = await asyncio.openConnection({ sock });
    sock.emit("error", value);
    assertLostWith(await errorOf(() => writer.waitClosed()), value);
  },
  "StreamReader.from() an iterable that throws it": async (value) => {
    const source = { [Symbol.iterator]: () => ({ next: () => throwing(value) }) };
    await assertCausedBy(asyncio.StreamReader.from(source).read(), value);
  },
  "StreamWriter.from() a WritableStream whose write() throws it": async (value) => {
    // Not one of the runtime: Deno's looks at its errors.
    const sink = { closed: new Promise(() => {}), ready: Promise.resolve(), write: async () => throwing(value) };
    const stream = { getWriter: () => ({ ...sink, abort: async () => {} }) };
    const writer = asyncio.StreamWriter.from(stream as never);
    writer.write("lost");
    await assertCausedBy(writer.waitClosed(), value);
  },
};

/** What has to come out of the promise where a stream of Node stands between, which looks at its errors. */
async function assertCausedBy(promise: PromiseLike<unknown>, value: unknown): Promise<void> {
  const { threw } = await errorOf(() => promise);
  assertSame(Object.is(threw, value) ? threw : (threw as Error).cause, value);
}

class Stream extends Duplex {
  constructor(options: DuplexOptions) {
    super({ read() {}, write: (_chunk, _encoding, done) => done(), ...options });
  }
}

function throwing(value: unknown): never {
  throw value;
}

async function errorOf(call: Call): Promise<{ readonly threw: unknown }> {
  const outcome = await outcomeOf(call);
  assert.ok("threw" in outcome, "nothing was thrown");
  return outcome;
}

/** By the value itself: `assert.equal()` would look at it to say what differs. */
function assertSame(actual: unknown, expected: unknown): void {
  assert.ok(Object.is(actual, expected), `got ${safeRepr(actual)}`);
}

/** `null` and `undefined` would read as a proper end. */
function assertLostWith({ threw: error }: { readonly threw: unknown }, value: unknown): void {
  if (value === null || value === undefined) {
    assert.ok(error instanceof asyncio.ConnectionAbortedError);
  } else {
    assertSame(error, value);
  }
}
/** Methods without their objects; each is called with no `this`. */
const detached: Readonly<Record<string, Call>> = {
  "ContextVar.set": new ContextVar<void>("v").set as Call,
  "ContextVar.get": new ContextVar<void>("v").get as Call,
  "ContextVar.reset": new ContextVar<void>("v").reset as Call,
  "Lock.acquire": new asyncio.Lock().acquire,
  "Event.set": new asyncio.Event().set,
  "Queue.join": new asyncio.Queue().join,
  "Future.cancel": new asyncio.Future().cancel,
  "StreamReader.readline": new asyncio.StreamReader().readline,
};

/** Where a row hands over a function of its own that calls the body, or where it is a promise that calls it. */
const indirect =
  /^(TaskGroup\.with|StreamReaderProtocol|Future\.(then|catch|finally)|EventLoop\.(create\w*(Connection|Server)|connect\w+|call(Later|At))|Context(Vars|Store).*)$|, of a|nobody/;

describe("methods without their objects", () => {
  for (const [name, { via }] of Object.entries(rows).filter(([place]) => !indirect.test(place))) {
    it(`${name} refuses a method without its object, and says what to write`, async () => {
      for (const [method, call] of Object.entries(detached)) {
        const { threw } = await errorOf(() => via(call));
        const [owner, own] = method.split(".");
        assert.ok(threw instanceof TypeError, method);
        assert.match(threw.message, new RegExp(`got ${owner}\\.${own}\\(\\) without the ${owner} .* pass \\(\\) => `));
      }
    });
  }
});

describe("hostile values", () => {
  it("every export that takes a function or an awaitable has a row in this test", () => {
    const missing = takersOfFunctions().filter((name) => !(name in rows));
    assert.deepEqual(missing, []);
  });

  for (const [place, handOver] of Object.entries(places)) {
    it(`${place} takes every value, and who waits gets it`, async () => {
      const faults: string[] = [];
      for (const [name, value] of Object.entries(values)) {
        await outcomeOf(() => handOver(value)).then((outcome) => {
          if ("threw" in outcome) {
            faults.push(`${name}: ${safeRepr(outcome.threw)}`);
          }
        });
      }
      assert.deepEqual(faults, []);
    });
  }

  it("classes that extend the library's may have anything as their names", () => {
    const { Future, Lock, Event, Condition, Semaphore, Barrier, Queue } = asyncio;
    const made = [
      new (class extends Future<void> {})(),
      new (class extends Lock {})(),
      new (class extends Event {})(),
      new (class extends Condition {})(),
      new (class extends Semaphore {})(),
      new (class extends Barrier {})(1),
      new (class extends Queue<void> {})(),
    ];
    for (const object of made) {
      Object.defineProperty(object.constructor, "name", { value: Symbol("name") });
      assert.match(format(object), /^<.*object/);
    }
  });

  it("Future.setException() of a Future that cannot be printed sets it", async () => {
    class Unprintable extends asyncio.Future<void> {
      override toString(): string {
        throw new Error("cannot be printed");
      }
    }
    const future = new Unprintable();
    future.setException(null);
    assertSame((await errorOf(() => future)).threw, null);
  });

  it("shield() takes a result that has become a thenable since it was set", async () => {
    const inner = new asyncio.Future<object>();
    const outer = asyncio.shield(inner);
    const result = {};
    inner.setResult(result);
    Object.assign(result, { then: (resolve: (value: unknown) => void) => resolve("waited for") });
    assert.equal(await outer, "waited for");
  });
});
