/**
 * checkStreams(): the streams of the package keep all promises, and every planted fault is found by a check that names
 * it.
 */
import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import {
  checkStreams,
  lockstepStreamPair,
  MockClock,
  memoryServer,
  memoryStreamPair,
  type StreamMaker,
  type StreamPair,
} from "contextvars/testing";
import { closeChecks } from "#dist/testing/stream-close-checks.js";
import { readChecks } from "#dist/testing/stream-read-checks.js";
import { halfCloseChecks, waitChecks } from "#dist/testing/stream-wait-checks.js";
import { certificates } from "../support/certificates.ts";
import { outcomeOf } from "../support/peers.ts";
import { limitOf } from "../support/runtime-limits.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

type Server = asyncio.Server;
type Ends = [near: StreamPair, far: StreamPair];

/** The two ends of a connection to the server, which is closed then. */
async function accepted(
  start: (handler: asyncio.ClientConnectedCb) => Promise<Server>,
  connect: (server: Server) => Promise<StreamPair>,
): Promise<[StreamPair, StreamPair]> {
  const arrived = new asyncio.Future<StreamPair[]>();
  const server = await start((...streams) => arrived.setResult([streams]));
  const near = await connect(server);
  const [far] = await arrived;
  server.close();
  return [near, far as StreamPair];
}

const portOf = (server: Server): number => server.sockets[0]?.getsockname().port as number;
const { ca, server: identity } = certificates();

const makers: Record<string, StreamMaker> = {
  "a pair of sockets": async () => {
    const [near, far] = await asyncio.socketpair();
    return [await asyncio.openConnection({ sock: near }), await asyncio.openConnection({ sock: far })];
  },
  TCP: () =>
    accepted(
      (handler) => asyncio.startServer(handler, "127.0.0.1", 0),
      (server) => asyncio.openConnection("127.0.0.1", portOf(server)),
    ),
  "a Unix socket": async () => {
    using folder = new TemporaryFolder();
    const path = folder.file("socket");
    return await accepted(
      (handler) => asyncio.startUnixServer(handler, path),
      () => asyncio.openUnixConnection(path),
    );
  },
  TLS: () =>
    accepted(
      (handler) => asyncio.startServer(handler, "127.0.0.1", 0, { ssl: identity }),
      (server) => asyncio.openConnection("127.0.0.1", portOf(server), { ssl: { ca } }),
    ),
  STARTTLS: async () => {
    const ends = await accepted(
      (handler) => asyncio.startServer(handler, "127.0.0.1", 0),
      (server) => asyncio.openConnection("127.0.0.1", portOf(server)),
    );
    const [[, near], [, far]] = ends;
    await asyncio.gather([() => near.startTls({ ca }), () => far.startTls(identity)]);
    return ends;
  },
  "memoryStreamPair()": () => memoryStreamPair(),
  "memoryStreamPair(), in pieces": () => memoryStreamPair({ chunks: (left) => 1 + (left % 4000) }),
  "memoryStreamPair(), with a delay": () => memoryStreamPair({ delay: 0.001 }),
  "memoryStreamPair(), over TLS": async () => {
    const arrived = new asyncio.Future<StreamPair[]>();
    const tls = memoryServer((...streams) => arrived.setResult([streams]), { ssl: identity });
    const near = await tls.connect({ ssl: { ca }, serverHostname: "localhost" });
    const [far] = await arrived;
    tls.close();
    return [near, far as StreamPair];
  },
  "lockstepStreamPair()": () => lockstepStreamPair(),
};

describe("checkStreams() finds nothing", () => {
  for (const [name, maker] of Object.entries(makers)) {
    const skip =
      (name.endsWith("TLS") && limitOf("reset under TLS")) ||
      (name.endsWith("over TLS") && limitOf("closing TLS over a stream"));
    it(`checkStreams(): ${name}`, { skip }, () => checkStreams(maker));
  }

  it("checkStreams(): with a maker of ends that wait already", async () => {
    let made = 0;
    const clogged = (): [StreamPair, StreamPair] => {
      made += 1;
      const ends = memoryStreamPair({ highWater: 1000, limit: 1000 });
      ends[0][1].write(Buffer.alloc(100_000));
      return ends;
    };
    await checkStreams(() => memoryStreamPair(), { clogged });
    assert.equal(made, waitChecks.length);
  });

  it("checkStreams(): with the limit of the readers", () =>
    checkStreams(() => memoryStreamPair({ limit: 5000 }), { limit: 5000 }));
});

