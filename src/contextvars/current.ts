/**
 * Which Context is current: the only file that imports `node:async_hooks`.
 *
 * Theory of operation. One AsyncLocalStorage serves all variables; its store is a Flow. A Flow names the current
 * Context and the owner of the running code (a task; this layer never looks inside). There are two kinds:
 *
 * - entered: made by `Context.run` and by every task. Its Context is mutable and shared by all code that runs in the
 *   flow, so that a caller sees the `set()` of a function that it awaits, as in Python.
 * - ambient: everything else. Its Context never changes; `set()` enters a new ambient flow instead, which holds for the
 *   code that follows and for everything that code starts. So two requests of a plain server cannot share one.
 *
 * The storage is created when the package is loaded, but is not used before the program creates a variable or enters a
 * Context: on Node 20 and 22 the first use makes every await of the process slower, and an import must not.
 *
 * All copies of the package in a process share one slot on `globalThis`, so that they agree on the current Context. The
 * slot's key has a version, which changes whenever the shape of the slot, of Flow or of Mapping changes.
 */
import {
  type AsyncHook,
  AsyncLocalStorage,
  AsyncResource,
  createHook,
  executionAsyncId,
  executionAsyncResource,
} from "node:async_hooks";
import { repr } from "../repr.ts";
import type { Context } from "./context.ts";
import { keepEventsApart } from "./deno-emitters.ts";
import { EMPTY, type Mapping } from "./mapping.ts";

/** A Context as this layer sees it: the holder of the current map. */
export interface MapHolder {
  _map: Mapping;
  /** The Context behind a scope (`scope.ts`). */
  readonly _root?: MapHolder;
}

/** The current Context and the owner of the code that runs in it. */
export class Flow {
  readonly context: MapHolder;
  /** The task, or any other object that the layer above wants to find again. */
  readonly owner: unknown;
  readonly ambient: boolean;
  /**
   * During a synchronous `run()`, the flow that called it. Following `outer` leads to all Contexts that are entered.
   */
  outer: Flow | null;

  constructor(context: MapHolder, owner: unknown, ambient: boolean, outer: Flow | null) {
    this.context = context;
    this.owner = owner;
    this.ambient = ambient;
    this.outer = outer;
  }

  /** The flow of code that enters the Context: a task's, or by default one that belongs to no task. */
  static entered(context: MapHolder, owner: unknown = null): Flow {
    return new Flow(context, owner, false, null);
  }

  static ambient(map: Mapping, owner: unknown): Flow {
    return new Flow({ _map: map }, owner, true, null);
  }
}

interface Slot {
  readonly storage: AsyncLocalStorage<Flow>;
  /** The flow of code that has not entered another one. */
  readonly root: Flow;
  /** The next hash for a variable of any copy of the package, so that no two variables share one. */
  nextHash: number;
  /** The resources to restore, by Node's number of the resource; see `borrowResource`. */
  readonly borrowed: Map<number, Borrowed>;
  /** Enabled while there is a resource to restore. */
  watcher: AsyncHook | null;
}

interface Borrowed {
  /** The resource, or the object on it that holds the stores; see `holderOf`. */
  readonly resource: Record<symbol, unknown>;
  /** The flows that were entered on it. */
  entered: Entered | null;
  /** The record of the callback that this one interrupted, if both have the same resource. */
  readonly outer: Borrowed | null;
  /** The store that the interrupted callback had on the resource. */
  readonly aside: unknown;
}

/** A flow that was entered, the store that the resource held before, and the flow that was entered earlier. */
interface Entered {
  flow: Flow;
  readonly before: unknown;
  readonly earlier: Entered | null;
}

const slotKey = Symbol.for("contextvars.slot.1");

function sharedSlot(): Slot {
  const global = globalThis as { [slotKey]?: Slot };
  global[slotKey] ??= {
    storage: newStorage(),
    root: Flow.ambient(EMPTY, null),
    nextHash: 0,
    borrowed: new Map(),
    watcher: null,
  };
  return global[slotKey];
}

