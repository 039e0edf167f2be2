/** Cases of CPython's `test_streams.py` that no other file has. Their names stand in brackets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as http from "node:http";
import * as https from "node:https";
import type { Server as NetServer } from "node:net";
import { describe, it } from "node:test";
import { copyContext } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "../support/certificates.ts";
import { closed, outcomeOf, portOf, Reports, turns } from "../support/peers.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const HOST = "127.0.0.1";
const { server: identity } = certificates();

/** What Python's tests ask of their HTTP server. */
async function assertTestMessage([reader, writer]: [asyncio.StreamReader, asyncio.StreamWriter]): Promise<void> {
  writer.write("GET / HTTP/1.0\r\n\r\n");
  assert.equal(String(await reader.readline()), "HTTP/1.1 200 OK\r\n");
  assert.match(String(await reader.read()), /\r\n\r\nTest message$/);
  writer.close();
  await writer.waitClosed();
}

const answer: http.RequestListener = (_request, response) => {
  response.end("Test message");
};

async function listening(server: NetServer, where: { port: number; host: string } | { path: string }): Promise<void> {
  server.listen(where);
  await once(server, "listening");
}

describe("CPython's test_streams", () => {
  it("openUnixConnection() talks to an HTTP server [test_open_unix_connection]", async () => {
    using reports = new Reports();
    using folder = new TemporaryFolder();
    const path = folder.file("http.sock");
    const server = http.createServer(answer);
    await listening(server, { path });
    await assertTestMessage(await asyncio.openUnixConnection(path));
    await closed(server);
    assert.deepEqual(reports.all, []);
  });

  it("openConnection() talks to an HTTPS server, whose certificate it does not check [test_open_connection_no_loop_ssl]", async () => {
    using reports = new Reports();
    const server = https.createServer({ ...identity }, answer);
    await listening(server, { port: 0, host: HOST });
    const ssl = { rejectUnauthorized: false };
    await assertTestMessage(await asyncio.openConnection(HOST, portOf(server), { ssl }));
    await closed(server);
    assert.deepEqual(reports.all, []);
  });

  it("openUnixConnection() talks to an HTTPS server without a name [test_open_unix_connection_no_loop_ssl]", async () => {
    using reports = new Reports();
    using folder = new TemporaryFolder();
    const path = folder.file("https.sock");
    const server = https.createServer({ ...identity }, answer);
    await listening(server, { path });
    const ssl = { rejectUnauthorized: false };
    await assertTestMessage(await asyncio.openUnixConnection(path, { ssl, serverHostname: "" }));
    await closed(server);
    assert.deepEqual(reports.all, []);
  });

  it("openUnixConnection(): reads throw the error that connectionLost() passes to the protocol [test_open_unix_connection_error]", async () => {
    using reports = new Reports();
    using folder = new TemporaryFolder();
    const path = folder.file("http.sock");
    const server = http.createServer(answer);
    await listening(server, { path });
    const [reader, writer] = await asyncio.openUnixConnection(path);
    const error = new RangeError("division by zero");
    writer.transport.getProtocol().connectionLost(error);
    assert.equal(await outcomeOf(reader.read()), error);
    writer.close();
    await turns(5);
    server.closeAllConnections();
    await closed(server);
    assert.deepEqual(reports.all, []);
  });

  // There is one loop, which needs not to run: what Python's six cases ask of the argument comes to this.
  it("new StreamReader() works outside any task, and in any Context [test_streamreader_constructor_use_running_loop]", async () => {
    for (const reader of [
      new asyncio.StreamReader(),
      copyContext().run(() => new asyncio.StreamReader()),
      await asyncio.createTask(async () => new asyncio.StreamReader()),
    ]) {
      reader.feedData(Buffer.from("line\n"));
      reader.feedEof();
      assert.equal(String(await reader.readline()), "line\n");
      assert.equal(await asyncio.createTask(async () => String(await reader.read())), "");
      assert.equal(reader.atEof(), true);
    }
  });

  it("a plain handler that throws is reported as an async one, and its connection closed [test_unhandled_exception, gh-155942]", async () => {
    using reports = new Reports();
    const error = new Error("mine");
    const server = await asyncio.startServer(
      () => {
        throw error;
      },
      HOST,
      0,
    );
    const [reader, writer] = await asyncio.openConnection(HOST, portOf(server));
    assert.equal(String(await reader.read()), "");
    writer.close();
    await writer.waitClosed();
    server.close();
    await server.waitClosed();
    assert.deepEqual(reports.messages, ["Unhandled exception in client_connected_cb"]);
    assert.equal(reports.all[0]?.exception, error);
    assert.ok(reports.all[0]?.["transport"] !== undefined);
  });
});
