/** openConnection(): options that are rejected, and options for the local and the remote address. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { MockClock, memoryServer } from "contextvars/testing";
import { freePort, outcomeOf, portOf, serve } from "../support/peers.ts";
import { duplexPair } from "../support/protocols.ts";
import { Attempts } from "../support/silent-listeners.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const HOST = "127.0.0.1";

type Call = () => PromiseLike<unknown>;

/** Python's messages for arguments that do not go together; nothing is connected to. */
function refusals(sock: () => never): readonly (readonly [string, Call, string])[] {
  const loop = asyncio.getRunningLoop();
  const none = (): asyncio.Protocol => new asyncio.Protocol();
  return [
    [
      "serverHostname without ssl",
      () => asyncio.openConnection(HOST, 1, { serverHostname: "x" }),
      "serverHostname is only meaningful with ssl",
    ],
    [
      "sslHandshakeTimeout without ssl",
      () => asyncio.openConnection(HOST, 1, { sslHandshakeTimeout: 1 }),
      "sslHandshakeTimeout is only meaningful with ssl",
    ],
    [
      "sslShutdownTimeout without ssl",
      () => asyncio.openConnection(HOST, 1, { sslShutdownTimeout: 1 }),
      "sslShutdownTimeout is only meaningful with ssl",
    ],
    [
      "ssl with sock and no name",
      () => asyncio.openConnection({ sock: sock(), ssl: true }),
      "You must set serverHostname when using ssl without a host",
    ],
    [
      "sslHandshakeTimeout 0",
      () => asyncio.openConnection(HOST, 1, { ssl: true, sslHandshakeTimeout: 0 }),
      "sslHandshakeTimeout must be a positive number of seconds, got 0",
    ],
    [
      "sslShutdownTimeout -1",
      () => asyncio.openConnection(HOST, 1, { ssl: true, sslShutdownTimeout: -1 }),
      "sslShutdownTimeout must be a positive number of seconds, got -1",
    ],
    [
      "host, port and sock",
      () => asyncio.openConnection(HOST, 1, { sock: sock() }),
      "host/port and sock can not be specified at the same time",
    ],
    [
      "host and sock",
      () => loop.createConnection(none, HOST, null, { sock: sock() }),
      "host/port and sock can not be specified at the same time",
    ],
    [
      "port and sock",
      () => loop.createConnection(none, null, 1, { sock: sock() }),
      "host/port and sock can not be specified at the same time",
    ],
    ["nothing", () => asyncio.openConnection({}), "host and port was not specified and no sock specified"],
    [
      "a host without a port",
      () => loop.createConnection(none, HOST),
      "host and port was not specified and no sock specified",
    ],
    [
      "a port without a host",
      () => loop.createConnection(none, null, 1),
      "host and port was not specified and no sock specified",
    ],
    ["no socket", () => asyncio.openConnection({ sock: {} as never }), "A Stream Socket was expected, got {"],
    [
      "UDP",
      () => asyncio.openConnection(HOST, 1, { proto: 17 }),
      "openConnection(): proto must be 0 or 6, which is TCP, got 17",
    ],
    ["limit 0", () => asyncio.openConnection(HOST, 1, { limit: 0 }), "Limit cannot be <= 0"],
    [
      "idleTimeout 0",
      () => asyncio.openConnection(HOST, 1, { idleTimeout: 0 }),
      "idleTimeout must be a positive number of seconds, got 0",
    ],
    [
      "readTimeout NaN",
      () => asyncio.openConnection(HOST, 1, { readTimeout: Number.NaN }),
      "readTimeout must be a positive number of seconds, got NaN",
    ],
    [
      "a service that is none",
      () => asyncio.openConnection(HOST, "nonsense"),
      "openConnection(): port must be a number or a known service, got 'nonsense'",
    ],
    [
      "port -1",
      () => asyncio.openConnection(HOST, -1),
      "openConnection(): port must be an integer from 0 to 65535, got -1",
    ],
    [
      "port 65536",
      () => asyncio.openConnection(HOST, 65_536),
      "openConnection(): port must be an integer from 0 to 65535, got 65536",
    ],
    [
      "port 1.5",
      () => asyncio.openConnection(HOST, 1.5),
      "openConnection(): port must be an integer from 0 to 65535, got 1.5",
    ],
    [
      "a local port that is none",
      () => asyncio.openConnection(HOST, 1, { localAddr: [HOST, 70_000] }),
      "openConnection(): port must be an integer from 0 to 65535, got 70000",
    ],
    [
      "path and sock",
      () => asyncio.openUnixConnection("/none", { sock: sock() }),
      "path and sock can not be specified at the same time",
    ],
    ["neither path nor sock", () => asyncio.openUnixConnection({}), "no path and sock were specified"],
    [
      "TLS over a path without a name",
      () => asyncio.openUnixConnection("/none", { ssl: true }),
      "you have to pass serverHostname when using ssl",
    ],
    [
      "serverHostname without ssl, Unix",
      () => asyncio.openUnixConnection("/none", { serverHostname: "" }),
      "serverHostname is only meaningful with ssl",
    ],
  ];
}

