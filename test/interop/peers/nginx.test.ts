/** nginx: as the server of an HTTP client, and as the proxy in front of servers of ours. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { External, makeCertificate, missing, runExternal, serveExample } from "../../support/external.ts";
import { freePort, serve } from "../../support/peers.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";

const HOST = "127.0.0.1";
/** Where Debian has the part that proxies any bytes; elsewhere it may be built in. */
const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";
const loadStream = existsSync(STREAM_MODULE) ? `load_module ${STREAM_MODULE};` : "";

/** Runs nginx with a configuration of its own. */
function startNginx(folder: TemporaryFolder, configuration: string): External {
  const file = folder.file("nginx.conf");
  const own = `daemon off; worker_processes 1; pid ${folder.path}/nginx.pid; error_log stderr; ${loadStream}`;
  const user = process.getuid?.() === 0 ? "user root;" : "";
  writeFileSync(file, `${own} ${user} events { worker_connections 1000; }\n${configuration}`);
  return new External("nginx", ["-p", folder.path, "-c", file]);
}

function httpPart(folder: TemporaryFolder, inside: string): string {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const temporary = paths.map((name) => `${name}_temp_path ${folder.path}/${name};`).join(" ");
  return `http { access_log off; ${temporary} default_type text/plain; ${inside} }`;
}

interface Response {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** An HTTP client on one connection, in as few words as it takes. */
class HttpClient {
  readonly #reader: asyncio.StreamReader;
  readonly writer: asyncio.StreamWriter;

  constructor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) {
    this.#reader = reader;
    this.writer = writer;
  }

