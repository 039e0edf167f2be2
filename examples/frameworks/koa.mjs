/**
 * Koa: each request runs in a Context of its own. What a middleware sets further down is seen further up, after the
 * `await next()`.
 *
 * `koa.mjs [PORT]`: serves until Ctrl-C.
 */
import { setTimeout as pause } from "node:timers/promises";
import { bodyParser } from "@koa/bodyparser";
import { ContextVar, copyContext } from "contextvars";
import Koa from "koa";
import winston from "winston";

const requestId = new ContextVar("request id", { default: "-" });
const user = new ContextVar("user", { default: "nobody" });
// winston calls a format where the line is logged.
const withValues = winston.format((info) => ({ ...info, requestId: requestId.get(), user: user.get() }));
const log = winston.createLogger({
  format: winston.format.combine(
    withValues(),
    winston.format.printf(({ level, requestId, user, message }) =>
      JSON.stringify({ level, requestId, user, msg: message }),
    ),
  ),
  transports: [new winston.transports.Console()],
});

const app = new Koa();

app.use((ctx, next) =>
  copyContext().run(async () => {
    requestId.set(ctx.get("x-request-id") || "-");
    await next();
    log.info(`${ctx.method} ${ctx.url} ${ctx.status}`);
  }),
);

app.use(async (ctx, next) => {
  try {
    await next();
  } catch (error) {
    log.warn(error.message);
    ctx.status = 404;
    ctx.body = { requestId: requestId.get(), user: user.get(), error: error.message };
  }
});

app.use(bodyParser());

app.use(async (ctx, next) => {
  await pause(1); // looks the session up
  user.set(ctx.request.body?.user ?? "nobody");
  await next();
});

app.use(async (ctx) => {
  log.info("begins");
  await pause(Math.random() * 4);
  if (ctx.path.endsWith("9")) {
    throw new Error("no such item");
  }
  ctx.body = { requestId: requestId.get(), user: user.get() };
});

const server = app.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  process.stdout.write(`Serving on 127.0.0.1:${server.address().port}\n`);
});
