/** The client of examples/ against Redis itself. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { RedisClient, RedisError } from "../../../examples/redis-client.ts";
import { External, makeCertificate, missing } from "../../support/external.ts";
import { freePort, outcomeOf } from "../../support/peers.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";

const HOST = "127.0.0.1";

function redisServer(folder: TemporaryFolder, ...options: string[]): External {
  return new External("redis-server", ["--bind", HOST, "--save", "", "--dir", folder.path, ...options]);
}

async function withServer(body: (port: number) => Promise<void>): Promise<void> {
  using folder = new TemporaryFolder();
  const port = await freePort();
  await using _server = await redisServer(folder, "--port", String(port)).listening(port);
  await body(port);
}

async function withClient(body: (client: RedisClient, port: number) => Promise<void>): Promise<void> {
  await withServer(async (port) => {
    const client = new RedisClient(...(await asyncio.openConnection(HOST, port)));
    try {
      await body(client, port);
    } finally {
      await client.close();
    }
  });
}

describe("redis-server", { skip: missing("redis-server") }, () => {
  it("redis-server answers 10,000 pipelined commands in their order", () =>
    withClient(async (client) => {
      const count = 10_000;
      const commands = Array.from({ length: count }, (_, i) => ["ECHO", `word ${i}`]);
      const replies = await client.pipeline(commands);
      assert.equal(replies.map(String).join("\n"), commands.map(([, word]) => word).join("\n"));

      const counters = await client.pipeline(Array.from({ length: count }, () => ["INCR", "counter"]));
      assert.deepEqual(
        counters,
        Array.from({ length: count }, (_, i) => i + 1),
      );
    }));

  it("redis-server gives a value of a megabyte back as it got it", () =>
    withClient(async (client) => {
      const value = randomBytes(1024 * 1024);
      assert.equal(await client.call("SET", "large", value), "OK");
      const [first, second, length] = await client.pipeline([
        ["GET", "large"],
        ["GET", "large"],
        ["STRLEN", "large"],
      ]);
      assert.ok(value.equals(first as Buffer));
      assert.ok(value.equals(second as Buffer));
      assert.equal(length, value.length);
    }));

  it("redis-server takes 64 values of a megabyte in one pipeline, while the client reads what it answers", () =>
    withClient(async (client) => {
      const value = randomBytes(1024 * 1024);
      const replies = await client.pipeline(
        Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? ["SET", "large", value] : ["GET", "large"])),
      );
      replies.forEach((reply, i) => {
        assert.ok(i % 2 === 0 ? reply === "OK" : value.equals(reply as Buffer), `reply ${i}`);
      });
    }));

  it("redis-server refuses one command of a pipeline, and answers the others", () =>
    withClient(async (client) => {
      const [ok, wrong, value] = await client.pipeline([
        ["SET", "key", "text"],
        ["LPUSH", "key", "element"],
        ["GET", "key"],
      ]);
      assert.equal(ok, "OK");
      assert.ok(wrong instanceof RedisError);
      assert.match(wrong.message, /^WRONGTYPE/);
      assert.equal(String(value), "text");
    }));

  it("redis-server answers a transaction with an array, an error within it", () =>
    withClient(async (client) => {
      const replies = await client.pipeline([["MULTI"], ["SET", "key", "text"], ["INCR", "key"], ["EXEC"]]);
      assert.deepEqual(replies.slice(0, 3), ["OK", "QUEUED", "QUEUED"]);
      const [ok, wrong] = replies[3] as [unknown, unknown];
      assert.equal(ok, "OK");
      assert.ok(wrong instanceof RedisError);
    }));

  it("redis-server kills a client: the command that waits, and each one after it, ends with an error", () =>
    withClient(async (client, port) => {
      const id = await client.call("CLIENT", "ID");
      const waiting = client.call("BLPOP", "nothing", 0);
      const other = new RedisClient(...(await asyncio.openConnection(HOST, port)));
      assert.equal(await other.call("CLIENT", "KILL", "ID", Number(id)), 1);
      const error = await outcomeOf(waiting);
      assert.ok(error instanceof asyncio.IncompleteReadError, String(error));
      assert.equal(error.partial.length, 0);
      assert.equal(await outcomeOf(client.call("PING")), error);
      await other.close();
    }));

  it("redis-server dies: the command that waits ends with an error", async () => {
    using folder = new TemporaryFolder();
    const port = await freePort();
    await using server = await redisServer(folder, "--port", String(port)).listening(port);
    const client = new RedisClient(...(await asyncio.openConnection(HOST, port)));
    assert.equal(await client.call("PING"), "PONG");
    const waiting = client.call("BLPOP", "nothing", 0);
    server.kill("SIGKILL");
    const error = await outcomeOf(waiting);
    assert.ok(error instanceof asyncio.IncompleteReadError || error instanceof asyncio.ConnectionError, String(error));
    await client.close();
    await assert.rejects(asyncio.openConnection(HOST, port), asyncio.ConnectionRefusedError);
  });

  it("redis-server publishes to a subscriber whose reads were cancelled before: nothing is lost", () =>
    withClient(async (client, port) => {
      const [reader, writer] = await asyncio.openConnection(HOST, port);
      writer.write("SUBSCRIBE news\r\n");
      assert.match(String(await reader.readuntil(":1\r\n")), /subscribe/);
      const head = "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n";
      for (let i = 0; i < 20; i++) {
        // Waits for more than will come: cancelled before and after the first bytes.
        const read = asyncio.createTask(() => reader.readexactly(1000));
        await asyncio.sleep(0);
        if (i % 2 === 0) {
          read.cancel();
        }
        assert.equal(await client.call("PUBLISH", "news", `item ${i}`), 1);
        read.cancel();
        assert.ok(asyncio.isCancelled(await outcomeOf(read)));
        const message = `$${`item ${i}`.length}\r\nitem ${i}\r\n`;
        assert.equal(String(await reader.readexactly(head.length + message.length)), head + message);
      }
      writer.close();
      await writer.waitClosed();
    }));

  it("redis-server serves over a unix socket", async () => {
    using folder = new TemporaryFolder();
    const path = folder.file("redis.sock");
    await using _server = await redisServer(folder, "--port", "0", "--unixsocket", path).listening(path);
    const [reader, writer] = await asyncio.openUnixConnection(path);
    const client = new RedisClient(reader, writer);
    assert.equal(await client.call("SET", "key", "value"), "OK");
    assert.equal(String(await client.call("GET", "key")), "value");
    assert.equal(writer.getExtraInfo("peername"), path);
    await client.close();
  });

  it("redis-server serves over TLS, and asks the client for a certificate", { skip: missing("openssl") }, async () => {
    using folder = new TemporaryFolder();
    const files = await makeCertificate(folder);
    const port = await freePort();
    const tls = ["--tls-cert-file", files.cert, "--tls-key-file", files.key, "--tls-ca-cert-file", files.cert];
    await using _server = await redisServer(folder, "--port", "0", "--tls-port", String(port), ...tls).listening(port);
    const ca = readFileSync(files.cert);
    const ssl = { ca, cert: ca, key: readFileSync(files.key) };
    const [reader, writer] = await asyncio.openConnection(HOST, port, { ssl });
    const client = new RedisClient(reader, writer);
    const value = randomBytes(1024 * 1024);
    const replies = await client.pipeline([
      ["SET", "large", value],
      ...Array.from({ length: 1000 }, (_, i) => ["ECHO", i]),
      ["GET", "large"],
    ]);
    assert.equal(replies.length, 1002);
    assert.ok(value.equals(replies.at(-1) as Buffer));
    assert.match(String(writer.getExtraInfo("cipher")), /TLSv1\.3/);
    await client.close();
    await assert.rejects(asyncio.openConnection(HOST, port, { ssl: true }), asyncio.SSLCertVerificationError);
    // Without a certificate of the client's own: with TLS 1.3 the refusal comes after the handshake.
    const refused = await outcomeOf(
      asyncio.openConnection(HOST, port, { ssl: { ca } }).then(async ([strange, other]) => {
        other.write("PING\r\n");
        return await strange.readline().finally(() => other.transport.abort());
      }),
    );
    assert.ok(refused instanceof asyncio.OSError, String(refused));
  });
});
