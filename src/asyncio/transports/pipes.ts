/**
 * One-way transports over sources and sinks that are not sockets, for `loop.connectReadPipe()` and
 * `loop.connectWritePipe()`.
 */
import { type Context, copyContext } from "../../contextvars/context.ts";
import { NotImplementedError } from "../../io-errors.ts";
import { quietRejection } from "../async-stacks.ts";
import type { BaseProtocol } from "../protocols/protocols.ts";
import { type ByteSink, openSink } from "./sinks.ts";
import { SocketTransport } from "./socket-transport.ts";
import { type ByteSource, openSource } from "./sources.ts";

/** Passes a source's bytes to a protocol. Closes at the end of the source, whatever `eofReceived()` returns. */
export class ReadPipeTransport extends SocketTransport {
  constructor(caller: string, source: ByteSource, protocol: BaseProtocol, context: Context = copyContext()) {
    super({ socket: openSource(caller, source), pipe: source, protocol, context });
  }

  override get _kind(): string {
    return "ReadPipeTransport";
  }

  override write(): void {
    throw oneWay("write()", "only reads");
  }

  override writelines(): void {
    throw oneWay("writelines()", "only reads");
  }

  override writeEof(): void {
    throw oneWay("writeEof()", "only reads");
  }

  override canWriteEof(): boolean {
    return false;
  }

  override _startTls(): Promise<void> {
    return quietRejection(oneWay("startTls()", "only reads"));
  }
}

/** Passes written bytes to a sink. `writeEof()` closes the transport. */
export class WritePipeTransport extends SocketTransport {
  constructor(caller: string, sink: ByteSink, protocol: BaseProtocol, context: Context = copyContext()) {
    super({ socket: openSink(caller, sink), pipe: sink, protocol, context });
  }

  override get _kind(): string {
    return "WritePipeTransport";
  }

  override _startTls(): Promise<void> {
    return quietRejection(oneWay("startTls()", "only writes"));
  }
}

function oneWay(method: string, what: string): NotImplementedError {
  return new NotImplementedError(`${method} is not supported by a pipe that ${what}; it needs a connection`);
}
