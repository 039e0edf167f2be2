/**
 * A small SMTP server with STARTTLS: prints the messages it gets, and delivers them nowhere.
 *
 * Usage: smtp-server [HOST [PORT [KEY CERTIFICATE]]]   serves on 127.0.0.1 (port 2525) until Ctrl-C
 *
 * With the files of a key and a certificate it offers STARTTLS, and takes mail only after it. Try it with:
 * swaks --server 127.0.0.1:2525 --to somebody@example.org --tls
 */
import { readFileSync } from "node:fs";
import * as asyncio from "contextvars/asyncio";

const MAX_COMMAND = 512; // bytes, with its end
const MAX_MESSAGE = 1024 * 1024; // bytes
const MAX_RECIPIENTS = 100;
const MAX_ERRORS = 10;
const COMMAND_TIMEOUT = 60; // seconds
const NAME = "localhost";

/** A session: what the client has said so far. */
class Session {
  readonly #reader: asyncio.StreamReader;
  readonly #writer: asyncio.StreamWriter;
  readonly #ssl: asyncio.SSLContext | null;
  #secured = false;
  #greeted = false;
  #sender: string | null = null;
  #recipients: string[] = [];
  #errors = 0;

  constructor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ssl: asyncio.SSLContext | null) {
    this.#reader = reader;
    this.#writer = writer;
    this.#ssl = ssl;
  }

  async run(): Promise<void> {
    await this.#reply(`220 ${NAME} ESMTP`);
    for (;;) {
      const line = await this.#readCommand();
      if (line === null) {
        continue;
      }
      const [, verb = "", argument = ""] = /^(\S*) ?(.*)$/s.exec(line) ?? [];
      if (verb.toUpperCase() === "QUIT") {
        await this.#reply(`221 ${NAME} good bye`);
        return;
      }
      await this.#execute(verb.toUpperCase(), argument.trim());
      if (this.#errors >= MAX_ERRORS) {
        await this.#reply(`421 ${NAME} too many errors`);
        return;
      }
    }
  }

  /** A line without its end; `null` if it was too long, which was answered already. */
  async #readCommand(): Promise<string | null> {
    const line = await this.#reader.readuntil("\r\n");
    if (line.length <= MAX_COMMAND) {
      return line.toString("utf8", 0, line.length - 2);
    }
    await this.#refuse(`500 line is longer than ${MAX_COMMAND} bytes`);
    return null;
  }

  async #execute(verb: string, argument: string): Promise<void> {
    switch (verb) {
      case "HELO":
        return await this.#greet([`250 ${NAME}`]);
      case "EHLO":
        return await this.#greet([
          `250-${NAME}`,
          ...(this.#ssl !== null && !this.#secured ? ["250-STARTTLS"] : []),
          "250-PIPELINING",
          `250 SIZE ${MAX_MESSAGE}`,
        ]);
      case "STARTTLS":
        return await this.#startTls();
      case "MAIL":
        return await this.#mail(argument);
      case "RCPT":
        return await this.#recipient(argument);
      case "DATA":
        return await this.#data();
      case "RSET":
        this.#forget();
        return await this.#reply("250 forgotten");
      case "NOOP":
        return await this.#reply("250 nothing done");
      default:
        return await this.#refuse("502 unknown command");
    }
  }

  async #greet(lines: readonly string[]): Promise<void> {
    this.#greeted = true;
    this.#forget();
    await this.#reply(lines.join("\r\n"));
  }

  async #startTls(): Promise<void> {
    if (this.#ssl === null || this.#secured) {
      return await this.#refuse("503 TLS is not to be had");
    }
    await this.#reply("220 go ahead");
    // What the client sent behind STARTTLS without waiting goes to the handshake, which fails: it is never a command.
    await this.#writer.startTls(this.#ssl);
    this.#secured = true;
    // What was said in the open counts for nothing.
    this.#greeted = false;
    this.#forget();
  }

  async #mail(argument: string): Promise<void> {
    if (this.#ssl !== null && !this.#secured) {
      return await this.#refuse("530 STARTTLS first");
    }
    const sender = /^FROM: ?<([^<>\s]*)>/i.exec(argument)?.[1];
    if (!this.#greeted || this.#sender !== null || sender === undefined) {
      return await this.#refuse("503 EHLO, then MAIL FROM:<address>, once");
    }
    this.#sender = sender;
    await this.#reply("250 sender noted");
  }

  async #recipient(argument: string): Promise<void> {
    const recipient = /^TO: ?<([^<>\s]+)>/i.exec(argument)?.[1];
    if (this.#sender === null || recipient === undefined) {
      return await this.#refuse("503 MAIL FROM, then RCPT TO:<address>");
    }
    if (this.#recipients.length >= MAX_RECIPIENTS) {
      return await this.#refuse("452 too many recipients");
    }
    this.#recipients.push(recipient);
    await this.#reply("250 recipient noted");
  }

  async #data(): Promise<void> {
    if (this.#recipients.length === 0) {
      return await this.#refuse("503 RCPT TO first");
    }
    await this.#reply("354 end with a line that is a single dot");
    const message = await this.#readMessage();
    if (message === null) {
      await this.#refuse("552 message is too large");
    } else {
      console.log(JSON.stringify({ from: this.#sender, to: this.#recipients, tls: this.#secured, message }));
      await this.#reply("250 message taken");
    }
    this.#forget();
  }

  /** Up to a line that is a dot; a dot at the beginning of other lines was put there by the client. */
  async #readMessage(): Promise<string | null> {
    const lines: Buffer[] = [];
    for (let size = 0; ; ) {
      // Only CR LF ends a line: to take a bare LF for one lets a message contain the next.
      const line = await this.#reader.readuntil("\r\n");
      if (line.equals(Buffer.from(".\r\n"))) {
        return size > MAX_MESSAGE ? null : Buffer.concat(lines).toString();
      }
      size += line.length;
      // The rest of a message that is too large is read, but not kept.
      if (size <= MAX_MESSAGE) {
        lines.push(line[0] === 0x2e ? line.subarray(1) : line);
      } else {
        lines.length = 0;
      }
    }
  }

  #forget(): void {
    this.#sender = null;
    this.#recipients = [];
  }

  async #refuse(line: string): Promise<void> {
    this.#errors += 1;
    await this.#reply(line);
  }

  async #reply(lines: string): Promise<void> {
    await this.#writer.send(`${lines}\r\n`);
  }
}

