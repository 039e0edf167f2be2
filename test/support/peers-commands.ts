/**
 * A small protocol that goes through everything a connection can do, spoken by this library and by Python's asyncio.
 *
 * A conversation is one connection; its first line says what it is about. `serveCommands` is the server's side,
 * `converse` the client's; the client's side returns what it saw, so that pairs of peers can be compared with each other.
 */
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import * as asyncio from "contextvars/asyncio";

export const MEGABYTE = 1024 * 1024;

/** Bytes that repeat only after a long while, the same ones in Python. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) {
    bytes[i] = ((i * 2654435761) >>> 16) & 0xff;
  }
  return bytes;
}

function digest(bytes: Uint8Array): string {
  return `${bytes.length} ${createHash("sha256").update(bytes).digest("hex")}`;
}

/** The server's side of every conversation. */
export async function serveCommands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  try {
    await serveCommand(String(await reader.readline()).trim(), reader, writer);
  } catch (error) {
    if (!(error instanceof asyncio.ConnectionError)) {
      throw error;
    }
  }
  writer.close();
}

async function serveCommand(
  command: string,
  reader: asyncio.StreamReader,
  writer: asyncio.StreamWriter,
): Promise<void> {
  switch (command) {
    case "lines":
      for await (const line of reader) {
        writer.write(line);
        await writer.drain();
      }
      return;
    case "frames":
      for (;;) {
        const length = (await reader.readexactly(4)).readUInt32BE();
        if (length === 0) {
          return;
        }
        const body = Buffer.from(await reader.readexactly(length)).reverse();
        const head = Buffer.alloc(4);
        head.writeUInt32BE(length);
        writer.writelines([head, body]);
        await writer.drain();
      }
    case "digest":
      writer.write(`${digest(await reader.read())}\n`);
      await writer.drain();
      return;
    case "push":
      writer.write(pattern(MEGABYTE));
      await writer.drain();
      writer.writeEof();
      await reader.read();
      return;
    case "echo":
      for (let chunk = await reader.read(10_000); chunk.length > 0; chunk = await reader.read(10_000)) {
        writer.write(chunk);
        await writer.drain();
      }
      return;
    case "partial":
      writer.write("only this");
      return;
    case "long":
      writer.write(`${"x".repeat(100_000)}\nshort\n`);
      await writer.drain();
      return;
    case "separators":
      writer.write("one\rtwo\r\nthree;;four");
      return;
    case "reset":
      await reader.readexactly(1);
      (writer.getExtraInfo("socket") as Socket).resetAndDestroy();
      return;
    default:
      throw new Error(`no such command: ${command}`);
  }
}

/** What is said of an error: its class and the first words, which are Python's. */
function described(error: unknown): string {
  const { name, message } = error as Error;
  return `${name}: ${message.split(";")[0]}`;
}

async function attempt(read: Promise<unknown>): Promise<string> {
  try {
    const data = await read;
    return `got ${Buffer.isBuffer(data) ? data : "nothing"}`;
  } catch (error) {
    if (error instanceof asyncio.IncompleteReadError) {
      return `${described(error)}; partial ${error.partial}`;
    }
    return described(error);
  }
}

