/** The table of what Node's primitives see, held against this runtime. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Context, ContextVar } from "contextvars";
import { inOwnFlow } from "../support/places.ts";
import { type Places, playIn, probes } from "../support/primitives-probes.ts";
import { cellFor, type PrimitiveName, primitives } from "../support/primitives-table.ts";
import { runtime } from "../support/runtime.ts";

const where = new ContextVar<string>("where", { default: "-" });

/** Each place is a Context, in which the variable says its name. */
const inContexts: Places = {
  at: (place, callable) =>
    new Context().run(() => {
      where.set(place);
      return callable();
    }),
  look: () => where.get(),
};

describe("Context in the primitives of Node", () => {
  for (const [name, { group, primitive, sees }] of Object.entries(primitives)) {
    const expected = cellFor(sees, runtime);
    it(`Context in ${group}: ${primitive} sees ${expected}`, async () => {
      assert.equal(await inOwnFlow(() => playIn(inContexts, probes[name as PrimitiveName])), expected);
    });
  }
});
