/** Prints the HTTP headers of a URL. Usage: http-headers http[s]://HOST[:PORT]/PATH */
import * as asyncio from "contextvars/asyncio";

async function printHttpHeaders(given: string): Promise<void> {
  const url = new URL(given);
  const [reader, writer] =
    url.protocol === "https:"
      ? await asyncio.openConnection(url.hostname, Number(url.port || 443), { ssl: true })
      : await asyncio.openConnection(url.hostname, Number(url.port || 80));

  const query = `HEAD ${url.pathname}${url.search} HTTP/1.0\r\nHost: ${url.host}\r\n\r\n`;
  writer.write(query);

  for (;;) {
    const line = await reader.readline();
    if (line.length === 0) {
      break;
    }
    const text = line.toString("latin1").trimEnd();
    if (text !== "") {
      console.log(`HTTP header> ${text}`);
    }
  }

  // Ignore the body, close the socket
  writer.close();
  await writer.waitClosed();
}

const [url] = process.argv.slice(2);
if (url === undefined || !URL.canParse(url) || !["http:", "https:"].includes(new URL(url).protocol)) {
  console.error(`usage: http-headers http[s]://HOST[:PORT]/PATH${url === undefined ? "" : `; got ${url}`}`);
  process.exit(2);
}
await asyncio.run(() => printHttpHeaders(url));
