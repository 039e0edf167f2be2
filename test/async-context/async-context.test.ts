/** AsyncContext as the proposal's own tests and those written for test262 want it, in our words. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";
import { ContextVar } from "contextvars";
import { AsyncContext } from "contextvars/async-context";
import * as asyncio from "contextvars/asyncio";
import { places } from "../support/places.ts";
import { runProgram } from "../support/programs.ts";
import { runtime } from "../support/runtime.ts";

type Body = () => unknown;

/** As the proposal's tests do: at first, inside a run() of another variable, and after a snapshot was taken there. */
const states: readonly { readonly state: string; readonly inState: (body: Body) => unknown }[] = [
  { state: "initially", inState: (body) => body() },
  {
    state: "inside another variable's run()",
    inState: (body) => new AsyncContext.Variable<null>().run(null, body),
  },
  {
    state: "after a snapshot was taken",
    inState: (body) =>
      new AsyncContext.Variable<null>().run(null, () => {
        AsyncContext.Snapshot.wrap(() => {});
        return body();
      }),
  },
];

interface Three {
  readonly a: AsyncContext.Variable<number>;
  readonly b: AsyncContext.Variable<number>;
  readonly c: AsyncContext.Variable<number>;
  /** Says what the three have to be. */
  readonly have: (a?: number, b?: number, c?: number) => void;
}

function three(): Three {
  const [a, b, c] = [0, 1, 2].map(() => new AsyncContext.Variable<number>()) as [
    AsyncContext.Variable<number>,
    AsyncContext.Variable<number>,
    AsyncContext.Variable<number>,
  ];
  return {
    a,
    b,
    c,
    have: (...values) => assert.deepEqual([a.get(), b.get(), c.get()], [values[0], values[1], values[2]]),
  };
}

/** The proposal's repository has 19; two of them are the same. */
const repository: Readonly<Record<string, (variables: Three) => void>> = {
  "get() gives undefined where nothing was set": ({ have }) => have(),
  "run() returns what the function returns": ({ a }) => {
    const result = {};
    assert.equal(
      a.run(1, () => result),
      result,
    );
  },
  "get() gives the value of run()": ({ a, have }) => a.run(1, () => have(1)),
  "run() in run() of one variable restores the outer value": ({ a, have }) => {
    a.run(1, () => {
      a.run(2, () => have(2));
      have(1);
    });
    have();
  },
  "run() in run() of another variable leaves the outer value": ({ a, b, have }) => {
    a.run(1, () => {
      b.run(2, () => have(1, 2));
      have(1);
    });
    have();
  },
  "wrap() keeps that nothing was set": ({ a, have }) => {
    const wrapped = AsyncContext.Snapshot.wrap(() => have());
    a.run(1, wrapped);
  },
  "wrap() keeps the values of now": ({ a, have }) => {
    const wrapped = a.run(1, () => {
      const wrap = AsyncContext.Snapshot.wrap(() => have(1));
      wrap();
      have(1);
      return wrap;
    });
    wrapped();
    have();
  },
  "run() works in wrapped functions, made before and after another run()": ({ a, have }) => {
    const body = (): void => {
      have(1);
      a.run(2, () => have(2));
      have(1);
    };
    const wrapped = a.run(1, () => {
      const before = AsyncContext.Snapshot.wrap(body);
      a.run(2, () => have(2));
      return [before, AsyncContext.Snapshot.wrap(body)];
    });
    for (const wrap of wrapped) {
      wrap();
      a.run(3, wrap);
    }
    have();
  },
  "run() of another variable works in wrapped functions": ({ a, b, have }) => {
    for (const between of [a, b]) {
      const body = (): void => {
        have(1);
        b.run(2, () => have(1, 2));
        have(1);
      };
      const wrapped = a.run(1, () => {
        const before = AsyncContext.Snapshot.wrap(body);
        between.run(2, () => {});
        const after = AsyncContext.Snapshot.wrap(body);
        have(1);
        return [before, after];
      });
      for (const wrap of wrapped) {
        wrap();
      }
      have();
    }
  },
  "wrapped functions of nested run()s call each other": ({ a, have }) => {
    const outer = a.run(1, () => {
      const first = AsyncContext.Snapshot.wrap(() => have(1));
      const second = a.run(2, () => {
        const wrap = AsyncContext.Snapshot.wrap(() => {
          first();
          have(2);
        });
        first();
        wrap();
        have(2);
        return wrap;
      });
      first();
      second();
      have(1);
      return [first, second];
    });
    for (const wrap of outer) {
      wrap();
    }
    have();
  },
  "wrapped functions of nested run()s of several variables call each other": ({ a, b, have }) => {
    const outer = a.run(1, () => {
      const first = AsyncContext.Snapshot.wrap(() => have(1));
      const second = b.run(2, () =>
        AsyncContext.Snapshot.wrap(() => {
          first();
          have(1, 2);
        }),
      );
      second();
      have(1);
      return [first, second];
    });
    for (const wrap of outer) {
      wrap();
    }
    have();
  },
  "wrap() in the middle of nested run()s changes nothing": ({ a, b, c, have }) => {
    const nothing = (): unknown => AsyncContext.Snapshot.wrap(() => {});
    for (const where of [[], ["a"], ["b"], ["c"], ["a", "b", "c"]]) {
      const wrapped = a.run(1, () => {
        if (where.includes("a")) {
          nothing();
        }
        const wrap = b.run(2, () => {
          if (where.includes("b")) {
            nothing();
          }
          const inner = c.run(3, () => {
            if (where.includes("c")) {
              nothing();
            }
            return AsyncContext.Snapshot.wrap(() => have(1, 2, 3));
          });
          have(1, 2);
          return inner;
        });
        have(1);
        return wrap;
      });
      have();
      wrapped();
      have();
    }
  },
  "wrapped functions work in any order": ({ a, have }) => {
    const [first, second] = [1, 2].map((value) => a.run(value, () => AsyncContext.Snapshot.wrap(() => have(value))));
    for (const wrap of [second, first, second, first]) {
      wrap?.();
      have();
    }
  },
};

