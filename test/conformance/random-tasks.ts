/** Random programs of tasks and callbacks: how they are made, and this side of their interpreter. */
import { Context, ContextVar, copyContext, Token } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import fc from "fast-check";
import type { Json } from "../support/cpython.ts";
import { outcome, told } from "../support/outcomes.ts";

type Value = number | string;

/** What needs no waiting. Numbers of Contexts and tokens count modulo those there are. */
type SyncOp =
  | readonly ["set", number, Value]
  | readonly ["get" | "resetOwn" | "items", number]
  | readonly ["reset", number, number]
  | readonly ["copyCurrent" | "ownContext"]
  | readonly ["run", number, readonly SyncOp[]];

/** The body of a task, and whether it raises an error at its end. */
type Block = readonly [ops: readonly Op[], boom: boolean];

/** One operation of a task. */
type Op =
  | SyncOp
  | readonly ["turns", number]
  | readonly ["callee" | "eager" | "shield" | "waitFor" | "timeout" | "spawn", ...Block]
  | readonly ["gather" | "wait", readonly Block[]]
  | readonly ["taskGroup", readonly (readonly Op[])[]]
  | readonly ["taskIn", number, ...Block]
  | readonly ["spawnWithCallback", ...Block, readonly SyncOp[]]
  | readonly ["callSoon", number | null, readonly SyncOp[]]
  | readonly ["callSoonLater", readonly SyncOp[]]
  | readonly ["join"];

/** Variables with these defaults, and what the first task does with them. */
export interface TaskProgram {
  readonly defaults: readonly (string | null)[];
  readonly ops: readonly Op[];
}

/** The names of all operations. */
export const taskOperationNames: readonly Op[0][] = [
  "set",
  "get",
  "resetOwn",
  "items",
  "reset",
  "copyCurrent",
  "ownContext",
  "run",
  "turns",
  "callee",
  "eager",
  "shield",
  "waitFor",
  "timeout",
  "spawn",
  "gather",
  "wait",
  "taskGroup",
  "taskIn",
  "spawnWithCallback",
  "callSoon",
  "callSoonLater",
  "join",
];

const defaults = [null, "default", null];
const variable = fc.nat(defaults.length - 1);
const value: fc.Arbitrary<Value> = fc.oneof(fc.nat(9), fc.constantFrom("a", "b"));
const some = fc.nat(20);

interface Parts {
  readonly sync: SyncOp;
  readonly op: Op;
  readonly ops: readonly Op[];
}

const { ops } = fc.letrec<Parts>((tie) => {
  const one = <T>(name: T): fc.Arbitrary<T> => fc.constant(name);
  const callback = fc.array(tie("sync") as fc.Arbitrary<SyncOp>, { maxLength: 4 });
  const nested = tie("ops") as fc.Arbitrary<readonly Op[]>;
  const boom = fc.integer({ min: 0, max: 5 }).map((n) => n === 0);
  const block = fc.tuple(nested, boom);
  const simple: readonly (readonly [number, fc.Arbitrary<SyncOp>])[] = [
    [8, fc.tuple(one("set" as const), variable, value)],
    [8, fc.tuple(one("get" as const), variable)],
    [2, fc.tuple(one("resetOwn" as const), some)],
    [1, fc.tuple(one("reset" as const), variable, some)],
    [2, fc.tuple(one("copyCurrent" as const))],
    [1, fc.tuple(one("ownContext" as const))],
    [1, fc.tuple(one("items" as const), some)],
    [1, fc.tuple(one("run" as const), some, callback)],
  ];
  const waiting: readonly (readonly [number, fc.Arbitrary<Op>])[] = [
    [6, fc.tuple(one("turns" as const), fc.integer({ min: 1, max: 3 }))],
    [
      6,
      fc.tuple(
        fc.constantFrom("callee", "eager", "shield", "waitFor", "timeout", "spawn", "spawn"),
        nested,
        boom,
      ) as fc.Arbitrary<Op>,
    ],
    [2, fc.tuple(fc.constantFrom("gather" as const, "wait" as const), fc.array(block, { minLength: 1, maxLength: 3 }))],
    [1, fc.tuple(one("taskGroup" as const), fc.array(nested, { maxLength: 3 }))],
    [2, fc.tuple(one("taskIn" as const), some, nested, boom)],
    [2, fc.tuple(one("spawnWithCallback" as const), nested, boom, callback)],
    [3, fc.tuple(one("callSoon" as const), fc.option(some, { nil: null }), callback)],
    [2, fc.tuple(one("callSoonLater" as const), callback)],
    [2, fc.tuple(one("join" as const))],
  ];
  const weighted = <T>(list: readonly (readonly [number, fc.Arbitrary<T>])[]): fc.WeightedArbitrary<T>[] =>
    list.map(([weight, arbitrary]) => ({ weight, arbitrary }));
  return {
    sync: fc.oneof({ maxDepth: 2 }, ...weighted(simple)) as fc.Arbitrary<SyncOp>,
    op: fc.oneof({ maxDepth: 3 }, ...weighted<Op>([...simple, ...waiting])) as fc.Arbitrary<Op>,
    ops: fc.array(tie("op") as fc.Arbitrary<Op>, { maxLength: 9, size: "max" }),
  };
});

