/** run() that can never end: what the process says, and its exit status. Each program in a process of its own. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { External } from "../support/external.ts";
import { packageRoot } from "../support/paths.ts";

async function runProgram(body: string): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const prelude = `import * as asyncio from "contextvars/asyncio";\n`;
  await using program = new External(process.execPath, ["--input-type=module", "--eval", prelude + body], {
    cwd: packageRoot,
  });
  const status = await program.ended();
  return { status, stdout: program.stdout, stderr: program.stderr };
}

const STUCK = /asyncio\.run\(\) can never end: nothing is left that could wake a task\./;

/** Programs that wait for what never comes, and what is said of their tasks. */
const stuck: readonly (readonly [about: string, body: string, report: RegExp])[] = [
  [
    "a queue that stays empty",
    `await asyncio.run(async function main() { await new asyncio.Queue().get(); });`,
    /Task-1, main\(\), waits for <Queue\.get\(\) of 0>/,
  ],
  [
    "a queue, and is not awaited",
    `void asyncio.run(async function main() { await new asyncio.Queue().get(); });`,
    /Task-1, main\(\), waits for <Queue\.get\(\) of 0>/,
  ],
  [
    "tasks that wait for each other",
    `await asyncio.run(async function main() {
      const first = asyncio.createTask(async () => await second, { name: "first" });
      const second = asyncio.createTask(async () => await first, { name: "second" });
      await second;
    });`,
    /first, anonymous\(\), waits for <Task pending name='second'[\s\S]*\n {2}second, anonymous\(\), waits for <Task pending name='first'/,
  ],
  [
    "a foreign promise",
    `await asyncio.run(async function main() { await new Promise(() => {}); });`,
    /Task-1, main\(\), waits for <a promise that is not the library's>/,
  ],
  [
    "a task that it has cancelled at its end",
    `void asyncio.run(async () => {
      asyncio.createTask(async function left() { await new Promise(() => {}); }, { name: "left" });
      await asyncio.sleep(0);
    });`,
    /left, left\(\), waits for <a promise/,
  ],
  [
    "a lock, after the last signal handler was removed",
    `await asyncio.run(async function main() {
      const loop = asyncio.getRunningLoop();
      loop.addSignalHandler("SIGTERM", () => loop.removeSignalHandler("SIGTERM"));
      setTimeout(() => process.kill(process.pid, "SIGTERM"), 100).unref();
      const lock = new asyncio.Lock();
      await lock.acquire();
      await lock.acquire();
    });`,
    /main\(\), waits for <Lock\.acquire\(\) locked by 'Task-1'>/,
  ],
  [
    "an event, in a Runner",
    `const runner = new asyncio.Runner();
    void runner.run(async function main() { await new asyncio.Event().wait(); });`,
    /main\(\), waits for <Event\.wait\(\)>/,
  ],
  [
    "an event in debug mode, which shows where the task was made",
    `void asyncio.run(async function main() {
      await asyncio.createTask(function child() { return new asyncio.Event().wait(); });
    }, { debug: true });`,
    /child\(\), waits for <Event\.wait\(\)>\n {4}awaited by: Task-1\n {4}made here:\n +at main/,
  ],
];

describe("run() that can never end", () => {
  for (const [about, body, report] of stuck) {
    it(`run() that waits for ${about} is reported, with status 13`, async () => {
      const { status, stderr } = await runProgram(body);
      assert.match(stderr, STUCK);
      assert.match(stderr, report);
      assert.equal(status, 13);
    });
  }

  it("run() that waits for a signal with a handler is kept alive, and no longer than it runs", async () => {
    const { status, stdout, stderr } = await runProgram(`
      await asyncio.run(async () => {
        const stop = new asyncio.Event();
        asyncio.getRunningLoop().addSignalHandler("SIGTERM", () => stop.set());
        setTimeout(() => process.kill(process.pid, "SIGTERM"), 1200).unref();
        await stop.wait();
        console.log("stopped");
      });
    `);
    assert.deepEqual([status, stdout, stderr], [0, "stopped\n", ""]);
  });

  it("run() that can never end keeps an exit status that the program has set", async () => {
    const { status, stderr } = await runProgram(
      `process.exitCode = 3; void asyncio.run(() => new asyncio.Event().wait());`,
    );
    assert.match(stderr, STUCK);
    assert.equal(status, 3);
  });

  it("run() says nothing when the program calls process.exit() while the main task waits", async () => {
    const { status, stderr } = await runProgram(
      `setTimeout(() => process.exit(0), 10); await asyncio.run(() => new asyncio.Event().wait());`,
    );
    assert.deepEqual([status, stderr], [0, ""]);
  });

  it("run() says nothing when it has ended, and neither does a Runner that was not closed", async () => {
    const { status, stderr } = await runProgram(`
      await asyncio.run(() => asyncio.sleep(0.01));
      await new asyncio.Runner().run(() => asyncio.sleep(0.01));
    `);
    assert.deepEqual([status, stderr], [0, ""]);
  });

  it("run() leaves no listener of the process behind", async () => {
    const { stdout } = await runProgram(`
      const count = () => ["exit", "beforeExit", "SIGINT"].map((name) => process.listenerCount(name));
      const before = count();
      await asyncio.run(() => asyncio.sleep(0));
      await asyncio.run(() => { throw new Error("fails"); }).catch(() => {});
      console.log(JSON.stringify([before, count()]));
    `);
    const [before, after] = JSON.parse(stdout) as readonly (readonly number[])[];
    assert.deepEqual(after, before);
  });
});
