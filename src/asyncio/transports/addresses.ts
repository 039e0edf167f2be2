/** Addresses of sockets and of host names. */
import { isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ValueError } from "../../errors.ts";
import { gaierror, OSError } from "../../io-errors.ts";
import { Inspectable, repr, safeRepr } from "../../repr.ts";
import { notConstructible } from "../arguments.ts";
import { createdDeep } from "../async-stacks.ts";
import { observed } from "../ensure-future.ts";
import { InnerFuture } from "../inner-future.ts";
import { nodeDns } from "../on-demand.ts";
import { ON_DENO } from "../runtime.ts";
import { isNodeSocket } from "./node-sockets.ts";
import { systemError } from "./os-errors.ts";
import { checkedPort } from "./services.ts";

/**
 * The address of one end of a TCP connection.
 *
 * Python: the tuple `(host, port)`. Differs: an object; prints as `127.0.0.1:8081` or `[::1]:8081`.
 */
export class SocketAddress extends Inspectable {
  /** The IP address. */
  readonly address: string;
  /** The port. */
  readonly port: number;
  /** The address family. */
  readonly family: "IPv4" | "IPv6";

  /** @internal */
  constructor(address: string, port: number) {
    super();
    if (typeof address !== "string" || typeof port !== "number") {
      throw notConstructible("SocketAddress", "call getExtraInfo() or getsockname()");
    }
    this.address = address;
    this.port = port;
    this.family = address.includes(":") ? "IPv6" : "IPv4";
  }

  /** `127.0.0.1:8081`, `[::1]:8081`. */
  override toString(): string {
    return this.family === "IPv6" ? `[${this.address}]:${this.port}` : `${this.address}:${this.port}`;
  }
}

/** The members of a stream that give its addresses; other streams than sockets may have none. */
type Addressed = Partial<Pick<Socket, "remoteAddress" | "remotePort" | "localAddress" | "localPort">> & {
  /** The name of a stream in memory, which takes the place of both addresses. */
  readonly _name?: string;
};

/** The peer's address; `undefined` if there is none, as with a pair of pipes. */
export function peerAddress(socket: Duplex & Addressed): SocketAddress | string | undefined {
  return socket.remoteAddress === undefined || socket.remotePort === undefined
    ? socket._name
    : new SocketAddress(unmapped(socket.remoteAddress), socket.remotePort);
}

/** Asks for the peer's address, and returns whether the socket keeps it even if it fails later, as Node's do. */
export function keepsPeerAddress(socket: Duplex & Addressed): boolean {
  return isNodeSocket(socket) && socket.remoteAddress !== undefined;
}

/** The socket's own address; `undefined` if there is none. */
export function ownAddress(socket: Duplex & Addressed): SocketAddress | string | undefined {
  return socket.localAddress === undefined || socket.localPort === undefined
    ? socket._name
    : new SocketAddress(unmapped(socket.localAddress), socket.localPort);
}

/**
 * Deno cannot restrict a socket to IPv6: a socket that listens at every IPv6 address also accepts IPv4 connections, and
 * shows their addresses as `::ffff:127.0.0.1`.
 */
export const IPV6_ALSO_ACCEPTS_IPV4: boolean = ON_DENO;

function unmapped(address: string): string {
  return IPV6_ALSO_ACCEPTS_IPV4 ? address.replace(/^::ffff:(?=\d+\.)/, "") : address;
}

/** Python's numbers for name look-up failures. */
const lookupErrors: Readonly<Record<string, readonly [number, string]>> = {
  ENOTFOUND: [-2, "Name or service not known"],
  EAI_AGAIN: [-3, "Temporary failure in name resolution"],
  EAI_NODATA: [-5, "No address associated with hostname"],
  EAI_FAMILY: [-6, "ai_family not supported"],
  EAI_MEMORY: [-10, "Memory allocation failure"],
};

/**
 * Which addresses to look up: 4, 6, or 0 for both.
 *
 * @inline
 */
export type Family = 0 | 4 | 6;

/**
 * Returns all addresses of the host name, in the system's order.
 *
 * @throws {gaierror} If the name has no address. The message names the host.
 */
