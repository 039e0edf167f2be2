/**
 * The loop's timers, in the order of their times.
 *
 * Theory of operation. Waiting timers are in a binary heap, the earliest first; timers with the same time are ordered
 * by creation. One Node timer, the alarm, is set for the earliest. When it fires, all due timers become ready in order.
 * With a Node timer for each, which counts whole milliseconds, timers of the same time could overtake each other.
 *
 * The alarm is set by the code that happens to change the earliest timer, and must not keep that code's task alive: so
 * it is set outside any flow, except for a single timer, whose alarm is removed with it. An alarm that is too early
 * because its timer was removed stays, and is set again when it fires, because programs create and cancel time limits
 * constantly. Where one time limit follows another, the alarm stays as well when no timer is left: it rests, and does not
 * keep the process running.
 */
import { runInNoFlow } from "../contextvars/current.ts";
import { clearTimeout, setTimeout, time } from "./clock.ts";
import { type Due, enqueueTimer } from "./ready.ts";
import { ON_DENO } from "./runtime.ts";

/** The longest delay of `setTimeout`, which fires immediately for a delay that does not fit into 31 bits. */
export const LONGEST_TIMEOUT: number = 2 ** 31 - 1; // milliseconds

/** An item that runs at a given time. */
export interface Timer extends Due {
  /** @internal Its place in the heap; -1 if it is not in the heap. */
  _place: number;
  /** @internal Its rank among timers with the same time. */
  readonly _order: number;
}

let timersMade = 0;

/** The rank of a new timer among timers with the same time. */
export function nextTimerOrder(): number {
  timersMade += 1;
  return timersMade;
}

/** The loop's clock: seconds since an arbitrary time, never decreasing. */
export { time } from "./clock.ts";

const heap: Timer[] = [];
let alarm: NodeJS.Timeout | undefined;
/** The time that the alarm is set for; `null` if it is not set. */
let alarmAt: number | null = null;
/** Whether the alarm was set outside any flow, and so may stay when its timer is removed. */
let alarmMayStay = false;
/** Deno's tests report an alarm that rests as a leak. */
const CAN_REST = !ON_DENO;
/** Whether the alarm stays though no timer is left. */
let alarmRests = false;
/** Whether the last timer of all was removed before it was due, as that of a time limit. */
let lastWasRemoved = false;

/** When the earliest timer is due, in seconds of the loop's clock; `null` if there is none. */
export function nextMoment(): number | null {
  return heap[0]?.when() ?? null;
}

/** Removes all timers and returns them. */
export function dropTimers(): Timer[] {
  const dropped = heap.splice(0).sort((a, b) => (isBefore(a, b) ? -1 : 1));
  for (const timer of dropped) {
    timer._place = -1;
  }
  clearTimeout(alarm);
  forgetAlarm();
  return dropped;
}

/**
 * Makes the timer ready when it is due.
 *
 * @param now - The time, if the caller has just asked for it: asking takes longer than adding the timer.
 */
export function addTimer(timer: Timer, now: number = time()): void {
  heap.push(timer);
  rise(timer, heap.length - 1);
  if (timer.when() <= now) {
    // Together with earlier timers that are due by now; a Node timer would take a millisecond.
    ring(now);
  } else if (heap.length === 1 && !lastWasRemoved && !alarmRests) {
    setAlarm(now);
    alarmMayStay = false;
  } else if (timer._place === 0) {
    resetAlarm();
  }
}

/** Removes the timer if it still waits. */
export function removeTimer(timer: Timer): void {
  const place = timer._place;
  if (place < 0) {
    return;
  }
  take(place);
  if (place === 0) {
    lastWasRemoved = CAN_REST && heap.length === 0;
    resetAlarm();
  }
}

/** Makes all due timers ready. */
export function alarmed(): void {
  // The alarm may be early, by a fraction of a millisecond or because the delay was too long for one; then it is set
  // again.
  forgetAlarm();
  lastWasRemoved = false;
  ring(time());
}

function ring(now: number): void {
  for (let first = heap[0]; first !== undefined && first.when() <= now; first = heap[0]) {
    take(0);
    enqueueTimer(first);
  }
  resetAlarm();
}

/** Sets the alarm for timers other than that of the running code. */
function resetAlarm(): void {
  const first = heap[0];
  if (first === undefined && alarm !== undefined && alarmMayStay && CAN_REST) {
    alarm.unref();
    alarmRests = true;
  } else if (first === undefined) {
    setAlarm();
  } else if (!(alarmMayStay && alarmAt !== null && alarmAt <= first.when())) {
    runInNoFlow(setAlarm);
    alarmMayStay = true;
  } else if (alarmRests) {
    alarm?.ref();
    alarmRests = false;
  }
}

function setAlarm(now?: number): void {
  const when = heap[0]?.when() ?? null;
  if (when === alarmAt) {
    return;
  }
  clearTimeout(alarm);
  forgetAlarm();
  if (when !== null) {
    alarmAt = when;
    const milliseconds = Math.ceil((when - (now ?? time())) * 1000);
    alarm = setTimeout(alarmed, Math.min(Math.max(0, milliseconds), LONGEST_TIMEOUT));
  }
}

/** Drops the reference to the alarm: even an alarm that has fired would keep the task that set it alive. */
function forgetAlarm(): void {
  alarm = undefined;
  alarmAt = null;
  alarmRests = false;
}

function isBefore(a: Timer, b: Timer): boolean {
  const difference = a.when() - b.when();
  return difference < 0 || (difference === 0 && a._order < b._order);
}

/** Removes the timer at the place; the last timer fills it. */
function take(place: number): void {
  (heap[place] as Timer)._place = -1;
  const last = heap.pop() as Timer;
  if (place === heap.length) {
    return;
  }
  rise(last, place);
  sink(last, last._place);
}

/** Inserts the timer at the place or above it. */
function rise(timer: Timer, from: number): void {
  let place = from;
  while (place > 0) {
    const above = (place - 1) >> 1;
    const parent = heap[above] as Timer;
    if (!isBefore(timer, parent)) {
      break;
    }
    put(parent, place);
    place = above;
  }
  put(timer, place);
}

/** Inserts the timer at the place or below it. */
function sink(timer: Timer, from: number): void {
  let place = from;
  for (;;) {
    let below = 2 * place + 1;
    if (below >= heap.length) {
      break;
    }
    if (below + 1 < heap.length && isBefore(heap[below + 1] as Timer, heap[below] as Timer)) {
      below += 1;
    }
    const child = heap[below] as Timer;
    if (!isBefore(child, timer)) {
      break;
    }
    put(child, place);
    place = below;
  }
  put(timer, place);
}

function put(timer: Timer, place: number): void {
  heap[place] = timer;
  timer._place = place;
}
