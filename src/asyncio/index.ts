/// <reference lib="esnext.disposable" preserve="true" />
/// <reference types="node" preserve="true" />
/**
 * asyncio for TypeScript: tasks that can be cancelled, and network code that reads from top to bottom.
 *
 * Mirrors Python's `asyncio` (CPython 3.15): streams, tasks, futures.
 *
 * @example A server that greets each client by its own address
 * ```ts
 * import { ContextVar } from "contextvars";
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const clientAddr = new ContextVar<string>("client_addr");
 *
 * function renderGoodbye(): string {
 *   // Not handed the address: it belongs to the running task.
 *   return `Good bye, client @ ${clientAddr.get()}\n`;
 * }
 *
 * const server = await asyncio.startServer(async (reader, writer) => {
 *   clientAddr.set(String(writer.getExtraInfo("peername")));
 *   await reader.readline();
 *   writer.write(renderGoodbye());
 *   writer.close();
 * }, "127.0.0.1", 0);
 *
 * const [reader, writer] = await asyncio.openConnection("127.0.0.1", server.sockets[0]!.getsockname().port);
 * writer.write("hello\n");
 * assert.equal(String(await reader.read()), `Good bye, client @ ${writer.getExtraInfo("sockname")}\n`);
 * writer.close();
 * server.close();
 * ```
 *
 * @module
 */
export { type CodedErrorOptions, RuntimeError, ValueError } from "../errors.ts";
export {
  BrokenPipeError,
  ConnectionAbortedError,
  ConnectionError,
  ConnectionRefusedError,
  ConnectionResetError,
  EOFError,
  FileNotFoundError,
  gaierror,
  NotImplementedError,
  OSError,
  type OSErrorOptions,
  PermissionError,
  ProcessLookupError,
  SSLCertVerificationError,
  SSLError,
  TimeoutError,
} from "../io-errors.ts";
export { allTasks } from "./all-tasks.ts";
export { type AsCompletedOptions, asCompleted } from "./as-completed.ts";
export { Barrier } from "./barrier.ts";
export {
  ALL_COMPLETED,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  type GatherOptions,
  gather,
  shield,
  type WaitOptions,
  wait,
  waitFor,
} from "./combinators.ts";
export {
  type AcceptedSocketOptions,
  type ConnectionOptions,
  type CreateConnectionOptions,
  type OpenConnectionOptions,
  type OpenUnixConnectionOptions,
  openConnection,
  openUnixConnection,
} from "./connections.ts";
export { createTask } from "./create-task.ts";
export { currentTask } from "./current-task.ts";
export type { FrameCallGraphEntry, PrintOptions, StackOptions } from "./debug/frames.ts";
export { captureCallGraph, type FutureCallGraph, formatCallGraph, printCallGraph } from "./debug/graph.ts";
export { type Awaitable, type AwaitedResult, ensureFuture } from "./ensure-future.ts";
export type { CallbackOptions, ExceptionContext, Handle, TimerHandle } from "./events.ts";
export {
  BrokenBarrierError,
  type ErrorCondition,
  ExceptionGroup,
  IncompleteReadError,
  KeyboardInterrupt,
  LimitOverrunError,
  QueueEmpty,
  QueueFull,
  QueueShutDown,
} from "./exceptions.ts";
export { Future, isfuture } from "./futures.ts";
export { Condition, Event, Lock } from "./locks.ts";
export { EventLoop, type ExceptionHandler, getRunningLoop } from "./loop.ts";
export { BaseProtocol, BufferedProtocol, Protocol } from "./protocols/protocols.ts";
export { LifoQueue, PriorityQueue, Queue } from "./queues.ts";
export { relay, type StreamPair } from "./relay.ts";
export { Runner, type RunnerOptions, type RunnerRunOptions, run } from "./runners.ts";
export { BoundedSemaphore, Semaphore } from "./semaphores.ts";
export type {
  CreateServerOptions,
  CreateUnixServerOptions,
  ServerOptions,
  StartServerOptions,
  StartUnixServerOptions,
} from "./servers/options.ts";
export { Server } from "./servers/server.ts";
export type { HandlerOutcome, ShutdownOptions } from "./servers/shutdown.ts";
export { startServer, startUnixServer } from "./servers/start.ts";
export { sleep } from "./sleep.ts";
export { socketpair } from "./socketpair.ts";
export type { Separator } from "./streams/read-arguments.ts";
export { type ReadIntoOptions, StreamReader, type StreamReaderOptions } from "./streams/reader.ts";
export type { ReaderOptions } from "./streams/reader-options.ts";
export { type ClientConnectedCb, StreamReaderProtocol } from "./streams/stream-protocol.ts";
export { StreamWriter } from "./streams/writer.ts";
export { type Communicated, createSubprocessExec, createSubprocessShell, Process } from "./subprocess.ts";
export { DEVNULL, PIPE, type Redirection, STDOUT, type SubprocessOptions } from "./subprocess-options.ts";
export { CancelledError, InvalidStateError, isCancelled } from "./task-errors.ts";
export { TaskGroup } from "./taskgroups.ts";
export { Task, type TaskOptions } from "./tasks.ts";
export { Timeout, timeout, timeoutAt } from "./timeouts.ts";
export { type AddressInfoOptions, SocketAddress } from "./transports/addresses.ts";
export type { ConnectedSocket } from "./transports/adopt.ts";
export { type ListeningSocket, ServerSocket } from "./transports/listen.ts";
export type { ByteSink } from "./transports/sinks.ts";
export type { ByteSource } from "./transports/sources.ts";
export type { SSLContext, TlsOptions } from "./transports/tls.ts";
export type {
  BaseTransport,
  ExtraInfo,
  ReadTransport,
  Transport,
  WriteBufferLimits,
  WriteTransport,
} from "./transports/transport.ts";
