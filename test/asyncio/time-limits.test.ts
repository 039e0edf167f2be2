/** Time limits that are not reached leave nothing that a process would have to wait for. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { MockClock } from "contextvars/testing";
import { runProgram } from "../support/programs.ts";

const nothing = async (): Promise<void> => {};

describe("time limits one after another", () => {
  it("keep no process running, whatever set them, and leave the sleeps that follow alone", async () => {
    const names = (await runProgram("time-limits.js")) as string[];
    assert.equal(names.length, 16);
  });

  it("leave no timer to a test clock, nor to the real one after it", async () => {
    const limited = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        await asyncio.timeout(3600).with(nothing);
      }
    };
    for (let i = 0; i < 3; i++) {
      await asyncio.run(limited);
      const clock = new MockClock();
      await clock.with(() =>
        asyncio.run(async () => {
          await limited();
          await assert.rejects(asyncio.waitFor(new asyncio.Future(), 10), asyncio.TimeoutError);
        }),
      );
      assert.equal(clock.time(), 10);
      await assert.rejects(asyncio.waitFor(new asyncio.Future(), 0.01), asyncio.TimeoutError);
    }
  });
});
