/**
 * Goes through the fakes under which the runtime's own streams stand still, those of a test runner too, and prints what
 * does not end while they are there.
 */
import { memoryStreamPair } from "contextvars/testing";
import { fakes, under } from "../fakes.ts";
import { timerUsers } from "../timer-users.ts";

const LIMIT = 5000; // milliseconds
const { setTimeout } = globalThis;

async function isLate(use: () => PromiseLike<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<true>((resolve) => {
    timer = setTimeout(resolve, LIMIT, true);
  });
  const result = await Promise.race([Promise.resolve(use()).then(() => false), late]);
  timer?.unref();
  return result;
}

const hanging: string[] = [];
for (const fake of fakes.filter(({ stopsStreams }) => stopsStreams)) {
  for (const [name, { use, streams }] of Object.entries(timerUsers)) {
    if (streams === undefined && (await under(fake, () => isLate(use)))) {
      hanging.push(`${name} under ${fake.title}`);
    }
  }
}

/** What is written under fakes has left when they are gone. */
const [[reader], [, writer]] = memoryStreamPair();
for (const fake of fakes.filter(({ stopsStreams }) => stopsStreams)) {
  await under(fake, () => writer.write("line\n"));
  if (await isLate(() => reader.readline())) {
    hanging.push(`write() under ${fake.title}`);
  }
}
writer.close();
console.log(JSON.stringify(hanging));
