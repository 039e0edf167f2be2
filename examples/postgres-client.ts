/**
 * A PostgreSQL client: TLS, passwords by SCRAM, queries with and without parameters, and cancellation.
 *
 * Usage: postgres-client postgres://USER:PASSWORD@HOST:PORT/DATABASE SQL [PARAMETER...]
 *
 * With `?sslrootcert=FILE` the connection is encrypted, and the server's certificate has to be signed by that file's.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as asyncio from "contextvars/asyncio";
import { type Codec, type Framed, framed } from "contextvars/codecs";

const PROTOCOL = 0x0003_0000;
const SSL_REQUEST = 80_877_103;
const CANCEL_REQUEST = 80_877_102;

interface Message {
  /** One letter. */
  readonly type: string;
  readonly body: Buffer;
}

/** A letter, the length of the rest with its own four bytes, the rest. */
export const postgresCodec: Codec<Message> = {
  maxLength: 16 * 1024 * 1024,
  decode(bytes) {
    if (bytes.length < 5) {
      return 5;
    }
    const size = 1 + bytes.readUInt32BE(1);
    if (size < 5) {
      throw new asyncio.ValueError(`a message of ${size} bytes`, { code: "ERR_FRAME_LENGTH" });
    }
    return bytes.length < size
      ? size
      : { frame: { type: bytes.toString("latin1", 0, 1), body: bytes.subarray(5, size) }, size };
  },
  encode: ({ type, body }) => [type, int32(4 + body.length), body],
};

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int16(value: number): Buffer {
  return int32(value).subarray(2);
}

/** Texts, each with a zero byte behind it. */
function texts(...values: readonly string[]): Buffer {
  return Buffer.from(values.map((value) => `${value}\0`).join(""));
}

/** A message without a letter, as there are before a session has begun. */
function untyped(...pieces: readonly Buffer[]): Buffer {
  const body = Buffer.concat(pieces);
  return Buffer.concat([int32(4 + body.length), body]);
}

/** The server refuses a query; `code` is its SQLSTATE. */
export class PostgresError extends Error {
  override readonly name = "PostgresError";
  readonly code: string;

  constructor(body: Buffer) {
    const fields = Object.fromEntries(
      body
        .toString()
        .split("\0")
        .map((field) => [field[0], field.slice(1)]),
    ) as Record<string, string>;
    super(fields["M"]);
    this.code = fields["C"] ?? "";
  }
}

export type Row = Readonly<Record<string, string | null>>;

export interface PostgresOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** TLS, with these certificates to trust. @default no TLS */
  readonly ca?: string | undefined;
}

export class PostgresClient {
  readonly #options: PostgresOptions;
  readonly #writer: asyncio.StreamWriter;
  readonly #peer: Framed<Message>;
  /** One query at a time. */
  readonly #lock = new asyncio.Lock();
  /** Number and secret of the session, with which another connection can cancel what it does. */
  #key = Buffer.alloc(0);

  private constructor(options: PostgresOptions, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) {
    this.#options = options;
    this.#writer = writer;
    this.#peer = framed(reader, writer, postgresCodec);
  }

  /** @throws {PostgresError} If the server knows no such user or database, or the password is wrong. */
  static async connect(options: PostgresOptions): Promise<PostgresClient> {
    const [reader, writer] = await open(options);
    const client = new PostgresClient(options, reader, writer);
    try {
      await client.#begin();
    } catch (error) {
      writer.close();
      throw error;
    }
    return client;
  }

