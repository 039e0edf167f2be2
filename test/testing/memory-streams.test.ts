/** Connections in memory: what a program sees over TCP, it sees over memory; and what only memory has. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import {
  lockstepStreamPair,
  type MemoryServer,
  memoryServer,
  memoryStreamPair,
  type StreamPair,
} from "contextvars/testing";
import { certificates } from "../support/certificates.ts";
import { outcomeOf, stillWaits, turns } from "../support/peers.ts";

type Ends = [near: StreamPair, far: StreamPair];

/** Two ends that are connected over the loopback address. */
async function tcpPair(): Promise<Ends> {
  const [near, far] = await asyncio.socketpair();
  return [await asyncio.openConnection({ sock: near }), await asyncio.openConnection({ sock: far })];
}

const kinds: Record<string, () => Promise<Ends>> = {
  tcp: tcpPair,
  memory: async () => memoryStreamPair(),
  "memory byte by byte": async () => memoryStreamPair({ chunks: 1 }),
  "memory with a delay": async () => memoryStreamPair({ delay: 0.01 }),
  lockstep: async () => lockstepStreamPair(),
};

const text = async (reading: Promise<Buffer>): Promise<string> => String(await outcomeOf(reading));

/** What a program does with the two ends, and all that it sees of it. */
const programs: Record<string, (ends: Ends) => Promise<unknown[]>> = {
  "lines one way and the other": async ([[nearReader, near], [farReader, far]]) => {
    near.write("one\ntwo\n");
    const first = [await text(farReader.readline()), await text(farReader.readline())];
    far.writelines(["three", "\n"]);
    return [...first, await text(nearReader.readuntil("\n"))];
  },
  "a half-close": async ([[nearReader, near], [farReader, far]]) => {
    near.write("question");
    near.writeEof();
    const question = await text(farReader.read());
    far.write("answer");
    far.close();
    return [
      question,
      farReader.atEof(),
      await text(nearReader.read()),
      nearReader.atEof(),
      await outcomeOf(near.drain()),
    ];
  },
  "a write after the EOF": async ([[, near]]) => {
    near.writeEof();
    near.writeEof();
    return [near.canWriteEof(), await outcomeOf((async () => near.write("more"))())].map(String);
  },
  "close() sends what was written": async ([[, near], [farReader]]) => {
    near.write("all of it");
    near.close();
    return [near.isClosing(), await text(farReader.read()), await outcomeOf(near.waitClosed())];
  },
  "writes to a peer that is gone fail in the end": async ([[, near], [, far]]) => {
    far.close();
    await far.waitClosed();
    let error: unknown;
    for (let i = 0; i < 1000 && error === undefined; i++) {
      near.write("x".repeat(100));
      error = await outcomeOf(near.drain());
      await asyncio.sleep(0.001);
    }
    return [error instanceof asyncio.ConnectionError, String(await outcomeOf(near.drain())) !== "undefined"];
  },
  "an end that is lost tells both": async ([[nearReader, near], [farReader, far]]) => {
    near.close();
    far.close();
    await near.waitClosed();
    await far.waitClosed();
    return [
      await text(nearReader.read()),
      await text(farReader.read()),
      String(await outcomeOf(near.drain())),
      near.isClosing(),
    ];
  },
};

describe("a pair in memory and a pair of sockets", () => {
  for (const [name, program] of Object.entries(programs)) {
    for (const [kind, makeEnds] of Object.entries(kinds).filter(([each]) => each !== "tcp")) {
      it(`memoryStreamPair(): ${name}: the same over ${kind} as over TCP`, async () => {
        const [expected, seen] = await Promise.all([tcpPair, makeEnds].map((make) => run(make, program)));
        assert.deepEqual(seen, expected);
      });
    }
  }
});

describe("a writer of memoryStreamPair() that is held", () => {
  const data = Buffer.alloc(2 ** 20, "x");
  const pieces = async (): Promise<Ends> => memoryStreamPair({ chunks: 1000 });
  const held = Object.entries({ ...kinds, "memory in pieces": pieces }).filter(
    ([kind]) => kind !== "tcp" && kind !== "memory byte by byte",
  );
  for (const [kind, makeEnds] of held) {
    it(`drain(): over ${kind}, waits for a reader that never reads, and returns when it does`, async () => {
      const [[, near], [farReader, far]] = await makeEnds();
      near.transport.setWriteBufferLimits({ high: 10_000 });
      near.write(data);
      const drained = asyncio.createTask(() => near.drain());
      assert.equal(await stillWaits(drained), true);
      assert.equal(near.needsDrain, true);
      near.close();
      assert.ok((await farReader.read()).equals(data));
      await drained;
      far.close();
    });

    it(`drain(): over ${kind}, ends with an error when the peer is gone`, async () => {
      const [[, near], [, far]] = await makeEnds();
      near.transport.setWriteBufferLimits({ high: 10_000 });
      near.write(data);
      const drained = asyncio.createTask(() => near.drain());
      assert.equal(await stillWaits(drained), true);
      far.transport.abort();
      assert.ok((await outcomeOf(drained)) instanceof asyncio.ConnectionResetError);
    });
  }
});

