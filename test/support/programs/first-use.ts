/**
 * Prints what flows see of each other that have begun to wait before any value was set in the process.
 *
 * The variable is made first, as a module makes it; then nothing happens to it before the flows go on, all in one turn.
 */
import { ContextVar } from "contextvars";
import { turn } from "../latch.ts";

const variable = new ContextVar("v", { default: "default" });
const ready = new Promise<void>((resolve) => {
  setTimeout(resolve, 1);
});

async function flow(name: string): Promise<unknown> {
  await ready;
  const before = variable.get();
  variable.set(name);
  const after = variable.get();
  await turn();
  return { name, before, after, later: variable.get() };
}

const flows = await Promise.all(["a", "b", "c"].map(flow));
console.log(JSON.stringify({ flows, top: variable.get() }));
