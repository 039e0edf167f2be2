/** Ctrl-C, and other signals, while run() is at work: each program in a process of its own. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { External } from "../support/external.ts";
import { packageRoot } from "../support/paths.ts";

interface Ended {
  readonly lines: readonly string[];
  readonly stderr: string;
  /** `null` if a signal ended it. */
  readonly status: number | null;
}

/** What all programs below begin with. */
const PRELUDE = `
  import * as asyncio from "contextvars/asyncio";
  const loop = asyncio.getRunningLoop();
  const interrupt = () => process.kill(process.pid, "SIGINT");
  /** What comes of it, in words. */
  const outcome = async (run) => {
    try {
      console.log("result", await run());
    } catch (error) {
      console.log(error.name, error.message);
    }
  };
  process.on("exit", (status) => console.log("exit", status, process.listenerCount("SIGINT")));
`;

/** Runs a program to its end. For each line that it prints which ends in "..." it is sent the signal. */
async function runProgram(body: string, signal: NodeJS.Signals = "SIGINT"): Promise<Ended> {
  await using program = new External(process.execPath, ["--input-type=module", "--eval", PRELUDE + body], {
    cwd: packageRoot,
  });
  let over = false;
  const status = program.ended().finally(() => {
    over = true;
  });
  const requests = body.match(/\.\.\."/g)?.length ?? 0;
  for (let i = 1; i <= requests && !over; i++) {
    await Promise.race([program.printed(new RegExp(`^(?:[^]*?\\.\\.\\.\\n){${i}}`)), status]);
    program.kill(signal);
  }
  return { status: await status, lines: program.stdout.trimEnd().split("\n"), stderr: program.stderr };
}

describe("run() and Ctrl-C", () => {
  it("run() cancels the main task, which cleans up, and throws a KeyboardInterrupt (test_interrupt_wait)", async () => {
    const { lines, status } = await runProgram(`
      try {
        await asyncio.run(async () => {
          try {
            console.log("ready...");
            await asyncio.sleep(60);
          } finally {
            await asyncio.sleep(0.01);
            console.log("cleaned up");
          }
        });
      } catch (error) {
        console.log(error instanceof asyncio.KeyboardInterrupt, error.code, asyncio.isCancelled(error));
        console.log(error.cause?.name);
      }
    `);
    assert.deepEqual(lines, ["ready...", "cleaned up", "true SIGINT false", "CancelledError", "exit 0 0"]);
    assert.equal(status, 0);
  });

  it("run() whose KeyboardInterrupt is not caught ends the process with status 130", async () => {
    const { lines, status, stderr } = await runProgram(`
      await asyncio.run(async () => {
        console.log("ready...");
        await asyncio.sleep(60);
      });
    `);
    assert.equal(status, 130);
    assert.deepEqual(lines, ["ready...", "exit 130 0"]);
    assert.match(stderr, /KeyboardInterrupt: interrupted by Ctrl-C \(SIGINT\)/);
  });

  it("run() that is not awaited ends the process with status 130 at Ctrl-C", async () => {
    const { status, stderr } = await runProgram(`
      void asyncio.run(async () => {
        console.log("ready...");
        await asyncio.sleep(60);
      });
    `);
    assert.equal(status, 130);
    assert.match(stderr, /KeyboardInterrupt: interrupted by Ctrl-C \(SIGINT\)/);
  });

  it("run() leaves an uncaught KeyboardInterrupt to a program that listens to uncaught errors itself", async () => {
    const { lines, status } = await runProgram(`
      process.on("uncaughtException", (error) => console.log("told of", error.name));
      void asyncio.run(async () => {
        console.log("ready...");
        await asyncio.sleep(60);
      });
    `);
    assert.deepEqual(lines, ["ready...", "told of KeyboardInterrupt", "exit 0 0"]);
    assert.equal(status, 0);
  });

  it("run() gives the result of a main task that swallows the cancellation", async () => {
    const { lines } = await runProgram(`
      await outcome(() => asyncio.run(async () => {
        console.log("ready...");
        try {
          await asyncio.sleep(60);
        } catch {
          await asyncio.sleep(0.01);
          return "swallowed";
        }
      }));
    `);
    assert.deepEqual(lines, ["ready...", "result swallowed", "exit 0 0"]);
  });

  it("run() throws the error that the main task makes of the cancellation", async () => {
    const { lines } = await runProgram(`
      await outcome(() => asyncio.run(async () => {
        console.log("ready...");
        await asyncio.sleep(60).catch(() => { throw new RangeError("other"); });
      }));
    `);
    assert.deepEqual(lines, ["ready...", "RangeError other", "exit 0 0"]);
  });

  it("run() throws a KeyboardInterrupt when the main task takes the request back and is cancelled all the same", async () => {
    const { lines } = await runProgram(`
      await outcome(() => asyncio.run(async () => {
        console.log("ready...");
        try {
          await asyncio.sleep(60);
        } catch (error) {
          asyncio.currentTask().uncancel();
          throw error;
        }
      }));
    `);
    assert.deepEqual(lines, ["ready...", "KeyboardInterrupt interrupted by Ctrl-C (SIGINT)", "exit 0 0"]);
  });

  it("run() throws the CancelledError if other code cancels the main task as well (test_interrupt_cancelled_task)", async () => {
    const { lines } = await runProgram(`
      await outcome(() => asyncio.run(async () => {
        const main = asyncio.currentTask();
        process.prependListener("exit", () => console.log("requests", main.cancelling()));
        loop.callSoon(() => {
          main.cancel("by another");
          // The system would tell of the signal when the task has ended already.
          process.emit("SIGINT");
        });
        await asyncio.sleep(60);
      }));
    `);
    assert.deepEqual(lines, ["CancelledError by another", "requests 1", "exit 0 0"]);
  });

  it("run() cancels a main task that waits for nothing of the library when it does", async () => {
    const { lines } = await runProgram(`
      await outcome(() => asyncio.run(async () => {
        console.log("ready...");
        await new Promise((resolve) => setTimeout(resolve, 200));
        console.log("not interrupted");
        await asyncio.sleep(60);
      }));
    `);
    assert.deepEqual(lines, [
      "ready...",
      "not interrupted",
      "KeyboardInterrupt interrupted by Ctrl-C (SIGINT)",
      "exit 0 0",
    ]);
  });

  it("run() ends at Ctrl-C while a callback keeps the loop busy, when that has ended (test_interrupt_call_soon)", async () => {
    const { lines } = await runProgram(`
      await outcome(() => asyncio.run(async () => {
        loop.callSoon(() => {
          interrupt();
          for (const end = performance.now() + 50; performance.now() < end; );
          console.log("callback has ended");
        });
        await asyncio.sleep(60);
      }));
    `);
    assert.deepEqual(lines, ["callback has ended", "KeyboardInterrupt interrupted by Ctrl-C (SIGINT)", "exit 0 0"]);
  });

  it("run() cancels the tasks that are left after the main task", async () => {
    const { lines } = await runProgram(`
      await outcome(() => asyncio.run(async () => {
        asyncio.createTask(async () => {
          try {
            await asyncio.sleep(60);
          } finally {
            await asyncio.sleep(0.01);
            console.log("task cleaned up");
          }
        });
        await asyncio.sleep(0);
        try {
          console.log("ready...");
          await asyncio.sleep(60);
        } finally {
          console.log("main cleaned up");
        }
      }));
    `);
    assert.deepEqual(lines, [
      "ready...",
      "main cleaned up",
      "task cleaned up",
      "KeyboardInterrupt interrupted by Ctrl-C (SIGINT)",
      "exit 0 0",
    ]);
  });

  it("run() does not catch a Ctrl-C while the tasks that are left clean up", async () => {
    const { lines, status } = await runProgram(`
      await outcome(() => asyncio.run(async () => {
        asyncio.createTask(async () => {
          try {
            await asyncio.sleep(60);
          } finally {
            console.log("cleaning up...");
            await asyncio.sleep(60);
          }
        });
        await asyncio.sleep(0);
      }));
    `);
    assert.deepEqual(lines, ["cleaning up..."]);
    assert.equal(status, null);
  });

  it("run() does not catch the second Ctrl-C", async () => {
    const { lines, status } = await runProgram(`
      await outcome(() => asyncio.run(async () => {
        try {
          console.log("ready...");
          await asyncio.sleep(60);
        } finally {
          console.log("cleaning up...");
          await asyncio.sleep(60);
        }
      }));
    `);
    assert.deepEqual(lines, ["ready...", "cleaning up..."]);
    assert.equal(status, null);
  });

  it("run() no longer receives Ctrl-C after it has ended", async () => {
    const { lines, status } = await runProgram(`
      await outcome(() => asyncio.run(async () => process.listenerCount("SIGINT")));
      console.log("afterwards...");
      await asyncio.sleep(60);
    `);
    assert.deepEqual(lines, ["result 1", "afterwards..."]);
    assert.equal(status, null);
  });

  it("Runner.run() catches Ctrl-C once in each run", async () => {
    const { lines } = await runProgram(`
      const runner = new asyncio.Runner();
      for (let i = 0; i < 2; i++) {
        await outcome(() => runner.run(async () => {
          console.log(["ready...", "again..."][i]);
          await asyncio.sleep(60);
        }));
      }
      await outcome(() => runner.run(() => "no interrupt"));
      await runner.close();
    `);
    assert.deepEqual(lines, [
      "ready...",
      "KeyboardInterrupt interrupted by Ctrl-C (SIGINT)",
      "again...",
      "KeyboardInterrupt interrupted by Ctrl-C (SIGINT)",
      "result no interrupt",
      "exit 0 0",
    ]);
  });

  it("run() leaves Ctrl-C to a program that listens to it itself", async () => {
    const { lines } = await runProgram(`
      let told;
      process.on("SIGINT", () => told());
      await outcome(() => asyncio.run(async () => {
        await new Promise((resolve) => {
          told = resolve;
          const waiting = setTimeout(() => {}, 60_000);
          process.once("SIGINT", () => clearTimeout(waiting));
          console.log("ready...");
        });
        await asyncio.sleep(0.01);
        return "went on";
      }));
    `);
    assert.deepEqual(lines, ["ready...", "result went on", "exit 0 1"]);
  });
});

describe("loop.addSignalHandler() in run()", () => {
  it("loop.addSignalHandler() of SIGINT takes the place of what run() does", async () => {
    const { lines } = await runProgram(`
      await outcome(() => asyncio.run(async () => {
        const told = new asyncio.Event();
        loop.addSignalHandler("SIGINT", () => told.set());
        console.log("ready...");
        await asyncio.waitFor(() => told.wait(), 60);
        console.log("removed", loop.removeSignalHandler("SIGINT"));
        return "went on";
      }));
    `);
    assert.deepEqual(lines, ["ready...", "removed true", "result went on", "exit 0 0"]);
  });

  it("loop.addSignalHandler() calls for each signal, and the last function that was given", async () => {
    const { lines } = await runProgram(
      `
      await asyncio.run(async () => {
        const told = new asyncio.Queue();
        loop.addSignalHandler("SIGTERM", () => told.putNowait("first"));
        loop.addSignalHandler("SIGTERM", () => told.putNowait("second"));
        console.log("ready...");
        console.log(await asyncio.waitFor(() => told.get(), 60));
        console.log("again...");
        console.log(await asyncio.waitFor(() => told.get(), 60), told.qsize());
        loop.removeSignalHandler("SIGTERM");
      });
    `,
      "SIGTERM",
    );
    assert.deepEqual(lines, ["ready...", "second", "again...", "second 0", "exit 0 0"]);
  });

  it("loop.addSignalHandler() reports an error of its function, and the loop continues", async () => {
    const { lines, stderr, status } = await runProgram(
      `
      await asyncio.run(async () => {
        const told = new asyncio.Event();
        loop.addSignalHandler("SIGTERM", function failing() {
          told.set();
          throw new Error("from the handler");
        });
        console.log("ready...");
        await asyncio.waitFor(() => told.wait(), 60);
        await asyncio.sleep(0);
        console.log("went on");
      });
    `,
      "SIGTERM",
    );
    assert.deepEqual(lines, ["ready...", "went on", "exit 0 0"]);
    assert.match(stderr, /Exception in callback failing\(\)\nhandle: <Handle failing\(\)>/);
    assert.equal(status, 0);
  });

  it("loop.removeSignalHandler() has the signal do what it does by default", async () => {
    const { lines, status } = await runProgram(
      `
      await asyncio.run(async () => {
        loop.addSignalHandler("SIGTERM", () => console.log("not called"));
        loop.removeSignalHandler("SIGTERM");
        console.log("ready...");
        await asyncio.sleep(60);
      });
    `,
      "SIGTERM",
    );
    assert.deepEqual(lines, ["ready..."]);
    assert.equal(status, null);
  });
});
