/** `echo` and `nc`: connections from the command line, over the library's own streams. */
import { readFileSync } from "node:fs";
import * as asyncio from "../asyncio/index.ts";
import { CommandError } from "./errors.ts";

/** The address to connect to or to listen at: a host and a port, or the path of a Unix socket. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly path: string | undefined;
}

/** The names of the files with a key, its certificate, and the authority to trust. */
export interface TlsFiles {
  readonly key: string | undefined;
  readonly cert: string | undefined;
  readonly ca: string | undefined;
}

type TlsContents = Partial<Record<keyof TlsFiles, Buffer>>;

/** Reads the TLS options from files. @throws {CommandError} If a file cannot be read. */
export function clientTls({ key, cert, ca }: TlsFiles): TlsContents {
  if ((key === undefined) !== (cert === undefined)) {
    throw new CommandError("--key FILE and --cert FILE belong together", 2);
  }
  try {
    return Object.fromEntries(
      Object.entries({ key, cert, ca }).flatMap(([name, file]) =>
        file === undefined ? [] : [[name, readFileSync(file)]],
      ),
    );
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}

/** Reads the TLS options from files. @throws {CommandError} If one of the files is missing, or cannot be read. */
export function serverTls(files: TlsFiles): asyncio.StartServerOptions {
  if (files.key === undefined || files.cert === undefined) {
    throw new CommandError("--tls of a server needs --key FILE and --cert FILE", 2);
  }
  return { ssl: clientTls(files) };
}

/** Listens, and sends everything back until Ctrl-C. */
export async function echo(place: Place, options: asyncio.StartServerOptions): Promise<void> {
  const server = await listen(
    async function echoes(reader, writer) {
      try {
        for await (const data of reader.chunks()) {
          await writer.send(data);
        }
      } catch (error) {
        if (asyncio.isCancelled(error)) {
          throw error;
        }
        process.stderr.write(`${String(writer.getExtraInfo("peername"))}: ${(error as Error).message}\n`);
      } finally {
        writer.close();
      }
    },
    place,
    options,
  );
  process.stderr.write(`echo at ${server.sockets.map((socket) => String(socket.getsockname())).join(", ")}\n`);
  await server.serveForever();
}

/** Connects standard input and output to a peer; the end of the input is sent as an EOF. */
export async function connect(place: Place, options: asyncio.OpenConnectionOptions): Promise<void> {
  const [reader, writer] =
    place.path === undefined
      ? await asyncio.openConnection(place.host, place.port, options)
      : await asyncio.openUnixConnection(place.path, options);
  await talk(reader, writer);
}

/** Listens, and connects standard input and output to the first client. */
export async function listenOnce(place: Place, options: asyncio.StartServerOptions): Promise<void> {
  const talked = new asyncio.Future<void>();
  const server = await listen(
    async function talks(reader, writer) {
      server.close();
      try {
        await talk(reader, writer);
        talked.setResult();
      } catch (error) {
        if (!talked.done()) {
          talked.setException(error);
        }
      }
    },
    place,
    { ...options, maxConnections: 1 },
  );
  process.stderr.write(`listening at ${server.sockets.map((socket) => String(socket.getsockname())).join(", ")}\n`);
  try {
    await talked;
  } finally {
    server.close();
    server.closeClients();
  }
}

async function listen(
  handler: asyncio.ClientConnectedCb,
  { host, port, path }: Place,
  options: asyncio.StartServerOptions,
): Promise<asyncio.Server> {
  return path === undefined
    ? await asyncio.startServer(handler, host, port, options)
    : await asyncio.startUnixServer(handler, path, options as asyncio.StartUnixServerOptions);
}

/**
 * Transfers in both directions until the peer has sent its EOF; the input may end earlier.
 *
 * @throws {CommandError} If the input cannot be read. What the peer does to the connection, its reading side throws.
 */
async function talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  const input = asyncio.StreamReader.from(process.stdin);
  const output = asyncio.StreamWriter.from(process.stdout);
  const sending = asyncio.createTask(() => sendInput(input, writer));
  const receiving = asyncio.createTask(async function receives() {
    for await (const data of reader.chunks()) {
      await output.send(data);
    }
  });
  try {
    await asyncio.wait([sending, receiving], { returnWhen: asyncio.FIRST_COMPLETED });
    if (sending.done()) {
      await sending;
    }
    await receiving;
  } finally {
    sending.cancel();
    receiving.cancel();
    input[Symbol.dispose]();
    writer.close();
  }
}

async function sendInput(input: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  for (;;) {
    let data: Buffer;
    try {
      data = await input.read(64 * 1024);
    } catch (error) {
      throw asyncio.isCancelled(error) ? error : new CommandError(`standard input: ${(error as Error).message}`);
    }
    try {
      if (data.length === 0) {
        writer.writeEof();
        return;
      }
      await writer.send(data);
    } catch (error) {
      if (asyncio.isCancelled(error)) {
        throw error;
      }
      return;
    }
  }
}
