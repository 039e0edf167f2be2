import assert from "node:assert/strict";
import { stat } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { Context, ContextVar, copyContext, isolated, LookupError, RuntimeError, Token, ValueError } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { inEmptyContext, inOwnFlow, places } from "../support/places.ts";
import { runtime } from "../support/runtime.ts";

/** For arguments that the types forbid. */
const Unchecked = ContextVar as new (...args: unknown[]) => ContextVar<unknown>;

describe("new ContextVar()", () => {
  it("new ContextVar() keeps the name, which is read-only", () => {
    const variable = new ContextVar("user");
    assert.equal(variable.name, "user");
    assert.throws(() => Object.assign(variable, { name: "other" }), TypeError);
    assert.equal(variable.name, "user");
  });

  it("new ContextVar() takes any string as name, also an empty one and one that is in use", () => {
    const [first, second, empty] = [new ContextVar<number>("same"), new ContextVar<number>("same"), new ContextVar("")];
    inEmptyContext(() => {
      first.set(1);
      assert.equal(second.get(0), 0);
    });
    assert.equal(empty.name, "");
  });

  it("new ContextVar() raises TypeError when the name is missing", () => {
    assert.throws(() => new Unchecked(), { name: "TypeError", message: /takes exactly 1 .*0 given/ });
  });

  for (const [name, shown] of [
    [undefined, "undefined"],
    [null, "null"],
    [1, "1"],
    [["a"], "\\['a'\\]"],
    [Object("boxed"), "boxed"],
    [Symbol("s"), "Symbol\\(s\\)"],
  ]) {
    it(`new ContextVar() raises TypeError and names the value when the name is ${String(shown)}`, () => {
      const message = new RegExp(`must be a str, got ${String(shown)}`);
      assert.throws(() => new Unchecked(name), { name: "TypeError", message });
    });
  }

  for (const options of [null, 7, "default", true]) {
    it(`new ContextVar() raises TypeError and names the value when the options are ${inspect(options)}`, () => {
      const message = new RegExp(`got ${inspect(options)}; write \\{ default: `);
      assert.throws(() => new Unchecked("user", options), { name: "TypeError", message });
    });
  }

  it("new ContextVar() has no default when the options are undefined or empty", () => {
    for (const variable of [new Unchecked("a", undefined), new Unchecked("a", {})]) {
      assert.throws(() => variable.get(), LookupError);
    }
  });

  it("ContextVar() raises TypeError when called without new", () => {
    assert.throws(() => (ContextVar as unknown as (name: string) => void)("user"), TypeError);
  });

  it("ContextVar raises TypeError when a subclass is constructed", () => {
    class Special extends ContextVar<number> {}
    assert.throws(() => new Special("user"), { name: "TypeError", message: /not an acceptable base type/ });
    assert.throws(() => Reflect.construct(ContextVar, ["user"], Object), TypeError);
  });

  it("ContextVar takes no further properties", () => {
    const variable = new ContextVar("user");
    assert.equal(Object.isExtensible(variable), false);
    assert.throws(() => Object.assign(variable, { extra: 1 }), TypeError);
  });
});

