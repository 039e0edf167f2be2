/** The HTTP server of examples/ under curl and wrk. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { missing, runExternal, serveExample } from "../../support/external.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";

function curl(...args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return runExternal("curl", ["-s", "--max-time", "20", "--noproxy", "*", ...args]);
}

describe("curl", { skip: missing("curl") }, () => {
  it("curl uses one connection for several requests", async () => {
    await using server = await serveExample("http-server");
    const url = `http://127.0.0.1:${server.port}/`;
    const { stdout } = await curl("-w", "%{http_code} %{num_connects}\n", url, url, `${url}nothing`);
    assert.equal(stdout, "Hello, World!\n200 1\nHello, World!\n200 0\nNot Found\n404 0\n");
  });

  it("curl sends bodies with a length, and in chunks, and asks before it sends large ones", async () => {
    using folder = new TemporaryFolder();
    await using server = await serveExample("http-server");
    const url = `http://127.0.0.1:${server.port}/echo`;
    const large = "0123456789abcdef".repeat(256 * 1024);
    const file = folder.file("large");
    writeFileSync(file, large);
    assert.equal((await curl("-d", "small", url)).stdout, "small");
    assert.equal((await curl("-H", "Transfer-Encoding: chunked", "-d", "small", url)).stdout, "small");
    assert.equal((await curl("--data-binary", `@${file}`, url)).stdout, large);
    const chunked = ["-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", "--data-binary", `@${file}`];
    const { stdout, stderr } = await curl("-v", ...chunked, url);
    assert.equal(stdout, large);
    assert.match(stderr, /HTTP\/1\.1 100 Continue/);
  });

  it("curl gets an answer to what the server refuses", async () => {
    await using server = await serveExample("http-server");
    const url = `http://127.0.0.1:${server.port}/`;
    const code = async (...args: string[]): Promise<string> =>
      (await curl("-o", "/dev/null", "-w", "%{http_code}", ...args, url)).stdout;
    assert.equal(await code("-H", `X-Large: ${"x".repeat(60_000)}`), "431");
    assert.equal(await code("-H", "Content-Length: 99999999999"), "413");
    assert.equal(await code("-H", "Transfer-Encoding: gzip", "-H", "Content-Length:", "-d", "x"), "501");
    assert.equal(await code("-H", "Transfer-Encoding: chunked", "-H", "Content-Length: 5", "-d", "x"), "400");
    assert.equal(await code("-H", "Host:"), "400");
    assert.equal(await code("-I"), "200");
    assert.equal(await code("--http1.0"), "200");
    assert.equal(server.process.stderr, "");
  });
});

describe("wrk", { skip: missing("wrk") }, () => {
  for (const [name, args] of [
    ["keeps 100 connections busy", []],
    ["makes a connection for each request", ["-H", "Connection: close"]],
  ] as const) {
    it(`wrk ${name}: every request is answered`, async () => {
      await using server = await serveExample("http-server");
      const url = `http://127.0.0.1:${server.port}/`;
      const { status, stdout } = await runExternal("wrk", ["-t", "1", "-c", "100", "-d", "2", ...args, url]);
      assert.equal(status, 0, stdout);
      assert.doesNotMatch(stdout, /Non-2xx|Socket errors/);
      assert.match(stdout, /\b[1-9]\d* requests in/);
      assert.equal(server.process.stderr, "");
    });
  }
});
