/** The published functions and methods that give a promise, as the declarations know them. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { entryPoints, packageRoot } from "./paths.ts";

/** A function or method that gives a promise, a Future, a Task, or an iterator of promises. */
export interface PromiseGiver {
  /** The name in exports.txt; of a method, behind that of its class. */
  readonly name: string;
  /** Whether one of its arguments is a function, or may be. */
  readonly takesFunction: boolean;
  /** Whether one of its arguments is a Future, a promise or the like, or may be. */
  readonly takesAwaitable: boolean;
}

/** A class or an interface: what it extends, and its methods that give a promise. */
interface Declared {
  readonly base: string | undefined;
  readonly methods: PromiseGiver[];
}

const classes = new Map<string, Declared>();
const functions = new Map<string, PromiseGiver>();

/** All of them, of the names that exports.txt lists. A method stands once, though another class there inherits it. */
export function promiseGivers(): PromiseGiver[] {
  if (classes.size === 0) {
    for (const { types } of entryPoints) {
      readFolder(dirname(join(packageRoot, types)));
    }
  }
  const list = readFileSync(join(packageRoot, "test/package/exports.txt"), "utf8").trim().split("\n");
  const names = new Set(list.map((line) => line.split(" ").at(-1) as string));
  return [...names].flatMap((name) => {
    const own = functions.get(name);
    const methods = methodsOf(name, names).map((method) => ({ ...method, name: `${name}.${method.name}` }));
    return own === undefined ? methods : [own, ...methods];
  });
}

/** The methods of a class, and those of a class that it extends and that nobody sees. */
function methodsOf(name: string, published: ReadonlySet<string>): PromiseGiver[] {
  const { base, methods } = classes.get(name) ?? { base: undefined, methods: [] };
  const inherited = base === undefined || published.has(base) ? [] : methodsOf(base, published);
  return [...inherited.filter((method) => !methods.some((own) => own.name === method.name)), ...methods];
}

const PROMISES = "(?:Promise|Future|Task|AsyncIterator|AsyncIterableIterator)<";
const CLASS = /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface) (\w+)(?:<.*?>)?(?: extends (\w+))?/;
const METHOD = new RegExp(`^ {4}(?:abstract )?([a-z]\\w*|\\[Symbol\\.\\w+\\])((?:<.*>)?\\(.*)\\): ${PROMISES}`);
const FUNCTION = new RegExp(`^export declare function (\\w+)((?:<.*>)?\\(.*)\\): ${PROMISES}`);

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
      const [, method, methodParameters = ""] = METHOD.exec(line) ?? [];
      if (method !== undefined) {
        current.methods.push(giver(method, methodParameters));
      }
      const [, functionName, parameters = ""] = FUNCTION.exec(line) ?? [];
      if (functionName !== undefined) {
        functions.set(functionName, giver(functionName, parameters));
      }
    }
  }
}

function giver(name: string, parameters: string): PromiseGiver {
  return {
    name,
    takesFunction: /=>|Awaitable<|Maker\b/.test(parameters),
    takesAwaitable: /\b(?:Awaitable|Future|PromiseLike)</.test(parameters),
  };
}
