/**
 * Brands: how installed copies of the package recognize each other's objects.
 *
 * Each copy has its own classes, so `instanceof` does not recognize another copy's objects. Objects that copies pass to
 * each other carry a property whose key all copies share. The number in a key changes when copies use such an object
 * differently; a copy with another number is then treated like any other library, and its Futures like foreign
 * promises.
 */

export const FUTURE: unique symbol = Symbol.for("contextvars.asyncio.Future.1");
export const TASK: unique symbol = Symbol.for("contextvars.asyncio.Task.1");
export const ABORT_REASON: unique symbol = Symbol.for("contextvars.asyncio.AbortReason.1");

/** Whether the object belongs to the class with this brand, in any copy. Never throws. */
export function hasBrand(value: unknown, brand: symbol): boolean {
  try {
    return typeof value === "object" && value !== null && brand in value;
  } catch {
    // A Proxy threw.
    return false;
  }
}
