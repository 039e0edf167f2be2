/** The loop's methods for names, and for connections that something else has accepted. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "../support/certificates.ts";
import { outcomeOf, portOf } from "../support/peers.ts";

const HOST = "127.0.0.1";
const loop = asyncio.getRunningLoop();
const { ca, server: identity } = certificates();

/** Answers in capitals. */
class Shouter extends asyncio.Protocol {
  #transport: asyncio.Transport | null = null;

  override connectionMade(transport: asyncio.Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Buffer): void {
    this.#transport?.write(String(data).toUpperCase());
  }
}

describe("EventLoop.getaddrinfo()", () => {
  it("getaddrinfo() of an address gives it with the port, by number and by the name of a service", async () => {
    for (const port of [80, "80", "http"]) {
      assert.deepEqual((await loop.getaddrinfo(HOST, port)).map(String), ["127.0.0.1:80"]);
    }
    assert.deepEqual((await loop.getaddrinfo("::1", null)).map(String), ["[::1]:0"]);
  });

  it("getaddrinfo() of localhost gives addresses of the family that was asked for", async () => {
    const found = await loop.getaddrinfo("localhost", 1, { family: 4 });
    assert.ok(found.length > 0);
    assert.ok(found.every((address) => address instanceof asyncio.SocketAddress && address.family === "IPv4"));
  });

  it("getaddrinfo() of a name that does not exist throws a gaierror", async () => {
    assert.ok((await outcomeOf(loop.getaddrinfo("no such host", 1))) instanceof asyncio.gaierror);
  });

  it("getaddrinfo() of what is no name throws a TypeError", async () => {
    assert.ok((await outcomeOf(loop.getaddrinfo(1 as unknown as string, 1))) instanceof TypeError);
  });
});

describe("EventLoop.getnameinfo()", () => {
  it("getnameinfo() of the machine's own address gives its name, and what stands for the port", async () => {
    const [address] = await loop.getaddrinfo(HOST, 80);
    const [host, service] = await loop.getnameinfo(address as asyncio.SocketAddress);
    assert.ok(host.length > 0);
    assert.match(service, /^(http|80)$/);
  });

  it("getnameinfo() of a name throws a ValueError", async () => {
    const address = { address: "localhost", port: 1 } as asyncio.SocketAddress;
    assert.ok((await outcomeOf(loop.getnameinfo(address))) instanceof asyncio.ValueError);
  });
});

describe("EventLoop.isRunning() and isClosed()", () => {
  it("the loop always runs, and is never closed", () => {
    assert.equal(loop.isRunning(), true);
    assert.equal(loop.isClosed(), false);
  });
});

describe("EventLoop.connectAcceptedSocket()", () => {
  for (const [name, options, clientOptions] of [
    ["without TLS", {}, {}],
    ["with TLS", { ssl: identity }, { ssl: { ca } }],
  ] as const) {
    it(`connectAcceptedSocket() ${name} hands the connection to the protocol`, async () => {
      const listener = net.createServer({ allowHalfOpen: true }).listen(0, HOST);
      await once(listener, "listening");
      const accepted = once(listener, "connection");
      const connecting = asyncio.openConnection(HOST, portOf(listener), clientOptions);
      const [sock] = (await accepted) as [net.Socket];
      const [transport, protocol] = await loop.connectAcceptedSocket(() => new Shouter(), sock, options);
      const [reader, writer] = await connecting;
      assert.equal(transport.getProtocol(), protocol);
      writer.write("hello");
      assert.equal(String(await reader.readexactly(5)), "HELLO");
      writer.writeEof();
      assert.equal((await reader.read()).length, 0);
      writer.close();
      listener.close();
    });
  }

  it("connectAcceptedSocket() of what is no socket throws a ValueError", async () => {
    const error = await outcomeOf(loop.connectAcceptedSocket(() => new Shouter(), { fd: -1 }));
    assert.ok(error instanceof asyncio.ValueError, String(error));
  });
});
