/**
 * A WebSocket client with the functions that the inspector needs: text in both directions, over the library's own
 * streams.
 */
import { randomBytes } from "node:crypto";
import * as asyncio from "../asyncio/index.ts";

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** A limit above the size of any answer of the inspector. */
const MOST_BYTES = 256 * 1024 * 1024;

export class WebSocketClient {
  readonly #reader: asyncio.StreamReader;
  readonly #writer: asyncio.StreamWriter;

  private constructor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) {
    this.#reader = reader;
    this.#writer = writer;
  }

  /** @throws {ConnectionError} If the other side is not a WebSocket server. */
  static async connect(host: string, port: number, path: string): Promise<WebSocketClient> {
    const [reader, writer] = await asyncio.openConnection(host, port);
    const head = [
      `GET ${path} HTTP/1.1`,
      `Host: ${host}:${port}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
      "Sec-WebSocket-Version: 13",
    ];
    try {
      await writer.send(`${head.join("\r\n")}\r\n\r\n`);
      const answer = String(await reader.readuntil("\r\n\r\n"));
      if (!answer.startsWith("HTTP/1.1 101 ")) {
        throw new asyncio.ConnectionError(`${host}:${port} is no WebSocket: ${answer.split("\r\n")[0]}`);
      }
    } catch (error) {
      writer.close();
      throw error;
    }
    return new WebSocketClient(reader, writer);
  }

  async send(text: string): Promise<void> {
    await this.#sendFrame(TEXT, Buffer.from(text));
  }

  /** Returns the next text. @throws {IncompleteReadError} If the other side has closed. */
  async receive(): Promise<string> {
    const parts: Buffer[] = [];
    for (;;) {
      const { isLast, kind, payload } = await this.#receiveFrame();
      if (kind === PING) {
        await this.#sendFrame(PONG, payload);
      } else if (kind === CLOSE) {
        throw new asyncio.IncompleteReadError(Buffer.alloc(0), null);
      } else if (kind !== PONG) {
        parts.push(payload);
        if (isLast) {
          return String(Buffer.concat(parts));
        }
      }
    }
  }

  async close(): Promise<void> {
    this.#writer.close();
    await this.#writer.waitClosed().catch(() => {});
  }

  async #receiveFrame(): Promise<{ isLast: boolean; kind: number; payload: Buffer }> {
    const head = await this.#reader.readexactly(2);
    const [first, second] = [head.readUInt8(0), head.readUInt8(1)];
    let length = second & 0x7f;
    if (length === 126) {
      length = (await this.#reader.readexactly(2)).readUInt16BE(0);
    } else if (length === 127) {
      length = Number((await this.#reader.readexactly(8)).readBigUInt64BE(0));
    }
    if (length > MOST_BYTES) {
      throw new asyncio.ConnectionError(`a message of ${length} bytes is too long`);
    }
    return { isLast: (first & 0x80) !== 0, kind: first & 0x0f, payload: await this.#reader.readexactly(length) };
  }

  /** Clients have to mask their frames. */
  async #sendFrame(kind: number, payload: Buffer): Promise<void> {
    const mask = randomBytes(4);
    const { length } = payload;
    const head =
      length < 126
        ? Buffer.from([0x80 | kind, 0x80 | length])
        : Buffer.from([0x80 | kind, 0x80 | 126, length >> 8, length & 0xff]);
    const masked = payload.map((byte, i) => byte ^ (mask[i % 4] as number));
    await this.#writer.send(Buffer.concat([head, mask, masked]));
  }
}