export const taskPrograms: fc.Arbitrary<TaskProgram> = ops.map((list) => ({ defaults, ops: list }));

/**
 * Whether the program's steps come in asyncio's order: always, unless it starts a task eagerly.
 *
 * An async function of JavaScript that has come to its end does not say so before the next microtask. To await such a
 * task takes a turn of the loop here, and none in Python.
 */
export function isOrdered({ ops: list }: TaskProgram): boolean {
  return !JSON.stringify(list).includes('"eager"');
}

/** The trace of each task and callback by itself, by its path. */
export function byPath(trace: Json): Json {
  const traces: Record<string, Json[]> = {};
  for (const [path, ...entry] of trace as readonly (readonly [string, ...Json[]])[]) {
    traces[path] ??= [];
    traces[path].push(entry);
  }
  return traces;
}

/** What a program raises itself. */
class TaskBoom extends Error {
  override name = "TaskBoom";
}

/** The state of one task, and of functions that it awaits. */
class Own {
  readonly contexts: Context[] = [new Context()];
  readonly tokens: Token<Value>[] = [];
}

/** Runs the program as a task in an empty Context and returns what it saw, in order. */
export async function runTaskProgramHere(program: TaskProgram): Promise<Json> {
  const variables = program.defaults.map(
    (byDefault, i) => new ContextVar<Value>(`v${i}`, byDefault === null ? {} : { default: byDefault }),
  );
  const trace: Json[] = [];

  const at = <T>(list: readonly T[], index: number): T => list[index % list.length] as T;
  const items = (context: Context): Json =>
    context
      .items()
      .map(([key, item]) => [variables.indexOf(key as ContextVar<Value>), item as Json] as const)
      .sort(([a], [b]) => a - b);

  /** What needs no waiting. */
  const step = (own: Own, path: string, op: SyncOp): Json => {
    switch (op[0]) {
      case "set": {
        const token = at(variables, op[1]).set(op[2]);
        own.tokens.push(token);
        return token.oldValue === Token.MISSING ? "MISSING" : token.oldValue;
      }
      case "get":
        return at(variables, op[1]).get();
      case "reset":
        if (own.tokens.length === 0) {
          return "no token";
        }
        at(variables, op[1]).reset(at(own.tokens, op[2]));
        return null;
      case "resetOwn": {
        if (own.tokens.length === 0) {
          return "no token";
        }
        const token = at(own.tokens, op[1]);
        token.var.reset(token);
        return null;
      }
      case "copyCurrent": {
        const copy = copyContext();
        own.contexts.push(copy);
        return items(copy);
      }
      case "ownContext": {
        const task = asyncio.currentTask();
        if (task === null) {
          return "no task";
        }
        own.contexts.push(task.getContext());
        return task.getContext().equals(copyContext());
      }
      case "items":
        return items(at(own.contexts, op[1]));
      case "run":
        at(own.contexts, op[1]).run(runSync, own, path, op[2]);
        return null;
      default:
        throw new Error(`no such operation: ${String(op[0])}`);
    }
  };
  const runSync = (own: Own, path: string, list: readonly SyncOp[]): void => {
    for (const op of list) {
      trace.push([path, op[0], outcome(() => step(own, path, op))]);
    }
  };
  const outcomeOf = async (awaitable: PromiseLike<Json>): Promise<Json> => {
    try {
      return { value: await awaitable };
    } catch (error) {
      return told(error);
    }
  };

  const body = async (own: Own, path: string, list: readonly Op[], boom: boolean): Promise<Json> => {
    const loop = asyncio.getRunningLoop();
    let children = 0;
    const spawned: PromiseLike<Json>[] = [];

    const child = (): string => {
      children += 1;
      return `${path}.${children}`;
    };
    const coroutine = ([inner, fails]: Block): (() => Promise<Json>) => {
      const name = child();
      return () => body(new Own(), name, inner, fails);
    };
    const callback = (owner: Own, name: string, inner: readonly SyncOp[]) => {
      const done = loop.createFuture<Json>();
      const call = (): void => {
        runSync(owner, name, inner);
        done.setResult("called");
      };
      return { call, done };
    };
    const join = async (): Promise<Json> => {
      const results: Json[] = [];
      for (let next = spawned.shift(); next !== undefined; next = spawned.shift()) {
        results.push(await outcomeOf(next));
      }
      return results;
    };
    const wait = async (op: Op): Promise<Json> => {
      switch (op[0]) {
        case "turns":
          for (let i = 0; i < op[1]; i++) {
            await asyncio.sleep(0);
          }
          return op[1];
        case "callee":
          return await body(own, child(), op[1], op[2]);
        case "gather": {
          const results = await asyncio.gather(op[1].map(coroutine), { returnExceptions: true });
          return results.map((each) => (each instanceof Error ? told(each) : (each as Json)));
        }
        case "wait": {
          const tasks = op[1].map((block) => asyncio.createTask(coroutine(block)));
          const [done, pending] = await asyncio.wait(tasks);
          const names = tasks.map((task) => (task.exception() as Error | null)?.name ?? "NoneType");
          return [done.size, pending.size, names];
        }
        case "taskGroup":
          await new asyncio.TaskGroup().with(async (group) => {
            for (const inner of op[1]) {
              group.createTask(coroutine([inner, false]));
            }
          });
          return "left";
        case "taskIn": {
          const context = at(own.contexts, op[1]);
          const name = child();
          return await asyncio.createTask(() => body(own, name, op[2], op[3]), { context });
        }
        case "eager":
          return await asyncio.createTask(coroutine([op[1], op[2]]), { eagerStart: true });
        case "shield":
          return await asyncio.shield(coroutine([op[1], op[2]]));
        case "waitFor": {
          const name = child();
          return await asyncio.waitFor(() => body(own, name, op[1], op[2]), 1000);
        }
        case "timeout": {
          const name = child();
          return await asyncio.timeout(1000).with(() => body(own, name, op[1], op[2]));
        }
        case "spawn":
          spawned.push(asyncio.createTask(coroutine([op[1], op[2]])));
          return "spawned";
        case "spawnWithCallback": {
          const task = asyncio.createTask(coroutine([op[1], op[2]]));
          const { call, done } = callback(new Own(), child(), op[3]);
          task.addDoneCallback(call);
          spawned.push(task, done);
          return "spawned";
        }
        case "callSoon": {
          const { call, done } = callback(own, child(), op[2]);
          loop.callSoon(call, op[1] === null ? {} : { context: at(own.contexts, op[1]) });
          return await done;
        }
        case "callSoonLater": {
          const { call, done } = callback(new Own(), child(), op[1]);
          loop.callSoon(call);
          spawned.push(done);
          return "scheduled";
        }
        case "join":
          return await join();
        default:
          return step(own, path, op);
      }
    };

    for (const op of list) {
      trace.push([path, op[0], await outcomeOf(wait(op))]);
    }
    await join();
    if (boom) {
      throw new TaskBoom();
    }
    return "returned";
  };

  await asyncio.createTask(() => body(new Own(), "0", program.ops, false), { context: new Context() });
  return trace;
}
