/**
 * Fastify: each request runs in a Context of its own, from the first hook on. The last hook may come out of an event of
 * the socket, so it goes back to where the first one was.
 *
 * `fastify.mjs [PORT]`: serves until Ctrl-C.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { ContextVar, copyContext } from "contextvars";
import fastify from "fastify";
import pino from "pino";

const requestId = new ContextVar("request id", { default: "-" });
const user = new ContextVar("user", { default: "nobody" });

const log = pino({ base: null, mixin: () => ({ requestId: requestId.get(), user: user.get() }) });

const app = fastify();

app.decorateRequest("inContext", null);

app.addHook("onRequest", (request, _reply, done) => {
  copyContext().run(() => {
    requestId.set(request.headers["x-request-id"] ?? "-");
    // Calls a function where we are now: in the Context of this request.
    request.inContext = AsyncLocalStorage.snapshot();
    done();
  });
});

app.addHook("preHandler", async (request) => {
  await pause(1); // looks the session up
  user.set(request.body?.user ?? "nobody");
});

app.addHook("onResponse", (request, reply, done) => {
  request.inContext(() => log.info(`${request.method} ${request.url} ${reply.statusCode}`));
  done();
});

app.post("/items/:id", async (request) => {
  log.info("begins");
  await pause(Math.random() * 4);
  if (request.params.id.endsWith("9")) {
    throw new Error("no such item");
  }
  return { requestId: requestId.get(), user: user.get() };
});

app.setErrorHandler((error, _request, reply) => {
  log.warn(error.message);
  reply.code(404).send({ requestId: requestId.get(), user: user.get(), error: error.message });
});

await app.listen({ port: Number(process.argv[2] ?? 0), host: "127.0.0.1" });
process.stdout.write(`Serving on 127.0.0.1:${app.server.address().port}\n`);
