/**
 * Context: a mutable holder of an immutable map.
 *
 * `copy()` shares the map and costs one small object; `set()` replaces the current Context's map. The Flow in
 * `current.ts` takes the place of PEP 567's current context of a thread.
 */
import { KeyError, RuntimeError } from "../errors.ts";
import { addressOf, Inspectable, repr } from "../repr.ts";
import type { ContextVar } from "./context-var.ts";
import { currentFlow, currentMap, Flow, isEntered, runInFlow } from "./current.ts";
import { checkAttached, knowMethodsOf } from "./detached.ts";
import { ABSENT, EMPTY, entries, find, type Mapping } from "./mapping.ts";

/**
 * A mapping of context variables to their values, in which code can be run.
 *
 * A new Context is empty. Code that runs in it, synchronous or asynchronous, reads and sets the variables of this
 * Context only. For other code, the Context is a read-only mapping that shows those changes as they happen. A
 * variable's default is not part of the mapping.
 *
 * Python: `contextvars.Context`. Differs: `has`, `size` and `getItem` instead of `in`, `len()` and `ctx[var]`; `keys`,
 * `values` and `items` return arrays, which do not change afterwards; the class cannot be subclassed: constructing a
 * subclass throws.
 *
 * @example Setting variables for one call only
 * ```ts
 * import { Context, ContextVar } from "contextvars";
 * import assert from "node:assert/strict";
 *
 * const user = new ContextVar<string>("user");
 * const context = new Context();
 * context.run(() => user.set("ada"));
 * assert.equal(context.get(user), "ada");
 * assert.equal(user.get("nobody"), "nobody");
 * ```
 */
export class Context extends Inspectable {
  /** @internal */
  _map: Mapping = EMPTY;

  constructor() {
    super();
    if (new.target !== Context) {
      throw new TypeError("type 'Context' is not an acceptable base type");
    }
    // biome-ignore lint/complexity/noArguments: a parameter would show in the type, and there is none to pass
    if (arguments.length > 0) {
      throw new TypeError("Context() does not accept any arguments; set variables inside context.run()");
    }
  }

  /**
   * Calls the function in this Context and returns its result. If the function throws, `run()` throws the same error.
   *
   * While the function runs, and in everything asynchronous that it starts, this is the current Context: `set()`
   * changes it, and the changes remain in it after the function has returned. The caller's Context does not change.
   *
   * Python: `Context.run()`. Differs: the whole of an async function runs in this Context, while Python's `run()` only
   * creates the coroutine in it.
   *
   * @param callable - The function to call.
   * @param args - Its arguments.
   * @throws {RuntimeError} If the Context is already entered, by the running code or by a `run()` around it.
   * @throws {TypeError} If `callable` is not a function, or is a method of this package without its object: write
   * `run(() => variable.set(1))` for Python's `run(variable.set, 1)`. Also if `run` itself is called without its Context.
   */
  run<A extends unknown[], R>(callable: (this: void, ...args: A) => R, ...args: A): R {
    if (typeof callable !== "function") {
      throw new TypeError(
        // biome-ignore lint/complexity/noArguments: tells a missing argument from undefined
        arguments.length === 0
          ? "run() missing 1 required positional argument: pass the function to call"
          : `Context.run() needs a function, got ${repr(callable)}; pass () => ... instead of its result`,
      );
    }
    if (this === undefined) {
      throw new TypeError("Context.run() was called without its Context: write context.run(f)");
    }
    const outer = currentFlow();
    if (isEntered(this, outer)) {
      throw new RuntimeError(`cannot enter context: ${this} is already entered; run a copy() of it instead`, {
        code: "ERR_CONTEXT_ENTERED",
      });
    }
    const flow = new Flow(this, outer.owner, false, outer);
    try {
      return runInFlow(flow, callable, ...args);
    } catch (error) {
      checkAttached("Context.run()", callable, error);
      throw error;
    } finally {
      // Asynchronous code continues in the flow, but the caller has left it, so the Context may be entered again.
      flow.outer = null;
    }
  }

  /**
   * Returns a new Context with the same values, in constant time.
   *
   * Later changes to either Context do not affect the other.
   *
   * Python: `Context.copy()`.
   */
  copy(): Context {
    return contextOf(this._map);
  }

  /**
   * Whether the variable is set in this Context.
   *
   * Python: `var in context`. Differs: a method.
   *
   * @throws {TypeError} If `variable` is not a ContextVar.
   */
  has(variable: ContextVar<unknown>): boolean {
    return find(this._map, checkedKey(variable)) !== ABSENT;
  }

