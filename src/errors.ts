/**
 * Python's built-in errors that JavaScript lacks.
 *
 * They have no common base class, because the one that Python's errors share would not help: catch the one you expect.
 * Each carries Python's class name as `name`, so that a program can test `error.name` when two copies of the package
 * are installed, and a stable `code` for programs. This file imports nothing.
 */

/** Sets the `name` that stack traces and loggers print, once for the class instead of once for each error. */
export function setErrorName(errorClass: { readonly prototype: Error }, name: string): void {
  Object.defineProperty(errorClass.prototype, "name", { value: name, configurable: true, writable: true });
}

/** Options of the constructors of this package's errors. */
export interface CodedErrorOptions extends ErrorOptions {
  /** The stable string for programs. @default depends on the class */
  code?: string | undefined;
}

/** Options of {@linkcode LookupError}. */
export interface LookupErrorOptions extends CodedErrorOptions {
  /** The context variable that was looked up. */
  variable?: unknown;
}

/**
 * A context variable has no value: your code read it before any code set it, and the variable has no default.
 *
 * If the variable was set in another Context, the message says where the reading code runs: in a task, in a
 * `Context.run()`, or outside all tasks (on Node with the kind of callback).
 *
 * Python: `LookupError`. Differs: carries `variable` and `code`.
 */
export class LookupError extends Error {
  static {
    setErrorName(this, "LookupError");
  }
  /** `ERR_CONTEXTVAR_UNSET`, or `ERR_CONTEXT_KEY` for a {@linkcode KeyError}. */
  readonly code: string;
  /** The variable that was looked up. */
  readonly variable: unknown;

  constructor(message?: string, options: LookupErrorOptions = {}) {
    super(message, options);
    this.code = options.code ?? "ERR_CONTEXTVAR_UNSET";
    this.variable = options.variable;
  }
}

/**
 * A Context does not hold the variable that your code passed to `getItem()`, which ignores defaults.
 *
 * Python: `KeyError`. Differs: carries `key` and `code`.
 */
export class KeyError extends LookupError {
  static {
    setErrorName(this, "KeyError");
  }

  constructor(message?: string, options: LookupErrorOptions = {}) {
    super(message, { code: "ERR_CONTEXT_KEY", ...options });
  }

  /** The variable that was looked up. */
  get key(): unknown {
    return this.variable;
  }
}

/**
 * An argument has the right type but a value that cannot be used: a token of another variable, a limit below one.
 *
 * Python: `ValueError`. Differs: carries `code`.
 */
export class ValueError extends Error {
  static {
    setErrorName(this, "ValueError");
  }
  /** `ERR_INVALID_ARGUMENT` unless a more exact one fits. */
  readonly code: string;

  constructor(message?: string, options: CodedErrorOptions = {}) {
    super(message, options);
    this.code = options.code ?? "ERR_INVALID_ARGUMENT";
  }
}

/**
 * The call is not possible in the present state: a Context entered twice, a token used twice, a second reader.
 *
 * Python: `RuntimeError`. Differs: carries `code`.
 */
export class RuntimeError extends Error {
  static {
    setErrorName(this, "RuntimeError");
  }
  /** `ERR_RUNTIME` unless a more exact one fits. */
  readonly code: string;

  constructor(message?: string, options: CodedErrorOptions = {}) {
    super(message, options);
    this.code = options.code ?? "ERR_RUNTIME";
  }
}
