/** What the checks of streams have in common: two ends for each check, and the means to wait for bytes. */
import type * as asyncio from "../asyncio/index.ts";
import { waitAllTasksBlocked } from "./blocked.ts";
import { failure } from "./stream-expectations.ts";

/** Creates two ends that are connected to each other; called for each check. */
export type StreamMaker = () =>
  | readonly [asyncio.StreamPair, asyncio.StreamPair]
  | PromiseLike<readonly [asyncio.StreamPair, asyncio.StreamPair]>;

/** The two ends: `farReader` reads the bytes that `writer` writes. */
export interface Ends {
  readonly reader: asyncio.StreamReader;
  readonly writer: asyncio.StreamWriter;
  readonly farReader: asyncio.StreamReader;
  readonly farWriter: asyncio.StreamWriter;
}

/** A check of one behaviour of streams. */
export interface Check {
  readonly name: string;
  /** @param settings - `limit`: the readers' limit, in bytes. */
  readonly run: (ends: Ends, settings: { readonly limit: number }) => Promise<void>;
  readonly needsHalfClose?: boolean;
}

/** Long enough for written bytes to arrive, in real seconds. */
export const A_MOMENT = 0.01;

/** Waits until written bytes have arrived. */
export async function arrival(): Promise<void> {
  await waitAllTasksBlocked({ cushion: A_MOMENT });
}

const CLOG_PIECE = 2 ** 20; // bytes
const MOST_CLOG = 64; // pieces

/** Writes at the first end until its `drain()` waits. */
export async function makeClogged<T extends readonly [asyncio.StreamPair, asyncio.StreamPair]>(ends: T): Promise<T> {
  const [[, writer]] = ends;
  for (let i = 0; i < MOST_CLOG; i++) {
    writer.write(Buffer.alloc(CLOG_PIECE, "clog"));
    let size: number;
    // A busy machine may pass a moment without sending what there is room for.
    do {
      size = writer.transport.getWriteBufferSize();
      await arrival();
    } while (writer.transport.getWriteBufferSize() < size);
    if (writer.needsDrain) {
      return ends;
    }
  }
  throw failure(`needsDrain after ${MOST_CLOG} MiB that nobody reads`, "true", false);
}
