/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Context variables: values that follow each task and never reach another.
 *
 * Mirrors Python's `contextvars` (PEP 567, CPython 3.15).
 *
 * @example
 * ```ts
 * import { ContextVar, copyContext } from "contextvars";
 * import assert from "node:assert/strict";
 *
 * const trace = new ContextVar("trace", { default: "none" });
 *
 * async function work(): Promise<string> {
 *   await null;
 *   return trace.get();
 * }
 *
 * const result = await copyContext().run(async () => {
 *   trace.set("4711");
 *   return await work();
 * });
 * assert.equal(result, "4711");
 * assert.equal(trace.get(), "none");
 * ```
 *
 * @module
 */
export {
  type CodedErrorOptions,
  KeyError,
  LookupError,
  type LookupErrorOptions,
  RuntimeError,
  ValueError,
} from "../errors.ts";
export { Context, copyContext } from "./context.ts";
export { ContextVar, type ContextVarOptions } from "./context-var.ts";
export { isolated } from "./isolated.ts";
export { Token } from "./token.ts";
