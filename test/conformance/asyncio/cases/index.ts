/** All named cases, by what they are about. */
import type { TaskCase } from "./case.ts";
import { timeoutCases } from "./timeouts.ts";

export const taskCases: Readonly<Record<string, readonly TaskCase[]>> = {
  timeouts: timeoutCases,
};
