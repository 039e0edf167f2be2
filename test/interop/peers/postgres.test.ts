/** The PostgreSQL client of examples/ with PostgreSQL. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { PostgresClient, PostgresError, type PostgresOptions } from "../../../examples/postgres-client.ts";
import { makeCertificate, missing } from "../../support/external.ts";
import { startPostgres } from "../../support/frameworks.ts";
import { runExample } from "../../support/peers-examples.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";

const HOST = "127.0.0.1";
const PASSWORD = "a pass=word, \u00fc";

describe("PostgreSQL", { skip: missing("postgres", "initdb", "openssl") }, () => {
  /** Runs a server that asks for a password and has TLS, with an encrypted connection to it. */
  async function withClient(
    body: (client: PostgresClient, options: PostgresOptions, cert: string) => Promise<void>,
  ): Promise<void> {
    using folder = new TemporaryFolder();
    const { key, cert } = await makeCertificate(folder);
    await using server = await startPostgres({ password: PASSWORD, tls: { key, cert } });
    const options: PostgresOptions = {
      host: HOST,
      port: server.port,
      user: "tester",
      password: PASSWORD,
      database: "postgres",
      ca: readFileSync(cert, "utf8"),
    };
    const client = await PostgresClient.connect(options);
    await body(client, options, cert);
    await client.close();
  }

  it("postgres-client queries over TLS after SCRAM, with parameters and without, and survives errors", () =>
    withClient(async (client) => {
      assert.deepEqual(await client.query("select ssl from pg_stat_ssl where pid = pg_backend_pid()"), [{ ssl: "t" }]);
      assert.deepEqual(
        await client.query("select $1::text as a, $2::int + 1 as b, $3::text as c", ["é'\n", "41", null]),
        [{ a: "é'\n", b: "42", c: null }],
      );
      await assert.rejects(client.query("select 1/0"), { name: "PostgresError", code: "22012" });
      await assert.rejects(client.query("select $1::int", ["x"]), PostgresError);
      await assert.rejects(client.query("nonsense"), { code: "42601" });
      const large = await client.query("select repeat('x', 1000) as x, i from generate_series(1, 20000) as i");
      assert.equal(large.length, 20_000);
      assert.deepEqual(large.at(-1), { x: "x".repeat(1000), i: "20000" });
      const parallel = await asyncio.gather(["1", "2", "3"].map((i) => () => client.query("select $1::int as i", [i])));
      assert.deepEqual(parallel, [[{ i: "1" }], [{ i: "2" }], [{ i: "3" }]]);
    }));

  it("postgres-client has the server stop a query whose task is cancelled, and continues with the next", () =>
    withClient(async (client, options) => {
      const slow = asyncio.waitFor(() => client.query("select pg_sleep(600)"), 0.2);
      await assert.rejects(slow, asyncio.TimeoutError);
      assert.deepEqual(await client.query("select 1 as one"), [{ one: "1" }]);
      const other = await PostgresClient.connect(options);
      const sleeping = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
      assert.deepEqual(await other.query(sleeping), [{ count: "0" }]);
      await other.close();
    }));

  it("postgres-client gives a connection up whose task is cancelled twice: no query gets the rows of another", () =>
    withClient(async (client, options) => {
      const other = await PostgresClient.connect(options);
      const task = asyncio.createTask(() => other.query("select pg_sleep(600)"));
      await asyncio.sleep(0.1);
      task.cancel();
      await asyncio.sleep(0);
      task.cancel();
      await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
      await assert.rejects(other.query("select 1 as one"), asyncio.ConnectionError);
      await other.close();
      assert.deepEqual(await client.query("select 1 as one"), [{ one: "1" }]);
    }));

  it("postgres-client stops no query but the one that was cancelled", () =>
    withClient(async (client) => {
      for (let i = 0; i < 20; i++) {
        const task = asyncio.createTask(() => client.query("select pg_sleep(0.02)"));
        await asyncio.sleep(0.001 * i);
        task.cancel();
        await asyncio.gather([task], { returnExceptions: true });
        assert.deepEqual(await client.query("select 1 as one"), [{ one: "1" }]);
      }
    }));

  it("postgres-client gives no query the rows of one that was cancelled while it was being sent", () =>
    withClient(async (client) => {
      const text = "x".repeat(8_000_000);
      const sending = [
        () => client.query(`select length('${text}') as n`),
        () => client.query("select length($1::text) as n", [text]),
        () => client.query(`select length($1::text) + length('${text}') as n`, [text]),
      ];
      for (const query of sending) {
        for (const pause of [0, 0.001, 0.01]) {
          const task = asyncio.createTask(query);
          await asyncio.sleep(pause);
          task.cancel();
          await asyncio.gather([task], { returnExceptions: true });
          assert.deepEqual(await client.query("select 1 as one"), [{ one: "1" }]);
        }
      }
    }));

  it("postgres-client is refused with a wrong password, user or certificate", () =>
    withClient(async (_, options) => {
      const connect = (changed: Partial<PostgresOptions>): Promise<PostgresClient> =>
        PostgresClient.connect({ ...options, ...changed });
      await assert.rejects(connect({ password: "another" }), { name: "PostgresError", code: "28P01" });
      await assert.rejects(connect({ user: "nobody" }), { name: "PostgresError" });
      await assert.rejects(connect({ database: "none" }), { name: "PostgresError", code: "3D000" });
      const stranger = readFileSync("test/support/certificates/ca.pem", "utf8");
      await assert.rejects(connect({ ca: stranger }), asyncio.SSLCertVerificationError);
      const plain = await connect({ ca: undefined });
      assert.deepEqual(await plain.query("select 1 as one"), [{ one: "1" }]);
      await plain.close();
    }));

  it("postgres-client as a program prints rows, and why a query is refused", () =>
    withClient(async (_, { port }, cert) => {
      const url = `postgres://tester:${encodeURIComponent(PASSWORD)}@${HOST}:${port}/postgres?sslrootcert=${cert}`;
      assert.deepEqual(await runExample("postgres-client", url, "select $1 as a union all select 'b'", "1"), {
        status: 0,
        lines: ['{"a":"1"}', '{"a":"b"}'],
        stderr: "",
      });
      const refused = await runExample("postgres-client", url, "select * from nothing");
      assert.deepEqual([refused.status, refused.stderr], [1, '42P01 relation "nothing" does not exist\n']);
    }));
});
