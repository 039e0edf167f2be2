/** Two pairs of reader and writer that are connected with each other, in memory. */
import { type StreamReader, StreamReaderProtocol, type StreamWriter } from "../asyncio/index.ts";
import { checkOptions, checkWholeNumber, HIGH_WATER, readerWith, streamsOver } from "../asyncio/seam.ts";
import { ValueError } from "../contextvars/index.ts";
import { MemorySocket, type WireOptions } from "./memory-socket.ts";

/** How bytes travel in memory. */
export interface MemoryOptions {
  /**
   * What is written arrives in pieces of at most so many bytes, each by itself. A function gets how many bytes of a write
   * are left, and returns how many the next piece has, at least 1.
   *
   * @default a write arrives whole, up to `highWater` bytes
   */
  chunks?: number | ((left: number) => number) | undefined;
  /** How long bytes are under way, in seconds of the loop's clock. @default 0: until the next turn of the loop */
  delay?: number | undefined;
  /**
   * How many bytes may be under way, and how many wait to be sent before `drain()` waits, in bytes. A reader that nobody
   * reads from takes more on top: twice its limit.
   *
   * @default 65536
   */
  highWater?: number | undefined;
}

/** Options of {@linkcode memoryStreamPair}. */
export interface MemoryStreamPairOptions extends MemoryOptions {
  /** Of both readers, in bytes. @default 65536 */
  limit?: number | undefined;
}

/** Options of {@linkcode lockstepStreamPair}. */
export type LockstepStreamPairOptions = Pick<MemoryStreamPairOptions, "chunks" | "limit">;

/** The reader and the writer of one end. */
export type StreamPair = [reader: StreamReader, writer: StreamWriter];

export const MEMORY_OPTIONS: readonly string[] = ["chunks", "delay", "highWater"];

/**
 * A connection in memory: what is written at one end is read at the other.
 *
 * The readers and writers are those of any connection, over a transport that works as one of TCP does, without a port and
 * without the system: limits, marks and back-pressure, half-close by `writeEof()`, a reset by `writer.transport.abort()`,
 * `startTls()`. Bytes arrive in the next turn of the loop, in the same order whenever the program runs. The extra info
 * `"peername"` and `"sockname"` is `"memory"`.
 *
 * A connection in memory keeps no process alive.
 *
 * Python: has no such function.
 *
 * @returns The two ends.
 * @throws {ValueError} If `limit`, `chunks`, `delay` or `highWater` is out of range. If a function given as `chunks` returns
 * no whole number above 0, the end that writes is lost with a ValueError.
 * @throws {TypeError} If there is an option that it does not have, or an option of the wrong type.
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
 * A connection in memory without a buffer: bytes move only while the other end waits in a read.
 *
 * So `drain()` after a write waits until somebody has asked for the bytes: all of them have arrived at a reader that
 * waited. What a read leaves of a piece that has arrived stays in its reader. The `tryRead...` methods do not wait, and
 * find nothing but that. For `startTls()` use {@linkcode memoryStreamPair}: nobody waits in a read during a handshake.
 *
 * Python: has no such function.
 *
 * @returns The two ends.
 * @throws As `memoryStreamPair()` does.
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

/** Tells the connection whether somebody waits in a read. */
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
  override _hold(reader: StreamReader | null): void {
    super._hold(reader);
    this.#socket._setAwaited(reader !== null);
  }
}

/** Checks how bytes are to travel. */
export function wireOptions(caller: string, { chunks, delay = 0, highWater = HIGH_WATER }: MemoryOptions): WireOptions {
  checkWholeNumber("highWater", highWater);
  if (highWater < 0) {
    throw new ValueError(`${caller}: highWater must be a number of bytes, 0 or more, got ${highWater}`);
  }
  if (typeof delay !== "number" || !(delay >= 0 && delay < Number.POSITIVE_INFINITY)) {
    throw new ValueError(`${caller}: delay must be a number of seconds, 0 or more, got ${String(delay)}`);
  }
  return { highWater, delay, cut: cutter(caller, chunks, highWater), lockstep: false };
}

function cutter(caller: string, chunks: MemoryOptions["chunks"], highWater: number): WireOptions["cut"] {
  if (chunks === undefined) {
    // No more arrives at once than may be under way.
    return highWater === 0 ? null : (left) => Math.min(left, highWater);
  }
  if (typeof chunks === "function") {
    return chunks;
  }
  if (!(Number.isInteger(chunks) && chunks > 0)) {
    throw new ValueError(
      `${caller}: chunks must be a whole number of bytes above 0, or a function that returns one, got ${String(chunks)}`,
    );
  }
  return () => chunks;
}
