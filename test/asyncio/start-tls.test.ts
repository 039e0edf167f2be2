/** startTls(): a connection goes over to TLS on its way. The names in parentheses are CPython's. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type * as net from "node:net";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import * as tls from "node:tls";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "../support/certificates.ts";
import {
  type Connection,
  connect,
  eventually,
  outcomeOf,
  Reports,
  type Role,
  rawConnection,
  roles,
  serve,
  stillWaits,
  turns,
} from "../support/peers.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { type TlsPeer, tlsPeer, type Version, versions } from "../support/wire-tls.ts";

const MEGABYTE = 2 ** 20;
const HOST = "127.0.0.1";
const { ca, server: local, client: clientIdentity, other, stranger } = certificates();

/** What this side says to startTls() in each role. */
const ours = (role: Role): asyncio.SSLContext => (role === "client" ? { ca } : { ...local });
const oppositeOf = (role: Role): Role => (role === "client" ? "server" : "client");

/** Starts TLS on the raw peer's side. What it received after this many bytes was the beginning of the handshake. */
function upgradePeer({ peer }: Connection, role: Role, plainBytes = 0): TlsPeer {
  const { socket } = peer;
  socket.removeAllListeners("data");
  socket.removeAllListeners("end");
  socket.pause();
  const early = Buffer.concat(peer.chunks).subarray(plainBytes);
  if (early.length > 0) {
    socket.unshift(early);
  }
  return tlsPeer(socket, oppositeOf(role), role === "client" ? local : { ca });
}

async function withConnection(
  role: Role,
  body: (connection: Connection) => Promise<void>,
  options: { readonly limit?: number; readonly reads?: boolean } = {},
): Promise<void> {
  using reports = new Reports();
  await using connection = await connect(role, options);
  await body(connection);
  assert.deepEqual(reports.all, []);
}

/** Cancels a task that waits for startTls(), and checks that the connection closes. */
async function cancelStartTls(writer: asyncio.StreamWriter, role: Role): Promise<void> {
  const task = asyncio.createTask(() => writer.startTls(ours(role)));
  await turns(10);
  task.cancel();
  await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
  assert.equal(writer.isClosing(), true);
  await writer.waitClosed();
}

