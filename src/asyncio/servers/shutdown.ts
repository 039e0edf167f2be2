/** Ending a server within a fixed time, and the outcome of each handler. */
import { checkOptions, checkSecondsFromZero } from "../arguments.ts";
import { waitFutures } from "../combinators.ts";
import type { Future } from "../futures.ts";
import { StreamReaderProtocol } from "../streams/stream-protocol.ts";
import type { Task } from "../tasks.ts";
import type { SocketAddress } from "../transports/addresses.ts";
import type { SocketTransport } from "../transports/socket-transport.ts";

/** Options of `Server.shutdown()`. */
export interface ShutdownOptions {
  /** How long handlers may take to finish by themselves, in seconds. @default 30 */
  grace?: number | undefined;
  /** How long handlers may take after they were cancelled, in seconds. @default 5 */
  cancelGrace?: number | undefined;
}

const SHUTDOWN_OPTIONS = ["grace", "cancelGrace"];

/** The outcome of a connection's handler in `Server.shutdown()`. */
export interface HandlerOutcome {
  /** The name of the handler's task; `null` for a protocol, which has none. */
  readonly name: string | null;
  /** The peer's address. */
  readonly peername: SocketAddress | string | null;
  /**
   * `finished`: the handler ended by itself. `cancelled`: it ended after `shutdown()` cancelled it. `aborted`: it was
   * still running when `cancelGrace` was over.
   */
  readonly outcome: "finished" | "cancelled" | "aborted";
}

/** A connection, and the Future that gets a result when the connection ends. */
export interface OpenConnection {
  readonly transport: SocketTransport;
  readonly end: Future<void>;
}

/** @throws {ValueError} If a time is negative or NaN; {TypeError} if it is not a number. */
export function checkedGrace(options: ShutdownOptions): { grace: number; cancelGrace: number } {
  checkOptions("shutdown()", options, SHUTDOWN_OPTIONS);
  const { grace = 30, cancelGrace = 5 } = options;
  checkSecondsFromZero("grace", grace);
  checkSecondsFromZero("cancelGrace", cancelGrace);
  return { grace, cancelGrace };
}

/**
 * Lets the handlers finish, and cancels those that do not finish in time. Does not wait longer for handlers that keep
 * running.
 */
export async function endHandlers(
  connections: readonly OpenConnection[],
  grace: number,
  cancelGrace: number,
): Promise<HandlerOutcome[]> {
  const open = connections.map(({ transport, end }) => ({ transport, end, task: taskOf(transport) }));
  for (const { transport, task } of open) {
    task?._observe(() => transport.close());
  }
  const outcomes: Outcomes = new Map();
  await waitForHandlers(open, outcomes, grace, "finished");
  for (const { transport, task } of open.filter((each) => !outcomes.has(each.transport))) {
    if (task === null) {
      // A protocol is notified by the end of its connection, which first sends everything written.
      transport.close();
    } else {
      task.cancel("the server is shutting down");
    }
  }
  await waitForHandlers(open, outcomes, cancelGrace, "cancelled");
  return open.map(({ transport, task }) => ({
    name: task?.getName() ?? null,
    peername: transport.getExtraInfo("peername") as SocketAddress | string | null,
    outcome: outcomes.get(transport) ?? "aborted",
  }));
}

/** The outcomes of the handlers that have ended. */
type Outcomes = Map<SocketTransport, HandlerOutcome["outcome"]>;

/** Waits for the handlers that have no outcome yet, and records the outcomes of those that end in time. */
async function waitForHandlers(
  open: readonly (OpenConnection & { readonly task: Task<unknown> | null })[],
  outcomes: Outcomes,
  seconds: number,
  outcome: HandlerOutcome["outcome"],
): Promise<void> {
  const left = open.filter(({ transport }) => !outcomes.has(transport));
  if (left.length > 0) {
    await waitFutures(
      left.map(({ end }) => end),
      { timeout: seconds },
      "Server.shutdown()",
    );
  }
  for (const { transport, end, task } of left) {
    if (end.done() || task?.done() === true) {
      outcomes.set(transport, task?.cancelled() === true ? "cancelled" : outcome);
    }
  }
}

/** The handler's task; `null` for a user's own protocol. */
function taskOf(transport: SocketTransport): Task<unknown> | null {
  const protocol = transport.getProtocol();
  return protocol instanceof StreamReaderProtocol ? protocol.handlerTask : null;
}
