/** Call graphs as text: the same programs here and in CPython, which has them since 3.14. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { Python, pythonVersion } from "../support/cpython.ts";

const callGraphTexts = new Python("test/conformance/task_programs.py", "test/conformance/call_graphs.py").function(
  "call_graph_texts",
);

async function leaf(event: asyncio.Event): Promise<void> {
  await event.wait();
}

async function middle(event: asyncio.Event): Promise<void> {
  await leaf(event);
}

async function waiting(event: asyncio.Event): Promise<void> {
  await middle(event);
}

type Waiting = asyncio.Future<unknown>;

async function root(task: Waiting): Promise<void> {
  await task;
}

async function by_gather(task: Waiting): Promise<void> {
  await asyncio.gather([task]);
}

async function by_wait(task: Waiting): Promise<void> {
  await asyncio.wait([task]);
}

async function by_timeout(task: Waiting): Promise<void> {
  await asyncio.timeout(60).with(async function body() {
    await task;
  });
}

async function by_wait_for(task: Waiting): Promise<void> {
  await asyncio.waitFor(task, 60);
}

async function by_shield(task: Waiting): Promise<void> {
  await asyncio.shield(task);
}

async function group(event: asyncio.Event): Promise<void> {
  await new asyncio.TaskGroup().with((tg) => {
    tg.createTask(() => waiting(event), { name: "member" });
  });
}

async function turns(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await asyncio.sleep(0);
  }
}

async function innermost(): Promise<void> {
  await asyncio.getRunningLoop().createFuture();
}

async function in_between(): Promise<void> {
  await innermost();
}

async function middle_of_sleep(): Promise<void> {
  await in_between();
}

async function texts(): Promise<Record<string, string>> {
  const event = new asyncio.Event();
  const found: Record<string, string> = {};
  for (const waiter of [root, by_gather, by_wait, by_timeout, by_wait_for, by_shield]) {
    const task = asyncio.createTask(() => waiting(event), { name: "waiting" });
    const above = asyncio.createTask(() => waiter(task), { name: "above" });
    await turns();
    found[waiter.name] = await asyncio.formatCallGraph(task);
    found[`${waiter.name} itself`] = await asyncio.formatCallGraph(above);
  }
  const grouping = asyncio.createTask(() => group(event), { name: "grouping" });
  await turns();
  const member = [...asyncio.allTasks()].find((task) => task.getName() === "member");
  found["group"] = await asyncio.formatCallGraph(member);
  const task = asyncio.createTask(() => waiting(event), { name: "waiting" });
  const first = asyncio.createTask(() => root(task), { name: "first" });
  const second = asyncio.createTask(() => root(first), { name: "second" });
  await turns();
  found["chain"] = await asyncio.formatCallGraph(task);
  for (const limit of [0, 1, 2, -1, -2]) {
    const own = asyncio.createTask(middle_of_sleep, { name: "own" });
    await turns();
    found[`limit ${limit}`] = await asyncio.formatCallGraph(own, { limit });
    own.cancel();
  }
  const future = asyncio.getRunningLoop().createFuture<void>();
  const above = asyncio.createTask(() => root(future), { name: "above" });
  await turns();
  found["future"] = await asyncio.formatCallGraph(future);
  let printed = "";
  const file = { write: (text: string) => (printed += text) };
  await asyncio.printCallGraph(future, { file });
  found["printed"] = printed;
  future.setResult();
  event.set();
  await asyncio.wait([grouping, second, above]);
  return found;
}

/** The text without what cannot be the same: files, lines and ids, asyncio's own functions, and bodies of `with()`. */
function comparable(text: string): string {
  return text
    .split("\n")
    .filter((line) => !/\/asyncio\/\w+\.py'|in async body\(\)|in anonymous\(\)/.test(line))
    .join("\n")
    .replace(/File '.*?', line \d+/g, "File")
    .replace(/id=0x[0-9a-f]+/g, "id");
}

describe(`formatCallGraph(), against CPython ${pythonVersion}`, async () => {
  const there = callGraphTexts() as Record<string, string>;
  const here = await asyncio.createTask(texts);

  it("the programs are the same", () => {
    assert.deepEqual(Object.keys(here), Object.keys(there));
  });

  for (const [name, text] of Object.entries(there)) {
    it(`formatCallGraph() has the text of CPython: ${name}`, () => {
      assert.equal(comparable(here[name] as string), comparable(text));
    });
  }
});