async function run(make: () => Promise<Ends>, program: (ends: Ends) => Promise<unknown[]>): Promise<unknown[]> {
  const ends = await make();
  try {
    return await program(ends);
  } finally {
    for (const [, writer] of ends) {
      writer.transport.abort();
    }
  }
}

describe("memoryStreamPair()", () => {
  it("memoryStreamPair(): both addresses are named memory, and the stream is the socket", () => {
    for (const [, writer] of memoryStreamPair()) {
      assert.equal(writer.getExtraInfo("peername"), "memory");
      assert.equal(writer.getExtraInfo("sockname"), "memory");
      assert.ok(writer.getExtraInfo("socket"));
      assert.equal(writer.getExtraInfo("ssl_object", "none"), "none");
      writer.close();
    }
  });

  it("memoryStreamPair(): bytes arrive in the next turn, and not before", async () => {
    const [[reader], [, writer]] = memoryStreamPair();
    writer.write("line\n");
    await Promise.resolve();
    assert.equal(reader.tryReadline(), null);
    await turns(2);
    assert.equal(String(reader.tryReadline()), "line\n");
    writer.close();
  });

  // Over TCP as well, where the other end has not taken everything.
  it("abort(): resets the connection; what had arrived is read first, then comes the error", async () => {
    const [[, near], [reader, far]] = memoryStreamPair();
    near.write("come");
    assert.equal(String(await reader.readexactly(2)), "co");
    near.transport.abort();
    assert.equal(await outcomeOf(near.waitClosed()), undefined);
    assert.ok((await outcomeOf(far.waitClosed())) instanceof asyncio.ConnectionResetError);
    assert.ok((await outcomeOf(far.drain())) instanceof asyncio.ConnectionResetError);
    assert.equal(String(await reader.readexactly(2)), "me");
    const error = await outcomeOf(reader.read());
    assert.ok(error instanceof asyncio.ConnectionResetError, String(error));
    assert.equal(error.code, "ECONNRESET");
  });

  it("chunks: a number cuts every write into pieces that arrive one by one", async () => {
    const [[reader], [, writer]] = memoryStreamPair({ chunks: 3 });
    writer.write("abcdefgh");
    writer.close();
    assert.deepEqual(await pieces(reader), ["abc", "def", "gh"]);
  });

  it("chunks: a function is told what is left of a write, and decides on the next piece", async () => {
    const asked: number[] = [];
    const [[reader], [, writer]] = memoryStreamPair({
      chunks: (left) => {
        asked.push(left);
        return asked.length;
      },
    });
    writer.write("abcdef");
    writer.close();
    assert.deepEqual(await pieces(reader), ["a", "bc", "def"]);
    assert.deepEqual(asked, [6, 5, 3]);
  });

  for (const size of [0, -1, 1.5, Number.NaN, "2"]) {
    it(`chunks: a function that returns ${JSON.stringify(size)} loses the connection with a ValueError`, async () => {
      const [[reader], [, writer]] = memoryStreamPair({ chunks: () => size as number });
      writer.write("abc");
      const error = await outcomeOf(writer.waitClosed());
      assert.ok(error instanceof asyncio.ValueError, String(error));
      assert.match(error.message, /chunks\(\) must return a positive number of bytes, got/);
      assert.ok((await outcomeOf(reader.read())) instanceof asyncio.ConnectionResetError);
    });
  }

  for (const [options, error, message] of [
    [
      { chunks: 0 },
      asyncio.ValueError,
      /chunks must be a positive number of bytes, or a function that returns one, got 0/,
    ],
    [{ chunks: 1.5 }, asyncio.ValueError, /chunks/],
    [{ chunks: "1" }, asyncio.ValueError, /chunks/],
    [{ delay: -1 }, asyncio.ValueError, /delay must be a finite number of seconds, 0 or more, got -1/],
    [{ delay: Number.NaN }, asyncio.ValueError, /delay/],
    [{ delay: "1" }, TypeError, /delay/],
    [{ highWater: -1 }, asyncio.ValueError, /highWater must be a number of bytes, 0 or more, got -1/],
    [{ highWater: 0.5 }, TypeError, /highWater must be an integer, got 0.5/],
    [{ limit: 0 }, asyncio.ValueError, /[Ll]imit/],
    [{ size: 1 }, TypeError, /memoryStreamPair\(\) got an unexpected option 'size'/],
  ] as const) {
    it(`memoryStreamPair(): refuses ${JSON.stringify(options)}`, () => {
      assert.throws(
        () => memoryStreamPair(options as never),
        (given) => given instanceof error && message.test(given.message),
      );
    });
  }

  it("highWater: drain() waits above this many bytes, and returns when they have been read", async () => {
    const [[reader], [, writer]] = memoryStreamPair({ highWater: 1000, limit: 100 });
    assert.deepEqual(writer.transport.getWriteBufferLimits(), [250, 1000]);
    writer.write(Buffer.alloc(5000));
    const drained = asyncio.createTask(() => writer.drain());
    assert.equal(await stillWaits(drained), true);
    await reader.readexactly(5000);
    await drained;
    writer.transport.abort();
  });

  it("limit: holds for both readers", async () => {
    const ends = memoryStreamPair({ limit: 8 });
    for (const [[reader], [, writer]] of [ends, ends.toReversed()] as [StreamPair, StreamPair][]) {
      writer.write("123456789\n");
      assert.ok((await outcomeOf(reader.readuntil("\n"))) instanceof asyncio.LimitOverrunError);
    }
    ends[0][1].transport.abort();
  });

  it("pauseReading(): holds what arrives until resumeReading()", async () => {
    const [[reader, own], [, writer]] = memoryStreamPair();
    own.transport.pauseReading();
    writer.write("held\n");
    await turns(5);
    assert.equal(reader.tryReadline(), null);
    own.transport.resumeReading();
    assert.equal(String(await reader.readline()), "held\n");
    writer.transport.abort();
  });

  it("bytes arrive outside the writer's Context: a protocol does not see the writer's values", async () => {
    const user = new ContextVar("user", { default: "nobody" });
    const seen: string[] = [];
    const [[, near], [, far]] = memoryStreamPair();
    class Watching extends asyncio.Protocol {
      override dataReceived(): void {
        seen.push(user.get());
      }
    }
    near.transport.setProtocol(new Watching());
    await asyncio.createTask(async () => {
      user.set("ada");
      far.write("hello");
      await turns(3);
    });
    assert.deepEqual(seen, ["nobody"]);
    far.transport.abort();
  });

  it("StreamWriter.startTls(): works over a pair, in both directions, with its extra info", async () => {
    const { ca, server } = certificates();
    const { own, seen } = await overTls(memoryStreamPair({ chunks: 100 }), { ca }, server);
    assert.deepEqual(seen, ["to the server\n", "to the client\n"]);
    assert.ok(own.getExtraInfo("cipher"));
    assert.equal(own.getExtraInfo("peername"), "memory");
  });
});