/** Goes through all conversations with the server at the port, and returns what it saw, by command. */
export async function converse(port: number): Promise<Record<string, unknown>> {
  const seen: Record<string, unknown> = {};
  const connection = async (
    command: string,
    body: (reader: asyncio.StreamReader, writer: asyncio.StreamWriter) => Promise<unknown>,
  ): Promise<void> => {
    const [reader, writer] = await asyncio.openConnection("127.0.0.1", port);
    writer.write(`${command}\n`);
    seen[command] = await body(reader, writer);
    writer.close();
    seen[`${command}, closed`] = await attempt(writer.waitClosed());
  };

  await connection("lines", async (reader, writer) => {
    const lines: string[] = [];
    for (const line of ["one", "grüße", "", "x".repeat(60_000)]) {
      writer.write(`${line}\n`);
      lines.push(String(await reader.readline()));
    }
    writer.writelines(["no ", "newline"]);
    writer.writeEof();
    lines.push(String(await reader.readline()), String(await reader.readline()), `${reader.atEof()}`);
    return lines;
  });
  await connection("frames", async (reader, writer) => {
    const digests: string[] = [];
    for (const length of [1, 4, 1000, 70_000, 300_000]) {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(length);
      writer.write(head);
      writer.write(pattern(length));
      await writer.drain();
      const size = (await reader.readexactly(4)).readUInt32BE();
      digests.push(digest(await reader.readexactly(size)));
    }
    writer.write(Buffer.alloc(4));
    return [...digests, await attempt(reader.readexactly(4))];
  });
  await connection("digest", async (reader, writer) => {
    writer.write(pattern(MEGABYTE));
    await writer.drain();
    writer.writeEof();
    return String(await reader.read());
  });
  await connection("push", async (reader, writer) => {
    const all = digest(await reader.read());
    writer.writeEof();
    return all;
  });
  await connection("echo", async (reader, writer) => {
    const send = async (): Promise<void> => {
      const whole = pattern(MEGABYTE);
      for (let start = 0; start < whole.length; start += 50_000) {
        writer.write(whole.subarray(start, start + 50_000));
        await writer.drain();
      }
      writer.writeEof();
    };
    const [, received] = await asyncio.gather([send, () => reader.read()]);
    return digest(received);
  });
  await connection("partial", async (reader, writer) => [
    await attempt(reader.readexactly(100)),
    await attempt(reader.readuntil()),
    await attempt(reader.read(10)),
    await attempt(reader.readline()),
    await attempt(writer.drain()),
  ]);
  await connection("long", async (reader) => [
    await attempt(reader.readuntil(Buffer.from("\n"))),
    digest(await reader.readexactly(100_001)),
    await attempt(reader.readline()),
    await attempt(reader.readline()),
  ]);
  await connection("separators", async (reader) => [
    await attempt(reader.readuntil("\r")),
    await attempt(reader.readuntil("\r\n")),
    await attempt(reader.readuntil(";;")),
    await attempt(reader.readuntil("!")),
  ]);
  await connection("reset", async (reader, writer) => {
    writer.write("!");
    return [
      await attempt(reader.read(10)),
      await attempt(reader.readexactly(4)),
      await attempt(reader.readline()),
      await attempt(writer.drain()),
    ];
  });
  return seen;
}