describe("StreamWriter.startTls() on both sides", () => {
  for (const version of versions) {
    it(`StreamWriter.startTls(): a line, ${version}, a line (test_start_tls)`, async () => {
      using reports = new Reports();
      const bounds = { minVersion: version, maxVersion: version };
      const contexts: unknown[] = [];
      const ssl = { ...local, ...bounds };
      await using serving = await serve(async (reader, writer) => {
        writer.write(await reader.readline());
        contexts.push(writer.getExtraInfo("sslcontext"));
        await writer.startTls(ssl);
        contexts.push(writer.getExtraInfo("sslcontext"));
        await writer.send(await reader.readline());
        writer.close();
        await writer.waitClosed();
      });
      const [reader, writer] = await asyncio.openConnection("localhost", serving.port);
      const { transport } = writer;
      assert.equal(writer.getExtraInfo("sslcontext"), null);
      await writer.send("plain\n");
      assert.equal(String(await reader.readline()), "plain\n");
      const trusting = { ca };
      await writer.startTls(trusting);
      assert.equal(writer.getExtraInfo("sslcontext"), trusting);
      assert.equal(writer.getExtraInfo("cipher")?.[1], version);
      assert.equal(writer.getExtraInfo("peercert")?.subject.CN, "server");
      assert.equal(String(writer.getExtraInfo("peername")), `${HOST}:${serving.port}`);
      assert.equal(writer.transport, transport);
      assert.deepEqual(transport.getWriteBufferLimits(), [128 * 1024, 512 * 1024]);
      await writer.send("secret\n");
      assert.equal(String(await reader.readline()), "secret\n");
      assert.equal((await reader.read()).length, 0);
      writer.close();
      await writer.waitClosed();
      assert.deepEqual(contexts, [null, ssl]);
      assert.deepEqual(reports.all, []);
    });
  }

  it("StreamWriter.startTls() twice is TLS within TLS", async () => {
    await using serving = await serve(async (reader, writer) => {
      for (let i = 0; i < 2; i++) {
        writer.write(await reader.readline());
        await writer.startTls({ ...local });
      }
      await writer.send(await reader.readline());
      writer.close();
    });
    const [reader, writer] = await asyncio.openConnection("localhost", serving.port);
    for (const word of ["plain\n", "outer\n"]) {
      await writer.send(word);
      assert.equal(String(await reader.readline()), word);
      await writer.startTls({ ca });
    }
    await writer.send("inner\n");
    assert.equal(String(await reader.readline()), "inner\n");
    assert.equal((await reader.read()).length, 0);
    writer.close();
    await writer.waitClosed();
  });

  it("StreamWriter.startTls() over a Unix socket needs a name", async () => {
    using folder = new TemporaryFolder();
    const path = folder.file("s");
    const server = await asyncio.startUnixServer(async (reader, writer) => {
      await writer.startTls({ ...local });
      await writer.send(await reader.readline());
      writer.close();
    }, path);
    const [reader, writer] = await asyncio.openUnixConnection(path);
    await assert.rejects(writer.startTls({ ca }), /^ValueError: You must set serverHostname/);
    await writer.startTls({ ca }, { serverHostname: "localhost" });
    await writer.send("line\n");
    assert.equal(String(await reader.readline()), "line\n");
    assert.equal(writer.getExtraInfo("peername"), path);
    writer.close();
    server.close();
    await server.waitClosed();
  });

  it("StreamReader.readexactly(2 MiB) after startTls() pauses and resumes the TLS socket (gh-152432)", async () => {
    const size = 2 * MEGABYTE;
    await using serving = await serve(
      async (reader, writer) => {
        await writer.startTls({ ...local });
        const data = await reader.readexactly(size);
        await writer.send(data);
        writer.close();
      },
      { limit: 1024 },
    );
    const [reader, writer] = await asyncio.openConnection("localhost", serving.port, { limit: 1024 });
    await writer.startTls({ ca });
    writer.write(Buffer.alloc(size, "x"));
    // Long enough for everything that comes to be more than the reader takes.
    await eventually(() => !writer.transport.isReading());
    await turns(20);
    assert.equal(writer.transport.isReading(), false);
    assert.equal((await reader.readexactly(size)).length, size);
    assert.equal((await reader.read()).length, 0);
    writer.close();
    await writer.waitClosed();
  });
});

