/// <reference lib="esnext.disposable" preserve="true" />
/// <reference types="node" preserve="true" />
/**
 * Testing helpers for programs that use `contextvars/asyncio`: connections in memory instead of ports.
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
  type StreamPair,
} from "./memory-streams.ts";
export { MockClock, type MockClockOptions } from "./mock-clock.ts";
export type { StreamMaker } from "./stream-checks.ts";
