/**
 * Handshakes that go wrong: silence, garbage, ends and cancellations. Nothing is left of them, and others are served.
 * The names in parentheses are CPython's.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "../support/certificates.ts";
import { survivors } from "../support/garbage.ts";
import {
  eventually,
  outcomeOf,
  Peer,
  portOf,
  Reports,
  rawConnection,
  rawPeer,
  roles,
  type Serving,
  serve,
  stillWaits,
  turns,
} from "../support/peers.ts";
import { runtime } from "../support/runtime.ts";
import { connectTls, type TlsPeer, tlsClient, tlsPeer, versions } from "../support/wire-tls.ts";

const HOST = "127.0.0.1";
const { ca, client, server: local, stranger } = certificates();
/** A record that begins a handshake, and 512 bytes of which nothing will come. */
const HALF_A_HELLO = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]);

async function echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  for await (const line of reader) {
    await writer.send(line);
  }
  writer.close();
}

/** One that is served, whatever others do. */
async function checkServes({ port }: Serving): Promise<void> {
  const [reader, writer] = await asyncio.openConnection("localhost", port, { ssl: { ca } });
  await writer.send("line\n");
  assert.equal(String(await reader.readline()), "line\n");
  writer.close();
  await writer.waitClosed();
}

/** The server has nothing left to wait for. */
async function checkDone({ server }: Serving): Promise<void> {
  server.close();
  await server.waitClosed();
}

/** A raw server that hands its one connection over. */
async function rawServer(): Promise<{ port: number; accepted: Promise<Peer>; [Symbol.dispose](): void }> {
  const listener = net.createServer({ allowHalfOpen: true });
  listener.listen(0, HOST);
  await once(listener, "listening");
  let peer: Peer | undefined;
  const accepted = (once(listener, "connection") as Promise<[net.Socket]>).then(([socket]) => {
    peer = new Peer(socket, true);
    return peer;
  });
  return {
    port: portOf(listener),
    accepted,
    [Symbol.dispose]() {
      peer?.socket.destroy();
      listener.close();
    },
  };
}

