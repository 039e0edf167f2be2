/**
 * Listening: from hosts, or a path, to listening sockets.
 *
 * Theory of operation. A name can stand for several addresses, and "every address" is one of each family, so a server
 * has several listeners. A Unix socket is a file: one that is left over from before is removed, and on closing only our
 * own is; Node removes whatever has its name, so somebody else's is put aside for that moment.
 */
import * as fs from "node:fs";
import * as net from "node:net";
import { dirname } from "node:path";
import { OSError, ValueError } from "../../errors.ts";
import { inspectCustom, repr } from "../../repr.ts";
import { fromCallback, thrownHere } from "../async-stacks.ts";
import { HEEDS_REUSE_PORT } from "../runtime.ts";
import { Wait } from "../waits.ts";
import { BOTH_IN_ONE, checkPath, type Family, lookUp, SocketAddress } from "./addresses.ts";
import { READ_SIZE, socketDescriptor } from "./node-sockets.ts";
import { bindError, systemError, toOSError } from "./os-errors.ts";

/** A server that listens already, or the file descriptor of a listening socket. */
export type ListeningSocket = net.Server | { readonly fd: number };

/** How to listen, whatever at. */
export interface ListenOptions {
  readonly backlog: number;
  readonly keepAlive: boolean;
  readonly reusePort: boolean;
  /** Who listens, for messages. */
  readonly caller: string;
}

/** One listening socket. */
export class Listener {
  readonly server: net.Server;
  readonly address: SocketAddress | string;
  /** What is done instead of Node's removal of the file; for Unix sockets only. */
  readonly #file: SocketFile | null;

  /** @param address - Where it listens, if the server has been told another way to put it. */
  constructor(
    server: net.Server,
    file: SocketFile | null = null,
    address: net.AddressInfo | string | null = server.address(),
  ) {
    this.server = server;
    this.#file = file;
    this.address =
      typeof address === "object" && address !== null
        ? new SocketAddress(address.address, address.port)
        : String(address ?? "");
  }

  close(): void {
    if (this.#file === null) {
      this.server.close();
    } else {
      this.#file.closeKeepingOthers(() => this.server.close());
    }
  }
}

/** A listening socket of a {@linkcode Server}. */
export class ServerSocket {
  readonly #address: SocketAddress | string;

  /** @internal */
  constructor(address: SocketAddress | string) {
    this.#address = address;
  }

  /** Where it listens. Python: `socket.getsockname()`. Differs: a {@linkcode SocketAddress}. */
  getsockname(): SocketAddress {
    // A server on a Unix socket knows that it gets a path: the type serves the many.
    return this.#address as SocketAddress;
  }

  /** `<ServerSocket 127.0.0.1:8081>` */
  toString(): string {
    return `<ServerSocket ${this.#address}>`;
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }
}

/** The file of a Unix socket, as it was when the socket was made. */
class SocketFile {
  readonly #path: string;
  readonly #cleanUp: boolean;
  readonly #identity: string | null;

  constructor(path: string, cleanUp: boolean) {
    this.#path = path;
    this.#cleanUp = cleanUp;
    this.#identity = identityOf(path);
  }

