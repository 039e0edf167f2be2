/** checkStreams: whether readers and writers keep what asyncio's promise, check by check. */
import { AssertionError } from "node:assert";
import * as asyncio from "../asyncio/index.ts";
import {
  checkBooleans,
  checkFunction,
  checkOptions,
  checkPositiveSeconds,
  checkWholeNumber,
  ReportedUnlessAwaited,
} from "../asyncio/seam.ts";
import { ValueError } from "../contextvars/index.ts";
import type { StreamPair } from "./memory-streams.ts";
import { type Check, type Ends, makeClogged, oneWayChecks, type StreamMaker, twoWayChecks } from "./stream-checks.ts";
import { halfCloseChecks, waitChecks } from "./stream-wait-checks.ts";

/** Options of {@linkcode checkStreams}. */
export interface CheckStreamsOptions {
  /**
   * Makes two ends of which the first has been written to until its `drain()` waits.
   *
   * @default a pair of `maker`, into which so much is written
   */
  clogged?: StreamMaker | undefined;
  /** Whether `writeEof()` is to work, and the other direction to go on then. @default true */
  halfClose?: boolean | undefined;
  /** That of the readers, in bytes. @default 65536 */
  limit?: number | undefined;
  /** How long one check may take, in seconds of the loop's clock; then it has failed. @default 10 */
  timeout?: number | undefined;
}

/**
 * Checks that the streams keep what asyncio's promise: about a hundred checks, each with a pair of its own, in both
 * directions.
 *
 * They are those of trio's contract checker in asyncio's terms: what reads and writes take and give, EOF, closing and
 * resets from either side, back-pressure, half-close, bytes both ways at once, and that every wait ends. On top: every split
 * of the input gives the same reads, what an error leaves in the buffer, that a cancelled read keeps all bytes, limits.
 *
 * By a `MockClock` with connections in memory, a check that hangs fails at once.
 *
 * Python: has no such function; trio has `trio.testing.check_half_closeable_stream()`.
 *
 * @param maker - Makes two ends that are connected with each other. They are aborted after each check.
 * @throws {AssertionError} Of `node:assert`, at the first check that fails; the message begins with its name.
 * @throws {TypeError} If `maker` is not a function, or an option has the wrong type or an unknown name.
 * @throws {ValueError} If `limit` or `timeout` is not above 0.
 * @throws What `maker` throws.
 *
 * @example A pair of sockets
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { checkStreams } from "contextvars/testing";
 *
 * await checkStreams(async () => {
 *   const [near, far] = await asyncio.socketpair();
 *   return [await asyncio.openConnection({ sock: near }), await asyncio.openConnection({ sock: far })];
 * });
 * ```
 */
export function checkStreams(maker: StreamMaker, options: CheckStreamsOptions = {}): Promise<void> {
  return new ReportedUnlessAwaited(runChecks(maker, options));
}

async function runChecks(maker: StreamMaker, options: CheckStreamsOptions): Promise<void> {
  checkFunction("checkStreams()", maker);
  checkOptions("checkStreams()", options, ["clogged", "halfClose", "limit", "timeout"]);
  const { clogged, halfClose = true, limit = 65536, timeout = 10 } = options;
  if (clogged !== undefined) {
    checkFunction("checkStreams(): clogged", clogged);
  }
  checkBooleans(options, ["halfClose"]);
  checkPositiveSeconds("timeout", timeout);
  checkWholeNumber("limit", limit);
  if (limit <= 0) {
    throw new ValueError(`checkStreams(): limit must be a number of bytes above 0, got ${limit}`);
  }
  const settings = { limit };
  const run = async (check: Check, make: StreamMaker, swap: boolean): Promise<void> => {
    const [first, second] = await make();
    const ends = swap ? endsOf(second, first) : endsOf(first, second);
    const name = swap ? `${check.name} (from the second end)` : check.name;
    try {
      await asyncio.waitFor(() => check.run(ends, settings), timeout);
    } catch (error) {
      throw named(name, error, timeout);
    } finally {
      ends.writer.transport.abort();
      ends.farWriter.transport.abort();
    }
  };
  for (const check of [...oneWayChecks, ...twoWayChecks, ...(halfClose ? halfCloseChecks : [])]) {
    await run(check, maker, false);
    await run(check, maker, true);
  }
  const makeHeld =
    clogged ??
    (async () => {
      const ends = await maker();
      return await makeClogged(ends).catch((error) => {
        throw named("the writer is held while nobody reads", error, timeout);
      });
    });
  for (const check of waitChecks.filter(({ needsHalfClose }) => halfClose || needsHalfClose !== true)) {
    await run(check, makeHeld, false);
  }
}

function endsOf([reader, writer]: StreamPair, [farReader, farWriter]: StreamPair): Ends {
  return { reader, writer, farReader, farWriter };
}

/** The error with the name of the check in front. */
function named(name: string, error: unknown, timeout: number): AssertionError {
  const text =
    error instanceof AssertionError
      ? error.message
      : error instanceof asyncio.TimeoutError
        ? `it has not ended after ${timeout} seconds`
        : `it has thrown ${String(error)}`;
  const failed = new AssertionError({ message: `checkStreams(): ${name}: ${text}`, operator: "checkStreams" });
  failed.cause = error;
  return failed;
}
