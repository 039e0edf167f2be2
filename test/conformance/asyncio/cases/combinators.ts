/** gather, shield, wait, asCompleted, sleep: the semantics that CPython's test_tasks holds. */

import {
  asCompleted,
  asCompletedPlain,
  await_,
  callLater,
  callSoon,
  cancel,
  cancellingMe,
  coro,
  delay,
  future,
  gather,
  let_,
  log,
  raise,
  ref,
  result,
  return_,
  setException,
  setResult,
  shield,
  sleep,
  spawn,
  state,
  time,
  try_,
  turns,
  waitMany,
} from "../builders.ts";
import { attempt, cancelled, LONG, raised, type TaskCase, untilCancelled } from "./case.ts";

const timedOut = raised("TimeoutError");

export const gatherCases: readonly TaskCase[] = [
  {
    id: "test_success",
    about: "gather() returns the results in the order of its arguments",
    script: {
      main: [await_(gather([coro("a", [turns(5), return_(1)]), coro("b", [return_(2)]), sleep(0, 3)], false))],
    },
    seesInOrder: [
      ["b", "returned", 2],
      ["a", "returned", 1],
      ["main", "await", [1, 2, 3]],
    ],
  },
  {
    id: "test_constructor_empty_sequence_use_running_loop",
    about: "gather() of an empty array is done immediately",
    script: {
      main: [let_("g", gather([], false)), state("g"), await_(ref("g"))],
    },
    seesInOrder: [
      ["main", "state", [[], 0]],
      ["main", "await", []],
    ],
  },
  {
    id: "test_one_exception",
    about: "gather() throws the first error immediately; the other tasks continue",
    script: {
      main: [
        spawn("slow", [turns(6), return_("whole")]),
        try_([await_(gather([ref("slow"), coro("bad", [turns(1), raise("bad")])], false))], {
          on: "error",
          do: [state("slow")],
        }),
        await_(ref("slow")),
      ],
    },
    seesInOrder: [
      ["main", "await", raised("Boom", "bad")],
      ["main", "state", ["pending", 0]],
      ["main", "await", "whole"],
    ],
  },
  {
    id: "test_return_exceptions",
    about: "gather() with returnExceptions returns errors and cancellations among the results",
    script: {
      main: [
        spawn("idle", [delay(LONG)]),
        callSoon("handle", [cancel("idle", "m")]),
        await_(gather([coro("bad", [raise("bad")]), ref("idle"), sleep(0, 3)], true)),
      ],
    },
    seesInOrder: [["main", "await", [raised("Boom", "bad"), raised("CancelledError", "m"), 3]]],
  },
  {
    id: "test_one_cancellation",
    about: "gather() throws the CancelledError of a task that other code cancelled, and does not cancel the others",
    script: {
      main: [
        spawn("a", [delay(LONG)]),
        spawn("b", [turns(6), return_("whole")]),
        let_("g", gather([ref("a"), ref("b")], false)),
        turns(1),
        cancel("a"),
        try_([await_(ref("g"))], { on: "all", do: [cancellingMe(), state("g"), state("b")] }),
        await_(ref("b")),
      ],
    },
    seesInOrder: [
      ["main", "await", cancelled],
      ["main", "cancellingMe", 0],
      ["main", "state", [cancelled, 0]],
      ["main", "state", ["pending", 0]],
      ["main", "await", "whole"],
    ],
  },
  {
    id: "test_cancellation_broadcast",
    about: "gather() passes a cancellation on to all",
    script: {
      main: [
        spawn("a", untilCancelled([log("told")])),
        spawn("b", untilCancelled([log("told")])),
        spawn("outer", [await_(gather([ref("a"), ref("b")], false))]),
        turns(2),
        cancel("outer"),
        attempt(await_(ref("outer"))),
      ],
    },
    seesInOrder: [
      ["a", "log", "told"],
      ["b", "log", "told"],
      ["outer", "await", cancelled],
      ["end", "a", ["cancelled", 1]],
      ["end", "b", ["cancelled", 1]],
    ],
  },
  {
    id: "test_cancel_gather_1",
    about: "gather() that was cancelled throws the CancelledError even with returnExceptions",
    script: {
      main: [
        spawn("a", [delay(LONG)]),
        let_("g", gather([ref("a")], true)),
        turns(1),
        cancel("g"),
        attempt(await_(ref("g"))),
        state("g"),
      ],
    },
    seesInOrder: [
      ["main", "cancel", true],
      ["main", "await", cancelled],
      ["main", "state", [cancelled, 0]],
    ],
  },
  {
    id: "test_cancel_gather_2",
    about: "gather() passes the message of a cancellation on",
    script: {
      main: [
        spawn("outer", [await_(gather([coro("inner", [delay(LONG)])], false))]),
        turns(2),
        cancel("outer", "my message"),
        attempt(await_(ref("outer"))),
      ],
    },
    seesInOrder: [
      ["inner", "delay", raised("CancelledError", "my message")],
      ["outer", "await", raised("CancelledError", "my message")],
      ["main", "await", raised("CancelledError", "my message")],
    ],
  },
  {
    id: "test_exception_marking",
    about: "gather() that has thrown one error retrieves the later ones, so that they are not reported",
    script: {
      main: [
        try_([await_(gather([coro("a", [raise("a")]), coro("b", [turns(2), raise("b")])], false))], {
          on: "error",
          do: [turns(4)],
        }),
      ],
    },
    seesInOrder: [
      ["main", "await", raised("Boom", "a")],
      ["b", "raised", raised("Boom", "b")],
    ],
  },
  {
    id: "test_constructor_homogenous_futures",
    about: "gather() of Futures that are done already is done",
    script: {
      main: [future("f"), setResult("f", 1), let_("g", gather([ref("f"), ref("f")], false)), state("g")],
    },
    seesInOrder: [["main", "state", [[1, 1], 0]]],
  },
  {
    id: "a child that was cancelled before",
    about: "gather() of a cancelled Future has the CancelledError as its error immediately",
    script: {
      main: [
        future("f"),
        cancel("f"),
        let_("g", gather([ref("f"), coro("a", [log("runs")])], false)),
        state("g"),
        turns(2),
      ],
    },
    seesInOrder: [
      ["main", "state", [cancelled, 0]],
      ["a", "log", "runs"],
    ],
  },
  {
    id: "a child that swallows the cancellation",
    about: "gather() that was cancelled throws the CancelledError although a child has a result",
    script: {
      main: [
        spawn("inner", [...untilCancelled([], false), return_("kept")]),
        spawn("outer", [await_(gather([ref("inner")], false))]),
        turns(2),
        cancel("outer"),
        try_([await_(ref("outer"))], { on: "all", do: [result("inner")] }),
      ],
    },
    seesInOrder: [
      ["outer", "await", cancelled],
      ["main", "result", "kept"],
    ],
  },
  {
    id: "cancel() of a gather() that is done",
    about: "gather() that has thrown cancels nothing any more",
    script: {
      main: [
        spawn("slow", [turns(6), return_("whole")]),
        let_("g", gather([ref("slow"), coro("bad", [raise("bad")])], false)),
        try_([await_(ref("g"))], { on: "error", do: [cancel("g")] }),
        await_(ref("slow")),
      ],
    },
    seesInOrder: [
      ["main", "cancel", false],
      ["main", "await", "whole"],
    ],
  },
];

