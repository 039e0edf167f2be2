/**
 * Many requests under OpenTelemetry's SDK, through tasks, servers and pools: prints the spans that have another parent
 * than the one they ought to have, and how many spans there were of each sort.
 *
 * `opentelemetry.mjs COUNT [PORT OF A POSTGRES]`: COUNT requests in all.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import { context, propagation, SpanKind, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { registerInstrumentations } from "@opentelemetry/instrumentation";
import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import { NetInstrumentation } from "@opentelemetry/instrumentation-net";
import { PgInstrumentation } from "@opentelemetry/instrumentation-pg";
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { ContextVarsContextManager } from "contextvars/opentelemetry";

const HOST = "127.0.0.1";
const AT_ONCE = 100;
const count = Number(process.argv[2]);
const postgres = process.argv[3];
/** Bun has an undici of its own in the place of the package, which does nothing yet. */
const hasUndici = !("bun" in process.versions);

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
assert.ok(trace.setGlobalTracerProvider(provider));
assert.ok(context.setGlobalContextManager(new ContextVarsContextManager()));
assert.ok(propagation.setGlobalPropagator(new W3CTraceContextPropagator()));
registerInstrumentations({
  tracerProvider: provider,
  instrumentations: [
    new HttpInstrumentation(),
    new NetInstrumentation(),
    new UndiciInstrumentation(),
    new PgInstrumentation({ requireParentSpan: true }),
  ],
});
const require = createRequire(import.meta.url);
const http = require("node:http");
const undici = require("undici");
const pg = require("pg");
const tracer = trace.getTracer("test");
const request = new ContextVar("request");
const limit = new asyncio.Semaphore(AT_ONCE);

/** Runs the body in a span that says which request it belongs to, and which span has to be its parent. */
function inSpan(name, id, parent, body) {
  const attributes = { request: id, parent: parent?.spanContext().spanId ?? "" };
  return tracer.startActiveSpan(name, { attributes, root: parent === null }, async (span) => {
    try {
      return await body(span);
    } finally {
      span.end();
    }
  });
}

/** One request: a span, a wait, a span in it, with a variable that has to stay the request's own. */
async function oneRequest(name, id, body) {
  request.set(id);
  await limit.with(() =>
    inSpan(`${name} request`, id, null, async (outer) => {
      await asyncio.sleep(0);
      await inSpan(`${name} step`, id, outer, async (step) => {
        assert.equal(request.get(), id);
        await body(id, step);
      });
      await inSpan(`${name} last step`, id, outer, async () => {});
    }),
  );
}

const kinds = {
  async gather(ids) {
    await asyncio.gather(ids.map((id) => () => oneRequest("gather", id, () => asyncio.sleep(0.001))));
  },

  async group(ids) {
    await new asyncio.TaskGroup().with(async (group) => {
      for (const id of ids) {
        group.createTask(() => oneRequest("group", id, () => asyncio.sleep(0)));
      }
    });
  },

  /** Callbacks that one connection of a pool calls for many requests, in the flow of its first request. */
  async pool(ids) {
    const waiting = [];
    const worker = setInterval(() => {
      for (const done of waiting.splice(0)) {
        done();
      }
    }, 1);
    await asyncio.gather(
      ids.map(
        (id) => () =>
          oneRequest("pool", id, async (_, step) => {
            await new Promise((resolve) => waiting.push(context.bind(context.active(), resolve)));
            await inSpan("pool answer", id, step, async () => {});
            await new Promise((resolve, reject) => {
              waiting.push(
                context.bind(context.active(), () =>
                  inSpan("pool callback", id, step, async () => {}).then(resolve, reject),
                ),
              );
            });
          }),
      ),
    );
    clearInterval(worker);
  },

  /** A server and a client of streams; the trace crosses in the line. */
  async streams(ids) {
    const server = await asyncio.startServer(
      async (reader, writer) => {
        for await (const line of reader) {
          const carrier = JSON.parse(line.toString());
          await context.with(propagation.extract(context.active(), carrier), () => {
            const remote = trace.getActiveSpan();
            return inSpan("streams handler", carrier.id, remote, async (span) => {
              await asyncio.sleep(0);
              await asyncio.createTask(() => inSpan("streams task", carrier.id, span, () => asyncio.sleep(0)));
              await writer.send(`${carrier.id}\n`);
            });
          });
        }
        writer.close();
      },
      HOST,
      0,
    );
    const { port } = server.sockets[0].getsockname();
    const connections = new asyncio.Queue();
    for (let i = 0; i < 20; i++) {
      connections.putNowait(await asyncio.openConnection(HOST, port));
    }
    await asyncio.gather(
      ids.map(
        (id) => () =>
          oneRequest("streams", id, async () => {
            const connection = await connections.get();
            const [reader, writer] = connection;
            const carrier = { id };
            propagation.inject(context.active(), carrier);
            await writer.send(`${JSON.stringify(carrier)}\n`);
            assert.equal((await reader.readline()).toString(), `${id}\n`);
            connections.putNowait(connection);
          }),
      ),
    );
    server.close();
    while (!connections.empty()) {
      const [, writer] = connections.getNowait();
      writer.close();
      await writer.waitClosed();
    }
    await server.waitClosed();
  },

  /** A server of node:http; clients of undici and of node:http, with connections that are kept. */
  async http(ids) {
    const server = http.createServer(async (incoming, response) => {
      const id = Number(incoming.url.slice(1));
      const parent = trace.getActiveSpan();
      incoming.resume();
      await once(incoming, "end");
      await inSpan("http handler", id, parent, () => asyncio.sleep(0));
      response.on("finish", () => inSpan("http finish", id, parent, async () => {}));
      response.end(String(id));
    });
    server.listen(0, HOST);
    await once(server, "listening");
    const { port } = server.address();
    const dispatcher = hasUndici ? new undici.Pool(`http://${HOST}:${port}`, { connections: AT_ONCE }) : undefined;
    const agent = new http.Agent({ keepAlive: true, maxSockets: 10 });
    await asyncio.gather(
      ids.map(
        (id) => () =>
          oneRequest("http", id, async (_, step) => {
            if (dispatcher !== undefined && Math.floor(id / Object.keys(kinds).length) % 2 === 0) {
              const { body } = await dispatcher.request({ path: `/${id}`, method: "POST", body: "text" });
              assert.equal(await body.text(), String(id));
            } else {
              const answer = await new Promise((resolve, reject) => {
                const outgoing = http.request(
                  { port, host: HOST, path: `/${id}`, method: "POST", agent },
                  (response) => {
                    let text = "";
                    response.on("data", (chunk) => {
                      text += chunk;
                    });
                    response.on("end", () => inSpan("http end", id, step, async () => resolve(text)));
                  },
                );
                outgoing.on("error", reject).end("text");
              });
              assert.equal(answer, String(id));
            }
            await inSpan("http answered", id, step, async () => {});
          }),
      ),
    );
    await dispatcher?.close();
    agent.destroy();
    server.close();
  },

  /** Queries through a pool of pg. */
  async pg(ids) {
    if (postgres === undefined) {
      return;
    }
    const pool = new pg.Pool({ host: HOST, port: Number(postgres), user: "tester", database: "postgres", max: 5 });
    await asyncio.gather(
      ids.map(
        (id) => () =>
          oneRequest("pg", id, async (_, step) => {
            const { rows } = await pool.query("SELECT $1::int AS id", [id]);
            assert.equal(rows[0].id, id);
            await inSpan("pg answered", id, step, async () => {});
            await new Promise((resolve, reject) => {
              pool.query("SELECT 1", (error) =>
                error ? reject(error) : inSpan("pg callback", id, step, async () => resolve()),
              );
            });
          }),
      ),
    );
    await pool.end();
  },
};

