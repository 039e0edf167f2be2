/** Which error comes out where: the very one that was thrown, or another. Asked on both sides. */
import { Context } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import type { Json } from "../support/cpython.ts";
import type { Case } from "./context-cases.ts";

/** Runs the function as a task in an empty Context. */
async function onLoop(main: () => Promise<Json>): Promise<Json> {
  return asyncio.createTask(main, { context: new Context() });
}

/** The error that the function throws. */
async function thrownBy(callable: () => unknown): Promise<unknown> {
  try {
    await callable();
  } catch (error) {
    return error;
  }
  return null;
}

const CANCELLED_TASK = `
thrown = asyncio.CancelledError("why")
async def body():
    raise thrown
async def thrown_by(ask):
    try:
        result = ask()
        if asyncio.isfuture(result):
            await result
    except BaseException as error:
        return error
`;

async function cancelledTask(): Promise<{ task: asyncio.Task<never>; thrown: asyncio.CancelledError }> {
  const thrown = new asyncio.CancelledError("why");
  const task = asyncio.createTask((): never => {
    throw thrown;
  });
  await asyncio.sleep(0);
  await asyncio.sleep(0);
  return { task, thrown };
}

/** How a task is asked for its outcome. */
const questions: readonly (readonly [name: string, python: string, here: (task: asyncio.Task<unknown>) => unknown])[] =
  [
    ["await", "task", (task) => task],
    ["Task.result()", "task.result()", (task) => task.result()],
    ["Task.exception()", "task.exception()", (task) => task.exception()],
    ["gather()", "asyncio.gather(task)", (task) => asyncio.gather([task])],
  ];

const quickAndSlow = () => asyncio.asCompleted([() => asyncio.sleep(0, "quick"), () => asyncio.sleep(0.01, "slow")]);

const firstAsked = questions.map(
  ([name, python, here]): Case => ({
    id: `first asked by ${name}`,
    about: `${name} of a cancelled task gets the CancelledError that its body threw; the next call gets a new one`,
    python: `${CANCELLED_TASK}
async def main():
    task = asyncio.create_task(body())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    errors = [await thrown_by(lambda: ${python}), await thrown_by(lambda: task), await thrown_by(lambda: task)]
    return [[type(error).__name__, error is thrown] for error in errors]
return on_loop(main())`,
    here: () =>
      onLoop(async () => {
        const { task, thrown } = await cancelledTask();
        const errors = [
          await thrownBy(() => here(task)),
          await thrownBy(() => task),
          await thrownBy(() => task),
        ] as readonly Error[];
        return errors.map((error) => [error.name, error === thrown]);
      }),
  }),
);

export const errorCases: readonly Case[] = [
  ...firstAsked,
  {
    id: "gather with return_exceptions",
    about: "gather() with returnExceptions gives a CancelledError of its own, and leaves the body's to who asks",
    python: `${CANCELLED_TASK}
async def main():
    task = asyncio.create_task(body())
    [error] = await asyncio.gather(task, return_exceptions=True)
    return [type(error).__name__, error is thrown, await thrown_by(lambda: task) is thrown]
return on_loop(main())`,
    here: () =>
      onLoop(async () => {
        const { task, thrown } = await cancelledTask();
        const [error] = await asyncio.gather([task], { returnExceptions: true });
        return [(error as Error).name, error === thrown, (await thrownBy(() => task)) === thrown];
      }),
  },
  {
    id: "as_completed, order of awaiting",
    about: "a plain loop over asCompleted() returns the results in the order in which its promises are awaited",
    python: `
async def main():
    first, second = asyncio.as_completed([asyncio.sleep(0, "quick"), asyncio.sleep(0.01, "slow")])
    return [await second, await first]
return on_loop(main())`,
    here: () =>
      onLoop(async () => {
        const [first, second] = quickAndSlow();
        return [(await second) as string, (await first) as string];
      }),
  },
  {
    id: "as_completed, cancelled elsewhere",
    about: "a cancellation before the promises of asCompleted() are awaited does not spoil them",
    python: `
async def main():
    first, second = asyncio.as_completed([asyncio.sleep(0, "quick"), asyncio.sleep(0.01, "slow")])
    asyncio.current_task().cancel()
    seen = []
    try:
        await asyncio.sleep(1)
    except asyncio.CancelledError as error:
        seen.append(type(error).__name__)
    return seen + [await first, await second]
return on_loop(main())`,
    here: () =>
      onLoop(async () => {
        const [first, second] = quickAndSlow();
        asyncio.currentTask()?.cancel();
        const error = await thrownBy(() => asyncio.sleep(1));
        return [(error as Error).name, (await first) as string, (await second) as string];
      }),
  },
  {
    id: "TaskGroup and KeyboardInterrupt",
    about: "a TaskGroup throws a KeyboardInterrupt by itself, whatever else has failed",
    python: `
async def fails():
    raise ValueError("other")
async def main():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            try:
                await asyncio.sleep(1)
            finally:
                raise KeyboardInterrupt("stop")
    except KeyboardInterrupt as error:
        return ["bare", str(error)]
return on_loop(main())`,
    here: () =>
      onLoop(async () => {
        const group = new asyncio.TaskGroup().with(async (tg) => {
          tg.createTask(() => {
            throw new asyncio.ValueError("other");
          });
          try {
            await asyncio.sleep(1);
          } catch {
            throw new asyncio.KeyboardInterrupt("stop");
          }
        });
        const error = await thrownBy(() => group);
        return [error instanceof asyncio.KeyboardInterrupt ? "bare" : "wrapped", (error as Error).message];
      }),
  },
  {
    id: "isfuture and get_loop",
    about: "isfuture() knows Futures and Tasks, and getLoop() gives their loop",
    python: `
async def nothing():
    pass
async def main():
    loop = asyncio.get_running_loop()
    future, task = loop.create_future(), asyncio.create_task(nothing())
    await task
    return [*map(asyncio.isfuture, [future, task, 1, None, nothing]), future.get_loop() is loop, task.get_loop() is loop]
return on_loop(main())`,
    here: () =>
      onLoop(async () => {
        const loop = asyncio.getRunningLoop();
        const [future, task] = [loop.createFuture<void>(), asyncio.createTask(async () => {})];
        await task;
        const known = [future, task, 1, null, async () => {}].map(asyncio.isfuture);
        return [...known, future.getLoop() === loop, task.getLoop() === loop];
      }),
  },
];
