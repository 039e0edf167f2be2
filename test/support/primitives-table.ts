/**
 * Which Context each primitive of Node runs its callback in, as variables see it: one row a primitive.
 *
 * The table of `docs/callbacks.md` is made from this; `primitives.test.ts` holds it against each runtime.
 */
import { type Runtime, runtimes } from "./runtime.ts";

/** What the letters in the cells mean. */
export const legend = {
  R: "where the callback was registered, or the promise awaited",
  T: "where it was triggered: emitted, resolved, resumed",
  C: "where the object was created",
  L: "where listen() or bind() was called",
  S: "where the call was made that started it",
  N: "where the generator's next() or return() was called",
  "-": "none",
} as const;

export type Cell = keyof typeof legend;

/** One cell for all runtimes, or the exceptions and what holds for the others. */
export type Sees = Cell | (Partial<Record<Runtime, Cell>> & { readonly others: Cell });

export interface Primitive {
  /** The group of rows it belongs to. */
  readonly group: string;
  /** What it is, as the page shows it. */
  readonly primitive: string;
  readonly sees: Sees;
  /** Who sees what the callback sets outside tasks, where that is anybody. */
  readonly leaks?: Leaks;
}

export type Leaks = Readonly<Partial<Record<Runtime, "the next call" | "any callback">>>;

const toNextCall: Leaks = Object.fromEntries(runtimes.map((name) => [name, "the next call"]));

