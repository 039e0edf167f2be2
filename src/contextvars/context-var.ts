/**
 * ContextVar: reading and changing one variable of the current Context.
 *
 * Theory of operation. A variable caches the map that it last looked into and the value that it found there. Maps never
 * change, so the cache is valid if the map is the same again, and `get()` costs little more than finding the current
 * flow.
 *
 * The cache would keep the value of a finished request alive until the next `get()`. So every variable with a cached
 * value is in a list, and after each full garbage collection all of them drop their caches. A FinalizationRegistry that
 * watches unreferenced objects reports the collection. Thus a value outlives its Context by at most one collection.
 */
import { LookupError, RuntimeError, ValueError } from "../errors.ts";
import { addressOf, Inspectable, repr } from "../repr.ts";
import { currentFlow, currentMap, enterAmbient, type Flow, type MapHolder, newHash, runningPlace } from "./current.ts";
import { knowMethodsOf } from "./detached.ts";
import { ABSENT, find, insert, type Mapping, remove } from "./mapping.ts";
import { Token } from "./token.ts";

let forget: (variable: ContextVar<unknown>) => void;

/** The variables that have a cached value. */
const remembering: ContextVar<unknown>[] = [];

/**
 * Watches one object for each variable: Bun may mistake an old copy of a single object's address on the stack for a
 * reference.
 */
const collections = new FinalizationRegistry<undefined>(() => {
  remembering.forEach(forget);
  remembering.length = 0;
});

/** Options of {@linkcode ContextVar}. */
export interface ContextVarOptions<T> {
  /** The value if none is set. `{ default: undefined }` is a default as well. @default none: `get()` throws */
  default?: T;
}

/**
 * A variable whose value belongs to the running task, request or connection.
 *
 * Create each variable once, at the top of a module: Contexts keep the variables that are set in them alive. In a task
 * or a `Context.run()`, a `set()` is visible to the whole task, both to the functions that it awaits and to the
 * functions that await the one that called `set()`; a new task starts with a copy. Outside both, a `set()` affects the
 * rest of the asynchronous flow it is called in and everything that flow starts afterwards, but no other flow.
 *
 * Python: `contextvars.ContextVar`. Differs: the default is in an options object; outside tasks, see above; the class
 * cannot be subclassed: constructing a subclass throws.
 *
 * @typeParam T - The type of the values.
 *
 * @example A request's user, read by a function that does not receive it as an argument
 * ```ts
 * import { ContextVar } from "contextvars";
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const user = new ContextVar<string>("user");
 *
 * async function greeting(): Promise<string> {
 *   await asyncio.sleep(0);
 *   return `Hello, ${user.get()}!`;
 * }
 *
 * async function request(name: string): Promise<string> {
 *   user.set(name);
 *   return await greeting();
 * }
 *
 * const greetings = await asyncio.gather([() => request("ada"), () => request("grace")]);
 * assert.deepEqual(greetings, ["Hello, ada!", "Hello, grace!"]);
 * ```
 */
export class ContextVar<T> extends Inspectable {
  static {
    forget = (variable) => {
      variable.#seenMap = null;
      variable.#seenValue = undefined;
    };
  }

  readonly #name: string;
  readonly #default: T | typeof ABSENT;
  /** @internal */
  readonly _hash: number;
  #seenMap: Mapping | null = null;
  #seenValue: unknown = undefined;
  /** Whether the variable was ever set, in any Context. */
  #wasSet = false;

  constructor(name: string, options: ContextVarOptions<T> = {}) {
    super();
    if (new.target !== ContextVar) {
      throw new TypeError("type 'ContextVar' is not an acceptable base type");
    }
    // biome-ignore lint/complexity/noArguments: tells a missing argument from undefined
    if (arguments.length === 0) {
      throw new TypeError("ContextVar() takes exactly 1 positional argument (0 given): pass the name");
    }
    if (typeof name !== "string") {
      throw new TypeError(`context variable name must be a str, got ${repr(name)}`);
    }
    if (typeof options !== "object" || options === null) {
      throw new TypeError(`ContextVar() takes a default as an option, got ${repr(options)}; write { default: ... }`);
    }
    for (const key of Object.keys(options)) {
      if (key !== "default") {
        throw new TypeError(`ContextVar() got an unexpected option ${repr(key)}; known options: default`);
      }
    }
    this.#name = name;
    this.#default = "default" in options ? (options.default as T) : ABSENT;
    this._hash = newHash();
    Object.preventExtensions(this);
  }

  /** The name given to the constructor. Python: `ContextVar.name`. */
  get name(): string {
    return this.#name;
  }

