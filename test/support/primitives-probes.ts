/**
 * One experiment for each row of the table of callbacks: `primitives.test.ts` plays it in Contexts and asks which of them
 * the callback sees, `callbacks-apart.test.ts` outside all Contexts and asks what the callback leaves behind.
 */
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { exec, fork, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as dgram from "node:dgram";
import { channel } from "node:diagnostics_channel";
import * as dns from "node:dns";
import { EventEmitter, EventEmitterAsyncResource, on, once } from "node:events";
import * as fs from "node:fs";
import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { finished, PassThrough, pipeline, Readable, Transform } from "node:stream";
import * as timers from "node:timers/promises";
import * as tls from "node:tls";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker } from "node:worker_threads";
import * as zlib from "node:zlib";
import { isolated } from "contextvars";
import { certificates } from "./certificates.ts";
import { letGo } from "./garbage.ts";
import { turn } from "./latch.ts";
import { programPath } from "./paths.ts";
import type { Cell, PrimitiveName } from "./primitives-table.ts";
import { connectSocket, listen, request } from "./sockets.ts";
import { TemporaryFolder } from "./temporary-folder.ts";

/** The places that the experiments speak of. */
export interface Places {
  /** Calls the function in this place. */
  at<T>(place: Place, callable: () => T): T;
  /** What the callback does: it says in which place it is. */
  look(): string;
}

/** N1 and N2 are two that call `next()`. */
export type Place = Cell | "N1" | "N2";

let places: Places;

/** Plays the experiments of one row. */
export async function playIn<T>(where: Places, probe: () => Promise<T>): Promise<T> {
  places = where;
  return probe();
}

function at<T>(place: Place, callable: () => T): T {
  return places.at(place, callable);
}

function look(): string {
  return places.look();
}

/** Resolves to what the callback sees that `start` is given. */
function seenBy(start: (callback: () => void) => unknown): Promise<string> {
  return new Promise((resolve, reject) => {
    try {
      start(() => resolve(look()));
    } catch (error) {
      reject(error as Error);
    }
  });
}

const thisFile = fileURLToPath(import.meta.url);

