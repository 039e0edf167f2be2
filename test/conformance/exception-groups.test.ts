/** The parts of an ExceptionGroup are CPython's. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KeyError, LookupError, ValueError } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { Python } from "../support/cpython.ts";

const { ExceptionGroup } = asyncio;
type Tree = string | { readonly text: string; readonly of: readonly Tree[] };

/** A group as nested lists of class names, on both sides. */
const groups: Record<string, Tree> = {
  "one error": { text: "g", of: ["ValueError"] },
  "two classes": { text: "g", of: ["ValueError", "KeyError"] },
  "a group in a group": {
    text: "g",
    of: ["TypeError", { text: "inner", of: ["ValueError", "KeyError"] }, "ValueError"],
  },
  "three levels": { text: "a", of: [{ text: "b", of: [{ text: "c", of: ["KeyError"] }, "ValueError"] }] },
  "nothing to find": { text: "g", of: ["TypeError", { text: "inner", of: ["TypeError"] }] },
};

/** What is looked for: here, and in Python. */
const conditions: Record<string, readonly [asyncio.ErrorCondition, string]> = {
  "a class": [ValueError, "ValueError"],
  "a base class": [LookupError, "LookupError"],
  "several classes": [[ValueError, KeyError], "(ValueError, KeyError)"],
  "no class": [[], "()"],
  "a function": [(error) => String(error).startsWith("KeyError"), "lambda e: type(e) is KeyError"],
  "the group itself": [(error) => error instanceof ExceptionGroup, "lambda e: isinstance(e, ExceptionGroup)"],
  "the class of groups": [ExceptionGroup, "ExceptionGroup"],
};

const classes: Record<string, new (message: string) => Error> = { ValueError, KeyError, TypeError };

function made(tree: Tree): Error {
  return typeof tree === "string"
    ? new (classes[tree] ?? Error)("x")
    : new ExceptionGroup(tree.text, tree.of.map(made));
}

function shown(error: unknown): unknown {
  if (!(error instanceof ExceptionGroup)) {
    return error === null ? null : (error as Error).name;
  }
  return [error.message, error.exceptions.map(shown)];
}

function python(tree: Tree): string {
  return typeof tree === "string"
    ? `${tree}("x")`
    : `ExceptionGroup(${JSON.stringify(tree.text)}, [${tree.of.map(python).join(", ")}])`;
}

const SHOWN = `def shown(e):
    if not isinstance(e, ExceptionGroup):
        return e and type(e).__name__
    return [str(e), [shown(each) for each in e.exceptions]]
`;

describe("ExceptionGroup", () => {
  const cpython = new Python();

  for (const [what, tree] of Object.entries(groups)) {
    for (const [how, [condition, text]] of Object.entries(conditions)) {
      it(`split() and subgroup() of ${what} by ${how} give CPython's groups`, () => {
        const group = made(tree) as asyncio.ExceptionGroup;
        const expected = cpython.run(`${SHOWN}
g = ${python(tree)}
return [[shown(e) for e in g.split(${text})], shown(g.subgroup(${text}))]`);
        assert.deepEqual([group.split(condition).map(shown), shown(group.subgroup(condition))], expected);
      });
    }
  }
});