for (const { place, inPlace } of places) {
  for (const { state, inState } of states) {
    describe(`AsyncContext ${place}, ${state}`, () => {
      for (const [name, body] of Object.entries(repository)) {
        it(name, () => {
          inPlace(() => inState(() => body(three())));
        });
      }
    });
  }
}

const { Variable, Snapshot } = AsyncContext;
const variable = new Variable<unknown>({ name: "v", defaultValue: "default" });

function descriptor(target: object, key: PropertyKey): PropertyDescriptor | undefined {
  return Object.getOwnPropertyDescriptor(target, key);
}

function isConstructor(value: unknown): boolean {
  try {
    Reflect.construct(Object, [], value as () => void);
    return true;
  } catch {
    return false;
  }
}

describe("AsyncContext has the shape of a built-in", () => {
  it("AsyncContext is an ordinary object with two constructors, and is on no global object", () => {
    assert.equal(Object.getPrototypeOf(AsyncContext), Object.prototype);
    assert.equal(Object.prototype.toString.call(AsyncContext), "[object AsyncContext]");
    assert.deepEqual(descriptor(AsyncContext, "Variable"), hidden(Variable));
    assert.deepEqual(descriptor(AsyncContext, "Snapshot"), hidden(Snapshot));
    assert.equal("AsyncContext" in globalThis, false);
  });

  for (const [name, type, length] of [
    ["Variable", Variable, 1],
    ["Snapshot", Snapshot, 0],
  ] as const) {
    it(`${name} is a constructor with its name, length and prototype`, () => {
      assert.deepEqual(descriptor(type, "name"), fixed(name));
      assert.deepEqual(descriptor(type, "length"), fixed(length));
      assert.deepEqual(descriptor(type, "prototype"), { ...fixed(type.prototype), configurable: false });
      assert.deepEqual(descriptor(type.prototype, "constructor"), hidden(type));
      assert.deepEqual(descriptor(type.prototype, Symbol.toStringTag), fixed(`AsyncContext.${name}`));
      assert.equal(Object.getPrototypeOf(type), Function.prototype);
      assert.equal(Object.getPrototypeOf(type.prototype), Object.prototype);
    });

    it(`${name} makes a new ordinary object each time, and only with new`, () => {
      const object = new type();
      assert.equal(Object.getPrototypeOf(object), type.prototype);
      assert.equal(Object.isExtensible(object), true);
      assert.deepEqual(Reflect.ownKeys(object), []);
      assert.notEqual(new type(), object);
      assert.throws(() => (type as unknown as () => void)(), TypeError);
      assert.throws(() => Reflect.apply(type as never, Object.create(type.prototype), []), TypeError);
    });

    it(`${name} takes its prototype from new.target`, () => {
      class Derived extends (type as new () => object) {}
      assert.equal(Object.getPrototypeOf(new Derived()), Derived.prototype);
      const custom = {};
      const target = class {}.bind(null);
      Object.defineProperty(target, "prototype", { value: custom, configurable: true });
      assert.equal(Object.getPrototypeOf(Reflect.construct(type, [], target)), custom);
      for (const prototype of [undefined, null, 1, "text"]) {
        Object.defineProperty(target, "prototype", { value: prototype, configurable: true });
        assert.equal(Object.getPrototypeOf(Reflect.construct(type, [], target)), type.prototype);
      }
      const error = new Error("out");
      Object.defineProperty(target, "prototype", { get: () => raise(error) });
      assert.throws(() => Reflect.construct(type, [], target), error);
    });
  }

  const functions: readonly [string, object, string, number][] = [
    ["Variable.prototype.get", Variable.prototype, "get", 0],
    ["Variable.prototype.run", Variable.prototype, "run", 2],
    ["Snapshot.prototype.run", Snapshot.prototype, "run", 1],
    ["Snapshot.wrap", Snapshot, "wrap", 1],
  ];
  for (const [what, target, name, length] of functions) {
    it(`${what} is a function with its name and length, and no constructor`, () => {
      const found = (target as Record<string, () => void>)[name];
      assert.deepEqual(descriptor(target, name), hidden(found));
      assert.deepEqual(descriptor(found as object, "name"), fixed(name));
      assert.deepEqual(descriptor(found as object, "length"), fixed(length));
      assert.equal(isConstructor(found), false);
      assert.equal("prototype" in (found as object), false);
    });
  }

  it("Variable.prototype.name is an accessor without a setter", () => {
    const found = descriptor(Variable.prototype, "name");
    assert.deepEqual([found?.set, found?.enumerable, found?.configurable], [undefined, false, true]);
    assert.deepEqual([found?.get?.name, found?.get?.length], ["get name", 0]);
  });

  it("methods refuse another receiver", () => {
    const strangers = [undefined, null, 1, "text", Symbol("s"), {}, () => {}];
    for (const receiver of [...strangers, new Snapshot(), Variable.prototype]) {
      assert.throws(() => Variable.prototype.get.call(receiver as never), TypeError);
      assert.throws(() => Variable.prototype.run.call(receiver as never, 1, () => {}), TypeError);
      assert.throws(() => descriptor(Variable.prototype, "name")?.get?.call(receiver), TypeError);
    }
    for (const receiver of [...strangers, new Variable(), Snapshot.prototype]) {
      assert.throws(() => Snapshot.prototype.run.call(receiver as never, () => {}), TypeError);
    }
  });
});

