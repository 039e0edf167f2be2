/**
 * Which Context is current: the only file that imports `node:async_hooks`.
 *
 * Theory of operation. One AsyncLocalStorage serves all variables; what it holds is a Flow. A Flow names the Context that
 * is current and the owner of the running code (a task; this layer never looks inside). There are two sorts:
 *
 * - entered: made by `Context.run` and by every task. Its Context is mutable and shared by all that runs in the flow, so
 *   that an awaited function's `set()` is seen by its caller, as in Python.
 * - ambient: everything else. Its Context is never changed once made; `set()` enters a new ambient flow instead, which
 *   reaches the code that follows and what that starts, and no other: two requests of a bare server cannot meet in it.
 *
 * The storage is made when the package is loaded but not used before the program itself makes a variable or enters a
 * Context: on Node 20 and 22 the first use makes every await of the process dearer, and importing must not.
 *
 * All copies of the package in a process share one slot on `globalThis`, so that they agree on what is current. Its key
 * has a version: a copy that would have to change the shape of the slot, of Flow or of Mapping takes the next version.
 */
import {
  type AsyncHook,
  AsyncLocalStorage,
  createHook,
  executionAsyncId,
  executionAsyncResource,
} from "node:async_hooks";
import { repr } from "../repr.ts";
import type { Context } from "./context.ts";
import { keepEventsApart } from "./deno-emitters.ts";
import { EMPTY, type Mapping } from "./mapping.ts";

/** What a Context is to this layer: the holder of the current map. */
export interface MapHolder {
  _map: Mapping;
  /** The Context behind a scope (`scope.ts`). */
  readonly _root?: MapHolder;
}

/** The current Context and the owner of the code that runs in it. */
export class Flow {
  readonly context: MapHolder;
  /** The task, or whatever else the layer above wants to find again. */
  readonly owner: unknown;
  readonly ambient: boolean;
  /** While a synchronous `run` is under way, the flow that called it: the way to all Contexts that are entered. */
  outer: Flow | null;

  constructor(context: MapHolder, owner: unknown, ambient: boolean, outer: Flow | null) {
    this.context = context;
    this.owner = owner;
    this.ambient = ambient;
    this.outer = outer;
  }
}

interface Slot {
  readonly storage: AsyncLocalStorage<Flow>;
  /** The flow of code that nobody put into another one. */
  readonly root: Flow;
  /** Variables of all copies take their hashes from here, so that no two share one. */
  nextHash: number;
  /** What is to be put back, by the number Node gives the resource; see `borrowResource`. */
  readonly borrowed: Map<number, Borrowed>;
  /** Enabled while there is something to be put back. */
  watcher: AsyncHook | null;
}

interface Borrowed {
  /** The resource, or the object on it that holds the stores; see `holderOf`. */
  readonly resource: Record<symbol, unknown>;
  /** The flows that were entered on it. */
  entered: Entered | null;
  /** The same of the callback that this one interrupted, where both have the same resource. */
  readonly outer: Borrowed | null;
  /** What that one had there when it was interrupted. */
  readonly aside: unknown;
}

/** A flow that was entered, what the resource held before, and the flow that was entered earlier. */
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
    root: new Flow({ _map: EMPTY }, null, true, null),
    nextHash: 0,
    borrowed: new Map(),
    watcher: null,
  };
  return global[slotKey];
}

/** A storage that is switched off: Node 24 and later, with `--no-async-context-frame`, make one that is on. */
function newStorage(): AsyncLocalStorage<Flow> {
  const storage = new AsyncLocalStorage<Flow>();
  if ("kResourceStore" in storage) {
    storage.disable();
  }
  return storage;
}

const slot = sharedSlot();
const { storage, root, borrowed } = slot;

/** The flow that is running. */
export function currentFlow(): Flow {
  return storage.getStore() ?? root;
}

/** The map of the Context that is current. */
export function currentMap(): Mapping {
  return (storage.getStore() ?? root).context._map;
}