  /**
   * Runs a query, one at a time, and returns its rows. Parameters stand for `$1` and so on.
   *
   * When the task is cancelled, the server is asked to stop; the connection can be used again afterwards. A task that is
   * cancelled again meanwhile does not wait for that, and gives the connection up.
   *
   * @throws {PostgresError} If the server refuses the query.
   */
  async query(sql: string, parameters: readonly (string | null)[] = []): Promise<Row[]> {
    return await this.#lock.with(async () => {
      const messages = parameters.length === 0 ? [{ type: "Q", body: texts(sql) }] : extended(sql, parameters);
      try {
        // Each is written at once, so that a cancellation leaves no half of a query behind.
        await asyncio.gather(messages.map((message) => this.#peer.send(message)));
        return await this.#readRows();
      } catch (error) {
        if (asyncio.isCancelled(error)) {
          await this.#stop();
        }
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#peer.send({ type: "X", body: Buffer.alloc(0) }).catch(() => {});
    await this.#peer.close();
  }

  async #receive(): Promise<Message> {
    const message = await this.#peer.receive();
    if (message === null) {
      throw new asyncio.ConnectionResetError("the server has closed the connection");
    }
    return message;
  }

  async #begin(): Promise<void> {
    const { user, database, password } = this.#options;
    await this.#writer.send(untyped(int32(PROTOCOL), texts("user", user, "database", database, "")));
    for (;;) {
      const { type, body } = await this.#receive();
      if (type === "E") {
        throw new PostgresError(body);
      } else if (type === "R") {
        await this.#authenticate(body, password);
      } else if (type === "K") {
        this.#key = Buffer.from(body);
      } else if (type === "Z") {
        return;
      }
    }
  }

  async #authenticate(body: Buffer, password: string): Promise<void> {
    const OK = 0;
    const SASL = 10;
    const kind = body.readInt32BE(0);
    if (kind === SASL && body.includes("SCRAM-SHA-256\0")) {
      await this.#scram(password);
    } else if (kind !== OK) {
      throw new asyncio.PermissionError(`the server wants another kind of password: ${kind}`);
    }
  }

