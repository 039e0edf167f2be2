/** inject(): the current values of the propagated variables, written into a carrier. */
import { copyContext, ValueError } from "../contextvars/index.ts";
import { bytesOf, MAX_BYTES, MAX_MEMBERS, type Member, parse } from "./baggage.ts";
import { type Carrier, carrierGetter, carrierSetter, type Setter, textOf } from "./carriers.ts";
import { injectTrace } from "./opentelemetry-global.ts";
import { checkOptions, type Entry, registered } from "./registry.ts";

/** Options of `inject()`. */
export interface InjectOptions<C> {
  /** Writes carriers of another kind. @default objects, `Headers`, maps and `process.env` */
  setter?: Setter<C> | undefined;
}

/** Keys that were left out, to warn about each only once. */
const warned = new Set<string>();

/**
 * Writes the current values of the propagated variables into the `baggage` of a carrier, by default a new object, and
 * returns the carrier.
 *
 * Variables that are not set in the current Context are left out; a default does not count. Members of other programs
 * that are already in the carrier's `baggage` stay, including their properties. `baggage` may hold 64 members and 8,192
 * bytes: beyond that, members of this process are left out, the last registered first, with one `RuntimeWarning` for
 * each key. If `@opentelemetry/api` has a propagator and a context manager registered, the propagator writes into the
 * same carrier; the members of its `baggage` stay, too.
 *
 * Python: has no counterpart; OpenTelemetry's `propagate.inject()` has the same form.
 *
 * @throws {ValueError} If a value cannot be encoded, or its encoded form is longer than the variable's `maxLength`. The
 * `cause` is the codec's error. The carrier's `baggage` is then unchanged.
 * @throws {TypeError} If the carrier is not an object, an option is unknown, or `setter` has no method `set()`.
 *
 * @example A worker thread that starts with the values of its creator
 * ```ts
 * import { ContextVar } from "contextvars";
 * import { inject, propagated } from "contextvars/propagate";
 * import assert from "node:assert/strict";
 *
 * const trace = propagated(new ContextVar<string>("trace"));
 * trace.set("4711");
 * // new Worker(url, { workerData: inject() })
 * assert.deepEqual(inject(), { baggage: "trace=4711" });
 * ```
 */
export function inject(): Record<string, string>;
/**
 * Writes the current values of the propagated variables into the given carrier's `baggage`, and returns the carrier.
 *
 * @param carrier - An object, `Headers`, a `Map` or `process.env`; with `options.setter` anything else.
 */
export function inject<C extends Carrier>(carrier: C, options?: { setter?: undefined }): C;
export function inject<C>(carrier: C, options: InjectOptions<C>): C;
export function inject(carrier: unknown = {}, options: InjectOptions<unknown> = {}): unknown {
  checkOptions("inject()", options, ["setter"]);
  const { setter = carrierSetter } = options;
  if (typeof setter?.set !== "function") {
    throw new TypeError(`inject(): setter must be an object with a method set(), got ${typeof setter}`);
  }
  if (setter === carrierSetter && (typeof carrier !== "object" || carrier === null || Array.isArray(carrier))) {
    const given = Array.isArray(carrier) ? "an array" : carrier === null ? "null" : typeof carrier;
    throw new TypeError(`inject(): carrier must be an object, Headers, a Map or process.env, got ${given}`);
  }
  const context = copyContext();
  const ours = [...registered.values()]
    .filter(({ variable }) => context.has(variable))
    .map((entry) => memberOf(entry, context.get(entry.variable)));
  const traced = parse(injectTrace(carrier, setter));
  if (ours.length === 0 && traced.length === 0) {
    return carrier;
  }
  const present = parse(textOf(carrierGetter.get(carrier, "baggage")));
  const others = without(ours, [...without(traced, present), ...traced]);
  const members = [...others, ...fitting(ours, others)];
  if (members.length > 0) {
    setter.set(carrier, "baggage", members.map(({ text }) => text).join(","));
  }
  return carrier;
}

/** The members that are not replaced by others of the same key. */
function without(replacing: readonly Member[], members: readonly Member[]): Member[] {
  const keys = new Set(replacing.map(({ key }) => key));
  return members.filter(({ key }) => !keys.has(key));
}

function memberOf({ key, variable, codec, maxLength }: Entry, value: unknown): Member {
  const encoded = encode();
  if (encoded.length > maxLength) {
    throw new ValueError(
      `inject(): the value of ${variable} takes ${encoded.length} bytes, maxLength is ${maxLength}; pass a larger maxLength to propagated(), or a shorter value`,
    );
  }
  return { key, value: encoded, text: `${key}=${encoded}` };

  function encode(): string {
    try {
      // All characters that a header could not carry are escaped, so one character is one byte.
      return encodeURIComponent(codec.encode(value));
    } catch (error) {
      throw new ValueError(`inject(): the value of ${variable} cannot be encoded`, { cause: error });
    }
  }
}

/** As many of our members, beginning with the first, as the limits of `baggage` allow. */
function fitting(ours: readonly Member[], others: readonly Member[]): Member[] {
  const kept = [...ours];
  while (kept.length > 0 && exceeds([...others, ...kept])) {
    const { key } = kept.pop() as Member;
    if (!warned.has(key)) {
      warned.add(key);
      const text = `${registered.get(key)?.variable} was left out of baggage: ${MAX_MEMBERS} members and ${MAX_BYTES} bytes is all it may hold`;
      globalThis.process?.emitWarning(text, "RuntimeWarning");
    }
  }
  return kept;
}

function exceeds(members: readonly Member[]): boolean {
  return members.length > MAX_MEMBERS || bytesOf(members) > MAX_BYTES;
}
