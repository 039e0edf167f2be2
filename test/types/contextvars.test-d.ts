/** What the compiler infers from the root entry. Nothing here runs: that it compiles is the test. */
import {
  Context,
  ContextVar,
  type ContextVarOptions,
  copyContext,
  isolated,
  type KeyError,
  type LookupError,
  type RuntimeError,
  Token,
  ValueError,
} from "contextvars";
import { expectTypeOf } from "expect-type";

// ContextVar takes its type from the default, or from the type argument where there is none.
expectTypeOf(new ContextVar("count", { default: 1 })).toEqualTypeOf<ContextVar<number>>();
expectTypeOf(new ContextVar("user")).toEqualTypeOf<ContextVar<unknown>>();
expectTypeOf<ContextVarOptions<string>>().toEqualTypeOf<{ default?: string }>();
// @ts-expect-error: the default has to be of the variable's type
new ContextVar<string>("user", { default: 1 });
// @ts-expect-error: a variable has a name
new ContextVar();
// @ts-expect-error: a second argument is an options object, not a default
new ContextVar<string>("user", "ada");

const user = new ContextVar<string>("user");
const count = new ContextVar<number>("count", { default: 0 });

// ContextVar.name is there to be read.
expectTypeOf(user.name).toEqualTypeOf<string>();
// @ts-expect-error: a variable cannot be renamed
user.name = "other";

// ContextVar.get() gives T, with a fallback of another type the union.
expectTypeOf(user.get()).toEqualTypeOf<string>();
expectTypeOf(user.get("nobody")).toEqualTypeOf<string>();
expectTypeOf(user.get(null)).toEqualTypeOf<string | null>();
expectTypeOf(user.get(undefined)).toEqualTypeOf<string | undefined>();
expectTypeOf(user.get(Token.MISSING)).toEqualTypeOf<string | typeof Token.MISSING>();

// ContextVar.set() gives a token that only fits a variable of the same type.
expectTypeOf(user.set("ada")).toEqualTypeOf<Token<string>>();
expectTypeOf<ContextVar<string>["reset"]>().parameters.toEqualTypeOf<[token: Token<string>]>();
expectTypeOf(user.reset(user.set("ada"))).toEqualTypeOf<void>();
// @ts-expect-error: the value has to be of the variable's type
user.set(1);
// @ts-expect-error: the token of a variable of numbers does not reset one of strings
user.reset(count.set(1));

// Token knows its variable and the value before, which may be missing.
expectTypeOf(user.set("ada").var).toEqualTypeOf<ContextVar<string>>();
expectTypeOf(user.set("ada").oldValue).toEqualTypeOf<string | typeof Token.MISSING>();
expectTypeOf(user.set("ada")).toExtend<Disposable>();
const { oldValue } = user.set("ada");
if (oldValue !== Token.MISSING) {
  expectTypeOf(oldValue).toEqualTypeOf<string>();
}

// Context.run() passes arguments and the result through.
const context = new Context();
expectTypeOf(context.run(() => 1)).toEqualTypeOf<number>();
expectTypeOf(context.run(async () => "text")).toEqualTypeOf<Promise<string>>();
expectTypeOf(context.run((a: number, b: string) => [a, b] as const, 1, "b")).toEqualTypeOf<readonly [number, string]>();
expectTypeOf(context.run(Math.max, 1, 2, 3)).toEqualTypeOf<number>();
// @ts-expect-error: the function needs its argument
context.run((text: string) => text);
// @ts-expect-error: the argument has to be of the right type
context.run((text: string) => text, 1);
// @ts-expect-error: a promise has already started; the function is needed
context.run(Promise.resolve());
// Python's idiom: a method that is handed over loses its variable.
// @ts-expect-error: write run(() => count.set(1))
context.run(count.set, 1);
// @ts-expect-error: write run(() => count.get())
context.run(count.get);
// @ts-expect-error: write run(() => count.reset(token))
context.run(count.reset, count.set(1));
// On their variables the methods can be called whatever its type.
for (const variable of [user, count]) {
  expectTypeOf(variable.get()).toEqualTypeOf<string | number>();
}

// Context is a mapping whose values have the type of their variable.
expectTypeOf(context.get(user)).toEqualTypeOf<string | undefined>();
expectTypeOf(context.get(user, null)).toEqualTypeOf<string | null>();
expectTypeOf(context.getItem(count)).toEqualTypeOf<number>();
expectTypeOf(context.has(user)).toEqualTypeOf<boolean>();
expectTypeOf(context.size).toEqualTypeOf<number>();
expectTypeOf(context.keys()).toEqualTypeOf<ContextVar<unknown>[]>();
expectTypeOf(context.values()).toEqualTypeOf<unknown[]>();
expectTypeOf(context.items()).toEqualTypeOf<[ContextVar<unknown>, unknown][]>();
expectTypeOf([...context]).toEqualTypeOf<ContextVar<unknown>[]>();
expectTypeOf(new Map(context.items())).toEqualTypeOf<Map<ContextVar<unknown>, unknown>>();
expectTypeOf<Context["equals"]>().parameter(0).toEqualTypeOf<unknown>();
expectTypeOf(context.copy()).toEqualTypeOf<Context>();
expectTypeOf(copyContext()).toEqualTypeOf<Context>();
// @ts-expect-error: a key is a variable, not its name
context.has("user");
// @ts-expect-error: a Context is read-only to the outside
context.size = 1;

// isolated() keeps the type of the function, overloads and all.
const handler = (request: { url: string }, attempt?: number): Promise<boolean> =>
  Promise.resolve(request.url === String(attempt));
expectTypeOf(isolated(handler)).toEqualTypeOf<typeof handler>();
declare function overloaded(value: string): string;
declare function overloaded(value: number): number;
expectTypeOf(isolated(overloaded)).toEqualTypeOf<typeof overloaded>();
// @ts-expect-error: it takes a function
isolated(1);

// Errors say more than a message.
expectTypeOf<LookupError>().toExtend<Error>();
expectTypeOf<KeyError>().toExtend<LookupError>();
expectTypeOf<LookupError["code"]>().toEqualTypeOf<string>();
expectTypeOf<LookupError["variable"]>().toEqualTypeOf<unknown>();
expectTypeOf<KeyError["key"]>().toEqualTypeOf<unknown>();
expectTypeOf<ValueError["code"]>().toEqualTypeOf<string>();
expectTypeOf<RuntimeError["code"]>().toEqualTypeOf<string>();
expectTypeOf(new ValueError("no", { cause: new Error("why") })).toEqualTypeOf<ValueError>();
