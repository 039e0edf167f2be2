/** What crosses, in which form, and what cannot. */
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { context, propagation } from "@opentelemetry/api";
import { type Context, ContextVar, copyContext, ValueError } from "contextvars";
import { ContextVarsContextManager } from "contextvars/opentelemetry";
import { type Carrier, extract, inject, propagated, type Rejected } from "contextvars/propagate";
import fc from "fast-check";
import { runCommand } from "../support/commands.ts";
import { programPath } from "../support/paths.ts";

const text = propagated(new ContextVar<string>("text"));
const json = propagated(new ContextVar<unknown>("json"), { codec: "json" });
const big = propagated(new ContextVar<bigint>("big"), { codec: { encode: String, decode: BigInt }, maxLength: 40 });
const secret = new ContextVar<string>("secret");

const carriers: Readonly<Record<string, () => Carrier>> = {
  "a plain object": () => ({}),
  "an object without a prototype": () => Object.create(null) as Carrier,
  Headers: () => new Headers(),
  "a Map": () => new Map<string, string>(),
  "a copy of the environment": () => ({ ...process.env }),
};

function injectWith<C extends Carrier>(set: () => void, carrier: C): C {
  return copyContext().run(() => {
    set();
    return inject(carrier);
  });
}

function rejectedBy(f: () => void): Rejected[] {
  const all: Rejected[] = [];
  const listener = (message: unknown): void => {
    all.push(message as Rejected);
  };
  subscribe("contextvars:propagate:rejected", listener);
  try {
    f();
  } finally {
    unsubscribe("contextvars:propagate:rejected", listener);
  }
  return all;
}

/** Calls the function while OpenTelemetry has a propagator that writes this baggage. */
function withPropagator(baggage: string, f: () => void): void {
  context.setGlobalContextManager(new ContextVarsContextManager());
  propagation.setGlobalPropagator({
    inject(_context, carrier, setter) {
      setter.set(carrier, "traceparent", "trace");
      setter.set(carrier, "baggage", baggage);
    },
    extract: (extracted) => extracted,
    fields: () => ["traceparent", "baggage"],
  });
  try {
    f();
  } finally {
    propagation.disable();
    context.disable();
  }
}

function baggageIn(carrier: Carrier): unknown {
  return typeof carrier.get === "function" ? carrier.get("baggage") : carrier["baggage" as never];
}

describe("inject() and extract()", () => {
  for (const [name, make] of Object.entries(carriers)) {
    it(`carry every value over ${name}`, () => {
      fc.assert(
        fc.property(
          fc.string({ unit: "grapheme", maxLength: 60 }),
          fc.jsonValue(),
          fc.bigInt(0n, 2n ** 100n),
          (a, b, c) => {
            fc.pre(encodeURIComponent(a).length <= 1024 && encodeURIComponent(JSON.stringify(b)).length <= 1024);
            const set = (): void => {
              text.set(a);
              json.set(b);
              big.set(c);
            };
            const context = extract(injectWith(set, make()));
            assert.equal(context.get(text), a);
            assert.deepEqual(context.get(json), JSON.parse(JSON.stringify(b)));
            assert.equal(context.get(big), c);
          },
        ),
      );
    });
  }

  it("carry nothing that was not named", () => {
    const carrier = injectWith(() => {
      secret.set("hunter2");
      text.set("a");
    }, {});
    assert.deepEqual(carrier, { baggage: "text=a" });
    assert.equal(extract({ baggage: "secret=x" }).has(secret), false);
  });

  it("leave a carrier alone in which nothing is to be written", () => {
    assert.deepEqual(inject(), {});
    assert.equal([...inject(new Headers()).keys()].length, 0);
  });

  it("keep the members of others, with their properties, and replace their own", () => {
    const carrier = injectWith(() => text.set("new"), { Baggage: "a=1;p=2 , text=old,b = 3" });
    assert.deepEqual(carrier, { Baggage: "a=1;p=2,b = 3,text=new" });
  });

  it("take several headers of one name as one list, and the last member of a key", () => {
    assert.equal(extract({ baggage: ["text=a", "text=b;p"] }).get(text), "b");
  });

  it("use a setter and a getter for carriers of another kind", () => {
    const frames: [string, string][] = [];
    copyContext().run(() => {
      text.set("a b");
      inject(frames, { setter: { set: (list, key, value) => list.push([key, value]) } });
    });
    assert.deepEqual(frames, [["baggage", "text=a%20b"]]);
    const getter = {
      get: (list: typeof frames, key: string) => list.find(([name]) => name === key)?.[1],
      keys: (list: typeof frames) => list.map(([name]) => name),
    };
    assert.equal(extract(frames, { getter }).get(text), "a b");
  });

  for (const [name, make] of Object.entries(carriers)) {
    it(`keep the baggage of OpenTelemetry beside what ${name} had, with a variable and without one`, () => {
      for (const [set, expected] of [
        [() => {}, "had=1,theirs=2,both=2"],
        [() => text.set("ours"), "had=1,theirs=2,both=2,text=ours"],
      ] as const) {
        const carrier = make();
        withPropagator("had=1,both=1", () => inject(carrier));
        withPropagator("theirs=2,both=2", () => injectWith(set, carrier));
        assert.equal(baggageIn(carrier), expected);
      }
    });
  }

  it("write the baggage once by a setter of the program's own", () => {
    withPropagator("theirs=2", () => {
      const frames: [string, string][] = [];
      copyContext().run(() => {
        text.set("ours");
        inject(frames, { setter: { set: (list, key, value) => list.push([key, value]) } });
      });
      assert.deepEqual(frames, [
        ["traceparent", "trace"],
        ["baggage", "theirs=2,text=ours"],
      ]);
    });
  });

  it("start from a copy of the current Context", () => {
    const context = copyContext();
    context.run(() => {
      secret.set("inner");
      const extracted: Context = extract({ baggage: "text=a" });
      assert.equal(extracted.get(secret), "inner");
      assert.equal(copyContext().has(text), false);
    });
  });
});

