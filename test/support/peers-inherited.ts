/**
 * A program that gets a socket from the process that starts it, as a service does from systemd: as file descriptor 3.
 *
 * `serve`: the socket listens; each line is answered until a line says "end". `talk`: the socket is connected.
 */
import * as asyncio from "contextvars/asyncio";

async function serve(): Promise<void> {
  const ended = new asyncio.Future<void>();
  const server = await asyncio.startServer(
    async (reader, writer) => {
      const line = String(await reader.readline());
      writer.write(`served ${line}`);
      writer.close();
      if (line === "end\n") {
        ended.setResult();
      }
    },
    { sock: { fd: 3 } },
  );
  console.log(String(server.sockets[0]?.getsockname()));
  await server.with(async () => {
    await ended;
  });
}

async function talk(): Promise<void> {
  const [reader, writer] = await asyncio.openConnection({ sock: { fd: 3 } });
  writer.write("hello\n");
  console.log(String(await reader.readline()).trim());
  writer.close();
  await writer.waitClosed();
}

await asyncio.run(process.argv[2] === "serve" ? serve : talk);
