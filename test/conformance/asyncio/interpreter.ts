/** Runs scripts of tasks (`language.ts`) on this side; `interpreter.py` runs them in CPython. */
import { Context, ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import type { Json } from "../../support/cpython.ts";
import type { Block, Entry, Expression, Guard, Script, SpawnOptions, Spec, Statement, Step } from "./language.ts";
import { inVirtualTime } from "./virtual-time.ts";

/** The error of the statement "raise". */
class Boom extends Error {
  override name = "Boom";
}

/** The value that a body returned, in an object, because a promise would wait for a Future. */
type Returned = { readonly value: Json } | null;

const makers: Record<Exclude<Spec[0], "Condition">, (argument: number) => unknown> = {
  Lock: () => new asyncio.Lock(),
  Event: () => new asyncio.Event(),
  TaskGroup: () => new asyncio.TaskGroup(),
  Context: () => new Context(),
  Semaphore: (value) => new asyncio.Semaphore(value),
  BoundedSemaphore: (value) => new asyncio.BoundedSemaphore(value),
  Barrier: (parties) => new asyncio.Barrier(parties),
  Queue: (maxsize) => new asyncio.Queue(maxsize),
  LifoQueue: (maxsize) => new asyncio.LifoQueue(maxsize),
  PriorityQueue: (maxsize) => new asyncio.PriorityQueue(maxsize),
};

const structures = new Set(["timeout", "timeoutAt", "group", "with", "call", "repeat"]);

/** Names in their bodies need to exist only when the body runs. */
const haveBodies = new Set([...structures, "spawn", "groupSpawn", "onDone", "callSoon", "callLater"]);

/** Their first argument names something that has to exist. */
const needsName = new Set([
  "groupSpawn",
  "groupCancel",
  "setResult",
  "setException",
  "result",
  "exception",
  "cancel",
  "uncancel",
  "state",
  "onDone",
  "offDone",
  "cancelHandle",
  "reschedule",
  "when",
  "expired",
]);

/** Reports about collected garbage, which may come at any time. */
const untimely = ["was never retrieved", "was destroyed but it is pending"];

/** When a script is stuck, the newest task is cancelled; after some rounds, all tasks; at last the run ends. */
const roundsOfOne = 16;
const mostRounds = 20;

/** More than the first step of any case takes. */
const microtasksOfFirstStep = 500;

/** An error as a trace shows it. */
function errorTold(error: unknown): Json {
  if (!(error instanceof Error)) {
    return { error: "not an Error", message: String(error) };
  }
  const told = { error: error.name, message: shown(error.message) };
  return error instanceof asyncio.ExceptionGroup ? { ...told, of: error.exceptions.map(errorTold) } : told;
}

/** The text without addresses and names of functions. */
function shown(text: string): string {
  return text
    .replace(/0x[0-9a-f]+/g, "0xHEX")
    .replace(/ coro=<\S+\(\)>/g, "")
    .replace(/Exception in callback .*/, "Exception in callback");
}

/**
 * Runs the script in virtual time until all its tasks have ended or are stuck, and returns the trace.
 *
 * @param onStatement - Called before each statement, in the step of the task that runs it.
 */
export async function runScript(script: Script, onStatement: () => void = () => {}): Promise<readonly Entry[]> {
  return await inVirtualTime((untilStuck) => new Run(script, onStatement).run(untilStuck));
}

class Run {
  readonly #main: Block;
  readonly #trace: Entry[] = [];
  readonly #named = new Map<string, unknown>();
  readonly #callbacks = new Map<string, () => void>();
  readonly #flags = new Map<string, boolean>();
  readonly #tasks = new Set<asyncio.Task<unknown>>();
  readonly #variables: ReadonlyMap<string, ContextVar<Json>>;
  readonly #loop = asyncio.getRunningLoop();
  readonly #onStatement: () => void;
  /** The number of eager tasks in their first step, each within the one before. */
  #firstSteps = 0;
  #over = false;

  constructor(script: Script, onStatement: () => void) {
    this.#main = script.main;
    this.#onStatement = onStatement;
    this.#variables = new Map(
      (script.variables ?? []).map((name) => [name, new ContextVar<Json>(name, { default: "unset" })]),
    );
    for (const [name, spec] of Object.entries(script.objects ?? {})) {
      this.#named.set(name, this.#made(spec));
    }
  }

  #made([kind, argument]: Spec): unknown {
    if (kind === "Condition") {
      return new asyncio.Condition(argument === undefined ? undefined : this.#get(argument));
    }
    return makers[kind](argument as number);
  }

  async run(untilStuck: () => Promise<void>): Promise<readonly Entry[]> {
    this.#loop.setExceptionHandler((_, context) => this.#report(context));
    try {
      const main = asyncio.createTask(() => this.#body("main", this.#main), { name: "main", context: new Context() });
      this.#named.set("main", main);
      this.#tasks.add(main);
      for (let round = 0; ; round++) {
        await untilStuck();
        const pending = [...this.#tasks].filter((task) => !task.done());
        if (pending.length === 0 || round === mostRounds) {
          break;
        }
        this.#log("end", "stuck", pending.length);
        for (const task of round < roundsOfOne ? pending.slice(-1) : pending) {
          task.cancel();
        }
      }
      for (const name of [...this.#named.keys()].sort()) {
        this.#log("end", name, this.#state(this.#named.get(name)));
      }
      return this.#trace;
    } finally {
      this.#over = true;
      this.#loop.setExceptionHandler(() => {});
    }
  }

  #report(context: asyncio.ExceptionContext): void {
    const message = shown(context.message);
    if (!untimely.some((part) => message.includes(part))) {
      this.#log("handler", message, this.#told(context.exception));
    }
  }

  #log(who: string, what: string, outcome: Json): void {
    if (!this.#over) {
      this.#trace.push([who, what, outcome]);
    }
  }

  #get<T>(name: string): T {
    return this.#named.get(name) as T;
  }

  /** A value as the trace shows it. */
  #told(value: unknown): Json {
    if (value === undefined || value === null) {
      return null;
    }
    if (typeof value !== "object") {
      return value as Json;
    }
    if (value instanceof Error) {
      return errorTold(value);
    }
    if (Array.isArray(value)) {
      return value.map((each) => this.#told(each));
    }
    if (value instanceof Set) {
      return [...value]
        .map((each) => this.#told(each))
        .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    }
    if (Object.getPrototypeOf(value) === Object.prototype) {
      return value as Json;
    }
    for (const [name, each] of this.#named) {
      if (each === value) {
        return name;
      }
    }
    return "unnamed";
  }

  #state(value: unknown): Json {
    if (value instanceof asyncio.Future) {
      const cancelling = value instanceof asyncio.Task ? value.cancelling() : 0;
      if (!value.done()) {
        return ["pending", cancelling];
      }
      if (value.cancelled()) {
        return ["cancelled", cancelling];
      }
      return [this.#told(value.exception() ?? value.result()), cancelling];
    }
    if (value instanceof Context) {
      return value
        .items()
        .filter(([variable]) => this.#variables.has(variable.name))
        .map(([variable, item]) => [variable.name, item as Json] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1));
    }
    if (typeof (value as asyncio.Handle).getContext === "function") {
      return (value as asyncio.Handle).cancelled();
    }
    return shown(String(value));
  }

  /** Whether it refers to something that does not exist yet. */
  #isMissing(op: unknown): boolean {
    if (!Array.isArray(op) || op[0] === "coro") {
      return false;
    }
    return (op.length === 2 && op[0] === "ref" && !this.#named.has(op[1])) || op.some((each) => this.#isMissing(each));
  }

  #isUnknown(op: Statement): boolean {
    return needsName.has(op[0]) && !this.#named.has(op[1] as string);
  }

  /** Runs a body, in a task or awaited in one. */
  async #body(who: string, block: Block): Promise<Json> {
    this.#tasks.add(asyncio.currentTask() as asyncio.Task<unknown>);
    this.#log(who, "start", null);
    let returned: Returned;
    try {
      returned = await this.#block(who, block);
    } catch (error) {
      this.#log(who, "raised", errorTold(error));
      throw error;
    }
    const value = returned === null ? who : returned.value;
    this.#log(who, "returned", value);
    return value;
  }

  async #block(who: string, block: Block): Promise<Returned> {
    for (const statement of block) {
      const returned = await this.#statement(who, statement);
      if (returned !== null) {
        return returned;
      }
    }
    return null;
  }

  async #statement(who: string, op: Statement): Promise<Returned> {
    this.#onStatement();
    switch (op[0]) {
      case "return":
        return { value: op[1] };
      case "raise":
        throw new Boom(op[1]);
      case "raiseCancelled":
        throw new asyncio.CancelledError(op[1] ?? undefined);
      case "try":
        return await this.#guarded(who, op[1], op[2]);
      default:
    }
    const isStructure = structures.has(op[0]);
    if ((!haveBodies.has(op[0]) && this.#isMissing(op)) || this.#isUnknown(op)) {
      this.#log(who, op[0], "missing");
      return null;
    }
    try {
      if (isStructure) {
        const returned = await this.#structure(who, op);
        this.#log(who, op[0], "left");
        return returned;
      }
      const value: unknown = await this.#wait(who, op);
      this.#log(who, op[0], this.#told(value));
      return null;
    } catch (error) {
      this.#log(who, op[0], errorTold(error));
      throw error;
    }
  }

  async #guarded(who: string, body: Block, guard: Guard): Promise<Returned> {
    try {
      return await this.#block(who, body);
    } catch (error) {
      if (guard.on !== "all" && guard.on !== (asyncio.isCancelled(error) ? "cancel" : "error")) {
        throw error;
      }
      this.#log(who, "caught", errorTold(error));
      const returned = await this.#block(who, guard.do ?? []);
      if (guard.rethrow === true) {
        throw error;
      }
      return returned;
    } finally {
      if (guard.finally !== undefined) {
        this.#log(who, "finally", null);
        await this.#block(who, guard.finally);
      }
    }
  }

  async #structure(who: string, op: Statement): Promise<Returned> {
    switch (op[0]) {
      case "timeout":
      case "timeoutAt": {
        const [kind, name, delay, body] = op;
        const timeout =
          kind === "timeout"
            ? asyncio.timeout(delay)
            : asyncio.timeoutAt(delay === null ? null : this.#loop.time() + delay);
        this.#named.set(name, timeout);
        return await timeout.with(() => this.#block(who, body));
      }
      case "group": {
        const [, name, body] = op;
        const group = this.#get<asyncio.TaskGroup | undefined>(name) ?? new asyncio.TaskGroup();
        this.#named.set(name, group);
        return (await group.with(() => this.#block(who, body))) ?? null;
      }
      case "with":
        return await this.#get<asyncio.Lock>(op[1]).with(() => this.#block(who, op[2]));
      case "call":
        return await this.#block(op[1], op[2]);
      case "repeat":
        for (let i = 0; i < op[1]; i++) {
          const returned = await this.#block(who, op[2]);
          if (returned !== null) {
            return returned;
          }
        }
        return null;
      default:
        throw new Error(`no such structure: ${op[0]}`);
    }
  }

  /** A Future, a Task, or a function that has not been called yet. */
  #awaitable(expression: Expression): asyncio.Awaitable<unknown> {
    switch (expression[0]) {
      case "ref":
        return this.#get<asyncio.Future<unknown>>(expression[1]);
      case "coro":
        return () => this.#body(expression[1], expression[2]);
      case "shield":
        return asyncio.shield(this.#awaitable(expression[1]));
      case "gather": {
        const awaitables = expression[1].map((each) => this.#awaitable(each));
        return asyncio.gather(awaitables, { returnExceptions: expression[2] });
      }
      case "waitFor": {
        const awaitable = this.#awaitable(expression[1]);
        return () => asyncio.waitFor(awaitable, expression[2]);
      }
      case "sleep":
        return () => asyncio.sleep(expression[1], expression[2]);
      case "acquire":
        return () => this.#get<asyncio.Lock>(expression[1]).acquire();
      case "wait":
        return () => this.#get<asyncio.Event>(expression[1]).wait();
      case "put":
        return () => this.#get<asyncio.Queue<Json>>(expression[1]).put(expression[2]);
      case "get":
        return () => this.#get<asyncio.Queue<Json>>(expression[1]).get();
      case "join":
        return () => this.#get<asyncio.Queue<Json>>(expression[1]).join();
      default:
        throw new Error(`no such expression: ${String(expression[0])}`);
    }
  }

  async #await(expression: Expression): Promise<unknown> {
    const awaitable = this.#awaitable(expression);
    return typeof awaitable === "function" ? await awaitable() : await awaitable;
  }

  async #wait(who: string, op: Statement): Promise<unknown> {
    switch (op[0]) {
      case "await":
        return await this.#await(op[1]);
      case "turns":
        for (let i = 0; i < op[1]; i++) {
          await asyncio.sleep(0);
        }
        return null;
      case "delay":
        return await asyncio.sleep(op[1], op[2]);
      case "acquire":
      case "wait":
      case "get":
      case "join":
      case "put":
        return await this.#await(op as Expression);
      case "conditionWait":
        return await this.#get<asyncio.Condition>(op[1]).wait();
      case "conditionWaitFor":
        return await this.#get<asyncio.Condition>(op[1]).waitFor(() => this.#flags.get(op[2]) ?? false);
      case "barrier":
        return await this.#get<asyncio.Barrier>(op[1]).wait();
      case "barrierReset":
        return await this.#get<asyncio.Barrier>(op[1]).reset();
      case "barrierAbort":
        return await this.#get<asyncio.Barrier>(op[1]).abort();
      case "waitMany": {
        const futures = op[1].map((each) => this.#awaitable(each)) as asyncio.Future<unknown>[];
        return await asyncio.wait(futures, { timeout: op[2], returnWhen: op[3] });
      }
      case "asCompleted": {
        const awaitables = op[1].map((each) => this.#awaitable(each));
        for await (const future of asyncio.asCompleted(awaitables, { timeout: op[2] })) {
          this.#log(who, "completed", this.#state(future));
        }
        return null;
      }
      case "asCompletedPlain": {
        const awaitables = op[1].map((each) => this.#awaitable(each));
        for (const promise of asyncio.asCompleted(awaitables, { timeout: op[2] })) {
          this.#log(who, "completed", this.#told(await promise));
        }
        return null;
      }
      case "spawn":
        return op[3]?.eager === true ? await this.#startEagerly(op) : this.#step(op);
      case "groupSpawn":
        return op[4]?.eager === true ? await this.#startEagerly(op) : this.#step(op);
      default:
        // In an object, because a promise of a Future would wait for it.
        return this.#step(op as Step);
    }
  }

  #callback(label: string, ops: readonly Step[]): () => void {
    return () => {
      this.#log(label, "called", asyncio.currentTask() === null ? null : "in a task");
      for (const op of ops) {
        if (op[0] === "raise") {
          throw new Boom(op[1]);
        }
        if ((!haveBodies.has(op[0]) && this.#isMissing(op)) || this.#isUnknown(op)) {
          this.#log(label, op[0], "missing");
          continue;
        }
        let value: Json;
        try {
          value = this.#told(this.#step(op));
        } catch (error) {
          value = errorTold(error);
        }
        this.#log(label, op[0], value);
      }
    };
  }

  #setTask(name: string, task: asyncio.Task<unknown>): void {
    this.#named.set(name, task);
    this.#tasks.add(task);
  }

  #spawnOptions(name: string, { context, eager }: SpawnOptions = {}): asyncio.TaskOptions {
    return { name, context: context === undefined ? undefined : this.#get<Context>(context), eagerStart: eager };
  }

  /**
   * Makes an eager task, and lets its first step come to its end: in Python it has when the task is made, here its
   * statements go on in microtasks (DIFFERENCES.md, 40).
   */
  async #startEagerly(op: Step): Promise<unknown> {
    this.#firstSteps += 1;
    const depth = this.#firstSteps;
    try {
      const made = this.#step(op);
      for (let i = 0; i < microtasksOfFirstStep; i++) {
        await null;
        if (this.#firstSteps > depth) {
          // It has started one itself.
          i = 0;
        }
      }
      return made;
    } finally {
      this.#firstSteps -= 1;
    }
  }

  /** What needs no waiting. */
  #step(op: Step): unknown {
    const current = asyncio.currentTask() as asyncio.Task<unknown>;
    switch (op[0]) {
      case "log":
        return op[1];
      case "spawn": {
        const [, name, body, options] = op;
        const run = () => this.#body(name, body);
        this.#setTask(name, asyncio.createTask(run, this.#spawnOptions(name, options)));
        return null;
      }
      case "groupSpawn": {
        const [, group, name, body, options] = op;
        const run = () => this.#body(name, body);
        this.#setTask(name, this.#get<asyncio.TaskGroup>(group).createTask(run, this.#spawnOptions(name, options)));
        return null;
      }
      case "groupCancel":
        return this.#get<asyncio.TaskGroup>(op[1]).cancel();
      case "future":
        this.#named.set(op[1], this.#loop.createFuture());
        return null;
      case "let":
        this.#named.set(op[1], asyncio.ensureFuture(this.#awaitable(op[2])));
        return null;
      case "setResult":
        return this.#get<asyncio.Future<Json>>(op[1]).setResult(op[2]);
      case "setException":
        return this.#get<asyncio.Future<Json>>(op[1]).setException(new Boom(op[2]));
      case "result":
        return this.#get<asyncio.Future<Json>>(op[1]).result();
      case "exception":
        return this.#get<asyncio.Future<Json>>(op[1]).exception();
      case "cancel":
        return this.#get<asyncio.Future<Json>>(op[1]).cancel(op[2] ?? undefined);
      case "uncancel":
        return this.#get<asyncio.Task<Json>>(op[1]).uncancel();
      case "cancelMe":
        return current.cancel(op[1] ?? undefined);
      case "uncancelMe":
        return current.uncancel();
      case "cancellingMe":
        return current.cancelling();
      case "current":
        // Tasks without their own names are numbered across all scripts.
        return current?.getName().split("-")[0];
      case "allTasks":
        return [...asyncio.allTasks()]
          .filter((task) => this.#tasks.has(task))
          .map((task) => task.getName())
          .sort();
      case "state":
        return this.#state(this.#get(op[1]));
      case "onDone": {
        const [, name, label, ops] = op;
        const callback = this.#callbacks.get(label) ?? this.#callback(label, ops);
        this.#callbacks.set(label, callback);
        return this.#get<asyncio.Future<Json>>(name).addDoneCallback(callback);
      }
      case "offDone":
        return this.#get<asyncio.Future<Json>>(op[1]).removeDoneCallback(this.#callbacks.get(op[2]) ?? (() => {}));
      case "callSoon":
        this.#named.set(op[1], this.#loop.callSoon(this.#callback(op[1], op[2])));
        return null;
      case "callLater":
        this.#named.set(op[1], this.#loop.callLater(op[2], this.#callback(op[1], op[3])));
        return null;
      case "cancelHandle":
        return this.#get<asyncio.Handle>(op[1]).cancel();
      case "set":
        this.#variables.get(op[1])?.set(op[2]);
        return null;
      case "getVariable":
        return this.#variables.get(op[1])?.get();
      case "flag":
        this.#flags.set(op[1], op[2]);
        return null;
      case "putNowait":
        return this.#get<asyncio.Queue<Json>>(op[1]).putNowait(op[2]);
      case "getNowait":
        return this.#get<asyncio.Queue<Json>>(op[1]).getNowait();
      case "taskDone":
        return this.#get<asyncio.Queue<Json>>(op[1]).taskDone();
      case "shutdown":
        return this.#get<asyncio.Queue<Json>>(op[1]).shutdown(op[2]);
      case "release":
        return this.#get<asyncio.Lock>(op[1]).release();
      case "setEvent":
        return this.#get<asyncio.Event>(op[1]).set();
      case "clear":
        return this.#get<asyncio.Event>(op[1]).clear();
      case "notify":
        return this.#get<asyncio.Condition>(op[1]).notify(op[2]);
      case "notifyAll":
        return this.#get<asyncio.Condition>(op[1]).notifyAll();
      case "reschedule":
        return this.#get<asyncio.Timeout>(op[1]).reschedule(op[2] === null ? null : this.#loop.time() + op[2]);
      case "when":
        return this.#get<asyncio.Timeout>(op[1]).when();
      case "expired":
        return this.#get<asyncio.Timeout>(op[1]).expired();
      case "time":
        return this.#loop.time();
      default:
        throw new Error(`no such step: ${op[0]}`);
    }
  }
}
