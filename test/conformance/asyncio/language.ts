/**
 * Scripts of tasks: asyncio programs as plain data, which an interpreter in Python and one in TypeScript can run.
 *
 * A script is the body of the task "main". A body is a list of statements; a statement is a verb and its arguments. For
 * each verb `builders.ts` has a function.
 *
 * Tasks, futures, timeouts and other objects have names, which all bodies share. Time is virtual: when nothing is ready,
 * the clock jumps to the next timer. When no timer is left and tasks still wait, the newest task is cancelled; after
 * many such rounds, all tasks are; at last the run ends while they wait.
 *
 * The trace of a run is a list of entries `[who, what, outcome]`. `who` is the task, the callback or the name of a "call".
 *
 * - `[who, verb, outcome]`: the statement has ended with this value or this error. A block such as "timeout" or "group"
 *   ends with "left". A statement about a name that does not exist yet is skipped: "missing".
 *   "return", "raise", "raiseCancelled" and "try" have no entry of their own.
 * - `[who, "start", null]`, `[who, "returned", value]` and `[who, "raised", error]`: a body begins, or ends. A body
 *   without "return" returns its name.
 * - `[who, "caught", error]` and `[who, "finally", null]`: a handler or a cleanup of "try" begins.
 * - `[who, "completed", outcome]`: "asCompleted" or "asCompletedPlain" yields the next Future.
 * - `[callback, "called", "in a task" | null]`: a callback begins; "in a task" if there is a current task.
 * - `["handler", message, error]`: the loop's exception handler is called.
 * - `["end", "stuck", count]`: this many tasks wait, and nothing will wake them; a round of cancelling begins.
 * - `["end", name, state]`: after the run, the state of every named object, in the order of the names.
 *
 * The state of a future or task is `[outcome, count]`. The outcome is "pending", "cancelled", the result or the error;
 * the count is `Task.cancelling()`, and 0 for a future. So `["end", "inner", ["cancelled", 1]]` says that the task
 * "inner" was cancelled, by one call of `cancel()`. The state of a handle is whether it is cancelled; of a Context, its
 * variables and values; of anything else, its `repr()`.
 */
import type { Json } from "../../support/cpython.ts";
import { await_, cancel, delay, log, ref, spawn, time, try_, turns } from "./builders.ts";

const cancelled = { error: "CancelledError", message: "" };

/** A script and its whole trace, which both interpreters produce. */
export const workedExample: { readonly script: Script; readonly trace: readonly Entry[] } = {
  script: {
    main: [
      spawn("inner", [try_([delay(9)], { finally: [log("cleaned up")] })]),
      turns(1),
      cancel("inner"),
      try_([await_(ref("inner"))], { on: "cancel", do: [time()] }),
    ],
  },
  trace: [
    ["main", "start", null],
    // The task is created, and begins when "main" lets the loop turn.
    ["main", "spawn", null],
    ["inner", "start", null],
    ["main", "turns", null],
    // `cancel()` returned true.
    ["main", "cancel", true],
    // The "delay" of "inner" throws and the cleanup runs. No handler catches the error, so it ends the body.
    ["inner", "delay", cancelled],
    ["inner", "finally", null],
    ["inner", "log", "cleaned up"],
    ["inner", "raised", cancelled],
    // The "await" throws as well, and the handler runs. No second has passed.
    ["main", "await", cancelled],
    ["main", "caught", cancelled],
    ["main", "time", 0],
    ["main", "returned", "main"],
    // "inner" was cancelled once. "main" has its result; no code called its cancel().
    ["end", "inner", ["cancelled", 1]],
    ["end", "main", ["main", 0]],
  ],
};

/** Something to wait for. */
export type Expression =
  /** The named object. */
  | readonly ["ref", string]
  /** A coroutine object in Python, a function here: a body that begins when it is awaited. */
  | readonly ["coro", who: string, Block]
  | readonly ["shield", Expression]
  | readonly ["gather", readonly Expression[], returnExceptions: boolean]
  | readonly ["waitFor", Expression, seconds: number | null]
  /** `asyncio.sleep()`. As a statement it is "delay". */
  | readonly ["sleep", seconds: number, result?: Json]
  /** The method of this name, of a lock, of an event or of a queue. */
  | readonly ["acquire" | "wait" | "get" | "join", string]
  | readonly ["put", queue: string, Json];

/** The handler and the cleanup of a "try". */
export interface Guard {
  /** The errors that the handler catches: a CancelledError, any other error, or both. @default none */
  readonly on?: "cancel" | "error" | "all";
  /** The handler. @default does nothing */
  readonly do?: Block;
  /** Whether the handler throws the error again at its end. @default false */
  readonly rethrow?: boolean;
  /** The cleanup, which runs in any case. @default none */
  readonly finally?: Block;
}

export interface SpawnOptions {
  /** The name of a Context. */
  readonly context?: string;
  /** Started at once. In bodies only: a callback cannot wait for the first step. */
  readonly eager?: boolean;
}

