/** A worker that handles a signal: posts what becomes of that. */
import { parentPort } from "node:worker_threads";
import * as asyncio from "contextvars/asyncio";

try {
  asyncio.getRunningLoop().addSignalHandler("SIGUSR2", () => parentPort?.postMessage("handled"));
  // A signal does not keep the thread alive.
  setInterval(() => {}, 1000);
  parentPort?.postMessage("added");
} catch (error) {
  parentPort?.postMessage(String(error));
}