describe("startServer() with ssl and clients that do not shake hands", () => {
  const clients: Readonly<Record<string, (peer: Peer) => void>> = {
    "sends nothing": () => {},
    "sends half a hello": (peer) => peer.write(HALF_A_HELLO),
    "sends half a hello and an EOF": (peer) => peer.socket.end(HALF_A_HELLO),
    "sends an EOF": (peer) => peer.socket.end(),
    "sends plain text": (peer) => peer.write("GET / HTTP/1.1\r\n\r\n"),
    "sends garbage": (peer) => peer.write(Buffer.alloc(4096, 0xa5)),
  };
  for (const [what, act] of Object.entries(clients)) {
    it(`startServer() closes the connection of a client that ${what}, and serves others meanwhile`, async () => {
      using reports = new Reports();
      let handled = 0;
      await using serving = await serve(
        async (reader, writer) => {
          handled += 1;
          await echo(reader, writer);
        },
        { ssl: { ...local }, sslHandshakeTimeout: 0.3 },
      );
      const peer = await rawPeer(serving.port);
      act(peer);
      await checkServes(serving);
      await peer.untilEnded();
      peer.socket.destroy();
      await checkDone(serving);
      assert.equal(handled, 1);
      assert.deepEqual(reports.all, [], "a stranger causes no report");
    });
  }

  it("startServer() closes the connection of a client that resets it", async () => {
    using reports = new Reports();
    await using serving = await serve(echo, { ssl: { ...local } });
    const peer = await rawPeer(serving.port);
    peer.write(HALF_A_HELLO);
    await turns(5);
    peer.socket.resetAndDestroy();
    await checkServes(serving);
    await checkDone(serving);
    assert.deepEqual(reports.all, []);
  });

  it("Server.waitClosed() waits for handshakes; closeClients() and abortClients() end them", async () => {
    for (const method of ["closeClients", "abortClients"] as const) {
      await using serving = await serve(echo, { ssl: { ...local } });
      const peer = await rawPeer(serving.port);
      peer.write(HALF_A_HELLO);
      await checkServes(serving);
      serving.server.close();
      const closed = serving.server.waitClosed();
      assert.ok(await stillWaits(closed));
      serving.server[method]();
      await closed;
      await peer.untilEnded();
      peer.socket.destroy();
    }
  });

  it("Server.shutdown() does not wait for handshakes", async () => {
    await using serving = await serve(echo, { ssl: { ...local } });
    const peers = [await rawPeer(serving.port), await rawPeer(serving.port)];
    peers[0]?.write(HALF_A_HELLO);
    await turns(10);
    assert.deepEqual(await serving.server.shutdown({ grace: 60 }), []);
    for (const peer of peers) {
      await peer.untilEnded();
      peer.socket.destroy();
    }
  });

  it("Server.shutdown() at any moment of a handshake begins no handler after it, and ends", async () => {
    for (let moment = 0; moment < 24; moment++) {
      let isDown = false;
      const begun: boolean[] = [];
      await using serving = await serve(
        async (reader, writer) => {
          begun.push(isDown);
          await echo(reader, writer);
        },
        { ssl: { ...local, maxVersion: versions[moment % 2] } },
      );
      const client = tlsPeer(await rawConnection(serving.port), "client", { ca });
      await turns(moment >> 1);
      isDown = true;
      const outcomes = await serving.server.shutdown({ grace: 0 });
      assert.equal(outcomes.length, begun.length);
      assert.ok(!begun.includes(true), `${begun}`);
      await client.peer.untilEnded();
      client.tls.destroy();
      client.plain.destroy();
    }
  });

  it("Server.serveForever() that is cancelled ends handshakes as well", async () => {
    await using serving = await serve(echo, { ssl: { ...local } });
    const peer = await rawPeer(serving.port);
    peer.write(HALF_A_HELLO);
    await checkServes(serving);
    const serves = asyncio.createTask(() => serving.server.serveForever());
    await turns(2);
    serves.cancel();
    assert.ok((await outcomeOf(serves)) instanceof asyncio.CancelledError);
    await peer.untilEnded();
    peer.socket.destroy();
  });

  it("Server.waitClosed() returns when sslHandshakeTimeout has ended the last handshake", async () => {
    await using serving = await serve(echo, { ssl: { ...local }, sslHandshakeTimeout: 0.2 });
    const peers = await Promise.all(Array.from({ length: 20 }, () => rawPeer(serving.port)));
    await checkServes(serving);
    await checkDone(serving);
    for (const peer of peers) {
      await peer.untilEnded();
      peer.socket.destroy();
    }
  });

  it("startServer({ startServing: false }) shakes hands with early clients when it serves, not before", async () => {
    await using serving = await serve(echo, { ssl: { ...local }, startServing: false, sslHandshakeTimeout: 60 });
    const early = tlsPeer(await rawConnection(serving.port), "client", { ca });
    const secured = once(early.tls, "secureConnect");
    assert.ok(await stillWaits(secured));
    await serving.server.startServing();
    await secured;
    early.peer.write("line\n");
    assert.equal(await early.peer.received(5), "line\n");
    early.tls.destroy();
    early.plain.destroy();
  });

  it("a protocol whose client fails the handshake is never made (test_create_server_ssl_verify_failed)", async () => {
    using reports = new Reports();
    let made = 0;
    const makeProtocol = (): asyncio.Protocol => {
      made += 1;
      return new asyncio.Protocol();
    };
    const server = await asyncio.getRunningLoop().createServer(makeProtocol, HOST, 0, { ssl: { ...local } });
    const garbage = await rawPeer(portOf(server));
    garbage.write("GET / HTTP/1.1\r\n\r\n");
    await garbage.untilEnded();
    garbage.socket.destroy();
    server.close();
    await server.waitClosed();
    assert.equal(made, 0);
    assert.deepEqual(reports.all, []);
  });

  it("a client that does not trust the server is no failure of the server", async () => {
    using reports = new Reports();
    await using serving = await serve(echo, { ssl: { ...local, maxVersion: "TLSv1.2" } });
    for (let i = 0; i < 5; i++) {
      await assert.rejects(
        asyncio.openConnection("localhost", serving.port, { ssl: true }),
        asyncio.SSLCertVerificationError,
      );
    }
    await checkServes(serving);
    await checkDone(serving);
    assert.deepEqual(reports.all, []);
  });

  it("in debug mode a warning says why a handshake failed, and on which server", async () => {
    const loop = asyncio.getRunningLoop();
    const warnings: string[] = [];
    const note = (warning: Error): unknown => warnings.push(warning.message);
    process.on("warning", note);
    const before = loop.getDebug();
    loop.setDebug(true);
    try {
      await using serving = await serve(echo, { ssl: { ...local }, sslHandshakeTimeout: 0.1 });
      const text = String(serving.server);
      const peer = await rawPeer(serving.port);
      await peer.untilEnded();
      peer.socket.destroy();
      const gone = await rawPeer(serving.port);
      gone.socket.end(HALF_A_HELLO);
      await gone.untilEnded();
      for (const reason of [
        "ConnectionAbortedError: SSL handshake is taking longer than 0.1 seconds",
        "ConnectionResetError: the connection was closed during the TLS handshake",
      ]) {
        const expected = `TLS handshake failed on ${text}: ${reason}`;
        assert.ok(
          await eventually(() => warnings.some((warning) => warning.startsWith(expected))),
          warnings.join("\n"),
        );
      }
    } finally {
      loop.setDebug(before);
      process.off("warning", note);
    }
  });

  it("a handshake that is in progress when close() is called completes, and its connection is served", async () => {
    await using serving = await serve(echo, { ssl: { ...local } });
    const plain = await rawConnection(serving.port);
    await checkServes(serving);
    serving.server.close();
    const client = tlsPeer(plain, "client", { ca });
    await once(client.tls, "secureConnect");
    client.peer.write("line\n");
    assert.equal(await client.peer.received(5), "line\n");
    client.tls.end();
    await serving.server.waitClosed();
  });

  it("maxConnections counts handshakes", async () => {
    await using serving = await serve(echo, { ssl: { ...local }, maxConnections: 1 });
    const first = await rawPeer(serving.port);
    const second = await rawPeer(serving.port);
    await second.untilEnded();
    second.socket.destroy();
    assert.equal(first.closed, false);
    // One that has failed counts no more.
    first.write("garbage\n\n\n\n\n\n\n\n");
    await first.untilEnded();
    first.socket.destroy();
    await checkServes(serving);
  });
});

