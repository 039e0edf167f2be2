/**
 * Each callback of the table, outside all tasks: what it sets, no other call of it sees, nor does anybody else.
 *
 * Each experiment of the table is played three times, with new objects. Where one object calls back again and again, that
 * is played as well. Bystanders look on after each.
 */
import assert from "node:assert/strict";
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { fork, spawn } from "node:child_process";
import * as dgram from "node:dgram";
import { channel } from "node:diagnostics_channel";
import { EventEmitter, EventEmitterAsyncResource, once } from "node:events";
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable, Transform } from "node:stream";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker } from "node:worker_threads";
import { ContextVar, isolated } from "contextvars";
import { letGo } from "../support/garbage.ts";
import { turn } from "../support/latch.ts";
import { programPath } from "../support/paths.ts";
import { type Places, playIn, probes } from "../support/primitives-probes.ts";
import { type Primitive, type PrimitiveName, primitives } from "../support/primitives-table.ts";
import { runProgram } from "../support/programs.ts";
import { runtime } from "../support/runtime.ts";
import { connectSocket, listen, request } from "../support/sockets.ts";

const value = new ContextVar<string>("value", { default: "-" });
const thisFile = fileURLToPath(import.meta.url);
const outside = new AsyncResource("outside");

/** Calls the function in a flow of its own, in which nothing was set. */
function inFreshFlow<T>(callable: () => T): T {
  return outside.runInAsyncScope(() => new AsyncResource("place")).runInAsyncScope(callable);
}

type Visit = () => void;

/** Calls the function three times, each in a flow of its own, and waits for what it gives. */
async function threeTimes(callable: (i: number) => unknown): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await inFreshFlow(() => callable(i));
  }
}

