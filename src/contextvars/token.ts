/** Token: the result of `ContextVar.set()`, for undoing it. */
import { RuntimeError } from "../errors.ts";
import { addressOf, inspectCustom } from "../repr.ts";
import type { ContextVar } from "./context-var.ts";
import type { MapHolder } from "./current.ts";

/** Only this module can pass it to the constructor. */
const madeBySet: unique symbol = Symbol("made by ContextVar.set()");

/**
 * Remembers a variable's state before a `set()`, so that `reset()` can restore it, once.
 *
 * With `using`, the variable is reset at the end of the block, even if the block throws.
 *
 * Python: `contextvars.Token`. Differs: `using` instead of `with`; `oldValue` instead of `old_value`.
 *
 * @example A value for one block
 * ```ts
 * import { ContextVar } from "contextvars";
 * import assert from "node:assert/strict";
 *
 * const level = new ContextVar("level", { default: 0 });
 * {
 *   using _ = level.set(1);
 *   assert.equal(level.get(), 1);
 * }
 * assert.equal(level.get(), 0);
 * ```
 */
export class Token<T> {
  /** The `oldValue` of a token whose variable had no value before. Python: `Token.MISSING`. Differs: a symbol. */
  static readonly MISSING: unique symbol = Symbol.for("contextvars.Token.MISSING") as never;

  readonly #variable: ContextVar<T>;
  readonly #oldValue: T | typeof Token.MISSING;
  /** @internal The Context in which the token was created; `null` outside tasks and `Context.run`. */
  readonly _context: MapHolder | null;
  /** @internal */
  _used = false;

  private constructor(
    key: typeof madeBySet,
    variable: ContextVar<T>,
    oldValue: T | typeof Token.MISSING,
    context: MapHolder | null,
  ) {
    if (key !== madeBySet || new.target !== Token) {
      throw new.target === Token
        ? new RuntimeError("Tokens can only be created by ContextVars; call set()", { code: "ERR_TOKEN_CONSTRUCTED" })
        : new TypeError("type 'Token' is not an acceptable base type");
    }
    this.#variable = variable;
    this.#oldValue = oldValue;
    this._context = context;
  }

  /** @internal */
  static _make<T>(variable: ContextVar<T>, oldValue: T | typeof Token.MISSING, context: MapHolder | null): Token<T> {
    return new Token(madeBySet, variable, oldValue, context);
  }

  /** The variable whose `set()` made the token. Python: `Token.var`. */
  get var(): ContextVar<T> {
    return this.#variable;
  }

  /** The value before the `set()`, or `Token.MISSING` if there was none. Python: `Token.old_value`. */
  get oldValue(): T | typeof Token.MISSING {
    return this.#oldValue;
  }

  /**
   * Resets the variable: `using token = variable.set(value)`.
   *
   * Python: `Token.__exit__()`.
   *
   * @throws {RuntimeError} If the token has already been used.
   * @throws {ValueError} If the current Context is not the one in which the token was created.
   */
  [Symbol.dispose](): void {
    this.#variable.reset(this);
  }

  /** Python's `repr()`: `<Token var=<ContextVar name='user' at 0x...> at 0x...>`, with ` used` after a reset. */
  toString(): string {
    return `<Token${this._used ? " used" : ""} var=${this.#variable} at ${addressOf(this)}>`;
  }

  /** Python's `repr()`. A token cannot be serialized. */
  toJSON(): string {
    return this.toString();
  }

  /** @internal As of an Inspectable, whose constructor would cost a twentieth of `set()` and `reset()` on Node 20. */
  [inspectCustom](): string {
    return this.toString();
  }
}
