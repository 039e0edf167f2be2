/** Checks of the arguments of reads, and their errors. */
import { Buffer } from "node:buffer";
import { ValueError } from "../../errors.ts";
import { isBytes, repr } from "../../repr.ts";
import { checkOptions, refused } from "../arguments.ts";
import { type Separators, separators } from "../bytes/separator.ts";

/** A separator: bytes, or a string, which is encoded as UTF-8. */
export type Separator = Uint8Array | string;

/** Returns the limit if it is a positive number of bytes; otherwise throws. */
export function checkedLimit(limit: number): number {
  if (typeof limit !== "number" || Number.isNaN(limit)) {
    throw new TypeError(`limit must be a number of bytes, got ${repr(limit)}`);
  }
  if (limit <= 0) {
    throw new ValueError(`Limit cannot be <= 0, got ${limit}`);
  }
  return limit;
}

/** The error for an invalid number of bytes; `null` if the number is valid. */
export function checkSize(method: string, n: number): Error | null {
  if (!Number.isInteger(n)) {
    return new TypeError(`${method}(): n must be an integer, got ${refused("n", n)}`);
  }
  return n < 0 ? new ValueError(`${method} size can not be less than zero, got ${n}`) : null;
}

/** Returns the option of `readInto()`; throws if the target has no room for as many bytes. */
export function checkedMin(target: Uint8Array, options: { readonly min?: number | undefined }): number {
  checkOptions("readInto()", options, ["min"]);
  const { min = 1 } = options;
  if (!isBytes(target)) {
    throw new TypeError(`readInto(): target must be a Uint8Array, got ${repr(target)}`);
  }
  if (!Number.isInteger(min) || min < 1 || min > target.length) {
    throw new ValueError(
      `readInto(): min must be from 1 to the size of the target, ${target.length}, got ${repr(min)}`,
    );
  }
  return min;
}

/** Converts one separator or several, as the call got them, into the form that the search takes. */
export function toSeparators(caller: string, separator: Separator | readonly Separator[]): Separators {
  const list = typeof separator === "string" || isBytes(separator) ? [separator] : separator;
  if (!Array.isArray(list)) {
    throw new TypeError(
      `${caller}: separator must be bytes, a string or an array of them, got ${refused("separator", separator)}`,
    );
  }
  if (list.length === 0) {
    throw new ValueError("Separator should contain at least one element");
  }
  const needles = (list as readonly Separator[]).map((each) => {
    if (typeof each !== "string" && !isBytes(each)) {
      throw new TypeError(`${caller}: each separator must be bytes or a string, got ${repr(each)}`);
    }
    return Buffer.from(each as string);
  });
  if (needles.some((needle) => needle.length === 0)) {
    throw new ValueError("Separator should be at least one-byte string");
  }
  return separators(needles);
}