type End = { readonly reader: asyncio.StreamReader; readonly writer: asyncio.StreamWriter };
const forever = (): Promise<never> => new asyncio.Future<never>() as Promise<never>;

/** Replaces methods of the object; each gets the one that it stands for. */
function replace<T extends object, K extends keyof T & string>(
  object: T,
  name: K,
  make: (original: T[K]) => T[K],
): void {
  const original = (object[name] as (...given: unknown[]) => unknown).bind(object) as T[K];
  Object.defineProperty(object, name, { value: make(original), configurable: true });
}

type ArgumentsOf<F> = F extends (...given: infer A) => unknown ? A : never;
type ResultOf<F> = F extends (...given: never[]) => infer R ? Awaited<R> : never;

/**
 * Replaces a method that returns a promise: where it would fail, `handle` gets the error and the method's arguments, and
 * returns a result or throws an error instead.
 */
function whereItFails<T extends object, K extends keyof T & string>(
  object: T,
  name: K,
  handle: (error: unknown, ...given: ArgumentsOf<T[K]>) => ResultOf<T[K]> | Promise<ResultOf<T[K]>>,
): void {
  replace(object, name, (method) => {
    const call = method as (...given: ArgumentsOf<T[K]>) => Promise<ResultOf<T[K]>>;
    const handling: typeof call = (...given) => call(...given).catch((error: unknown) => handle(error, ...given));
    return handling as T[K];
  });
}

/** Returns a function that says whether the method was called. */
function calls<T extends object>(object: T, name: keyof T & string): () => boolean {
  let isCalled = false;
  replace(object, name, (method) => {
    const noting = (...given: unknown[]): unknown => {
      isCalled = true;
      return (method as (...given: unknown[]) => unknown)(...given);
    };
    return noting as T[keyof T & string];
  });
  return () => isCalled;
}

/** Replaces the method by `abort()` while the condition holds. */
function abortsIf(writer: asyncio.StreamWriter, name: "close" | "writeEof", condition: () => boolean): void {
  replace(writer, name, (method) => () => {
    if (condition()) {
      writer.transport.abort();
    } else {
      method();
    }
  });
}

/** Reads byte by byte until the text is complete, and loses these bytes when it is cancelled. */
async function byBytes(reader: asyncio.StreamReader, until: (text: string) => boolean): Promise<Buffer> {
  const read = asyncio.StreamReader.prototype.read.bind(reader);
  let text = "";
  for (let byte = await read(1); byte.length > 0; byte = await read(1)) {
    text += byte.toString("latin1");
    if (until(text)) {
      break;
    }
  }
  return Buffer.from(text, "latin1");
}