  /**
   * The variable's value in the current Context.
   *
   * If the variable is not set there, returns the fallback, or else the variable's default. If there is neither, throws
   * an error.
   *
   * Python: `ContextVar.get()`.
   *
   * @throws {LookupError} If the variable is not set, and there is neither fallback nor default.
   */
  get(this: ContextVar<unknown>): T;
  /**
   * The variable's value in the current Context, or the fallback if the variable is not set there.
   *
   * @param fallback - The value to return if the variable is not set. `undefined` is a fallback as well.
   */
  get<D>(this: ContextVar<unknown>, fallback: D): T | D;
  get(fallback?: unknown): unknown {
    const map = currentMap();
    const value = map === this.#seenMap ? this.#seenValue : this.#lookUp(map);
    if (value !== ABSENT) {
      return value;
    }
    // biome-ignore lint/complexity/noArguments: get(undefined) has a fallback, get() has none
    if (arguments.length > 0) {
      return fallback;
    }
    if (this.#default !== ABSENT) {
      return this.#default;
    }
    throw new LookupError(this.#unsetMessage(), { variable: this });
  }

  /**
   * Sets the variable in the current Context.
   *
   * Python: `ContextVar.set()`. Differs: outside tasks and `Context.run()`, see {@linkcode ContextVar}.
   *
   * @returns A token to undo it: `reset(token)`, or `using token = variable.set(value)`.
   */
  set(this: ContextVar<unknown>, value: T): Token<T>;
  set(value: T): Token<T> {
    const flow = currentFlow();
    const map = flow.context._map;
    const before = map === this.#seenMap ? this.#seenValue : find(map, this);
    this.#store(flow, insert(map, this, value), value);
    this.#wasSet = true;
    return Token._make(this, before === ABSENT ? Token.MISSING : (before as T), flow.ambient ? null : flow.context);
  }

  /**
   * Restores the variable to its state before the `set()` that returned the token: its old value, or no value.
   *
   * A token can be used once. Tokens may be used in any order.
   *
   * Python: `ContextVar.reset()`. Differs: a token made outside tasks and `Context.run()` can be used in any flow
   * outside them.
   *
   * @throws {TypeError} If `token` is not a Token.
   * @throws {RuntimeError} If the token has been used already.
   * @throws {ValueError} If the token belongs to another variable, or if it was created in another Context. The token
   * stays unused.
   */
  reset(this: ContextVar<unknown>, token: Token<T>): void;
  reset(token: Token<T>): void {
    if (!isToken(token)) {
      throw new TypeError(`expected an instance of Token, got ${repr(token)}; pass what set() returned`);
    }
    if (token._used) {
      throw new RuntimeError(`${token} has already been used once`, { code: "ERR_TOKEN_USED" });
    }
    if (token.var !== this) {
      throw new ValueError(`${token} was created by a different ContextVar than ${this}`, {
        code: "ERR_TOKEN_OTHER_VAR",
      });
    }
    const flow = currentFlow();
    if (!isSameContext(token._context, flow.ambient ? null : flow.context)) {
      throw new ValueError(
        `${token} was created in a different Context; to restore across tasks, set() the old value`,
        {
          code: "ERR_TOKEN_OTHER_CONTEXT",
        },
      );
    }
    token._used = true;
    const { oldValue } = token;
    const map = flow.context._map;
    if (oldValue === Token.MISSING) {
      this.#store(flow, remove(map, this), ABSENT);
    } else {
      this.#store(flow, insert(map, this, oldValue), oldValue);
    }
  }

  /** Python's `repr()`: `<ContextVar name='user' default='nobody' at 0x7f0000001000>`. */
  override toString(): string {
    const shown = this.#default === ABSENT ? "" : ` default=${repr(this.#default)}`;
    return `<ContextVar name=${repr(this.#name)}${shown} at ${addressOf(this)}>`;
  }

  /** Python's `repr()`. A variable cannot be serialized. */
  toJSON(): string {
    return this.toString();
  }

  #unsetMessage(): string {
    const unset = `${this} has no value in the current context`;
    if (!this.#wasSet) {
      return `${unset}; give it a default or call set() first`;
    }
    const advice = "call set() here, or wrap the callback in isolated() where the value is set";
    return `${unset}, but had one in another: this code runs ${runningPlace()}; ${advice} (see "Which Context a callback sees" in the documentation)`;
  }

  #store(flow: Flow, map: Mapping, value: unknown): void {
    if (flow.ambient) {
      enterAmbient(map);
    } else {
      flow.context._map = map;
    }
    this.#remember(map, value);
  }

  #lookUp(map: Mapping): unknown {
    const value = find(map, this);
    this.#remember(map, value);
    return value;
  }

  #remember(map: Mapping, value: unknown): void {
    if (this.#seenMap === null) {
      remembering.push(this as ContextVar<unknown>);
      collections.register({}, undefined);
    }
    this.#seenMap = map;
    this.#seenValue = value;
  }
}

knowMethodsOf({ ContextVar });

/** Whether both are the same Context, or scopes in front of it; `null` stands for no Context. */
function isSameContext(a: MapHolder | null, b: MapHolder | null): boolean {
  return a === b || (a?._root ?? a) === (b?._root ?? b);
}

function isToken(value: unknown): value is Token<unknown> {
  return (
    value instanceof Token || (typeof value === "object" && value !== null && "_used" in value && "oldValue" in value)
  );
}
