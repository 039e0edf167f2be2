/** startServer() and Server over TCP, with raw sockets as clients. The names in parentheses are CPython's. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { inspect } from "node:util";
import * as asyncio from "contextvars/asyncio";
import { survivors } from "../support/garbage.ts";
import { turn } from "../support/latch.ts";
import {
  eventually,
  freePort,
  outcomeOf,
  Peer,
  portOf,
  Reports,
  rawConnection,
  rawPeer,
  serve,
  stillWaits,
  turns,
} from "../support/peers.ts";
import { type Runtime, runtime } from "../support/runtime.ts";

const HOST = "127.0.0.1";
const start = asyncio.startServer as (...args: unknown[]) => Promise<asyncio.Server>;

/** Echoes one line. */
async function echoLine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  writer.write(await reader.readline());
  await writer.drain();
  writer.close();
  await writer.waitClosed();
}

/** Sends the text on its own connection, and returns everything that comes back. */
async function ask(port: number, text: string, host = HOST): Promise<string> {
  const peer = new Peer(await rawConnection(port, host), true);
  peer.write(text);
  await peer.untilEnded();
  peer.socket.destroy();
  return peer.text;
}

async function stop(server: asyncio.Server): Promise<void> {
  server.close();
  await server.waitClosed();
}

describe("startServer()", () => {
  it("startServer() with host and port runs an async handler for each connection (test_start_server)", async () => {
    using reports = new Reports();
    const server = await asyncio.startServer(echoLine, HOST, 0);
    assert.equal(server.isServing(), true);
    assert.equal(server.getLoop(), asyncio.getRunningLoop());
    assert.equal(await ask(portOf(server), "one\nrest"), "one\n");
    assert.equal(await ask(portOf(server), "two\n"), "two\n");
    await stop(server);
    assert.deepEqual(reports.all, []);
  });

  it("startServer() with a plain handler that makes the task itself (test_start_server)", async () => {
    using reports = new Reports();
    const tasks: asyncio.Task<void>[] = [];
    const server = await asyncio.startServer(
      (reader, writer) => {
        tasks.push(asyncio.createTask(() => echoLine(reader, writer)));
      },
      HOST,
      0,
    );
    assert.equal(await ask(portOf(server), "one\n"), "one\n");
    await stop(server);
    assert.equal(tasks.length, 1);
    await tasks[0];
    assert.deepEqual(reports.all, []);
  });

  it("startServer({ sock }) takes a server over that does not listen yet, or does already (test_start_server)", async () => {
    using reports = new Reports();
    for (const listens of [false, true]) {
      const sock = net.createServer();
      if (listens) {
        sock.listen(0, HOST);
        await once(sock, "listening");
      }
      const server = await asyncio.startServer(echoLine, { sock });
      assert.equal(sock.listening, true);
      assert.equal(portOf(server), portOf(sock));
      assert.equal(await ask(portOf(server), "one\n"), "one\n");
      await stop(server);
      assert.equal(sock.listening, false);
    }
    assert.deepEqual(reports.all, []);
  });

  it("startServer({ sock }) leaves the listeners alone that the server had", async () => {
    using reports = new Reports();
    const sock = net.createServer();
    const heard: string[] = [];
    sock.on("error", () => heard.push("error"));
    sock.on("connection", () => heard.push("connection"));
    const server = await asyncio.startServer(echoLine, { sock });
    assert.equal(await ask(portOf(server), "one\n"), "one\n");
    assert.equal(sock.listenerCount("error") > 0, true);
    sock.emit("error", new Error("mine"));
    await stop(server);
    await turns(2);
    assert.deepEqual(heard.slice(0, 2), ["connection", "error"]);
    assert.deepEqual(reports.messages, ["Error on a listening socket"]);
  });

  it("startServer() with port 0 lets the system choose, and with a name listens at its addresses", async () => {
    const server = await asyncio.startServer(echoLine, "localhost", 0, { family: 4 });
    const [socket, ...others] = server.sockets;
    assert.deepEqual(others, []);
    const name = socket?.getsockname() as asyncio.SocketAddress;
    assert.equal(name.address, "127.0.0.1");
    assert.ok(name.port > 0);
    assert.equal(String(name), `127.0.0.1:${name.port}`);
    assert.equal(await ask(name.port, "one\n"), "one\n");
    await stop(server);
  });

  it("startServer() with several hosts listens at each of them, at equal ones once", async () => {
    const server = await asyncio.startServer(echoLine, ["127.0.0.1", "127.0.0.2", "127.0.0.1"], 0);
    const names = server.sockets.map((socket) => socket.getsockname());
    assert.deepEqual(
      names.map(({ address }) => address),
      ["127.0.0.1", "127.0.0.2"],
    );
    for (const { address, port } of names) {
      assert.equal(await ask(port, `${address}\n`, address), `${address}\n`);
    }
    await stop(server);
  });

  it("startServer() without a host listens at every address of both families, at one port", async () => {
    for (const host of [null, "", undefined]) {
      const server = await asyncio.startServer(echoLine, host, 0);
      const names = server.sockets.map((socket) => socket.getsockname());
      // Deno cannot keep an IPv6 socket from listening for IPv4 too, so there one does for both.
      assert.deepEqual(
        names.map(({ address }) => address),
        runtime === "deno" ? ["::"] : ["::", "0.0.0.0"],
      );
      const [{ port } = { port: 0 }] = names;
      assert.ok(names.every((name) => name.port === port));
      assert.equal(await ask(port, "four\n", "127.0.0.1"), "four\n");
      assert.equal(await ask(port, "six\n", "::1"), "six\n");
      await stop(server);
    }
  });

  it("startServer() without a host knows its clients by the addresses they have", async () => {
    const server = await asyncio.startServer(
      (_reader, writer) => {
        writer.write(`${writer.getExtraInfo("peername")} ${writer.getExtraInfo("sockname")}`);
        writer.close();
      },
      null,
      0,
    );
    const port = portOf(server);
    assert.match(await ask(port, "", "127.0.0.1"), new RegExp(`^127\\.0\\.0\\.1:\\d+ 127\\.0\\.0\\.1:${port}$`));
    assert.match(await ask(port, "", "::1"), new RegExp(`^\\[::1\\]:\\d+ \\[::1\\]:${port}$`));
    await stop(server);
  });

  it("startServer() without a host listens at one family if told so", async () => {
    for (const [family, address] of [
      [4, "0.0.0.0"],
      [6, "::"],
    ] as const) {
      const server = await asyncio.startServer(echoLine, null, 0, { family });
      assert.deepEqual(
        server.sockets.map((socket) => socket.getsockname().address),
        [address],
      );
      await stop(server);
    }
  });

  it("startServer() gives its limit to the readers", async () => {
    const seen: string[] = [];
    await using serving = await serve(
      async (reader, writer) => {
        seen.push(String(reader).slice(0, 22));
        await echoLine(reader, writer);
      },
      { limit: 123 },
    );
    await ask(serving.port, "x\n");
    assert.deepEqual(seen, ["<StreamReader limit=12"]);
  });

  it("startServer() serves the others while one handler is slow", async () => {
    const gate = new asyncio.Future<void>();
    await using serving = await serve(async (reader, writer) => {
      const line = await reader.readline();
      if (String(line) === "slow\n") {
        await gate;
      }
      writer.write(line);
      writer.close();
    });
    const slow = ask(serving.port, "slow\n");
    assert.equal(await ask(serving.port, "fast\n"), "fast\n");
    assert.ok(await stillWaits(slow));
    gate.setResult();
    assert.equal(await slow, "slow\n");
  });
});

