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

/** The files with a server's key and certificate. */
export interface ServerTls {
  readonly key: string | undefined;
  readonly cert: string | undefined;
}

/** Reads the TLS options from files. @throws {CommandError} If one of the files is missing. */
export function serverTls({ key, cert }: ServerTls): asyncio.StartServerOptions {
  if (key === undefined || cert === undefined) {
    throw new CommandError("--tls of a server needs --key FILE and --cert FILE", 2);
  }
  try {
    return { ssl: { key: readFileSync(key), cert: readFileSync(cert) } };
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
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

/** Transfers in both directions until the peer has sent its EOF; the input may end earlier. */
async function talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  const sending = asyncio.createTask(async function sendsInput() {
    for await (const chunk of process.stdin) {
      await writer.send(chunk as Buffer);
    }
    writer.writeEof();
  });
  try {
    for await (const data of reader.chunks()) {
      if (!process.stdout.write(data)) {
        await new Promise((resolve) => process.stdout.once("drain", resolve));
      }
    }
  } finally {
    sending.cancel();
    sending.catch(() => {});
    process.stdin.destroy();
    writer.close();
  }
}