export const shieldCases: readonly TaskCase[] = [
  {
    id: "test_shield_result",
    about: "shield() returns the result",
    script: {
      main: [await_(shield(coro("inner", [turns(2), return_(42)])))],
    },
    seesInOrder: [["main", "await", 42]],
  },
  {
    id: "test_shield_exception",
    about: "shield() throws the error",
    script: {
      main: [await_(shield(coro("inner", [turns(2), raise("bad")])))],
    },
    seesInOrder: [["main", "await", raised("Boom", "bad")]],
  },
  {
    id: "test_shield_cancel_inner",
    about: "shield() is cancelled when what it protects is cancelled by itself",
    script: {
      main: [
        spawn("inner", [delay(LONG)]),
        let_("s", shield(ref("inner"))),
        turns(1),
        cancel("inner"),
        attempt(await_(ref("s"))),
        state("s"),
      ],
    },
    seesInOrder: [
      ["main", "await", cancelled],
      ["main", "state", ["cancelled", 0]],
    ],
  },
  {
    id: "test_shield_cancel_outer",
    about: "shield() keeps a cancellation from what it protects",
    script: {
      main: [
        spawn("inner", [delay(LONG)]),
        let_("s", shield(ref("inner"))),
        turns(1),
        cancel("s"),
        turns(2),
        state("s"),
        state("inner"),
      ],
    },
    seesInOrder: [
      ["main", "state", ["cancelled", 0]],
      ["main", "state", ["pending", 0]],
    ],
  },
  {
    id: "test_shield_cancel_outer_result",
    about: "shield() that was cancelled has nothing to do with a later result",
    script: {
      main: [
        future("f"),
        let_("s", shield(ref("f"))),
        cancel("s"),
        turns(1),
        setResult("f", 1),
        turns(2),
        state("s"),
        state("f"),
      ],
    },
    seesInOrder: [
      ["main", "state", ["cancelled", 0]],
      ["main", "state", [1, 0]],
    ],
  },
  {
    id: "test_shield_cancel_outer_exception",
    about: "shield() that was cancelled reports a later error to the exception handler",
    script: {
      main: [future("f"), let_("s", shield(ref("f"))), cancel("s"), turns(1), setException("f", "late"), turns(2)],
    },
    seesInOrder: [["handler", "Boom exception in shielded future", raised("Boom", "late")]],
  },
  {
    id: "test_shield_duplicate_log_once",
    about: "shield() twice of the same task reports its late error to the exception handler once",
    script: {
      main: [
        future("f"),
        let_("s", shield(ref("f"))),
        let_("t", shield(ref("f"))),
        cancel("s"),
        cancel("t"),
        turns(1),
        setException("f", "late"),
        turns(2),
      ],
    },
    seesInOrder: [
      ["handler", "Boom exception in shielded future", raised("Boom", "late")],
      ["main", "turns", null],
    ],
  },
  {
    id: "test_shield_shortcut",
    about: "shield() of what is done already is that itself",
    script: {
      main: [future("f"), setResult("f", 42), let_("s", shield(ref("f"))), state("s"), await_(ref("s"))],
    },
    seesInOrder: [
      ["main", "state", [42, 0]],
      ["main", "await", 42],
    ],
  },
  {
    id: "test_shield_effect",
    about: "shield() lets the inner task end when the one that waits is cancelled",
    script: {
      main: [
        spawn("inner", [turns(6), return_("saved")]),
        spawn("outer", [await_(shield(ref("inner")))]),
        turns(2),
        cancel("outer"),
        attempt(await_(ref("outer"))),
        await_(ref("inner")),
      ],
    },
    seesInOrder: [
      ["outer", "await", cancelled],
      ["main", "await", cancelled],
      ["main", "await", "saved"],
    ],
  },
  {
    id: "test_shield_gather",
    about: "shield() of a gather() keeps a cancellation from all",
    script: {
      main: [
        spawn("a", [turns(4), return_(1)]),
        spawn("b", [turns(4), return_(2)]),
        let_("g", gather([ref("a"), ref("b")], false)),
        spawn("outer", [await_(shield(ref("g")))]),
        turns(2),
        cancel("outer"),
        await_(ref("g")),
      ],
    },
    seesInOrder: [
      ["outer", "await", cancelled],
      ["main", "await", [1, 2]],
    ],
  },
  {
    id: "test_gather_shield",
    about: "gather() of shields that is cancelled does not cancel what they protect",
    script: {
      main: [
        spawn("a", [turns(9), return_(1)]),
        spawn("outer", [await_(gather([shield(ref("a"))], false))]),
        turns(2),
        cancel("outer"),
        try_([await_(ref("outer"))], { on: "all", do: [state("a")] }),
        await_(ref("a")),
      ],
    },
    seesInOrder: [
      ["outer", "await", cancelled],
      ["main", "state", ["pending", 0]],
      ["main", "await", 1],
    ],
  },
];