for (const role of roles) {
  describe(`StreamWriter.startTls() of a ${role}`, () => {
    it("sends what was written before, without TLS, and nothing of what is written after", async () => {
      await withConnection(role, async (connection) => {
        const { reader, writer, peer } = connection;
        const size = 3 * MEGABYTE;
        writer.write(Buffer.alloc(size, "p"));
        const upgraded = writer.startTls(ours(role));
        // startTls() waits for drain() first: from then on it holds everything back.
        await peer.received(size);
        await turns(20);
        writer.write("secret");
        await turns(5);
        assert.ok(!peer.text.includes("secret"));
        const far = upgradePeer(connection, role, size);
        await upgraded;
        assert.equal(await far.peer.received(6), "secret");
        far.tls.write("answer");
        assert.equal(String(await reader.readexactly(6)), "answer");
        far.tls.end();
      });
    });

    it("a read that waits gets what comes through TLS", async () => {
      await withConnection(role, async (connection) => {
        const { reader, writer } = connection;
        const line = reader.readline();
        const upgraded = writer.startTls(ours(role));
        const far = upgradePeer(connection, role);
        await upgraded;
        far.tls.write("line\n");
        assert.equal(String(await line), "line\n");
        far.tls.end();
      });
    });

    it("Transport.pauseReading() and resumeReading() meanwhile take nothing from the handshake", async () => {
      await withConnection(role, async (connection) => {
        const { reader, writer } = connection;
        const { transport } = writer;
        const upgraded = writer.startTls(ours(role));
        await turns(2);
        transport.pauseReading();
        transport.resumeReading();
        const far = upgradePeer(connection, role);
        await turns(2);
        transport.pauseReading();
        await upgraded;
        far.tls.write("line\n");
        const line = reader.readline();
        assert.ok(await stillWaits(line));
        transport.resumeReading();
        assert.equal(String(await line), "line\n");
        far.tls.end();
      });
    });

    it("a cancellation closes the connection (test_start_tls_cancel)", async () => {
      await withConnection(role, async ({ reader, writer, peer }) => {
        await cancelStartTls(writer, role);
        assert.equal((await reader.read()).length, 0);
        await peer.untilEnded();
      });
    });

    it("a cancellation closes the connection even while startTls() waits for the peer to read", async () => {
      await withConnection(
        role,
        async ({ writer, peer }) => {
          writer.transport.setWriteBufferLimits({ high: 64 * MEGABYTE });
          writer.write(Buffer.alloc(32 * MEGABYTE));
          await cancelStartTls(writer, role);
          peer.socket.destroy();
        },
        { reads: false },
      );
    });

    it("sslHandshakeTimeout ends it, and the connection", async () => {
      await withConnection(role, async ({ reader, writer, peer }) => {
        const error = await outcomeOf(writer.startTls(ours(role), { sslHandshakeTimeout: 0.1 }));
        assert.ok(error instanceof asyncio.ConnectionAbortedError, String(error));
        assert.match(error.message, /^SSL handshake is taking longer than 0.1 seconds: aborting the connection$/);
        assert.equal(await outcomeOf(writer.waitClosed()), error);
        assert.equal(await outcomeOf(reader.read()), error);
        await peer.untilEnded();
      });
    });

    it("sslHandshakeTimeout also ends it while it waits for the peer to read what was written before", async () => {
      await withConnection(
        role,
        async ({ writer }) => {
          writer.transport.setWriteBufferLimits({ high: 64 * MEGABYTE });
          writer.write(Buffer.alloc(32 * MEGABYTE));
          const error = await outcomeOf(writer.startTls(ours(role), { sslHandshakeTimeout: 0.05 }));
          assert.ok(error instanceof asyncio.ConnectionAbortedError, String(error));
          assert.match(error.message, /^SSL handshake is taking longer than 0.05 seconds/);
          assert.equal(await outcomeOf(writer.waitClosed()), error);
        },
        { reads: false },
      );
    });

    it("a peer that answers in plain text, or ends, or resets, is an error that says so", async () => {
      const ways: [(socket: net.Socket) => unknown, (error: unknown) => boolean][] = [
        [(socket) => socket.write("what do you mean?\r\n"), (error) => error instanceof asyncio.SSLError],
        [
          (socket) => socket.end(),
          (error) => String(error) === "ConnectionResetError: the connection was closed during the TLS handshake",
        ],
        [(socket) => socket.resetAndDestroy(), (error) => error instanceof asyncio.ConnectionResetError],
      ];
      for (const [act, isRight] of ways) {
        await withConnection(role, async ({ writer, peer }) => {
          const upgraded = outcomeOf(writer.startTls(ours(role)));
          await turns(10);
          act(peer.socket);
          const error = await upgraded;
          assert.ok(isRight(error), String(error));
          assert.equal(writer.isClosing(), true);
          assert.equal(await outcomeOf(writer.waitClosed()), error);
          peer.socket.destroy();
        });
      }
    });

    it("a peer whose EOF came before is no peer to shake hands with", async () => {
      await withConnection(role, async ({ reader, writer, peer }) => {
        peer.socket.end();
        assert.equal((await reader.read()).length, 0);
        const error = await outcomeOf(writer.startTls(ours(role)));
        assert.ok(error instanceof asyncio.ConnectionResetError, String(error));
        await peer.untilEnded();
      });
    });

    it("a peer's EOF that has come without being read is noticed", async () => {
      await withConnection(role, async ({ writer, peer }) => {
        writer.transport.pauseReading();
        peer.socket.end();
        await turns(20);
        const error = await outcomeOf(writer.startTls(ours(role)));
        assert.ok(error instanceof asyncio.ConnectionResetError, String(error));
        await peer.untilEnded();
      });
    });

    for (const method of ["close", "abort"] as const) {
      it(`Transport.${method}() during the handshake ends it`, async () => {
        await withConnection(role, async ({ writer, peer }) => {
          const upgraded = outcomeOf(writer.startTls(ours(role)));
          await turns(10);
          writer.transport[method]();
          assert.ok((await upgraded) instanceof asyncio.ConnectionResetError);
          assert.equal(writer.isClosing(), true);
          await outcomeOf(writer.waitClosed());
          await peer.untilEnded();
        });
      });
    }

    it("a second one meanwhile is a RuntimeError, and does not disturb the first", async () => {
      await withConnection(role, async (connection) => {
        const { writer } = connection;
        const upgraded = writer.startTls(ours(role));
        await turns(5);
        await assert.rejects(writer.startTls(ours(role)), { name: "RuntimeError", code: "ERR_TLS_BUSY" });
        const far = upgradePeer(connection, role);
        await upgraded;
        far.tls.end();
      });
    });

    it("on a connection that is closed, or that has sent its EOF, it is a ConnectionResetError", async () => {
      for (const end of ["close", "writeEof"] as const) {
        await withConnection(role, async ({ writer }) => {
          writer[end]();
          await assert.rejects(writer.startTls(ours(role)), asyncio.ConnectionResetError);
        });
      }
    });

    it("an invalid TLS context is rejected, and the connection continues (test_start_tls_invalid_args)", async () => {
      await withConnection(role, async ({ reader, writer, peer }) => {
        const startTls = writer.startTls.bind(writer) as (...args: unknown[]) => Promise<void>;
        for (const ssl of [undefined, null, false, 1, "yes", ...(role === "server" ? [true] : [])]) {
          await assert.rejects(startTls(ssl), TypeError, String(ssl));
        }
        await assert.rejects(
          startTls({ ca }, { sslHandshakeTimeout: 0 }),
          /sslHandshakeTimeout must be a positive number/,
        );
        await assert.rejects(startTls({ ca }, { serverSide: true }), TypeError);
        peer.write("plain\n");
        assert.equal(String(await reader.readline()), "plain\n");
        writer.write("plain\n");
        assert.equal(await peer.received(6), "plain\n");
      });
    });
  });
}

