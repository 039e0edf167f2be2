/** The cases of CPython's asyncio tests that are about Contexts: what each one is about, asked on both sides. */
import { setTimeout as wait } from "node:timers/promises";
import { Context, ContextVar, copyContext } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import type { Json } from "../support/cpython.ts";
import { randomFrom } from "../support/random.ts";
import type { Case } from "./context-cases.ts";

/** Runs the function as a task in an empty Context. */
async function onLoop(main: () => Promise<Json>): Promise<Json> {
  return asyncio.createTask(main, { context: new Context() });
}

/** Three tasks in a Context that is given, each of which sees what the one before has set. */
function inGivenContext(start: (callable: () => Promise<Json>, context: Context) => PromiseLike<Json>) {
  const variable = new ContextVar<number>("v");
  const context = new Context();
  return onLoop(async () => {
    const seen: Json[] = [];
    for (let i = 1; i <= 3; i++) {
      seen.push(
        await start(async () => {
          const before = variable.get(null);
          variable.set(i);
          await asyncio.sleep(0);
          return before;
        }, context),
      );
    }
    return [seen, context.getItem(variable), variable.get(null)];
  });
}

const inGivenContextThere = (start: string): string => `
var, ctx = ContextVar("v"), Context()
async def task(i):
    before = var.get(None)
    var.set(i)
    await asyncio.sleep(0)
    return before
async def main():
    seen = [await ${start} for i in (1, 2, 3)]
    return [seen, ctx[var], var.get(None)]
return on_loop(main())`;

