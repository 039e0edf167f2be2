/**
 * A small HTTP/1.1 server: keep-alive, bodies with a length or in chunks, and a limit to everything a client sends.
 *
 * Usage: http-server [HOST [PORT]]   serves on 127.0.0.1 (port 8080) until Ctrl-C
 *
 * Try it with: curl -d "some data" 127.0.0.1:8080/echo, or wrk -c 50 -d 2 http://127.0.0.1:8080/
 */
import * as asyncio from "contextvars/asyncio";

const MAX_HEAD = 16 * 1024; // bytes
const MAX_CHUNK_LINE = 1024; // bytes
const MAX_BODY = 8 * 1024 * 1024; // bytes
/** A client may take so long for a head, or a piece of a body, and be silent so long between requests. */
const READ_TIMEOUT = 10; // seconds
/** What a client still sends after its request was refused is thrown away, up to so much. */
const MAX_REFUSED = 1024 * 1024; // bytes

interface Request {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

interface Response {
  readonly status: number;
  readonly body: Buffer | string;
}

/** The request cannot be served, and nothing that comes after it either. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

const reasons: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  408: "Request Timeout",
  413: "Content Too Large",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  505: "HTTP Version Not Supported",
};

/** The application. */
function respond({ method, target, body }: Request): Response {
  switch (target) {
    case "/":
      return { status: 200, body: "Hello, World!\n" };
    case "/echo":
      return { status: 200, body: method === "POST" ? body : "POST something\n" };
    default:
      return { status: 404, body: "Not Found\n" };
  }
}

function parseHead(head: string): Omit<Request, "body"> {
  const [requestLine = "", ...lines] = head.split("\r\n");
  const [, method, target, version] = /^([A-Z]+) (\S+) HTTP\/(\d\.\d)$/.exec(requestLine) ?? [];
  if (method === undefined || target === undefined || version === undefined) {
    throw new Refusal(400, "not a request line");
  }
  if (version !== "1.1" && version !== "1.0") {
    throw new Refusal(505, `version ${version}`);
  }
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value = ""] = /^([!#$%&'*+\-.^_`|~\w]+):[ \t]*([^\r\n\0]*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) {
      throw new Refusal(400, "not a header");
    }
    const key = name.toLowerCase();
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  if (version === "1.1" && !headers.has("host")) {
    throw new Refusal(400, "no Host");
  }
  return { method, target, version, headers };
}

function lengthOf(text: string, radix: 10 | 16): number {
  const length = Number.parseInt(text, radix);
  if (!(radix === 10 ? /^\d+$/ : /^[\da-f]+$/i).test(text)) {
    throw new Refusal(400, "not a length");
  }
  if (length > MAX_BODY) {
    throw new Refusal(413, `more than ${MAX_BODY} bytes`);
  }
  return length;
}

async function readChunks(reader: asyncio.StreamReader): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let total = 0; ; ) {
    const line = await readChunkLine(reader);
    const size = lengthOf(line.split(";", 1)[0]?.trim() ?? "", 16);
    total += size;
    if (total > MAX_BODY) {
      throw new Refusal(413, `more than ${MAX_BODY} bytes`);
    }
    if (size === 0) {
      break;
    }
    const chunk = await reader.readexactly(size + 2);
    if (chunk.toString("latin1", size) !== "\r\n") {
      throw new Refusal(400, "a chunk is longer than it says");
    }
    chunks.push(chunk.subarray(0, size));
  }
  // Headers may follow the last chunk; they are skipped.
  for (let trailers = 0; (await readChunkLine(reader)) !== ""; trailers++) {
    if (trailers === 100) {
      throw new Refusal(431, "too many trailers");
    }
  }
  return Buffer.concat(chunks);
}

async function readChunkLine(reader: asyncio.StreamReader): Promise<string> {
  const line = await reader.readuntil("\r\n");
  if (line.length > MAX_CHUNK_LINE) {
    throw new Refusal(400, "the line of a chunk is too long");
  }
  return line.toString("latin1", 0, line.length - 2);
}

