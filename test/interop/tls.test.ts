/** TLS between both ends of this package, over TCP, over Unix sockets and by STARTTLS. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { makeCertificate, missing } from "../support/external.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

describe("TLS", { skip: missing("openssl") }, () => {
  let folder: TemporaryFolder;
  let key: Buffer;
  let cert: Buffer;

  before(async () => {
    folder = new TemporaryFolder();
    const made = await makeCertificate(folder);
    key = readFileSync(made.key);
    cert = readFileSync(made.cert);
  });
  after(() => folder[Symbol.dispose]());

  const echo = async (reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> => {
    for await (const line of reader) {
      await writer.send(line);
    }
    writer.close();
    await writer.waitClosed();
  };
  const portOf = (server: asyncio.Server): number => server.sockets[0]?.getsockname().port ?? 0;

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    it(`openConnection() and startServer() speak ${version}, and half-close works`, async () => {
      const ssl = { key, cert, minVersion: version, maxVersion: version };
      const server = await asyncio.startServer(echo, "127.0.0.1", 0, { ssl });
      const [reader, writer] = await asyncio.openConnection("localhost", portOf(server), { ssl: { ca: cert } });
      assert.equal(writer.getExtraInfo("cipher")?.[1], version);
      assert.notEqual(writer.getExtraInfo("peercert"), null);
      assert.equal(writer.getExtraInfo("ssl_object")?.encrypted, true);
      await writer.send("one\n");
      assert.equal(String(await reader.readline()), "one\n");
      writer.write("two\n");
      writer.writeEof();
      assert.equal(String(await reader.read()), "two\n");
      writer.close();
      await writer.waitClosed();
      assert.equal(writer.getExtraInfo("cipher")?.[1], version);
      server.close();
      await server.waitClosed();
    });
  }

  it("openConnection() refuses a certificate that is not to be trusted, or of another name", async () => {
    const server = await asyncio.startServer(echo, "127.0.0.1", 0, { ssl: { key, cert } });
    const port = portOf(server);
    await assert.rejects(asyncio.openConnection("localhost", port, { ssl: true }), asyncio.SSLCertVerificationError);
    const other = { ssl: { ca: cert }, serverHostname: "other.example" };
    await assert.rejects(asyncio.openConnection("127.0.0.1", port, other), asyncio.SSLCertVerificationError);
    const unchecked = { ssl: { ca: cert }, serverHostname: "" };
    const [, writer] = await asyncio.openConnection("127.0.0.1", port, unchecked);
    writer.close();
    await writer.waitClosed();
    server.close();
    await server.waitClosed();
  });

  it("everything that was written before close() arrives", async () => {
    const size = 5 * 2 ** 20;
    const server = await asyncio.startServer(
      (_, writer) => {
        writer.write(Buffer.alloc(size, "x"));
        writer.close();
      },
      "127.0.0.1",
      0,
      { ssl: { key, cert } },
    );
    const [reader, writer] = await asyncio.openConnection("localhost", portOf(server), { ssl: { ca: cert } });
    assert.equal((await reader.read()).length, size);
    writer.close();
    server.close();
    await server.waitClosed();
  });

  it("a handshake that takes too long is given up on both sides, and the server serves others", async () => {
    const server = await asyncio.startServer(echo, "127.0.0.1", 0, { ssl: { key, cert }, sslHandshakeTimeout: 0.1 });
    const [silent, silentWriter] = await asyncio.openConnection("127.0.0.1", portOf(server));
    assert.equal((await silent.read().catch(() => Buffer.alloc(0))).length, 0);
    silentWriter.close();
    const [reader, writer] = await asyncio.openConnection("localhost", portOf(server), { ssl: { ca: cert } });
    await writer.send("served\n");
    assert.equal(String(await reader.readline()), "served\n");
    writer.close();
    server.close();
    await server.waitClosed();

    const mute = await asyncio.startServer((plain) => plain.read(), "127.0.0.1", 0);
    await assert.rejects(
      asyncio.openConnection("localhost", portOf(mute), { ssl: true, sslHandshakeTimeout: 0.1 }),
      (error: Error) =>
        error instanceof asyncio.ConnectionAbortedError &&
        /SSL handshake is taking longer than 0.1 seconds/.test(error.message),
    );
    mute.close();
    mute.abortClients();
    await mute.waitClosed();
  });

  it("StreamWriter.startTls() goes over to TLS on both sides, with what came early (test_start_tls_buffered_data)", async () => {
    const server = await asyncio.startServer(
      async (reader, writer) => {
        await writer.send(await reader.readline());
        // The client's first words of TLS are in the buffer by now.
        await reader.peek(16);
        await writer.startTls({ key, cert });
        await writer.send(`secured ${await reader.readline()}`);
        writer.close();
      },
      "127.0.0.1",
      0,
    );
    const [reader, writer] = await asyncio.openConnection("localhost", portOf(server));
    assert.equal(writer.getExtraInfo("sslcontext"), null);
    await writer.send("plain\n");
    assert.equal(String(await reader.readline()), "plain\n");
    await writer.startTls({ ca: cert });
    assert.notEqual(writer.getExtraInfo("sslcontext"), null);
    await writer.send("line\n");
    assert.equal(String(await reader.readline()), "secured line\n");
    assert.equal(String(await reader.read()), "");
    writer.close();
    await writer.waitClosed();
    server.close();
    await server.waitClosed();
  });

  it("StreamWriter.startTls() of a client refuses plaintext that came after the server's word", async () => {
    const server = await asyncio.startServer(
      async (reader, writer) => {
        await reader.readline();
        await writer.send("220 go ahead\r\n250 injected\r\n");
        await reader.read();
        writer.close();
      },
      "127.0.0.1",
      0,
    );
    const [reader, writer] = await asyncio.openConnection("localhost", portOf(server));
    await writer.send("STARTTLS\r\n");
    await reader.readline();
    await assert.rejects(writer.startTls({ ca: cert }), { name: "SSLError", code: "ERR_STARTTLS_INJECTION" });
    assert.ok(writer.isClosing());
    server.close();
    await server.waitClosed();
  });

  it("startUnixServer() and openUnixConnection() speak TLS, and the file of the socket goes with the server", async () => {
    const path = join(folder.path, "tls.sock");
    const server = await asyncio.startUnixServer(echo, path, { ssl: { key, cert } });
    const [reader, writer] = await asyncio.openUnixConnection(path, { ssl: { ca: cert }, serverHostname: "localhost" });
    await writer.send("hello\n");
    assert.equal(String(await reader.readline()), "hello\n");
    assert.equal(writer.getExtraInfo("peername"), path);
    writer.close();
    server.close();
    await server.waitClosed();
    assert.equal(existsSync(path), false);
  });

  it("handlers see the Context in which the server was made (test_server_context over TLS)", async () => {
    const variable = new ContextVar("variable", { default: "default" });
    const seen: string[] = [];
    await asyncio.createTask(async () => {
      variable.set("before_server");
      const server = await asyncio.startServer(
        async (reader, writer) => {
          seen.push(variable.get());
          variable.set("handler");
          await reader.readline();
          seen.push(variable.get());
          writer.close();
        },
        "127.0.0.1",
        0,
        { ssl: { key, cert } },
      );
      variable.set("after_server");
      for (let i = 0; i < 3; i++) {
        const [reader, writer] = await asyncio.openConnection("localhost", portOf(server), { ssl: { ca: cert } });
        await writer.send("line\n");
        await reader.read();
        writer.close();
      }
      server.close();
      await server.waitClosed();
      assert.equal(variable.get(), "after_server");
    });
    assert.deepEqual(seen, Array.from({ length: 3 }, () => ["before_server", "handler"]).flat());
  });

  it("options that mean nothing without TLS, and things that are no TLS context, are refused by name", async () => {
    const refused = (options: asyncio.OpenConnectionOptions): Promise<unknown> =>
      asyncio.openConnection("127.0.0.1", 1, options);
    await assert.rejects(refused({ serverHostname: "x" }), /^ValueError: serverHostname is only meaningful with ssl/);
    await assert.rejects(
      refused({ ssl: true, sslHandshakeTimeout: 0 }),
      /sslHandshakeTimeout must be a positive number of seconds, got 0/,
    );
    await assert.rejects(refused({ ssl: 1 as never }), TypeError);
    await assert.rejects(
      asyncio.startServer(echo, "127.0.0.1", 0, { ssl: true as never }),
      /^TypeError: ssl must be options of node:tls with key and cert or a tls.SecureContext/,
    );
  });
});
