/** A thousand flows at once, and no value of one is ever seen in another. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Context, ContextVar, copyContext, isolated } from "contextvars";
import { turn } from "../support/latch.ts";
import { inOwnFlow } from "../support/places.ts";
import { randomFrom } from "../support/random.ts";

const FLOWS = 1000;
const STEPS = 12;

/** More variables than lie flat in the map. */
const variables = Array.from({ length: 12 }, (_, i) => new ContextVar<string>(`v${i}`, { default: "default" }));

/** The ways to wait that programs use, by number. */
const waits: readonly (() => Promise<unknown>)[] = [
  async () => null,
  () => Promise.resolve().then(() => null),
  turn,
  () => sleep(1),
  () => new Promise((resolve) => process.nextTick(resolve)),
  () => new Promise<void>((resolve) => queueMicrotask(resolve)),
  () => {
    const emitter = new EventEmitter();
    setImmediate(() => emitter.emit("event"));
    return once(emitter, "event");
  },
  () => Promise.all([turn(), sleep(0)]),
];

/** Sets, resets and reads variables at random over many awaits, and says what it saw that it had not set itself. */
async function flow(name: number): Promise<string[]> {
  const random = randomFrom(name);
  const expected = variables.map(() => "default");
  const wrong: string[] = [];
  for (let step = 0; step < STEPS; step++) {
    const index = random(variables.length);
    const variable = variables[index] as ContextVar<string>;
    if (random(4) === 0) {
      using _ = variable.set(`${name} for a moment`);
      assert.equal(variable.get(), `${name} for a moment`);
    } else {
      expected[index] = `${name} at ${step}`;
      variable.set(expected[index]);
    }
    await waits[random(waits.length)]?.();
    variables.forEach((other, i) => {
      if (other.get() !== expected[i]) {
        wrong.push(`${name} at ${step}: v${i} is ${other.get()} instead of ${expected[i]}`);
      }
    });
  }
  return wrong;
}

const starts: readonly { readonly how: string; readonly start: (name: number) => Promise<string[]> }[] = [
  { how: "new Context().run()", start: (name) => new Context().run(flow, name) },
  { how: "copyContext().run()", start: (name) => copyContext().run(flow, name) },
  { how: "isolated()", start: isolated(flow) },
  { how: "callbacks outside any Context", start: (name) => inOwnFlow(() => flow(name)) },
  {
    how: "timers outside any Context",
    start: (name) =>
      new Promise((resolve, reject) => {
        setTimeout(() => flow(name).then(resolve, reject), name % 5);
      }),
  },
];

describe("isolation", () => {
  for (const { how, start } of starts) {
    it(`isolation of ${FLOWS} concurrent flows started by ${how}`, async () => {
      const wrong = await Promise.all(Array.from({ length: FLOWS }, (_, name) => start(name)));
      assert.deepEqual(wrong.flat(), []);
      for (const variable of variables) {
        assert.equal(variable.get(), "default");
      }
    });
  }

  it(`isolation of ${FLOWS} concurrent flows started in all ways at once, each inside the one before`, async () => {
    const nested = async (name: number): Promise<string[]> => {
      const way = starts[name % starts.length];
      assert.ok(way);
      const inner = name % 10 === 0 ? [] : new Context().run(() => nested(name - 1));
      return [...(await way.start(name)), ...(await inner)];
    };
    const names = Array.from({ length: FLOWS / 10 }, (_, i) => i * 10 + 9);
    assert.deepEqual((await Promise.all(names.map(nested))).flat(), []);
  });
});
