/** What the published types leave out, for tests of the package's insides. */
import type { Context, ContextVar } from "contextvars";
import type { Flow } from "#dist/contextvars/current.js";
import type { Key, Mapping } from "#dist/contextvars/mapping.js";

/** The map that the Context holds at the moment. */
export function mapIn(context: Context | Flow["context"]): Mapping {
  return (context as unknown as { _map: Mapping })._map;
}

/** The Context, as a Flow takes it. */
export function holder(context: Context): Flow["context"] {
  return context as unknown as Flow["context"];
}

/** The variable, as a key of a map. */
export function keyOf(variable: ContextVar<never> | ContextVar<unknown>): Key {
  return variable as unknown as Key;
}
