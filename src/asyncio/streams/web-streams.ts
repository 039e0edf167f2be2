/**
 * A reader and a writer as web streams.
 *
 * Their waits belong to no task, even if a task reads or writes: a web stream's promises are not the library's, and
 * cancelling a task that waits for one must not make the stream fail.
 */
import { runInNoFlow } from "../../contextvars/current.ts";
import { ConnectionResetError } from "../../io-errors.ts";
import type { Intake } from "./intake.ts";
import type { StreamWriter } from "./writer.ts";

/** For `StreamReader.toReadableStream()`: takes bytes from the reader only when the stream is read. */
export function readableStreamOf(intake: Intake): ReadableStream<Uint8Array> {
  intake.lock("toReadableStream()");
  return new ReadableStream({
    type: "bytes",
    pull: (controller) => runInNoFlow(() => pull(intake, controller)),
    cancel: () => {
      intake.unlock();
      if (intake.ownsSource) {
        intake.transport?.close?.();
      }
    },
  });
}

async function pull(intake: Intake, controller: ReadableByteStreamController): Promise<void> {
  const request = controller.byobRequest;
  try {
    const size = request === null ? await pullChunk(intake, controller) : await pullInto(intake, request);
    if (size === 0) {
      intake.unlock();
      controller.close();
      request?.respond(0);
    }
  } catch (error) {
    intake.unlock();
    throw error;
  }
}

async function pullChunk(intake: Intake, controller: ReadableByteStreamController): Promise<number> {
  const chunk = await intake.lockedChunk();
  if (chunk.length > 0) {
    // A copy, because the stream detaches the memory, which other Buffers may share.
    controller.enqueue(new Uint8Array(chunk));
  }
  return chunk.length;
}

async function pullInto(intake: Intake, request: ReadableStreamBYOBRequest): Promise<number> {
  const size = await intake.lockedRead<number>("into", 1, request.view as Uint8Array);
  if (size > 0) {
    request.respond(size);
  }
  return size;
}

/** For `StreamWriter.toWritableStream()`. */
export function writableStreamOf(writer: StreamWriter): WritableStream<Uint8Array | string> {
  return new WritableStream({
    start: (controller) => {
      const fail = (error: unknown = new ConnectionResetError("Connection lost")): void => controller.error(error);
      runInNoFlow(() => void writer.waitClosed().then(() => fail(), fail));
    },
    write: (chunk) => {
      writer.write(chunk);
      return writer.needsDrain ? runInNoFlow(() => writer.drain()) : undefined;
    },
    close: () => runInNoFlow(() => writer._finish()),
    abort: () => writer.transport.abort(),
  });
}
