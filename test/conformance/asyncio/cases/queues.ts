/** Queue, LifoQueue and PriorityQueue: the semantics that CPython's test_queues holds. */

import {
  await_,
  callLater,
  callSoon,
  cancel,
  delay,
  get,
  getNowait,
  group,
  groupSpawn,
  join,
  log,
  put,
  putNowait,
  ref,
  repeat,
  shutdown,
  spawn,
  state,
  taskDone,
  time,
  try_,
  turns,
  waitFor,
} from "../builders.ts";
import type { Block, Spec, Statement } from "../language.ts";
import { attempt, cancelled, raised, spawnAll, type TaskCase } from "./case.ts";

const shutDown = raised("QueueShutDown");

type Kind = "Queue" | "LifoQueue" | "PriorityQueue";

const kinds: readonly Kind[] = ["Queue", "LifoQueue", "PriorityQueue"];

/** What a queue prints as. */
const shownAs = (state: string, kind: Kind = "Queue"): string => `<${kind} at 0xHEX ${state}>`;

const putAll = (queue: string, items: readonly (number | readonly [number, string])[]): Block =>
  items.map((item): Statement => putNowait(queue, item));

const getTimes = (times: number): Statement => repeat(times, [getNowait("queue")]);

/** join() of each kind of queue waits in the same way. */
const joinCase = (kind: Kind, items: readonly number[]): TaskCase => ({
  id: `test_task_done, ${kind}`,
  about: `${kind}.join() waits until taskDone() was called for each item, by whichever task`,
  script: {
    objects: { queue: [kind, 0] satisfies Spec },
    main: [
      ...putAll("queue", [1, 3, 2]),
      ...spawnAll("ab", [try_([repeat(9, [get("queue"), delay(1), taskDone("queue")])], { on: "cancel" })]),
      join("queue"),
      time(),
      cancel("a"),
      cancel("b"),
    ],
  },
  seesInOrder: [
    ...items.map((item, i) => [i % 2 === 0 ? "a" : "b", "get", item] as const),
    ["main", "join", null],
    ["main", "time", 2],
  ],
});

