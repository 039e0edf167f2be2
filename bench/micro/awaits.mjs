/**
 * What an await costs: `awaits.mjs STATE KIND`.
 *
 * bare      the package is not imported
 * imported  both of its entries are
 * entered   inside a Context
 * left      a Context was entered somewhere, and left
 */
import { nanosecondsAwaited, report } from "./timing.mjs";

const [, , state = "bare", kind = "value"] = process.argv;

/** @type {Record<string, (count: number) => Promise<void>>} */
const LOOPS = {
  value: async (count) => {
    for (let i = 0; i < count; i++) {
      // oxlint-disable-next-line typescript/await-thenable -- what it costs is the question
      await null;
    }
  },
  call: async (count) => {
    for (let i = 0; i < count; i++) {
      await leaf();
    }
  },
  deep: async (count) => {
    for (let i = 0; i < count; i++) {
      await nested(10);
    }
  },
};

async function leaf() {
  return 1;
}

/**
 * @param {number} depth
 * @returns {Promise<number>}
 */
async function nested(depth) {
  return depth === 0 ? 1 : await nested(depth - 1);
}

const loop = LOOPS[kind];
if (loop === undefined) {
  throw new Error(`no kind ${kind}`);
}
const measure = async () => report(await nanosecondsAwaited(loop));

if (state === "bare") {
  await measure();
} else {
  const { copyContext } = await import("contextvars");
  await import("contextvars/asyncio");
  if (state === "entered") {
    await copyContext().run(measure);
  } else {
    if (state === "left") {
      copyContext().run(() => {});
    }
    await measure();
  }
}