/**
 * A number that no other variable of the process has: unsigned, 32 bits.
 *
 * The first one switches the storage on where it needs that (Node 20 and 22): an `await` that began before cannot be
 * told from another one, and what one of them sets would be seen by the rest.
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

/** Calls the function in the flow; what it starts stays in the flow. */
export function runInFlow<A extends unknown[], R>(flow: Flow, callable: (...args: A) => R, ...args: A): R {
  return storage.run(flow, callable, ...args);
}

/**
 * The same for a caller that has nothing left to do in a flow of its own: what it does afterwards may be in this one.
 *
 * Cheaper where a flow lives in a frame of the runtime, which is copied once instead of twice.
 */
export function moveIntoFlow<A>(flow: Flow, callable: (argument: A) => void, argument: A): void {
  if (hasFrames) {
    storage.enterWith(flow);
    callable(argument);
  } else {
    storage.run(flow, callable, argument);
  }
}

/** Calls the function in the flow of the process, so that what it starts holds no other. */
export function runInNoFlow<R>(callable: () => R): R {
  return storage.run(root, callable);
}

/** Whether the Context is entered: by the running code itself or by a `run` that called it. */
export function isEntered(context: Context, flow: Flow | null = currentFlow()): boolean {
  for (let entered = flow; entered !== null; entered = entered.outer) {
    if (entered.context === context) {
      return true;
    }
  }
  return false;
}

/** In what the running code runs, for messages; on Node also what Node called it for. */
export function runningPlace(): string {
  const { owner, ambient } = currentFlow();
  if (owner !== null) {
    return `in ${repr(owner)}`;
  }
  if (!ambient) {
    return "in a Context.run()";
  }
  const kind = hasFrames || storeKey !== undefined ? executionAsyncResource().constructor?.name : "Object";
  return kind === undefined || kind === "Object" ? "outside all tasks" : `outside all tasks, in a callback of ${kind}`;
}

/** Makes the map current, in an ambient flow, for the code that follows in the running callback and what it starts. */
export function enterAmbient(map: Mapping): void {
  enterFlow(new Flow({ _map: map }, currentFlow().owner, true, null));
}

/** Makes the flow current for the code that follows in the running callback and what it starts. */
export function enterFlow(flow: Flow): void {
  borrowResource(flow);
  storage.enterWith(flow);
}

/** The same for a caller that switches back before it returns. */
export function switchFlow(flow: Flow): void {
  storage.enterWith(flow);
}

/**
 * Node 20 and 22 keep the store on the resource whose callback is running, under this key; so do Node 24 and later with
 * `--no-async-context-frame`. Otherwise, also on Node 22 with `--experimental-async-context-frame`, in Bun and in Deno,
 * each callback has the store it was registered with: there is no key, and nothing below is ever done.
 *
 * One resource serves many callbacks: a listening socket its connections, a parser its requests, an interval its ticks.
 * So a value set in one callback would be seen by the next, and the resource has to be put back when the callback ends.
 */
const { kResourceStore: storeKey } = storage as { kResourceStore?: symbol };

/** As it was found: fakes of a test runner are not to keep anything from being put back. */
const nextTick = process.nextTick.bind(process);

/** Node, where a callback has its store. In Bun entering and leaving costs nothing, in Deno entering alone costs more. */
const hasFrames = storeKey === undefined && !("bun" in process.versions) && !("deno" in process.versions);

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

/** Begins to watch the resource of the running callback; `null` if there is no need. */
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
    // The program's own top level: no callback, hence no end that could be watched.
    nextTick(putBack, id);
  }
  return entry;
}

/**
 * What the resource held when the callback began.
 *
 * Not simply what it held when the first flow was entered: that may have been inside a `run`, which has ended and has put
 * back what it found.
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
 * What the store of the running resource is a property of: the resource, on Node 20 and 22. Later ones have an object on
 * the resource for all stores, which the first store makes.
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
