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

/**
 * The operation does not exist for this object: writing an EOF where the transport has no half-close.
 *
 * Python: `NotImplementedError`, a `RuntimeError`. Differs: carries `code`.
 */
export class NotImplementedError extends RuntimeError {
  static {
    setErrorName(this, "NotImplementedError");
  }

  constructor(message?: string, options: CodedErrorOptions = {}) {
    super(message, { code: "ERR_NOT_IMPLEMENTED", ...options });
  }
}

/**
 * The stream ended: the other side closed it, and there is nothing more to read.
 *
 * Python: `EOFError`. Differs: carries `code`.
 */
export class EOFError extends Error {
  static {
    setErrorName(this, "EOFError");
  }
  /** `ERR_EOF` unless a more exact one fits. */
  readonly code: string;

  constructor(message?: string, options: CodedErrorOptions = {}) {
    super(message, options);
    this.code = options.code ?? "ERR_EOF";
  }
}

/** Options of {@linkcode OSError} and its subclasses. */
export interface OSErrorOptions extends CodedErrorOptions {
  /** The operating system's error number, negative as in Node. */
  errno?: number | undefined;
  /** The system call that failed, such as `connect`. */
  syscall?: string | undefined;
  /** The address it was about. */
  address?: string | undefined;
  /** The port it was about. */
  port?: number | undefined;
}

/**
 * The operating system refused something. The cause is outside your code.
 *
 * `code` is Node's own (`ECONNREFUSED`, `EADDRINUSE`), and `cause` is Node's error if there was one.
 *
 * Python: `OSError`. Differs: `code` is a string; `errno` has Node's sign.
 */
export class OSError extends Error {
  static {
    setErrorName(this, "OSError");
  }
  /** Node's error code, such as `ECONNREFUSED`. */
  readonly code: string;
  /** The operating system's error number, negative as in Node; `undefined` if there was none. */
  readonly errno: number | undefined;
  /** The system call that failed. */
  readonly syscall: string | undefined;
  /** The address it was about. */
  readonly address: string | undefined;
  /** The port it was about. */
  readonly port: number | undefined;

  constructor(message?: string, options: OSErrorOptions = {}) {
    super(message, options);
    this.code = options.code ?? "ERR_OS";
    this.errno = options.errno;
    this.syscall = options.syscall;
    this.address = options.address;
    this.port = options.port;
  }
}

/** A connection failed. Python: `ConnectionError`. */
export class ConnectionError extends OSError {
  static {
    setErrorName(this, "ConnectionError");
  }
}

/** The peer reset the connection, or the connection is already lost. Python: `ConnectionResetError`. */
export class ConnectionResetError extends ConnectionError {
  static {
    setErrorName(this, "ConnectionResetError");
  }

  constructor(message?: string, options: OSErrorOptions = {}) {
    super(message, { code: "ECONNRESET", ...options });
  }
}

/** No server listens at the address. Python: `ConnectionRefusedError`. */
export class ConnectionRefusedError extends ConnectionError {
  static {
    setErrorName(this, "ConnectionRefusedError");
  }

  constructor(message?: string, options: OSErrorOptions = {}) {
    super(message, { code: "ECONNREFUSED", ...options });
  }
}

/** This side aborted the connection. Python: `ConnectionAbortedError`. */
export class ConnectionAbortedError extends ConnectionError {
  static {
    setErrorName(this, "ConnectionAbortedError");
  }

  constructor(message?: string, options: OSErrorOptions = {}) {
    super(message, { code: "ECONNABORTED", ...options });
  }
}

/** A write to a connection whose other end no longer reads. Python: `BrokenPipeError`. */
export class BrokenPipeError extends ConnectionError {
  static {
    setErrorName(this, "BrokenPipeError");
  }

  constructor(message?: string, options: OSErrorOptions = {}) {
    super(message, { code: "EPIPE", ...options });
  }
}

/** A path does not exist. Python: `FileNotFoundError`. */
export class FileNotFoundError extends OSError {
  static {
    setErrorName(this, "FileNotFoundError");
  }

  constructor(message?: string, options: OSErrorOptions = {}) {
    super(message, { code: "ENOENT", ...options });
  }
}

/** The operating system does not permit the operation. Python: `PermissionError`. */
export class PermissionError extends OSError {
  static {
    setErrorName(this, "PermissionError");
  }

  constructor(message?: string, options: OSErrorOptions = {}) {
    super(message, { code: "EACCES", ...options });
  }
}

/** There is no such process, or it has ended. Python: `ProcessLookupError`. */
export class ProcessLookupError extends OSError {
  static {
    setErrorName(this, "ProcessLookupError");
  }

  constructor(message?: string, options: OSErrorOptions = {}) {
    super(message, { code: "ESRCH", ...options });
  }
}

/** An operation took longer than its time limit. Python: `TimeoutError`. */
export class TimeoutError extends OSError {
  static {
    setErrorName(this, "TimeoutError");
  }

  constructor(message?: string, options: OSErrorOptions = {}) {
    super(message, { code: "ETIMEDOUT", ...options });
  }
}

/** A host or service name does not resolve. Python: `socket.gaierror`. Differs: `code` is Node's. */
export class gaierror extends OSError {
  static {
    setErrorName(this, "gaierror");
  }

  constructor(message?: string, options: OSErrorOptions = {}) {
    super(message, { code: "ENOTFOUND", ...options });
  }
}

/**
 * TLS failed: no common version or cipher, a broken record, plaintext where TLS was expected.
 *
 * Python: `ssl.SSLError`. Differs: `code` is Node's.
 */
export class SSLError extends OSError {
  static {
    setErrorName(this, "SSLError");
  }

  constructor(message?: string, options: OSErrorOptions = {}) {
    super(message, { code: "ERR_SSL", ...options });
  }
}

/**
 * The peer's certificate cannot be trusted: unknown issuer, wrong name, expired.
 *
 * Python: `ssl.SSLCertVerificationError`. Differs: `code` is Node's.
 */
export class SSLCertVerificationError extends SSLError {
  static {
    setErrorName(this, "SSLCertVerificationError");
  }
}