await asyncio.run(async () => {
  const names = Object.keys(kinds);
  for (const [i, kind] of names.entries()) {
    const ids = Array.from({ length: count }, (_, id) => id).filter((id) => id % names.length === i);
    await kinds[kind](ids);
  }
  await asyncio.sleep(0.05);
});

const spans = exporter.getFinishedSpans();
const byId = new Map(spans.map((span) => [span.spanContext().spanId, span]));
const spansIn = new Map();
for (const span of spans) {
  const parent = span.parentSpanContext?.spanId;
  const siblings = spansIn.get(parent);
  if (siblings === undefined) {
    spansIn.set(parent, [span]);
  } else {
    siblings.push(span);
  }
}
const wrong = spans.flatMap((span) => {
  const parent = span.parentSpanContext?.spanId;
  const { name, kind, attributes } = span;
  if (attributes.parent !== undefined) {
    // A span of this program: it says which one has to be its parent.
    return (parent ?? "") === attributes.parent ? [] : [`${name} ${attributes.request}: parent ${nameOf(parent)}`];
  }
  if (span.instrumentationScope.name.endsWith("-net")) {
    // A connection is made for whichever request needed one first.
    return [];
  }
  // A span of an instrumentation: in a request's own step, or in the client's for a server, or in one of the pool's.
  const found = byId.get(parent);
  const expected =
    kind === SpanKind.SERVER
      ? found?.kind === SpanKind.CLIENT && pathOf(found) === pathOf(span)
      : / step$/.test(found?.name ?? "") || (name === "pg.connect" && found?.name === "pg-pool.connect");
  const isOwn =
    pathOf(span) === undefined || kind === SpanKind.SERVER || pathOf(span) === `/${found?.attributes.request}`;
  return expected && isOwn
    ? []
    : [`${span.instrumentationScope.name} ${name} ${pathOf(span)}: parent ${nameOf(parent)}`];
});
for (const step of spans.filter(({ name }) => name === "pg step")) {
  const queries = spansIn.get(step.spanContext().spanId)?.filter(({ name }) => name.startsWith("pg.query")) ?? [];
  if (queries.length !== 2) {
    wrong.push(`pg step ${step.attributes.request}: ${queries.length} queries`);
  }
}
const counts = {};
for (const { name, instrumentationScope } of spans) {
  const sort =
    instrumentationScope.name === "test"
      ? name
      : instrumentationScope.name.replace(/.*\//, "") +
        (instrumentationScope.name.endsWith("-pg") ? ` ${name.split(" ")[0]}` : "");
  counts[sort] = (counts[sort] ?? 0) + 1;
}
process.stdout.write(`${JSON.stringify({ wrong: wrong.slice(0, 20), wrongs: wrong.length, counts })}\n`);

function nameOf(id) {
  const span = byId.get(id);
  return span === undefined ? String(id) : `${span.name} ${span.attributes.request}`;
}

function pathOf({ attributes }) {
  const url = attributes["url.path"] ?? attributes["http.target"] ?? attributes["url.full"] ?? attributes["http.url"];
  return url === undefined ? undefined : new URL(url, "http://host").pathname;
}
