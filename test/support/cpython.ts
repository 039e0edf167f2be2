/**
 * CPython itself, as the oracle of the conformance tests: 3.14 compiled to WebAssembly, by pyodide.
 *
 * It takes a second or two to load, so all conformance tests are one file and share one.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadPyodide } from "pyodide";
import { packageRoot } from "./paths.ts";

/** Anything that goes through JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A function of Python, called with JSON and giving JSON. */
export type PythonFunction = (...args: readonly Json[]) => Json;

const python = await loadPyodide();
python.runPython(`
import asyncio, json, sys
# Pyodide's own loop counts as running; the cases bring loops of their own.
asyncio._set_running_loop(None)
def as_json(function):
    return lambda arguments: json.dumps(function(*json.loads(arguments)))
`);
runPythonFile("test/support/cpython.py");

/** Such as `3.14.2`. */
export const pythonVersion = String(python.runPython("sys.version.split()[0]"));

/** Executes a file of the project; what it defines can be used from then on. */
export function runPythonFile(path: string): void {
  python.runPython(readFileSync(join(packageRoot, path), "utf8"));
}

/** A function that Python code has defined. */
export function pythonFunction(name: string): PythonFunction {
  const call = python.runPython(`as_json(${name})`) as (args: string) => string;
  return (...args) => JSON.parse(call(JSON.stringify(args))) as Json;
}

/** Runs the body of a function, which has to `return` something that goes through JSON. */
export async function runPython(body: string): Promise<Json> {
  const lines = body.split("\n").map((line) => `    ${line}`);
  python.runPython(`def snippet():\n${lines.join("\n")}\n`);
  return pythonFunction("snippet")();
}
