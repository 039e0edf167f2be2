/** A worker that says what the variable of a test file would be here: its own storage, hence nothing. */
import { parentPort } from "node:worker_threads";
import { ContextVar, copyContext } from "contextvars";

const where = new ContextVar<string>("where", { default: "-" });
parentPort?.postMessage(copyContext().size === 0 ? where.get() : `${copyContext().size} variables`);
