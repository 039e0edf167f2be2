/**
 * Brands: how the installed copies of the package know each other's objects.
 *
 * A class of another copy is another class: `instanceof` does not know its objects. Those that copies hand each other
 * carry a property whose key all copies share. The number in a key changes when a copy asks something else of such an
 * object; a copy with another number is any other library then, and its Futures are foreign promises.
 */

export const FUTURE: unique symbol = Symbol.for("contextvars.asyncio.Future.1");
export const TASK: unique symbol = Symbol.for("contextvars.asyncio.Task.1");
export const ABORT_REASON: unique symbol = Symbol.for("contextvars.asyncio.AbortReason.1");

/** Whether the object is of the class that has this brand, in whatever copy. Never throws. */
export function hasBrand(value: unknown, brand: symbol): boolean {
  try {
    return typeof value === "object" && value !== null && brand in value;
  } catch {
    // A Proxy threw.
    return false;
  }
}