describe("startServer() that fails", () => {
  it("startServer() is an OSError that names the address when the port is in use", async () => {
    const server = await asyncio.startServer(echoLine, HOST, 0);
    const port = portOf(server);
    const error = await outcomeOf(asyncio.startServer(echoLine, HOST, port));
    assert.ok(error instanceof asyncio.OSError);
    assert.equal(error.name, "OSError");
    assert.equal(error.code, "EADDRINUSE");
    assert.equal(error.errno, -98);
    assert.equal(
      error.message,
      `[Errno 98] error while attempting to bind on address ('127.0.0.1', ${port}): [errno 98] address already in use`,
    );
    assert.equal((error.cause as NodeJS.ErrnoException).code, "EADDRINUSE");
    await stop(server);
  });

  it("startServer() closes what it has opened already when one of several addresses fails", async () => {
    const blocker = await asyncio.startServer(echoLine, "127.0.0.2", 0);
    const port = portOf(blocker);
    await assert.rejects(asyncio.startServer(echoLine, ["127.0.0.1", "127.0.0.2"], port), { code: "EADDRINUSE" });
    const server = await asyncio.startServer(echoLine, "127.0.0.1", port);
    await stop(server);
    await stop(blocker);
  });

  it("startServer() that is cancelled leaves no listening socket, unless the task has got its server", async () => {
    const port = await freePort();
    for (let wait = 0; wait < 4; wait++) {
      let server: asyncio.Server | null = null;
      const task = asyncio.createTask(async () => {
        server = await asyncio.startServer(echoLine, HOST, port);
      });
      // Without a wait, it is cancelled by a task that starts right after it.
      const other = asyncio.createTask(async () => {
        await turns(wait);
        task.cancel();
      });
      const outcome = await outcomeOf(task);
      await other;
      assert.ok(outcome === undefined || outcome instanceof asyncio.CancelledError, `${outcome}`);
      await turns(5);
      if (server !== null) {
        await stop(server);
      }
      await stop(await asyncio.startServer(echoLine, HOST, port));
    }
  });

  it("startServer() skips an address that the machine does not have, and fails when there is no other", async () => {
    const foreign = "203.0.113.9";
    await assert.rejects(asyncio.startServer(echoLine, foreign, 0), {
      name: "OSError",
      code: "EADDRNOTAVAIL",
      message: `could not bind on any address out of ['${foreign}']`,
    });
    const server = await asyncio.startServer(echoLine, [foreign, HOST], 0);
    assert.deepEqual(
      server.sockets.map((socket) => socket.getsockname().address),
      [HOST],
    );
    await stop(server);
  });

  it("startServer() is a gaierror when a host does not resolve", async () => {
    await assert.rejects(asyncio.startServer(echoLine, "no-such-host.invalid", 0), {
      name: "gaierror",
      message: /'no-such-host\.invalid'/,
    });
  });

  it("startServer() refuses a handler that is no function, and says so of a promise", async () => {
    await assert.rejects(start(Promise.resolve(), HOST, 0), {
      name: "TypeError",
      message: /^startServer\(\) needs a function, got a promise, which has already started/,
    });
    for (const handler of [undefined, null, 5, {}]) {
      await assert.rejects(start(handler, HOST, 0), {
        name: "TypeError",
        message: /^startServer\(\) needs a function, got /,
      });
    }
  });

  it("startServer() rejects a bad limit immediately, not with the first connection", async () => {
    for (const limit of [0, -5]) {
      await assert.rejects(asyncio.startServer(echoLine, HOST, 0, { limit }), {
        name: "ValueError",
        message: `Limit cannot be <= 0, got ${limit}`,
      });
    }
  });

  it("startServer() refuses a port that is none, and an option that it does not have", async () => {
    for (const port of [-1, 65536, 1.5]) {
      await assert.rejects(start(echoLine, HOST, port), { name: "ValueError" });
    }
    await assert.rejects(start(echoLine, HOST, 0, { back_log: 5 }), {
      name: "TypeError",
      message: /^startServer\(\) got an unexpected option 'back_log'; known options: /,
    });
  });

  it("startServer() needs a host, a port or a socket, and not both sorts", async () => {
    await assert.rejects(start(echoLine), {
      name: "ValueError",
      message: "Neither host/port nor sock were specified; pass host and port, or { sock }",
    });
    await assert.rejects(start(echoLine, {}), {
      name: "ValueError",
      message: "Neither host/port nor sock were specified; pass host and port, or { sock }",
    });
    const sock = net.createServer();
    await assert.rejects(start(echoLine, HOST, 0, { sock }), {
      name: "ValueError",
      message: "host/port and sock can not be specified at the same time",
    });
    for (const wrong of [5, {}, { fd: "3" }, new net.Socket()]) {
      await assert.rejects(start(echoLine, { sock: wrong }), {
        name: "ValueError",
        message: /^A Stream Socket was expected, got /,
      });
    }
  });
});

