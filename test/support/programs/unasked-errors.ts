/**
 * Every published function that takes a function and returns a promise is called with one that throws; no code awaits the
 * promise. When the process ends, prints how often each error was told to the exception handler, and which of them came
 * as unhandled rejections.
 *
 * Usage: unasked-errors FOLDER (for a Unix socket)
 */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import * as asyncio from "contextvars/asyncio";
import { framed, linesCodec } from "contextvars/codecs";
import { checkStreams, MockClock, memoryStreamPair, Sequencer } from "contextvars/testing";
import { duplexPair } from "../protocols.ts";

const [folder = "."] = process.argv.slice(2);
const loop = asyncio.getRunningLoop();
const told: Record<string, number> = {};
const unhandled: string[] = [];

const path = join(folder, "s");
const server = await asyncio.startUnixServer(() => {}, path);
const tcp = await asyncio.startServer(() => {}, "127.0.0.1", 0);
const closed = await asyncio.startServer(() => {}, "127.0.0.1", 0);
closed.close();

const runner = new asyncio.Runner();

/** Throws an error that says by whom it was called. */
type Thrower = () => never;

const calls: Record<string, (thrower: Thrower) => unknown> = {
  "Barrier.with": (thrower) => new asyncio.Barrier(1).with(thrower),
  "Condition.with": (thrower) => new asyncio.Condition().with(thrower),
  "Condition.waitFor": (thrower) => new asyncio.Condition().waitFor(thrower),
  "EventLoop.connectAcceptedSocket": (thrower) => loop.connectAcceptedSocket(thrower, duplexPair()[0]),
  "EventLoop.connectReadPipe": (thrower) => loop.connectReadPipe(thrower, []),
  "EventLoop.connectWritePipe": (thrower) => loop.connectWritePipe(thrower, new WritableStream()),
  "EventLoop.createConnection": (thrower) =>
    loop.createConnection(thrower, "127.0.0.1", tcp.sockets[0]?.getsockname().port ?? 0),
  "EventLoop.createTask": (thrower) => loop.createTask(thrower),
  "EventLoop.createUnixConnection": (thrower) => loop.createUnixConnection(thrower, path),
  "Framed.sendAll": (thrower) => framed(null, memoryStreamPair()[0][1], linesCodec()).sendAll(throwing(thrower)),
  "Future.catch": (thrower) => failed().catch(thrower),
  "Future.finally": (thrower) => failed().finally(thrower),
  "Future.then": (thrower) => failed().then(null, thrower),
  "Lock.with": (thrower) => new asyncio.Lock().with(thrower),
  checkStreams: (thrower) => checkStreams(thrower as () => never),
  "MockClock.with": (thrower) => new MockClock().with(thrower),
  "Runner.run": (thrower) => runner.run(thrower),
  "Semaphore.with": (thrower) => new asyncio.Semaphore(1).with(thrower),
  "Sequencer.with": (thrower) => new Sequencer().with(0, thrower),
  "Server.with": (thrower) => closed.with(thrower),
  "TaskGroup.createTask": (thrower) => new asyncio.TaskGroup().with((group) => void group.createTask(thrower)),
  "TaskGroup.with": (thrower) => new asyncio.TaskGroup().with(thrower),
  "Timeout.with": (thrower) => asyncio.timeout(null).with(thrower),
  asCompleted: (thrower) => [...asyncio.asCompleted([thrower])],
  createTask: (thrower) => asyncio.createTask(thrower),
  ensureFuture: (thrower) => asyncio.ensureFuture(thrower),
  gather: (thrower) => asyncio.gather([thrower]),
  run: (thrower) => asyncio.run(thrower),
  shield: (thrower) => asyncio.shield(thrower),
  waitFor: (thrower) => asyncio.waitFor(thrower, null),
};

/** An iterable that throws. */
function* throwing(thrower: Thrower): Iterable<string> {
  yield thrower();
}

function failed(): asyncio.Future<never> {
  const future = new asyncio.Future<never>();
  future.setException(new Error("the first one"));
  return future;
}

/** By whom it was thrown. */
function thrownBy(error: unknown): string {
  return error instanceof asyncio.ExceptionGroup ? thrownBy(error.exceptions[0]) : (error as Error).message;
}

loop.setExceptionHandler((_, { exception }) => {
  const name = thrownBy(exception);
  told[name] = (told[name] ?? 0) + 1;
});
process.on("unhandledRejection", (error) => unhandled.push(thrownBy(error)));
process.once("beforeExit", () => {
  // The errors that are left are reported by a listener for the same event, which has been there for long.
  process.on("exit", () => {
    process.stdout.write(JSON.stringify({ told, unhandled }));
  });
});

for (const [name, call] of Object.entries(calls)) {
  const thrower = (): never => {
    // One that leads back to its task is reported as any other.
    throw Object.assign(new Error(name), { task: asyncio.currentTask() });
  };
  if (["run", "Runner.run"].includes(name)) {
    call(thrower);
  } else {
    void asyncio.createTask(async () => {
      void call(thrower);
      await asyncio.sleep(0.005);
    });
  }
  await pause(10);
  await runner.close();
}
server.close();
tcp.close();
