/** Changes `Error` in the way that the argument names, and prints what becomes of errors and stacks. */
import * as asyncio from "contextvars/asyncio";

const changes: Readonly<Record<string, () => void>> = {
  frozen: () => Object.freeze(Error),
  "without captureStackTrace": () => Reflect.set(Error, "captureStackTrace", undefined),
  "without stacks": () => Reflect.set(Error, "stackTraceLimit", 0),
  "without a limit": () => Reflect.deleteProperty(Error, "stackTraceLimit"),
  "with a prepareStackTrace that returns no text": () =>
    Reflect.set(Error, "prepareStackTrace", (_: Error, places: unknown) => places),
};

changes[process.argv[2] as string]?.();
asyncio.getRunningLoop().setDebug(process.argv[3] === "debug");

async function waits(): Promise<void> {
  await asyncio.sleep(60);
}

const task = asyncio.createTask(waits);
const parent = asyncio.createTask(async () => await task);
await asyncio.sleep(0);
const stack = (await task.getStack()).map(({ functionName }) => functionName);
const graph = await asyncio.formatCallGraph(task);
parent.cancel();
await asyncio.wait([task, parent]);
const refused = await asyncio.openConnection("127.0.0.1", 1).catch((error: Error) => error.name);
console.log(
  JSON.stringify({
    stack,
    ownFrames: /stackNow|Probe/i.test(graph),
    ends: [task.cancelled(), parent.cancelled()],
    refused,
  }),
);
