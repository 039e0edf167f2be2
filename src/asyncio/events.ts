/**
 * The event loop's own part: callbacks, timers, and what becomes of errors that nobody catches.
 *
 * Node has one event loop for the process, so there is one scheduler; in which order things run is in `ready.ts`, and in
 * `timers.ts`. Every callback runs in a Context: the one given, or a copy of the one that was current when it was
 * scheduled. It belongs to no task.
 */
import { type Context, copyContext } from "../contextvars/context.ts";
import { Flow, isEntered, runInFlow } from "../contextvars/current.ts";
import { functionName, inspectCustom, safeRepr } from "../repr.ts";
import { checkContext, checkFunction, checkOptions, checkSeconds } from "./arguments.ts";
import { creationStack } from "./debug/debug.ts";
import { soon } from "./ready.ts";
import { addTimer, nextTimerOrder, removeTimer, time } from "./timers.ts";

/** Options of everything that calls back. */
export interface CallbackOptions {
  /** The Context to call it in. @default a copy of the current one */
  context?: Context | undefined;
}

/** What an exception handler is told: always a message, and what else is known. */
export interface ExceptionContext {
  message: string;
  exception?: unknown;
  [key: string]: unknown;
}

/**
 * A callback that is scheduled, and can be cancelled.
 *
 * Python: `asyncio.Handle`. Differs: `cancelled()` and `cancel()` only.
 */
export class Handle {
  /** @internal */
  readonly _flow: Flow;
  /** @internal */
  readonly _callback: () => unknown;
  /** @internal The function that messages name: the program's, where a function of the library's stands around it. */
  readonly _named: { readonly name: unknown };
  #cancelled = false;
  /** @internal In debug mode, where it was scheduled. */
  readonly _stack: string | undefined = creationStack();

  /** @internal */
  constructor(callback: () => unknown, context: Context, named: { readonly name: unknown } = callback) {
    this._callback = callback;
    this._named = named;
    this._flow = new Flow(context, null, false, null);
  }

  /** Takes the callback back, if it has not run yet. Python: `Handle.cancel()`. */
  cancel(): void {
    this.#cancelled = true;
  }

  /** Whether it was cancelled. Python: `Handle.cancelled()`. */
  cancelled(): boolean {
    return this.#cancelled;
  }

  /** The Context the callback runs in. Python: `Handle.get_context()`. */
  getContext(): Context {
    return this._flow.context as Context;
  }

  /** Python's `repr()`: `<Handle tick()>`, or `<Handle cancelled>`. */
  toString(): string {
    return `<Handle ${this._describe()}>`;
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }

  /** @internal */
  _describe(): string {
    return this.cancelled() ? "cancelled" : `${functionName(this._named)}()`;
  }

  /** @internal */
  _step(): boolean {
    if (this.#cancelled) {
      return false;
    }
    runInFlow(this._flow, callReporting, this);
    return true;
  }
}

/** An error of a callback goes to the exception handler, in the callback's Context; the loop goes on. */
function callReporting(handle: Handle): void {
  const { _callback: callback } = handle;
  try {
    callback();
  } catch (exception) {
    callExceptionHandler({
      message: `Exception in callback ${functionName(handle._named)}()`,
      exception,
      handle,
      ...(handle._stack === undefined ? {} : { sourceTraceback: handle._stack }),
    });
  }
}

/**
 * A callback that is scheduled for a moment, and can be cancelled.
 *
 * Python: `asyncio.TimerHandle`.
 */
export class TimerHandle extends Handle {
  readonly #when: number;
  /** @internal */
  _place = -1;
  /** @internal */
  readonly _order: number = nextTimerOrder();

  /** @internal */
  constructor(callback: () => unknown, context: Context, when: number) {
    super(callback, context);
    this.#when = when;
  }

  /** The moment it runs at, in seconds of the loop's clock. Python: `TimerHandle.when()`. */
  when(): number {
    return this.#when;
  }

