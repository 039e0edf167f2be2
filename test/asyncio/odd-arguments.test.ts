/** Arguments that are no options, of a wrong type: the error names the call and the value, and nothing is changed. */
import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { after, describe, it } from "node:test";
import { inspect } from "node:util";
import * as asyncio from "contextvars/asyncio";
import { delimiterCodec, framed, linesCodec } from "contextvars/codecs";
import { memoryStreamPair } from "contextvars/testing";
import { repr } from "#dist/repr.js";
import { outcomeOf, portOf, Reports } from "../support/peers.ts";

type Given = never;

const loop = asyncio.getRunningLoop();
const HOST = "127.0.0.1";
const [[, writer], [, far]] = memoryStreamPair();
const nothing = [undefined, null, 42, Symbol("x"), true];
const noIterable = [...nothing, {}, () => {}, Promise.resolve([])];
const noBoolean = [0, 1, "now", null, { immediate: false }];
const noNumber = ["1", Number.NaN, null, {}, 1n];
const noSeparator = [null, 42, /x/, {}, Promise.resolve("x")];
const noProtocol = [...nothing, "x", {}, asyncio.Protocol, Promise.resolve(new asyncio.Protocol())];

/** The calls that wait for whatever can be waited for. */
const waiting: Record<string, (awaitable: Given) => unknown> = {
  "ensureFuture()": (awaitable) => asyncio.ensureFuture(awaitable),
  "gather()": (awaitable) => asyncio.gather([awaitable]),
  "shield()": (awaitable) => asyncio.shield(awaitable),
  "asCompleted()": (awaitable) => asyncio.asCompleted([awaitable]),
  "waitFor()": (awaitable) => asyncio.waitFor(awaitable, 1),
  "waitFor() with no time left": (awaitable) => asyncio.waitFor(awaitable, 0),
};

/** Each call, with the values that it refuses. */
const calls: Record<string, readonly [(given: Given) => unknown, readonly unknown[]]> = {
  ...Object.fromEntries(
    Object.entries(waiting).map(([name, wait]) => [name, [wait, [...nothing, "x", {}, []]] as const]),
  ),
  "formatCallGraph()": [(future) => asyncio.formatCallGraph(future), [42, "x", {}]],
  "printCallGraph()": [(future) => asyncio.printCallGraph(future), [42, "x", {}]],
  "StreamReader.tryReadexactly()": [(n) => new asyncio.StreamReader().tryReadexactly(n), [undefined, ...noNumber]],
  "StreamReader.tryReaduntil()": [(separator) => new asyncio.StreamReader().tryReaduntil(separator), noSeparator],
  "StreamReader.readuntil()": [(separator) => new asyncio.StreamReader().readuntil(separator), noSeparator],
  "delimiterCodec()": [(separator) => delimiterCodec(separator), [undefined, ...noSeparator]],
  "encode() with a result": [
    (data) => framed(null, writer, { maxLength: 1, decode: () => null, encode: () => data }).send(1),
    [...nothing, {}, Promise.resolve("x")],
  ],
  "Condition.notify()": [
    async (n) => {
      const condition = new asyncio.Condition();
      await condition.with(() => condition.notify(n));
    },
    noNumber,
  ],
  "Queue.shutdown()": [
    (immediate) => {
      const queue = new asyncio.Queue<number>();
      queue.putNowait(1);
      try {
        queue.shutdown(immediate);
      } finally {
        assert.equal(queue.getNowait(), 1);
        queue.putNowait(2);
      }
    },
    noBoolean,
  ],
  "EventLoop.setDebug()": [
    (enabled) => {
      try {
        loop.setDebug(enabled);
      } finally {
        assert.equal(loop.getDebug(), false);
      }
    },
    noBoolean,
  ],
  "EventLoop.getnameinfo()": [(address) => loop.getnameinfo(address), [...nothing, [HOST, 80], {}]],
  "EventLoop.getnameinfo() with a port": [(port) => loop.getnameinfo({ address: HOST, port } as never), [null, {}, 1n]],
  "EventLoop.startTls() with a transport": [
    (transport) => loop.startTls(transport, new asyncio.Protocol(), true),
    [...nothing, {}],
  ],
  "EventLoop.startTls() with a protocol": [(protocol) => loop.startTls(writer.transport, protocol, true), noProtocol],
  "StreamWriter.writelines()": [(data) => writer.writelines(data), noIterable],
  "Transport.writelines()": [(data) => writer.transport.writelines(data), noIterable],
  "Framed.sendAll()": [(items) => framed(null, writer, linesCodec()).sendAll(items), noIterable],
  "Transport.setProtocol()": [(protocol) => writer.transport.setProtocol(protocol), noProtocol],
  "StreamReader.readInto() with options": [
    (options) => new asyncio.StreamReader().readInto(Buffer.alloc(1), options),
    [null, 42],
  ],
};