describe("openConnection() with ssl and servers that do not shake hands", () => {
  it("openConnection() gives up at sslHandshakeTimeout, and closes its socket (test_create_connection_ssl_slow_handshake)", async () => {
    using server = await rawServer();
    const options = { ssl: { ca }, sslHandshakeTimeout: 0.1 };
    await assert.rejects(asyncio.openConnection(HOST, server.port, options), {
      name: "ConnectionAbortedError",
      code: "ECONNABORTED",
      message: "SSL handshake is taking longer than 0.1 seconds: aborting the connection",
    });
    await (await server.accepted).untilEnded();
  });

  it("openConnection() tells that the server has ended the connection (test_create_connection_ssl_failed_certificate)", async () => {
    using server = await rawServer();
    const connecting = outcomeOf(asyncio.openConnection(HOST, server.port, { ssl: { ca } }));
    const peer = await server.accepted;
    await peer.received(1);
    peer.socket.end();
    const error = await connecting;
    assert.ok(error instanceof asyncio.ConnectionResetError, String(error));
    assert.equal(error.code, "ECONNRESET");
    assert.equal(error.message, "the connection was closed during the TLS handshake");
    await peer.untilEnded();
  });

  it("openConnection() tells that the server has reset the connection", async () => {
    using server = await rawServer();
    const connecting = outcomeOf(asyncio.openConnection(HOST, server.port, { ssl: { ca } }));
    const peer = await server.accepted;
    await peer.received(1);
    peer.socket.resetAndDestroy();
    const error = await connecting;
    assert.ok(error instanceof asyncio.ConnectionResetError, String(error));
  });

  it("openConnection() to a server that speaks in plain text is an SSLError", async () => {
    using server = await rawServer();
    const connecting = outcomeOf(asyncio.openConnection(HOST, server.port, { ssl: { ca } }));
    const peer = await server.accepted;
    peer.write("220 mail.example ESMTP\r\n");
    const error = await connecting;
    assert.ok(error instanceof asyncio.SSLError, String(error));
    assert.ok(!(error instanceof asyncio.SSLCertVerificationError));
    if (runtime !== "deno") {
      assert.equal(error.message, "[SSL: WRONG_VERSION_NUMBER] wrong version number; the peer may not use TLS");
    }
    await peer.untilEnded();
  });

  it("a task that is cancelled in openConnection() leaves no socket (test_create_connection_ssl_cancel)", async () => {
    using server = await rawServer();
    const task = asyncio.createTask(() => asyncio.openConnection(HOST, server.port, { ssl: { ca } }));
    const peer = await server.accepted;
    await peer.received(1);
    assert.equal(task.cancel("enough"), true);
    await assert.rejects(Promise.resolve(task), { name: "CancelledError", message: "enough" });
    assert.equal(task.cancelled(), true);
    await peer.untilEnded();
  });

  it("waitFor() gives a handshake up", async () => {
    using server = await rawServer();
    const connect = (): Promise<unknown> => asyncio.openConnection(HOST, server.port, { ssl: { ca } });
    await assert.rejects(Promise.resolve(asyncio.waitFor(connect, 0.1)), asyncio.TimeoutError);
    await (await server.accepted).untilEnded();
  });
});