export const asyncioCases: readonly Case[] = [
  {
    id: "test_context_1",
    about: "a task sees the values of the moment it was made, and keeps its own to itself",
    python: `
var = ContextVar("v", default="nobody")
async def sub():
    seen = [var.get()]
    await asyncio.sleep(0)
    var.set("sub")
    await asyncio.sleep(0)
    return seen + [var.get()]
async def main():
    var.set("main")
    task = asyncio.create_task(sub())
    var.set("main, later")
    seen = await task
    return [seen, var.get()]
return on_loop(main())`,
    here() {
      const variable = new ContextVar("v", { default: "nobody" });
      return onLoop(async () => {
        variable.set("main");
        const task = asyncio.createTask(async () => {
          const seen = [variable.get()];
          await asyncio.sleep(0);
          variable.set("sub");
          await asyncio.sleep(0);
          return [...seen, variable.get()];
        });
        variable.set("main, later");
        const seen = await task;
        return [seen, variable.get()];
      });
    },
  },
  {
    id: "test_context_2",
    about: "what a done callback sets stays in its copy; the task keeps its values over awaits",
    python: `
var = ContextVar("v", default="nobody")
async def main():
    loop = asyncio.get_running_loop()
    seen = []
    def done(future):
        seen.append(var.get())
        var.set("callback")
    var.set("at registration")
    future = loop.create_future()
    future.add_done_callback(done)
    var.set("later")
    loop.call_soon(future.set_result, None)
    await future
    seen.append(var.get())
    await asyncio.sleep(0)
    return seen + [var.get()]
def around():
    result = on_loop(main())
    return [result, var.get()]
return around()`,
    async here() {
      const variable = new ContextVar("v", { default: "nobody" });
      const result = await onLoop(async () => {
        const loop = asyncio.getRunningLoop();
        const seen: Json[] = [];
        variable.set("at registration");
        const future = loop.createFuture<null>();
        future.addDoneCallback(() => {
          seen.push(variable.get());
          variable.set("callback");
        });
        variable.set("later");
        loop.callSoon(() => future.setResult(null));
        await future;
        seen.push(variable.get());
        await asyncio.sleep(0);
        return [...seen, variable.get()];
      });
      return [result, variable.get()];
    },
  },
  {
    id: "test_context_3",
    about: "a hundred tasks with sleeps in between, and none sees the value of another",
    python: `
import random
var = ContextVar("v", default=-1)
async def sub(number):
    wrong = 0
    for i in range(10):
        var.set(number + i)
        await asyncio.sleep(random.uniform(0.001, 0.003))
        wrong += var.get() != number + i
    return wrong
async def main():
    wrong = await asyncio.gather(*[sub(i * 10) for i in range(100)])
    return [sum(wrong), var.get()]
return on_loop(main())`,
    here() {
      const variable = new ContextVar("v", { default: -1 });
      const random = randomFrom(3);
      return onLoop(async () => {
        const wrong = await asyncio.gather(
          Array.from({ length: 100 }, (_, number) => async () => {
            let count = 0;
            for (let i = 0; i < 10; i++) {
              variable.set(number * 10 + i);
              await (i % 2 === 0 ? asyncio.sleep((1 + random(3)) / 1000) : wait(1 + random(3)));
              count += variable.get() === number * 10 + i ? 0 : 1;
            }
            return count;
          }),
        );
        return [wrong.reduce((sum, count) => sum + count, 0), variable.get()];
      });
    },
  },
  {
    id: "test_context_4",
    about: "loop.create_task(context=): each task sees what the one before set in the given Context",
    python: inGivenContextThere("asyncio.get_running_loop().create_task(task(i), context=ctx)"),
    here: () => inGivenContext((callable, context) => asyncio.getRunningLoop().createTask(callable, { context })),
  },
  {
    id: "test_context_5",
    about: "create_task(context=): each task sees what the one before set in the given Context",
    python: inGivenContextThere("asyncio.create_task(task(i), context=ctx)"),
    here: () => inGivenContext((callable, context) => asyncio.createTask(callable, { context })),
  },
  {
    id: "test_context_6",
    about: "an eager task in the given Context does the same",
    python: inGivenContextThere("asyncio.create_task(task(i), context=ctx, eager_start=True)"),
    here: () => inGivenContext((callable, context) => asyncio.createTask(callable, { context, eagerStart: true })),
  },
  {
    id: "test_get_context",
    about: "get_context() is the given Context itself; a task without one has a copy",
    python: `
async def sub():
    return [asyncio.current_task().get_context() == copy_context(), asyncio.current_task().get_context() is copy_context()]
async def main():
    ctx = copy_context()
    given = asyncio.create_task(sub(), context=ctx)
    own = asyncio.create_task(sub())
    current = asyncio.current_task().get_context()
    return [given.get_context() is ctx, own.get_context() is current, own.get_context() == current, await given, await own]
return on_loop(main())`,
    here: () =>
      onLoop(async () => {
        const sub = async (): Promise<Json> => {
          const context = asyncio.currentTask()?.getContext();
          return [context?.equals(copyContext()) ?? null, context === copyContext()];
        };
        const context = copyContext();
        const given = asyncio.createTask(sub, { context });
        const own = asyncio.createTask(sub);
        const current = asyncio.currentTask()?.getContext();
        return [
          given.getContext() === context,
          own.getContext() === current,
          own.getContext().equals(current),
          await given,
          await own,
        ];
      }),
  },
  {
    id: "test_context_vars",
    about: "the first step of an eager task runs in the task's copy",
    python: `
var = ContextVar("v")
async def sub():
    seen = [var.get()]
    var.set(2)
    seen.append(var.get())
    await asyncio.sleep(0)
    return seen + [var.get()]
async def main():
    var.set(1)
    task = asyncio.create_task(sub(), eager_start=True)
    seen = [var.get()]
    var.set(3)
    return [seen, await task, var.get()]
return on_loop(main())`,
    here() {
      const variable = new ContextVar<number>("v");
      return onLoop(async () => {
        variable.set(1);
        const task = asyncio.createTask(
          async () => {
            const seen = [variable.get()];
            variable.set(2);
            seen.push(variable.get());
            await asyncio.sleep(0);
            return [...seen, variable.get()];
          },
          { eagerStart: true },
        );
        const seen = [variable.get()];
        variable.set(3);
        return [seen, await task, variable.get()];
      });
    },
  },
  {
    id: "test_handle_exc_handler_correct_context",
    about: "the exception handler runs in the Context of the callback that failed",
    python: `
var = ContextVar("v", default="default")
async def main():
    loop = asyncio.get_running_loop()
    seen = []
    loop.set_exception_handler(lambda loop, context: seen.append([var.get(), type(context["exception"]).__name__]))
    def fails():
        var.set("callback")
        raise LookupError("mine")
    var.set("main")
    loop.call_soon(fails)
    given = Context()
    loop.call_soon(fails, context=given)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    return [seen, var.get(), given[var]]
return on_loop(main())`,
    here() {
      const variable = new ContextVar("v", { default: "default" });
      class LookupError extends Error {
        override name = "LookupError";
      }
      return onLoop(async () => {
        const loop = asyncio.getRunningLoop();
        const seen: Json[] = [];
        loop.setExceptionHandler((_loop, { exception }) => {
          seen.push([variable.get(), (exception as Error).name]);
        });
        const fails = (): never => {
          variable.set("callback");
          throw new LookupError("mine");
        };
        variable.set("main");
        loop.callSoon(fails);
        const given = new Context();
        loop.callSoon(fails, { context: given });
        await asyncio.sleep(0);
        await asyncio.sleep(0);
        loop.setExceptionHandler(null);
        return [seen, variable.get(), given.getItem(variable)];
      });
    },
  },
  {
    id: "test_run_keeps_context",
    about: "all run() calls of one Runner share one Context, a copy of the one around",
    python: `
var = ContextVar("v", default=-1)
async def get_set(value):
    before = var.get()
    var.set(value)
    await asyncio.sleep(0)
    return before
def around():
    with asyncio.Runner(loop_factory=Loop) as runner:
        seen = [runner.run(get_set(1)), runner.run(get_set(2))]
        ctx = Context()
        seen.extend([runner.run(get_set(3), context=ctx), runner.run(get_set(4))])
    return [seen, ctx[var], var.get()]
return fresh(around)`,
    here() {
      const variable = new ContextVar("v", { default: -1 });
      const getSet = (value: number) => async (): Promise<Json> => {
        const before = variable.get();
        variable.set(value);
        await asyncio.sleep(0);
        return before;
      };
      const around = async (): Promise<Json> => {
        await using runner = new asyncio.Runner();
        const seen = [await runner.run(getSet(1)), await runner.run(getSet(2))];
        const context = new Context();
        seen.push(await runner.run(getSet(3), { context }), await runner.run(getSet(4)));
        return [seen, context.getItem(variable), variable.get()];
      };
      return around();
    },
  },
  {
    id: "test_taskgroup_task_context",
    about: "a task of a group runs in the given Context, or in a copy",
    python: `
var = ContextVar("v")
async def sub(value):
    before = var.get(None)
    var.set(value)
    return before
async def main():
    ctx = copy_context()
    var.set("main")
    async with asyncio.TaskGroup() as group:
        first = group.create_task(sub("first"), context=ctx)
        await first
        second = group.create_task(sub("second"), context=ctx)
        own = group.create_task(sub("own"))
    return [first.result(), second.result(), own.result(), ctx[var], var.get()]
return on_loop(main())`,
    here() {
      const variable = new ContextVar<string>("v");
      const sub = (value: string) => async (): Promise<Json> => {
        const before = variable.get(null);
        variable.set(value);
        return before;
      };
      return onLoop(async () => {
        const context = copyContext();
        variable.set("main");
        const results = await new asyncio.TaskGroup().with(async (group) => {
          const first = group.createTask(sub("first"), { context });
          await first;
          const second = group.createTask(sub("second"), { context });
          return [first, second, group.createTask(sub("own"))];
        });
        return [...results.map((task) => task.result()), context.getItem(variable), variable.get()];
      });
    },
  },
];
