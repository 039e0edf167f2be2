/** Prints whether importing the package, making a variable and setting it switch the runtime's bookkeeping on. */
import { AsyncLocalStorage, executionAsyncResource } from "node:async_hooks";

type Symbols = Record<symbol, object | undefined>;

/** The values that the object has under symbols of this description. */
function valuesOf(object: Symbols, description: string): unknown[] {
  return Object.getOwnPropertySymbols(object)
    .filter((key) => key.description === description)
    .map((key) => object[key]);
}

/**
 * The stores of all storages that are switched on stand on each new resource of Node 20 and 22, under symbols, or, with
 * `--no-async-context-frame` on later ones, in an object on it.
 */
async function storesOnResources(): Promise<number> {
  await null;
  return new Promise((resolve) => {
    setImmediate(() => {
      const resource = executionAsyncResource() as Symbols;
      const holders = [resource, ...(valuesOf(resource, "kAsyncLocalStorageContext") as Symbols[])];
      resolve(holders.flatMap((holder) => valuesOf(holder, "kResourceStore")).length);
    });
  });
}

const probe = new AsyncLocalStorage();
const switchable = "kResourceStore" in probe;
probe.disable();
const before = await storesOnResources();
await import("contextvars/asyncio");
const { ContextVar } = await import("contextvars");
const imported = await storesOnResources();
const variable = new ContextVar("v", { default: 0 });
variable.get();
variable.set(1);
const used = await storesOnResources();
console.log(JSON.stringify({ switchable, before, imported, used }));
