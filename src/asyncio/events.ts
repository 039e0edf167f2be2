/**
 * The event loop's own part: callbacks, timers, and the reports of uncaught errors.
 *
 * Node has one event loop for the process, so there is one scheduler; `ready.ts` and `timers.ts` define the order.
 * Every callback runs in a Context: the given one, or a copy of the one that was current when it was scheduled. A
 * callback belongs to no task.
 */
import { type Context, copyContext } from "../contextvars/context.ts";
import {
  captureSurroundings,
  Flow,
  isEntered,
  runInFlow,
  runInSurroundings,
  type Surroundings,
} from "../contextvars/current.ts";
import { functionName, Inspectable, safeRepr } from "../repr.ts";
import { checkContext, checkFunction, checkOptions, checkSeconds, isThenable } from "./arguments.ts";
import { FUTURE, hasBrand } from "./brands.ts";
import { creationStack } from "./debug/debug.ts";
import { enqueue } from "./ready.ts";
import { addTimer, nextTimerOrder, removeTimer, time } from "./timers.ts";

/** Options of all functions that schedule a callback. */
export interface CallbackOptions {
  /** The Context to call the callback in. @default a copy of the current one */
  context?: Context | undefined;
}

/** The argument of an exception handler: always a message, and any other known details. */
export interface ExceptionContext {
  message: string;
  exception?: unknown;
  [key: string]: unknown;
}

/**
 * A scheduled callback, which can be cancelled.
 *
 * Python: `asyncio.Handle`. Differs: `cancelled()` and `cancel()` only.
 */
export class Handle extends Inspectable {
  readonly #context: Context;
  readonly #surroundings: Surroundings | null;
  /** @internal */
  readonly _callback: () => unknown;
  /** @internal The function that messages name: the program's own, even if a function of the library wraps it. */
  readonly _named: { readonly name: unknown };
  #cancelled = false;
  /** @internal In debug mode, the stack where it was scheduled. */
  readonly _stack: string | undefined = creationStack();

  /** @internal @param surroundings - What the callback runs in; `null` if it is the library's own. */
  constructor(
    callback: () => unknown,
    context: Context,
    named: { readonly name: unknown } = callback,
    surroundings: Surroundings | null = captureSurroundings(),
  ) {
    super();
    this.#surroundings = surroundings;
    this._callback = callback;
    this._named = named;
    this.#context = context;
  }

  /** Cancels the callback if it has not run yet. Python: `Handle.cancel()`. */
  cancel(): void {
    this.#cancelled = true;
  }

  /** Whether the callback was cancelled. Python: `Handle.cancelled()`. */
  cancelled(): boolean {
    return this.#cancelled;
  }

  /** The Context the callback runs in. Python: `Handle.get_context()`. */
  getContext(): Context {
    return this.#context;
  }

