/**
 * Ctrl-\ (SIGQUIT) in debug mode: the program prints where its tasks are, and continues. Each test runs its own
 * process.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { External } from "../support/external.ts";
import { packageRoot } from "../support/paths.ts";

const PROGRAM = `
  import * as asyncio from "contextvars/asyncio";
  await asyncio.run(async function main() {
    const queue = new asyncio.Queue(1);
    async function next() {
      return await queue.get();
    }
    const worker = asyncio.createTask(async function work() {
      return await next();
    }, { name: "worker" });
    const boss = asyncio.createTask(async function waitsForWorker() {
      return await worker;
    }, { name: "boss" });
    const alive = setInterval(() => {}, 1000);
    process.once("SIGUSR2", () => {
      clearInterval(alive);
      queue.putNowait("finished");
    });
    await asyncio.sleep(0);
    console.log("ready");
    console.log(await boss);
  }OPTIONS);
  console.log(process.listenerCount("SIGQUIT"), "listeners");
`;

async function quit(options: string, env: Record<string, string>): Promise<{ status: number | null; said: string[] }> {
  await using program = new External(
    process.execPath,
    ["--input-type=module", "--eval", PROGRAM.replace("OPTIONS", options)],
    { cwd: packageRoot, env: env },
  );
  await program.printed(/ready/);
  program.kill("SIGQUIT");
  if (options !== "" || env["ASYNCIO_DEBUG"] !== undefined) {
    await program.printed(/awaited by: Task-1/);
    program.kill("SIGUSR2");
  }
  const status = await program.ended();
  return { status, said: [program.stdout, program.stderr] };
}

describe("run() and Ctrl-\\", () => {
  const ways: readonly [string, string, Record<string, string>][] = [
    ["run(main, { debug: true })", ", { debug: true }", {}],
    ["ASYNCIO_DEBUG=1", "", { ASYNCIO_DEBUG: "1" }],
  ];
  for (const [way, options, env] of ways) {
    it(`${way}: SIGQUIT prints where all tasks are and what they wait for, and the program continues`, async () => {
      const { status, said } = await quit(options, env);
      assert.deepEqual([status, said[0]], [0, "ready\nfinished\n0 listeners\n"]);
      const text = String(said[1]);
      assert.match(text, /^3 tasks:\n {2}Task-1, main\(\), waits for <Task pending name='boss'/);
      assert.match(
        text,
        /\n {2}worker, work\(\), waits for <Queue\.get\(\) of 0\/1>\n {4}File '.*', line \d+, in async next\(\)\n {4}File '.*', line \d+, in async work\(\)\n {4}awaited by: boss\n/,
      );
    });
  }

  it("without debug mode SIGQUIT ends the process, as always", async () => {
    const { status, said } = await quit("", {});
    assert.deepEqual([status, said[0]], [null, "ready\n"]);
  });
});