/** Cases in which the order of the items does not matter, so that each kind of queue behaves in the same way. */
function casesOfEvery(kind: Kind): TaskCase[] {
  return [
    {
      id: `test_empty, ${kind}`,
      about: `${kind}.getNowait() returns items that were put in, and throws a QueueEmpty when the queue is empty`,
      script: {
        objects: { queue: [kind, 0] },
        main: [attempt(getNowait("queue")), putNowait("queue", 1), getNowait("queue"), attempt(getNowait("queue"))],
      },
      seesInOrder: [
        ["main", "getNowait", raised("QueueEmpty")],
        ["main", "getNowait", 1],
        ["main", "getNowait", raised("QueueEmpty")],
      ],
    },
    {
      id: `test_full, ${kind}`,
      about: `${kind}.putNowait() throws a QueueFull when the queue is full, and leaves it unchanged`,
      script: {
        objects: { queue: [kind, 1] },
        main: [putNowait("queue", 1), attempt(putNowait("queue", 2)), state("queue"), getTimes(1)],
      },
      seesInOrder: [
        ["main", "putNowait", raised("QueueFull")],
        ["main", "state", shownAs("maxsize=1 _queue=[1] tasks=1", kind)],
        ["main", "getNowait", 1],
      ],
    },
    {
      id: `test_blocking_get, ${kind}`,
      about: `${kind}.get() and put() that need not wait take no turn of the loop`,
      script: {
        objects: { queue: [kind, 1] },
        main: [callSoon("turn", []), put("queue", 1), get("queue"), turns(1)],
      },
      seesInOrder: [
        ["main", "get", 1],
        ["turn", "called", null],
      ],
    },
    {
      id: `test_blocking_get_wait, ${kind}`,
      about: `${kind}.get() waits for an item that is put in later`,
      script: {
        objects: { queue: [kind, 0] },
        main: [callLater("timer", 2, [putNowait("queue", "late")]), get("queue"), time()],
      },
      seesInOrder: [
        ["timer", "putNowait", null],
        ["main", "get", "late"],
        ["main", "time", 2],
      ],
    },
    {
      id: `an item that another one takes, ${kind}`,
      about: `${kind}.get() that was woken waits again when another task has taken the item meanwhile`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          spawn("a", [get("queue")]),
          turns(1),
          putNowait("queue", "first"),
          getNowait("queue"),
          turns(2),
          state("queue"),
          putNowait("queue", "second"),
          await_(ref("a")),
        ],
      },
      seesInOrder: [
        ["main", "getNowait", "first"],
        ["main", "state", shownAs("maxsize=0 _getters[1] tasks=1", kind)],
        ["a", "get", "second"],
      ],
    },
    {
      id: `a place that another one takes, ${kind}`,
      about: `${kind}.put() that was woken waits again when another task has filled the queue meanwhile`,
      script: {
        objects: { queue: [kind, 1] },
        main: [
          putNowait("queue", 1),
          spawn("a", [put("queue", "waited")]),
          turns(1),
          getNowait("queue"),
          putNowait("queue", "quicker"),
          turns(2),
          state("queue"),
          getNowait("queue"),
          get("queue"),
        ],
      },
      seesInOrder: [
        ["main", "state", shownAs("maxsize=1 _queue=['quicker'] _putters[1] tasks=2", kind)],
        ["main", "getNowait", "quicker"],
        ["main", "get", "waited"],
      ],
    },
    {
      id: `test_get_with_putters, ${kind}`,
      about: `${kind}.get() of a full queue returns an item, and wakes the task that waits in put()`,
      script: {
        objects: { queue: [kind, 1] },
        main: [
          putNowait("queue", 1),
          spawn("putter", [put("queue", 2)]),
          turns(1),
          get("queue"),
          await_(ref("putter")),
          get("queue"),
        ],
      },
      seesInOrder: [
        ["main", "get", 1],
        ["putter", "put", null],
        ["main", "get", 2],
      ],
    },
    {
      id: `test_get_with_waiting_putters, ${kind}`,
      about: `${kind}.get() returns the items of all tasks that wait in put(), in the order of those calls`,
      script: {
        objects: { queue: [kind, 1] },
        main: [
          ...["a", "b", "c"].map((name): Statement => spawn(name, [put("queue", name)])),
          turns(2),
          repeat(3, [get("queue")]),
        ],
      },
      seesInOrder: [
        ["main", "get", "a"],
        ["main", "get", "b"],
        ["main", "get", "c"],
      ],
    },
    {
      id: `test_put_with_waiting_getters, ${kind}`,
      about: `${kind}.put() with a task that waits for an item does not wait for that task`,
      script: {
        objects: { queue: [kind, 1] },
        main: [spawn("a", [get("queue")]), turns(1), put("queue", 1), log("put"), await_(ref("a"))],
      },
      seesInOrder: [
        ["main", "log", "put"],
        ["a", "get", 1],
      ],
    },
    {
      id: `test_get_cancelled_race, ${kind}`,
      about: `${kind}.get() that is cancelled takes no item from the one that waits behind it`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          ...spawnAll("ab", [get("queue")]),
          turns(1),
          cancel("a"),
          turns(1),
          putNowait("queue", "item"),
          await_(ref("b")),
        ],
      },
      seesInOrder: [
        ["a", "get", cancelled],
        ["b", "get", "item"],
      ],
    },
    {
      id: `test_cancelled_getters_not_being_held_in_self_getters, ${kind}`,
      about: `${kind}.get() leaves nothing behind in the queue when its time is over`,
      script: {
        objects: { queue: [kind, 0] },
        main: [attempt(await_(waitFor(get("queue"), 1))), state("queue")],
      },
      seesInOrder: [
        ["main", "await", raised("TimeoutError")],
        ["main", "state", shownAs("maxsize=0", kind)],
      ],
    },
    {
      id: `a getter cancelled in the turn of a put, ${kind}`,
      about: `${kind}.putNowait() passes over a getter that is cancelled in the same turn, and wakes the next`,
      script: {
        objects: { queue: [kind, 0] },
        main: [...spawnAll("ab", [get("queue")]), turns(1), cancel("a"), putNowait("queue", "item"), await_(ref("b"))],
      },
      seesInOrder: [
        ["a", "get", cancelled],
        ["b", "get", "item"],
      ],
    },
    {
      id: `test_put_cancelled, ${kind}`,
      about: `${kind}.put() that has put its item in is not undone when its task is cancelled`,
      script: {
        objects: { queue: [kind, 0] },
        main: [spawn("a", [put("queue", 1), turns(3)]), get("queue"), cancel("a"), turns(1)],
      },
      seesInOrder: [
        ["main", "get", 1],
        ["a", "turns", cancelled],
      ],
    },
    {
      id: `test_put_cancelled_race, ${kind}`,
      about: `${kind}.put() that is cancelled puts nothing in, and the others keep their turns`,
      script: {
        objects: { queue: [kind, 1] },
        main: [
          ...["a", "b", "c"].map((name): Statement => spawn(name, [put("queue", name)])),
          turns(1),
          cancel("b"),
          turns(1),
          getNowait("queue"),
          turns(1),
          getNowait("queue"),
          state("queue"),
        ],
      },
      seesInOrder: [
        ["b", "put", cancelled],
        ["main", "getNowait", "a"],
        ["c", "put", null],
        ["main", "getNowait", "c"],
        ["main", "state", shownAs("maxsize=1 tasks=2", kind)],
      ],
    },
    {
      id: `test_put_cancel_drop, ${kind}`,
      about: `${kind}.put() that was woken and is cancelled before it runs has put nothing in`,
      script: {
        objects: { queue: [kind, 1] },
        main: [
          putNowait("queue", 1),
          spawn("a", [put("queue", 2)]),
          turns(1),
          getNowait("queue"),
          cancel("a"),
          attempt(await_(ref("a"))),
          state("queue"),
          put("queue", 3),
          getNowait("queue"),
        ],
      },
      seesInOrder: [
        ["a", "put", cancelled],
        ["main", "state", shownAs("maxsize=1 tasks=1", kind)],
        ["main", "getNowait", 3],
      ],
    },
    {
      id: `a putter that hands its place on, ${kind}`,
      about: `${kind}.put() that was woken and is cancelled before it runs wakes the next one in its stead`,
      script: {
        objects: { queue: [kind, 1] },
        main: [
          putNowait("queue", 1),
          spawn("a", [put("queue", 2)]),
          spawn("b", [put("queue", 3)]),
          turns(1),
          getNowait("queue"),
          cancel("a"),
          get("queue"),
        ],
      },
      seesInOrder: [
        ["a", "put", cancelled],
        ["b", "put", null],
        ["main", "get", 3],
      ],
    },
    {
      id: `test_cancelled_puts_not_being_held_in_self_putters, ${kind}`,
      about: `${kind}.put() leaves nothing behind in the queue when it is cancelled`,
      script: {
        objects: { queue: [kind, 1] },
        main: [
          putNowait("queue", 1),
          spawn("a", [put("queue", 2)]),
          turns(1),
          state("queue"),
          cancel("a"),
          attempt(await_(ref("a"))),
          state("queue"),
        ],
      },
      seesInOrder: [
        ["main", "state", shownAs("maxsize=1 _queue=[1] _putters[1] tasks=1", kind)],
        ["main", "state", shownAs("maxsize=1 _queue=[1] tasks=1", kind)],
      ],
    },
    {
      id: `test_cancelled_put_silence_value_error_exception, ${kind}`,
      about: `${kind}.put() that was woken and is cancelled throws the CancelledError, whatever else it finds`,
      script: {
        objects: { queue: [kind, 1] },
        main: [
          putNowait("queue", 1),
          spawn("a", [put("queue", 2)]),
          turns(1),
          getNowait("queue"),
          putNowait("queue", 3),
          cancel("a", "message"),
          attempt(await_(ref("a"))),
        ],
      },
      seesInOrder: [["main", "caught", raised("CancelledError", "message")]],
    },
    {
      id: `test_task_done_underflow, ${kind}`,
      about: `${kind}.taskDone() throws a ValueError when it was called for every item that was put in`,
      script: {
        objects: { queue: [kind, 0] },
        main: [attempt(taskDone("queue")), putNowait("queue", 1), taskDone("queue"), attempt(taskDone("queue"))],
      },
      seesInOrder: [
        ["main", "taskDone", raised("ValueError", "task_done() called too many times")],
        ["main", "taskDone", null],
        ["main", "taskDone", raised("ValueError", "task_done() called too many times")],
      ],
    },
    {
      id: `test_join_empty_queue, ${kind}`,
      about: `${kind}.join() of a queue that was never used does not wait, and can be called again`,
      script: {
        objects: { queue: [kind, 0] },
        main: [callSoon("turn", []), join("queue"), join("queue"), log("joined"), turns(1)],
      },
      seesInOrder: [
        ["main", "log", "joined"],
        ["turn", "called", null],
      ],
    },
    {
      id: `several that join, ${kind}`,
      about: `${kind}.join() of several tasks ends for all when the last item is done, though another is put in just after`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          putNowait("queue", 1),
          ...spawnAll("ab", [join("queue")]),
          turns(1),
          taskDone("queue"),
          putNowait("queue", 2),
          await_(ref("a")),
          await_(ref("b")),
          state("queue"),
        ],
      },
      seesInOrder: [
        ["a", "join", null],
        ["b", "join", null],
        ["main", "state", shownAs("maxsize=0 _queue=[1, 2] tasks=1", kind)],
      ],
    },
    {
      id: `a join that is cancelled, ${kind}`,
      about: `${kind}.join() that is cancelled leaves the others waiting`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          putNowait("queue", 1),
          ...spawnAll("ab", [join("queue")]),
          turns(1),
          cancel("a"),
          turns(1),
          state("b"),
          taskDone("queue"),
          await_(ref("b")),
        ],
      },
      seesInOrder: [
        ["a", "join", cancelled],
        ["main", "state", ["pending", 0]],
        ["b", "join", null],
      ],
    },
    {
      id: `test_shutdown_empty, ${kind}`,
      about: `${kind}.shutdown() of an empty queue ends all put() and get()`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          shutdown("queue", false),
          state("queue"),
          attempt(put("queue", 1)),
          attempt(putNowait("queue", 1)),
          attempt(get("queue")),
          attempt(getNowait("queue")),
          join("queue"),
        ],
      },
      seesInOrder: [
        ["main", "state", shownAs("maxsize=0 shutdown", kind)],
        ["main", "put", shutDown],
        ["main", "putNowait", shutDown],
        ["main", "get", shutDown],
        ["main", "getNowait", shutDown],
        ["main", "join", null],
      ],
    },
    {
      id: `test_shutdown_immediate, ${kind}`,
      about: `${kind}.shutdown() with immediate drops the items in the queue, and counts them as done`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          ...putAll("queue", [1, 2]),
          getNowait("queue"),
          shutdown("queue", true),
          state("queue"),
          attempt(get("queue")),
          taskDone("queue"),
          attempt(taskDone("queue")),
          join("queue"),
        ],
      },
      seesInOrder: [
        ["main", "state", shownAs("maxsize=0 tasks=1 shutdown", kind)],
        ["main", "get", shutDown],
        ["main", "taskDone", null],
        ["main", "taskDone", raised("ValueError")],
        ["main", "join", null],
      ],
    },
    {
      id: `test_shutdown_repr, ${kind}`,
      about: `${kind}.shutdown() may be called again, and may be made immediate later`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          putNowait("queue", 1),
          shutdown("queue", false),
          shutdown("queue", false),
          state("queue"),
          shutdown("queue", true),
          state("queue"),
        ],
      },
      seesInOrder: [
        ["main", "state", shownAs("maxsize=0 _queue=[1] tasks=1 shutdown", kind)],
        ["main", "state", shownAs("maxsize=0 shutdown", kind)],
      ],
    },
    {
      id: `test_shutdown_get_waiting, ${kind}`,
      about: `${kind}.shutdown() wakes all that wait for an item, with a QueueShutDown`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          ...spawnAll("ab", [attempt(get("queue"))]),
          turns(1),
          shutdown("queue", false),
          state("queue"),
          await_(ref("b")),
        ],
      },
      seesInOrder: [
        ["main", "state", shownAs("maxsize=0 shutdown", kind)],
        ["a", "get", shutDown],
        ["b", "get", shutDown],
      ],
    },
    {
      id: `test_shutdown_put_waiting, ${kind}`,
      about: `${kind}.shutdown() wakes all tasks that wait in put(), with a QueueShutDown, and keeps the items in the queue`,
      script: {
        objects: { queue: [kind, 1] },
        main: [
          putNowait("queue", 1),
          ...spawnAll("ab", [attempt(put("queue", 2))]),
          turns(1),
          shutdown("queue", false),
          await_(ref("b")),
          get("queue"),
          attempt(get("queue")),
        ],
      },
      seesInOrder: [
        ["a", "put", shutDown],
        ["b", "put", shutDown],
        ["main", "get", 1],
        ["main", "get", shutDown],
      ],
    },
    {
      id: `test_shutdown_immediate_put_waiting, ${kind}`,
      about: `${kind}.shutdown() with immediate wakes all tasks that wait in put(); none of them puts its item in`,
      script: {
        objects: { queue: [kind, 1] },
        main: [
          putNowait("queue", 1),
          spawn("a", [attempt(put("queue", 2))]),
          turns(1),
          shutdown("queue", true),
          await_(ref("a")),
          state("queue"),
        ],
      },
      seesInOrder: [
        ["a", "put", shutDown],
        ["main", "state", shownAs("maxsize=1 shutdown", kind)],
      ],
    },
    {
      id: `test_shutdown_nonempty_get_unblocks_putter_shutdown, ${kind}`,
      about: `${kind}.put() that was woken by a get() puts nothing in when the queue was shut down before it runs`,
      script: {
        objects: { queue: [kind, 1] },
        main: [
          putNowait("queue", 1),
          spawn("a", [attempt(put("queue", 2))]),
          turns(1),
          getNowait("queue"),
          shutdown("queue", false),
          await_(ref("a")),
          state("queue"),
        ],
      },
      seesInOrder: [
        ["a", "put", shutDown],
        ["main", "state", shownAs("maxsize=1 tasks=1 shutdown", kind)],
      ],
    },
    {
      id: `a getter that was woken before the end, ${kind}`,
      about: `${kind}.get() that was woken by a put() still gets the item when the queue is shut down before it runs`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          spawn("a", [attempt(get("queue"))]),
          spawn("b", [attempt(get("queue"))]),
          turns(1),
          putNowait("queue", "item"),
          shutdown("queue", false),
          await_(ref("b")),
        ],
      },
      seesInOrder: [
        ["a", "get", "item"],
        ["b", "get", shutDown],
      ],
    },
    {
      id: `a getter that was woken before the immediate end, ${kind}`,
      about: `${kind}.get() that was woken by a put() gets a QueueShutDown when the item is dropped before it runs`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          spawn("a", [attempt(get("queue"))]),
          turns(1),
          putNowait("queue", "item"),
          shutdown("queue", true),
          await_(ref("a")),
        ],
      },
      seesInOrder: [["a", "get", shutDown]],
    },
    {
      id: `test_shutdown_join, ${kind}`,
      about: `${kind}.join() continues to wait after shutdown() until the remaining items are done`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          putNowait("queue", 1),
          spawn("a", [join("queue")]),
          turns(1),
          shutdown("queue", false),
          turns(2),
          state("a"),
          get("queue"),
          taskDone("queue"),
          await_(ref("a")),
        ],
      },
      seesInOrder: [
        ["main", "state", ["pending", 0]],
        ["main", "taskDone", null],
        ["a", "join", null],
      ],
    },
    {
      id: `test_shutdown_immediate_join, ${kind}`,
      about: `${kind}.join() ends when shutdown() with immediate drops the last items`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          ...putAll("queue", [2, 1]),
          spawn("a", [join("queue")]),
          turns(1),
          shutdown("queue", true),
          await_(ref("a")),
        ],
      },
      seesInOrder: [["a", "join", null]],
    },
    {
      id: `test_shutdown_immediate_with_unfinished, ${kind}`,
      about: `${kind}.join() waits for an item that was taken before shutdown() with immediate`,
      script: {
        objects: { queue: [kind, 0] },
        main: [
          ...putAll("queue", [1, 2]),
          getNowait("queue"),
          spawn("a", [join("queue")]),
          turns(1),
          shutdown("queue", true),
          turns(2),
          state("a"),
          taskDone("queue"),
          await_(ref("a")),
        ],
      },
      seesInOrder: [
        ["main", "state", ["pending", 0]],
        ["a", "join", null],
      ],
    },
  ];
}

