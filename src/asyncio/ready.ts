/**
 * The ready queue: what runs next, in which order.
 *
 * Theory of operation. asyncio's loop runs in iterations: it looks for input and output, then runs the callbacks that
 * are ready, those that were there at the beginning of the iteration, first come first served. A step of a task, up to
 * its next wait, is one such callback, and is never interleaved with another. Programs come to depend on that order, so
 * it is kept here exactly:
 *
 * - A step of a task goes on in microtasks. The next item runs from `process.nextTick`, asked for from a microtask: Node,
 *   Bun and Deno run that when no microtask is left. So the step has come to its end by then, however deep its awaits.
 * - An iteration begins with a turn of the event loop (`setImmediate`) when one of its items asked for that: `sleep(0)`
 *   and `callSoon` let input and output in, as in asyncio. Where there are only starts and wake-ups it begins at once,
 *   which costs a tenth of a turn; after many such iterations a turn comes all the same.
 * - Timers come last in their iteration, which is the first one after their moment.
 */

// Imported: the global `process` would be looked up each time.
import { nextTick } from "node:process";
import { setImmediate, time } from "./clock.ts";

/** Something that can be run next. */
export interface Ready {
  /** Runs it; never throws. True when code goes on in microtasks, which have to end before the next item runs. */
  _step(): boolean;
}

/** A timer. */
export interface Due extends Ready {
  /** The moment it runs at, in seconds of the loop's clock. */
  when(): number;
}

/** So many iterations may follow each other before input and output are let in. */
const ITERATIONS_PER_TURN = 256;

/** So many places of items that have run may be in the queue before it is made shorter. */
const SPENT_ITEMS_KEPT = 1024;

const settled: Promise<void> = Promise.resolve();

let queue: (Ready | undefined)[] = [];
/** Where the next one goes; the array is used again, because one that grows makes room for many. */
let tail = 0;
/** Timers for the next iteration. */
let due: Due[] = [];
/** The next item; what is before it has run. */
let head = 0;
/** How many items are left of the iteration that is under way. */
let left = 0;
/** Whether an item behind those asked for a turn first. */
let turnWanted = false;
let iterations = 0;
let state: "idle" | "scheduled" | "running" = "idle";

/** Told how long each step took, in debug mode. */
type StepWatcher = (item: Ready, seconds: number) => void;
let watcher: StepWatcher | null = null;

/** Has the function told of each step, or nobody. */
export function watchSteps(newWatcher: StepWatcher | null): void {
  watcher = newWatcher;
}

/**
 * Appends an item to the queue.
 *
 * @param turnFirst - Whether the iteration that runs it has to begin with a turn of the event loop.
 */
export function soon(item: Ready, turnFirst = false): void {
  queue[tail] = item;
  tail += 1;
  turnWanted ||= turnFirst;
  wake();
}

/**
 * Puts a timer whose moment has come where asyncio does: behind all that will be ready when the next iteration begins,
 * which is that of all timers whose moment has come by then, in the order of their moments.
 */
export function soonDue(item: Due): void {
  due.push(item);
  turnWanted = true;
  wake();
}

/**
 * Whether nothing is ready and no turn was asked for. Code of a step may still run in microtasks: ask from a callback of
 * `setImmediate`, when these have ended.
 */
export function isIdle(): boolean {
  return state === "idle";
}

function wake(): void {
  if (state === "idle") {
    state = "scheduled";
    nextTick(run);
  }
}

/**
 * Appends an item that a step leaves behind with the last thing it does. If none is before it, it runs at once: the step
 * has ended, and a tick would only be waited for.
 */
export function soonAtStepEnd(item: Ready): void {
  if (state === "idle" && watcher === null) {
    item._step();
  } else {
    soon(item);
  }
}

function run(): void {
  if (left > 0) {
    runItems();
  } else if (turnWanted || iterations >= ITERATIONS_PER_TURN) {
    setImmediate(runTurn);
  } else {
    beginIteration();
  }
}

function runTurn(): void {
  iterations = 0;
  beginIteration();
}

function beginIteration(): void {
  iterations += 1;
  if (head >= SPENT_ITEMS_KEPT) {
    // Tasks that keep each other busy never let the queue become empty.
    queue = queue.slice(head, tail);
    tail -= head;
    head = 0;
  }
  if (due.length > 0) {
    for (const timer of due.sort((a, b) => a.when() - b.when())) {
      queue[tail] = timer;
      tail += 1;
    }
    due = [];
  }
  left = tail - head;
  turnWanted = false;
  runItems();
}

/** Runs items until one goes on in microtasks. */
function runItems(): void {
  state = "running";
  try {
    let goesOn = false;
    while (left > 0 && !goesOn) {
      const item = queue[head] as Ready;
      queue[head] = undefined;
      head += 1;
      left -= 1;
      goesOn = watcher === null ? item._step() : watchedStep(item, watcher);
    }
  } finally {
    scheduleNext();
  }
}

function watchedStep(item: Ready, watch: StepWatcher): boolean {
  const start = time();
  const goesOn = item._step();
  const ended = (): void => watch(item, time() - start);
  if (goesOn) {
    void settled.then(() => nextTick(ended));
  } else {
    ended();
  }
  return goesOn;
}

function scheduleNext(): void {
  if (head === tail && due.length === 0) {
    if (queue.length > SPENT_ITEMS_KEPT) {
      queue = [];
    }
    head = 0;
    tail = 0;
    state = "idle";
    return;
  }
  state = "scheduled";
  if (left === 0 && turnWanted) {
    setImmediate(runTurn);
  } else {
    void settled.then(runWhenQuiet);
  }
}

/** Called in a microtask: a tick that is asked for here comes when all microtasks have run. */
function runWhenQuiet(): void {
  nextTick(run);
}