async function overTls(
  [[nearReader, near], [farReader, far]]: Ends,
  ssl: asyncio.SSLContext,
  serverSsl: asyncio.SSLContext,
): Promise<{ own: asyncio.StreamWriter; seen: string[] }> {
  // The end with a handler is the server; of two ends of a pair, the transport knows it.
  const loop = asyncio.getRunningLoop();
  await asyncio.gather([
    () => near.startTls(ssl, { serverHostname: "localhost" }),
    () => loop.startTls(far.transport, far.transport.getProtocol(), serverSsl, { serverSide: true }),
  ]);
  near.write("to the server\n");
  const first = String(await farReader.readline());
  far.write("to the client\n");
  const second = String(await nearReader.readline());
  near.close();
  far.close();
  await near.waitClosed();
  await far.waitClosed();
  return { own: near, seen: [first, second] };
}

async function pieces(reader: asyncio.StreamReader): Promise<string[]> {
  const all: string[] = [];
  for (let piece = await reader.read(100); piece.length > 0; piece = await reader.read(100)) {
    all.push(String(piece));
  }
  return all;
}

describe("lockstepStreamPair()", () => {
  it("lockstepStreamPair(): drain() waits until the other end has asked for all bytes", async () => {
    const [[reader], [, writer]] = lockstepStreamPair({ chunks: 3 });
    const sent = asyncio.createTask(() => writer.send("abcdef"));
    assert.equal(await stillWaits(sent), true);
    assert.equal(String(await reader.read(100)), "abc");
    assert.equal(await stillWaits(sent), true);
    assert.equal(String(await reader.read(100)), "def");
    await sent;
    writer.close();
    assert.equal(String(await reader.read(100)), "");
  });

  it("lockstepStreamPair(): a read that is cancelled asks for nothing any more", async () => {
    const [[reader], [, writer]] = lockstepStreamPair();
    const reading = asyncio.createTask(() => reader.read(10));
    await turns(2);
    reading.cancel();
    await outcomeOf(reading);
    const sent = asyncio.createTask(() => writer.send("later"));
    assert.equal(await stillWaits(sent), true);
    assert.equal(String(await reader.read(10)), "later");
    await sent;
    writer.transport.abort();
  });

  it("lockstepStreamPair(): refuses delay and highWater, which mean nothing to it", () => {
    for (const options of [{ delay: 1 }, { highWater: 1 }]) {
      assert.throws(() => lockstepStreamPair(options as never), TypeError);
    }
  });
});

