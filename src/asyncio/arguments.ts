/**
 * Checks of arguments: one wording for each kind, so that every function refuses the same mistake in the same words.
 *
 * A message reads "NAME must be WHAT, got VALUE". NAME is the name of an option, or an argument after its function, as
 * in "sleep(): delay".
 */
import { Buffer } from "node:buffer";
import { isContext } from "../contextvars/context.ts";
import { checkAttached } from "../contextvars/detached.ts";
import { ValueError } from "../errors.ts";
import { isBytes, safeRepr as repr } from "../repr.ts";
import { nodeUtil } from "./on-demand.ts";

/** Throws if there is an option that the function does not have, as Python does for keyword arguments. */
export function checkOptions(caller: string, options: unknown, known: readonly string[]): void {
  if (options === undefined) {
    return;
  }
  if (typeof options !== "object" || options === null) {
    throw notOptions(caller, options, known);
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw unexpectedOption(caller, options, key, known);
    }
  }
}

function notOptions(caller: string, given: unknown, known: readonly string[]): TypeError {
  return new TypeError(`${caller}: options must be an object, got ${repr(given)}; known options: ${known.join(", ")}`);
}

/** A list or a Future in the place of the options is named as what it is; a part of an address has its own place. */
function unexpectedOption(caller: string, options: object, key: string, known: readonly string[]): TypeError {
  if (Array.isArray(options) || isThenable(options)) {
    return notOptions(caller, options, known);
  }
  const isAddress = known.includes("sock") && ["host", "port", "path"].includes(key);
  const next = isAddress ? `pass ${key} by itself, before the options; ` : "";
  return new TypeError(`${caller} got an unexpected option ${repr(key)}; ${next}known options: ${known.join(", ")}`);
}

/**
 * The refused value, as a message shows it. Where it is an object with the argument's own name as a key, as for one of
 * Python's keyword arguments, the text says that the value goes by itself.
 *
 * @param name - As in the message; its last word is the argument's name.
 */
export function refused(name: string, value: unknown): string {
  const argument = name.slice(name.lastIndexOf(" ") + 1);
  return hasKey(value, argument) ? `${repr(value)}; pass ${argument} by itself, without an object` : repr(value);
}

function hasKey(value: unknown, key: string): boolean {
  try {
    return typeof value === "object" && value !== null && Object.hasOwn(value, key);
  } catch {
    // A Proxy threw.
    return false;
  }
}

/** Throws if there are arguments where none are allowed: options of another library's class, or Python's `loop`. */
export function checkNoArguments(caller: string, given: readonly unknown[]): void {
  if (given.length > 0) {
    throw new TypeError(`${caller} takes no arguments, got ${repr(given[0])}`);
  }
}

/** The error for constructing an object that only the library makes. */
export function notConstructible(name: string, instead: string): TypeError {
  return new TypeError(`${name}() cannot be constructed; ${instead}`);
}

/** Throws unless the value is a Context, from any copy of the package; `undefined` means none. */
export function checkContext(caller: string, context: unknown): void {
  if (context !== undefined && !isContext(context)) {
    throw new TypeError(`${caller}: context must be a Context, got ${repr(context)}`);
  }
}

/** Refuses everything but `true` and `false`. */
export function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== "boolean") {
    throw new TypeError(`${name} must be true or false, got ${refused(name, value)}`);
  }
}

/** Refuses what is no number, and NaN. */
export function checkNumber(name: string, value: unknown): void {
  if (typeof value !== "number" || Number.isNaN(value)) {
    throw new TypeError(`${name} must be a number, got ${refused(name, value)}`);
  }
}

/** Refuses what `for` cannot go through. */
export function checkIterable(name: string, value: unknown): void {
  if (typeof (value as Iterable<unknown> | null | undefined)?.[Symbol.iterator] !== "function") {
    throw new TypeError(`${name} must be an iterable, got ${repr(value)}`);
  }
}

/** Refuses everything but `true` and `false` as the options of these names; `undefined` means the default. */
export function checkBooleans<O extends object>(options: O, names: readonly (keyof O & string)[]): void {
  for (const name of names) {
    const value: unknown = options[name];
    if (value !== undefined) {
      checkBoolean(name, value);
    }
  }
}

/** Refuses everything but a string; `undefined` means none. */
export function checkString(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "string") {
    throw new TypeError(`${name} must be a string, got ${repr(value)}`);
  }
}

/** Throws unless the value is a function, or if it is a method of the library without its object. */
export function checkFunction(caller: string, given: unknown): void {
  if (typeof given !== "function") {
    throw notAFunction(caller, given);
  }
  checkAttached(caller, given);
}

/** Throws unless the value is a function that can be called for a protocol: Python's classes can, JavaScript's cannot. */
export function checkFactory(caller: string, factory: unknown): void {
  checkFunction(caller, factory);
  const { name, prototype } = factory as { name: string; prototype?: { connectionLost?: unknown } | null };
  if (typeof prototype?.connectionLost === "function") {
    const type = name || "Protocol";
    throw new TypeError(
      `${caller} needs a function that makes a protocol, got the class ${type}: pass () => new ${type}()`,
    );
  }
}

