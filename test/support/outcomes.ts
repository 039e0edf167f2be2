/** What conformance cases compare: the counterpart of `cpython.py`, to the word. */
import type { Json } from "./cpython.ts";

/** The parts of messages that both sides promise. */
export const stems: readonly string[] = [
  "takes exactly 1",
  "must be a str",
  "not an acceptable base type",
  "any arguments",
  "a ContextVar key was expected",
  "missing 1 required",
  "is already entered",
  "has already been used once",
  "by a different ContextVar",
  "different Context",
  "Tokens can only be created by ContextVars",
  "expected an instance of Token",
];

/** What is compared of an error: its class, and the promised parts of its message. */
export function told(error: unknown): Json {
  if (!(error instanceof Error)) {
    return { raised: String(error), says: [] };
  }
  // Python keeps the error of the block as the context of the one that follows, and raises the latter.
  const raised = error.name === "SuppressedError" ? ((error as SuppressedError).error as Error) : error;
  return { raised: raised.name, says: stems.filter((stem) => raised.message.includes(stem)) };
}

/** What is compared of a call. */
export function outcome(callable: () => Json): Json {
  try {
    return { value: callable() };
  } catch (error) {
    return told(error);
  }
}

/** A `repr()` without addresses. */
export function shown(value: unknown): string {
  return String(value).replace(/0x[0-9a-f]+/g, "0xHEX");
}