  /** Python's `repr()`: `<Handle tick()>`, or `<Handle cancelled>`. */
  override toString(): string {
    return `<Handle ${this._describe()}>`;
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
    const flow = Flow.entered(this.#context);
    if (this.#surroundings === null) {
      runInFlow(flow, callReporting, this);
    } else {
      runInSurroundings(this.#surroundings, flow, callReporting, this);
    }
    return true;
  }
}

/** Reports an error of a callback to the exception handler, in the callback's Context; the loop continues. */
function callReporting(handle: Handle): void {
  const { _callback: callback } = handle;
  try {
    callback();
  } catch (exception) {
    const message = `Exception in callback ${functionName(handle._named)}()`;
    reportWithStack({ message, exception, handle }, handle._stack);
  }
}

/**
 * A callback that is scheduled for a given time, and can be cancelled.
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
  constructor(callback: () => unknown, context: Context, when: number, surroundings?: null) {
    super(callback, context, callback, surroundings);
    this.#when = when;
  }

  /** The time it is scheduled for, in seconds of the loop's clock. Python: `TimerHandle.when()`. */
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
  enqueue(handle, true);
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

/** Like `callAt()`, for a callback of the library's own, and a caller that has just asked for the time. */
export function callAfter(now: number, when: number, callback: () => unknown): TimerHandle {
  const timer = new TimerHandle(callback, copyContext(), when, null);
  addTimer(timer, now);
  return timer;
}

function checkedCallback(caller: string, callback: () => unknown): () => unknown {
  checkFunction(caller, callback);
  return callback;
}

/** The Context given in the options, or a copy of the current one. */
export function contextFor(caller: string, options: CallbackOptions | undefined): Context {
  if (options !== undefined && typeof options !== "object") {
    throw new TypeError(
      `${caller}: options must be an object, got ${safeRepr(options)}; a callback gets no arguments from here: pass () => f(x)`,
    );
  }
  checkOptions(caller, options, ["context"]);
  checkContext(caller, options?.context);
  return options?.context ?? copyContext();
}

/**
 * Watches the result of a function that should not be async, such as a protocol's method: the error of a promise would
 * end the process. A Task or Future is left alone, because it reports its error itself.
 */
export function watchRejection(result: unknown, onError: (error: unknown) => void): void {
  if (isThenable(result) && !hasBrand(result, FUTURE)) {
    Promise.resolve(result).catch(onError);
  }
}

/** Called with the details of an uncaught error. */
export type SchedulerExceptionHandler = (context: ExceptionContext) => unknown;

/** Passes a report on: writes it, or calls the handler of {@linkcode replaceExceptionHandler}. */
let report: (context: ExceptionContext, runIn: Context | undefined) => void = write;

export function replaceExceptionHandler(handler: SchedulerExceptionHandler | null): void {
  report = handler === null ? write : (context, runIn) => callHandler(handler, context, runIn);
}

/**
 * Reports an uncaught error to the exception handler, in the Context of the code that failed. Never throws.
 *
 * @param runIn - That Context, if no object in `context` has it.
 */
export function callExceptionHandler(context: ExceptionContext, runIn?: Context): void {
  report(context, runIn);
}

function callHandler(handler: SchedulerExceptionHandler, context: ExceptionContext, runIn: Context | undefined): void {
  const onError = (exception: unknown): void => {
    write(
      { message: "Unhandled error in exception handler", exception, context },
      undefined,
      " while handling an unexpected error in custom exception handler",
    );
  };
  try {
    const failedIn = runIn ?? contextOf(context);
    const inContext = failedIn === undefined || isEntered(failedIn);
    watchRejection(inContext ? handler(context) : failedIn.run(handler, context), onError);
  } catch (error) {
    onError(error);
  }
}

/**
 * Like `callExceptionHandler()`, with the stack where the task or callback was created, which is known in debug mode
 * only.
 */
export function reportWithStack(context: ExceptionContext, stack: string | undefined, runIn?: Context): void {
  callExceptionHandler(stack === undefined ? context : { ...context, sourceTraceback: stack }, runIn);
}

/** The Context of the reported task or callback. A Future has none, but `future` may be a task. */
function contextOf({ task, future, handle }: ExceptionContext): Context | undefined {
  const failed = (task ?? future ?? handle) as { getContext?: () => Context } | null | undefined;
  try {
    return typeof failed?.getContext === "function" ? failed.getContext() : undefined;
  } catch {
    // A program may put anything there.
    return undefined;
  }
}

function write(context: ExceptionContext, _runIn?: Context, when = ""): void {
  try {
    defaultExceptionHandler(context);
  } catch (error) {
    print(`Exception in default exception handler${when}`, error);
  }
}

/** Details that are already text, and are not quoted. */
const texts = new Set(["future", "sourceTraceback", "task"]);

/** Writes the error and its details to standard error. */
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
    // The value cannot be inspected: a getter or a Proxy threw.
    console.error(text, safeRepr(error));
  }
}
