/** All named cases, by what they are about. */
import { cancelCases } from "./cancel.ts";
import type { TaskCase } from "./case.ts";
import { asCompletedCases, gatherCases, shieldCases, sleepCases, waitCases } from "./combinators.ts";
import { eagerStartCases } from "./eager-start.ts";
import { barrierCases, conditionCases, eventCases, lockCases, semaphoreCases } from "./locks.ts";
import { queueCases } from "./queues.ts";
import { taskGroupCases } from "./task-groups.ts";
import { timeoutCases } from "./timeouts.ts";
import { waitForCases } from "./wait-for.ts";

export const taskCases: Readonly<Record<string, readonly TaskCase[]>> = {
  asCompleted: asCompletedCases,
  Barrier: barrierCases,
  "cancel()": cancelCases,
  Condition: conditionCases,
  "eager start": eagerStartCases,
  Event: eventCases,
  gather: gatherCases,
  Lock: lockCases,
  queues: queueCases,
  Semaphore: semaphoreCases,
  shield: shieldCases,
  sleep: sleepCases,
  TaskGroup: taskGroupCases,
  timeouts: timeoutCases,
  wait: waitCases,
  waitFor: waitForCases,
};