/** A server made in L, given to the body with a client made in S. */
async function withPair<T>(
  onConnection: (socket: net.Socket) => void,
  body: (client: net.Socket) => Promise<T>,
): Promise<T> {
  const server = await at("L", () => listen(net.createServer(onConnection)));
  try {
    const client = await at("S", () => connectSocket(server.port));
    const result = await body(client);
    client.destroy();
    return result;
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

/** Each row's experiment. */
export const probes: Record<PrimitiveName, () => Promise<string>> = {
  async then() {
    const { promise, resolve } = deferred();
    const seen = Promise.all([
      at("R", () => promise.then(() => look())),
      at("R", async () => {
        let place = "";
        await promise.finally(() => {
          place = look();
        });
        return place;
      }),
      at("R", () => promise.then(() => Promise.reject(new Error("x"))).catch(() => look())),
    ]);
    at("T", resolve);
    return unanimous(await seen);
  },
  thenResolved: () => at("R", () => Promise.resolve().then(() => look())),
  async await() {
    const { promise, resolve } = deferred();
    const seen = at("R", async () => {
      await promise;
      return look();
    });
    at("T", resolve);
    return seen;
  },
  async awaitThenable() {
    let call: () => void = () => {};
    const thenable: PromiseLike<void> = {
      then: (resolve): never => {
        call = () => resolve?.();
        return undefined as never;
      },
    };
    const seen = at("R", async () => {
      await thenable;
      return look();
    });
    await turn();
    at("T", () => call());
    return seen;
  },
  insideThenable: () =>
    at("R", async () => {
      let seen = "";
      await {
        then: (resolve: () => void) => {
          seen = look();
          resolve();
        },
      };
      return seen;
    }),
  async thenableCallback() {
    const callbacks: (() => void)[] = [];
    const thenable = { then: (callback: () => void) => callbacks.push(callback) };
    const seen = at("R", () => seenBy((callback) => thenable.then(callback)));
    at("T", () => callbacks.map((callback) => callback()));
    return seen;
  },

  queueMicrotask: () => at("R", () => seenBy(queueMicrotask)),
  nextTick: () => at("R", () => seenBy((callback) => process.nextTick(callback))),
  setTimeout: () => at("R", () => seenBy((callback) => setTimeout(callback, 1))),
  setInterval: () =>
    at("R", () =>
      seenBy((callback) => {
        let ticks = 0;
        const interval = setInterval(() => {
          ticks += 1;
          if (ticks === 2) {
            clearInterval(interval);
            callback();
          }
        }, 1);
      }),
    ),
  setImmediate: () => at("R", () => seenBy(setImmediate)),
  refresh: () => {
    let timer: NodeJS.Timeout | undefined;
    const seen = at("R", () =>
      seenBy((callback) => {
        timer = setTimeout(callback, 1);
      }),
    );
    at("T", () => timer?.refresh());
    return seen;
  },
  async timersPromises() {
    const interval = async (): Promise<string> => {
      for await (const _ of timers.setInterval(1)) {
        return look();
      }
      return "no tick";
    };
    const seen = [
      at("R", () => timers.setTimeout(1).then(() => look())),
      at("R", () => timers.setImmediate().then(() => look())),
      at("R", interval),
    ];
    return unanimous(await Promise.all(seen));
  },

  async emitter() {
    const emitter = at("C", () => new EventEmitter());
    const seen = at("R", () => seenBy((callback) => emitter.on("event", callback)));
    at("T", () => emitter.emit("event"));
    return seen;
  },
  async emitterResource() {
    const emitter = at("C", () => new EventEmitterAsyncResource({ name: "events" }));
    const seen = at("R", () => seenBy((callback) => emitter.on("event", callback)));
    at("T", () => emitter.emit("event"));
    emitter.emitDestroy();
    return seen;
  },
  async eventTarget() {
    const target = at("C", () => new EventTarget());
    const seen = at("R", () => seenBy((callback) => target.addEventListener("event", callback)));
    at("T", () => target.dispatchEvent(new Event("event")));
    return seen;
  },
  async abort() {
    const controller = at("C", () => new AbortController());
    const seen = at("R", () => seenBy((callback) => controller.signal.addEventListener("abort", callback)));
    at("T", () => controller.abort());
    return seen;
  },
  async abortTimeout() {
    const signal = at("C", () => AbortSignal.timeout(2));
    const keepAlive = setTimeout(() => {}, 10_000);
    const seen = await at("R", () => seenBy((callback) => signal.addEventListener("abort", callback)));
    clearTimeout(keepAlive);
    return seen;
  },
  async once() {
    const emitter = new EventEmitter();
    const seen = at("R", async () => {
      await once(emitter, "event");
      return look();
    });
    at("T", () => emitter.emit("event"));
    return seen;
  },
  async on() {
    const emitter = new EventEmitter();
    const seen = at("R", async () => {
      for await (const _ of on(emitter, "event")) {
        return look();
      }
      return "no event";
    });
    at("T", () => emitter.emit("event"));
    return seen;
  },
  async diagnosticsChannel() {
    const events = channel("contextvars.test");
    let seen = "";
    const subscriber = (): void => {
      seen = look();
    };
    at("R", () => events.subscribe(subscriber));
    at("T", () => events.publish({}));
    events.unsubscribe(subscriber);
    return seen;
  },
  async signal() {
    const seen = at("R", () => seenBy((callback) => process.once("SIGWINCH", callback)));
    const keepAlive = setTimeout(() => {}, 10_000);
    process.kill(process.pid, "SIGWINCH");
    const place = await seen;
    clearTimeout(keepAlive);
    return place;
  },

  async generator() {
    function* body(): Generator<string, string> {
      yield look();
      return look();
    }
    const generator = at("C", body);
    return steps([at("N1", () => generator.next().value), at("N2", () => generator.next().value)]);
  },
  async asyncGenerator() {
    async function* body(): AsyncGenerator<string, string> {
      yield look();
      return look();
    }
    const generator = at("C", body);
    const first = await at("N1", () => generator.next());
    const second = await at("N2", () => generator.next());
    return steps([first.value, second.value]);
  },
  async asyncGeneratorAwait() {
    async function* body(): AsyncGenerator<string, string> {
      await turn();
      yield look();
      await turn();
      return look();
    }
    const generator = at("C", body);
    const first = await at("N1", () => generator.next());
    const second = await at("N2", () => generator.next());
    return steps([first.value, second.value]);
  },
  async generatorReturn() {
    let seen = "";
    async function* body(): AsyncGenerator<number> {
      try {
        yield 1;
      } finally {
        seen = look();
      }
    }
    const generator = at("C", body);
    await at("R", () => generator.next());
    await at("N", () => generator.return(undefined));
    return seen;
  },
  async forAwait() {
    const { promise, resolve } = deferred();
    async function* body(): AsyncGenerator<number> {
      await promise;
      yield 1;
    }
    const generator = at("C", body);
    const seen = at("R", async () => {
      for await (const _ of generator) {
        return look();
      }
      return "no value";
    });
    at("T", resolve);
    return seen;
  },

  async listening() {
    const server = net.createServer();
    const seen = await at("L", () => seenBy((callback) => server.listen(0, "127.0.0.1", callback)));
    server.close();
    return seen;
  },
  async connection() {
    let seen = "";
    return withPair(
      (socket) => {
        seen = look();
        socket.write("hello");
      },
      async (client) => {
        await once(client, "data");
        return seen;
      },
    );
  },
  serverData: () => onServerSocket("data"),
  serverClose: () => onServerSocket("close"),
  serverForAwait: () => {
    let seen: Promise<string> | undefined;
    return withPair(
      (socket) => {
        seen = at("R", async () => {
          for await (const _ of socket) {
            return look();
          }
          return "no data";
        });
        seen.catch(() => {});
        socket.write("hello");
      },
      async (client) => {
        await once(client, "data");
        client.write("x");
        return (await seen) ?? "no connection";
      },
    );
  },
  resumed: () => {
    let socket: net.Socket | undefined;
    return withPair(
      (accepted) => {
        socket = accepted;
        accepted.pause();
        accepted.write("hello");
      },
      async (client) => {
        await once(client, "data");
        const seen = at("R", () => seenBy((callback) => socket?.once("data", callback)));
        socket?.pause();
        client.write("x");
        // Until it lies in the socket's buffer; some runtimes leave it with the system.
        for (let i = 0; i < 50 && socket?.readableLength === 0; i++) {
          await timers.setTimeout(1);
        }
        at("T", () => socket?.resume());
        return seen;
      },
    );
  },
  async closed() {
    const server = at("L", () => net.createServer().listen(0, "127.0.0.1"));
    await once(server, "listening");
    return at("R", () => seenBy((callback) => server.close(callback)));
  },
  async connected() {
    const server = await at("L", () => listen(net.createServer()));
    const client = at("S", () => net.connect(server.port, "127.0.0.1"));
    const seen = await at("R", () => seenBy((callback) => client.on("connect", callback)));
    client.destroy();
    await server[Symbol.asyncDispose]();
    return seen;
  },
  clientData: () =>
    withPair(
      (socket) => {
        socket.on("data", (chunk) => socket.write(chunk));
      },
      (client) => {
        const seen = at("R", () => seenBy((callback) => client.once("data", callback)));
        client.write("x");
        return seen;
      },
    ),
  clientClose: () =>
    withPair(
      (socket) => {
        socket.on("data", () => socket.end());
      },
      (client) => {
        const seen = at("R", () => seenBy((callback) => client.once("close", callback)));
        client.resume();
        client.write("x");
        return seen;
      },
    ),
  written: () =>
    withPair(
      (socket) => socket.resume(),
      (client) => at("R", () => seenBy((callback) => client.write("x", callback))),
    ),
  async datagram() {
    const receiver = at("C", () => dgram.createSocket("udp4"));
    at("L", () => receiver.bind(0, "127.0.0.1"));
    await once(receiver, "listening");
    const seen = at("R", () => seenBy((callback) => receiver.once("message", callback)));
    const sender = dgram.createSocket("udp4");
    at("T", () => sender.send("x", receiver.address().port, "127.0.0.1"));
    const place = await seen;
    receiver.close();
    sender.close();
    return place;
  },

  async socketTimeout() {
    return withPair(
      () => {},
      (client) => {
        const seen = at("R", () => seenBy((callback) => client.once("timeout", callback)));
        at("T", () => client.setTimeout(5));
        return seen;
      },
    );
  },
  secured: () =>
    withTls(
      (socket) => {
        socket.end(look());
      },
      async (client) => {
        const [place] = (await once(client, "data")) as [Buffer];
        return String(place);
      },
    ),
  securedData: () =>
    withTls(
      (socket) => {
        at("R", () => socket.once("data", () => socket.end(look())));
      },
      async (client) => {
        client.write("x");
        const [place] = (await once(client, "data")) as [Buffer];
        return String(place);
      },
    ),

  async request() {
    const server = await at("L", () =>
      listen(
        http.createServer((_request, response) => {
          response.end(look());
        }),
      ),
    );
    const seen = await at("S", () => request(server.port, "/"));
    await server[Symbol.asyncDispose]();
    return seen;
  },
  requestData: () => onRequest("data"),
  requestEnd: () => onRequest("end"),
  response: () =>
    withHttp((options) =>
      seenBy((callback) =>
        http.get(options, (response) => {
          response.resume();
          callback();
        }),
      ),
    ),
  responseData: () =>
    withHttp((options) =>
      seenBy((callback) =>
        http.get(options, (response) => {
          response.once("data", callback);
        }),
      ),
    ),
  responseEnd: () =>
    withHttp((options) =>
      seenBy((callback) =>
        http.get(options, (response) => {
          response.resume();
          response.on("end", callback);
        }),
      ),
    ),
  http2Stream: () => withHttp2((stream) => stream.end(look())),
  http2Data: () =>
    withHttp2((stream) => {
      at("R", () => stream.once("data", () => stream.end(look())));
    }),
  fetch: () =>
    withHttp(async ({ port }) => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } });
      await response.text();
      const place = look();
      return place === "S" ? "R" : place;
    }),

  fs: () => at("R", () => seenBy((callback) => fs.stat(thisFile, callback))),
  fsPromises: () =>
    at("R", async () => {
      await fs.promises.stat(thisFile);
      return look();
    }),
  dns: () => at("R", () => seenBy((callback) => dns.lookup("localhost", callback))),
  zlib: () => at("R", () => seenBy((callback) => zlib.deflate("text", callback))),
  crypto: () => at("R", () => seenBy((callback) => randomBytes(8, callback))),
  exec: () => at("R", () => seenBy((callback) => exec("exit 0", callback))),
  async childOutput() {
    const child = at("C", () => spawn(process.execPath, ["--version"], { stdio: ["ignore", "pipe", "ignore"] }));
    return at("R", () => seenBy((callback) => child.stdout.once("data", callback)));
  },
  async childExit() {
    const child = at("C", () => spawn(process.execPath, ["--version"], { stdio: "ignore" }));
    return at("R", () => seenBy((callback) => child.once("exit", callback)));
  },
  async childMessage() {
    const child = at("C", () => fork(programPath("echo.js"), { stdio: "ignore" }));
    const seen = at("R", () => seenBy((callback) => child.once("message", callback)));
    child.send("x");
    const place = await seen;
    child.disconnect();
    await once(child, "exit");
    return place;
  },
  async watchFile() {
    using folder = new TemporaryFolder();
    const file = join(folder.path, "file");
    fs.writeFileSync(file, "");
    const seen = at("R", () => seenBy((callback) => fs.watchFile(file, { interval: 5 }, callback)));
    const keepOn = setInterval(() => fs.appendFileSync(file, "x"), 5);
    const place = await seen;
    clearInterval(keepOn);
    fs.unwatchFile(file);
    return place;
  },
  async watch() {
    using folder = new TemporaryFolder();
    const watcher = at("C", () => fs.watch(folder.path));
    const seen = at("R", () => seenBy((callback) => watcher.once("change", callback)));
    const keepOn = setInterval(() => fs.writeFileSync(join(folder.path, "file"), "x"), 10);
    const place = await seen;
    clearInterval(keepOn);
    watcher.close();
    return place;
  },
  async finalization() {
    const seen: string[] = [];
    const registry = at("C", () => new FinalizationRegistry(() => seen.push(look())));
    await at("R", () => letGo(registry, () => seen.length > 0));
    // A callback sees what the one before it has set.
    return seen[0] ?? "never called";
  },

  async readableFrom() {
    const stream = at("C", () => Readable.from(["a", "b"]));
    return at("R", () => seenBy((callback) => stream.once("data", callback)));
  },
  async fileStream() {
    const stream = at("C", () => fs.createReadStream(thisFile));
    const seen = await at("R", () => seenBy((callback) => stream.once("data", callback)));
    stream.destroy();
    return seen;
  },
  async fileLines() {
    const lines = at("C", () => createInterface(fs.createReadStream(thisFile)));
    const seen = await at("R", () => seenBy((callback) => lines.once("line", callback)));
    lines.close();
    return seen;
  },
  async forAwaitStream() {
    const stream = at("C", () => new PassThrough());
    const seen = at("R", async () => {
      for await (const _ of stream) {
        return look();
      }
      return "no data";
    });
    at("T", () => stream.write("x"));
    return seen;
  },
  async pipeline() {
    const source = at("C", () => new PassThrough());
    const seen = at("R", () => seenBy((callback) => pipeline(source, new PassThrough().resume(), callback)));
    at("T", () => source.end("x"));
    return seen;
  },
  async finished() {
    const stream = at("C", () => new PassThrough().resume());
    const seen = at("R", () => seenBy((callback) => finished(stream, callback)));
    at("T", () => stream.end("x"));
    return seen;
  },
  async transform() {
    return seenBy((callback) => {
      const stream = at(
        "C",
        () =>
          new Transform({
            transform(_chunk, _encoding, done) {
              callback();
              done();
            },
          }),
      );
      at("T", () => stream.write("x"));
    });
  },
  async webPull() {
    let seen = "";
    const source = {
      pull(controller: ReadableStreamDefaultController): void {
        seen = look();
        controller.close();
      },
    };
    const stream = at("C", () => new ReadableStream(source, { highWaterMark: 0 }));
    await turn();
    await at("T", () => stream.getReader().read());
    return seen;
  },

  async messagePort() {
    const { port1, port2 } = at("C", () => new MessageChannel());
    const seen = at("R", () => seenBy((callback) => port2.on("message", callback)));
    at("T", () => port1.postMessage("x"));
    const place = await seen;
    port1.close();
    port2.close();
    return place;
  },
  async worker() {
    const worker = at("C", () => new Worker(programPath("worker.js")));
    const [place] = (await once(worker, "message")) as [string];
    await worker.terminate();
    return place;
  },
  async workerMessage() {
    const worker = at("C", () => new Worker(programPath("worker.js")));
    const seen = await at("R", () => seenBy((callback) => worker.on("message", callback)));
    await worker.terminate();
    return seen;
  },

  async bind() {
    const bound = at("R", () => AsyncResource.bind(() => look()));
    return at("T", bound);
  },
  async snapshot() {
    const restore = at("R", () => AsyncLocalStorage.snapshot());
    return at("T", () => restore(() => look()));
  },
  async isolated() {
    const wrapped = at("R", () => isolated(() => look()));
    return at("T", wrapped);
  },
};