/** Creates a storage and disables it: Node 24 and later create an enabled one with `--no-async-context-frame`. */
function newStorage(): AsyncLocalStorage<Flow> {
  const storage = new AsyncLocalStorage<Flow>();
  if ("kResourceStore" in storage) {
    storage.disable();
  }
  return storage;
}

const slot = sharedSlot();
const { storage, root, borrowed } = slot;

/** The current flow. */
export function currentFlow(): Flow {
  return storage.getStore() ?? root;
}

/** The current Context's map. */
export function currentMap(): Mapping {
  return (storage.getStore() ?? root).context._map;
}

/**
 * A number that no other variable of the process has: unsigned, 32 bits.
 *
 * The first call enables the storage on runtimes that require it (Node 20 and 22). An `await` that began earlier cannot
 * be told from others that did, so a value set after one of them would be visible after the rest.
 */
export function newHash(): number {
  if (slot.nextHash === 0) {
    prepareRuntime();
  }
  const hash = slot.nextHash;
  slot.nextHash = (hash + 1) >>> 0;
  return hash;
}

function prepareRuntime(): void {
  if (storeKey !== undefined) {
    storage.run(root, () => {});
  }
  if ("deno" in process.versions) {
    keepEventsApart(storage);
  }
}

/** Calls the function in the flow; everything that the function starts stays in the flow. */
export function runInFlow<A extends unknown[], R>(flow: Flow, callable: (...args: A) => R, ...args: A): R {
  return storage.run(flow, callable, ...args);
}

/**
 * Like `runInFlow()`, for a caller that does nothing else in its own flow: its remaining code may run in this one.
 *
 * Cheaper on a runtime that keeps the flow in a frame, because the frame is copied once instead of twice.
 */
export function moveIntoFlow<A>(flow: Flow, callable: (argument: A) => void, argument: A): void {
  if (hasContextFrames) {
    storage.enterWith(flow);
    callable(argument);
  } else {
    storage.run(flow, callable, argument);
  }
}

/**
 * What all storages of the process hold, those of other libraries as well, when it is captured.
 *
 * Code that is called later by a loop of the library's own would otherwise see other libraries' values of whatever code
 * has set that loop in motion, such as those of another request.
 */
export type Surroundings = AsyncResource;

/** Returns the surroundings of the running code. */
export function captureSurroundings(): Surroundings {
  return new AsyncResource("contextvars");
}

/** Calls the function in the flow, within the surroundings. */
export function runInSurroundings<A>(
  surroundings: Surroundings,
  flow: Flow,
  callable: (argument: A) => void,
  argument: A,
): void {
  surroundings.runInAsyncScope(moveIntoFlow, undefined, flow, callable as (argument: unknown) => void, argument);
}

/** Calls the function in the root flow, so that nothing it starts keeps another flow alive. */
export function runInNoFlow<R>(callable: () => R): R {
  return storage.run(root, callable);
}

/** Whether the Context is entered, by the running code or by a `run()` around it. */
export function isEntered(context: Context, flow: Flow | null = currentFlow()): boolean {
  for (let entered = flow; entered !== null; entered = entered.outer) {
    if (entered.context === context) {
      return true;
    }
  }
  return false;
}

/** Where the current code runs, for messages; on Node with the kind of callback. */
export function runningPlace(): string {
  const { owner, ambient } = currentFlow();
  if (owner !== null) {
    return `in ${repr(owner)}`;
  }
  if (!ambient) {
    return "in a Context.run()";
  }
  const kind = hasContextFrames || storeKey !== undefined ? executionAsyncResource().constructor?.name : "Object";
  return kind === undefined || kind === "Object" ? "outside all tasks" : `outside all tasks, in a callback of ${kind}`;
}

/** Makes the map current, in an ambient flow, for the rest of the running callback and everything that it starts. */
export function enterAmbient(map: Mapping): void {
  enterFlow(Flow.ambient(map, currentFlow().owner));
}

/** Makes the flow current for the rest of the running callback and everything that it starts. */
export function enterFlow(flow: Flow): void {
  borrowResource(flow);
  storage.enterWith(flow);
}

