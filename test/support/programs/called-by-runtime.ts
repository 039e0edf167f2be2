/**
 * Prints which values are seen by what the runtime itself calls: the callback of a FinalizationRegistry, and a listener of
 * 'unhandledRejection'.
 */
import { AsyncContext } from "contextvars/async-context";
import { survivors } from "../garbage.ts";
import { eventually } from "../peers.ts";

const variable = new AsyncContext.Variable<string>({ defaultValue: "none" });

const finalized: (string | undefined)[] = [];
const registry = variable.run("made", () => new FinalizationRegistry(() => finalized.push(variable.get())));
const garbage = variable.run("registered", () => {
  const object = {};
  registry.register(object, undefined);
  return new WeakRef(object);
});
await survivors([garbage]);
await eventually(() => finalized.length > 0);

const rejected: (string | undefined)[] = [];
process.on("unhandledRejection", () => rejected.push(variable.get()));
let reject: (error: Error) => void = () => {};
variable.run("made", () => {
  void new Promise<void>((_, rejectThis) => {
    reject = rejectThis;
  });
});
variable.run("rejected", () => reject(new Error("nobody handles this")));
await eventually(() => rejected.length > 0);

console.log(JSON.stringify({ finalized, rejected }));
