/**
 * So many connections at once, which say nothing. Prints what they cost, how others are served meanwhile, and what is
 * left when the server has been shut down.
 *
 * Usage: crowd COUNT         the server; the other ends are in a process of their own
 *        crowd COUNT PORT    these
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import * as net from "node:net";
import { fileURLToPath } from "node:url";
import * as asyncio from "contextvars/asyncio";
import { heapInUse } from "../garbage.ts";

const [count = 0, clientsOf] = process.argv.slice(2).map(Number);
const AT_A_TIME = 50;

async function rawClient(port: number): Promise<net.Socket> {
  const socket = net.connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.on("error", () => {});
  socket.resume();
  return socket;
}

/** Connects, says so, and ends when all connections have ended. */
async function beClients(port: number): Promise<void> {
  const clients: net.Socket[] = [];
  while (clients.length < count) {
    const length = Math.min(AT_A_TIME, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length }, () => rawClient(port)))));
  }
  const closed = clients.map((client) => once(client, "close"));
  process.send?.("connected");
  await Promise.all(closed);
  process.disconnect();
}

async function handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  for await (const line of reader) {
    await writer.send(line);
  }
  writer.close();
}

async function beServer(): Promise<void> {
  let failures = 0;
  process.on("unhandledRejection", () => {
    failures += 1;
  });
  const server = await asyncio.startServer(handler, "127.0.0.1", 0, {
    backlog: 1024,
    idleTimeout: 600,
    readTimeout: 600,
  });
  const port = server.sockets[0]?.getsockname().port ?? 0;
  const heapBefore = await heapInUse();
  const clients = fork(fileURLToPath(import.meta.url), [String(count), String(port)]);
  const ended = once(clients, "exit");
  await once(clients, "message");
  const cost = ((await heapInUse()) - heapBefore) / count;

  const [reader, writer] = await asyncio.openConnection("127.0.0.1", port);
  let served = 0;
  for (let i = 0; i < 100; i++) {
    await writer.send(`line ${i}\n`);
    served += String(await reader.readline()) === `line ${i}\n` ? 1 : 0;
  }
  writer.close();
  await writer.waitClosed();
  await asyncio.sleep(0.05);

  const outcomes = await server.shutdown({ grace: 0, cancelGrace: 30 });
  await ended;
  await asyncio.sleep(0.05);

  const kinds: Record<string, number> = {};
  for (const { outcome } of outcomes) {
    kinds[outcome] = (kinds[outcome] ?? 0) + 1;
  }
  const tasks = asyncio.allTasks().size;
  const left = process.getActiveResourcesInfo().filter((name) => /^(TCP|Timeout|Immediate)/.test(name));
  process.stdout.write(JSON.stringify({ failures, cost, served, kinds, tasks, left }));
}

await (clientsOf === undefined ? beServer() : beClients(clientsOf));
