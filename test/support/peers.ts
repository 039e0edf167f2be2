/** Both ends of a connection: ours as a reader and a writer, the other as a raw socket that the test controls. */
import { once } from "node:events";
import * as net from "node:net";
import * as asyncio from "contextvars/asyncio";
import { turn } from "./latch.ts";

const HOST = "127.0.0.1";

/** Whether nothing has come of the promise after some turns of the loop. */
export async function stillWaits(promise: PromiseLike<unknown>): Promise<boolean> {
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  promise.then(settle, settle);
  await turns(5);
  return !settled;
}

export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await turn();
  }
}

const PATIENCE = 20; // seconds

/** Waits until the condition holds, for a long time at most, and returns whether it does. */
export async function eventually(condition: () => boolean): Promise<boolean> {
  for (const end = performance.now() + PATIENCE * 1000; performance.now() < end; ) {
    if (condition()) {
      return true;
    }
    await turn();
  }
  return condition();
}

/** The error that the promise is rejected with, or its result. */
export async function outcomeOf(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
}

/** A raw socket that keeps what it gets, and notes how it ends. */
export class Peer {
  readonly socket: net.Socket;
  readonly chunks: Buffer[] = [];
  /** The other side's EOF has come. */
  ended = false;
  closed = false;
  /** The code of the error it ended with. */
  error: string | null = null;
  #length = 0;
  #onChange: (() => void)[] = [];

  /** Reads from the start, unless told not to: then the other side cannot get rid of much. */
  constructor(socket: net.Socket, reads: boolean) {
    this.socket = socket;
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message;
    });
    socket.on("end", () => {
      this.ended = true;
      this.#changed();
    });
    socket.on("close", () => {
      this.closed = true;
      this.#changed();
    });
    if (reads) {
      this.read();
    }
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  get length(): number {
    return this.#length;
  }

  /** Starts to read. */
  read(): void {
    this.socket.on("data", (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.#length += chunk.length;
      this.#changed();
    });
  }

  write(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  /** Waits until this many bytes have arrived, and returns everything that has. */
  async received(length: number): Promise<string> {
    await this.#until(() => this.#length >= length || this.closed);
    return this.text;
  }

  /** Waits until the received text matches, or the peer has ended, and returns everything that has arrived. */
  async until(pattern: RegExp): Promise<string> {
    await this.#until(() => pattern.test(this.text) || this.ended || this.closed);
    return this.text;
  }

  /** Waits for the other side's EOF; ends without it when the connection does. */
  async untilEnded(): Promise<void> {
    await this.#until(() => this.ended || this.closed);
  }

  async untilClosed(): Promise<void> {
    await this.#until(() => this.closed);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#onChange.push(resolve);
      });
    }
  }

  #changed(): void {
    for (const wake of this.#onChange.splice(0)) {
      wake();
    }
  }
}

/** Which end of the connection is ours. */
export type Role = "client" | "server";

export const roles: readonly Role[] = ["client", "server"];

/** A connection; disposing of it ends both of its sides. */
export interface Connection extends AsyncDisposable {
  readonly reader: asyncio.StreamReader;
  readonly writer: asyncio.StreamWriter;
  readonly peer: Peer;
}

export interface ConnectionOptions {
  /** Of the reader. */
  readonly limit?: number;
  /** Whether the peer reads from the start. @default true */
  readonly reads?: boolean;
}

/** Connects a reader and a writer with a raw socket. */
export function connect(role: Role, options: ConnectionOptions = {}): Promise<Connection> {
  return role === "client" ? connectOut(options) : beConnected(options);
}

async function connectOut({ limit, reads = true }: ConnectionOptions): Promise<Connection> {
  const listener = net.createServer({ allowHalfOpen: true });
  listener.listen(0, HOST);
  await once(listener, "listening");
  const accepted = once(listener, "connection") as Promise<[net.Socket]>;
  const [reader, writer] = await asyncio.openConnection(HOST, portOf(listener), { limit });
  const [socket] = await accepted;
  const peer = new Peer(socket, reads);
  return {
    reader,
    writer,
    peer,
    async [Symbol.asyncDispose]() {
      await endBoth(writer, peer);
      await closed(listener);
    },
  };
}

async function beConnected({ limit, reads = true }: ConnectionOptions): Promise<Connection> {
  const accepted = new asyncio.Future<[asyncio.StreamReader, asyncio.StreamWriter]>();
  const server = await asyncio.startServer((...streams) => accepted.setResult(streams), HOST, 0, { limit });
  const peer = new Peer(await rawConnection(portOf(server)), reads);
  const [reader, writer] = await accepted;
  return {
    reader,
    writer,
    peer,
    async [Symbol.asyncDispose]() {
      server.close();
      await endBoth(writer, peer);
      await server.waitClosed();
    },
  };
}

async function endBoth(writer: asyncio.StreamWriter, peer: Peer): Promise<void> {
  writer.transport.abort();
  peer.socket.destroy();
  await outcomeOf(writer.waitClosed());
  await peer.untilClosed();
}

/** A connected raw socket that ends each side by itself. */
export async function rawConnection(port: number, host = HOST): Promise<net.Socket> {
  const socket = net.connect({ port, host, allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

/** A raw client of a server that listens at the port. */
export async function rawPeer(port: number, host = HOST): Promise<Peer> {
  return new Peer(await rawConnection(port, host), true);
}

/** The port of the first address a server listens at. */
export function portOf(server: asyncio.Server | net.Server): number {
  if (server instanceof asyncio.Server) {
    return (server.sockets[0] as asyncio.ServerSocket).getsockname().port;
  }
  return (server.address() as net.AddressInfo).port;
}

/** A port without a listener, unless another process takes it. */
export async function freePort(): Promise<number> {
  const listener = net.createServer();
  listener.listen(0, HOST);
  await once(listener, "listening");
  const port = portOf(listener);
  await closed(listener);
  return port;
}

/** Closes a raw server whose connections have ended. */
export async function closed(listener: net.Server): Promise<void> {
  await new Promise<void>((resolve) => {
    listener.close(() => resolve());
  });
}

/** A server of ours on a free port. Disposing of it aborts what is still connected. */
export interface Serving extends AsyncDisposable {
  readonly server: asyncio.Server;
  readonly port: number;
}

export async function serve(
  handler: asyncio.ClientConnectedCb,
  options: asyncio.StartServerOptions = {},
): Promise<Serving> {
  const server = await asyncio.startServer(handler, HOST, 0, options);
  return {
    server,
    port: portOf(server),
    async [Symbol.asyncDispose]() {
      server.close();
      server.abortClients();
      await server.waitClosed();
    },
  };
}

/** The reports to the loop's exception handler, from now until it is disposed of. */
export class Reports implements Disposable {
  readonly all: asyncio.ExceptionContext[] = [];
  readonly #before = asyncio.getRunningLoop().getExceptionHandler();

  constructor() {
    asyncio.getRunningLoop().setExceptionHandler((_loop, context) => {
      this.all.push(context);
    });
  }

  get messages(): string[] {
    return this.all.map(({ message }) => message);
  }

  [Symbol.dispose](): void {
    asyncio.getRunningLoop().setExceptionHandler(this.#before);
  }
}
