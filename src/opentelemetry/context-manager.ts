/** ContextVarsContextManager: OpenTelemetry's ContextManager over a context variable. */
import { EventEmitter } from "node:events";
import { type Context, type ContextManager, ROOT_CONTEXT } from "@opentelemetry/api";
import { ContextVar } from "../contextvars/index.ts";
import { attachScoped, runScoped } from "../contextvars/scope.ts";
import { bindEmitter } from "./emitters.ts";
import { type ContextStore, storeOf } from "./store.ts";

// biome-ignore lint/suspicious/noExplicitAny: OpenTelemetry may pass any function
type AnyFunction = (...args: any[]) => any;

/**
 * A ContextManager for OpenTelemetry that keeps the active context in the current Context.
 *
 * So everything that carries our variables also carries the span: tasks, `callSoon`, connections, `copyContext()` and
 * the Context it returns, `isolated`. `with()` changes only OpenTelemetry's context: variables that the function sets
 * are set for its caller as well.
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
   * After `channel.bindStore(manager.asyncLocalStorage, toContext)`, functions that the channel runs see the context
   * that `toContext` returned.
   */
  get asyncLocalStorage(): ContextStore {
    return this.#store;
  }

  /** The active context; `ROOT_CONTEXT` if there is none. */
  active(): Context {
    return this.#variable.get() ?? ROOT_CONTEXT;
  }

  /**
   * Calls the function in the context and returns its result. If the function throws, `with()` throws the same error.
   *
   * The context is active in the function and in everything that it starts, including after each `await`.
   *
   * @param context - The context to make active.
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
   * Binds a function or an `EventEmitter` to the context; returns any other value unchanged.
   *
   * For a function, returns another one that runs each call in the context. For an emitter, returns the emitter itself:
   * listeners added from then on run in the context. Each manager can bind an emitter once; a second call does nothing.
   * `listeners()` and `removeListener()` still work with the functions that were added.
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

  /** Does nothing, because the manager is always enabled. Returns the manager. */
  enable(): this {
    return this;
  }

  /**
   * Drops the active contexts: `ROOT_CONTEXT` is then active everywhere. Returns the manager.
   *
   * Later calls work as before, so nothing has to be enabled again.
   */
  disable(): this {
    this.#variable = newVariable();
    return this;
  }

  /**
   * Makes the context active for the rest of the running callback or task, and for everything that it starts.
   *
   * Other tasks, and other callbacks of the same task, never see it. The caller of the running function continues in
   * the context as well; prefer `with()` if you can pass a function.
   *
   * @returns A token. Its `dispose()` restores the earlier context, once; it does nothing if the attached context is
   * not the active one.
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
