/**
 * So many connections one after another, at most so many at a time: connect, one line there and back, close. Prints what
 * is left of them: resources, tasks, the growth of the heap for each, in the best quarter of them.
 *
 * Usage: churn TOTAL AT_A_TIME      TOTAL is a multiple of four
 */
import * as asyncio from "contextvars/asyncio";
import { growths } from "../garbage.ts";

const [total = 0, atATime = 0] = process.argv.slice(2).map(Number);
const WARM_UP = 1000;
const PARTS = 4;

let handled = 0;
let failures = 0;
process.on("unhandledRejection", () => {
  failures += 1;
});
process.on("warning", () => {
  failures += 1;
});

async function handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  const line = await reader.readline();
  await writer.send(line);
  handled += 1;
  writer.close();
}

async function visit(port: number, line: string, isServersTurn: boolean): Promise<void> {
  const [reader, writer] = await asyncio.openConnection("127.0.0.1", port);
  await writer.send(line);
  const answer = await reader.readline();
  if (String(answer) !== line) {
    failures += 1;
  }
  // Either side closes first, in turns.
  if (isServersTurn && (await reader.read()).length > 0) {
    failures += 1;
  }
  writer.close();
  await writer.waitClosed();
}

async function visits(port: number, count: number): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await visit(port, `visit ${next}\n`, next % 2 === 0);
    }
  };
  await asyncio.gather(Array.from({ length: atATime }, () => one));
}

/** What a connection could leave: the pipes and requests of the process itself come and go. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) {
    if (/^(TCP|Timeout|Immediate)/.test(name)) {
      counts[name] = (counts[name] ?? 0) + 1;
    }
  }
  return counts;
}

const server = await asyncio.startServer(handler, "127.0.0.1", 0, { idleTimeout: 60, readTimeout: 60 });
const port = server.sockets[0]?.getsockname().port ?? 0;
await visits(port, WARM_UP);
const listeners = process.eventNames().map((name) => [String(name), process.listenerCount(name)]);
const grown = await growths(PARTS, () => visits(port, total / PARTS));
const tasks = asyncio.allTasks().size;
const serving = resources();
const listenersAfter = process.eventNames().map((name) => [String(name), process.listenerCount(name)]);
server.close();
await server.waitClosed();
await asyncio.sleep(0.05);
const after = resources();

const result = {
  handled: handled - WARM_UP,
  failures,
  tasks,
  growth: Math.min(...grown) / (total / PARTS),
  serving,
  after,
  newListeners: JSON.stringify(listeners) === JSON.stringify(listenersAfter) ? 0 : 1,
};
process.stdout.write(JSON.stringify(result));
