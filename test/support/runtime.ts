/** Which JavaScript runtime the tests run on, by the names the tables of differences use. */
import { AsyncLocalStorage } from "node:async_hooks";

export const runtimes = ["node20", "node22", "node24", "node26", "bun", "deno"] as const;

export type Runtime = (typeof runtimes)[number];

/** The runtime of this process; a Node release between two of the list counts as the lower one. */
export const runtime: Runtime = detect();

/**
 * Whether the runtime keeps stores with the resource whose callback runs, instead of with each callback: Node 20 and 22,
 * and later ones with `--no-async-context-frame`.
 */
export const keepsStoresOnResources: boolean = "kResourceStore" in new AsyncLocalStorage();

function detect(): Runtime {
  const { versions } = process as { versions: Record<string, string | undefined> };
  if (versions["bun"] !== undefined) {
    return "bun";
  }
  if (versions["deno"] !== undefined) {
    return "deno";
  }
  const major = Number.parseInt(versions["node"] ?? "", 10);
  const known = runtimes.filter((name) => name.startsWith("node") && Number(name.slice(4)) <= major);
  const newest = known.at(-1);
  if (newest === undefined) {
    throw new Error(`no table knows this runtime: Node ${versions["node"]}`);
  }
  return newest;
}
