/** Two pairs of a reader and a writer that are connected to each other in memory. */
import { type StreamPair, type StreamReader, StreamReaderProtocol } from "../asyncio/index.ts";
import {
  checkFiniteSeconds,
  checkOptions,
  checkWholeNumber,
  HIGH_WATER,
  readerWith,
  streamsOver,
} from "../asyncio/seam.ts";
import { ValueError } from "../contextvars/index.ts";
import { MemorySocket, type WireOptions } from "./memory-socket.ts";

/** Options of connections in memory. */
export interface MemoryOptions {
  /**
   * The maximum size of the pieces in which written bytes arrive. A function is called with the number of bytes left of
   * a write, and returns the size of the next piece, at least 1.
   *
   * @default a write arrives as a whole, up to `highWater` bytes
   */
  chunks?: number | ((left: number) => number) | undefined;
  /** How long bytes are in transit, in seconds of the loop's clock. @default 0, until the next turn of the loop */
  delay?: number | undefined;
  /**
   * How many bytes may be in transit, and how many may wait to be sent before `drain()` waits. A reader that is not
   * read accepts further bytes, up to twice its limit.
   *
   * @default 65536
   */
  highWater?: number | undefined;
}

/** Options of {@linkcode memoryStreamPair}. */
export interface MemoryStreamPairOptions extends MemoryOptions {
  /** The limit of both readers, in bytes. @default 65536 */
  limit?: number | undefined;
}

/** Options of {@linkcode lockstepStreamPair}. */
export type LockstepStreamPairOptions = Pick<MemoryStreamPairOptions, "chunks" | "limit">;

export const MEMORY_OPTIONS: readonly string[] = ["chunks", "delay", "highWater"];

/**
 * Creates a connection in memory: bytes written at one end are read at the other.
 *
 * The readers and writers are the usual ones, over a transport that works like one for TCP, but without a port and
 * without the system: limits, write buffer limits and back-pressure, half-close by `writeEof()`, a reset by
 * `writer.transport.abort()`, `startTls()`. Bytes arrive in the next turn of the loop, in the same order whenever the
 * program runs. The extra info `"peername"` and `"sockname"` is `"memory"`.
 *
 * A connection in memory does not keep the process alive.
 *
 * Python: has no such function.
 *
 * @returns The two ends.
 * @throws {ValueError} If `limit`, `chunks`, `delay` or `highWater` is out of range. If a `chunks` function does not
 * return a whole number above 0, the writing end is lost with a ValueError.
 * @throws {TypeError} If an option is unknown or has the wrong type.
 *
 * @example A protocol whose messages arrive byte by byte
 * ```ts
 * import { memoryStreamPair } from "contextvars/testing";
 * import assert from "node:assert/strict";
 *
 * const [[reader], [, writer]] = memoryStreamPair({ chunks: 1 });
 * writer.write("PING\r\nPONG\r\n");
 * assert.equal(String(await reader.readuntil("\r\n")), "PING\r\n");
 * assert.equal(String(await reader.readuntil("\r\n")), "PONG\r\n");
 * writer.close();
 * assert.equal(String(await reader.read()), "");
 * ```
 */
export function memoryStreamPair(options: MemoryStreamPairOptions = {}): [StreamPair, StreamPair] {
  checkOptions("memoryStreamPair()", options, [...MEMORY_OPTIONS, "limit"]);
  const wire = wireOptions("memoryStreamPair()", options);
  const [near, far] = MemorySocket.pair(wire);
  return [streamsAt(near, options, wire.highWater), streamsAt(far, options, wire.highWater)];
}

/**
 * Creates a connection in memory without a buffer: bytes move only while a read waits at the other end.
 *
 * So `drain()` after a write waits until reads at the other end have received all the bytes. If a read takes only part
 * of a piece, the rest stays in its reader. The `tryRead...` methods do not wait, and find only such a rest. For
 * `startTls()` use {@linkcode memoryStreamPair}, because no read waits during a handshake.
 *
 * Python: has no such function.
 *
 * @returns The two ends.
 * @throws The errors of `memoryStreamPair()`.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { lockstepStreamPair } from "contextvars/testing";
 * import assert from "node:assert/strict";
 *
 * const [[reader], [, writer]] = lockstepStreamPair();
 * const sent = asyncio.createTask(() => writer.send("hello\n"));
 * await asyncio.sleep(0);
 * assert.equal(sent.done(), false);
 * assert.equal(String(await reader.readline()), "hello\n");
 * await sent;
 * ```
 */
export function lockstepStreamPair(options: LockstepStreamPairOptions = {}): [StreamPair, StreamPair] {
  checkOptions("lockstepStreamPair()", options, ["chunks", "limit"]);
  const [near, far] = MemorySocket.pair({
    ...wireOptions("lockstepStreamPair()", { chunks: options.chunks }),
    highWater: 0,
    lockstep: true,
  });
  return [streamsAt(near, options, 0), streamsAt(far, options, 0)];
}

function streamsAt(socket: MemorySocket, { limit }: { limit?: number | undefined }, highWater: number): StreamPair {
  const reader = readerWith({ limit });
  const protocol = socket.isLockstep ? new LockstepProtocol(reader, socket) : new StreamReaderProtocol(reader);
  const streams = streamsOver(socket, reader, protocol);
  streams[1].transport.setWriteBufferLimits({ high: highWater });
  return streams;
}

/** Reports to the connection whether a read waits. */
class LockstepProtocol extends StreamReaderProtocol {
  readonly #socket: MemorySocket;

  constructor(reader: StreamReader, socket: MemorySocket) {
    super(reader);
    this.#socket = socket;
  }

  /** @internal */
  override get _needsContext(): boolean {
    return false;
  }

  /** @internal */
  override _keepAlive(reader: StreamReader | null): void {
    super._keepAlive(reader);
    this.#socket._setAwaited(reader !== null);
  }
}

/** Checks the options of a connection. */
export function wireOptions(caller: string, { chunks, delay = 0, highWater = HIGH_WATER }: MemoryOptions): WireOptions {
  checkWholeNumber(`${caller}: highWater`, highWater);
  if (highWater < 0) {
    throw new ValueError(`${caller}: highWater must be a number of bytes, 0 or more, got ${highWater}`);
  }
  checkFiniteSeconds(`${caller}: delay`, delay);
  return { highWater, delay, cut: cutter(caller, chunks, highWater), lockstep: false };
}

function cutter(caller: string, chunks: MemoryOptions["chunks"], highWater: number): WireOptions["cut"] {
  if (chunks === undefined) {
    // No piece is larger than the number of bytes that may be in transit.
    return highWater === 0 ? null : (left) => Math.min(left, highWater);
  }
  if (typeof chunks === "function") {
    return chunks;
  }
  if (!(Number.isInteger(chunks) && chunks > 0)) {
    throw new ValueError(
      `${caller}: chunks must be a positive number of bytes, or a function that returns one, got ${String(chunks)}`,
    );
  }
  return () => chunks;
}