describe("Server.startTls: what has come already", () => {
  /** A TLS client whose first words are preceded by this text, in one segment. */
  async function prefixed(
    port: number,
    prefix: string,
    version: Version,
  ): Promise<{ far: tls.TLSSocket; plain: net.Socket }> {
    const plain = await rawConnection(port);
    let before = prefix;
    const duplex = new Duplex({
      read() {},
      write(chunk: Buffer, _, done) {
        plain.write(Buffer.concat([Buffer.from(before), chunk]), done);
        before = "";
      },
      destroy(error, done) {
        plain.destroy();
        done(error);
      },
    });
    plain.on("data", (chunk) => duplex.push(chunk));
    plain.on("end", () => duplex.push(null));
    plain.on("error", () => {});
    const far = tls.connect({ socket: duplex, ca, servername: "localhost", minVersion: version, maxVersion: version });
    return { far, plain };
  }

  for (const version of versions) {
    for (const limit of [65536, 16]) {
      it(`a PROXY line and a ${version} hello in one segment, with a limit of ${limit} (test_start_tls_buffered_data)`, async () => {
        using reports = new Reports();
        let line = "";
        await using serving = await serve(
          async (reader, writer) => {
            line = String(await reader.readexactly(23));
            // All of the hello, or more of it than the reader takes before it pauses.
            await eventually(() => String(reader).includes("bytes"));
            await writer.startTls({ ...local });
            await writer.send(`pong to ${await reader.readline()}`);
            writer.close();
          },
          { limit },
        );
        const { far, plain } = await prefixed(serving.port, "PROXY TCP4 1.2.3.4 5\r\n\n", version);
        await once(far, "secureConnect");
        far.write("ping\n");
        const [answer] = (await once(far, "data")) as [Buffer];
        assert.equal(String(answer), "pong to ping\n");
        assert.equal(line, "PROXY TCP4 1.2.3.4 5\r\n\n");
        far.destroy();
        plain.destroy();
        assert.deepEqual(reports.all, []);
      });
    }
  }

  it("a server checks certificates of clients, and is told why one is none", async () => {
    const errors: unknown[] = [];
    const names: unknown[] = [];
    await using serving = await serve(async (_, writer) => {
      const error = await outcomeOf(writer.startTls({ ...local, requestCert: true, ca }));
      errors.push(error);
      names.push(writer.getExtraInfo("peercert")?.subject.CN);
      writer.close();
    });
    for (const identity of [clientIdentity, stranger, {}]) {
      const [reader, writer] = await asyncio.openConnection("localhost", serving.port);
      await outcomeOf(writer.startTls({ ca, ...identity }));
      await outcomeOf(reader.read());
      writer.close();
      await outcomeOf(writer.waitClosed());
    }
    assert.ok(await eventually(() => errors.length === 3));
    assert.deepEqual(names, ["client", undefined, undefined]);
    assert.equal(errors[0], undefined);
    assert.ok(errors[1] instanceof asyncio.SSLCertVerificationError, String(errors[1]));
    assert.ok(errors[2] instanceof asyncio.SSLError, String(errors[2]));
  });
});