describe("openConnection() and what it refuses", () => {
  const pairs: ReturnType<typeof duplexPair>[] = [];
  const sock = (): never => {
    pairs.push(duplexPair());
    return pairs.at(-1)?.[0] as never;
  };
  for (const [what, call, message] of refusals(sock)) {
    it(`openConnection() is a ValueError with Python's words for ${what}, and connects to nothing`, async () => {
      using attempts = new Attempts();
      const error = await outcomeOf(call());
      assert.ok(error instanceof asyncio.ValueError, String(error));
      assert.ok(error.message.startsWith(message), error.message);
      assert.deepEqual(attempts.hosts, []);
      // The caller still owns the socket.
      assert.ok(pairs.splice(0).every(([mine]) => !mine.destroyed));
    });
  }

  it("openConnection(), openUnixConnection() and createConnection() with ssl: false use no TLS", async () => {
    using folder = new TemporaryFolder();
    const path = folder.file("plain.sock");
    const greet: asyncio.ClientConnectedCb = (_reader, accepted) => {
      accepted.write("plain");
      accepted.close();
    };
    await using server = await asyncio.startServer(greet, HOST, 0);
    await using unixServer = await asyncio.startUnixServer(greet, path);
    const ended = new asyncio.Future<string>();
    class Greeted extends asyncio.Protocol {
      override dataReceived(data: Buffer): void {
        ended.setResult(String(data));
      }
    }
    for (const [reader, writer] of [
      await asyncio.openConnection(HOST, portOf(server), { ssl: false }),
      await asyncio.openUnixConnection(path, { ssl: false }),
    ]) {
      assert.equal(String(await reader.read()), "plain");
      writer.close();
    }
    const loop = asyncio.getRunningLoop();
    const [transport] = await loop.createConnection(() => new Greeted(), HOST, portOf(server), { ssl: false });
    assert.equal(await ended, "plain");
    transport.close();
    assert.ok(unixServer.isServing());
  });

  it("openConnection() is a TypeError for what is of the wrong sort, and names it", async () => {
    for (const [call, message] of [
      [() => asyncio.openConnection(5 as unknown as string, 1), /openConnection\(\): host must be a string, got 5/],
      [
        () => asyncio.openConnection(HOST, {} as unknown as number),
        /: port must be a number or the name of a service, got \{/,
      ],
      [() => asyncio.openConnection(HOST, 1, { ssl: 5 as never }), /ssl must be true, options of node:tls/],
      [() => asyncio.openConnection(HOST, 1, { local_addr: 1 } as never), /unexpected option 'local_addr'/],
      [
        () => asyncio.openUnixConnection(5 as unknown as string),
        /openUnixConnection\(\): path must be a string, got 5/,
      ],
      [() => asyncio.openUnixConnection("/none", { family: 4 } as never), /unexpected option 'family'/],
    ] as const) {
      const error = await outcomeOf(call());
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, message);
    }
  });
});

