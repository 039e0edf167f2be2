/** Values, thenables and functions that make trouble for a library that looks at them. */
import { inspect } from "node:util";
import * as asyncio from "contextvars/asyncio";

/** A function that a program hands over: throws, rejects or returns something odd. */
export interface Body {
  readonly name: string;
  readonly does: "throws" | "rejects" | "returns" | "returns a thenable";
  readonly call: () => unknown;
}

const forbidden = new Error("do not look at me");
const forbid = (): never => {
  throw forbidden;
};
const getter = { configurable: true, get: forbid };

function withGetter(error: Error, ...names: readonly string[]): Error {
  for (const name of names) {
    Object.defineProperty(error, name, getter);
  }
  return error;
}

function withName(error: Error, name: unknown): Error {
  return Object.defineProperty(error, "name", { value: name });
}

function cycle(...errors: readonly Error[]): Error {
  errors.forEach((error, i) => {
    withName(error, "AbortError").cause = errors[(i + 1) % errors.length];
  });
  return errors[0] as Error;
}

function revoked<T extends object>(target: T): T {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** Throws whatever is done to it. */
function forbidding<T extends object>(target: T): T {
  const traps = Object.getOwnPropertyNames(Reflect).filter((name) => name !== "apply");
  return new Proxy(target, Object.fromEntries(traps.map((name) => [name, forbid])));
}

class Nameless {}
Object.defineProperty(Nameless, "name", { value: Symbol("name") });

class CannotBePrinted {
  toString(): string {
    return forbid();
  }
}

/** To be thrown, and to be returned. */
export const values: Readonly<Record<string, unknown>> = {
  undefined: undefined,
  null: null,
  0: 0,
  "an empty string": "",
  false: false,
  NaN: Number.NaN,
  "a Symbol": Symbol("thrown"),
  "a bigint": 0n,
  "a function": () => 1,
  "an object without a prototype": Object.create(null),
  "a frozen Error": Object.freeze(new Error("frozen")),
  "an AbortError that is its own cause": cycle(new Error("a")),
  "two AbortErrors that caused each other": cycle(new Error("a"), new Error("b")),
  "an Error whose name cannot be read": withGetter(new Error(), "name"),
  "an Error whose message cannot be read": withGetter(new Error(), "message"),
  "an Error whose stack cannot be read": withGetter(new Error(), "stack"),
  "an AbortError whose cause cannot be read": withGetter(withName(new Error(), "AbortError"), "cause"),
  "an Error of which nothing can be read": withGetter(new Error(), "stack", "name", "message", "cause", "code"),
  "an Error with a Symbol as its name": withName(new Error(), Symbol("name")),
  "an Error with an object as its name": withName(new Error(), Object.create(null)),
  "an Error with a Symbol as its message": Object.defineProperty(new Error(), "message", { value: Symbol("message") }),
  "an Error with a Symbol as its stack": Object.defineProperty(new Error(), "stack", { value: Symbol("stack") }),
  "an Error that calls itself CancelledError": withName(new Error("foreign"), "CancelledError"),
  "a CancelledError whose reason cannot be read": withGetter(new asyncio.CancelledError(), "reason"),
  "an object whose code cannot be read": Object.defineProperty({ name: "CancelledError" }, "code", getter),
  "an object that cannot be printed": new CannotBePrinted(),
  "an object that cannot be inspected": { [inspect.custom]: forbid },
  "an object of a class with a Symbol as its name": new Nameless(),
  "a revoked Proxy": revoked({}),
  "a revoked Proxy of an Error": revoked(new Error()),
  "a revoked Proxy of a function": revoked(() => {}),
  "a Proxy that throws whatever is done to it": forbidding(new Error()),
};

const promise = Promise.resolve(1);

/** Each call makes a new one, because a promise is settled once. */
const thenables: Readonly<Record<string, () => unknown>> = {
  "a Proxy of a promise": () => new Proxy(Promise.resolve(1), {}),
  "a Proxy of a Future": () => new Proxy(new asyncio.Future(), {}),
  "an object whose then cannot be read": () => Object.defineProperty({}, "then", getter),
  "a thenable whose then throws": () => ({ then: forbid }),
  "a thenable that rejects with null": () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject(null) }),
  "a thenable that calls back at once, twice, and throws": () => ({
    then(resolve: (value: unknown) => void, reject: (error: unknown) => void) {
      resolve(1);
      reject(2);
      forbid();
    },
  }),
  "a thenable of a thenable": () => ({
    then: (resolve: (value: unknown) => void) => resolve({ then: (inner: (value: unknown) => void) => inner(1) }),
  }),
  "a promise of a subclass whose then throws": () =>
    new (class extends Promise<number> {
      override then = forbid;
    })((resolve) => resolve(1)),
  "a promise of a subclass whose then calls back twice": () =>
    new (class extends Promise<number> {
      override then(resolve: never, reject: never): never {
        (resolve as (value: unknown) => void)(1);
        (resolve as (value: unknown) => void)(2);
        return (reject as (error: unknown) => never)(3);
      }
    })((resolve) => resolve(1)),
  "a promise with a then of its own": () => Object.assign(Promise.resolve(1), { then: forbid }),
  "a promise whose constructor cannot be read": () => Object.defineProperty(Promise.resolve(1), "constructor", getter),
  "a promise with a species that throws": () =>
    Object.defineProperty(Promise.resolve(1), "constructor", { value: { [Symbol.species]: forbid } }),
  "a promise that is rejected with a promise": () => Promise.reject(promise),
};

function named(name: unknown): () => unknown {
  return Object.defineProperty(() => 1, "name", { value: name });
}

const functions: Readonly<Record<string, () => unknown>> = {
  "a function with a Symbol as its name": named(Symbol("name")),
  "a function with a number as its name": named(1),
  "a function with an object as its name": named(Object.create(null)),
  "a function without a name": named(undefined),
  "a function whose name cannot be read": Object.defineProperty(() => 1, "name", getter),
  "a function whose length cannot be read": Object.defineProperty(() => 1, "length", getter),
  "a function without the methods of functions": Object.setPrototypeOf(() => 1, null),
  "a function that cannot be looked at": forbidding(() => 1),
  "a function with a then": Object.assign(() => 1, { then: forbid }),
};

export const bodies: readonly Body[] = [
  ...Object.entries(values).flatMap(([name, value]): Body[] => [
    { name: `throws ${name}`, does: "throws", call: () => throwing(value) },
    { name: `rejects with ${name}`, does: "rejects", call: () => Promise.reject(value) },
    { name: `returns ${name}`, does: "returns", call: () => value },
  ]),
  ...Object.entries(thenables).map(
    ([name, call]): Body => ({ name: `returns ${name}`, does: "returns a thenable", call }),
  ),
  ...Object.entries(functions).map(([name, call]): Body => ({ name: `is ${name}`, does: "returns", call })),
  { name: "is a revoked Proxy of a function", does: "throws", call: revoked(() => 1) },
];

function throwing(value: unknown): never {
  throw value;
}
