/** Converts Node's system errors to Python's OSError classes; no other file maps codes to classes. */
import type { constants } from "node:os";
import {
  BrokenPipeError,
  ConnectionAbortedError,
  ConnectionRefusedError,
  ConnectionResetError,
  FileNotFoundError,
  OSError,
  PermissionError,
  ProcessLookupError,
  SSLCertVerificationError,
  SSLError,
  TimeoutError,
} from "../../io-errors.ts";
import { repr } from "../../repr.ts";
import { isError } from "../arguments.ts";
import { fromCallback } from "../async-stacks.ts";
import { nodeOs, nodeUtil } from "../on-demand.ts";

const classes: Readonly<Record<string, typeof OSError>> = {
  EACCES: PermissionError,
  ECONNABORTED: ConnectionAbortedError,
  ECONNREFUSED: ConnectionRefusedError,
  ECONNRESET: ConnectionResetError,
  ENOENT: FileNotFoundError,
  EPERM: PermissionError,
  EPIPE: BrokenPipeError,
  // From TLS in Deno, when the stream below has already closed.
  ERR_STREAM_DESTROYED: BrokenPipeError,
  ESRCH: ProcessLookupError,
  ESHUTDOWN: BrokenPipeError,
  ETIMEDOUT: TimeoutError,
};

/** Codes of the system, such as `ECONNRESET`; not `Z_DATA_ERROR` or `ERR_STREAM_DESTROYED`. */
const SYSTEM_CODE = /^E[A-Z\d]+$/;

/** The end of a text of Deno. */
const OS_ERROR = /\(os error (\d+)\)$/;

/**
 * Converts a system error of Node to the error that Python would raise, with Node's error as its cause.
 *
 * Returns any other error unchanged.
 *
 * @param error - Node's error.
 * @param message - A message that replaces the system's own text.
 */
export function toOSError(error: unknown, message?: string): unknown {
  try {
    return converted(error, message);
  } catch {
    // The value that destroyed a stream may throw when it is inspected.
    return error;
  }
}

function converted(error: unknown, message: string | undefined): unknown {
  if (!isError(error) || error instanceof OSError) {
    return error;
  }
  const { code, syscall, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  // Bun reports some of these numbers without the minus sign, and Deno only in the text.
  const errno = -Math.abs((error as NodeJS.ErrnoException).errno ?? Number(OS_ERROR.exec(error.message)?.[1]));
  if (code !== undefined && isCertificateCode(code)) {
    return new SSLCertVerificationError(`certificate verify failed: ${error.message}`, { code, cause: error });
  }
  if (code !== undefined && /^(ERR_SSL_|ERR_OSSL_|ERR_TLS_|EPROTO$)/.test(code)) {
    return new SSLError(tlsText(error), { code, cause: error });
  }
  if (code === undefined) {
    return error;
  }
  if (Number.isNaN(errno) || !SYSTEM_CODE.test(code)) {
    // For example a connection that ends during a TLS handshake, or a file in Deno: Node's own text, with a system's
    // code. Or an error of zlib, whose numbers are its own.
    const knownClass = classes[code] ?? (code in nodeOs().constants.errno ? OSError : undefined);
    return knownClass === undefined ? error : new knownClass(message ?? error.message, { code, cause: error });
  }
  const errorClass = classes[code] ?? OSError;
  const text = message ?? systemText(errno) ?? error.message;
  return new errorClass(`[Errno ${-errno}] ${text}`, { code, errno, syscall, address, port, cause: error });
}

/** Like `toOSError()`, for an error that arrived in an event: its stack becomes that of the code that receives it. */
export function eventError(error: unknown, message?: string): unknown {
  const translated = toOSError(error, message);
  return translated === error ? error : fromCallback(translated);
}

/**
 * The error that the system would report, or should have reported in place of the cause.
 *
 * @param path - The path that the call got, if the message is to name it.
 */
export function systemError(
  code: keyof typeof constants.errno,
  syscall: string,
  cause?: unknown,
  path?: string,
): OSError {
  const error = Object.assign(new Error(code, { cause }), { code, errno: -nodeOs().constants.errno[code], syscall });
  return (path === undefined ? toOSError(error) : errorAtPath(error, path)) as OSError;
}

/** Like `toOSError()`; the message names the path, as Python's does for files. */
export function errorAtPath(error: unknown, path: string | URL): unknown {
  return toOSError(error, `${textOf(error)}: ${repr(path)}`);
}

/** The codes of errors that say what this side lacks: sockets, memory, ports. */
const OWN_CODES = ["EADDRNOTAVAIL", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];

/** The error of a call that connects: the message names the peer's address, unless the peer is not the reason. */
export function connectError(error: unknown, address: string): unknown {
  const isOwn = OWN_CODES.includes(String((error as NodeJS.ErrnoException).code));
  return eventError(error, isOwn ? undefined : `Connect call failed ${address}`);
}

/** An address as Python's error messages show it: `('127.0.0.1', 8081)`. */
export function addressTuple(address: string, port: number): string {
  return `(${repr(address)}, ${port})`;
}

/** The error of a call that listens. Bun's has no code where the system has no socket left. */
export function listenError(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined ? new OSError(message, { cause: error }) : toOSError(error);
}

/** The error for an address that cannot be bound to, in Python's words. */
export function bindError(error: unknown, address: string, port: number): unknown {
  const { code, errno, message } = error as NodeJS.ErrnoException;
  if (code === undefined) {
    // Bun's error for an address with the name of an interface.
    return new OSError(`error while attempting to bind on address ${addressTuple(address, port)}: ${message}`, {
      cause: error,
    });
  }
  const text = textOf(error).toLowerCase();
  return toOSError(
    error,
    `error while attempting to bind on address ${addressTuple(address, port)}: [errno ${Math.abs(errno ?? 0)}] ${text}`,
  );
}

/** The error's text without its number, such as `No such file or directory`. */
function textOf(error: unknown): string {
  return String((toOSError(error) as Error).message).replace(/^\[Errno \d+\] /, "");
}

/** As Python writes it, `[SSL: WRONG_VERSION_NUMBER] wrong version number`, if OpenSSL gave a reason. */
function tlsText(error: Error & { reason?: unknown }): string {
  if (typeof error.reason !== "string") {
    return error.message.trim();
  }
  // Bun reports the name as the reason.
  const reason = error.reason.toLowerCase().replaceAll("_", " ");
  const hint = reason === "wrong version number" ? "; the peer may not use TLS" : "";
  return `[SSL: ${reason.toUpperCase().replace(/[^A-Z0-9]+/g, "_")}] ${reason}${hint}`;
}

/** Whether the code is one of OpenSSL's or Node's for a certificate that cannot be trusted. */
function isCertificateCode(code: string): boolean {
  return (
    code === "ERR_TLS_CERT_ALTNAME_INVALID" ||
    code === "HOSTNAME_MISMATCH" ||
    /^(CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERROR_IN_CERT|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH)/.test(code)
  );
}

/** `Connection reset by peer` */
function systemText(errno: number): string | undefined {
  const text = nodeUtil().getSystemErrorMap().get(errno)?.[1];
  return text === undefined ? undefined : text.charAt(0).toUpperCase() + text.slice(1);
}
