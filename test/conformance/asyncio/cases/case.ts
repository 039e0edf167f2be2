/** A named case: a script that both sides run, and the entries that its trace must contain. */
import assert from "node:assert/strict";
import { delay, spawn, try_ } from "../builders.ts";
import { isSame } from "../compare.ts";
import { runScript } from "../interpreter.ts";
import type { Block, Entry, Script, Statement } from "../language.ts";

export interface TaskCase {
  /** The name of CPython's test, if there is one. */
  readonly id: string;
  /** Symbol, behaviour, condition. */
  readonly about: string;
  readonly script: Script;
  /** Entries that the trace contains in this order, with any others in between. */
  readonly seesInOrder: readonly Entry[];
  /** The release of CPython that the case needs, if it is newer than the one of the tests. */
  readonly since?: "3.15";
}

/** An error as a trace shows it. Without a message, any message will do. */
export function raised(error: string, message = ""): { error: string; message: string } {
  return { error, message };
}

/** An ExceptionGroup of these errors. */
export function grouped(...of: readonly { error: string; message: string }[]): {
  error: string;
  message: string;
  of: readonly { error: string; message: string }[];
} {
  return { ...raised("ExceptionGroup", "unhandled errors in a TaskGroup"), of };
}

export const cancelled = raised("CancelledError");

/** Seconds: far more than any other timer of a case. */
export const LONG = 1_000_000;

/** A body that waits until it is cancelled, then runs `then`. */
export function untilCancelled(then: Block, rethrow = true): Block {
  return [try_([delay(LONG)], { on: "cancel", do: then, rethrow })];
}

/** Runs the statements, and continues whatever they throw. */
export function attempt(...statements: Block): Statement {
  return try_(statements, { on: "all" });
}

/** Tasks with the same body, each named by a letter. */
export function spawnAll(letters: string, body: Block): Block {
  return Array.from(letters, (name): Statement => spawn(name, body));
}

/** Runs the case on this side, checks its trace and returns it. */
export async function runCase({ script, seesInOrder }: TaskCase): Promise<readonly Entry[]> {
  const trace = await runScript(script);
  const text = trace.map((entry) => JSON.stringify(entry)).join("\n");
  assert.ok(!trace.some(([, , outcome]) => outcome === "missing"), `a name is missing:\n${text}`);
  let from = 0;
  for (const wanted of seesInOrder) {
    const at = trace.findIndex((entry, i) => i >= from && isSame([...entry], [...wanted]));
    assert.ok(at >= 0, `${JSON.stringify(wanted)} is not seen, or not in its turn:\n${text}`);
    from = at + 1;
  }
  return trace;
}
