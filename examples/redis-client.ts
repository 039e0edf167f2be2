/**
 * A Redis client that does not wait for an answer before it sends the next command.
 *
 * Usage: redis-client [HOST [PORT [COMMAND [ARGUMENT...]]]]   asks 127.0.0.1:6379, by default with PING
 *
 * Commands go out as they are called; one task reads the answers, which come in the same order.
 */
import { fileURLToPath } from "node:url";
import * as asyncio from "contextvars/asyncio";

/** What the server answers: a status as a string, bytes, a number, nothing, an error, or several of these. */
export type RedisReply = string | Buffer | number | null | RedisError | RedisReply[];

/** The server refuses a command; the others are not concerned. */
export class RedisError extends Error {
  override readonly name = "RedisError";
}

export class RedisClient {
  readonly #reader: asyncio.StreamReader;
  readonly #writer: asyncio.StreamWriter;
  /** The commands that were sent and not answered, oldest first. */
  #due: asyncio.Future<RedisReply>[] = [];
  /** Why there will be no more answers. */
  #failure: unknown = null;
  readonly #answers: asyncio.Task<void>;

  /** Takes over a connection, however it was made: `new RedisClient(...await asyncio.openConnection(host, port))`. */
  constructor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) {
    this.#reader = reader;
    this.#writer = writer;
    this.#answers = asyncio.createTask(() => this.#readAnswers(), { name: "redis-answers" });
  }

  /**
   * Sends a command. The answer can be awaited at once, or later, or be waited for with a timeout.
   *
   * @throws {RedisError} If the server refuses it.
   * @throws {IncompleteReadError} If the server closes the connection instead of answering.
   * @throws {ConnectionError} If the connection is lost.
   */
  call(...args: readonly (string | number | Uint8Array)[]): asyncio.Future<RedisReply> {
    const answer = new asyncio.Future<RedisReply>();
    if (this.#failure !== null) {
      answer.setException(this.#failure);
      return answer;
    }
    this.#due.push(answer);
    const pieces = args.map((arg) => (arg instanceof Uint8Array ? arg : Buffer.from(String(arg))));
    this.#writer.write(`*${pieces.length}\r\n`);
    for (const piece of pieces) {
      this.#writer.writelines([`$${piece.length}\r\n`, piece, "\r\n"]);
    }
    return answer;
  }

  /** Sends any number of commands, as fast as the server takes them, and gives the answers; an error as a value. */
  async pipeline(commands: Iterable<readonly (string | number | Uint8Array)[]>): Promise<(RedisReply | Error)[]> {
    const answers: asyncio.Future<RedisReply>[] = [];
    try {
      for (const command of commands) {
        answers.push(this.call(...command));
        if (this.#writer.needsDrain && this.#failure === null) {
          await this.#drain();
        }
      }
    } catch (error) {
      for (const answer of answers) {
        answer.cancel();
      }
      throw error;
    }
    // Nothing but errors is set as the exception of an answer.
    return (await asyncio.gather(answers, { returnExceptions: true })) as (RedisReply | Error)[];
  }

  /** Waits until the server takes more. That the connection is lost is the answer to all commands. */
  async #drain(): Promise<void> {
    try {
      await this.#writer.drain();
    } catch (error) {
      if (!(error instanceof asyncio.ConnectionError)) {
        throw error;
      }
    }
  }

  async close(): Promise<void> {
    this.#writer.close();
    await this.#answers;
    await this.#writer[Symbol.asyncDispose]();
  }

  async #readAnswers(): Promise<void> {
    try {
      for (;;) {
        const reply = await this.#readReply();
        const answer = this.#due.shift();
        // The caller may have stopped waiting.
        if (answer === undefined || answer.done()) {
          continue;
        }
        if (reply instanceof RedisError) {
          answer.setException(reply);
        } else {
          answer.setResult(reply);
        }
      }
    } catch (error) {
      this.#failure = error;
      for (const answer of this.#due.splice(0)) {
        if (!answer.done()) {
          answer.setException(error);
        }
      }
      this.#writer.close();
    }
  }

  async #readReply(): Promise<RedisReply> {
    const line = this.#reader.tryReaduntil("\r\n") ?? (await this.#reader.readuntil("\r\n"));
    const text = line.toString("utf8", 1, line.length - 2);
    switch (line.toString("latin1", 0, 1)) {
      case "+":
        return text;
      case "-":
        return new RedisError(text);
      case ":":
        return Number(text);
      case "$":
        return text === "-1" ? null : await this.#readBulk(Number(text));
      case "*":
        return text === "-1" ? null : await this.#readArray(Number(text));
      default:
        throw new TypeError(`this is no answer of a Redis server: ${line.toString("latin1", 0, 40).trimEnd()}`);
    }
  }

  async #readBulk(size: number): Promise<Buffer> {
    const bytes = this.#reader.tryReadexactly(size + 2) ?? (await this.#reader.readexactly(size + 2));
    return bytes.subarray(0, size);
  }

  async #readArray(length: number): Promise<RedisReply[]> {
    const replies: RedisReply[] = [];
    while (replies.length < length) {
      replies.push(await this.#readReply());
    }
    return replies;
  }
}

function printable(reply: RedisReply): string {
  if (Array.isArray(reply)) {
    return reply.map((each, index) => `${index + 1}) ${printable(each)}`).join("\n");
  }
  return Buffer.isBuffer(reply) ? JSON.stringify(reply.toString()) : String(reply);
}

async function main(host: string, port: number, command: readonly string[]): Promise<void> {
  const client = new RedisClient(...(await asyncio.openConnection(host, port)));
  try {
    console.log(printable(await client.call(...command)));
  } finally {
    await client.close();
  }
}

// Another program may import the class only.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [host = "127.0.0.1", port = "6379", ...command] = process.argv.slice(2);
  try {
    await asyncio.run(() => main(host, Number(port), command.length === 0 ? ["PING"] : command));
  } catch (error) {
    if (!(error instanceof RedisError || error instanceof asyncio.OSError || error instanceof asyncio.EOFError)) {
      throw error;
    }
    console.error(error instanceof RedisError ? error.message : String(error));
    process.exitCode = 1;
  }
}