describe("Handshakes that are slow", () => {
  for (const version of versions) {
    it(`a ${version} handshake that comes byte by byte is none the worse (test_create_server_ssl_slow)`, async () => {
      const bounds = { minVersion: version, maxVersion: version };
      await using serving = await serve(echo, { ssl: { ...local, ...bounds } });
      const listener = net.createServer(async (near) => {
        near.on("error", () => {});
        const far = await rawConnection(serving.port);
        far.on("error", () => {});
        far.setNoDelay(true);
        near.setNoDelay(true);
        // The client may be gone before the last session ticket has come through.
        trickle(near, far).catch(() => {});
        trickle(far, near).catch(() => {});
      });
      listener.listen(0, HOST);
      await once(listener, "listening");
      const [reader, writer] = await asyncio.openConnection("localhost", portOf(listener), { ssl: { ca } });
      await writer.send("line\n");
      assert.equal(String(await reader.readline()), "line\n");
      writer.close();
      await writer.waitClosed();
      listener.close();
    });
  }

  /** Passes on what comes, in the smallest pieces. */
  async function trickle(from: net.Socket, to: net.Socket): Promise<void> {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      for (const byte of chunk) {
        to.write(Buffer.of(byte));
        await turns(1);
      }
    }
    to.end();
  }

  it("time limits that no timer can hold do not end the handshake immediately", async () => {
    await using serving = await serve(echo, { ssl: { ...local }, sslHandshakeTimeout: 1e10 });
    const peer = await rawConnection(serving.port);
    for (const seconds of [1e10, Number.POSITIVE_INFINITY]) {
      const options = { ssl: { ca }, sslHandshakeTimeout: seconds, sslShutdownTimeout: seconds };
      const [reader, writer] = await asyncio.openConnection("localhost", serving.port, options);
      await writer.send("line\n");
      assert.equal(String(await reader.readline()), "line\n");
      writer.close();
      await writer.waitClosed();
    }
    const late = tlsPeer(peer, "client", { ca });
    await once(late.tls, "secureConnect");
    late.tls.destroy();
  });

  it("handshakes leave no timer", async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    await using serving = await serve(echo, { ssl: { ...local } });
    await checkServes(serving);
    const peer = await rawPeer(serving.port);
    peer.write("garbage\n\n\n\n\n\n\n\n");
    await peer.untilEnded();
    peer.socket.destroy();
    using server = await rawServer();
    const task = asyncio.createTask(() => asyncio.openConnection(HOST, server.port, { ssl: { ca } }));
    await (await server.accepted).received(1);
    task.cancel();
    await outcomeOf(task);
    await assert.rejects(asyncio.openConnection("localhost", serving.port, { ssl: true }));
    await checkDone(serving);
    assert.ok(await eventually(() => timers() <= before), String(process.getActiveResourcesInfo()));
  });
});

describe("Garbage inside TLS", () => {
  for (const version of versions) {
    it(`a broken record of a ${version} client throws an SSLError in the read, and nowhere else`, async () => {
      using reports = new Reports();
      const greeted = new asyncio.Future<string>();
      const seen = new asyncio.Future<unknown[]>();
      await using serving = await serve(
        async (reader, writer) => {
          greeted.setResult(String(await reader.readline()));
          const read = await outcomeOf(reader.readline());
          const closed = await outcomeOf(writer.waitClosed());
          seen.setResult([read, closed]);
        },
        { ssl: { ...local, minVersion: version, maxVersion: version } },
      );
      const client = await tlsClient(serving.port);
      client.peer.write("hello\n");
      assert.equal(await greeted, "hello\n");
      client.plain.write(Buffer.from("\x17\x03\x03\x00\x20this is no good record of TLS....", "latin1"));
      const [read, closed] = await seen;
      assert.ok(read instanceof asyncio.SSLError, String(read));
      assert.equal(closed, read);
      client.tls.destroy();
      client.plain.destroy();
      await checkDone(serving);
      assert.deepEqual(reports.all, []);
    });
  }
});