/** What a listener sees that a request's handler registers, in R, for the request's body. */
async function onRequest(event: string): Promise<string> {
  const server = await at("L", () =>
    listen(
      http.createServer((incoming, response) => {
        at("R", () => incoming.once(event, () => response.end(look())));
        incoming.resume();
        response.flushHeaders();
      }),
    ),
  );
  const seen = await at("S", () => post(server.port));
  await server[Symbol.asyncDispose]();
  return seen;
}

/** Sends a request whose body follows the head of the response, and returns the body of the response. */
async function post(port: number): Promise<string> {
  const outgoing = http.request({ port, host: "127.0.0.1", agent: false, method: "POST" });
  outgoing.flushHeaders();
  const [response] = (await once(outgoing, "response")) as [http.IncomingMessage];
  outgoing.end("body");
  let body = "";
  for await (const chunk of response) {
    body += chunk;
  }
  return body;
}

/** What a server socket's listener, registered in R, sees. */
function onServerSocket(event: string): Promise<string> {
  let seen: Promise<string> | undefined;
  return withPair(
    (socket) => {
      seen = at("R", () => seenBy((callback) => socket.once(event, callback)));
      socket.resume();
      socket.write("hello");
    },
    async (client) => {
      await once(client, "data");
      client.end("x");
      return (await seen) ?? "no connection";
    },
  );
}

