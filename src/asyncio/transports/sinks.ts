/**
 * Sinks: anything that accepts bytes, as a Duplex that a transport writes to and that never produces any.
 *
 * Each batch is passed on when the sink has taken the previous one: a Node stream calls back, a web stream resolves the
 * promise of its `write()`. Ending the Duplex ends the sink, and the Duplex then closes itself. If the Duplex is
 * destroyed before that, the sink is destroyed or aborted. A sink is called in its own Flow, like a source.
 */
import { Duplex, type Writable } from "node:stream";
import { runInFlow } from "../../contextvars/current.ts";
import { RuntimeError, ValueError } from "../../errors.ts";
import { BrokenPipeError } from "../../io-errors.ts";
import { className, repr } from "../../repr.ts";
import { noop } from "../async-stacks.ts";
import { checkWritable, claimSide, releaseSide } from "./claims.ts";
import { tellOfClose } from "./socket-events.ts";
import { asStreamError, ownFlow } from "./sources.ts";

/** A sink of bytes: a Node Writable or a WritableStream. */
export type ByteSink = Writable | NodeJS.WritableStream | WritableStream<Uint8Array>;

type Done = (error?: Error | null) => void;

/**
 * Returns the sink as a Duplex, which owns it from then on.
 *
 * @throws {TypeError} If `sink` is neither a Writable nor a WritableStream.
 * @throws {ValueError} If the sink has already ended, or is in object mode.
 * @throws {RuntimeError} If other code writes to the sink.
 */
export function openSink(caller: string, sink: ByteSink): Duplex {
  if (typeof sink === "object" && sink !== null && "getWriter" in sink) {
    if (sink.locked) {
      throw usedAlready(caller, "the WritableStream is locked");
    }
    return new WebSink(sink);
  }
  if (!isNodeWritable(sink)) {
    throw new TypeError(`${caller}: sink must be a Writable or a WritableStream, got ${repr(sink)}`);
  }
  checkWritable(`${caller}: sink`, sink);
  if (sink.destroyed || sink.writableEnded) {
    throw new ValueError(`${caller}: sink is already closed: ${className(sink)}`, { cause: sink.errored });
  }
  if (!claimSide(sink, "write")) {
    throw usedAlready(caller, `another stream has taken the ${className(sink)}`);
  }
  return new NodeSink(sink);
}

function usedAlready(caller: string, reason: string): RuntimeError {
  return new RuntimeError(`${caller}: other code already writes to sink: ${reason}`, {
    code: "ERR_STREAM_BUSY",
  });
}

function isNodeWritable(sink: unknown): sink is Writable {
  return typeof sink === "object" && sink !== null && "write" in sink && "end" in sink && "on" in sink;
}

/** Standard output and standard error stay open for the rest of the program, as with Node's own `pipeline()`. */
function isStandard(sink: Writable): boolean {
  return (sink as unknown) === process.stdout || (sink as unknown) === process.stderr;
}

/** The common part of both kinds. */
abstract class OpenSink extends Duplex {
  protected readonly flow = ownFlow();
  /** Whether the sink has ended, so that nothing is left to end or to destroy. */
  protected isThrough = false;

  constructor() {
    super();
    // `writeEof()` closes the Duplex, since a sink sends nothing back; `close()` does so anyway.
    this.once("finish", () => this.destroy());
  }

  override _read(): void {}

  override _final(done: Done): void {
    runInFlow(this.flow, () =>
      this.finish((error) => {
        this.isThrough = !error;
        done(error);
      }),
    );
  }

  override _destroy(error: Error | null, done: Done): void {
    if (!this.isThrough) {
      this.isThrough = true;
      runInFlow(this.flow, () => this.cancel(error));
    }
    done(error);
  }

  /** Ends the sink. */
  protected abstract finish(done: Done): void;

  /** Ends the sink before everything was written. */
  protected abstract cancel(error: Error | null): void;

  /** Called when the sink closes before it was ended. */
  protected broken(): void {
    if (!this.isThrough) {
      this.isThrough = true;
      const isWriting = this.writableLength > 0 || this.writableEnded;
      this.destroy(isWriting ? new BrokenPipeError("the sink was closed") : undefined);
    }
  }
}

class NodeSink extends OpenSink {
  readonly #sink: Writable;
  readonly #isStandard: boolean;
  readonly #onError = (error: unknown): void => void this.destroy(this.#reason(error));

  constructor(sink: Writable) {
    super();
    this.#sink = sink;
    this.#isStandard = isStandard(sink);
    sink.on("error", this.#onError);
    if (!this.#isStandard) {
      const onClose = (): void => this.broken();
      sink.on("close", onClose);
      tellOfClose(sink, onClose);
    }
    while (sink.writableCorked > 0) {
      sink.uncork();
    }
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    runInFlow(this.flow, () => this.#sink.write(chunk, (error) => done(error ? this.#reason(error) : null)));
  }

  /** The error that ends this stream, which is not that of a write that ended because the sink closed. */
  #reason(error: unknown): Error {
    if (!isOfClosed(error)) {
      return asStreamError(error, "sink");
    }
    const { errored } = this.#sink;
    return errored && !isOfClosed(errored) ? errored : new BrokenPipeError("the sink was closed", { cause: error });
  }

  protected override finish(done: Done): void {
    if (this.#isStandard) {
      this.#sink.off("error", this.#onError);
      releaseSide(this.#sink, "write");
      done();
    } else {
      // Other code may destroy a stream that has taken everything.
      this.#sink.end((error?: Error | null) => done(isOfClosed(error) ? null : error));
    }
  }

  protected override cancel(): void {
    if (this.#isStandard) {
      // The stream may still emit an error, which needs a listener.
      releaseSide(this.#sink, "write");
    } else {
      this.#sink.destroy();
    }
  }
}

/** The codes of a write to a stream that other code closes meanwhile, or has closed. */
const CLOSED_CODES = ["ERR_STREAM_DESTROYED", "ERR_SOCKET_CLOSED", "ECANCELED"];

function isOfClosed(error: unknown): boolean {
  try {
    return CLOSED_CODES.includes(String((error as NodeJS.ErrnoException | null | undefined)?.code));
  } catch {
    return false;
  }
}

class WebSink extends OpenSink {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(sink: WritableStream<Uint8Array>) {
    super();
    this.#writer = sink.getWriter();
    this.#writer.closed.then(
      () => this.broken(),
      (error: unknown) => this.destroy(asStreamError(error, "sink")),
    );
    this.#writer.ready.catch(noop);
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    // A copy, because the sink may transfer the memory, which other Buffers may share.
    const bytes = new Uint8Array(chunk);
    runInFlow(this.flow, () => tell(this.#writer.write(bytes), done));
  }

  protected override finish(done: Done): void {
    tell(this.#writer.close(), done);
  }

  protected override cancel(error: Error | null): void {
    this.#writer.abort(error ?? undefined).catch(noop);
  }
}

/** Calls back when the promise settles, with its error if there is one. */
function tell(promise: Promise<void>, done: Done): void {
  promise.then(
    () => done(),
    (error: unknown) => done(asStreamError(error, "sink")),
  );
}
