/** The clients of examples/, when their connection is lost: each call that waits is told why, and nothing else is. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { RpcClient } from "../../examples/json-rpc.ts";
import { MqttClient } from "../../examples/mqtt-client.ts";
import { PostgresClient } from "../../examples/postgres-client.ts";
import { RedisClient } from "../../examples/redis-client.ts";
import { survivors } from "../support/garbage.ts";
import { outcomeOf, portOf, Reports } from "../support/peers.ts";

const HOST = "127.0.0.1";

interface Client {
  close(): Promise<void>;
}

type Calls<C extends Client> = Readonly<Record<string, (client: C) => PromiseLike<unknown>>>;

/** How a client is made, and its calls that wait for an answer. */
interface Row<C extends Client> {
  readonly make: (...ends: asyncio.StreamPair) => C;
  readonly calls: Calls<C>;
}

function row<C extends Client>(make: Row<C>["make"], calls: Calls<C>): Row<Client> {
  return { make, calls: calls as Calls<Client> };
}

const big = "x".repeat(1024 * 1024);

const clients: Readonly<Record<string, Row<Client>>> = {
  RpcClient: row((...ends) => new RpcClient(...ends), {
    "call()": (client) => client.call("add", [1, 2], 3600),
    "a long call()": (client) => client.call("add", [big.slice(0, 60_000)], 3600),
  }),
  RedisClient: row((...ends) => new RedisClient(...ends), {
    "call()": (client) => client.call("GET", "key"),
    "pipeline()": async (client) => {
      const answers = await client.pipeline(Array.from({ length: 20 }, () => ["SET", "key", big]));
      assert.equal(answers.length, 20);
      throw answers.find((answer) => answer instanceof Error);
    },
  }),
  MqttClient: row((...ends) => new MqttClient(...ends), {
    "connect()": (client) => client.connect("name"),
    "subscribe()": (client) => client.subscribe("topic"),
    "publish()": (client) => client.publish("topic", "message"),
    "a long publish()": (client) => client.publish("topic", big),
    "next()": (client) => client.next(),
  }),
};

/** How a server that never answers ends the connection, once something has come. */
const ends: Readonly<Record<string, (writer: asyncio.StreamWriter) => unknown>> = {
  "a reset": (writer) => writer.transport.abort(),
  "an EOF": (writer) => writer.close(),
};

describe("a client of examples/ whose connection is lost", () => {
  for (const [name, { make, calls }] of Object.entries(clients)) {
    for (const [how, end] of Object.entries(ends)) {
      it(`${name} ends every call with the error after ${how}, and further calls at once`, async () => {
        using reports = new Reports();
        const isDue = new asyncio.Event();
        await using server = await endingServer(isDue, end);
        const client = make(...(await asyncio.openConnection(HOST, portOf(server))));
        const outcomes = Object.values(calls).map((call) => outcomeOf(asyncio.createTask(() => call(client))));
        await asyncio.sleep(0.02);
        isDue.set();
        for (const [i, call] of Object.keys(calls).entries()) {
          const error = await outcomes[i];
          assert.ok(isLoss(error), `${call}: ${String(error)}`);
        }
        for (const [call, start] of Object.entries(calls)) {
          const error = await outcomeOf(asyncio.createTask(() => start(client)));
          assert.ok(isLoss(error), `${call}, later: ${String(error)}`);
        }
        await client.close();
        // A task or a Future whose error nobody has taken is reported when it is collected.
        await survivors([new WeakRef({})]);
        assert.deepEqual(reports.messages, []);
      });
    }
  }

  for (const [how, end] of Object.entries(ends)) {
    it(`PostgresClient.connect() ends with the error after ${how}`, async () => {
      using reports = new Reports();
      const isDue = new asyncio.Event();
      await using server = await endingServer(isDue, end);
      const names = { user: "ada", password: "secret", database: "tests" };
      const outcome = outcomeOf(PostgresClient.connect({ host: HOST, port: portOf(server), ...names }));
      await asyncio.sleep(0.02);
      isDue.set();
      assert.ok(isLoss(await outcome), String(await outcome));
      await survivors([new WeakRef({})]);
      assert.deepEqual(reports.messages, []);
    });
  }
});

/** A server that never answers, and ends its connections when it is due. */
async function endingServer(
  isDue: asyncio.Event,
  end: (writer: asyncio.StreamWriter) => unknown,
): Promise<asyncio.Server> {
  return await asyncio.startServer(
    async (_reader, writer) => {
      await isDue.wait();
      end(writer);
    },
    HOST,
    0,
  );
}

function isLoss(error: unknown): boolean {
  return error instanceof asyncio.ConnectionError || error instanceof asyncio.IncompleteReadError;
}
