/** What is left of a connection or a server whose making was cancelled. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import * as path from "node:path";
import { describe, it } from "node:test";
import { setTimeout as foreign } from "node:timers/promises";
import * as asyncio from "contextvars/asyncio";
import { closed, eventually, freePort, outcomeOf, portOf, turns } from "../support/peers.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const HOST = "127.0.0.1";
const loop = asyncio.getRunningLoop();
const tls = { ssl: { rejectUnauthorized: false }, serverHostname: "localhost" };
const protocol = (): asyncio.Protocol => new asyncio.Protocol();

interface Place {
  readonly port: number;
  readonly path: string;
}

/** Everything that connects to a server. */
const connects: Readonly<Record<string, (place: Place) => Promise<unknown>>> = {
  "openConnection()": ({ port }) => asyncio.openConnection(HOST, port),
  "openConnection() by name": ({ port }) => asyncio.openConnection("localhost", port, { family: 4 }),
  "openConnection() with a delay": ({ port }) => asyncio.openConnection(HOST, port, { happyEyeballsDelay: 0.1 }),
  "openConnection() with localAddr": ({ port }) => asyncio.openConnection(HOST, port, { localAddr: [HOST, 0] }),
  "openConnection() with TLS": ({ port }) => asyncio.openConnection(HOST, port, tls),
  "openConnection() of a sock": ({ port }) => asyncio.openConnection({ sock: net.connect(port, HOST) }),
  "openConnection() of a sock with TLS": ({ port }) =>
    asyncio.openConnection({ sock: net.connect(port, HOST), ...tls }),
  "openUnixConnection()": (place) => asyncio.openUnixConnection(place.path),
  "openUnixConnection() with TLS": (place) => asyncio.openUnixConnection(place.path, tls),
  "openUnixConnection() of a sock": (place) => asyncio.openUnixConnection({ sock: net.connect(place.path) }),
  "loop.createConnection()": ({ port }) => loop.createConnection(protocol, HOST, port),
  "loop.createConnection() with TLS": ({ port }) => loop.createConnection(protocol, HOST, port, tls),
  "loop.createUnixConnection()": (place) => loop.createUnixConnection(protocol, place.path),
};

/** Everything that begins to listen. */
const servers: Readonly<Record<string, (place: Place) => Promise<unknown>>> = {
  "startServer()": ({ port }) => asyncio.startServer(() => {}, HOST, port),
  "startUnixServer()": (place) => asyncio.startUnixServer(() => {}, place.path),
  "loop.createServer()": ({ port }) => loop.createServer(protocol, HOST, port),
  "loop.createUnixServer()": (place) => loop.createUnixServer(protocol, place.path),
};

/**
 * When the cancellation comes: during a foreign promise, so that the call's first wait receives it, or during that
 * wait.
 */
const moments = ["before", "during"] as const;

async function cancelled(moment: (typeof moments)[number], act: () => Promise<unknown>): Promise<unknown> {
  const callLater = async (): Promise<unknown> => {
    await foreign(5);
    return await act();
  };
  const task = asyncio.createTask(moment === "before" ? callLater : act, { eagerStart: true });
  task.cancel();
  return await outcomeOf(task);
}

for (const moment of moments) {
  describe(`A cancellation ${moment} the first wait of a connect`, () => {
    for (const [name, act] of Object.entries(connects)) {
      it(`${name} leaves no connection behind`, async () => {
        using folder = new TemporaryFolder();
        const open = new Set<net.Socket>();
        const listeners = [net.createServer(), net.createServer()] as const;
        const place = { port: 0, path: path.join(folder.path, "s") };
        const listening = Promise.all(listeners.map((listener) => once(listener, "listening")));
        listeners[0].listen(0, HOST);
        listeners[1].listen(place.path);
        await listening;
        for (const listener of listeners) {
          listener.on("connection", (socket) => {
            open.add(socket);
            socket.on("error", () => {});
            socket.on("close", () => open.delete(socket));
            socket.resume();
          });
        }
        const outcome = await cancelled(moment, () => act({ ...place, port: portOf(listeners[0]) }));
        assert.ok(asyncio.isCancelled(outcome), String(outcome));
        await turns(10);
        assert.ok(await eventually(() => open.size === 0));
        await Promise.all(listeners.map(closed));
      });
    }
  });

  describe(`A cancellation ${moment} the first wait of a server's start`, () => {
    for (const [name, act] of Object.entries(servers)) {
      it(`${name} leaves no listening socket`, async () => {
        using folder = new TemporaryFolder();
        const place = { port: await freePort(), path: path.join(folder.path, "s") };
        const outcome = await cancelled(moment, () => act(place));
        assert.ok(asyncio.isCancelled(outcome), String(outcome));
        await turns(10);
        for (const address of [{ port: place.port, host: HOST }, { path: place.path }]) {
          const [error] = (await once(net.connect(address), "error")) as [NodeJS.ErrnoException];
          assert.match(error.code ?? "", /ECONNREFUSED|ENOENT/);
        }
      });
    }
  });
}
