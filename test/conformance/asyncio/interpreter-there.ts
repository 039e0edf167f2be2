/** Runs scripts in CPython. One interpreter for all test files of a process: it puts classes of its own into asyncio. */
import { Python } from "../../support/cpython.ts";

export const runScriptsThere = new Python("test/conformance/asyncio/interpreter.py").function("run_scripts");
