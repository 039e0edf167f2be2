/** Server.shutdown(): an end in a given time, and what became of each handler. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { latch } from "../support/latch.ts";
import { eventually, outcomeOf, type Peer, portOf, Reports, rawPeer, serve, stillWaits } from "../support/peers.ts";
import { Recorder } from "../support/protocols.ts";

const HOST = "127.0.0.1";
/** Longer than any test may take. */
const NEVER = 3600; // seconds
/** Streams that are held, so that their connections do not count as abandoned. */
const held: unknown[] = [];
const forever = (): Promise<void> => asyncio.sleep(NEVER);

/** Connects this many raw clients, one after the other, each when the handler of the one before has begun. */
async function clients(port: number, count: number, begun: () => number): Promise<AsyncDisposable & { peers: Peer[] }> {
  const peers: Peer[] = [];
  for (let i = 0; i < count; i++) {
    peers.push(await rawPeer(port));
    assert.ok(await eventually(() => begun() > i));
  }
  return {
    peers,
    async [Symbol.asyncDispose]() {
      for (const peer of peers) {
        peer.socket.destroy();
        await peer.untilClosed();
      }
    },
  };
}

describe("Server.shutdown()", () => {
  it("Server.shutdown() of a server without connections ends immediately, however long the grace", async () => {
    const { server } = await serve(() => {});
    assert.deepEqual(await server.shutdown({ grace: NEVER, cancelGrace: NEVER }), []);
    assert.equal(server.isServing(), false);
    await server.waitClosed();
  });

  it("Server.shutdown() lets handlers finish within the grace, and closes their connections", async () => {
    let begun = 0;
    const go = new asyncio.Event();
    await using serving = await serve(async (_reader, writer) => {
      begun += 1;
      held.push(writer);
      await go.wait();
      writer.write("bye");
      // The connection is left open.
    });
    await using connected = await clients(serving.port, 2, () => begun);
    const shutting = serving.server.shutdown({ grace: NEVER, cancelGrace: NEVER });
    assert.ok(await stillWaits(shutting));
    const refused = await outcomeOf(asyncio.openConnection(HOST, serving.port));
    assert.ok(refused instanceof asyncio.ConnectionRefusedError, String(refused));
    go.set();
    const outcomes = await shutting;
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ["finished", "finished"],
    );
    for (const [i, { name, peername }] of outcomes.entries()) {
      assert.match(String(name), /^anonymous\(\) 127\.0\.0\.1:\d+$/);
      assert.equal((peername as asyncio.SocketAddress).port, connected.peers[i]?.socket.localPort);
    }
    for (const peer of connected.peers) {
      await peer.untilEnded();
      assert.equal(peer.text, "bye");
    }
  });

  it("Server.shutdown() cancels what has not finished, and aborts what does not end then", async () => {
    using reports = new Reports();
    const seen: string[] = [];
    let isOver = false;
    const handlers: asyncio.ClientConnectedCb[] = [
      async () => {
        seen.push("finishes");
      },
      async (_reader, writer) => {
        try {
          await forever();
        } catch (error) {
          seen.push(`cancelled: ${(error as Error).message}`);
          writer.write("cancelled");
          throw error;
        }
      },
      async (_reader, writer) => {
        await outcomeOf(forever());
        seen.push("catches the cancellation, and returns");
        writer.close();
      },
      async () => {
        while (!isOver) {
          await outcomeOf(forever());
          seen.push("goes on");
        }
      },
    ];
    let begun = 0;
    const server = await asyncio.startServer(
      (reader, writer) => {
        begun += 1;
        held.push(writer);
        return handlers[begun - 1]?.(reader, writer);
      },
      HOST,
      0,
    );
    await using connected = await clients(portOf(server), 4, () => begun);
    const outcomes = await server.shutdown({ grace: 0.02, cancelGrace: 0.02 });
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ["finished", "cancelled", "cancelled", "aborted"],
    );
    assert.deepEqual(seen, [
      "finishes",
      "cancelled: the server is shutting down",
      "catches the cancellation, and returns",
      "goes on",
    ]);
    for (const peer of connected.peers) {
      await peer.untilEnded();
    }
    assert.equal(connected.peers[1]?.text, "cancelled");
    assert.deepEqual(reports.messages, []);
    isOver = true;
    for (const task of asyncio.allTasks()) {
      task.cancel();
    }
  });

  it("Server.shutdown() ends within the grace as soon as the last handler has", async () => {
    let begun = 0;
    await using serving = await serve(async (reader) => {
      begun += 1;
      await reader.read();
    });
    await using connected = await clients(serving.port, 3, () => begun);
    const shutting = serving.server.shutdown({ grace: NEVER });
    for (const peer of connected.peers) {
      assert.ok(await stillWaits(shutting));
      peer.socket.end();
    }
    assert.deepEqual(
      (await shutting).map(({ outcome }) => outcome),
      ["finished", "finished", "finished"],
    );
  });

  it("Server.shutdown({ grace: 0 }) cancels immediately; with cancelGrace 0 as well, it waits for no handler", async () => {
    for (const [cancelGrace, expected] of [
      [NEVER, ["cancelled", "cancelled"]],
      [0, ["aborted|cancelled", "aborted|cancelled"]],
    ] as const) {
      let begun = 0;
      await using serving = await serve(async () => {
        begun += 1;
        await forever();
      });
      await using _connected = await clients(serving.port, 2, () => begun);
      const outcomes = await serving.server.shutdown({ grace: 0, cancelGrace });
      assert.equal(outcomes.length, 2);
      for (const [i, { outcome }] of outcomes.entries()) {
        assert.match(outcome, new RegExp(`^(?:${expected[i]})$`));
      }
    }
  });

  it("Server.shutdown() counts a handler that fails as finished, and it is reported as ever", async () => {
    using reports = new Reports();
    let begun = 0;
    const go = new asyncio.Event();
    await using serving = await serve(async () => {
      begun += 1;
      await go.wait();
      throw new RangeError("of the handler");
    });
    await using _connected = await clients(serving.port, 1, () => begun);
    const shutting = serving.server.shutdown({ grace: NEVER });
    go.set();
    assert.deepEqual(
      (await shutting).map(({ outcome }) => outcome),
      ["finished"],
    );
    assert.deepEqual(reports.messages, ["Unhandled exception in client_connected_cb"]);
  });

  it("Server.shutdown() closes the connections of handlers that had returned, when they have sent everything", async () => {
    let begun = 0;
    await using serving = await serve((_reader, writer) => {
      begun += 1;
      held.push(writer);
      writer.write(Buffer.alloc(4 * 1024 * 1024));
    });
    await using connected = await clients(serving.port, 2, () => begun);
    assert.deepEqual(
      (await serving.server.shutdown({ grace: NEVER })).map(({ outcome }) => outcome),
      ["finished", "finished"],
    );
    for (const peer of connected.peers) {
      await peer.untilEnded();
      assert.equal(peer.length, 4 * 1024 * 1024);
    }
  });

  it("Server.shutdown() aborts a connection whose peer does not read, though its handler finished", async () => {
    let begun = 0;
    await using serving = await serve((_reader, writer) => {
      begun += 1;
      held.push(writer);
      writer.write(Buffer.alloc(64 * 1024 * 1024));
    });
    const peer = await rawPeer(serving.port);
    peer.socket.pause();
    assert.ok(await eventually(() => begun === 1));
    const outcomes = await serving.server.shutdown({ grace: 0.02, cancelGrace: 0.02 });
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ["finished"],
    );
    peer.socket.destroy();
  });

  it("Server.shutdown() waits for protocols, which have no task, then closes their connections, then aborts them", async () => {
    const loop = asyncio.getRunningLoop();
    const protocols: Recorder[] = [];
    const server = await loop.createServer(
      () => {
        const protocol = new Recorder();
        protocols.push(protocol);
        return protocol;
      },
      HOST,
      0,
    );
    await using connected = await clients(portOf(server), 3, () => protocols.length);
    const [byItself, closed, stuck] = protocols as [Recorder, Recorder, Recorder];
    assert.ok(await eventually(() => protocols.every(({ transport }) => transport !== undefined)));
    closed.transport.write("all of it");
    connected.peers[2]?.socket.pause();
    stuck.transport.write(Buffer.alloc(64 * 1024 * 1024));
    const shutting = server.shutdown({ grace: 0.03, cancelGrace: 0.03 });
    byItself.transport.close();
    const outcomes = await shutting;
    assert.deepEqual(
      outcomes.map(({ name, outcome }) => [name, outcome]),
      [
        [null, "finished"],
        [null, "cancelled"],
        [null, "aborted"],
      ],
    );
    assert.deepEqual(
      protocols.map(({ losses }) => losses),
      [[null], [null], [null]],
    );
    assert.equal(await connected.peers[1]?.received(9), "all of it");
  });

  it("Server.shutdown() twice at the same time: both end when the handlers have ended, and return the same", async () => {
    let begun = 0;
    const go = new asyncio.Event();
    await using serving = await serve(async (_reader, writer) => {
      begun += 1;
      await go.wait();
      writer.close();
    });
    await using _connected = await clients(serving.port, 2, () => begun);
    const first = serving.server.shutdown({ grace: NEVER, cancelGrace: NEVER });
    const second = serving.server.shutdown({ grace: NEVER, cancelGrace: NEVER });
    assert.ok(await stillWaits(first));
    go.set();
    assert.deepEqual(await first, await second);
    assert.deepEqual(await serving.server.shutdown(), []);
  });

  it("Server.shutdown() a second time with less grace hurries the first one up", async () => {
    let begun = 0;
    await using serving = await serve(async () => {
      begun += 1;
      await forever();
    });
    await using _connected = await clients(serving.port, 1, () => begun);
    const patient = serving.server.shutdown({ grace: NEVER, cancelGrace: NEVER });
    assert.ok(await stillWaits(patient));
    const hasty = serving.server.shutdown({ grace: 0, cancelGrace: NEVER });
    for (const outcomes of await Promise.all([patient, hasty])) {
      assert.deepEqual(
        outcomes.map(({ outcome }) => outcome),
        ["cancelled"],
      );
    }
  });

  it("Server.shutdown() of several servers at the same time keeps them apart", async () => {
    const all = latch(3);
    const stop = new asyncio.Event();
    const servings = await Promise.all(
      [1, 2].map((count) =>
        serve(async () => {
          await all();
          if (count === 1) {
            await stop.wait();
          } else {
            await forever();
          }
        }),
      ),
    );
    const peers = [
      await rawPeer(servings[0]?.port ?? 0),
      await rawPeer(servings[1]?.port ?? 0),
      await rawPeer(servings[1]?.port ?? 0),
    ];
    await all;
    await asyncio.sleep(0.01);
    const [first, second] = servings.map(({ server }, i) =>
      server.shutdown({ grace: i === 0 ? NEVER : 0, cancelGrace: NEVER }),
    );
    assert.deepEqual(
      (await second)?.map(({ outcome }) => outcome),
      ["cancelled", "cancelled"],
    );
    stop.set();
    assert.deepEqual(
      (await first)?.map(({ outcome }) => outcome),
      ["finished"],
    );
    for (const peer of peers) {
      peer.socket.destroy();
    }
  });

  it("Server.shutdown() ends serveForever(), with a CancelledError", async () => {
    const { server } = await serve(() => {});
    const task = asyncio.createTask(() => server.serveForever());
    await asyncio.sleep(0);
    await server.shutdown();
    await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
  });

  it("Server.shutdown() refuses options that it does not have", async () => {
    await using serving = await serve(() => {});
    await assert.rejects(serving.server.shutdown({ gracePeriod: 1 } as never), TypeError);
    assert.ok(serving.server.isServing());
    for (const options of [{ grace: -1 }, { cancelGrace: Number.NaN }]) {
      await assert.rejects(serving.server.shutdown(options), asyncio.ValueError);
    }
    await assert.rejects(serving.server.shutdown({ grace: "1" as never }), TypeError);
    assert.ok(serving.server.isServing());
  });
});
