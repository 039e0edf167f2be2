/** The examples, each in a process of its own, against peers that are not ours. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as http from "node:http";
import * as net from "node:net";
import { describe, it } from "node:test";
import { External, missing } from "../support/external.ts";
import { closed, freePort, Peer, portOf, rawPeer } from "../support/peers.ts";
import { interrupt, runExample, startExample } from "../support/peers-examples.ts";
import { ECHO_SERVER, LINE_CLIENT, runPythonProgram, startPython } from "../support/peers-python.ts";
import { request } from "../support/sockets.ts";

const HOST = "127.0.0.1";

async function listening<S extends net.Server>(server: S): Promise<S> {
  server.listen(0, HOST);
  await once(server, "listening");
  return server;
}

/** The port that the program prints when it serves. */
async function servingPort(example: External): Promise<number> {
  const [, port] = await example.printed(/^Serving on 127\.0\.0\.1:(\d+)/m);
  return Number(port);
}

describe("hello-world", () => {
  it("hello-world prints two lines, one after the other", async () => {
    await using example = startExample("hello-world");
    await example.printed(/Hello \.\.\.\n/);
    assert.equal(example.stdout, "Hello ...\n");
    assert.equal(await example.ended(), 0);
    assert.equal(example.stdout, "Hello ...\n... World!\n");
  });
});

describe("tcp-echo-client", () => {
  const dialogue = (message: string): string[] => [
    `Send: ${JSON.stringify(message)}`,
    `Received: ${JSON.stringify(message)}`,
    "Close the connection",
  ];

  it("tcp-echo-client talks to an asyncio server in Python", { skip: missing("python3") }, async () => {
    await using python = startPython(ECHO_SERVER);
    const [, port = ""] = await python.printed(/port (\d+)/);
    const standard = await runExample("tcp-echo-client", HOST, port);
    assert.deepEqual(standard, { status: 0, lines: dialogue("Hello World!"), stderr: "" });
    const { status, lines } = await runExample("tcp-echo-client", HOST, port, "grüße");
    assert.equal(status, 0);
    assert.deepEqual(lines, dialogue("grüße"));
    await python.printed(/got Hello World!\ngot grüße\n/);
  });

  it("tcp-echo-client talks to a raw echo server", async () => {
    const server = await listening(net.createServer((socket) => socket.pipe(socket)));
    const { status, lines, stderr } = await runExample("tcp-echo-client", HOST, String(portOf(server)), "a message");
    assert.deepEqual({ status, lines, stderr }, { status: 0, lines: dialogue("a message"), stderr: "" });
    await closed(server);
  });

  it("tcp-echo-client fails with the address if no server listens", async () => {
    const port = await freePort();
    const { status, stderr } = await runExample("tcp-echo-client", HOST, String(port));
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`ConnectionRefusedError|Connect call failed \\('127\\.0\\.0\\.1', ${port}\\)`));
  });
});

describe("tcp-echo-client and tcp-echo-server with a port that is none", () => {
  for (const name of ["tcp-echo-client", "tcp-echo-server"]) {
    it(`${name} says which ports there are`, async () => {
      const { status, stderr } = await runExample(name, HOST, "nonsense");
      assert.equal(status, 1);
      assert.match(stderr, /ValueError|port must be an integer from [01] to 65535/);
    });
  }
});

describe("tcp-echo-server", () => {
  const servesAndLogs = (message: string, from: string): string[] => [
    `Received ${JSON.stringify(message)} from ${from}`,
    `Send: ${JSON.stringify(message)}`,
    "Close the connection",
  ];

  it("tcp-echo-server echoes to raw clients one after the other, and Ctrl-C ends it", async () => {
    await using example = startExample("tcp-echo-server", HOST, "0");
    const port = await servingPort(example);
    const expected = [`Serving on 127.0.0.1:${port}`];
    for (const message of ["one", "two"]) {
      const peer = await rawPeer(port);
      const { localPort } = peer.socket;
      peer.write(message);
      await peer.untilEnded();
      assert.equal(peer.text, message);
      peer.socket.destroy();
      expected.push(...servesAndLogs(message, `127.0.0.1:${localPort}`));
    }
    assert.deepEqual(await interrupt(example), { status: 0, lines: expected, stderr: "" });
  });

  it("tcp-echo-server echoes to an asyncio client in Python", { skip: missing("python3") }, async () => {
    await using example = startExample("tcp-echo-server", HOST, "0");
    const port = await servingPort(example);
    const program = `
import asyncio, sys
async def main():
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    writer.write("grüße".encode())
    print("%s:%d" % writer.get_extra_info("sockname"), (await reader.read()).decode())
    writer.close()
    await writer.wait_closed()
asyncio.run(main())
`;
    const [, address = "", echo] = /^(\S+) (.*)\n$/.exec(await runPythonProgram(program, String(port))) ?? [];
    assert.equal(echo, "grüße");
    const { lines } = await interrupt(example);
    assert.deepEqual(lines.slice(1), servesAndLogs("grüße", address));
  });

  it("tcp-echo-server echoes to nc", { skip: missing("nc") }, async () => {
    await using example = startExample("tcp-echo-server", HOST, "0");
    await using nc = new External("nc", [HOST, String(await servingPort(example))]);
    nc.write("from nc\n");
    await nc.printed(/^from nc\n$/);
    nc.end();
    await nc.ended();
    assert.equal((await interrupt(example)).status, 0);
  });
});

