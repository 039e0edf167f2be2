/**
 * Calls over lines of JSON, each with a deadline: a server and a client, which talk to each other here. Usage: json-rpc
 *
 *     {"id":1,"method":"add","params":[1,2],"timeout":5}    the answer: {"id":1,"result":3}
 *
 * Calls run at the same time and are answered as they end. The deadline holds on both sides: the server cancels what is
 * late, and the client does not wait for a server that does not answer.
 */
import { fileURLToPath } from "node:url";
import * as asyncio from "contextvars/asyncio";
import { type Framed, framed, jsonLinesCodec } from "contextvars/codecs";

interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
  readonly timeout: number; // seconds
}

interface Response {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

type Methods = Readonly<Record<string, (...params: never[]) => unknown>>;

async function answer({ id, method, params, timeout }: Request, methods: Methods): Promise<Response> {
  // Not every name that the object knows is a method: it has a constructor.
  const call = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (call === undefined) {
    return { id, error: `there is no method ${method}` };
  }
  try {
    const result = await asyncio.timeout(timeout).with(async () => await call(...(params as never[])));
    return { id, result };
  } catch (error) {
    if (asyncio.isCancelled(error)) {
      throw error;
    }
    return { id, error: error instanceof asyncio.TimeoutError ? "too late" : String(error) };
  }
}

/** Serves one connection, until the client closes it. */
async function serve(peer: Framed<Request, Response>, methods: Methods): Promise<void> {
  try {
    await new asyncio.TaskGroup().with(async (calls) => {
      for await (const request of peer) {
        calls.createTask(async () => peer.send(await answer(request, methods)));
      }
    });
  } catch (error) {
    if (!(error instanceof asyncio.ExceptionGroup)) {
      throw error;
    }
    // A client that has gone does not want its answers any more.
    const [, others] = error.split(asyncio.ConnectionError);
    if (others !== null) {
      throw others;
    }
  }
}

export class RpcClient {
  readonly #peer: Framed<Response, Request>;
  readonly #due = new Map<number, asyncio.Future<unknown>>();
  /** Why there will be no more answers. */
  #failure: unknown = null;
  readonly #answers: asyncio.Task<void>;
  #lastId = 0;

  constructor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) {
    this.#peer = framed(reader, writer, jsonLinesCodec<Response, Request>());
    this.#answers = asyncio.createTask(() => this.#readAnswers());
  }

  /**
   * @throws {TimeoutError} If there is no answer within `timeout` seconds.
   * @throws {ConnectionError} If the connection is lost.
   */
  async call(method: string, params: readonly unknown[], timeout: number): Promise<unknown> {
    if (this.#failure !== null) {
      throw this.#failure;
    }
    const id = ++this.#lastId;
    const result = new asyncio.Future<unknown>();
    this.#due.set(id, result);
    try {
      await this.#peer.send({ id, method, params, timeout });
      // A second more than the server has, which knows better what was late.
      return await asyncio.waitFor(result, timeout + 1);
    } finally {
      this.#due.delete(id);
    }
  }

  async close(): Promise<void> {
    await this.#peer.close();
    await this.#answers;
  }

  async #readAnswers(): Promise<void> {
    try {
      for await (const response of this.#peer) {
        this.#settle(response);
      }
      this.#failure = new asyncio.ConnectionResetError("the connection has been closed");
    } catch (error) {
      this.#failure = error;
    }
    for (const due of this.#due.values()) {
      if (!due.done()) {
        due.setException(this.#failure);
      }
    }
  }

  #settle({ id, result, error }: Response): void {
    const due = this.#due.get(id);
    // The caller may have stopped waiting.
    if (due === undefined || due.done()) {
      return;
    }
    if (error !== undefined) {
      due.setException(new Error(error));
    } else {
      due.setResult(result);
    }
  }
}

const methods: Methods = {
  add: (a: number, b: number) => a + b,
  async sleep(seconds: number) {
    await asyncio.sleep(seconds);
    return `slept for ${seconds} s`;
  },
};

async function main(): Promise<void> {
  const server = await asyncio.startServer(
    async (reader, writer) => {
      await using peer = framed(reader, writer, jsonLinesCodec<Request, Response>());
      await serve(peer, methods);
    },
    "127.0.0.1",
    0,
  );
  const port = server.sockets[0]?.getsockname().port ?? 0;
  const client = new RpcClient(...(await asyncio.openConnection("127.0.0.1", port)));
  const show = async (...call: Parameters<RpcClient["call"]>): Promise<void> => {
    const [method, params] = call;
    const outcome = await client.call(...call).catch((error: unknown) => String(error));
    console.log(`${method}(${params.join(", ")}): ${outcome}`);
  };
  // All of them at the same time: what is fast does not wait for what is slow.
  await asyncio.gather([
    () => show("sleep", [0.2], 5),
    () => show("sleep", [3600], 0.1),
    () => show("add", [1, 2], 5),
    () => show("divide", [1, 2], 5),
    () => show("constructor", [], 5),
  ]);
  await client.close();
  server.close();
  await server.waitClosed();
}

// Another program may import the class only.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await asyncio.run(main);
}
