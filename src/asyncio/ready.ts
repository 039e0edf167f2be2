/**
 * The ready queue: the items that run next, in order.
 *
 * Theory of operation. asyncio's loop runs in iterations: it polls for input and output, then runs the callbacks that
 * were ready when the iteration began, in order. A task's step, up to its next wait, is one such callback, and steps
 * are never interleaved. Programs depend on that order, so it is reproduced here exactly:
 *
 * - A task's step continues in microtasks. The next item runs from a `process.nextTick` that is requested in a
 *   microtask: Node, Bun and Deno run it when no microtask is left. So the step has ended by then, no matter how deep
 *   its awaits are.
 * - An iteration begins with a turn of the event loop (`setImmediate`) if one of its items requested that: `sleep(0)`
 *   and `callSoon` let input and output happen first, as in asyncio. An iteration of only starts and wake-ups begins
 *   without one, which costs a tenth of a turn; after many such iterations a turn is made anyway.
 * - Timers come last in their iteration, which is the first one after they are due.
 */

import { nextTick, setImmediate, time } from "./clock.ts";

/** An item that can be queued. */
export interface Ready {
  /**
   * Runs the item; never throws. Returns `true` if it continues in microtasks, which have to end before the next item
   * runs.
   */
  _step(): boolean;
}

/** A timer. */
export interface Due extends Ready {
  /** The time at which it is due, in seconds of the loop's clock. */
  when(): number;
}

/** How many iterations may follow each other without a turn of the event loop. */
const ITERATIONS_PER_TURN = 256;

/** How many places of finished items the queue may have before it is shortened. */
const SPENT_ITEMS_KEPT = 1024;

const resolvedPromise: Promise<void> = Promise.resolve();

let queue: (Ready | undefined)[] = [];
/** The place of the next new item. The array is reused, because a growing array reserves room for many. */
let tail = 0;
/** Timers for the next iteration. */
let dueTimers: Due[] = [];
/** The place of the next item to run; earlier places are finished. */
let head = 0;
/** How many items of the current iteration are left. */
let leftInIteration = 0;
/** Whether an item after those requires a turn first. */
let turnWanted = false;
let iterations = 0;
let state: "idle" | "scheduled" | "running" = "idle";

/** Called with the duration of each step, in debug mode. */
type StepWatcher = (item: Ready, seconds: number) => void;
let watcher: StepWatcher | null = null;

/** Sets the function that is called after each step; `null` for none. */
export function watchSteps(newWatcher: StepWatcher | null): void {
  watcher = newWatcher;
}

/**
 * Appends an item to the queue.
 *
 * @param turnFirst - Whether the iteration that runs the item has to begin with a turn of the event loop.
 */
export function enqueue(item: Ready, turnFirst = false): void {
  queue[tail] = item;
  tail += 1;
  turnWanted ||= turnFirst;
  wake();
}

/**
 * Queues a due timer in asyncio's place: after all items that are ready when the next iteration begins. That iteration
 * runs all timers that are due by then, in the order of their times.
 */
export function enqueueTimer(item: Due): void {
  dueTimers.push(item);
  turnWanted = true;
  wake();
}

/**
 * Whether nothing is ready and no turn was requested. A step may still continue in microtasks: call this from a
 * `setImmediate` callback, when those have ended.
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
 * Queues an item as the last action of a step. If the queue is empty, the item runs immediately: the step is over, and
 * waiting for a tick would gain nothing.
 */
export function runOrEnqueue(item: Ready): void {
  if (state === "idle" && watcher === null) {
    item._step();
  } else {
    enqueue(item);
  }
}

function run(): void {
  if (leftInIteration > 0) {
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
    // Tasks that wake each other never let the queue become empty.
    queue = queue.slice(head, tail);
    tail -= head;
    head = 0;
  }
  if (dueTimers.length > 0) {
    for (const timer of dueTimers.sort((a, b) => a.when() - b.when())) {
      queue[tail] = timer;
      tail += 1;
    }
    dueTimers = [];
  }
  leftInIteration = tail - head;
  turnWanted = false;
  runItems();
}

/** Runs items until one continues in microtasks. */
function runItems(): void {
  state = "running";
  try {
    let continuesInMicrotasks = false;
    while (leftInIteration > 0 && !continuesInMicrotasks) {
      const item = queue[head] as Ready;
      queue[head] = undefined;
      head += 1;
      leftInIteration -= 1;
      continuesInMicrotasks = watcher === null ? item._step() : watchedStep(item, watcher);
    }
  } finally {
    scheduleNext();
  }
}

function watchedStep(item: Ready, watch: StepWatcher): boolean {
  const start = time();
  const continuesInMicrotasks = item._step();
  const ended = (): void => watch(item, time() - start);
  if (continuesInMicrotasks) {
    void resolvedPromise.then(() => nextTick(ended));
  } else {
    ended();
  }
  return continuesInMicrotasks;
}

function scheduleNext(): void {
  if (head === tail && dueTimers.length === 0) {
    if (queue.length > SPENT_ITEMS_KEPT) {
      queue = [];
    }
    head = 0;
    tail = 0;
    state = "idle";
    return;
  }
  state = "scheduled";
  if (leftInIteration === 0 && turnWanted) {
    setImmediate(runTurn);
  } else {
    void resolvedPromise.then(runWhenQuiet);
  }
}

/** Called in a microtask: a tick requested here comes when all microtasks have run. */
function runWhenQuiet(): void {
  nextTick(run);
}
