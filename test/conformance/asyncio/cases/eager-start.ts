/** Tasks that are started eagerly: the semantics that CPython's test_eager_task_factory holds. */

import {
  acquire,
  allTasks,
  await_,
  callSoon,
  cancel,
  cancellingMe,
  cancelMe,
  current,
  delay,
  exception,
  future,
  gather,
  get,
  getVariable,
  group,
  groupSpawn,
  log,
  onDone,
  putNowait,
  raise,
  ref,
  return_,
  set,
  setEvent,
  setResult,
  spawn,
  state,
  time,
  timeout,
  turns,
  wait,
} from "../builders.ts";
import type { SpawnOptions } from "../language.ts";
import { attempt, cancelled, grouped, LONG, raised, type TaskCase } from "./case.ts";

const eager: SpawnOptions = { eager: true };

export const eagerStartCases: readonly TaskCase[] = [
  {
    id: "test_eager_completion",
    about: "createTask() with eagerStart runs the whole body, before the next statement, if the body never waits",
    script: {
      main: [
        callSoon("turn", []),
        spawn("task", [log("inside"), return_("hello")], eager),
        state("task"),
        await_(ref("task")),
        turns(1),
      ],
    },
    seesInOrder: [
      ["task", "log", "inside"],
      ["task", "returned", "hello"],
      ["main", "spawn", null],
      ["main", "state", ["hello", 0]],
      ["main", "await", "hello"],
      ["turn", "called", null],
    ],
  },
  {
    id: "test_block_after_eager_step",
    about: "createTask() with eagerStart runs the body up to its first wait, and the rest as any task",
    script: {
      main: [spawn("task", [log("first"), delay(2), log("second")], eager), state("task"), await_(ref("task")), time()],
    },
    seesInOrder: [
      ["task", "log", "first"],
      ["main", "spawn", null],
      ["main", "state", ["pending", 0]],
      ["task", "log", "second"],
      ["main", "await", "task"],
      ["main", "time", 2],
    ],
  },
  {
    id: "test_await_future_during_eager_step",
    about: "createTask() with eagerStart of a body that sets a Future's result: the Future can be awaited immediately",
    script: {
      main: [future("future"), spawn("task", [setResult("future", "mine")], eager), await_(ref("future"))],
    },
    seesInOrder: [
      ["main", "spawn", null],
      ["main", "await", "mine"],
    ],
  },
  {
    id: "a Future that is done",
    about: "createTask() with eagerStart of a body that awaits what is done already has no first wait there",
    script: {
      objects: { event: ["Event"], lock: ["Lock"], queue: ["Queue", 0] },
      main: [
        future("future"),
        setResult("future", 1),
        setEvent("event"),
        putNowait("queue", "item"),
        spawn("task", [await_(ref("future")), wait("event"), acquire("lock"), get("queue")], eager),
        state("task"),
      ],
    },
    seesInOrder: [
      ["task", "get", "item"],
      ["main", "spawn", null],
      ["main", "state", ["task", 0]],
    ],
  },
  {
    id: "test_cancellation_after_eager_completion",
    about: "Task.cancel() of an eager task that has ended in its first step returns false",
    script: {
      main: [spawn("task", [return_("whole")], eager), cancel("task"), await_(ref("task"))],
    },
    seesInOrder: [
      ["main", "cancel", false],
      ["main", "await", "whole"],
      ["end", "task", ["whole", 0]],
    ],
  },
  {
    id: "test_cancellation_after_eager_step_blocks",
    about: "Task.cancel() of an eager task interrupts its first wait",
    script: {
      main: [
        spawn("task", [delay(LONG)], eager),
        cancel("task", "the message"),
        state("task"),
        attempt(await_(ref("task"))),
      ],
    },
    seesInOrder: [
      ["main", "cancel", true],
      ["main", "state", ["pending", 1]],
      ["task", "delay", raised("CancelledError", "the message")],
      ["main", "caught", raised("CancelledError", "the message")],
      ["end", "task", ["cancelled", 1]],
    ],
  },
  {
    id: "a request of its own",
    about: "Task.cancel() by an eager task of itself in its first step is delivered at its first wait",
    script: {
      main: [
        spawn("waits", [cancelMe(), log("goes on"), delay(LONG)], eager),
        spawn("returns", [cancelMe(), return_("unheard")], eager),
        state("returns"),
        attempt(await_(ref("waits"))),
      ],
    },
    seesInOrder: [
      ["waits", "log", "goes on"],
      ["main", "state", ["cancelled", 1]],
      ["waits", "delay", cancelled],
      ["end", "waits", ["cancelled", 1]],
    ],
  },
  {
    id: "an error in the first step",
    about: "createTask() with eagerStart keeps an error of the first step in the task, and throws nothing",
    script: {
      main: [spawn("task", [raise("early")], eager), exception("task"), attempt(await_(ref("task")))],
    },
    seesInOrder: [
      ["task", "raised", raised("Boom", "early")],
      ["main", "spawn", null],
      ["main", "exception", raised("Boom", "early")],
      ["main", "caught", raised("Boom", "early")],
    ],
  },
  {
    id: "test_current_task",
    about: "currentTask() is the eager task in its first step and after it, and the one that made it in between",
    script: {
      main: [
        current(),
        spawn("task", [current(), turns(1), current()], eager),
        current(),
        await_(ref("task")),
        current(),
      ],
    },
    seesInOrder: [
      ["main", "current", "main"],
      ["task", "current", "task"],
      ["main", "current", "main"],
      ["task", "current", "task"],
      ["main", "current", "main"],
    ],
  },
  {
    id: "an eager task within another",
    about: "currentTask() is right again after each of the eager tasks that start one another",
    script: {
      main: [
        spawn(
          "outer",
          [spawn("inner", [current(), turns(1), current()], eager), current(), await_(ref("inner")), current()],
          eager,
        ),
        current(),
        await_(ref("outer")),
      ],
    },
    seesInOrder: [
      ["inner", "current", "inner"],
      ["outer", "current", "outer"],
      ["main", "current", "main"],
      ["inner", "current", "inner"],
      ["outer", "current", "outer"],
      ["main", "await", "outer"],
    ],
  },
  {
    id: "test_all_tasks_with_eager_completion",
    about: "allTasks() has an eager task while it runs its first step, and not when that was its last",
    script: {
      main: [spawn("task", [allTasks()], eager), allTasks()],
    },
    seesInOrder: [
      ["task", "allTasks", ["main", "task"]],
      ["main", "allTasks", ["main"]],
    ],
  },
  {
    id: "test_all_tasks_with_blocking",
    about: "allTasks() has an eager task while it waits",
    script: {
      main: [
        future("future"),
        spawn("task", [allTasks(), await_(ref("future"))], eager),
        allTasks(),
        setResult("future", null),
        await_(ref("task")),
        allTasks(),
      ],
    },
    seesInOrder: [
      ["task", "allTasks", ["main", "task"]],
      ["main", "allTasks", ["main", "task"]],
      ["main", "allTasks", ["main"]],
    ],
  },
  {
    id: "test_context_vars",
    about: "createTask() with eagerStart runs the first step in the task's own copy of the Context",
    script: {
      variables: ["v"],
      main: [
        set("v", 1),
        spawn("task", [getVariable("v"), set("v", 2), turns(1), getVariable("v")], eager),
        getVariable("v"),
        set("v", 3),
        await_(ref("task")),
        getVariable("v"),
      ],
    },
    seesInOrder: [
      ["task", "getVariable", 1],
      ["main", "getVariable", 1],
      ["task", "getVariable", 2],
      ["main", "getVariable", 3],
    ],
  },
  {
    id: "an eager task in a Context that is given",
    about: "createTask() with eagerStart and a Context sets variables there before the next statement",
    script: {
      variables: ["v"],
      objects: { context: ["Context"] },
      main: [
        spawn("task", [set("v", "first"), turns(1), set("v", "second")], { ...eager, context: "context" }),
        getVariable("v"),
        state("context"),
        await_(ref("task")),
        state("context"),
      ],
    },
    seesInOrder: [
      ["main", "getVariable", "unset"],
      ["main", "state", [["v", "first"]]],
      ["main", "state", [["v", "second"]]],
    ],
  },
  {
    id: "callbacks of an eager task",
    about: "Future.addDoneCallback() of an eager task that has ended is called in the next turn, as of any Future",
    script: {
      main: [
        spawn("task", [return_(1)], eager),
        onDone("task", "callback", []),
        log("not yet"),
        turns(1),
        log("by now"),
      ],
    },
    seesInOrder: [
      ["main", "log", "not yet"],
      ["callback", "called", null],
      ["main", "log", "by now"],
    ],
  },
  {
    id: "test_recursive_gather",
    about: "gather() of eager tasks returns the results of tasks that have ended and of tasks that wait",
    script: {
      main: [
        spawn("done", [return_(1)], eager),
        spawn("waits", [delay(1), return_(2)], eager),
        await_(gather([ref("done"), ref("waits")], false)),
        await_(gather([ref("done")], false)),
      ],
    },
    seesInOrder: [
      ["main", "await", [1, 2]],
      ["main", "await", [1]],
    ],
  },
  {
    id: "gather() of one that has failed",
    about: "gather() of an eager task that has failed in its first step throws its error",
    script: {
      main: [
        spawn("failed", [raise("early")], eager),
        spawn("waits", [delay(3)], eager),
        attempt(await_(gather([ref("waits"), ref("failed")], false))),
        state("waits"),
      ],
    },
    seesInOrder: [
      ["main", "caught", raised("Boom", "early")],
      ["main", "state", ["pending", 0]],
    ],
  },
  {
    id: "test_recursive_taskgroups",
    about: "TaskGroup.createTask() with eagerStart runs the first steps within the body, and waits for the rest",
    script: {
      main: [
        group("outer", [
          groupSpawn(
            "outer",
            "a",
            [group("inner", [groupSpawn("inner", "b", [log("at once"), delay(1)], eager)]), log("inner is over")],
            eager,
          ),
          groupSpawn("outer", "c", [return_("never waited")], eager),
          log("body is over"),
        ]),
        time(),
      ],
    },
    seesInOrder: [
      ["b", "log", "at once"],
      ["c", "returned", "never waited"],
      ["main", "log", "body is over"],
      ["a", "log", "inner is over"],
      ["main", "group", "left"],
      ["main", "time", 1],
    ],
  },
  {
    id: "a group of tasks that have all ended",
    about:
      "TaskGroup whose eager tasks have all ended in their first steps ends in the next iteration, after their callbacks",
    script: {
      main: [
        callSoon("turn", []),
        group("group", [groupSpawn("group", "a", [return_(1)], eager)]),
        log("left"),
        turns(1),
      ],
    },
    seesInOrder: [
      ["turn", "called", null],
      ["main", "group", "left"],
    ],
  },
  {
    id: "a group and an error in the first step",
    about: "TaskGroup whose eager task fails in its first step cancels its body at the next wait, and not before",
    script: {
      main: [
        attempt(
          group("group", [
            groupSpawn("group", "other", [delay(LONG)], eager),
            groupSpawn("group", "failing", [raise("early")], eager),
            cancellingMe(),
            state("other"),
            delay(LONG),
          ]),
        ),
        cancellingMe(),
      ],
    },
    seesInOrder: [
      ["failing", "raised", raised("Boom", "early")],
      ["main", "cancellingMe", 0],
      ["main", "state", ["pending", 0]],
      ["main", "delay", cancelled],
      ["main", "caught", grouped(raised("Boom", "early"))],
      ["main", "cancellingMe", 0],
    ],
  },
  {
    id: "a timeout in the first step",
    about: "timeout() that is entered in the first step of an eager task cancels that task, and not its maker",
    script: {
      main: [spawn("task", [attempt(timeout("t", 1, [delay(LONG)])), cancellingMe()], eager), delay(2), cancellingMe()],
    },
    seesInOrder: [
      ["task", "timeout", raised("TimeoutError")],
      ["task", "cancellingMe", 0],
      ["main", "cancellingMe", 0],
    ],
  },
];
