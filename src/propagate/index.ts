/**
 * Context variables across processes: over HTTP headers, messages, worker data and the environment.
 *
 * Only named variables cross: `propagated()` names a variable, `inject()` writes the values of the named variables into
 * a carrier, `extract()` reads them into a Context. The format is W3C's `baggage`, so every service that speaks
 * OpenTelemetry sees the same values.
 *
 * @example A value that crosses to another process by HTTP headers
 * ```ts
 * import { ContextVar, copyContext } from "contextvars";
 * import { extract, inject, propagated } from "contextvars/propagate";
 * import assert from "node:assert/strict";
 *
 * const tenant = propagated(new ContextVar<string>("tenant"));
 *
 * // The client sends its current values.
 * const headers = copyContext().run(() => {
 *   tenant.set("Ada & Co");
 *   return inject(new Headers());
 * });
 * assert.equal(headers.get("baggage"), "tenant=Ada%20%26%20Co");
 *
 * // The server runs its handler with them.
 * const answer = extract(headers).run(() => `hello ${tenant.get()}`);
 * assert.equal(answer, "hello Ada & Co");
 * ```
 *
 * @module
 */
export type { Carrier, Getter, Setter } from "./carriers.ts";
export { type ExtractOptions, extract, type Rejected } from "./extract.ts";
export { type InjectOptions, inject } from "./inject.ts";
export { type Codec, type PropagatedOptions, propagated } from "./registry.ts";