/** The check that must find the fault; the fault; how it is planted into each end of a pair. */
const faults: [check: string, fault: string, plant: (end: End) => void][] = [
  [
    "write() and drain() return undefined, and the bytes arrive",
    "write() returns whether there is room",
    ({ writer }) => {
      replace(
        writer,
        "write",
        (write) =>
          function returnsRoom(data: string): boolean {
            write(data);
            return true;
          } as never,
      );
    },
  ],
  [
    "write() and drain() return undefined, and the bytes arrive",
    "send() only writes",
    ({ writer }) => {
      replace(writer, "send", () => async () => writer.write("lost"));
    },
  ],
  [
    "bytes of every type arrive, in the order of their writing",
    "a view is sent with all of its memory",
    ({ writer }) => {
      replace(
        writer,
        "write",
        (write) => (data) =>
          write(data instanceof Uint8Array && !Buffer.isBuffer(data) ? new Uint8Array(data.buffer) : data),
      );
    },
  ],
  [
    "bytes of every type arrive, in the order of their writing",
    "strings are sent as Latin-1",
    ({ writer }) => {
      replace(
        writer,
        "write",
        (write) => (data) => write(typeof data === "string" ? Buffer.from(data, "latin1") : data),
      );
    },
  ],
  [
    "bytes of every type arrive, in the order of their writing",
    "writelines() sends the last piece first",
    ({ writer }) => {
      replace(writer, "writelines", (writelines) => (data) => writelines([...data].reverse()));
    },
  ],
  [
    "a value that is not bytes throws, and nothing of it is sent",
    "numbers are sent as text",
    ({ writer }) => {
      replace(writer, "write", (write) => (data) => write(typeof data === "number" ? String(data) : data));
    },
  ],
  [
    "a value that is not bytes throws, and nothing of it is sent",
    "writelines() sends the pieces before a bad one",
    ({ writer }) => {
      replace(writer, "writelines", () => (data) => {
        for (const piece of data) {
          writer.write(piece);
        }
      });
    },
  ],
  [
    "an empty write has no effect",
    "an empty write sends a byte",
    ({ writer }) => {
      replace(writer, "write", (write) => (data) => write(data.length === 0 ? "\0" : data));
    },
  ],
  [
    "reads throw for invalid sizes and separators",
    "read() rounds",
    ({ reader }) => {
      replace(reader, "read", (read) => (n) => read(n === undefined ? n : Math.floor(n)));
    },
  ],
  [
    "reads throw for invalid sizes and separators",
    "readuntil() takes an empty separator for a newline",
    ({ reader }) => {
      replace(reader, "readuntil", (readuntil) => (separator) => readuntil(separator || "\n"));
    },
  ],
  [
    "reads throw for invalid sizes and separators",
    "readexactly(0) waits",
    ({ reader }) => {
      replace(reader, "readexactly", (readexactly) => (n) => (n === 0 ? forever() : readexactly(n)));
    },
  ],
  [
    "read(n) returns the bytes that have arrived, at most n",
    "read(n) returns more than n bytes",
    ({ reader }) => {
      replace(
        reader,
        "read",
        (read) =>
          (n = -1) =>
            read(n > 0 ? n + 2 : n),
      );
    },
  ],
  [
    "a second read that would wait throws, and does not disturb the first",
    "a second read waits for the first",
    ({ reader }) => {
      const lock = new asyncio.Lock();
      replace(reader, "read", (read) => (n) => lock.with(() => read(n)));
      replace(reader, "readline", (readline) => () => lock.with(() => readline()));
    },
  ],
  [
    "drain() does not wait while the write buffer is empty",
    "needsDrain is always true",
    ({ writer }) => {
      Object.defineProperty(writer, "needsDrain", { value: true });
    },
  ],
  [
    "tryRead...() returns bytes that have arrived, or null if the read would wait",
    "tryReadline() returns an empty Buffer",
    ({ reader }) => {
      replace(reader, "tryReadline", (tryReadline) => () => tryReadline() ?? Buffer.alloc(0));
    },
  ],
  [
    "tryRead...() returns bytes that have arrived, or null if the read would wait",
    "tryReaduntil() returns a part",
    ({ reader }) => {
      replace(
        reader,
        "tryReaduntil",
        (tryReaduntil) => (separator) => tryReaduntil(separator) ?? reader.tryReadexactly(1),
      );
    },
  ],
  [
    "every split of the input gives the same reads",
    "readexactly() returns what has arrived",
    ({ reader }) => {
      replace(reader, "readexactly", (readexactly) => (n) => (n === 5 ? reader.read(n) : readexactly(n)));
    },
  ],
  [
    "every split of the input gives the same reads",
    "a separator in two pieces is not found",
    ({ reader }) => {
      replace(reader, "readuntil", (readuntil) => async (separator) => {
        if (separator !== "\r\n\r\n") {
          return await readuntil(separator);
        }
        const piece = await reader.read(7);
        return piece.length === 7 ? piece : await forever();
      });
    },
  ],
  [
    "every split of the input gives the same reads",
    "readInto() returns after one byte",
    ({ reader }) => {
      replace(reader, "readInto", (read) => (target) => read(target, { min: 1 }));
    },
  ],
  [
    "every split of the input gives the same reads",
    "peek() takes the bytes",
    ({ reader }) => {
      replace(
        reader,
        "peek",
        () => (n) => (n === 5 ? reader.readexactly(n) : asyncio.StreamReader.prototype.peek.call(reader, n)),
      );
    },
  ],
  [
    "iteration yields the lines, the last one without a newline, and ends at EOF",
    "iteration leaves out what has no newline",
    ({ reader }) => {
      Object.defineProperty(reader, Symbol.asyncIterator, {
        value: async function* () {
          for (let line = await reader.readline(); line.at(-1) === 10; line = await reader.readline()) {
            yield line;
          }
        },
      });
    },
  ],
  [
    "a LimitOverrunError of readuntil() leaves the bytes in the buffer",
    "readuntil() takes what is too long",
    ({ reader }) => {
      whereItFails(reader, "readuntil", async (error) => {
        if (error instanceof asyncio.LimitOverrunError) {
          await reader.readexactly(error.consumed);
        }
        throw error;
      });
    },
  ],
  [
    "a line of exactly the limit is read",
    "the limit counts the newline",
    ({ reader }) => {
      replace(reader, "readline", (readline) => async () => {
        const line = await readline();
        if (line.length > 65536) {
          throw new asyncio.ValueError("too long");
        }
        return line;
      });
    },
  ],
  [
    "a line over the limit throws a ValueError, and the next line is read",
    "readline() returns a line that is too long",
    ({ reader }) => {
      whereItFails(reader, "readline", (error) => {
        if (error instanceof asyncio.ValueError) {
          return Buffer.from("too long");
        }
        throw error;
      });
    },
  ],
  [
    "the limit does not apply to readexactly() and peek()",
    "readexactly() applies the limit",
    ({ reader }) => {
      replace(reader, "readexactly", (readexactly) => async (n) => {
        if (n > 2 * 65536) {
          throw new asyncio.ValueError("too long");
        }
        return await readexactly(n);
      });
    },
  ],
  [
    "at EOF, readexactly() and readuntil() throw an error with the bytes that had arrived",
    "the error does not have the bytes that had arrived",
    ({ reader }) => {
      whereItFails(reader, "readexactly", (error, n) => {
        throw error instanceof asyncio.IncompleteReadError
          ? new asyncio.IncompleteReadError(Buffer.alloc(0), n)
          : error;
      });
    },
  ],
  [
    "at EOF, readexactly() and readuntil() throw an error with the bytes that had arrived",
    "readuntil() returns the rest at EOF",
    ({ reader }) => {
      whereItFails(reader, "readuntil", (error) => {
        if (error instanceof asyncio.IncompleteReadError) {
          return error.partial;
        }
        throw error;
      });
    },
  ],
  [
    "a cancelled read() keeps all bytes",
    "read() keeps bytes of its own",
    ({ reader }) => {
      replace(
        reader,
        "read",
        (read) =>
          (n = -1) =>
            n < 0 ? byBytes(reader, () => false) : read(n),
      );
    },
  ],
  [
    "a cancelled readline() keeps all bytes",
    "a cancelled readline() drops what it has seen",
    ({ reader }) => {
      whereItFails(reader, "readline", (error) => {
        if (asyncio.isCancelled(error)) {
          reader.tryReadexactly("first ".length);
        }
        throw error;
      });
    },
  ],
  [
    "a cancelled readexactly() keeps all bytes",
    "readexactly() keeps bytes of its own",
    ({ reader }) => {
      replace(
        reader,
        "readexactly",
        (readexactly) => (n) => (n === 100 ? byBytes(reader, (text) => text.length === n) : readexactly(n)),
      );
    },
  ],
  [
    "a cancelled readuntil() keeps all bytes",
    "readuntil() keeps bytes of its own",
    ({ reader }) => {
      replace(
        reader,
        "readuntil",
        (readuntil) => (separator) =>
          separator === "\r\n" ? byBytes(reader, (text) => text.endsWith("\r\n")) : readuntil(separator),
      );
    },
  ],
  [
    "a cancelled readInto() keeps all bytes",
    "readInto() keeps bytes of its own",
    ({ reader }) => {
      replace(
        reader,
        "readInto",
        (read) => async (target, options) =>
          target.length === 100
            ? (await byBytes(reader, (text) => text.length === 100)).copy(target)
            : await read(target, options),
      );
    },
  ],
  [
    "a cancelled peek() keeps all bytes",
    "peek() keeps bytes of its own",
    ({ reader }) => {
      replace(reader, "peek", (peek) => (n) => (n === 100 ? byBytes(reader, (text) => text.length === n) : peek(n)));
    },
  ],
  [
    "bytes written before close() arrive, then EOF",
    "close() drops what waits",
    ({ writer }) => {
      abortsIf(writer, "close", () => writer.transport.getWriteBufferSize() > 1000);
    },
  ],
  [
    "bytes written before close() arrive, then EOF",
    "isClosing() is always false",
    ({ writer }) => {
      replace(writer, "isClosing", () => () => false);
    },
  ],
  [
    "close() may be called again, and every waitClosed() ends",
    "close() may be called once",
    ({ writer }) => {
      replace(writer, "close", (close) => () => {
        if (writer.isClosing()) {
          throw new asyncio.RuntimeError("closed already");
        }
        close();
      });
    },
  ],
  [
    "close() may be called again, and every waitClosed() ends",
    "a cancelled waitClosed() cancels the others",
    ({ writer }) => {
      let shared: asyncio.Task<void> | null = null;
      replace(writer, "waitClosed", (waitClosed) => async () => {
        shared ??= asyncio.createTask(() => waitClosed());
        await shared;
      });
    },
  ],
  [
    "a cancelled waitClosed() does not prevent the close",
    "a cancelled waitClosed() aborts",
    ({ writer }) => {
      whereItFails(writer, "waitClosed", (error) => {
        if (asyncio.isCancelled(error) && writer.needsDrain && writer.transport.getWriteBufferSize() > 0) {
          writer.transport.abort();
        }
        throw error;
      });
    },
  ],
  [
    "after close() of this side, drain() throws and reads end",
    "drain() does nothing after close()",
    ({ writer }) => {
      replace(writer, "drain", (drain) => () => (writer.isClosing() ? Promise.resolve() : drain()));
    },
  ],
  [
    "close() wakes a read that waits on this side",
    "a waiting read continues to wait after close()",
    ({ reader, writer }) => {
      replace(reader, "read", (read) => async (n) => {
        const wasOpen = !writer.isClosing();
        const bytes = await read(n);
        return bytes.length === 0 && n === 1 && wasOpen && writer.isClosing() ? await forever() : bytes;
      });
    },
  ],
  [
    "close() of the other side ends a read that waits",
    "a waiting read does not end at EOF",
    ({ reader, writer }) => {
      replace(reader, "read", (read) => async (n) => {
        const waits = !reader.atEof();
        const bytes = await read(n);
        return bytes.length === 0 && n === 1 && waits && !writer.isClosing() ? await forever() : bytes;
      });
    },
  ],
  [
    "writes to a closed side fail eventually, and keep failing",
    "drain() does not throw when the peer has closed",
    ({ writer }) => {
      const closed = calls(writer, "close");
      replace(writer, "drain", (drain) => () => (closed() ? drain() : drain().catch(() => {})));
    },
  ],
  [
    "abort() of the writer ends the other side's reads, without unsent data",
    "abort() sends something",
    ({ writer }) => {
      replace(writer.transport, "abort", () => () => {
        writer.write(" and more");
        writer.close();
      });
    },
  ],
  [
    "abort() of the writer ends the other side's reads, without unsent data",
    "abort() does nothing",
    ({ writer }) => {
      replace(writer.transport, "abort", () => () => {});
    },
  ],
  [
    "abort() wakes a read that waits on this side",
    "a waiting read continues to wait after abort()",
    ({ reader, writer }) => {
      const aborted = calls(writer.transport, "abort");
      replace(reader, "read", (read) => async (n) => {
        const bytes = await read(n);
        return aborted() ? await forever() : bytes;
      });
    },
  ],
  [
    "a cancelled read and a cancelled drain() do not prevent close()",
    "after a cancelled read close() does nothing",
    ({ reader, writer }) => {
      let cancelled = false;
      whereItFails(reader, "read", (error, n) => {
        cancelled ||= n === 1 && asyncio.isCancelled(error);
        throw error;
      });
      replace(writer, "close", (close) => () => {
        if (!cancelled) {
          close();
        }
      });
    },
  ],
  [
    "random bytes travel in both directions at the same time, in pieces of any size",
    "a bit is lost after half a megabyte",
    ({ writer }) => {
      let sent = 0;
      replace(writer, "send", (send) => (data) => {
        sent += data.length;
        const bytes = Buffer.from(data as Uint8Array);
        if (sent > 500_000) {
          bytes[0] = (bytes[0] ?? 0) ^ 1;
        }
        return send(bytes);
      });
    },
  ],
  [
    "writeEof(): bytes written before arrive, then EOF",
    "writeEof() does nothing",
    ({ writer }) => {
      replace(writer, "writeEof", () => () => {});
    },
  ],
  [
    "writeEof(): bytes written before arrive, then EOF",
    "canWriteEof() is false",
    ({ writer }) => {
      replace(writer, "canWriteEof", () => () => false);
    },
  ],
  [
    "writeEof(): a later write throws, a second writeEof() does not",
    "a write after writeEof() is dropped",
    ({ writer }) => {
      const over = calls(writer, "writeEof");
      replace(writer, "write", (write) => (data) => {
        if (!over()) {
          write(data);
        }
      });
    },
  ],
  [
    "writeEof(): the other direction stays open, and neither side is closing",
    "the EOF of the peer closes the connection",
    ({ reader, writer }) => {
      replace(reader, "read", (read) => async (n) => {
        const bytes = await read(n);
        if (reader.atEof()) {
          writer.close();
        }
        return bytes;
      });
    },
  ],
  [
    "drain() and send() wait while the other side does not read, and end when the other side reads",
    "drain() never waits",
    ({ writer }) => {
      replace(writer, "drain", (drain) => () => (writer.isClosing() ? drain() : Promise.resolve()));
    },
  ],
  [
    "random bytes travel in both directions at the same time, in pieces of any size",
    "drain() never returns",
    ({ writer }) => {
      replace(writer, "drain", (drain) => () => (writer.needsDrain && !writer.isClosing() ? forever() : drain()));
    },
  ],
  [
    "a cancelled drain() loses no written bytes",
    "a cancelled drain() aborts",
    ({ writer }) => {
      whereItFails(writer, "drain", (error) => {
        if (asyncio.isCancelled(error) && writer.needsDrain) {
          writer.transport.abort();
        }
        throw error;
      });
    },
  ],
  [
    "abort() of this side wakes a drain() that waits",
    "drain() continues to wait after abort()",
    ({ writer }) => {
      const aborted = calls(writer.transport, "abort");
      replace(writer, "drain", (drain) => async () => {
        const waits = writer.needsDrain && !writer.isClosing();
        await drain();
        if (waits && aborted()) {
          await forever();
        }
      });
    },
  ],
  [
    "abort() of the other side wakes a drain() that waits, and later calls throw",
    "a waiting drain() does not throw when the peer aborts",
    ({ writer }) => {
      replace(writer, "drain", (drain) => async () => {
        const waits = writer.needsDrain && !writer.isClosing();
        const error = await outcomeOf(drain());
        if (error !== undefined && !(waits && error instanceof asyncio.ConnectionError)) {
          throw error;
        }
      });
    },
  ],
  [
    "close() sends the waiting bytes, and waitClosed() waits until they are sent",
    "close() drops what the peer has not taken",
    ({ writer }) => {
      let written = "";
      replace(writer, "write", (write) => (data) => {
        written = String(data);
        write(data);
      });
      abortsIf(writer, "close", () => written.startsWith("clog"));
    },
  ],
  [
    "writeEof() is sent after the waiting bytes",
    "writeEof() drops what the peer has not taken",
    ({ writer }) => {
      abortsIf(writer, "writeEof", () => writer.needsDrain);
    },
  ],
  [
    "a line that is one byte too long throws, though it has arrived, and the bytes behind it stay",
    "consumed is the limit at most",
    ({ reader }) => {
      whereItFails(reader, "readuntil", (error) => {
        throw consumedOf(error) === 65537 ? new asyncio.LimitOverrunError("too long", 65536) : error;
      });
    },
  ],
  [
    "a read of a line without an end throws as soon as it is one byte too long",
    "readline() allows one byte more",
    ({ reader }) => {
      whereItFails(reader, "readline", async (error) => {
        const { cause } = error as asyncio.ValueError;
        const isByOne = consumedOf(cause) === 65537 && /not found/.test((cause as Error).message);
        throw isByOne ? await forever() : error;
      });
    },
  ],
  [
    "consumed of a LimitOverrunError leaves a separator that has begun",
    "consumed is all that has arrived",
    ({ reader }) => {
      whereItFails(reader, "readuntil", (error, separator) => {
        const consumed = separator === "--" ? consumedOf(error) : undefined;
        throw consumed === undefined ? error : new asyncio.LimitOverrunError("too long", consumed + 1);
      });
    },
  ],
  [
    "a reader that has no more room goes on when a read needs more",
    "a read that needs more does not resume the transport",
    ({ reader }) => {
      replace(reader, "readexactly", (readexactly) => (n) => (n === 4 * 65536 ? forever() : readexactly(n)));
    },
  ],
  [
    "readInto() takes no more than fits, and throws at EOF an error with the bytes that had arrived",
    "readInto() drops what does not fit",
    ({ reader }) => {
      replace(reader, "readInto", (readInto) => async (target, options) => {
        const count = await readInto(target, options);
        reader.tryReadexactly(2);
        return count;
      });
    },
  ],
  [
    "readInto() takes no more than fits, and throws at EOF an error with the bytes that had arrived",
    "readInto() returns fewer bytes at EOF",
    ({ reader }) => {
      whereItFails(reader, "readInto", (error) => {
        if (error instanceof asyncio.IncompleteReadError) {
          return error.partial.length;
        }
        throw error;
      });
    },
  ],
  [
    "other reads may follow a cancelled one, which has searched the bytes that they take",
    "a read does not make readline() search again",
    ({ reader }) => {
      let cancelled = false;
      let taken = false;
      whereItFails(reader, "readline", (error) => {
        cancelled ||= asyncio.isCancelled(error);
        throw error;
      });
      replace(reader, "readline", (readline) => () => (taken ? forever() : readline()));
      replace(reader, "read", (read) => (n) => {
        taken ||= cancelled && n === 3;
        return read(n);
      });
    },
  ],
  [
    "a reader that has no more room hears of EOF",
    "an EOF is forgotten while the transport is paused",
    ({ reader }) => {
      replace(reader, "read", (read) => async (n) => {
        const bytes = await read(n);
        return bytes.length === 2 * 65536 + 1 ? await forever() : bytes;
      });
    },
  ],
  [
    "bytes that have arrived are read before the error of a lost connection",
    "a reset drops what has arrived",
    ({ reader, writer }) => {
      replace(reader, "readexactly", (readexactly) => async (n) => {
        if (n === 3 && writer.isClosing()) {
          throw new asyncio.ConnectionResetError("Connection lost");
        }
        return await readexactly(n);
      });
    },
  ],
  [
    "leaving an `await using` of a lost connection throws nothing",
    "await using throws the error of the connection",
    ({ writer }) => {
      Object.defineProperty(writer, Symbol.asyncDispose, {
        value: async () => {
          writer.close();
          await writer.waitClosed();
        },
      });
    },
  ],
  [
    "drain() and send() wait while the other side does not read, and end when the other side reads",
    "send() never waits",
    ({ writer }) => {
      replace(writer, "send", () => async (data) => writer.write(data));
    },
  ],
  [
    "abort() after close() does not wait until the waiting bytes are sent",
    "abort() after close() does nothing",
    ({ writer }) => {
      replace(writer.transport, "abort", (abort) => () => {
        if (!writer.isClosing()) {
          abort();
        }
      });
    },
  ],
];

