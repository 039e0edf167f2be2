/** A conversation with the inspector of a process: requests, the answer to each, and events. */
import * as asyncio from "../asyncio/index.ts";
import { WebSocketClient } from "./websocket.ts";

/** How long to wait for the answers that are still due at the end. */
const PATIENCE = 1; // second

/** An answer, which has an `id`, or an event. */
export interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params: {
    readonly sessionId: string;
    readonly message: string;
    /** The title begins with `[worker 1]`; the `workerId` is another number. */
    readonly workerInfo: { readonly title: string };
  };
  readonly error?: { readonly message: string };
  readonly result?: {
    readonly result: { readonly value?: string };
    readonly exceptionDetails?: { readonly text: string; readonly exception?: { readonly description?: string } };
  };
}

export class InspectorSession {
  readonly #socket: WebSocketClient;
  readonly #answers = new Map<number, asyncio.Future<Message>>();
  /** A task of its own, so that Ctrl-C ends no read within a frame. */
  readonly #reading: asyncio.Task<void>;
  #lastId = 0;
  /** Called with each event. */
  onEvent: (event: Message) => void = () => {};

  private constructor(socket: WebSocketClient) {
    this.#socket = socket;
    this.#reading = asyncio.createTask(() => this.#read());
  }

  static async connect(port: number, path: string): Promise<InspectorSession> {
    return new InspectorSession(await WebSocketClient.connect("127.0.0.1", port, path));
  }

  /** Returns the answer. @throws {ConnectionError} If the process ends the connection. */
  async request(method: string, params: object = {}): Promise<Message> {
    if (this.#reading.done()) {
      throw lost();
    }
    this.#lastId += 1;
    const answer = new asyncio.Future<Message>();
    this.#answers.set(this.#lastId, answer);
    await this.#socket.send(JSON.stringify({ id: this.#lastId, method, params }));
    return await answer;
  }

  /** Closes the connection when all answers have come: Node crashes if it answers a client that is disconnecting. */
  async close(): Promise<void> {
    const end = performance.now() + PATIENCE * 1000;
    while (this.#answers.size > 0 && performance.now() < end) {
      await asyncio.sleep(0.01);
    }
    this.#reading.cancel();
    await this.#socket.close();
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const message = JSON.parse(await this.#socket.receive()) as Message;
        if (message.id === undefined) {
          this.onEvent(message);
          continue;
        }
        const answer = this.#answers.get(message.id);
        this.#answers.delete(message.id);
        if (answer?.done() === false) {
          answer.setResult(message);
        }
      }
    } catch (error) {
      if (asyncio.isCancelled(error)) {
        throw error;
      }
      for (const answer of this.#answers.values()) {
        if (!answer.done()) {
          answer.setException(lost());
        }
      }
      this.#answers.clear();
    }
  }
}

function lost(): asyncio.ConnectionError {
  return new asyncio.ConnectionError("the process has closed its inspector");
}