describe("startServer() and handlers that fail", () => {
  const failing: Readonly<Record<string, asyncio.ClientConnectedCb>> = {
    "an async handler": async (reader) => {
      await reader.readline();
      throw new asyncio.ValueError("mine");
    },
    "an async handler, at once": async () => {
      throw new asyncio.ValueError("mine");
    },
    "a plain handler": () => {
      throw new asyncio.ValueError("mine");
    },
  };

  for (const [what, handler] of Object.entries(failing)) {
    it(`startServer() reports what ${what} throws once, closes its connection, and continues (test_unhandled_exception)`, async () => {
      using reports = new Reports();
      let fails = true;
      const tasks: WeakRef<object>[] = [];
      const server = await asyncio.startServer(
        (reader, writer) => {
          tasks.push(new WeakRef(asyncio.currentTask() as object));
          return fails ? handler(reader, writer) : echoLine(reader, writer);
        },
        HOST,
        0,
      );
      const other = await rawPeer(portOf(server));
      for (let i = 1; i <= 3; i++) {
        assert.equal(await ask(portOf(server), "line\n"), "");
      }
      other.write("line\n");
      await other.untilEnded();
      other.socket.destroy();
      assert.deepEqual(reports.messages, Array(4).fill("Unhandled exception in client_connected_cb"));
      for (const { exception, transport } of reports.all) {
        assert.equal(String(exception), "ValueError: mine");
        assert.equal((transport as asyncio.Transport).isClosing(), true);
      }
      fails = false;
      assert.equal(await ask(portOf(server), "line\n"), "line\n");
      await stop(server);
      reports.all.length = 0;
      // The frame of this test may hold the last one.
      await survivors(tasks, 4);
      await turns(5);
      assert.deepEqual(reports.messages, [], "not a second time when the tasks are garbage");
    });
  }

  it("startServer() sends what a failing handler had written before", async () => {
    using reports = new Reports();
    await using serving = await serve(async (_reader, writer) => {
      writer.write("500 sorry\n");
      throw new Error("mine");
    });
    assert.equal(await ask(serving.port, ""), "500 sorry\n");
    assert.equal(reports.all.length, 1);
  });

  it("startServer() reports nothing of a handler that is cancelled, and closes its connection (test_unhandled_cancel)", async () => {
    using reports = new Reports();
    const server = await asyncio.startServer(
      async (_reader, writer) => {
        writer.close();
        asyncio.currentTask()?.cancel();
        await asyncio.sleep(0);
      },
      HOST,
      0,
    );
    assert.equal(await ask(portOf(server), ""), "");
    await stop(server);

    const tasks: (asyncio.Task<unknown> | null)[] = [];
    await using serving = await serve(async (reader) => {
      tasks.push(asyncio.currentTask());
      await reader.read();
    });
    const peer = await rawPeer(serving.port);
    assert.ok(await eventually(() => tasks.length > 0));
    tasks[0]?.cancel();
    await peer.untilEnded();
    peer.socket.destroy();
    assert.equal(tasks[0]?.cancelled(), true);
    assert.deepEqual(reports.all, []);
  });

  it("startServer() answers a client that has ended its side immediately, without sending anything", async () => {
    using _reports = new Reports();
    await using serving = await serve(async (reader, writer) => {
      writer.write("hello");
      writer.write(await reader.read());
      writer.close();
    });
    const peer = await rawPeer(serving.port);
    peer.socket.end();
    await peer.untilEnded();
    peer.socket.destroy();
    assert.equal(peer.text, HELLO_TO_THE_SILENT[runtime]);
  });

  it("startServer() leaves the connection open when its handler returns with the writer open", async () => {
    for (const handler of [
      (kept: asyncio.StreamWriter[]) => async (_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) => {
        kept.push(writer);
      },
      (kept: asyncio.StreamWriter[]) => (_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) => {
        kept.push(writer);
      },
    ]) {
      const kept: asyncio.StreamWriter[] = [];
      await using serving = await serve(handler(kept));
      const peer = await rawPeer(serving.port);
      assert.ok(await eventually(() => kept.length > 0));
      await turns(5);
      assert.equal(peer.ended, false);
      kept[0]?.write("later");
      assert.equal(await peer.received(5), "later");
      kept[0]?.close();
      await peer.untilEnded();
      peer.socket.destroy();
    }
  });

  it("startServer() continues if a client resets its connection while the handler reads", async () => {
    using reports = new Reports();
    let handlers = 0;
    await using serving = await serve(async (...streams) => {
      handlers += 1;
      await echoLine(...streams);
    });
    const peer = await rawPeer(serving.port);
    peer.write("no newline");
    assert.ok(await eventually(() => handlers === 1));
    peer.socket.resetAndDestroy();
    assert.equal(await ask(serving.port, "line\n"), "line\n");
    assert.ok(await eventually(() => reports.all.length > 0));
    assert.ok(reports.all[0]?.exception instanceof asyncio.ConnectionResetError);
    assert.deepEqual(reports.messages, ["Unhandled exception in client_connected_cb"]);
  });

  it("startServer() reports a failure of a protocol's method, and ends that connection only", async () => {
    using reports = new Reports();
    await using serving = await serve((_reader, writer) => {
      writer.transport.setProtocol(
        new (class extends asyncio.Protocol {
          override dataReceived(data: Buffer): void {
            throw new asyncio.ValueError(`mine: ${data}`);
          }
        })(),
      );
    });
    assert.equal(await ask(serving.port, "x"), "");
    assert.deepEqual(reports.messages, ["Fatal error: protocol.dataReceived() call failed."]);
    assert.equal(String(reports.all[0]?.exception), "ValueError: mine: x");
  });
});

