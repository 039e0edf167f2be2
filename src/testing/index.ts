/// <reference lib="esnext.disposable" preserve="true" />
/// <reference types="node" preserve="true" />
/**
 * Helpers for tests of programs that use `contextvars/asyncio`: test functions for any runner, a clock that jumps,
 * connections in memory instead of ports, checks of streams.
 *
 * @example A handler and a client in memory
 * ```ts
 * import { memoryServer } from "contextvars/testing";
 * import assert from "node:assert/strict";
 *
 * const server = memoryServer(async (reader, writer) => {
 *   const name = String(await reader.readline()).trim();
 *   await writer.send(`hello ${name}\n`);
 *   writer.close();
 * });
 *
 * const [reader, writer] = await server.connect();
 * await writer.send("Ada\n");
 * assert.equal(String(await reader.read()), "hello Ada\n");
 * writer.close();
 * await server.shutdown();
 * ```
 *
 * @module
 */
export type { StreamPair } from "../asyncio/index.ts";
export { type AsyncioTestOptions, asyncioTest, type TestFunction } from "./asyncio-test.ts";
export { type WaitAllTasksBlockedOptions, waitAllTasksBlocked } from "./blocked.ts";
export { type CheckStreamsOptions, checkStreams } from "./check-streams.ts";
export {
  type MemoryConnectOptions,
  MemoryServer,
  type MemoryServerOptions,
  memoryServer,
} from "./memory-server.ts";
export {
  type LockstepStreamPairOptions,
  lockstepStreamPair,
  type MemoryOptions,
  type MemoryStreamPairOptions,
  memoryStreamPair,
} from "./memory-streams.ts";
export { MockClock, type MockClockOptions } from "./mock-clock.ts";
export { Sequencer } from "./sequencer.ts";
export type { StreamMaker } from "./stream-checks.ts";
export { type TestContext, testContext } from "./test-context.ts";
