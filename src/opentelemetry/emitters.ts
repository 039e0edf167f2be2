/**
 * Listeners that run in a context.
 *
 * Theory of operation. The five methods that add listeners are replaced on the emitter; each adds a function that wraps
 * the listener and refers to it in its property `listener`. Node's own `once()` marks its functions in the same way, so
 * `removeListener()` finds them by the listener, `listeners()` returns the listener, and a listener that was added
 * twice can be removed twice, without any bookkeeping here.
 */
import type { EventEmitter } from "node:events";

// biome-ignore lint/suspicious/noExplicitAny: a listener may be any function
type Listener = ((...args: any[]) => unknown) & { listener?: unknown; [original]?: Listener };

/** Calls a listener in a context. */
type Call = (listener: Listener, thisArg: unknown, args: unknown[]) => unknown;

/** Marks a function that already wraps a listener; all copies of the package share the mark. */
const original: unique symbol = Symbol.for("contextvars.opentelemetry.listener") as never;

const ADDING = ["on", "addListener", "prependListener", "once", "prependOnceListener"] as const;

/** How each manager calls the listeners of an emitter. */
const callsOf = new WeakMap<EventEmitter, Map<object, Call>>();

/** Calls the listeners that are added from now on by `call`, unless the manager has already bound the emitter. */
export function bindEmitter(emitter: EventEmitter, manager: object, call: Call): void {
  const known = callsOf.get(emitter);
  if (known !== undefined) {
    if (!known.has(manager)) {
      known.set(manager, call);
    }
    return;
  }
  const calls = new Map([[manager, call]]);
  callsOf.set(emitter, calls);
  for (const name of ADDING) {
    const add = emitter[name];
    const value = function (this: EventEmitter, event: string | symbol, listener: Listener): EventEmitter {
      return add.call(this, event, bound(listener, calls));
    };
    Object.defineProperty(emitter, name, { value, writable: true, configurable: true });
  }
}

function bound(listener: Listener, calls: ReadonlyMap<object, Call>): Listener {
  if (typeof listener !== "function" || original in listener) {
    return listener;
  }
  const inner = listener.listener as Listener | undefined;
  if (typeof inner === "function" && inner[original] !== undefined) {
    // The emitter's once() received a function of ours, and adds its own, which refers to ours.
    return standingFor(listener, inner[original]);
  }
  const called = [...calls.values()].reduce<Listener>(
    (callable, call) =>
      function (this: unknown, ...args) {
        return call(callable, this, args);
      },
    listener,
  );
  return standingFor(called, listener);
}

function standingFor(callable: Listener, listener: Listener): Listener {
  callable.listener = listener;
  callable[original] = listener;
  return callable;
}
