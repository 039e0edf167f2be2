/** Returns its input: by messages if it is a worker or was forked, otherwise by standard output. */
import { parentPort } from "node:worker_threads";

if (parentPort !== null) {
  const port = parentPort;
  port.on("message", (message) => port.postMessage(message));
} else if (process.send !== undefined) {
  process.on("message", (message) => process.send?.(message));
} else {
  process.stdin.pipe(process.stdout);
}
