/** Bare servers and other sources of events: what one event's callback sets, no other one sees. */
import assert from "node:assert/strict";
import { AsyncResource } from "node:async_hooks";
import { EventEmitter, EventEmitterAsyncResource, once } from "node:events";
import * as http from "node:http";
import * as net from "node:net";
import { describe, it } from "node:test";
import { MessageChannel } from "node:worker_threads";
import { ContextVar, isolated } from "contextvars";
import { latch, turn } from "../support/latch.ts";
import { inEmptyContext } from "../support/places.ts";
import { runtime } from "../support/runtime.ts";
import { connectSocket, type Listening, listen, readUntil, request, requestText } from "../support/sockets.ts";

type Handler = (incoming: http.IncomingMessage, response: http.ServerResponse) => Promise<void>;

/** A handler that notes what it sees before and after it sets the path, with all others in between. */
function noting(variable: ContextVar<string>, together: () => Promise<void>): Handler {
  return async ({ url = "" }, response) => {
    const before = variable.get();
    variable.set(url);
    const then = variable.get();
    await together();
    await turn();
    response.end(JSON.stringify({ url, before, then, after: variable.get() }));
  };
}

const alone = async (): Promise<void> => {};

/** What a request sees when no other one can be seen. */
function clean(url: string, before = "default"): unknown {
  return { url, before, then: url, after: url };
}

/** Sends two concurrent requests and then one more, and returns what the handlers recorded. */
async function threeRequests({ port }: Listening): Promise<unknown[]> {
  const bodies = await Promise.all([request(port, "/a"), request(port, "/b")]);
  bodies.push(await request(port, "/c"));
  return bodies.map((body) => JSON.parse(body) as unknown);
}

/** Passes the first two together, later ones at once. */
function firstTwoTogether(): () => Promise<void> {
  const both = latch(2);
  return () => both();
}