describe("The ssl argument", () => {
  const listen = asyncio.startServer as (...args: unknown[]) => Promise<asyncio.Server>;
  const open = asyncio.openConnection as (...args: unknown[]) => Promise<unknown>;

  it("what is no TLS context is a TypeError everywhere, before anything is connected (test_create_server_ssl_invalid)", async () => {
    await using serving = await serve(echo);
    const loop = asyncio.getRunningLoop();
    const makeProtocol = (): asyncio.Protocol => new asyncio.Protocol();
    for (const ssl of ["yes", 1, Symbol("ssl"), () => local]) {
      const options = { ssl } as never;
      const clients: (() => Promise<unknown>)[] = [
        () => open(HOST, serving.port, { ssl }),
        () => asyncio.openUnixConnection("/nowhere", { ssl, serverHostname: "" } as never),
        () => loop.createConnection(makeProtocol, HOST, serving.port, options),
      ];
      const servers: (() => Promise<unknown>)[] = [
        () => listen(echo, HOST, 0, { ssl }),
        () => asyncio.startUnixServer(echo, "/nowhere/at/all", options),
        () => loop.createServer(makeProtocol, HOST, 0, options),
      ];
      for (const call of clients) {
        await assert.rejects(call, { name: "TypeError", message: /^ssl must be true, options of node:tls, or / });
      }
      for (const call of servers) {
        await assert.rejects(call, {
          name: "TypeError",
          message: /^ssl must be options of node:tls with key and cert or a tls.SecureContext/,
        });
      }
    }
    await assert.rejects(listen(echo, HOST, 0, { ssl: true }), { name: "TypeError" });
    assert.equal(await asyncio.waitFor(() => serving.server.shutdown({ grace: 0 }), 10).then(String), "");
  });

  it("startServer() refuses options that no connection could be made with", async () => {
    using reports = new Reports();
    await assert.rejects(listen(echo, HOST, 0, { ssl: { ...local, SNICallback: 5 } }), {
      name: "TypeError",
      message: /SNICallback/,
    });
    assert.deepEqual(reports.all, []);
  });

  it("openConnection() whose options node:tls refuses leaves no connection", async () => {
    using server = await rawServer();
    const ssl = { ca, minVersion: "TLSv1.3", maxVersion: "TLSv9" };
    await assert.rejects(open(HOST, server.port, { ssl }), /TLSv9|protocol/i);
    await (await server.accepted).untilEnded();
  });

  it("SNICallback that refuses a name ends that handshake only", async () => {
    using reports = new Reports();
    const ssl = {
      ...local,
      SNICallback: (name: string, done: (error: Error | null, context?: undefined) => void): void =>
        done(name === "localhost" ? null : new Error(`unknown name ${name}`)),
    };
    await using serving = await serve(echo, { ssl });
    const refused = asyncio.openConnection(HOST, serving.port, { ssl: { ca }, serverHostname: "alternative.test" });
    assert.ok((await outcomeOf(refused)) instanceof asyncio.OSError);
    await checkServes(serving);
    await checkDone(serving);
    assert.deepEqual(reports.all, []);
  });
});

describe("Certificates of clients", () => {
  for (const version of versions) {
    it(`requestCert in ${version}: only who has a good one is served (test_create_server_ssl_verify_failed)`, async () => {
      using reports = new Reports();
      const names: unknown[] = [];
      const ssl = { ...local, ca, requestCert: true, minVersion: version, maxVersion: version };
      await using serving = await serve(
        async (_reader, writer) => {
          names.push(writer.getExtraInfo("peercert")?.subject.CN);
          await writer.send("welcome");
          writer.close();
        },
        { ssl },
      );
      const visit = async (identity: object): Promise<unknown> => {
        const [reader, writer] = await asyncio.openConnection("localhost", serving.port, { ssl: { ca, ...identity } });
        const said = await outcomeOf(reader.read());
        await writer[Symbol.asyncDispose]();
        return said;
      };
      assert.equal(String(await visit(client)), "welcome");
      // In TLS 1.3 the client learns of it when it reads: by an alert, or by an end without a word.
      for (const identity of [stranger, {}]) {
        const said = await outcomeOf(visit(identity));
        assert.ok(said instanceof asyncio.OSError || String(said as Buffer) === "", String(said as Buffer));
      }
      assert.equal(String(await visit(client)), "welcome");
      await checkDone(serving);
      assert.deepEqual(names, ["client", "client"]);
      assert.deepEqual(reports.all, []);
    });
  }
});

