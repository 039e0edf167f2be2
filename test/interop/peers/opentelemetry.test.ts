/** OpenTelemetry's SDK and instrumentations under contextvars/opentelemetry and contextvars/propagate, on every runtime. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { missing } from "../../support/external.ts";
import { missingFrameworks, resultOf, runtimes, startPostgres, startProgram } from "../../support/frameworks.ts";

const REQUESTS = 10_000;

interface Spans {
  readonly wrong: readonly string[];
  readonly wrongs: number;
  readonly counts: Readonly<Record<string, number>>;
}

interface Call {
  readonly traceId: string;
  readonly spanId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly answer: {
    readonly traceId: string;
    readonly spanId: string;
    readonly isRemote: boolean;
    readonly members: Readonly<Record<string, string>>;
    readonly user: string | null;
    readonly secret: string | null;
  };
}

describe("spans of OpenTelemetry's SDK", { skip: missingFrameworks || missing("postgres", "initdb") }, () => {
  for (const { name, path } of runtimes) {
    it(`each of ${REQUESTS} requests over tasks, servers and pools has its own spans, each with its parent, on ${name}`, async () => {
      await using postgres = await startPostgres();
      const { wrong, wrongs, counts } = (await resultOf(
        path,
        "opentelemetry",
        String(REQUESTS),
        String(postgres.port),
      )) as Spans;
      assert.deepEqual([wrong, wrongs], [[], 0]);
      for (const kind of ["gather", "group", "pool", "streams", "http", "pg"]) {
        const requests = counts[`${kind} request`] ?? 0;
        assert.ok(requests >= Math.floor(REQUESTS / 6), `${kind}: ${requests}`);
        assert.equal(counts[`${kind} step`], requests);
        assert.equal(counts[`${kind} last step`], requests);
      }
      // One of undici's for every other request, except on Bun, and of http one for each other and one for each in the server.
      const requests = counts["http request"] ?? 0;
      const ofUndici = name === "bun" ? 0 : Math.ceil(requests / 2);
      assert.equal(counts["instrumentation-undici"] ?? 0, ofUndici);
      assert.equal(counts["instrumentation-http"], 2 * requests - ofUndici);
      assert.equal(counts["http handler"], requests);
      assert.equal(counts["http finish"], requests);
      assert.equal(counts["http end"], requests - ofUndici);
      assert.equal(counts["instrumentation-pg pg.query:SELECT"], 2 * (counts["pg request"] ?? 0));
      // On Bun only those of pg: the others are not made by the method that the instrumentation patches.
      assert.ok((counts["instrumentation-net"] ?? 0) >= (name === "bun" ? 5 : 25));
    });
  }
});

describe("inject() and extract() beside OpenTelemetry's propagators", { skip: missingFrameworks }, () => {
  for (const { name, path } of runtimes) {
    for (const service of ["ours", "standard"]) {
      for (const caller of ["ours", "standard"]) {
        const [to, from] = [service, caller].map((sort) => (sort === "ours" ? "with our Contexts" : "without"));
        it(`a service ${to} gets the trace and the baggage of a caller ${from}, on ${name}`, async () => {
          await using server = startProgram(path, "opentelemetry-service", "serve", service);
          const [, port = ""] = await server.printed(/Serving on 127\.0\.0\.1:(\d+)/);
          const call = (await resultOf(path, "opentelemetry-service", "call", caller, port)) as Call;
          assert.equal(call.headers["baggage"], "other=1,user=ada%20%C3%BC");
          assert.deepEqual(call.answer, {
            traceId: call.traceId,
            spanId: call.spanId,
            isRemote: true,
            members: { other: "1", user: "ada ü" },
            user: service === "ours" ? "ada ü" : null,
            secret: null,
          });
        });
      }
    }
  }
});