describe("ContextVar in a bare node:http server", () => {
  it("ContextVar in a bare node:http server keeps two concurrent requests and a later one apart", async () => {
    const variable = new ContextVar("path", { default: "default" });
    await using server = await listen(http.createServer(noting(variable, firstTwoTogether())));
    assert.deepEqual(await threeRequests(server), [clean("/a"), clean("/b"), clean("/c")]);
  });

  it("ContextVar in a bare node:http server shows the value that was set before listen(), except on Deno", async () => {
    const variable = new ContextVar("path", { default: "default" });
    variable.set("at listen");
    await using server = await listen(http.createServer(noting(variable, firstTwoTogether())));
    variable.set("after listen");
    const before = runtime === "deno" ? "default" : "at listen";
    assert.deepEqual(await threeRequests(server), [clean("/a", before), clean("/b", before), clean("/c", before)]);
  });

  it("ContextVar in a bare node:http server keeps requests on one connection apart", async () => {
    const variable = new ContextVar("path", { default: "default" });
    await using server = await listen(http.createServer(noting(variable, alone)));
    const socket = await connectSocket(server.port);
    const paths = ["/1", "/2", "/3"];
    for (const path of paths) {
      socket.write(requestText(path));
      assert.ok((await readUntil(socket, "}", 1)).includes(JSON.stringify(clean(path))), path);
    }
    socket.destroy();
  });

  it("ContextVar in a bare node:http server keeps requests apart that arrive in one piece", async () => {
    const variable = new ContextVar("path", { default: "default" });
    await using server = await listen(http.createServer(noting(variable, alone)));
    const socket = await connectSocket(server.port);
    const paths = ["/1", "/2", "/3"];
    socket.write(paths.map(requestText).join(""));
    const text = await readUntil(socket, "}", paths.length);
    for (const path of paths) {
      assert.ok(text.includes(JSON.stringify(clean(path))), path);
    }
    socket.destroy();
  });

  it("ContextVar in a bare node:http server keeps what a synchronous handler sets from the next request", async () => {
    const variable = new ContextVar("path", { default: "default" });
    await using server = await listen(
      http.createServer(({ url = "" }, response) => {
        const before = variable.get();
        variable.set(url);
        response.end(before);
      }),
    );
    for (const path of ["/1", "/2", "/3"]) {
      assert.equal(await request(server.port, path), "default");
    }
  });

  it("ContextVar in a 'data' listener of a node:http request is kept from the handlers of later requests", async () => {
    const variable = new ContextVar("path", { default: "default" });
    const seen: string[] = [];
    const onRequest = (incoming: http.IncomingMessage, response: http.ServerResponse): void => {
      seen.push(variable.get());
      incoming.on("data", () => {
        seen.push(variable.get());
        variable.set(`data of ${incoming.url}`);
      });
      incoming.on("end", () => response.end());
    };
    await using server = await listen(http.createServer(onRequest));
    for (const path of ["/a", "/b", "/c"]) {
      const outgoing = http.request({ port: server.port, path, host: "127.0.0.1", method: "POST", agent: false });
      const answered = once(outgoing, "response") as Promise<[http.IncomingMessage]>;
      outgoing.write("one");
      await turn();
      outgoing.end("two");
      const [response] = await answered;
      await once(response.resume(), "end");
    }
    assert.ok(seen.length >= 6);
    assert.deepEqual(new Set(seen), new Set(["default"]));
  });

  it("ContextVar in a node:http server made inside a Context is shared by its requests, except on Deno", async () => {
    const variable = new ContextVar("path", { default: "default" });
    const { server, responses } = await inEmptyContext(async () => {
      const server = await listen(http.createServer(noting(variable, firstTwoTogether())));
      return { server, responses: await threeRequests(server) };
    });
    await server[Symbol.asyncDispose]();
    const shared = [
      { url: "/a", before: "default", then: "/a", after: "/b" },
      { url: "/b", before: "/a", then: "/b", after: "/b" },
      { url: "/c", before: "/b", then: "/c", after: "/c" },
    ];
    assert.deepEqual(responses, runtime === "deno" ? [clean("/a"), clean("/b"), clean("/c")] : shared);
  });

  it("ContextVar in a node:http server made inside a Context is kept apart by isolated()", async () => {
    const variable = new ContextVar("path", { default: "default" });
    const { server, responses } = await inEmptyContext(async () => {
      variable.set("context");
      const server = await listen(http.createServer(isolated(noting(variable, firstTwoTogether()))));
      return { server, responses: await threeRequests(server) };
    });
    await server[Symbol.asyncDispose]();
    assert.deepEqual(responses, [clean("/a", "context"), clean("/b", "context"), clean("/c", "context")]);
  });
});

describe("ContextVar in a bare node:net server", () => {
  it("ContextVar in a bare node:net server keeps 'connection' events, and what they start, apart", async () => {
    const variable = new ContextVar("connection", { default: "default" });
    const seen: Promise<string[]>[] = [];
    const look = (start: (callback: () => void) => unknown): Promise<string> =>
      new Promise((resolve) => {
        start(() => resolve(variable.get()));
      });
    const server = net.createServer((socket: net.Socket) => {
      const before = look((callback) => callback());
      const timerBefore = look((callback) => setTimeout(callback, 1));
      variable.set(`connection ${seen.length}`);
      const after = [
        look((callback) => setTimeout(callback, 1)),
        look(setImmediate),
        look(queueMicrotask),
        look(process.nextTick),
        Promise.resolve().then(() => variable.get()),
      ];
      seen.push(Promise.all([before, timerBefore, ...after]));
      socket.end("done");
    });
    await using listening = await listen(server);
    for (let i = 0; i < 3; i++) {
      const socket = await connectSocket(listening.port);
      await readUntil(socket, "done", 1);
    }
    assert.deepEqual(
      await Promise.all(seen),
      ["connection 0", "connection 1", "connection 2"].map((name) => ["default", "default", ...Array(5).fill(name)]),
    );
  });

  it("ContextVar in a bare node:net server keeps 'data' events of all connections apart", async () => {
    const variable = new ContextVar("data", { default: "default" });
    const seen: string[] = [];
    const server = net.createServer((socket: net.Socket) => {
      variable.set("connection");
      socket.on("data", (chunk: Buffer) => {
        seen.push(variable.get());
        variable.set(`data ${chunk}`);
        socket.write("ok");
      });
    });
    await using listening = await listen(server);
    const sockets = await Promise.all([connectSocket(listening.port), connectSocket(listening.port)]);
    for (const message of ["1", "2"]) {
      for (const socket of sockets) {
        socket.write(message);
        await readUntil(socket, "ok", 1);
      }
    }
    assert.deepEqual(seen, Array(4).fill("default"));
  });

  it("ContextVar in a bare node:net server keeps async handlers of concurrent connections apart", async () => {
    const variable = new ContextVar("connection", { default: "default" });
    const together = latch(10);
    let count = 0;
    const server = net.createServer(async (socket: net.Socket) => {
      const name = `connection ${count++}`;
      variable.set(name);
      let right = true;
      await together();
      try {
        for await (const chunk of socket) {
          right &&= variable.get() === name;
          variable.set(name);
          socket.write(`${chunk}:${right}`);
        }
      } catch {
        // The client is gone.
      }
    });
    await using listening = await listen(server);
    const sockets = await Promise.all(Array.from({ length: 10 }, () => connectSocket(listening.port)));
    for (let round = 0; round < 3; round++) {
      const answers = sockets.map((socket) => readUntil(socket, "true", 1));
      for (const socket of sockets) {
        socket.write("m");
      }
      assert.deepEqual(await Promise.all(answers), Array(10).fill("m:true"));
    }
    for (const socket of sockets) {
      socket.destroy();
    }
  });
});

