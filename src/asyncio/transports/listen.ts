/**
 * Listening: creates listening sockets for hosts or a path.
 *
 * Theory of operation. A name can have several addresses, and "every address" is one of each family, so a server has
 * several listeners. A Unix socket is a file. Listening removes a stale file; closing removes only the server's own.
 * Node removes any file that has the name, so another server's file temporarily gets a second name.
 */
import * as net from "node:net";
import { dirname } from "node:path";
import { ValueError } from "../../errors.ts";
import { OSError } from "../../io-errors.ts";
import { Inspectable, repr } from "../../repr.ts";
import { afterHost, notConstructible } from "../arguments.ts";
import { fromCallback, thrownHere } from "../async-stacks.ts";
import { nodeFs } from "../on-demand.ts";
import { HEEDS_REUSE_PORT, ON_DENO } from "../runtime.ts";
import { Wait } from "../waits.ts";
import { checkPath, type Family, IPV6_ALSO_ACCEPTS_IPV4, lookUp, SocketAddress } from "./addresses.ts";
import { READ_SIZE, socketDescriptor } from "./node-sockets.ts";
import { bindError, errorAtPath, listenError, systemError, toOSError } from "./os-errors.ts";
import { checkedPort } from "./services.ts";

/** A listening `net.Server`, or the file descriptor of a listening socket. */
export type ListeningSocket = net.Server | { readonly fd: number };

/** Options of listening at any address. */
export interface ListenOptions {
  readonly backlog: number;
  readonly keepAlive: boolean;
  readonly reusePort: boolean;
  /** The call that listens, for messages. */
  readonly caller: string;
}

/** One listening socket. */
export class Listener {
  readonly server: net.Server;
  readonly address: SocketAddress | string;
  /** The socket's file, which this class removes in place of Node; `null` except for Unix sockets. */
  readonly #file: SocketFile | null;

  /** @param address - The address it listens at, if the server itself reports it in another form. */
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
export class ServerSocket extends Inspectable {
  readonly #address: SocketAddress | string;

  /** @internal */
  constructor(address: SocketAddress | string) {
    super();
    if (typeof address !== "string" && !(address instanceof SocketAddress)) {
      throw notConstructible("ServerSocket", "read server.sockets");
    }
    this.#address = address;
  }

  /** The address it listens at. Python: `socket.getsockname()`. Differs: a {@linkcode SocketAddress}. */
  getsockname(): SocketAddress {
    // The type is the one for TCP, the common case. For a Unix socket the address is a path.
    return this.#address as SocketAddress;
  }

  /** `<ServerSocket 127.0.0.1:8081>` */
  override toString(): string {
    return `<ServerSocket ${this.#address}>`;
  }
}

/** The file of a Unix socket, as it was when the socket was created. */
class SocketFile {
  readonly #path: string;
  readonly #cleanUp: boolean;
  readonly #identity: string | null;

  constructor(path: string, cleanUp: boolean) {
    this.#path = path;
    this.#cleanUp = cleanUp;
    this.#identity = identityOf(path);
  }

