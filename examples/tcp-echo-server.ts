/** Echoes one message to each client. Usage: tcp-echo-server [HOST [PORT]]; Ctrl-C ends it. */
import * as asyncio from "contextvars/asyncio";

async function handleEcho(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  const data = await reader.read(100);
  const message = data.toString();
  const addr = writer.getExtraInfo("peername");

  console.log(`Received ${JSON.stringify(message)} from ${addr}`);

  console.log(`Send: ${JSON.stringify(message)}`);
  writer.write(data);
  await writer.drain();

  console.log("Close the connection");
  writer.close();
  await writer.waitClosed();
}

async function main(host: string, port: number): Promise<void> {
  const server = await asyncio.startServer(handleEcho, host, port);

  const addrs = server.sockets.map((sock) => sock.getsockname()).join(", ");
  console.log(`Serving on ${addrs}`);

  await server.with(() => server.serveForever());
}

const [host = "127.0.0.1", port = "8888"] = process.argv.slice(2);
try {
  await asyncio.run(() => main(host, Number(port)));
} catch (error) {
  if (!(error instanceof asyncio.KeyboardInterrupt)) {
    throw error;
  }
}