async function handleClient(
  reader: asyncio.StreamReader,
  writer: asyncio.StreamWriter,
  ssl: asyncio.SSLContext | null,
): Promise<void> {
  try {
    await new Session(reader, writer, ssl).run();
  } catch (error) {
    if (error instanceof asyncio.TimeoutError) {
      writer.write(`421 ${NAME} too slow\r\n`);
    } else if (error instanceof asyncio.LimitOverrunError) {
      writer.write(`500 ${NAME} line without an end\r\n`);
    } else if (!(error instanceof asyncio.IncompleteReadError || error instanceof asyncio.OSError)) {
      throw error;
    }
    // The others mean that the client has gone, or that TLS has failed.
  } finally {
    writer.close();
  }
}

async function main(host: string, port: number, keyFile?: string, certificateFile?: string): Promise<void> {
  const ssl =
    keyFile === undefined || certificateFile === undefined
      ? null
      : { key: readFileSync(keyFile), cert: readFileSync(certificateFile) };
  const server = await asyncio.startServer((reader, writer) => handleClient(reader, writer, ssl), host, port, {
    readTimeout: COMMAND_TIMEOUT,
  });
  console.log(`Serving on ${server.sockets.map((socket) => socket.getsockname()).join(", ")}`);
  await server.with(() => server.serveForever());
}

const [host = "127.0.0.1", port = "2525", ...files] = process.argv.slice(2);
try {
  await asyncio.run(() => main(host, Number(port), ...files));
} catch (error) {
  if (!(error instanceof asyncio.KeyboardInterrupt)) {
    throw error;
  }
}