/** `consumed` of a LimitOverrunError; `undefined` of another error. */
function consumedOf(error: unknown): number | undefined {
  return error instanceof asyncio.LimitOverrunError ? error.consumed : undefined;
}

/** What checkStreams() says of the ends. A check that hangs fails at once. */
async function complaint(make: () => Ends): Promise<string> {
  const made: Ends[] = [];
  const maker = (): Ends => {
    const ends = make();
    made.push(ends);
    return ends;
  };
  const error = await outcomeOf(new MockClock().with(() => asyncio.run(() => checkStreams(maker))));
  for (const [, { transport }] of made.flat()) {
    // A fault may stand in the way of abort().
    (transport.getExtraInfo("socket") as Duplex).destroy();
  }
  assert.ok(error instanceof assert.AssertionError, `no complaint, but ${String(error)}`);
  return error.message;
}

/** The check that ends that are no readers and writers fail; every other check has a fault among `faults`. */
const TYPES_CHECK = "the ends are readers and writers of asyncio";

/** Whether the message is that of the check, from either end. */
function isOf(check: string, message: string): boolean {
  return message.startsWith(`checkStreams(): ${check}: `) || message.startsWith(`checkStreams(): ${check} (from `);
}

describe("checkStreams() finds planted faults", () => {
  for (const [check, fault, plant] of faults) {
    it(`checkStreams(): ${fault}`, async () => {
      const message = await complaint(() => {
        const ends = memoryStreamPair();
        for (const [reader, writer] of ends) {
          plant({ reader, writer });
        }
        return ends;
      });
      assert.ok(isOf(check, message), message.slice(0, 1000));
    });
  }

  it("checkStreams(): an end that is no reader", async () => {
    const message = await complaint(() => memoryStreamPair().map(([, writer]) => [{}, writer]) as never);
    assert.ok(isOf(TYPES_CHECK, message), message);
  });

  it("checkStreams(): a fault of the second end alone", async () => {
    const message = await complaint(() => {
      const ends = memoryStreamPair();
      replace(ends[1][1], "canWriteEof", () => () => false);
      return ends;
    });
    assert.match(message, /arrive, then EOF \(from the second end\): canWriteEof\(\): expected true, got false/);
  });

  it("checkStreams(): a reader that never holds the writer", async () => {
    const message = await complaint(() => {
      const ends = memoryStreamPair();
      for (const [, { transport }] of ends) {
        Object.assign(transport, { pauseReading: () => {} });
      }
      return ends;
    });
    assert.match(
      message,
      /checkStreams\(\): drain\(\) waits while .*: needsDrain after 64 MiB .*: expected true, got false/,
    );
  });

  it("checkStreams(): there is a fault for every check", () => {
    const checks = [...readChecks, ...closeChecks, ...halfCloseChecks, ...waitChecks].map(({ name }) => name);
    assert.deepEqual(new Set([TYPES_CHECK, ...faults.map(([check]) => check)]), new Set(checks));
  });
});