describe("http-headers", () => {
  it("http-headers prints the headers of a server of node:http, and sends HEAD with path and query", async () => {
    const asked: string[] = [];
    const server = http.createServer(({ method, url, headers }, response) => {
      asked.push(`${method} ${url} ${headers.host}`);
      response.writeHead(418, { "X-Test": "grün", "Content-Type": "text/plain" }).end("no body for HEAD");
    });
    const port = portOf(await listening(server));
    const { status, lines, stderr } = await runExample("http-headers", `http://127.0.0.1:${port}/some/path?q=1`);
    assert.equal(status, 0);
    assert.equal(stderr, "");
    assert.deepEqual(asked, [`HEAD /some/path?q=1 127.0.0.1:${port}`]);
    assert.match(lines[0] ?? "", /^HTTP header> HTTP\/1\.1 418 /);
    assert.ok(lines.includes("HTTP header> Content-Type: text/plain"));
    assert.ok(lines.every((line) => line.startsWith("HTTP header> ")));
    assert.ok(!lines.some((line) => line.includes("no body")));
    await closed(server);
  });

  it("http-headers prints the headers of Python's http.server", { skip: missing("python3") }, async () => {
    await using python = new External("python3", ["-u", "-m", "http.server", "0", "--bind", HOST]);
    const [, port] = await python.printed(/port (\d+)/);
    const { status, lines } = await runExample("http-headers", `http://127.0.0.1:${port}/`);
    assert.equal(status, 0);
    assert.equal(lines[0], "HTTP header> HTTP/1.0 200 OK");
    assert.ok(lines.some((line) => /^HTTP header> Server: SimpleHTTP\//.test(line)));
  });

  it("http-headers says how it is used, and ends with status 2, for what is no http URL", async () => {
    for (const args of [[], ["not a url"], ["ftp://localhost/"]]) {
      const { status, stderr } = await runExample("http-headers", ...args);
      assert.equal(status, 2);
      assert.match(stderr, /^usage: http-headers http.*HOST\[:PORT\]\/PATH/);
      assert.ok(stderr.includes(args[0] ?? ""));
    }
  });
});

describe("registered-socket", () => {
  it("registered-socket prints what came over the pair of sockets", async () => {
    assert.deepEqual(await runExample("registered-socket"), { status: 0, lines: ["Received: abc"], stderr: "" });
  });
});

describe("greeting-echo-server", () => {
  async function serving(): Promise<{ example: External; port: number } & AsyncDisposable> {
    const example = startExample("greeting-echo-server", "--serve", "0");
    const port = await servingPort(example);
    return { example, port, [Symbol.asyncDispose]: () => example[Symbol.asyncDispose]() };
  }

  it("greeting-echo-server lets two clients talk to it at the same time, and shows both dialogues", async () => {
    const { status, lines, stderr } = await runExample("greeting-echo-server");
    assert.equal(status, 0);
    assert.equal(stderr, "");
    assert.match(lines[0] ?? "", /^Serving on 127\.0\.0\.1:\d+; two clients talk to it at the same time\.$/);
    assert.equal(lines.at(-1), "The server is closed.");
    const text = lines.join("\n");
    const dialogues = [
      ["Ada", "Hello!", "How are you?"],
      ["Grace", "Hi there!", "What is my address?"],
    ] as const;
    for (const [name, first, second] of dialogues) {
      const [, address = ""] = new RegExp(`^${name} is at (.*)$`, "m").exec(text) ?? [];
      assert.match(address, /^127\.0\.0\.1:\d+$/);
      const spoken = [`${name} is at ${address}`, `  > ${first}`, `  < ${first}`, `  > ${second}`, `  < ${second}`];
      const bye = ["  >", `  < Good bye, client @ ${address}`];
      assert.ok(text.includes([...spoken, ...bye].join("\n")), text);
    }
  });

  it("greeting-echo-server says good-bye to each of several clients by its own address", async () => {
    await using server = await serving();
    const peers = await Promise.all(Array.from({ length: 5 }, () => rawPeer(server.port)));
    const expected = peers.map(() => "");
    for (let i = 0; i < 3; i++) {
      for (const [who, peer] of peers.entries()) {
        peer.write(`client ${who} says ${i}\n`);
        expected[who] += `client ${who} says ${i}\n`;
        await peer.received(expected[who]?.length ?? 0);
      }
    }
    for (const [who, peer] of [...peers.entries()].reverse()) {
      peer.write(who % 2 === 0 ? "\n" : "  \r\n");
      await peer.untilEnded();
      assert.equal(peer.text, `${expected[who]}Good bye, client @ 127.0.0.1:${peer.socket.localPort}\n`);
      peer.socket.destroy();
    }
    const { status, lines, stderr } = await interrupt(server.example);
    assert.equal(status, 0);
    assert.equal(lines.at(-1), "The server is closed.");
    assert.equal(stderr, "");
  });

  it("greeting-echo-server says good-bye also to a client that ends its side without an empty line", async () => {
    await using server = await serving();
    const peer = await rawPeer(server.port);
    const { localPort } = peer.socket;
    peer.socket.end("a line\nhalf a line");
    await peer.untilEnded();
    assert.equal(peer.text, `a line\nhalf a lineGood bye, client @ 127.0.0.1:${localPort}\n`);
    peer.socket.destroy();
  });

  it("greeting-echo-server is ended by Ctrl-C with a client connected, which sees the end", async () => {
    await using server = await serving();
    const peer = await rawPeer(server.port);
    peer.write("a line\n");
    await peer.received(7);
    const { status, lines, stderr } = await interrupt(server.example);
    assert.equal(status, 0);
    assert.equal(lines.at(-1), "The server is closed.");
    assert.equal(stderr, "");
    await peer.untilEnded();
    assert.equal(peer.error, null);
    peer.socket.destroy();
  });

  it("greeting-echo-server continues if a client resets its connection", async () => {
    await using server = await serving();
    const rude = await rawPeer(server.port);
    rude.write("no newline");
    rude.socket.resetAndDestroy();
    const peer = await rawPeer(server.port);
    peer.write("still there?\n");
    assert.equal(await peer.received(13), "still there?\n");
    peer.socket.destroy();
  });

  it("greeting-echo-server talks to an asyncio client in Python", { skip: missing("python3") }, async () => {
    await using server = await serving();
    const spoken = await runPythonProgram(LINE_CLIENT, String(server.port), "Hello!", "grüße");
    const [, address] = /^at (.*)$/m.exec(spoken) ?? [];
    assert.equal(spoken, `at ${address}\nline Hello!\nline grüße\nrest Good bye, client @ ${address}\n`);
  });

  for (const program of ["nc", "telnet"]) {
    it(`greeting-echo-server talks to ${program}`, { skip: missing(program) }, async () => {
      await using server = await serving();
      await using client = new External(program, [HOST, String(server.port)]);
      client.write("Hello!\n");
      await client.printed(/^Hello!\r?\n/m);
      client.write("\n");
      await client.printed(/^Good bye, client @ 127\.0\.0\.1:\d+\r?\n/m);
      client.end();
      await client.ended();
      assert.equal((await interrupt(server.example)).status, 0);
    });
  }

  it("greeting-echo-server says how it is used, and ends with status 2, for wrong arguments", async () => {
    for (const args of [["--port"], ["--serve", "99999"], ["--serve", "x"]]) {
      const { status, stderr } = await runExample("greeting-echo-server", ...args);
      assert.equal(status, 2);
      assert.equal(stderr, `usage: greeting-echo-server [--serve [PORT]]; got ${args.join(" ")}\n`);
    }
  });

  it("greeting-echo-server names the address when the port is taken", async () => {
    const blocker = await listening(net.createServer());
    const port = portOf(blocker);
    const { status, stderr } = await runExample("greeting-echo-server", "--serve", String(port));
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`error while attempting to bind on address \\('127\\.0\\.0\\.1', ${port}\\)`));
    await closed(blocker);
  });
});

