/**
 * An MQTT client: publishes a message, or prints those of a topic. MQTT 3.1.1, quality of service 0 and 1.
 *
 * Usage: mqtt-client HOST PORT publish TOPIC MESSAGE
 *        mqtt-client HOST PORT subscribe TOPIC [COUNT]   ends after so many messages
 */
import { fileURLToPath } from "node:url";
import * as asyncio from "contextvars/asyncio";
import { type Codec, type Framed, framed } from "contextvars/codecs";

const KEEP_ALIVE = 30; // seconds
const ANSWER_TIMEOUT = 10; // seconds

const CONNECT = 1;
const CONNACK = 2;
const PUBLISH = 3;
const PUBACK = 4;
const SUBSCRIBE = 8;
const SUBACK = 9;
const PINGREQ = 12;
const PINGRESP = 13;
const DISCONNECT = 14;

export interface Packet {
  /** The kind of packet, and four bits that belong to the kind. */
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

/** Packets: a byte, the length of the rest in one to four bytes of seven bits, the rest. */
export const mqttCodec: Codec<Packet> = {
  maxLength: 1024 * 1024,
  decode(bytes) {
    let length = 0;
    for (let i = 1; i < bytes.length; i++) {
      const byte = bytes.readUInt8(i);
      length += (byte & 0x7f) << (7 * (i - 1));
      if (byte < 0x80) {
        const size = i + 1 + length;
        const first = bytes.readUInt8(0);
        const packet = { type: first >> 4, flags: first & 15, body: bytes.subarray(i + 1, size) };
        return bytes.length < size ? size : { frame: packet, size };
      }
      if (i === 4) {
        throw new asyncio.ValueError("the length of a packet has more than 4 bytes", { code: "ERR_FRAME_LENGTH" });
      }
    }
    return bytes.length + 1;
  },
  encode({ type, flags, body }) {
    const head = [(type << 4) | flags];
    let left = body.length;
    for (; left >= 0x80; left >>= 7) {
      head.push((left & 0x7f) | 0x80);
    }
    return [Uint8Array.from([...head, left]), body];
  },
};

function number16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function text(value: string): Buffer {
  return Buffer.concat([number16(Buffer.byteLength(value)), Buffer.from(value)]);
}

function gone(cause: unknown): Error {
  return new asyncio.ConnectionResetError("the server has closed the connection", { cause });
}

export interface Message {
  readonly topic: string;
  readonly payload: Buffer;
}

export class MqttClient {
  readonly #messages = new asyncio.Queue<Message>();
  readonly #peer: Framed<Packet>;
  /** What waits for an answer, by the type and the number of the answer. */
  readonly #due = new Map<string, asyncio.Future<Buffer>>();
  readonly #tasks: readonly asyncio.Task<void>[];
  #hasEnded = false;
  /** The error that has ended the connection, if there was one. */
  #failure: unknown;
  #lastId = 0;

  constructor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) {
    this.#peer = framed(reader, writer, mqttCodec);
    this.#tasks = [asyncio.createTask(() => this.#receive()), asyncio.createTask(() => this.#keepAlive())];
  }

  async connect(clientId: string): Promise<void> {
    const CLEAN_SESSION = 2;
    const body = Buffer.concat([text("MQTT"), Buffer.from([4, CLEAN_SESSION]), number16(KEEP_ALIVE), text(clientId)]);
    const answer = await this.#ask(CONNECT, 0, body, CONNACK, 0);
    if (answer[1] !== 0) {
      throw new asyncio.ConnectionRefusedError(`the server refuses the connection with ${answer[1]}`);
    }
  }

  async subscribe(topic: string): Promise<void> {
    const id = this.#nextId();
    const answer = await this.#ask(SUBSCRIBE, 2, Buffer.concat([number16(id), text(topic), Buffer.of(1)]), SUBACK, id);
    if (answer[2] === 0x80) {
      throw new asyncio.PermissionError(`the server refuses the subscription to ${topic}`);
    }
  }

