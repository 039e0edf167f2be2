/**
 * Random programs by the real clock and by a MockClock: what happens, and in which order, is the same.
 *
 * All delays of a program are different powers of two of one unit, so that no two of its moments are closer than that,
 * whatever adds up. On a machine that is late by more than that something else may happen by the real clock: then the
 * program is run again, with a longer unit.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import * as asyncio from "contextvars/asyncio";
import { MockClock } from "contextvars/testing";
import { randomFrom } from "../support/random.ts";

/** `CONTEXTVARS_SEEDS=0-10000` runs others, and more. */
const [first = 0, last = 200] = (process.env["CONTEXTVARS_SEEDS"] ?? "0-200").split("-").map(Number);
const BATCH = 100;
const DELAYS = 5;
const UNITS = [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128]; // seconds

type Statement =
  | readonly ["sleep", number]
  | readonly ["timeout", number, readonly Statement[]]
  | readonly ["lock", readonly Statement[]]
  | readonly ["get" | "put" | "wait" | "set" | "pause"]
  | readonly ["cancel", number];

/** The statements of each of its tasks. */
function randomProgram(seed: number): readonly (readonly Statement[])[] {
  const below = randomFrom(seed);
  const delays = Array.from({ length: DELAYS }, (_, i) => 2 ** i);
  const tasks = 2 + below(4);
  const statement = (depth: number): Statement => {
    const delay = delays.length > 0 && below(2) === 0 ? delays.splice(below(delays.length), 1)[0] : undefined;
    if (delay !== undefined) {
      return depth < 2 && below(3) === 0 ? ["timeout", delay, block(depth + 1)] : ["sleep", delay];
    }
    const simple = ["get", "put", "put", "wait", "set", "pause"] as const;
    switch (below(4)) {
      case 0:
        return ["cancel", below(tasks)];
      case 1:
        return depth < 2 ? ["lock", block(depth + 1)] : ["pause"];
      default:
        return [simple[below(simple.length)] ?? "pause"];
    }
  };
  const block = (depth: number): Statement[] => Array.from({ length: 1 + below(4) }, () => statement(depth));
  return Array.from({ length: tasks }, () => block(0));
}

class Run {
  readonly trace: string[] = [];
  readonly #unit: number;
  readonly #lock = new asyncio.Lock();
  readonly #queue = new asyncio.Queue<number>();
  readonly #event = new asyncio.Event();
  readonly #tasks: asyncio.Task<void>[] = [];

  constructor(unit: number) {
    this.#unit = unit;
  }

  async run(program: readonly (readonly Statement[])[]): Promise<void> {
    for (const [i, block] of program.entries()) {
      this.#tasks.push(asyncio.createTask(() => this.#task(i, block)));
    }
    // What can never end is cancelled when all else has happened.
    await asyncio.wait(this.#tasks, { timeout: 2 ** DELAYS * this.#unit });
    for (const task of this.#tasks) {
      task.cancel();
    }
    await asyncio.gather(this.#tasks, { returnExceptions: true });
  }

  async #task(i: number, block: readonly Statement[]): Promise<void> {
    try {
      await this.#block(i, block);
      this.#log(i, "done");
    } catch (error) {
      this.#log(i, (error as Error).name);
      throw error;
    }
  }

  #log(i: number, what: string): void {
    this.trace.push(`${i} ${what}`);
  }

  async #block(i: number, block: readonly Statement[]): Promise<void> {
    for (const statement of block) {
      await this.#statement(i, statement);
      this.#log(i, statement[0]);
    }
  }

  async #statement(i: number, statement: Statement): Promise<void> {
    switch (statement[0]) {
      case "sleep":
        return await asyncio.sleep(statement[1] * this.#unit);
      case "timeout":
        try {
          await asyncio.timeout(statement[1] * this.#unit).with(() => this.#block(i, statement[2]));
        } catch (error) {
          this.#log(i, (error as Error).name);
          if (!(error instanceof asyncio.TimeoutError)) {
            throw error;
          }
        }
        return;
      case "lock":
        return await this.#lock.with(() => this.#block(i, statement[1]));
      case "get":
        this.#log(i, String(await this.#queue.get()));
        return;
      case "put":
        return await this.#queue.put(i);
      case "wait":
        await this.#event.wait();
        return;
      case "set":
        this.#event.set();
        return;
      case "pause":
        return await asyncio.sleep(0);
      case "cancel":
        this.#tasks[statement[1]]?.cancel();
    }
  }
}

type Program = readonly (readonly Statement[])[];

async function traceOf(program: Program, unit: number): Promise<readonly string[]> {
  const run = new Run(unit);
  await run.run(program);
  return run.trace;
}

describe("random programs by a MockClock", () => {
  for (let from = first; from < last; from += BATCH) {
    const to = Math.min(from + BATCH, last);
    it(`MockClock: the same happens as by the real clock, seeds ${from} to ${to - 1}`, async () => {
      const jumped = new Map<number, readonly string[]>();
      for (let seed = from; seed < to; seed++) {
        jumped.set(seed, await new MockClock().with(() => asyncio.run(() => traceOf(randomProgram(seed), 1))));
      }
      let left = [...jumped.keys()];
      for (const unit of UNITS) {
        const real = await asyncio.gather(left.map((seed) => () => traceOf(randomProgram(seed), unit)));
        left = left.filter((seed, i) => !isDeepStrictEqual(jumped.get(seed), real[i]));
      }
      for (const seed of left) {
        assert.deepEqual(jumped.get(seed), await traceOf(randomProgram(seed), UNITS.at(-1) as number), `seed ${seed}`);
      }
    });
  }
});