/** The same in Python. `serve` prints its port and serves; `converse PORT` prints what it saw, as JSON. */
export const PYTHON_COMMANDS = `
import asyncio, hashlib, json, socket, struct, sys

MEGABYTE = 1024 * 1024

def pattern(length):
    return bytes(((i * 2654435761 & 0xffffffff) >> 16) & 0xff for i in range(length))

def digest(data):
    return "%d %s" % (len(data), hashlib.sha256(data).hexdigest())

async def handle(reader, writer):
    try:
        await COMMANDS[(await reader.readline()).decode().strip()](reader, writer)
    except ConnectionError:
        pass
    writer.close()

async def lines(reader, writer):
    async for line in reader:
        writer.write(line)
        await writer.drain()

async def frames(reader, writer):
    while True:
        (length,) = struct.unpack(">I", await reader.readexactly(4))
        if length == 0:
            return
        body = await reader.readexactly(length)
        writer.writelines([struct.pack(">I", length), body[::-1]])
        await writer.drain()

async def digest_all(reader, writer):
    writer.write((digest(await reader.read()) + "\\n").encode())
    await writer.drain()

async def push(reader, writer):
    writer.write(pattern(MEGABYTE))
    await writer.drain()
    writer.write_eof()
    await reader.read()

async def echo(reader, writer):
    while chunk := await reader.read(10000):
        writer.write(chunk)
        await writer.drain()

async def partial(reader, writer):
    writer.write(b"only this")

async def long(reader, writer):
    writer.write(b"x" * 100000 + b"\\nshort\\n")
    await writer.drain()

async def separators(reader, writer):
    writer.write(b"one\\rtwo\\r\\nthree;;four")

async def reset(reader, writer):
    await reader.readexactly(1)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

COMMANDS = dict(lines=lines, frames=frames, digest=digest_all, push=push, echo=echo, partial=partial, long=long,
                separators=separators, reset=reset)

async def serve():
    server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=500)
    print("port", server.sockets[0].getsockname()[1])
    await server.serve_forever()

def described(error):
    return "%s: %s" % (type(error).__name__, str(error))

async def attempt(read):
    try:
        data = await read
        return "got " + (b"nothing" if data is None else data).decode()
    except asyncio.IncompleteReadError as error:
        return described(error) + "; partial " + error.partial.decode()
    except Exception as error:
        return described(error)

async def converse(port):
    seen = {}

    async def connection(command, body):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(command.encode() + b"\\n")
        seen[command] = await body(reader, writer)
        writer.close()
        seen[command + ", closed"] = await attempt(writer.wait_closed())

    async def talk_lines(reader, writer):
        got = []
        for line in ["one", "grüße", "", "x" * 60000]:
            writer.write(line.encode() + b"\\n")
            got.append((await reader.readline()).decode())
        writer.writelines([b"no ", b"newline"])
        writer.write_eof()
        got += [(await reader.readline()).decode(), (await reader.readline()).decode()]
        return got + ["true" if reader.at_eof() else "false"]

    async def talk_frames(reader, writer):
        digests = []
        for length in [1, 4, 1000, 70000, 300000]:
            writer.write(struct.pack(">I", length))
            writer.write(pattern(length))
            await writer.drain()
            (size,) = struct.unpack(">I", await reader.readexactly(4))
            digests.append(digest(await reader.readexactly(size)))
        writer.write(bytes(4))
        return digests + [await attempt(reader.readexactly(4))]

    async def talk_digest(reader, writer):
        writer.write(pattern(MEGABYTE))
        await writer.drain()
        writer.write_eof()
        return (await reader.read()).decode()

    async def talk_push(reader, writer):
        everything = digest(await reader.read())
        writer.write_eof()
        return everything

    async def talk_echo(reader, writer):
        async def send():
            whole = pattern(MEGABYTE)
            for start in range(0, len(whole), 50000):
                writer.write(whole[start:start + 50000])
                await writer.drain()
            writer.write_eof()
        _, received = await asyncio.gather(send(), reader.read())
        return digest(received)

    async def talk_partial(reader, writer):
        return [
            await attempt(reader.readexactly(100)),
            await attempt(reader.readuntil()),
            await attempt(reader.read(10)),
            await attempt(reader.readline()),
            await attempt(writer.drain()),
        ]

    async def talk_long(reader, writer):
        return [
            await attempt(reader.readuntil(b"\\n")),
            digest(await reader.readexactly(100001)),
            await attempt(reader.readline()),
            await attempt(reader.readline()),
        ]

    async def talk_separators(reader, writer):
        return [await attempt(reader.readuntil(each)) for each in (b"\\r", b"\\r\\n", b";;", b"!")]

    async def talk_reset(reader, writer):
        writer.write(b"!")
        return [
            await attempt(reader.read(10)),
            await attempt(reader.readexactly(4)),
            await attempt(reader.readline()),
            await attempt(writer.drain()),
        ]

    await connection("lines", talk_lines)
    await connection("frames", talk_frames)
    await connection("digest", talk_digest)
    await connection("push", talk_push)
    await connection("echo", talk_echo)
    await connection("partial", talk_partial)
    await connection("long", talk_long)
    await connection("separators", talk_separators)
    await connection("reset", talk_reset)
    print(json.dumps(seen))

async def crowd(port, count):
    async def client(i):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"lines\\n")
        for turn in range(5):
            line = b"client %d, line %d\\n" % (i, turn)
            writer.write(line)
            await writer.drain()
            assert await reader.readline() == line
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        return 1
    print(sum(await asyncio.gather(*[client(i) for i in range(count)])))

if sys.argv[1] == "serve":
    asyncio.run(serve())
elif sys.argv[1] == "converse":
    asyncio.run(converse(int(sys.argv[2])))
else:
    asyncio.run(crowd(int(sys.argv[2]), int(sys.argv[3])))
`;
