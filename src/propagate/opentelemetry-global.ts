/**
 * OpenTelemetry's propagator, if a program has registered one.
 *
 * Theory of operation. All copies of `@opentelemetry/api` keep the registered objects in one object on `globalThis`.
 * Reading that object needs no import, so a program without OpenTelemetry pays nothing.
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

/**
 * Writes the active trace into the carrier with the registered propagator, except its `baggage`, which is returned: a
 * setter may not replace what it has written.
 */
export function injectTrace(carrier: unknown, setter: Setter<unknown>): string {
  const { propagation, context } = registered();
  let baggage = "";
  if (propagation !== undefined && context !== undefined) {
    propagation.inject(context.active(), carrier, {
      set(to, key, value) {
        if (key === "baggage") {
          baggage = value;
        } else {
          setter.set(to, key, value);
        }
      },
    });
  }
  return baggage;
}

/**
 * Returns a copy of the current Context. If OpenTelemetry's context is kept in our Contexts
 * (`contextvars/opentelemetry`), the copy also carries the trace that the registered propagator finds in the carrier.
 */
export function contextWithTrace(carrier: unknown, getter: Getter<unknown>): Context {
  const { propagation, context } = registered();
  if (propagation === undefined || context === undefined) {
    return copyContext();
  }
  return context.with(propagation.extract(context.active(), carrier, getter), copyContext);
}
