/** Compares a trace of this side with one of CPython. */
import type { Json } from "../../support/cpython.ts";
import type { Entry } from "./language.ts";

/** Describes the first entry in which the traces differ; `null` if they are the same. */
export function firstDifference(here: readonly Entry[], there: readonly Entry[]): string | null {
  const length = Math.max(here.length, there.length);
  for (let i = 0; i < length; i++) {
    const [ours, theirs] = [here[i], there[i]];
    if (ours === undefined || theirs === undefined || !isSame([...ours], [...theirs])) {
      const line = (entry: Entry | undefined): string => (entry === undefined ? "nothing" : JSON.stringify(entry));
      return `entry ${i}: here ${line(ours)}, in CPython ${line(theirs)}`;
    }
  }
  return null;
}

/** Whether an outcome here is the same as one in CPython, or as one that a case expects. */
export function isSame(here: Json, there: Json): boolean {
  if (typeof here === "string" && typeof there === "string") {
    return here === there || spelled(there) === here;
  }
  if (Array.isArray(here) && Array.isArray(there)) {
    return here.length === there.length && here.every((each, i) => isSame(each, there[i] as Json));
  }
  if (isError(here) && isError(there)) {
    return (
      here.error === there.error && isSameMessage(here.message, there.message) && isSame(here.of ?? [], there.of ?? [])
    );
  }
  return here === there;
}

interface ErrorTold {
  readonly error: string;
  readonly message: string;
  readonly of?: readonly Json[];
}

function isError(value: unknown): value is ErrorTold {
  return typeof value === "object" && value !== null && "error" in value;
}

/**
 * Whether the message begins with CPython's; it may continue with advice. If CPython's message is empty, any message
 * will do.
 */
function isSameMessage(here: string, there: string): boolean {
  return here === there || here.startsWith(spelled(there));
}

/** Names in this package's spelling. */
function spelled(text: string): string {
  return text.replace(/\b[a-z]+(?:_[a-z]+)+\b/g, (name) =>
    name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
  );
}