/** The same over TLS. */
async function withTls(
  onConnection: (socket: tls.TLSSocket) => void,
  body: (client: tls.TLSSocket) => Promise<string>,
): Promise<string> {
  const server = await at("L", () => listen(tls.createServer(certificates().server, onConnection)));
  const client = at("S", () => tls.connect({ port: server.port, host: "127.0.0.1", rejectUnauthorized: false }));
  client.on("error", () => {});
  const place = await body(client);
  client.destroy();
  await server[Symbol.asyncDispose]();
  return place;
}

/** Sends a stream with a body to its own server, and returns the answer. */
async function withHttp2(onStream: (stream: http2.ServerHttp2Stream) => void): Promise<string> {
  const server = await at("L", () => listen(http2.createServer().on("stream", onStream)));
  const session = at("S", () => http2.connect(`http://127.0.0.1:${server.port}`));
  const stream = session.request({ ":method": "POST", ":path": "/" });
  stream.end("body");
  let place = "";
  for await (const chunk of stream) {
    place += chunk;
  }
  session.close();
  await once(session, "close");
  await server[Symbol.asyncDispose]();
  return place;
}

/** Makes a request to its own server, in S. */
async function withHttp(body: (options: http.RequestOptions & { port: number }) => Promise<string>): Promise<string> {
  const server = await at("L", () => listen(http.createServer((_request, response) => response.end("body"))));
  const seen = await at("S", () => body({ port: server.port, host: "127.0.0.1", agent: false }));
  await server[Symbol.asyncDispose]();
  return seen;
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** The one place that all name. */
function unanimous(seen: readonly string[]): string {
  return new Set(seen).size === 1 ? (seen[0] ?? "") : seen.join(" ");
}

/** N where each step saw the caller of its own next(). */
function steps(seen: readonly unknown[]): string {
  return seen.join() === "N1,N2" ? "N" : seen.join();
}