/** A statement that does not wait. Bodies of callbacks consist of these. */
export type Step =
  /** Throws a `Boom`. */
  | readonly ["raise", message: string]
  /** Marks the trace: its outcome is the value. */
  | readonly ["log", Json]
  /** Creates a task. */
  | readonly ["spawn", task: string, Block, SpawnOptions?]
  /** Creates a task of the group. */
  | readonly ["groupSpawn", group: string, task: string, Block, SpawnOptions?]
  /**
   * "future" creates a future, "state" shows the state of the named object, "cancelHandle" and "groupCancel" call
   * `cancel()` of a handle or a group, and the others call the future's or task's method of their name.
   */
  | readonly ["future" | "result" | "exception" | "uncancel" | "state" | "cancelHandle" | "groupCancel", string]
  /** The method of this name. */
  | readonly ["when" | "expired", timeout: string]
  /** Creates a future from the expression, with `ensureFuture()`. */
  | readonly ["let", future: string, Expression]
  | readonly ["setResult", future: string, Json]
  /** Ends the future with a `Boom`. */
  | readonly ["setException", future: string, message: string]
  | readonly ["cancel", future: string, message?: string | null]
  /** `cancel()`, `uncancel()` and `cancelling()` of the current task. */
  | readonly ["cancelMe", message?: string | null]
  /** The outcome of "current" is the name of the current task, of "allTasks" those of all tasks that are not done. */
  | readonly ["uncancelMe" | "cancellingMe" | "current" | "allTasks" | "time"]
  /** Adds a done callback. A label stands for one callback. */
  | readonly ["onDone", future: string, label: string, readonly Step[]]
  /** Removes the callback. The outcome is the number of removed registrations. */
  | readonly ["offDone", future: string, label: string]
  | readonly ["callSoon", handle: string, readonly Step[]]
  | readonly ["callLater", handle: string, seconds: number, readonly Step[]]
  /** Sets a variable of the script, in the current Context. */
  | readonly ["set", variable: string, Json]
  /** The outcome is "unset" for a variable without a value. */
  | readonly ["getVariable", variable: string]
  /** Sets the flag that "conditionWaitFor" waits for. */
  | readonly ["flag", string, boolean]
  | readonly ["putNowait", queue: string, Json]
  /** The method of this name, of a queue, a lock or a condition; "setEvent" is `Event.set()`. */
  | readonly ["getNowait" | "taskDone" | "release" | "setEvent" | "clear" | "notifyAll", string]
  | readonly ["shutdown", queue: string, immediate: boolean]
  | readonly ["notify", condition: string, count: number]
  /** Moves the deadline to this many seconds from now; `null` removes it. */
  | readonly ["reschedule", timeout: string, seconds: number | null];

export type Statement =
  | Step
  /** Leaves all blocks and ends the body. */
  | readonly ["return", Json]
  /** Throws a `CancelledError` without a call of `cancel()`. */
  | readonly ["raiseCancelled", message?: string | null]
  /** Runs the block, the handler if it catches the block's error, and the cleanup. */
  | readonly ["try", Block, Guard]
  /** Runs the block within a timeout. "timeoutAt" adds the time of the loop to the seconds. */
  | readonly ["timeout" | "timeoutAt", timeout: string, seconds: number | null, Block]
  /**
   * "group" runs the block within a task group, which it creates if the name is new; "with" holds a lock meanwhile;
   * "call" runs the block in the same task, traced as another `who`.
   */
  | readonly ["group" | "with" | "call", string, Block]
  | readonly ["repeat", count: number, Block]
  /** Waits. The outcome is the result. */
  | readonly ["await", Expression]
  /** Lets the loop turn this many times: `sleep(0)`. */
  | readonly ["turns", count: number]
  /** `asyncio.sleep()`, in seconds. */
  | readonly ["delay", seconds: number, result?: Json]
  /** As the expressions; "conditionWait" is `Condition.wait()`. */
  | readonly ["acquire" | "wait" | "get" | "join" | "conditionWait", string]
  /** `Barrier.wait()`, `reset()` and `abort()`. */
  | readonly ["barrier" | "barrierReset" | "barrierAbort", string]
  | readonly ["put", queue: string, Json]
  /** Waits until the flag is set. */
  | readonly ["conditionWaitFor", condition: string, flag: string]
  /** `asyncio.wait()`. The outcome is the names of the done and of the pending futures. */
  | readonly [
      "waitMany",
      readonly Expression[],
      seconds: number | null,
      "ALL_COMPLETED" | "FIRST_COMPLETED" | "FIRST_EXCEPTION",
    ]
  /** Iterates over `asCompleted()`, with `for await` or with a plain `for` that awaits each promise. */
  | readonly ["asCompleted" | "asCompletedPlain", readonly Expression[], seconds: number | null];

export type Block = readonly Statement[];

/** How an object is created: its class and an argument. */
export type Spec =
  | readonly ["Lock" | "Event" | "TaskGroup" | "Context"]
  | readonly ["Condition", lock?: string]
  | readonly ["Semaphore" | "BoundedSemaphore" | "Barrier", number]
  | readonly ["Queue" | "LifoQueue" | "PriorityQueue", number];

export interface Script {
  /** The objects that exist before "main" begins, by name. A condition comes after its lock. */
  readonly objects?: Readonly<Record<string, Spec>>;
  /** The names of its context variables. */
  readonly variables?: readonly string[];
  readonly main: Block;
}

/** A line of the trace: who did what, and with what outcome. */
export type Entry = readonly [who: string, what: string, outcome: Json];
