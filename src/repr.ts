/**
 * Python's `repr()`, as far as error messages and `String(x)` of this package need it.
 *
 * It is written here instead of taken from `node:util` because the `contextvars` entry touches no Node module but
 * `node:async_hooks`, and because `util.inspect` shows a value as JavaScript writes it, over several lines.
 */

const inspectCustom: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

export { inspectCustom };

/** The containers that are being printed right now: one that contains itself prints as `...`. */
const printing = new Set<object>();

const namedEscapes: Readonly<Record<number, string>> = { 9: "\\t", 10: "\\n", 13: "\\r", 39: "\\'", 92: "\\\\" };

const addresses = new WeakMap<object, number>();
let nextAddress = 0x7f00_0000_1000;

/** The text `0x7f0000001000`: stands for the object's address, the same each time for the same object. */
export function addressOf(object: object): string {
  let address = addresses.get(object);
  if (address === undefined) {
    address = nextAddress;
    nextAddress += 0x40;
    addresses.set(object, address);
  }
  return `0x${address.toString(16)}`;
}

/** The text that the function makes of the object, or `again` while it is being made already: objects refer to each other. */
export function unlessPrinting(object: object, again: string, text: () => string): string {
  if (printing.has(object)) {
    return again;
  }
  printing.add(object);
  try {
    return text();
  } finally {
    printing.delete(object);
  }
}

/** So much is shown of a value that may be of any size, as by Python's `reprlib`. */
const SHORT_TEXT = 30;
const SHORT_LIST = 6;

/** As `repr()`, but for a value whose text cannot be made, as by Python's `reprlib`: its class and its address. */
export function safeRepr(value: unknown, print: (value: unknown) => string = repr): string {
  try {
    return print(value);
  } catch {
    const object = Object(value) as object;
    return `<${className(object)} instance at ${addressOf(object)}>`;
  }
}

/** As `repr()`, but never long: the beginning and the end. */
export function shortRepr(value: unknown): string {
  if (Array.isArray(value)) {
    return unlessPrinting(value, "[...]", () => {
      const more = value.length > SHORT_LIST ? ["..."] : [];
      return `[${[...value.slice(0, SHORT_LIST).map(shortRepr), ...more].join(", ")}]`;
    });
  }
  const [before, after] = [13, 14];
  const text = repr(typeof value === "string" || value instanceof Uint8Array ? ends(value, SHORT_TEXT, 0) : value);
  if (text.length <= SHORT_TEXT) {
    return text;
  }
  const rest = typeof value === "string" || value instanceof Uint8Array ? repr(ends(value, before, after)) : text;
  return `${rest.slice(0, before)}...${rest.slice(-after)}`;
}

function ends(value: string | Uint8Array, before: number, after: number): string | Uint8Array {
  if (value.length <= before + after) {
    return value;
  }
  const [start, end] = [value.slice(0, before), value.slice(value.length - after)];
  return typeof start === "string" ? `${start}${end}` : new Uint8Array([...start, ...(end as Uint8Array)]);
}

/** The function's name, without the word that `bind()` puts before it; or the text for a function without a name. */
export function functionName(named: { readonly name: unknown }, nameless = "anonymous"): string {
  return nameOf(named)?.replace(/^(?:bound )+/, "") || nameless;
}

/** The `name`, if it is a string: it may be anything, and the getter of it, or a Proxy, may throw. */
export function nameOf(named: { readonly name: unknown }): string | undefined {
  try {
    const { name } = named;
    return typeof name === "string" ? name : undefined;
  } catch {
    return undefined;
  }
}

/** The name of the object's class, or `object` where it has none. */
export function className(object: object): string {
  try {
    return functionName(object.constructor, "object");
  } catch {
    return "object";
  }
}

/** As `value instanceof someClass`, except that a Proxy, which a program may throw, cannot make it throw. */
export function isA<T>(value: unknown, someClass: abstract new (...args: never) => T): value is T {
  try {
    return value instanceof someClass;
  } catch {
    return false;
  }
}

/** The name of an error, or the type of what was thrown instead of one. */
export function errorName(error: unknown): string {
  return (isA(error, Error) ? nameOf(error) : undefined) ?? typeof error;
}

/** The value as Python's `repr()` would write it, on one line. */
export function repr(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quoted(value);
    case "bigint":
      return `${value}n`;
    case "function":
      return `<function ${functionName(value, "<anonymous>")}>`;
    case "object":
      return value === null ? "null" : objectRepr(value);
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}

/** Single quotes unless only double quotes save escaping, and escapes for what does not print, as Python chooses them. */
function quoted(text: string, escapeThese = /(?! )[\\'\p{C}\p{Z}]/gu): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(escapeThese, (character) =>
    character === "'" && quote === '"' ? character : escapeOf(character.codePointAt(0) ?? 0),
  );
  return quote + escaped + quote;
}

function escapeOf(code: number): string {
  const hex = (digits: number): string => code.toString(16).padStart(digits, "0");
  return namedEscapes[code] ?? (code <= 0xff ? `\\x${hex(2)}` : code <= 0xffff ? `\\u${hex(4)}` : `\\U${hex(8)}`);
}

function objectRepr(value: object): string {
  if (Array.isArray(value)) {
    return container(value, "[", () => value.map(repr), "]");
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    return container(
      value,
      "{",
      () => Object.entries(value).map(([key, item]) => `${quoted(key)}: ${repr(item)}`),
      "}",
    );
  }
  if (value instanceof Error) {
    return `${value.name}(${quoted(String(value.message))})`;
  }
  if (value instanceof Uint8Array) {
    return bytesRepr(value);
  }
  const text = (value as { toString?: unknown }).toString;
  if (typeof text === "function" && text !== Object.prototype.toString) {
    return String(value);
  }
  return `<${className(value)} object at ${addressOf(value)}>`;
}

function container(value: object, open: string, items: () => string[], close: string): string {
  return unlessPrinting(value, `${open}...${close}`, () => `${open}${items().join(", ")}${close}`);
}

function bytesRepr(bytes: Uint8Array): string {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return `b${quoted(text, /[\\'\p{Cc}\u00a0-\u00ff]/gu)}`;
}
