/** The far side of a TLS connection, made by Node's own means, with the socket underneath in reach. */
import { once } from "node:events";
import * as net from "node:net";
import * as tls from "node:tls";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "./certificates.ts";
import { outcomeOf, Peer, type Role, rawConnection } from "./peers.ts";

const HOST = "127.0.0.1";

export const versions = ["TLSv1.2", "TLSv1.3"] as const;

export type Version = (typeof versions)[number];

/** A peer that speaks TLS. */
export interface TlsPeer {
  readonly peer: Peer;
  readonly tls: tls.TLSSocket;
  /** What TLS runs on: what happens to it happens without a word of TLS. */
  readonly plain: net.Socket;
}

/** Does not end its own side when the other one ends. */
export function tlsPeer(plain: net.Socket, role: Role, options: tls.ConnectionOptions & tls.TLSSocketOptions): TlsPeer {
  plain.on("error", () => {});
  const socket =
    role === "client"
      ? tls.connect({ socket: plain, servername: "localhost", ...options })
      : new tls.TLSSocket(plain, { isServer: true, secureContext: tls.createSecureContext(options), ...options });
  socket.allowHalfOpen = true;
  return { peer: new Peer(socket, true), tls: socket, plain };
}

/** A client of the server at the port, once its handshake is done. */
export async function tlsClient(port: number, options: tls.ConnectionOptions = {}): Promise<TlsPeer> {
  const client = tlsPeer(await rawConnection(port), "client", { ca: certificates().ca, ...options });
  await once(client.tls, "secureConnect");
  return client;
}

/** Both ends of a TLS connection; disposing of it ends both. */
export interface TlsConnection extends TlsPeer, AsyncDisposable {
  readonly reader: asyncio.StreamReader;
  readonly writer: asyncio.StreamWriter;
}

export interface TlsConnectionOptions {
  readonly version?: Version;
  /** Of the reader. */
  readonly limit?: number;
  /** Our own options, beside those of TLS itself. */
  readonly options?: { readonly sslShutdownTimeout?: number };
}

/** Connects a reader and a writer, in this role, with a TLS peer of Node's. */
export async function connectTls(role: Role, given: TlsConnectionOptions = {}): Promise<TlsConnection> {
  const { version, limit, options = {} } = given;
  const { ca, server } = certificates();
  const bounds = version === undefined ? {} : { minVersion: version, maxVersion: version };
  return role === "client"
    ? await connectOut({ limit, ssl: { ca, ...bounds }, ...options }, server)
    : await beConnected({ limit, ssl: { ...server, ...bounds }, ...options });
}

async function connectOut(
  options: asyncio.OpenConnectionOptions,
  identity: tls.SecureContextOptions,
): Promise<TlsConnection> {
  const listener = net.createServer({ allowHalfOpen: true });
  listener.listen(0, HOST);
  await once(listener, "listening");
  const accepted = (once(listener, "connection") as Promise<[net.Socket]>).then(([socket]) =>
    tlsPeer(socket, "server", identity),
  );
  const { port } = listener.address() as net.AddressInfo;
  const [reader, writer] = await asyncio.openConnection(HOST, port, options);
  const far = await accepted;
  listener.close();
  return both(reader, writer, far, null);
}

async function beConnected(options: asyncio.StartServerOptions): Promise<TlsConnection> {
  const accepted = new asyncio.Future<[asyncio.StreamReader, asyncio.StreamWriter]>();
  const server = await asyncio.startServer((...streams) => accepted.setResult(streams), HOST, 0, options);
  const far = await tlsClient(server.sockets[0]?.getsockname().port ?? 0);
  const [reader, writer] = await accepted;
  return both(reader, writer, far, server);
}

function both(
  reader: asyncio.StreamReader,
  writer: asyncio.StreamWriter,
  far: TlsPeer,
  server: asyncio.Server | null,
): TlsConnection {
  return {
    reader,
    writer,
    ...far,
    async [Symbol.asyncDispose]() {
      server?.close();
      writer.transport.abort();
      far.tls.destroy();
      far.plain.destroy();
      await outcomeOf(writer.waitClosed());
      await server?.waitClosed();
    },
  };
}
