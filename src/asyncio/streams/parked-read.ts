/** ParkedRead: a read that waits for bytes. It carries its request, and describes itself in call graphs and reports. */
import type { Separators } from "../bytes/separator.ts";
import { CancellableWait } from "../waits.ts";
import type { Intake } from "./intake.ts";
import type { Answer, Request, Taker } from "./read-buffer.ts";
import { peerText } from "./read-transport.ts";

/** The names of the methods. */
const methods: Readonly<Record<NamedRequest, string>> = {
  some: "read",
  all: "read",
  exactly: "readexactly",
  until: "readuntil",
  line: "readline",
  into: "readInto",
  peek: "peek",
};

type NamedRequest = Exclude<Request, Taker>;

function methodOf(request: Request): string {
  return typeof request === "string" ? methods[request] : request.method;
}

/** The name in the error for a read that may not wait: Python's `readline()` is a `readuntil()`. */
export function refusedName(request: Request): string {
  return methodOf(request === "line" ? "until" : request);
}

/** A waiting read and its request. */
export class ParkedRead extends CancellableWait<Answer> {
  declare private readonly intake: Intake;
  declare readonly request: Request;
  declare readonly size: number;
  declare readonly needles: Separators;
  declare readonly target: Uint8Array;

  constructor(intake: Intake, request: Request, size: number, needles: Separators, target: Uint8Array) {
    super();
    this.intake = intake;
    this.request = request;
    this.size = size;
    this.needles = needles;
    this.target = target;
  }

  protected override abandon(): void {
    this.intake.unpark();
  }

  override waitedFor(): string {
    const { buffer, transport } = this.intake;
    const wanted = { until: buffer.limit, line: buffer.limit, exactly: this.size, into: this.size, peek: this.size };
    const isBounded = typeof this.request === "string" && this.request in wanted;
    const of = isBounded ? ` of ${wanted[this.request as keyof typeof wanted]}` : "";
    const peer = peerText(transport);
    const owner = typeof this.request === "string" ? "StreamReader." : this.request.owner;
    return `<${owner}${methodOf(this.request)}() ${buffer.length}${of} bytes${peer === "" ? "" : `, ${peer}`}>`;
  }

  /** The program itself feeds a reader without a transport. */
  override isOutside(): boolean {
    const { transport } = this.intake;
    return transport !== null && transport._isOutside !== false;
  }

  /** Whether this many bytes answer the request exactly. */
  isAnsweredBy(size: number): boolean {
    return (this.request === "some" && size <= this.size) || (this.request === "exactly" && size === this.size);
  }
}
