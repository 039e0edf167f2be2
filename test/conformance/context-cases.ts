/** The cases of CPython's ContextTest: what each one is about, asked on both sides. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Context, ContextVar, copyContext, Token } from "contextvars";
import type { Json } from "../support/cpython.ts";
import { outcome, shown, told } from "../support/outcomes.ts";
import { programPath } from "../support/paths.ts";

/** One case: both sides have to give the same. */
export interface Case {
  /** CPython's own name of the test. */
  readonly id: string;
  /** What it is about. */
  readonly about: string;
  /** The body of a Python function; or what Python gives, where the runtime of the oracle cannot do it. */
  readonly python: string | { readonly gives: Json };
  readonly here: () => Json | Promise<Json>;
}

/** For arguments that the types forbid. */
const AnyContextVar = ContextVar as new (...args: unknown[]) => ContextVar<unknown>;
const AnyContext = Context as new (...args: unknown[]) => Context;
const AnyToken = Token as unknown as new (...args: unknown[]) => Token<unknown>;

/** Calls the function in an empty Context. */
function fresh<R>(callable: () => R): R {
  return new Context().run(callable);
}

/** A worker that gives the value of a variable, several times while others do the same. */
async function inWorker(value: string | null): Promise<Json> {
  const worker = new Worker(programPath("variable-worker.js"), { workerData: value });
  const [seen] = (await once(worker, "message")) as [Json];
  await worker.terminate();
  return seen;
}

