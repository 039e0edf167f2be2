/** Clients of Redis, PostgreSQL, MySQL, HTTP and WebSockets in many tasks and handlers at once, on every runtime. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { External, missing } from "../../support/external.ts";
import { missingFrameworks, resultOf, runtimes, startMariadb, startPostgres } from "../../support/frameworks.ts";
import { freePort } from "../../support/peers.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";

const TASKS = 600;
const HOST = "127.0.0.1";

/** How often a task, or the task of a handler, found its own values, or itself. */
interface Counts {
  /** Both after an `await`. */
  readonly awaited: number;
  readonly bare?: InCallback;
  /** In a callback that AsyncResource.bind() made. */
  readonly bound?: InCallback;
  readonly isolated?: InCallback;
}

interface InCallback {
  readonly values: number;
  readonly task: number;
}

/** Clients whose callbacks run where the request began; those of the others do not. */
const CALLS_BACK_IN_PLACE = ["ioredis"];
const WITH_CALLBACKS = ["ioredis", "pg", "mysql2", "ws"];
const skip = missingFrameworks || missing("redis-server", "postgres", "initdb", "mariadbd");

describe("clients in tasks and handlers", { skip }, () => {
  for (const { name, path } of runtimes) {
    it(`each of ${TASKS} tasks and ${TASKS} handlers finds its values and itself after an await, and in a callback what it asked for, on ${name}`, async () => {
      using folder = new TemporaryFolder();
      await using postgres = await startPostgres();
      await using mariadb = await startMariadb();
      const port = await freePort();
      const options = ["--port", String(port), "--bind", HOST, "--save", "", "--dir", folder.path];
      await using redis = new External("redis-server", options);
      await redis.listening(port);
      const ports = [port, postgres.port, mariadb.port].map(String);
      const result = (await resultOf(path, "clients", String(TASKS), ...ports)) as Record<
        string,
        { readonly tasks: Counts; readonly handlers: Counts }
      >;
      const clients = ["redis", "ioredis", "pg", "postgres", "mysql2", "undici", "undici request", "fetch", "ws"];
      assert.deepEqual(
        Object.keys(result),
        clients.filter((client) => client !== "undici" || name !== "bun"),
      );
      for (const [client, { tasks, handlers }] of Object.entries(result)) {
        for (const [place, { awaited, bare, bound, isolated }] of Object.entries({ tasks, handlers })) {
          const text = `${client} in ${place}`;
          assert.equal(awaited, TASKS, text);
          if (WITH_CALLBACKS.includes(client)) {
            const isInPlace = CALLS_BACK_IN_PLACE.includes(client);
            assert.deepEqual([bare?.values === TASKS, bare?.task === TASKS], [isInPlace, isInPlace], text);
            assert.deepEqual(bound, { values: TASKS, task: TASKS }, text);
            assert.deepEqual([isolated?.values, isolated?.task === TASKS], [TASKS, isInPlace], text);
          }
        }
      }
    });
  }
});
