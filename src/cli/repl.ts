/** `repl`: Node's REPL, with `asyncio` and `contextvars` loaded and with top-level `await`. */
import { start } from "node:repl";
import * as asyncio from "../asyncio/index.ts";
import * as contextvars from "../contextvars/index.ts";

/** Runs the REPL until it is closed. */
export async function repl(): Promise<void> {
  const server = start({ prompt: ">>> " });
  Object.assign(server.context, { asyncio, contextvars });
  await new Promise<void>((resolve) => server.once("exit", resolve));
}
