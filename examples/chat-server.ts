/**
 * A chat: what one says, all others read. Usage: chat-server [HOST [PORT]]   then, in several terminals: nc HOST PORT
 *
 * Every client has a queue of what is still to be sent, and a task that sends it. So a client that does not read does
 * not delay the others, and is dropped when its queue is full.
 */
import * as asyncio from "contextvars/asyncio";
import { type Framed, framed, linesCodec } from "contextvars/codecs";

const MAX_WAITING = 100; // lines
const MAX_NAME = 20; // characters
const MAX_LINE = 1000; // bytes of what one says; what is sent has a name before it
const clients = new Map<string, { lines: asyncio.Queue<string>; writer: asyncio.StreamWriter }>();

function broadcast(line: string, from: string): void {
  for (const [name, { lines, writer }] of clients) {
    if (name !== from && lines.full()) {
      writer.transport.abort();
    } else if (name !== from) {
      lines.putNowait(line);
    }
  }
}

async function sendAll(peer: Framed<string>, lines: asyncio.Queue<string>): Promise<void> {
  for (;;) {
    await peer.send(await lines.get());
  }
}

async function chat(
  name: string,
  heard: Framed<string>,
  peer: Framed<string>,
  writer: asyncio.StreamWriter,
): Promise<void> {
  const lines = new asyncio.Queue<string>(MAX_WAITING);
  lines.putNowait(`* here are: ${[...clients.keys(), name].join(", ")}`);
  clients.set(name, { lines, writer });
  broadcast(`* ${name} is here`, name);
  const sending = asyncio.createTask(() => sendAll(peer, lines));
  try {
    for await (const line of heard) {
      broadcast(`${name}: ${line}`, name);
    }
  } finally {
    sending.cancel();
    clients.delete(name);
    broadcast(`* ${name} has left`, name);
  }
}

async function handleClient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  const heard = framed(reader, null, linesCodec({ maxLength: MAX_LINE, onOverrun: "skip" }));
  await using peer = framed(null, writer, linesCodec());
  try {
    await peer.send("Who are you?");
    const name = (await heard.receive())?.trim() ?? "";
    if (name === "" || name.length > MAX_NAME || clients.has(name)) {
      await peer.send(`* you cannot be ${JSON.stringify(name)}`);
    } else {
      await chat(name, heard, peer, writer);
    }
  } catch (error) {
    // A lost connection or invalid text concerns only this client.
    if (!(error instanceof asyncio.OSError || error instanceof asyncio.ValueError)) {
      throw error;
    }
  }
}

async function main(host: string, port: number): Promise<void> {
  const server = await asyncio.startServer(handleClient, host, port);
  console.log(`Serving on ${server.sockets.map((socket) => socket.getsockname()).join(", ")}`);
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
