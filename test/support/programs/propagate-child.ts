/** Says what it finds in its worker data or its environment. */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { ContextVar } from "contextvars";
import { extract, propagated } from "contextvars/propagate";

const text = propagated(new ContextVar<string>("text"));

if (isMainThread) {
  console.log(extract(process.env).get(text));
} else {
  parentPort?.postMessage(extract(workerData as Record<string, string>).get(text));
}
