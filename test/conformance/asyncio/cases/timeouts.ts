/** timeout and timeoutAt: the semantics that CPython's test_timeouts holds. */

import {
  await_,
  cancel,
  cancellingMe,
  cancelMe,
  delay,
  expired,
  group,
  groupSpawn,
  log,
  raise,
  ref,
  reschedule,
  return_,
  spawn,
  state,
  time,
  timeout,
  timeoutAt,
  try_,
  turns,
  when,
} from "../builders.ts";
import { attempt, cancelled, grouped, LONG, raised, type TaskCase, untilCancelled } from "./case.ts";

const timedOut = raised("TimeoutError");

export const timeoutCases: readonly TaskCase[] = [
  {
    id: "test_timeout_basic",
    about: "timeout() cancels its body at the deadline and throws a TimeoutError",
    script: { main: [timeout("t", 3, [delay(LONG)])] },
    seesInOrder: [
      ["main", "delay", cancelled],
      ["main", "timeout", timedOut],
      ["main", "raised", timedOut],
      ["end", "t", "<Timeout [expired]>"],
    ],
  },
  {
    id: "test_timeout_at_basic",
    about: "timeoutAt() has its deadline at a moment of the loop's clock",
    script: {
      main: [delay(2), timeoutAt("t", 3, [when("t"), delay(LONG)])],
    },
    seesInOrder: [
      ["main", "when", 5],
      ["main", "timeoutAt", timedOut],
    ],
  },
  {
    id: "test_nested_timeouts",
    about:
      "timeout() inside another one throws, which makes the outer one finish without it, when the inner is earlier",
    script: {
      main: [
        timeout("outer", 6, [
          try_([timeout("inner", 3, [delay(LONG)])], { on: "error", do: [expired("inner")] }),
          turns(1),
        ]),
        cancellingMe(),
      ],
    },
    seesInOrder: [
      ["main", "timeout", timedOut],
      ["main", "expired", true],
      ["main", "turns", null],
      ["main", "timeout", "left"],
      ["main", "cancellingMe", 0],
      ["end", "inner", "<Timeout [expired]>"],
      ["end", "outer", "<Timeout [finished]>"],
    ],
  },
  {
    id: "test_nested_timeouts_concurrent",
    about: "timeout() lets the CancelledError pass when the outer one has expired as well: only the outermost throws",
    script: {
      main: [try_([timeout("outer", 0, [timeout("inner", 0, [delay(LONG)])])], { on: "error", do: [cancellingMe()] })],
    },
    seesInOrder: [
      ["main", "delay", cancelled],
      ["main", "timeout", cancelled],
      ["main", "timeout", timedOut],
      ["main", "cancellingMe", 0],
      ["end", "inner", "<Timeout [expired]>"],
      ["end", "outer", "<Timeout [expired]>"],
    ],
  },
  {
    id: "test_nested_timeouts_loop_busy",
    about: "timeout() throws from the inner one when that has ended before the outer one has its turn",
    script: {
      main: [timeout("outer", 4, [try_([timeout("inner", 2, [delay(LONG)])], { on: "error", do: [delay(LONG)] })])],
    },
    seesInOrder: [
      ["main", "timeout", timedOut],
      ["main", "caught", timedOut],
      ["main", "delay", cancelled],
      ["main", "timeout", timedOut],
    ],
  },
  {
    id: "test_waiter_cancelled",
    about: "timeout() leaves the task as it was when the body deals with the cancellation itself",
    script: {
      main: [timeout("t", 2, untilCancelled([log("cleaned up")], false)), cancellingMe(), expired("t"), turns(1)],
    },
    seesInOrder: [
      ["main", "log", "cleaned up"],
      ["main", "timeout", "left"],
      ["main", "cancellingMe", 0],
      ["main", "expired", true],
      ["main", "turns", null],
    ],
  },
  {
    id: "test_timeout_not_called",
    about: "timeout() does nothing when the body is faster",
    script: {
      main: [timeout("t", 5, [delay(2)]), expired("t"), delay(16), time()],
    },
    seesInOrder: [
      ["main", "timeout", "left"],
      ["main", "expired", false],
      ["main", "time", 18],
      ["end", "t", "<Timeout [finished]>"],
    ],
  },
  {
    id: "test_timeout_disabled",
    about: "timeout(null) never expires",
    script: {
      main: [timeout("t", null, [when("t"), delay(50)]), expired("t")],
    },
    seesInOrder: [
      ["main", "when", null],
      ["main", "timeout", "left"],
      ["main", "expired", false],
    ],
  },
  {
    id: "test_timeout_at_disabled",
    about: "timeoutAt(null) never expires",
    script: {
      main: [timeoutAt("t", null, [when("t"), delay(50)]), expired("t")],
    },
    seesInOrder: [
      ["main", "when", null],
      ["main", "timeoutAt", "left"],
      ["main", "expired", false],
    ],
  },
  {
    id: "test_timeout_zero",
    about: "timeout(0) cancels the first wait",
    script: {
      main: [timeout("t", 0, [log("runs"), delay(LONG)])],
    },
    seesInOrder: [
      ["main", "log", "runs"],
      ["main", "delay", cancelled],
      ["main", "timeout", timedOut],
    ],
  },
  {
    id: "test_timeout_zero_sleep_zero",
    about: "timeout(0) cancels a wait of one turn of the loop",
    script: {
      main: [timeout("t", 0, [turns(1), log("never")])],
    },
    seesInOrder: [
      ["main", "turns", cancelled],
      ["main", "timeout", timedOut],
    ],
  },
  {
    id: "test_timeout_in_the_past_sleep_zero",
    about: "timeoutAt() of a moment in the past cancels a wait of one turn of the loop",
    script: {
      main: [delay(100), timeoutAt("t", -50, [when("t"), turns(1), log("never")])],
    },
    seesInOrder: [
      ["main", "when", 50],
      ["main", "turns", cancelled],
      ["main", "timeoutAt", timedOut],
    ],
  },
  {
    id: "test_foreign_exception_passed",
    about: "timeout() lets errors of its body pass",
    script: { main: [timeout("t", 5, [raise("own")])] },
    seesInOrder: [
      ["main", "timeout", raised("Boom", "own")],
      ["end", "t", "<Timeout [finished]>"],
    ],
  },
  {
    id: "test_timeout_exception_context",
    about: "timeout() throws the TimeoutError even if the body threw another error before it waited",
    script: {
      main: [timeout("t", 0, [try_([raise("first")], { on: "error", do: [delay(LONG)] })])],
    },
    seesInOrder: [
      ["main", "caught", raised("Boom", "first")],
      ["main", "delay", cancelled],
      ["main", "timeout", timedOut],
    ],
  },
  {
    id: "test_foreign_exception_on_timeout",
    about: "timeout() lets an error pass that the body makes of the cancellation",
    script: {
      main: [timeout("t", 2, [try_([delay(LONG)], { finally: [raise("in finally")] })])],
    },
    seesInOrder: [
      ["main", "delay", cancelled],
      ["main", "timeout", raised("Boom", "in finally")],
      ["end", "t", "<Timeout [expired]>"],
    ],
  },
  {
    id: "test_foreign_exception_on_timeout_2",
    about: "timeout() lets an error pass that the body throws while it cleans up, and takes its request to cancel back",
    script: {
      main: [
        try_([timeout("t", 2, untilCancelled([try_([raise("x")], { finally: [turns(1)] })]))], {
          on: "error",
          do: [cancellingMe(), turns(1)],
        }),
      ],
    },
    seesInOrder: [
      ["main", "timeout", raised("Boom", "x")],
      ["main", "cancellingMe", 0],
      ["main", "turns", null],
    ],
  },
  {
    id: "test_foreign_cancel_doesnt_timeout_if_not_expired",
    about: "timeout() lets a CancelledError pass that is not its own",
    script: {
      main: [spawn("task", [timeout("t", 5, [delay(LONG)])]), turns(1), cancel("task"), attempt(await_(ref("task")))],
    },
    seesInOrder: [
      ["task", "timeout", cancelled],
      ["main", "await", cancelled],
      ["end", "t", "<Timeout [finished]>"],
      ["end", "task", ["cancelled", 1]],
    ],
  },
  {
    id: "test_outer_task_is_not_cancelled",
    about: "timeout() does not leave the task cancelled",
    script: {
      main: [
        spawn("task", [try_([timeout("t", 3, [delay(LONG)])], { on: "error" }), return_("fine")]),
        await_(ref("task")),
        state("task"),
      ],
    },
    seesInOrder: [
      ["main", "await", "fine"],
      ["main", "state", ["fine", 0]],
    ],
  },
  {
    id: "test_reschedule",
    about: "Timeout.reschedule() moves the deadline, away and back, and into the past",
    script: {
      main: [
        timeout("t", 2, [
          reschedule("t", 10),
          when("t"),
          delay(4),
          reschedule("t", null),
          delay(100),
          when("t"),
          reschedule("t", -1),
          turns(1),
        ]),
        log("never"),
      ],
    },
    seesInOrder: [
      ["main", "when", 10],
      ["main", "delay", null],
      ["main", "delay", null],
      ["main", "when", null],
      ["main", "turns", cancelled],
      ["main", "timeout", timedOut],
    ],
  },
  {
    id: "test_repr_active",
    about: "String(Timeout) shows the deadline while it is active",
    script: { main: [timeout("t", 8, [state("t")])] },
    seesInOrder: [["main", "state", "<Timeout [active] when=8>"]],
  },
  {
    id: "test_repr_expired",
    about: "String(Timeout) shows that it is expiring, then expired",
    script: {
      main: [try_([timeout("t", 2, untilCancelled([state("t")]))], { on: "error", do: [state("t")] })],
    },
    seesInOrder: [
      ["main", "state", "<Timeout [expiring]>"],
      ["main", "state", "<Timeout [expired]>"],
    ],
  },
  {
    id: "test_repr_finished",
    about: "String(Timeout) shows that it is finished",
    script: {
      main: [timeout("t", 2, [turns(1)]), state("t")],
    },
    seesInOrder: [["main", "state", "<Timeout [finished]>"]],
  },
  {
    id: "test_repr_disabled",
    about: "String(Timeout) shows that there is no deadline",
    script: { main: [timeout("t", null, [state("t")])] },
    seesInOrder: [["main", "state", "<Timeout [active] when=None>"]],
  },
  {
    id: "test_nested_timeout_in_finally",
    about: "timeout() works in a finally block after a cancellation that is on its way",
    script: {
      main: [
        try_(
          [
            timeout("outer", 2, [
              try_([delay(LONG)], {
                finally: [try_([timeout("inner", 3, [delay(LONG)])], { on: "error", do: [time()] })],
              }),
            ]),
          ],
          { on: "error", do: [cancellingMe()] },
        ),
      ],
    },
    seesInOrder: [
      ["main", "delay", cancelled],
      ["main", "timeout", timedOut],
      ["main", "time", 5],
      ["main", "timeout", timedOut],
      ["main", "cancellingMe", 0],
    ],
  },
  {
    id: "test_timeout_after_cancellation",
    about: "timeout() expires as ever in a task that has swallowed a cancellation",
    script: {
      main: [
        cancelMe(),
        try_([turns(1)], { on: "cancel" }),
        try_([timeout("t", 2, [delay(LONG)])], { on: "error", do: [cancellingMe()] }),
      ],
    },
    seesInOrder: [
      ["main", "caught", cancelled],
      ["main", "timeout", timedOut],
      ["main", "cancellingMe", 1],
    ],
  },
  {
    id: "test_cancel_in_timeout_after_cancellation",
    about: "timeout() lets a new cancellation pass in a task that has swallowed another one",
    script: {
      main: [
        spawn("task", [
          cancelMe(),
          try_([turns(1)], { on: "cancel" }),
          timeout("t", 8, [cancelMe("again"), delay(LONG)]),
        ]),
        attempt(await_(ref("task"))),
      ],
    },
    seesInOrder: [
      ["task", "timeout", raised("CancelledError", "again")],
      ["end", "t", "<Timeout [finished]>"],
      ["end", "task", ["cancelled", 2]],
    ],
  },
  {
    id: "test_timeout_expired",
    about: "Timeout.reschedule() throws after the deadline was reached and the block left",
    script: {
      main: [try_([timeout("t", 0, [delay(LONG)])], { on: "error", do: [reschedule("t", 5)] })],
    },
    seesInOrder: [["main", "reschedule", raised("RuntimeError", "Cannot change state of expired Timeout")]],
  },
  {
    id: "test_timeout_expiring",
    about: "Timeout.reschedule() throws after the deadline was reached and before the block is left",
    script: { main: [timeout("t", 0, untilCancelled([reschedule("t", 5)]))] },
    seesInOrder: [
      ["main", "reschedule", raised("RuntimeError", "Cannot change state of expiring Timeout")],
      ["main", "timeout", raised("RuntimeError")],
    ],
  },
  {
    id: "test_timeout_finished",
    about: "Timeout.reschedule() throws after the block",
    script: {
      main: [timeout("t", 5, []), reschedule("t", 5)],
    },
    seesInOrder: [["main", "reschedule", raised("RuntimeError", "Cannot change state of finished Timeout")]],
  },
  {
    id: "test_timeout_taskgroup",
    about: "timeout() lets the ExceptionGroup of a TaskGroup pass whose tasks made errors of the cancellation",
    script: {
      main: [
        timeout("t", 2, [
          group("group", [
            groupSpawn("group", "a", [try_([delay(LONG)], { finally: [raise("a")] })]),
            groupSpawn("group", "b", [try_([delay(LONG)], { finally: [raise("b")] })]),
          ]),
        ]),
      ],
    },
    seesInOrder: [
      ["main", "group", grouped(raised("Boom", "a"), raised("Boom", "b"))],
      ["main", "timeout", grouped(raised("Boom", "a"), raised("Boom", "b"))],
      ["end", "t", "<Timeout [expired]>"],
    ],
  },
  {
    id: "a TaskGroup inside timeout()",
    about: "timeout() throws a TimeoutError when the tasks of the TaskGroup inside it let themselves be cancelled",
    script: {
      main: [
        timeout("t", 2, [
          group("group", [groupSpawn("group", "a", [delay(LONG)]), groupSpawn("group", "b", [delay(LONG)])]),
        ]),
      ],
    },
    seesInOrder: [
      ["a", "delay", cancelled],
      ["b", "delay", cancelled],
      ["main", "group", cancelled],
      ["main", "timeout", timedOut],
    ],
  },
  {
    id: "cancelled from outside at the deadline",
    about: "timeout() lets the CancelledError pass when the task was cancelled from outside as well",
    script: {
      main: [
        spawn("task", [timeout("t", 4, untilCancelled([cancellingMe(), delay(2)]))]),
        delay(5),
        cancel("task", "outside"),
        attempt(await_(ref("task"))),
      ],
    },
    seesInOrder: [
      ["task", "cancellingMe", 1],
      ["task", "delay", raised("CancelledError", "outside")],
      ["task", "timeout", cancelled],
      ["end", "t", "<Timeout [expired]>"],
      ["end", "task", ["cancelled", 1]],
    ],
  },
];
