/**
 * Every way a connection ends, over every transport, whatever the reader is at, in both roles: what each wait comes to.
 *
 * `wire-matrix.json` is what CPython sees; `wire-observer.py`, which does the same there as `observe()` does here, wrote
 * it: `python3 test/support/wire-observer.py test/support/certificates > test/support/wire-matrix.json`.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import * as net from "node:net";
import { join } from "node:path";
import type * as tls from "node:tls";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "./certificates.ts";
import { packageRoot } from "./paths.ts";
import { eventually, type Role } from "./peers.ts";
import { limitOf } from "./runtime-limits.ts";
import { TemporaryFolder } from "./temporary-folder.ts";
import { tlsPeer } from "./wire-tls.ts";

export const transports = ["tcp", "unix", "tls1.2", "tls1.3", "starttls"] as const;
export const events = ["close", "abort", "eof", "reset", "truncation"] as const;
export const states = ["idle", "reading", "paused"] as const;

/** What is done to the wire, to what, and when. */
export interface Cell {
  readonly transport: (typeof transports)[number];
  /** What the far side does. An `abort` says nothing of TLS; a `truncation` ends within a message, and a record. */
  readonly event: (typeof events)[number];
  /** What this side's reader is at: nothing, waiting for four bytes, or paused with more than it takes. */
  readonly state: (typeof states)[number];
  /** Of this side. */
  readonly role: Role;
}

/** What is seen: of each wait a result, or the name of an error. */
export interface Outcome {
  /** Before anything is read. */
  readonly drain: string;
  /** Of the read that waited. */
  readonly blocked?: string;
  readonly later: string;
  readonly rest: string;
  readonly closing: boolean;
  /** After everything was read. */
  readonly drainLater: string;
  /** Of `waitClosed()`, after `close()`. */
  readonly closed: string;
}

export function nameOf({ transport, event, state, role }: Cell): string {
  return `${transport}/${event}/${state}/${role}`;
}

const roles = ["client", "server"] as const;

export const cells: readonly Cell[] = transports.flatMap((transport) =>
  events.flatMap((event) => states.flatMap((state) => roles.map((role) => ({ transport, event, state, role })))),
);

/** What CPython sees. */
export const inPython = JSON.parse(readFileSync(join(packageRoot, "test/support/wire-matrix.json"), "utf8")) as {
  readonly python: string;
  readonly cells: Readonly<Record<string, Outcome>>;
};

/** Where this library departs from Python. */
interface Difference {
  /** Its number in DIFFERENCES.md, or why there can be no other way. */
  readonly why: number | string;
  readonly applies: (cell: Cell) => boolean;
  readonly instead: Partial<Outcome>;
}

const isTls = ({ transport }: Cell): boolean => transport !== "tcp" && transport !== "unix";

export const differences: readonly Difference[] = [
  {
    // Python closes its own side when the peer has ended TLS.
    why: 10,
    applies: (cell) => isTls(cell) && cell.event !== "reset",
    instead: { drain: "returns", closing: false, drainLater: "returns" },
  },
  {
    why: 4,
    applies: (cell) => isTls(cell) && cell.event === "reset" && cell.state === "paused",
    instead: { later: "64 bytes" },
  },
  {
    why: "Node reads ahead while reading is paused, and so hears of a reset at once",
    applies: ({ event, state }) => event === "reset" && state === "paused",
    instead: { drain: "ConnectionResetError" },
  },
];

/** What is to be seen here. */
export function expected(cell: Cell): Outcome {
  const python = inPython.cells[nameOf(cell)];
  if (python === undefined) {
    throw new Error(`wire-matrix.json has no ${nameOf(cell)}`);
  }
  const instead = differences.filter(({ applies }) => applies(cell)).map((difference) => difference.instead);
  return Object.assign({}, python, ...instead);
}

/** Why the runtime cannot play the far side of the cell; `false` where it can. */
export function impossible(cell: Cell): string | false {
  return isTls(cell) && cell.event === "reset" && limitOf("reset under TLS");
}

const HOST = "127.0.0.1";
const LIMIT = 16;
/** How long it takes, at most, until there is nothing more to come of an event. */
const SETTLE = 0.1; // seconds
const PATIENCE = 5; // seconds
const HALF_A_RECORD = Buffer.from("\x17\x03\x03\x00\x40half", "latin1");

/** The far side: what happens to the wire. */
class FarSide {
  readonly #cell: Cell;
  readonly #plain: net.Socket;
  #tls: tls.TLSSocket | null = null;

  constructor(cell: Cell, plain: net.Socket) {
    this.#cell = cell;
    this.#plain = plain;
    plain.on("error", () => {});
  }

