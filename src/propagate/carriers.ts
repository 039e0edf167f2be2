/** Carriers: the objects that transport values, and how they are read and written. */

/** Reads a carrier; the same shape as OpenTelemetry's `TextMapGetter`. */
export interface Getter<C> {
  /** Returns the value under the key: one text, several, or none. */
  get(carrier: C, key: string): string | string[] | undefined;
  /** Returns all keys of the carrier. */
  keys(carrier: C): string[];
}

/** Writes a carrier; the same shape as OpenTelemetry's `TextMapSetter`. */
export interface Setter<C> {
  set(carrier: C, key: string, value: string): void;
}

/**
 * `Headers`, a `Map`, or any other object with their two methods.
 *
 * @inline
 */
interface MapLike {
  get(key: string): unknown;
  set(key: string, value: string): unknown;
}

/**
 * The carriers that `inject()` and `extract()` support without a setter or getter: a plain object, `Headers`, a `Map`,
 * the `headers` of an `IncomingMessage`, `process.env`.
 */
export type Carrier = MapLike | { [key: string]: string | readonly string[] | undefined };

/**
 * Names of a plain object are matched in any case, like HTTP headers; a new name is written in lower case, or in upper
 * case in `process.env`.
 */
export const carrierGetter: Getter<unknown> = {
  get(carrier, key) {
    const value = isMapLike(carrier)
      ? carrier.get(key)
      : (carrier as Record<string, unknown>)[nameIn(carrier, key) ?? key];
    return typeof value === "string" || Array.isArray(value) ? value : undefined;
  },
  keys(carrier) {
    return isMapLike(carrier)
      ? [...((carrier as { keys?(): Iterable<string> }).keys?.() ?? [])]
      : Object.keys(Object(carrier));
  },
};

export const carrierSetter: Setter<unknown> = {
  set(carrier, key, value) {
    if (isMapLike(carrier)) {
      carrier.set(key, value);
      return;
    }
    const name = nameIn(carrier, key) ?? (isEnvironment(carrier) ? key.toUpperCase() : key);
    (carrier as Record<string, string>)[name] = value;
  },
};

/** Joins the result of a getter into one text; several headers with the same name form a list. */
export function textOf(value: string | readonly string[] | null | undefined): string {
  return typeof value === "string" ? value : (value ?? []).join(",");
}

function isMapLike(carrier: unknown): carrier is MapLike {
  const { get, set } = Object(carrier) as Partial<MapLike>;
  return typeof get === "function" && typeof set === "function";
}

function isEnvironment(carrier: unknown): boolean {
  return carrier === globalThis.process?.env;
}

function nameIn(carrier: unknown, key: string): string | undefined {
  const record = Object(carrier) as object;
  return key in record ? key : Object.keys(record).find((name) => name.toLowerCase() === key);
}
