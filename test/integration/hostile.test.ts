/**
 * Servers under attack by raw clients: whatever they do, others are served meanwhile, and the server can be closed.
 */
import assert from "node:assert/strict";
import * as net from "node:net";
import { after, before, describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { MockClock } from "contextvars/testing";
import { latch } from "../support/latch.ts";
import {
  outcomeOf,
  type Peer,
  Reports,
  rawConnection,
  rawPeer,
  type Serving,
  serve as serveAny,
  turns,
} from "../support/peers.ts";

/** What no attack may cause; looked at when all tests have run. */
const unhandled: unknown[] = [];
const onUnhandled = (error: unknown): void => {
  unhandled.push(error);
};

before(() => {
  process.on("unhandledRejection", onUnhandled);
});

after(async () => {
  await turns(5);
  process.off("unhandledRejection", onUnhandled);
  assert.deepEqual(unhandled, []);
});

async function echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  for await (const line of reader) {
    await writer.send(line);
  }
  writer.close();
}

/** As a careful program does it: what the client is to blame for ends its connection, and nothing else. */
async function carefulEcho(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  try {
    await echo(reader, writer);
  } catch (error) {
    if (!(error instanceof asyncio.OSError || error instanceof asyncio.ValueError)) {
      throw error;
    }
    writer.close();
  }
}

/** An honest client gets its answer. */
async function assertServes(port: number): Promise<void> {
  const [reader, writer] = await asyncio.openConnection("127.0.0.1", port);
  await writer.send("are you there?\n");
  assert.equal(String(await reader.readline()), "are you there?\n");
  writer.close();
  await writer.waitClosed();
}

/** More connections than the backlog holds are slow to make: the system drops what does not fit, to be sent again. */
const BACKLOG = 1024;

function serve(handler: asyncio.ClientConnectedCb, options: asyncio.StartServerOptions = {}): Promise<Serving> {
  return serveAny(handler, { backlog: BACKLOG, ...options });
}

function manyPeers(count: number, port: number): Promise<Peer[]> {
  return Promise.all(Array.from({ length: count }, () => rawPeer(port)));
}

function endAll(peers: readonly Peer[]): void {
  for (const peer of peers) {
    peer.socket.destroy();
  }
}

describe("slow peers", () => {
  it("startServer() ends 300 connections that send a byte now and then at readTimeout, and serves others", async () => {
    let timeouts = 0;
    const handler: asyncio.ClientConnectedCb = async (reader, writer) => {
      try {
        await echo(reader, writer);
      } catch (error) {
        assert.ok(error instanceof asyncio.TimeoutError, String(error));
        timeouts += 1;
        writer.close();
      }
    };
    await using server = await serve(handler, { readTimeout: 0.5 });
    const peers = await manyPeers(300, server.port);
    const drip = setInterval(() => {
      for (const peer of peers) {
        if (!peer.closed && !peer.ended) {
          peer.write("x");
        }
      }
    }, 50);
    await assertServes(server.port);
    await Promise.all(peers.map((peer) => peer.untilEnded()));
    clearInterval(drip);
    assert.equal(timeouts, 300);
    endAll(peers);
    await assertServes(server.port);
  });

  it("startServer() ends 300 silent connections at idleTimeout, and no busy one", async () => {
    await using server = await serve(carefulEcho, { idleTimeout: 0.5 });
    const peers = await manyPeers(300, server.port);
    const busy = await rawPeer(server.port);
    let sent = 0;
    const work = setInterval(() => {
      busy.write("tick\n");
      sent += 1;
    }, 50);
    await Promise.all(peers.map((peer) => peer.untilEnded()));
    clearInterval(work);
    endAll(peers);
    assert.equal((await busy.received(sent * 5)).length, sent * 5);
    assert.equal(busy.closed, false);
    busy.socket.destroy();
  });

  it("startServer() ends connections without a TLS handshake at sslHandshakeTimeout", async () => {
    // No certificate is needed: it does not come to that.
    await using server = await serve(carefulEcho, { ssl: {}, sslHandshakeTimeout: 0.3 });
    const peers = await manyPeers(100, server.port);
    for (const peer of peers) {
      // The beginning of a ClientHello, which says that more follows.
      peer.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]));
    }
    await Promise.all(peers.map((peer) => peer.untilEnded()));
    endAll(peers);
  });
});

