/** ContextVarsContextManager: OpenTelemetry's ContextManager over a context variable. */
import { EventEmitter } from "node:events";
import { type Context, type ContextManager, ROOT_CONTEXT } from "@opentelemetry/api";
import { ContextVar } from "../contextvars/index.ts";
import { attachScoped, runScoped } from "../contextvars/scope.ts";
import { bindEmitter } from "./emitters.ts";
import { type ContextStore, storeOf } from "./store.ts";

// biome-ignore lint/suspicious/noExplicitAny: what OpenTelemetry hands over may be any function
type AnyFunction = (...args: any[]) => any;

/**
 * A ContextManager for OpenTelemetry that keeps the active context in the current Context.
 *
 * So whatever carries our variables carries the span: tasks, `callSoon`, connections, `copyContext()` and the Context it
 * returns, `isolated`. While a function runs in `with()`, only OpenTelemetry's context is another one: variables that the
 * function sets are set for its caller, too.
 *
 * Instances are independent of each other; a program needs one, given to `NodeSDK`, to `NodeTracerProvider.register()` or
 * to `context.setGlobalContextManager()`.
 *
 * @example A request handler that runs in a context
 * ```ts
 * import { createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
 * import * as asyncio from "contextvars/asyncio";
 * import { ContextVarsContextManager } from "contextvars/opentelemetry";
 * import assert from "node:assert/strict";
 *
 * const manager = new ContextVarsContextManager();
 * const key = createContextKey("request");
 * await manager.with(ROOT_CONTEXT.setValue(key, "4711"), async () => {
 *   const request = await asyncio.createTask(async () => manager.active().getValue(key));
 *   assert.equal(request, "4711");
 * });
 * ```
 */
export class ContextVarsContextManager implements ContextManager {
  #variable = newVariable();
  readonly #store: ContextStore = storeOf(
    () => this.#variable.get(),
    (context, callable, args) => runScoped(this.#variable, context, callable, undefined, args),
    (context) => attachScoped(this.#variable, context),
    () => this.disable(),
  );

  /**
   * The active context under the interface of an `AsyncLocalStorage`, for `bindStore()` of `node:diagnostics_channel`.
   *
   * `channel.bindStore(manager.asyncLocalStorage, toContext)` has what the channel runs see the context that `toContext`
   * returned.
   */
  get asyncLocalStorage(): ContextStore {
    return this.#store;
  }

  /** The active context; `ROOT_CONTEXT` where there is none. */
  active(): Context {
    return this.#variable.get() ?? ROOT_CONTEXT;
  }

  /**
   * Calls the function in the context and returns its result; what it throws comes out as it is.
   *
   * The context is active in the function and in all that it starts, after each `await`, too.
   *
   * @param context - The context that is to be active.
   * @param fn - The function to call.
   * @param thisArg - Its `this`.
   * @param args - Its arguments.
   * @throws {TypeError} If `fn` is not a function.
   */
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    if (typeof fn !== "function") {
      throw new TypeError(`ContextVarsContextManager.with() needs a function to call, got ${typeof fn}`);
    }
    return runScoped(this.#variable, context, fn as AnyFunction, thisArg, args);
  }

  /**
   * Binds a function or an `EventEmitter` to the context; returns anything else as it is.
   *
   * A function comes back as another one that runs each call in the context. An emitter comes back itself: the listeners
   * that are added from then on run in the context. It can be bound once by each manager; a second call does nothing.
   * `listeners()` and `removeListener()` go on working with the functions that were added.
   */
  bind<T>(context: Context, target: T): T {
    if (target instanceof EventEmitter) {
      bindEmitter(target, this, (listener, thisArg, args) =>
        runScoped(this.#variable, context, listener, thisArg, args),
      );
      return target;
    }
    return typeof target === "function" ? (this.#bound(context, target as AnyFunction & T) as T) : target;
  }

  /** Does nothing: the manager works from the beginning. Returns the manager. */
  enable(): this {
    return this;
  }

  /**
   * Forgets the active contexts: `ROOT_CONTEXT` is active everywhere. Returns the manager.
   *
   * What is called afterwards works as before, so there is nothing to enable again.
   */
  disable(): this {
    this.#variable = newVariable();
    return this;
  }

  /**
   * Makes the context active for the code that follows in the running callback or task, and for what it starts.
   *
   * Another task, or another callback of the same task, never sees it. Code that called the running function goes on in
   * the context; `with()` is better where a function can be given.
   *
   * @returns A token. Its `dispose()` brings back what was active before, once; it does nothing where another context
   * than the attached one is active.
   */
  attach(context: Context): { dispose(): void } {
    return { dispose: attachScoped(this.#variable, context) };
  }

  #bound(context: Context, callable: AnyFunction): AnyFunction {
    const call = (thisArg: unknown, args: unknown[]): unknown =>
      runScoped(this.#variable, context, callable, thisArg, args);
    function boundCall(this: unknown, ...args: unknown[]): unknown {
      return call(this, args);
    }
    Object.defineProperty(boundCall, "name", { value: callable.name, configurable: true });
    Object.defineProperty(boundCall, "length", { value: callable.length, configurable: true });
    return boundCall;
  }
}

function newVariable(): ContextVar<Context | undefined> {
  return new ContextVar<Context | undefined>("opentelemetry", { default: undefined });
}