/** Like `enterFlow()`, for a caller that switches back before it returns. */
export function switchFlow(flow: Flow): void {
  storage.enterWith(flow);
}

/**
 * Node 20 and 22 keep the store on the resource whose callback is running, under this key; so do Node 24 and later with
 * `--no-async-context-frame`. Otherwise (and on Node 22 with `--experimental-async-context-frame`, in Bun and in Deno)
 * each callback has the store it was registered with: there is no key, and none of the code below runs.
 *
 * One resource serves many callbacks: a listening socket its connections, a parser its requests, an interval its ticks.
 * So a value set in one callback would be visible in the next, unless the resource is restored when the callback ends.
 */
const { kResourceStore: storeKey } = storage as { kResourceStore?: symbol };

/** Captured at load, so that a test runner's fake does not prevent resources from being restored. */
const nextTick = process.nextTick.bind(process);

/**
 * Whether this is Node with a store for each callback. Entering and leaving costs nothing in Bun; in Deno, entering
 * alone costs more.
 */
const hasContextFrames = storeKey === undefined && !("bun" in process.versions) && !("deno" in process.versions);

function borrowResource(flow: Flow): void {
  if (storeKey === undefined) {
    return;
  }
  const id = executionAsyncId();
  const entry = borrowed.get(id) ?? borrow(id, storeKey);
  if (entry === null) {
    return;
  }
  const { resource, entered } = entry;
  const before = resource[storeKey];
  if (entered !== null && entered.flow === before) {
    entered.flow = flow;
  } else {
    entry.entered = { flow, before, earlier: entered };
  }
}

/** Begins to watch the running callback's resource; returns `null` if there is no need. */
function borrow(id: number, key: symbol): Borrowed | null {
  const resource = executionAsyncResource() as Record<symbol, unknown>;
  // A promise runs one reaction only.
  if (resource instanceof Promise) {
    return null;
  }
  const entry: Borrowed = { resource: holderOf(resource, key), entered: null, outer: null, aside: undefined };
  borrowed.set(id, entry);
  slot.watcher ??= createHook({ before: putAside, after: putBack });
  slot.watcher.enable();
  if (id <= 1) {
    // The program's top level is not a callback, so it has no end to watch.
    nextTick(putBack, id);
  }
  return entry;
}

/**
 * The store that the resource held when the callback began.
 *
 * This is not simply the store it held when the first flow was entered: that may have happened inside a `run()`, which
 * has ended since and has restored the earlier store.
 */
function original({ resource, entered }: Borrowed, key: symbol): unknown {
  let store = resource[key];
  for (let entry = entered; entry !== null; entry = entry.earlier) {
    if (store === entry.flow) {
      store = entry.before;
    }
  }
  return store;
}

/**
 * The object whose property is the store: the resource itself on Node 20 and 22. Later versions keep one object for all
 * stores on the resource, which the first store creates.
 */
function holderOf(resource: Record<symbol, unknown>, key: symbol): Record<symbol, unknown> {
  storage.enterWith(currentFlow());
  if (key in resource) {
    return resource;
  }
  const stores = Object.getOwnPropertySymbols(resource).find((own) => own.description === "kAsyncLocalStorageContext");
  return stores === undefined ? resource : (resource[stores] as Record<symbol, unknown>);
}

function putAside(id: number): void {
  const outer = borrowed.get(id);
  if (storeKey !== undefined && outer !== undefined) {
    const { resource } = outer;
    borrowed.set(id, { resource, entered: null, outer, aside: resource[storeKey] });
    resource[storeKey] = original(outer, storeKey);
  }
}

function putBack(id: number): void {
  const entry = borrowed.get(id);
  if (storeKey === undefined || entry === undefined) {
    return;
  }
  if (entry.outer !== null) {
    entry.resource[storeKey] = entry.aside;
    borrowed.set(id, entry.outer);
    return;
  }
  entry.resource[storeKey] = original(entry, storeKey);
  borrowed.delete(id);
  if (borrowed.size === 0) {
    slot.watcher?.disable();
  }
}