describe("endless lines", () => {
  const limit = 64 * 1024;

  it("StreamReader.readline() refuses a line without an end, again and again, and keeps no more than the limit", async () => {
    const refused: string[] = [];
    const done = new asyncio.Future<void>();
    await using server = await serve(
      async (reader, writer) => {
        try {
          while (refused.length < 100) {
            const error = await outcomeOf(reader.readline());
            if (!(error instanceof asyncio.ValueError)) {
              break;
            }
            refused.push(error.message);
            const kept = Number(/(\d+) bytes/.exec(String(reader))?.[1] ?? 0);
            assert.ok(kept <= 3 * limit, `${kept} bytes are kept`);
          }
        } finally {
          writer.transport.abort();
          done.setResult();
        }
      },
      { limit },
    );
    const socket = await rawConnection(server.port);
    socket.on("error", () => {});
    await flood(socket, Buffer.alloc(64 * 1024, "x"), 64 * 1024 * 1024);
    await done;
    assert.equal(refused.length, 100);
  });

  it("StreamReader stops reading from the peer if its bytes are not taken", async () => {
    let stop: () => void = () => {};
    const stopped = new Promise<void>((resolve) => {
      stop = resolve;
    });
    const seen: StreamSizes[] = [];
    await using server = await serve(
      async (reader, writer) => {
        const error = await outcomeOf(reader.readuntil("\r\n"));
        assert.ok(error instanceof asyncio.LimitOverrunError);
        await stopped;
        seen.push({ reader: String(reader) });
        writer.transport.abort();
      },
      { limit },
    );
    const socket = await rawConnection(server.port);
    socket.on("error", () => {});
    const sent = flood(socket, Buffer.alloc(64 * 1024, "x"), 64 * 1024 * 1024);
    // The flood stands still: what the system's own buffers hold was sent, and no more.
    for (let before = -1; before !== socket.bytesWritten || socket.writableLength === 0; ) {
      before = socket.bytesWritten;
      await asyncio.sleep(0.1);
    }
    stop();
    await sent;
    const kept = Number(/(\d+) bytes/.exec(seen[0]?.reader ?? "")?.[1]);
    assert.ok(kept > limit && kept <= 4 * limit, `${kept} bytes are kept`);
  });
});

interface StreamSizes {
  readonly reader: string;
}

/** Sends this many bytes, as fast as the other side takes them; ends when the connection does. */
async function flood(socket: net.Socket, chunk: Buffer, total: number): Promise<void> {
  const happens = (name: string): Promise<void> => new Promise((resolve) => socket.once(name, () => resolve()));
  const closed = happens("close");
  for (let sent = 0; sent < total && !socket.destroyed; sent += chunk.length) {
    if (!socket.write(chunk)) {
      await Promise.race([happens("drain"), closed]);
    }
  }
  socket.destroy();
  await closed;
}