describe("Server", () => {
  it("Server that was told not to start serves from serveForever() on, and is closed when that is cancelled (test_start_server_1)", async () => {
    const server = await asyncio.startServer(echoLine, HOST, 0, { startServing: false });
    assert.equal(server.isServing(), false);
    const port = portOf(server);
    const main = asyncio.createTask(() =>
      server.with(async () => {
        await server.serveForever();
      }),
    );
    assert.ok(await eventually(() => server.isServing()));
    assert.equal(await ask(port, "line\n"), "line\n");
    main.cancel();
    assert.ok((await outcomeOf(main)) instanceof asyncio.CancelledError);
    assert.deepEqual(server.sockets, []);
    assert.equal(server.isServing(), false);
    await assert.rejects(server.serveForever(), {
      name: "RuntimeError",
      code: "ERR_SERVER_CLOSED",
      message: "server <Server sockets=()> is closed",
    });
    await assert.rejects(server.startServing(), { name: "RuntimeError", message: /is closed$/ });
  });

  it("Server.startServing() serves, and does nothing the second time", async () => {
    const server = await asyncio.startServer(echoLine, HOST, 0, { startServing: false });
    await server.startServing();
    await server.startServing();
    assert.equal(server.isServing(), true);
    assert.equal(await ask(portOf(server), "line\n"), "line\n");
    await stop(server);
  });

  it("Server that does not serve yet keeps early connections for later", async () => {
    await using serving = await serve(echoLine, { startServing: false });
    const early = ask(serving.port, "early\n");
    assert.ok(await stillWaits(early));
    await serving.server.startServing();
    assert.equal(await early, "early\n");
  });

  it("Server that does not serve yet keeps also an early connection whose client has ended its side", async () => {
    const ends: string[] = [];
    await using serving = await serve(
      async (reader, writer) => {
        ends.push(String(await reader.read()));
        writer.close();
      },
      { startServing: false },
    );
    for (const text of ["", "early"]) {
      const peer = await rawPeer(serving.port);
      peer.socket.end(text);
      await asyncio.sleep(0.02);
      await serving.server.startServing();
      await peer.untilEnded();
      peer.socket.destroy();
    }
    assert.deepEqual(ends, ["", "early"]);
  });

  it("Server that does not serve yet forgets an early connection that has ended", async () => {
    using _reports = new Reports();
    // A runtime that has not looked at the connection yet serves it, and its handler fails.
    const server = await asyncio.startServer(echoLine, HOST, 0, { startServing: false });
    const early = await rawPeer(portOf(server));
    await asyncio.sleep(0.02);
    early.socket.resetAndDestroy();
    await early.untilClosed();
    await asyncio.sleep(0.02);
    await server.startServing();
    server.close();
    assert.equal(await outcomeOf(server.waitClosed()), undefined);
    await turns(5);
  });

  it("Server.close() before it serves ends early connections", async () => {
    const server = await asyncio.startServer(echoLine, HOST, 0, { startServing: false });
    const early = await rawPeer(portOf(server));
    await asyncio.sleep(0.02);
    server.close();
    await early.untilEnded();
    early.socket.destroy();
    await server.waitClosed();
  });

  it("Server.serveForever() cannot run twice at the same time", async () => {
    const server = await asyncio.startServer(echoLine, HOST, 0);
    const serving = asyncio.createTask(() => server.serveForever());
    await turn();
    await assert.rejects(server.serveForever(), {
      name: "RuntimeError",
      code: "ERR_SERVER_BUSY",
      message: `server ${server} is already being awaited on serveForever()`,
    });
    serving.cancel();
    assert.ok((await outcomeOf(serving)) instanceof asyncio.CancelledError);
  });

  it("Server.serveForever() ends with a CancelledError when the server is closed", async () => {
    const server = await asyncio.startServer(echoLine, HOST, 0);
    const serving = server.serveForever();
    assert.ok(await stillWaits(serving));
    server.close();
    assert.ok((await outcomeOf(serving)) instanceof asyncio.CancelledError);
  });

  it("Server.serveForever() that is cancelled closes the clients and waits for that, as since 3.15", async () => {
    const ends: string[] = [];
    let handlers = 0;
    const server = await asyncio.startServer(
      async (reader, writer) => {
        handlers += 1;
        ends.push(String(await reader.read()));
        writer.close();
      },
      HOST,
      0,
    );
    const peer = await rawPeer(portOf(server));
    const serving = asyncio.createTask(() => server.serveForever());
    assert.ok(await eventually(() => handlers === 1));
    await turn();
    serving.cancel();
    assert.ok((await outcomeOf(serving)) instanceof asyncio.CancelledError);
    await peer.untilEnded();
    peer.socket.destroy();
    assert.deepEqual(ends, [""], "the handler has seen EOF, and was not cancelled");
  });

  it("Server.waitClosed() waits until the server is closed and the last connection has ended (test_wait_closed_basic)", async () => {
    let handlers = 0;
    const server = await asyncio.startServer(
      async (reader, writer) => {
        handlers += 1;
        await reader.read();
        writer.close();
      },
      HOST,
      0,
    );
    const open = server.waitClosed();
    assert.ok(await stillWaits(open), "open, without clients");
    const peer = await rawPeer(portOf(server));
    assert.ok(await eventually(() => handlers === 1));
    assert.ok(await stillWaits(open), "open, with a client");
    server.close();
    const closing = server.waitClosed();
    assert.ok(await stillWaits(closing), "closed, with a client");
    assert.ok(await stillWaits(open));
    peer.socket.end();
    await Promise.all([open, closing]);
    await server.waitClosed();
    await peer.untilClosed();
  });

  it("Server.waitClosed() returns when server and client are closed in one turn (test_wait_closed_race)", async () => {
    for (const order of ["server first", "client first"]) {
      const connected = new asyncio.Future<asyncio.StreamWriter>();
      const server = await asyncio.startServer((_reader, writer) => connected.setResult(writer), HOST, 0);
      const peer = await rawPeer(portOf(server));
      const writer = await connected;
      const waiting = server.waitClosed();
      await turn();
      if (order === "server first") {
        server.close();
        writer.close();
      } else {
        writer.close();
        server.close();
      }
      await waiting;
      peer.socket.destroy();
      await peer.untilClosed();
    }
  });

  it("Server.closeClients() after close() ends every connection, and so waitClosed() (test_close_clients)", async () => {
    const ends: string[] = [];
    let handlers = 0;
    const server = await asyncio.startServer(
      async (reader) => {
        handlers += 1;
        ends.push(String(await reader.read()));
      },
      HOST,
      0,
    );
    const peers = await Promise.all([rawPeer(portOf(server)), rawPeer(portOf(server))]);
    assert.ok(await eventually(() => handlers === 2));
    server.close();
    const waiting = server.waitClosed();
    assert.ok(await stillWaits(waiting));
    server.closeClients();
    await waiting;
    for (const peer of peers) {
      await peer.untilEnded();
      peer.socket.destroy();
    }
    assert.deepEqual(ends, ["", ""]);
  });

  it("Server.abortClients() ends connections whose peer neither reads nor writes (test_abort_clients)", async () => {
    let filled = false;
    const server = await asyncio.startServer(
      async (_reader, writer) => {
        writer.transport.pauseReading();
        for (;;) {
          writer.write(Buffer.alloc(64 * 1024));
          const drained = writer.drain();
          filled = await stillWaits(drained);
          await drained;
        }
      },
      HOST,
      0,
    );
    using reports = new Reports();
    const socket = await rawConnection(portOf(server));
    const peer = new Peer(socket, false);
    peer.write("unread");
    assert.ok(await eventually(() => filled));
    server.close();
    const waiting = server.waitClosed();
    server.closeClients();
    assert.ok(await stillWaits(waiting), "there is something to be sent still");
    server.abortClients();
    await waiting;
    socket.destroy();
    await turns(5);
    assert.ok(reports.messages.every((message) => message === "Unhandled exception in client_connected_cb"));
  });

  it("Server.close() stops listening immediately, keeps connections open, and does nothing the second time", async () => {
    let handlers = 0;
    const server = await asyncio.startServer(
      async (...streams) => {
        handlers += 1;
        await echoLine(...streams);
      },
      HOST,
      0,
    );
    const port = portOf(server);
    const peer = await rawPeer(port);
    assert.ok(await eventually(() => handlers === 1));
    server.close();
    server.close();
    assert.equal(server.isServing(), false);
    assert.deepEqual(server.sockets, []);
    assert.ok((await outcomeOf(asyncio.openConnection(HOST, port))) instanceof asyncio.ConnectionRefusedError);
    peer.write("still\n");
    await peer.untilEnded();
    assert.equal(peer.text, "still\n");
    peer.socket.destroy();
    await server.waitClosed();
    const again = await asyncio.startServer(echoLine, HOST, port);
    await stop(again);
  });

  it("Server.waitClosed() that is cancelled does not spoil another one", async () => {
    const server = await asyncio.startServer(echoLine, HOST, 0);
    const cancelled = asyncio.createTask(() => server.waitClosed());
    const other = asyncio.createTask(() => server.waitClosed());
    await turn();
    cancelled.cancel();
    assert.ok((await outcomeOf(cancelled)) instanceof asyncio.CancelledError);
    server.close();
    assert.equal(await outcomeOf(other), undefined);
  });

  it("Server.with() and await using close the server and wait, whatever the body does", async () => {
    const server = await asyncio.startServer(echoLine, HOST, 0);
    const result = await server.with(async (same) => {
      assert.equal(same, server);
      return ask(portOf(same), "line\n");
    });
    assert.equal(result, "line\n");
    assert.equal(server.isServing(), false);

    const failing = await asyncio.startServer(echoLine, HOST, 0);
    const error = new Error("mine");
    assert.equal(
      await outcomeOf(
        failing.with(() => {
          throw error;
        }),
      ),
      error,
    );
    assert.equal(failing.isServing(), false);

    let disposed: asyncio.Server;
    {
      await using used = await asyncio.startServer(echoLine, HOST, 0);
      disposed = used;
    }
    assert.equal(disposed.isServing(), false);
  });

  it("Server as text shows its sockets, and none when it is closed", async () => {
    const server = await asyncio.startServer(echoLine, HOST, 0);
    const port = portOf(server);
    assert.equal(String(server), `<Server sockets=(<ServerSocket 127.0.0.1:${port}>,)>`);
    assert.equal(inspect(server), String(server));
    assert.equal(inspect(server.sockets[0]), `<ServerSocket 127.0.0.1:${port}>`);
    const [socket] = server.sockets;
    await stop(server);
    assert.equal(String(server), "<Server sockets=()>");
    assert.equal(socket?.getsockname().port, port, "a socket keeps its name");
  });

  it("Server counts a connection until it has ended, not until its handler has", async () => {
    const kept: asyncio.StreamWriter[] = [];
    const server = await asyncio.startServer(
      async (_reader, writer) => {
        kept.push(writer);
        writer.write("hello");
        await asyncio.sleep(0);
      },
      HOST,
      0,
    );
    const peer = await rawPeer(portOf(server));
    await peer.received(5);
    server.close();
    const waiting = server.waitClosed();
    assert.ok(await stillWaits(waiting));
    peer.socket.destroy();
    kept[0]?.close();
    await waiting;
  });
});

