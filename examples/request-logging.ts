/**
 * Request-scoped logging in a plain node:http server: every line of the log names the request it belongs to.
 *
 * Usage: request-logging [PORT]   serves on 127.0.0.1 (port 8082) until Ctrl-C
 *
 * Two concurrent slow requests never see each other's value, although no code passes it on and the handler is not wrapped.
 * Try it with: curl 127.0.0.1:8082/a & curl 127.0.0.1:8082/b
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { ContextVar } from "contextvars";

const requestId = new ContextVar("request_id", { default: "-" });

function log(message: string): void {
  console.log(`[${requestId.get()}] ${message}`);
}

async function slowQuery(): Promise<string> {
  log("query begins");
  await pause(200);
  log("query ends");
  return `answer for ${requestId.get()}`;
}

async function handler(request: IncomingMessage, response: ServerResponse): Promise<void> {
  requestId.set(request.url ?? "?");
  log(`${request.method} ${request.url}`);
  response.end(`${await slowQuery()}\n`);
  log("done");
}

const [port = "8082"] = process.argv.slice(2);
const server = createServer((request, response) => {
  handler(request, response).catch((error) => {
    log(`failed: ${error}`);
    response.writeHead(500).end();
  });
});
server.listen(Number(port), "127.0.0.1", () => {
  console.log(`Serving on 127.0.0.1:${(server.address() as { port: number }).port}`);
});
process.once("SIGINT", () => {
  server.closeAllConnections();
  server.close(() => console.log("The server is closed."));
});
