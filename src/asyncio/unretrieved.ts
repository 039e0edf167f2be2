/**
 * Unretrieved errors of Futures: reported when the Future is garbage-collected, or when the process ends.
 *
 * Theory of operation. The report about a collected Future has to be stored outside the Future. But an error may refer
 * back to its Future, by a property or a cause, and so may a variable of the Context it is reported in. Stored outside,
 * they would keep the Future alive forever. So only the Future holds them. Outside, only data that refers to nothing
 * else is stored: texts, and the error if all its properties are such data, otherwise a copy without the other
 * properties. Private fields cannot be examined, so an error of a class that is not built in is always copied. Objects
 * are also held weakly, so that the report contains the original error and variable values if other code keeps them
 * alive.
 */
import { Context } from "../contextvars/context.ts";
import type { ContextVar } from "../contextvars/context-var.ts";
import { safeRepr } from "../repr.ts";
import { isError } from "./arguments.ts";
import { setStackLimit, stackTextOf } from "./debug/stacks.ts";
import { reportWithStack } from "./events.ts";
import type { Ready } from "./ready.ts";
import { ON_DENO } from "./runtime.ts";

/** The report about a failed Future. */
export interface FailureReport {
  readonly message: string;
  readonly exception: unknown;
  /** The Future's text. */
  readonly future: string;
  /** In debug mode, the stack where the Future was created. */
  readonly stack: string | undefined;
  /** The Context to report it in. */
  readonly context: Context | undefined;
}

/** A Future that has failed. */
interface Failed {
  _failure(): FailureReport;
}

/** The part of a report that is stored outside the Future. */
interface Remnant extends Omit<FailureReport, "context"> {
  /** The error itself, held weakly, if `exception` is a copy of it. */
  readonly original: unknown;
  readonly variables: readonly (readonly [ContextVar<unknown>, unknown])[] | undefined;
}

const remnants = new Set<Remnant>();

const collected = new FinalizationRegistry<Remnant>(report);

/** The failure of a Future, which is reported unless the error is retrieved. Only the Future refers to this object. */
export class Unretrieved implements Ready {
  readonly #future: Failed;
  #remnant: Remnant | null = null;
  #isForgotten = false;

  constructor(future: Failed) {
    this.#future = future;
  }

