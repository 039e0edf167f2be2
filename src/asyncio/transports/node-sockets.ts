/** The sockets that the package creates itself. */
import { Buffer } from "node:buffer";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { ValueError } from "../../errors.ts";
import { repr } from "../../repr.ts";
import { nodeFs } from "../on-demand.ts";
import { ON_NODE } from "../runtime.ts";
import { systemError, toOSError } from "./os-errors.ts";

/** How much a socket reads ahead; the same on every version of Node. */
export const READ_SIZE: number = 64 * 1024; // bytes
/** Options of every socket. With `allowHalfOpen`, the peer's EOF does not end this side. */
export const SOCKET_OPTIONS: object = { allowHalfOpen: true, highWaterMark: READ_SIZE };

/** The largest number that a descriptor can have. */
const MAX_DESCRIPTOR = 2 ** 31 - 1;

export function isNodeSocket(stream: Duplex): boolean {
  return ON_NODE && stream instanceof Socket;
}

/** Whether the stream is a Node socket without TLS. */
export function isPlainNodeSocket(stream: Duplex): boolean {
  return isNodeSocket(stream) && !("encrypted" in stream);
}

/**
 * Returns the number of a file descriptor that is an open socket. Checked here, since the runtimes behave differently
 * with any other.
 *
 * @throws {OSError} If the descriptor is not open, or is not a socket.
 * @throws {ValueError} If `sock` has no valid descriptor number.
 */
export function socketDescriptor(sock: unknown): number {
  const fd = (sock as { fd?: unknown } | null | undefined)?.fd;
  if (typeof fd !== "number" || !Number.isInteger(fd) || fd < 0 || fd > MAX_DESCRIPTOR) {
    throw new ValueError(`A Stream Socket was expected, got ${repr(sock)}`);
  }
  let isSocket: boolean;
  try {
    isSocket = nodeFs().fstatSync(fd).isSocket();
  } catch (error) {
    throw toOSError(error);
  }
  if (!isSocket) {
    throw systemError("ENOTSOCK", "getsockname");
  }
  return fd;
}

/** Creates a socket for a new connection. */
export function newSocket(): Socket {
  return ON_NODE ? new ClientSocket() : new Socket(SOCKET_OPTIONS);
}

/**
 * The buffer into which the system reads for every client: each client takes its bytes before anything else is read.
 */
const inbox: Buffer = Buffer.allocUnsafeSlow(READ_SIZE);
/** From this size on, copying costs more than allocating a buffer for the next read. */
const LARGE = READ_SIZE / 2; // bytes

/**
 * Creates buffers of the size that has arrived, while Node would create one of 64 KiB for each read.
 *
 * Accepted sockets are not read in this way, because Node has no public option for them. It would take a method of the
 * private handle, symbols of `node:net` that are found by their descriptions, and a test for each new version of Node.
 * The gain would be 9 to 19 % of an echo at most, and every chunk would be copied.
 */
class ClientSocket extends Socket {
  /** The shared buffer, or its own one if the last read was large. */
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

  /**
   * Reads ahead as other sockets do: with `onread`, a paused socket would stop reading immediately and not notice a
   * reset in time.
   */
  override pause(): this {
    return Duplex.prototype.pause.call(this) as this;
  }
}
