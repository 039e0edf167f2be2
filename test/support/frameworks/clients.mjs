/**
 * Clients of databases and servers in many tasks at once, and in many handlers of a server: prints for each how often a
 * task or handler found its own values, and itself, after an `await`, and in a callback that it gave to the client bare,
 * bound, or isolated.
 *
 * `clients.mjs COUNT REDIS_PORT POSTGRES_PORT MYSQL_PORT`: COUNT tasks and COUNT handlers for each client.
 */
import { AsyncResource } from "node:async_hooks";
import { once } from "node:events";
import { createServer } from "node:http";
import { ContextVar, isolated } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import Redis from "ioredis";
import mysql from "mysql2/promise";
import pg from "pg";
import postgres from "postgres";
import { createClient } from "redis";
import { Pool, request } from "undici";
import { WebSocket, WebSocketServer } from "ws";

const HOST = "127.0.0.1";
const AT_ONCE = 50;
/** What a program may do with the callback that it gives to a client. */
const WAYS = { bare: (callback) => callback, bound: (callback) => AsyncResource.bind(callback), isolated };
const [count, redisPort, postgresPort, mysqlPort] = process.argv.slice(2).map(Number);
const id = new ContextVar("id", { default: -1 });
const result = {};

/**
 * Calls `use(id)` in COUNT tasks and in COUNT handlers; `useCallback(id, callback)` is for a client that takes callbacks.
 */
async function measure(name, use, useCallback) {
  result[name] = { tasks: await inTasks(use, useCallback), handlers: await inHandlers(use, useCallback) };
}

async function inTasks(use, useCallback) {
  const counts = countsOf(useCallback);
  await eachAtOnce((own) => measureOne(counts, own, use, useCallback));
  return counts;
}

async function inHandlers(use, useCallback) {
  const counts = countsOf(useCallback);
  const server = await asyncio.startServer(
    async (reader, writer) => {
      await measureOne(counts, Number(await reader.readline()), use, useCallback);
      writer.close();
    },
    HOST,
    0,
  );
  await server.with(async () => {
    const { port } = server.sockets[0].getsockname();
    await eachAtOnce(async (own) => {
      const [reader, writer] = await asyncio.openConnection(HOST, port);
      await writer.send(`${own}\n`);
      await reader.read();
      writer.close();
    });
  });
  return counts;
}

async function eachAtOnce(callable) {
  const limit = new asyncio.Semaphore(AT_ONCE);
  await asyncio.gather(
    Array.from({ length: count }, (_, own) => async () => {
      await limit.with(() => callable(own));
    }),
  );
}

function countsOf(useCallback) {
  const perWay = Object.keys(WAYS).map((way) => [way, { values: 0, task: 0 }]);
  return useCallback === undefined ? { awaited: 0 } : { awaited: 0, ...Object.fromEntries(perWay) };
}

async function measureOne(counts, own, use, useCallback) {
  const task = asyncio.currentTask();
  id.set(own);
  const answer = await use(own);
  const isOwn = id.get() === own && asyncio.currentTask() === task;
  counts.awaited += isOwn && Number(answer) === own ? 1 : 0;
  if (useCallback === undefined) {
    return;
  }
  for (const [way, wrap] of Object.entries(WAYS)) {
    await new Promise((resolve) => {
      const callback = wrap(() => {
        counts[way].values += id.get() === own ? 1 : 0;
        counts[way].task += asyncio.currentTask() === task ? 1 : 0;
      });
      useCallback(own, () => {
        callback();
        resolve();
      });
    });
  }
}

const clients = {
  async redis() {
    const client = await createClient({ socket: { host: HOST, port: redisPort } }).connect();
    await measure("redis", async (own) => {
      await client.set(`redis ${own}`, own);
      return await client.get(`redis ${own}`);
    });
    await client.quit();
  },

  async ioredis() {
    const client = new Redis(redisPort, HOST);
    await measure(
      "ioredis",
      async (own) => {
        await client.set(`ioredis ${own}`, own);
        return await client.get(`ioredis ${own}`);
      },
      (_, callback) => client.ping(callback),
    );
    await client.quit();
  },

  async pg() {
    const pool = new pg.Pool({ host: HOST, port: postgresPort, user: "tester", database: "postgres", max: 5 });
    await measure(
      "pg",
      async (own) => (await pool.query("SELECT $1::int AS id", [own])).rows[0].id,
      (_, callback) => pool.query("SELECT 1", callback),
    );
    await pool.end();
  },

  async postgres() {
    const sql = postgres({
      host: HOST,
      port: postgresPort,
      user: "tester",
      database: "postgres",
      max: 5,
      onnotice() {},
    });
    await measure("postgres", async (own) => (await sql`SELECT ${own}::int AS id`)[0].id);
    await sql.end();
  },

  async mysql2() {
    const pool = mysql.createPool({ host: HOST, port: mysqlPort, user: "tester", connectionLimit: 5 });
    await measure(
      "mysql2",
      async (own) => (await pool.execute("SELECT ? AS id", [own]))[0][0].id,
      (_, callback) => pool.pool.query("SELECT 1", callback),
    );
    await pool.end();
  },

  async undici() {
    const server = createServer((incoming, response) => response.end(incoming.url.slice(1))).listen(0, HOST);
    await once(server, "listening");
    const origin = `http://${HOST}:${server.address().port}`;
    const pool = new Pool(origin, { connections: 5 });
    // Bun has a Pool of its own in the place of undici's, which does nothing yet.
    if (!("bun" in process.versions)) {
      await measure("undici", async (own) => {
        const { body } = await pool.request({ path: `/${own}`, method: "GET" });
        return await body.text();
      });
    }
    await measure("undici request", async (own) => await (await request(`${origin}/${own}`)).body.text());
    await measure("fetch", async (own) => await (await fetch(`${origin}/${own}`)).text());
    await pool.close?.();
    server.closeAllConnections();
    server.close();
  },

  async ws() {
    const server = new WebSocketServer({ port: 0, host: HOST });
    server.on("connection", (socket) => socket.on("message", (data) => socket.send(String(data))));
    await once(server, "listening");
    const sockets = new asyncio.Queue();
    for (let i = 0; i < 10; i++) {
      const socket = new WebSocket(`ws://${HOST}:${server.address().port}`);
      await once(socket, "open");
      sockets.putNowait(socket);
    }
    const exchange = async (own, callback) => {
      const socket = await sockets.get();
      socket.once("message", (data) => {
        sockets.putNowait(socket);
        callback(String(data));
      });
      socket.send(String(own));
    };
    await measure("ws", (own) => new Promise((resolve) => void exchange(own, resolve)), exchange);
    while (!sockets.empty()) {
      sockets.getNowait().terminate();
    }
    await new Promise((resolve) => server.close(resolve));
  },
};

await asyncio.run(async () => {
  for (const use of Object.values(clients)) {
    await use();
  }
});
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
