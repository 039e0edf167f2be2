/** Passes TCP connections on. Usage: tcp-proxy HOST PORT [LISTEN_PORT]; Ctrl-C ends it. */
import * as asyncio from "contextvars/asyncio";

const [host = "127.0.0.1", port = "8888", listenPort = "0"] = process.argv.slice(2);

async function proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  const client = writer.getExtraInfo("peername");
  try {
    const [there, back] = await asyncio.relay([reader, writer], await asyncio.openConnection(host, Number(port)));
    console.log(`${client}: ${there} bytes there, ${back} bytes back`);
  } catch (error) {
    if (!(error instanceof asyncio.OSError)) {
      throw error;
    }
    console.log(`${client}: ${error.name}`);
    writer.close();
  }
}

async function main(): Promise<void> {
  const server = await asyncio.startServer(proxy, "127.0.0.1", Number(listenPort));
  console.log(`Serving on ${server.sockets[0]?.getsockname()}`);
  await server.with(() => server.serveForever());
}

try {
  await asyncio.run(main);
} catch (error) {
  if (!(error instanceof asyncio.KeyboardInterrupt)) {
    throw error;
  }
}
