/**
 * Hono: each request runs in a Context of its own, from the first middleware on.
 *
 * `hono.mjs [PORT]`: serves until Ctrl-C.
 */
import { setTimeout as pause } from "node:timers/promises";
import { serve } from "@hono/node-server";
import { ContextVar, copyContext } from "contextvars";
import { Hono } from "hono";
import pino from "pino";

const requestId = new ContextVar("request id", { default: "-" });
const user = new ContextVar("user", { default: "nobody" });
const log = pino({ base: null, mixin: () => ({ requestId: requestId.get(), user: user.get() }) });

const app = new Hono();

app.use((c, next) =>
  copyContext().run(async () => {
    requestId.set(c.req.header("x-request-id") ?? "-");
    await next();
    log.info(`${c.req.method} ${c.req.path} ${c.res.status}`);
  }),
);

app.use(async (c, next) => {
  const body = await c.req.json();
  await pause(1); // looks the session up
  user.set(body.user ?? "nobody");
  await next();
});

app.post("/items/:id", async (c) => {
  log.info("begins");
  await pause(Math.random() * 4);
  if (c.req.param("id").endsWith("9")) {
    throw new Error("no such item");
  }
  return c.json({ requestId: requestId.get(), user: user.get() });
});

app.onError((error, c) => {
  log.warn(error.message);
  return c.json({ requestId: requestId.get(), user: user.get(), error: error.message }, 404);
});

serve({ fetch: app.fetch, port: Number(process.argv[2] ?? 0), hostname: "127.0.0.1" }, ({ port }) => {
  process.stdout.write(`Serving on 127.0.0.1:${port}\n`);
});