async function readBody(
  reader: asyncio.StreamReader,
  writer: asyncio.StreamWriter,
  headers: ReadonlyMap<string, string>,
): Promise<Buffer> {
  const coding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (coding !== undefined && length !== undefined) {
    // Two readers of this request could disagree about where it ends: it may smuggle another one.
    throw new Refusal(400, "both Content-Length and Transfer-Encoding");
  }
  if (coding !== undefined && coding.toLowerCase() !== "chunked") {
    throw new Refusal(501, `Transfer-Encoding ${coding}`);
  }
  const size = lengthOf(length ?? "0", 10);
  if (headers.get("expect")?.toLowerCase() === "100-continue") {
    writer.write("HTTP/1.1 100 Continue\r\n\r\n");
  }
  return coding === undefined ? await reader.readexactly(size) : await readChunks(reader);
}

/** The next request; `null` when the client has said its last. */
async function readRequest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<Request | null> {
  let head: Buffer;
  try {
    head = reader.tryReaduntil("\r\n\r\n") ?? (await reader.readuntil("\r\n\r\n"));
  } catch (error) {
    if (error instanceof asyncio.LimitOverrunError) {
      throw new Refusal(431, `more than ${MAX_HEAD} bytes of headers`);
    }
    if (error instanceof asyncio.IncompleteReadError && error.partial.length === 0) {
      return null;
    }
    throw error;
  }
  const request = parseHead(head.toString("latin1", 0, head.length - 4));
  return { ...request, body: await readBody(reader, writer, request.headers) };
}

function writeResponse(writer: asyncio.StreamWriter, response: Response, keepAlive: boolean, withBody: boolean): void {
  const { status } = response;
  const body = typeof response.body === "string" ? Buffer.from(response.body) : response.body;
  const head = [
    `HTTP/1.1 ${status} ${reasons[status]}`,
    `Content-Length: ${body.length}`,
    "Content-Type: text/plain; charset=utf-8",
    `Connection: ${keepAlive ? "keep-alive" : "close"}`,
    "\r\n",
  ];
  writer.write(head.join("\r\n"));
  if (withBody) {
    writer.write(body);
  }
}

async function serveRequests(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  for (let keepAlive = true; keepAlive; ) {
    const request = await readRequest(reader, writer);
    if (request === null) {
      return;
    }
    const wish = request.headers.get("connection")?.toLowerCase();
    keepAlive = request.version === "1.1" ? wish !== "close" : wish === "keep-alive";
    writeResponse(writer, respond(request), keepAlive, request.method !== "HEAD");
    if (writer.needsDrain) {
      await writer.drain();
    }
  }
}

/** Reads some of the bytes that arrive before it closes: the system drops the answer if bytes are unread. */
async function refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, refusal: Refusal): Promise<void> {
  writeResponse(writer, { status: refusal.status, body: `${refusal.message}\n` }, false, true);
  writer.writeEof();
  for (let left = MAX_REFUSED; left > 0; ) {
    const bytes = await reader.read(64 * 1024);
    if (bytes.length === 0) {
      break;
    }
    left -= bytes.length;
  }
}

async function handleClient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  try {
    await serveRequests(reader, writer);
  } catch (error) {
    await handleFailure(reader, writer, error);
  } finally {
    writer.close();
  }
}

async function handleFailure(
  reader: asyncio.StreamReader,
  writer: asyncio.StreamWriter,
  error: unknown,
): Promise<void> {
  if (error instanceof Refusal) {
    await asyncio.waitFor(() => refuse(reader, writer, error), READ_TIMEOUT).catch(() => {});
  } else if (error instanceof asyncio.TimeoutError) {
    writeResponse(writer, { status: 408, body: "" }, false, true);
  } else if (!(error instanceof asyncio.IncompleteReadError || error instanceof asyncio.ConnectionError)) {
    throw error;
  }
  // The others mean that the client has gone.
}

async function main(host: string, port: number): Promise<void> {
  const server = await asyncio.startServer(handleClient, host, port, {
    limit: MAX_HEAD,
    readTimeout: READ_TIMEOUT,
    idleTimeout: 3 * READ_TIMEOUT,
    maxConnections: 10_000,
  });
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
