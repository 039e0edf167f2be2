/** `loop.connectReadPipe()` and `loop.connectWritePipe()`: streams other than sockets, for protocols. */
import { copyContext } from "../contextvars/context.ts";
import { checkFunction } from "./arguments.ts";
import { ReportedUnlessAwaited } from "./awaited.ts";
import type { BaseProtocol } from "./protocols/protocols.ts";
import { ReadPipeTransport, WritePipeTransport } from "./transports/pipes.ts";
import type { ByteSink } from "./transports/sinks.ts";
import type { ByteSource } from "./transports/sources.ts";
import type { ReadTransport, WriteTransport } from "./transports/transport.ts";

/** `loop.connectReadPipe()`. */
export function connectReadPipe<P extends BaseProtocol>(
  protocolFactory: () => P,
  pipe: ByteSource,
): Promise<[ReadTransport, P]> {
  const connect = async (): Promise<[ReadTransport, P]> => {
    checkFunction("connectReadPipe()", protocolFactory);
    const context = copyContext();
    const protocol = context.run(protocolFactory);
    return [new ReadPipeTransport("connectReadPipe()", pipe, protocol, context), protocol];
  };
  return new ReportedUnlessAwaited(connect());
}

/** `loop.connectWritePipe()`. */
export function connectWritePipe<P extends BaseProtocol>(
  protocolFactory: () => P,
  pipe: ByteSink,
): Promise<[WriteTransport, P]> {
  const connect = async (): Promise<[WriteTransport, P]> => {
    checkFunction("connectWritePipe()", protocolFactory);
    const context = copyContext();
    const protocol = context.run(protocolFactory);
    return [new WritePipeTransport("connectWritePipe()", pipe, protocol, context), protocol];
  };
  return new ReportedUnlessAwaited(connect());
}