/** Makes one object call the function again and again. */
const again: Partial<Record<PrimitiveName, (visit: Visit) => Promise<void>>> = {
  setInterval: (visit) =>
    new Promise((resolve) => {
      let ticks = 0;
      const interval = setInterval(() => {
        visit();
        ticks += 1;
        if (ticks === 3) {
          clearInterval(interval);
          resolve();
        }
      }, 1);
    }),
  refresh: (visit) =>
    new Promise((resolve) => {
      let calls = 0;
      const timer = setTimeout(() => {
        visit();
        calls += 1;
        if (calls === 3) {
          resolve();
        } else {
          timer.refresh();
        }
      }, 1);
    }),

  emitter: (visit) => {
    const emitter = new EventEmitter().on("event", visit);
    return threeTimes(() => emitter.emit("event"));
  },
  emitterResource: async (visit) => {
    const emitter = new EventEmitterAsyncResource({ name: "events" });
    emitter.on("event", visit);
    await threeTimes(() => emitter.emit("event"));
    emitter.emitDestroy();
  },
  eventTarget: (visit) => {
    const target = new EventTarget();
    target.addEventListener("event", visit);
    return threeTimes(() => target.dispatchEvent(new Event("event")));
  },
  diagnosticsChannel: async (visit) => {
    const events = channel("contextvars.apart");
    const onEvent = (): void => visit();
    events.subscribe(onEvent);
    await threeTimes(() => events.publish({}));
    events.unsubscribe(onEvent);
  },
  signal: async (visit) => {
    const keepAlive = setTimeout(() => {}, 10_000);
    const received = new EventEmitter();
    const onSignal = (): void => {
      visit();
      setImmediate(() => received.emit("signal"));
    };
    inFreshFlow(() => process.on("SIGWINCH", onSignal));
    await threeTimes(async () => {
      const signal = once(received, "signal");
      process.kill(process.pid, "SIGWINCH");
      await signal;
    });
    process.off("SIGWINCH", onSignal);
    clearTimeout(keepAlive);
  },

  connection: (visit) =>
    withServer(
      (socket) => {
        visit();
        socket.end("hello");
      },
      async (port) => {
        const client = await connectSocket(port);
        client.resume();
        await once(client, "close");
      },
    ),
  serverData: (visit) =>
    withEcho(visit, async (client) => {
      client.write("x");
      await once(client, "data");
    }),
  clientData: (visit) => {
    const clients = new WeakSet<net.Socket>();
    return withEcho(
      () => {},
      async (client) => {
        if (!clients.has(client)) {
          clients.add(client);
          client.on("data", visit);
        }
        client.write("x");
        await once(client, "data");
      },
    );
  },
  datagram: async (visit) => {
    const receiver = inFreshFlow(() => dgram.createSocket("udp4").bind(0, "127.0.0.1"));
    await once(receiver, "listening");
    inFreshFlow(() => receiver.on("message", visit));
    const sender = dgram.createSocket("udp4");
    await threeTimes(async () => {
      const message = once(receiver, "message");
      sender.send("x", receiver.address().port, "127.0.0.1");
      await message;
    });
    receiver.close();
    sender.close();
  },

  request: (visit) =>
    withHttp(
      visit,
      () => {},
      async (options) => {
        await post(options);
      },
    ),
  requestData: (visit) =>
    withHttp(
      () => {},
      visit,
      (options) => post(options),
    ),
  responseData: (visit) =>
    withHttp(
      () => {},
      () => {},
      (options) => post(options, visit),
    ),

  childOutput: async (visit) => {
    const child = inFreshFlow(() =>
      spawn(process.execPath, [...runFlags, programPath("echo.js")], { stdio: ["pipe", "pipe", "inherit"] }),
    );
    inFreshFlow(() => child.stdout.on("data", visit));
    await threeTimes(async () => {
      child.stdin.write("x");
      await once(child.stdout, "data");
    });
    child.stdin.end();
    await once(child, "close");
  },
  childMessage: async (visit) => {
    const child = inFreshFlow(() => fork(programPath("echo.js"), { stdio: "ignore" }));
    inFreshFlow(() => child.on("message", visit));
    await threeTimes(async () => {
      const message = once(child, "message");
      child.send("x");
      await message;
    });
    child.disconnect();
    await once(child, "exit");
  },
  watch: async (visit) => {
    const folder = fs.mkdtempSync(join(tmpdir(), "contextvars-"));
    const watcher = inFreshFlow(() => fs.watch(folder));
    inFreshFlow(() => watcher.on("change", visit));
    for (let i = 0; i < 10; i++) {
      const changed = once(watcher, "change");
      // Many at once, and often: Bun reports several in one go, but not always.
      const write = (): void => {
        for (let j = 0; j < 50; j++) {
          fs.writeFileSync(join(folder, `${i}-${j}`), "x");
        }
      };
      const keepOn = setInterval(write, 10);
      await changed;
      clearInterval(keepOn);
      await pause(20);
    }
    watcher.close();
    fs.rmSync(folder, { recursive: true });
  },

  watchFile: async (visit) => {
    const folder = fs.mkdtempSync(join(tmpdir(), "contextvars-"));
    const file = join(folder, "file");
    fs.writeFileSync(file, "");
    let calls = 0;
    inFreshFlow(() =>
      fs.watchFile(file, { interval: 5 }, () => {
        visit();
        calls += 1;
      }),
    );
    while (calls < 3) {
      fs.appendFileSync(file, "x");
      await pause(5);
    }
    fs.unwatchFile(file);
    fs.rmSync(folder, { recursive: true });
  },
  finalization: async (visit) => {
    let calls = 0;
    const registry = new FinalizationRegistry(() => {
      visit();
      calls += 1;
    });
    await letGo(registry, () => calls >= 3);
  },

  readableFrom: (visit) =>
    new Promise((resolve) => {
      Readable.from(["a", "b", "c"]).on("data", visit).on("end", resolve);
    }),
  fileStream: (visit) =>
    new Promise((resolve) => {
      fs.createReadStream(thisFile, { highWaterMark: 1000, end: 2999 }).on("data", visit).on("end", resolve);
    }),
  fileLines: (visit) =>
    new Promise((resolve) => {
      const input = fs.createReadStream(thisFile, { highWaterMark: 1000, end: 2999 });
      createInterface(input).on("line", visit).on("close", resolve);
    }),
  transform: (visit) => {
    const stream = new Transform({
      transform(_chunk, _encoding, done) {
        visit();
        done();
      },
    });
    return threeTimes(() => stream.write("x"));
  },
  webPull: (visit) => {
    const stream = new ReadableStream(
      {
        pull(controller): void {
          visit();
          controller.enqueue("x");
        },
      },
      { highWaterMark: 0 },
    );
    const reader = stream.getReader();
    return threeTimes(async () => {
      await turn();
      await reader.read();
    });
  },
  messagePort: async (visit) => {
    const { port1, port2 } = new MessageChannel();
    inFreshFlow(() => port2.on("message", visit));
    await threeTimes(async () => {
      const message = once(port2, "message");
      port1.postMessage("x");
      await message;
    });
    port1.close();
    port2.close();
  },
  workerMessage: async (visit) => {
    const worker = inFreshFlow(() => new Worker(programPath("echo.js")));
    inFreshFlow(() => worker.on("message", visit));
    await threeTimes(async () => {
      const message = once(worker, "message");
      worker.postMessage("x");
      await message;
    });
    await worker.terminate();
  },

  bind: (visit) => threeTimes(AsyncResource.bind(visit)),
  snapshot: (visit) => {
    const restore = AsyncLocalStorage.snapshot();
    return threeTimes(() => restore(visit));
  },
  isolated: (visit) => threeTimes(isolated(visit)),
};

/** What the runtime needs to run a compiled program. */
const runFlags = runtime === "deno" ? ["run", "-A", "--no-check"] : [];

async function withServer(
  onConnection: (socket: net.Socket) => void,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const server = await inFreshFlow(() => listen(net.createServer(onConnection)));
  await threeTimes(() => use(server.port));
  await server[Symbol.asyncDispose]();
}

