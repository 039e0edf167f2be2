/** The programs of the cookbook that talk to each other, to raw sockets, or to child processes. */
import assert from "node:assert/strict";
import * as net from "node:net";
import { describe, it } from "node:test";
import { type External, makeCertificate, missing } from "../support/external.ts";
import { closed, freePort, type Peer, portOf, rawPeer } from "../support/peers.ts";
import { type EndedExample, interrupt, runExample, startExample } from "../support/peers-examples.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const HOST = "127.0.0.1";

async function servingPort(example: External): Promise<number> {
  const [, port] = await example.printed(/^Serving on 127\.0\.0\.1:(\d+)/m);
  return Number(port);
}

async function listening(onConnection: (socket: net.Socket) => void): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  return server;
}

describe("chat-server", () => {
  async function join(port: number, name: string): Promise<Peer> {
    const peer = await rawPeer(port);
    await peer.until(/Who are you\?\n/);
    peer.write(`${name}\n`);
    return peer;
  }

  it("chat-server hands on what one says to all others, and tells who comes and goes", async () => {
    await using example = startExample("chat-server", HOST, "0");
    const port = await servingPort(example);
    const ada = await join(port, "Ada");
    await ada.until(/\* here are: Ada\n/);
    const bob = await join(port, "Bob");
    await bob.until(/\* here are: Ada, Bob\n/);
    await ada.until(/\* Bob is here\n/);
    ada.write("hello\n");
    await bob.until(/Ada: hello\n/);
    bob.write(`${"x".repeat(5000)}\n${"y".repeat(1000)}\nhi Ada\n`);
    await ada.until(/Bob: y{1000}\nBob: hi Ada\n/);
    assert.doesNotMatch(ada.text, /Ada: hello|xxx/, "not what one says oneself, nor what is too long");
    bob.socket.resetAndDestroy();
    await ada.until(/\* Bob has left\n/);
    assert.deepEqual(await interrupt(example), { status: 0, lines: [`Serving on 127.0.0.1:${port}`], stderr: "" });
    ada.socket.destroy();
  });

  it("chat-server refuses a name that is taken, and drops a client that does not read", async () => {
    await using example = startExample("chat-server", HOST, "0");
    const port = await servingPort(example);
    const ada = await join(port, "Ada");
    await ada.until(/here are/);
    const other = await join(port, "Ada");
    await other.until(/\* you cannot be "Ada"\n/);
    await other.untilEnded();
    const lazy = await join(port, "Lazy");
    await lazy.until(/here are/);
    lazy.socket.pause();
    await ada.until(/Lazy is here/);
    const line = `${"y".repeat(900)}\n`;
    const chatter = setInterval(() => ada.write(line.repeat(1000)), 5);
    await ada.until(/\* Lazy has left\n/);
    clearInterval(chatter);
    lazy.socket.destroy();
    ada.socket.destroy();
    assert.equal((await interrupt(example)).stderr, "");
  });
});

describe("http-connect-proxy", () => {
  it("http-connect-proxy tunnels both ways, with a half-close of either side", async () => {
    const received: string[] = [];
    const origin = await listening((socket) => {
      let text = "";
      socket.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      socket.on("end", () => {
        received.push(text);
        socket.end(`${text.length} bytes`);
      });
    });
    await using example = startExample("http-connect-proxy", HOST, "0");
    const peer = await rawPeer(await servingPort(example));
    peer.write(`CONNECT ${HOST}:${portOf(origin)} HTTP/1.1\r\nHost: x\r\n\r\n${"a".repeat(300_000)}`);
    peer.socket.end();
    await peer.untilEnded();
    assert.equal(peer.text, "HTTP/1.1 200 Connection established\r\n\r\n300000 bytes");
    assert.equal(received.length, 1);
    peer.socket.destroy();
    await closed(origin);
    assert.equal((await interrupt(example)).stderr, "");
  });

  it("http-connect-proxy says what it cannot do, and survives connections that break", async () => {
    const origin = await listening((socket) => socket.resetAndDestroy());
    await using example = startExample("http-connect-proxy", HOST, "0");
    const port = await servingPort(example);
    for (const [request, status] of [
      ["GET http://example.org/ HTTP/1.1\r\n\r\n", "405 Method Not Allowed"],
      [`CONNECT ${HOST}:99999 HTTP/1.1\r\n\r\n`, "400 Bad Request"],
      [`CONNECT ${HOST}:${await freePort()} HTTP/1.1\r\n\r\n`, "502 Bad Gateway"],
    ] as const) {
      const peer = await rawPeer(port);
      peer.write(request);
      await peer.untilEnded();
      assert.match(peer.text, new RegExp(`^HTTP/1\\.1 ${status}\r\n`));
      peer.socket.destroy();
    }
    const broken = await rawPeer(port);
    broken.write(`CONNECT ${HOST}:${portOf(origin)} HTTP/1.1\r\n\r\n`);
    await broken.untilEnded();
    broken.socket.destroy();
    await closed(origin);
    const { status, stderr } = await interrupt(example);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
  });
});