  /** Called when the error was retrieved. */
  forget(): void {
    this.#isForgotten = true;
    if (this.#remnant !== null) {
      forget(this.#remnant);
    }
  }

  /** Runs after all code that waited for the Future has had its turn. */
  _step(): boolean {
    if (!this.#isForgotten) {
      this.#remnant = remnantOf(this.#future._failure());
      if (remnants.size === 0) {
        process.on("exit", reportAll);
      }
      remnants.add(this.#remnant);
      collected.register(this, this.#remnant, this.#remnant);
    }
    return false;
  }
}

function remnantOf({ message, exception, future, stack, context }: FailureReport): Remnant {
  const copy = detached(exception, new Set());
  return {
    message,
    future,
    stack,
    exception: copy === LEFT_OUT ? safeRepr(exception) : copy,
    original: copy === exception ? null : weakly(exception),
    variables: context?.items().map(([variable, value]) => [variable, weakly(value)]),
  };
}

function forget(remnant: Remnant): void {
  collected.unregister(remnant);
  remnants.delete(remnant);
  if (remnants.size === 0) {
    process.off("exit", reportAll);
  }
}

function report(remnant: Remnant): void {
  forget(remnant);
  const { message, future, stack, original, variables } = remnant;
  const exception = original instanceof WeakRef ? (original.deref() ?? remnant.exception) : remnant.exception;
  reportWithStack({ message, exception, future }, stack, variables && contextWith(variables));
}

function reportAll(): void {
  for (const remnant of [...remnants]) {
    report(remnant);
  }
}

/** A Context with the variables whose values still exist. */
function contextWith(variables: readonly (readonly [ContextVar<unknown>, unknown])[]): Context {
  const context = new Context();
  context.run(() => {
    for (const [variable, held] of variables) {
      const value = held instanceof WeakRef ? held.deref() : held;
      if (value !== undefined || held === undefined) {
        variable.set(value);
      }
    }
  });
  return context;
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** A reference that does not keep the value alive, if it is an object. */
function weakly(value: unknown): unknown {
  return isObject(value) ? new WeakRef(value) : value;
}

/** Replaces a value that may refer back to the Future. */
const LEFT_OUT: unique symbol = Symbol("left out");

/** What hides nothing. */
const BUILT_IN: ReadonlySet<object> = new Set(
  [
    Object,
    Array,
    Error,
    AggregateError,
    DOMException,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
  ].map(({ prototype }) => prototype),
);

/** How many of the objects that an error refers to are examined; the others are left out. */
const MOST_OBJECTS = 1000;

/**
 * The value if it refers only to plain data and errors; otherwise a copy without the other properties, or `LEFT_OUT`.
 *
 * @param seen - The objects that were already visited. A reference back to one of them is left out.
 */
function detached(value: unknown, seen: Set<object>): unknown {
  if (!isObject(value) || ArrayBuffer.isView(value)) {
    return value;
  }
  if (seen.has(value) || seen.size === MOST_OBJECTS) {
    return LEFT_OUT;
  }
  seen.add(value);
  try {
    const prototype = Object.getPrototypeOf(value) as object | null;
    const hasStack = isError(value);
    if (!hasStack && prototype !== null && prototype !== Object.prototype && prototype !== Array.prototype) {
      return LEFT_OUT;
    }
    const [properties, isWhole] = detachedProperties(value, hasStack, seen);
    const mayHide = isOfOwnClass(prototype);
    // In Deno an error keeps the objects alive whose methods are on its stack.
    if (isWhole && !mayHide && !(hasStack && ON_DENO)) {
      return value;
    }
    if (mayHide) {
      keepAccessors(value as Error, properties);
    }
    const copy = hasStack ? errorWithoutFrames() : Array.isArray(value) ? [] : {};
    return Object.defineProperties(Object.setPrototypeOf(copy, prototype), properties);
  } catch {
    // A getter or a Proxy threw.
    return LEFT_OUT;
  }
}

/** Whether a class that is not built in is in the chain of prototypes. */
function isOfOwnClass(prototype: object | null): boolean {
  return (
    prototype !== null && (!BUILT_IN.has(prototype) || isOfOwnClass(Object.getPrototypeOf(prototype) as object | null))
  );
}

/** The properties that refer to plain data only, and whether these are all. */
function detachedProperties(value: object, hasStack: boolean, seen: Set<object>): [PropertyDescriptorMap, boolean] {
  const properties: PropertyDescriptorMap = {};
  let isWhole = true;
  for (const key of Reflect.ownKeys(value)) {
    const descriptor = Object.getOwnPropertyDescriptor(value, key) as PropertyDescriptor;
    if (hasStack && key === "stack") {
      // V8 keeps the objects alive whose methods are on the stack until the stack's text is read.
      properties[key] = { value: stackTextOf(value), configurable: true, writable: true };
      continue;
    }
    const item = "value" in descriptor ? detached(descriptor.value, seen) : LEFT_OUT;
    isWhole &&= Object.is(item, descriptor.value);
    if (item !== LEFT_OUT) {
      properties[key] = { ...descriptor, value: item };
    }
  }
  return [properties, isWhole];
}

/** Adds what the class's accessors give, which may need private fields that a copy does not have. */
function keepAccessors(error: object, properties: PropertyDescriptorMap): void {
  for (const name of ["name", "message", "code"]) {
    const value: unknown = (error as Record<string, unknown>)[name];
    if (!(name in properties) && value !== undefined && !isObject(value)) {
      properties[name] = { value, configurable: true, writable: true };
    }
  }
}

function errorWithoutFrames(): Error {
  const limit = setStackLimit(0);
  const error = new Error();
  setStackLimit(limit);
  return error;
}
