/** Every kind of source that a reader can be made of, and every kind of sink for a writer. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as http from "node:http";
import type * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import * as asyncio from "contextvars/asyncio";
import { closed, portOf } from "./peers.ts";

/** The pieces that a source is to give, one after the other, asked for when there is room for one. */
export type Pieces = Iterator<Uint8Array>;

export interface SourceKind {
  /** Makes a source of the pieces; what they throw is what it fails with. */
  make(pieces: Pieces, onCancel: () => void): asyncio.ByteSource;
  /** What becomes of an error that is none, such as `undefined`: a Node stream has no such error. */
  readonly failsWithAnything: boolean;
}

function nodeReadable(pieces: Pieces, onCancel: () => void, options: object = {}): Readable {
  return new Readable({
    ...options,
    read() {
      try {
        const { done, value } = pieces.next();
        // An empty piece is one that a stream does not give.
        this.push(done === true ? null : value);
      } catch (error) {
        this.destroy(error as Error);
      }
    },
    destroy(error, callback) {
      if (!this.readableEnded && error === null) {
        onCancel();
      }
      callback(error);
    },
  });
}

function webReadable(type: "bytes" | undefined, pieces: Pieces, onCancel: () => void): ReadableStream<Uint8Array> {
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    const { done, value } = pieces.next();
    if (done === true) {
      controller.close();
    } else if (type === "bytes" && value.length === 0) {
      // It takes no empty piece.
      pull(controller);
    } else {
      // What a stream of bytes is given is no longer the giver's.
      controller.enqueue(value instanceof Uint8Array ? new Uint8Array(value) : value);
    }
  };
  return new ReadableStream({ type: type as undefined, pull, cancel: onCancel }, { highWaterMark: 0 });
}

async function* generated(pieces: Pieces, onCancel: () => void): AsyncGenerator<Uint8Array> {
  let isThrough = false;
  try {
    for (let next = pieces.next(); next.done !== true; next = pieces.next()) {
      yield next.value;
    }
    isThrough = true;
  } catch (error) {
    isThrough = true;
    throw error;
  } finally {
    if (!isThrough) {
      onCancel();
    }
  }
}

function iterator(pieces: Pieces, onCancel: () => void): Iterator<Uint8Array> {
  return {
    next: () => pieces.next(),
    return: () => {
      onCancel();
      return { done: true, value: undefined };
    },
  };
}

export const sourceKinds: Readonly<Record<string, SourceKind>> = {
  "a Readable": { make: nodeReadable, failsWithAnything: false },
  "a Readable without a 'close' event": {
    make: (pieces, onCancel) => nodeReadable(pieces, onCancel, { emitClose: false }),
    failsWithAnything: false,
  },
  "a Readable that stays when it has ended": {
    make: (pieces, onCancel) => nodeReadable(pieces, onCancel, { autoDestroy: false }),
    failsWithAnything: false,
  },
  "a Readable.from() of an iterable": {
    make: (pieces, onCancel) => Readable.from(generated(pieces, onCancel), { objectMode: false }),
    failsWithAnything: false,
  },
  "a ReadableStream": { make: (...given) => webReadable(undefined, ...given), failsWithAnything: true },
  "a ReadableStream of bytes": { make: (...given) => webReadable("bytes", ...given), failsWithAnything: true },
  "the body of a response": {
    make: (...given) => new Response(webReadable(undefined, ...given)).body as ReadableStream<Uint8Array>,
    failsWithAnything: true,
  },
  "an async generator": { make: generated, failsWithAnything: true },
  "an iterable that is not async": {
    make: (...given) => ({ [Symbol.iterator]: () => iterator(...given) }),
    failsWithAnything: true,
  },
  "an iterable of promises": {
    make: (pieces, onCancel) => {
      const bytes = iterator(pieces, onCancel);
      const next = (): IteratorResult<Promise<Uint8Array>> => {
        const { done, value } = bytes.next();
        return done === true ? { done, value } : { done: false, value: Promise.resolve(value) };
      };
      return { [Symbol.iterator]: () => ({ ...bytes, next }) } as unknown as Iterable<Uint8Array>;
    },
    failsWithAnything: true,
  },
};

/** A sink, and what has arrived at its other side. */
export interface OpenedSink {
  readonly sink: asyncio.ByteSink;
  /** Everything that was written, when the sink has ended. */
  received(): Promise<Buffer>;
}

/** A sink that takes a piece only when it is let. */
export interface Gate {
  /** Waits until one more piece may be taken; throws for a sink that fails. */
  pass(piece: Uint8Array): Promise<void> | void;
  /** The sink has ended: properly, or with less than all. Throws for a sink that cannot end. */
  ended(properly: boolean): Promise<void> | void;
}