/** The calls that take a factory of protocols. */
const factories: Record<string, (factory: () => asyncio.Protocol, port: number) => Promise<unknown>> = {
  "createConnection()": (factory, port) => loop.createConnection(factory, HOST, port),
  "connectAcceptedSocket()": (factory) => loop.connectAcceptedSocket(factory, new PassThrough()),
  "connectReadPipe()": (factory) => loop.connectReadPipe(factory, Readable.from([])),
  "connectWritePipe()": (factory) => loop.connectWritePipe(factory, new PassThrough()),
};

/** The same, of servers. */
const serverFactories: Record<string, (factory: () => asyncio.Protocol) => Promise<unknown>> = {
  "createServer()": (factory) => loop.createServer(factory, HOST, 0),
  "createUnixServer()": (factory) => loop.createUnixServer(factory, "not made"),
  "createUnixConnection()": (factory) => loop.createUnixConnection(factory, "not there"),
};

/** The calls with an argument that Python's programs often name, and that goes by position here. */
const byPosition: readonly (readonly [string, string, (given: Given) => unknown])[] = [
  ["sleep()", "delay", (given) => asyncio.sleep(given)],
  ["timeout()", "delay", (given) => asyncio.timeout(given)],
  ["timeoutAt()", "when", (given) => asyncio.timeoutAt(given)],
  ["Timeout.reschedule()", "when", (given) => asyncio.run(() => asyncio.timeout(1).with((t) => t.reschedule(given)))],
  ["waitFor()", "timeout", (given) => asyncio.waitFor(() => 1, given)],
  ["callLater()", "delay", (given) => loop.callLater(given, () => {})],
  ["callAt()", "when", (given) => loop.callAt(given, () => {})],
  ["Queue()", "maxsize", (given) => new asyncio.Queue(given)],
  ["LifoQueue()", "maxsize", (given) => new asyncio.LifoQueue(given)],
  ["PriorityQueue()", "maxsize", (given) => new asyncio.PriorityQueue(given)],
  ["Queue.shutdown()", "immediate", (given) => new asyncio.Queue().shutdown(given)],
  ["Semaphore()", "value", (given) => new asyncio.Semaphore(given)],
  ["BoundedSemaphore()", "value", (given) => new asyncio.BoundedSemaphore(given)],
  ["Barrier()", "parties", (given) => new asyncio.Barrier(given)],
  [
    "Condition.notify()",
    "n",
    async (given) => {
      const condition = new asyncio.Condition();
      await condition.with(() => condition.notify(given));
    },
  ],
  ["EventLoop.setDebug()", "enabled", (given) => loop.setDebug(given)],
  ["StreamReader.read()", "n", (given) => new asyncio.StreamReader().read(given)],
  ["StreamReader.readexactly()", "n", (given) => new asyncio.StreamReader().readexactly(given)],
  ["StreamReader.readuntil()", "separator", (given) => new asyncio.StreamReader().readuntil(given)],
];

/** The calls with options, and their names. */
const takersOfOptions: readonly (readonly [string, string, (options: Given) => unknown])[] = [
  ["createTask()", "name, context, eagerStart, signal", (options) => asyncio.createTask(() => {}, options)],
  ["gather()", "returnExceptions", (options) => asyncio.gather([], options)],
  ["wait()", "timeout, returnWhen", (options) => asyncio.wait([new asyncio.Future()], options)],
  ["asCompleted()", "timeout", (options) => asyncio.asCompleted([], options)],
  ["readInto()", "min", (options) => new asyncio.StreamReader().readInto(Buffer.alloc(1), options)],
  ["setWriteBufferLimits()", "high, low", (options) => writer.transport.setWriteBufferLimits(options)],
];

/** The calls that schedule a callback. */
const callbackTakers: Record<string, (options: Given) => unknown> = {
  "callSoon()": (options) => loop.callSoon(() => {}, options),
  "callLater()": (options) => loop.callLater(0, () => {}, options),
  "callAt()": (options) => loop.callAt(0, () => {}, options),
  "addDoneCallback()": (options) => new asyncio.Future().addDoneCallback(() => {}, options),
};

