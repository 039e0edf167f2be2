/**
 * Deno, outside tasks: what a listener sets ends with its event.
 *
 * Deno calls the listeners of sockets, servers, requests, datagrams, child processes and ports out of its own loops, and
 * what one of them entered stays current there. The next event, which may belong to another connection, would see it. No
 * hook tells when such a callback ends. But these events all go through one method of a few classes: when it returns,
 * what was current before is put back.
 *
 * Only these classes are changed. A listener of any other emitter shares its flow with the code that emits.
 */

/** The part of an AsyncLocalStorage that is needed here. */
interface Storage<T> {
  getStore(): T | undefined;
  enterWith(store: T | undefined): void;
}

type Classes = Readonly<Record<string, { readonly prototype: Record<string, (...args: unknown[]) => unknown> }>>;

/** The classes whose events come out of Deno's loops. Subclasses, as that of TLS sockets, inherit the method. */
const MODULES: Readonly<Record<string, readonly string[]>> = {
  net: ["Server", "Socket"],
  http: ["IncomingMessage", "ClientRequest"],
  dgram: ["Socket"],
  child_process: ["ChildProcess"],
  worker_threads: ["Worker"],
};

/** Makes the events of these classes put back what was current in the storage. */
export function keepEventsApart<T>(storage: Storage<T>): void {
  for (const [module, names] of Object.entries(MODULES)) {
    const classes = process.getBuiltinModule(`node:${module}`) as unknown as Classes;
    for (const name of names) {
      replace(storage, classes, name, "emit");
    }
  }
  replace(storage, globalThis as unknown as Classes, "MessagePort", "dispatchEvent");
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
