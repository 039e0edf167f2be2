/** waitFor: the semantics that CPython's test_waitfor holds. */

import {
  await_,
  callLater,
  callSoon,
  cancel,
  cancellingMe,
  coro,
  current,
  delay,
  future,
  getVariable,
  log,
  raise,
  ref,
  return_,
  set,
  setResult,
  shield,
  spawn,
  state,
  time,
  try_,
  turns,
  waitFor,
} from "../builders.ts";
import { attempt, cancelled, LONG, raised, type TaskCase, untilCancelled } from "./case.ts";

const timedOut = raised("TimeoutError");

export const waitForCases: readonly TaskCase[] = [
  {
    id: "test_asyncio_wait_for_cancelled",
    about: "waitFor() passes a cancellation on to what it waits for",
    script: {
      main: [
        spawn("inner", untilCancelled([log("told")])),
        spawn("outer", [await_(waitFor(ref("inner"), 10))]),
        turns(1),
        cancel("outer", "enough"),
        attempt(await_(ref("outer"))),
      ],
    },
    seesInOrder: [
      ["inner", "log", "told"],
      ["outer", "await", raised("CancelledError", "enough")],
      ["end", "inner", ["cancelled", 1]],
      ["end", "outer", ["cancelled", 1]],
    ],
  },
  {
    id: "test_asyncio_wait_for_timeout",
    about: "waitFor() cancels what it waits for and throws a TimeoutError when the time is over",
    script: {
      main: [
        spawn("inner", [delay(LONG)]),
        try_([await_(waitFor(ref("inner"), 5))], { on: "error", do: [state("inner")] }),
        time(),
      ],
    },
    seesInOrder: [
      ["inner", "delay", cancelled],
      ["main", "await", timedOut],
      ["main", "state", ["cancelled", 1]],
      ["main", "time", 5],
    ],
  },
  {
    id: "test_wait_for_timeout_less_then_0_or_0_future_done",
    about: "waitFor() with a timeout of 0 returns the result of a Future that is done already",
    script: {
      main: [future("f"), setResult("f", "there"), await_(waitFor(ref("f"), 0)), await_(waitFor(ref("f"), -1))],
    },
    seesInOrder: [
      ["main", "await", "there"],
      ["main", "await", "there"],
    ],
  },
  {
    id: "test_wait_for_timeout_less_then_0_or_0_coroutine_do_not_started",
    about: "waitFor() with no time never starts a function",
    script: {
      main: [
        try_([await_(waitFor(coro("inner", [log("started")]), 0))], { on: "error" }),
        await_(waitFor(coro("inner", [log("started")]), -1)),
      ],
    },
    seesInOrder: [
      ["main", "await", timedOut],
      ["main", "await", timedOut],
      ["main", "raised", timedOut],
    ],
  },
  {
    id: "test_wait_for_timeout_less_then_0_or_0",
    about: "waitFor() with no time cancels a task that is under way, and throws a TimeoutError",
    script: {
      main: [
        spawn("inner", untilCancelled([log("told")])),
        turns(1),
        try_([await_(waitFor(ref("inner"), 0))], { on: "error", do: [state("inner")] }),
      ],
    },
    seesInOrder: [
      ["inner", "log", "told"],
      ["main", "await", timedOut],
      ["main", "state", ["cancelled", 1]],
    ],
  },
  {
    id: "test_wait_for",
    about: "waitFor() returns a result that arrives in time",
    script: {
      main: [await_(waitFor(coro("inner", [delay(2), return_("in time")]), 5)), time()],
    },
    seesInOrder: [
      ["main", "await", "in time"],
      ["main", "time", 2],
    ],
  },
  {
    id: "test_wait_for_blocking",
    about: "waitFor() without a limit waits as long as it takes",
    script: {
      main: [await_(waitFor(coro("inner", [delay(1000), return_("late")]), null))],
    },
    seesInOrder: [["main", "await", "late"]],
  },
  {
    id: "test_wait_for_race_condition",
    about: "waitFor() returns the result of a task that has ended in the iteration before the deadline",
    script: {
      main: [future("f"), callLater("timer", 4, [setResult("f", "just in time")]), await_(waitFor(ref("f"), 5))],
    },
    seesInOrder: [["main", "await", "just in time"]],
  },
  {
    id: "a result and the deadline in one iteration",
    about: "waitFor() throws a TimeoutError when the result arrives in the iteration of the deadline",
    script: {
      main: [future("f"), callLater("timer", 5, [setResult("f", "both")]), await_(waitFor(ref("f"), 5))],
    },
    seesInOrder: [
      ["timer", "setResult", null],
      ["main", "await", timedOut],
    ],
  },
  {
    id: "test_wait_for_cancellation_race_condition",
    about: "waitFor() returns the result of a function that has cleaned up after the deadline and returned normally",
    script: {
      main: [
        await_(waitFor(coro("inner", [try_([delay(LONG)], { on: "cancel", do: [return_(42)] })]), 3)),
        cancellingMe(),
      ],
    },
    seesInOrder: [
      ["main", "await", 42],
      ["main", "cancellingMe", 0],
    ],
  },
  {
    id: "test_wait_for_waits_for_task_cancellation",
    about: "waitFor() waits until the cancelled task has cleaned up",
    script: {
      main: [
        spawn("inner", untilCancelled([delay(7), log("clean")])),
        try_([await_(waitFor(ref("inner"), 2))], { on: "error", do: [time()] }),
      ],
    },
    seesInOrder: [
      ["inner", "log", "clean"],
      ["main", "await", timedOut],
      ["main", "time", 9],
    ],
  },
  {
    id: "test_wait_for_waits_for_task_cancellation_w_timeout_0",
    about: "waitFor() with no time waits until the cancelled task has cleaned up",
    script: {
      main: [
        spawn("inner", untilCancelled([delay(7), log("clean")])),
        turns(1),
        try_([await_(waitFor(ref("inner"), 0))], { on: "error", do: [time()] }),
      ],
    },
    seesInOrder: [
      ["inner", "log", "clean"],
      ["main", "await", timedOut],
      ["main", "time", 7],
    ],
  },
  {
    id: "test_wait_for_reraises_exception_during_cancellation",
    about: "waitFor() throws the error that the cancelled task has made of it",
    script: { main: [await_(waitFor(coro("inner", untilCancelled([raise("while cleaning up")])), 2))] },
    seesInOrder: [
      ["inner", "raised", raised("Boom", "while cleaning up")],
      ["main", "await", raised("Boom", "while cleaning up")],
    ],
  },
  {
    id: "waitFor() with no time, and an error while cleaning up",
    about: "waitFor() with no time throws the error that the cancelled task has made of it",
    script: {
      main: [spawn("inner", untilCancelled([raise("while cleaning up")])), turns(1), await_(waitFor(ref("inner"), 0))],
    },
    seesInOrder: [["main", "await", raised("Boom", "while cleaning up")]],
  },
  {
    id: "test_cancel_blocking_wait_for",
    about: "waitFor() without a limit passes a cancellation on",
    script: {
      main: [
        spawn("outer", [await_(waitFor(coro("inner", untilCancelled([log("told")])), null))]),
        turns(2),
        cancel("outer"),
        attempt(await_(ref("outer"))),
      ],
    },
    seesInOrder: [
      ["inner", "log", "told"],
      ["outer", "raised", cancelled],
      ["end", "outer", ["cancelled", 1]],
    ],
  },
  {
    id: "test_cancel_wait_for",
    about: "waitFor() passes a cancellation on, and waits until its awaitable has ended",
    script: {
      main: [
        spawn("inner", untilCancelled([turns(3), log("clean")])),
        spawn("outer", [await_(waitFor(ref("inner"), 60))]),
        turns(2),
        cancel("outer"),
        try_([await_(ref("outer"))], { on: "all", do: [state("inner")] }),
      ],
    },
    seesInOrder: [
      ["inner", "log", "clean"],
      ["outer", "await", cancelled],
      ["main", "state", ["cancelled", 1]],
    ],
  },
  {
    id: "test_wait_for_cancel_suppressed",
    about: "waitFor() returns the result of a task that swallows the cancellation of the waiting task",
    script: {
      main: [
        spawn("inner", [...untilCancelled([], false), delay(4), return_("went on")]),
        spawn("outer", [await_(waitFor(ref("inner"), 60))]),
        turns(2),
        cancel("outer"),
        await_(ref("outer")),
      ],
    },
    seesInOrder: [
      ["inner", "caught", cancelled],
      ["outer", "await", "went on"],
      ["outer", "returned", "outer"],
      ["end", "outer", ["outer", 1]],
    ],
  },
  {
    id: "test_wait_for_issue86296",
    about: "waitFor() throws the CancelledError when what it waits for has a result in the same iteration",
    script: {
      main: [
        future("f"),
        spawn("outer", [await_(waitFor(ref("f"), 60))]),
        turns(1),
        setResult("f", 1),
        cancel("outer"),
        attempt(await_(ref("outer"))),
      ],
    },
    seesInOrder: [
      ["outer", "await", cancelled],
      ["end", "outer", ["cancelled", 1]],
    ],
  },
  {
    id: "test_zero_timeout",
    about: "waitFor() with a timeout of 0 does not cancel what is shielded",
    script: {
      main: [
        spawn("inner", [delay(3), return_("saved")]),
        try_([await_(waitFor(shield(ref("inner")), 0))], { on: "error", do: [state("inner")] }),
        await_(ref("inner")),
      ],
    },
    seesInOrder: [
      ["main", "await", timedOut],
      ["main", "state", ["pending", 0]],
      ["main", "await", "saved"],
    ],
  },
  {
    id: "test_none_timeout",
    about: "waitFor() without a limit returns the result of a shielded task",
    script: {
      main: [await_(waitFor(shield(coro("inner", [delay(3), return_("saved")])), null))],
    },
    seesInOrder: [["main", "await", "saved"]],
  },
  {
    id: "test_shielded_timeout",
    about: "waitFor() does not cancel what is shielded when the time is over",
    script: {
      main: [
        spawn("inner", [delay(9), return_("saved")]),
        try_([await_(waitFor(shield(ref("inner")), 2))], { on: "error", do: [state("inner")] }),
        await_(ref("inner")),
      ],
    },
    seesInOrder: [
      ["main", "await", timedOut],
      ["main", "state", ["pending", 0]],
      ["main", "await", "saved"],
    ],
  },
  {
    id: "the current task",
    about: "waitFor() runs a function in the current task and its Context",
    script: {
      variables: ["v"],
      main: [await_(waitFor(coro("inner", [current(), set("v", "inside")]), 5)), getVariable("v")],
    },
    seesInOrder: [
      ["inner", "current", "main"],
      ["main", "getVariable", "inside"],
    ],
  },
  {
    id: "a Future that was cancelled by itself",
    about: "waitFor() throws the CancelledError of a Future that other code cancels",
    script: {
      main: [future("f"), callSoon("handle", [cancel("f", "by somebody")]), await_(waitFor(ref("f"), 5))],
    },
    seesInOrder: [["main", "await", raised("CancelledError", "by somebody")]],
  },
];
