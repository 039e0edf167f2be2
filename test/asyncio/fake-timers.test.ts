/** Fakes of the global clock and timers: the loop never sees them, while they are there and after they are gone. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { fakes, under } from "../support/fakes.ts";
import { runProgram } from "../support/programs.ts";
import { limitOf } from "../support/runtime-limits.ts";
import { timerUsers } from "../support/timer-users.ts";

for (const fake of fakes.filter(({ stopsStreams }) => !stopsStreams)) {
  describe(`Fake timers: ${fake.title}`, () => {
    for (const [name, { use, streams }] of Object.entries(timerUsers)) {
      const skip = streams === "sockets" && fake.stopsImmediates ? limitOf("sockets under fake timers") : false;
      it(`${name} ends while they are there`, { skip }, async () => {
        await under(fake, use);
      });

      it(`${name} ends when they are removed while it waits, and the loop continues`, { skip }, async () => {
        const pending = await under(fake, () => [use()]);
        await asyncio.gather(pending);
        await asyncio.sleep(0.001);
      });
    }
  });
}

describe("Fake timers that stop the runtime's own streams", () => {
  it("everything without streams ends while they are there", async () => {
    assert.deepEqual(await runProgram("fake-ticks.js"), []);
  });
});
