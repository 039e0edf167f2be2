/** All named cases. */
import { cancelCases } from "./cancel.ts";
import type { TaskCase } from "./case.ts";
import { asCompletedCases, gatherCases, shieldCases, sleepCases, waitCases } from "./combinators.ts";
import { eagerStartCases } from "./eager-start.ts";
import { barrierCases, conditionCases, eventCases, exclusiveCases, lockCases, semaphoreCases } from "./locks.ts";
import { queueCases } from "./queues.ts";
import { taskGroupCases } from "./task-groups.ts";
import { timeoutCases } from "./timeouts.ts";
import { waitForCases } from "./wait-for.ts";

/** By the file of `src/asyncio` that they are about, which is also the name of the file of `test/asyncio` that runs them. */
export const casesOf = {
  tasks: { "cancel()": cancelCases, "eager start": eagerStartCases, sleep: sleepCases },
  combinators: {
    gather: gatherCases,
    wait: waitCases,
    waitFor: waitForCases,
    asCompleted: asCompletedCases,
    shield: shieldCases,
  },
  taskgroups: { TaskGroup: taskGroupCases },
  timeouts: { timeouts: timeoutCases },
  locks: {
    "what one task at a time holds": exclusiveCases,
    Lock: lockCases,
    Event: eventCases,
    Condition: conditionCases,
    Semaphore: semaphoreCases,
    Barrier: barrierCases,
  },
  queues: { queues: queueCases },
} as const satisfies Readonly<Record<string, Readonly<Record<string, readonly TaskCase[]>>>>;

export const taskCases: Readonly<Record<string, readonly TaskCase[]>> = Object.assign({}, ...Object.values(casesOf));
