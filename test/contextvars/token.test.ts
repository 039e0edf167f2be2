import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { Context, ContextVar, LookupError, RuntimeError, Token } from "contextvars";
import { places } from "../support/places.ts";

const Unchecked = Token as unknown as new (...args: unknown[]) => Token<unknown>;

/** Calls the function and returns what it throws. */
function thrown(callable: () => unknown): unknown {
  try {
    callable();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}

describe("new Token()", () => {
  for (const args of [[], ["user"], [Symbol("made by ContextVar.set()"), new ContextVar("user"), 1, null]]) {
    it(`new Token() raises RuntimeError when called with ${args.length} arguments`, () => {
      assert.throws(() => new Unchecked(...args), {
        name: "RuntimeError",
        code: "ERR_TOKEN_CONSTRUCTED",
        message: /^Tokens can only be created by ContextVars/,
      });
    });
  }

  it("Token raises TypeError when a subclass is constructed", () => {
    class Special extends Unchecked {}
    assert.throws(() => new Special(), { name: "TypeError", message: /'Token' is not an acceptable base type/ });
  });

  it("Token() raises TypeError when called without new", () => {
    assert.throws(() => (Token as unknown as () => void)(), TypeError);
  });
});

for (const { place, inPlace } of places) {
  describe(`Token ${place}`, () => {
    it("Token.var is the variable and Token.oldValue what it was before", () => {
      inPlace(() => {
        const variable = new ContextVar<string>("user", { default: "default" });
        const first = variable.set("ada");
        const second = variable.set("grace");
        assert.equal(first.var, variable);
        assert.equal(first.oldValue, Token.MISSING, "a default is no value");
        assert.equal(second.oldValue, "ada");
        variable.reset(second);
        assert.equal(second.oldValue, "ada", "the token keeps it after its use");
      });
    });

    it("Token has read-only var and oldValue", () => {
      inPlace(() => {
        const token = new ContextVar<number>("level").set(1);
        assert.throws(() => Object.assign(token, { var: 1 }), TypeError);
        assert.throws(() => Object.assign(token, { oldValue: 1 }), TypeError);
      });
    });

    it("Token resets its variable at the end of the block when used with using", () => {
      inPlace(() => {
        const variable = new ContextVar("level", { default: 42 });
        {
          using token = variable.set(36);
          assert.equal(token.var, variable);
          assert.equal(variable.get(), 36);
        }
        assert.equal(variable.get(), 42);
        const without = new ContextVar<number>("level");
        {
          using _ = without.set(1);
        }
        assert.throws(() => without.get(), LookupError);
      });
    });

    it("Token resets to the value before its own set() when the block sets more", () => {
      inPlace(() => {
        const variable = new ContextVar<number>("level");
        variable.set(1);
        {
          using _ = variable.set(2);
          variable.set(3);
          variable.set(4);
        }
        assert.equal(variable.get(), 1);
      });
    });

    it("Token undoes nested blocks one after the other", () => {
      inPlace(() => {
        const variable = new ContextVar("level", { default: 0 });
        {
          using _outer = variable.set(1);
          {
            using _inner = variable.set(2);
            assert.equal(variable.get(), 2);
          }
          assert.equal(variable.get(), 1);
        }
        assert.equal(variable.get(), 0);
      });
    });

    it("Token resets if the block throws, and the error propagates unchanged", () => {
      inPlace(() => {
        const variable = new ContextVar("level", { default: 0 });
        const error = new Error("from the block");
        const caught = thrown(() => {
          using _ = variable.set(1);
          throw error;
        });
        assert.equal(caught, error);
        assert.equal(variable.get(), 0);
      });
    });

    it("Token raises RuntimeError at the end of the block when it was used inside", () => {
      inPlace(() => {
        const variable = new ContextVar("level", { default: 0 });
        const caught = thrown(() => {
          using token = variable.set(1);
          variable.reset(token);
          assert.equal(variable.get(), 0);
        });
        assert.ok(caught instanceof RuntimeError);
        assert.match(caught.message, /has already been used once/);
        assert.equal(variable.get(), 0);
      });
    });

    it("Token may see tokens of inner set() calls used inside the block", () => {
      inPlace(() => {
        const variable = new ContextVar("level", { default: 0 });
        {
          using _ = variable.set(1);
          const inner = variable.set(2);
          variable.reset(inner);
          assert.equal(variable.get(), 1);
        }
        assert.equal(variable.get(), 0);
      });
    });

    it("Token raises RuntimeError when disposed twice", () => {
      inPlace(() => {
        const variable = new ContextVar("level", { default: 0 });
        const token = variable.set(1);
        token[Symbol.dispose]();
        variable.set(2);
        assert.throws(() => token[Symbol.dispose](), { code: "ERR_TOKEN_USED" });
        assert.equal(variable.get(), 2);
      });
    });

    it("Token raises RuntimeError at the end of the outer block when two blocks use it", () => {
      inPlace(() => {
        const variable = new ContextVar("level", { default: 0 });
        const caught = thrown(() => {
          using outer = variable.set(1);
          {
            using _again = outer;
            assert.equal(variable.get(), 1);
          }
          assert.equal(variable.get(), 0);
        });
        assert.match(String(caught), /RuntimeError: .* has already been used once/);
        assert.equal(variable.get(), 0);
      });
    });

    it("Token that cannot be reset gives a SuppressedError with both errors when the block throws too", () => {
      inPlace(() => {
        const variable = new ContextVar("level", { default: 0 });
        const fromBlock = new Error("from the block");
        const caught = thrown(() => {
          using token = variable.set(1);
          variable.reset(token);
          throw fromBlock;
        }) as SuppressedError;
        assert.equal(caught.name, "SuppressedError");
        assert.ok(caught.error instanceof RuntimeError);
        assert.equal(caught.suppressed, fromBlock);
        if (typeof SuppressedError === "function") {
          assert.ok(caught instanceof SuppressedError);
        }
      });
    });

    it("Token raises ValueError when disposed in another Context, and stays usable", () => {
      inPlace(() => {
        const variable = new ContextVar("level", { default: 0 });
        const context = new Context();
        const token = context.run(() => variable.set(1));
        assert.throws(() => token[Symbol.dispose](), { code: "ERR_TOKEN_OTHER_CONTEXT" });
        context.run(() => token[Symbol.dispose]());
        assert.equal(context.has(variable), false);
      });
    });

    it("Token resets at the end of an async block, after awaits", async () => {
      await inPlace(async () => {
        const variable = new ContextVar("level", { default: 0 });
        {
          using _ = variable.set(1);
          await new Promise((resolve) => setImmediate(resolve));
          assert.equal(variable.get(), 1);
        }
        assert.equal(variable.get(), 0);
        await null;
        assert.equal(variable.get(), 0);
      });
    });

    it("Token prints as in Python, with ' used' after its use", () => {
      inPlace(() => {
        const variable = new ContextVar<number>("a");
        const token = variable.set(1);
        const before = String(token);
        assert.match(before, /^<Token var=<ContextVar name='a' at 0x[0-9a-f]{12}> at 0x[0-9a-f]{12}>$/);
        assert.ok(before.includes(String(variable)));
        assert.equal(inspect(token), before);
        assert.equal(JSON.stringify([token]), JSON.stringify([before]));
        variable.reset(token);
        assert.equal(String(token), before.replace("<Token", "<Token used"));
        assert.equal(inspect(token), String(token));
      });
    });
  });
}

describe("Token.MISSING", () => {
  it("Token.MISSING is one symbol for the whole process", () => {
    assert.equal(typeof Token.MISSING, "symbol");
    assert.equal(Token.MISSING, Symbol.for("contextvars.Token.MISSING"));
  });
});
