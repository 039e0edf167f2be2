/** timeout and timeoutAt. */
import { describe, it } from "node:test";
import { runCase } from "../conformance/asyncio/cases/case.ts";
import { timeoutCases } from "../conformance/asyncio/cases/timeouts.ts";

describe("timeouts, as in CPython", () => {
  for (const taskCase of timeoutCases) {
    it(`${taskCase.about} (${taskCase.id})`, async () => {
      await runCase(taskCase);
    });
  }
});