export const contextCases: readonly Case[] = [
  {
    id: "test_context_var_new_1",
    about: "a variable needs a name that is a string, and keeps it",
    python: `
v = ContextVar("aaa")
return [
    outcome(lambda: shown(ContextVar())),
    outcome(lambda: shown(ContextVar(1))),
    outcome(lambda: shown(ContextVar(None))),
    v.name,
    outcome(lambda: setattr(v, "name", "bbb"))["raised"] in ("AttributeError", "TypeError"),
    v.name,
]`,
    here() {
      const variable = new ContextVar("aaa");
      let refused = false;
      try {
        Object.assign(variable, { name: "bbb" });
      } catch {
        refused = true;
      }
      return [
        outcome(() => shown(new AnyContextVar())),
        outcome(() => shown(new AnyContextVar(1))),
        outcome(() => shown(new AnyContextVar(null))),
        variable.name,
        refused,
        variable.name,
      ];
    },
  },
  {
    id: "test_context_var_repr_1",
    about: "the text of a variable has name and default, that of a token the variable and whether it is used",
    python: `
plain = ContextVar("a")
number = ContextVar("b", default=123)
text = ContextVar("c'd", default="it's")
inside = []
loop = ContextVar("e", default=inside)
inside.append(loop)
inside.append(inside)
def tokens():
    token = plain.set(1)
    before = shown(token)
    plain.reset(token)
    return [before, shown(token)]
return [shown(plain), shown(number), shown(text), shown(loop), "..." in repr(inside), fresh(tokens)]`,
    here() {
      const plain = new ContextVar<number>("a");
      const number = new ContextVar("b", { default: 123 });
      const text = new ContextVar("c'd", { default: "it's" });
      const inside: unknown[] = [];
      const loop = new ContextVar("e", { default: inside });
      inside.push(loop, inside);
      const tokens = (): Json => {
        const token = plain.set(1);
        const before = shown(token);
        plain.reset(token);
        return [before, shown(token)];
      };
      const list = new ContextVar("list", { default: inside });
      return [shown(plain), shown(number), shown(text), shown(loop), shown(list).includes("..."), fresh(tokens)];
    },
  },
  {
    id: "test_token_repr_1",
    about: "the whole text of a token",
    python: `
return fresh(lambda: shown(ContextVar("a").set(1)))`,
    here: () => fresh(() => shown(new ContextVar<number>("a").set(1))),
  },
  {
    id: "test_context_subclassing_1",
    about: "none of the three classes can be subclassed",
    python: `
def subclass(base):
    class Special(base):
        pass
    return "subclassed"
return [outcome(subclass, base) for base in (ContextVar, Context, Token)]`,
    here: () =>
      [AnyContextVar, AnyContext, AnyToken].map((base) =>
        outcome(() => {
          class Special extends (base as new (...args: unknown[]) => object) {}
          return typeof new Special("name");
        }),
      ),
  },
  {
    id: "test_context_new_1",
    about: "a Context takes no arguments",
    python: `
return [outcome(lambda: shown(Context(1))), outcome(lambda: shown(Context(1, a=2))), outcome(lambda: shown(Context()))]`,
    here: () => [
      outcome(() => shown(new AnyContext(1))),
      outcome(() => shown(new AnyContext(1, { a: 2 }))),
      outcome(() => shown(new AnyContext())),
    ],
  },
  {
    id: "test_context_new_unhashable_str_subclass",
    about: "a name that only looks like a string is refused",
    python: `
class Unhashable(str):
    __hash__ = None
return outcome(lambda: shown(ContextVar(Unhashable("name"))))["raised"]`,
    here: () => (outcome(() => shown(new AnyContextVar(Object("name")))) as { raised: Json }).raised,
  },
  {
    id: "test_context_typerrors_1",
    about: "a key that is no variable is refused by each way to ask",
    python: `
ctx = Context()
return [
    outcome(lambda: ctx[1]), outcome(lambda: 1 in ctx), outcome(lambda: ctx.get(1)), outcome(lambda: ctx.get(1, "d")),
    outcome(lambda: ctx["name"]), outcome(lambda: "name" in ctx), outcome(lambda: ctx.get(ctx)),
]`,
    here() {
      const context = new Context();
      const no = (value: unknown): never => value as never;
      return [
        outcome(() => context.getItem(no(1))),
        outcome(() => context.has(no(1))),
        outcome(() => context.get(no(1)) as Json),
        outcome(() => context.get(no(1), "d")),
        outcome(() => context.getItem(no("name"))),
        outcome(() => context.has(no("name"))),
        outcome(() => context.get(no(context)) as Json),
      ];
    },
  },
  {
    id: "test_context_get_context_1",
    about: "copy_context() gives a Context",
    python: "return [isinstance(copy_context(), Context), copy_context() is copy_context()]",
    here() {
      const [one, other] = [copyContext(), copyContext()];
      return [one instanceof Context, one === other];
    },
  },
  {
    id: "test_context_run_1",
    about: "run() needs a function",
    python: `
ctx = Context()
return [outcome(lambda: ctx.run()), outcome(lambda: ctx.run(42))["raised"], len(ctx)]`,
    here() {
      const context = new Context();
      const run = (...args: unknown[]): Json => context.run(...(args as [() => Json]));
      return [outcome(() => run()), (outcome(() => run(42)) as { raised: Json }).raised, context.size];
    },
  },
  {
    id: "test_context_run_2",
    about: "run() passes arguments and result, and changes nothing about them",
    python: `
import functools
ctx = Context()
def function(*args, **options):
    result = [list(args), dict(options)]
    options["changed"] = True
    return result
options = {"a": 1, "b": [2]}
return [
    ctx.run(function, {}) [0], ctx.run(function, 1, "two", None)[0], ctx.run(function, **options)[1],
    ctx.run(functools.partial(function, 1), 2, 3)[0], options,
]`,
    here() {
      const context = new Context();
      const positional = (...args: Json[]): Json => args;
      const keyword = (options: { readonly [key: string]: Json }): Json => {
        const copy = { ...options };
        Object.assign(copy, { changed: true });
        return { ...options };
      };
      const options = { a: 1, b: [2] };
      return [
        context.run(positional, {}),
        context.run(positional, 1, "two", null),
        context.run(keyword, options),
        context.run(positional.bind(null, 1), 2, 3),
        options,
      ];
    },
  },
  {
    id: "test_context_run_3",
    about: "errors come out as they are, whatever the function was called with",
    python: `
ctx = Context()
error = ZeroDivisionError("mine")
def fails(*args, **options):
    raise error
def identity(function, *args, **options):
    try:
        ctx.run(function, *args, **options)
    except BaseException as caught:
        return caught is error
return [identity(fails), identity(fails, 1), identity(fails, 1, 2), identity(fails, a=1), identity(fails, 1, a=1)]`,
    here() {
      const context = new Context();
      const error = new Error("mine");
      const fails = (..._args: Json[]): void => {
        throw error;
      };
      const identity = (...args: Json[]): boolean => {
        try {
          context.run(fails, ...args);
        } catch (caught) {
          return caught === error;
        }
        return false;
      };
      return [identity(), identity(1), identity(1, 2), identity({ a: 1 }), identity(1, { a: 1 })];
    },
  },
  {
    id: "test_context_run_4",
    about: "run() of another Context inside hides the value; a copy has it and is equal",
    python: `
ctx1, ctx2, var = Context(), Context(), ContextVar("var")
seen = []
def inner():
    seen.append(var.get(None))
    var.set("inner")
def outer():
    var.set("outer")
    ctx2.run(inner)
    seen.append(var.get())
    copy = copy_context()
    seen.extend([len(copy), copy == ctx1, copy == ctx2, copy[var], var in copy])
ctx1.run(outer)
return [seen, ctx1[var], ctx2[var], ctx1 == ctx2, len(ctx1), len(ctx2)]`,
    here() {
      const [ctx1, ctx2, variable] = [new Context(), new Context(), new ContextVar<string>("var")];
      const seen: Json[] = [];
      ctx1.run(() => {
        variable.set("outer");
        ctx2.run(() => {
          seen.push(variable.get(null));
          variable.set("inner");
        });
        seen.push(variable.get());
        const copy = copyContext();
        seen.push(copy.size, copy.equals(ctx1), copy.equals(ctx2), copy.getItem(variable), copy.has(variable));
      });
      return [seen, ctx1.getItem(variable), ctx2.getItem(variable), ctx1.equals(ctx2), ctx1.size, ctx2.size];
    },
  },
  {
    id: "test_context_run_5",
    about: "what was set before an error does not leak out of run(), but stays in the Context",
    python: `
ctx, var = Context(), ContextVar("var")
def fails():
    var.set("inside")
    1 / 0
try:
    ctx.run(fails)
    raised = False
except ZeroDivisionError:
    raised = True
return [raised, var.get(None), ctx[var]]`,
    here() {
      const [context, variable] = [new Context(), new ContextVar<string>("var")];
      let raised = false;
      try {
        context.run(() => {
          variable.set("inside");
          throw new Error("out");
        });
      } catch {
        raised = true;
      }
      return [raised, variable.get(null), context.getItem(variable)];
    },
  },
  {
    id: "test_context_run_6",
    about: "the Context is a live mapping that knows no defaults",
    python: `
ctx, var = Context(), ContextVar("var", default=0)
seen = []
def inside():
    seen.append([var.get(), ctx.get(var), var in ctx, len(ctx)])
    var.set(42)
    seen.append([var.get(), ctx.get(var), var in ctx, len(ctx)])
ctx.run(inside)
return [seen, var.get(), ctx.get(var)]`,
    here() {
      const [context, variable] = [new Context(), new ContextVar("var", { default: 0 })];
      const look = (): Json => [variable.get(), context.get(variable) ?? null, context.has(variable), context.size];
      const seen: Json[] = [];
      context.run(() => {
        seen.push(look());
        variable.set(42);
        seen.push(look());
      });
      return [seen, variable.get(), context.get(variable) ?? null];
    },
  },
  {
    id: "test_context_run_7",
    about: "an entered Context cannot be entered again, at any depth, until it is left",
    python: `
ctx, other = Context(), Context()
return [
    ctx.run(lambda: outcome(lambda: ctx.run(lambda: "twice"))),
    ctx.run(lambda: other.run(lambda: outcome(lambda: ctx.run(lambda: "twice")))),
    outcome(lambda: ctx.run(lambda: "again")),
]`,
    here() {
      const [context, other] = [new Context(), new Context()];
      const twice = (): Json => outcome(() => context.run(() => "twice"));
      return [context.run(twice), context.run(() => other.run(twice)), outcome(() => context.run(() => "again"))];
    },
  },
  {
    id: "test_context_getset_1",
    about: "get, set, tokens, copies and all ways to look into a Context",
    python: `
var = ContextVar("var")
def body():
    seen = [outcome(var.get), var.get(None)]
    token0 = var.set("spam")
    seen.append([token0.old_value is Token.MISSING, token0.var is var, var.get()])
    copy0 = copy_context()
    token1 = var.set("ham")
    seen.append([token1.old_value, var.get("other")])
    token2 = var.set("eggs")
    var.reset(token2)
    seen.append([var.get(), outcome(var.reset, token2), var.get()])
    copy1 = copy_context()
    var.reset(token1)
    seen.append(var.get())
    var.reset(token0)
    seen.append([var.get(None), outcome(var.reset, token0), outcome(var.get)])
    empty = copy_context()
    for ctx in (copy0, copy1):
        seen.append([
            [value for _, value in ctx.items()], list(ctx.values()), [key is var for key in ctx.keys()],
            [key is var for key in ctx], len(ctx), ctx[var], ctx.get(var), ctx.get(var, "default"), var in ctx,
        ])
    seen.append([
        len(empty), outcome(lambda: empty[var])["raised"], empty.get(var), empty.get(var, "default"), var in empty,
    ])
    return seen
return fresh(body)`,
    here() {
      const variable = new ContextVar<string>("var");
      return fresh(() => {
        const reset = (token: Token<string>): Json =>
          outcome(() => {
            variable.reset(token);
            return null;
          });
        const seen: Json[] = [outcome(() => variable.get()), variable.get(null)];
        const token0 = variable.set("spam");
        seen.push([token0.oldValue === Token.MISSING, token0.var === variable, variable.get()]);
        const copy0 = copyContext();
        const token1 = variable.set("ham");
        seen.push([token1.oldValue as string, variable.get("other")]);
        const token2 = variable.set("eggs");
        variable.reset(token2);
        seen.push([variable.get(), reset(token2), variable.get()]);
        const copy1 = copyContext();
        variable.reset(token1);
        seen.push(variable.get());
        variable.reset(token0);
        seen.push([variable.get(null), reset(token0), outcome(() => variable.get())]);
        const empty = copyContext();
        for (const context of [copy0, copy1]) {
          seen.push([
            context.items().map(([, value]) => value as string),
            context.values() as string[],
            context.keys().map((key) => key === variable),
            [...context].map((key) => key === variable),
            context.size,
            context.getItem(variable),
            context.get(variable) ?? null,
            context.get(variable, "default"),
            context.has(variable),
          ]);
        }
        const missing = outcome(() => empty.getItem(variable)) as { raised: Json };
        seen.push([
          empty.size,
          missing.raised,
          empty.get(variable) ?? null,
          empty.get(variable, "default"),
          empty.has(variable),
        ]);
        return seen;
      });
    },
  },
  {
    id: "test_context_getset_2",
    about: "a token of another variable is refused and stays usable",
    python: `
one, two = ContextVar("one"), ContextVar("two")
def body():
    token = one.set(1)
    two.set(2)
    return [outcome(two.reset, token), two.get(), outcome(one.reset, token), one.get(None)]
return fresh(body)`,
    here() {
      const [one, two] = [new ContextVar<number>("one"), new ContextVar<number>("two")];
      return fresh(() => {
        const token = one.set(1);
        two.set(2);
        const reset = (variable: ContextVar<number>): Json =>
          outcome(() => {
            variable.reset(token);
            return null;
          });
        return [reset(two), two.get(), reset(one), one.get(null)];
      });
    },
  },
  {
    id: "test_context_getset_3",
    about: "a variable with a default is in the mapping between set and reset only",
    python: `
ctx, var = Context(), ContextVar("var", default=42)
def look():
    return [
        var.get(), outcome(lambda: ctx[var])["value" if var in ctx else "raised"], ctx.get(var), ctx.get(var, "default"),
        len(list(ctx.keys())),
    ]
def body():
    seen = [look()]
    token = var.set(1)
    seen.append(look())
    var.reset(token)
    seen.append(look())
    return seen
return ctx.run(body)`,
    here() {
      const [context, variable] = [new Context(), new ContextVar("var", { default: 42 })];
      const look = (): Json => {
        const item = outcome(() => context.getItem(variable)) as { value?: Json; raised?: Json };
        return [
          variable.get(),
          item.value ?? item.raised ?? null,
          context.get(variable) ?? null,
          context.get(variable, "default"),
          context.keys().length,
        ];
      };
      return context.run(() => {
        const seen = [look()];
        const token = variable.set(1);
        seen.push(look());
        variable.reset(token);
        seen.push(look());
        return seen;
      });
    },
  },
  {
    id: "test_context_getset_4",
    about: "a token made in another Context is refused, and reset there",
    python: `
ctx, var = Context(), ContextVar("var")
token = ctx.run(var.set, 1)
return [outcome(var.reset, token), ctx[var], outcome(lambda: ctx.run(var.reset, token)), var in ctx]`,
    here() {
      const [context, variable] = [new Context(), new ContextVar<number>("var")];
      const token = context.run(() => variable.set(1));
      const reset = (): null => {
        variable.reset(token);
        return null;
      };
      return [outcome(reset), context.getItem(variable), outcome(() => context.run(reset)), context.has(variable)];
    },
  },
  {
    id: "test_context_getset_5",
    about: "a set() in a copy does not reach the original",
    python: `
var = ContextVar("var", default=42)
def body():
    var.set("outside")
    copy = copy_context()
    copy.run(var.set, "inside")
    return [var.get(), copy[var]]
return fresh(body)`,
    here() {
      const variable = new ContextVar<string | number>("var", { default: 42 });
      return fresh(() => {
        variable.set("outside");
        const copy = copyContext();
        copy.run(() => variable.set("inside"));
        return [variable.get(), copy.getItem(variable)];
      });
    },
  },
  {
    id: "test_context_copy_1",
    about: "a copy of a running Context is a snapshot, and can be run inside it",
    python: `
ctx, var = Context(), ContextVar("var", default=0)
def body():
    var.set(1)
    copy = ctx.copy()
    var.set(2)
    seen = [copy.run(var.get), var.get(), copy == ctx]
    copy.run(var.set, 3)
    seen.extend([var.get(), ctx[var], copy[var], copy is ctx, isinstance(copy, Context)])
    return seen
return ctx.run(body)`,
    here() {
      const [context, variable] = [new Context(), new ContextVar("var", { default: 0 })];
      return context.run(() => {
        variable.set(1);
        const copy = context.copy();
        variable.set(2);
        const seen: Json[] = [copy.run(() => variable.get()), variable.get(), copy.equals(context)];
        copy.run(() => variable.set(3));
        seen.push(
          variable.get(),
          context.getItem(variable),
          copy.getItem(variable),
          copy === context,
          copy instanceof Context,
        );
        return seen;
      });
    },
  },
  {
    id: "test_context_isinstance",
    about: "a Context has all a read-only mapping has",
    python: `
ctx, one, two = Context(), ContextVar("one"), ContextVar("two")
ctx.run(one.set, 1)
return [
    ctx.__contains__(one), ctx.__contains__(two), ctx.__getitem__(one), ctx.get(two), len(list(ctx.items())),
    [key.name for key in ctx.keys()], list(ctx.values()), [key.name for key in ctx.__iter__()], ctx.__len__(),
    ctx.__eq__(ctx.copy()), ctx.__ne__(Context()), ctx == {one: 1},
]`,
    here() {
      const [context, one, two] = [new Context(), new ContextVar<number>("one"), new ContextVar<number>("two")];
      context.run(() => one.set(1));
      return [
        context.has(one),
        context.has(two),
        context.getItem(one),
        context.get(two) ?? null,
        context.items().length,
        context.keys().map((key) => key.name),
        context.values() as Json[],
        [...context].map((key) => key.name),
        context.size,
        context.equals(context.copy()),
        !context.equals(new Context()),
        context.equals(new Map([[one, 1]])),
      ];
    },
  },
  {
    id: "test_context_threads_1",
    about: "ten threads keep their own values",
    python: { gives: Array.from({ length: 10 }, (_, i) => Array(5).fill(`thread ${i}`) as string[]) },
    here: () => Promise.all(Array.from({ length: 10 }, (_, i) => inWorker(`thread ${i}`))),
  },
  {
    id: "test_context_thread_inherit",
    about: "a thread starts with an empty Context, whatever is set where it is started",
    python: { gives: [Array(5).fill("unset"), "set"] },
    here: () =>
      fresh(async () => {
        const variable = new ContextVar<string>("variable-worker");
        variable.set("set");
        return [await inWorker(null), variable.get()];
      }),
  },
  {
    id: "test_token_contextmanager_with_default",
    about: "a token as a block: the value inside, the default after it",
    python: `
var = ContextVar("var", default=42)
def body():
    with var.set(36):
        inside = var.get()
    return [inside, var.get()]
return fresh(body)`,
    here() {
      const variable = new ContextVar("var", { default: 42 });
      return fresh(() => {
        let inside: number;
        {
          using _ = variable.set(36);
          inside = variable.get();
        }
        return [inside, variable.get()];
      });
    },
  },
  {
    id: "test_token_contextmanager_without_default",
    about: "a token as a block: unset again after it, and the error names the variable",
    python: `
var = ContextVar("var")
def body():
    with var.set(36):
        inside = var.get()
    try:
        var.get()
    except LookupError as error:
        return [inside, str(error).startswith(repr(var)), told(error)]
return fresh(body)`,
    here() {
      const variable = new ContextVar<number>("var");
      return fresh(() => {
        let inside: number;
        {
          using _ = variable.set(36);
          inside = variable.get();
        }
        try {
          return variable.get();
        } catch (error) {
          return [inside, (error as Error).message.startsWith(String(variable)), told(error)];
        }
      });
    },
  },
  {
    id: "test_token_contextmanager_on_exception",
    about: "a token as a block that fails: the variable is reset, the error comes out",
    python: `
var = ContextVar("var", default=42)
def block():
    with var.set(36):
        raise ValueError("mine")
def body():
    return [outcome(block), var.get()]
return fresh(body)`,
    here() {
      const variable = new ContextVar("var", { default: 42 });
      class ValueError extends Error {
        override name = "ValueError";
      }
      const block = (): never => {
        using _ = variable.set(36);
        throw new ValueError("mine");
      };
      return fresh(() => [outcome(block), variable.get()]);
    },
  },
  {
    id: "test_token_contextmanager_reentrant",
    about: "one token for two blocks: the end of the outer one fails",
    python: `
var = ContextVar("var", default=42)
seen = []
def block():
    token = var.set(36)
    with token:
        with token:
            seen.append(var.get())
        seen.append(var.get())
def body():
    return [outcome(block), seen, var.get()]
return fresh(body)`,
    here() {
      const variable = new ContextVar("var", { default: 42 });
      const seen: number[] = [];
      const block = (): null => {
        using outer = variable.set(36);
        {
          using _ = outer;
          seen.push(variable.get());
        }
        seen.push(variable.get());
        return null;
      };
      return fresh(() => [outcome(block), seen, variable.get()]);
    },
  },
  {
    id: "test_token_contextmanager_multiple_c_set",
    about: "more set() calls in the block: its end goes back to before its own",
    python: `
var = ContextVar("var", default=42)
def body():
    with var.set(36):
        var.set(24)
        var.set(12)
        inside = var.get()
    return [inside, var.get()]
return fresh(body)`,
    here() {
      const variable = new ContextVar("var", { default: 42 });
      return fresh(() => {
        let inside: number;
        {
          using _ = variable.set(36);
          variable.set(24);
          variable.set(12);
          inside = variable.get();
        }
        return [inside, variable.get()];
      });
    },
  },
  {
    id: "test_token_contextmanager_with_explicit_reset_the_same_token",
    about: "the block's own token used inside: its end fails",
    python: `
var = ContextVar("var", default=42)
seen = []
def block():
    with var.set(36) as token:
        var.reset(token)
        seen.append(var.get())
def body():
    return [outcome(block), seen, var.get()]
return fresh(body)`,
    here() {
      const variable = new ContextVar("var", { default: 42 });
      const seen: number[] = [];
      const block = (): null => {
        using token = variable.set(36);
        variable.reset(token);
        seen.push(variable.get());
        return null;
      };
      return fresh(() => [outcome(block), seen, variable.get()]);
    },
  },
  {
    id: "test_token_contextmanager_with_explicit_reset_another_token",
    about: "another token used inside the block: its end goes back all the same",
    python: `
var = ContextVar("var", default=42)
def body():
    seen = []
    with var.set(36):
        token = var.set(24)
        seen.append(var.get())
        var.reset(token)
        seen.append(var.get())
    return [seen, var.get()]
return fresh(body)`,
    here() {
      const variable = new ContextVar("var", { default: 42 });
      return fresh(() => {
        const seen: number[] = [];
        {
          using _ = variable.set(36);
          const token = variable.set(24);
          seen.push(variable.get());
          variable.reset(token);
          seen.push(variable.get());
        }
        return [seen, variable.get()];
      });
    },
  },
  ...["set", "set_in_hash"].map(
    (how): Case => ({
      id: `test_context_eq_reentrant_contextvar_${how}`,
      about: "comparing values that would run code in the compared Contexts harms neither",
      python: `
var = ContextVar("var")
ctx1, ctx2 = Context(), Context()
class Reentrant:
    def __eq__(self, other):
        ctx1.run(lambda: None)
        ContextVar("new", default=1).set(2)
        return NotImplemented
    def __hash__(self):
        ContextVar("new").set(1)
        return 1
ctx1.run(var.set, Reentrant())
ctx2.run(var.set, Reentrant())
def body():
    return [ctx1 == ctx2, ctx1 == ctx1.copy(), len(ctx1), len(ctx2)]
return fresh(body)`,
      here() {
        const variable = new ContextVar<object>("var");
        const [ctx1, ctx2] = [new Context(), new Context()];
        const reenter = (): never => {
          ctx1.run(() => new ContextVar<number>("new").set(1));
          throw new Error("code of a value was called");
        };
        const reentrant = (): object => ({ valueOf: reenter, toString: reenter, [Symbol.toPrimitive]: reenter });
        ctx1.run(() => variable.set(reentrant()));
        ctx2.run(() => variable.set(reentrant()));
        return fresh(() => [ctx1.equals(ctx2), ctx1.equals(ctx1.copy()), ctx1.size, ctx2.size]);
      },
    }),
  ),
];
