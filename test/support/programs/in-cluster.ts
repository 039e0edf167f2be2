/**
 * Two workers of a cluster serve at the same address: a path, or the port of a host. Prints who is served, before and
 * after one of them has closed its server, and whether the path is there before, then, and at the end.
 */
import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { existsSync } from "node:fs";
import * as asyncio from "contextvars/asyncio";

/** `unix` and a path, or `tcp` and a host, which is empty for every address. */
const [kind = "", where = ""] = process.argv.slice(2);

async function serve(): Promise<void> {
  const handler = async (_reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> => {
    await writer.send("served");
    writer.close();
  };
  const server =
    kind === "unix"
      ? await asyncio.startUnixServer(handler, where)
      : await asyncio.startServer(handler, where === "" ? null : where, 0);
  process.once("message", async () => {
    server.close();
    await server.waitClosed();
    process.disconnect();
  });
  process.send?.(kind === "unix" ? 0 : server.sockets[0]?.getsockname().port);
}

async function visit(port: number): Promise<string> {
  const [reader, writer] =
    kind === "unix" ? await asyncio.openUnixConnection(where) : await asyncio.openConnection("127.0.0.1", port);
  await using _ = writer;
  return String(await reader.read());
}

async function command(): Promise<void> {
  const workers: Worker[] = [];
  let port = 0;
  for (let i = 0; i < 2; i++) {
    const worker = cluster.fork();
    workers.push(worker);
    port = Number((await once(worker, "message"))[0]);
  }
  const seen: unknown[] = [existsSync(where), await visit(port), await visit(port)];
  for (const worker of workers) {
    const ended = once(worker, "exit");
    worker.send("close");
    await ended;
    seen.push(existsSync(where), await visit(port).catch((error) => error.name));
  }
  console.log(JSON.stringify(seen));
}

await (cluster.isPrimary ? command() : serve());