  /** Python's `repr()`: `<TimerHandle when=12.5 tick()>`, or `<TimerHandle cancelled when=12.5>`. */
  override toString(): string {
    const when = `when=${this.#when}`;
    return this.cancelled() ? `<TimerHandle cancelled ${when}>` : `<TimerHandle ${when} ${this._describe()}>`;
  }

  override cancel(): void {
    super.cancel();
    removeTimer(this);
  }
}

export function callSoon(callback: () => unknown, options?: CallbackOptions): Handle {
  const handle = new Handle(checkedCallback("callSoon()", callback), contextFor("callSoon()", options));
  soon(handle, true);
  return handle;
}

export function callAt(when: number, callback: () => unknown, options?: CallbackOptions): TimerHandle {
  return schedule("callAt()", checkSeconds("callAt(): when", when), callback, options);
}

export function callLater(delay: number, callback: () => unknown, options?: CallbackOptions): TimerHandle {
  return schedule("callLater()", time() + checkSeconds("callLater(): delay", delay), callback, options);
}

function schedule(caller: string, when: number, callback: () => unknown, options?: CallbackOptions): TimerHandle {
  const timer = new TimerHandle(checkedCallback(caller, callback), contextFor(caller, options), when);
  addTimer(timer);
  return timer;
}

function checkedCallback(caller: string, callback: () => unknown): () => unknown {
  checkFunction(caller, callback);
  return callback;
}

/** The Context given in the options, or a copy of the current one. */
export function contextFor(caller: string, options: CallbackOptions | undefined): Context {
  checkOptions(caller, options, ["context"]);
  checkContext(caller, options?.context);
  return options?.context ?? copyContext();
}

/** Called with the loop and what is known of an error that nobody caught. */
export type SchedulerExceptionHandler = (context: ExceptionContext) => unknown;

let exceptionHandler: SchedulerExceptionHandler | null = null;

export function replaceExceptionHandler(handler: SchedulerExceptionHandler | null): void {
  exceptionHandler = handler;
}

/**
 * Tells the exception handler of an error that nobody caught, in the Context of what has failed. Never throws.
 *
 * @param runIn - That Context, where none of the things in `context` has it.
 */
export function callExceptionHandler(context: ExceptionContext, runIn?: Context): void {
  const handler = exceptionHandler;
  if (handler === null) {
    write(context, "Exception in default exception handler");
    return;
  }
  try {
    const failedIn = runIn ?? contextOf(context);
    if (failedIn === undefined || isEntered(failedIn)) {
      handler(context);
    } else {
      failedIn.run(handler, context);
    }
  } catch (exception) {
    write(
      { message: "Unhandled error in exception handler", exception, context },
      "Exception in default exception handler while handling an unexpected error in custom exception handler",
    );
  }
}

/** The Context of the task or callback that is named there. A Future has none, but a task may stand in its place. */
function contextOf({ task, future, handle }: ExceptionContext): Context | undefined {
  const failed = (task ?? future ?? handle) as { getContext?: () => Context } | null | undefined;
  try {
    return typeof failed?.getContext === "function" ? failed.getContext() : undefined;
  } catch {
    // It is whatever the program has named so.
    return undefined;
  }
}

function write(context: ExceptionContext, failure: string): void {
  try {
    defaultExceptionHandler(context);
  } catch (error) {
    print(failure, error);
  }
}

/** Known of an error as text already, which is not quoted. */
const texts = new Set(["future", "sourceTraceback", "task"]);

/** Writes the error and what is known of it to the standard error stream. */
export function defaultExceptionHandler(context: ExceptionContext): void {
  const { message, exception, ...known } = context;
  const lines = [message || "Unhandled exception in event loop"];
  for (const key of Object.keys(known).sort()) {
    const value = known[key];
    lines.push(`${key}: ${typeof value === "string" && texts.has(key) ? value : safeRepr(value)}`);
  }
  const text = lines.join("\n");
  if (exception === undefined) {
    console.error(text);
  } else {
    print(text, exception);
  }
}

function print(text: string, error: unknown): void {
  try {
    console.error(text, error);
  } catch {
    // It cannot be looked at: a getter, or a Proxy, throws.
    console.error(text, safeRepr(error));
  }
}
