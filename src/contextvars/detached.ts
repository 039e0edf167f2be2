/**
 * Methods that were passed on without their objects.
 *
 * `context.run(variable.set, 1)` is right in Python, where `variable.set` knows its variable. In JavaScript the method
 * is called without its variable, and would throw at its first private field, with a message about the library's
 * internals.
 */
import { nameOf } from "../repr.ts";

/** The methods, and the names of their classes. */
const owners = new Map<unknown, string>();

/**
 * Registers the classes' methods for {@linkcode checkAttached}. The keys are the names of the classes, which they get
 * back if a bundler has shortened them: messages and reprs show them.
 */
export function knowMethodsOf(classes: Readonly<Record<string, { readonly prototype: object }>>): void {
  for (const [owner, known] of Object.entries(classes)) {
    Object.defineProperty(known, "name", { value: owner, configurable: true });
    const { prototype } = known;
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (typeof value === "function" && name !== "constructor") {
        owners.set(value, owner);
      }
    }
  }
}

/**
 * Throws a TypeError if the function is a registered method, which was passed without its object.
 *
 * @param cause - The error that calling it threw, if it was called.
 */
export function checkAttached(caller: string, given: { readonly name: unknown }, cause?: unknown): void {
  const owner = owners.get(given);
  if (owner === undefined) {
    return;
  }
  const name = nameOf(given);
  const object = owner.charAt(0).toLowerCase() + owner.slice(1);
  const message =
    `${caller} got ${owner}.${name}() without the ${owner} it is to act on: ` +
    `pass () => ${object}.${name}(...), not ${object}.${name}`;
  throw cause === undefined ? new TypeError(message) : new TypeError(message, { cause });
}
