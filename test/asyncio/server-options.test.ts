/** Options of servers: where they listen, how many they serve, how they end. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { MockClock, memoryServer } from "contextvars/testing";
import { turn } from "../support/latch.ts";
import {
  eventually,
  freePort,
  outcomeOf,
  type Peer,
  portOf,
  rawPeer,
  serve,
  stillWaits,
  turns,
} from "../support/peers.ts";
import { Recorder } from "../support/protocols.ts";
import { limitOf } from "../support/runtime-limits.ts";

const HOST = "127.0.0.1";

function addresses(server: asyncio.Server): string[] {
  return server.sockets.map((socket) => String(socket.getsockname()));
}

async function closeDown(server: asyncio.Server): Promise<void> {
  server.close();
  server.abortClients();
  await server.waitClosed();
}

function hello(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter): void {
  writer.write("hello");
  writer.close();
}

async function answerAt(host: string, port: number): Promise<string> {
  const [reader, writer] = await asyncio.openConnection(host, port);
  const answer = String(await reader.read());
  writer.close();
  await writer.waitClosed();
  return answer;
}

describe("startServer() and hosts", () => {
  for (const host of [null, "", undefined]) {
    it(`startServer() with host ${JSON.stringify(host)} and port 0 serves both families at one port`, async () => {
      const server = await asyncio.startServer(hello, host, 0);
      const port = portOf(server);
      assert.ok(server.sockets.every((socket) => socket.getsockname().port === port));
      assert.equal(await answerAt("127.0.0.1", port), "hello");
      assert.equal(await answerAt("::1", port), "hello");
      await closeDown(server);
    });
  }

  it("startServer() without a host tries another port when the one for the first family is taken in the other", async () => {
    const listen = net.Server.prototype.listen;
    const ports: number[] = [];
    const takers: net.Server[] = [];
    // Takes the port in the other family, the first two times.
    net.Server.prototype.listen = function (this: net.Server, ...args: unknown[]): net.Server {
      const [where] = args as [{ host?: string; port: number }];
      if (where.host === "0.0.0.0" && takers.length < 2) {
        ports.push(where.port);
        const taker = net.createServer();
        taker.on("error", () => {}); // taken by another program, which does as well
        takers.push(taker);
        Reflect.apply(listen, taker, [{ host: "0.0.0.0", port: where.port }]);
      }
      return Reflect.apply(listen, this, args) as net.Server;
    } as typeof listen;
    try {
      const server = await asyncio.startServer(hello, null, 0);
      assert.equal(ports.includes(portOf(server)), false);
      assert.equal(await answerAt(HOST, portOf(server)), "hello");
      await closeDown(server);
    } finally {
      net.Server.prototype.listen = listen;
      for (const taker of takers) {
        taker.close();
      }
    }
  });

  it("startServer() with several hosts has a listener for each, in order, with equal ones once", async () => {
    const port = await freePort();
    const hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.1", "::1", "127.0.0.2"];
    const server = await asyncio.startServer(hello, hosts, port);
    assert.deepEqual(addresses(server), [`127.0.0.1:${port}`, `127.0.0.2:${port}`, `[::1]:${port}`]);
    for (const host of new Set(hosts)) {
      assert.equal(await answerAt(host, port), "hello");
    }
    await closeDown(server);
    for (const host of new Set(hosts)) {
      const error = await outcomeOf(asyncio.openConnection(host, port));
      assert.ok(error instanceof asyncio.ConnectionRefusedError);
    }
  });

  it("startServer() with several hosts and port 0 has a port for each", async () => {
    const server = await asyncio.startServer(hello, ["127.0.0.1", "127.0.0.2"], 0);
    for (const socket of server.sockets) {
      const { address, port } = socket.getsockname();
      assert.equal(await answerAt(address, port), "hello");
    }
    await closeDown(server);
  });

  it("startServer() with no hosts at all is an OSError", async () => {
    const error = await outcomeOf(asyncio.startServer(hello, [], 0));
    assert.ok(error instanceof asyncio.OSError);
    assert.equal(error.message, "could not bind on any address out of []");
  });

  it("startServer({ family }) is a gaierror for a literal of the other family", async () => {
    const error = await outcomeOf(asyncio.startServer(hello, "127.0.0.1", 0, { family: 6 }));
    assert.ok(error instanceof asyncio.gaierror);
  });

  it("startServer() closes what it has opened when a later host fails", async () => {
    await using taken = await serve(hello);
    const error = await outcomeOf(asyncio.startServer(hello, ["127.0.0.2", "127.0.0.1"], taken.port));
    assert.ok(error instanceof asyncio.OSError);
    assert.equal(
      error.message,
      `[Errno 98] error while attempting to bind on address ('127.0.0.1', ${taken.port}): [errno 98] address already in use`,
    );
    assert.equal(error.code, "EADDRINUSE");
    const server = await asyncio.startServer(hello, "127.0.0.2", taken.port);
    await closeDown(server);
  });

  it("startServer() takes the name of a service, and refuses one that it does not know", async () => {
    const server = await asyncio.startServer(hello, "127.0.0.12", "http-alt");
    assert.deepEqual(addresses(server), ["127.0.0.12:8080"]);
    await closeDown(server);
    await assert.rejects(asyncio.startServer(hello, HOST, "nonsense"), asyncio.ValueError);
  });

  it("startServer() refuses wrong options with the words of Python, where it has them", async () => {
    const sock = net.createServer();
    for (const [options, error, message] of [
      [{ ssl: true as never }, TypeError, "ssl must be options of node:tls with key and cert or a tls.SecureContext"],
      [{ sslHandshakeTimeout: 1 }, asyncio.ValueError, "sslHandshakeTimeout is only meaningful with ssl"],
      [{ sslShutdownTimeout: 1 }, asyncio.ValueError, "sslShutdownTimeout is only meaningful with ssl"],
      [{ sock }, asyncio.ValueError, "host/port and sock can not be specified at the same time"],
      [{ reuseAddress: false }, asyncio.ValueError, "startServer(): reuseAddress must be true, got false"],
      [{ idleTimeout: -1 }, asyncio.ValueError, "idleTimeout must be a positive number of seconds, got -1"],
      [{ readTimeout: 0 }, asyncio.ValueError, "readTimeout must be a positive number of seconds, got 0"],
      [{ limit: -5 }, asyncio.ValueError, "Limit cannot be <= 0"],
      [{ cleanupSocket: true } as never, TypeError, "startServer() got an unexpected option 'cleanupSocket'"],
    ] as const) {
      const outcome = await outcomeOf(asyncio.startServer(hello, HOST, 0, options));
      assert.ok(outcome instanceof error, String(outcome));
      assert.ok((outcome as Error).message.startsWith(message), (outcome as Error).message);
    }
    const nothing = await outcomeOf(asyncio.startServer(hello));
    assert.ok(nothing instanceof asyncio.ValueError);
    assert.equal(nothing.message, "Neither host/port nor sock were specified; pass host and port, or { sock }");
    assert.equal(sock.listening, false);
  });
});

describe("startServer() and its sockets", () => {
  it("startServer({ reuseAddress, keepAlive, backlog }) serves", async () => {
    const options = { reuseAddress: true, keepAlive: true, backlog: 1 };
    await using serving = await serve(hello, options);
    assert.equal(await answerAt(HOST, serving.port), "hello");
  });

  it("startServer({ reusePort }) lets a second server listen at the port, where the runtime can", {
    skip: limitOf("reusePort"),
  }, async () => {
    const first = await asyncio.startServer(hello, HOST, 0, { reusePort: true });
    const second = await asyncio.startServer(hello, HOST, portOf(first), { reusePort: true });
    assert.deepEqual(addresses(first), addresses(second));
    for (let i = 0; i < 10; i++) {
      assert.equal(await answerAt(HOST, portOf(first)), "hello");
    }
    await closeDown(first);
    assert.equal(await answerAt(HOST, portOf(second)), "hello");
    await closeDown(second);
  });

  it("startServer({ reusePort }) is a ValueError where the runtime would not do it", async () => {
    if (limitOf("reusePort") === false) {
      return;
    }
    const error = await outcomeOf(asyncio.startServer(hello, HOST, 0, { reusePort: true }));
    assert.ok(error instanceof asyncio.ValueError, String(error));
    assert.match(error.message, /^reusePort is not supported by this runtime/);
    await using _serving = await serve(hello, { reusePort: false });
  });

  it("startServer({ sock }) takes a server that listens, or one that does not yet", async () => {
    for (const listens of [true, false]) {
      const sock = net.createServer();
      if (listens) {
        sock.listen(0, HOST);
        await once(sock, "listening");
      }
      const server = await asyncio.startServer(hello, { sock });
      assert.equal(await answerAt(HOST, portOf(server)), "hello");
      await closeDown(server);
      assert.equal(sock.listening, false);
    }
  });

  it("startServer({ sock }) refuses what is no listening socket", async () => {
    for (const sock of [{}, 5, null, { fd: "x" }]) {
      const error = await outcomeOf(asyncio.startServer(hello, { sock: sock as never }));
      assert.ok(error instanceof asyncio.ValueError, String(error));
      assert.match(error.message, /^A Stream Socket was expected, got/);
    }
  });
});

describe("startServer() and how many it serves", () => {
  it("startServer({ maxConnections }) closes further connections immediately, and serves again when one has ended", async () => {
    const served: asyncio.StreamWriter[] = [];
    await using serving = await serve(
      (_reader, writer) => {
        served.push(writer);
        writer.write("in");
      },
      { maxConnections: 2 },
    );
    const first = await rawPeer(serving.port);
    const second = await rawPeer(serving.port);
    await Promise.all([first.received(2), second.received(2)]);
    const third = await rawPeer(serving.port);
    await third.untilEnded();
    assert.equal(third.text, "");
    assert.equal(served.length, 2);
    served[0]?.close();
    await served[0]?.waitClosed();
    const fourth = await rawPeer(serving.port);
    assert.equal(await fourth.received(2), "in");
    for (const peer of [first, second, third, fourth]) {
      peer.socket.destroy();
    }
  });

  it("startServer({ maxConnections, startServing: false }) counts connections that came early", async () => {
    let served = 0;
    await using serving = await serve(
      (_reader, writer) => {
        served += 1;
        writer.write("in");
      },
      { maxConnections: 2, startServing: false },
    );
    const peers: Peer[] = [];
    for (let i = 0; i < 4; i++) {
      peers.push(await rawPeer(serving.port));
    }
    assert.ok(await eventually(() => peers.filter(({ ended, closed }) => ended || closed).length === 2));
    await serving.server.startServing();
    assert.ok(await eventually(() => peers.filter(({ text }) => text === "in").length === 2));
    await turns(3);
    assert.equal(served, 2);
    for (const peer of peers) {
      peer.socket.destroy();
    }
  });

  it("startServer({ startServing: false, backlog }) keeps this many early connections, and the bytes that they sent", async () => {
    const lines: string[] = [];
    await using serving = await serve(
      async (reader, writer) => {
        lines.push(String(await reader.readline()));
        writer.close();
      },
      { backlog: 2, startServing: false },
    );
    const peers: Peer[] = [];
    for (let i = 0; i < 3; i++) {
      const peer = await rawPeer(serving.port);
      peer.write(`line ${i}\n`);
      peers.push(peer);
      await turns(5);
    }
    assert.ok(await eventually(() => peers.some(({ ended, closed }) => ended || closed)));
    await serving.server.startServing();
    assert.ok(await eventually(() => lines.length === 2));
    assert.deepEqual(lines.sort(), ["line 0\n", "line 1\n"]);
    for (const peer of peers) {
      peer.socket.destroy();
    }
  });
});

describe("startServer() and time limits", () => {
  it("memoryServer({ readTimeout }) ends reads that wait, of each connection", async () => {
    const errors: unknown[] = [];
    const clock = new MockClock();
    await clock.with(() =>
      asyncio.run(async () => {
        const server = memoryServer(
          async (reader, writer) => {
            errors.push(await outcomeOf(reader.readline()));
            errors.push(writer.isClosing());
            writer.close();
          },
          { readTimeout: 60 },
        );
        const [reader, writer] = await server.connect();
        writer.write("no end of a line");
        assert.equal(String(await reader.read()), "");
        writer.close();
        await server.shutdown();
      }),
    );
    assert.equal((errors[0] as Error).name, "TimeoutError");
    assert.equal(errors[1], false);
    assert.equal(clock.time(), 60);
  });

  it("memoryServer({ idleTimeout }) ends a connection on which nothing moves, and no other", async () => {
    const ended: string[] = [];
    const clock = new MockClock();
    await clock.with(() =>
      asyncio.run(async () => {
        const server = memoryServer(
          async (reader, writer) => {
            const name = String(await reader.readline());
            const error = await outcomeOf(reader.read());
            ended.push(`${name.trim()}: ${error instanceof Error ? error.name : error}`);
            writer.close();
          },
          { idleTimeout: 60 },
        );
        const [, busy] = await server.connect();
        const [, idle] = await server.connect();
        busy.write("busy\n");
        idle.write("idle\n");
        while (ended.length === 0) {
          busy.write(".");
          await asyncio.sleep(5);
        }
        assert.deepEqual(ended, ["idle: TimeoutError"]);
        assert.ok(clock.time() >= 60 && clock.time() <= 65, String(clock.time()));
        busy.close();
        // A writer that the test no longer referred to would be closed when it is collected.
        idle.close();
        await server.shutdown();
      }),
    );
    assert.match(ended[1] ?? "", /^busy: \.{12,}$/);
  });
});

describe("Server and its end", () => {
  /** A server with one connection whose reader is paused and whose write buffer is full. */
  async function stuck(): Promise<AsyncDisposable & { server: asyncio.Server; protocol: Recorder; peer: Peer }> {
    const protocol = new Recorder();
    const server = await asyncio.getRunningLoop().createServer(() => protocol, HOST, 0);
    const peer = await rawPeer(portOf(server));
    peer.socket.pause();
    assert.ok(await eventually(() => protocol.transport !== undefined));
    protocol.transport.pauseReading();
    protocol.transport.write(Buffer.alloc(64 * 1024 * 1024));
    await turns(3);
    return {
      server,
      protocol,
      peer,
      async [Symbol.asyncDispose]() {
        peer.socket.destroy();
        await closeDown(server);
      },
    };
  }

  it("Server.closeClients() waits for a peer that does not read; abortClients() does not", async () => {
    await using it = await stuck();
    it.peer.write("unread");
    await turns(3);
    it.server.close();
    it.server.closeClients();
    const closed = it.server.waitClosed();
    assert.ok(await stillWaits(closed));
    assert.equal(it.protocol.isLost, false);
    it.server.abortClients();
    await closed;
    assert.deepEqual(it.protocol.losses, [null]);
  });

  it("Server.closeClients() sends everything when the peer reads again", async () => {
    await using it = await stuck();
    it.server.close();
    it.server.closeClients();
    it.peer.socket.resume();
    await it.server.waitClosed();
    await it.peer.untilEnded();
    assert.equal(it.peer.length, 64 * 1024 * 1024);
  });

  it("Server.closeClients() and abortClients() leave a server serving that is not closed", async () => {
    await using serving = await serve((_reader, writer) => writer.write("in"));
    for (const end of ["closeClients", "abortClients"] as const) {
      const peer = await rawPeer(serving.port);
      await peer.received(2);
      serving.server[end]();
      await peer.untilEnded();
      peer.socket.destroy();
      assert.ok(serving.server.isServing());
    }
  });

  it("Server.waitClosed() waits for close(), even without connections; then every call returns", async () => {
    const { server } = await serve(() => {});
    const waits = [server.waitClosed(), server.waitClosed()];
    assert.ok(await stillWaits(waits[0] as Promise<void>));
    server.close();
    await Promise.all(waits);
    await server.waitClosed();
  });

  it("Server.serveForever() serves, is busy, and goes again after startServing() only while it is open", async () => {
    const { server, port } = await serve(hello, { startServing: false });
    const task = asyncio.createTask(() => server.serveForever());
    await turn();
    assert.ok(server.isServing());
    assert.equal(await answerAt(HOST, port), "hello");
    const busy = await outcomeOf(server.serveForever());
    assert.ok(busy instanceof asyncio.RuntimeError);
    assert.match(busy.message, /^server <Server .*> is already being awaited on serve_?[fF]orever\(\)$/);
    task.cancel();
    await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
    const closed = await outcomeOf(server.serveForever());
    assert.ok(closed instanceof asyncio.RuntimeError);
    assert.match(closed.message, /^server <Server sockets=\(\)> is closed$/);
    await server.waitClosed();
  });
});