describe("new AsyncContext.Variable()", () => {
  it("Variable has the name as text, and none unless given", () => {
    assert.equal(variable.name, "v");
    const names: readonly [unknown, string][] = [
      [undefined, ""],
      [null, ""],
      [1, ""],
      ["text", ""],
      [{}, ""],
      [{ name: undefined }, "undefined"],
      [{ name: 1 }, "1"],
      [{ name: null }, "null"],
      [Object.create({ name: "inherited" }), "inherited"],
      [Object.assign(() => {}, {}), ""],
    ];
    for (const [options, name] of names) {
      assert.equal(new Variable(options as never).name, name);
    }
  });

  it("Variable has the default value, even if it is undefined or false", () => {
    for (const defaultValue of [undefined, null, 0, false, Number.NaN, "text"]) {
      assert.equal(new Variable({ defaultValue }).get(), defaultValue);
    }
    assert.equal(new Variable().get(), undefined);
  });

  it("Variable lets out what reading its options throws", () => {
    const error = new Error("out");
    const options = [
      {
        get name() {
          return raise(error);
        },
      },
      {
        get defaultValue() {
          return raise(error);
        },
      },
      { name: { toString: () => raise(error) } },
      new Proxy({}, { has: () => raise(error) }),
    ];
    for (const each of options) {
      assert.throws(() => new Variable(each as never), error);
    }
    assert.throws(() => new Variable({ name: Symbol("s") as never }), TypeError);
  });
});

