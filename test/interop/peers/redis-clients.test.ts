/** The Redis server of examples/ under the clients that come with Redis. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { missing, runExternal, serveExample } from "../../support/external.ts";

const TESTS = ["ping_inline", "ping_mbulk", "set", "get", "incr", "lpush", "rpush", "lpop", "rpop", "mset"];

describe("redis-benchmark, redis-cli", { skip: missing("redis-benchmark", "redis-cli") }, () => {
  it("redis-benchmark runs to its end with 50 connections and 16 commands at a time", async () => {
    await using server = await serveExample("redis-server");
    const args = ["-p", String(server.port), "-P", "16", "-c", "50", "-n", "10000", "--csv", "-t", TESTS.join(",")];
    const { status, stdout, stderr } = await runExternal("redis-benchmark", args);
    assert.equal(status, 0, stderr);
    const [, ...rows] = stdout.trim().split("\n");
    assert.equal(rows.length, TESTS.length, stdout);
    for (const row of rows) {
      assert.match(row, /^"[^"]+","[1-9]/);
    }
    // 10,000 pushed at each end, and as many popped.
    assert.equal((await cli(server.port, "LLEN", "mylist")).stdout, "0\n");
    assert.equal(server.process.stderr, "");
  });

  it("redis-benchmark makes a connection for each command", async () => {
    await using server = await serveExample("redis-server");
    const args = ["-p", String(server.port), "-k", "0", "-c", "20", "-n", "2000", "--csv", "-t", "ping_mbulk"];
    const { status, stdout, stderr } = await runExternal("redis-benchmark", args);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /"PING_MBULK","[1-9]/);
    assert.equal(server.process.stderr, "");
  });

  it("redis-benchmark sends values of a megabyte", async () => {
    await using server = await serveExample("redis-server");
    const args = [
      "-p",
      String(server.port),
      "-c",
      "4",
      "-n",
      "40",
      "-d",
      String(1024 * 1024),
      "--csv",
      "-t",
      "set,get",
    ];
    const { status, stderr } = await runExternal("redis-benchmark", args);
    assert.equal(status, 0, stderr);
    assert.equal((await cli(server.port, "GET", "key:__rand_int__")).stdout.length, 1024 * 1024 + 1);
  });

  it("redis-cli understands every sort of answer", async () => {
    await using server = await serveExample("redis-server");
    const { port } = server;
    assert.equal((await cli(port, "SET", "key", "value")).stdout, "OK\n");
    assert.equal((await cli(port, "--no-raw", "GET", "key")).stdout, '"value"\n');
    assert.equal((await cli(port, "--no-raw", "GET", "nothing")).stdout, "(nil)\n");
    assert.equal((await cli(port, "--no-raw", "INCR", "counter")).stdout, "(integer) 1\n");
    assert.equal((await cli(port, "--no-raw", "MGET", "key", "nothing")).stdout, '1) "value"\n2) (nil)\n');
    assert.equal((await cli(port, "--no-raw", "LPUSH", "key", "x")).stdout.slice(0, 17), "(error) WRONGTYPE");
    assert.match((await cli(port, "--no-raw", "NONSENSE")).stdout, /^\(error\) ERR unknown command 'NONSENSE'/);
  });

  it("redis-cli --pipe inserts 20,000 keys", async () => {
    await using server = await serveExample("redis-server");
    const { port } = server;
    const commands = Array.from({ length: 20_000 }, (_, i) => `SET key:${i} value:${i}\r\n`).join("");
    const { stdout } = await runExternal("redis-cli", ["-p", String(port), "--pipe"], commands);
    assert.match(stdout, /errors: 0, replies: 20000/);
    assert.equal((await cli(port, "DBSIZE")).stdout, "20000\n");
  });
});

function cli(port: number, ...args: string[]): Promise<{ stdout: string }> {
  return runExternal("redis-cli", ["-p", String(port), ...args]);
}
