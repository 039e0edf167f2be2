/**
 * Scripts of tasks: programs over asyncio as plain data, which an interpreter in Python and one in TypeScript can run.
 *
 * What runs is traced: each statement by who has come to its end with it, and what came of it. Tasks, futures, timeouts
 * and so on have names, which all bodies share.
 */
import type { Json } from "../../support/cpython.ts";

/** Something to wait for. A `coro` is what Python calls a coroutine object, and JavaScript a function. */
export type Expression =
  | readonly ["ref", string]
  | readonly ["coro", string, Block]
  | readonly ["shield", Expression]
  | readonly ["gather", readonly Expression[], boolean]
  | readonly ["waitFor", Expression, number | null]
  | readonly ["sleep", number, Json?]
  | readonly ["acquire" | "wait" | "get" | "join", string]
  | readonly ["put", string, Json];

/** What is caught. */
export interface Handler {
  readonly on: "cancel" | "error" | "all";
  readonly do: Block;
  readonly rethrow?: boolean;
}

export interface SpawnOptions {
  /** The name of a Context. */
  readonly context?: string;
  /** Started at once. In bodies only: a callback cannot wait for the first step. */
  readonly eager?: boolean;
}

/** What needs no waiting: the body of a callback consists of it. */
export type Step =
  | readonly ["raise", string]
  | readonly ["log", Json]
  | readonly ["spawn", string, Block, SpawnOptions?]
  | readonly ["groupSpawn", group: string, task: string, Block, SpawnOptions?]
  | readonly ["future" | "result" | "exception" | "uncancel" | "state" | "cancelHandle" | "groupCancel", string]
  | readonly ["when" | "expired", timeout: string]
  | readonly ["let", string, Expression]
  | readonly ["setResult", string, Json]
  | readonly ["setException", string, string]
  | readonly ["cancel", string, message?: string | null]
  | readonly ["cancelMe", message?: string | null]
  | readonly ["uncancelMe" | "cancellingMe" | "current" | "allTasks" | "time"]
  | readonly ["onDone", future: string, label: string, readonly Step[]]
  | readonly ["offDone", future: string, label: string]
  | readonly ["callSoon", handle: string, readonly Step[]]
  | readonly ["callLater", handle: string, delay: number, readonly Step[]]
  | readonly ["set", variable: string, Json]
  | readonly ["getVariable", string]
  | readonly ["flag", string, boolean]
  | readonly ["putNowait", string, Json]
  | readonly ["getNowait" | "taskDone" | "release" | "setEvent" | "clear" | "notifyAll", string]
  | readonly ["shutdown", string, boolean]
  | readonly ["notify", string, number]
  | readonly ["reschedule", timeout: string, delay: number | null];

export type Statement =
  | Step
  | readonly ["return", Json]
  | readonly ["raiseCancelled", message?: string | null]
  | readonly ["try", Block, Handler | null, Block | null]
  | readonly ["timeout" | "timeoutAt", string, number | null, Block]
  | readonly ["group" | "with" | "call", string, Block]
  | readonly ["repeat", number, Block]
  | readonly ["await", Expression]
  | readonly ["turns", count: number]
  | readonly ["delay", seconds: number, result?: Json]
  | readonly ["acquire" | "wait" | "get" | "join" | "conditionWait", string]
  | readonly ["barrier" | "barrierReset" | "barrierAbort", string]
  | readonly ["put", string, Json]
  | readonly ["conditionWaitFor", condition: string, flag: string]
  | readonly [
      "waitMany",
      readonly Expression[],
      timeout: number | null,
      "ALL_COMPLETED" | "FIRST_COMPLETED" | "FIRST_EXCEPTION",
    ]
  | readonly ["asCompleted" | "asCompletedPlain", readonly Expression[], timeout: number | null];

export type Block = readonly Statement[];

/** How an object is made, by its class. */
export type Spec =
  | readonly ["Lock" | "Event" | "TaskGroup" | "Context"]
  | readonly ["Condition", lock?: string]
  | readonly ["Semaphore" | "BoundedSemaphore" | "Barrier", number]
  | readonly ["Queue" | "LifoQueue" | "PriorityQueue", number];

export interface Script {
  readonly objects?: Readonly<Record<string, Spec>>;
  readonly variables?: readonly string[];
  readonly main: Block;
}

/** Who, what, and what came of it. */
export type Entry = readonly [who: string, what: string, outcome: Json];