  /** Returns when the server has taken the message. */
  async publish(topic: string, payload: Uint8Array | string): Promise<void> {
    const AT_LEAST_ONCE = 2;
    const id = this.#nextId();
    const body = Buffer.concat([text(topic), number16(id), Buffer.from(payload as string)]);
    await this.#ask(PUBLISH, AT_LEAST_ONCE, body, PUBACK, id);
  }

  /** The next message. @throws {ConnectionResetError} If the server closes the connection before. */
  async next(): Promise<Message> {
    try {
      return await this.#messages.get();
    } catch (error) {
      throw error instanceof asyncio.QueueShutDown ? gone(this.#failure) : error;
    }
  }

  async close(): Promise<void> {
    for (const task of this.#tasks) {
      task.cancel();
    }
    await this.#peer.send({ type: DISCONNECT, flags: 0, body: Buffer.alloc(0) }).catch(() => {});
    await this.#peer.close();
  }

  #nextId(): number {
    this.#lastId = (this.#lastId % 0xffff) + 1;
    return this.#lastId;
  }

  async #ask(type: number, flags: number, body: Buffer, answerType: number, id: number): Promise<Buffer> {
    if (this.#hasEnded) {
      throw gone(this.#failure);
    }
    const key = `${answerType} ${id}`;
    const answer = new asyncio.Future<Buffer>();
    this.#due.set(key, answer);
    try {
      await this.#peer.send({ type, flags, body });
      return await asyncio.waitFor(answer, ANSWER_TIMEOUT);
    } finally {
      this.#due.delete(key);
    }
  }

  async #receive(): Promise<void> {
    try {
      for await (const { type, flags, body } of this.#peer) {
        if (type === PUBLISH) {
          await this.#take(flags, body);
        } else if (type !== PINGRESP) {
          const answer = this.#due.get(`${type} ${type === CONNACK ? 0 : body.readUInt16BE(0)}`);
          // The caller may have stopped waiting.
          if (answer?.done() === false) {
            answer.setResult(body);
          }
        }
      }
    } catch (error) {
      if (asyncio.isCancelled(error)) {
        throw error;
      }
      this.#failure = error;
    } finally {
      this.#hasEnded = true;
      for (const answer of this.#due.values()) {
        if (!answer.done()) {
          answer.setException(gone(this.#failure));
        }
      }
      this.#messages.shutdown();
    }
  }

  async #take(flags: number, body: Buffer): Promise<void> {
    const topicEnd = 2 + body.readUInt16BE(0);
    const hasId = (flags & 6) !== 0;
    const payload = body.subarray(hasId ? topicEnd + 2 : topicEnd);
    await this.#messages.put({ topic: body.toString("utf8", 2, topicEnd), payload });
    if (hasId) {
      await this.#peer.send({ type: PUBACK, flags: 0, body: body.subarray(topicEnd, topicEnd + 2) });
    }
  }

  async #keepAlive(): Promise<void> {
    try {
      for (;;) {
        await asyncio.sleep(KEEP_ALIVE / 2);
        await this.#peer.send({ type: PINGREQ, flags: 0, body: Buffer.alloc(0) });
      }
    } catch (error) {
      // Those who wait for an answer or a message hear of a lost connection.
      if (!(error instanceof asyncio.ConnectionError)) {
        throw error;
      }
    }
  }
}

async function main(host: string, port: number, command: string, topic: string, argument: string): Promise<void> {
  const client = new MqttClient(...(await asyncio.openConnection(host, port)));
  try {
    await client.connect(`contextvars-${process.pid}`);
    if (command === "publish") {
      await client.publish(topic, argument);
      return;
    }
    await client.subscribe(topic);
    console.log(`Subscribed to ${topic}`);
    for (let left = Number(argument); left > 0; left--) {
      const message = await client.next();
      console.log(`${message.topic}: ${message.payload}`);
    }
  } finally {
    await client.close();
  }
}

// Another program may import the class only.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [host = "127.0.0.1", port = "1883", command = "subscribe", topic = "#", argument = "Infinity"] =
    process.argv.slice(2);
  try {
    await asyncio.run(() => main(host, Number(port), command, topic, argument));
  } catch (error) {
    if (!(error instanceof asyncio.OSError)) {
      throw error;
    }
    console.error(String(error));
    process.exitCode = 1;
  }
}
