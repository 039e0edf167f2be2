/** A program that has Node's types installed and does not ask for them: a server, a client, a task group, as users write them. */
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";

const peer = new ContextVar<string>("peer", { default: "nobody" });

async function handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  peer.set(String(writer.getExtraInfo("peername")));
  for await (const line of reader) {
    await writer.send(line);
  }
  writer.close();
  await writer.waitClosed();
}

async function main(): Promise<[string, number]> {
  const server = await asyncio.startServer(handle, "127.0.0.1", 0, { limit: 1024 });
  const [first] = server.sockets;
  const [reader, writer] = await asyncio.openConnection("127.0.0.1", first?.getsockname().port ?? 0);
  writer.write("hello\n");
  await writer.drain();
  const line: Buffer = await asyncio.waitFor(() => reader.readline(), 5);
  const group = new asyncio.TaskGroup();
  await group.with(async (tasks) => {
    tasks.createTask(() => asyncio.sleep(0), { name: "pause" });
  });
  await server.shutdown({ grace: 1 });
  return asyncio.gather([() => asyncio.sleep(0, line.toString()), () => asyncio.sleep(0, 1)]);
}

export const result: Promise<[string, number]> = asyncio.run(main);