  /** Closes the socket. The file goes with it, if it still is ours and is to go. */
  closeKeepingOthers(close: () => void): void {
    const identity = identityOf(this.#path);
    if (identity === null || (this.#cleanUp && identity === this.#identity)) {
      close();
      return;
    }
    // Node removes what has this name, synchronously; a second name keeps the file.
    const aside = `${this.#path}.${process.pid}`;
    try {
      fs.linkSync(this.#path, aside);
    } catch {
      // No second names in this folder: the socket is closed all the same.
      close();
      return;
    }
    close();
    fs.renameSync(aside, this.#path);
  }
}

function identityOf(path: string): string | null {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  return found === undefined ? null : `${found.dev}:${found.ino}`;
}

/** So often a port that the system chose for the one family may turn out to be taken in the other. */
const PORTS_TRIED = 20;

/** Listens at the addresses of all hosts; `null` or "" stands for every address of the machine. */
export async function listenTcp(
  host: string | readonly string[] | null | undefined,
  port: number,
  family: Family,
  flags: number,
  options: ListenOptions,
): Promise<Listener[]> {
  if (host !== null && host !== undefined && host !== "") {
    return await listenAtAll(await addressesOf(host, family, flags, options.caller), port, false, options);
  }
  const addresses = ["::", "0.0.0.0"].filter((address) => family === 0 || net.isIP(address) === family);
  for (let tried = 1; ; tried++) {
    try {
      return await listenAtAll(addresses, port, true, options);
    } catch (error) {
      if (port !== 0 || (error as OSError).code !== "EADDRINUSE" || tried === PORTS_TRIED) {
        throw error;
      }
    }
  }
}

/**
 * Listens at each of the addresses, or at none.
 *
 * @param samePort - Whether the port that the system chooses for the first one, if it is to choose, is that of all.
 */
async function listenAtAll(
  addresses: readonly string[],
  port: number,
  samePort: boolean,
  options: ListenOptions,
): Promise<Listener[]> {
  const listeners: Listener[] = [];
  let actualPort = port;
  try {
    for (const address of addresses) {
      const listener = await listenAt(address, actualPort, options);
      if (listener === null) {
        continue;
      }
      listeners.push(listener);
      if (samePort) {
        actualPort = (listener.address as SocketAddress).port;
        if (BOTH_IN_ONE) {
          break;
        }
      }
    }
  } catch (error) {
    for (const listener of listeners) {
      listener.close();
    }
    throw error;
  }
  if (listeners.length === 0) {
    throw new OSError(`could not bind on any address out of ${repr(addresses)}`, { code: "EADDRNOTAVAIL" });
  }
  return listeners;
}

async function addressesOf(
  host: string | readonly string[],
  family: Family,
  flags: number,
  caller: string,
): Promise<string[]> {
  const hosts = typeof host === "string" ? [host] : host;
  const found: string[] = [];
  for (const each of hosts) {
    found.push(...(await lookUp(each, family, flags, () => `${caller} ${each}`)));
  }
  return [...new Set(found)];
}

/** Listens at one address; `null` where the machine has no such address. */
async function listenAt(host: string, port: number, options: ListenOptions): Promise<Listener | null> {
  const { backlog, reusePort } = options;
  try {
    const where = { host, port, backlog, ipv6Only: true, ...(reusePort ? { reusePort } : {}) };
    return new Listener(
      await listening(newServer(options), where, `${options.caller} ${new SocketAddress(host, port)}`),
    );
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT") {
      return null;
    }
    throw thrownHere(fromCallback(bindError(error, host, port)));
  }
}

/** Listens at a path. A socket that is left over there is removed first. */
export async function listenUnix(path: string, cleanUp: boolean, options: ListenOptions): Promise<Listener> {
  const abstract = path.startsWith("\0");
  checkPath(path);
  if (!abstract) {
    removeStale(path);
  }
  // Node takes a path that looks like a number for a port.
  const shown = Number(path) >= 0 ? `./${path}` : path;
  try {
    const server = await listening(
      newServer(options),
      { path: shown, backlog: options.backlog },
      `${options.caller} ${path}`,
    );
    return new Listener(server, abstract ? null : new SocketFile(path, cleanUp), path);
  } catch (error) {
    throw thrownHere(fromCallback(pathError(error, path)));
  }
}

/** Removes a socket that is left over, or a symbolic link to one. Where that cannot be done, listening says why. */
function removeStale(path: string): void {
  try {
    if (fs.statSync(path).isSocket()) {
      fs.unlinkSync(path);
    }
  } catch {}
}

function pathError(error: unknown, path: string): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") {
    return toOSError(error, `Address ${repr(path)} is already in use`);
  }
  if (code === "EACCES" && !fs.existsSync(dirname(path))) {
    // Node says so on every system, because one of them does.
    return systemError("ENOENT", syscall ?? "listen", error);
  }
  return toOSError(error);
}

/** A socket made elsewhere, listening. */
export async function adoptListener(
  sock: ListeningSocket,
  cleanUp: boolean,
  options: ListenOptions,
): Promise<Listener> {
  if (sock instanceof net.Server) {
    const server = sock.listening
      ? sock
      : await adopted(sock, { host: "127.0.0.1", port: 0, backlog: options.backlog }, options.caller);
    const address = server.address();
    return new Listener(server, typeof address === "string" ? new SocketFile(address, cleanUp) : null);
  }
  return new Listener(await adopted(newServer(options), { fd: socketDescriptor(sock) }, options.caller));
}

async function adopted(
  server: net.Server,
  where: net.ListenOptions | { fd: number },
  caller: string,
): Promise<net.Server> {
  try {
    return await listening(server, where, `${caller} sock`);
  } catch (error) {
    throw toOSError(error);
  }
}

function newServer({ keepAlive }: ListenOptions): net.Server {
  return net.createServer({
    allowHalfOpen: true,
    highWaterMark: READ_SIZE,
    noDelay: true,
    keepAlive,
  } as net.ServerOpts);
}

function listening(server: net.Server, where: net.ListenOptions | { fd: number }, what: string): Promise<net.Server> {
  const wait = new Wait<net.Server>(what, () => {
    server.close();
    // Closing does nothing to a server that is only about to listen.
    server.once("listening", () => server.close());
  });
  const onError = (error: Error): void => wait.reject(error);
  server.once("error", onError);
  server.listen(where, () => {
    server.off("error", onError);
    wait.resolve(server);
  });
  return wait.begin();
}

/**
 * Whether to listen with `reusePort`.
 *
 * @throws {ValueError} If the runtime would take an option and do nothing about it.
 */
export function checkedReusePort(
  caller: string,
  { reusePort, reuseAddress }: { reusePort?: boolean | undefined; reuseAddress?: boolean | undefined },
): boolean {
  if (reuseAddress === false) {
    throw new ValueError(`${caller} cannot switch reuseAddress off: Node always sets SO_REUSEADDR`);
  }
  if (reusePort === true && !HEEDS_REUSE_PORT) {
    throw new ValueError(
      "reusePort is not supported by this runtime; Node has it from 22.12 and 23.1 on, Bun from 1.4 on, Deno from 2.9 on",
    );
  }
  return reusePort === true;
}
