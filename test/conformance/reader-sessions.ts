/**
 * Random sessions with a StreamReader: what is fed, asked for, cancelled, in any order; and their interpreter on this
 * side. The one on CPython's side is `reader_sessions.py`.
 *
 * Between two operations everything that can happen does: CPython wakes a read in the next turn of its loop, where this
 * package answers it at once.
 */
import * as asyncio from "contextvars/asyncio";
import type { Json } from "../support/cpython.ts";
import { turn } from "../support/latch.ts";
import { randomFrom } from "../support/random.ts";

export type ReadOperation =
  | readonly ["read", number]
  | readonly ["readline"]
  | readonly ["readexactly", number]
  | readonly ["readuntil", string | readonly string[]]
  | readonly ["next"];

export type Operation =
  | ReadOperation
  | readonly ["feed", string]
  | readonly ["eof"]
  | readonly ["setException", string]
  /** Cancels every read that waits. */
  | readonly ["cancel"];

export interface Session {
  readonly limit: number;
  readonly hasTransport: boolean;
  readonly operations: readonly Operation[];
}

/** What came of a read: its bytes, the end of an iteration, or an error with its data. */
export type Told = { readonly [key: string]: Json };

/** What is seen after an operation. */
export type Step = readonly [
  raised: string | null,
  ended: readonly (readonly [index: number, told: Told])[],
  size: number,
  /** Not told after EOF, when it means nothing. */
  paused: boolean | null,
  atEof: boolean,
];

export interface Trace {
  readonly trace: readonly Step[];
  /** What was left in the buffer. */
  readonly left: string;
}

const letters = "aab\nbc\r";

/** The session with this number, the same in every run. */
export function randomSession(seed: number): Session {
  const below = randomFrom(seed);
  const chance = (percent: number): boolean => below(100) < percent;
  const scale = below(20);
  const isLarge = scale > 15;
  const limit = !isLarge ? 1 + below(chance(50) ? 5 : 30) : chance(80) ? 1 + below(900) : 65_536;

  const word = (longest: number): string =>
    Array.from({ length: below(longest + 1) }, () => letters[below(letters.length)]).join("");
  const chunk = (): string => {
    if (!isLarge || chance(50)) {
      return word(chance(80) ? 7 : 20);
    }
    // Around the sizes at which the queue begins to do something else.
    const stretch = chance(90) ? 200 + below(130) : 1900 + below(70_000);
    return "b".repeat(stretch) + word(6);
  };
  const size = (): number => {
    if (chance(15)) {
      return below(3) - 1;
    }
    return isLarge && chance(50) ? below(1200) : below(chance(80) ? 12 : 60);
  };
  const separator = (): string => (chance(2) ? "" : word(3) || "\n");
  const separators = (): string | string[] =>
    chance(50) ? separator() : Array.from({ length: chance(3) ? 0 : 1 + below(3) }, separator);
  const read = (): ReadOperation => {
    const kind = below(20);
    if (kind < 5) {
      return ["readuntil", separators()];
    }
    if (kind < 9) {
      return ["readexactly", size()];
    }
    if (kind < 13) {
      return ["readline"];
    }
    if (kind < 15) {
      return ["next"];
    }
    return ["read", kind < 17 ? -1 : size()];
  };

  const count = 3 + below(22);
  const endsAt = chance(60) ? count - below(6) : count;
  const failsAt = chance(8) ? below(count) : count;
  const operations: Operation[] = [];
  for (let i = 0; i < count; i++) {
    const kind = below(100);
    if (i === endsAt) {
      operations.push(["eof"]);
    } else if (i === failsAt) {
      operations.push(["setException", `error ${i}`]);
    } else if (kind < 45 && (i < endsAt || kind < 1)) {
      operations.push(["feed", chunk()]);
    } else if (kind < 54) {
      operations.push(["cancel"]);
    } else {
      operations.push(read());
    }
  }
  return { limit, hasTransport: chance(85), operations };
}

/** What the reader pauses and resumes; complains when it is told what it knows. */
export class FakeTransport {
  paused = false;

  pauseReading(): void {
    if (this.paused) {
      throw new Error("paused twice");
    }
    this.paused = true;
  }

  resumeReading(): void {
    if (!this.paused) {
      throw new Error("resumed twice");
    }
    this.paused = false;
  }
}

/** A reader as the session wants it, with what it pauses. */
export function readerFor({ limit, hasTransport }: Session): [asyncio.StreamReader, FakeTransport] {
  const reader = new asyncio.StreamReader({ limit });
  const transport = new FakeTransport();
  if (hasTransport) {
    reader.setTransport(transport as unknown as asyncio.Transport);
  }
  return [reader, transport];
}

/** Begins a read. An iteration that ends gives `null`. */
export async function startRead(reader: asyncio.StreamReader, operation: ReadOperation): Promise<Buffer | null> {
  switch (operation[0]) {
    case "read":
      return await reader.read(operation[1]);
    case "readline":
      return await reader.readline();
    case "readexactly":
      return await reader.readexactly(operation[1]);
    case "readuntil":
      return await reader.readuntil(bytesOf(operation[1]));
    case "next": {
      const { done, value } = await reader[Symbol.asyncIterator]().next();
      return done === true ? null : value;
    }
  }
}