describe("request-logging and request-logging-in-a-task", () => {
  const examples = [
    { name: "request-logging", before: "", end: "The server is closed." },
    { name: "request-logging-in-a-task", before: "shop ", end: "[shop -] closed" },
  ];
  for (const { name, before, end } of examples) {
    it(`${name} never mixes up two slow requests at once in its log, and Ctrl-C ends it`, async () => {
      await using example = startExample(name, "0");
      const port = await servingPort(example);
      const paths = ["/a", "/b"];
      const bodies = await Promise.all(paths.map((path) => request(port, path)));
      assert.deepEqual(
        bodies,
        paths.map((path) => `answer for ${path}\n`),
      );
      assert.equal(await request(port, "/c"), "answer for /c\n");
      const { status, lines, stderr } = await interrupt(example);
      assert.equal(status, 0);
      assert.equal(stderr, "");
      assert.equal(lines.at(-1), end);
      const log = lines.slice(1, -1);
      for (const path of [...paths, "/c"]) {
        const prefix = `[${before}${path}] `;
        assert.deepEqual(
          log.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length)),
          [`GET ${path}`, "query begins", "query ends", "done"],
        );
      }
      assert.equal(log.length, 12, log.join("\n"));
      const order = (text: string): number => log.indexOf(`[${before}${text}`);
      assert.ok(Math.max(order("/a] query begins"), order("/b] query begins")) < order("/a] query ends"), "at once");
    });
  }
});

