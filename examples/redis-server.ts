/**
 * A small Redis server: strings, counters and lists, in memory, over RESP2.
 *
 * Usage: redis-server [HOST [PORT]]   serves on 127.0.0.1 (port 6379) until Ctrl-C
 *
 * Try it with: redis-cli, or redis-benchmark -P 16 -c 50 -t ping,set,get,incr,lpush,rpop,mset
 */
import * as asyncio from "contextvars/asyncio";

/** What a command answers: a status, bytes, a number, nothing, several of these, or an error. */
type Reply = string | Buffer | number | null | readonly Reply[] | CommandError;

const MAX_ARGUMENTS = 1024 * 1024;
const MAX_ARGUMENT = 64 * 1024 * 1024; // bytes
const MAX_LINE = 64 * 1024; // bytes

/** A command that cannot be executed. The connection stays open. */
class CommandError extends Error {}

/** Bytes that are not RESP: the beginning of the next command is unknown. */
class ProtocolError extends Error {}

const store = new Map<string, Buffer | Buffer[]>();

function stringAt(key: Buffer): Buffer | null {
  const value = store.get(key.toString("latin1")) ?? null;
  if (Array.isArray(value)) {
    throw new CommandError("WRONGTYPE Operation against a key holding the wrong kind of value");
  }
  return value;
}

function setString(key: Buffer, value: Buffer): void {
  // A copy: what was read may be a piece of a larger chunk, which would stay in memory as long as its smallest piece.
  store.set(key.toString("latin1"), Buffer.from(value));
}

function listAt(key: Buffer): Buffer[] {
  const value = store.get(key.toString("latin1")) ?? [];
  if (!Array.isArray(value)) {
    throw new CommandError("WRONGTYPE Operation against a key holding the wrong kind of value");
  }
  return value;
}

function push(key: Buffer, values: readonly Buffer[], where: "push" | "unshift"): number {
  const list = listAt(key);
  for (const value of values) {
    list[where](Buffer.from(value));
  }
  store.set(key.toString("latin1"), list);
  return list.length;
}

function pop(key: Buffer, where: "pop" | "shift"): Buffer | null {
  const list = listAt(key);
  const value = list[where]() ?? null;
  if (list.length === 0) {
    store.delete(key.toString("latin1"));
  }
  return value;
}

function increment(key: Buffer): number {
  const value = stringAt(key)?.toString("latin1") ?? "0";
  const next = Number(value) + 1;
  if (!/^-?\d+$/.test(value) || !Number.isSafeInteger(next)) {
    throw new CommandError("ERR value is not an integer or out of range");
  }
  setString(key, Buffer.from(String(next)));
  return next;
}

/** A command, and how many arguments it needs at least. */
type Command = readonly [least: number, execute: (...args: Buffer[]) => Reply];

const commands = new Map<string, Command>([
  ["PING", [0, (message) => message ?? "PONG"]],
  ["ECHO", [1, (message) => message as Buffer]],
  ["GET", [1, (key) => stringAt(key as Buffer)]],
  ["MGET", [1, (...keys) => keys.map(stringAt)]],
  ["INCR", [1, (key) => increment(key as Buffer)]],
  ["DEL", [1, (...keys) => keys.filter((key) => store.delete(key.toString("latin1"))).length]],
  ["LPUSH", [2, (key, ...values) => push(key as Buffer, values, "unshift")]],
  ["RPUSH", [2, (key, ...values) => push(key as Buffer, values, "push")]],
  ["LPOP", [1, (key) => pop(key as Buffer, "shift")]],
  ["RPOP", [1, (key) => pop(key as Buffer, "pop")]],
  ["LLEN", [1, (key) => listAt(key as Buffer).length]],
  ["DBSIZE", [0, () => store.size]],
  // What redis-cli and redis-benchmark ask for when they start.
  ["CONFIG", [1, (_get, name) => [name ?? null, Buffer.from("")]]],
  ["COMMAND", [0, () => []]],
  [
    "SET",
    [
      2,
      (key, value) => {
        setString(key as Buffer, value as Buffer);
        return "OK";
      },
    ],
  ],
  [
    "MSET",
    [
      2,
      (...pairs) => {
        if (pairs.length % 2 === 1) {
          throw new CommandError("ERR wrong number of arguments for 'mset' command");
        }
        for (let i = 0; i < pairs.length; i += 2) {
          setString(pairs[i] as Buffer, pairs[i + 1] as Buffer);
        }
        return "OK";
      },
    ],
  ],
]);

