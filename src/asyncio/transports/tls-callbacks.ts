/**
 * The functions among the options of TLS, which Node calls out of an event of the socket.
 *
 * Some runtimes end the process if one throws; others drop the error. Here it ends only the handshake in progress: a
 * client's call throws it, and a server, where no code waits for the handshake, reports it to the exception handler.
 */
import type * as tls from "node:tls";
import { repr } from "../../repr.ts";
import { isThenable } from "../arguments.ts";
import { callExceptionHandler } from "../events.ts";
import { asStreamError } from "./sources.ts";

/**
 * Returns the client's functions to use.
 *
 * @param name - The name that the certificate is checked against; "" to check none.
 * @throws {TypeError} If `checkServerIdentity` is not a function: not all runtimes would refuse it.
 */
export function clientCallbacks(
  name: string,
  { checkServerIdentity: check }: tls.ConnectionOptions,
): tls.ConnectionOptions {
  if (check === undefined) {
    return name === "" ? { checkServerIdentity: () => undefined } : {};
  }
  if (typeof check !== "function") {
    throw new TypeError(`checkServerIdentity must be a function, got ${repr(check)}`);
  }
  return {
    checkServerIdentity: (...given) => {
      try {
        return check(...given);
      } catch (error) {
        return asStreamError(error, "check of the server's identity");
      }
    },
  };
}

/**
 * Returns the server's functions to use.
 *
 * @param onAnswered - Called after `SNICallback` has answered.
 */
export function serverCallbacks(
  { SNICallback, ALPNCallback, pskCallback }: tls.TlsOptions,
  onAnswered: () => void,
): tls.TlsOptions {
  return {
    ...(typeof SNICallback === "function" ? { SNICallback: guardedSniCallback(SNICallback, onAnswered) } : {}),
    ...(typeof ALPNCallback === "function" ? { ALPNCallback: guarded("ALPNCallback", ALPNCallback, undefined) } : {}),
    ...(typeof pskCallback === "function" ? { pskCallback: guarded("pskCallback", pskCallback, null) } : {}),
  };
}

/** @param refusal - The result that refuses the client. */
function guarded<A extends unknown[], R>(name: string, callback: (...given: A) => R, refusal: R): (...given: A) => R {
  return (...given) => {
    try {
      return callback(...given);
    } catch (error) {
      report(name, error);
      return refusal;
    }
  };
}

type SniCallback = NonNullable<tls.TlsOptions["SNICallback"]>;

function guardedSniCallback(callback: SniCallback, onAnswered: () => void): SniCallback {
  return (name, done) => {
    let isAnswered = false;
    const fail = (error: unknown): void => {
      report("SNICallback", error);
      if (!isAnswered) {
        isAnswered = true;
        done(asStreamError(error, "SNICallback"));
      }
    };
    const answer: typeof done = (error, context) => {
      if (!error && isOptions(context)) {
        fail(new TypeError("SNICallback must answer with a tls.SecureContext: call tls.createSecureContext(options)"));
        return;
      }
      isAnswered = true;
      done(error, context);
      onAnswered();
    };
    try {
      // An async function is accepted as well.
      const result: unknown = callback(name, answer);
      if (isThenable(result)) {
        Promise.resolve(result).catch(fail);
      }
    } catch (error) {
      fail(error);
    }
  };
}

/** Whether the value is options in place of a context, with which Node 20 would crash. */
function isOptions(context: object | undefined): boolean {
  return typeof context === "object" && Object.getPrototypeOf(context) === Object.prototype && !("context" in context);
}

function report(name: string, exception: unknown): void {
  callExceptionHandler({ message: `Unhandled exception in ${name}`, exception });
}