describe("inject()", () => {
  it("throws a ValueError for a value that cannot be encoded, and leaves the carrier as it was", () => {
    const impossible: [string, () => void][] = [
      ["no string under codec text", () => text.set(1 as never)],
      ["a lone surrogate", () => text.set("\ud800")],
      ["what JSON cannot write", () => json.set(() => {})],
      [
        "a cycle",
        () =>
          json.set(Object.assign([], [[]]).map((_: unknown, __: number, all: unknown[]) => all.push(all) && all)[0]),
      ],
      ["more than maxLength", () => big.set(10n ** 41n)],
    ];
    for (const [why, set] of impossible) {
      const carrier = { baggage: "other=1" };
      assert.throws(() => injectWith(set, carrier), ValueError, why);
      assert.deepEqual(carrier, { baggage: "other=1" }, why);
    }
  });

  it("throws a TypeError for what can carry nothing", () => {
    for (const [carrier, message] of [
      [null, /got null/],
      [5, /got number/],
      ["baggage", /got string/],
      [["baggage", "a=1"], /got an array/],
    ] as const) {
      assert.throws(() => inject(carrier as never), { name: "TypeError", message });
    }
  });

  it("leaves out its last members beyond 64 members or 8,192 bytes, and warns once for each key", async () => {
    const warnings: Error[] = [];
    const listener = (warning: Error): void => {
      warnings.push(warning);
    };
    process.on("warning", listener);
    const full = Array.from({ length: 63 }, (_, index) => `k${index}=1`).join(",");
    const long = `k=${"x".repeat(8192 - 10)}`;
    const set = (): void => {
      text.set("é");
      json.set(1);
    };
    for (let round = 0; round < 2; round += 1) {
      assert.equal(injectWith(set, { baggage: full }).baggage, `${full},text=%C3%A9`);
      assert.equal(injectWith(set, { baggage: long }).baggage, long);
    }
    await new Promise(setImmediate);
    process.off("warning", listener);
    const ours = warnings.filter(({ name, message }) => name === "RuntimeWarning" && message.includes("baggage"));
    const names = ours.map(({ message }) => /name='(\w+)'/.exec(message)?.[1]);
    // The last registered goes first.
    assert.deepEqual(names, ["json", "text"]);
  });
});

