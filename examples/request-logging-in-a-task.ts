/**
 * The same logging where the server runs in a task: `isolated` gives each request a Context of its own.
 *
 * Usage: request-logging-in-a-task [PORT]   serves on 127.0.0.1 (port 8083) until Ctrl-C
 *
 * What Node calls on behalf of a task shares that task's Context. A handler wrapped in `isolated` gets a fresh copy for
 * each call, with what the task had set before.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { ContextVar, isolated } from "contextvars";
import * as asyncio from "contextvars/asyncio";

const service = new ContextVar<string>("service");
const requestId = new ContextVar("request_id", { default: "-" });

function log(message: string): void {
  console.log(`[${service.get()} ${requestId.get()}] ${message}`);
}

async function slowQuery(): Promise<string> {
  log("query begins");
  await asyncio.sleep(0.2);
  log("query ends");
  return `answer for ${requestId.get()}`;
}

const handler = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  requestId.set(request.url ?? "?");
  log(`${request.method} ${request.url}`);
  response.end(`${await slowQuery()}\n`);
  log("done");
};

async function main(port: number): Promise<void> {
  service.set("shop");
  const answer = isolated(handler);
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.writeHead(500).end());
  });
  const listening = new asyncio.Future<void>();
  server.listen(port, "127.0.0.1", () => listening.setResult());
  await listening;
  console.log(`Serving on 127.0.0.1:${(server.address() as { port: number }).port}`);
  try {
    await new asyncio.Future();
  } finally {
    server.closeAllConnections();
    server.close();
    log("closed");
  }
}

const [port = "8083"] = process.argv.slice(2);
try {
  await asyncio.run(() => main(Number(port)));
} catch (error) {
  if (!(error instanceof asyncio.KeyboardInterrupt)) {
    throw error;
  }
}