  /**
   * Returns the variable's value in this Context. If it is not set, returns the fallback, or `undefined`.
   *
   * The variable's own default plays no part.
   *
   * Python: `Context.get()`.
   *
   * @throws {TypeError} If `variable` is not a ContextVar.
   */
  get<T>(variable: ContextVar<T>): T | undefined;
  get<T, D>(variable: ContextVar<T>, fallback: D): T | D;
  get<T>(variable: ContextVar<T>, fallback?: unknown): unknown {
    const value = find(this._map, checkedKey(variable));
    return value === ABSENT ? fallback : value;
  }

  /**
   * The variable's value in this Context.
   *
   * The variable's own default plays no part.
   *
   * Python: `context[var]`. Differs: a method.
   *
   * @throws {KeyError} If the variable is not set in this Context.
   * @throws {TypeError} If `variable` is not a ContextVar.
   */
  getItem<T>(variable: ContextVar<T>): T {
    const value = find(this._map, checkedKey(variable));
    if (value === ABSENT) {
      throw new KeyError(`${variable} is not set in ${this}; use get() for a value that may be missing`, { variable });
    }
    return value as T;
  }

  /** How many variables are set. Python: `len(context)`. Differs: a property. */
  get size(): number {
    return this._map.size;
  }

  /** The variables that are set, in no particular order. Python: `Context.keys()`. Differs: an array. */
  keys(): ContextVar<unknown>[] {
    return this.items().map(([variable]) => variable);
  }

  /** The values, in the order of `keys()`. Python: `Context.values()`. Differs: an array. */
  values(): unknown[] {
    return this.items().map(([, value]) => value);
  }

  /** Pairs of variable and value, in the order of `keys()`. Python: `Context.items()`. Differs: an array. */
  items(): [ContextVar<unknown>, unknown][] {
    return entries<ContextVar<unknown>>(this._map);
  }

  /** Iterates over the variables that were set when the iteration began. Python: `iter(context)`. */
  [Symbol.iterator](): IterableIterator<ContextVar<unknown>> {
    return this.keys()[Symbol.iterator]();
  }

  /**
   * Whether `other` is a Context in which the same variables have the same values.
   *
   * Values are compared with `===`, and NaN equals itself. The values' own methods are not called.
   *
   * Python: `context == other`. Differs: a method; the values' own equality is not used.
   */
  equals(other: unknown): boolean {
    if (!isContext(other)) {
      return false;
    }
    const mine = this._map;
    const theirs = other._map;
    if (mine === theirs) {
      return true;
    }
    return mine.size === theirs.size && entries(mine).every(([key, value]) => sameValue(find(theirs, key), value));
  }

  /** Python's `repr()`: `<_contextvars.Context object at 0x7f0000001000>`. */
  override toString(): string {
    return `<_contextvars.Context object at ${addressOf(this)}>`;
  }

  /** Python's `repr()`. A Context cannot be serialized. */
  toJSON(): string {
    return this.toString();
  }
}

knowMethodsOf({ Context });

/**
 * Returns a copy of the current Context, in constant time.
 *
 * Later changes to either Context do not affect the other.
 *
 * Python: `contextvars.copy_context()`.
 *
 * @example Running a callback later with the present values
 * ```ts
 * import { ContextVar, copyContext } from "contextvars";
 * import assert from "node:assert/strict";
 *
 * const user = new ContextVar<string>("user");
 * user.set("ada");
 * const context = copyContext();
 * user.set("grace");
 * assert.equal(context.run(() => user.get()), "ada");
 * ```
 */
export function copyContext(): Context {
  return contextOf(currentMap());
}

/** A new Context that holds the map. */
export function contextOf(map: Mapping): Context {
  const context = new Context();
  context._map = map;
  return context;
}

/** Whether the value is a Context, from this copy of the package or another. */
export function isContext(value: unknown): value is Context {
  return (
    value instanceof Context || (typeof value === "object" && value !== null && "_map" in value && "getItem" in value)
  );
}

function sameValue(a: unknown, b: unknown): boolean {
  return a === b || Object.is(a, b);
}

function checkedKey<T>(variable: ContextVar<T>): ContextVar<T> {
  if (!isContextVar(variable)) {
    throw new TypeError(`a ContextVar key was expected, got ${repr(variable)}`);
  }
  return variable;
}

/**
 * Whether the value is a ContextVar, from this copy of the package or another. It does not ask for the class, so that a
 * program which has Contexts and no variable of its own need not have it.
 */
function isContextVar(value: unknown): value is ContextVar<unknown> {
  return typeof value === "object" && value !== null && "_hash" in value && "reset" in value;
}
