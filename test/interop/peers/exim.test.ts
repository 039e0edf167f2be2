/** A client of ours against Exim, whose TLS is not OpenSSL's but GnuTLS'. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { External, makeCertificate, missing } from "../../support/external.ts";
import { freePort, outcomeOf } from "../../support/peers.ts";
import { startExample } from "../../support/peers-examples.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";

const HOST = "127.0.0.1";

/** As much of SMTP as it takes to send a message. */
class SmtpClient {
  readonly #reader: asyncio.StreamReader;
  readonly writer: asyncio.StreamWriter;

  constructor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) {
    this.#reader = reader;
    this.writer = writer;
  }

  /** The lines of an answer, which has to begin with the code. */
  async expect(code: number): Promise<string> {
    const lines: string[] = [];
    for (;;) {
      const line = String(await this.#reader.readline());
      lines.push(line);
      if (line[3] !== "-") {
        assert.equal(line.slice(0, 3), String(code), lines.join(""));
        return lines.join("");
      }
    }
  }

  async command(line: string, code: number): Promise<string> {
    await this.writer.send(`${line}\r\n`);
    return await this.expect(code);
  }

  async send(text: string): Promise<string> {
    await this.command("DATA", 354);
    // A line that begins with a dot gets another one.
    await this.writer.send(`${text.replaceAll(/^\./gm, "..")}\r\n.\r\n`);
    return await this.expect(250);
  }
}

interface Exim {
  readonly port: number;
  readonly ca: Buffer;
  /** The file of it. */
  readonly cert: string;
  readonly spool: string;
}

/** Runs Exim with a configuration of its own: it takes every message, and keeps it in its queue. */
async function withExim(body: (exim: Exim) => Promise<void>): Promise<void> {
  using folder = new TemporaryFolder();
  const { key, cert } = await makeCertificate(folder);
  const port = await freePort();
  const spool = folder.file("spool");
  mkdirSync(spool, { mode: 0o777 });
  const owner = process.getuid?.() === 0 ? "root" : (process.env["USER"] ?? "nobody");
  const lines = [
    `exim_user = ${owner}`,
    `exim_group = ${owner}`,
    `spool_directory = ${spool}`,
    `log_file_path = ${folder.path}/%slog`,
    `pid_file_path = ${folder.path}/exim.pid`,
    "primary_hostname = localhost",
    "tls_advertise_hosts = *",
    `tls_certificate = ${cert}`,
    `tls_privatekey = ${key}`,
    "acl_smtp_rcpt = accept",
    "acl_smtp_data = accept",
    "queue_only = true",
    "host_lookup =",
    "rfc1413_query_timeout = 0s",
    "keep_environment =",
    "begin routers",
    "begin transports",
    "",
  ];
  const configuration = folder.file("exim.conf");
  writeFileSync(configuration, lines.join("\n"));
  const args = ["-C", configuration, "-bdf", "-oX", `${HOST}.${port}`, "-oP", folder.file("exim.pid")];
  await using _exim = await new External("exim4", args).listening(port);
  await body({ port, ca: readFileSync(cert), cert, spool });
}

/** The texts of the messages in the queue, without their headers. */
function queued(spool: string): string[] {
  const folder = join(spool, "input");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith("-D"));
  return files.map((file) => readFileSync(join(folder, file), "utf8").replace(/^.*-D\n/, ""));
}

async function connected({ port, ca }: Exim): Promise<SmtpClient> {
  const client = new SmtpClient(...(await asyncio.openConnection(HOST, port)));
  await client.expect(220);
  assert.match(await client.command("EHLO localhost", 250), /STARTTLS/);
  await client.command("STARTTLS", 220);
  await client.writer.startTls({ ca }, { serverHostname: "localhost" });
  return client;
}

describe("exim", { skip: missing("exim4", "openssl") }, () => {
  it("exim takes a message after STARTTLS, lines that begin with a dot as they are", () =>
    withExim(async (exim) => {
      const client = await connected(exim);
      assert.doesNotMatch(await client.command("EHLO localhost", 250), /STARTTLS/);
      assert.match(String(client.writer.getExtraInfo("cipher")), /TLSv1\.3/);
      await client.command("MAIL FROM:<a@localhost>", 250);
      await client.command("RCPT TO:<b@localhost>", 250);
      await client.send("Subject: dots\r\n\r\n.\r\n..two\r\n.three\r\nend");
      await client.command("QUIT", 221);
      await client.writer[Symbol.asyncDispose]();
      assert.deepEqual(queued(exim.spool), [".\n..two\n.three\nend\n"]);
    }));

  it("exim takes a message of a megabyte, and 50 small ones over one connection", () =>
    withExim(async (exim) => {
      const client = await connected(exim);
      await client.command("EHLO localhost", 250);
      const texts = [`${"x".repeat(99)}\n`.repeat(10_000), ...Array.from({ length: 50 }, (_, i) => `message ${i}\n`)];
      for (const text of texts) {
        await client.command("MAIL FROM:<a@localhost>", 250);
        await client.command("RCPT TO:<b@localhost>", 250);
        await client.send(`Subject: test\r\n\r\n${text.trimEnd().replaceAll("\n", "\r\n")}`);
      }
      await client.command("QUIT", 221);
      await client.writer[Symbol.asyncDispose]();
      assert.deepEqual(queued(exim.spool).sort(), texts.sort());
    }));

  it("smtp-client of examples/ sends a message, dots and all", () =>
    withExim(async ({ port, cert, spool }) => {
      await using client = startExample("smtp-client", HOST, String(port), "a@localhost", "b@localhost", cert);
      client.write("Subject: test\n\n.\n..two\nend\n");
      client.end();
      assert.equal(await client.ended(), 0, client.stderr);
      assert.equal(client.stdout, "Sent over TLS\n");
      assert.deepEqual(queued(spool), [".\n..two\nend\n"]);
    }));

  it("StreamWriter.startTls() refuses exim's certificate where it is not to be trusted", () =>
    withExim(async (exim) => {
      const client = new SmtpClient(...(await asyncio.openConnection(HOST, exim.port)));
      await client.expect(220);
      await client.command("EHLO localhost", 250);
      await client.command("STARTTLS", 220);
      const error = await outcomeOf(client.writer.startTls(true, { serverHostname: "localhost" }));
      assert.ok(error instanceof asyncio.SSLCertVerificationError, String(error));
      assert.ok(client.writer.isClosing());
    }));
});
