/** ExceptionGroup: what its parts keep, and what it refuses. conformance/exception-groups.test.ts compares the parts with CPython's. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KeyError, ValueError } from "contextvars";
import { ExceptionGroup } from "contextvars/asyncio";

describe("ExceptionGroup", () => {
  it("split() keeps the cause and the stack, and the group that the whole condition meets", () => {
    const cause = new Error("cause");
    const group = new ExceptionGroup("g", [new ValueError("x"), new KeyError("y")]);
    group.cause = cause;
    const [values, others] = group.split(ValueError);
    for (const part of [values, others]) {
      assert.equal(part?.cause, cause);
      assert.equal(part?.stack, group.stack?.replace("2 sub-exceptions", "1 sub-exception"));
    }
    assert.equal(group.subgroup([KeyError, ValueError])?.exceptions[0], group.exceptions[0]);
    assert.equal(group.subgroup(ExceptionGroup), group);
    assert.ok(!Object.hasOwn(new ExceptionGroup("g", [1]).subgroup((error) => error === 1) ?? {}, "cause"));
  });

  it("split() and subgroup() of a subclass make what its derive() makes", () => {
    class Mine extends ExceptionGroup {
      override derive(exceptions: readonly unknown[]): Mine {
        return new Mine("mine", exceptions);
      }
    }
    const parts = new Mine("g", [new ValueError("x"), new KeyError("y")]).split(ValueError);
    assert.ok(parts.every((part) => part instanceof Mine && part.message === "mine (1 sub-exception)"));
  });

  for (const method of ["split", "subgroup"] as const) {
    for (const condition of [undefined, null, 5, "ValueError", [ValueError, 5], {}]) {
      it(`${method}(${JSON.stringify(condition)}) throws a TypeError that says what a condition is`, () => {
        const group = new ExceptionGroup("g", [1]);
        assert.throws(() => group[method](condition as never), {
          name: "TypeError",
          message: new RegExp(
            `^${method}\\(\\): condition must be a class of errors, an array of these, or a function, got `,
          ),
        });
      });
    }
  }

  it("a group of no errors throws a ValueError, as in Python", () => {
    for (const make of [() => new ExceptionGroup("g", []), () => new ExceptionGroup("g", [1]).derive([])]) {
      assert.throws(make, { name: "ValueError", message: /exceptions must be at least one error/ });
    }
  });
});
