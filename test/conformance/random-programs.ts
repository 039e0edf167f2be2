/** Random programs over context variables: how they are made, and this side of their interpreter. */
import { Context, ContextVar, copyContext, Token } from "contextvars";
import fc from "fast-check";
import type { Json } from "../support/cpython.ts";
import { told } from "../support/outcomes.ts";

type Value = number | string;

/** One operation. Numbers of Contexts and tokens count modulo those there are. */
export type Op =
  | readonly ["set" | "getOr", number, Value]
  | readonly ["setAll", Value]
  | readonly ["get" | "resetOwn" | "token", number]
  | readonly ["reset", number, number]
  | readonly ["block", number, Value, readonly Op[], boolean]
  | readonly ["new" | "copyCurrent"]
  | readonly ["copy" | "size" | "items" | "keys", number]
  | readonly ["run", number, readonly Op[], boolean]
  | readonly ["ctxGet" | "item" | "has" | "equals", number, number]
  | readonly ["ctxGetOr", number, number, Value];

/** The names of all operations. */
export const operationNames: readonly Op[0][] = [
  "set",
  "setAll",
  "get",
  "getOr",
  "reset",
  "resetOwn",
  "token",
  "block",
  "new",
  "copyCurrent",
  "copy",
  "run",
  "ctxGet",
  "ctxGetOr",
  "item",
  "has",
  "size",
  "items",
  "keys",
  "equals",
];

/** Variables with these defaults, and what happens to them. More than lie flat in a map. */
export interface Program {
  readonly defaults: readonly (string | null)[];
  readonly ops: readonly Op[];
}

const VARIABLES = 10;
const defaults = Array.from({ length: VARIABLES }, (_, i) => (i % 3 === 1 ? `default ${i}` : null));

/** Mostly the first three, so that operations meet. */
const variable = fc.oneof({ weight: 6, arbitrary: fc.nat(2) }, { weight: 1, arbitrary: fc.nat(VARIABLES - 1) });
const value: fc.Arbitrary<Value> = fc.oneof(fc.nat(3), fc.constantFrom("a", "b"));
const some = fc.nat(20);

const { ops } = fc.letrec<{ op: Op; ops: readonly Op[] }>((tie) => {
  const one = <T>(name: T): fc.Arbitrary<T> => fc.constant(name);
  const nested = tie("ops") as fc.Arbitrary<readonly Op[]>;
  const boom = fc.integer({ min: 0, max: 4 }).map((n) => n === 0);
  const weighted: readonly (readonly [number, fc.Arbitrary<Op>])[] = [
    [6, fc.tuple(one("set" as const), variable, value)],
    [1, fc.tuple(one("setAll" as const), value)],
    [4, fc.tuple(one("get" as const), variable)],
    [1, fc.tuple(one("getOr" as const), variable, value)],
    [4, fc.tuple(one("reset" as const), variable, some)],
    [4, fc.tuple(one("resetOwn" as const), some)],
    [1, fc.tuple(one("token" as const), some)],
    [2, fc.tuple(one("block" as const), variable, value, nested, boom)],
    [1, fc.tuple(one("new" as const))],
    [3, fc.tuple(one("copyCurrent" as const))],
    [1, fc.tuple(one("copy" as const), some)],
    [5, fc.tuple(one("run" as const), some, nested, boom)],
    [1, fc.tuple(fc.constantFrom("ctxGet" as const, "item" as const, "has" as const), some, variable)],
    [1, fc.tuple(one("ctxGetOr" as const), some, variable, value)],
    [2, fc.tuple(fc.constantFrom("size" as const, "items" as const, "keys" as const), some)],
    [2, fc.tuple(one("equals" as const), some, some)],
  ];
  return {
    op: fc.oneof(
      { maxDepth: 3 },
      ...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })),
    ) as fc.Arbitrary<Op>,
    ops: fc.array(tie("op") as fc.Arbitrary<Op>, { maxLength: 14, size: "max" }),
  };
});

export const programs: fc.Arbitrary<Program> = ops.map((list) => ({ defaults, ops: list }));

/** What a program raises itself. */
class Boom extends Error {
  override name = "Boom";
}

/** Runs the program in an empty Context and returns what it saw. */
export function runProgramHere(program: Program): Json {
  const variables = program.defaults.map(
    (byDefault, i) => new ContextVar<Value>(`v${i}`, byDefault === null ? {} : { default: byDefault }),
  );
  const contexts = [new Context()];
  const tokens: Token<Value>[] = [];
  const trace: Json[] = [];

  const at = <T>(list: readonly T[], index: number): T => list[index % list.length] as T;
  const old = (token: Token<Value>): Json => (token.oldValue === Token.MISSING ? "MISSING" : token.oldValue);
  const numberOf = (key: ContextVar<never>): number => variables.indexOf(key as unknown as ContextVar<Value>);
  const runAll = (list: readonly Op[], boom: boolean): null => {
    for (const op of list) {
      // The entry stands in the list when the operation is over, as on the other side.
      trace.push([op[0], result(op)]);
    }
    if (boom) {
      throw new Boom();
    }
    return null;
  };
  const result = (op: Op): Json => {
    try {
      return { value: step(op) };
    } catch (error) {
      return told(error);
    }
  };
  const step = (op: Op): Json => {
    switch (op[0]) {
      case "set":
        tokens.push(at(variables, op[1]).set(op[2]));
        return old(tokens.at(-1) as Token<Value>);
      case "setAll":
        tokens.push(...variables.map((each) => each.set(op[1])));
        return copyContext().size;
      case "get":
        return at(variables, op[1]).get();
      case "getOr":
        return at(variables, op[1]).get(op[2]);
      case "reset":
        if (tokens.length === 0) {
          return "no token";
        }
        at(variables, op[1]).reset(at(tokens, op[2]));
        return null;
      case "resetOwn": {
        if (tokens.length === 0) {
          return "no token";
        }
        const token = at(tokens, op[1]);
        token.var.reset(token);
        return null;
      }
      case "token": {
        if (tokens.length === 0) {
          return "no token";
        }
        const token = at(tokens, op[1]);
        return [numberOf(token.var as ContextVar<never>), old(token), String(token).includes(" used ")];
      }
      case "block": {
        using token = at(variables, op[1]).set(op[2]);
        tokens.push(token);
        runAll(op[3], op[4]);
        return "left";
      }
      case "new":
        contexts.push(new Context());
        return 0;
      case "copyCurrent":
        contexts.push(copyContext());
        return (contexts.at(-1) as Context).size;
      default:
        return look(op, at(contexts, op[1]));
    }
  };
  const look = (op: Op, context: Context): Json => {
    switch (op[0]) {
      case "copy": {
        const copy = context.copy();
        contexts.push(copy);
        return context.equals(copy);
      }
      case "run":
        return context.run(runAll, op[2], op[3]);
      case "ctxGet":
        return context.get(at(variables, op[2])) ?? null;
      case "ctxGetOr":
        return context.get(at(variables, op[2]), op[3]);
      case "item":
        return context.getItem(at(variables, op[2]));
      case "has":
        return context.has(at(variables, op[2]));
      case "size":
        return context.size;
      case "items":
        return context
          .items()
          .map(([key, item]) => [numberOf(key as ContextVar<never>), item as Json] as const)
          .sort(([a], [b]) => a - b);
      case "keys":
        return [...context].map((key) => numberOf(key as ContextVar<never>)).sort((a, b) => a - b);
      case "equals":
        return context.equals(at(contexts, op[2]));
      default:
        throw new Error(`no such operation: ${op[0]}`);
    }
  };

  new Context().run(runAll, program.ops, false);
  return trace;
}
