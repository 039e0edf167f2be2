/**
 * Sends the mail on standard input, over TLS where the server offers STARTTLS.
 *
 * Usage: smtp-client HOST PORT FROM TO [CA]   CA: a file of certificates to trust besides the usual ones
 */
import { readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import * as asyncio from "contextvars/asyncio";
import { type Framed, framed, linesCodec } from "contextvars/codecs";

const REPLY_TIMEOUT = 60; // seconds
/** Addresses go into a line of the protocol: without spaces and control characters, nothing else gets into it. */
const ADDRESS = /^[^\s<>\p{Cc}]+$/u;

/** The server refuses; `code` is the number that its reply begins with. */
class SmtpError extends Error {
  override readonly name = "SmtpError";
  readonly code: number;

  constructor(code: number, text: string) {
    super(`${code} ${text}`);
    this.code = code;
  }
}

class SmtpClient {
  readonly #lines: Framed<string>;
  readonly #writer: asyncio.StreamWriter;

  constructor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) {
    // What no line has taken stays in the reader, so startTls() finds plaintext that others have put behind the reply.
    this.#lines = framed(reader, writer, linesCodec({ maxLength: 2000 }));
    this.#writer = writer;
  }

  /** Greets the server, and puts TLS on the connection if the server can do that. Returns whether it is encrypted. */
  async open(host: string, ca: string | undefined): Promise<boolean> {
    await this.#reply(220);
    const abilities = await this.command("EHLO localhost", 250);
    const isOffered = abilities.some((line) => line.toUpperCase() === "STARTTLS");
    if (isOffered) {
      await this.command("STARTTLS", 220);
      const trusted = ca === undefined ? {} : { ca: [...rootCertificates, readFileSync(ca, "utf8")] };
      await this.#writer.startTls(trusted, { serverHostname: host });
      // What was said before TLS counts for nothing.
      await this.command("EHLO localhost", 250);
    }
    return isOffered;
  }

  async send(from: string, to: string, message: string): Promise<void> {
    await this.command(`MAIL FROM:<${from}>`, 250);
    await this.command(`RCPT TO:<${to}>`, 250);
    await this.command("DATA", 354);
    for (const line of message.replace(/\r?\n$/, "").split(/\r\n|\r|\n/)) {
      // A line that is a dot is the end of the message, so that a dot at the beginning is doubled.
      await this.#lines.send(`${line.startsWith(".") ? "." : ""}${line}\r`);
    }
    await this.command(".", 250);
  }

  /** @throws {SmtpError} If the reply has another number. */
  async command(line: string, expected: number): Promise<string[]> {
    await this.#lines.send(`${line}\r`);
    return this.#reply(expected);
  }

  async close(): Promise<void> {
    await this.#lines.close();
  }

  /** A reply has one line or several: `250-PIPELINING`, and a space instead of the hyphen in the last. */
  async #reply(expected: number): Promise<string[]> {
    const texts: string[] = [];
    for (;;) {
      const line = await asyncio.waitFor(() => this.#lines.receive(), REPLY_TIMEOUT);
      const [, code, mark, text = ""] = /^(\d{3})([ -]?)(.*)$/.exec(line ?? "") ?? [];
      if (code === undefined) {
        throw new asyncio.ConnectionError(line === null ? "the server has hung up" : `this is no reply: ${line}`);
      }
      texts.push(text);
      if (mark !== "-") {
        if (Number(code) !== expected) {
          throw new SmtpError(Number(code), texts.join(" "));
        }
        return texts;
      }
    }
  }
}

async function main(host: string, port: number, from: string, to: string, ca?: string): Promise<void> {
  const client = new SmtpClient(...(await asyncio.openConnection(host, port)));
  try {
    const isEncrypted = await client.open(host, ca);
    const message = await asyncio.StreamReader.from(process.stdin).read();
    await client.send(from, to, String(message));
    await client.command("QUIT", 221);
    console.log(`Sent ${isEncrypted ? "over TLS" : "without TLS"}`);
  } finally {
    await client.close();
  }
}

const [host = "127.0.0.1", port = "25", from = "", to = "", ca] = process.argv.slice(2);
if (!ADDRESS.test(from) || !ADDRESS.test(to)) {
  console.error("usage: smtp-client HOST PORT FROM TO [CA]   with an address each as FROM and TO");
  process.exitCode = 1;
} else {
  try {
    await asyncio.run(() => main(host, Number(port), from, to, ca));
  } catch (error) {
    if (!(error instanceof SmtpError || error instanceof asyncio.OSError)) {
      throw error;
    }
    console.error(error instanceof SmtpError ? error.message : String(error));
    process.exitCode = 1;
  }
}
