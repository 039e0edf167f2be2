/**
 * CPython itself, as the oracle of the conformance tests: 3.14 compiled to WebAssembly, by pyodide.
 *
 * It takes two seconds to load, so the test files that ask it share a process, and it is loaded once there.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadPyodide } from "pyodide";
import { stems } from "./outcomes.ts";
import { packageRoot } from "./paths.ts";

/** Anything that goes through JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A function of Python, called with JSON and giving JSON. */
export type PythonFunction = (...args: readonly Json[]) => Json;

const pyodide = await loadPyodide();
pyodide.runPython(`
import asyncio, json, sys
# Pyodide's own loop counts as running; the cases bring loops of their own.
asyncio._set_running_loop(None)
def as_json(function):
    return lambda arguments: json.dumps(function(*json.loads(arguments)))
`);
pyodide.runPython(`STEMS = ${JSON.stringify(stems)}`);
pyodide.runPython(textOf("test/support/cpython.py"));

/** Such as `3.14.2`. */
export const pythonVersion = String(pyodide.runPython("sys.version.split()[0]"));

/** What a test file defines in Python; another one in the same process does not see it. */
export class Python {
  readonly #globals = pyodide.runPython("dict(globals())");

  /** @param files Files of the project that it executes first. */
  constructor(...files: readonly string[]) {
    for (const file of files) {
      this.#execute(textOf(file));
    }
  }

  /** A function that a file has defined. */
  function(name: string): PythonFunction {
    const call = this.#execute(`as_json(${name})`) as (args: string) => string;
    return (...args) => JSON.parse(call(JSON.stringify(args))) as Json;
  }

  /** Runs the body of a function, which has to `return` something that goes through JSON. */
  run(body: string): Json {
    const lines = body.split("\n").map((line) => `    ${line}`);
    this.#execute(`def snippet():\n${lines.join("\n")}\n`);
    return this.function("snippet")();
  }

  #execute(code: string): unknown {
    return pyodide.runPython(code, { globals: this.#globals });
  }
}

function textOf(path: string): string {
  return readFileSync(join(packageRoot, path), "utf8");
}