describe("resets", () => {
  /** What the handler is at when the peer resets the connection. */
  const states: Readonly<
    Record<string, (reader: asyncio.StreamReader, writer: asyncio.StreamWriter) => Promise<void>>
  > = {
    "has not begun to read": async (reader) => {
      await asyncio.sleep(0.05);
      await reader.read();
    },
    "reads a line": async (reader) => {
      await reader.readline();
    },
    "reads everything": async (reader) => {
      await reader.read();
    },
    "reads more than there is": async (reader) => {
      await reader.readexactly(1_000_000);
    },
    "writes without waiting": async (_reader, writer) => {
      while (!writer.isClosing()) {
        writer.write("x".repeat(1000));
        await asyncio.sleep(0.001);
      }
      await writer.drain();
    },
    drains: async (_reader, writer) => {
      for (let i = 0; i < 2000; i++) {
        await writer.send(Buffer.alloc(64 * 1024));
      }
    },
    "has sent its EOF": async (reader, writer) => {
      writer.writeEof();
      await reader.read();
    },
    closes: async (_reader, writer) => {
      writer.write(Buffer.alloc(32 * 1024 * 1024));
      writer.close();
      await writer.waitClosed();
    },
    "waits for something else": async () => {
      await asyncio.sleep(0.1);
    },
  };

  for (const [state, body] of Object.entries(states)) {
    it(`startServer() survives 50 resets while the handler ${state}`, async () => {
      using reports = new Reports();
      const outcomes: unknown[] = [];
      const allDone = latch(51);
      const handler: asyncio.ClientConnectedCb = async (reader, writer) => {
        const first = await reader.readexactly(5);
        if (String(first) !== "break") {
          await writer.send(`${first}${await reader.readline()}`);
          writer.close();
          return;
        }
        outcomes.push(await outcomeOf(body(reader, writer)));
        await writer[Symbol.asyncDispose]();
        await allDone();
      };
      await using server = await serve(handler);
      const sockets = await Promise.all(Array.from({ length: 50 }, () => rawConnection(server.port)));
      for (const socket of sockets) {
        socket.on("error", () => {});
        socket.write("break");
      }
      await assertServes(server.port);
      for (const socket of sockets) {
        socket.resetAndDestroy();
      }
      await assertServes(server.port);
      server.server.close();
      await server.server.waitClosed();
      await allDone();
      assert.equal(outcomes.length, 50);
      for (const outcome of outcomes) {
        assert.ok(outcome === undefined || outcome instanceof asyncio.ConnectionError, String(outcome));
      }
      assert.deepEqual(reports.messages, []);
    });
  }

  it("startServer() survives 200 connections that are reset before the handler has begun", async () => {
    using reports = new Reports();
    await using server = await serve(carefulEcho);
    for (let i = 0; i < 200; i++) {
      const socket = net.connect(server.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.once("connect", () => socket.resetAndDestroy());
    }
    await assertServes(server.port);
    server.server.close();
    await server.server.waitClosed();
    assert.deepEqual(reports.messages, []);
  });
});

describe("peers that never read", () => {
  it("Server.serveForever() that is cancelled ends all the same", async () => {
    const clock = new MockClock();
    await clock.with(async () => {
      const held = new asyncio.Event();
      await using server = await serve(async (_reader, writer) => {
        writer.write(Buffer.alloc(64 * 1024 * 1024));
        held.set();
        await writer.drain();
      });
      const serving = asyncio.createTask(() => server.server.serveForever());
      const socket = await rawConnection(server.port);
      socket.on("error", () => {});
      socket.pause();
      await held.wait();
      serving.cancel();
      await assert.rejects(async () => await serving, asyncio.CancelledError);
      assert.equal(server.server.isServing(), false);
      socket.destroy();
    });
    assert.equal(clock.time(), 10);
  });

  it("StreamWriter.drain() keeps the write buffer small, and Server.shutdown() ends it", async () => {
    const writers: asyncio.StreamWriter[] = [];
    let most = 0;
    await using server = await serve(async (reader, writer) => {
      const line = await reader.readline();
      if (String(line) === "are you there?\n") {
        await writer.send(line);
        writer.close();
        return;
      }
      writers.push(writer);
      for (;;) {
        writer.write(Buffer.alloc(16 * 1024));
        most = Math.max(most, writer.transport.getWriteBufferSize());
        await writer.drain();
      }
    });
    const sockets = await Promise.all(Array.from({ length: 50 }, () => rawConnection(server.port)));
    for (const socket of sockets) {
      socket.pause();
      socket.on("error", () => {});
      socket.write("send me everything\n");
    }
    while (writers.length < 50 || writers.some((writer) => !writer.needsDrain)) {
      await asyncio.sleep(0.02);
    }
    await assertServes(server.port);
    const outcomes = await server.server.shutdown({ grace: 0.1, cancelGrace: 0.2 });
    assert.equal(outcomes.length, 50);
    assert.ok(outcomes.every(({ outcome }) => outcome === "cancelled"));
    assert.ok(most <= 128 * 1024, `${most} bytes waited`);
    for (const socket of sockets) {
      socket.destroy();
    }
  });

  it("startServer() ends a peer that never reads at idleTimeout", async () => {
    const done = new asyncio.Future<unknown>();
    await using server = await serve(
      async (_reader, writer) => {
        const writing = async (): Promise<void> => {
          for (;;) {
            await writer.send(Buffer.alloc(64 * 1024));
          }
        };
        done.setResult(await outcomeOf(writing()));
      },
      { idleTimeout: 0.3 },
    );
    const socket = await rawConnection(server.port);
    socket.pause();
    socket.on("error", () => {});
    const error = await done;
    assert.ok(error instanceof asyncio.TimeoutError, String(error));
    socket.destroy();
  });
});

describe("garbage", () => {
  const garbage = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919 + (i >> 3)) % 256));

  it("startServer() serves on while 100 peers send garbage and half-close", async () => {
    using reports = new Reports();
    await using server = await serve(carefulEcho);
    const peers = await manyPeers(100, server.port);
    for (const [i, peer] of peers.entries()) {
      peer.socket.end(garbage.subarray(i));
    }
    await assertServes(server.port);
    await Promise.all(peers.map((peer) => peer.untilClosed()));
    // An echo of garbage is all of it, whatever stands in it.
    for (const [i, peer] of peers.entries()) {
      assert.ok(Buffer.concat(peer.chunks).equals(garbage.subarray(i)));
    }
    assert.deepEqual(reports.messages, []);
  });

  it("startServer() with TLS closes connections that send garbage, plain text, or nothing and an EOF", async () => {
    using reports = new Reports();
    await using server = await serve(carefulEcho, { ssl: {} });
    const peers = await manyPeers(90, server.port);
    for (const [i, peer] of peers.entries()) {
      const data = [garbage, "GET / HTTP/1.1\r\n\r\n", ""][i % 3] as string | Buffer;
      peer.socket.end(data);
    }
    await Promise.all(peers.map((peer) => peer.untilClosed()));
    server.server.close();
    await server.server.waitClosed();
    assert.deepEqual(reports.messages, []);
  });
});

describe("maxConnections", () => {
  it("startServer() closes connections above maxConnections immediately, and serves again when others have ended", async () => {
    await using server = await serve(carefulEcho, { maxConnections: 20 });
    const first = await manyPeers(20, server.port);
    for (const peer of first) {
      peer.write("hello\n");
    }
    await Promise.all(first.map((peer) => peer.received(6)));
    const more = await manyPeers(200, server.port);
    await Promise.all(more.map((peer) => peer.untilEnded()));
    assert.ok(more.every((peer) => peer.length === 0));
    // The first ones have noticed nothing.
    for (const peer of first) {
      peer.write("again\n");
    }
    await Promise.all(first.map((peer) => peer.received(12)));
    endAll([...first, ...more]);
    await Promise.all(first.map((peer) => peer.untilClosed()));
    await asyncio.sleep(0.05);
    await assertServes(server.port);
  });
});
