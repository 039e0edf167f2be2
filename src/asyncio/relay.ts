/** relay: passes the data of two connections to each other. */
import { repr } from "../repr.ts";
import { passedHere, quiet } from "./async-stacks.ts";
import { gather } from "./combinators.ts";
import { createTask } from "./create-task.ts";
import type { ReadBuffer, Taker } from "./streams/read-buffer.ts";
import { StreamReader } from "./streams/reader.ts";
import { StreamWriter } from "./streams/writer.ts";

/** The reader and the writer of a connection, or of two pipes used as one. */
export type StreamPair = readonly [reader: StreamReader, writer: StreamWriter];

/**
 * Sends the data of each connection to the other one, until both have sent their EOF.
 *
 * The EOF of one side is passed on, and the other direction continues. A side that receives slowly slows the other one
 * down. Both connections are closed afterwards, and `relay()` ends when everything written has been sent. An error in
 * one direction ends both immediately; the connections are closed, and bytes written to the other side are still sent.
 * A cancellation does the same. While `relay()` runs, no other code can read from the connections.
 *
 * Python: has no such function.
 *
 * @returns The number of bytes sent from the first to the second, and from the second to the first.
 * @throws The error of the connection that fails.
 * @throws {RuntimeError} If other code reads from one of them, or both are the same.
 * @throws {TypeError} If a side is not an array of a StreamReader and a StreamWriter.
 *
 * @example A proxy
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const echo = await asyncio.startServer(async (reader, writer) => {
 *   writer.write(await reader.read());
 *   writer.close();
 * }, "127.0.0.1", 0);
 * const target = echo.sockets[0]!.getsockname();
 * const proxy = await asyncio.startServer(async (reader, writer) => {
 *   const there = await asyncio.openConnection(target.address, target.port);
 *   await asyncio.relay([reader, writer], there);
 * }, "127.0.0.1", 0);
 *
 * const [reader, writer] = await asyncio.openConnection("127.0.0.1", proxy.sockets[0]!.getsockname().port);
 * writer.write("hello");
 * writer.writeEof();
 * assert.equal(String(await reader.read()), "hello");
 * writer.close();
 * proxy.close();
 * echo.close();
 * ```
 */
export function relay(first: StreamPair, second: StreamPair): Promise<[firstToSecond: number, secondToFirst: number]> {
  return quiet(join(first, second));
}

async function join(first: StreamPair, second: StreamPair): Promise<[number, number]> {
  const [reader1, writer1] = checkedPair("first", first);
  const [reader2, writer2] = checkedPair("second", second);
  reader1._intake.lock("relay()");
  try {
    reader2._intake.lock("relay()");
  } catch (error) {
    reader1._intake.unlock();
    throw error;
  }
  const close = (): void => {
    writer1.close();
    writer2.close();
  };
  let directions = 2;
  const direction = async (reader: StreamReader, writer: StreamWriter): Promise<number> => {
    const count = await pump(reader, writer);
    directions -= 1;
    if (directions === 0) {
      close();
    }
    return count;
  };
  const tasks = [
    createTask(() => direction(reader1, writer2)),
    createTask(() => direction(reader2, writer1)),
    // A connection may be lost while both directions wait for the other connection.
    createTask(() => writer1.waitClosed()),
    createTask(() => writer2.waitClosed()),
  ] as const;
  try {
    const [there, back] = await gather(tasks);
    return [there, back];
  } catch (error) {
    throw passedHere(error);
  } finally {
    for (const task of tasks) {
      task.cancel();
    }
    reader1._intake.unlock();
    reader2._intake.unlock();
    close();
  }
}

/** Sends everything from the reader to the writer, then an EOF; returns the number of bytes. */
async function pump(reader: StreamReader, writer: StreamWriter): Promise<number> {
  const { _intake: intake } = reader;
  const passing = new Passing(writer, intake.hasTimeout);
  while ((await intake.lockedRead(passing)) !== "ended") {
    if (writer.needsDrain) {
      await writer.drain();
    }
  }
  writer.writeEof();
  return passing.count;
}

/**
 * A single read for many chunks: it writes each chunk when it arrives, and ends when it has to wait for room, or at
 * EOF.
 */
class Passing implements Taker {
  readonly method = "relay";
  readonly owner = "";
  readonly #writer: StreamWriter;
  /** Whether to end after each chunk, so that the time limit of a read applies to the pause between chunks. */
  readonly #endsEachTime: boolean;
  count = 0;

  constructor(writer: StreamWriter, endsEachTime: boolean) {
    this.#writer = writer;
    this.#endsEachTime = endsEachTime;
  }

  take(buffer: ReadBuffer): "ended" | "paused" | null {
    const before = this.count;
    for (let chunk = buffer.takeChunk(); chunk !== null; chunk = buffer.takeChunk()) {
      this.count += chunk.length;
      this.#writer.write(chunk);
      if (this.#writer.needsDrain) {
        return "paused";
      }
    }
    if (this.#endsEachTime && this.count > before) {
      return "paused";
    }
    return buffer.ended() ? "ended" : null;
  }
}

function checkedPair(name: string, pair: StreamPair): StreamPair {
  if (!Array.isArray(pair) || !(pair[0] instanceof StreamReader) || !(pair[1] instanceof StreamWriter)) {
    throw new TypeError(`relay(): ${name} must be [reader, writer], got ${repr(pair)}`);
  }
  return pair as unknown as StreamPair;
}
