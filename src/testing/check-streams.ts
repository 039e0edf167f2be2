/** checkStreams: checks whether readers and writers behave like asyncio's. */
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
import { type Check, type Ends, makeClogged, type StreamMaker } from "./stream-checks.ts";
import { closeChecks } from "./stream-close-checks.ts";
import { readChecks } from "./stream-read-checks.ts";
import { halfCloseChecks, waitChecks } from "./stream-wait-checks.ts";

/** Options of {@linkcode checkStreams}. */
export interface CheckStreamsOptions {
  /**
   * Creates two ends, of which the first has been written to until its `drain()` waits.
   *
   * @default a pair from `maker`, which is then written to
   */
  clogged?: StreamMaker | undefined;
  /** Whether to expect that `writeEof()` works and the other direction continues afterwards. @default true */
  halfClose?: boolean | undefined;
  /** The readers' limit, in bytes. @default 65536 */
  limit?: number | undefined;
  /** How long one check may take before it fails, in seconds of the loop's clock. @default 10 */
  timeout?: number | undefined;
}

/**
 * Checks that the streams behave like asyncio's: 53 checks, most of them in both directions, each with its own pair.
 *
 * They are trio's stream checks in asyncio's terms: arguments and results of reads and writes, EOF, closing and resets
 * from either side, back-pressure, half-close, bytes in both directions at the same time, and that every wait ends. In
 * addition: every split of the input gives the same reads, the bytes that an error leaves in the buffer, that a
 * cancelled read keeps all bytes, and limits.
 *
 * With a `MockClock` and connections in memory, a check that hangs fails immediately.
 *
 * Python: has no such function; trio has `trio.testing.check_half_closeable_stream()`.
 *
 * @param maker - Creates two ends that are connected to each other. They are aborted after each check.
 * @throws {AssertionError} Of `node:assert`, at the first check that fails; the message begins with its name.
 * @throws {TypeError} If `maker` is not a function, or an option has the wrong type or an unknown name.
 * @throws {ValueError} If `limit` or `timeout` is not above 0.
 * @throws The errors of `maker`.
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
    throw new ValueError(`checkStreams(): limit must be a positive number of bytes, got ${limit}`);
  }
  const settings = { limit };
  const run = async (check: Check, make: StreamMaker, swap: boolean): Promise<void> => {
    const [first, second] = checkedEnds(await make());
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
  for (const check of [...readChecks, ...closeChecks, ...(halfClose ? halfCloseChecks : [])]) {
    await run(check, maker, false);
    await run(check, maker, true);
  }
  const makeHeld =
    clogged ??
    (async () => {
      const ends = checkedEnds(await maker());
      return await makeClogged(ends).catch((error) => {
        throw named("drain() waits while the other side does not read", error, timeout);
      });
    });
  for (const check of waitChecks.filter(({ needsHalfClose }) => halfClose || needsHalfClose !== true)) {
    await run(check, makeHeld, false);
  }
}

function checkedEnds<E extends readonly asyncio.StreamPair[]>(ends: E): E {
  const isPair = (value: unknown): boolean => Array.isArray(value) && value.length === 2;
  if (!isPair(ends) || !ends.every(isPair)) {
    throw new TypeError("checkStreams(): the result of maker must be [[reader, writer], [reader, writer]]");
  }
  return ends;
}

function endsOf([reader, writer]: asyncio.StreamPair, [farReader, farWriter]: asyncio.StreamPair): Ends {
  return { reader, writer, farReader, farWriter };
}

/** Returns the error with the name of the check as a prefix. */
function named(name: string, error: unknown, timeout: number): AssertionError {
  const text =
    error instanceof AssertionError
      ? error.message
      : error instanceof asyncio.TimeoutError
        ? `it did not end within ${timeout} seconds`
        : `it threw ${String(error)}`;
  const failed = new AssertionError({ message: `checkStreams(): ${name}: ${text}`, operator: "checkStreams" });
  failed.cause = error;
  return failed;
}
