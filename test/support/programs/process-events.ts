/** Sets a variable in listeners of the process's events, and prints what they, and others, see. */
import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { ContextVar } from "contextvars";

const value = new ContextVar("value", { default: "-" });
const seen = new Set<string>();
let calls = 0;

function visit(): void {
  calls += 1;
  seen.add(value.get());
  value.set(`call ${calls}`);
}

for (const event of ["uncaughtException", "unhandledRejection", "warning"] as const) {
  process.on(event as "warning", visit);
}
for (let i = 0; i < 3; i++) {
  setTimeout(() => {
    throw new Error("uncaught");
  });
  await pause(5);
  void Promise.reject(new Error("unhandled"));
  await pause(5);
  process.emitWarning(`warning ${i}`);
  await pause(5);
}

const server = http.createServer((_request, response) => {
  seen.add(value.get());
  response.end();
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
const [response] = (await once(http.get({ port, host: "127.0.0.1", agent: false }), "response")) as [
  http.IncomingMessage,
];
response.resume();
await once(response, "end");
seen.add(value.get());
server.close();
console.log(JSON.stringify({ calls, seen: [...seen] }));
