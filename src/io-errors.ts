/**
 * Python's built-in errors about input and output.
 *
 * Apart from errors.ts, because a program that reads and writes nothing need not have them in its bundle.
 */
import { type CodedErrorOptions, RuntimeError, setErrorName } from "./errors.ts";

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