describe("extract()", () => {
  it("leaves a variable as it was whose value cannot be decoded, and tells the channel why", () => {
    const bad: Record<string, string> = { text: "%", json: "%7B", big: "1x", "big ": "9".repeat(41) };
    for (const [key, value] of Object.entries(bad)) {
      let context = copyContext();
      const rejected = rejectedBy(() => {
        context = extract({ baggage: `${key}=${value}` });
      });
      assert.equal(context.size, copyContext().size);
      assert.deepEqual(
        rejected.map((one) => [one.key, one.value]),
        [[key.trim(), value]],
      );
    }
  });

  it("never throws, whatever the carrier is", () => {
    const hostile: unknown[] = [
      undefined,
      null,
      1,
      "baggage",
      Symbol("x"),
      [],
      { baggage: 1 },
      { baggage: [1, null, {}] },
      { baggage: ["text=a", Symbol("x")] },
      { baggage: ",,=,;=;,=a,text" },
      Object.defineProperty({}, "baggage", { enumerable: true, get: () => assert.fail("a getter that throws") }),
      Proxy.revocable({}, {}).proxy,
      (() => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return proxy;
      })(),
      { get: () => assert.fail("get() throws"), set: () => {} },
    ];
    for (const carrier of hostile) {
      extract(carrier as Carrier);
    }
    fc.assert(
      fc.property(fc.anything(), (carrier) => {
        extract(carrier as Carrier);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (baggage) => {
        extract({ baggage });
        extract({ baggage: `text=${baggage}` });
      }),
    );
  });

  it("does not read beyond maxLength, and takes a header of a million members", () => {
    const header = `${"text=a,".repeat(1_000_000)}text=last`;
    assert.equal(extract({ baggage: header }).get(text), "last");
    assert.equal(extract({ baggage: `text=${"%".repeat(1_000_000)}` }).has(text), false);
  });
});

describe("propagated()", () => {
  it("returns the variable, and refuses a key twice", () => {
    const variable = new ContextVar("twice");
    assert.equal(propagated(variable), variable);
    assert.throws(() => propagated(new ContextVar("twice")), { name: "ValueError", code: "ERR_KEY_TAKEN" });
  });

  it("refuses what it cannot use, and says what it wants", () => {
    const variable = new ContextVar<string>("fine");
    const refused: [unknown, unknown, string][] = [
      [{}, {}, "TypeError"],
      [undefined, {}, "TypeError"],
      [variable, null, "TypeError"],
      [variable, { keys: "x" }, "TypeError"],
      [variable, { codec: "xml" }, "TypeError"],
      [variable, { codec: { encode: String } }, "TypeError"],
      [variable, { key: "a b" }, "ValueError"],
      [variable, { key: "" }, "ValueError"],
      [variable, { key: "a,b" }, "ValueError"],
      [variable, { key: "é" }, "ValueError"],
      [new ContextVar("with space"), {}, "ValueError"],
      ...[0, -1, 1.5, Number.NaN].map((maxLength): [unknown, unknown, string] => [
        variable,
        { maxLength },
        "ValueError",
      ]),
    ];
    for (const [first, options, name] of refused) {
      assert.throws(() => propagated(first as ContextVar<string>, options as object), { name });
    }
  });
});

describe("values that cross", () => {
  it("reach an HTTP server, a request for each", async () => {
    const server = createServer((incoming: IncomingMessage, response) => {
      response.end(extract(incoming.headers).run(() => text.get("nobody")));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const ask = async (name: string): Promise<string> => {
      const headers = injectWith(() => text.set(name), { accept: "*/*" });
      const [response] = (await once(request({ port, host: "127.0.0.1", headers }).end(), "response")) as [
        IncomingMessage,
      ];
      let body = "";
      for await (const chunk of response) {
        body += String(chunk);
      }
      return body;
    };
    const names = Array.from({ length: 20 }, (_, index) => `user ${index}, née=;"`);
    assert.deepEqual(await Promise.all(names.map(ask)), names);
    server.close();
  });

  it("reach a worker thread by its data", async () => {
    const workerData = injectWith(() => text.set("from the parent"), {});
    const worker = new Worker(programPath("propagate-child.js"), { workerData });
    const [answer] = (await once(worker, "message")) as [string];
    assert.equal(answer, "from the parent");
    await worker.terminate();
  });

  it("reach another process by its environment", async () => {
    const env = injectWith(() => text.set("from the parent"), { ...process.env });
    const { stdout, stderr } = await runCommand(process.execPath, [programPath("propagate-child.js")], {
      env,
      timeout: 20,
    });
    assert.equal(stderr, "");
    assert.equal(stdout, "from the parent\n");
  });
});