describe("checkStreams() and its arguments", () => {
  it("halfClose: false leaves those checks out", async () => {
    const withoutHalfClose = (): [StreamPair, StreamPair] => {
      const ends = memoryStreamPair();
      for (const [, writer] of ends) {
        replace(writer, "writeEof", () => () => {
          throw new asyncio.NotImplementedError("writeEof()");
        });
      }
      return ends;
    };
    await checkStreams(withoutHalfClose, { halfClose: false });
    assert.match(await complaint(withoutHalfClose), /writeEof\(\).*it threw NotImplementedError/);
  });

  for (const [name, call, message] of [
    ["no function", () => checkStreams(1 as never), /checkStreams\(\) needs a function/],
    [
      "another option",
      () => checkStreams(memoryStreamPair as never, { cloged: 1 } as never),
      /unexpected option 'cloged'/,
    ],
    [
      "a clogged that is no function",
      () => checkStreams(memoryStreamPair as never, { clogged: 1 as never }),
      /clogged needs a function/,
    ],
    ["a limit of 0", () => checkStreams(memoryStreamPair as never, { limit: 0 }), /limit must be/],
    ["a timeout of 0", () => checkStreams(memoryStreamPair as never, { timeout: 0 }), /timeout must be/],
  ] as const) {
    it(`checkStreams(): refuses ${name}`, async () => {
      assert.match(String(await outcomeOf(call())), message);
    });
  }

  it("checkStreams(): throws a TypeError for a maker that makes no two pairs", async () => {
    const [[reader, writer], far] = memoryStreamPair();
    for (const made of [undefined, 1, [], [1, 2], [reader, writer], [[reader, writer]], [far, far, far]]) {
      const error = await outcomeOf(checkStreams(() => made as never));
      assert.match(String(error), /^TypeError: checkStreams\(\): the result of maker must be /);
    }
    writer.transport.abort();
    far[1].transport.abort();
  });

  it("checkStreams(): throws what the maker throws", async () => {
    const error = new Error("no pair");
    assert.equal(await outcomeOf(checkStreams(() => Promise.reject(error))), error);
  });
});