describe("Client startTls(): plaintext after the server's word", () => {
  const injections: Readonly<Record<string, (peer: Connection["peer"]) => Promise<void>>> = {
    "in the same segment": async (peer) => {
      peer.write("220 go ahead\r\n250 injected\r\n");
    },
    "in another segment": async (peer) => {
      peer.write("220 go ahead\r\n");
      await turns(10);
      peer.write("250 injected\r\n");
    },
  };
  for (const [where, inject] of Object.entries(injections)) {
    it(`StreamWriter.startTls() refuses it ${where}, and sends nothing`, async () => {
      await withConnection("client", async ({ reader, writer, peer }) => {
        writer.write("STARTTLS\r\n");
        await peer.received(10);
        await inject(peer);
        assert.equal(String(await reader.readline()), "220 go ahead\r\n");
        await turns(20);
        const error = await outcomeOf(writer.startTls({ ca }));
        assert.ok(error instanceof asyncio.SSLError, String(error));
        assert.equal(error.code, "ERR_STARTTLS_INJECTION");
        assert.equal(writer.isClosing(), true);
        assert.equal(await outcomeOf(reader.read()), error, "what was injected is not given out");
        await peer.untilEnded();
        assert.equal(peer.text, "STARTTLS\r\n");
      });
    });
  }

  it("StreamWriter.startTls() refuses it where reading is paused", async () => {
    await withConnection(
      "client",
      async ({ reader, writer, peer }) => {
        peer.write("220 go ahead\r\n");
        await reader.readline();
        writer.transport.pauseReading();
        peer.write("250 injected\r\n");
        await turns(20);
        const error = await outcomeOf(writer.startTls({ ca }));
        assert.ok(error instanceof asyncio.SSLError, String(error));
        await peer.untilEnded();
      },
      { limit: 64 },
    );
  });
});

