/** ReaderFeed: the protocol that feeds a reader and nothing else, for a transport that only reads. */
import { Protocol } from "../protocols/protocols.ts";
import type { Transport } from "../transports/transport.ts";
import type { StreamReader } from "./reader.ts";

export class ReaderFeed extends Protocol {
  readonly #reader: StreamReader;

  constructor(reader: StreamReader) {
    super();
    this.#reader = reader;
  }

  override get _needsContext(): boolean {
    return false;
  }

  override connectionMade(transport: Transport): void {
    this.#reader.setTransport(transport);
  }

  override dataReceived(data: Buffer): void {
    this.#reader._intake.feedNow(data);
  }

  override eofReceived(): void {
    this.#reader.feedEof();
  }

  override connectionLost(exception: unknown): void {
    if (exception === null) {
      this.#reader.feedEof();
    } else {
      this.#reader._intake.lose(exception);
    }
  }
}