for (const { place, inPlace } of places) {
  describe(`ContextVar ${place}`, () => {
    it("ContextVar.get() raises LookupError when the variable has no value and no default", () => {
      inPlace(() => {
        const variable = new ContextVar("user");
        assert.throws(
          () => variable.get(),
          (error) => {
            assert.ok(error instanceof LookupError && error instanceof Error);
            assert.equal(error.name, "LookupError");
            assert.equal(error.code, "ERR_CONTEXTVAR_UNSET");
            assert.equal(error.variable, variable);
            assert.ok(error.message.startsWith(`${String(variable)} has no value in the current context`));
            return true;
          },
        );
      });
    });

    it("ContextVar.get() gives the value, before the fallback, before the default", () => {
      inPlace(() => {
        const variable = new ContextVar("user", { default: "default" });
        assert.equal(variable.get(), "default");
        assert.equal(variable.get("fallback"), "fallback");
        variable.set("value");
        assert.equal(variable.get(), "value");
        assert.equal(variable.get("fallback"), "value");
      });
    });

    it("ContextVar.get() takes undefined and null as fallbacks", () => {
      inPlace(() => {
        const variable = new ContextVar("user", { default: "default" });
        assert.equal(variable.get(undefined), undefined);
        assert.equal(variable.get(null), null);
        const without = new ContextVar<string>("user");
        assert.equal(without.get(undefined), undefined);
      });
    });

    it("ContextVar.get() gives undefined when { default: undefined } is the default", () => {
      inPlace(() => {
        assert.equal(new ContextVar<undefined>("user", { default: undefined }).get(), undefined);
        assert.equal(new ContextVar<null>("user", { default: null }).get(), null);
      });
    });

    it("ContextVar.get() gives the very same default object each time", () => {
      inPlace(() => {
        const shared: string[] = [];
        const variable = new ContextVar("users", { default: shared });
        variable.get().push("ada");
        assert.equal(variable.get(), shared);
        assert.deepEqual(
          inEmptyContext(() => variable.get()),
          ["ada"],
        );
      });
    });

    for (const value of [undefined, null, 0, "", false, Number.NaN, Symbol.for("value"), Token.MISSING]) {
      it(`ContextVar.set() stores ${String(value)} as it stores any value`, () => {
        inPlace(() => {
          const variable = new ContextVar<unknown>("user", { default: "default" });
          const token = variable.set(value);
          assert.ok(Object.is(variable.get("fallback"), value));
          assert.equal(copyContext().has(variable), true);
          assert.equal(token.oldValue, Token.MISSING);
          variable.set("other");
          assert.equal(variable.get(), "other");
        });
      });
    }

    it("ContextVar.set() gives a new token each time, also for the value that is there already", () => {
      inPlace(() => {
        const variable = new ContextVar<number>("user");
        const first = variable.set(1);
        const second = variable.set(1);
        assert.notEqual(first, second);
        assert.equal(first.oldValue, Token.MISSING);
        assert.equal(second.oldValue, 1);
        variable.reset(second);
        assert.equal(variable.get(), 1);
        variable.reset(first);
        assert.equal(variable.get(0), 0);
      });
    });

    it("ContextVar.reset() brings back the value before the set(), or no value", () => {
      inPlace(() => {
        const variable = new ContextVar<number>("level");
        const first = variable.set(1);
        const second = variable.set(2);
        variable.reset(second);
        assert.equal(variable.get(), 1);
        variable.reset(first);
        assert.throws(() => variable.get(), LookupError);
        assert.equal(copyContext().has(variable), false);
      });
    });

    it("ContextVar.reset() takes tokens in any order", () => {
      inPlace(() => {
        const variable = new ContextVar<number>("level");
        const first = variable.set(1);
        const second = variable.set(2);
        variable.reset(first);
        assert.equal(variable.get(0), 0);
        variable.reset(second);
        assert.equal(variable.get(), 1);
      });
    });

    it("ContextVar.reset() raises RuntimeError when the token was used, and changes nothing", () => {
      inPlace(() => {
        const variable = new ContextVar<number>("level");
        variable.set(1);
        const token = variable.set(2);
        variable.reset(token);
        variable.set(3);
        assert.throws(
          () => variable.reset(token),
          (error) => {
            assert.ok(error instanceof RuntimeError);
            assert.equal(error.name, "RuntimeError");
            assert.equal(error.code, "ERR_TOKEN_USED");
            assert.match(error.message, /^<Token used var=.*> has already been used once$/);
            return true;
          },
        );
        assert.equal(variable.get(), 3);
      });
    });

    it("ContextVar.reset() raises ValueError when another variable made the token, which stays usable", () => {
      inPlace(() => {
        const [one, two] = [new ContextVar<number>("one"), new ContextVar<number>("two")];
        const token = one.set(1);
        two.set(2);
        assert.throws(
          () => two.reset(token),
          (error) => {
            assert.ok(error instanceof ValueError);
            assert.equal(error.name, "ValueError");
            assert.equal(error.code, "ERR_TOKEN_OTHER_VAR");
            assert.match(error.message, /was created by a different ContextVar/);
            assert.ok(error.message.includes(String(token)) && error.message.includes(String(two)));
            return true;
          },
        );
        assert.equal(two.get(), 2);
        one.reset(token);
        assert.equal(one.get(0), 0);
      });
    });

    it("ContextVar.reset() raises ValueError when the token is of a Context that was run here", () => {
      inPlace(() => {
        const variable = new ContextVar<number>("level");
        const context = new Context();
        const token = context.run(() => variable.set(1));
        assert.throws(() => variable.reset(token), {
          name: "ValueError",
          code: "ERR_TOKEN_OTHER_CONTEXT",
          message: /was created in a different Context/,
        });
        context.run(() => variable.reset(token));
        assert.equal(context.has(variable), false);
      });
    });

    it("ContextVar.reset() raises ValueError when the token was made around the Context.run()", () => {
      inPlace(() => {
        const variable = new ContextVar<number>("level");
        const token = variable.set(1);
        const copy = copyContext();
        assert.throws(() => copy.run(() => variable.reset(token)), { code: "ERR_TOKEN_OTHER_CONTEXT" });
        assert.equal(copy.get(variable), 1);
        variable.reset(token);
        assert.equal(variable.get(0), 0);
      });
    });

    it("ContextVar.reset() asks first whether the token is used, then for the variable, then for the Context", () => {
      inPlace(() => {
        const [one, two] = [new ContextVar<number>("one"), new ContextVar<number>("two")];
        const context = new Context();
        const token = context.run(() => one.set(1));
        // Wrong in the last two ways: the variable is told first.
        assert.throws(() => two.reset(token), { code: "ERR_TOKEN_OTHER_VAR" });
        assert.throws(() => one.reset(token), { code: "ERR_TOKEN_OTHER_CONTEXT" });
        context.run(() => one.reset(token));
        // Wrong in all three ways: its use is told first.
        assert.throws(() => two.reset(token), { code: "ERR_TOKEN_USED" });
        assert.throws(() => one.reset(token), { code: "ERR_TOKEN_USED" });
      });
    });

    it("ContextVar.reset() keeps the variables apart that were set in between", () => {
      inPlace(() => {
        const [one, two] = [new ContextVar<number>("one"), new ContextVar<number>("two")];
        const token = one.set(1);
        two.set(2);
        one.reset(token);
        assert.equal(one.get(0), 0);
        assert.equal(two.get(), 2);
      });
    });

    it("ContextVar remembers nothing wrong when many Contexts take turns", () => {
      inPlace(() => {
        const variable = new ContextVar("turn", { default: -1 });
        const contexts = Array.from({ length: 5 }, () => new Context());
        contexts.forEach((context, i) => {
          context.run(() => variable.set(i));
        });
        for (let round = 0; round < 3; round++) {
          contexts.forEach((context, i) => {
            assert.equal(
              context.run(() => variable.get()),
              i,
            );
            assert.equal(variable.get(), -1);
          });
        }
      });
    });
  });
}