  /** Closes the socket, and removes the file only if it is still this socket's own and `cleanUp` is set. */
  closeKeepingOthers(close: () => void): void {
    const identity = identityOf(this.#path);
    if (identity === null || (this.#cleanUp && identity === this.#identity)) {
      close();
      return;
    }
    // Node synchronously removes any file with this name; a second name preserves the file.
    const aside = `${this.#path}.${process.pid}`;
    try {
      nodeFs().linkSync(this.#path, aside);
    } catch {
      // This folder allows no second name; the socket is closed anyway.
      close();
      return;
    }
    close();
    nodeFs().renameSync(aside, this.#path);
  }
}

function identityOf(path: string): string | null {
  const found = nodeFs().lstatSync(path, { throwIfNoEntry: false });
  return found === undefined ? null : `${found.dev}:${found.ino}`;
}

/** How many ports are tried if the port that the system chose for one family is in use in the other. */
const PORTS_TRIED = 20;

/** Listens at the addresses of all hosts; `null` or "" means every address of the machine. */
export async function listenTcp(
  host: string | readonly string[] | null | undefined,
  portOrService: number | string | null | undefined,
  family: Family,
  flags: number,
  options: ListenOptions,
): Promise<Listener[]> {
  const hosts = (host ?? "") === "" ? null : checkedHosts(options.caller, host);
  const port = checkedPort(options.caller, portOrService ?? 0);
  if (hosts !== null) {
    return await listenAtAll(await addressesOf(hosts, family, flags, options.caller), port, false, options);
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
 * Listens at all of the addresses; if one fails, at none.
 *
 * @param samePort - Whether all addresses use the port that the system chooses for the first one, if the port is 0.
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
        if (IPV6_ALSO_ACCEPTS_IPV4) {
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

function checkedHosts(caller: string, host: unknown): readonly string[] {
  const hosts = typeof host === "string" ? [host] : host;
  if (!Array.isArray(hosts) || !hosts.every((each) => typeof each === "string")) {
    throw new TypeError(`${caller}: host must be a string or an array of strings, got ${repr(host)}${afterHost(host)}`);
  }
  return hosts;
}

async function addressesOf(hosts: readonly string[], family: Family, flags: number, caller: string): Promise<string[]> {
  const found: string[] = [];
  for (const each of hosts) {
    found.push(...(await lookUp(each, family, flags, () => `${caller} ${each}`)));
  }
  return [...new Set(found)];
}

/** Listens at one address; returns `null` if the machine has no such address. */
async function listenAt(host: string, port: number, options: ListenOptions): Promise<Listener | null> {
  const { backlog, reusePort } = options;
  try {
    const where = { host, port, backlog, ipv6Only: true, ...(reusePort ? { reusePort } : {}) };
    return new Listener(
      await listening(newServer(options), where, `${options.caller} ${new SocketAddress(host, port)}`),
    );
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Deno reports EINVAL for an address that the machine does not have: ::1, for example, where there is no IPv6.
    if (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT" || (code === "EINVAL" && ON_DENO)) {
      return null;
    }
    throw thrownHere(fromCallback(bindError(error, host, port)));
  }
}

/** Listens at a path. Removes a stale socket there. */
export async function listenUnix(path: string, cleanUp: boolean, options: ListenOptions): Promise<Listener> {
  const abstract = path.startsWith("\0");
  checkPath(path);
  // Node mistakes a path that looks like a number for a port.
  const where = { path: Number(path) >= 0 ? `./${path}` : path, backlog: options.backlog };
  const what = `${options.caller} ${path}`;
  try {
    const server = await listening(newServer(options), where, what).catch((error) => {
      // Not before: workers of a cluster share the socket of the first one, which must keep its file.
      if (abstract || (error as NodeJS.ErrnoException).code !== "EADDRINUSE" || !removeStale(path)) {
        throw error;
      }
      return listening(newServer(options), where, what);
    });
    return new Listener(server, abstract ? null : new SocketFile(path, cleanUp), path);
  } catch (error) {
    throw thrownHere(fromCallback(pathError(error, path)));
  }
}

/** Removes a stale socket, or a symbolic link to one, and returns whether there was one. */
function removeStale(path: string): boolean {
  try {
    if (nodeFs().statSync(path).isSocket()) {
      nodeFs().unlinkSync(path);
      return true;
    }
  } catch {}
  return false;
}

function pathError(error: unknown, path: string): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") {
    return toOSError(error, `Address ${repr(path)} is already in use`);
  }
  if (code === "EACCES" && !nodeFs().existsSync(dirname(path))) {
    // Node reports this on every system, because one system does.
    return systemError("ENOENT", syscall ?? "listen", error, path);
  }
  return code === undefined ? listenError(error) : errorAtPath(error, path);
}

/** Throws for a server that handles its connections itself: a second handler would take some of their bytes. */
function checkPlainServer(sock: unknown): void {
  if (typeof sock !== "object" || sock === null) {
    return;
  }
  if ("setSecureContext" in sock) {
    throw new TypeError("sock must be a net.Server, got a TLS server; pass the option ssl with a net.Server");
  }
  if ("closeIdleConnections" in sock || "updateSettings" in sock) {
    throw new TypeError("sock must be a net.Server, got an HTTP server, which handles its connections itself");
  }
}

/** Returns a listener for a socket that other code created, once it listens. */
export async function adoptListener(
  sock: ListeningSocket,
  cleanUp: boolean,
  options: ListenOptions,
): Promise<Listener> {
  checkPlainServer(sock);
  if (sock instanceof net.Server) {
    const server = sock.listening
      ? sock
      : await listenOnAdopted(sock, { host: "127.0.0.1", port: 0, backlog: options.backlog }, options.caller);
    const address = server.address();
    return new Listener(server, typeof address === "string" ? new SocketFile(address, cleanUp) : null);
  }
  return new Listener(await listenOnAdopted(newServer(options), { fd: socketDescriptor(sock) }, options.caller));
}

async function listenOnAdopted(
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
    // Closing a server that does not listen yet has no effect.
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
 * @throws {ValueError} If the runtime would accept an option and ignore it.
 */
export function checkedReusePort(
  caller: string,
  { reusePort, reuseAddress }: { reusePort?: boolean | undefined; reuseAddress?: boolean | undefined },
): boolean {
  if (reuseAddress === false) {
    throw new ValueError(`${caller}: reuseAddress must be true, got false: Node always sets SO_REUSEADDR`);
  }
  if (reusePort === true && !HEEDS_REUSE_PORT) {
    throw new ValueError(
      "reusePort is not supported by this runtime; Node has it from 22.12 and 23.1 on, Bun from 1.4 on, Deno from 2.9 on",
    );
  }
  return reusePort === true;
}
