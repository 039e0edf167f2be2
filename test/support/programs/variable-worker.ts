/** A worker that sets a variable to the data it was given, if any, and sends what it sees over several waits. */
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { ContextVar } from "contextvars";

const variable = new ContextVar<string>("variable-worker");
if (typeof workerData === "string") {
  variable.set(workerData);
}
const seen: string[] = [];
for (let i = 0; i < 5; i++) {
  await sleep(1);
  seen.push(variable.get("unset"));
}
parentPort?.postMessage(seen);
