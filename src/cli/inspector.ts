/**
 * Evaluates an expression in another process: opens its inspector by SIGUSR1, evaluates, and closes the inspector.
 *
 * SIGUSR1 ends a process that does not handle it, so it is sent only to Node. The inspector's port is found by
 * comparing the ports that the process listens at before and after. The inspector is asked for its process ID, to make
 * sure that it belongs to the process.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import * as asyncio from "../asyncio/index.ts";
import { CommandError } from "./errors.ts";
import { InspectorSession, type Message } from "./session.ts";

const DEFAULT_PORT = 9229;
/** How long to wait for the inspector, and for a first answer. */
const PATIENCE = 10; // seconds
/** How long a server may take to show that it is an inspector. */
const INSPECTOR_PATIENCE = 2; // seconds
/** How long to wait for an inspector to close; and, after a failure or Ctrl-C, to open before that. */
const CLOSING = 1; // second
/** How long to wait while another command asks the process. */
const TURN_PATIENCE = 60; // seconds

/** What a thread of the process has answered. */
export interface Answer {
  /** The number of the worker thread; 0 for the main thread. */
  readonly thread: number;
  /** `null` if the thread is too busy to answer. */
  readonly value: string | null;
}

/** What to evaluate, both as the source of an expression. */
export interface Question {
  /** A promise of a text. */
  readonly expression: string;
  /** How many seconds the promise may take beyond the usual, as a text: evaluated even if the process is busy. */
  readonly extraSeconds: string;
}

/** An attempt to reach the inspector of a process. */
interface Attempt {
  readonly pid: number;
  /** The ports that the process listened at before. */
  readonly before: ReadonlySet<number>;
  /** The port that the caller has named. */
  readonly port: number | undefined;
  /** `signalled`: the inspector is to open. `asked`: it is open, and has told the process ID. */
  stage: "begun" | "signalled" | "asked";
  /** Whether the inspector has been told to close. */
  isClosing: boolean;
}

/**
 * Evaluates the question in the process and in its worker threads, and returns the values.
 *
 * @throws {CommandError} If the process cannot be asked, or does not answer in time.
 */
export async function evaluateIn(pid: number, question: Question, port?: number): Promise<Answer[]> {
  checkIsNode(pid);
  const turn = await takeTurn(pid);
  try {
    return await evaluateInTurn(pid, question, port);
  } finally {
    turn.close();
  }
}

/**
 * Waits until no other command asks the process: Node crashes if a client connects to an inspector that is closing. The
 * name of a socket without a file is free again as soon as its process has ended.
 */