describe("openConnection() and addresses", () => {
  it("openConnection({ family }) is a gaierror for a literal of the other family, at either end", async () => {
    for (const [host, family, options] of [
      ["127.0.0.1", 6, {}],
      ["::1", 4, {}],
      ["127.0.0.1", 4, { localAddr: ["::1", 0] }],
    ] as const) {
      const error = await outcomeOf(asyncio.openConnection(host, 1, { family, ...options }));
      assert.ok(error instanceof asyncio.gaierror, String(error));
      assert.equal(error.errno, -9);
      assert.match(error.message, /^\[Errno -9\] Address family for hostname not supported: '/);
    }
  });

  it("openConnection({ family, proto, flags }) connects when they fit", async () => {
    await using serving = await serve((_reader, writer) => writer.close());
    for (const options of [{ family: 4 }, { family: 0 }, { proto: 6 }, { proto: 0 }, { flags: 0 }] as const) {
      const [reader, writer] = await asyncio.openConnection(HOST, serving.port, options);
      assert.equal(String(await reader.read()), "");
      writer.close();
      await writer.waitClosed();
    }
  });

  it("openConnection({ localAddr }) comes from the address and the port, and from any port with 0", async () => {
    const peers: string[] = [];
    await using serving = await serve((_reader, writer) => {
      peers.push(String(writer.getExtraInfo("peername")));
      writer.close();
    });
    const port = await freePort();
    for (const localAddr of [
      ["127.0.0.7", 0],
      ["127.0.0.1", port],
      ["localhost", 0],
    ] as const) {
      const [reader, writer] = await asyncio.openConnection(HOST, serving.port, { localAddr });
      await reader.read();
      const own = writer.getExtraInfo("sockname");
      assert.equal(String(own), peers.at(-1));
      assert.equal(own.address, localAddr[0] === "localhost" ? HOST : localAddr[0]);
      assert.ok(localAddr[1] === 0 || own.port === localAddr[1]);
      writer.transport.abort();
      await outcomeOf(writer.waitClosed());
    }
  });

  it("openConnection({ localAddr }) of the other family is an OSError that says so", async () => {
    const error = await outcomeOf(asyncio.openConnection(HOST, 1, { localAddr: ["::1", 0] }));
    assert.ok(error instanceof asyncio.OSError);
    assert.equal(error.message, "no matching local address with family=AF_INET found");
  });

  it("openConnection() takes the name of a service for its port, in any case", async () => {
    using attempts = new Attempts();
    for (const service of ["http", "HTTP", "redis", "https"]) {
      // A server may listen there; the test is about the address that is tried.
      const outcome = await outcomeOf(asyncio.openConnection("127.0.0.11", service));
      if (outcome instanceof asyncio.ConnectionRefusedError) {
        const port = { http: 80, redis: 6379, https: 443 }[service.toLowerCase()];
        assert.equal(outcome.message, `[Errno 111] Connect call failed ('127.0.0.11', ${port})`);
      } else {
        (outcome as [unknown, asyncio.StreamWriter])[1].transport.abort();
      }
    }
    assert.equal(attempts.hosts.length, 4);
  });
});

describe("openConnection() and its time limits", () => {
  it("openConnection({ readTimeout }) ends a read that waits with a TimeoutError, and loses nothing", async () => {
    const main = async (): Promise<void> => {
      let say: (text: string) => void = () => {};
      const server = memoryServer((_reader, writer) => {
        say = (text) => writer.write(text);
        writer.write("part");
      });
      const [reader, writer] = await server.connect({ readTimeout: 30 });
      for (const read of [
        () => reader.readline(),
        () => reader.readexactly(100),
        () => reader.read(),
        () => reader.peek(100),
        () => reader.readInto(Buffer.alloc(100), { min: 100 }),
      ]) {
        const error = await outcomeOf(read());
        assert.ok(error instanceof asyncio.TimeoutError, String(error));
        assert.equal(error.message, "no data for 30 seconds (readTimeout)");
      }
      assert.equal(writer.isClosing(), false);
      say(" and the rest\n");
      assert.equal(String(await reader.readline()), "part and the rest\n");
      writer.close();
      await server.shutdown();
    };
    const clock = new MockClock();
    await clock.with(() => asyncio.run(main));
    assert.equal(clock.time(), 150);
  });

  it("openConnection({ idleTimeout }) ends a connection on which nothing moves with a TimeoutError", async () => {
    const main = async (): Promise<void> => {
      const server = memoryServer(() => {});
      const [reader, writer] = await server.connect({ idleTimeout: 30 });
      const error = await outcomeOf(reader.read(1));
      assert.ok(error instanceof asyncio.TimeoutError);
      assert.equal(error.message, "no data for 30 seconds (idleTimeout)");
      assert.equal(await outcomeOf(writer.waitClosed()), error);
      assert.equal(await outcomeOf(writer.drain()), error);
      await server.shutdown();
    };
    const clock = new MockClock();
    await clock.with(() => asyncio.run(main));
    assert.equal(clock.time(), 30);
  });

  it("openConnection({ idleTimeout }) leaves a connection alone that is closed before", async () => {
    const main = async (): Promise<void> => {
      const server = memoryServer((_reader, writer) => writer.close());
      const [, writer] = await server.connect({ idleTimeout: 30 });
      writer.close();
      await writer.waitClosed();
      await asyncio.sleep(60);
      await writer.waitClosed();
      await server.shutdown();
    };
    await new MockClock().with(() => asyncio.run(main));
  });
});

describe("openUnixConnection()", () => {
  it("openUnixConnection() is a FileNotFoundError without the path, and a ConnectionRefusedError without a listener", async () => {
    using folder = new TemporaryFolder();
    const path = `${folder.path}/s`;
    const missing = await outcomeOf(asyncio.openUnixConnection(path));
    assert.ok(missing instanceof asyncio.FileNotFoundError, String(missing));
    assert.equal(missing.code, "ENOENT");
    assert.ok(missing.message.includes(path), missing.message);
    const server = await asyncio.startUnixServer(() => {}, path, { cleanupSocket: false });
    server.close();
    await server.waitClosed();
    const refused = await outcomeOf(asyncio.openUnixConnection(path));
    assert.ok(refused instanceof asyncio.ConnectionRefusedError, String(refused));
  });

  it("openUnixConnection() of an adopted server's port number is none: a path is a path", async () => {
    await using serving = await serve(() => {});
    const error = await outcomeOf(asyncio.openUnixConnection(String(portOf(serving.server))));
    assert.ok(error instanceof asyncio.FileNotFoundError, String(error));
  });
});
