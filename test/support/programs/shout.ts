/** Writes each line of its standard input in capitals, up to EOF, an empty line, or the end of its reader. */
import * as asyncio from "contextvars/asyncio";

async function shout(): Promise<void> {
  using reader = asyncio.StreamReader.from(process.stdin);
  await using writer = asyncio.StreamWriter.from(process.stdout);
  for await (const line of reader) {
    if (String(line) === "\n") {
      break;
    }
    await writer.send(String(line).toUpperCase());
  }
}

try {
  await asyncio.run(shout);
} catch (error) {
  process.stderr.write(`${(error as Error).name}\n`);
}
