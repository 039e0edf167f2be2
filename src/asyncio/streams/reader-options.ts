/** What a reader that is made for a connection can be told. */
import { StreamReader } from "./reader.ts";

/** Options of a reader that is made for a connection. */
export interface ReaderOptions {
  /** Of the reader, in bytes. @default 65536 */
  limit?: number | undefined;
  /** How long a read may wait, in seconds; then it throws a TimeoutError. @default as long as it takes */
  readTimeout?: number | undefined;
}

export const READER_OPTIONS: readonly string[] = ["limit", "readTimeout"];

/** @throws {ValueError} If an option is out of range. */
export function readerWith({ limit, readTimeout }: ReaderOptions): StreamReader {
  const reader = new StreamReader({ limit });
  reader._setReadTimeout(readTimeout);
  return reader;
}
