/** `repl`: Node's, with `asyncio` and `contextvars` loaded, and `await` at the top level. */
import { start } from "node:repl";
import * as asyncio from "../asyncio/index.ts";
import * as contextvars from "../contextvars/index.ts";

/** Runs it to its end. */
export async function repl(): Promise<void> {
  const server = start({ prompt: ">>> " });
  Object.assign(server.context, { asyncio, contextvars });
  await new Promise<void>((resolve) => server.once("exit", resolve));
}
