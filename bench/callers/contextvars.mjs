/** Round trips with this package's `openConnection`, each connection in a task of its own. */
import * as asyncio from "contextvars/asyncio";
import { connections, done, message, port } from "./report.mjs";

await asyncio.run(async () => {
  await asyncio.gather(Array.from({ length: Number(connections) }, () => roundTrips));
});

async function roundTrips() {
  const [reader, writer] = await asyncio.openConnection("127.0.0.1", Number(port));
  for (;;) {
    writer.write(message);
    await writer.drain();
    await reader.readexactly(message.length);
    done();
  }
}
