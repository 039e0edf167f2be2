/** The same questions to CPython and to this package. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Json, Python, pythonVersion } from "../support/cpython.ts";
import { asyncioCases } from "./asyncio-cases.ts";
import { type Case, contextCases } from "./context-cases.ts";
import { errorCases } from "./error-cases.ts";
import { operationNames, programs, runProgramHere } from "./random-programs.ts";
import { byPath, isOrdered, runTaskProgramHere, taskOperationNames, taskPrograms } from "./random-tasks.ts";

const cpython = new Python("test/conformance/task_programs.py", "test/conformance/programs.py");

/** Declares a test for each case: both sides give the same. */
function compare(cases: readonly Case[]): void {
  for (const { id, about, python, here } of cases) {
    it(`${id}: ${about}`, async () => {
      const there = typeof python === "string" ? cpython.run(python) : python.gives;
      assert.deepEqual(await here(), there);
    });
  }
}

describe(`ContextTest, against CPython ${pythonVersion}`, () => {
  compare(contextCases);

  it("the cases of ContextTest are all there", () => {
    assert.equal(new Set(contextCases.map(({ id }) => id)).size, 33);
  });
});

describe(`Contexts in asyncio, against CPython ${pythonVersion}`, () => {
  compare(asyncioCases);
});

describe(`Errors of tasks, against CPython ${pythonVersion}`, () => {
  compare(errorCases);
});

describe(`random programs, against CPython ${pythonVersion}`, () => {
  const runProgramThere = cpython.function("run_program");

  it("random programs over variables, tokens and Contexts see the same on both sides", () => {
    let operations = 0;
    const kinds = new Set<string>();
    fc.assert(
      fc.property(programs, (program) => {
        const here = runProgramHere(program);
        assert.deepEqual(here, runProgramThere(program.defaults, program.ops as Json));
        for (const [name, result] of here as readonly (readonly [string, { readonly raised?: string }])[]) {
          operations += 1;
          kinds.add(name).add(result.raised ?? "value");
        }
      }),
      { seed: 20261121, numRuns: 1500 },
    );
    assert.ok(operations > 12_000, `${operations} operations`);
    // All operations, and all that they can raise.
    assert.deepEqual([...kinds].sort(), [
      "Boom",
      "KeyError",
      "LookupError",
      "RuntimeError",
      "ValueError",
      ...[...operationNames, "value"].sort(),
    ]);
  });
});

describe(`random tasks, against the asyncio of CPython ${pythonVersion}`, () => {
  const runTaskProgramThere = cpython.function("run_task_program");

  it("random tasks, callbacks and Contexts see the same on both sides", async () => {
    let operations = 0;
    const kinds = new Set<string>();
    await fc.assert(
      fc.asyncProperty(taskPrograms, async (program) => {
        const here = await runTaskProgramHere(program);
        assert.deepEqual(byPath(here), byPath(runTaskProgramThere(program.defaults, program.ops as Json)));
        for (const [, name, result] of here as readonly (readonly [string, string, { readonly raised?: string }])[]) {
          operations += 1;
          kinds.add(name).add(result.raised ?? "value");
        }
      }),
      { seed: 20261121, numRuns: 500 },
    );
    assert.ok(operations > 5000, `${operations} operations`);
    const errors = ["LookupError", "RuntimeError", "TaskBoom", "ValueError"];
    assert.deepEqual([...kinds].sort(), [...errors, ...[...taskOperationNames, "value"].sort()]);
  });

  it("random tasks and callbacks take their steps in the order of asyncio, where none is started eagerly", async () => {
    await fc.assert(
      fc.asyncProperty(taskPrograms.filter(isOrdered), async (program) => {
        assert.deepEqual(await runTaskProgramHere(program), runTaskProgramThere(program.defaults, program.ops as Json));
      }),
      { seed: 4711, numRuns: 500 },
    );
  });
});
