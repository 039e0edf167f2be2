/** run() that can never end, on every runtime; what is said of the tasks is in test/programs/runner-stuck.test.ts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runCommand } from "../support/commands.ts";
import { programPath } from "../support/paths.ts";
import { runtime } from "../support/runtime.ts";
import { limitOf } from "../support/runtime-limits.ts";

const runFlags = runtime === "deno" ? ["run", "-A", "--no-check"] : [];

describe("run() that can never end", () => {
  for (const [name, args, skip] of [
    ["run()", [], false],
    ["run() awaited at the top level", ["awaited"], limitOf("end of a top-level await")],
  ] as const) {
    it(`${name} says what its tasks wait for, and exits with status 13`, { skip }, async () => {
      const { status, stderr } = await runCommand(process.execPath, [...runFlags, programPath("stuck.js"), ...args]);
      assert.match(stderr, /asyncio\.run\(\) can never end[\s\S]*Task-1, main\(\), waits for <Queue\.get\(\) of 0>/);
      assert.equal(status, 13);
    });
  }
});
