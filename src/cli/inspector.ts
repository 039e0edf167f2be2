/**
 * Evaluates an expression in another process: opens its inspector by SIGUSR1, evaluates, and closes the inspector.
 *
 * SIGUSR1 ends a process that does not handle it, so it is sent only to Node. The inspector's port is found by
 * comparing the ports that the process listens at before and after. The inspector is asked for its process ID, to make
 * sure that it belongs to the process.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import * as asyncio from "../asyncio/index.ts";
import { CommandError } from "./errors.ts";
import { WebSocketClient } from "./websocket.ts";

const DEFAULT_PORT = 9229;
/** How long to wait: a busy process handles the signal only when its current step has ended. */
const PATIENCE = 10; // seconds
/** The signal is sent again after this time: another process that is being asked may have held the port for a moment. */
const RESEND_AFTER = 0.5; // seconds

/** What a thread of the process has answered. */
export interface Answer {
  /** The number of the worker thread; 0 for the main thread. */
  readonly thread: number;
  /** `null` if the thread is too busy to answer. */
  readonly value: string | null;
}

/**
 * Evaluates the expression in the process and in its worker threads, and returns the values. The expression is a
 * promise of a text.
 */
export async function evaluateIn(pid: number, expression: string, port?: number): Promise<Answer[]> {
  checkIsNode(pid);
  const before = listeningPorts(pid);
  try {
    return await asyncio.timeout(PATIENCE).with(async () => {
      let sent = Number.NEGATIVE_INFINITY;
      for (;;) {
        if (performance.now() - sent >= RESEND_AFTER * 1000) {
          process.kill(pid, "SIGUSR1");
          sent = performance.now();
        }
        for (const candidate of candidates(pid, before, port)) {
          const answer = await ask(pid, candidate, expression, before);
          if (answer !== null) {
            return answer;
          }
        }
        await asyncio.sleep(0.02);
      }
    });
  } catch (error) {
    if (error instanceof asyncio.TimeoutError) {
      throw new CommandError(
        `process ${pid} did not open its inspector within ${PATIENCE} seconds: it is busy, it handles SIGUSR1 itself, or port ${DEFAULT_PORT} is taken`,
      );
    }
    throw error;
  }
}

function checkIsNode(pid: number): void {
  if (process.platform === "win32") {
    throw new CommandError("Windows has no SIGUSR1, the signal that opens an inspector");
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    throw new CommandError(
      (error as NodeJS.ErrnoException).code === "EPERM"
        ? `process ${pid} belongs to another user: no permission to inspect it`
        : `there is no process ${pid}`,
    );
  }
  let program: string;
  try {
    program = basename(readlinkSync(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, "");
  } catch {
    throw new CommandError(`cannot find out what process ${pid} runs: no permission, or no /proc on this system`);
  }
  if (!/^node(js)?(-?\d+)?$/.test(program)) {
    throw new CommandError(`process ${pid} runs ${program}; only Node processes can be inspected`);
  }
}

/** The ports that the process listens at on the loopback device. */
function listeningPorts(pid: number): Set<number> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? [];
      if (inode !== undefined) {
        inodes.add(inode);
      }
    } catch {
      // The file was closed meanwhile.
    }
  }
  const ports = new Set<number>();
  for (const line of readFileSync(`/proc/${pid}/net/tcp`, "utf8").split("\n").slice(1)) {
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
    // 127.0.0.1, listening.
    if (local.startsWith("0100007F:") && state === "0A" && inodes.has(inode)) {
      ports.add(Number.parseInt(local.slice(9), 16));
    }
  }
  return ports;
}

/** The ports at which the inspector may be: new ones, or, if it was open before, the configured one. */
function candidates(pid: number, before: ReadonlySet<number>, port: number | undefined): number[] {
  if (port !== undefined) {
    return [port];
  }
  const now = listeningPorts(pid);
  const added = [...now].filter((each) => !before.has(each));
  if (added.length > 0) {
    return added;
  }
  const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  const told = command
    .map((argument) => /^--inspect(?:-brk|-wait|-port)?(?:=(?:.*:)?(\d+))?$/.exec(argument))
    .filter((match) => match !== null)
    .map((match) => Number(match[1] ?? DEFAULT_PORT));
  return told.filter((each) => now.has(each));
}

