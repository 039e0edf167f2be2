/**
 * Random sessions with a StreamReader, against CPython's own.
 *
 *     READER_SESSIONS=100000 READER_SEED=1 node --test build/test/conformance/reader.test.js
 *
 * These hundred thousand agreed when they were last run, on 2026-11-27.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Python, pythonVersion } from "../support/cpython.ts";
import { asJson, difference, randomSession, runSessionHere, type Session, type Trace } from "./reader-sessions.ts";

const COUNT = Number(process.env["READER_SESSIONS"] ?? 1000);
const FIRST_SEED = Number(process.env["READER_SEED"] ?? 20_261_121);
/** So many sessions go to the other side in one call. */
const BATCH = 250;

const runReaderSessions = new Python("test/conformance/reader_sessions.py").function("run_reader_sessions");

function runThere(sessions: readonly Session[]): readonly Trace[] {
  return runReaderSessions(sessions.map(asJson)) as unknown as readonly Trace[];
}

async function differenceIn(session: Session): Promise<string | null> {
  const [there] = runThere([session]);
  return difference(await runSessionHere(session), there as Trace);
}

/** The session without all operations that the difference does not need. */
async function shortened(session: Session): Promise<Session> {
  let shortest = session;
  for (let i = session.operations.length - 1; i >= 0; i--) {
    const shorter = { ...shortest, operations: shortest.operations.filter((_, j) => j !== i) };
    if ((await differenceIn(shorter)) !== null) {
      shortest = shorter;
    }
  }
  return shortest;
}

describe(`StreamReader, against CPython ${pythonVersion}`, () => {
  it(`StreamReader behaves the same in ${COUNT} random sessions`, async () => {
    const kinds = new Map<string, number>();
    for (let start = 0; start < COUNT; start += BATCH) {
      const seeds = Array.from({ length: Math.min(BATCH, COUNT - start) }, (_, i) => FIRST_SEED + start + i);
      const sessions = seeds.map(randomSession);
      const there = runThere(sessions);
      for (const [i, session] of sessions.entries()) {
        const trace = there[i] as Trace;
        if (difference(await runSessionHere(session), trace) !== null) {
          const shortest = await shortened(session);
          assert.fail(`seed ${seeds[i]}, ${JSON.stringify(shortest)}: ${await differenceIn(shortest)}`);
        }
        count(kinds, session, trace);
      }
    }
    // Every read, with everything that can come of it, and often enough to mean something.
    assert.deepEqual([...kinds.keys()].sort(), outcomes);
    for (const [kind, times] of kinds) {
      assert.ok(times >= COUNT / 3000, `${kind} came ${times} times`);
    }
  });
});

function count(kinds: Map<string, number>, { operations }: Session, { trace }: Trace): void {
  for (const [index, told] of trace.flatMap(([, ended]) => ended)) {
    const [name] = operations[index] as Session["operations"][number];
    const kind = `${name}: ${(told["error"] as string | undefined) ?? Object.keys(told)[0]}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
}

const outcomes = [
  ...["CancelledError", "KeyError", "RuntimeError", "ValueError", "gives", "stops"].map((each) => `next: ${each}`),
  ...["CancelledError", "KeyError", "RuntimeError", "gives"].map((each) => `read: ${each}`),
  ...["CancelledError", "IncompleteReadError", "KeyError", "RuntimeError", "ValueError", "gives"].map(
    (each) => `readexactly: ${each}`,
  ),
  ...["CancelledError", "KeyError", "RuntimeError", "ValueError", "gives"].map((each) => `readline: ${each}`),
  ...[
    "CancelledError",
    "IncompleteReadError",
    "KeyError",
    "LimitOverrunError",
    "RuntimeError",
    "ValueError",
    "gives",
  ].map((each) => `readuntil: ${each}`),
].sort();