describe("ContextVar in callbacks that come again", () => {
  it("ContextVar in a setInterval() callback starts each tick from the value at setInterval()", async () => {
    const variable = new ContextVar("tick", { default: "default" });
    variable.set("started");
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      const interval = setInterval(() => {
        seen.push(variable.get());
        variable.set(`tick ${seen.length}`);
        if (seen.length === 4) {
          clearInterval(interval);
          resolve();
        }
      }, 1);
    });
    assert.deepEqual(seen, Array(4).fill("started"));
    assert.equal(variable.get(), "started");
  });

  it("ContextVar in an async setInterval() callback keeps its value over awaits, and from the other ticks", async () => {
    const variable = new ContextVar("tick", { default: "default" });
    const seen: string[] = [];
    let started = 0;
    await new Promise<void>((resolve) => {
      const interval = setInterval(async () => {
        const name = `tick ${started++}`;
        const before = variable.get();
        variable.set(name);
        await turn();
        seen.push(`${before}, ${variable.get() === name}`);
        if (seen.length === 3) {
          clearInterval(interval);
          resolve();
        }
      }, 1);
    });
    assert.deepEqual(seen.slice(0, 3), Array(3).fill("default, true"));
  });

  it("ContextVar in a 'message' listener of a port is kept from the next message", async () => {
    const variable = new ContextVar("message", { default: "default" });
    const { port1, port2 } = new MessageChannel();
    const seen: string[] = [];
    const all = new Promise<void>((resolve) => {
      port2.on("message", (message: string) => {
        seen.push(variable.get());
        variable.set(message);
        if (seen.length === 3) {
          resolve();
        }
      });
    });
    for (const message of ["a", "b", "c"]) {
      port1.postMessage(message);
    }
    await all;
    port1.close();
    port2.close();
    assert.deepEqual(seen, Array(3).fill("default"));
  });

  it("ContextVar in a function of AsyncResource.bind() is kept from its next call and from its caller", () => {
    const variable = new ContextVar("call", { default: "default" });
    const seen: string[] = [];
    const bound = AsyncResource.bind(() => {
      seen.push(variable.get());
      variable.set("bound");
      seen.push(variable.get());
    });
    bound();
    bound();
    assert.deepEqual(seen, ["default", "bound", "default", "bound"]);
    assert.equal(variable.get(), "default");
  });

  it("ContextVar in an emitter with a resource of its own is kept from an event inside the event", () => {
    const variable = new ContextVar("event", { default: "default" });
    const emitter = new EventEmitterAsyncResource({ name: "events" });
    const seen: string[] = [];
    emitter.on("outer", () => {
      variable.set("outer");
      emitter.emit("inner");
      seen.push(`outer: ${variable.get()}`);
    });
    emitter.on("inner", () => {
      seen.push(`inner: ${variable.get()}`);
      variable.set("inner");
    });
    emitter.emit("outer");
    emitter.emit("inner");
    assert.deepEqual(seen, ["inner: default", "outer: outer", "inner: default"]);
    assert.equal(variable.get(), "default");
    emitter.emitDestroy();
  });

  it("ContextVar in listeners of one plain event is shared, since one call runs them all", () => {
    const variable = new ContextVar("event", { default: "default" });
    const emitter = new EventEmitter();
    const seen: string[] = [];
    for (const name of ["first", "second"]) {
      emitter.on("event", () => {
        seen.push(variable.get());
        variable.set(name);
      });
    }
    emitter.emit("event");
    assert.deepEqual(seen, ["default", "first"]);
  });

  it("ContextVar in a callback that throws is kept from the next one", async () => {
    const variable = new ContextVar("tick", { default: "default" });
    const emitter = new EventEmitter();
    const seen: string[] = [];
    const resource = new AsyncResource("failing");
    for (let i = 0; i < 2; i++) {
      assert.throws(
        () =>
          resource.runInAsyncScope(() => {
            seen.push(variable.get());
            variable.set("failing");
            throw new Error("out");
          }),
        /out/,
      );
    }
    setImmediate(() => emitter.emit("done"));
    await once(emitter, "done");
    assert.deepEqual(seen, ["default", "default"]);
    assert.equal(variable.get(), "default");
  });
});

