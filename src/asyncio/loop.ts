/** EventLoop: asyncio's view of Node's event loop. There is one for the process. */

import { getSlowCallbackDuration, isDebug, setDebug, setSlowCallbackDuration } from "./debug/debug.ts";
import type { CallbackOptions, ExceptionContext, Handle, TimerHandle } from "./events.ts";
import * as events from "./events.ts";
import { functionNeeded } from "./exceptions.ts";
import { Future } from "./futures.ts";
import { addSignalHandler, removeSignalHandler } from "./signals.ts";
import { createTask, type Task, type TaskOptions } from "./tasks.ts";

/** Called with the loop and what is known of an error that nobody caught. */
export type ExceptionHandler = (loop: EventLoop, context: ExceptionContext) => unknown;

let loop: EventLoop | null = null;

/**
 * The event loop: what is called when.
 *
 * It is Node's own. There is one for the process, got by {@linkcode getRunningLoop}; it needs no starting, and cannot be
 * stopped.
 *
 * Python: `asyncio.AbstractEventLoop`. Differs: callbacks take no arguments, close over them instead.
 */
export class EventLoop {
  #exceptionHandler: ExceptionHandler | null = null;

  private constructor() {}

  /** @internal */
  static _get(): EventLoop {
    loop ??= new EventLoop();
    return loop;
  }

  /**
   * Has the function called in the next turn of the loop, after what was scheduled before it.
   *
   * What it throws goes to the exception handler.
   *
   * Python: `loop.call_soon()`. Differs: no arguments for the callback.
   *
   * @throws {TypeError} If `callback` is not a function.
   */
  callSoon(callback: () => unknown, options?: CallbackOptions): Handle {
    return events.callSoon(callback, options);
  }

  /**
   * Has the function called after the delay, in seconds. A delay of any length will do.
   *
   * Python: `loop.call_later()`. Differs: no arguments for the callback.
   *
   * @throws {TypeError} If `callback` is not a function, or `delay` no number.
   * @throws {ValueError} If `delay` is NaN.
   */
  callLater(delay: number, callback: () => unknown, options?: CallbackOptions): TimerHandle {
    return events.callLater(delay, callback, options);
  }

  /**
   * Has the function called at a moment of the loop's clock, in seconds.
   *
   * Python: `loop.call_at()`. Differs: no arguments for the callback.
   *
   * @throws {TypeError} If `callback` is not a function, or `when` no number.
   * @throws {ValueError} If `when` is NaN.
   */
  callAt(when: number, callback: () => unknown, options?: CallbackOptions): TimerHandle {
    return events.callAt(when, callback, options);
  }

  /** The loop's clock, in seconds; never goes back. Python: `loop.time()`. Differs: nothing. */
  time(): number {
    return events.time();
  }

  /** As {@linkcode createTask}. Python: `loop.create_task()`. Differs: takes a function. */
  createTask<T>(callable: () => T | PromiseLike<T>, options?: TaskOptions): Task<Awaited<T>> {
    return createTask(callable, options);
  }

  /** A new Future. Python: `loop.create_future()`. Differs: nothing. */
  createFuture<T>(): Future<T> {
    return new Future<T>();
  }

  /**
   * Sets the function that is told of errors nobody caught; `null` brings the default back.
   *
   * Python: `loop.set_exception_handler()`. Differs: nothing.
   *
   * @throws {TypeError} If `handler` is neither a function nor `null`.
   */
  setExceptionHandler(handler: ExceptionHandler | null): void {
    if (handler !== null && typeof handler !== "function") {
      throw functionNeeded("setExceptionHandler()", handler);
    }
    this.#exceptionHandler = handler;
    events.replaceExceptionHandler(handler === null ? null : (context) => handler(this, context));
  }

  /** The function that was set, or `null`. Python: `loop.get_exception_handler()`. Differs: nothing. */
  getExceptionHandler(): ExceptionHandler | null {
    return this.#exceptionHandler;
  }

  /** Writes to standard error. Python: `loop.default_exception_handler()`. Differs: no logger. */
  defaultExceptionHandler(context: ExceptionContext): void {
    events.defaultExceptionHandler(context);
  }

  /** Tells the exception handler of an error. Never throws. Python: `loop.call_exception_handler()`. */
  callExceptionHandler(context: ExceptionContext): void {
    events.callExceptionHandler(context);
  }

  /**
   * Switches debug mode: slow callbacks and steps of tasks are warned of, tasks that were collected before they were
   * done, and tasks that swallowed a cancellation; messages tell where a task or callback was made.
   *
   * Python: `loop.set_debug()`. Differs: nothing.
   */
  setDebug(enabled: boolean): void {
    setDebug(enabled);
  }

  /** Whether debug mode is on. Python: `loop.get_debug()`. Differs: nothing. */
  getDebug(): boolean {
    return isDebug();
  }

  /** What is slow in debug mode, in seconds. Python: `loop.slow_callback_duration`. Differs: nothing. */
  get slowCallbackDuration(): number {
    return getSlowCallbackDuration();
  }

  set slowCallbackDuration(seconds: number) {
    setSlowCallbackDuration(seconds);
  }

  /**
   * Has the function called when the process gets the signal, instead of what would happen else.
   *
   * It is called in a turn of the loop, in a copy of the current Context. A second one for the same signal takes the place
   * of the first; one for SIGINT takes the place of what `run()` does at Ctrl-C.
   *
   * Python: `loop.add_signal_handler()`. Differs: signals by their names; no arguments for the callback.
   *
   * @param signal - Such as `"SIGTERM"`.
   * @throws {RuntimeError} If the signal cannot be caught.
   * @throws {ValueError} If there is no such signal.
   * @throws {TypeError} If `callback` is not a function.
   */
  addSignalHandler(signal: NodeJS.Signals, callback: () => unknown): void {
    addSignalHandler(signal, callback);
  }

  /**
   * Takes the function for the signal back; what happens then is Node's default.
   *
   * Python: `loop.remove_signal_handler()`. Differs: nothing.
   *
   * @returns Whether there was one.
   */
  removeSignalHandler(signal: NodeJS.Signals): boolean {
    return removeSignalHandler(signal);
  }

  /** `<EventLoop running>`: it always is. */
  toString(): string {
    return "<EventLoop running>";
  }
}

/**
 * The event loop.
 *
 * Python: `asyncio.get_running_loop()`. Differs: never fails, the loop of Node always runs.
 */
export function getRunningLoop(): EventLoop {
  return EventLoop._get();
}
