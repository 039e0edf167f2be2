/** Sends a message to an echo server and prints what comes back. Usage: tcp-echo-client [HOST [PORT [MESSAGE]]] */
import * as asyncio from "contextvars/asyncio";

async function tcpEchoClient(message: string, host: string, port: number): Promise<void> {
  const [reader, writer] = await asyncio.openConnection(host, port);

  console.log(`Send: ${JSON.stringify(message)}`);
  writer.write(message);
  await writer.drain();

  const data = await reader.read(100);
  console.log(`Received: ${JSON.stringify(data.toString())}`);

  console.log("Close the connection");
  writer.close();
  await writer.waitClosed();
}

const [host = "127.0.0.1", port = "8888", message = "Hello World!"] = process.argv.slice(2);
await asyncio.run(() => tcpEchoClient(message, host, Number(port)));
