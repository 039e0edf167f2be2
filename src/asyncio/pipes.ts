/** `loop.connectReadPipe()` and `loop.connectWritePipe()`: streams that are no sockets, for protocols. */
import { copyContext } from "../contextvars/context.ts";
import { checkFunction } from "./arguments.ts";
import type { BaseProtocol } from "./protocols/protocols.ts";
import { ReadPipeTransport, WritePipeTransport } from "./transports/pipes.ts";
import type { ByteSink } from "./transports/sinks.ts";
import type { ByteSource } from "./transports/sources.ts";
import type { ReadTransport, WriteTransport } from "./transports/transport.ts";

/** `loop.connectReadPipe()`. */
export async function connectReadPipe<P extends BaseProtocol>(
  protocolFactory: () => P,
  pipe: ByteSource,
): Promise<[ReadTransport, P]> {
  checkFunction("connectReadPipe()", protocolFactory);
  const context = copyContext();
  const protocol = context.run(protocolFactory);
  return [new ReadPipeTransport("connectReadPipe()", pipe, protocol, context), protocol];
}

/** `loop.connectWritePipe()`. */
export async function connectWritePipe<P extends BaseProtocol>(
  protocolFactory: () => P,
  pipe: ByteSink,
): Promise<[WriteTransport, P]> {
  checkFunction("connectWritePipe()", protocolFactory);
  const context = copyContext();
  const protocol = context.run(protocolFactory);
  return [new WritePipeTransport("connectWritePipe()", pipe, protocol, context), protocol];
}
