/** Sets a variable in listeners of the process's events, and prints what they, and others, see. */
import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { ContextVar } from "contextvars";

const value = new ContextVar("value", { default: "-" });
const seen = new Set<string>();
let calls = 0;

function visit(): void {
  calls += 1;
  seen.add(value.get());
  value.set(`call ${calls}`);
}

const causes: Readonly<Record<string, () => void>> = {
  uncaughtException: () => {
    setTimeout(() => {
      throw new Error("uncaught");
    });
  },
  unhandledRejection: () => void Promise.reject(new Error("unhandled")),
  warning: () => process.emitWarning("a warning"),
};
for (const event of Object.keys(causes)) {
  process.on(event, visit);
}
for (let i = 0; i < 3; i++) {
  for (const [event, cause] of Object.entries(causes)) {
    const emitted = once(process, event);
    cause();
    await emitted;
  }
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
