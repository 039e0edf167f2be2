/** The sockets that the package makes itself. */
import { Buffer } from "node:buffer";
import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { ValueError } from "../../errors.ts";
import { repr } from "../../repr.ts";
import { ON_NODE } from "../runtime.ts";
import { systemError, toOSError } from "./os-errors.ts";

/** How much a socket reads ahead; the same on every Node. */
export const READ_SIZE: number = 64 * 1024; // bytes
/** Of every socket: it ends each side by itself. */
export const SOCKET_OPTIONS: object = { allowHalfOpen: true, highWaterMark: READ_SIZE };

export function isNodeSocket(stream: Duplex): boolean {
  return ON_NODE && stream instanceof Socket;
}

/**
 * The number of a file descriptor that is open and a socket. Asked for, since the runtimes do not agree on what they do
 * with another.
 *
 * @throws {OSError} If it is not open, or not a socket.
 * @throws {ValueError} If there is no such number.
 */
export function socketDescriptor(sock: unknown): number {
  const fd = (sock as { fd?: unknown } | null | undefined)?.fd;
  if (typeof fd !== "number" || !Number.isInteger(fd) || fd < 0) {
    throw new ValueError(`A Stream Socket was expected, got ${repr(sock)}`);
  }
  let isSocket: boolean;
  try {
    isSocket = fstatSync(fd).isSocket();
  } catch (error) {
    throw toOSError(error);
  }
  if (!isSocket) {
    throw systemError("ENOTSOCK", "getsockname");
  }
  return fd;
}

/** A socket that is going to connect. */
export function newSocket(): Socket {
  return ON_NODE ? new ClientSocket() : new Socket(SOCKET_OPTIONS);
}

/** Where the system puts what arrives at any client: each takes what came to it before anything else is read. */
const inbox: Buffer = Buffer.allocUnsafeSlow(READ_SIZE);
/** From this size on, copying costs more than a buffer for the next read. */
const LARGE = READ_SIZE / 2; // bytes

/** Makes buffers of the size of what has arrived, where Node would make one of 64 KiB for each read. */
class ClientSocket extends Socket {
  /** A buffer of its own where the last read was a large one. */
  #inbox = inbox;

  constructor() {
    super({
      ...SOCKET_OPTIONS,
      onread: {
        buffer: (): Buffer => this.#inbox,
        callback: (size: number): boolean => this.push(this.#take(size)),
      },
    } as object);
  }

  #take(size: number): Buffer {
    const buffer = this.#inbox;
    this.#inbox = size < LARGE ? inbox : Buffer.allocUnsafeSlow(READ_SIZE);
    if (size >= LARGE && buffer !== inbox) {
      return buffer.subarray(0, size);
    }
    const chunk = Buffer.allocUnsafe(size);
    buffer.copy(chunk, 0, 0, size);
    return chunk;
  }

  /** Reads ahead as other sockets do: with a buffer of its own it would stop at once, and not hear of a reset in time. */
  override pause(): this {
    return Duplex.prototype.pause.call(this) as this;
  }
}
