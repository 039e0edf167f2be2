/** Leaves a child process behind at the end of run(), with a pipe to it, and ends. */
import * as asyncio from "contextvars/asyncio";

await asyncio.run(async () => {
  const child = await asyncio.createSubprocessExec("sleep", ["1000"], {
    stdin: asyncio.PIPE,
    stdout: asyncio.PIPE,
    stderr: asyncio.DEVNULL,
  });
  console.log(child.pid);
});
