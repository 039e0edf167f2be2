/**
 * A service and its caller, with our Contexts ("ours") or with nothing but OpenTelemetry ("standard").
 *
 *     opentelemetry-service.mjs serve ours|standard        prints where it serves; answers what a request brought
 *     opentelemetry-service.mjs call ours|standard PORT    prints what it sent, and the answer
 */
import { once } from "node:events";
import { createServer, request } from "node:http";
import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from "@opentelemetry/core";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { ContextVarsContextManager } from "contextvars/opentelemetry";
import { extract, inject, propagated } from "contextvars/propagate";

const HOST = "127.0.0.1";
const [, , role, sort, port] = process.argv;
const isOurs = sort === "ours";

trace.setGlobalTracerProvider(new TracerProvider());
context.setGlobalContextManager(isOurs ? new ContextVarsContextManager() : new AsyncLocalStorageContextManager());
propagation.setGlobalPropagator(
  new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
);
const tracer = trace.getTracer("test");
const user = propagated(new ContextVar("user"));
const secret = new ContextVar("secret");

if (role === "serve") {
  const server = createServer((incoming, response) => {
    const answer = () => response.end(JSON.stringify(state()));
    if (isOurs) {
      extract(incoming.headers).run(() => asyncio.createTask(async () => answer()));
    } else {
      context.with(propagation.extract(context.active(), incoming.headers), answer);
    }
  });
  server.listen(0, HOST);
  await once(server, "listening");
  process.stdout.write(`Serving on ${HOST}:${server.address().port}\n`);
} else {
  const baggage = propagation.createBaggage({ other: { value: "1" }, ...(isOurs ? {} : { user: { value: "ada ü" } }) });
  await asyncio.run(() =>
    context.with(propagation.setBaggage(context.active(), baggage), () =>
      tracer.startActiveSpan("call", async (span) => {
        user.set("ada ü");
        secret.set("stays");
        const headers = {};
        if (isOurs) {
          inject(headers);
        } else {
          propagation.inject(context.active(), headers);
        }
        const [response] = await once(request({ host: HOST, port, headers }).end(), "response");
        let text = "";
        for await (const chunk of response) {
          text += chunk;
        }
        const { traceId, spanId } = span.spanContext();
        process.stdout.write(`${JSON.stringify({ traceId, spanId, headers, answer: JSON.parse(text) })}\n`);
      }),
    ),
  );
}

/** What a handler finds. */
function state() {
  const { traceId, spanId, isRemote } = trace.getActiveSpan()?.spanContext() ?? {};
  const members = Object.fromEntries(
    (propagation.getActiveBaggage()?.getAllEntries() ?? []).map(([key, { value }]) => [key, value]),
  );
  return { traceId, spanId, isRemote, members, user: user.get(null), secret: secret.get(null) };
}
