/** Sinks that close while a write to them is in progress: each is an error of a connection, on every runtime. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as http from "node:http";
import * as net from "node:net";
import type { Writable } from "node:stream";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { outcomeOf, portOf, rawConnection } from "../support/peers.ts";

const MUCH = Buffer.alloc(16 * 1024 * 1024);

/** A sink whose other side reads nothing, and the ways in which it can close. */
interface Slow extends AsyncDisposable {
  readonly sink: Writable;
  readonly closes: Readonly<Record<string, () => void>>;
}

async function slowSocket(): Promise<Slow> {
  const listener = net.createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const accepted = once(listener, "connection") as Promise<[net.Socket]>;
  const sink = await rawConnection(portOf(listener));
  const [far] = await accepted;
  return {
    sink,
    closes: {
      "other code destroys it": () => sink.destroy(),
      "its peer resets it": () => far.resetAndDestroy(),
      "its peer closes it": () => far.destroy(),
    },
    async [Symbol.asyncDispose]() {
      sink.destroy();
      far.destroy();
      listener.close();
    },
  };
}

async function slowChild(): Promise<Slow> {
  const child = spawn("sh", ["-c", "exec sleep 60"], { stdio: ["pipe", "ignore", "ignore"] });
  await once(child, "spawn");
  return {
    sink: child.stdin,
    closes: { "its process is killed": () => child.kill("SIGKILL") },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
    },
  };
}

async function slowResponse(): Promise<Slow> {
  const server = http.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const requested = once(server, "request") as Promise<[http.IncomingMessage, http.ServerResponse]>;
  const client = await rawConnection(portOf(server));
  client.pause();
  client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const [request, sink] = await requested;
  return {
    sink,
    closes: {
      "other code destroys it": () => sink.destroy(),
      "other code destroys its request": () => request.destroy(),
      "other code destroys its socket": () => sink.socket?.destroy(),
      "its client resets the connection": () => client.resetAndDestroy(),
      "its client closes the connection": () => client.destroy(),
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      sink.destroy();
      server.close();
    },
  };
}

const sinks: Readonly<Record<string, () => Promise<Slow>>> = {
  "a socket": slowSocket,
  "the input of a child process": slowChild,
  "the response of a server": slowResponse,
};

async function waysToClose(open: () => Promise<Slow>): Promise<string[]> {
  await using slow = await open();
  return Object.keys(slow.closes);
}

describe("Sinks that close during a write", () => {
  for (const [name, open] of Object.entries(sinks)) {
    it(`drain() and waitClosed() of ${name} throw a ConnectionError, however it closes`, async () => {
      for (const how of await waysToClose(open)) {
        await using slow = await open();
        const writer = asyncio.StreamWriter.from(slow.sink);
        writer.write(MUCH);
        const draining = outcomeOf(writer.drain());
        await asyncio.sleep(0.05);
        slow.closes[how]?.();
        for (const error of [await draining, await outcomeOf(writer.waitClosed())]) {
          assert.ok(error instanceof asyncio.ConnectionError, `${how}: ${String(error)}`);
        }
      }
    });
  }

  it("drain() and waitClosed() throw the error that a socket was destroyed with", async () => {
    await using slow = await slowSocket();
    const writer = asyncio.StreamWriter.from(slow.sink);
    writer.write(MUCH);
    const draining = outcomeOf(writer.drain());
    await asyncio.sleep(0.05);
    const reason = new Error("destroyed by other code");
    slow.sink.destroy(reason);
    assert.equal(await draining, reason);
    assert.equal(await outcomeOf(writer.waitClosed()), reason);
  });

  it("communicate() of a process that is killed returns its output, and not the error of its input", async () => {
    const child = await asyncio.createSubprocessShell("echo started; exec sleep 60", {
      stdin: asyncio.PIPE,
      stdout: asyncio.PIPE,
    });
    const communicating = asyncio.createTask(() => child.communicate(MUCH));
    await asyncio.sleep(0.1);
    child.kill();
    assert.equal(String((await communicating)[0]), "started\n");
    assert.equal(child.returncode, -9);
  });
});