/** The calls that take an address before their options, and its parts. */
const takersOfAddresses: readonly (readonly [
  string,
  readonly string[],
  (first: Given, second?: Given) => Promise<unknown>,
])[] = [
  ["openConnection()", ["host", "port"], (...address) => asyncio.openConnection(...(address as [Given, Given]))],
  ["openUnixConnection()", ["path"], (...address) => asyncio.openUnixConnection(...(address as [Given]))],
  ["startServer()", ["host", "port"], (...address) => asyncio.startServer(() => {}, ...(address as [Given, Given]))],
  ["startUnixServer()", ["path"], (...address) => asyncio.startUnixServer(() => {}, ...(address as [Given]))],
];

describe("Arguments of a wrong type", () => {
  after(() => {
    writer.transport.abort();
    far.transport.abort();
  });

  for (const [name, [call, values]] of Object.entries(calls)) {
    const method = name.replace(/ with .*/, "").replace(/^.*\./, "");
    for (const value of values) {
      it(`${name} given ${inspect(value)} throws a TypeError that names the call and the value`, async () => {
        const error = await outcomeOf((async () => await call(value as Given))());
        assert.ok(error instanceof TypeError, String(error));
        assert.ok(error.message.startsWith(method), error.message);
        assert.ok(`${error.message}; `.includes(` ${repr(value)}; `), error.message);
      });
    }
  }

  for (const [method, call] of Object.entries(factories)) {
    for (const value of noProtocol) {
      it(`${method} whose factory returns ${inspect(value)} throws a TypeError and leaves no connection`, async () => {
        await using server = await asyncio.startServer((_reader, accepted) => accepted.close(), HOST, 0);
        const error = await outcomeOf(call(() => value as asyncio.Protocol, portOf(server)));
        assert.ok(error instanceof TypeError, String(error));
        assert.ok(error.message.startsWith(`${method}: the result of protocolFactory must be `), error.message);
      });
    }
  }

  for (const [method, argument, call] of byPosition) {
    it(`${method} given { ${argument} } throws a TypeError that says to pass ${argument} by itself`, async () => {
      const value = { [argument]: 1 };
      const error = await outcomeOf((async () => await call(value as Given))());
      assert.ok(error instanceof TypeError, String(error));
      assert.ok(error.message.startsWith(method.replace(/^.*\./, "")), error.message);
      const end = ` got ${repr(value)}; pass ${argument} by itself, without an object`;
      assert.ok(error.message.endsWith(end), error.message);
    });
  }

  for (const [method, call] of Object.entries({ ...factories, ...serverFactories })) {
    it(`${method} of a protocol's class throws a TypeError that says to pass a function`, async () => {
      class Named extends asyncio.Protocol {}
      const classes = {
        Named,
        Protocol: class extends asyncio.Protocol {},
        BufferedProtocol: asyncio.BufferedProtocol,
      };
      Object.defineProperty(classes.Protocol, "name", { value: "" });
      for (const [name, type] of Object.entries(classes)) {
        const error = await outcomeOf(call(type as unknown as Given, 1));
        assert.ok(error instanceof TypeError, String(error));
        const message = `${method} needs a function that makes a protocol, got the class ${name}: pass () => new ${name}()`;
        assert.equal(error.message, message);
      }
    });
  }

  for (const [method, known, call] of takersOfOptions) {
    for (const value of [5, "FIRST_COMPLETED", true, null, [{}], new asyncio.Future()]) {
      it(`${method} given ${inspect(value)} for its options throws a TypeError that lists the options`, async () => {
        const error = await outcomeOf((async () => await call(value as Given))());
        assert.ok(error instanceof TypeError, String(error));
        assert.equal(
          error.message,
          `${method}: options must be an object, got ${repr(value)}; known options: ${known}`,
        );
      });
    }
  }

  for (const [method, call] of Object.entries(callbackTakers)) {
    it(`${method} given a callback's argument for its options throws a TypeError that says what to write`, () => {
      assert.throws(() => call(5 as Given), {
        name: "TypeError",
        message: `${method}: options must be an object, got 5; a callback gets no arguments from here: pass () => f(x)`,
      });
    });
  }

  for (const [method, parts, call] of takersOfAddresses) {
    for (const part of parts) {
      it(`${method} given { ${part} } throws a TypeError that says where ${part} goes`, async () => {
        const error = await outcomeOf(call({ [part]: "x" } as Given));
        assert.ok(error instanceof TypeError, String(error));
        const start = `${method} got an unexpected option '${part}'; pass ${part} by itself, before the options; known options: `;
        assert.ok(error.message.startsWith(start), error.message);
      });
    }
    if (parts.includes("host")) {
      it(`${method} given a port for its host throws a TypeError that tells the order`, async () => {
        const error = await outcomeOf(call(8080 as Given, "127.0.0.1" as Given));
        assert.ok(error instanceof TypeError, String(error));
        assert.ok(error.message.endsWith("got 8080; host comes before port"), error.message);
      });
    }
  }

  it("timeout() and timeoutAt() throw a TypeError for a block, which is for with()", () => {
    for (const timeout of [asyncio.timeout, asyncio.timeoutAt] as ((delay: number, ...more: unknown[]) => unknown)[]) {
      for (const body of [() => {}, async () => {}, Promise.resolve()]) {
        assert.throws(() => timeout(5, body), {
          name: "TypeError",
          message: `${timeout.name}() takes no block, got ${repr(body)}; pass it to with()`,
        });
      }
    }
  });

  it("gather() of an array with a hole throws a TypeError for undefined", () => {
    assert.throws(() => asyncio.gather(new Array(2)), {
      name: "TypeError",
      message: "gather(): awaitable must be a function, a Task, a Future or a promise, got undefined",
    });
  });

  it("gather() of an array of a subclass makes no other one of it", async () => {
    class Tasks extends Array<() => number> {
      constructor() {
        super();
        assert.equal(new.target, Tasks);
        assert.equal(made, 0);
        made += 1;
      }
    }
    let made = 0;
    const tasks = new Tasks();
    tasks.push(() => 1);
    assert.deepEqual(await asyncio.gather(tasks), [1]);
  });

  it("createServer() whose factory returns no protocol reports it and closes the connection", async () => {
    using reports = new Reports();
    await using server = await loop.createServer(() => undefined as never, HOST, 0);
    const [reader, client] = await asyncio.openConnection(HOST, portOf(server));
    assert.equal(String(await reader.read()), "");
    client.close();
    assert.deepEqual(reports.messages, ["Error on transport creation for incoming connection"]);
  });

  it("EventLoop.getnameinfo() with a port that is none throws a ValueError", async () => {
    for (const port of [-1, 65_536, 1.5, Number.NaN]) {
      const error = await outcomeOf(loop.getnameinfo({ address: HOST, port } as asyncio.SocketAddress));
      assert.ok(error instanceof asyncio.ValueError, String(error));
    }
  });

  for (const when of ["1", Number.NaN, undefined, {}, Symbol("when")]) {
    it(`Timeout.reschedule() given ${inspect(when)} throws, and the deadline stays`, async () => {
      let deadline: number | null = null;
      const ending = asyncio.createTask(() =>
        asyncio.timeout(0.01).with(async (timeout) => {
          deadline = timeout.when();
          assert.throws(
            () => timeout.reschedule(when as never),
            /reschedule\(\): when must be a number of seconds, got /,
          );
          assert.equal(timeout.when(), deadline);
          await asyncio.sleep(10);
        }),
      );
      assert.ok((await outcomeOf(ending)) instanceof asyncio.TimeoutError);
    });
  }

  it("a read into memory that was transferred, or has become too small, throws, and loses no bytes", async () => {
    const changes: [string, (target: Uint8Array<ArrayBuffer>) => void][] = [
      ["transferred", (target) => void structuredClone(target, { transfer: [target.buffer] })],
      ["smaller", (target) => (target.buffer as ArrayBuffer & { resize(size: number): void }).resize(2)],
    ];
    for (const [how, change] of changes) {
      const memory = new (ArrayBuffer as new (size: number, options: object) => ArrayBuffer)(8, { maxByteLength: 8 });
      const reader = new asyncio.StreamReader();
      const target = new Uint8Array(memory);
      const reading = outcomeOf(reader.readInto(target, { min: 3 }));
      change(target);
      reader.feedData(Buffer.from("abcd"));
      const error = await reading;
      assert.ok(error instanceof asyncio.RuntimeError, `${how}: ${String(error)}`);
      assert.equal(String(await reader.read(4)), "abcd");
    }
  });
});