export const waitCases: readonly TaskCase[] = [
  {
    id: "test_wait",
    about: "wait() waits until all are done",
    script: {
      main: [
        spawn("a", [delay(2)]),
        spawn("b", [delay(5)]),
        waitMany([ref("a"), ref("b")], null, "ALL_COMPLETED"),
        time(),
      ],
    },
    seesInOrder: [
      ["main", "waitMany", [["a", "b"], []]],
      ["main", "time", 5],
    ],
  },
  {
    id: "test_wait_first_completed",
    about: "wait() with FIRST_COMPLETED returns when one is done, and does not cancel the others",
    script: {
      main: [
        spawn("a", [delay(10)]),
        spawn("b", [delay(2)]),
        waitMany([ref("a"), ref("b")], null, "FIRST_COMPLETED"),
        time(),
        await_(ref("a")),
      ],
    },
    seesInOrder: [
      ["main", "waitMany", [["b"], ["a"]]],
      ["main", "time", 2],
      ["main", "await", "a"],
    ],
  },
  {
    id: "test_wait_really_done",
    about: "wait() returns all Futures that are done by then, not only the first",
    script: {
      main: [spawn("a", [turns(2)]), spawn("b", [turns(2)]), waitMany([ref("a"), ref("b")], null, "FIRST_COMPLETED")],
    },
    seesInOrder: [["main", "waitMany", [["a", "b"], []]]],
  },
  {
    id: "test_wait_first_exception",
    about: "wait() with FIRST_EXCEPTION returns when one has failed",
    script: {
      main: [
        spawn("a", [delay(10)]),
        spawn("b", [delay(1)]),
        spawn("c", [delay(3), raise("c")]),
        waitMany([ref("a"), ref("b"), ref("c")], null, "FIRST_EXCEPTION"),
        time(),
      ],
    },
    seesInOrder: [
      ["main", "waitMany", [["b", "c"], ["a"]]],
      ["main", "time", 3],
    ],
  },
  {
    id: "a cancelled one, and FIRST_EXCEPTION",
    about: "wait() with FIRST_EXCEPTION takes a cancelled task for no failure",
    script: {
      main: [
        spawn("a", [delay(4)]),
        spawn("b", [delay(LONG)]),
        callLater("timer", 1, [cancel("b")]),
        waitMany([ref("a"), ref("b")], null, "FIRST_EXCEPTION"),
        time(),
      ],
    },
    seesInOrder: [
      ["main", "waitMany", [["a", "b"], []]],
      ["main", "time", 4],
    ],
  },
  {
    id: "test_wait_with_exception",
    about: "wait() throws nothing for what has failed",
    script: {
      main: [
        spawn("a", [raise("a")]),
        spawn("b", [turns(3)]),
        waitMany([ref("a"), ref("b")], null, "ALL_COMPLETED"),
        state("a"),
      ],
    },
    seesInOrder: [
      ["main", "waitMany", [["a", "b"], []]],
      ["main", "state", [raised("Boom", "a"), 0]],
    ],
  },
  {
    id: "test_wait_with_timeout",
    about: "wait() returns at the timeout, throws nothing, and cancels nothing",
    script: {
      main: [
        spawn("a", [delay(1)]),
        spawn("b", [delay(10)]),
        waitMany([ref("a"), ref("b")], 4, "ALL_COMPLETED"),
        time(),
        await_(ref("b")),
      ],
    },
    seesInOrder: [
      ["main", "waitMany", [["a"], ["b"]]],
      ["main", "time", 4],
      ["main", "await", "b"],
    ],
  },
  {
    id: "a timeout of zero",
    about: "wait() with a timeout of 0 returns what is done, an iteration later",
    script: {
      main: [spawn("a", [return_(1)]), spawn("b", [turns(9)]), waitMany([ref("a"), ref("b")], 0, "ALL_COMPLETED")],
    },
    seesInOrder: [["main", "waitMany", [["a"], ["b"]]]],
  },
  {
    id: "test_wait_duplicate_coroutines",
    about: "wait() counts what it gets twice once",
    script: {
      main: [spawn("a", [turns(2)]), waitMany([ref("a"), ref("a")], null, "ALL_COMPLETED")],
    },
    seesInOrder: [["main", "waitMany", [["a"], []]]],
  },
  {
    id: "a cancelled wait()",
    about: "wait() that is cancelled cancels none of its tasks, and removes its callbacks from them",
    script: {
      main: [
        spawn("a", [turns(8)]),
        spawn("waiting", [waitMany([ref("a")], 1000, "ALL_COMPLETED")]),
        turns(2),
        cancel("waiting"),
        await_(ref("a")),
        time(),
      ],
    },
    seesInOrder: [
      ["waiting", "waitMany", cancelled],
      ["main", "await", "a"],
      ["main", "time", 0],
    ],
  },
];

