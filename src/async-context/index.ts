/**
 * TC39's AsyncContext over our Contexts: `AsyncContext.Variable` and `AsyncContext.Snapshot`.
 *
 * Follows the text of the proposal (stage 2, June 2026), except for one thing that the runtime decides: a generator
 * sees the values of the code that calls its `next()`. Nothing is put on `globalThis`.
 *
 * @example
 * ```ts
 * import { AsyncContext } from "contextvars/async-context";
 * import assert from "node:assert/strict";
 *
 * const user = new AsyncContext.Variable<string>({ name: "user", defaultValue: "nobody" });
 * const later = user.run("ada", async () => {
 *   await null;
 *   return user.get();
 * });
 * assert.equal(user.get(), "nobody");
 * assert.equal(await later, "ada");
 * ```
 *
 * @module
 */
export { AsyncContext, type VariableOptions } from "./async-context.ts";
