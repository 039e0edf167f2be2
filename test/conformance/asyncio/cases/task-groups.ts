/** TaskGroup: the semantics that CPython's test_taskgroups holds, and those of `cancel()`, which 3.15 has added. */

import {
  await_,
  cancel,
  cancellingMe,
  cancelMe,
  delay,
  group,
  groupCancel,
  groupSpawn,
  log,
  raise,
  ref,
  repeat,
  result,
  return_,
  spawn,
  state,
  try_,
  turns,
} from "../builders.ts";
import type { Statement } from "../language.ts";
import { attempt, cancelled, grouped, LONG, raised, type TaskCase, untilCancelled } from "./case.ts";

/** A task of the group that fails a moment later. */
function failing(name: string, after = 1): Statement {
  return groupSpawn("g", name, [turns(after), raise(name)]);
}

/** A task of the group that fails when it is cancelled. */
function failingLast(name: string, group = "g"): Statement {
  return groupSpawn(group, name, [try_([delay(LONG)], { finally: [raise(name)] })]);
}

const idle: Statement = delay(LONG);

export const taskGroupCases: readonly TaskCase[] = [
  {
    id: "test_taskgroup_01",
    about: "TaskGroup.with() ends when its tasks have ended; their results are available",
    script: {
      main: [
        group("g", [groupSpawn("g", "a", [turns(1), return_(1)]), groupSpawn("g", "b", [turns(4), return_(2)])]),
        result("a"),
        result("b"),
      ],
    },
    seesInOrder: [
      ["b", "returned", 2],
      ["main", "group", "left"],
      ["main", "result", 1],
      ["main", "result", 2],
    ],
  },
  {
    id: "test_taskgroup_02",
    about: "TaskGroup.createTask() makes tasks while others run, and after they have ended",
    script: {
      main: [
        group("g", [groupSpawn("g", "a", [turns(1)]), turns(3), state("a"), groupSpawn("g", "b", [turns(1)])]),
        state("b"),
      ],
    },
    seesInOrder: [
      ["main", "state", ["a", 0]],
      ["main", "group", "left"],
      ["main", "state", ["b", 0]],
    ],
  },
  {
    id: "test_taskgroup_03",
    about: "TaskGroup continues when one of its tasks is cancelled by itself, which is not an error",
    script: {
      main: [
        group("g", [
          groupSpawn("g", "a", [idle]),
          groupSpawn("g", "b", [turns(5), return_("whole")]),
          turns(1),
          cancel("a"),
        ]),
        result("b"),
      ],
    },
    seesInOrder: [
      ["a", "raised", cancelled],
      ["main", "group", "left"],
      ["main", "result", "whole"],
      ["end", "a", ["cancelled", 1]],
    ],
  },
  {
    id: "test_taskgroup_04",
    about: "TaskGroup cancels the other tasks when one fails, and throws an ExceptionGroup",
    script: {
      main: [group("g", [failing("a"), groupSpawn("g", "b", untilCancelled([log("told")]))]), log("never")],
    },
    seesInOrder: [
      ["a", "raised", raised("Boom", "a")],
      ["b", "log", "told"],
      ["main", "group", grouped(raised("Boom", "a"))],
      ["end", "b", ["cancelled", 1]],
      ["end", "main", [grouped(raised("Boom", "a")), 0]],
    ],
  },
  {
    id: "test_cancel_children_on_child_error",
    about: "TaskGroup cancels its body as well, and collects the errors of all tasks that have failed by then",
    script: {
      main: [
        group("g", [
          failing("a"),
          failing("b"),
          failing("c"),
          groupSpawn("g", "d", [idle]),
          ...untilCancelled([cancellingMe()]),
        ]),
      ],
    },
    seesInOrder: [
      ["d", "raised", cancelled],
      ["main", "cancellingMe", 1],
      ["main", "group", grouped(raised("Boom", "a"), raised("Boom", "b"), raised("Boom", "c"))],
      ["end", "main", [grouped(raised("Boom", "a"), raised("Boom", "b"), raised("Boom", "c")), 0]],
    ],
  },
  {
    id: "test_cancellation",
    about: "TaskGroup cancels its tasks when its parent is cancelled, then throws the CancelledError",
    script: {
      main: [
        spawn("parent", [group("g", [groupSpawn("g", "a", [idle]), groupSpawn("g", "b", [idle])])]),
        turns(3),
        cancel("parent", "enough"),
        attempt(await_(ref("parent"))),
      ],
    },
    seesInOrder: [
      ["a", "raised", cancelled],
      ["b", "raised", cancelled],
      ["parent", "group", raised("CancelledError", "enough")],
      ["end", "parent", ["cancelled", 1]],
    ],
  },
  {
    id: "test_taskgroup_07",
    about: "TaskGroup cancels its tasks when its parent is cancelled in the body",
    script: {
      main: [
        spawn("parent", [group("g", [groupSpawn("g", "a", [idle]), ...untilCancelled([log("body")])])]),
        turns(3),
        cancel("parent"),
        attempt(await_(ref("parent"))),
      ],
    },
    seesInOrder: [
      ["parent", "log", "body"],
      ["a", "raised", cancelled],
      ["parent", "group", cancelled],
    ],
  },
  {
    id: "test_taskgroup_08",
    about: "TaskGroup throws the errors that its tasks throw when the parent is cancelled",
    script: {
      main: [
        spawn("parent", [group("g", [failingLast("a"), failingLast("b"), idle])]),
        turns(3),
        cancel("parent"),
        try_([await_(ref("parent"))], { on: "error" }),
      ],
    },
    seesInOrder: [
      ["parent", "group", grouped(raised("Boom", "a"), raised("Boom", "b"))],
      ["end", "parent", [grouped(raised("Boom", "a"), raised("Boom", "b")), 1]],
    ],
  },
  {
    id: "test_taskgroup_09",
    about: "TaskGroup cancels its tasks when its body fails",
    script: {
      main: [group("g", [groupSpawn("g", "a", [idle]), groupSpawn("g", "b", [idle]), turns(1), raise("body")])],
    },
    seesInOrder: [
      ["a", "raised", cancelled],
      ["b", "raised", cancelled],
      ["main", "group", grouped(raised("Boom", "body"))],
    ],
  },
  {
    id: "test_taskgroup_10",
    about: "TaskGroup cancels tasks that have not started when its body fails: they never run",
    script: {
      main: [group("g", [groupSpawn("g", "a", [log("ran")]), raise("body")])],
    },
    seesInOrder: [
      ["main", "groupSpawn", null],
      ["main", "group", grouped(raised("Boom", "body"))],
      ["end", "a", ["cancelled", 1]],
    ],
  },
  {
    id: "test_taskgroup_11",
    about: "TaskGroup inside another: the inner group's ExceptionGroup is one of the errors of the outer group's",
    script: {
      main: [
        spawn("parent", [group("outer", [group("g", [failingLast("a"), failingLast("b"), idle])])]),
        turns(3),
        cancel("parent"),
        try_([await_(ref("parent"))], { on: "error" }),
      ],
    },
    seesInOrder: [
      ["parent", "group", grouped(raised("Boom", "a"), raised("Boom", "b"))],
      ["parent", "group", grouped(grouped(raised("Boom", "a"), raised("Boom", "b")))],
    ],
  },
  {
    id: "test_taskgroup_12",
    about: "TaskGroup inside another group: its own task is cancelled as well",
    script: {
      main: [
        spawn("parent", [group("outer", [groupSpawn("outer", "o", [idle]), group("g", [failingLast("a"), idle])])]),
        turns(3),
        cancel("parent"),
        try_([await_(ref("parent"))], { on: "error" }),
      ],
    },
    seesInOrder: [
      ["parent", "group", grouped(raised("Boom", "a"))],
      ["o", "raised", cancelled],
      ["parent", "group", grouped(grouped(raised("Boom", "a")))],
    ],
  },
  {
    id: "test_taskgroup_13",
    about: "TaskGroup cancels the group inside it when a task fails, whose tasks are cancelled with it",
    script: {
      main: [
        group("outer", [groupSpawn("outer", "o", [turns(2), raise("o")]), group("g", [groupSpawn("g", "a", [idle])])]),
      ],
    },
    seesInOrder: [
      ["a", "raised", cancelled],
      ["main", "group", cancelled],
      ["main", "group", grouped(raised("Boom", "o"))],
    ],
  },
  {
    id: "test_taskgroup_14",
    about: "TaskGroup cancels its tasks when the group inside it fails",
    script: {
      main: [group("outer", [groupSpawn("outer", "o", [idle]), group("g", [failing("a")])])],
    },
    seesInOrder: [
      ["main", "group", grouped(raised("Boom", "a"))],
      ["o", "raised", cancelled],
      ["main", "group", grouped(grouped(raised("Boom", "a")))],
    ],
  },
  {
    id: "test_taskgroup_15",
    about: "TaskGroup throws the error of a task that fails while the body cleans up after a cancellation",
    script: {
      main: [
        spawn("parent", [group("g", [failing("a", 6), ...untilCancelled([turns(9)])])]),
        turns(3),
        cancel("parent"),
        try_([await_(ref("parent"))], { on: "error" }),
      ],
    },
    seesInOrder: [
      ["parent", "turns", cancelled],
      ["parent", "group", grouped(raised("Boom", "a"))],
    ],
  },
  {
    id: "test_taskgroup_16",
    about: "TaskGroup throws that error even if the cancellation came through another task",
    script: {
      main: [
        spawn("inner", [group("g", [failing("a", 6), ...untilCancelled([turns(9)])])]),
        spawn("outer", [await_(ref("inner"))]),
        turns(3),
        cancel("outer"),
        try_([await_(ref("outer"))], { on: "error" }),
      ],
    },
    seesInOrder: [
      ["inner", "group", grouped(raised("Boom", "a"))],
      ["outer", "await", grouped(raised("Boom", "a"))],
    ],
  },
  {
    id: "test_taskgroup_17",
    about: "TaskGroup without tasks lets the CancelledError of its body pass",
    script: {
      main: [
        spawn("parent", [group("g", untilCancelled([log("told")]))]),
        turns(1),
        cancel("parent"),
        attempt(await_(ref("parent"))),
      ],
    },
    seesInOrder: [
      ["parent", "log", "told"],
      ["parent", "group", cancelled],
      ["end", "parent", ["cancelled", 1]],
    ],
  },
  {
    id: "test_taskgroup_18",
    about: "TaskGroup throws the error that its body throws when it is cancelled",
    script: {
      main: [
        spawn("parent", [group("g", untilCancelled([raise("made")]))]),
        turns(1),
        cancel("parent"),
        attempt(await_(ref("parent"))),
      ],
    },
    seesInOrder: [["parent", "group", grouped(raised("Boom", "made"))]],
  },
  {
    id: "test_taskgroup_19",
    about: "TaskGroup throws the error of the task and the error that its cancelled body throws",
    script: { main: [group("g", [failing("a"), try_([idle], { finally: [raise("body")] })])] },
    seesInOrder: [["main", "group", grouped(raised("Boom", "a"), raised("Boom", "body"))]],
  },
  {
    id: "test_taskgroup_22",
    about: "TaskGroup throws the CancelledError when its parent is cancelled before the tasks have done anything",
    script: {
      main: [
        spawn("parent", [group("g", [groupSpawn("g", "a", [log("ran")])])]),
        turns(1),
        cancel("parent"),
        attempt(await_(ref("parent"))),
      ],
    },
    seesInOrder: [["end", "parent", ["cancelled", 1]]],
  },
  {
    id: "test_taskgroup_23",
    about: "TaskGroup forgets tasks that have ended",
    script: {
      main: [
        group("g", [
          groupSpawn("g", "a", [turns(1)]),
          groupSpawn("g", "b", [turns(4)]),
          state("g"),
          turns(3),
          state("g"),
          turns(4),
          state("g"),
        ]),
      ],
    },
    seesInOrder: [
      ["main", "state", "<TaskGroup tasks=2 entered>"],
      ["main", "state", "<TaskGroup tasks=1 entered>"],
      ["main", "state", "<TaskGroup entered>"],
    ],
  },
  {
    id: "test_taskgroup_24",
    about: "TaskGroup.createTask() can be called by its own tasks after the body has ended",
    script: {
      main: [group("g", [groupSpawn("g", "root", [turns(1), groupSpawn("g", "leaf", [turns(2)])])]), state("leaf")],
    },
    seesInOrder: [
      ["root", "returned", "root"],
      ["leaf", "returned", "leaf"],
      ["main", "group", "left"],
    ],
  },
  {
    id: "test_taskgroup_25",
    about: "TaskGroup ends with an error even if its tasks create more and more tasks",
    script: {
      main: [
        group("g", [
          groupSpawn("g", "hydra", [repeat(50, [groupSpawn("g", "head", [turns(100)]), turns(1)])]),
          failing("hercules", 5),
        ]),
      ],
    },
    seesInOrder: [
      ["hercules", "raised", raised("Boom", "hercules")],
      ["hydra", "turns", cancelled],
      ["main", "group", grouped(raised("Boom", "hercules"))],
    ],
  },
  {
    id: "test_taskgroup_no_create_task_after_failure",
    about: "TaskGroup.createTask() throws while the tasks are being cancelled",
    script: {
      main: [group("g", [failing("a"), ...untilCancelled([try_([groupSpawn("g", "b", [])], { on: "error" })])])],
    },
    seesInOrder: [
      ["main", "groupSpawn", raised("RuntimeError", "TaskGroup <TaskGroup errors=1 cancelling> is shutting down")],
      ["main", "group", grouped(raised("Boom", "a"))],
    ],
  },
  {
    id: "test_taskgroup_finished",
    about: "TaskGroup.createTask() throws after the end",
    script: {
      main: [group("g", []), groupSpawn("g", "a", [])],
    },
    seesInOrder: [["main", "groupSpawn", raised("RuntimeError", "TaskGroup <TaskGroup entered> is finished")]],
  },
  {
    id: "test_taskgroup_not_entered",
    about: "TaskGroup.createTask() throws before with()",
    script: { objects: { g: ["TaskGroup"] }, main: [groupSpawn("g", "a", [])] },
    seesInOrder: [["main", "groupSpawn", raised("RuntimeError", "TaskGroup <TaskGroup> has not been entered")]],
  },
  {
    id: "test_taskgroup_double_enter",
    about: "TaskGroup.with() throws when it was entered before",
    script: {
      main: [group("g", []), group("g", [])],
    },
    seesInOrder: [["main", "group", raised("RuntimeError", "TaskGroup <TaskGroup entered> has already been entered")]],
  },
  {
    id: "test_taskgroup_already_entered",
    about: "TaskGroup.with() throws while it is entered",
    script: { main: [group("g", [group("g", [])])] },
    seesInOrder: [
      ["main", "group", raised("RuntimeError", "TaskGroup <TaskGroup entered> has already been entered")],
      ["main", "group", grouped(raised("RuntimeError", "TaskGroup"))],
    ],
  },
  {
    id: "test_taskgroup_context_manager_exit_raises",
    about: "TaskGroup throws an error that arrives together with a cancellation while it waits for its tasks",
    script: {
      main: [
        spawn("parent", [group("g", [failingLast("a"), failingLast("b")])]),
        turns(2),
        cancel("parent"),
        turns(1),
        cancel("parent"),
        try_([await_(ref("parent"))], { on: "error" }),
      ],
    },
    seesInOrder: [["parent", "group", grouped(raised("Boom", "a"), raised("Boom", "b"))]],
  },
  {
    id: "test_cancelling_level_preserved",
    about: "TaskGroup leaves cancelling() as it was when a task fails",
    script: {
      main: [
        cancelMe(),
        try_([turns(1)], { on: "cancel" }),
        try_([group("g", [failing("a"), idle])], { on: "error", do: [cancellingMe()] }),
      ],
    },
    seesInOrder: [
      ["main", "group", grouped(raised("Boom", "a"))],
      ["main", "cancellingMe", 1],
    ],
  },
  {
    id: "test_nested_groups_both_cancelled",
    about: "TaskGroup takes its own cancellation back, and no other, where two groups cancel the same task",
    script: {
      main: [
        try_(
          [
            group("outer", [
              groupSpawn("outer", "o", [turns(2), raise("o")]),
              try_([group("g", [failing("a", 2), idle])], { on: "error", do: [cancellingMe()] }),
              turns(1),
            ]),
          ],
          { on: "error", do: [cancellingMe()] },
        ),
      ],
    },
    seesInOrder: [
      ["main", "group", grouped(raised("Boom", "a"))],
      ["main", "cancellingMe", 1],
      ["main", "turns", cancelled],
      ["main", "group", grouped(raised("Boom", "o"))],
      ["main", "cancellingMe", 0],
    ],
  },
  {
    id: "test_error_and_cancel",
    about: "TaskGroup throws the errors, and has a cancellation of its parent come again at the next wait",
    script: {
      main: [
        spawn("parent", [
          try_([group("g", [failingLast("a"), idle])], { on: "error", do: [cancellingMe()] }),
          turns(1),
          log("never"),
        ]),
        turns(2),
        cancel("parent"),
        attempt(await_(ref("parent"))),
      ],
    },
    seesInOrder: [
      ["parent", "group", grouped(raised("Boom", "a"))],
      ["parent", "cancellingMe", 1],
      ["parent", "turns", cancelled],
      ["end", "parent", ["cancelled", 1]],
    ],
  },
  {
    id: "test_cancellation_does_not_leak_out_of_tg",
    about: "TaskGroup leaves nothing of its own cancellation behind",
    script: {
      main: [
        try_([group("g", [failing("a", 1), turns(2)])], { on: "error", do: [cancellingMe()] }),
        turns(2),
        log("goes on"),
      ],
    },
    seesInOrder: [
      ["main", "group", grouped(raised("Boom", "a"))],
      ["main", "cancellingMe", 0],
      ["main", "turns", null],
      ["main", "log", "goes on"],
    ],
  },
  {
    id: "a body that swallows the cancellation",
    about: "TaskGroup throws the error of a task even if the body swallows the cancellation that it caused",
    script: { main: [group("g", [failing("a"), ...untilCancelled([], false), log("goes on")])] },
    seesInOrder: [
      ["main", "log", "goes on"],
      ["main", "group", grouped(raised("Boom", "a"))],
    ],
  },
  {
    id: "a task that fails after its group",
    about: "TaskGroup reports the error of a task that ends after the parent to the exception handler",
    script: {
      objects: { g: ["TaskGroup"] },
      main: [spawn("parent", [group("g", [groupSpawn("g", "a", [turns(2), raise("a")]), raise("body")])]), turns(6)],
    },
    seesInOrder: [["parent", "group", grouped(raised("Boom", "body"))]],
  },

  // Of 3.15; the traces were taken from 3.15.0rc1.
  {
    id: "TaskGroup.cancel() in the body",
    about: "TaskGroup.cancel() cancels the tasks and the body, and with() ends without an error",
    since: "3.15",
    script: {
      main: [
        group("g", [groupSpawn("g", "a", [idle]), turns(1), groupCancel("g"), turns(1), log("never")]),
        cancellingMe(),
        turns(1),
      ],
    },
    seesInOrder: [
      ["main", "groupCancel", null],
      ["a", "raised", cancelled],
      ["main", "turns", cancelled],
      ["main", "group", "left"],
      ["main", "cancellingMe", 0],
      ["main", "turns", null],
      ["end", "a", ["cancelled", 1]],
    ],
  },
  {
    id: "TaskGroup.cancel() by a task",
    about: "TaskGroup.cancel() can be called by a task of the group, which is cancelled as well",
    since: "3.15",
    script: {
      main: [
        group("g", [
          groupSpawn("g", "a", [turns(1), groupCancel("g"), log("still here"), turns(1), log("never")]),
          groupSpawn("g", "b", [idle]),
        ]),
        cancellingMe(),
      ],
    },
    seesInOrder: [
      ["a", "log", "still here"],
      ["a", "turns", cancelled],
      ["main", "group", "left"],
      ["main", "cancellingMe", 0],
      ["end", "b", ["cancelled", 1]],
    ],
  },
  {
    id: "TaskGroup.cancel() before with()",
    about: "TaskGroup.cancel() before with() takes effect at the first wait of the body",
    since: "3.15",
    script: {
      objects: { g: ["TaskGroup"] },
      main: [groupCancel("g"), group("g", [log("runs"), turns(1), log("never")]), cancellingMe()],
    },
    seesInOrder: [
      ["main", "log", "runs"],
      ["main", "turns", cancelled],
      ["main", "group", "left"],
      ["main", "cancellingMe", 0],
    ],
  },
  {
    id: "TaskGroup.cancel() more than once",
    about: "TaskGroup.cancel() more than once is as once, and nothing after the end",
    since: "3.15",
    script: {
      main: [
        group("g", [groupSpawn("g", "a", [idle]), groupCancel("g"), groupCancel("g"), cancellingMe(), turns(1)]),
        groupCancel("g"),
        cancellingMe(),
        turns(1),
      ],
    },
    seesInOrder: [
      ["main", "cancellingMe", 1],
      ["main", "turns", cancelled],
      ["main", "group", "left"],
      ["main", "cancellingMe", 0],
      ["main", "turns", null],
    ],
  },
  {
    id: "TaskGroup.cancel() and an error",
    about: "TaskGroup.cancel() does not hide the errors that tasks make of it",
    since: "3.15",
    script: {
      main: [group("g", [failingLast("a"), turns(1), groupCancel("g"), idle]), log("never")],
    },
    seesInOrder: [
      ["main", "delay", cancelled],
      ["main", "group", grouped(raised("Boom", "a"))],
      ["end", "main", [grouped(raised("Boom", "a")), 0]],
    ],
  },
  {
    id: "TaskGroup.cancel() and createTask()",
    about: "TaskGroup.createTask() throws after cancel()",
    since: "3.15",
    script: {
      main: [group("g", [groupCancel("g"), try_([groupSpawn("g", "a", [])], { on: "error" }), turns(1)])],
    },
    seesInOrder: [
      ["main", "groupSpawn", raised("RuntimeError", "TaskGroup <TaskGroup cancelling> is shutting down")],
      ["main", "turns", cancelled],
      ["main", "group", "left"],
    ],
  },
  {
    id: "TaskGroup.cancel() and a cancellation from outside",
    about: "TaskGroup.cancel() does not hide a cancellation of the parent",
    since: "3.15",
    script: {
      main: [
        spawn("parent", [
          group("g", [groupSpawn("g", "a", untilCancelled([turns(5)])), turns(1), groupCancel("g"), idle]),
        ]),
        turns(4),
        cancel("parent", "outside"),
        attempt(await_(ref("parent"))),
      ],
    },
    seesInOrder: [
      ["parent", "delay", cancelled],
      ["parent", "group", cancelled],
      ["end", "parent", ["cancelled", 1]],
    ],
  },
  {
    id: "gh-155433",
    about: "TaskGroup.cancel() does not hide a cancellation of the parent that arrives after the body has ended",
    since: "3.15",
    script: {
      main: [
        spawn("parent", [group("g", [groupSpawn("g", "a", untilCancelled([turns(5)])), turns(1)]), log("never")]),
        turns(4),
        groupCancel("g"),
        turns(2),
        cancel("parent", "outside"),
        attempt(await_(ref("parent"))),
      ],
    },
    seesInOrder: [
      ["parent", "group", raised("CancelledError", "outside")],
      ["end", "parent", ["cancelled", 1]],
    ],
  },
  {
    id: "TaskGroup.cancel() while it waits",
    about: "TaskGroup.cancel() after the body has ended cancels the tasks",
    since: "3.15",
    script: {
      main: [
        spawn("parent", [group("g", [groupSpawn("g", "a", [idle])]), cancellingMe(), return_("fine")]),
        turns(3),
        groupCancel("g"),
        await_(ref("parent")),
      ],
    },
    seesInOrder: [
      ["a", "raised", cancelled],
      ["parent", "group", "left"],
      ["parent", "cancellingMe", 0],
      ["main", "await", "fine"],
    ],
  },
];
