/** openConnection() and socketpair() over TCP. The names in parentheses are CPython's. */
import assert from "node:assert/strict";
import dns from "node:dns";
import { once } from "node:events";
import * as http from "node:http";
import * as net from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import {
  closed,
  connect,
  eventually,
  freePort,
  outcomeOf,
  Peer,
  portOf,
  Reports,
  rawConnection,
  serve,
  stillWaits,
  turns,
} from "../support/peers.ts";

const HOST = "127.0.0.1";

/** A raw server that keeps its connections as peers. */
interface Listener extends AsyncDisposable {
  readonly port: number;
  readonly peers: Peer[];
  /** The next connection. */
  accepted(): Promise<Peer>;
}

async function listen(host = HOST, onPeer: (peer: Peer) => void = () => {}): Promise<Listener> {
  const peers: Peer[] = [];
  const waits: ((peer: Peer) => void)[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const peer = new Peer(socket, true);
    peers.push(peer);
    onPeer(peer);
    waits.shift()?.(peer);
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    port: portOf(server),
    peers,
    accepted: () => new Promise((resolve) => waits.push(resolve)),
    async [Symbol.asyncDispose]() {
      for (const peer of peers) {
        peer.socket.destroy();
      }
      await closed(server);
    },
  };
}

/** Makes a host name resolve to these addresses, until it is disposed of. */
function resolving(host: string, addresses: readonly string[]): Disposable {
  const { lookup } = dns.promises;
  const patched = async (asked: string, options: dns.LookupAllOptions): Promise<dns.LookupAddress[]> => {
    if (asked !== host) {
      return lookup(asked, options);
    }
    return addresses.map((address) => ({ address, family: net.isIP(address) }));
  };
  dns.promises.lookup = patched as typeof lookup;
  return {
    [Symbol.dispose]() {
      dns.promises.lookup = lookup;
    },
  };
}

/** Closes the connection and waits, as a program does. */
async function finish(writer: asyncio.StreamWriter): Promise<void> {
  writer.close();
  await writer.waitClosed();
}

describe("openConnection()", () => {
  it("openConnection() talks to an HTTP server (test_open_connection)", async () => {
    using reports = new Reports();
    const server = http.createServer((_request, response) => {
      response.end("Test message");
    });
    server.listen(0, HOST);
    await once(server, "listening");
    const [reader, writer] = await asyncio.openConnection(HOST, portOf(server));
    writer.write("GET / HTTP/1.0\r\n\r\n");
    assert.equal(String(await reader.readline()), "HTTP/1.1 200 OK\r\n");
    assert.match(String(await reader.read()), /\r\n\r\nTest message$/);
    await finish(writer);
    await closed(server);
    assert.deepEqual(reports.all, []);
  });

  it("openConnection(): reads throw the error that connectionLost() passes to the protocol (test_open_connection_error)", async () => {
    using reports = new Reports();
    await using connection = await connect("client");
    const { reader, writer } = connection;
    const error = new asyncio.ConnectionError("mine");
    writer.transport.getProtocol().connectionLost(error);
    assert.equal(await outcomeOf(reader.read()), error);
    assert.equal(await outcomeOf(writer.drain()), error);
    writer.close();
    await turns(5);
    assert.deepEqual(reports.all, []);
  });

  it("openConnection() gives its limit to the reader, 65536 unless told otherwise", async () => {
    await using listener = await listen();
    const [standard, writer1] = await asyncio.openConnection(HOST, listener.port);
    const [narrow, writer2] = await asyncio.openConnection(HOST, listener.port, { limit: 7 });
    assert.equal(String(standard).includes("limit"), false);
    assert.match(String(narrow), /^<StreamReader limit=7 /);
    await Promise.all([finish(writer1), finish(writer2)]);
  });

  it("openConnection() refuses a limit of 0 or less before it connects", async () => {
    await using listener = await listen();
    await assert.rejects(asyncio.openConnection(HOST, listener.port, { limit: 0 }), { name: "ValueError" });
    await turns(5);
    assert.equal(listener.peers.length, 0);
  });

  it("openConnection() resolves names, and the local address is the one given", async () => {
    await using listener = await listen("0.0.0.0");
    const accepted = listener.accepted();
    const [, writer] = await asyncio.openConnection("localhost", listener.port, {
      family: 4,
      localAddr: ["127.0.0.5", 0],
    });
    assert.equal((await accepted).socket.remoteAddress, "127.0.0.5");
    assert.equal((writer.getExtraInfo("sockname") as asyncio.SocketAddress).address, "127.0.0.5");
    assert.equal(String(writer.getExtraInfo("peername")), `127.0.0.1:${listener.port}`);
    await finish(writer);
  });

  it("openConnection() takes a port as a numeral, and refuses a service that it does not know", async () => {
    await using listener = await listen();
    const [, writer] = await asyncio.openConnection(HOST, String(listener.port));
    assert.equal((writer.getExtraInfo("peername") as asyncio.SocketAddress).port, listener.port);
    await finish(writer);
    await assert.rejects(asyncio.openConnection(HOST, "no such service"), {
      name: "ValueError",
      message: /'no such service'/,
    });
  });

  it("openConnection() works over IPv6, whose addresses print in brackets", async () => {
    await using listener = await listen("::1");
    const [, writer] = await asyncio.openConnection("::1", listener.port);
    const peername = writer.getExtraInfo("peername") as asyncio.SocketAddress;
    assert.equal(String(peername), `[::1]:${listener.port}`);
    assert.equal(peername.family, "IPv6");
    await finish(writer);
  });

  it("openConnection() opens a hundred connections at the same time", async () => {
    await using listener = await listen(HOST, (peer) => peer.write(`${peer.socket.remotePort}\n`));
    const connections = await asyncio.gather(
      Array.from({ length: 100 }, () => () => asyncio.openConnection(HOST, listener.port)),
    );
    for (const [reader, writer] of connections) {
      const { port } = writer.getExtraInfo("sockname") as asyncio.SocketAddress;
      assert.equal(String(await reader.readline()), `${port}\n`);
    }
    await Promise.all(connections.map(([, writer]) => finish(writer)));
  });
});

