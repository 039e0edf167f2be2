/**
 * Express: each request runs in a Context of its own, so every middleware, handler and log line finds the values of its
 * request, and the values that one of them sets are seen by the next ones.
 *
 * `express.mjs [PORT]`: serves until Ctrl-C.
 */
import { AsyncResource } from "node:async_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { ContextVar, copyContext } from "contextvars";
import express from "express";
import pino from "pino";

const requestId = new ContextVar("request id", { default: "-" });
const user = new ContextVar("user", { default: "nobody" });
// pino asks for these at each line.
const log = pino({ base: null, mixin: () => ({ requestId: requestId.get(), user: user.get() }) });

const app = express();

app.use((request, response, next) => {
  // Before any code that waits. A copy, so that an active span stays active.
  copyContext().run(() => {
    requestId.set(request.get("x-request-id") ?? "-");
    // A listener runs wherever its event comes from; bound, it runs where it was made.
    response.on(
      "finish",
      AsyncResource.bind(() => log.info(`${request.method} ${request.url} ${response.statusCode}`)),
    );
    next();
  });
});

app.use(express.json());

app.use(async (request, _response, next) => {
  await pause(1); // looks the session up
  user.set(request.body?.user ?? "nobody");
  next();
});

app.post("/items/:id", async (request, response) => {
  log.info("begins");
  await pause(Math.random() * 4);
  if (request.params.id.endsWith("9")) {
    throw new Error("no such item");
  }
  response.json({ requestId: requestId.get(), user: user.get() });
});

// Four parameters make it the handler of errors.
app.use((error, _request, response, _next) => {
  log.warn(error.message);
  response.status(404).json({ requestId: requestId.get(), user: user.get(), error: error.message });
});

const server = app.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  process.stdout.write(`Serving on 127.0.0.1:${server.address().port}\n`);
});
