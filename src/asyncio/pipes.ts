/** `loop.connectReadPipe()` and `loop.connectWritePipe()`: streams other than sockets, for protocols. */
import { type Context, copyContext } from "../contextvars/context.ts";
import { checkedProtocol, checkFactory } from "./arguments.ts";
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
  return connected(
    "connectReadPipe()",
    protocolFactory,
    (...given): ReadTransport => new ReadPipeTransport("connectReadPipe()", pipe, ...given),
  );
}

/** `loop.connectWritePipe()`. */
export function connectWritePipe<P extends BaseProtocol>(
  protocolFactory: () => P,
  pipe: ByteSink,
): Promise<[WriteTransport, P]> {
  return connected(
    "connectWritePipe()",
    protocolFactory,
    (...given): WriteTransport => new WritePipeTransport("connectWritePipe()", pipe, ...given),
  );
}

/** Creates the protocol in a copy of the current Context, in which its transport then calls it. */
function connected<T, P extends BaseProtocol>(
  caller: string,
  protocolFactory: () => P,
  open: (protocol: P, context: Context) => T,
): Promise<[T, P]> {
  const connect = async (): Promise<[T, P]> => {
    checkFactory(caller, protocolFactory);
    const context = copyContext();
    const protocol = checkedProtocol(caller, context.run(protocolFactory));
    return [open(protocol, context), protocol];
  };
  return new ReportedUnlessAwaited(connect());
}
