/**
 * Runs commands, shows what they write, and starts one that fails again, each time a little later. Ctrl-C ends all.
 *
 * Usage: supervisor COMMAND...   a program with its arguments each: supervisor "node server.js" "node worker.js"
 */
import * as asyncio from "contextvars/asyncio";

const FIRST_DELAY = 0.1; // seconds
const LONGEST_DELAY = 30; // seconds
const GRACE = 5; // seconds

/** Asks the process to end, and ends it if it does not. */
async function stop(process: asyncio.Process): Promise<void> {
  process.terminate();
  try {
    await asyncio.waitFor(() => process.wait(), GRACE);
  } catch (error) {
    if (!(error instanceof asyncio.TimeoutError)) {
      throw error;
    }
    process.kill();
    await process.wait();
  }
}

/** Runs the command once, and returns its exit status. When the task is cancelled, the process is stopped. */
async function runOnce(name: string, command: string): Promise<number> {
  const process = await asyncio.createSubprocessShell(`exec ${command}`, {
    stdin: asyncio.DEVNULL,
    stdout: asyncio.PIPE,
    stderr: asyncio.STDOUT,
    // A Ctrl-C goes to the supervisor only.
    startNewSession: true,
  });
  console.log(`${name} started`);
  try {
    for await (const line of process.stdout ?? []) {
      console.log(`${name}| ${String(line).trimEnd()}`);
    }
    return await process.wait();
  } finally {
    if (process.returncode === null) {
      await stop(process);
      console.log(`${name} stopped`);
    }
  }
}

async function supervise(name: string, command: string): Promise<void> {
  for (let delay = FIRST_DELAY; ; delay = Math.min(2 * delay, LONGEST_DELAY)) {
    const status = await runOnce(name, command);
    console.log(`${name} ended with ${status}`);
    if (status === 0) {
      return;
    }
    await asyncio.sleep(delay);
  }
}

async function main(commands: readonly string[]): Promise<void> {
  await new asyncio.TaskGroup().with(async (group) => {
    for (const [index, command] of commands.entries()) {
      group.createTask(() => supervise(`[${index + 1}]`, command));
    }
  });
}

const commands = process.argv.slice(2);
if (commands.length === 0) {
  console.error('usage: supervisor COMMAND...   such as: supervisor "node server.js" "node worker.js"');
  process.exitCode = 1;
}
try {
  await asyncio.run(() => main(commands));
} catch (error) {
  if (!(error instanceof asyncio.KeyboardInterrupt)) {
    throw error;
  }
}
