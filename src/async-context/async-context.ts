/**
 * AsyncContext.Variable and AsyncContext.Snapshot.
 *
 * The details are those of a built-in: receivers are checked, functions other than constructors cannot be constructed,
 * and property attributes are the same as if the engine had defined them.
 */
import { type Context, ContextVar, copyContext } from "../contextvars/index.ts";
import { runScoped } from "../contextvars/scope.ts";

/** Options of `AsyncContext.Variable`. */
export interface VariableOptions<T> {
  /** A name for people to read. @default "" */
  name?: string | undefined;
  /** The value that `get()` returns outside of `run()`. @default undefined */
  defaultValue?: T | undefined;
}

class Variable<T> {
  readonly #name: string;
  readonly #variable: ContextVar<T | undefined>;
  declare readonly [Symbol.toStringTag]: string;

  static {
    tag(Variable.prototype, "AsyncContext.Variable");
  }

  constructor(options?: VariableOptions<T>) {
    setDefaultPrototype(this, new.target, Variable);
    let name = "";
    let defaultValue: T | undefined;
    if (isObject(options)) {
      // The template throws for a symbol, as the proposal requires.
      name = "name" in options ? `${options.name}` : "";
      defaultValue = options.defaultValue;
    }
    this.#name = name;
    this.#variable = new ContextVar(name, { default: defaultValue });
  }

  /** The name given to the constructor. */
  get name(): string {
    return this.#name;
  }

  /** The value of the `run()` that is in progress or that started the running code; otherwise the default value. */
  get(): T | undefined {
    return this.#variable.get();
  }

  /**
   * Calls the function with the arguments and returns its result; the function and everything it starts see the value.
   *
   * @throws {TypeError} If `callable` is not a function.
   */
  run<A extends unknown[], R>(value: T, callable: (...args: A) => R, ...args: A): R {
    checkFunction("AsyncContext.Variable.run()", callable);
    return runScoped(this.#variable, value, callable, undefined, args);
  }
}

class Snapshot {
  readonly #context: Context;
  declare readonly [Symbol.toStringTag]: string;

  static {
    tag(Snapshot.prototype, "AsyncContext.Snapshot");
  }

  constructor() {
    setDefaultPrototype(this, new.target, Snapshot);
    this.#context = copyContext();
  }

  /**
   * Calls the function with the arguments in the snapshot and returns its result.
   *
   * @throws {TypeError} If `callable` is not a function.
   */
  run<A extends unknown[], R>(callable: (...args: A) => R, ...args: A): R {
    checkFunction("AsyncContext.Snapshot.run()", callable);
    return runIn(this.#context, callable, undefined, args);
  }

  /**
   * Returns a function that runs each call in a snapshot taken now; `this`, arguments, result and errors pass through.
   *
   * @throws {TypeError} If `fn` is not a function. An error from reading its `length` or `name` is thrown unchanged.
   */
  static wrap<F extends (...args: never[]) => unknown>(fn: F): F {
    checkFunction("AsyncContext.Snapshot.wrap()", fn);
    const context = copyContext();
    // A method, because a built-in function cannot be constructed either.
    const holder = {
      wrapped(this: unknown, ...args: never[]): unknown {
        return runIn(context, fn, this, args);
      },
    };
    const wrapped: unknown = holder["wrapped"];
    const length: unknown = Object.hasOwn(fn, "length") ? fn.length : 0;
    const name: unknown = fn.name;
    Object.defineProperty(wrapped, "length", { value: lengthOf(length) });
    Object.defineProperty(wrapped, "name", { value: `wrapped ${typeof name === "string" ? name : ""}` });
    return wrapped as F;
  }
}

/**
 * The proposal's namespace; it is not put on `globalThis`.
 *
 * @namespace
 */
export const AsyncContext: {
  /**
   * A value for the duration of a call and for everything that the call starts.
   *
   * Such a variable behaves like a `ContextVar` without `set()`: a Context carries its value. In a task, the effect of
   * `ContextVar.set()` in a function called by `run()` remains after the call, as after any call.
   *
   * @typeParam T - The type of the values.
   *
   * @example
   * ```ts
   * import { AsyncContext } from "contextvars/async-context";
   * import assert from "node:assert/strict";
   *
   * const depth = new AsyncContext.Variable({ defaultValue: 0 });
   * assert.equal(depth.run(1, () => depth.get()), 1);
   * assert.equal(depth.get(), 0);
   * ```
   *
   * @class
   */
  readonly Variable: typeof Variable;
  /**
   * The values of all variables when the snapshot is created, including those of `ContextVar`.
   *
   * A value that code in a snapshot sets with `ContextVar.set()` lasts for that call only.
   *
   * @example
   * ```ts
   * import { AsyncContext } from "contextvars/async-context";
   * import assert from "node:assert/strict";
   *
   * const user = new AsyncContext.Variable<string>();
   * const snapshot = user.run("ada", () => new AsyncContext.Snapshot());
   * assert.equal(snapshot.run(() => user.get()), "ada");
   * ```
   *
   * @class
   */
  readonly Snapshot: typeof Snapshot;
  /** @hidden */
  readonly [Symbol.toStringTag]: string;
} = Object.defineProperties({} as never, {
  Snapshot: { value: Snapshot, writable: true, configurable: true },
  Variable: { value: Variable, writable: true, configurable: true },
  [Symbol.toStringTag]: { value: "AsyncContext", configurable: true },
});

type OneVariable<T> = Variable<T>;
type OneSnapshot = Snapshot;

// The reference has the classes, under the same names.
export declare namespace AsyncContext {
  /** @hidden */
  export type Variable<T> = OneVariable<T>;
  /** @hidden */
  export type Snapshot = OneSnapshot;
}

function checkFunction(caller: string, given: unknown): void {
  if (typeof given !== "function") {
    throw new TypeError(`${caller} needs a function, got ${typeof given}`);
  }
}

/** Several calls may run in one snapshot at the same time, so each has a copy. */
function runIn<A extends unknown[], R>(context: Context, callable: (...args: A) => R, thisArg: unknown, args: A): R {
  return context.copy().run(() => Reflect.apply(callable, thisArg, args));
}

function tag(prototype: object, value: string): void {
  Object.defineProperty(prototype, Symbol.toStringTag, { value, configurable: true });
}

/** If `new.target` has no prototype, a class falls back to Object.prototype, but a built-in to its own prototype. */
function setDefaultPrototype(made: object, { prototype }: { prototype?: unknown }, of: { prototype: object }): void {
  if (!isObject(prototype)) {
    Object.setPrototypeOf(made, of.prototype);
  }
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** The length that the specification defines for a function that wraps another one. */
function lengthOf(length: unknown): number {
  return typeof length === "number" ? Math.max(0, Math.trunc(length) || 0) : 0;
}
