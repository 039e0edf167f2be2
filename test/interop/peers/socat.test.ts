/** socat and nc, which do to a stream of bytes what a network may do to it. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { External, makeCertificate, missing, runExternal } from "../../support/external.ts";
import { freePort, serve } from "../../support/peers.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";

const HOST = "127.0.0.1";

/** Reads everything, and answers only after the client's EOF. */
async function lateAnswer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  const data = await reader.read();
  await writer.send(`got ${data.length} bytes\n`);
  writer.close();
}

/** Lines, a length and that many bytes, a separator of several bytes: and sends all of it back. */
async function mixed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  const line = await reader.readline();
  if (line.length === 0) {
    // A client that only checks whether a server listens.
    writer.close();
    return;
  }
  const bytes = await reader.readexactly(Number(line));
  const tail = await reader.readuntil("--\r\n--");
  await writer.send(Buffer.concat([line, bytes, tail]));
  writer.close();
}

describe("socat", { skip: missing("socat") }, () => {
  it("socat -b 1 hands every byte on alone, in both directions: nothing is lost or misread", async () => {
    await using server = await serve(mixed);
    const port = await freePort();
    const args = ["-b", "1", `TCP-LISTEN:${port},bind=${HOST},fork,nodelay`, `TCP:${HOST}:${server.port},nodelay`];
    await using _socat = await new External("socat", args).listening(port);
    const [reader, writer] = await asyncio.openConnection(HOST, port);
    const bytes = randomBytes(2000);
    const message = Buffer.concat([Buffer.from(`${bytes.length}\n`), bytes, Buffer.from("a-b--c--\r\n-d--\r\n--")]);
    await writer.send(message);
    assert.ok((await reader.readexactly(message.length)).equals(message));
    assert.equal((await reader.read()).length, 0);
    await writer[Symbol.asyncDispose]();
  });

  it("socat shuts its side down: the answer that comes afterwards gets through", async () => {
    await using server = await serve(lateAnswer);
    const input = randomBytes(300_000);
    const { status, stdout } = await runExternal("socat", ["-t", "10", "-", `TCP:${HOST}:${server.port}`], input);
    assert.equal(status, 0);
    assert.equal(stdout, "got 300000 bytes\n");
  });

  it("socat waits for StreamWriter.writeEof(), and its answer can still be read", async () => {
    const port = await freePort();
    // wc answers when its input has ended.
    const args = ["-t", "1", `TCP-LISTEN:${port},bind=${HOST},fork`, "EXEC:wc -c,pipes"];
    await using _socat = await new External("socat", args).listening(port);
    const [reader, writer] = await asyncio.openConnection(HOST, port);
    await writer.send("x".repeat(100_000));
    writer.writeEof();
    assert.equal(String(await reader.read()).trim(), "100000");
    await writer[Symbol.asyncDispose]();
  });

  for (const [name, pathOf] of [
    ["a path", (folder: TemporaryFolder) => folder.file("socket")],
    ["an abstract name", (folder: TemporaryFolder) => `\0${folder.path}`],
  ] as const) {
    it(`socat connects to startUnixServer() at ${name}`, async () => {
      using folder = new TemporaryFolder();
      const path = pathOf(folder);
      await using _server = await asyncio.startUnixServer(lateAnswer, path);
      // Node's abstract names are filled up with zeros to their full length.
      const address = path.startsWith("\0")
        ? `ABSTRACT-CONNECT:${path.slice(1)},unix-tightsocklen=0`
        : `UNIX-CONNECT:${path}`;
      const { stdout, stderr } = await runExternal("socat", ["-t", "10", "-", address], "hello");
      assert.equal(stdout, "got 5 bytes\n", stderr);
    });
  }

  it("socat listens at a unix socket for openUnixConnection()", async () => {
    using folder = new TemporaryFolder();
    const path = folder.file("socket");
    await using _socat = await new External("socat", [`UNIX-LISTEN:${path},fork`, "EXEC:cat"]).listening(path);
    const [reader, writer] = await asyncio.openUnixConnection(path);
    await writer.send("hello\n");
    assert.equal(String(await reader.readline()), "hello\n");
    writer.writeEof();
    assert.equal(String(await reader.read()), "");
    await writer[Symbol.asyncDispose]();
  });

  it("socat is the client of a server with TLS, byte by byte", { skip: missing("openssl") }, async () => {
    using folder = new TemporaryFolder();
    const { key, cert } = await makeCertificate(folder);
    await using server = await serve(mixed, { ssl: { key: readFileSync(key), cert: readFileSync(cert) } });
    const address = `OPENSSL:${HOST}:${server.port},cafile=${cert}`;
    const message = `500\n${"y".repeat(500)}tail--\r\n--`;
    const { stdout, stderr } = await runExternal("socat", ["-b", "1", "-t", "10", "-", address], message);
    assert.equal(stdout, message, stderr);
  });

  it("socat is the server of a client with TLS", { skip: missing("openssl") }, async () => {
    using folder = new TemporaryFolder();
    const { key, cert } = await makeCertificate(folder);
    const port = await freePort();
    const address = `OPENSSL-LISTEN:${port},bind=${HOST},fork,cert=${cert},key=${key},verify=0`;
    await using _socat = await new External("socat", [address, "EXEC:cat"]).listening(port);
    const [reader, writer] = await asyncio.openConnection(HOST, port, { ssl: { ca: readFileSync(cert) } });
    const data = randomBytes(200_000);
    writer.write(data);
    assert.ok((await reader.readexactly(data.length)).equals(data));
    await writer[Symbol.asyncDispose]();
  });
});

describe("nc", { skip: missing("nc") }, () => {
  it("nc -N half-closes, and gets the answer that comes afterwards", async () => {
    await using server = await serve(lateAnswer);
    const { stdout } = await runExternal("nc", ["-N", HOST, String(server.port)], "x".repeat(300_000));
    assert.equal(stdout, "got 300000 bytes\n");
  });

  it("nc -lN sends what it has and an EOF; StreamReader.read() gives it, and what was written arrives", async () => {
    const port = await freePort();
    await using nc = new External("nc", ["-lvN", HOST, String(port)]);
    nc.end("from nc\n");
    await nc.printed(/[Ll]istening on/);
    const [reader, writer] = await asyncio.openConnection(HOST, port);
    assert.equal(String(await reader.read()), "from nc\n");
    await writer.send("to nc\n");
    await writer[Symbol.asyncDispose]();
    assert.equal(await nc.ended(), 0);
    assert.equal(nc.stdout, "to nc\n");
  });
});
