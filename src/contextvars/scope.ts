/**
 * The scoped flow: a function, and all it starts, sees one variable otherwise; everything else stays as it is.
 *
 * Theory of operation. OpenTelemetry's `with()` and AsyncContext's `run()` need a value for the length of a call.
 * `copyContext().run()` would be wrong for them: what the function sets in a task would be lost to the task. A `set()`
 * before and a `reset()` after would be wrong too: the task shares its Context with callbacks that run in between.
 *
 * So in a task and inside `Context.run` the function runs in a flow of its own whose Context is a Scope: it shows the map
 * of the Context behind it with some variables put in, and passes every other change on to that Context. A scope in a
 * scope stands before the same Context, so scopes never form a chain, however deep they nest or however long code that
 * was started in one goes on. Outside tasks maps never change, and a flow with the variable put into the map will do.
 *
 * A scoped variable is private to the entry point that scopes it: nobody calls its `set()`.
 */
import { currentFlow, enterAmbient, enterFlow, Flow, type MapHolder, switchFlow } from "./current.ts";
import { ABSENT, EMPTY, entries, find, insert, type Key, type Mapping, remove } from "./mapping.ts";

/** Stands before a Context for one flow. */
class Scope implements MapHolder {
  /** The Context behind it: never another Scope. */
  readonly _root: MapHolder;
  /** The variables that are otherwise here. */
  _scoped: Mapping;
  /** The map of the Context, and what it is here, when last asked for. */
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
 * Calls the function with `this` and the arguments; it and all it starts see the value in the variable.
 *
 * What the function sets in other variables, its caller sees as after any call.
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
 * Has the code that follows in the running callback, and what it starts, see the value in the variable.
 *
 * @returns Brings back the value from before, once, where the attached one is current; does nothing elsewhere.
 */
export function attachScoped(variable: Key, value: unknown): () => void {
  const flow = currentFlow();
  const before = find(flow.context._map, variable);
  enterFlow(scopedFlow(flow, variable, value));
  let isAttached = true;
  return () => {
    const current = currentFlow();
    if (isAttached && find(current.context._map, variable) === value) {
      isAttached = false;
      enterFlow(scopedFlow(current, variable, before));
    }
  };
}

/** The flow with the variable otherwise; ABSENT takes the variable out. */
function scopedFlow(flow: Flow, variable: Key, value: unknown): Flow {
  const { context, owner } = flow;
  if (flow.ambient) {
    return new Flow({ _map: withValue(context._map, variable, value) }, owner, true, null);
  }
  const outer = context._root === undefined ? null : (context as Scope);
  // A scoped flow has the flow it was made from as its outer one: the way to all Contexts that are entered.
  const base = outer === null ? flow : (flow.outer as Flow);
  const scoped = withValue(outer === null ? EMPTY : outer._scoped, variable, value);
  const current = withValue(context._map, variable, value);
  return scoped === EMPTY ? base : new Flow(new Scope(base.context, scoped, current), owner, false, base);
}

function withValue(map: Mapping, key: Key, value: unknown): Mapping {
  return value === ABSENT ? remove(map, key) : insert(map, key, value);
}
