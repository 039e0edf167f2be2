/** What has to be true after many connections, however many. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { openFilesLimit, startLimited } from "./external.ts";
import { runProgram } from "./programs.ts";
import { runtime } from "./runtime.ts";

interface Churn {
  readonly handled: number;
  readonly failures: number;
  readonly tasks: number;
  /** Of the heap for each connection, in bytes. */
  readonly growth: number;
  /** How many sockets and timers there are, by their sort. */
  readonly serving: Readonly<Record<string, number>>;
  readonly after: Readonly<Record<string, number>>;
  readonly newListeners: number;
}

/** What the heap may grow by for each connection: far less than it would take if it stayed. */
const MOST_GROWTH = 512; // bytes

/** Makes the connections in its own process, and checks that nothing is left of them. */
export async function assertNothingIsLeft(connections: number, atATime: number): Promise<void> {
  const churn = (await runProgram("churn.js", String(connections), String(atATime))) as Churn;
  assert.equal(churn.handled, connections);
  assert.equal(churn.failures, 0);
  assert.equal(churn.tasks, 0);
  assert.equal(churn.newListeners, 0);
  // Only the server is left: no connection, and no timer of one. Bun reports no resources.
  assert.deepEqual(churn.serving, runtime === "bun" ? {} : { TCPServerWrap: 1 });
  assert.deepEqual(churn.after, {});
  assert.ok(churn.growth < MOST_GROWTH, `the heap has grown by ${churn.growth} bytes for each connection`);
}

/** What a process needs besides a connection each. */
const OTHER_FILES = 200;
/** Of the heap, for a connection that says nothing; several times what it is. */
const MOST_PER_CONNECTION = 64 * 1024; // bytes

/** Opens this many silent connections in their own process, or as many as a process can have. */
export async function assertCrowdIsServed(t: TestContext, connections: number): Promise<void> {
  const wanted = connections + OTHER_FILES;
  const files = await openFilesLimit(wanted);
  const count = Math.min(connections, files - OTHER_FILES);
  t.diagnostic(`${count} connections: a process may have ${files} open files here`);
  await using crowd = startLimited(wanted, "crowd.js", String(count));
  assert.equal(await crowd.ended(), 0, crowd.stderr);
  const { failures, cost, served, kinds, tasks, left } = JSON.parse(crowd.stdout);
  assert.equal(failures, 0);
  assert.ok(cost < MOST_PER_CONNECTION, `${cost} bytes for a connection`);
  assert.equal(served, 100);
  assert.deepEqual(kinds, { cancelled: count });
  assert.equal(tasks, 0);
  assert.deepEqual(left, []);
  assert.equal(crowd.stderr, "");
}
