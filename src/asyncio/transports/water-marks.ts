/** The low and high marks of a write buffer: their defaults, and the check of `setWriteBufferLimits()`. */
import { ValueError } from "../../errors.ts";
import { repr } from "../../repr.ts";
import { checkOptions } from "../arguments.ts";

/** The default high mark: above this many bytes the owner is asked to stop writing. */
export const HIGH_WATER: number = 64 * 1024;
/** The default high mark with TLS, in bytes. */
export const HIGH_WATER_TLS: number = 512 * 1024;

/** The low and high marks of a write buffer, in bytes. */
export interface WriteBufferLimits {
  /** Above this many bytes the protocol is asked to stop writing. @default 65536, or four times `low` */
  high?: number | undefined;
  /** At or below this many bytes the protocol may resume. @default a quarter of `high` */
  low?: number | undefined;
}

/** @param standard - The high mark if none is given. */
export function marksOf(limits: WriteBufferLimits, standard: number): [low: number, high: number] {
  checkOptions("setWriteBufferLimits()", limits, ["high", "low"]);
  const { high, low } = limits;
  for (const [name, value] of [
    ["high", high],
    ["low", low],
  ] as const) {
    if (value !== undefined && typeof value !== "number") {
      throw new TypeError(`${name} must be a number of bytes, got ${repr(value)}`);
    }
  }
  const highMark = high ?? (low === undefined ? standard : 4 * low);
  const lowMark = low ?? Math.floor(highMark / 4);
  if (!(highMark >= lowMark && lowMark >= 0)) {
    throw new ValueError(`high (${highMark}) must be >= low (${lowMark}) must be >= 0`);
  }
  return [lowMark, highMark];
}
