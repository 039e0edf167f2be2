/**
 * The published functions and methods, as the declarations know them: what they take, and whether they give a promise.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { entryPoints, packageRoot } from "./paths.ts";

/** A function or method that returns a promise, a Future, a Task, or an iterator of promises. */
export interface PromiseGiver {
  /** The name in exports.txt; of a method, behind that of its class. */
  readonly name: string;
  /** Whether one of its arguments is a function, or may be, or is an iterable, whose `next()` is a function. */
  readonly takesFunction: boolean;
  /** Whether one of its arguments is a Future, or may be. */
  readonly takesAwaitable: boolean;
}

/** A function, a method or a constructor. */
interface Signature {
  readonly name: string;
  readonly parameters: string;
  readonly result: string;
}

/** A class or an interface: what it extends, and its methods. */
interface Declared {
  readonly base: string | undefined;
  readonly methods: Signature[];
}

const classes = new Map<string, Declared>();
const functions = new Map<string, Signature[]>();

/** The functions and methods that return a promise. A method is listed once, even if another class inherits it. */
export function promiseGivers(): PromiseGiver[] {
  const givers = signatures()
    .filter(({ result }) => /^(?:Promise|Future|Task|AsyncIterator|AsyncIterableIterator)</.test(result))
    .map(({ name, parameters }) => ({
      name,
      takesFunction: /=>|Awaitable<|AsyncIterable<|Maker\b/.test(parameters),
      takesAwaitable: /\b(?:Awaitable|Future)</.test(parameters),
    }));
  return [...new Map(givers.map((giver) => [giver.name, giver])).values()];
}

/** The names of the functions that take a function, or something to await; a constructor has the name of its class. */
export function takersOfFunctions(): string[] {
  const takes = /=>|\b(?:Awaitable|PromiseLike|Promise|Future|Task|Maker|ClientConnectedCb|ExceptionHandler)\b/;
  const names = signatures()
    .filter(({ parameters }) => takes.test(parameters))
    .map(({ name }) => name.replace(/\.constructor$/, ""));
  return [...new Set(names)].sort();
}

/** All, of the names that exports.txt lists. */
function signatures(): Signature[] {
  if (classes.size === 0) {
    for (const { types } of entryPoints) {
      readFolder(dirname(join(packageRoot, types)));
    }
  }
  const list = readFileSync(join(packageRoot, "test/package/exports.txt"), "utf8").trim().split("\n");
  const names = new Set(list.map((line) => line.split(" ").at(-1) as string));
  return [...names].flatMap((name) => {
    const methods = methodsOf(name, names).map((method) => ({ ...method, name: `${name}.${method.name}` }));
    return [...(functions.get(name) ?? []), ...methods];
  });
}

/** The methods of a class, and those of a base class that is not exported. */
function methodsOf(name: string, published: ReadonlySet<string>): Signature[] {
  const { base, methods } = classes.get(name) ?? { base: undefined, methods: [] };
  const inherited = base === undefined || published.has(base) ? [] : methodsOf(base, published);
  return [...inherited.filter((method) => !methods.some((own) => own.name === method.name)), ...methods];
}

const CLASS = /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface) (\w+)(?:<.*?>)?(?: extends (\w+))?/;
const METHOD = /^ {4}(?:abstract )?([a-z]\w*|\[Symbol\.\w+\])((?:<.*>)?\(.*)\)(?:: (.*?))?;?$/;
const FUNCTION = /^export declare function (\w+)((?:<.*>)?\(.*)\): (.*)$/;

function readFolder(folder: string): void {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".d.ts"));
  for (const file of files) {
    let current: Declared = { base: undefined, methods: [] };
    // The compiler writes each signature on one line, but for the types of objects within.
    for (const line of readFileSync(join(folder, file), "utf8").split("\n")) {
      const [, className, base] = CLASS.exec(line) ?? [];
      if (className !== undefined) {
        current = { base, methods: [] };
        classes.set(className, current);
      }
      const method = signatureIn(line, METHOD);
      if (method !== null) {
        current.methods.push(method);
      }
      const declared = signatureIn(line, FUNCTION);
      if (declared !== null) {
        functions.set(declared.name, [...(functions.get(declared.name) ?? []), declared]);
      }
    }
  }
}

function signatureIn(line: string, form: RegExp): Signature | null {
  const [, name, parameters = "", result = ""] = form.exec(line) ?? [];
  return name === undefined ? null : { name, parameters, result };
}
