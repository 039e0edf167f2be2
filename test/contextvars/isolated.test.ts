import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { ContextVar, copyContext, isolated } from "contextvars";
import { inEmptyContext, places } from "../support/places.ts";

for (const { place, inPlace } of places) {
  describe(`isolated() ${place}`, () => {
    it("isolated() starts each call from the values at the time of isolated(), not of the call", () => {
      inPlace(() => {
        const variable = new ContextVar<string>("v");
        variable.set("then");
        const call = isolated(() => variable.get());
        variable.set("now");
        assert.equal(call(), "then");
      });
    });

    it("isolated() keeps what a call sets from the code around and from the next call", () => {
      inPlace(() => {
        const variable = new ContextVar("v", { default: 0 });
        const call = isolated((value: number) => {
          const before = variable.get();
          variable.set(value);
          return before;
        });
        assert.deepEqual([call(1), call(2), call(3)], [0, 0, 0]);
        assert.equal(variable.get(), 0);
      });
    });

    it("isolated() keeps concurrent async calls apart", async () => {
      await inPlace(async () => {
        const variable = new ContextVar<number>("v");
        const call = isolated(async (value: number) => {
          variable.set(value);
          for (let i = 0; i < 5; i++) {
            await new Promise((resolve) => setImmediate(resolve));
          }
          return variable.get();
        });
        const values = Array.from({ length: 20 }, (_, i) => i);
        assert.deepEqual(await Promise.all(values.map(call)), values);
      });
    });

    it("isolated() may be called from inside one of its own calls", () => {
      inPlace(() => {
        const variable = new ContextVar("depth", { default: 0 });
        const call: (left: number) => number = isolated((left: number) => {
          variable.set(variable.get() + 1);
          return left === 0 ? variable.get() : call(left - 1);
        });
        assert.equal(call(3), 1, "each call starts with the values at the time of isolated()");
      });
    });
  });
}

describe("isolated() as a wrapper", () => {
  it("isolated() passes arguments, this and the result", () => {
    const object = {
      factor: 2,
      times: isolated(function (this: { factor: number }, a: number, b: number) {
        return this.factor * a * b;
      }),
    };
    assert.equal(object.times(3, 4), 24);
  });

  it("isolated() lets errors out as they are", async () => {
    const error = new Error("mine");
    const fails = isolated(() => {
      throw error;
    });
    assert.throws(fails, error);
    await assert.rejects(
      isolated(async () => {
        throw error;
      }),
      error,
    );
  });

  it("isolated() keeps the name and the number of parameters", () => {
    function middleware(_error: unknown, _request: unknown, _response: unknown, _next: unknown): void {}
    const wrapped = isolated(middleware);
    assert.equal(wrapped.name, "middleware");
    assert.equal(wrapped.length, 4);
    assert.equal(isolated(() => {}).length, 0);
  });

  it("isolated() may be undone with the Context around it: the call's Context is another one", () => {
    inEmptyContext(() => {
      const variable = new ContextVar<number>("v");
      const outside = copyContext();
      const call = isolated(() => {
        variable.set(1);
        return copyContext();
      });
      assert.equal(call().get(variable), 1);
      assert.equal(outside.has(variable), false);
    });
  });

  it("isolated() gives each event of an emitter its own Context inside a Context", () => {
    const variable = new ContextVar("v", { default: "none" });
    const seen: string[] = [];
    inEmptyContext(() => {
      const emitter = new EventEmitter();
      const listener = (name: string): void => {
        seen.push(variable.get());
        variable.set(name);
      };
      emitter.on("shared", listener);
      emitter.on("isolated", isolated(listener));
      for (const name of ["a", "b"]) {
        emitter.emit("isolated", name);
      }
      for (const name of ["a", "b"]) {
        emitter.emit("shared", name);
      }
    });
    assert.deepEqual(seen, ["none", "none", "none", "a"]);
  });

  for (const [value, shown] of [
    [undefined, "undefined"],
    [null, "null"],
    ["listener", "'listener'"],
    [{}, "\\{\\}"],
  ] as const) {
    it(`isolated() raises TypeError and names the value when it is ${shown}`, () => {
      const message = new RegExp(`isolated\\(\\) needs a function, got ${shown}`);
      assert.throws(() => isolated(value as never), { name: "TypeError", message });
    });
  }
});