describe("Protocols and handshakes", () => {
  class Noting extends asyncio.Protocol {
    readonly calls: string[] = [];
    override connectionMade(): void {
      this.calls.push("made");
    }
    override connectionLost(): void {
      this.calls.push("lost");
    }
  }

  it("createConnection() tells its protocol nothing of a connection that failed its handshake (test_connection_lost)", async () => {
    using server = await rawServer();
    const protocol = new Noting();
    const loop = asyncio.getRunningLoop();
    const connecting = outcomeOf(loop.createConnection(() => protocol, HOST, server.port, { ssl: { ca } }));
    const peer = await server.accepted;
    await peer.received(1);
    peer.socket.end();
    assert.ok((await connecting) instanceof asyncio.ConnectionResetError);
    await turns(5);
    assert.deepEqual(protocol.calls, []);
  });

  it("createConnection() closes the connection when there is no protocol after all", async () => {
    await using serving = await serve(echo, { ssl: { ...local } });
    const loop = asyncio.getRunningLoop();
    const fail = (): never => {
      throw new Error("no protocol");
    };
    await assert.rejects(loop.createConnection(fail, "localhost", serving.port, { ssl: { ca } }), /no protocol/);
    await checkDone(serving);
  });
});

describe("What is left of a TLS connection", () => {
  const names = [
    ...["peername", "sockname", "socket", "sslcontext", "ssl_object"],
    ...["peercert", "cipher", "compression", "alpn", "servername"],
  ];
  const told = (writer: asyncio.StreamWriter): unknown[] => names.map((name) => writer.getExtraInfo(name));
  const ends: Readonly<Record<string, (writer: asyncio.StreamWriter, far: TlsPeer) => void>> = {
    "close()": (writer) => writer.close(),
    "abort()": (writer) => writer.transport.abort(),
    "the peer's end": (writer, { tls }) => {
      tls.once("close", () => writer.close());
      tls.destroy();
    },
  };
  for (const [what, end] of Object.entries(ends)) {
    for (const role of roles) {
      it(`getExtraInfo() of a ${role} answers after ${what} as before (test_get_extra_info_on_closed_connection)`, async () => {
        await using connection = await connectTls(role);
        const { writer } = connection;
        const before = told(writer);
        assert.equal(String(before[0]).startsWith(`${HOST}:`), true);
        assert.ok(Array.isArray(writer.getExtraInfo("cipher")));
        end(writer, connection);
        await outcomeOf(writer.waitClosed());
        for (const [i, value] of told(writer).entries()) {
          assert.equal(value, before[i], names[i]);
        }
        assert.equal(writer.getExtraInfo("no such thing"), null);
        assert.equal(writer.getExtraInfo("no such thing", 5), 5);
        assert.match(String(writer), /^<StreamWriter transport=<SocketTransport .* closed/);
      });
    }
  }

  /** Some runtimes hold on to what the last timer has called, until the next one. */
  async function checkNoneHeld(references: readonly WeakRef<object>[]): Promise<void> {
    assert.equal(await survivors(references.slice(0, -1)), 0);
  }

  it("no options of a handshake that failed are held (test_handshake_timeout_handler_leak)", async () => {
    using server = await rawServer();
    const references: WeakRef<object>[] = [];
    const attempt = async (): Promise<void> => {
      const ssl = { ca };
      references.push(new WeakRef(ssl));
      const connecting = asyncio.openConnection(HOST, server.port, { ssl, sslHandshakeTimeout: 0.05 });
      assert.ok((await outcomeOf(connecting)) instanceof asyncio.ConnectionAbortedError);
    };
    for (let i = 0; i < 5; i++) {
      await attempt();
    }
    await checkNoneHeld(references);
  });

  it("no writer is held after a shutdown that timed out (test_shutdown_timeout_handler_leak)", async () => {
    const references: WeakRef<object>[] = [];
    const attempt = async (): Promise<void> => {
      await using connection = await connectTls("client", { options: { sslShutdownTimeout: 0.05 } });
      const { writer } = connection;
      references.push(new WeakRef(writer.transport));
      writer.close();
      assert.ok((await outcomeOf(writer.waitClosed())) instanceof asyncio.TimeoutError);
    };
    for (let i = 0; i < 5; i++) {
      await attempt();
    }
    await checkNoneHeld(references);
  });
});
