/** extract(): a Context with the values of a carrier. */
import { channel } from "node:diagnostics_channel";
import { type Context, copyContext } from "../contextvars/index.ts";
import { parse } from "./baggage.ts";
import { type Carrier, carrierGetter, type Getter, textOf } from "./carriers.ts";
import { contextWithTrace } from "./opentelemetry-global.ts";
import { checkOptions, type Entry, registered } from "./registry.ts";

/** Options of `extract()`. */
export interface ExtractOptions<C> {
  /** Reads carriers of another kind. @default objects, `Headers`, maps and `process.env` */
  getter?: Getter<C> | undefined;
}

/** The message on the channel `contextvars:propagate:rejected`: a value that was not accepted, and why. */
export interface Rejected {
  /** The key in `baggage`; `null` if the carrier itself could not be read. */
  readonly key: string | null;
  /** The encoded value. */
  readonly value: string | null;
  readonly error: unknown;
}

const rejections = channel("contextvars:propagate:rejected");

/**
 * Returns a copy of the current Context in which the propagated variables have the values of the carrier.
 *
 * Never throws, whatever the carrier holds: a value that is longer than the variable's `maxLength` or that its codec
 * cannot decode leaves the variable unchanged, and is published on the channel `contextvars:propagate:rejected` of
 * `node:diagnostics_channel`. Keys that no variable has are ignored. The work is linear in the length of `baggage`. If
 * `@opentelemetry/api` has a propagator registered and OpenTelemetry uses the context manager of
 * `contextvars/opentelemetry`, the Context also carries the remote span.
 *
 * Python: has no counterpart; OpenTelemetry's `propagate.extract()` has the same form.
 *
 * @param carrier - An object, `Headers`, a `Map`, the `headers` of an `IncomingMessage`, or `process.env`.
 * @throws {TypeError} If an option is unknown, or `getter` has no method `get()`.
 *
 * @example A request handler that runs with the request's values
 * ```ts
 * import { ContextVar } from "contextvars";
 * import { extract, propagated } from "contextvars/propagate";
 * import assert from "node:assert/strict";
 *
 * const user = propagated(new ContextVar<string>("user", { default: "nobody" }));
 * const handle = (): string => `hello ${user.get()}`;
 * assert.equal(extract({ baggage: "user=ada,other=1" }).run(handle), "hello ada");
 * assert.equal(extract({}).run(handle), "hello nobody");
 * ```
 */
export function extract(carrier: Carrier, options?: { getter?: undefined }): Context;
export function extract<C>(carrier: C, options: ExtractOptions<C>): Context;
export function extract(carrier: unknown, options: ExtractOptions<unknown> = {}): Context {
  checkOptions("extract()", options, ["getter"]);
  const { getter = carrierGetter } = options;
  if (typeof getter?.get !== "function") {
    throw new TypeError(`extract(): getter must be an object with a method get(), got ${typeof getter}`);
  }
  const context = attempt(null, null, () => contextWithTrace(carrier, getter)) ?? copyContext();
  const header = attempt(null, null, () => textOf(getter.get(carrier, "baggage"))) ?? "";
  // The last member with a key counts, as in OpenTelemetry.
  const values = new Map(parse(header).map(({ key, value }) => [key, value]));
  for (const entry of registered.values()) {
    const value = values.get(entry.key);
    if (value !== undefined) {
      attempt(entry.key, value, () => {
        const decoded = decode(entry, value);
        context.run(() => entry.variable.set(decoded));
      });
    }
  }
  return context;
}

function decode({ codec, maxLength }: Entry, value: string): unknown {
  if (value.length > maxLength) {
    throw new RangeError(`the value has ${value.length} bytes, maxLength is ${maxLength}`);
  }
  return codec.decode(decodeURIComponent(value));
}

/** Returns the function's result. If the function throws, publishes the error and returns `undefined`. */
function attempt<R>(key: string | null, value: string | null, f: () => R): R | undefined {
  try {
    return f();
  } catch (error) {
    rejections.publish({ key, value, error } satisfies Rejected);
    return undefined;
  }
}