describe("supervisor", { skip: process.platform === "win32" ? "its commands are those of Unix" : false }, () => {
  it("supervisor shows what commands write, starts again what fails, and ends all by Ctrl-C", async () => {
    using folder = new TemporaryFolder();
    // Fails twice, since the file is there the third time only.
    const flaky = `sh -c 'cat ${folder.file("1")} && exit 0; mv ${folder.file("0")} ${folder.file("1")}; touch ${folder.file("0")}; exit 3'`;
    await using example = startExample("supervisor", "echo one", flaky, "sleep 1000");
    await example.printed(/\[2\] ended with 0\n/);
    const { status, lines, stderr } = await interrupt(example);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    const of = (name: string): string[] =>
      lines.filter((line) => line.startsWith(`[${name}]`) && !line.includes("| cat"));
    assert.deepEqual(of("1"), ["[1] started", "[1]| one", "[1] ended with 0"]);
    assert.deepEqual(
      of("2").filter((line) => !line.includes("| ")),
      ["[2] started", "[2] ended with 3", "[2] started", "[2] ended with 3", "[2] started", "[2] ended with 0"],
    );
    assert.deepEqual(of("3"), ["[3] started", "[3] stopped"]);
  });

  it("supervisor says what is no program", async () => {
    await using example = startExample("supervisor", "no-such-program");
    await example.printed(/\[1\] ended with 127\n\[1\] started\n/);
    assert.equal((await interrupt(example)).status, 0);
  });
});

describe("json-rpc", () => {
  it("json-rpc answers calls as they end, and answers late or unknown calls with an error", async () => {
    const { status, lines, stderr } = await runExample("json-rpc");
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    assert.deepEqual(lines.toSorted(), [
      "add(1, 2): 3",
      "constructor(): Error: there is no method constructor",
      "divide(1, 2): Error: there is no method divide",
      "sleep(0.2): slept for 0.2 s",
      "sleep(3600): Error: too late",
    ]);
    assert.ok(lines.indexOf("add(1, 2): 3") < lines.indexOf("sleep(0.2): slept for 0.2 s"));
  });
});

describe("smtp-client", { skip: missing("openssl") }, () => {
  async function send(port: number, message: string, ...args: string[]): Promise<EndedExample> {
    await using client = startExample("smtp-client", HOST, String(port), ...args);
    client.write(message);
    client.end();
    const status = await client.ended();
    return { status, lines: client.stdout.trimEnd().split("\n"), stderr: client.stderr };
  }

  it("smtp-client sends a mail over TLS to smtp-server, dots and all", async () => {
    using folder = new TemporaryFolder();
    const { key, cert } = await makeCertificate(folder);
    await using server = startExample("smtp-server", HOST, "0", key, cert);
    const port = await servingPort(server);
    const mail = "Subject: dots\n\n.\n..two\nend\n";
    assert.deepEqual(await send(port, mail, "a@example.org", "b@example.org", cert), {
      status: 0,
      lines: ["Sent over TLS"],
      stderr: "",
    });
    const printed = JSON.parse(server.stdout.trim().split("\n")[1] ?? "") as Record<string, unknown>;
    assert.deepEqual(printed, {
      from: "a@example.org",
      to: ["b@example.org"],
      tls: true,
      message: "Subject: dots\r\n\r\n.\r\n..two\r\nend\r\n",
    });
    const { status, stderr } = await send(port, mail, "a@example.org", "b@example.org");
    assert.equal(status, 1);
    assert.match(stderr, /SSLCertVerificationError/, "an unknown certificate is not trusted");
    assert.equal((await interrupt(server)).status, 0);
  });

  it("smtp-client sends without TLS where there is none, and says why a server refuses", async () => {
    await using server = startExample("smtp-server", HOST, "0");
    const port = await servingPort(server);
    assert.deepEqual((await send(port, "text", "a@b", "c@d")).lines, ["Sent without TLS"]);
    const long = await send(port, "text", `${"a".repeat(600)}@b`, "c@d");
    assert.deepEqual([long.status, long.stderr], [1, "500 line is longer than 512 bytes\n"]);
    const injected = await send(port, "text", "a@b>\r\nRSET", "c@d");
    assert.match(injected.stderr, /^usage/);
    assert.equal((await interrupt(server)).status, 0);
  });
});