/**
 * The error for a value passed in place of a function. For a promise, which Python users tend to pass, it says what to
 * write.
 */
export function notAFunction(caller: string, given: unknown): TypeError {
  return new TypeError(
    isThenable(given)
      ? `${caller} needs a function, got a promise, which has already started, in the wrong context: pass () => f(x), not f(x)`
      : `${caller} needs a function, got ${repr(given)}`,
  );
}

/** Throws unless the value has the method that every transport calls in the end, as a protocol has. */
export function checkProtocol(name: string, value: unknown): void {
  if (typeof (value as { connectionLost?: unknown } | null | undefined)?.connectionLost !== "function") {
    throw new TypeError(`${name} must be an object with the methods of a Protocol, got ${repr(value)}`);
  }
}

/** Returns the protocol that the factory has made, if it is one. */
export function checkedProtocol<P>(caller: string, protocol: P): P {
  checkProtocol(`${caller}: the result of protocolFactory`, protocol);
  return protocol;
}

/** The error for a promise passed as a value: JavaScript would wait for that promise instead. */
export function notHandedOver(caller: string, instead: string): TypeError {
  return new TypeError(
    `${caller} cannot hand over a promise, a Future or a Task, because await would wait for it; ` +
      `put it into an object: ${instead}`,
  );
}

/**
 * Returns the number of seconds: any number, an infinite or a negative one as well.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {ValueError} If it is NaN.
 */
export function checkSeconds(name: string, seconds: unknown): number {
  if (typeof seconds !== "number") {
    throw new TypeError(`${name} must be a number of seconds, got ${refused(name, seconds)}`);
  }
  if (Number.isNaN(seconds)) {
    throw new ValueError(`${name} must be a number of seconds, got NaN`);
  }
  return seconds;
}

/**
 * Refuses a time limit that is not more than 0 seconds; `undefined` means no limit.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {ValueError} If it is 0, negative or NaN.
 */
export function checkPositiveSeconds(name: string, seconds: unknown): void {
  if (seconds === undefined || (typeof seconds === "number" && seconds > 0)) {
    return;
  }
  const message = `${name} must be a positive number of seconds, got ${repr(seconds)}`;
  throw typeof seconds === "number" ? new ValueError(message) : new TypeError(message);
}

/**
 * Refuses a time that is less than 0 seconds; `undefined` means the default.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {ValueError} If it is negative or NaN.
 */
export function checkSecondsFromZero(name: string, seconds: unknown): void {
  if (seconds === undefined || (typeof seconds === "number" && seconds >= 0)) {
    return;
  }
  const message = `${name} must be 0 or more seconds, got ${repr(seconds)}`;
  throw typeof seconds === "number" ? new ValueError(message) : new TypeError(message);
}

/**
 * Refuses everything but a finite time of 0 or more seconds.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {ValueError} If it is negative, infinite or NaN.
 */
export function checkFiniteSeconds(name: string, seconds: unknown): void {
  const number = checkSeconds(name, seconds);
  if (number < 0 || number === Number.POSITIVE_INFINITY) {
    throw new ValueError(`${name} must be a finite number of seconds, 0 or more, got ${number}`);
  }
}

/**
 * Refuses everything but an integer.
 *
 * @throws {TypeError} If it is anything else.
 */
export function checkWholeNumber(name: string, value: unknown): void {
  if (!Number.isInteger(value)) {
    throw new TypeError(`${name} must be an integer, got ${refused(name, value)}`);
  }
}

/** The first argument may be left out: then the options are in its place. */
export function addressOrOptions<A, O>(given: unknown, options: O): { value: A | undefined; options: O } {
  if (typeof given === "object" && given !== null && !Array.isArray(given)) {
    return { value: undefined, options: given as O };
  }
  return { value: (given as A | null | undefined) ?? undefined, options };
}

/** What a message about a host adds for a number: in Node's calls the port comes first. */
export function afterHost(host: unknown): string {
  return typeof host === "number" ? "; host comes before port" : "";
}

/** Returns the data as bytes, a string as UTF-8. */
export function toBytes(method: string, data: Uint8Array | string): Uint8Array {
  if (typeof data === "string") {
    return Buffer.from(data);
  }
  if (data instanceof Uint8Array) {
    return data;
  }
  if (isBytes(data)) {
    // Of another realm, such as that of node:vm.
    const { buffer, byteOffset, byteLength } = data as Uint8Array;
    return Buffer.from(buffer, byteOffset, byteLength);
  }
  throw new TypeError(`${method}: data must be bytes (a Uint8Array) or a string, got ${repr(data)}`);
}

/** Whether `await` would wait for the value. */
export function isThenable(value: unknown): boolean {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) {
    return false;
  }
  try {
    return typeof (value as { then?: unknown }).then === "function";
  } catch {
    // A getter or a Proxy threw, as it would in `await`.
    return true;
  }
}

/** Errors of another realm, such as Node's own inside a test runner, are not instances of this realm's Error. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || nodeUtil().types.isNativeError(value);
}