export function bytesOf(separator: string | readonly string[]): Buffer | Buffer[] {
  return typeof separator === "string"
    ? Buffer.from(separator, "latin1")
    : separator.map((each) => Buffer.from(each, "latin1"));
}

/** What is compared of an error, and of bytes. */
export function tell(outcome: unknown): Told {
  if (outcome === null) {
    return { stops: true };
  }
  if (Buffer.isBuffer(outcome)) {
    return { gives: outcome.toString("latin1") };
  }
  const { name, message } = outcome as Error;
  const told = { error: name, message };
  if (outcome instanceof asyncio.IncompleteReadError) {
    return { ...told, partial: outcome.partial.toString("latin1"), expected: outcome.expected };
  }
  return outcome instanceof asyncio.LimitOverrunError ? { ...told, consumed: outcome.consumed } : told;
}

/** How many bytes are in the buffer, which only the text tells. */
export function sizeOf(reader: asyncio.StreamReader): number {
  return Number(/^<StreamReader (\d+) bytes/.exec(String(reader))?.[1] ?? 0);
}

/** Takes the rest of the buffer, and ends the read that waits. */
export function drained(reader: asyncio.StreamReader): string {
  return (reader as unknown as { _intake: { takeAll(): Buffer } })._intake.takeAll().toString("latin1");
}

class KeyError extends Error {
  override readonly name = "KeyError";
}

/**
 * Runs the session with this package's reader.
 *
 * @param onOperation - Called before each operation.
 */
export async function runSessionHere(session: Session, onOperation: () => void = () => {}): Promise<Trace> {
  const [reader, transport] = readerFor(session);
  const trace: Step[] = [];
  const reads = new Map<number, asyncio.Task<Buffer | null>>();
  let ended: [number, Told][] = [];
  let hasEnded = false;
  const start = (index: number, operation: ReadOperation): void => {
    const task = asyncio.createTask(() => startRead(reader, operation));
    reads.set(index, task);
    const end = (outcome: unknown): void => {
      reads.delete(index);
      ended.push([index, tell(outcome)]);
    };
    task.then(end, end);
  };
  for (const [index, operation] of session.operations.entries()) {
    let raised: string | null = null;
    onOperation();
    try {
      switch (operation[0]) {
        case "feed":
          reader.feedData(Buffer.from(operation[1], "latin1"));
          break;
        case "eof":
          hasEnded = true;
          reader.feedEof();
          break;
        case "setException":
          reader.setException(new KeyError(operation[1]));
          break;
        case "cancel":
          for (const task of reads.values()) {
            task.cancel();
          }
          break;
        default:
          start(index, operation);
      }
    } catch (error) {
      raised = (error as Error).message;
    }
    await turn();
    await turn();
    trace.push([raised, ended, sizeOf(reader), hasEnded ? null : transport.paused, reader.atEof()]);
    ended = [];
  }
  for (const task of reads.values()) {
    task.cancel();
  }
  await turn();
  return { trace, left: drained(reader) };
}

/** What goes to the other side. */
export function asJson({ limit, hasTransport, operations }: Session): Json {
  return [limit, hasTransport, operations];
}

/** Where the two differ, for a message; `null` where they do not. */
export function difference(here: Trace, there: Trace): string | null {
  for (const [i, theirs] of there.trace.entries()) {
    const ours = here.trace[i];
    if (ours === undefined || !isSameStep(ours, theirs)) {
      return `after operation ${i}: here ${JSON.stringify(ours)}, in CPython ${JSON.stringify(theirs)}`;
    }
  }
  if (here.left !== there.left) {
    return `left in the buffer: here ${JSON.stringify(here.left)}, in CPython ${JSON.stringify(there.left)}`;
  }
  return null;
}

function isSameStep(here: Step, there: Step): boolean {
  const [raisedHere, endedHere, ...stateHere] = here;
  const [raisedThere, endedThere, ...stateThere] = there;
  return (
    (raisedHere === null) === (raisedThere === null) &&
    stateHere.every((each, i) => each === stateThere[i]) &&
    endedHere.length === endedThere.length &&
    endedHere.every(([index, told], i) => {
      const [indexThere, toldThere] = endedThere[i] as (typeof endedThere)[number];
      return index === indexThere && isSameEnd(told, toldThere);
    })
  );
}

function isSameEnd(here: Told, there: Told): boolean {
  const { message: messageHere = "", ...restHere } = here;
  const { message: messageThere = "", ...restThere } = there;
  return (
    // Python shows the argument of a KeyError as its repr().
    (messageHere as string).startsWith((messageThere as string).replace(/^'(.*)'$/, "$1")) &&
    Object.keys(restHere).length === Object.keys(restThere).length &&
    Object.entries(restThere).every(([key, value]) => restHere[key] === value)
  );
}
