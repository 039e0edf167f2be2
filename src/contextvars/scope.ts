/**
 * The scoped flow: a function, and everything it starts, sees another value in one variable; nothing else changes.
 *
 * Theory of operation. OpenTelemetry's `with()` and AsyncContext's `run()` need a value for the duration of a call.
 * `copyContext().run()` would be wrong: values that the function sets in a task would be lost to the task. A `set()`
 * before and a `reset()` after would be wrong as well: the task shares its Context with callbacks that run in between.
 *
 * So in a task and inside `Context.run` the function runs in its own flow, whose Context is a Scope. A Scope shows the
 * map of the Context behind it with some variables replaced, and passes every other change on to that Context. A scope
 * within a scope has the same Context behind it, so scopes never form a chain, no matter how deeply they nest or how
 * long the code started in them runs. Outside tasks maps never change, and a flow whose map has the variable replaced
 * is enough.
 *
 * A scoped variable is private to the entry point that scopes it, so its `set()` is never called.
 */
import { currentFlow, enterAmbient, enterFlow, Flow, type MapHolder, switchFlow } from "./current.ts";
import { ABSENT, EMPTY, entries, find, insert, type Key, type Mapping, remove } from "./mapping.ts";

/** Replaces some variables of a Context, for one flow. */
class Scope implements MapHolder {
  /** The Context behind it: never another Scope. */
  readonly _root: MapHolder;
  /** The variables that are replaced, with their values here. */
  _scoped: Mapping;
  /** The Context's map when it was last read, and below it the map that the scope makes of it. */
  _below: Mapping;
  _current: Mapping;

  constructor(root: MapHolder, scoped: Mapping, current: Mapping) {
    this._root = root;
    this._scoped = scoped;
    this._below = root._map;
    this._current = current;
  }

  get _map(): Mapping {
    const below = this._root._map;
    if (below !== this._below) {
      this._below = below;
      this._current = entries(this._scoped).reduce((map, [key, value]) => insert(map, key, value), below);
    }
    return this._current;
  }

  set _map(map: Mapping) {
    let below = map;
    for (const [key, value] of entries(this._scoped)) {
      below = withValue(below, key, find(this._root._map, key));
      const now = find(map, key);
      if (now !== value) {
        this._scoped = withValue(this._scoped, key, now);
      }
    }
    this._root._map = below;
    this._below = below;
    this._current = map;
  }
}

/**
 * Calls the function with `this` and the arguments. The function, and everything it starts, sees the value in the
 * variable.
 *
 * Values that the function sets in other variables are visible to its caller, as after any call.
 */
export function runScoped<A extends unknown[], R>(
  variable: Key,
  value: unknown,
  callable: (...args: A) => R,
  thisArg: unknown,
  args: A,
): R {
  const flow = currentFlow();
  const scoped = scopedFlow(flow, variable, value);
  switchFlow(scoped);
  try {
    return Reflect.apply(callable, thisArg, args);
  } finally {
    const last = flow.ambient ? currentFlow() : scoped;
    switchFlow(flow);
    if (last !== scoped) {
      enterAmbient(withValue(last.context._map, variable, find(flow.context._map, variable)));
    }
  }
}

/**
 * Gives the variable the value for the rest of the running callback and everything that it starts.
 *
 * @returns A function that restores the earlier value, once, if the attached value is current where it is called;
 * otherwise it does nothing.
 */
export function attachScoped(variable: Key, value: unknown): () => void {
  const flow = currentFlow();
  const attached = scopedFlow(flow, variable, value);
  enterFlow(attached);
  let isAttached = true;
  return () => {
    const current = currentFlow();
    if (isAttached && find(current.context._map, variable) === value) {
      isAttached = false;
      enterFlow(current === attached ? flow : scopedFlow(current, variable, find(flow.context._map, variable)));
    }
  };
}

/** The flow with another value in the variable; ABSENT removes the variable. */
function scopedFlow(flow: Flow, variable: Key, value: unknown): Flow {
  const { context, owner } = flow;
  if (flow.ambient) {
    return Flow.ambient(withValue(context._map, variable, value), owner);
  }
  const outer = context._root === undefined ? null : (context as Scope);
  // The outer flow of a scoped flow is the flow it was made from, which leads to all Contexts that are entered.
  const base = outer === null ? flow : (flow.outer as Flow);
  const scoped = withValue(outer === null ? EMPTY : outer._scoped, variable, value);
  const current = withValue(context._map, variable, value);
  return scoped === EMPTY ? base : new Flow(new Scope(base.context, scoped, current), owner, false, base);
}

function withValue(map: Mapping, key: Key, value: unknown): Mapping {
  return value === ABSENT ? remove(map, key) : insert(map, key, value);
}