export const asCompletedCases: readonly TaskCase[] = [
  {
    id: "test_as_completed",
    about: "asCompleted() yields Futures in the order in which they are done",
    script: {
      main: [
        asCompleted(
          [coro("a", [delay(9), return_(1)]), coro("b", [delay(2), return_(2)]), coro("c", [delay(5), raise("c")])],
          null,
        ),
      ],
    },
    seesInOrder: [
      ["main", "completed", [2, 0]],
      ["main", "completed", [raised("Boom", "c"), 0]],
      ["main", "completed", [1, 0]],
    ],
  },
  {
    id: "test_as_completed_reverse_wait",
    about: "asCompleted() as a plain iterator yields promises of the next results",
    script: {
      main: [asCompletedPlain([coro("a", [delay(9), return_(1)]), coro("b", [delay(2), return_(2)])], null)],
    },
    seesInOrder: [
      ["main", "completed", 2],
      ["main", "completed", 1],
    ],
  },
  {
    id: "test_as_completed_concurrent",
    about: "asCompleted() yields Futures that are done in the same iteration one after the other",
    script: {
      main: [asCompleted([coro("a", [turns(1)]), coro("b", [turns(1)])], null)],
    },
    seesInOrder: [
      ["main", "completed", ["a", 0]],
      ["main", "completed", ["b", 0]],
    ],
  },
  {
    id: "test_as_completed_with_timeout",
    about: "asCompleted() throws a TimeoutError when the time is over, and cancels nothing",
    script: {
      main: [
        spawn("slow", [delay(9), return_("slow")]),
        try_([asCompleted([coro("quick", [return_("quick")]), ref("slow")], 4)], {
          on: "error",
          do: [time(), state("slow")],
        }),
        await_(ref("slow")),
      ],
    },
    seesInOrder: [
      ["main", "completed", ["quick", 0]],
      ["main", "asCompleted", timedOut],
      ["main", "time", 4],
      ["main", "state", ["pending", 0]],
      ["main", "await", "slow"],
    ],
  },
  {
    id: "test_as_completed_with_unused_timeout",
    about: "asCompleted() leaves no timer behind when all is done in time",
    script: { main: [asCompleted([coro("a", [turns(1)])], 1000), turns(3), time()] },
    seesInOrder: [
      ["main", "asCompleted", null],
      ["main", "time", 0],
    ],
  },
  {
    id: "test_as_completed of nothing",
    about: "asCompleted() of an empty array yields nothing",
    script: {
      main: [asCompleted([], 5), asCompletedPlain([], null)],
    },
    seesInOrder: [
      ["main", "asCompleted", null],
      ["main", "asCompletedPlain", null],
    ],
  },
  {
    id: "a cancelled asCompleted()",
    about: "asCompleted() that is cancelled does not cancel its tasks",
    script: {
      main: [
        spawn("a", [turns(8), return_("whole")]),
        spawn("waiting", [asCompleted([ref("a")], null)]),
        turns(2),
        cancel("waiting"),
        await_(ref("a")),
        state("waiting"),
      ],
    },
    seesInOrder: [
      ["waiting", "asCompleted", cancelled],
      ["main", "await", "whole"],
      ["main", "state", ["cancelled", 1]],
    ],
  },
];

export const sleepCases: readonly TaskCase[] = [
  {
    id: "test_sleep",
    about: "sleep() waits for the given time, and returns the given result",
    script: { main: [delay(10, "yeah"), time()] },
    seesInOrder: [
      ["main", "delay", "yeah"],
      ["main", "time", 10],
    ],
  },
  {
    id: "test_sleep_zero",
    about: "sleep(0), and less, is one iteration of the loop",
    script: {
      main: [
        callSoon("soon", [log("between")]),
        await_(sleep(0, "result")),
        log("after"),
        callSoon("again", [log("between")]),
        await_(sleep(-10, "result")),
        time(),
      ],
    },
    seesInOrder: [
      ["soon", "log", "between"],
      ["main", "await", "result"],
      ["main", "log", "after"],
      ["again", "log", "between"],
      ["main", "await", "result"],
      ["main", "time", 0],
    ],
  },
  {
    id: "sleep() of any length",
    about: "sleep() takes any length: more than the 24 days of Node's timers",
    script: { main: [delay(10 ** 7, "slept")] },
    seesInOrder: [["main", "delay", "slept"]],
  },
];
