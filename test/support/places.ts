/** The two sorts of places a variable lives in. */
import { AsyncResource } from "node:async_hooks";
import { Context } from "contextvars";

/** Calls the function in an empty Context, as most of CPython's own cases do. */
export function inEmptyContext<R>(callable: () => R): R {
  return new Context().run(callable);
}

/** Calls the function in its own flow outside any Context, as Node calls a callback. */
export function inOwnFlow<R>(callable: () => R): R {
  return new AsyncResource("test").runInAsyncScope(callable);
}

/** Both places, for a test that has to hold in either: outside any Context, and inside one. */
export const places: readonly { readonly place: string; readonly inPlace: <R>(callable: () => R) => R }[] = [
  { place: "outside Context.run()", inPlace: inOwnFlow },
  { place: "inside Context.run()", inPlace: inEmptyContext },
];