if (runtime === "deno") {
  interface OwnServer {
    readonly addr: { readonly port: number };
    shutdown(): Promise<void>;
  }
  interface OwnSocket {
    readonly socket: { onmessage: () => void; send: (text: string) => void };
    readonly response: Response;
  }
  const { serve, upgradeWebSocket } = (globalThis as unknown as Record<"Deno", never>).Deno as {
    serve: (options: object, handler: (request: Request) => Response) => OwnServer;
    upgradeWebSocket: (request: Request) => OwnSocket;
  };
  const options = { port: 0, hostname: "127.0.0.1", onListen() {} };

  describe("ContextVar in Deno's own servers", () => {
    it("ContextVar in a handler of Deno.serve() reaches the next request, unless the handler is isolated()", async () => {
      const variable = new ContextVar("request", { default: "default" });
      const play = async (wrap: typeof isolated): Promise<string[]> => {
        const seen: string[] = [];
        const handler = (): Response => {
          seen.push(variable.get());
          variable.set(`request ${seen.length}`);
          return new Response("ok");
        };
        const server = serve(options, wrap(handler));
        for (let i = 0; i < 3; i++) {
          await (await fetch(`http://127.0.0.1:${server.addr.port}/`)).text();
        }
        await server.shutdown();
        return seen;
      };
      assert.deepEqual(await play((handler) => handler), ["default", "request 1", "request 2"]);
      assert.deepEqual(await play(isolated), ["default", "default", "default"]);
    });

    it("ContextVar in a 'message' listener of a WebSocket reaches the next message, unless the listener is isolated()", async () => {
      const variable = new ContextVar("message", { default: "default" });
      const play = async (wrap: typeof isolated): Promise<string[]> => {
        const seen: string[] = [];
        const server = serve(options, (request) => {
          const { socket, response } = upgradeWebSocket(request);
          socket.onmessage = wrap(() => {
            seen.push(variable.get());
            variable.set(`message ${seen.length}`);
            socket.send("ok");
          });
          return response;
        });
        const client = new WebSocket(`ws://127.0.0.1:${server.addr.port}/`);
        const next = (event: string): Promise<unknown> =>
          new Promise((resolve) => client.addEventListener(event, resolve, { once: true }));
        await next("open");
        for (let i = 0; i < 3; i++) {
          client.send("x");
          await next("message");
        }
        client.close();
        await next("close");
        await server.shutdown();
        return seen;
      };
      assert.deepEqual(await play((listener) => listener), ["default", "message 1", "message 2"]);
      assert.deepEqual(await play(isolated), ["default", "default", "default"]);
    });
  });
}
