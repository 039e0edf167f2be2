/** The peer's EOF while reading is paused: it waits for resumeReading(), as in Python. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "../support/certificates.ts";
import { eventually, Peer, portOf, rawConnection, turns } from "../support/peers.ts";
import { tlsClient } from "../support/wire-tls.ts";

const HOST = "127.0.0.1";
const { server: identity } = certificates();

/** Pauses at the first bytes, and notes what it is told. */
class Pausing extends asyncio.Protocol {
  readonly calls: string[] = [];
  transport!: asyncio.Transport;
  override connectionMade(transport: asyncio.Transport): void {
    this.transport = transport;
  }
  override dataReceived(data: Buffer): void {
    this.calls.push(String(data));
    this.transport.pauseReading();
  }
  override eofReceived(): void {
    this.calls.push("EOF");
  }
  override connectionLost(error: Error | null): void {
    this.calls.push(error === null ? "lost" : `lost ${error.message}`);
  }
}

/** A server with a protocol that pauses, its client, and the protocol, once it has the client's question. */
async function asked(
  ssl: object | undefined,
): Promise<{ protocol: Pausing; peer: Peer; socket: Socket } & AsyncDisposable> {
  const protocol = new Pausing();
  const loop = asyncio.getRunningLoop();
  const server = await loop.createServer(() => protocol, HOST, 0, { ssl: ssl as never });
  const port = portOf(server);
  const socket = ssl === undefined ? await rawConnection(port) : (await tlsClient(port)).tls;
  const peer = new Peer(socket, true);
  peer.write("question");
  assert.ok(await eventually(() => protocol.calls.length > 0));
  return {
    protocol,
    peer,
    socket,
    async [Symbol.asyncDispose]() {
      server.close();
      server.abortClients();
      socket.destroy();
      await server.waitClosed();
    },
  };
}

const links = [
  ["TCP", undefined],
  ["TLS", { ...identity }],
] as const;

for (const [link, ssl] of links) {
  describe(`A transport over ${link} that is paused, and the peer's EOF`, () => {
    it("eofReceived() comes after resumeReading(): an answer that takes time gets out", async () => {
      await using connection = await asked(ssl);
      const { protocol, peer, socket } = connection;
      socket.end();
      await once(socket, "finish");
      await asyncio.sleep(0.05);
      assert.deepEqual(protocol.calls, ["question"]);
      assert.equal(protocol.transport.isClosing(), false);
      protocol.transport.write("answer");
      protocol.transport.resumeReading();
      await peer.untilEnded();
      assert.equal(peer.text, "answer");
      assert.ok(await eventually(() => protocol.calls.length === 3));
      assert.deepEqual(protocol.calls, ["question", "EOF", "lost"]);
    });

    it("a protocol that pauses again immediately does not get eofReceived()", async () => {
      await using connection = await asked(ssl);
      const { protocol, peer, socket } = connection;
      socket.end();
      await asyncio.sleep(0.02);
      protocol.transport.resumeReading();
      protocol.transport.pauseReading();
      await turns(10);
      assert.deepEqual(protocol.calls, ["question"]);
      protocol.transport.resumeReading();
      await peer.untilEnded();
      assert.ok(await eventually(() => protocol.calls.includes("lost")));
      assert.deepEqual(protocol.calls, ["question", "EOF", "lost"]);
    });

    it("close() while it waits ends the connection without it", async () => {
      await using connection = await asked(ssl);
      const { protocol, peer, socket } = connection;
      socket.end();
      await asyncio.sleep(0.02);
      protocol.transport.write("bye");
      protocol.transport.close();
      await peer.untilEnded();
      assert.equal(peer.text, "bye");
      assert.ok(await eventually(() => protocol.calls.includes("lost")));
      assert.deepEqual(protocol.calls, ["question", "lost"]);
    });

    it("with both sides ended, it comes before the end of the connection at the latest", async () => {
      await using connection = await asked(ssl);
      const { protocol, peer, socket } = connection;
      protocol.transport.writeEof();
      await peer.untilEnded();
      socket.end();
      await asyncio.sleep(0.02);
      protocol.transport.resumeReading();
      assert.ok(await eventually(() => protocol.calls.includes("lost")));
      assert.deepEqual(protocol.calls, ["question", "EOF", "lost"]);
    });
  });

  describe(`A StreamReader over ${link} that has paused its transport, and the peer's EOF`, () => {
    it("it gets everything, and then the EOF", async () => {
      const streams = new asyncio.Future<[asyncio.StreamReader, asyncio.StreamWriter]>();
      const server = await asyncio.startServer((...both) => streams.setResult(both), HOST, 0, {
        ssl: ssl as never,
        limit: 10,
      });
      const port = portOf(server);
      const socket = ssl === undefined ? await rawConnection(port) : (await tlsClient(port)).tls;
      socket.end("x".repeat(30));
      const [reader, writer] = await streams;
      assert.ok(await eventually(() => !writer.transport.isReading()));
      await asyncio.sleep(0.02);
      assert.equal(String(await reader.readexactly(5)), "xxxxx");
      assert.equal(reader.atEof(), false);
      assert.equal((await reader.readexactly(25)).length, 25);
      assert.equal((await reader.read()).length, 0);
      assert.equal(reader.atEof(), true);
      await writer.send("answer");
      writer.close();
      const [answer] = (await once(socket, "data")) as [Buffer];
      assert.equal(String(answer), "answer");
      server.close();
      await server.waitClosed();
      socket.destroy();
    });
  });
}