export const gatedSinks: Readonly<Record<string, (gate: Gate) => asyncio.ByteSink>> = {
  "a Writable": (gate) => nodeWritable(gate),
  "a Writable without a 'close' event": (gate) => nodeWritable(gate, { emitClose: false }),
  "a Writable that is corked": (gate) => {
    const sink = nodeWritable(gate);
    sink.cork();
    return sink;
  },
  "a WritableStream": (gate) =>
    new WritableStream({
      write: (piece) => gate.pass(piece),
      close: () => gate.ended(true),
      abort: () => gate.ended(false),
    }),
};

function nodeWritable(gate: Gate, options: object = {}): Writable {
  let isThrough = false;
  const write = async (piece: Uint8Array): Promise<void> => await gate.pass(piece);
  const end = async (): Promise<void> => await gate.ended(true);
  return new Writable({
    ...options,
    write: (piece: Buffer, _encoding, done) => {
      write(piece).then(() => done(), done);
    },
    final: (done) => {
      isThrough = true;
      end().then(() => done(), done);
    },
    destroy: (error, done) => {
      if (!isThrough) {
        void gate.ended(false);
      }
      done(error);
    },
  });
}

async function collected(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) {
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** A process that writes what it reads. */
function spawnCat(): ChildProcessByStdio<Writable, Readable, null> {
  // Git brings one to Windows.
  const program = process.platform === "win32" ? "C:/Program Files/Git/usr/bin/cat.exe" : "cat";
  return spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
}

/** Sinks of the runtime, that do something with the bytes. */
export const realSinks: Readonly<Record<string, () => Promise<OpenedSink>>> = {
  "a PassThrough": async () => {
    const sink = new PassThrough();
    return { sink, received: () => collected(sink) };
  },
  "a TransformStream": async () => {
    const { writable, readable } = new TransformStream<Uint8Array, Uint8Array>();
    return { sink: writable, received: () => collected(readable as unknown as AsyncIterable<Uint8Array>) };
  },
  "a CompressionStream": async () => {
    const { writable, readable } = new CompressionStream("gzip");
    const unzipped = readable.pipeThrough(new DecompressionStream("gzip"));
    return {
      sink: writable as WritableStream<Uint8Array>,
      received: () => collected(unzipped as unknown as AsyncIterable<Uint8Array>),
    };
  },
  "a file": async () => {
    const directory = mkdtempSync(join(tmpdir(), "sink-"));
    const path = join(directory, "written");
    const sink = createWriteStream(path);
    return {
      sink,
      received: async () => {
        if (!sink.closed) {
          await once(sink, "close");
        }
        const bytes = readFileSync(path);
        rmSync(directory, { recursive: true });
        return bytes;
      },
    };
  },
  "a socket": async () => {
    const [sink, far] = await asyncio.socketpair();
    return { sink, received: () => collected(far).finally(() => sink.destroy()) };
  },
  "the input of a child process": async () => {
    const child = spawnCat();
    return { sink: child.stdin, received: () => collected(child.stdout) };
  },
  "the body of a request": async () => {
    const body = new asyncio.Future<Buffer>();
    const server = http.createServer(async (request, response) => {
      body.setResult(await collected(request));
      response.end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const sink = http.request({ port: portOf(server), method: "POST", agent: false }, (response) => response.resume());
    return { sink, received: async () => await body.finally(() => closed(server)) };
  },
};

/** Sources of the runtime, that give the bytes. */
export const realSources: Readonly<Record<string, (bytes: Buffer) => Promise<asyncio.ByteSource>>> = {
  "a file": async (bytes) => {
    const directory = mkdtempSync(join(tmpdir(), "source-"));
    const path = join(directory, "read");
    writeFileSync(path, bytes);
    return createReadStream(path).on("close", () => rmSync(directory, { recursive: true }));
  },
  "a socket": async (bytes) => {
    const [source, far] = await asyncio.socketpair();
    far.end(bytes);
    source.on("end", () => source.end());
    return source;
  },
  "a paused socket whose EOF has come": async (bytes) => {
    const [source, far] = await asyncio.socketpair();
    source.pause();
    far.end(bytes);
    source.on("end", () => source.end());
    return source;
  },
  "the output of a child process": async (bytes) => {
    const child = spawnCat();
    child.stdin.end(bytes);
    return child.stdout;
  },
  "a Blob": async (bytes) => new Blob([new Uint8Array(bytes)]).stream() as ReadableStream<Uint8Array>,
  "an array": async (bytes) => [bytes.subarray(0, 5), bytes.subarray(5)],
  "a response of fetch()": async (bytes) => {
    const server = http.createServer((_request, response) => response.end(bytes));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const response = await fetch(`http://127.0.0.1:${portOf(server)}/`, { headers: { connection: "close" } });
    void closed(server as net.Server);
    return response.body as ReadableStream<Uint8Array>;
  },
  "the body of a request": async (bytes) => {
    const source = new asyncio.Future<http.IncomingMessage>();
    const server = http.createServer((request, response) => {
      request.on("end", () => response.end());
      source.setResult(request);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    http
      .request({ port: portOf(server), method: "POST", agent: false }, (response) => {
        response.resume().on("end", () => void closed(server));
      })
      .end(bytes);
    return await source;
  },
};
