/** The active context stays with whatever a program starts while it is active: one row for each construct. */
import assert from "node:assert/strict";
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { exec } from "node:child_process";
import { randomBytes } from "node:crypto";
import { channel } from "node:diagnostics_channel";
import { lookup } from "node:dns";
import { EventEmitter, on, once } from "node:events";
import { readFile } from "node:fs";
import { readFile as readFileLater } from "node:fs/promises";
import { createServer, get } from "node:http";
import { createConnection, createServer as createNetServer, type Server } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { deflate } from "node:zlib";
import { type Context, createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
import { copyContext, isolated } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { ContextVarsContextManager } from "contextvars/opentelemetry";
import { closed, portOf } from "../support/peers.ts";

const HOST = "127.0.0.1";
const key = createContextKey("name");
const [a, b] = ["a", "b"].map((name) => ROOT_CONTEXT.setValue(key, name)) as [Context, Context];
const manager = new ContextVarsContextManager();
const here = fileURLToPath(import.meta.url);

/** Starts something, and gives the context that it finds active. */
type Construct = () => unknown;

/** For a function that takes a callback: what is active there. */
function inCallback(start: (callback: () => void) => unknown): Promise<Context> {
  return new Promise((resolve) => {
    start(() => resolve(manager.active()));
  });
}

async function listening<S extends Server>(server: S): Promise<S> {
  server.listen(0, HOST);
  await once(server, "listening");
  return server;
}

/** A promise that is settled where another context is active. */
function settledElsewhere(): Promise<void> {
  return manager.with(b, () => delay(1));
}

const constructs: Readonly<Record<string, Construct>> = {
  "an await of a promise that is settled elsewhere": async () => {
    await settledElsewhere();
    return manager.active();
  },
  "an await of a value": async () => {
    await null;
    return manager.active();
  },
  "an await of a thenable that calls back elsewhere": async () => {
    await { then: (resolve: (value: unknown) => void) => manager.with(b, () => setTimeout(resolve, 1)) };
    return manager.active();
  },
  "a reaction of a promise": () => settledElsewhere().then(() => manager.active()),
  "a rejection that is caught": () =>
    settledElsewhere()
      .then(() => Promise.reject(new Error()))
      .catch(() => manager.active()),
  "finally()": () => inCallback((callback) => settledElsewhere().finally(callback)),
  "Promise.all()": async () => {
    await Promise.all([settledElsewhere(), settledElsewhere()]);
    return manager.active();
  },
  setTimeout: () => inCallback((callback) => setTimeout(callback, 1)),
  setInterval: () =>
    inCallback((callback) => {
      const interval = setInterval(() => {
        clearInterval(interval);
        callback();
      }, 1);
    }),
  setImmediate: () => inCallback(setImmediate),
  queueMicrotask: () => inCallback(queueMicrotask),
  "process.nextTick()": () => inCallback((callback) => process.nextTick(callback)),
  "timers/promises": async () => {
    await delay(1);
    return manager.active();
  },
  "fs with a callback": () => inCallback((callback) => readFile(here, callback)),
  "fs/promises": async () => {
    await readFileLater(here);
    return manager.active();
  },
  "dns.lookup()": () => inCallback((callback) => lookup(HOST, callback)),
  "zlib with a callback": () => inCallback((callback) => deflate("text", callback)),
  "crypto with a callback": () => inCallback((callback) => randomBytes(8, callback)),
  "child_process.exec()": () => inCallback((callback) => exec(`"${process.execPath}" --version`, callback)),
  "a function of promisify()": async () => {
    await promisify(deflate)("text");
    return manager.active();
  },
  "events.once()": async () => {
    const emitter = new EventEmitter();
    manager.with(b, () => setTimeout(() => emitter.emit("x"), 1));
    await once(emitter, "x");
    return manager.active();
  },
  "events.on() in a for await": async () => {
    const emitter = new EventEmitter();
    manager.with(b, () => setTimeout(() => emitter.emit("x"), 1));
    for await (const _ of on(emitter, "x")) {
      break;
    }
    return manager.active();
  },
  "AsyncResource.bind()": () => inCallback((callback) => manager.with(b, AsyncResource.bind(callback))),
  "AsyncLocalStorage.snapshot()": () =>
    inCallback((callback) => {
      const inSnapshot = AsyncLocalStorage.snapshot();
      manager.with(b, () => inSnapshot(callback));
    }),
  "a for await over a Readable": async () => {
    for await (const _ of Readable.from(["x"])) {
      await null;
    }
    return manager.active();
  },
  "stream.pipeline()": async () => {
    let seen: unknown;
    await pipeline(Readable.from(["x"]), async (source) => {
      for await (const _ of source) {
        seen = manager.active();
      }
    });
    return seen;
  },
  "a connection of net": async () => {
    const server = await listening(createNetServer((socket) => socket.end()));
    const seen = await inCallback((callback) => createConnection(portOf(server), HOST, callback).resume());
    await closed(server);
    return seen;
  },
  "a request of http": async () => {
    const server = await listening(createServer((_, response) => response.end()));
    const seen = await inCallback((callback) =>
      get({ port: portOf(server), host: HOST, agent: false }, (response) => response.resume().on("end", callback)),
    );
    await closed(server);
    return seen;
  },
  "a bound function that is called elsewhere": () => {
    const bound = manager.bind(manager.active(), () => manager.active());
    return manager.with(b, bound);
  },
  "createTask()": () => asyncio.createTask(async () => manager.active()),
  "createTask() that starts at once": () => asyncio.createTask(async () => manager.active(), { eagerStart: true }),
  "a task after a sleep": () =>
    asyncio.createTask(async () => {
      await asyncio.sleep(0.001);
      return manager.active();
    }),
  "gather()": async () => (await asyncio.gather([async () => manager.active()]))[0],
  "TaskGroup.createTask()": () =>
    asyncio.createTask(() =>
      new asyncio.TaskGroup().with(async (group) => await group.createTask(async () => manager.active())),
    ),
  "timeout().with()": () =>
    asyncio.createTask(() =>
      asyncio.timeout(10).with(async () => {
        await asyncio.sleep(0);
        return manager.active();
      }),
    ),
  "waitFor()": () => asyncio.waitFor(async () => manager.active(), 10),
  "callSoon()": () => inCallback((callback) => asyncio.getRunningLoop().callSoon(callback)),
  "callLater()": () => inCallback((callback) => asyncio.getRunningLoop().callLater(0.001, callback)),
  "addDoneCallback() of a Future that is settled elsewhere": () =>
    inCallback((callback) => {
      const future = asyncio.getRunningLoop().createFuture<null>();
      future.addDoneCallback(callback);
      manager.with(b, () => future.setResult(null));
    }),
  "an await of a Future that is settled elsewhere": async () => {
    const future = asyncio.getRunningLoop().createFuture<null>();
    manager.with(b, () => setTimeout(() => future.setResult(null), 1));
    await future;
    return manager.active();
  },
  "a Queue that is filled elsewhere": () =>
    asyncio.createTask(async () => {
      const queue = new asyncio.Queue<number>();
      manager.with(b, () => setTimeout(() => queue.putNowait(1), 1));
      await queue.get();
      return manager.active();
    }),
  "a handler of startServer()": async () => {
    const seen = asyncio.getRunningLoop().createFuture<Context>();
    const server = await asyncio.startServer(
      async (reader, writer) => {
        await reader.readline();
        seen.setResult(manager.active());
        writer.close();
      },
      HOST,
      0,
    );
    const port = portOf(server);
    await manager.with(b, async () => {
      const [, writer] = await asyncio.openConnection(HOST, port);
      writer.write("x\n");
      await writer.drain();
      writer.close();
      await writer.waitClosed();
    });
    server.close();
    await server.waitClosed();
    return await seen;
  },
  "a read of openConnection()": async () => {
    const server = await listening(createNetServer((socket) => socket.end("x\n")));
    const [reader, writer] = await asyncio.openConnection(HOST, portOf(server));
    await reader.readline();
    writer.close();
    await writer.waitClosed();
    await closed(server);
    return manager.active();
  },
  "isolated()": () => {
    const wrapped = isolated(() => manager.active());
    return manager.with(b, wrapped);
  },
};

/** What has to be kept although nothing is running: a Context that was saved. */
const saved: Readonly<Record<string, (context: ReturnType<typeof copyContext>) => unknown>> = {
  "a saved Context that is run later": (context) => context.run(() => manager.active()),
  "an async function in a saved Context": (context) =>
    context.run(async () => {
      await settledElsewhere();
      return manager.active();
    }),
  "a copy of a saved Context": (context) => context.copy().run(() => manager.active()),
  "createTask() with a saved Context": (context) => asyncio.createTask(async () => manager.active(), { context }),
  "callSoon() with a saved Context": (context) =>
    inCallback((callback) => asyncio.getRunningLoop().callSoon(callback, { context })),
  "addDoneCallback() with a saved Context": (context) =>
    inCallback((callback) => {
      const future = asyncio.getRunningLoop().createFuture<null>();
      future.addDoneCallback(callback, { context });
      future.setResult(null);
    }),
  "isolated() in a saved Context": (context) => context.run(() => isolated(() => manager.active()))(),
};

const places: readonly { readonly place: string; readonly inPlace: (body: () => Promise<void>) => unknown }[] = [
  { place: "outside of tasks", inPlace: (body) => body() },
  { place: "in a task", inPlace: (body) => asyncio.createTask(body) },
];

for (const { place, inPlace } of places) {
  describe(`the active context stays with what was started ${place}`, () => {
    for (const [name, start] of Object.entries(constructs)) {
      it(name, async () => {
        await inPlace(async () => {
          const started = manager.with(a, start);
          assert.equal(manager.active(), ROOT_CONTEXT);
          assert.equal(nameOf(await started), "a");
          assert.equal(manager.active(), ROOT_CONTEXT);
        });
      });
    }
    for (const [name, start] of Object.entries(saved)) {
      it(name, async () => {
        await inPlace(async () => {
          const context = manager.with(a, () => copyContext());
          assert.equal(nameOf(await start(context)), "a");
          assert.equal(nameOf(await manager.with(b, () => start(context.copy()))), "a");
        });
      });
    }

    it("what a channel runs, where the manager's storage is bound to the channel", async () => {
      await inPlace(async () => {
        const bindable = channel(`contextvars-test ${place}`);
        bindable.bindStore(manager.asyncLocalStorage, () => a);
        const seen = bindable.runStores({}, async () => {
          const first = manager.active();
          await settledElsewhere();
          return [first, manager.active()].map(nameOf);
        });
        assert.equal(manager.active(), ROOT_CONTEXT);
        assert.deepEqual(await seen, ["a", "a"]);
        bindable.unbindStore(manager.asyncLocalStorage);
        assert.equal(
          bindable.runStores({}, () => manager.active()),
          ROOT_CONTEXT,
        );
      });
    });

    it("asyncLocalStorage does what an AsyncLocalStorage does", async () => {
      await inPlace(async () => {
        const own = new ContextVarsContextManager();
        const storage = own.asyncLocalStorage;
        assert.equal(storage.getStore(), undefined);
        storage.run(
          a,
          (...args) => {
            assert.deepEqual([storage.getStore(), own.active(), ...args], [a, a, 1, 2]);
            storage.exit(
              (...rest) => assert.deepEqual([storage.getStore(), own.active(), ...rest], [undefined, ROOT_CONTEXT, 3]),
              3,
            );
            const scope = storage.withScope(b);
            assert.equal(own.active(), b);
            scope[Symbol.dispose]();
            assert.equal(own.active(), a);
            storage.enterWith(b);
            assert.equal(own.active(), b);
          },
          1,
          2,
        );
        assert.equal(own.active(), ROOT_CONTEXT);
        storage.run(a, () => {
          storage.disable();
          assert.equal(storage.getStore(), undefined);
        });
      });
    });
  });
}

function nameOf(context: unknown): unknown {
  return (context as Context).getValue(key);
}
