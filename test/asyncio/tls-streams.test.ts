/** Bytes over TLS: how much, how they end, and in which Context. Some names in parentheses are CPython's. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import * as http from "node:http";
import * as http2 from "node:http2";
import type * as net from "node:net";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import * as tls from "node:tls";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "../support/certificates.ts";
import { eventually, outcomeOf, Reports, rawConnection, roles, serve, stillWaits, turns } from "../support/peers.ts";
import { limitOf } from "../support/runtime-limits.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { connectTls, versions } from "../support/wire-tls.ts";

const MEGABYTE = 2 ** 20;
const HOST = "127.0.0.1";
const { ca, client, server: local } = certificates();

async function echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  for await (const line of reader) {
    await writer.send(line);
  }
  writer.close();
}

function checkTlsInfo(writer: asyncio.StreamWriter, sock: tls.TLSSocket, peer: string): void {
  assert.equal(writer.getExtraInfo("peercert")?.subject.CN, peer);
  assert.match(String(writer.getExtraInfo("cipher")), /^[\w-]+,TLSv1\.[23],\d+$/);
  assert.equal(writer.getExtraInfo("ssl_object"), sock);
  assert.equal(writer.getExtraInfo("sslcontext"), null);
}

for (const version of versions) {
  for (const role of roles) {
    describe(`${version} connection of a ${role}`, () => {
      it("everything that was written before close() arrives (test_flush_before_shutdown)", async () => {
        await using connection = await connectTls(role, { version });
        const { writer, peer } = connection;
        writer.write(Buffer.alloc(5 * MEGABYTE, "x"));
        writer.write("end");
        writer.close();
        await peer.untilEnded();
        assert.equal(peer.length, 5 * MEGABYTE + 3);
        assert.ok(peer.text.endsWith("xend"));
        assert.equal(peer.error, null);
        await writer.waitClosed();
      });

      it("StreamReader.read() gets what the peer sent before its end (test_remote_shutdown_receives_trailing_data)", async () => {
        await using connection = await connectTls(role, { version });
        const { reader, writer, peer, tls: far } = connection;
        far.write(Buffer.alloc(5 * MEGABYTE, "x"));
        far.end("end");
        const data = await reader.read();
        assert.equal(data.length, 5 * MEGABYTE + 3);
        assert.ok(data.subarray(-4).equals(Buffer.from("xend")));
        writer.close();
        await writer.waitClosed();
        await peer.untilEnded();
      });

      it("StreamWriter.close() sends close_notify, and does not wait for the peer's", async () => {
        await using connection = await connectTls(role, { version });
        const { writer, peer } = connection;
        writer.close();
        await writer.waitClosed();
        await peer.untilEnded();
        assert.equal(peer.error, null);
      });

      it("StreamWriter.close() with sslShutdownTimeout waits for the peer's close_notify (test_shutdown_cleanly)", async () => {
        await using connection = await connectTls(role, { version, options: { sslShutdownTimeout: 60 } });
        const { reader, writer, peer, tls: far } = connection;
        writer.write("last words");
        writer.close();
        const closed = writer.waitClosed();
        await peer.untilEnded();
        assert.equal(peer.text, "last words");
        assert.ok(await stillWaits(closed));
        far.write("dropped");
        far.end();
        await closed;
        assert.equal(String(await reader.read()), "");
      });

      it("sslShutdownTimeout ends a close that the peer does not answer (test_shutdown_timeout)", async () => {
        await using connection = await connectTls(role, { version, options: { sslShutdownTimeout: 0.1 } });
        const { writer, peer, tls: far } = connection;
        writer.close();
        await assert.rejects(writer.waitClosed(), {
          name: "TimeoutError",
          code: "ETIMEDOUT",
          message: "SSL shutdown timed out",
        });
        // The connection is gone: who writes to it hears of it.
        assert.ok(await eventually(() => !far.write("anybody there?") && (far.destroyed || peer.error !== null)));
      });

      it("Transport.abort() does not wait for the shutdown", async () => {
        await using connection = await connectTls(role, { version, options: { sslShutdownTimeout: 60 } });
        const { writer } = connection;
        writer.close();
        writer.transport.abort();
        await writer.waitClosed();
      });

      it("half-close: the peer's side stays open after writeEof()", async () => {
        await using connection = await connectTls(role, { version });
        const { reader, writer, peer, tls: far } = connection;
        assert.equal(writer.canWriteEof(), true);
        writer.write("question");
        writer.writeEof();
        assert.throws(() => writer.write("late"), asyncio.RuntimeError);
        await peer.untilEnded();
        assert.equal(peer.text, "question");
        far.write("answer");
        assert.equal(String(await reader.readexactly(6)), "answer");
        assert.equal(writer.isClosing(), false);
        far.end();
        assert.equal((await reader.read()).length, 0);
        writer.close();
        await writer.waitClosed();
      });

      it("half-close: this side stays open after the peer's EOF", async () => {
        await using connection = await connectTls(role, { version });
        const { reader, writer, peer, tls: far } = connection;
        far.end("question");
        assert.equal(String(await reader.read()), "question");
        assert.equal(writer.isClosing(), false);
        await writer.send("answer");
        writer.close();
        await writer.waitClosed();
        await peer.untilEnded();
        assert.equal(peer.text, "answer");
      });

      it("an end without close_notify is a clean EOF", async () => {
        await using connection = await connectTls(role, { version });
        const { reader, writer, tls: far, plain } = connection;
        far.write("data");
        assert.equal(String(await reader.readexactly(4)), "data");
        plain.end();
        assert.equal((await reader.read()).length, 0);
        assert.equal(reader.exception(), null);
        writer.close();
        assert.equal(await outcomeOf(writer.waitClosed()), undefined);
      });

      it("a reset is a ConnectionResetError, after what had arrived", {
        skip: limitOf("reset under TLS"),
      }, async () => {
        await using connection = await connectTls(role, { version });
        const { reader, writer, tls: far, plain } = connection;
        far.write("data");
        assert.equal(String(await reader.peek(4)), "data");
        plain.resetAndDestroy();
        assert.ok((await outcomeOf(writer.waitClosed())) instanceof asyncio.ConnectionResetError);
        assert.equal(String(await reader.readexactly(4)), "data");
        await assert.rejects(reader.read(), asyncio.ConnectionResetError);
      });

      it("the marks are 512 and 128 KiB: drain() waits above, and until below", async () => {
        await using connection = await connectTls(role, { version });
        const { reader, writer, peer, tls: far } = connection;
        const { transport } = writer;
        // What a server sends after its handshake has to be read: else the system answers the close with a reset.
        far.write("ready");
        await reader.readexactly(5);
        assert.deepEqual(transport.getWriteBufferLimits(), [128 * 1024, 512 * 1024]);
        far.pause();
        writer.write(Buffer.alloc(512 * 1024));
        assert.equal(writer.needsDrain, false);
        for (let i = 0; i < 64 && !(await stillWaits(writer.drain())); i++) {
          writer.write(Buffer.alloc(MEGABYTE));
        }
        assert.ok(writer.needsDrain);
        const drained = writer.drain();
        far.resume();
        await drained;
        assert.ok(transport.getWriteBufferSize() <= 128 * 1024);
        writer.close();
        await peer.untilEnded();
        assert.equal(peer.length % (512 * 1024), 0);
      });

      it("a reader without reads stops the peer, and loses nothing", async () => {
        await using connection = await connectTls(role, { version, limit: 1024 });
        const { reader, writer, tls: far } = connection;
        const size = 16 * MEGABYTE;
        let written = false;
        far.write(Buffer.alloc(size, "x"), () => {
          written = true;
        });
        await eventually(() => !writer.transport.isReading());
        await turns(50);
        assert.equal(writer.transport.isReading(), false);
        assert.equal(written, false);
        assert.equal((await reader.readexactly(size)).length, size);
        writer.close();
        await writer.waitClosed();
      });

      it("what arrives after close() goes nowhere (test_data_after_closing)", async () => {
        await using connection = await connectTls(role, { version });
        const { reader, writer, tls: far } = connection;
        writer.close();
        far.write("late");
        assert.equal((await reader.read()).length, 0);
        await writer.waitClosed();
      });
    });
  }
}

describe("Contexts over TLS (test_server_context)", () => {
  const variable = new ContextVar("variable", { default: "default" });

  it("handlers see the value of when the server was made, each its own (test_asyncio_context)", async () => {
    const seen: string[] = [];
    await asyncio.createTask(async () => {
      variable.set("before_server");
      await using serving = await serve(
        async (reader, writer) => {
          seen.push(variable.get());
          variable.set(`handler ${seen.length}`);
          await reader.readline();
          writer.write(variable.get());
          writer.close();
        },
        { ssl: { ...local } },
      );
      variable.set("after_server");
      const ask = async (): Promise<string> => {
        const [reader, writer] = await asyncio.openConnection("localhost", serving.port, { ssl: { ca } });
        writer.write("line\n");
        const answer = String(await reader.read());
        writer.close();
        return answer;
      };
      const answers = await asyncio.gather(Array.from({ length: 20 }, () => ask));
      assert.equal(new Set(answers).size, 20);
      assert.equal(variable.get(), "after_server");
    });
    assert.deepEqual(new Set(seen), new Set(["before_server"]));
  });

  it("protocols are created and called in the connection's Context, whichever task resumes them (gh-140947)", async () => {
    const seen: string[] = [];
    class Noting extends asyncio.Protocol {
      #transport: asyncio.Transport | undefined;
      override connectionMade(transport: asyncio.Transport): void {
        this.#transport = transport;
        seen.push(`made ${variable.get()}`);
        variable.set("connection");
      }
      override dataReceived(data: Buffer): void {
        seen.push(`received ${data} ${variable.get()}`);
        const transport = this.#transport;
        transport?.pauseReading();
        asyncio.createTask(async () => {
          variable.set("task");
          await asyncio.sleep(0);
          transport?.resumeReading();
          transport?.write("next");
        });
      }
      override eofReceived(): void {
        seen.push(`eof ${variable.get()}`);
      }
      override connectionLost(): void {
        seen.push(`lost ${variable.get()}`);
      }
    }
    await asyncio.createTask(async () => {
      variable.set("creator");
      const loop = asyncio.getRunningLoop();
      const server = await loop.createServer(
        () => {
          seen.push(`factory ${variable.get()}`);
          return new Noting();
        },
        HOST,
        0,
        { ssl: { ...local } },
      );
      variable.set("later");
      const port = server.sockets[0]?.getsockname().port ?? 0;
      const [reader, writer] = await asyncio.openConnection("localhost", port, { ssl: { ca } });
      for (const word of ["one", "two"]) {
        writer.write(word);
        await reader.readexactly(4);
      }
      writer.close();
      server.close();
      await server.waitClosed();
    });
    assert.deepEqual(seen, [
      "factory creator",
      "made creator",
      "received one connection",
      "received two connection",
      "eof connection",
      "lost connection",
    ]);
  });
});

describe("TLS over other things than TCP", () => {
  it("startUnixServer() and openUnixConnection() (test_open_unix_connection_no_loop_ssl)", async () => {
    using reports = new Reports();
    using folder = new TemporaryFolder();
    const path = folder.file("tls.sock");
    const server = await asyncio.startUnixServer(echo, path, { ssl: { ...local } });
    for (const serverHostname of ["", "localhost"]) {
      const [reader, writer] = await asyncio.openUnixConnection(path, { ssl: { ca }, serverHostname });
      assert.equal(writer.getExtraInfo("peername"), path);
      assert.equal(writer.getExtraInfo("peercert")?.subject.CN, "server");
      await writer.send("line\n");
      assert.equal(String(await reader.readline()), "line\n");
      writer.close();
      await writer.waitClosed();
    }
    await assert.rejects(
      asyncio.openUnixConnection(path, { ssl: { ca }, serverHostname: "other.test" }),
      asyncio.SSLCertVerificationError,
    );
    server.close();
    await server.waitClosed();
    assert.equal(existsSync(path), false);
    assert.deepEqual(reports.all, []);
  });

  it("openConnection({ sock, ssl }) takes any Duplex", async () => {
    await using serving = await serve(echo, { ssl: { ...local } });
    const socket = await rawConnection(serving.port);
    const sock = Duplex.from({ readable: socket, writable: socket });
    const [reader, writer] = await asyncio.openConnection({ sock, ssl: { ca }, serverHostname: "localhost" });
    await writer.send("line\n");
    assert.equal(String(await reader.readline()), "line\n");
    writer.close();
    await writer.waitClosed();
    socket.destroy();
  });

  it("openConnection({ sock }) takes a TLSSocket that has shaken hands", async () => {
    await using serving = await serve(echo, { ssl: { ...local } });
    const sock = tls.connect({ port: serving.port, host: HOST, servername: "localhost", ca });
    await once(sock, "secureConnect");
    const [reader, writer] = await asyncio.openConnection({ sock });
    await writer.send("line\n");
    assert.equal(String(await reader.readline()), "line\n");
    writer.close();
    await writer.waitClosed();
  });

  for (const when of ["before", "after"]) {
    it(`getExtraInfo() knows TLS that other code has started, on a client taken over ${when} the handshake`, async () => {
      await using serving = await serve(echo, { ssl: { ...local, ALPNProtocols: ["echo"] } });
      const options = { port: serving.port, host: HOST, servername: "localhost", ca, ALPNProtocols: ["echo"] };
      const sock = tls.connect(options);
      if (when === "after") {
        await once(sock, "secureConnect");
      }
      const [reader, writer] = await asyncio.openConnection({ sock });
      await writer.send("line\n");
      assert.equal(String(await reader.readline()), "line\n");
      checkTlsInfo(writer, sock, "server");
      assert.equal(writer.getExtraInfo("alpn"), "echo");
      assert.deepEqual(writer.transport.getWriteBufferLimits(), [128 * 1024, 512 * 1024]);
      writer.transport.setWriteBufferLimits();
      assert.deepEqual(writer.transport.getWriteBufferLimits(), [128 * 1024, 512 * 1024]);
      writer.close();
      await writer.waitClosed();
      checkTlsInfo(writer, sock, "server");
    });
  }

  it("getExtraInfo() knows TLS that a tls.Server has started", async () => {
    const listener = tls.createServer({ ...local, ca, requestCert: true }).listen(0, HOST);
    await once(listener, "listening");
    const accepted = once(listener, "secureConnection") as Promise<[tls.TLSSocket]>;
    const opening = asyncio.openConnection("localhost", (listener.address() as net.AddressInfo).port, {
      ssl: { ca, ...client },
    });
    const [sock] = await accepted;
    const [, near] = await asyncio.openConnection({ sock });
    const [reader, writer] = await opening;
    await near.send("line\n");
    assert.equal(String(await reader.readline()), "line\n");
    checkTlsInfo(near, sock, "client");
    near.close();
    writer.close();
    listener.close();
  });

  it("startServer({ sock }) refuses servers that handle their connections themselves", async () => {
    for (const sock of [tls.createServer({ ...local }), http.createServer(), http2.createServer()]) {
      await assert.rejects(asyncio.startServer(echo, { sock: sock as net.Server }), {
        name: "TypeError",
        message: /^sock must be a net.Server, got an? (TLS|HTTP) server/,
      });
    }
  });

  it("BufferedProtocol gets its bytes, and connectionLost() once (test_buffered_protocol)", async () => {
    const done = new asyncio.Future<[string, number]>();
    class Gathering extends asyncio.BufferedProtocol {
      readonly #buffer = Buffer.alloc(7);
      #text = "";
      #lost = 0;
      override getBuffer(): Uint8Array {
        return this.#buffer;
      }
      override bufferUpdated(size: number): void {
        this.#text += this.#buffer.toString("utf8", 0, size);
      }
      override connectionLost(): void {
        this.#lost += 1;
        setImmediate(() => done.setResult([this.#text, this.#lost]));
      }
    }
    const server = await asyncio.getRunningLoop().createServer(() => new Gathering(), HOST, 0, { ssl: { ...local } });
    const port = server.sockets[0]?.getsockname().port ?? 0;
    const [, writer] = await asyncio.openConnection("localhost", port, { ssl: { ca } });
    writer.write("a text longer than the buffer");
    writer.close();
    assert.deepEqual(await done, ["a text longer than the buffer", 1]);
    server.close();
    await server.waitClosed();
  });
});

describe("TLS connections that end immediately", () => {
  const ways: Readonly<Record<string, (writer: asyncio.StreamWriter) => void>> = {
    "close()": (writer) => writer.close(),
    "abort()": (writer) => writer.transport.abort(),
    "writeEof()": (writer) => writer.writeEof(),
  };
  for (const [way, end] of Object.entries(ways)) {
    it(`a handler that begins with ${way} ends the connection of its client, and nothing hangs`, async () => {
      using reports = new Reports();
      await using serving = await serve((_, writer) => end(writer), { ssl: { ...local } });
      for (let i = 0; i < 10; i++) {
        const [reader, writer] = await asyncio.openConnection("localhost", serving.port, { ssl: { ca } });
        assert.equal((await reader.read()).length, 0);
        writer.close();
        await writer.waitClosed();
      }
      serving.server.close();
      await serving.server.waitClosed();
      assert.deepEqual(reports.all, []);
    });
  }

  it("a client that ends right after its handshake leaves nothing at the server", async () => {
    // Some are never served: in TLS 1.3 the client has done its part before the server has.
    let served = 0;
    let lost = 0;
    await using serving = await serve(
      async (reader, writer) => {
        served += 1;
        await outcomeOf(reader.read());
        writer.close();
        await outcomeOf(writer.waitClosed());
        lost += 1;
      },
      { ssl: { ...local } },
    );
    for (let i = 0; i < 10; i++) {
      const [, writer] = await asyncio.openConnection("localhost", serving.port, { ssl: { ca } });
      writer.transport.abort();
      await writer.waitClosed();
    }
    serving.server.close();
    await serving.server.waitClosed();
    assert.ok(await eventually(() => lost === served), `${lost} of ${served}`);
  });
});