describe("mqtt-client", () => {
  /** A broker for one client, which gets the packets as they stand in the standard, in hexadecimal. */
  async function broker(answer: (packet: string) => string): Promise<{ server: net.Server; packets: string[] }> {
    const packets: string[] = [];
    const server = await listening((socket) => {
      let bytes = Buffer.alloc(0);
      socket.on("data", (chunk) => {
        bytes = Buffer.concat([bytes, chunk]);
        while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt8(1)) {
          const size = 2 + bytes.readUInt8(1);
          const packet = bytes.toString("hex", 0, size);
          packets.push(packet);
          // Every byte by itself: a packet is what its length says.
          for (const byte of Buffer.from(answer(packet).replaceAll(" ", ""), "hex")) {
            socket.write(Uint8Array.of(byte));
          }
          bytes = bytes.subarray(size);
        }
      });
      socket.on("end", () => socket.end());
    });
    return { server, packets };
  }

  const hex = (text: string): string => Buffer.from(text).toString("hex");

  it("mqtt-client publishes a message, and waits until the server has it", async () => {
    const answers: Readonly<Record<string, string>> = { 1: "20 02 00 00", 3: "40 02 00 01" };
    const { server, packets } = await broker((packet) => answers[packet[0] ?? ""] ?? "");
    const example = await runExample("mqtt-client", HOST, String(portOf(server)), "publish", "a/b", "héllo");
    assert.deepEqual(example, { status: 0, lines: [""], stderr: "" });
    assert.match(packets[0] ?? "", /^10..00044d5154540402001e00..636f6e74657874766172732d/);
    assert.deepEqual(packets.slice(1), [`320d0003${hex("a/b")}0001${hex("héllo")}`, "e000"]);
    await closed(server);
  });

  it("mqtt-client prints the messages of a topic, acknowledges the ones that require it, and leaves", async () => {
    const messages = [
      `30 0a 0003 ${hex("a/b")} ${hex("hello")}`,
      // With a number to acknowledge, and a length of two bytes.
      `32 b302 0003 ${hex("a/b")} 0007 ${hex("x".repeat(300))}`,
    ];
    const answers: Readonly<Record<string, string>> = { 1: "20 02 00 00", 8: `90 03 0001 01 ${messages.join("")}` };
    const { server, packets } = await broker((packet) => answers[packet[0] ?? ""] ?? "");
    const example = await runExample("mqtt-client", HOST, String(portOf(server)), "subscribe", "a/+", "2");
    const lines = ["Subscribed to a/+", "a/b: hello", `a/b: ${"x".repeat(300)}`];
    assert.deepEqual(example, { status: 0, lines, stderr: "" });
    assert.deepEqual(packets.slice(1), [`820800010003${hex("a/+")}01`, "40020007", "e000"]);
    await closed(server);
  });

  it("mqtt-client says so when the server goes while it waits for messages", async () => {
    const { server } = await broker((packet) => ({ 1: "20 02 00 00", 8: "90 03 0001 01" })[packet[0] ?? ""] ?? "");
    server.on("connection", (socket) => setTimeout(() => socket.end(), 200));
    const { status, stderr } = await runExample("mqtt-client", HOST, String(portOf(server)), "subscribe", "a");
    assert.equal(status, 1);
    assert.equal(stderr, "ConnectionResetError: the server has closed the connection\n");
    await closed(server);
  });

  it("mqtt-client fails where the server refuses it, hangs up, or sends garbage", async () => {
    for (const [answer, message] of [
      ["20 02 00 05", /^ConnectionRefusedError: the server refuses the connection with 5\n$/],
      ["20 ff ff ff ff", /ConnectionResetError: the server has closed the connection/],
    ] as const) {
      const { server } = await broker(() => answer);
      const { status, stderr } = await runExample("mqtt-client", HOST, String(portOf(server)), "publish", "a", "b");
      assert.equal(status, 1);
      assert.match(stderr, message);
      await closed(server);
    }
  });
});

describe("programs that cannot do anything", () => {
  const clients: Readonly<Record<string, (port: number) => string[]>> = {
    "postgres-client": (port) => [`postgres://user:password@${HOST}:${port}/database`, "select 1"],
    "mqtt-client": (port) => [HOST, String(port), "publish", "a", "b"],
    "redis-client": (port) => [HOST, String(port)],
    "smtp-client": (port) => [HOST, String(port), "a@example.org", "b@example.org"],
  };
  for (const [name, args] of Object.entries(clients)) {
    it(`${name} says in one line that the server is not there`, async () => {
      const { status, stderr } = await runExample(name, ...args(await freePort()));
      assert.equal(status, 1);
      assert.match(stderr, /^ConnectionRefusedError: \[Errno -?\d+\] Connect call failed \('127\.0\.0\.1', \d+\)\n$/);
    });
  }

  for (const name of ["postgres-client", "smtp-client", "supervisor"]) {
    it(`${name} without arguments says how it is used`, async () => {
      const { status, stderr } = await runExample(name);
      assert.equal(status, 1);
      assert.match(stderr, new RegExp(`^usage: ${name} .*\\n$`));
    });
  }
});

describe("redis-client", () => {
  it("redis-client says in one line that the server hangs up", async () => {
    const server = await listening((socket) => socket.on("data", () => socket.end()));
    const { status, stderr } = await runExample("redis-client", HOST, String(portOf(server)));
    assert.equal(status, 1);
    assert.match(stderr, /^IncompleteReadError: .*\n$/);
    await closed(server);
  });
});