describe("Server under load", () => {
  it("Server keeps its memory bounded when a client sends one endless line that is not read", async () => {
    const { promise, release } = gate();
    const readers: asyncio.StreamReader[] = [];
    await using serving = await serve(async (reader, writer) => {
      readers.push(reader);
      await promise;
      writer.close();
    });
    const socket = await rawConnection(serving.port);
    const peer = new Peer(socket, true);
    const sent = await pour(socket, 256);
    assert.ok(sent < 256 * CHUNK.length, "it took 16 MiB that are not read");
    const [, bytes] = /^<StreamReader (\d+) bytes/.exec(String(readers[0])) ?? [];
    assert.ok(Number(bytes) <= LARGEST_READER[runtime], `${bytes} bytes in the reader`);
    release();
    socket.destroy();
    await peer.untilClosed();
  });

  it("Server keeps its memory bounded when a client sends one line without end, and the handler reads lines", async () => {
    let largest = 0;
    let errors = 0;
    await using serving = await serve(async (reader, writer) => {
      while (!reader.atEof()) {
        try {
          await reader.readline();
        } catch (error) {
          assert.ok(error instanceof asyncio.ValueError, `${error}`);
          errors += 1;
        }
        const [, bytes = "0"] = /^<StreamReader (\d+) bytes/.exec(String(reader)) ?? [];
        largest = Math.max(largest, Number(bytes));
      }
      writer.write("end");
      writer.close();
    });
    const socket = await rawConnection(serving.port);
    const peer = new Peer(socket, true);
    assert.equal(await pour(socket, 256, 20), 256 * CHUNK.length);
    socket.end();
    await peer.untilEnded();
    assert.equal(peer.text, "end");
    assert.ok(errors >= 1);
    assert.ok(largest <= LARGEST_READER[runtime], `${largest} bytes in the reader`);
    socket.destroy();
  });

  it("Server accepts 300 clients that connect at the same time and send one line each", async () => {
    await using serving = await serve(echoLine, { backlog: 512 });
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => ask(serving.port, `${i}\n`)));
    assert.deepEqual(
      answers,
      Array.from({ length: 300 }, (_, i) => `${i}\n`),
    );
  });

  it("Server outlives clients that connect and vanish in every way", async () => {
    using reports = new Reports();
    await using serving = await serve(async (reader, writer) => {
      for await (const line of reader) {
        writer.write(line);
        await writer.drain();
      }
      writer.close();
      await writer.waitClosed();
    });
    const ways: ((socket: net.Socket) => void)[] = [
      (socket) => socket.destroy(),
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.end(),
      (socket) => socket.end("half a line"),
      (socket) => {
        socket.write("line\n");
        socket.destroy();
      },
      (socket) => {
        socket.write("line\n".repeat(10_000));
        socket.resetAndDestroy();
      },
    ];
    for (let i = 0; i < 60; i++) {
      const socket = await rawConnection(serving.port);
      const peer = new Peer(socket, i % 2 === 0);
      ways[i % ways.length]?.(socket);
      if (!socket.destroyed) {
        peer.read();
        await peer.untilEnded();
        socket.destroy();
      }
    }
    const peer = await rawPeer(serving.port);
    peer.write("alive\n");
    assert.equal(await peer.received(6), "alive\n");
    peer.socket.destroy();
    for (const { exception } of reports.all) {
      assert.ok(exception instanceof asyncio.ConnectionError, `${exception}`);
    }
  });
});