describe("tcp-proxy", () => {
  /** The proxy before a raw listener, and both ends of a connection through it. */
  async function proxied(reads = true): Promise<{ example: External; near: Peer; far: Peer } & AsyncDisposable> {
    const listener = await listening(net.createServer({ allowHalfOpen: true }));
    const accepted = once(listener, "connection") as Promise<[net.Socket]>;
    const example = startExample("tcp-proxy", HOST, String(portOf(listener)));
    const near = await rawPeer(await servingPort(example));
    const [socket] = await accepted;
    const far = new Peer(socket, reads);
    return {
      example,
      near,
      far,
      async [Symbol.asyncDispose]() {
        near.socket.destroy();
        far.socket.destroy();
        await closed(listener);
        await example[Symbol.asyncDispose]();
      },
    };
  }

  it("tcp-proxy passes on a half-close, and the answer to what came before it", async () => {
    await using connection = await proxied();
    const { example, near, far } = connection;
    near.socket.end("question");
    await far.untilEnded();
    assert.equal(far.text, "question");
    far.socket.end("answer");
    await near.untilEnded();
    assert.equal(near.text, "answer");
    await example.printed(/^127\.0\.0\.1:\d+: 8 bytes there, 6 bytes back$/m);
    assert.equal((await interrupt(example)).status, 0);
  });

  it("tcp-proxy ends the other side when one is reset, and serves the next client", async () => {
    await using connection = await proxied();
    const { example, near, far } = connection;
    far.socket.resetAndDestroy();
    await near.untilEnded();
    await example.printed(/^127\.0\.0\.1:\d+: ConnectionResetError$/m);
    assert.deepEqual((await interrupt(example)).stderr, "");
  });

  it("tcp-proxy stops a client whose other side does not read, and passes on a million small writes when it does", async () => {
    await using connection = await proxied(false);
    const { near, far } = connection;
    const line = "x".repeat(31);
    for (let i = 0; i < 1000; i++) {
      near.socket.cork();
      for (let j = 0; j < 1000; j++) {
        near.write(`${line}\n`);
      }
      near.socket.uncork();
    }
    near.socket.end();
    far.write("the other direction goes on");
    assert.equal(await near.received(27), "the other direction goes on");
    assert.ok(near.socket.writableLength > 0);
    far.read();
    await far.untilEnded();
    assert.ok(Buffer.concat(far.chunks).equals(Buffer.alloc(32_000_000, `${line}\n`)));
  });

  it("tcp-proxy says why a client is not served, and continues", async () => {
    await using example = startExample("tcp-proxy", HOST, String(await freePort()));
    const port = await servingPort(example);
    for (let i = 0; i < 2; i++) {
      const peer = await rawPeer(port);
      await peer.untilEnded();
      peer.socket.destroy();
    }
    const { status, lines } = await interrupt(example);
    assert.equal(status, 0);
    assert.equal(lines.filter((line) => /^127\.0\.0\.1:\d+: ConnectionRefusedError$/.test(line)).length, 2);
  });
});