export const primitives = {
  then: { group: "promises", primitive: "promise.then, catch and finally", sees: "R" },
  thenResolved: { group: "promises", primitive: "promise.then on a promise that is settled already", sees: "R" },
  await: { group: "promises", primitive: "after await", sees: "R" },
  awaitThenable: { group: "promises", primitive: "after await of a custom thenable", sees: "R" },
  insideThenable: { group: "promises", primitive: "inside then() of an awaited custom thenable", sees: "R" },
  thenableCallback: { group: "promises", primitive: "callback given to then() of a custom thenable", sees: "T" },

  queueMicrotask: { group: "scheduling", primitive: "queueMicrotask", sees: "R" },
  nextTick: { group: "scheduling", primitive: "process.nextTick", sees: "R" },
  setTimeout: { group: "scheduling", primitive: "setTimeout", sees: "R" },
  setInterval: { group: "scheduling", primitive: "setInterval", sees: "R" },
  setImmediate: { group: "scheduling", primitive: "setImmediate", sees: "R" },
  refresh: {
    group: "scheduling",
    primitive: "setTimeout after timeout.refresh()",
    sees: "R",
    leaks: { deno: "the next call" },
  },
  timersPromises: { group: "scheduling", primitive: "timers/promises", sees: "R" },

  emitter: { group: "events", primitive: "EventEmitter listener", sees: "T" },
  emitterResource: { group: "events", primitive: "EventEmitterAsyncResource listener", sees: "C" },
  eventTarget: { group: "events", primitive: "EventTarget listener", sees: "T" },
  abort: { group: "events", primitive: "AbortSignal 'abort' by controller.abort()", sees: "T" },
  abortTimeout: {
    group: "events",
    primitive: "AbortSignal.timeout() 'abort'",
    sees: { bun: "-", deno: "-", others: "C" },
    leaks: { deno: "any callback" },
  },
  once: { group: "events", primitive: "await events.once()", sees: "R" },
  on: { group: "events", primitive: "for await over events.on()", sees: "R" },
  diagnosticsChannel: { group: "events", primitive: "diagnostics_channel subscriber", sees: "T" },
  signal: {
    group: "events",
    primitive: "process.on('SIGWINCH')",
    sees: { bun: "-", others: "R" },
    leaks: { deno: "the next call" },
  },

  generator: { group: "generators", primitive: "body of a generator", sees: "N" },
  asyncGenerator: { group: "generators", primitive: "body of an async generator, each step", sees: "N" },
  asyncGeneratorAwait: { group: "generators", primitive: "body of an async generator, after an await", sees: "N" },
  generatorReturn: { group: "generators", primitive: "finally of an async generator by return()", sees: "N" },
  forAwait: { group: "generators", primitive: "body of for await", sees: "R" },

  listening: { group: "net", primitive: "server.listen callback", sees: "L" },
  connection: { group: "net", primitive: "server 'connection'", sees: "L" },
  serverData: { group: "net", primitive: "server socket 'data'", sees: { bun: "L", others: "-" } },
  serverClose: { group: "net", primitive: "server socket 'close'", sees: { bun: "L", others: "-" } },
  serverForAwait: { group: "net", primitive: "for await over a server socket", sees: "R" },
  resumed: { group: "net", primitive: "server socket 'data' that resume() lets go", sees: { deno: "-", others: "T" } },
  closed: { group: "net", primitive: "server.close callback", sees: { deno: "-", others: "R" } },
  connected: { group: "net", primitive: "client 'connect'", sees: "S" },
  clientData: { group: "net", primitive: "client 'data'", sees: { deno: "-", others: "S" } },
  clientClose: { group: "net", primitive: "client 'close'", sees: { deno: "-", others: "S" } },
  written: { group: "net", primitive: "socket.write callback", sees: "R" },
  datagram: { group: "net", primitive: "dgram 'message'", sees: { bun: "L", deno: "L", others: "C" } },
  socketTimeout: { group: "net", primitive: "socket 'timeout'", sees: "T" },
  secured: { group: "net", primitive: "tls server 'secureConnection'", sees: { deno: "-", others: "L" } },
  securedData: { group: "net", primitive: "tls server socket 'data'", sees: { deno: "-", others: "L" } },

  request: { group: "http", primitive: "server 'request'", sees: { deno: "-", others: "L" } },
  requestData: { group: "http", primitive: "server request 'data'", sees: { deno: "-", others: "L" } },
  requestEnd: { group: "http", primitive: "server request 'end'", sees: { deno: "-", others: "L" } },
  response: { group: "http", primitive: "client 'response'", sees: "S" },
  responseData: { group: "http", primitive: "client response 'data'", sees: "S" },
  responseEnd: { group: "http", primitive: "client response 'end'", sees: "S" },
  http2Stream: { group: "http", primitive: "http2 server 'stream'", sees: { deno: "-", others: "L" } },
  http2Data: { group: "http", primitive: "http2 server stream 'data'", sees: { bun: "L", others: "-" } },
  fetch: { group: "http", primitive: "await fetch()", sees: "R" },

  fs: { group: "work", primitive: "fs callback", sees: "R" },
  fsPromises: { group: "work", primitive: "await of fs/promises", sees: "R" },
  dns: { group: "work", primitive: "dns.lookup callback", sees: "R" },
  zlib: { group: "work", primitive: "zlib callback", sees: "R" },
  crypto: { group: "work", primitive: "crypto callback", sees: "R" },
  exec: { group: "work", primitive: "child_process.exec callback", sees: "R" },
  childOutput: {
    group: "work",
    primitive: "child process stdout 'data'",
    sees: { bun: "R", deno: "-", others: "C" },
    leaks: { bun: "the next call" },
  },
  childExit: { group: "work", primitive: "child process 'exit'", sees: "C" },
  childMessage: { group: "work", primitive: "child process 'message'", sees: "C" },
  watchFile: { group: "work", primitive: "fs.watchFile listener", sees: "R", leaks: { deno: "the next call" } },
  watch: {
    group: "work",
    primitive: "fs.watch 'change'",
    sees: "C",
    leaks: { bun: "the next call", deno: "the next call" },
  },
  finalization: {
    group: "work",
    primitive: "FinalizationRegistry callback",
    sees: "-",
    leaks: { ...toNextCall, deno: "any callback" },
  },

  readableFrom: { group: "streams", primitive: "Readable.from() 'data'", sees: "R", leaks: toNextCall },
  fileStream: { group: "streams", primitive: "fs.createReadStream() 'data'", sees: "C", leaks: toNextCall },
  fileLines: { group: "streams", primitive: "readline 'line' of a file", sees: "C", leaks: toNextCall },
  forAwaitStream: { group: "streams", primitive: "for await over a stream", sees: "R" },
  pipeline: { group: "streams", primitive: "stream.pipeline callback", sees: { node20: "T", others: "R" } },
  finished: { group: "streams", primitive: "stream.finished callback", sees: { node20: "T", others: "R" } },
  transform: { group: "streams", primitive: "transform() of the first write", sees: "T" },
  webPull: { group: "streams", primitive: "pull() of a ReadableStream", sees: { bun: "C", others: "T" } },

  messagePort: { group: "threads", primitive: "MessagePort 'message'", sees: { bun: "-", deno: "R", others: "C" } },
  worker: { group: "threads", primitive: "inside a new Worker", sees: "-" },
  workerMessage: { group: "threads", primitive: "Worker 'message' in the parent", sees: { bun: "-", others: "C" } },

  bind: { group: "binding", primitive: "AsyncResource.bind()", sees: "R" },
  snapshot: { group: "binding", primitive: "AsyncLocalStorage.snapshot()", sees: "R" },
  isolated: { group: "binding", primitive: "isolated()", sees: "R" },
} as const satisfies Readonly<Record<string, Primitive>>;

export type PrimitiveName = keyof typeof primitives;

/** What stands in the table for the runtime. */
export function cellFor(sees: Sees, runtime: Runtime): Cell {
  return typeof sees === "string" ? sees : (sees[runtime] ?? sees.others);
}
