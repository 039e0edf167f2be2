/**
 * One function for each verb of the language (`language.ts`): it takes the verb's arguments, and returns the statement or
 * the expression.
 *
 * A function has the name of its verb, with an underscore after a word that TypeScript reserves.
 */
import type { Expression, Statement } from "./language.ts";

type Form = Statement | Expression;

/** What follows the verb in a statement or an expression. */
type ArgumentsOf<V, F = Form> = F extends readonly [infer W, ...infer A] ? (V extends W ? A : never) : never;

type Builder<V> = (...args: ArgumentsOf<V>) => readonly [V, ...ArgumentsOf<V>];

function builder<V extends Form[0]>(verb: V): Builder<V> {
  return (...args) => [verb, ...args];
}

// Expressions; some are statements as well.
export const ref = builder("ref");
export const coro = builder("coro");
export const shield = builder("shield");
export const gather = builder("gather");
export const waitFor = builder("waitFor");
export const sleep = builder("sleep");
export const acquire = builder("acquire");
export const wait = builder("wait");
export const get = builder("get");
export const join = builder("join");
export const put = builder("put");

// Statements that do not wait.
export const raise = builder("raise");
export const log = builder("log");
export const spawn = builder("spawn");
export const groupSpawn = builder("groupSpawn");
export const future = builder("future");
export const result = builder("result");
export const exception = builder("exception");
export const uncancel = builder("uncancel");
export const state = builder("state");
export const cancelHandle = builder("cancelHandle");
export const groupCancel = builder("groupCancel");
export const when = builder("when");
export const expired = builder("expired");
export const let_ = builder("let");
export const setResult = builder("setResult");
export const setException = builder("setException");
export const cancel = builder("cancel");
export const cancelMe = builder("cancelMe");
export const uncancelMe = builder("uncancelMe");
export const cancellingMe = builder("cancellingMe");
export const current = builder("current");
export const allTasks = builder("allTasks");
export const time = builder("time");
export const onDone = builder("onDone");
export const offDone = builder("offDone");
export const callSoon = builder("callSoon");
export const callLater = builder("callLater");
export const set = builder("set");
export const getVariable = builder("getVariable");
export const flag = builder("flag");
export const putNowait = builder("putNowait");
export const getNowait = builder("getNowait");
export const taskDone = builder("taskDone");
export const release = builder("release");
export const setEvent = builder("setEvent");
export const clear = builder("clear");
export const notifyAll = builder("notifyAll");
export const shutdown = builder("shutdown");
export const notify = builder("notify");
export const reschedule = builder("reschedule");

// The other statements.
export const return_ = builder("return");
export const raiseCancelled = builder("raiseCancelled");
export const try_ = builder("try");
export const timeout = builder("timeout");
export const timeoutAt = builder("timeoutAt");
export const group = builder("group");
export const with_ = builder("with");
export const call = builder("call");
export const repeat = builder("repeat");
export const await_ = builder("await");
export const turns = builder("turns");
export const delay = builder("delay");
export const conditionWait = builder("conditionWait");
export const barrier = builder("barrier");
export const barrierReset = builder("barrierReset");
export const barrierAbort = builder("barrierAbort");
export const conditionWaitFor = builder("conditionWaitFor");
export const waitMany = builder("waitMany");
export const asCompleted = builder("asCompleted");
export const asCompletedPlain = builder("asCompletedPlain");
