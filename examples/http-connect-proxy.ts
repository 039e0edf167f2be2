/**
 * An HTTP proxy for https: tunnels by CONNECT.
 *
 * Usage: http-connect-proxy [HOST [PORT]]   then: curl --proxy http://127.0.0.1:8080 https://example.org
 */
import * as asyncio from "contextvars/asyncio";

const CONNECT_TIMEOUT = 10; // seconds

type Connection = [asyncio.StreamReader, asyncio.StreamWriter];

async function connect(head: string): Promise<Connection | string> {
  const [, host, port] = /^CONNECT \[?([^\s\]]+?)\]?:(\d{1,5}) HTTP\/1\.[01]\r\n/.exec(head) ?? [];
  if (host === undefined) {
    return "405 Method Not Allowed\r\nAllow: CONNECT";
  }
  try {
    return await asyncio.timeout(CONNECT_TIMEOUT).with(() => asyncio.openConnection(host, Number(port)));
  } catch (error) {
    if (error instanceof asyncio.ValueError) {
      return "400 Bad Request";
    }
    if (!(error instanceof asyncio.OSError)) {
      throw error;
    }
    return error instanceof asyncio.TimeoutError ? "504 Gateway Timeout" : "502 Bad Gateway";
  }
}

async function handleClient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  await using client = writer;
  try {
    const server = await connect(String(await reader.readuntil("\r\n\r\n")));
    if (typeof server === "string") {
      await client.send(`HTTP/1.1 ${server}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    await using upstream = server[1];
    await client.send("HTTP/1.1 200 Connection established\r\n\r\n");
    await asyncio.relay([reader, client], [server[0], upstream]);
  } catch (error) {
    const isOfPeer =
      error instanceof asyncio.OSError ||
      error instanceof asyncio.EOFError ||
      error instanceof asyncio.LimitOverrunError;
    if (!isOfPeer) {
      throw error;
    }
    client.transport.abort();
  }
}

async function main(host: string, port: number): Promise<void> {
  const server = await asyncio.startServer(handleClient, host, port);
  console.log(`Serving on ${server.sockets.map((socket) => socket.getsockname()).join(", ")}`);
  await server.with(() => server.serveForever());
}

const [host = "127.0.0.1", port = "8080"] = process.argv.slice(2);
try {
  await asyncio.run(() => main(host, Number(port)));
} catch (error) {
  if (!(error instanceof asyncio.KeyboardInterrupt)) {
    throw error;
  }
}
