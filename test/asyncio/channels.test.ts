/**
 * The channels of `node:diagnostics_channel`: each message, in its order, and that a channel without subscribers costs
 * nothing.
 */
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ContextVar, copyContext } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { packageRoot } from "../support/paths.ts";
import { portOf } from "../support/peers.ts";

const loop = asyncio.getRunningLoop();

/** The channels, and what their messages have. */
const channels: Readonly<Record<string, readonly string[]>> = {
  "task:created": ["task"],
  "task:started": ["task"],
  "task:done": ["task"],
  "task:cancelled": ["task"],
  "step:slow": ["step", "seconds"],
  "connection:made": ["transport"],
  "connection:lost": ["transport", "exception"],
  "reading:paused": ["transport"],
  "reading:resumed": ["transport"],
  "writing:paused": ["transport"],
  "writing:resumed": ["transport"],
  "server:listening": ["server"],
  "server:closed": ["server"],
};

/** What is told while the function runs: the names, with the message. */
async function toldDuring(run: () => Promise<unknown>): Promise<[string, Record<string, unknown>][]> {
  const told: [string, Record<string, unknown>][] = [];
  const onMessage = (message: unknown, name: string | symbol): void => {
    told.push([String(name).replace("contextvars:asyncio:", ""), message as Record<string, unknown>]);
  };
  const names = Object.keys(channels).map((name) => `contextvars:asyncio:${name}`);
  for (const name of names) {
    subscribe(name, onMessage);
  }
  try {
    await run();
  } finally {
    for (const name of names) {
      unsubscribe(name, onMessage);
    }
  }
  for (const [name, message] of told) {
    assert.deepEqual(Object.keys(message), channels[name], name);
  }
  return told;
}

/** The names of the messages about tasks of this name. */
function ofTask(told: readonly [string, Record<string, unknown>][], name: string): string[] {
  return told
    .filter(([, { task }]) => (task as asyncio.Task<unknown> | undefined)?.getName() === name)
    .map(([channel]) => channel);
}

describe("channels", () => {
  it("task:created, task:started, task:done and task:cancelled tell of each task", async () => {
    const told = await toldDuring(async () => {
      const finished = asyncio.createTask(() => asyncio.sleep(0), { name: "finished" });
      const failed = asyncio.createTask(
        () => {
          throw new Error("bad");
        },
        { name: "failed" },
      );
      const eager = asyncio.createTask(() => {}, { name: "eager", eagerStart: true });
      const never = asyncio.createTask(() => {}, { name: "never" });
      never.cancel();
      const cancelled = asyncio.createTask(() => asyncio.sleep(60), { name: "cancelled" });
      await asyncio.sleep(0);
      cancelled.cancel();
      await asyncio.wait([finished, failed, eager, never, cancelled]);
      failed.exception();
    });
    assert.deepEqual(ofTask(told, "finished"), ["task:created", "task:started", "task:done"]);
    assert.deepEqual(ofTask(told, "failed"), ["task:created", "task:started", "task:done"]);
    assert.deepEqual(ofTask(told, "eager"), ["task:created", "task:started", "task:done"]);
    assert.deepEqual(ofTask(told, "never"), ["task:created", "task:cancelled"]);
    assert.deepEqual(ofTask(told, "cancelled"), ["task:created", "task:started", "task:cancelled"]);
  });

  it("task:started, task:done and task:cancelled are told with the values of the task", async () => {
    const user = new ContextVar("user", { default: "nobody" });
    const storage = new AsyncLocalStorage<string>();
    const seen: string[] = [];
    const onMessage = (message: unknown, name: string | symbol): void => {
      const { task } = message as { task: asyncio.Task<unknown> };
      seen.push(`${String(name).split(":").pop()} ${task.getName()}: ${user.get()} ${storage.getStore()}`);
    };
    const names = ["started", "done", "cancelled"].map((name) => `contextvars:asyncio:task:${name}`);
    for (const name of names) {
      subscribe(name, onMessage);
    }
    const make = (name: string, body: () => unknown, eagerStart = false): asyncio.Task<unknown> =>
      storage.run(name, () =>
        copyContext().run(() => {
          user.set(name);
          return asyncio.createTask(body, { name, eagerStart });
        }),
      );
    const tasks = [
      make("first", () => asyncio.sleep(0)),
      make("eager", () => 1, true),
      make("never", () => 1),
      make("fails", () => Promise.reject(new Error("expected"))),
      make("last", () => asyncio.sleep(0)),
      make("cancelled", () => asyncio.sleep(3600)),
    ];
    tasks[2]?.cancel();
    await asyncio.sleep(0);
    tasks[5]?.cancel();
    await asyncio.gather(tasks, { returnExceptions: true });
    for (const name of names) {
      unsubscribe(name, onMessage);
    }
    const expected = ["first", "eager", "fails", "last", "cancelled"].map((name) => `started ${name}`);
    const ends = ["done first", "done eager", "cancelled never", "done fails", "done last", "cancelled cancelled"];
    assert.deepEqual(
      seen.sort(),
      [...expected, ...ends].map((text) => `${text}: ${text.split(" ")[1]} ${text.split(" ")[1]}`).sort(),
    );
  });

  it("step:slow tells of a slow step, in debug mode", async () => {
    const before = loop.slowCallbackDuration;
    loop.setDebug(true);
    loop.slowCallbackDuration = 0;
    try {
      const told = await toldDuring(async () => {
        await asyncio.createTask(() => asyncio.sleep(0), { name: "slow" });
      });
      const slow = told.filter(([name]) => name === "step:slow").map(([, message]) => message);
      assert.ok(slow.some(({ step, seconds }) => /name='slow'/.test(String(step)) && typeof seconds === "number"));
    } finally {
      loop.slowCallbackDuration = before;
      loop.setDebug(false);
    }
  });

  it("connection, reading, writing and server tell of a server and a connection", async () => {
    const told = await toldDuring(async () => {
      const server = await asyncio.startServer(
        async (reader, writer) => {
          writer.transport.pauseReading();
          writer.transport.resumeReading();
          writer.write(Buffer.alloc(8 << 20));
          await writer.drain();
          await reader.read();
          writer.close();
        },
        "127.0.0.1",
        0,
      );
      const [reader, writer] = await asyncio.openConnection("127.0.0.1", portOf(server));
      await reader.readexactly(8 << 20);
      writer.close();
      await writer.waitClosed();
      server.close();
      await server.waitClosed();
    });
    const count = (wanted: string): number => told.filter(([name]) => name === wanted).length;
    for (const [name, times] of Object.entries({
      "server:listening": 1,
      "server:closed": 1,
      "connection:made": 2,
      "connection:lost": 2,
    })) {
      assert.equal(count(name), times, name);
    }
    for (const name of ["reading:paused", "reading:resumed", "writing:paused", "writing:resumed"]) {
      assert.ok(count(name) > 0, name);
    }
    const [lost] = told.filter(([name]) => name === "connection:lost").map(([, message]) => message);
    assert.equal(lost?.["exception"], null);
  });

  it("the table of the guide has all channels, with what their messages have", () => {
    const guide = readFileSync(join(packageRoot, "docs/guides/debugging.md"), "utf8");
    const rows = [...guide.matchAll(/^\| `contextvars:asyncio:([a-z:]+)` \| (.*?) \|/gm)].map(([, name, message]) => [
      name,
      message?.replace(/[`{} ]/g, "").split(","),
    ]);
    assert.deepEqual(Object.fromEntries(rows), channels);
  });
});
