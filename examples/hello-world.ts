/** Two lines, one second apart. Python: the first example of the asyncio documentation. */
import * as asyncio from "contextvars/asyncio";

async function main(): Promise<void> {
  console.log("Hello ...");
  await asyncio.sleep(1);
  console.log("... World!");
}

await asyncio.run(main);
