/** The registry of the variables that cross, with their keys and codecs. */
import { type ContextVar, copyContext, ValueError } from "../contextvars/index.ts";
import { isKey } from "./baggage.ts";

/** Converts a value to text and back. A function throws if the value cannot be written, or the text is not a value. */
export interface Codec<T> {
  encode(value: T): string;
  decode(text: string): T;
}

/** Options of `propagated()`. */
export interface PropagatedOptions<T> {
  /** The name in the carrier: letters, digits and ``!#$%&'*+-.^_`|~``. @default the variable's name */
  key?: string | undefined;
  /** `"text"` for strings, `"json"` for values that JSON can represent, or your own functions. @default "text" */
  codec?: "text" | "json" | Codec<T> | undefined;
  /** The longest encoded value, in bytes. @default 1024 */
  maxLength?: number | undefined;
}

/**
 * The options of `propagated()`: values that are not strings need a codec.
 *
 * @inline
 */
type PropagatedArguments<T> = [string] extends [T]
  ? [options?: PropagatedOptions<T>]
  : [options: PropagatedOptions<T> & { readonly codec: "json" | Codec<T> }];

/** A variable that crosses. */
export interface Entry {
  readonly variable: ContextVar<unknown>;
  readonly key: string;
  readonly codec: Codec<unknown>;
  readonly maxLength: number;
}

/** By key, in the order of registration. */
export const registered: Map<string, Entry> = new Map();

const textCodec: Codec<unknown> = {
  encode(value) {
    if (typeof value !== "string") {
      throw new TypeError(`codec "text" needs a string, got ${typeof value}; use codec "json" or your own codec`);
    }
    return value;
  },
  decode: (text) => text,
};

const jsonCodec: Codec<unknown> = {
  encode(value) {
    const text: string | undefined = JSON.stringify(value);
    if (text === undefined) {
      throw new TypeError(`codec "json" cannot write a value of type ${typeof value}`);
    }
    return text;
  },
  decode: (text) => JSON.parse(text) as unknown,
};

/**
 * Names a variable that crosses to other processes, and returns the variable.
 *
 * From then on `inject()` writes its value if it is set, and `extract()` reads it. Never name a variable that holds a
 * secret: its value leaves the process.
 *
 * Python: has no counterpart.
 *
 * @throws {TypeError} If `variable` is not a ContextVar, or an option has the wrong type or an unknown name.
 * @throws {ValueError} If the key is not a token of RFC 7230, if it is taken (code `ERR_KEY_TAKEN`), or if `maxLength` is
 * not a whole number above 0.
 *
 * @example A variable whose values are not strings
 * ```ts
 * import { ContextVar } from "contextvars";
 * import { extract, propagated } from "contextvars/propagate";
 * import assert from "node:assert/strict";
 *
 * const flags = propagated(new ContextVar<string[]>("flags", { default: [] }), { key: "app.flags", codec: "json" });
 * const context = extract({ baggage: "app.flags=%5B%22beta%22%5D" });
 * assert.deepEqual(context.get(flags), ["beta"]);
 * ```
 */
export function propagated<T>(variable: ContextVar<T>, ...[options = {}]: PropagatedArguments<T>): ContextVar<T> {
  // Throws unless the argument is a ContextVar, from any installed copy.
  copyContext().has(variable as ContextVar<unknown>);
  checkOptions("propagated()", options, OPTION_NAMES);
  const { key = variable.name, codec = "text", maxLength = 1024 } = options;
  if (typeof key !== "string" || !isKey(key)) {
    throw new ValueError(`propagated(): key must be letters, digits and !#$%&'*+-.^_\`|~, got ${JSON.stringify(key)}`);
  }
  if (registered.has(key)) {
    throw new ValueError(`propagated(): key "${key}" is taken by ${registered.get(key)?.variable}; pass another key`, {
      code: "ERR_KEY_TAKEN",
    });
  }
  if (!Number.isInteger(maxLength) || maxLength < 1) {
    throw new ValueError(`propagated(): maxLength must be a whole number of bytes above 0, got ${maxLength}`);
  }
  registered.set(key, {
    variable: variable as ContextVar<unknown>,
    key,
    codec: codecOf(codec as PropagatedOptions<unknown>["codec"]),
    maxLength,
  });
  return variable;
}

function codecOf(codec: PropagatedOptions<unknown>["codec"]): Codec<unknown> {
  if (codec === "text") {
    return textCodec;
  }
  if (codec === "json") {
    return jsonCodec;
  }
  if (typeof codec?.encode !== "function" || typeof codec.decode !== "function") {
    throw new TypeError(
      `propagated(): codec must be "text", "json" or { encode, decode }, got ${typeof codec === "string" ? `"${codec}"` : typeof codec}`,
    );
  }
  return codec;
}

const OPTION_NAMES = ["key", "codec", "maxLength"];

/** Throws if there is an option that the function does not have. */
export function checkOptions(caller: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`${caller}: options must be an object, got ${typeof options}`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new TypeError(`${caller} got an unexpected option '${unknown}'; known options: ${known.join(", ")}`);
  }
}
