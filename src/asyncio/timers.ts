/**
 * The timers of the loop, in the order of their moments.
 *
 * Theory of operation. Those that wait are in a binary heap, the earliest first; of one moment, the one that was made
 * first. One timer of Node stands for the earliest. When it fires, all whose moment has come become ready, in their order:
 * timers of Node would count whole milliseconds each by itself, and those of one moment could overtake each other.
 *
 * The alarm is set by whoever happens to change what is earliest, and must not keep that task alive: so it is set outside
 * any flow, except for the only timer there is, which goes with its task. An alarm that is too early because its timer was
 * taken away stays, and is set again when it fires: limits of time are made and taken away all the time.
 */
import { runInNoFlow } from "../contextvars/current.ts";
import { clearTimeout, setTimeout, time } from "./clock.ts";
import { type Due, soonDue } from "./ready.ts";

/** `setTimeout` fires at once for a delay that does not fit 31 bits. */
export const LONGEST_TIMEOUT: number = 2 ** 31 - 1; // milliseconds

/** Something that is to be run at some moment. */
export interface Timer extends Due {
  /** @internal Where it is in the heap; -1 where it is not. */
  _place: number;
  /** @internal Its place among the timers of the same moment. */
  readonly _order: number;
}

let timersMade = 0;

/** The place of a new timer among those of the same moment. */
export function nextTimerOrder(): number {
  timersMade += 1;
  return timersMade;
}

/** The loop's clock: seconds since some fixed moment, never going back. */
export { time } from "./clock.ts";

const heap: Timer[] = [];
let alarm: NodeJS.Timeout | undefined;
/** What the alarm is set to, if it is. */
let alarmAt: number | null = null;
/** Whether it was set outside any flow, and so may stay when its timer is taken away. */
let alarmMayStay = false;

/** When the earliest timer is due, in seconds of the loop's clock; `null` where none waits. */
export function nextMoment(): number | null {
  return heap[0]?.when() ?? null;
}

/** Forgets all timers, and returns them. */
export function dropTimers(): Timer[] {
  const dropped = heap.splice(0).sort((a, b) => (isBefore(a, b) ? -1 : 1));
  for (const timer of dropped) {
    timer._place = -1;
  }
  setAlarm();
  return dropped;
}

/** Makes the timer ready when its moment comes. */
export function addTimer(timer: Timer): void {
  heap.push(timer);
  rise(timer, heap.length - 1);
  if (timer.when() <= time()) {
    // With those before it whose moment has come meanwhile; and a timer of Node would take a millisecond.
    ring();
  } else if (heap.length === 1) {
    setAlarm();
    alarmMayStay = false;
  } else if (timer._place === 0) {
    resetAlarm();
  }
}

/** Takes the timer away, if it still waits. */
export function removeTimer(timer: Timer): void {
  const place = timer._place;
  if (place < 0) {
    return;
  }
  take(place);
  if (place === 0) {
    resetAlarm();
  }
}

/** Makes those ready whose moment has come. */
export function alarmed(): void {
  // It may be early by a fraction of a millisecond, or a part of a long time; then it has to be set again.
  forgetAlarm();
  ring();
}

function ring(): void {
  const moment = time();
  for (let first = heap[0]; first !== undefined && first.when() <= moment; first = heap[0]) {
    take(0);
    soonDue(first);
  }
  resetAlarm();
}

/** Sets the alarm for others than the timer of the code that runs. */
function resetAlarm(): void {
  const first = heap[0];
  if (first === undefined) {
    setAlarm();
  } else if (!(alarmMayStay && alarmAt !== null && alarmAt <= first.when())) {
    runInNoFlow(setAlarm);
    alarmMayStay = true;
  }
}

function setAlarm(): void {
  const when = heap[0]?.when() ?? null;
  if (when === alarmAt) {
    return;
  }
  clearTimeout(alarm);
  forgetAlarm();
  if (when !== null) {
    alarmAt = when;
    const milliseconds = Math.ceil((when - time()) * 1000);
    alarm = setTimeout(alarmed, Math.min(Math.max(0, milliseconds), LONGEST_TIMEOUT));
  }
}

/** One that has rung, too, would keep the task alive that set it. */
function forgetAlarm(): void {
  alarm = undefined;
  alarmAt = null;
}

function isBefore(a: Timer, b: Timer): boolean {
  const difference = a.when() - b.when();
  return difference < 0 || (difference === 0 && a._order < b._order);
}

/** Takes out what is at the place; the last one fills it. */
function take(place: number): void {
  (heap[place] as Timer)._place = -1;
  const last = heap.pop() as Timer;
  if (place === heap.length) {
    return;
  }
  rise(last, place);
  sink(last, last._place);
}

/** Puts the timer at the place, or above it, where it belongs. */
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

/** The same, downwards. */
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