describe("memoryServer()", () => {
  const echo = async (reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> => {
    for await (const line of reader) {
      await writer.send(line);
    }
    writer.close();
  };

  async function askedOnce(server: MemoryServer): Promise<string> {
    const [reader, writer] = await server.connect();
    writer.write("hello\n");
    writer.writeEof();
    const answer = String(await reader.read());
    writer.close();
    return answer;
  }

  it("memoryServer(): is a Server, whose clients connect() makes", async () => {
    const server = memoryServer(echo);
    assert.ok(server instanceof asyncio.Server);
    assert.equal(server.isServing(), true);
    assert.equal(String(server), "<Server sockets=(<ServerSocket memory>,)>");
    await server.with(async () => {
      assert.deepEqual(await asyncio.gather([1, 2, 3].map(() => () => askedOnce(server))), Array(3).fill("hello\n"));
    });
    assert.equal(server.isServing(), false);
  });

  it("memoryServer(): each connection has a Context of its own", async () => {
    const user = new ContextVar("user", { default: "nobody" });
    const server = memoryServer(async (reader, writer) => {
      const before = user.get();
      user.set(String(await reader.readline()));
      await writer.send(`${before} ${user.get()}`);
      writer.close();
    });
    user.set("maker");
    const [one, other] = [await server.connect(), await server.connect()];
    one[1].write("ada\n");
    other[1].write("bob\n");
    assert.equal(String(await one[0].read()), "nobody ada\n");
    assert.equal(String(await other[0].read()), "nobody bob\n");
    await server.shutdown();
  });

  it("MemoryServer.connect(): to a server that is closed throws a ConnectionRefusedError", async () => {
    const server = memoryServer(echo);
    server.close();
    await server.waitClosed();
    assert.ok((await outcomeOf(server.connect())) instanceof asyncio.ConnectionRefusedError);
  });

  it("MemoryServer.shutdown(): tells what became of each handler", async () => {
    const server = memoryServer(echo);
    const [, writer] = await server.connect();
    const [idleReader] = await server.connect();
    const ended = server.shutdown({ grace: 0 });
    const outcomes = await ended;
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ["cancelled", "cancelled"],
    );
    assert.equal(String(await idleReader.read()), "");
    writer.close();
  });

  it("maxConnections: a further client is closed at once", async () => {
    const server = memoryServer(echo, { maxConnections: 1 });
    const [, first] = await server.connect();
    const [reader] = await server.connect();
    const end = await outcomeOf(reader.read());
    assert.ok(end instanceof asyncio.ConnectionResetError || String(end) === "", String(end));
    first.close();
    await server.shutdown();
  });

  it("startServing: false keeps clients until startServing()", async () => {
    const server = memoryServer(echo, { startServing: false });
    assert.equal(server.isServing(), false);
    const asked = asyncio.createTask(() => askedOnce(server));
    assert.equal(await stillWaits(asked), true);
    await server.startServing();
    assert.equal(await asked, "hello\n");
    await server.shutdown();
  });

  it("ssl: the client has its certificate checked", async () => {
    const { ca, server: identity, client } = certificates();
    // A client that does not trust the server resets its connection.
    const careful = (...streams: StreamPair): Promise<unknown> => outcomeOf(echo(...streams));
    const server = memoryServer(careful, { ssl: { ...identity, ca, requestCert: true } });
    const [reader, writer] = await server.connect({ ssl: { ca, ...client }, serverHostname: "localhost" });
    writer.write("secret\n");
    assert.equal(String(await reader.readline()), "secret\n");
    writer.close();
    const error = await outcomeOf(server.connect({ ssl: true, serverHostname: "localhost" }));
    assert.ok(error instanceof asyncio.SSLCertVerificationError, String(error));
    await server.shutdown();
  });

  it("chunks: cuts what either side writes", async () => {
    const server = memoryServer(echo, { chunks: 1 });
    assert.equal(await askedOnce(server), "hello\n");
    await server.shutdown();
  });

  it("memoryServer(): refuses what is no function, options it does not have, and addresses", async () => {
    assert.throws(() => memoryServer("echo" as never), /memoryServer\(\) needs a function, got 'echo'/);
    assert.throws(() => memoryServer(echo, { reusePort: true } as never), /unexpected option 'reusePort'/);
    assert.throws(() => memoryServer(echo, { limit: -1 }), asyncio.ValueError);
    const server = memoryServer(echo);
    assert.match(String(await outcomeOf(server.connect({ localAddr: ["::1", 0] } as never))), /unexpected option/);
    server.close();
  });
});
