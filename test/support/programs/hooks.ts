/** Prints how many hooks of `node:async_hooks` the package has switched on at which moment. */
import asyncHooks, { type AsyncHook, AsyncResource, type HookCallbacks } from "node:async_hooks";
import { syncBuiltinESMExports } from "node:module";

let enabled = 0;
const { createHook } = asyncHooks;
asyncHooks.createHook = (callbacks: HookCallbacks): AsyncHook => {
  const hook = createHook(callbacks);
  let on = false;
  const counted = {
    enable: () => {
      enabled += on ? 0 : 1;
      on = true;
      hook.enable();
      return counted;
    },
    disable: () => {
      enabled -= on ? 1 : 0;
      on = false;
      hook.disable();
      return counted;
    },
  };
  return counted;
};
syncBuiltinESMExports();

const { Context, ContextVar } = await import("contextvars");
const variable = new ContextVar<string>("v");
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

variable.set("top");
const topLevel = enabled;
await turn();
const afterTopLevel = enabled;

let inCallback = -1;
let inNestedCallback = -1;
setImmediate(() => {
  variable.set("callback");
  inCallback = enabled;
  new AsyncResource("nested").runInAsyncScope(() => {
    variable.set("nested");
    inNestedCallback = enabled;
  });
});
await turn();
const afterCallback = enabled;

process.once("uncaughtException", () => {});
setImmediate(() => {
  variable.set("failing");
  throw new Error("for the uncaughtException handler");
});
await turn();
await turn();
const afterFailedCallback = enabled;

const inContext = new Context().run(() => {
  variable.set("context");
  return enabled;
});
console.log(
  JSON.stringify({
    topLevel,
    afterTopLevel,
    inCallback,
    inNestedCallback,
    afterCallback,
    afterFailedCallback,
    inContext,
  }),
);
