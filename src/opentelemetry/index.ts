/// <reference lib="esnext.disposable" preserve="true" />
/**
 * OpenTelemetry's context, kept in our Contexts: spans follow tasks, connections, copied Contexts and `isolated`.
 *
 * Needs `@opentelemetry/api`, which a program that uses OpenTelemetry has installed anyway.
 *
 * @example A span that a saved Context carries
 * ```ts
 * import { context, createContextKey } from "@opentelemetry/api";
 * import { copyContext } from "contextvars";
 * import { ContextVarsContextManager } from "contextvars/opentelemetry";
 * import assert from "node:assert/strict";
 *
 * // With an SDK: new NodeSDK({ contextManager: new ContextVarsContextManager() })
 * context.setGlobalContextManager(new ContextVarsContextManager());
 *
 * const key = createContextKey("request");
 * const saved = context.with(context.active().setValue(key, "4711"), () => copyContext());
 * assert.equal(context.active().getValue(key), undefined);
 * assert.equal(saved.run(() => context.active().getValue(key)), "4711");
 * ```
 *
 * @module
 */
export { ContextVarsContextManager } from "./context-manager.ts";
export type { ContextStore } from "./store.ts";
