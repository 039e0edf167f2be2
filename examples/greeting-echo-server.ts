/**
 * An echo server that says good-bye to each client by its own address. Without arguments two clients talk to it at the same time.
 *
 * Usage: greeting-echo-server            two clients talk to it at the same time, then it ends
 *        greeting-echo-server --serve [PORT]    it keeps serving on 127.0.0.1 (port 8081) until Ctrl-C
 *
 * Try it with: telnet 127.0.0.1 8081; an empty line ends the conversation.
 */
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";

const clientAddrVar = new ContextVar<asyncio.SocketAddress>("client_addr");

function renderGoodbye(): string {
  // The address of the currently handled client can be read without passing it explicitly to this function.
  const clientAddr = clientAddrVar.get();
  return `Good bye, client @ ${clientAddr}\n`;
}

async function handleRequest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  const addr = writer.getExtraInfo("peername");
  clientAddrVar.set(addr);

  // Any code that is called here can now get the client's address by calling clientAddrVar.get().

  for (;;) {
    const line = await reader.readline();
    if (line.toString().trim() === "") {
      break;
    }
    writer.write(line);
    await writer.drain();
  }

  writer.write(renderGoodbye());
  writer.close();
}

/** Talks to the server, and gives the dialogue. */
async function client(name: string, port: number, lines: readonly string[]): Promise<string[]> {
  const [reader, writer] = await asyncio.openConnection("127.0.0.1", port);
  const dialogue = [`${name} is at ${writer.getExtraInfo("sockname")}`];
  for (const line of lines) {
    writer.write(`${line}\n`);
    await writer.drain();
    const answer = await reader.readline();
    dialogue.push(`  > ${line}`, `  < ${answer.toString().trimEnd()}`);
    // Gives the other client its turn in the middle of the conversation.
    await asyncio.sleep(0.05);
  }
  writer.write("\n");
  dialogue.push("  >", `  < ${(await reader.read()).toString().trimEnd()}`);
  writer.close();
  await writer.waitClosed();
  return dialogue;
}

async function demo(): Promise<void> {
  const server = await asyncio.startServer(handleRequest, "127.0.0.1", 0);
  await server.with(async () => {
    const address = server.sockets[0]?.getsockname();
    console.log(`Serving on ${address}; two clients talk to it at the same time.\n`);
    const dialogues = await asyncio.gather([
      () => client("Ada", address?.port ?? 0, ["Hello!", "How are you?"]),
      () => client("Grace", address?.port ?? 0, ["Hi there!", "What is my address?"]),
    ]);
    console.log(dialogues.map((dialogue) => dialogue.join("\n")).join("\n\n"));
  });
  console.log("\nThe server is closed.");
}

async function serve(port: number): Promise<void> {
  const server = await asyncio.startServer(handleRequest, "127.0.0.1", port);
  const address = server.sockets[0]?.getsockname();
  console.log(`Serving on ${address}. Try: telnet 127.0.0.1 ${address?.port}; an empty line ends the conversation.`);
  console.log("Ctrl-C ends the server.");
  await server.with(() => server.serveForever());
}

/** The port behind `--serve`; `null` where that was not given. */
function portToServe([option, port = "8081"]: readonly string[]): number | null {
  if (option === undefined) {
    return null;
  }
  if (option !== "--serve" || !/^\d{1,5}$/.test(port) || Number(port) > 65535) {
    console.error(`usage: greeting-echo-server [--serve [PORT]]; got ${process.argv.slice(2).join(" ")}`);
    process.exit(2);
  }
  return Number(port);
}

const port = portToServe(process.argv.slice(2));
try {
  await asyncio.run(() => (port === null ? demo() : serve(port)));
} catch (error) {
  if (!(error instanceof asyncio.KeyboardInterrupt)) {
    throw error;
  }
  console.log("\nThe server is closed.");
}