/** Everything that calls a function, with the value that the function has to see. */
const callers: readonly {
  readonly name: string;
  readonly call: (fn: (...args: never[]) => unknown, ...args: unknown[]) => unknown;
  readonly sees: unknown;
  readonly passesThis: boolean;
}[] = (() => {
  const snapshot = variable.run("snapshot", () => new Snapshot());
  const wrap = (fn: (...args: never[]) => unknown): ((...args: never[]) => unknown) =>
    variable.run("wrapped", () => Snapshot.wrap(fn));
  return [
    {
      name: "Variable.run()",
      call: (fn, ...args) => variable.run("run", fn as never, ...(args as never[])),
      sees: "run",
      passesThis: false,
    },
    {
      name: "Snapshot.run()",
      call: (fn, ...args) => snapshot.run(fn as never, ...(args as never[])),
      sees: "snapshot",
      passesThis: false,
    },
    {
      name: "a wrapped function",
      call: (fn, ...args) => wrap(fn)(...(args as never[])),
      sees: "wrapped",
      passesThis: true,
    },
  ];
})();

for (const { name, call, sees, passesThis } of callers) {
  describe(name, () => {
    it(`${name} calls the function in its values, and restores those of before`, () => {
      assert.equal(
        call(() => variable.get()),
        sees,
      );
      assert.equal(variable.get(), "default");
      variable.run("outer", () => {
        assert.equal(
          call(() => variable.get()),
          sees,
        );
        assert.equal(variable.get(), "outer");
      });
    });

    it(`${name} passes arguments and the result`, () => {
      assert.deepEqual(
        call((...args: unknown[]) => args, 1, 2, 3),
        [1, 2, 3],
      );
      assert.deepEqual(
        call((...args: unknown[]) => args),
        [],
      );
      const promise = Promise.resolve();
      assert.equal(
        call(() => promise),
        promise,
      );
    });

    it(`${name} ${passesThis ? "passes this" : "calls with this undefined"}`, () => {
      const getThis = function (this: unknown): unknown {
        return this;
      };
      assert.equal(call(getThis), undefined);
      if (passesThis) {
        const object = { wrapped: Snapshot.wrap(getThis) };
        assert.equal(object.wrapped(), object);
        assert.equal(object.wrapped.call(1 as never), 1);
      }
    });

    it(`${name} lets out what the function throws, and restores`, () => {
      const error = new Error("out");
      assert.throws(() => call(() => raise(error)), error);
      assert.equal(variable.get(), "default");
    });

    it(`${name} refuses what is no function`, () => {
      for (const value of [undefined, null, 1, "text", {}, Symbol("s")]) {
        assert.throws(() => call(value as never), TypeError);
        assert.equal(variable.get(), "default");
      }
    });

    it(`${name} calls what is callable, whatever its prototype`, () => {
      const bare = Object.setPrototypeOf(() => variable.get(), null) as () => unknown;
      assert.equal(call(bare), sees);
      assert.equal(call(new Proxy(() => variable.get(), {})), sees);
    });

    it(`${name} keeps the values in the function after an await, and not in reactions to its promise`, async () => {
      const gate = withResolvers();
      const seen: unknown[] = [];
      const done = variable.run("outer", () =>
        (
          call(async () => {
            seen.push(variable.get());
            await gate.promise;
            seen.push(variable.get());
          }) as Promise<void>
        ).then(() => seen.push(variable.get())),
      );
      variable.run("resolver", gate.resolve);
      await done;
      assert.deepEqual(seen, [sees, sees, "outer"]);
    });

    it(`${name} is not disturbed by a snapshot that the function takes`, () => {
      call(() => new Snapshot());
      call(() => Snapshot.wrap(() => {}));
      assert.equal(variable.get(), "default");
    });
  });
}

describe("AsyncContext.Snapshot", () => {
  it("Snapshot has the values of all variables, and no value of one that was made or set later", () => {
    const other = new Variable<number>({ defaultValue: 0 });
    const snapshot = variable.run("then", () => new Snapshot());
    const later = new Variable<string>();
    other.run(1, () =>
      later.run("later", () => {
        assert.deepEqual(
          snapshot.run(() => [variable.get(), other.get(), later.get()]),
          ["then", 0, undefined],
        );
        assert.deepEqual([other.get(), later.get()], [1, "later"]);
      }),
    );
  });

  it("Snapshot can be run while it is running", () => {
    const snapshot = variable.run("then", () => new Snapshot());
    assert.equal(
      snapshot.run(() => variable.run("inner", () => snapshot.run(() => variable.get()))),
      "then",
    );
  });

  it("Variable.run() leaves the other variables of a snapshot alone", () => {
    const other = new Variable<number>();
    other.run(1, () => variable.run("x", () => assert.equal(other.get(), 1)));
  });

  it("run() with undefined sets undefined, and not the default", () => {
    assert.equal(
      variable.run(undefined, () => variable.get()),
      undefined,
    );
  });
});