describe("ContextVar.reset() with something that is no token", () => {
  for (const [value, shown] of [
    [undefined, "undefined"],
    [null, "null"],
    [1, "1"],
    ["token", "'token'"],
    [{}, "\\{\\}"],
    [new ContextVar("other"), "<ContextVar name='other' at 0x[0-9a-f]+>"],
  ] as const) {
    it(`ContextVar.reset() raises TypeError and names the value when it is ${shown}`, () => {
      const variable = new ContextVar<number>("level");
      const message = new RegExp(`expected an instance of Token, got ${shown}`);
      assert.throws(() => variable.reset(value as never), { name: "TypeError", message });
    });
  }
});

describe("ContextVar.reset() outside Context.run()", () => {
  it("ContextVar.reset() takes a token of another flow when both are outside", async () => {
    const variable = new ContextVar<number>("level");
    const token = await Promise.resolve().then(() => variable.set(1));
    assert.equal(variable.get(0), 0, "the other flow's value");
    variable.reset(token);
    assert.throws(() => variable.reset(token), { code: "ERR_TOKEN_USED" });
  });

  it("ContextVar.reset() raises ValueError in an isolated() call for a token from around it", () => {
    const variable = new ContextVar<number>("level");
    const token = variable.set(1);
    assert.throws(
      isolated(() => variable.reset(token)),
      { code: "ERR_TOKEN_OTHER_CONTEXT" },
    );
    variable.reset(token);
  });
});