/** Two connections to a server that sends each chunk back. */
async function withEcho(visit: Visit, use: (client: net.Socket) => Promise<void>): Promise<void> {
  const onConnection = (socket: net.Socket): void => {
    socket.on("data", (chunk) => {
      visit();
      socket.write(chunk);
    });
  };
  const server = await inFreshFlow(() => listen(net.createServer(onConnection)));
  const clients = [
    await inFreshFlow(() => connectSocket(server.port)),
    await inFreshFlow(() => connectSocket(server.port)),
  ];
  await threeTimes(async () => {
    for (const client of clients) {
      await use(client);
    }
  });
  for (const client of clients) {
    client.destroy();
  }
  await server[Symbol.asyncDispose]();
}

/** Three requests over one connection, each with a body in two pieces, and three over connections of their own. */
async function withHttp(
  onRequest: Visit,
  onData: Visit,
  use: (options: http.RequestOptions) => Promise<void>,
): Promise<void> {
  const handler = (incoming: http.IncomingMessage, response: http.ServerResponse): void => {
    onRequest();
    incoming.on("data", (chunk) => {
      onData();
      response.write(chunk);
    });
    incoming.on("end", () => response.end());
  };
  const server = await inFreshFlow(() => listen(http.createServer(handler)));
  const keepAlive = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (const agent of [keepAlive, false] as const) {
    await threeTimes(() => use({ port: server.port, host: "127.0.0.1", method: "POST", agent }));
  }
  keepAlive.destroy();
  await server[Symbol.asyncDispose]();
}

/** Sends a body in two pieces, and the second one when the first came back. */
async function post(options: http.RequestOptions, onData: Visit = () => {}): Promise<void> {
  const outgoing = http.request(options);
  outgoing.write("one");
  const [response] = (await once(outgoing, "response")) as [http.IncomingMessage];
  response.on("data", onData);
  await once(response, "data");
  outgoing.end("two");
  await once(response, "end");
}

/** What callbacks see that have nothing to do with what was played: of a server, of a connection, of a timer. */
async function bystanders(): Promise<string[]> {
  const seen: string[] = [];
  const look = (): void => void seen.push(value.get());
  const answer = (_incoming: http.IncomingMessage, response: http.ServerResponse): void => {
    look();
    response.end();
  };
  const server = await inFreshFlow(() => listen(http.createServer(answer)));
  await request(server.port, "/");
  await server[Symbol.asyncDispose]();
  await withEcho(look, async (client) => {
    client.write("x");
    await once(client, "data");
  });
  await inFreshFlow(() => pause(1).then(look));
  return seen;
}

/** A Worker of the web. */
interface WebWorker {
  onmessage: () => void;
  postMessage(message: unknown): void;
  terminate(): void;
}

/** Plays the row; says who saw a value that its callback had set. */
async function whoSees(name: PrimitiveName): Promise<string> {
  const seen: string[] = [];
  let calls = 0;
  const visit = (): void => {
    seen.push(value.get());
    calls += 1;
    value.set(`${name} ${calls}`);
  };
  const places: Places = {
    at: (_place, callable) => inFreshFlow(callable),
    look() {
      visit();
      return "-";
    },
  };
  await threeTimes(() => playIn(places, probes[name]));
  await inFreshFlow(() => again[name]?.(visit));
  // That one is called in another thread, with variables of its own.
  assert.ok(calls >= 3 || name === "worker");
  const isOfThisRow = (each: string): boolean => each.startsWith(`${name} `);
  if ((await bystanders()).some(isOfThisRow)) {
    return "any callback";
  }
  return seen.some(isOfThisRow) ? "the next call" : "nobody else";
}

describe("ContextVar outside tasks", () => {
  for (const [name, { group, primitive, leaks = {} }] of Object.entries<Primitive>(primitives)) {
    const expected = leaks[runtime] ?? "nobody else";
    it(`ContextVar outside tasks in ${group}: what ${primitive} sets is seen by ${expected}`, async () => {
      assert.equal(await inFreshFlow(() => whoSees(name as PrimitiveName)), expected);
    });
  }

  const { Worker: WebWorkerClass } = globalThis as { Worker?: new (url: string, options: object) => WebWorker };
  const skip = WebWorkerClass === undefined ? "this runtime has no Worker of the web" : false;
  it("ContextVar outside tasks in a Worker of the web: what a listener sets, the next call does not see", {
    skip,
  }, async () => {
    const source = encodeURIComponent("self.onmessage = ({ data }) => self.postMessage(data);");
    const worker = new (WebWorkerClass as NonNullable<typeof WebWorkerClass>)(`data:text/javascript,${source}`, {
      type: "module",
    });
    const seen: string[] = [];
    await threeTimes(async (i) => {
      const message = new Promise((resolve) => {
        worker.onmessage = () => {
          seen.push(value.get());
          value.set(`call ${i}`);
          setTimeout(resolve);
        };
      });
      worker.postMessage(i);
      await message;
    });
    worker.terminate();
    assert.deepEqual(seen, ["-", "-", "-"]);
  });

  it("ContextVar outside tasks in the process's own events: no other code sees what a listener sets", async () => {
    assert.deepEqual(await runProgram("process-events.js"), { calls: 9, seen: ["-"] });
  });
});
