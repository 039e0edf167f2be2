/**
 * Deno, outside tasks: values set by a listener last until its event ends.
 *
 * Deno calls the listeners of sockets, servers, requests, datagrams, child processes, workers, ports and errors from its
 * own loops, and a flow that one listener entered stays current there. The next event, which may belong to another
 * connection, would see it. No hook reports the end of such a callback. But all these events go through one method of a
 * few classes: when that method returns, the earlier flow is restored.
 *
 * Only these classes are changed. A listener on any other emitter shares the flow of the code that emits.
 */

/** The methods of an AsyncLocalStorage that are needed here. */
interface Storage<T> {
  getStore(): T | undefined;
  enterWith(store: T | undefined): void;
}

type Classes = Readonly<Record<string, { readonly prototype: Record<string, (...args: unknown[]) => unknown> }>>;

/** The classes whose events come from Deno's loops. Subclasses, such as TLSSocket, inherit the method. */
const MODULES: Readonly<Record<string, readonly string[]>> = {
  net: ["Server", "Socket"],
  http: ["IncomingMessage", "ClientRequest"],
  dgram: ["Socket"],
  child_process: ["ChildProcess"],
  worker_threads: ["Worker"],
};

/** Makes the events of these classes restore the storage's earlier store. */
export function keepEventsApart<T>(storage: Storage<T>): void {
  for (const [module, names] of Object.entries(MODULES)) {
    const classes = process.getBuiltinModule(`node:${module}`) as unknown as Classes;
    for (const name of names) {
      replace(storage, classes, name, "emit");
    }
  }
  for (const name of ["MessagePort", "Worker"]) {
    replace(storage, globalThis as unknown as Classes, name, "dispatchEvent");
  }
  // Such as 'uncaughtException'. Signals do not come through it.
  replace(storage, { process: { prototype: process } } as unknown as Classes, "process", "emit");
}

function replace<T>(storage: Storage<T>, classes: Classes, name: string, method: string): void {
  const prototype = classes[name]?.prototype;
  const original = prototype?.[method];
  if (prototype === undefined || original === undefined) {
    return;
  }
  prototype[method] = function (this: unknown, ...args: unknown[]): unknown {
    const before = storage.getStore();
    try {
      return Reflect.apply(original, this, args);
    } finally {
      if (storage.getStore() !== before) {
        storage.enterWith(before);
      }
    }
  };
}