describe("ContextVar as text", () => {
  it("ContextVar prints as in Python, with String() and util.inspect()", () => {
    const variable = new ContextVar("user");
    assert.match(String(variable), /^<ContextVar name='user' at 0x[0-9a-f]{12}>$/);
    assert.equal(inspect(variable), String(variable));
    assert.equal(`${variable}`, String(variable));
    assert.equal(inspect({ nested: [variable] }), `{ nested: [ ${String(variable)} ] }`);
  });

  it("ContextVar prints its default when it has one, also undefined", () => {
    const text = (options: { default?: unknown }): string =>
      String(new ContextVar("a", options)).replace(/0x[0-9a-f]+/g, "0x");
    assert.equal(text({ default: 123 }), "<ContextVar name='a' default=123 at 0x>");
    assert.equal(text({ default: "x" }), "<ContextVar name='a' default='x' at 0x>");
    assert.equal(text({ default: undefined }), "<ContextVar name='a' default=undefined at 0x>");
    assert.equal(text({}), "<ContextVar name='a' at 0x>");
  });

  it("ContextVar prints ... where its default contains the variable itself", () => {
    const list: unknown[] = [];
    const variable = new ContextVar("a", { default: list });
    list.push(variable, list);
    const address = /0x[0-9a-f]+/.exec(String(variable))?.[0];
    const inner = `<ContextVar name='a' default=[...] at ${address}>`;
    assert.equal(String(variable), `<ContextVar name='a' default=[${inner}, [...]] at ${address}>`);
    const object: Record<string, unknown> = {};
    const other = new ContextVar("b", { default: object });
    object["me"] = other;
    assert.match(String(other), /^<ContextVar name='b' default=\{'me': <ContextVar name='b' default=\{\.\.\.\} at /);
  });

  it("ContextVar prints the same address each time, and no two the same", () => {
    const [one, two] = [new ContextVar("a"), new ContextVar("a")];
    assert.equal(String(one), String(one));
    assert.notEqual(String(one), String(two));
  });

  it("ContextVar becomes its text in JSON, since there is no way to store one", () => {
    const variable = new ContextVar("user", { default: "secret" });
    assert.equal(JSON.stringify({ variable }), JSON.stringify({ variable: String(variable) }));
  });

  it("ContextVar shows no internals to enumeration but its hash", () => {
    assert.deepEqual(Object.keys(new ContextVar("user", { default: 1 })), ["_hash"]);
  });
});

describe("ContextVar.get() that finds no value", () => {
  /** What the error says of where it was asked; what calls the function may come later. */
  const placeSaid = async (play: (ask: () => void) => unknown): Promise<string | undefined> => {
    const variable = new ContextVar<string>("user");
    new Context().run(() => variable.set("ada"));
    const message = await new Promise<string>((resolve, reject) => {
      const ask = (): void => {
        try {
          reject(new Error(`has a value: ${variable.get()}`));
        } catch (error) {
          resolve((error as Error).message);
        }
      };
      inOwnFlow(() => void play(ask));
    });
    assert.match(
      message,
      /^<ContextVar name='user' at \w+> has no value in the current context, but had one in another/,
    );
    return /this code runs (.+?);/.exec(message)?.[1];
  };
  const onNode = runtime.startsWith("node");
  const outside = (kind: string): string =>
    onNode ? `outside all tasks, in a callback of ${kind}` : "outside all tasks";

  const asked: Readonly<
    Record<string, { readonly play: (ask: () => void) => unknown; readonly place: string | RegExp }>
  > = {
    "another Context": { play: (ask) => new Context().run(ask), place: "in a Context.run()" },
    "a task": {
      play: (ask) => asyncio.createTask(async () => ask(), { name: "reader" }),
      place: /^in <Task .*name='reader'/,
    },
    "a timer": { play: (ask) => setTimeout(ask, 1), place: outside("Timeout") },
    "a callback of fs": { play: (ask) => stat(".", ask), place: outside("FSReqCallback") },
    "a server of node:net": {
      play: (ask) => {
        const server = createServer((socket) => {
          socket.destroy();
          server.close();
          ask();
        });
        server.listen(0, "127.0.0.1", () =>
          connect((server.address() as AddressInfo).port, "127.0.0.1").on("error", () => {}),
        );
      },
      place: outside("TCP"),
    },
  };
  for (const [name, { play, place }] of Object.entries(asked)) {
    it(`ContextVar.get() that finds no value says that it was asked in ${name}`, async () => {
      const said = await placeSaid(play);
      if (typeof place === "string") {
        assert.equal(said, place);
      } else {
        assert.match(said ?? "", place);
      }
    });
  }

  it("ContextVar.get() that finds no value says no more than that when the variable was never set", () => {
    assert.throws(() => new ContextVar("user").get(), {
      message: /in the current context; give it a default or call set\(\) first$/,
    });
  });
});
