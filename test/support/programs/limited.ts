/**
 * An echo server that will run out of descriptors. A line "dial" has it connect to itself, and answer with what came of
 * it. Ends with its input.
 */
import * as asyncio from "contextvars/asyncio";

async function dial(port: number): Promise<string> {
  try {
    const [, writer] = await asyncio.openConnection("127.0.0.1", port);
    await writer[Symbol.asyncDispose]();
    return "connected";
  } catch (error) {
    return error instanceof asyncio.OSError ? `OSError ${error.code}` : String(error);
  }
}

const server = await asyncio.startServer(
  async (reader, writer) => {
    for await (const line of reader) {
      await writer.send(String(line) === "dial\n" ? `${await dial(port)}\n` : line);
    }
    writer.close();
  },
  "127.0.0.1",
  0,
);
const port = server.sockets[0]?.getsockname().port ?? 0;
console.log(`Serving on 127.0.0.1:${port}`);
process.stdin.resume();
process.stdin.once("end", async () => {
  server.close();
  server.closeClients();
  await server.waitClosed();
  // The handlers have seen the end of their connections by then.
  await asyncio.sleep(0.05);
  console.log(`closed, with ${asyncio.allTasks().size} tasks`);
});