describe("AsyncContext.Snapshot.wrap()", () => {
  it("wrap() makes a function that is no constructor", () => {
    const wrapped = Snapshot.wrap(class {} as never) as object;
    assert.equal(typeof wrapped, "function");
    assert.equal(isConstructor(wrapped), false);
    assert.equal("prototype" in wrapped, false);
    assert.equal(Object.getPrototypeOf(wrapped), Function.prototype);
  });

  it("wrap() takes over the name, with a prefix", () => {
    const fn = (): void => {};
    assert.deepEqual(descriptor(Snapshot.wrap(fn), "name"), fixed("wrapped fn"));
    for (const [name, expected] of [
      ["foo", "wrapped foo"],
      ["", "wrapped "],
      [1, "wrapped "],
      [undefined, "wrapped "],
      [Symbol("s"), "wrapped "],
      [{ toString: () => raise(new Error("asked")) }, "wrapped "],
    ]) {
      Object.defineProperty(fn, "name", { value: name, configurable: true });
      assert.equal(Snapshot.wrap(fn).name, expected);
    }
    delete (fn as { name?: string }).name;
    assert.equal(Snapshot.wrap(fn).name, "wrapped ");
    Object.setPrototypeOf(fn, { name: "inherited" });
    assert.equal(Snapshot.wrap(fn).name, "wrapped inherited");
  });

  it("wrap() takes over the length as a whole number from 0 on", () => {
    const fn = (_a: unknown, _b: unknown): void => {};
    assert.deepEqual(descriptor(Snapshot.wrap(fn), "length"), fixed(2));
    for (const [length, expected] of [
      [0, 0],
      [42, 42],
      [-42, 0],
      [-0, 0],
      [Number.NaN, 0],
      [7.9, 7],
      [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
      [Number.NEGATIVE_INFINITY, 0],
      [undefined, 0],
      ["42", 0],
    ]) {
      Object.defineProperty(fn, "length", { value: length, configurable: true });
      assert.equal(Snapshot.wrap(fn).length, expected);
    }
    delete (fn as { length?: number }).length;
    Object.setPrototypeOf(fn, { length: 3 });
    assert.equal(Snapshot.wrap(fn).length, 0, "an inherited one does not count");
  });

  it("wrap() lets out what reading length and name throws, and reads no more than that", () => {
    const error = new Error("out");
    const broken = (key: string, own: boolean): (() => void) => {
      const fn = (): void => {};
      delete (fn as unknown as Record<string, unknown>)[key];
      const target = own ? fn : {};
      Object.defineProperty(target, key, { get: () => raise(error) });
      return own ? fn : (Object.setPrototypeOf(fn, target) as () => void);
    };
    assert.throws(() => Snapshot.wrap(broken("length", true)), error);
    assert.throws(() => Snapshot.wrap(broken("name", true)), error);
    assert.throws(() => Snapshot.wrap(broken("name", false)), error);
    Snapshot.wrap(broken("length", false));
    const asked = (refused: string): (() => void) =>
      new Proxy(() => {}, {
        getOwnPropertyDescriptor: (target, key) =>
          key === refused ? raise(error) : Reflect.getOwnPropertyDescriptor(target, key),
      });
    assert.throws(() => Snapshot.wrap(asked("length")), error);
    Snapshot.wrap(asked("name"));
  });
});

/** Code that is started in run("a") and continues elsewhere, and the value that it must see. */
const propagation: Readonly<Record<string, () => unknown>> = {
  "await of a promise that is resolved elsewhere": async () => {
    await variable.run("b", () => delay(1));
    return variable.get();
  },
  "await of a thenable, in its then() and after it": async () => {
    let inThen: unknown;
    await {
      then(resolve: (value: unknown) => void) {
        inThen = variable.get();
        variable.run("b", () => setTimeout(resolve, 1));
      },
    };
    assert.equal(inThen, "a");
    return variable.get();
  },
  "a reaction of a promise": () => variable.run("b", () => delay(1)).then(() => variable.get()),
  "a reaction to a rejection": () =>
    variable.run("b", () => delay(1).then(() => raise(new Error()))).catch(() => variable.get()),
  "a timer": () => new Promise((resolve) => setTimeout(() => resolve(variable.get()), 1)),
  "a microtask": () => new Promise((resolve) => queueMicrotask(() => resolve(variable.get()))),
  "a task": () => asyncio.createTask(async () => variable.get()),
};

/** Where the runtime decides: the rows of the table of docs/guides/async-context.md. */
const decidedByRuntime: Readonly<Record<string, () => unknown>> = {
  "a generator sees the values of the caller of next()": () => {
    const seen: unknown[] = [];
    const generator = variable.run("created", function* () {
      seen.push(variable.get());
      yield;
      seen.push(variable.get());
    });
    variable.run("first", () => generator.next());
    variable.run("second", () => generator.next());
    assert.deepEqual(seen, ["first", "second"]);
  },
  "an async generator sees the values of the caller of next()": async () => {
    const seen: unknown[] = [];
    const generator = variable.run("created", async function* () {
      seen.push(variable.get());
      yield;
      await null;
      seen.push(variable.get());
    });
    await variable.run("first", () => generator.next());
    await variable.run("second", () => generator.next());
    assert.deepEqual(seen, ["first", "second"]);
  },
  "a generator inside run() also sees the values of the caller of next()": () => {
    const seen: unknown[] = [];
    const inner = variable.run("inner", () =>
      (function* () {
        seen.push(variable.get());
        yield;
        seen.push(variable.get());
      })(),
    );
    const outer = variable.run("outer", function* () {
      yield* inner;
    });
    variable.run("first", () => outer.next());
    variable.run("second", () => outer.next());
    assert.deepEqual(seen, ["first", "second"]);
  },
  "an iterator of the language reads in the values of the caller of next()": () => {
    let seen: unknown;
    const array = Object.defineProperty([], 0, { get: () => (seen = variable.get()), enumerable: true });
    const iterator = variable.run("created", () => array.values());
    variable.run("caller", () => iterator.next());
    assert.equal(seen, "caller");
  },
};

Object.assign(decidedByRuntime, {
  "the body of a module sees the values of the code that imports it first, on Bun no values": async () => {
    const seen: unknown[] = [];
    const global = globalThis as { probeOfModule?: () => void };
    global.probeOfModule = () => seen.push(variable.get());
    const folder = await mkdtemp(join(tmpdir(), "contextvars-"));
    try {
      const file = join(folder, "probe.mjs");
      await writeFile(file, "globalThis.probeOfModule();\n");
      const url = pathToFileURL(file).href;
      await variable.run("first", () => import(url));
      await variable.run("second", () => import(url));
    } finally {
      delete global.probeOfModule;
      await rm(folder, { recursive: true });
    }
    assert.deepEqual(seen, [runtime === "bun" ? "default" : "first"]);
  },
});

Object.assign(decidedByRuntime, {
  "the callback of a FinalizationRegistry sees no values": async () => {
    const { finalized } = (await runProgram("called-by-runtime.js")) as { finalized: readonly string[] };
    assert.deepEqual(finalized, ["none"]);
  },
  "a listener of 'unhandledRejection' sees the values of the reject(), of the promise's maker, or none": async () => {
    const { rejected } = (await runProgram("called-by-runtime.js")) as { rejected: readonly string[] };
    const seen: Partial<Record<typeof runtime, string>> = { node20: "made", node22: "made", bun: "none" };
    assert.deepEqual(rejected, [seen[runtime] ?? "rejected"]);
  },
});

describe("AsyncContext keeps the values", () => {
  for (const [name, start] of Object.entries(propagation)) {
    for (const { place, inPlace } of places) {
      it(`${name} ${place}`, async () => {
        await inPlace(async () => {
          const started = variable.run("a", start);
          assert.equal(variable.get(), "default");
          assert.equal(await started, "a");
          assert.equal(variable.get(), "default");
        });
      });
    }
  }
});

/** Calls the function expression, evaluated in a realm of its own, with the values. */
function inOtherRealm(code: string, ...values: readonly unknown[]): unknown {
  return Reflect.apply(runInNewContext(`(${code})`) as () => unknown, undefined, values);
}

describe("AsyncContext in another realm", () => {
  it("a snapshot that another realm takes and runs has the values of all variables", () => {
    const [first, second, third] = [1, 2, 3].map(() => new Variable<unknown>()) as [
      InstanceType<typeof Variable>,
      InstanceType<typeof Variable>,
      InstanceType<typeof Variable>,
    ];
    const take = `function ({ Snapshot }) {
      const snapshot = new Snapshot();
      return (callback) => snapshot.run(callback);
    }`;
    const run = first.run("at the snapshot", () => inOtherRealm(take, AsyncContext)) as (callback: () => void) => void;
    let seen: unknown[] = [];
    second.run(2, () =>
      third.run(3, () =>
        first.run("later", () =>
          run(() => {
            seen = [first.get(), second.get(), third.get()];
          }),
        ),
      ),
    );
    assert.deepEqual(seen, ["at the snapshot", undefined, undefined]);
  });

  it("a function of another realm sees the value, and so does what it starts", async () => {
    const start =
      "async function (variable) { const first = variable.get(); await null; return first + variable.get(); }";
    assert.equal(await variable.run("a", () => inOtherRealm(start, variable)), "aa");
  });

  it("wrap() makes a function of its own realm of one of another realm", () => {
    assert.equal(
      Object.getPrototypeOf(Snapshot.wrap(inOtherRealm("() => () => {}") as () => void)),
      Function.prototype,
    );
  });

  it("a new.target of another realm without a prototype gives the prototypes of this module", () => {
    for (const type of [Variable, Snapshot]) {
      for (const prototype of ["undefined", "null", "true", "''", "Symbol()", "1"]) {
        const target = inOtherRealm(`() => Object.assign(function () {}, { prototype: ${prototype} })`) as () => void;
        assert.equal(Object.getPrototypeOf(Reflect.construct(type, [], target)), type.prototype);
      }
    }
  });
});

describe("AsyncContext where the runtime decides", () => {
  for (const [name, body] of Object.entries(decidedByRuntime)) {
    it(name, body as () => Promise<void>);
  }
});

describe("AsyncContext beside ContextVar", () => {
  it("what a function sets in Variable.run() its task sees afterwards; what it sets in Snapshot.run() it does not", async () => {
    const plain = new ContextVar<string>("plain", { default: "none" });
    await asyncio.createTask(async () => {
      await variable.run("a", async () => {
        await asyncio.sleep(0);
        plain.set("run");
      });
      assert.equal(plain.get(), "run");
      new Snapshot().run(() => plain.set("snapshot"));
      Snapshot.wrap(() => plain.set("wrapped"))();
      assert.equal(plain.get(), "run");
    });
  });

  it("the running task is the same in Variable.run() and in a snapshot of another task", async () => {
    const snapshot = await asyncio.createTask(async () => new Snapshot());
    const task: asyncio.Task<void> = asyncio.createTask(async () => {
      assert.equal(
        variable.run("a", () => asyncio.currentTask()),
        task,
      );
      assert.equal(
        snapshot.run(() => asyncio.currentTask()),
        task,
      );
    });
    await task;
  });
});

describe("AsyncContext and what is no function", () => {
  const calls: Record<string, (given: never) => unknown> = {
    "AsyncContext.Variable.run()": (given) => new AsyncContext.Variable().run(1, given),
    "AsyncContext.Snapshot.run()": (given) => new AsyncContext.Snapshot().run(given),
    "AsyncContext.Snapshot.wrap()": (given) => AsyncContext.Snapshot.wrap(given),
  };
  for (const [name, call] of Object.entries(calls)) {
    it(`${name} throws a TypeError that names the call`, () => {
      for (const given of [undefined, null, 5, "x", {}, Promise.resolve()]) {
        const message = `${name} needs a function, got ${typeof given}`;
        assert.throws(() => call(given as never), { name: "TypeError", message });
      }
    });
  }
});

function hidden(value: unknown): PropertyDescriptor {
  return { value, writable: true, enumerable: false, configurable: true };
}

function fixed(value: unknown): PropertyDescriptor {
  return { value, writable: false, enumerable: false, configurable: true };
}

function raise(error: Error): never {
  throw error;
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
