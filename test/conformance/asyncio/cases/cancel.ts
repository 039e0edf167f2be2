/** Task.cancel(): the semantics that CPython's test_tasks holds. */

import {
  await_,
  call,
  callLater,
  callSoon,
  cancel,
  cancellingMe,
  cancelMe,
  current,
  delay,
  future,
  gather,
  get,
  getNowait,
  getVariable,
  log,
  onDone,
  putNowait,
  raise,
  raiseCancelled,
  ref,
  repeat,
  return_,
  set,
  setEvent,
  setException,
  setResult,
  spawn,
  state,
  time,
  timeout,
  try_,
  turns,
  uncancel,
  uncancelMe,
  wait,
  waitMany,
} from "../builders.ts";
import { attempt, cancelled, LONG, raised, type TaskCase, untilCancelled } from "./case.ts";

export const cancelCases: readonly TaskCase[] = [
  {
    id: "test_cancel",
    about: "Task.cancel() ends a task that waits, and returns false once the task is done",
    script: {
      main: [
        spawn("task", [delay(LONG)]),
        turns(1),
        cancel("task"),
        attempt(await_(ref("task"))),
        cancel("task"),
        state("task"),
      ],
    },
    seesInOrder: [
      ["main", "cancel", true],
      ["task", "delay", cancelled],
      ["main", "await", cancelled],
      ["main", "cancel", false],
      ["main", "state", ["cancelled", 1]],
    ],
  },
  {
    id: "test_cancel_yield",
    about: "Task.cancel() ends a task that waits for a turn of the loop",
    script: {
      main: [spawn("task", [turns(2), log("never")]), turns(1), cancel("task"), attempt(await_(ref("task")))],
    },
    seesInOrder: [
      ["task", "turns", cancelled],
      ["main", "await", cancelled],
    ],
  },
  {
    id: "test_task_cancel_message_getter",
    about: "Task.cancel() puts its message into the CancelledError of the task and of the one that awaits it",
    script: {
      main: [spawn("task", [delay(LONG)]), turns(1), cancel("task", "my message"), attempt(await_(ref("task")))],
    },
    seesInOrder: [
      ["task", "delay", raised("CancelledError", "my message")],
      ["main", "await", raised("CancelledError", "my message")],
    ],
  },
  {
    id: "test_cancel_with_message_then_future_result",
    about: "Task.cancel() wins over a result that has come in the same iteration",
    script: {
      main: [
        future("f"),
        spawn("task", [await_(ref("f")), log("never")]),
        turns(1),
        setResult("f", 1),
        cancel("task", "too late for it"),
        try_([await_(ref("task"))], { on: "all", do: [state("f")] }),
      ],
    },
    seesInOrder: [
      ["task", "await", raised("CancelledError", "too late for it")],
      ["main", "await", raised("CancelledError", "too late for it")],
      ["main", "state", [1, 0]],
    ],
  },
  {
    id: "test_cancel_with_message_then_future_exception",
    about: "Task.cancel() wins over an error that has come in the same iteration",
    script: {
      main: [
        future("f"),
        spawn("task", [await_(ref("f"))]),
        turns(1),
        setException("f", "lost"),
        cancel("task", "m"),
        attempt(await_(ref("task"))),
      ],
    },
    seesInOrder: [["task", "await", raised("CancelledError", "m")]],
  },
  {
    id: "a result after the cancellation",
    about: "Task.cancel() cancels the Future that the task waits for: a later setResult() throws",
    script: {
      main: [
        future("f"),
        spawn("task", [await_(ref("f"))]),
        turns(1),
        cancel("task"),
        try_([setResult("f", 1)], { on: "error" }),
        state("f"),
      ],
    },
    seesInOrder: [
      ["main", "setResult", raised("InvalidStateError", "invalid state")],
      ["main", "state", ["cancelled", 0]],
    ],
  },
  {
    id: "test_cancel_with_message_before_starting_task",
    about: "Task.cancel() of a task that has not started: its body never runs",
    script: {
      main: [spawn("task", [log("never")]), cancel("task", "early"), attempt(await_(ref("task"))), state("task")],
    },
    seesInOrder: [
      ["main", "cancel", true],
      ["main", "await", raised("CancelledError", "early")],
      ["main", "state", ["cancelled", 1]],
    ],
  },
  {
    id: "test_cancel_inner_future",
    about: "Task gets a CancelledError, and can continue, when the Future that it waits for is cancelled",
    script: {
      main: [
        future("f"),
        spawn("task", [try_([await_(ref("f"))], { on: "cancel", do: [cancellingMe()] }), turns(1), return_("went on")]),
        turns(1),
        cancel("f"),
        await_(ref("task")),
      ],
    },
    seesInOrder: [
      ["task", "await", cancelled],
      ["task", "cancellingMe", 0],
      ["main", "await", "went on"],
    ],
  },
  {
    id: "test_cancel_both_task_and_inner_future",
    about: "Task.cancel() of a task whose Future was cancelled as well, in the same iteration, is delivered once",
    script: {
      main: [
        future("f"),
        spawn("task", [try_([await_(ref("f"))], { on: "cancel" }), turns(1), return_("went on")]),
        turns(1),
        cancel("f"),
        cancel("task"),
        await_(ref("task")),
        state("task"),
      ],
    },
    seesInOrder: [
      ["task", "caught", cancelled],
      ["task", "turns", null],
      ["main", "await", "went on"],
      ["main", "state", ["went on", 1]],
    ],
  },
  {
    id: "test_cancel_task_catching",
    about: "Task that catches the CancelledError continues, and its next waits are not cancelled",
    script: {
      main: [
        future("f"),
        future("g"),
        spawn("task", [await_(ref("f")), try_([await_(ref("g"))], { on: "cancel", do: [return_(42)] })]),
        turns(1),
        setResult("f", null),
        turns(2),
        cancel("task"),
        await_(ref("task")),
        state("task"),
        state("g"),
      ],
    },
    seesInOrder: [
      ["task", "await", cancelled],
      ["main", "await", 42],
      ["main", "state", [42, 1]],
      ["main", "state", ["cancelled", 0]],
    ],
  },
  {
    id: "test_cancel_task_ignoring",
    about: "Task that ignores the CancelledError can wait for something else, and return",
    script: {
      main: [
        future("f"),
        future("g"),
        spawn("task", [try_([await_(ref("f"))], { on: "cancel" }), await_(ref("g")), return_("done")]),
        turns(1),
        cancel("task"),
        turns(3),
        state("task"),
        setResult("g", "value"),
        await_(ref("task")),
      ],
    },
    seesInOrder: [
      ["task", "caught", cancelled],
      ["main", "state", ["pending", 1]],
      ["task", "await", "value"],
      ["main", "await", "done"],
    ],
  },
  {
    id: "test_cancel_current_task",
    about: "Task.cancel() of the running task is delivered by its next wait",
    script: {
      main: [spawn("task", [cancelMe(), log("still here"), turns(1), log("never")]), turns(3)],
    },
    seesInOrder: [
      ["task", "cancelMe", true],
      ["task", "log", "still here"],
      ["task", "turns", cancelled],
      ["end", "task", ["cancelled", 1]],
    ],
  },
  {
    id: "test_cancel_at_end",
    about: "Task.cancel() of a task that returns without a wait: the task is cancelled",
    script: {
      main: [spawn("task", [cancelMe("at the end"), return_("lost")]), attempt(await_(ref("task"))), state("task")],
    },
    seesInOrder: [
      ["task", "returned", "lost"],
      ["main", "await", raised("CancelledError", "at the end")],
      ["main", "state", ["cancelled", 1]],
    ],
  },
  {
    id: "an error after the cancellation",
    about: "Task.cancel() of a task that throws without a wait: the error counts",
    script: {
      main: [spawn("task", [cancelMe(), raise("counts")]), attempt(await_(ref("task")))],
    },
    seesInOrder: [["main", "await", raised("Boom", "counts")]],
  },
  {
    id: "a wait that does not have to wait",
    about: "Task.cancel() is not delivered by an await of what is done already, but by the next wait",
    script: {
      objects: { event: ["Event"] },
      main: [
        future("f"),
        setResult("f", "there"),
        setEvent("event"),
        spawn("task", [cancelMe(), await_(ref("f")), wait("event"), turns(1), log("never")]),
        turns(3),
      ],
    },
    seesInOrder: [
      ["task", "await", "there"],
      ["task", "wait", true],
      ["task", "turns", cancelled],
    ],
  },
  {
    id: "test_cancel_awaited_task",
    about: "Task.cancel() of a task that awaits another cancels that one first",
    script: {
      main: [
        spawn("inner", untilCancelled([turns(3), log("clean")])),
        spawn("outer", [await_(ref("inner"))]),
        turns(2),
        cancel("outer", "m"),
        try_([await_(ref("outer"))], { on: "all", do: [state("inner")] }),
      ],
    },
    seesInOrder: [
      ["inner", "log", "clean"],
      ["inner", "raised", raised("CancelledError", "m")],
      ["outer", "await", raised("CancelledError", "m")],
      ["main", "state", ["cancelled", 1]],
    ],
  },
  {
    id: "a chain of tasks",
    about: "Task.cancel() travels down a chain of tasks, each of which awaits the next",
    script: {
      main: [
        spawn("c", [delay(LONG)]),
        spawn("b", [await_(ref("c"))]),
        spawn("a", [await_(ref("b"))]),
        turns(2),
        cancel("a"),
        attempt(await_(ref("a"))),
      ],
    },
    seesInOrder: [
      ["c", "raised", cancelled],
      ["b", "raised", cancelled],
      ["a", "raised", cancelled],
      ["end", "a", ["cancelled", 1]],
      ["end", "b", ["cancelled", 1]],
      ["end", "c", ["cancelled", 1]],
    ],
  },
  {
    id: "an awaited task that continues",
    about:
      "Task.cancel() of a task whose awaited task swallows the cancellation: both get the result, and cancelling() counts the request",
    script: {
      main: [
        spawn("inner", [...untilCancelled([], false), turns(2), return_("kept")]),
        spawn("outer", [await_(ref("inner")), cancellingMe(), turns(1)]),
        turns(2),
        cancel("outer"),
        await_(ref("outer")),
      ],
    },
    seesInOrder: [
      ["outer", "await", "kept"],
      ["outer", "cancellingMe", 1],
      ["outer", "turns", null],
      ["main", "await", "outer"],
    ],
  },
  {
    id: "test_cancelling",
    about: "Task.cancelling() counts the requests",
    script: {
      main: [
        spawn("task", [try_([turns(5)], { on: "cancel", do: [cancellingMe()] })]),
        turns(1),
        state("task"),
        cancel("task"),
        state("task"),
        cancel("task"),
        state("task"),
        await_(ref("task")),
        state("task"),
      ],
    },
    seesInOrder: [
      ["main", "state", ["pending", 0]],
      ["main", "state", ["pending", 1]],
      ["main", "cancel", true],
      ["main", "state", ["pending", 2]],
      ["task", "cancellingMe", 2],
      ["main", "state", ["task", 2]],
    ],
  },
  {
    id: "test_uncancel_basic",
    about: "Task.uncancel() takes requests back, one by one, and never below zero",
    script: {
      main: [
        spawn("task", [delay(LONG)]),
        turns(1),
        cancel("task"),
        cancel("task"),
        uncancel("task"),
        uncancel("task"),
        uncancel("task"),
        attempt(await_(ref("task"))),
        state("task"),
      ],
    },
    seesInOrder: [
      ["main", "uncancel", 1],
      ["main", "uncancel", 0],
      ["main", "uncancel", 0],
      ["task", "delay", cancelled],
      ["main", "state", ["cancelled", 0]],
    ],
  },
  {
    id: "test_uncancel_structured_blocks",
    about: "Task.uncancel() lets a block that has handled the cancellation continue as if there had been none",
    script: {
      main: [
        spawn("task", [
          try_([delay(LONG)], { on: "cancel", do: [uncancelMe()] }),
          timeout("t", 4, [delay(2)]),
          cancellingMe(),
          return_("fine"),
        ]),
        turns(1),
        cancel("task"),
        await_(ref("task")),
      ],
    },
    seesInOrder: [
      ["task", "uncancelMe", 0],
      ["task", "timeout", "left"],
      ["task", "cancellingMe", 0],
      ["main", "await", "fine"],
    ],
  },
  {
    id: "test_uncancel_resets_must_cancel",
    about: "Task.uncancel() to zero drops a request that was not delivered yet",
    script: {
      main: [
        future("f"),
        spawn("task", [await_(ref("f")), turns(1), return_("never cancelled")]),
        turns(1),
        setResult("f", "value"),
        cancel("task"),
        uncancel("task"),
        await_(ref("task")),
        state("task"),
      ],
    },
    seesInOrder: [
      ["main", "uncancel", 0],
      ["task", "await", "value"],
      ["main", "await", "never cancelled"],
      ["main", "state", ["never cancelled", 0]],
    ],
  },
  {
    id: "uncancel() before the start",
    about: "Task.uncancel() to zero lets a task start that was cancelled before it did",
    script: {
      main: [spawn("task", [return_("ran")]), cancel("task"), uncancel("task"), await_(ref("task"))],
    },
    seesInOrder: [["main", "await", "ran"]],
  },
  {
    id: "uncancel() not to zero",
    about: "Task.uncancel() that leaves a request keeps it",
    script: {
      main: [
        spawn("task", [cancelMe(), cancelMe(), uncancelMe(), turns(1), log("never")]),
        attempt(await_(ref("task"))),
      ],
    },
    seesInOrder: [
      ["task", "uncancelMe", 1],
      ["task", "turns", cancelled],
      ["main", "await", cancelled],
    ],
  },
  {
    id: "test_sleep_cancel",
    about: "Task.cancel() ends a sleep, whose timer never fires",
    script: {
      main: [spawn("task", [delay(10)]), turns(1), cancel("task"), turns(2), time()],
    },
    seesInOrder: [
      ["task", "delay", cancelled],
      ["main", "time", 0],
    ],
  },
  {
    id: "test_task_cancel_sleeping_task",
    about: "Task.cancel() of a task that sleeps is a CancelledError in the task that awaits it",
    script: {
      main: [spawn("task", [delay(LONG)]), callLater("timer", 1, [cancel("task")]), await_(ref("task"))],
    },
    seesInOrder: [
      ["timer", "cancel", true],
      ["main", "await", cancelled],
      ["end", "main", ["cancelled", 0]],
    ],
  },
  {
    id: "test_task_cancel_waiter_future",
    about: "Task.cancel() cancels the Future the task waits for",
    script: {
      main: [future("f"), spawn("task", [await_(ref("f"))]), turns(1), cancel("task"), state("f")],
    },
    seesInOrder: [
      ["main", "state", ["cancelled", 0]],
      ["task", "await", cancelled],
    ],
  },
  {
    id: "test_yield_future_passes_cancel",
    about: "Task.cancel() passes through gather() to what that waits for",
    script: {
      main: [
        spawn("inner", untilCancelled([log("told")])),
        spawn("outer", [await_(gather([ref("inner")], false))]),
        turns(2),
        cancel("outer"),
        attempt(await_(ref("outer"))),
      ],
    },
    seesInOrder: [
      ["inner", "log", "told"],
      ["outer", "await", cancelled],
      ["end", "inner", ["cancelled", 1]],
    ],
  },
  {
    id: "test_yield_wait_does_not_shield_cancel",
    about: "Task.cancel() of a task in wait() does not cancel what it waits for",
    script: {
      main: [
        spawn("inner", [delay(5), return_("whole")]),
        spawn("outer", [waitMany([ref("inner")], null, "ALL_COMPLETED")]),
        turns(2),
        cancel("outer"),
        await_(ref("inner")),
        state("outer"),
      ],
    },
    seesInOrder: [
      ["outer", "waitMany", cancelled],
      ["main", "await", "whole"],
      ["main", "state", ["cancelled", 1]],
    ],
  },
  {
    id: "two that await one",
    about: "Task.cancel() of one of two tasks that await the same Future cancels it for both",
    script: {
      main: [
        future("f"),
        spawn("a", [await_(ref("f"))]),
        spawn("b", [await_(ref("f"))]),
        turns(1),
        cancel("a"),
        turns(2),
      ],
    },
    seesInOrder: [
      ["a", "await", cancelled],
      ["b", "await", cancelled],
      ["end", "a", ["cancelled", 1]],
      ["end", "b", ["cancelled", 0]],
    ],
  },
  {
    id: "a cancellation while cleaning up",
    about: "Task.cancel() also interrupts a task's cleanup",
    script: {
      main: [
        spawn("task", [try_([delay(LONG)], { finally: [try_([delay(LONG)], { finally: [turns(1)] })] })]),
        turns(1),
        cancel("task", "first"),
        turns(2),
        cancel("task", "second"),
        attempt(await_(ref("task"))),
      ],
    },
    seesInOrder: [
      ["task", "delay", raised("CancelledError", "first")],
      ["task", "delay", raised("CancelledError", "second")],
      ["task", "turns", null],
      ["main", "await", raised("CancelledError", "second")],
      ["end", "task", ["cancelled", 2]],
    ],
  },
  {
    id: "two requests before the task runs",
    about: "Task.cancel() twice before the task runs is delivered once",
    script: {
      main: [
        spawn("task", [try_([delay(LONG)], { on: "cancel" }), delay(3), return_("went on")]),
        turns(1),
        cancel("task", "first"),
        cancel("task", "second"),
        await_(ref("task")),
      ],
    },
    seesInOrder: [
      ["task", "caught", cancelled],
      ["main", "await", "went on"],
    ],
  },
  {
    id: "a CancelledError of the body's own",
    about: "Task that throws a CancelledError by itself is cancelled, without a request",
    script: {
      main: [spawn("task", [raiseCancelled("own")]), attempt(await_(ref("task"))), state("task")],
    },
    seesInOrder: [
      ["main", "await", raised("CancelledError", "own")],
      ["main", "state", ["cancelled", 0]],
    ],
  },
  {
    id: "another error for the cancellation",
    about: "Task that throws another error for the CancelledError has failed, and is not cancelled",
    script: {
      main: [
        spawn("task", untilCancelled([raise("instead")])),
        turns(1),
        cancel("task"),
        attempt(await_(ref("task"))),
        state("task"),
      ],
    },
    seesInOrder: [
      ["main", "await", raised("Boom", "instead")],
      ["main", "state", [raised("Boom", "instead"), 1]],
    ],
  },
  {
    id: "a wake-up on its way",
    about: "Task.cancel() of a task that is to be woken is delivered in that step, before the result is seen",
    script: {
      objects: { queue: ["Queue", 0] },
      main: [
        spawn("getter", [get("queue")]),
        turns(1),
        putNowait("queue", "item"),
        cancel("getter"),
        turns(2),
        getNowait("queue"),
      ],
    },
    seesInOrder: [
      ["getter", "get", cancelled],
      ["main", "getNowait", "item"],
    ],
  },
  {
    id: "test_task_awaits_on_itself",
    about: "Task that awaits itself gets a RuntimeError",
    script: {
      main: [
        spawn("task", [try_([await_(ref("task"))], { on: "error", do: [turns(1)] }), return_("fine")]),
        await_(ref("task")),
      ],
    },
    seesInOrder: [
      ["task", "await", raised("RuntimeError")],
      ["main", "await", "fine"],
    ],
  },
  {
    id: "test_current_task",
    about: "currentTask() is the task that runs, and null in a callback",
    script: {
      main: [
        current(),
        spawn("task", [current(), turns(1), current(), call("task", [current()])]),
        callSoon("handle", [current()]),
        await_(ref("task")),
        current(),
      ],
    },
    seesInOrder: [
      ["main", "current", "main"],
      ["task", "current", "task"],
      ["handle", "current", null],
      ["task", "current", "task"],
      ["task", "current", "task"],
      ["main", "current", "main"],
    ],
  },
  {
    id: "test_current_task_with_interleaving_tasks",
    about: "currentTask() is right in each step of tasks that take turns",
    script: {
      main: [
        spawn("a", [repeat(3, [current(), turns(1)])]),
        spawn("b", [repeat(3, [current(), turns(1)])]),
        await_(gather([ref("a"), ref("b")], false)),
      ],
    },
    seesInOrder: [
      ["a", "current", "a"],
      ["b", "current", "b"],
      ["a", "current", "a"],
      ["b", "current", "b"],
      ["main", "await", ["a", "b"]],
    ],
  },
  {
    id: "test_context_1",
    about: "createTask() copies the Context at the moment of the call, and what the task sets stays in it",
    script: {
      variables: ["v"],
      main: [
        set("v", "before"),
        spawn("task", [getVariable("v"), set("v", "inside"), turns(1), getVariable("v")]),
        set("v", "after"),
        await_(ref("task")),
        getVariable("v"),
      ],
    },
    seesInOrder: [
      ["task", "getVariable", "before"],
      ["task", "getVariable", "inside"],
      ["main", "getVariable", "after"],
    ],
  },
  {
    id: "test_context_2",
    about: "Future.addDoneCallback() has its callback set nothing for the task that awaits",
    script: {
      variables: ["v"],
      main: [
        future("f"),
        spawn("task", [
          set("v", "task"),
          onDone("f", "callback", [getVariable("v"), set("v", "callback")]),
          await_(ref("f")),
          turns(1),
          getVariable("v"),
        ]),
        turns(1),
        setResult("f", null),
        await_(ref("task")),
        getVariable("v"),
      ],
    },
    seesInOrder: [
      ["callback", "getVariable", "task"],
      ["task", "getVariable", "task"],
      ["main", "getVariable", "unset"],
    ],
  },
  {
    id: "test_context_4",
    about: "createTask() with a Context runs the task in it: the next one sees what it has set",
    script: {
      variables: ["v"],
      objects: { context: ["Context"] },
      main: [
        spawn("a", [getVariable("v"), set("v", 1)], { context: "context" }),
        await_(ref("a")),
        spawn("b", [getVariable("v"), set("v", 2)], { context: "context" }),
        await_(ref("b")),
        getVariable("v"),
        state("context"),
      ],
    },
    seesInOrder: [
      ["a", "getVariable", "unset"],
      ["b", "getVariable", 1],
      ["main", "getVariable", "unset"],
      ["main", "state", [["v", 2]]],
    ],
  },
  {
    id: "a Context for two tasks",
    about: "createTask() with the same Context for two tasks that take turns: each sees what the other sets",
    script: {
      variables: ["v"],
      objects: { context: ["Context"] },
      main: [
        spawn("a", [set("v", "a"), turns(1), getVariable("v")], { context: "context" }),
        spawn("b", [getVariable("v"), set("v", "b")], { context: "context" }),
        await_(gather([ref("a"), ref("b")], false)),
      ],
    },
    seesInOrder: [
      ["b", "getVariable", "a"],
      ["a", "getVariable", "b"],
    ],
  },
  {
    id: "test_error_in_call_soon",
    about: "loop.callSoon() reports an error of its callback to the exception handler, and the loop continues",
    script: {
      main: [callSoon("a", [raise("lost")]), callSoon("b", [log("goes on")]), turns(1)],
    },
    seesInOrder: [
      ["handler", "Exception in callback", raised("Boom", "lost")],
      ["b", "log", "goes on"],
    ],
  },
];