  /** Shakes hands, where the transport has it, and sends what makes a reader pause. */
  async begin(): Promise<void> {
    const { transport, state, role, event } = this.#cell;
    if (transport === "starttls") {
      if (role === "client") {
        this.#plain.write("go\n");
      } else {
        await once(this.#plain, "readable");
        this.#plain.read(3);
      }
    }
    if (isTls(this.#cell)) {
      const { ca, server } = certificates();
      const side = role === "client" ? "server" : "client";
      const far = tlsPeer(this.#plain, side, side === "server" ? { ...server, ...versionsOf(transport) } : { ca });
      this.#tls = far.tls;
      await once(far.tls, side === "server" ? "secure" : "secureConnect");
    } else if (!(transport === "unix" && event === "reset")) {
      this.#plain.resume();
    }
    if (state === "paused") {
      await written(this.#tls ?? this.#plain, Buffer.alloc(64, "x"));
    }
  }

  async act(): Promise<void> {
    const { event, transport } = this.#cell;
    const stream = this.#tls ?? this.#plain;
    switch (event) {
      case "close":
        stream.destroySoon();
        return;
      case "eof":
        stream.end();
        return;
      case "abort":
        this.#plain.destroy();
        return;
      case "reset":
        if (transport === "unix") {
          // With what it was sent unread, which is what a Unix socket has instead.
          this.#plain.destroy();
        } else {
          this.#plain.resetAndDestroy();
        }
        return;
      case "truncation":
        await written(stream, Buffer.from("ab"));
        if (this.#tls !== null) {
          await written(this.#plain, HALF_A_RECORD);
        }
        this.#plain.destroy();
    }
  }

  end(): void {
    this.#tls?.destroy();
    this.#plain.destroy();
  }
}

function versionsOf(transport: Cell["transport"]): tls.SecureContextOptions {
  const version = transport === "tls1.2" ? "TLSv1.2" : "TLSv1.3";
  return transport === "starttls" ? {} : { minVersion: version, maxVersion: version };
}

function written(stream: net.Socket, data: Buffer): Promise<void> {
  return new Promise((resolve) => {
    stream.write(data, () => resolve());
  });
}

type Streams = [asyncio.StreamReader, asyncio.StreamWriter];

/** Both sides, connected. */
async function connected(cell: Cell, folder: TemporaryFolder): Promise<[Streams, FarSide, () => void]> {
  const { transport, role } = cell;
  const { ca, server: identity } = certificates();
  const direct = transport === "tls1.2" || transport === "tls1.3";
  const path = transport === "unix" ? folder.file("s") : null;
  // Not one byte is to be read before it is said so.
  const quiet = { allowHalfOpen: true, pauseOnConnect: true };
  if (role === "client") {
    const listener = net.createServer(quiet);
    listener.listen(path === null ? { host: HOST, port: 0 } : { path });
    await once(listener, "listening");
    const accepted = (once(listener, "connection") as Promise<[net.Socket]>).then(async ([socket]) => {
      const far = new FarSide(cell, socket);
      await far.begin();
      return far;
    });
    const tlsOptions = direct ? { ssl: { ca }, serverHostname: "localhost" } : {};
    const { port } = (path === null ? listener.address() : { port: 0 }) as net.AddressInfo;
    const streams = await (path === null
      ? asyncio.openConnection(HOST, port, { limit: LIMIT, ...tlsOptions })
      : asyncio.openUnixConnection(path, { limit: LIMIT }));
    if (transport === "starttls") {
      await streams[0].readline();
      await streams[1].startTls({ ca }, { serverHostname: "localhost" });
    }
    return [streams, await accepted, () => listener.close()];
  }
  const accepted = new asyncio.Future<Streams>();
  const handle: asyncio.ClientConnectedCb = async (reader, writer) => {
    if (transport === "starttls") {
      writer.write("go\n");
      await writer.startTls({ ...identity });
    }
    accepted.setResult([reader, writer]);
  };
  const options = { limit: LIMIT, ...(direct ? { ssl: { ...identity, ...versionsOf(transport) } } : {}) };
  const server = await (path === null
    ? asyncio.startServer(handle, HOST, 0, options)
    : asyncio.startUnixServer(handle, path, options));
  const socket = new net.Socket({ allowHalfOpen: true });
  socket.pause();
  socket.connect(path === null ? { host: HOST, port: server.sockets[0]?.getsockname().port ?? 0 } : { path });
  await once(socket, "connect");
  const far = new FarSide(cell, socket);
  const [streams] = await Promise.all([accepted, far.begin()]);
  return [streams, far, () => server.close()];
}

/** Runs the row, and returns what was seen. */
export async function observe(cell: Cell): Promise<Outcome> {
  using folder = new TemporaryFolder();
  const [[reader, writer], far, stop] = await connected(cell, folder);
  try {
    if (cell.state === "paused") {
      await eventually(() => !writer.transport.isReading());
    }
    if (cell.event === "reset" && cell.transport === "unix") {
      writer.write("unread");
      await asyncio.sleep(0.01);
    }
    const blocked = cell.state === "reading" ? outcome(() => reader.readexactly(4)) : null;
    await asyncio.sleep(0.01);
    await far.act();
    await asyncio.sleep(SETTLE);

    const drain = await outcome(() => writer.drain());
    const first = blocked === null ? {} : { blocked: await blocked };
    const later = await outcome(() => reader.read(100));
    const rest = await outcome(() => reader.read());
    await asyncio.sleep(0.02);
    const closing = writer.isClosing();
    const drainLater = await outcome(() => writer.drain());
    writer.close();
    const closed = await outcome(() => writer.waitClosed());
    return { drain, ...first, later, rest, closing, drainLater, closed };
  } finally {
    far.end();
    writer.transport.abort();
    stop();
  }
}

async function outcome(wait: () => Promise<unknown>): Promise<string> {
  try {
    const result = await asyncio.waitFor(wait, PATIENCE);
    return Buffer.isBuffer(result) ? shown(result) : "returns";
  } catch (error) {
    if (error instanceof asyncio.IncompleteReadError) {
      return `IncompleteReadError(${shown(error.partial)}, ${error.expected ?? "None"})`;
    }
    return error instanceof asyncio.TimeoutError ? "pending" : (error as Error).name;
  }
}

function shown(data: Buffer): string {
  return data.length > 8 ? `${data.length} bytes` : `'${data.toString("latin1")}'`;
}
