/** Gives back what it gets: by messages where it is a worker, else by standard output. */
import { parentPort } from "node:worker_threads";

if (parentPort === null) {
  process.stdin.pipe(process.stdout);
} else {
  const port = parentPort;
  port.on("message", (message) => port.postMessage(message));
}
