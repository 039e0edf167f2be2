/**
 * OpenTelemetry's propagator, where a program has registered one.
 *
 * Theory of operation. `@opentelemetry/api` keeps what was registered in one object on `globalThis`, whichever copy of it
 * is loaded. Reading that object needs no import, so a program without OpenTelemetry pays nothing.
 */
import { type Context, copyContext } from "../contextvars/index.ts";
import type { Getter, Setter } from "./carriers.ts";

interface Registered {
  readonly propagation?: {
    inject(context: unknown, carrier: unknown, setter: Setter<unknown>): void;
    extract(context: unknown, carrier: unknown, getter: Getter<unknown>): unknown;
  };
  readonly context?: {
    active(): unknown;
    with<R>(context: unknown, callable: () => R): R;
  };
}

function registered(): Registered {
  return (globalThis as { [key: symbol]: Registered | undefined })[Symbol.for("opentelemetry.js.api.1")] ?? {};
}

/** Has the registered propagator write the active trace into the carrier. */
export function injectTrace(carrier: unknown, setter: Setter<unknown>): void {
  const { propagation, context } = registered();
  if (propagation !== undefined && context !== undefined) {
    propagation.inject(context.active(), carrier, setter);
  }
}

/**
 * A copy of the current Context. Where OpenTelemetry's context lives in our Contexts (`contextvars/opentelemetry`), the
 * copy also carries the trace that the registered propagator finds in the carrier.
 */
export function contextWithTrace(carrier: unknown, getter: Getter<unknown>): Context {
  const { propagation, context } = registered();
  if (propagation === undefined || context === undefined) {
    return copyContext();
  }
  return context.with(propagation.extract(context.active(), carrier, getter), copyContext);
}