  /** RFC 5802 and 7677: each side proves that it knows the password, and neither sends it. */
  async #scram(password: string): Promise<void> {
    const first = `n=,r=${randomBytes(18).toString("base64")}`;
    const initial = Buffer.from(`n,,${first}`);
    const answer = await this.#proof(Buffer.concat([texts("SCRAM-SHA-256"), int32(initial.length), initial]));
    const [, nonce = "", salt = "", rounds = ""] = /^r=([^,]+),s=([^,]+),i=(\d+)/.exec(answer) ?? [];
    if (!nonce.startsWith(first.slice("n=,r=".length))) {
      throw new asyncio.PermissionError("the server answers another client");
    }
    const salted = await promisify(pbkdf2)(password, Buffer.from(salt, "base64"), Number(rounds), 32, "sha256");
    const clientKey = hmac(salted, "Client Key");
    const final = `c=biws,r=${nonce}`;
    const exchange = `${first},${answer},${final}`;
    const signature = hmac(createHash("sha256").update(clientKey).digest(), exchange);
    const proof = clientKey.map((byte, i) => byte ^ (signature[i] ?? 0));
    const verdict = await this.#proof(Buffer.from(`${final},p=${Buffer.from(proof).toString("base64")}`));
    const theirs = Buffer.from(verdict.replace(/^v=/, ""), "base64");
    const ours = hmac(hmac(salted, "Server Key"), exchange);
    if (theirs.length !== ours.length || !timingSafeEqual(theirs, ours)) {
      throw new asyncio.PermissionError("the server does not know the password");
    }
  }

  async #proof(body: Buffer): Promise<string> {
    await this.#peer.send({ type: "p", body });
    const answer = await this.#receive();
    if (answer.type === "E") {
      throw new PostgresError(answer.body);
    }
    return answer.body.toString("utf8", 4);
  }

  /** Reads up to the point where the server is ready for the next query. */
  async #readRows(): Promise<Row[]> {
    let names: string[] = [];
    const rows: Row[] = [];
    let failure: PostgresError | null = null;
    for (;;) {
      const { type, body } = this.#peer.tryReceive() ?? (await this.#receive());
      if (type === "T") {
        names = columnNames(body);
      } else if (type === "D") {
        rows.push(Object.fromEntries(values(body).map((value, i) => [names[i] ?? "", value])));
      } else if (type === "E") {
        failure = new PostgresError(body);
      } else if (type === "Z") {
        if (failure !== null) {
          throw failure;
        }
        return rows;
      }
    }
  }

  /** Has the server stop the query, and reads what it still says of it. */
  async #stop(): Promise<void> {
    try {
      await this.#cancel();
      await this.#readRows();
    } catch (error) {
      if (!(error instanceof PostgresError)) {
        // The next query would read the rows of this one.
        this.#writer.transport.abort();
      }
    }
  }

  async #cancel(): Promise<void> {
    const [reader, writer] = await open(this.#options);
    await using closing = writer;
    await closing.send(untyped(int32(CANCEL_REQUEST), this.#key));
    // The server closes the connection when it has done it; before that, it would stop the next query.
    await reader.read();
  }
}

/** Connects; over TLS if there is a certificate. */
async function open({ host, port, ca }: PostgresOptions): Promise<[asyncio.StreamReader, asyncio.StreamWriter]> {
  const [reader, writer] = await asyncio.openConnection(host, port);
  if (ca !== undefined) {
    await writer.send(untyped(int32(SSL_REQUEST)));
    if (String(await reader.readexactly(1)) !== "S") {
      writer.close();
      throw new asyncio.ConnectionError("the server has no TLS");
    }
    await writer.startTls({ ca }, { serverHostname: host });
  }
  return [reader, writer];
}

/** Parse, Bind, Describe, Execute, Sync: all at once. */
function extended(sql: string, parameters: readonly (string | null)[]): Message[] {
  const bound = parameters.flatMap((each) =>
    each === null ? [int32(-1)] : [int32(Buffer.byteLength(each)), Buffer.from(each)],
  );
  const bind = [texts("", ""), int16(0), int16(parameters.length), ...bound, int16(0)];
  return [
    { type: "P", body: Buffer.concat([texts("", sql), int16(0)]) },
    { type: "B", body: Buffer.concat(bind) },
    { type: "D", body: texts("P") },
    { type: "E", body: Buffer.concat([texts(""), int32(0)]) },
    { type: "S", body: Buffer.alloc(0) },
  ];
}

function columnNames(body: Buffer): string[] {
  const names: string[] = [];
  for (let at = 2; names.length < body.readInt16BE(0); ) {
    const end = body.indexOf(0, at);
    names.push(body.toString("utf8", at, end));
    at = end + 1 + 18;
  }
  return names;
}

function values(body: Buffer): (string | null)[] {
  const all: (string | null)[] = [];
  for (let at = 2; all.length < body.readInt16BE(0); ) {
    const length = body.readInt32BE(at);
    at += 4;
    all.push(length < 0 ? null : body.toString("utf8", at, at + length));
    at += Math.max(length, 0);
  }
  return all;
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

async function main(url: URL, sql: string, parameters: readonly string[]): Promise<void> {
  const certificate = url.searchParams.get("sslrootcert");
  const client = await PostgresClient.connect({
    host: url.hostname,
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    ca: certificate === null ? undefined : readFileSync(certificate, "utf8"),
  });
  try {
    for (const row of await client.query(sql, parameters)) {
      console.log(JSON.stringify(row));
    }
  } finally {
    await client.close();
  }
}

// Another program may import the class only.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [url = "", sql, ...parameters] = process.argv.slice(2);
  if (!URL.canParse(url) || sql === undefined) {
    console.error("usage: postgres-client postgres://USER:PASSWORD@HOST:PORT/DATABASE SQL [PARAMETER...]");
    process.exit(1);
  }
  try {
    await asyncio.run(() => main(new URL(url), sql, parameters));
  } catch (error) {
    if (error instanceof PostgresError) {
      console.error(`${error.code} ${error.message}`);
    } else if (error instanceof asyncio.OSError) {
      console.error(String(error));
    } else {
      throw error;
    }
    process.exitCode = 1;
  }
}
