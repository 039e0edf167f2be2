/** Clients of Redis, PostgreSQL, HTTP and WebSockets in many tasks at once, on every runtime. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { External, missing } from "../../support/external.ts";
import { missingFrameworks, resultOf, runtimes, startPostgres } from "../../support/frameworks.ts";
import { freePort } from "../../support/peers.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";

const TASKS = 600;
const HOST = "127.0.0.1";

/** How often a task found its own values, or itself. */
interface Counts {
  /** Both after an `await`. */
  readonly awaited: number;
  /** Both in a callback that AsyncResource.bind() made. */
  readonly bound?: number;
  /** The values in a bare callback. */
  readonly values?: number;
  /** Itself in a bare callback. */
  readonly task?: number;
}

/** Clients whose callbacks run where the request began; those of the others do not. */
const CALLS_BACK_IN_PLACE = ["ioredis"];
const WITH_CALLBACKS = ["ioredis", "pg", "ws"];
const skip = missingFrameworks || missing("redis-server", "postgres", "initdb");

describe("clients in tasks", { skip }, () => {
  for (const { name, path } of runtimes) {
    it(`each of ${TASKS} tasks finds its values and itself after an await and in a bound callback on ${name}`, async () => {
      using folder = new TemporaryFolder();
      await using postgres = await startPostgres();
      const port = await freePort();
      const options = ["--port", String(port), "--bind", HOST, "--save", "", "--dir", folder.path];
      await using redis = new External("redis-server", options);
      await redis.listening(port);
      const result = (await resultOf(path, "clients", String(TASKS), String(port), String(postgres.port))) as Record<
        string,
        Counts
      >;
      const clients = ["redis", "ioredis", "pg", "postgres", "undici", "undici request", "fetch", "ws"];
      assert.deepEqual(
        Object.keys(result),
        clients.filter((client) => client !== "undici" || name !== "bun"),
      );
      for (const [client, { awaited, bound, values, task }] of Object.entries(result)) {
        assert.equal(awaited, TASKS, client);
        if (WITH_CALLBACKS.includes(client)) {
          assert.equal(bound, TASKS, client);
          const isInPlace = CALLS_BACK_IN_PLACE.includes(client);
          assert.deepEqual([values === TASKS, task === TASKS], [isInPlace, isInPlace], client);
        }
      }
    });
  }
});
