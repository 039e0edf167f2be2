/** `sock`: streams that can be taken over, and streams that cannot. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { Duplex, type DuplexOptions } from "node:stream";
import { describe, it } from "node:test";
import { brotliDecompressSync, createBrotliCompress, createDeflate, createGzip, unzipSync } from "node:zlib";
import * as asyncio from "contextvars/asyncio";
import { closed, eventually, outcomeOf, portOf } from "../support/peers.ts";

const loop = asyncio.getRunningLoop();

/** Every function that takes a `sock`. */
const functions = {
  openConnection: async (sock: asyncio.ConnectedSocket) => (await asyncio.openConnection({ sock }))[1].transport,
  openUnixConnection: async (sock: asyncio.ConnectedSocket) =>
    (await asyncio.openUnixConnection({ sock }))[1].transport,
  "loop.createConnection": async (sock: asyncio.ConnectedSocket) =>
    (await loop.createConnection(() => new asyncio.Protocol(), null, null, { sock }))[0],
  "loop.createUnixConnection": async (sock: asyncio.ConnectedSocket) =>
    (await loop.createUnixConnection(() => new asyncio.Protocol(), null, { sock }))[0],
};

function stream(options: DuplexOptions = {}): Duplex {
  return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(), ...options });
}

/** Both ends of a TCP connection. */
async function pair(): Promise<[near: net.Socket, far: net.Socket]> {
  const listener = net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const accepted = once(listener, "connection") as Promise<[net.Socket]>;
  const near = net.connect({ port: portOf(listener), host: "127.0.0.1", allowHalfOpen: true });
  await once(near, "connect");
  const [far] = await accepted;
  void closed(listener);
  return [near, far];
}

for (const [name, connect] of Object.entries(functions)) {
  describe(`${name}() with a sock that cannot be read as bytes`, () => {
    const refused: readonly [string, () => Duplex, RegExp][] = [
      ["a Duplex with setEncoding()", () => stream().setEncoding("utf8"), /got a Duplex: .* setEncoding\('utf8'\)/],
      ["a Duplex with an encoding", () => stream({ encoding: "latin1" }), /setEncoding\('latin1'\)/],
      ["a Duplex in object mode", () => stream({ objectMode: true }), /got a Duplex: it is in object mode/],
      ["a Duplex that reads objects", () => stream({ readableObjectMode: true }), /object mode/],
      ["a Duplex that writes objects", () => stream({ writableObjectMode: true }), /object mode/],
      ["a socket with setEncoding()", () => new net.Socket().setEncoding("utf8"), /got a Socket: .* setEncoding/],
    ];
    for (const [what, make, message] of refused) {
      it(`${name}() rejects ${what} with a ValueError that says why`, async () => {
        const sock = make();
        const error = await outcomeOf(connect(sock));
        assert.ok(error instanceof asyncio.ValueError);
        assert.match(error.message, message);
        sock.destroy();
      });
    }

    it(`${name}() rejects a sock with a 'readable' listener, and takes it over without that`, async () => {
      const sock = stream();
      const listener = (): void => {};
      const error = await outcomeOf(connect(sock.on("readable", listener)));
      assert.ok(error instanceof asyncio.RuntimeError, String(error));
      assert.match(error.message, /'readable'.*remove it/);
      const transport = await connect(sock.off("readable", listener));
      transport.abort();
    });

    it(`${name}() rejects a sock that another connection has, and leaves that one alone`, async () => {
      const sock = stream();
      const transport = await connect(sock);
      for (const again of Object.values(functions)) {
        const error = await outcomeOf(again(transport.getExtraInfo("socket") as Duplex));
        assert.ok(error instanceof asyncio.RuntimeError);
        assert.match(error.message, /another connection already uses sock/);
      }
      assert.equal(transport.isClosing(), false);
      transport.abort();
    });

    it(`${name}() takes over a sock that is corked`, async () => {
      const sent: string[] = [];
      const sock = stream({
        write: (chunk, _encoding, done) => {
          sent.push(String(chunk));
          done();
        },
      });
      sock.cork();
      sock.cork();
      const transport = await connect(sock);
      transport.write("written");
      assert.ok(await eventually(() => sent.length === 1));
      assert.deepEqual(sent, ["written"]);
      transport.abort();
    });
  });
}

describe("openConnection() with a sock that has bytes buffered", () => {
  it("openConnection() gives what a paused socket has buffered, then what comes", async () => {
    const [near, far] = await pair();
    near.pause();
    near.unshift(Buffer.from("early "));
    const [reader, writer] = await asyncio.openConnection({ sock: near });
    far.end("late");
    assert.equal(String(await reader.read()), "early late");
    writer.close();
    await writer.waitClosed();
    far.destroy();
  });

  it("openConnection() gives what a Duplex has buffered, and what was put back", async () => {
    const sock = stream();
    sock.push("second ");
    sock.unshift(Buffer.from("first "));
    const [reader, writer] = await asyncio.openConnection({ sock });
    sock.push(new Uint8Array([51]));
    sock.push(null);
    assert.equal(String(await reader.read()), "first second 3");
    writer.close();
  });

  for (const [name, make] of Object.entries({ createGzip, createDeflate, createBrotliCompress })) {
    it(`openConnection() takes a stream of zlib over, and gives its EOF: ${name}()`, async () => {
      const [reader, writer] = await asyncio.openConnection({ sock: make() });
      writer.write("text ".repeat(1000));
      writer.writeEof();
      const packed = await reader.read();
      assert.equal(String((make === createBrotliCompress ? brotliDecompressSync : unzipSync)(packed)).length, 5000);
      writer.close();
      await writer.waitClosed();
    });
  }

  it("a read throws a TypeError when setEncoding() is called on a sock that is taken over", async () => {
    for (const sock of [stream(), (await pair())[0]]) {
      const [reader, writer] = await asyncio.openConnection({ sock });
      sock.setEncoding("utf8");
      sock.pause();
      sock.push("text");
      sock.resume();
      const error = await outcomeOf(reader.readline());
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, /do not call its setEncoding\(\)/);
      await outcomeOf(writer.waitClosed());
    }
  });
});