describe("Client startTls(): whom it trusts", () => {
  const cases = {
    "another name than the host": [other, {}, "ERR_TLS_CERT_ALTNAME_INVALID"],
    "another name than serverHostname": [local, { serverHostname: "other.test" }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    "an unknown authority": [stranger, {}, /^UNABLE_TO_|^SELF_SIGNED_|^DEPTH_ZERO_/],
  } as const;
  for (const [what, [identity, options, code]] of Object.entries(cases)) {
    it(`StreamWriter.startTls() refuses ${what}, and closes the connection`, async () => {
      using reports = new Reports();
      const errors: unknown[] = [];
      await using serving = await serve(async (reader, writer) => {
        errors.push(await outcomeOf(writer.startTls({ ...identity }).then(() => reader.read(1))));
        writer.close();
      });
      const [reader, writer] = await asyncio.openConnection("localhost", serving.port);
      const error = await outcomeOf(writer.startTls({ ca }, options));
      assert.ok(error instanceof asyncio.SSLCertVerificationError, String(error));
      assert.ok(typeof code === "string" ? error.code === code : code.test(error.code), error.code);
      assert.equal(writer.isClosing(), true);
      assert.equal(await outcomeOf(reader.read()), error);
      assert.equal(await outcomeOf(writer.waitClosed()), error);
      assert.ok(await eventually(() => errors.length === 1));
      assert.deepEqual(reports.all, []);
    });
  }

  it("StreamWriter.startTls(serverHostname: '') checks no name", async () => {
    await using serving = await serve(async (_, writer) => {
      await writer.startTls({ ...other });
      await writer.send("served");
      writer.close();
    });
    const [reader, writer] = await asyncio.openConnection("localhost", serving.port);
    await writer.startTls({ ca }, { serverHostname: "" });
    assert.equal(String(await reader.read()), "served");
    writer.close();
    await writer.waitClosed();
  });
});

describe("loop.startTls()", () => {
  const loop = asyncio.getRunningLoop();

  class Noting extends asyncio.Protocol {
    readonly events: string[] = [];
    transport: asyncio.Transport | undefined;
    override connectionMade(transport: asyncio.Transport): void {
      this.transport = transport;
      this.events.push("made");
    }
    override dataReceived(data: Buffer): void {
      this.events.push(`data ${data}`);
    }
    override eofReceived(): void {
      this.events.push("eof");
    }
    override connectionLost(exception: unknown): void {
      this.events.push(`lost ${exception}`);
    }
  }

  it("hands the transport to another protocol, in both roles (test_start_tls_client_1, test_start_tls_server_1)", async () => {
    const served = new asyncio.Future<Noting>();
    const secured = new Noting();
    const server = await loop.createServer(
      () => {
        const plain = new Noting();
        plain.dataReceived = () => {
          void asyncio.createTask(async () => {
            const { transport } = plain;
            assert.ok(transport !== undefined);
            transport.write("go ahead");
            const upgraded = await loop.startTls(transport, secured, { ...local }, { serverSide: true });
            assert.equal(upgraded.getProtocol(), secured);
            served.setResult(plain);
          });
        };
        return plain;
      },
      HOST,
      0,
    );
    const port = server.sockets[0]?.getsockname().port ?? 0;
    const [transport, plain] = await loop.createConnection(() => new Noting(), "localhost", port);
    transport.write("STARTTLS");
    assert.ok(await eventually(() => plain.events.includes("data go ahead")));
    const protocol = new Noting();
    const upgraded = await loop.startTls(transport, protocol, { ca }, { serverHostname: "localhost" });
    assert.equal(upgraded, transport, "the same one");
    upgraded.write("secret");
    await served;
    assert.ok(await eventually(() => secured.events.length > 0));
    upgraded.close();
    assert.ok(await eventually(() => secured.events.length === 3 && protocol.events.length === 1));
    assert.deepEqual(secured.events, ["data secret", "eof", "lost null"]);
    assert.deepEqual(protocol.events, ["lost null"], "no connectionMade(), as in Python");
    assert.deepEqual(plain.events, ["made", "data go ahead"]);
    server.close();
    await server.waitClosed();
  });

  it("refuses transports and contexts that are none (test_start_tls_invalid_args)", async () => {
    await using serving = await serve(async (reader, writer) => {
      await reader.read();
      writer.close();
    });
    const [, writer] = await asyncio.openConnection(HOST, serving.port);
    const startTls = loop.startTls.bind(loop) as (...args: unknown[]) => Promise<unknown>;
    await assert.rejects(startTls({}, new Noting(), { ca }), /^TypeError: startTls\(\) is not supported by transport /);
    await assert.rejects(startTls(writer.transport, new Noting(), 1), TypeError);
    await assert.rejects(startTls(writer.transport, new Noting(), true, { serverSide: true }), TypeError);
    assert.equal(writer.isClosing(), false);
    writer.close();
    await writer.waitClosed();
  });
});
