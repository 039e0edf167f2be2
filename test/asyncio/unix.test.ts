/** Unix sockets: streams over them, and what becomes of their files. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { closed, eventually, outcomeOf, Reports } from "../support/peers.ts";
import { Recorder } from "../support/protocols.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const loop = asyncio.getRunningLoop();

async function echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  for await (const line of reader) {
    writer.write(line);
    await writer.drain();
  }
  writer.close();
}

/** What the server at the path answers. */
async function ask(path: string, text: string): Promise<string> {
  const [reader, writer] = await asyncio.openUnixConnection(path);
  writer.write(text);
  writer.writeEof();
  const answer = String(await reader.read());
  writer.close();
  await writer.waitClosed();
  return answer;
}

/** A folder, and a path in it. */
function place(): Disposable & { readonly folder: string; readonly path: string } {
  const folder = new TemporaryFolder();
  return { folder: folder.path, path: `${folder.path}/s`, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

describe("startUnixServer() and openUnixConnection()", () => {
  it("startUnixServer() serves at the path, with plain and async handlers (test_start_unix_server)", async () => {
    using reports = new Reports();
    using where = place();
    await using _server = await asyncio.startUnixServer(echo, where.path);
    assert.equal(await ask(where.path, "one\ntwo\n"), "one\ntwo\n");
    const plain = `${where.folder}/plain`;
    await using _plain = await asyncio.startUnixServer((reader, writer) => {
      asyncio.createTask(() => echo(reader, writer));
    }, plain);
    assert.equal(await ask(plain, "three\n"), "three\n");
    assert.deepEqual(reports.messages, []);
  });

  it("openUnixConnection() knows the path as its peer, and the server as its own address", async () => {
    using where = place();
    const seen: unknown[] = [];
    await using server = await asyncio.startUnixServer((_reader, writer) => {
      seen.push(writer.getExtraInfo("sockname"), writer.getExtraInfo("peername"));
      writer.close();
    }, where.path);
    const [reader, writer] = await asyncio.openUnixConnection(where.path);
    await reader.read();
    writer.close();
    await writer.waitClosed();
    assert.deepEqual(seen, [where.path, ""]);
    assert.deepEqual([writer.getExtraInfo("peername"), writer.getExtraInfo("sockname")], [where.path, ""]);
    assert.equal(server.sockets[0]?.getsockname() as unknown, where.path);
    assert.equal(String(server), `<Server sockets=(<ServerSocket ${where.path}>,)>`);
  });

  it("loop.createUnixServer({ startServing: false }) serves from startServing() on (test_start_unix_server_1)", async () => {
    using where = place();
    const protocol = new Recorder();
    const server = await loop.createUnixServer(() => protocol, where.path, { startServing: false });
    assert.equal(server.isServing(), false);
    const [transport, client] = await loop.createUnixConnection(() => new Recorder(), where.path);
    transport.write("early");
    await server.startServing();
    await server.startServing();
    assert.ok(server.isServing());
    assert.ok(await eventually(() => protocol.text === "early"));
    server.close();
    assert.deepEqual(server.sockets, []);
    transport.close();
    await server.waitClosed();
    assert.ok(await eventually(() => client.isLost));
    await assert.rejects(server.startServing(), asyncio.RuntimeError);
  });

  it("startUnixServer() is refused with neither path nor sock, or both, or with what is no path", async () => {
    const sock = net.createServer();
    for (const [call, error, message] of [
      [() => asyncio.startUnixServer(echo), asyncio.ValueError, "path was not specified, and no sock specified"],
      [() => asyncio.startUnixServer(echo, null), asyncio.ValueError, "path was not specified, and no sock specified"],
      [
        () => asyncio.startUnixServer(echo, "/none", { sock }),
        asyncio.ValueError,
        "path and sock can not be specified at the same time",
      ],
      [() => asyncio.startUnixServer(echo, 5 as never), TypeError, "startUnixServer(): path must be a string, got 5"],
      [
        () => asyncio.startUnixServer(echo, { sock: {} as never }),
        asyncio.ValueError,
        "A Stream Socket was expected, got {",
      ],
      [
        () => asyncio.startUnixServer(echo, "/none", { family: 4 } as never),
        TypeError,
        "startUnixServer() got an unexpected option 'family'",
      ],
    ] as const) {
      const outcome = await outcomeOf(call());
      assert.ok(outcome instanceof error, String(outcome));
      assert.ok((outcome as Error).message.startsWith(message), (outcome as Error).message);
    }
    assert.equal(sock.listening, false);
  });
});

describe("The file of a Unix server", () => {
  it("Server.close() removes it (test_unix_server_addr_cleanup)", async () => {
    using where = place();
    const server = await asyncio.startUnixServer(echo, where.path);
    assert.ok(fs.lstatSync(where.path).isSocket());
    server.close();
    assert.equal(fs.existsSync(where.path), false);
    await server.waitClosed();
    assert.deepEqual(fs.readdirSync(where.folder), []);
  });

  it("Server.close() also removes the file of a socket that was passed as sock (test_unix_server_sock_cleanup)", async () => {
    using where = place();
    const sock = net.createServer();
    sock.listen(where.path);
    await once(sock, "listening");
    const server = await asyncio.startUnixServer(echo, { sock });
    assert.equal(await ask(where.path, "x\n"), "x\n");
    server.close();
    await server.waitClosed();
    assert.deepEqual(fs.readdirSync(where.folder), []);
  });

  it("Server.close() throws nothing if the file is gone already (test_unix_server_cleanup_gone)", async () => {
    using where = place();
    const server = await asyncio.startUnixServer(echo, where.path);
    fs.unlinkSync(where.path);
    server.close();
    await server.waitClosed();
    const inFolder = await asyncio.startUnixServer(echo, where.path);
    fs.rmSync(where.folder, { recursive: true });
    inFolder.close();
    await inFolder.waitClosed();
  });

  it("Server.close() does not remove a socket that another server has created meanwhile (test_unix_server_cleanup_replaced)", async () => {
    using where = place();
    const first = await asyncio.startUnixServer(echo, where.path);
    await using _second = await asyncio.startUnixServer(echo, where.path);
    first.close();
    await first.waitClosed();
    assert.ok(fs.lstatSync(where.path).isSocket());
    assert.equal(await ask(where.path, "of the second\n"), "of the second\n");
    assert.deepEqual(fs.readdirSync(where.folder), ["s"]);
  });

  it("Server.close() leaves one alone that is no socket", async () => {
    using where = place();
    const server = await asyncio.startUnixServer(echo, where.path);
    fs.unlinkSync(where.path);
    fs.writeFileSync(where.path, "of somebody else");
    server.close();
    await server.waitClosed();
    assert.equal(fs.readFileSync(where.path, "utf8"), "of somebody else");
    assert.deepEqual(fs.readdirSync(where.folder), ["s"]);
  });

  it("Server.close() leaves it with cleanupSocket: false, and the next server takes its place (test_unix_server_cleanup_prevented)", async () => {
    using where = place();
    const first = await asyncio.startUnixServer(echo, where.path, { cleanupSocket: false });
    first.close();
    await first.waitClosed();
    assert.ok(fs.lstatSync(where.path).isSocket());
    assert.deepEqual(fs.readdirSync(where.folder), ["s"]);
    const second = await asyncio.startUnixServer(echo, where.path);
    assert.equal(await ask(where.path, "of the second\n"), "of the second\n");
    second.close();
    await second.waitClosed();
    assert.deepEqual(fs.readdirSync(where.folder), []);
  });

  it("Server.close() closes, though the name for putting another's file aside is taken", async () => {
    using where = place();
    const server = await asyncio.startUnixServer(echo, where.path, { cleanupSocket: false });
    fs.mkdirSync(`${where.path}.${process.pid}`);
    server.close();
    await server.waitClosed();
    const outcome = await outcomeOf(asyncio.openUnixConnection(where.path));
    assert.ok(outcome instanceof asyncio.OSError, String(outcome));
  });

  it("startUnixServer() takes the place of a socket that was left over", async () => {
    using where = place();
    const left = net.createServer();
    left.listen(where.path);
    await once(left, "listening");
    // A second name keeps the file when its owner goes.
    fs.linkSync(where.path, `${where.path}2`);
    await closed(left);
    fs.renameSync(`${where.path}2`, where.path);
    await using _server = await asyncio.startUnixServer(echo, where.path);
    assert.equal(await ask(where.path, "x\n"), "x\n");
  });

  it("startUnixServer() is an OSError with EADDRINUSE where there is a file, and leaves it", async () => {
    using where = place();
    fs.writeFileSync(where.path, "precious");
    const error = await outcomeOf(asyncio.startUnixServer(echo, where.path));
    assert.ok(error instanceof asyncio.OSError, String(error));
    assert.equal(error.code, "EADDRINUSE");
    assert.equal(error.message, `[Errno 98] Address '${where.path}' is already in use`);
    assert.equal(fs.readFileSync(where.path, "utf8"), "precious");
  });

  it("startUnixServer() is an OSError of the right class in a folder that is not there, or takes no sockets", async () => {
    using where = place();
    const missing = await outcomeOf(asyncio.startUnixServer(echo, `${where.folder}/none/s`));
    assert.ok(missing instanceof asyncio.OSError, String(missing));
    // libuv says EACCES for a folder that is missing.
    assert.ok(["ENOENT", "EACCES"].includes(missing.code), missing.code);
    if (process.getuid?.() !== 0) {
      fs.chmodSync(where.folder, 0o500);
      const denied = await outcomeOf(asyncio.startUnixServer(echo, where.path));
      assert.ok(denied instanceof asyncio.PermissionError, String(denied));
      fs.chmodSync(where.folder, 0o700);
    }
  });

  it("startUnixServer() refuses a path that is too long, and takes the longest that is not", async () => {
    using where = place();
    const room = 107 - Buffer.byteLength(`${where.folder}/`);
    const longest = `${where.folder}/${"n".repeat(room)}`;
    const error = await outcomeOf(asyncio.startUnixServer(echo, `${longest}n`));
    assert.ok(error instanceof asyncio.OSError, String(error));
    assert.equal(error.code, "ENAMETOOLONG");
    assert.match(error.message, /^AF_UNIX path too long: /);
    // Bytes count, not letters.
    const umlauts = await outcomeOf(asyncio.startUnixServer(echo, `${where.folder}/${"ü".repeat(room)}`));
    assert.equal((umlauts as asyncio.OSError).code, "ENAMETOOLONG");
    assert.deepEqual(fs.readdirSync(where.folder), []);
    await using _server = await asyncio.startUnixServer(echo, longest);
    assert.equal(await ask(longest, "x\n"), "x\n");
  });

  it("openUnixConnection() refuses a path that is too long, instead of going to another", async () => {
    using where = place();
    const path = `${where.folder}/${"n".repeat(107 - Buffer.byteLength(`${where.folder}/`))}`;
    await using _server = await asyncio.startUnixServer(echo, path);
    const error = await outcomeOf(asyncio.openUnixConnection(`${path}n`));
    assert.ok(error instanceof asyncio.OSError, String(error));
    assert.equal(error.code, "ENAMETOOLONG");
  });

  it("startUnixServer() listens at an abstract name, which is no file", {
    skip: process.platform === "linux" ? false : "abstract names are Linux's",
  }, async () => {
    const name = `\0contextvars-${process.pid}`;
    const server = await asyncio.startUnixServer(echo, name);
    assert.equal(server.sockets[0]?.getsockname() as unknown, name);
    assert.equal(await ask(name, "abstract\n"), "abstract\n");
    const taken = await outcomeOf(asyncio.startUnixServer(echo, name));
    assert.ok(taken instanceof asyncio.OSError, String(taken));
    assert.equal(taken.code, "EADDRINUSE");
    server.close();
    await server.waitClosed();
    const refused = await outcomeOf(asyncio.openUnixConnection(name));
    assert.ok(refused instanceof asyncio.ConnectionRefusedError, String(refused));
  });
});

describe("Unix connections and time limits", () => {
  it("startUnixServer({ idleTimeout, readTimeout, limit, maxConnections }) works as over TCP", async () => {
    using where = place();
    const errors: unknown[] = [];
    await using _server = await asyncio.startUnixServer(
      async (reader, writer) => {
        errors.push(await outcomeOf(reader.readexactly(5)));
        errors.push(await outcomeOf(reader.readuntil("\n")));
        errors.push(await outcomeOf(writer.waitClosed()));
      },
      where.path,
      { idleTimeout: 0.8, readTimeout: 0.02, limit: 5, maxConnections: 1 },
    );
    const [reader, writer] = await asyncio.openUnixConnection(where.path);
    writer.write("1234");
    assert.ok(await eventually(() => errors.length === 1));
    writer.write("56789");
    const [tooMany, second] = await asyncio.openUnixConnection(where.path);
    await outcomeOf(tooMany.read());
    assert.ok(await eventually(() => errors.length === 3));
    assert.deepEqual(
      errors.map((error) => (error as Error).name),
      ["TimeoutError", "LimitOverrunError", "TimeoutError"],
    );
    await outcomeOf(reader.read());
    writer.close();
    await outcomeOf(writer.waitClosed());
    second.transport.abort();
  });
});
