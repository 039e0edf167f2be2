/** Signals: one callback for each, and Ctrl-C for the main task. */
import { RuntimeError, ValueError } from "../errors.ts";
import { isA, repr } from "../repr.ts";
import { checkFunction } from "./arguments.ts";
import { callSoon, contextFor } from "./events.ts";
import { KeyboardInterrupt } from "./exceptions.ts";
import { nodeOs, nodeWorkers } from "./on-demand.ts";
import { ON_DENO } from "./runtime.ts";

const handlers = new Map<NodeJS.Signals, () => void>();

/** The listener that `run()` adds for Ctrl-C. */
let interruptListener: (() => void) | null = null;

export function addSignalHandler(signal: NodeJS.Signals, callback: () => unknown): void {
  checkFunction("addSignalHandler()", callback);
  if (!(signal in nodeOs().constants.signals)) {
    throw new ValueError(`addSignalHandler(): signal must be a name such as "SIGTERM", got ${repr(signal)}`);
  }
  if (signal === "SIGKILL" || signal === "SIGSTOP") {
    throw new RuntimeError(`sig ${signal} cannot be caught`);
  }
  if (!ON_DENO && !nodeWorkers().isMainThread) {
    throw new RuntimeError(
      `addSignalHandler(${repr(signal)}) only works in the main thread: no signal reaches a worker; ` +
        "handle it there, and post a message",
    );
  }
  const context = contextFor("addSignalHandler()", undefined);
  const listener = (): void => void callSoon(callback, { context });
  removeSignalHandler(signal);
  if (signal === "SIGINT" && interruptListener !== null) {
    process.off(signal, interruptListener);
  }
  handlers.set(signal, listener);
  process.on(signal, listener);
}

export function removeSignalHandler(signal: NodeJS.Signals): boolean {
  const listener = handlers.get(signal);
  if (listener === undefined) {
    return false;
  }
  handlers.delete(signal);
  process.off(signal, listener);
  return true;
}

/** The signals that have a handler. */
export function handledSignals(): NodeJS.Signals[] {
  return [...handlers.keys()];
}

/** The exit status that a shell reports for a program ended by Ctrl-C: 128 plus the signal's number, which is 2. */
const INTERRUPTED_STATUS = 130;

/** Makes the process exit with this status if a KeyboardInterrupt is not caught. */
export function exitIfInterruptUncaught(): void {
  if (!process.listeners("uncaughtExceptionMonitor").includes(exitIfInterrupt)) {
    process.on("uncaughtExceptionMonitor", exitIfInterrupt);
  }
}

function exitIfInterrupt(error: unknown): void {
  if (isA(error, KeyboardInterrupt) && process.listenerCount("uncaughtException") === 0) {
    console.error(error);
    process.exit(INTERRUPTED_STATUS);
  }
}

/**
 * Calls the function at Ctrl-C, once: a second Ctrl-C finds no listener and ends the process.
 *
 * Has no effect if the program listens to SIGINT itself.
 *
 * @returns A function that stops listening.
 */
export function catchInterrupt(callback: () => void): () => void {
  if (process.listenerCount("SIGINT") > 0) {
    return () => {};
  }
  interruptListener = callback;
  process.once("SIGINT", callback);
  return () => {
    interruptListener = null;
    process.off("SIGINT", callback);
  };
}
