/** Options of a reader for a connection. */
import { StreamReader } from "./reader.ts";

/** Options of a reader that is created for a connection. */
export interface ReaderOptions {
  /** The reader's limit, in bytes; see StreamReader. @default 65536 */
  limit?: number | undefined;
  /** How long a read may wait, in seconds, before it throws a TimeoutError. @default no limit */
  readTimeout?: number | undefined;
}

export const READER_OPTIONS: readonly string[] = ["limit", "readTimeout"];

/** @throws {ValueError} If an option is out of range. */
export function readerWith({ limit, readTimeout }: ReaderOptions): StreamReader {
  const reader = limit === undefined ? new StreamReader() : new StreamReader({ limit });
  reader._intake.setTimeout(readTimeout);
  return reader;
}