/** Returns the answer; `null` if the process has no inspector at the port, or not yet. */
async function ask(
  pid: number,
  port: number,
  expression: string,
  before: ReadonlySet<number>,
): Promise<Answer[] | null> {
  const path = await inspectorPath(port);
  if (path === null) {
    return null;
  }
  const socket = await WebSocketClient.connect("127.0.0.1", port, path);
  try {
    if ((await evaluate(socket, 1, "String(process.pid)")) !== String(pid)) {
      return null;
    }
    const value = await evaluate(socket, 2, expression);
    const answers = [{ thread: 0, value }, ...(await askWorkers(socket, expression))];
    if (!before.has(port)) {
      // The inspector waits until this connection has ended, and then closes.
      await evaluate(
        socket,
        3,
        `setTimeout(() => process.getBuiltinModule("node:inspector").close(), 20).unref() && ""`,
      );
    }
    return answers;
  } finally {
    await socket.close();
  }
}

/** Returns the path of the inspector's WebSocket. */
async function inspectorPath(port: number): Promise<string | null> {
  try {
    const [reader, writer] = await asyncio.openConnection("127.0.0.1", port);
    await writer.send(`GET /json/list HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
    const head = String(await reader.readuntil("\r\n\r\n"));
    const [, length] = /content-length: *(\d+)/i.exec(head) ?? [];
    const body = String(await reader.readexactly(Number(length ?? 0)));
    writer.close();
    const [first] = JSON.parse(body) as { webSocketDebuggerUrl: string }[];
    return first === undefined ? null : new URL(first.webSocketDebuggerUrl).pathname;
  } catch (error) {
    if (asyncio.isCancelled(error)) {
      throw error;
    }
    return null;
  }
}

/** How long a worker thread may take to answer: it answers when its current step has ended. */
const WORKER_PATIENCE = 1; // second

/** Asks all worker threads at once. */
async function askWorkers(socket: WebSocketClient, expression: string): Promise<Answer[]> {
  const threads = new Map<string, number>();
  await socket.send(command(10, "NodeWorker.enable", { waitForDebuggerOnStart: false }));
  for (let message = await receive(socket); message.id !== 10; message = await receive(socket)) {
    if (message.method === "NodeWorker.attachedToWorker") {
      const [, thread] = /^\[worker (\d+)\]/.exec(message.params.workerInfo.title) ?? [];
      threads.set(message.params.sessionId, Number(thread));
    }
  }
  if (threads.size === 0) {
    return [];
  }
  for (const sessionId of threads.keys()) {
    const question = command(11, "Runtime.evaluate", { expression, ...AS_TEXT });
    await socket.send(command(11, "NodeWorker.sendMessageToWorker", { sessionId, message: question }));
  }
  // The main thread says when the time is over, because a read that is cancelled within a frame would lose bytes.
  const pause = `new Promise((resolve) => setTimeout(resolve, ${WORKER_PATIENCE * 1000}).unref())`;
  await socket.send(command(12, "Runtime.evaluate", { expression: pause, ...AS_TEXT }));
  const answers = new Map<string, string>();
  while (answers.size < threads.size) {
    const message = await receive(socket);
    if (message.id === 12) {
      break;
    }
    if (message.method === "NodeWorker.receivedMessageFromWorker") {
      const { id, result } = JSON.parse(message.params.message) as Message;
      if (id === 11) {
        answers.set(message.params.sessionId, textOf(result));
      }
    }
  }
  return [...threads].map(([sessionId, thread]) => ({ thread, value: answers.get(sessionId) ?? null }));
}

const AS_TEXT = { awaitPromise: true, returnByValue: true };

function command(id: number, method: string, params: object): string {
  return JSON.stringify({ id, method, params });
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params: {
    readonly sessionId: string;
    readonly message: string;
    /** The title begins with `[worker 1]`; the `workerId` is another number. */
    readonly workerInfo: { readonly title: string };
  };
  readonly result?: {
    readonly result: { readonly value?: string };
    readonly exceptionDetails?: { readonly text: string; readonly exception?: { readonly description?: string } };
  };
}

async function receive(socket: WebSocketClient): Promise<Message> {
  return JSON.parse(await socket.receive()) as Message;
}

async function evaluate(socket: WebSocketClient, id: number, expression: string): Promise<string> {
  await socket.send(command(id, "Runtime.evaluate", { expression, ...AS_TEXT }));
  for (;;) {
    const message = await receive(socket);
    if (message.id === id) {
      return textOf(message.result);
    }
  }
}

function textOf(result: Message["result"]): string {
  const failure = result?.exceptionDetails;
  if (failure !== undefined) {
    throw new CommandError(`the process answered with an error: ${failure.exception?.description ?? failure.text}`);
  }
  return result?.result.value ?? "";
}
