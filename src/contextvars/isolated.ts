/** isolated: a function whose calls cannot see each other's values. */
import { repr } from "../repr.ts";
import { copyContext } from "./context.ts";
import { checkAttached } from "./detached.ts";

/**
 * Returns a function that runs each of its calls in its own Context.
 *
 * Every call starts from a fresh copy of the Context that was current when `isolated()` was called: values set in one
 * call are visible neither in other calls nor in the surrounding code. Arguments, `this`, the result and errors pass
 * through unchanged.
 *
 * The current task is that of the caller, because the caller waits for the call: a `timeout()` in the function cancels the
 * task that calls it. `AsyncResource.bind()` of `node:async_hooks` keeps the Context and the task, and copies nothing.
 *
 * Use it for callbacks that a task passes to Node (a request handler, a listener), which otherwise share that task's
 * Context. Callbacks passed to this library need no wrapper.
 *
 * Python: has no such function; it is for callbacks that know nothing of Contexts.
 *
 * @param callable - The function to wrap.
 * @throws {TypeError} If `callable` is not a function.
 *
 * @example Two calls, two values
 * ```ts
 * import { ContextVar, isolated } from "contextvars";
 * import assert from "node:assert/strict";
 *
 * const user = new ContextVar<string>("user");
 * const handler = isolated((name: string) => {
 *   const before = user.get("nobody");
 *   user.set(name);
 *   return before;
 * });
 * assert.equal(handler("ada"), "nobody");
 * assert.equal(handler("grace"), "nobody");
 * ```
 */
export function isolated<F extends (...args: never[]) => unknown>(callable: F): F {
  if (typeof callable !== "function") {
    throw new TypeError(`isolated() needs a function, got ${repr(callable)}`);
  }
  checkAttached("isolated()", callable);
  const captured = copyContext();
  function isolatedCall(this: unknown, ...args: never[]): unknown {
    return captured.copy().run(() => Reflect.apply(callable, this, args));
  }
  try {
    // Callers may look at the number of parameters: a middleware with four is an error handler.
    Object.defineProperty(isolatedCall, "length", { value: callable.length, configurable: true });
    Object.defineProperty(isolatedCall, "name", { value: callable.name, configurable: true });
  } catch {
    // A getter or a Proxy threw. The function works without the name and length.
  }
  return isolatedCall as F;
}