export const queueCases: readonly TaskCase[] = [
  {
    id: "test_order",
    about: "Queue returns its items in the order in which they were put in",
    script: {
      objects: { queue: ["Queue", 0] },
      main: [...putAll("queue", [1, 3, 2]), getTimes(3)],
    },
    seesInOrder: [
      ["main", "getNowait", 1],
      ["main", "getNowait", 3],
      ["main", "getNowait", 2],
    ],
  },
  {
    id: "test_order, LifoQueueTests",
    about: "LifoQueue returns the newest item first, even if puts and gets alternate",
    script: {
      objects: { queue: ["LifoQueue", 0] },
      main: [...putAll("queue", [1, 3]), getTimes(1), putNowait("queue", 2), getTimes(2)],
    },
    seesInOrder: [
      ["main", "getNowait", 3],
      ["main", "getNowait", 2],
      ["main", "getNowait", 1],
    ],
  },
  {
    id: "test_order, PriorityQueueTests",
    about: "PriorityQueue returns the smallest item first, even if puts and gets alternate",
    script: {
      objects: { queue: ["PriorityQueue", 0] },
      main: [...putAll("queue", [3, 1, 2]), getTimes(1), ...putAll("queue", [5, 0, 4]), getTimes(5)],
    },
    seesInOrder: [1, 0, 2, 3, 4, 5].map((item) => ["main", "getNowait", item]),
  },
  {
    id: "items with a priority",
    about: "PriorityQueue compares pairs by their first elements, and where these are the same by the second",
    script: {
      objects: { queue: ["PriorityQueue", 0] },
      main: [
        ...putAll("queue", [
          [2, "b"],
          [1, "z"],
          [2, "a"],
          [1, "z"],
        ]),
        getTimes(4),
      ],
    },
    seesInOrder: [
      ["main", "getNowait", [1, "z"]],
      ["main", "getNowait", [1, "z"]],
      ["main", "getNowait", [2, "a"]],
      ["main", "getNowait", [2, "b"]],
    ],
  },
  {
    id: "test_maxsize",
    about: "Queue.put() waits while the queue is full, and continues when an item was taken",
    script: {
      objects: { queue: ["Queue", 2] },
      main: [
        spawn("putter", [put("queue", 1), put("queue", 2), put("queue", 3)]),
        delay(1),
        state("queue"),
        getNowait("queue"),
        await_(ref("putter")),
        state("queue"),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("maxsize=2 _queue=[1, 2] _putters[1] tasks=2")],
      ["putter", "put", null],
      ["main", "state", shownAs("maxsize=2 _queue=[2, 3] tasks=3")],
    ],
  },
  {
    id: "test_float_maxsize",
    about: "Queue with a maxsize that is not an integer takes items up to the next integer",
    script: {
      objects: { queue: ["Queue", 1.3] },
      main: [put("queue", 1), put("queue", 2), putNowait("queue", 3)],
    },
    seesInOrder: [
      ["main", "put", null],
      ["main", "put", null],
      ["main", "putNowait", raised("QueueFull")],
    ],
  },
  {
    id: "a negative maxsize",
    about: "Queue with a negative maxsize is never full",
    script: {
      objects: { queue: ["Queue", -1] },
      main: [...putAll("queue", [1, 2, 3]), state("queue")],
    },
    seesInOrder: [["main", "state", shownAs("maxsize=-1 _queue=[1, 2, 3] tasks=3")]],
  },
  {
    id: "several getters",
    about: "Queue.get() of tasks that wait is answered in the order in which they came",
    script: {
      objects: { queue: ["Queue", 0] },
      main: [
        ...spawnAll("abc", [get("queue")]),
        turns(1),
        state("queue"),
        ...putAll("queue", [1, 2, 3]),
        state("queue"),
        await_(ref("c")),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("maxsize=0 _getters[3]")],
      ["main", "state", shownAs("maxsize=0 _queue=[1, 2, 3] tasks=3")],
      ["a", "get", 1],
      ["b", "get", 2],
      ["c", "get", 3],
    ],
  },
  {
    id: "test_why_are_getters_waiting",
    about: "Queue.put() in a row feeds as many getters as there are, although there is room for one item only",
    script: {
      objects: { queue: ["Queue", 1] },
      main: [
        group("group", [
          ...["a", "b", "c"].map((name): Statement => groupSpawn("group", name, [get("queue")])),
          groupSpawn("group", "putter", [put("queue", 1), put("queue", 2), put("queue", 3)]),
        ]),
        state("queue"),
      ],
    },
    seesInOrder: [
      ["a", "get", 1],
      ["main", "group", "left"],
      ["main", "state", shownAs("maxsize=1 tasks=3")],
    ],
  },
  {
    id: "test_why_are_putters_waiting",
    about: "Queue.getNowait() wakes one task that waits in put() for each call",
    script: {
      objects: { queue: ["Queue", 2] },
      main: [
        group("group", [
          groupSpawn("group", "getter", [turns(1), getTimes(2)]),
          ...["a", "b", "c", "d"].map((name): Statement => groupSpawn("group", name, [put("queue", name)])),
        ]),
        state("queue"),
      ],
    },
    seesInOrder: [
      ["getter", "getNowait", "a"],
      ["getter", "getNowait", "b"],
      ["c", "put", null],
      ["d", "put", null],
      ["main", "state", shownAs("maxsize=2 _queue=['c', 'd'] tasks=4")],
    ],
  },
  {
    id: "test_get_cancel_drop_one_pending_reader",
    about: "Queue.get() that was woken and is cancelled before it runs leaves its item in its place",
    script: {
      objects: { queue: ["Queue", 0] },
      main: [
        spawn("a", [get("queue")]),
        turns(1),
        ...putAll("queue", [1, 2]),
        cancel("a"),
        attempt(await_(ref("a"))),
        get("queue"),
      ],
    },
    seesInOrder: [
      ["a", "get", cancelled],
      ["main", "get", 1],
    ],
  },
  {
    id: "test_get_cancel_drop_many_pending_readers",
    about: "Queue.get() that was woken and is cancelled before it runs wakes the next one in its stead",
    script: {
      objects: { queue: ["Queue", 0] },
      main: [
        ...spawnAll("abc", [get("queue")]),
        turns(1),
        ...putAll("queue", [1, 2]),
        cancel("a"),
        await_(ref("c")),
        state("b"),
      ],
    },
    seesInOrder: [
      ["a", "get", cancelled],
      ["b", "get", 1],
      ["c", "get", 2],
    ],
  },
  joinCase("Queue", [1, 3, 2]),
  joinCase("LifoQueue", [2, 3, 1]),
  joinCase("PriorityQueue", [1, 2, 3]),
  {
    id: "test_shutdown_nonempty",
    about: "Queue.shutdown() leaves what is in the queue to be taken out, and get() throws after that",
    script: {
      objects: { queue: ["Queue", 0] },
      main: [
        ...putAll("queue", [1, 2]),
        shutdown("queue", false),
        attempt(putNowait("queue", 3)),
        get("queue"),
        getNowait("queue"),
        attempt(get("queue")),
      ],
    },
    seesInOrder: [
      ["main", "putNowait", shutDown],
      ["main", "get", 1],
      ["main", "getNowait", 2],
      ["main", "get", shutDown],
    ],
  },
  ...kinds.flatMap(casesOfEvery),
];
