/**
 * Python's `repr()`, as far as error messages and `String(x)` of this package need it.
 *
 * `util.inspect` is not used because the `contextvars` entry imports no Node module except `node:async_hooks`, and
 * because `util.inspect` prints values in JavaScript's notation, over several lines.
 */

const inspectCustom: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

export { inspectCustom };

/** The base of objects that `console.log()` and `util.inspect()` show as their `toString()`. */
export abstract class Inspectable {
  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }
}

/** The containers that are being printed right now: a container inside itself prints as `...`. */
const printing = new Set<object>();

const namedEscapes: Readonly<Record<number, string>> = { 9: "\\t", 10: "\\n", 13: "\\r", 39: "\\'", 92: "\\\\" };

interface Addresses {
  readonly known: WeakMap<object, number>;
  next: number;
}

const addressesKey = Symbol.for("contextvars.addresses.1");

/** All installed copies share the addresses, so that tools can tell the tasks of several copies apart. */
function sharedAddresses(): Addresses {
  const slots = globalThis as { [addressesKey]?: Addresses };
  slots[addressesKey] ??= { known: new WeakMap(), next: 0x7f00_0000_1000 };
  return slots[addressesKey];
}

/** A text such as `0x7f0000001000` in place of the object's address, always the same for the same object. */
export function addressOf(object: object): string {
  const addresses = sharedAddresses();
  let address = addresses.known.get(object);
  if (address === undefined) {
    address = addresses.next;
    addresses.next += 0x40;
    addresses.known.set(object, address);
  }
  return `0x${address.toString(16)}`;
}

/**
 * Returns the object's text, made by the function; or `placeholder` if that text is already being made, since objects may
 * refer to each other.
 */
export function guardRecursion(object: object, placeholder: string, text: () => string): string {
  if (printing.has(object)) {
    return placeholder;
  }
  printing.add(object);
  try {
    return text();
  } finally {
    printing.delete(object);
  }
}

/** How much is shown of a value of any size, as in Python's `reprlib`: characters of text, items of an array. */
const SHORT_TEXT = 30;
const SHORT_LIST = 6;

/** Like `repr()`, but returns the class and address of a value whose `repr()` throws, as Python's `reprlib` does. */
export function safeRepr(value: unknown, print: (value: unknown) => string = repr): string {
  try {
    return print(value);
  } catch {
    const object = Object(value) as object;
    return `<${className(object)} instance at ${addressOf(object)}>`;
  }
}

/** The text of an object: its name and the parts that are not empty, in angle brackets. */
export function angled(...parts: string[]): string {
  return `<${parts.filter((part) => part !== "").join(" ")}>`;
}

/** Like `repr()`, but a long text is reduced to its beginning and end. */
export function shortRepr(value: unknown): string {
  if (Array.isArray(value)) {
    return guardRecursion(value, "[...]", () => {
      const more = value.length > SHORT_LIST ? ["..."] : [];
      return `[${[...value.slice(0, SHORT_LIST).map(shortRepr), ...more].join(", ")}]`;
    });
  }
  const [before, after] = [13, 14];
  const text = repr(typeof value === "string" || isBytes(value) ? ends(value, SHORT_TEXT, 0) : value);
  if (text.length <= SHORT_TEXT) {
    return text;
  }
  const rest = typeof value === "string" || isBytes(value) ? repr(ends(value, before, after)) : text;
  return `${rest.slice(0, before)}...${rest.slice(-after)}`;
}

function ends(value: string | Uint8Array, before: number, after: number): string | Uint8Array {
  if (value.length <= before + after) {
    return value;
  }
  const [start, end] = [value.slice(0, before), value.slice(value.length - after)];
  return typeof start === "string" ? `${start}${end}` : new Uint8Array([...start, ...(end as Uint8Array)]);
}

/** The function's name without the prefix that `bind()` adds, or `nameless` if it has no name. */
export function functionName(named: { readonly name: unknown }, nameless = "anonymous"): string {
  return nameOf(named)?.replace(/^(?:bound )+/, "") || nameless;
}

/** The `name` if it is a string, otherwise `undefined`: a name may be any value, and reading it may throw. */
export function nameOf(named: { readonly name: unknown }): string | undefined {
  try {
    const { name } = named;
    return typeof name === "string" ? name : undefined;
  } catch {
    return undefined;
  }
}

/** The name of the object's class, or `object` if it has none. */
export function className(object: object): string {
  try {
    return functionName(object.constructor, "object");
  } catch {
    return "object";
  }
}

/** Like `value instanceof someClass`, but returns `false` if the test throws, as it may for a Proxy. */
export function isA<T>(value: unknown, someClass: abstract new (...args: never) => T): value is T {
  try {
    return value instanceof someClass;
  } catch {
    return false;
  }
}

/** Whether the value is a Uint8Array, also of another realm: in Jest with jsdom, for example, Node's Buffers are. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || (ArrayBuffer.isView(value) && tagOf(value) === "Uint8Array");
}

function tagOf(view: ArrayBufferView): unknown {
  return (view as Uint8Array)[Symbol.toStringTag];
}

/** The name of an error, or the `typeof` of a thrown value that is not an error. */
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

/**
 * Quotes a text as Python does: in single quotes, unless double quotes avoid escaping, and with unprintable characters
 * escaped.
 */
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
  if (isBytes(value)) {
    return bytesRepr(value);
  }
  const text = (value as { toString?: unknown }).toString;
  if (typeof text === "function" && text !== Object.prototype.toString) {
    return String(value);
  }
  return `<${className(value)} object at ${addressOf(value)}>`;
}

function container(value: object, open: string, items: () => string[], close: string): string {
  return guardRecursion(value, `${open}...${close}`, () => `${open}${items().join(", ")}${close}`);
}

function bytesRepr(bytes: Uint8Array): string {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return `b${quoted(text, /[\\'\p{Cc}\u00a0-\u00ff]/gu)}`;
}