export async function lookUp(
  host: string,
  family: Family,
  hints = 0,
  what = () => `getaddrinfo() ${host}`,
): Promise<string[]> {
  if (![0, 4, 6].includes(family)) {
    throw new ValueError(`family must be 0, 4 or 6, got ${repr(family)}`);
  }
  if (hints !== 0 && !areHints(hints)) {
    throw new ValueError(
      `flags must be 0 or a combination of ADDRCONFIG, V4MAPPED and ALL of node:dns, got ${repr(hints)}`,
    );
  }
  const version = isIP(host);
  if (version !== 0) {
    // Node accepts an IP address of any family, whatever family is requested; getaddrinfo does not.
    if (family !== 0 && family !== version) {
      throw new gaierror(`[Errno -9] Address family for hostname not supported: ${repr(host)}`, {
        code: "EAI_ADDRFAMILY",
        errno: -9,
        address: host,
      });
    }
    return [host];
  }
  if (host === "" || host.includes("\0")) {
    throw unknownHost("ENOTFOUND", host);
  }
  try {
    const lookup = nodeDns().promises.lookup(host, { all: true, family, hints, verbatim: true });
    const found = await observed(lookup, new InnerFuture(() => `${what()}, name look-up`));
    if (found.length === 0) {
      throw unknownHost("ENOTFOUND", host);
    }
    return found.map(({ address }) => address);
  } catch (error) {
    throw toGaierror(host, error);
  }
}

/** Options of `loop.getaddrinfo()`. */
export interface AddressInfoOptions {
  /** Which addresses to look up: 4, 6, or 0 for both. @default 0 */
  family?: Family | undefined;
  /** Flags for the name look-up: `ADDRCONFIG`, `V4MAPPED`, `ALL` of `node:dns`. @default 0 */
  flags?: number | undefined;
}

/** `loop.getnameinfo()`. */
export async function lookUpName(given: SocketAddress): Promise<[host: string, service: string]> {
  const { address, port } = (given as Partial<SocketAddress> | null | undefined) ?? {};
  if (typeof address !== "string") {
    throw new TypeError(`getnameinfo(): address must be an object with address and port, got ${safeRepr(given)}`);
  }
  if (isIP(address) === 0) {
    throw new ValueError(`getnameinfo(): address must be an IP address, got ${repr(address)}`);
  }
  const number = checkedPort("getnameinfo()", port);
  try {
    const { hostname, service } = await observed(
      nodeDns().promises.lookupService(address, number),
      new InnerFuture(() => `getnameinfo() ${new SocketAddress(address, number)}`),
    );
    return [hostname, service];
  } catch (error) {
    throw toGaierror(address, error);
  }
}

function areHints(hints: number): boolean {
  const { ADDRCONFIG, V4MAPPED, ALL } = nodeDns();
  // A bitwise operation alone would ignore what exceeds 32 bits.
  return Number.isInteger(hints) && (hints & (ADDRCONFIG | V4MAPPED | ALL)) === hints;
}

function toGaierror(host: string, error: unknown): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || !/^get(addr|name)info$/.test(syscall ?? "")) {
    return error;
  }
  return unknownHost(code, host, error);
}

function unknownHost(code: string, host: string, cause?: unknown): gaierror {
  const [errno, text] = lookupErrors[code] ?? [-4, `Non-recoverable failure in name resolution (${code})`];
  const message = `[Errno ${errno}] ${text}: ${repr(host)}`;
  return createdDeep(() => new gaierror(message, { code, errno, syscall: "getaddrinfo", address: host, cause }));
}

/** The maximum length of a Unix socket's path on Linux, in bytes; some versions silently truncate longer ones. */
const LONGEST_PATH = 107;

/**
 * Throws if the system would reject or truncate the path.
 *
 * @throws {OSError} If the path is empty or too long.
 * @throws {ValueError} If the path contains a zero byte, except as the first one.
 */
export function checkPath(path: string): void {
  if (path === "") {
    throw systemError("EINVAL", "bind");
  }
  if (!path.startsWith("\0") && path.includes("\0")) {
    throw new ValueError(`embedded null byte: ${repr(path)}`);
  }
  if (Buffer.byteLength(path) > LONGEST_PATH) {
    throw new OSError(`AF_UNIX path too long: ${repr(path)} has more than ${LONGEST_PATH} bytes`, {
      code: "ENAMETOOLONG",
    });
  }
}