  request(path: string, connection = "keep-alive"): void {
    this.writer.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: ${connection}\r\n\r\n`);
  }

  async response(): Promise<Response> {
    const head = String(await this.#reader.readuntil("\r\n\r\n")).trimEnd();
    const [status = "", ...lines] = head.split("\r\n");
    const headers = new Map(lines.map((line) => line.toLowerCase().split(": ", 2) as [string, string]));
    return { status: Number(status.split(" ")[1]), headers, body: await this.#body(headers) };
  }

  async get(path: string): Promise<Response> {
    this.request(path);
    return await this.response();
  }

  async atEof(): Promise<boolean> {
    return (await this.#reader.read(1)).length === 0;
  }

  async #body(headers: ReadonlyMap<string, string>): Promise<Buffer> {
    if (headers.get("transfer-encoding") !== "chunked") {
      return await this.#reader.readexactly(Number(headers.get("content-length")));
    }
    const chunks: Buffer[] = [];
    for (;;) {
      const size = Number.parseInt(String(await this.#reader.readuntil("\r\n")), 16);
      const chunk = await this.#reader.readexactly(size + 2);
      if (size === 0) {
        return Buffer.concat(chunks);
      }
      chunks.push(chunk.subarray(0, size));
    }
  }
}

async function connected(port: number): Promise<HttpClient> {
  return new HttpClient(...(await asyncio.openConnection(HOST, port)));
}

describe("nginx as a server", { skip: missing("nginx") }, () => {
  const large = randomBytes(1024 * 1024);
  const text = "0123456789abcdef\n".repeat(10_000);

  async function withNginx(body: (client: HttpClient) => Promise<void>): Promise<void> {
    using folder = new TemporaryFolder();
    mkdirSync(folder.file("files"));
    writeFileSync(folder.file("files/large"), large);
    writeFileSync(folder.file("files/text"), text);
    const port = await freePort();
    const location =
      "location /chunked/ { alias files/; ssi on; ssi_types *; } location /slow/ { alias files/; limit_rate 1m; }";
    const files = `root ${folder.path}/files; keepalive_requests 300; ${location.replaceAll("files/", `${folder.path}/files/`)}`;
    const configuration = httpPart(folder, `server { listen ${HOST}:${port}; ${files} }`);
    await using _nginx = await startNginx(folder, configuration).listening(port);
    const client = await connected(port);
    try {
      await body(client);
    } finally {
      await client.writer[Symbol.asyncDispose]();
    }
  }

  it("nginx answers 300 requests on one connection, and closes it as it said", () =>
    withNginx(async (client) => {
      for (let i = 0; i < 300; i++) {
        const { status, headers, body } = await client.get("/text");
        assert.equal(status, 200);
        assert.equal(body.length, text.length);
        assert.equal(headers.get("connection"), i < 299 ? "keep-alive" : "close");
      }
      assert.ok(await client.atEof());
    }));

  it("nginx answers 100 requests that were sent at once, in their order", () =>
    withNginx(async (client) => {
      for (let i = 0; i < 100; i++) {
        client.request(i % 2 === 0 ? "/text" : "/nothing");
      }
      for (let i = 0; i < 100; i++) {
        assert.equal((await client.response()).status, i % 2 === 0 ? 200 : 404);
      }
    }));

  it("nginx sends a body in chunks, one after the other", () =>
    withNginx(async (client) => {
      for (let i = 0; i < 20; i++) {
        const { headers, body } = await client.get("/chunked/text");
        assert.equal(headers.get("transfer-encoding"), "chunked");
        assert.equal(String(body), text);
      }
    }));

  it("nginx sends a megabyte, fast and slowly", () =>
    withNginx(async (client) => {
      assert.ok((await client.get("/large")).body.equals(large));
      assert.ok((await client.get("/slow/large")).body.equals(large));
    }));
});

describe("nginx as a proxy", { skip: missing("nginx") }, () => {
  it("nginx tells a server by proxy_protocol who the client is", async () => {
    using folder = new TemporaryFolder();
    await using server = await serve(async (reader, writer) => {
      const header = await reader.readline();
      await writer.send(header);
      for await (const line of reader) {
        await writer.send(line);
      }
      writer.close();
    });
    const port = await freePort();
    const proxy = `listen ${HOST}:${port}; proxy_pass ${HOST}:${server.port}; proxy_protocol on;`;
    await using _nginx = await startNginx(folder, `stream { server { ${proxy} } }`).listening(port);
    const [reader, writer] = await asyncio.openConnection(HOST, port);
    const own = writer.getExtraInfo("sockname");
    writer.write("hello\n");
    assert.equal(String(await reader.readline()), `PROXY TCP4 ${HOST} ${HOST} ${own.port} ${port}\r\n`);
    assert.equal(String(await reader.readline()), "hello\n");
    await writer[Symbol.asyncDispose]();
  });

  it("StreamWriter.startTls() takes over behind the line of proxy_protocol", { skip: missing("openssl") }, async () => {
    using folder = new TemporaryFolder();
    const files = await makeCertificate(folder);
    const ssl = { key: readFileSync(files.key), cert: readFileSync(files.cert) };
    const headers: string[] = [];
    await using server = await serve(async (reader, writer) => {
      headers.push(String(await reader.readline()));
      try {
        await writer.startTls(ssl);
      } catch {
        // The visit that found nginx listening sends no handshake.
        return;
      }
      await writer.send(await reader.readline());
      writer.close();
    });
    const port = await freePort();
    const proxy = `listen ${HOST}:${port}; proxy_pass ${HOST}:${server.port}; proxy_protocol on;`;
    await using _nginx = await startNginx(folder, `stream { server { ${proxy} } }`).listening(port);
    for (let i = 0; i < 20; i++) {
      const [reader, writer] = await asyncio.openConnection(HOST, port, { ssl: { ca: ssl.cert } });
      const own = writer.getExtraInfo("sockname");
      await writer.send(`secret ${i}\n`);
      assert.equal(String(await reader.read()), `secret ${i}\n`);
      await writer[Symbol.asyncDispose]();
      assert.equal(headers.at(-1), `PROXY TCP4 ${HOST} ${HOST} ${own.port} ${port}\r\n`);
    }
  });

  it("nginx keeps connections to the HTTP server of examples/ alive", { skip: missing("curl") }, async () => {
    using folder = new TemporaryFolder();
    await using server = await serveExample("http-server");
    const port = await freePort();
    const upstream = `upstream ours { server ${HOST}:${server.port}; keepalive 4; }`;
    const proxy = 'proxy_pass http://ours; proxy_http_version 1.1; proxy_set_header Connection "";';
    const inside = `${upstream} server { listen ${HOST}:${port}; location / { ${proxy} } }`;
    await using _nginx = await startNginx(folder, httpPart(folder, inside)).listening(port);
    const client = await connected(port);
    for (let i = 0; i < 200; i++) {
      assert.equal(String((await client.get("/")).body), "Hello, World!\n");
    }
    await client.writer[Symbol.asyncDispose]();
    const body = "x".repeat(100_000);
    const url = `http://${HOST}:${port}/echo`;
    const sent = await runExternal("curl", ["-s", "--noproxy", "*", "--data-binary", "@-", url], body);
    assert.equal(sent.stdout, body);
    assert.equal(server.process.stderr, "");
  });
});