const CHUNK = Buffer.alloc(64 * 1024, "x");

/** Deno refuses to write (EPIPE) on a connection whose peer has ended its side before a byte went either way. */
const HELLO_TO_THE_SILENT: Readonly<Record<Runtime, string>> = {
  node20: "hello",
  node22: "hello",
  node24: "hello",
  node26: "hello",
  bun: "hello",
  deno: "",
};

/** Twice the limit, and one chunk as the runtime reads them. */
const LARGEST_READER: Readonly<Record<Runtime, number>> = {
  node20: 192 * 1024,
  node22: 192 * 1024,
  node24: 192 * 1024,
  node26: 192 * 1024,
  bun: 640 * 1024,
  deno: 192 * 1024,
};

/** Writes this many chunks, or until the socket takes no more for some seconds, and returns how many bytes it took. */
async function pour(socket: net.Socket, chunks: number, patience = 0.2): Promise<number> {
  let sent = 0;
  for (let i = 0; i < chunks; i++) {
    const flushed = new Promise<boolean>((resolve) => {
      socket.write(CHUNK, () => resolve(true));
    });
    if (!(await Promise.race([flushed, pause(patience * 1000, false, { ref: false })]))) {
      break;
    }
    sent += CHUNK.length;
  }
  return sent;
}

function gate(): { readonly promise: Promise<void>; readonly release: () => void } {
  let release = (): void => {};
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}
