/** The active context under the interface of an AsyncLocalStorage. */
import type { Context } from "@opentelemetry/api";

/** The instance methods of `AsyncLocalStorage`. */
export interface ContextStore {
  readonly name: string;
  /** The active context; `undefined` if there is none. */
  getStore(): Context | undefined;
  /** Calls the function in the context. */
  run<R, A extends unknown[]>(context: Context | undefined, callable: (...args: A) => R, ...args: A): R;
  /** Calls the function with no context active. */
  exit<R, A extends unknown[]>(callable: (...args: A) => R, ...args: A): R;
  /** Makes the context active for the rest of the running callback and everything that it starts. */
  enterWith(context: Context | undefined): void;
  /** Like `enterWith()`, until the scope is disposed. */
  withScope(context: Context | undefined): { dispose(): void; [Symbol.dispose](): void };
  /** Drops the active contexts. */
  disable(): void;
}

/** Creates a store from the functions that implement it. */
export function storeOf(
  getStore: () => Context | undefined,
  call: <A extends unknown[], R>(context: Context | undefined, callable: (...args: A) => R, args: A) => R,
  attach: (context: Context | undefined) => () => void,
  disable: () => void,
): ContextStore {
  return {
    name: "opentelemetry",
    getStore,
    run: (context, callable, ...args) => call(context, checked("run()", callable), args),
    exit: (callable, ...args) => call(undefined, checked("exit()", callable), args),
    enterWith(context) {
      attach(context);
    },
    withScope(context) {
      const dispose = attach(context);
      return { dispose, [Symbol.dispose]: dispose };
    },
    disable,
  };
}

function checked<F>(method: string, callable: F): F {
  if (typeof callable !== "function") {
    throw new TypeError(`asyncLocalStorage.${method} needs a function to call, got ${typeof callable}`);
  }
  return callable;
}
