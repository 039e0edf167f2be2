/** Protocols: what a transport calls. Override what you need. */
import type { Transport } from "../transports/transport.ts";

/**
 * What every protocol has: the beginning and the end of a connection, and back-pressure.
 *
 * All methods are called in the connection's Context.
 *
 * Python: `asyncio.BaseProtocol`.
 */
export class BaseProtocol {
  /** @internal Whether its methods run code of the user, which has to find the connection's Context. */
  get _needsContext(): boolean {
    return true;
  }

  /** The connection is there. Called once, first. Python: `connection_made()`. */
  connectionMade(_transport: Transport): void {}

  /**
   * The connection is gone. Called once, last.
   *
   * Python: `connection_lost()`.
   *
   * @param _exception - What it was lost with; `null` after an EOF or when this side closed it.
   */
  connectionLost(_exception: unknown): void {}

  /** The write buffer is above its high mark: stop writing. Python: `pause_writing()`. */
  pauseWriting(): void {}

  /** The write buffer is at or below its low mark: go on. Python: `resume_writing()`. */
  resumeWriting(): void {}
}

/** What every protocol of a stream of bytes has besides: the peer's EOF. */
abstract class StreamingProtocol extends BaseProtocol {
  /**
   * The peer will send no more.
   *
   * Python: `eof_received()`.
   *
   * @returns Whether the transport stays open for writing. By default it closes.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: an override need not return anything
  eofReceived(): boolean | void {
    return false;
  }
}

/**
 * A protocol that gets what arrives in the transport's own buffers.
 *
 * Python: `asyncio.Protocol`.
 */
export class Protocol extends StreamingProtocol {
  /** Some bytes have arrived: any number, not a message. Python: `data_received()`. */
  dataReceived(_data: Buffer): void {}
}

/**
 * A protocol that gets what arrives in buffers of its own.
 *
 * Python: `asyncio.BufferedProtocol`. Differs: the bytes are copied into the buffer, Node reads into its own.
 */
export abstract class BufferedProtocol extends StreamingProtocol {
  /**
   * Where the next bytes are to go; at least one must fit.
   *
   * Python: `get_buffer()`.
   *
   * @param sizeHint - How many bytes there are.
   */
  abstract getBuffer(sizeHint: number): Uint8Array;

  /** The buffer has so many new bytes, from its beginning. Python: `buffer_updated()`. */
  abstract bufferUpdated(bytes: number): void;
}
