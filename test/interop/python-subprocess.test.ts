/** Child processes as python3's own asyncio has them, in the same run. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { missing } from "../support/external.ts";
import { pythonResults, type Result, subprocessCases } from "../support/subprocess-cases.ts";

describe("child processes in Python's asyncio", { skip: missing("python3", "ps", "pgrep") }, () => {
  let results: Readonly<Record<string, Result>>;

  before(async () => {
    results = await pythonResults();
  });

  for (const { id, what, python, run } of subprocessCases) {
    if (python !== null) {
      it(`${what}: Python comes to the same (${id})`, async () => {
        assert.deepEqual(await run(), results[id]);
      });
    }
  }
});
