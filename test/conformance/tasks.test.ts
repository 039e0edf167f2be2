/** The named cases of tasks on both sides: what each has to see is in test/asyncio, that CPython sees the same is here. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Json, pythonVersion } from "../support/cpython.ts";
import { packageRoot } from "../support/paths.ts";
import { runCase } from "./asyncio/cases/case.ts";
import { casesOf, taskCases } from "./asyncio/cases/index.ts";
import { firstDifference } from "./asyncio/compare.ts";
import { runScript } from "./asyncio/interpreter.ts";
import { runScriptsThere } from "./asyncio/interpreter-there.ts";
import { type Entry, type Script, workedExample } from "./asyncio/language.ts";

function traceThere(script: Script): readonly Entry[] {
  const traces = runScriptsThere([script] as unknown as Json) as unknown as readonly (readonly Entry[])[];
  return traces[0] ?? [];
}

it("the worked example of the language has the same whole trace here and in CPython", async () => {
  assert.deepEqual(await runScript(workedExample.script), workedExample.trace);
  assert.deepEqual(traceThere(workedExample.script), workedExample.trace);
});

for (const [topic, cases] of Object.entries(taskCases)) {
  describe(`${topic}, against CPython ${pythonVersion}`, () => {
    for (const taskCase of cases.filter(({ since }) => since === undefined)) {
      it(`${taskCase.about} (${taskCase.id})`, async () => {
        const here = await runCase(taskCase);
        assert.equal(firstDifference(here, traceThere(taskCase.script)), null);
      });
    }
  });
}

it("the named cases about each file are run by the test of its name", () => {
  for (const file of Object.keys(casesOf)) {
    assert.ok(existsSync(join(packageRoot, `test/asyncio/${file}.test.ts`)), file);
    assert.ok(existsSync(join(packageRoot, `src/asyncio/${file}.ts`)), file);
  }
});