async function takeTurn(pid: number): Promise<asyncio.Server> {
  const end = performance.now() + TURN_PATIENCE * 1000;
  for (;;) {
    try {
      return await asyncio.startUnixServer(() => {}, `\0contextvars-inspects-${pid}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") {
        throw error;
      }
    }
    if (performance.now() > end) {
      throw new CommandError(`another command has been asking process ${pid} for ${TURN_PATIENCE} seconds`);
    }
    await asyncio.sleep(0.05);
  }
}

async function evaluateInTurn(pid: number, question: Question, port: number | undefined): Promise<Answer[]> {
  const attempt: Attempt = { pid, before: listeningPorts(pid).own, port, stage: "begun", isClosing: false };
  try {
    return await asyncio.timeout(PATIENCE).with((limit) => untilAnswered(attempt, question, limit));
  } catch (error) {
    // The error is what matters.
    await closeWhatOpens(attempt).catch(() => {});
    if (asyncio.isCancelled(error) || error instanceof CommandError) {
      throw error;
    }
    if (!existsSync(`/proc/${pid}/exe`)) {
      throw new CommandError(`process ${pid} has ended before it answered`);
    }
    throw error instanceof asyncio.TimeoutError ? new CommandError(whyNoAnswer(attempt)) : error;
  }
}

async function untilAnswered(attempt: Attempt, question: Question, limit: asyncio.Timeout): Promise<Answer[]> {
  const { pid, before } = attempt;
  const wanted = inspectorPort(pid);
  let isToSignal = true;
  for (;;) {
    for (const candidate of candidates(attempt, wanted)) {
      const answer = await ask(attempt, candidate, question, limit);
      if (answer !== null) {
        return answer;
      }
    }
    if (listeningPorts(pid).others.has(wanted)) {
      // Another process that is being asked may hold the port for a moment: this one could not open it.
      isToSignal = true;
    } else if (isToSignal && !before.has(wanted)) {
      process.kill(pid, "SIGUSR1");
      attempt.stage = "signalled";
      isToSignal = false;
    }
    await asyncio.sleep(0.02);
  }
}

/** Why the time is over, as far as that is known. */
function whyNoAnswer({ pid, port, stage }: Attempt): string {
  const wanted = inspectorPort(pid);
  if (stage === "asked") {
    return `process ${pid} is too busy to answer: its inspector is open, but the current step of the program takes longer than ${PATIENCE} seconds`;
  }
  if (port !== undefined) {
    return `the inspector of process ${pid} did not answer at port ${port} within ${PATIENCE} seconds`;
  }
  if (listeningPorts(pid).others.has(wanted)) {
    return `process ${pid} cannot open its inspector: another process listens at port ${wanted}`;
  }
  return `process ${pid} did not open its inspector within ${PATIENCE} seconds: it is busy, it handles SIGUSR1 itself, or its inspector is at a port that only --port can tell`;
}

/** After a failure or Ctrl-C: an inspector that nobody closes would keep its port from every other process. */
async function closeWhatOpens(attempt: Attempt): Promise<void> {
  if (attempt.stage === "begun") {
    return;
  }
  const end = performance.now() + CLOSING * 1000;
  while (!attempt.isClosing && performance.now() < end && existsSync(`/proc/${attempt.pid}/exe`)) {
    for (const port of candidates({ ...attempt, port: undefined }, inspectorPort(attempt.pid))) {
      await withInspector(attempt, port, async () => true);
    }
    await asyncio.sleep(0.02);
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
  } catch (error) {
    throw new CommandError(
      (error as NodeJS.ErrnoException).code === "ENOENT" && existsSync("/proc/self/exe")
        ? `process ${pid} runs no program: it has ended, or belongs to the kernel`
        : `cannot find out what process ${pid} runs: no permission, or no /proc on this system`,
    );
  }
  if (!/^node(js)?(-?\d+)?$/.test(program)) {
    throw new CommandError(`process ${pid} runs ${program}; only Node processes can be inspected`);
  }
}

/** The ports that the process listens at on the loopback device, and those that other processes listen at. */
function listeningPorts(pid: number): { own: Set<number>; others: Set<number> } {
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
  const ports = { own: new Set<number>(), others: new Set<number>() };
  for (const line of readFileSync(`/proc/${pid}/net/tcp`, "utf8").split("\n").slice(1)) {
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
    // Listening at 127.0.0.1 or at every address.
    if (/^(?:0100007F|00000000):/.test(local) && state === "0A") {
      (inodes.has(inode) ? ports.own : ports.others).add(Number.parseInt(local.slice(9), 16));
    }
  }
  return ports;
}

/** The port that the inspector of the process opens at, or has opened at. */
function inspectorPort(pid: number): number {
  const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  const options = environment.find((each) => each.startsWith("NODE_OPTIONS="))?.slice(13) ?? "";
  const told = [...options.split(/\s+/), ...readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")]
    .map((argument) => /^--inspect(?:-brk|-wait|-port)?(?:=(?:.*:)?(\d+))?$/.exec(argument))
    .findLast((match) => match !== null);
  return Number(told?.[1] ?? DEFAULT_PORT);
}

/** The ports at which the inspector may be: new ones, or, if it was open before, the one where it usually is. */
function candidates({ pid, before, port }: Attempt, wanted: number): number[] {
  if (port !== undefined) {
    return [port];
  }
  const { own } = listeningPorts(pid);
  const added = [...own].filter((each) => !before.has(each));
  return added.length > 0 ? added : [wanted].filter((each) => own.has(each));
}

/** Returns the answers; `null` if the process has no inspector at the port, or not yet. */
async function ask(
  attempt: Attempt,
  port: number,
  { expression, extraSeconds }: Question,
  limit: asyncio.Timeout,
): Promise<Answer[] | null> {
  return await withInspector(attempt, port, async (session) => {
    const extra = Number(await evaluate(session, extraSeconds, false));
    limit.reschedule(asyncio.getRunningLoop().time() + PATIENCE + extra);
    const value = await evaluate(session, expression);
    return [{ thread: 0, value }, ...(await askWorkers(session, expression))];
  });
}

/**
 * Calls the function with a connection to the inspector, and closes the inspector afterwards if it was opened for this.
 *
 * Returns `null` if the process has no inspector at the port, or not yet.
 */
async function withInspector<T>(
  attempt: Attempt,
  port: number,
  body: (session: InspectorSession) => Promise<T>,
): Promise<T | null> {
  const path = await inspectorPath(port);
  if (path === null) {
    return null;
  }
  const session = await InspectorSession.connect(port, path);
  try {
    if ((await evaluate(session, "String(process.pid)", false)) !== String(attempt.pid)) {
      return null;
    }
    attempt.stage = "asked";
    return await body(session);
  } finally {
    if (attempt.before.has(port)) {
      await session.close();
    } else {
      attempt.isClosing = true;
      await closeInspector(session, attempt.pid, port);
    }
  }
}

/** Ends the session, and waits until the port is closed: Node crashes if a client connects meanwhile. */
async function closeInspector(session: InspectorSession, pid: number, port: number): Promise<void> {
  // The inspector waits until this connection has ended, and then closes. A process that was busy may still have to
  // handle the signal, which would open it again: it does so between timers and immediates.
  const close = `setTimeout(() => {
    setImmediate(() => process.getBuiltinModule("node:inspector").close());
  }, 20).unref() && ""`;
  // Not awaited: a process that has ended gives no answer.
  evaluate(session, close, false).catch(() => {});
  await session.close();
  const end = performance.now() + CLOSING * 1000;
  while (performance.now() < end && isListening(pid, port)) {
    await asyncio.sleep(0.02);
  }
}

function isListening(pid: number, port: number): boolean {
  try {
    return listeningPorts(pid).own.has(port);
  } catch {
    // The process has ended.
    return false;
  }
}

/** Returns the path of the inspector's WebSocket. */
async function inspectorPath(port: number): Promise<string | null> {
  try {
    return await asyncio.timeout(INSPECTOR_PATIENCE).with(async () => {
      const [reader, writer] = await asyncio.openConnection("127.0.0.1", port);
      try {
        await writer.send(`GET /json/list HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
        const head = String(await reader.readuntil("\r\n\r\n"));
        const [, length] = /content-length: *(\d+)/i.exec(head) ?? [];
        const body = String(await reader.readexactly(Number(length ?? 0)));
        const [first] = JSON.parse(body) as { webSocketDebuggerUrl: string }[];
        return first === undefined ? null : new URL(first.webSocketDebuggerUrl).pathname;
      } finally {
        writer.close();
      }
    });
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
async function askWorkers(session: InspectorSession, expression: string): Promise<Answer[]> {
  const threads = new Map<string, number>();
  const answers = new Map<string, string>();
  const allAnswered = new asyncio.Event();
  session.onEvent = ({ method, params }) => {
    if (method === "NodeWorker.attachedToWorker") {
      const [, thread] = /^\[worker (\d+)\]/.exec(params.workerInfo.title) ?? [];
      threads.set(params.sessionId, Number(thread));
    } else if (method === "NodeWorker.receivedMessageFromWorker") {
      answers.set(params.sessionId, params.message);
      if (answers.size === threads.size) {
        allAnswered.set();
      }
    }
  };
  await session.request("NodeWorker.enable", { waitForDebuggerOnStart: false });
  try {
    const message = JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression, ...AS_TEXT } });
    for (const sessionId of threads.keys()) {
      await session.request("NodeWorker.sendMessageToWorker", { sessionId, message });
    }
    if (threads.size > 0) {
      await asyncio.wait([asyncio.createTask(() => allAnswered.wait())], { timeout: WORKER_PATIENCE });
    }
  } finally {
    await session.request("NodeWorker.disable");
  }
  return [...threads].map(([sessionId, thread]) => {
    const answer = answers.get(sessionId);
    return { thread, value: answer === undefined ? null : textOf(JSON.parse(answer) as Message) };
  });
}

const AS_TEXT = { awaitPromise: true, returnByValue: true };

/** @param awaitPromise - Without it, a busy process answers as well: V8 interrupts what it is doing. */
async function evaluate(session: InspectorSession, expression: string, awaitPromise = true): Promise<string> {
  return textOf(await session.request("Runtime.evaluate", { expression, ...AS_TEXT, awaitPromise }));
}

function textOf({ result, error }: Message): string {
  const failure = result?.exceptionDetails;
  if (error !== undefined || failure !== undefined) {
    const text = error?.message ?? failure?.exception?.description ?? failure?.text;
    throw new CommandError(`the process answered with an error: ${JSON.stringify(text)}`);
  }
  return result?.result.value ?? "";
}