describe("openConnection() that fails", () => {
  it("openConnection() throws a ConnectionRefusedError with the address if no server listens", async () => {
    const port = await freePort();
    const error = await outcomeOf(asyncio.openConnection(HOST, port));
    assert.ok(error instanceof asyncio.ConnectionRefusedError);
    assert.ok(error instanceof asyncio.ConnectionError && error instanceof asyncio.OSError);
    assert.equal(error.name, "ConnectionRefusedError");
    assert.equal(error.message, `[Errno 111] Connect call failed ('127.0.0.1', ${port})`);
    assert.equal(error.code, "ECONNREFUSED");
    assert.equal(error.errno, -111);
    assert.equal(error.syscall, "connect");
    assert.equal(error.address, HOST);
    assert.equal(error.port, port);
    assert.equal((error.cause as NodeJS.ErrnoException).code, "ECONNREFUSED");
  });

  it("openConnection() tries the addresses of a name one after the other", async () => {
    await using listener = await listen("127.0.0.3");
    using _resolving = resolving("three.test", ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    const [, writer] = await asyncio.openConnection("three.test", listener.port);
    assert.equal((writer.getExtraInfo("peername") as asyncio.SocketAddress).address, "127.0.0.3");
    await finish(writer);
  });

  it("openConnection() puts different failures into one error, and equal ones are one", async () => {
    const port = await freePort();
    using _two = resolving("two.test", ["127.0.0.1", "127.0.0.2"]);
    const different = await outcomeOf(asyncio.openConnection("two.test", port));
    assert.ok(different instanceof asyncio.OSError);
    assert.equal(
      different.message,
      `Multiple exceptions: [Errno 111] Connect call failed ('127.0.0.1', ${port}), [Errno 111] Connect call failed ('127.0.0.2', ${port})`,
    );
    assert.equal(different.code, "ECONNREFUSED");
    using _same = resolving("same.test", ["127.0.0.1", "127.0.0.1"]);
    const equal = await outcomeOf(asyncio.openConnection("same.test", port));
    assert.ok(equal instanceof asyncio.ConnectionRefusedError);
  });

  it("openConnection() is a gaierror that names the host when it does not resolve", async () => {
    const error = await outcomeOf(asyncio.openConnection("no-such-host.invalid", 80));
    assert.ok(error instanceof asyncio.gaierror, `${error}`);
    assert.ok(error instanceof asyncio.OSError);
    assert.match(error.message, /^\[Errno -\d+\] .*'no-such-host\.invalid'/);
    assert.match(error.code, /^(ENOTFOUND|EAI_AGAIN)$/);
    assert.ok(error.cause instanceof Error);
  });

  it("openConnection() is a gaierror for an address of the other family", async () => {
    for (const [host, family] of [
      [HOST, 6],
      ["::1", 4],
    ] as const) {
      await assert.rejects(asyncio.openConnection(host, 80, { family }), {
        name: "gaierror",
        message: `[Errno -9] Address family for hostname not supported: '${host}'`,
      });
    }
  });

  it("openConnection() refuses a port that is none", async () => {
    for (const port of [0.5, -1, 65536, Number.NaN]) {
      await assert.rejects(asyncio.openConnection(HOST, port), { name: "ValueError" });
    }
    for (const port of [{}, true]) {
      await assert.rejects(asyncio.openConnection(HOST, port as number), TypeError);
    }
  });

  it("openConnection() needs a host and a port, or a socket, and not both", async () => {
    const open = asyncio.openConnection as (...args: unknown[]) => Promise<unknown>;
    const missing = {
      name: "ValueError",
      message: "host and port was not specified and no sock specified; pass host and port, or { sock }",
    };
    await assert.rejects(open(), missing);
    await assert.rejects(open({}), missing);
    const [one, other] = await asyncio.socketpair();
    await assert.rejects(open(HOST, 80, { sock: one }), {
      name: "ValueError",
      message: "host/port and sock can not be specified at the same time",
    });
    one.destroy();
    other.destroy();
  });

  it("openConnection() refuses an option that it does not have, and names it", async () => {
    await assert.rejects(asyncio.openConnection(HOST, 80, { limitt: 5 } as object), {
      name: "TypeError",
      message: /^openConnection\(\) got an unexpected option 'limitt'; known options: /,
    });
  });

  it("openConnection() refuses a host that is no name", async () => {
    await assert.rejects(asyncio.openConnection(5 as unknown as string, 80), TypeError);
  });

  it("openConnection() that is cancelled leaves no connection open", async () => {
    await using listener = await listen();
    for (let wait = 0; wait < 6; wait++) {
      const task = asyncio.createTask(async () => {
        const [, writer] = await asyncio.openConnection("localhost", listener.port, { family: 4 });
        await finish(writer);
      });
      await turns(wait);
      task.cancel();
      const outcome = await outcomeOf(task);
      assert.ok(outcome === undefined || outcome instanceof asyncio.CancelledError, `${outcome}`);
    }
    await asyncio.sleep(0.02);
    assert.ok(
      await eventually(() => listener.peers.every((peer) => peer.ended || peer.closed)),
      "whatever got through to the listener comes to its end",
    );
  });
});

describe("openConnection({ sock })", () => {
  it("openConnection({ sock }) takes a connected socket over", async () => {
    await using listener = await listen(HOST, (peer) => peer.write("hello\n"));
    const accepted = listener.accepted();
    const sock = await rawConnection(listener.port);
    const peer = await accepted;
    const [reader, writer] = await asyncio.openConnection({ sock });
    assert.equal(writer.getExtraInfo("socket"), sock);
    assert.equal(String(writer.getExtraInfo("peername")), `127.0.0.1:${listener.port}`);
    assert.equal(String(await reader.readline()), "hello\n");
    writer.write("bye\n");
    await finish(writer);
    await peer.untilEnded();
    assert.equal(peer.text, "bye\n");
    assert.ok(sock.destroyed);
  });

  it("openConnection({ sock }) misses nothing that came before", async () => {
    await using listener = await listen(HOST, (peer) => peer.write("early\n"));
    const sock = await rawConnection(listener.port);
    await asyncio.sleep(0.02);
    sock.pause();
    const [reader, writer] = await asyncio.openConnection({ sock, limit: 100 });
    assert.equal(String(await reader.readline()), "early\n");
    await finish(writer);
  });

  it("openConnection({ sock }) knows of an EOF that came before", async () => {
    await using listener = await listen(HOST, (peer) => peer.socket.end());
    const sock = await rawConnection(listener.port);
    await asyncio.sleep(0.02);
    const [reader, writer] = await asyncio.openConnection({ sock });
    assert.equal((await reader.read()).length, 0);
    await finish(writer);
  });

  it("openConnection({ sock }) ends each side separately, even if the socket would not", async () => {
    await using listener = await listen(HOST, (peer) => peer.socket.end("question"));
    const accepted = listener.accepted();
    const sock = net.connect({ port: listener.port, host: HOST, allowHalfOpen: false });
    await once(sock, "connect");
    const peer = await accepted;
    const [reader, writer] = await asyncio.openConnection({ sock });
    assert.equal(String(await reader.read()), "question");
    await turns(5);
    writer.write("answer");
    await finish(writer);
    await peer.untilEnded();
    assert.equal(peer.text, "answer");
  });

  it("openConnection({ sock }) waits for a socket that still connects", async () => {
    await using listener = await listen(HOST, (peer) => peer.write("hello\n"));
    const sock = net.connect(listener.port, HOST);
    const [reader, writer] = await asyncio.openConnection({ sock });
    assert.equal(String(await reader.readline()), "hello\n");
    await finish(writer);
  });

  it("openConnection({ sock }) fails when the socket cannot connect, or is given up meanwhile", async () => {
    const refused = await outcomeOf(asyncio.openConnection({ sock: net.connect(await freePort(), HOST) }));
    assert.ok(refused instanceof asyncio.ConnectionRefusedError, `${refused}`);

    await using listener = await listen();
    const sock = net.connect(listener.port, HOST);
    const opening = asyncio.openConnection({ sock });
    sock.destroy();
    const given = await outcomeOf(opening);
    assert.ok(given instanceof asyncio.ConnectionAbortedError, `${given}`);
  });

  it("openConnection({ sock }) refuses a socket that is closed, and what is no socket", async () => {
    const [one, other] = await asyncio.socketpair();
    one.destroy();
    other.destroy();
    await assert.rejects(asyncio.openConnection({ sock: one }), { name: "ValueError" });
    for (const sock of [5, {}, "socket", { fd: "3" }]) {
      await assert.rejects(asyncio.openConnection({ sock: sock as never }), {
        name: "ValueError",
        message: /^A Stream Socket was expected, got /,
      });
    }
  });

  it("openConnection({ sock }) takes any two-way stream", async () => {
    const incoming = new PassThrough();
    const outgoing = new PassThrough();
    const sock = Duplex.from({ readable: incoming, writable: outgoing });
    const [reader, writer] = await asyncio.openConnection({ sock });
    assert.equal(writer.getExtraInfo("peername"), null);
    assert.equal(writer.getExtraInfo("sockname"), null);
    incoming.write("one\ntwo");
    assert.equal(String(await reader.readline()), "one\n");
    writer.write("answer");
    await writer.drain();
    assert.equal(String((await once(outgoing, "data"))[0]), "answer");
    incoming.end();
    assert.equal(String(await reader.read()), "two");
    await finish(writer);
  });
});

describe("socketpair()", () => {
  it("socketpair() gives two sockets that are connected with each other", async () => {
    const [one, other] = await asyncio.socketpair();
    const left = new Peer(one, true);
    const right = new Peer(other, true);
    left.write("to the right");
    right.write("to the left");
    assert.equal(await right.received(12), "to the right");
    assert.equal(await left.received(11), "to the left");
    one.end();
    await right.untilEnded();
    right.write(", late");
    assert.equal(await left.received(17), "to the left, late");
    other.end();
    await Promise.all([left.untilClosed(), right.untilClosed()]);
  });

  it("socketpair() works for a reader and a writer at each end", async () => {
    const pair = await asyncio.socketpair();
    const [[reader1, writer1], [reader2, writer2]] = await asyncio.gather([
      () => asyncio.openConnection({ sock: pair[0] }),
      () => asyncio.openConnection({ sock: pair[1] }),
    ]);
    writer1.write("ping\n");
    assert.equal(String(await reader2.readline()), "ping\n");
    writer2.write("pong\n");
    assert.equal(String(await reader1.readline()), "pong\n");
    await finish(writer1);
    assert.equal((await reader2.read()).length, 0);
    await finish(writer2);
  });

  it("socketpair() many times at the same time keeps the pairs apart", async () => {
    const pairs = await Promise.all(Array.from({ length: 20 }, () => asyncio.socketpair()));
    const peers = pairs.map(([, other]) => new Peer(other, true));
    pairs.forEach(([one], i) => {
      one.end(`pair ${i}`);
    });
    for (const [i, peer] of peers.entries()) {
      await peer.untilEnded();
      assert.equal(peer.text, `pair ${i}`);
    }
    for (const sock of pairs.flat()) {
      sock.destroy();
    }
  });

  it("socketpair() that is cancelled leaves nothing open", async () => {
    for (let wait = 0; wait < 6; wait++) {
      let pair: net.Socket[] = [];
      const task = asyncio.createTask(async () => {
        pair = await asyncio.socketpair();
      });
      // Without a wait, it is cancelled by a task that starts right after it.
      const other = asyncio.createTask(async () => {
        await turns(wait);
        task.cancel();
      });
      const outcome = await outcomeOf(task);
      await other;
      assert.ok(outcome === undefined || outcome instanceof asyncio.CancelledError, `${outcome}`);
      for (const socket of pair) {
        socket.destroy();
      }
    }
  });
});

describe("A connection between two programs of this library", () => {
  it("A connection between two programs of this library is quiet from beginning to end", async () => {
    using reports = new Reports();
    await using serving = await serve(async (reader, writer) => {
      for await (const line of reader) {
        writer.write(line);
        await writer.drain();
      }
      writer.close();
    });
    const [reader, writer] = await asyncio.openConnection(HOST, serving.port);
    for (let i = 0; i < 100; i++) {
      writer.write(`line ${i}\n`);
      assert.equal(String(await reader.readline()), `line ${i}\n`);
    }
    const end = reader.read();
    assert.ok(await stillWaits(end));
    writer.writeEof();
    assert.equal((await end).length, 0);
    await finish(writer);
    assert.deepEqual(reports.all, []);
  });
});
