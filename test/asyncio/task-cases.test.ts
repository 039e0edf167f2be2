/**
 * The named cases of tasks, each by what it has to see: on every runtime, and those that are newer than the CPython of
 * test/conformance, which runs the others on both sides and compares all that happens.
 */
import { describe, it } from "node:test";
import { runCase } from "../conformance/asyncio/cases/case.ts";
import { taskCases } from "../conformance/asyncio/cases/index.ts";

for (const [topic, cases] of Object.entries(taskCases)) {
  describe(topic, () => {
    for (const taskCase of cases) {
      const { about, id, since } = taskCase;
      it(`${about} (${id}${since === undefined ? "" : `, ${since}`})`, async () => {
        await runCase(taskCase);
      });
    }
  });
}
