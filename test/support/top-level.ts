/** What is seen of a value that the top level of a program sets. */
import { ContextVar } from "contextvars";
import { turn } from "./latch.ts";

/** Sets a variable immediately, in the caller's flow, and reports what code started before and afterwards sees. */
export async function watchTopLevel(): Promise<Record<string, string>> {
  const variable = new ContextVar("v", { default: "default" });
  const seen: Record<string, string> = {};
  const look = (where: string) => (): void => {
    seen[where] = variable.get();
  };
  const startedBefore = turn().then(look("startedBefore"));

  variable.set("top");
  look("now")();
  process.nextTick(look("nextTick"));
  queueMicrotask(look("microtask"));
  setImmediate(look("immediate"));
  const timer = new Promise<void>((resolve) => {
    setTimeout(() => {
      look("timer")();
      resolve();
    }, 1);
  });
  await null;
  look("afterAwait")();
  await Promise.all([startedBefore, timer]);
  look("afterSecondAwait")();

  variable.set("second");
  await turn();
  look("afterSetInBetween")();
  return seen;
}