function execute(name: string, args: readonly Buffer[]): Reply {
  const [least, command] = commands.get(name) ?? [0, null];
  if (command === null) {
    return new CommandError(`ERR unknown command '${name}'`);
  }
  if (args.length < least) {
    return new CommandError(`ERR wrong number of arguments for '${name.toLowerCase()}' command`);
  }
  try {
    return command(...args);
  } catch (error) {
    if (error instanceof CommandError) {
      return error;
    }
    throw error;
  }
}

function writeReply(writer: asyncio.StreamWriter, reply: Reply): void {
  if (typeof reply === "string") {
    writer.write(`+${reply}\r\n`);
  } else if (typeof reply === "number") {
    writer.write(`:${reply}\r\n`);
  } else if (reply === null) {
    writer.write("$-1\r\n");
  } else if (reply instanceof CommandError) {
    writer.write(`-${reply.message.replaceAll(/[\r\n]/g, " ")}\r\n`);
  } else if (Buffer.isBuffer(reply)) {
    writer.writelines([`$${reply.length}\r\n`, reply, "\r\n"]);
  } else {
    writer.write(`*${reply.length}\r\n`);
    for (const each of reply) {
      writeReply(writer, each);
    }
  }
}

/** A line without its end. What has arrived already is taken without waiting: one promise for a whole pipeline. */
async function readLine(reader: asyncio.StreamReader): Promise<string> {
  const line = reader.tryReaduntil("\r\n") ?? (await reader.readuntil("\r\n"));
  return line.toString("latin1", 0, line.length - 2);
}

function lengthIn(line: string, sign: string, most: number): number {
  if (!line.startsWith(sign) || !/^\d{1,10}$/.test(line.slice(1)) || Number(line.slice(1)) > most) {
    throw new ProtocolError(`expected '${sign}' and a length up to ${most}, got '${line.slice(0, 40)}'`);
  }
  return Number(line.slice(1));
}

/** One command and its arguments; an empty array for an empty line. */
async function readCommand(reader: asyncio.StreamReader): Promise<Buffer[]> {
  const line = await readLine(reader);
  if (!line.startsWith("*")) {
    // Typed by hand, as with telnet.
    return line
      .split(" ")
      .filter((word) => word !== "")
      .map((word) => Buffer.from(word, "latin1"));
  }
  const args: Buffer[] = [];
  for (let left = lengthIn(line, "*", MAX_ARGUMENTS); left > 0; left--) {
    const size = lengthIn(await readLine(reader), "$", MAX_ARGUMENT);
    const bytes = reader.tryReadexactly(size + 2) ?? (await reader.readexactly(size + 2));
    args.push(bytes.subarray(0, size));
  }
  return args;
}

async function serveCommands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  for (;;) {
    const [first, ...args] = await readCommand(reader);
    if (first === undefined) {
      continue;
    }
    const name = first.toString("latin1").toUpperCase();
    if (name === "QUIT") {
      writer.write("+OK\r\n");
      return;
    }
    writeReply(writer, execute(name, args));
    // A client that sends commands and reads no answers is not read any further.
    if (writer.needsDrain) {
      await writer.drain();
    }
  }
}

async function handleClient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  try {
    await serveCommands(reader, writer);
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof asyncio.LimitOverrunError) {
      writer.write(`-ERR Protocol error: ${error.message.replaceAll(/[\r\n]/g, " ")}\r\n`);
    } else if (!(error instanceof asyncio.IncompleteReadError || error instanceof asyncio.ConnectionError)) {
      throw error;
    }
    // The others mean that the client has gone.
  } finally {
    writer.close();
  }
}

async function main(host: string, port: number): Promise<void> {
  const server = await asyncio.startServer(handleClient, host, port, { limit: MAX_LINE });
  console.log(`Serving on ${server.sockets.map((socket) => socket.getsockname()).join(", ")}`);
  await server.with(() => server.serveForever());
}

const [host = "127.0.0.1", port = "6379"] = process.argv.slice(2);
try {
  await asyncio.run(() => main(host, Number(port)));
} catch (error) {
  if (!(error instanceof asyncio.KeyboardInterrupt)) {
    throw error;
  }
}
