/** Protocols: the classes whose methods a transport calls. Override the methods you need. */
import type { Transport } from "../transports/transport.ts";

/**
 * The methods of every protocol: the beginning and the end of a connection, and back-pressure.
 *
 * All methods are called in the connection's Context, and are not awaited: one that has to wait creates a task. If a
 * method fails, also as an async function, the error is reported to the loop's exception handler and the connection is
 * closed.
 *
 * Python: `asyncio.BaseProtocol`.
 */
export class BaseProtocol {
  /** @internal Whether its methods run user code, which must run in the connection's Context. */
  get _needsContext(): boolean {
    return true;
  }

  /** Called once, first, when the connection is established. Python: `connection_made()`. */
  connectionMade(_transport: Transport): void {}

  /**
   * Called once, last, when the connection has ended.
   *
   * Python: `connection_lost()`.
   *
   * @param _exception - The error with which the connection was lost; `null` after an EOF, or if this side closed it.
   */
  connectionLost(_exception: unknown): void {}

  /** Called when the write buffer exceeds its high mark: stop writing. Python: `pause_writing()`. */
  pauseWriting(): void {}

  /** Called when the write buffer is at or below its low mark again: resume writing. Python: `resume_writing()`. */
  resumeWriting(): void {}
}

/** The additional method of protocols for byte streams: the peer's EOF. */
abstract class StreamingProtocol extends BaseProtocol {
  /**
   * Called when the peer has sent its EOF.
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
 * A protocol that receives data in the transport's own buffers.
 *
 * Python: `asyncio.Protocol`.
 */
export class Protocol extends StreamingProtocol {
  /** Called when bytes have arrived: any number of them, not necessarily a message. Python: `data_received()`. */
  dataReceived(_data: Buffer): void {}
}

/**
 * A protocol that receives data in its own buffers.
 *
 * Python: `asyncio.BufferedProtocol`. Differs: the bytes are copied into the buffer, since Node reads into its own.
 */
export abstract class BufferedProtocol extends StreamingProtocol {
  /**
   * Returns the buffer for the next bytes; at least one must fit.
   *
   * Python: `get_buffer()`.
   *
   * @param sizeHint - The number of bytes that have arrived.
   */
  abstract getBuffer(sizeHint: number): Uint8Array;

  /** Called when `bytes` new bytes are in the buffer, from its beginning. Python: `buffer_updated()`. */
  abstract bufferUpdated(bytes: number): void;
}
