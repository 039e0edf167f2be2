/** Prints whether importing the package, making a variable and setting it switch the runtime's bookkeeping on. */
import { AsyncLocalStorage, executionAsyncResource } from "node:async_hooks";

/** Node 20 and 22 write the stores of all storages that are switched on to each new resource, under symbols. */
async function storesOnResources(): Promise<number> {
  await null;
  return new Promise((resolve) => {
    setImmediate(() => {
      const resource = executionAsyncResource();
      resolve(Object.getOwnPropertySymbols(resource).filter((key) => key.description === "kResourceStore").length);
    });
  });
}

const switchable = "kResourceStore" in new AsyncLocalStorage();
const before = await storesOnResources();
await import("contextvars/asyncio");
const { ContextVar } = await import("contextvars");
const imported = await storesOnResources();
const variable = new ContextVar("v", { default: 0 });
variable.get();
variable.set(1);
const used = await storesOnResources();
console.log(JSON.stringify({ switchable, before, imported, used }));
