/** Lock, Event, Condition, the Semaphores and Barrier: the semantics that CPython's test_locks holds. */

import {
  acquire,
  await_,
  barrier,
  barrierAbort,
  barrierReset,
  callLater,
  callSoon,
  cancel,
  clear,
  conditionWait,
  conditionWaitFor,
  coro,
  delay,
  flag,
  future,
  gather,
  log,
  notify,
  notifyAll,
  raise,
  ref,
  release,
  repeat,
  setEvent,
  setResult,
  spawn,
  state,
  time,
  timeout,
  try_,
  turns,
  wait,
  waitFor,
  with_,
} from "../builders.ts";
import type { Block, Spec } from "../language.ts";
import { attempt, cancelled, LONG, raised, spawnAll, type TaskCase } from "./case.ts";

/** What one of the locks prints as. */
const shownAs = (kind: string, state: string): string => `<asyncio.locks.${kind} object at 0xHEX [${state}]>`;

/** Takes the lock, marks the trace, and releases the lock some turns later. */
const hold = (lock: string, count = 1): Block => [acquire(lock), log("holds it"), turns(count), release(lock)];

/** What one task at a time can hold. */
interface Exclusive {
  readonly spec: Spec;
  /** What it prints when no task holds it. */
  readonly free: string;
  /** What it adds for one waiting task. */
  readonly oneWaiter: string;
}

const exclusive: Readonly<Record<string, Exclusive>> = {
  Lock: { spec: ["Lock"], free: "unlocked", oneWaiter: ", waiters:1" },
  Semaphore: { spec: ["Semaphore", 1], free: "unlocked, value:1", oneWaiter: ", waiters:1" },
  BoundedSemaphore: { spec: ["BoundedSemaphore", 1], free: "unlocked, value:1", oneWaiter: ", waiters:1" },
  // The waiters that it prints are those of its own wait().
  Condition: { spec: ["Condition"], free: "unlocked", oneWaiter: "" },
};

function casesOfExclusive([kind, { spec, free, oneWaiter }]: [string, Exclusive]): TaskCase[] {
  const shown = (state: string): string => shownAs(kind, state);
  return [
    {
      id: `test_lock_by_with_statement, ${kind}`,
      about: `${kind}.with() holds the lock during its block, and runs one block at a time`,
      script: {
        objects: { lock: spec },
        main: [...spawnAll("ab", [with_("lock", [log("in"), delay(1), log("out")])]), await_(ref("b")), time()],
      },
      seesInOrder: [
        ["a", "log", "in"],
        ["a", "log", "out"],
        ["b", "log", "in"],
        ["b", "log", "out"],
        ["main", "time", 2],
        ["end", "lock", shown(free)],
      ],
    },
    {
      id: `test_context_manager, ${kind}`,
      about: `${kind}.with() releases the lock when its block throws`,
      script: {
        objects: { lock: spec },
        main: [attempt(with_("lock", [state("lock"), raise("inside")])), state("lock")],
      },
      seesInOrder: [
        ["main", "state", shown("locked")],
        ["main", "caught", raised("Boom", "inside")],
        ["main", "state", shown(free)],
      ],
    },
    {
      id: `with() of a task that is cancelled inside, ${kind}`,
      about: `${kind}.with() passes the lock to the next task when its block is cancelled`,
      script: {
        objects: { lock: spec },
        main: [
          spawn("a", [with_("lock", [delay(LONG)])]),
          spawn("b", [with_("lock", [time()])]),
          turns(1),
          cancel("a"),
          await_(ref("b")),
        ],
      },
      seesInOrder: [
        ["a", "with", cancelled],
        ["b", "time", 0],
      ],
    },
    {
      id: `test_acquire_cancel, ${kind}`,
      about: `${kind}.acquire() leaves no waiter behind when it is cancelled`,
      script: {
        objects: { lock: spec },
        main: [
          acquire("lock"),
          spawn("task", [acquire("lock")]),
          turns(1),
          cancel("task"),
          attempt(await_(ref("task"))),
          state("lock"),
        ],
      },
      seesInOrder: [
        ["task", "acquire", cancelled],
        ["main", "state", shown("locked")],
      ],
    },
    {
      id: `test_cancel_race, ${kind}`,
      about: `${kind}.release() passes over a waiter that is cancelled in the same turn, and wakes the next`,
      script: {
        objects: { lock: spec },
        main: [
          future("gate"),
          spawn("a", [with_("lock", [await_(ref("gate"))])]),
          ...spawnAll("bc", [with_("lock", [log("in")])]),
          turns(2),
          setResult("gate", null),
          cancel("b"),
          await_(ref("c")),
          state("b"),
          state("lock"),
        ],
      },
      seesInOrder: [
        ["b", "with", cancelled],
        ["c", "log", "in"],
        ["main", "state", ["cancelled", 1]],
        ["main", "state", shown(free)],
      ],
    },
    {
      id: `test_cancel_release_race, ${kind}`,
      about: `${kind}.release() lets only one through when the first waiter is cancelled just before`,
      script: {
        objects: { lock: spec },
        main: [
          acquire("lock"),
          ...spawnAll("abc", [acquire("lock")]),
          turns(1),
          callSoon("both", [cancel("a"), release("lock")]),
          attempt(await_(ref("a"))),
          turns(3),
          state("b"),
          state("c"),
          state("lock"),
        ],
      },
      seesInOrder: [
        ["a", "acquire", cancelled],
        ["b", "acquire", true],
        ["main", "state", ["b", 0]],
        ["main", "state", ["pending", 0]],
        ["main", "state", shown(`locked${oneWaiter}`)],
      ],
    },
    {
      id: `test_finished_waiter_cancelled, ${kind}`,
      about: `${kind}.acquire() that was woken and is cancelled before it runs wakes the next one`,
      script: {
        objects: { lock: spec },
        main: [
          acquire("lock"),
          ...spawnAll("ab", [acquire("lock")]),
          turns(1),
          release("lock"),
          cancel("a"),
          await_(ref("b")),
          state("lock"),
        ],
      },
      seesInOrder: [
        ["a", "acquire", cancelled],
        ["b", "acquire", true],
        ["main", "state", shown("locked")],
      ],
    },
    {
      id: `a lock that is promised, ${kind}`,
      about: `${kind}.acquire() called while a woken waiter has not run yet waits behind that waiter`,
      script: {
        objects: { lock: spec },
        main: [
          acquire("lock"),
          spawn("a", hold("lock")),
          turns(1),
          release("lock"),
          acquire("lock"),
          log("main holds it"),
        ],
      },
      seesInOrder: [
        ["a", "log", "holds it"],
        ["a", "release", null],
        ["main", "log", "main holds it"],
      ],
    },
    {
      id: `an only waiter that is cancelled, ${kind}`,
      about: `${kind}.acquire() takes the lock immediately when all tasks that wait for it are cancelled`,
      script: {
        objects: { lock: spec },
        main: [
          acquire("lock"),
          spawn("a", [acquire("lock")]),
          turns(1),
          cancel("a"),
          release("lock"),
          callSoon("turn", []),
          acquire("lock"),
          state("lock"),
          turns(2),
          state("lock"),
        ],
      },
      seesInOrder: [
        ["main", "acquire", true],
        ["main", "state", shown(`locked${oneWaiter}`)],
        ["a", "acquire", cancelled],
        ["turn", "called", null],
        ["main", "state", shown("locked")],
      ],
    },
    {
      id: `acquire() with a timeout, ${kind}`,
      about: `${kind}.acquire() within waitFor() ends at the deadline, and the lock is not lost`,
      script: {
        objects: { lock: spec },
        main: [
          acquire("lock"),
          attempt(await_(waitFor(acquire("lock"), 3))),
          release("lock"),
          await_(waitFor(acquire("lock"), 3)),
          time(),
        ],
      },
      seesInOrder: [
        ["main", "await", raised("TimeoutError")],
        ["main", "await", true],
        ["main", "time", 3],
      ],
    },
  ];
}

export const exclusiveCases: readonly TaskCase[] = Object.entries(exclusive).flatMap(casesOfExclusive);

export const lockCases: readonly TaskCase[] = [
  {
    id: "test_lock",
    about: "Lock.acquire() returns true, and the lock is held until release()",
    script: {
      objects: { lock: ["Lock"] },
      main: [state("lock"), acquire("lock"), state("lock"), release("lock"), state("lock")],
    },
    seesInOrder: [
      ["main", "state", shownAs("Lock", "unlocked")],
      ["main", "acquire", true],
      ["main", "state", shownAs("Lock", "locked")],
      ["main", "release", null],
      ["main", "state", shownAs("Lock", "unlocked")],
    ],
  },
  {
    id: "test_acquire",
    about: "Lock.acquire() lets waiting tasks through one at a time, in the order in which they came",
    script: {
      objects: { lock: ["Lock"] },
      main: [
        acquire("lock"),
        ...spawnAll("abc", hold("lock")),
        turns(1),
        state("lock"),
        release("lock"),
        state("lock"),
        await_(ref("c")),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("Lock", "locked, waiters:3")],
      ["main", "state", shownAs("Lock", "unlocked, waiters:3")],
      ["a", "log", "holds it"],
      ["a", "release", null],
      ["b", "log", "holds it"],
      ["b", "release", null],
      ["c", "log", "holds it"],
      ["end", "lock", shownAs("Lock", "unlocked")],
    ],
  },
  {
    id: "test_release_not_acquired",
    about: "Lock.release() throws a RuntimeError when no task holds the lock",
    script: { objects: { lock: ["Lock"] }, main: [attempt(release("lock")), acquire("lock")] },
    seesInOrder: [
      ["main", "release", raised("RuntimeError", "Lock is not acquired.")],
      ["main", "acquire", true],
    ],
  },
  {
    id: "test_release_no_waiters",
    about: "Lock.release() twice throws a RuntimeError the second time, even if a woken waiter has not run yet",
    script: {
      objects: { lock: ["Lock"] },
      main: [
        acquire("lock"),
        spawn("a", [acquire("lock")]),
        turns(1),
        release("lock"),
        attempt(release("lock")),
        await_(ref("a")),
      ],
    },
    seesInOrder: [
      ["main", "release", null],
      ["main", "release", raised("RuntimeError")],
      ["a", "acquire", true],
    ],
  },
];

export const eventCases: readonly TaskCase[] = [
  {
    id: "test_wait",
    about: "Event.set() wakes all that wait, in the order in which they came",
    script: {
      objects: { event: ["Event"] },
      main: [
        ...spawnAll("abc", [wait("event")]),
        turns(1),
        state("event"),
        setEvent("event"),
        state("event"),
        await_(ref("c")),
        state("event"),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("Event", "unset, waiters:3")],
      ["main", "state", shownAs("Event", "set, waiters:3")],
      ["a", "wait", true],
      ["b", "wait", true],
      ["c", "wait", true],
      ["main", "state", shownAs("Event", "set")],
    ],
  },
  {
    id: "test_wait_on_set",
    about: "Event.wait() returns true immediately when the event is set",
    script: {
      objects: { event: ["Event"] },
      main: [setEvent("event"), callSoon("turn", []), wait("event"), turns(1)],
    },
    seesInOrder: [
      ["main", "wait", true],
      ["turn", "called", null],
    ],
  },
  {
    id: "test_wait_cancel",
    about: "Event.wait() leaves no waiter behind when it is cancelled",
    script: {
      objects: { event: ["Event"] },
      main: [spawn("a", [wait("event")]), turns(1), cancel("a"), attempt(await_(ref("a"))), state("event")],
    },
    seesInOrder: [
      ["a", "wait", cancelled],
      ["main", "state", shownAs("Event", "unset")],
    ],
  },
  {
    id: "set() and a cancellation",
    about: "Event.set() passes over a waiter that is cancelled in the same turn, and wakes the others",
    script: {
      objects: { event: ["Event"] },
      main: [...spawnAll("ab", [wait("event")]), turns(1), cancel("a"), setEvent("event"), await_(ref("b"))],
    },
    seesInOrder: [
      ["a", "wait", cancelled],
      ["b", "wait", true],
    ],
  },
  {
    id: "test_clear",
    about: "Event.clear() makes the next ones wait again",
    script: {
      objects: { event: ["Event"] },
      main: [setEvent("event"), clear("event"), callLater("timer", 2, [setEvent("event")]), wait("event"), time()],
    },
    seesInOrder: [
      ["timer", "setEvent", null],
      ["main", "wait", true],
      ["main", "time", 2],
    ],
  },
  {
    id: "test_clear_with_waiters",
    about: "Event.clear() just after set() does not stop tasks that were woken",
    script: {
      objects: { event: ["Event"] },
      main: [
        spawn("a", [wait("event")]),
        turns(1),
        setEvent("event"),
        clear("event"),
        setEvent("event"),
        clear("event"),
        spawn("b", [wait("event")]),
        await_(ref("a")),
        turns(2),
        state("event"),
        setEvent("event"),
      ],
    },
    seesInOrder: [
      ["a", "wait", true],
      ["main", "state", shownAs("Event", "unset, waiters:1")],
      ["b", "wait", true],
    ],
  },
];

/** Holds the condition and waits for it, which says what it got. */
const waitWith = (condition: string): Block => [with_(condition, [conditionWait(condition)])];

export const conditionCases: readonly TaskCase[] = [
  {
    id: "test_wait",
    about: "Condition.wait() releases the lock while it waits, and holds it again afterwards",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        spawn("a", [acquire("condition"), conditionWait("condition"), state("condition"), release("condition")]),
        turns(1),
        state("condition"),
        acquire("condition"),
        notify("condition", 1),
        turns(3),
        log("still held"),
        release("condition"),
        await_(ref("a")),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("Condition", "unlocked, waiters:1")],
      ["main", "log", "still held"],
      ["a", "conditionWait", true],
      ["a", "state", shownAs("Condition", "locked")],
    ],
  },
  {
    id: "test_wait_cancel",
    about: "Condition.wait() that is cancelled takes the lock again before it throws",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        spawn("a", [
          acquire("condition"),
          attempt(conditionWait("condition")),
          state("condition"),
          release("condition"),
        ]),
        turns(1),
        cancel("a"),
        await_(ref("a")),
      ],
    },
    seesInOrder: [
      ["a", "conditionWait", cancelled],
      ["a", "state", shownAs("Condition", "locked")],
    ],
  },
  {
    id: "test_wait_cancel_contested",
    about: "Condition.wait() that is cancelled while it waits for the lock holds the lock when it throws",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        spawn("a", [
          acquire("condition"),
          attempt(conditionWait("condition")),
          state("condition"),
          release("condition"),
        ]),
        turns(1),
        acquire("condition"),
        notify("condition", 1),
        turns(2),
        cancel("a"),
        turns(2),
        state("a"),
        release("condition"),
        await_(ref("a")),
      ],
    },
    seesInOrder: [
      ["main", "state", ["pending", 1]],
      ["main", "release", null],
      ["a", "conditionWait", cancelled],
      ["a", "state", shownAs("Condition", "locked")],
    ],
  },
  {
    id: "test_wait_cancel_after_notify",
    about: "Condition.wait() that is cancelled after notify() throws within with(), which releases the lock",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        spawn("a", waitWith("condition")),
        turns(1),
        acquire("condition"),
        notify("condition", 1),
        turns(1),
        cancel("a"),
        turns(1),
        release("condition"),
        attempt(await_(ref("a"))),
        state("condition"),
      ],
    },
    seesInOrder: [
      ["a", "with", cancelled],
      ["main", "state", shownAs("Condition", "unlocked")],
    ],
  },
  {
    id: "test_cancelled_wakeup",
    about: "Condition.wait() that was notified and is cancelled in the same turn passes the wake-up to the next",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        ...spawnAll("ab", waitWith("condition")),
        turns(2),
        with_("condition", [notify("condition", 1)]),
        cancel("a"),
        await_(ref("b")),
      ],
    },
    seesInOrder: [
      ["a", "conditionWait", cancelled],
      ["b", "conditionWait", true],
    ],
  },
  {
    id: "test_cancelled_wakeup_relock",
    about:
      "Condition.wait() that was notified and is cancelled while it waits for the lock passes the wake-up to the next",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        ...spawnAll("ab", waitWith("condition")),
        turns(2),
        acquire("condition"),
        notify("condition", 1),
        turns(2),
        cancel("a"),
        turns(1),
        release("condition"),
        await_(ref("b")),
      ],
    },
    seesInOrder: [
      ["main", "release", null],
      ["a", "conditionWait", cancelled],
      ["b", "conditionWait", true],
    ],
  },
  {
    id: "test_cancelled_error_re_aquire",
    about: "Condition.wait() keeps the message of the cancellation while it takes the lock again",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        spawn("a", waitWith("condition")),
        turns(1),
        acquire("condition"),
        cancel("a", "first"),
        turns(2),
        state("a"),
        release("condition"),
        attempt(await_(ref("a"))),
      ],
    },
    seesInOrder: [
      ["main", "state", ["pending", 1]],
      ["a", "conditionWait", raised("CancelledError", "first")],
    ],
  },
  {
    id: "cancelled twice while it takes the lock",
    about: "Condition.wait() that is cancelled again while it takes the lock throws the later CancelledError",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        spawn("a", waitWith("condition")),
        turns(1),
        acquire("condition"),
        cancel("a", "first"),
        turns(2),
        cancel("a", "second"),
        turns(2),
        release("condition"),
        attempt(await_(ref("a"))),
      ],
    },
    seesInOrder: [
      ["main", "release", null],
      ["a", "conditionWait", raised("CancelledError", "second")],
      ["end", "a", ["cancelled", 2]],
    ],
  },
  {
    id: "test_wait_unacquired",
    about: "Condition.wait() throws a RuntimeError when the lock is not held",
    script: {
      objects: { condition: ["Condition"] },
      main: [attempt(conditionWait("condition")), state("condition")],
    },
    seesInOrder: [
      ["main", "conditionWait", raised("RuntimeError", "cannot wait on un-acquired lock")],
      ["main", "state", shownAs("Condition", "unlocked")],
    ],
  },
  {
    id: "test_wait_for",
    about: "Condition.waitFor() continues to wait until its predicate is true when it is notified",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        spawn("a", [with_("condition", [conditionWaitFor("condition", "ready")])]),
        turns(1),
        with_("condition", [notify("condition", 1)]),
        turns(2),
        state("a"),
        flag("ready", true),
        turns(2),
        state("a"),
        with_("condition", [notify("condition", 1)]),
        await_(ref("a")),
      ],
    },
    seesInOrder: [
      ["main", "state", ["pending", 0]],
      ["main", "state", ["pending", 0]],
      ["a", "conditionWaitFor", true],
    ],
  },
  {
    id: "test_wait_for_unacquired",
    about: "Condition.waitFor() needs the lock only when it has to wait",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        flag("ready", true),
        conditionWaitFor("condition", "ready"),
        flag("ready", false),
        attempt(conditionWaitFor("condition", "ready")),
      ],
    },
    seesInOrder: [
      ["main", "conditionWaitFor", true],
      ["main", "conditionWaitFor", raised("RuntimeError", "cannot wait on un-acquired lock")],
    ],
  },
  {
    id: "test_notify",
    about: "Condition.notify() wakes the given number of tasks, the longest-waiting ones first",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        ...spawnAll("abcd", waitWith("condition")),
        turns(5),
        with_("condition", [notify("condition", 1)]),
        turns(3),
        log("then two"),
        with_("condition", [notify("condition", 2)]),
        turns(3),
        state("condition"),
        with_("condition", [notify("condition", 9)]),
        await_(ref("d")),
      ],
    },
    seesInOrder: [
      ["a", "conditionWait", true],
      ["main", "log", "then two"],
      ["b", "conditionWait", true],
      ["c", "conditionWait", true],
      ["main", "state", shownAs("Condition", "unlocked, waiters:1")],
      ["d", "conditionWait", true],
    ],
  },
  {
    id: "notify() without waiters",
    about: "Condition.notify() has no effect when no task waits: a later wait() waits",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        with_("condition", [notify("condition", 1)]),
        spawn("a", waitWith("condition")),
        turns(2),
        state("a"),
        with_("condition", [notify("condition", 0)]),
        turns(2),
        state("a"),
        with_("condition", [notifyAll("condition")]),
        await_(ref("a")),
      ],
    },
    seesInOrder: [
      ["main", "state", ["pending", 0]],
      ["main", "state", ["pending", 0]],
      ["a", "conditionWait", true],
    ],
  },
  {
    id: "test_notify_all",
    about: "Condition.notifyAll() wakes all tasks, which then take the lock one after the other",
    script: {
      objects: { condition: ["Condition"] },
      main: [
        ...spawnAll("abc", [with_("condition", [conditionWait("condition"), turns(2), log("lets go")])]),
        turns(3),
        with_("condition", [notifyAll("condition")]),
        await_(ref("c")),
      ],
    },
    seesInOrder: [
      ["a", "conditionWait", true],
      ["a", "log", "lets go"],
      ["b", "conditionWait", true],
      ["b", "log", "lets go"],
      ["c", "conditionWait", true],
    ],
  },
  {
    id: "test_notify_unacquired",
    about: "Condition.notify() throws a RuntimeError when the lock is not held",
    script: { objects: { condition: ["Condition"] }, main: [notify("condition", 1)] },
    seesInOrder: [["main", "raised", raised("RuntimeError", "cannot notify on un-acquired lock")]],
  },
  {
    id: "test_notify_all_unacquired",
    about: "Condition.notifyAll() throws a RuntimeError when the lock is not held",
    script: { objects: { condition: ["Condition"] }, main: [notifyAll("condition")] },
    seesInOrder: [["main", "raised", raised("RuntimeError")]],
  },
  {
    id: "test_explicit_lock",
    about: "Condition of an existing Lock shares it: a task that holds the lock may notify",
    script: {
      objects: { lock: ["Lock"], one: ["Condition", "lock"], other: ["Condition", "lock"] },
      main: [
        spawn("a", waitWith("one")),
        spawn("b", waitWith("other")),
        turns(2),
        with_("lock", [state("one"), notify("other", 1)]),
        await_(ref("b")),
        state("a"),
        with_("one", [notify("one", 1)]),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("Condition", "locked, waiters:1")],
      ["b", "conditionWait", true],
      ["main", "state", ["pending", 0]],
      ["a", "conditionWait", true],
    ],
  },
  {
    id: "test_timeout_in_block",
    about: "Condition.wait() within timeout() takes the lock again before the TimeoutError",
    script: {
      objects: { condition: ["Condition"] },
      main: [with_("condition", [attempt(timeout("t", 2, [conditionWait("condition")])), state("condition"), time()])],
    },
    seesInOrder: [
      ["main", "timeout", raised("TimeoutError")],
      ["main", "state", shownAs("Condition", "locked")],
      ["main", "time", 2],
    ],
  },
];

export const semaphoreCases: readonly TaskCase[] = [
  {
    id: "test_semaphore",
    about: "Semaphore.acquire() takes a place, and release() returns it",
    script: {
      objects: { semaphore: ["Semaphore", 2] },
      main: [
        acquire("semaphore"),
        state("semaphore"),
        acquire("semaphore"),
        state("semaphore"),
        release("semaphore"),
        state("semaphore"),
      ],
    },
    seesInOrder: [
      ["main", "acquire", true],
      ["main", "state", shownAs("Semaphore", "unlocked, value:1")],
      ["main", "state", shownAs("Semaphore", "locked")],
      ["main", "state", shownAs("Semaphore", "unlocked, value:1")],
    ],
  },
  {
    id: "test_initial_value_zero",
    about: "Semaphore of zero is locked from the beginning, until it is released",
    script: {
      objects: { semaphore: ["Semaphore", 0] },
      main: [state("semaphore"), callLater("timer", 1, [release("semaphore")]), acquire("semaphore"), time()],
    },
    seesInOrder: [
      ["main", "state", shownAs("Semaphore", "locked")],
      ["main", "acquire", true],
      ["main", "time", 1],
    ],
  },
  {
    id: "test_acquire",
    about: "Semaphore.acquire() lets its number through, and the others when places come free, in their order",
    script: {
      objects: { semaphore: ["Semaphore", 2] },
      main: [
        ...spawnAll("abcde", [with_("semaphore", [log("in"), delay(1)])]),
        turns(1),
        state("semaphore"),
        await_(ref("e")),
        time(),
      ],
    },
    seesInOrder: [
      ["a", "log", "in"],
      ["b", "log", "in"],
      ["main", "state", shownAs("Semaphore", "locked, waiters:3")],
      ["c", "log", "in"],
      ["d", "log", "in"],
      ["e", "log", "in"],
      ["main", "time", 3],
      ["end", "semaphore", shownAs("Semaphore", "unlocked, value:2")],
    ],
  },
  {
    id: "test_acquire_cancel_before_awoken",
    about: "Semaphore.release() passes over waiters that are cancelled in the same turn, and wakes one",
    script: {
      objects: { semaphore: ["Semaphore", 0] },
      main: [
        ...spawnAll("abcd", [acquire("semaphore")]),
        turns(1),
        cancel("a"),
        cancel("b"),
        release("semaphore"),
        turns(2),
        state("c"),
        state("d"),
        state("semaphore"),
      ],
    },
    seesInOrder: [
      ["a", "acquire", cancelled],
      ["b", "acquire", cancelled],
      ["c", "acquire", true],
      ["main", "state", ["c", 0]],
      ["main", "state", ["pending", 0]],
      ["main", "state", shownAs("Semaphore", "locked, waiters:1")],
    ],
  },
  {
    id: "test_acquire_hang",
    about: "Semaphore.release() after the first waiter was cancelled lets the second through",
    script: {
      objects: { semaphore: ["Semaphore", 0] },
      main: [
        ...spawnAll("ab", [acquire("semaphore")]),
        turns(1),
        cancel("a"),
        release("semaphore"),
        turns(2),
        state("b"),
      ],
    },
    seesInOrder: [
      ["a", "acquire", cancelled],
      ["main", "state", ["b", 0]],
    ],
  },
  {
    id: "test_acquire_no_hang",
    about: "Semaphore has all its places when a woken task was cancelled and no other task waits",
    script: {
      objects: { semaphore: ["Semaphore", 1] },
      main: [
        spawn("a", [with_("semaphore", [turns(1)]), cancel("b")]),
        spawn("b", [with_("semaphore", [log("never")])]),
        await_(gather([ref("a"), ref("b")], true)),
        await_(waitFor(acquire("semaphore"), 1)),
        time(),
      ],
    },
    seesInOrder: [
      ["b", "with", cancelled],
      ["main", "await", ["a", cancelled]],
      ["main", "await", true],
      ["main", "time", 0],
    ],
  },
  {
    id: "test_release_not_acquired",
    about: "BoundedSemaphore.release() throws a ValueError beyond its bound",
    script: {
      objects: { bounded: ["BoundedSemaphore", 1], plain: ["Semaphore", 1] },
      main: [
        release("plain"),
        state("plain"),
        attempt(release("bounded")),
        acquire("bounded"),
        release("bounded"),
        attempt(release("bounded")),
        state("bounded"),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("Semaphore", "unlocked, value:2")],
      ["main", "release", raised("ValueError", "BoundedSemaphore released too many times")],
      ["main", "release", null],
      ["main", "release", raised("ValueError", "BoundedSemaphore released too many times")],
      ["main", "state", shownAs("BoundedSemaphore", "unlocked, value:1")],
    ],
  },
  {
    id: "a bound and a waiter",
    about: "BoundedSemaphore.release() with a waiter passes the place to it, which does not exceed the bound",
    script: {
      objects: { bounded: ["BoundedSemaphore", 1] },
      main: [
        acquire("bounded"),
        spawn("a", hold("bounded")),
        turns(1),
        release("bounded"),
        await_(ref("a")),
        attempt(release("bounded")),
      ],
    },
    seesInOrder: [
      ["a", "release", null],
      ["main", "release", raised("ValueError")],
    ],
  },
  {
    id: "test_release_no_waiters",
    about: "Semaphore.release() twice in a turn lets the two through that have waited longest",
    script: {
      objects: { semaphore: ["Semaphore", 0] },
      main: [
        ...spawnAll("abc", [acquire("semaphore")]),
        turns(1),
        release("semaphore"),
        release("semaphore"),
        turns(1),
        state("semaphore"),
      ],
    },
    seesInOrder: [
      ["a", "acquire", true],
      ["b", "acquire", true],
      ["main", "state", shownAs("Semaphore", "locked, waiters:1")],
    ],
  },
  {
    id: "test_acquire_fifo_order",
    about: "Semaphore.acquire() by a task that has just released waits behind the waiting tasks",
    script: {
      objects: { semaphore: ["Semaphore", 1] },
      main: [
        ...spawnAll("abc", [repeat(2, [acquire("semaphore"), log("in"), delay(1), release("semaphore")])]),
        await_(ref("c")),
        time(),
      ],
    },
    seesInOrder: [
      ["a", "log", "in"],
      ["b", "log", "in"],
      ["c", "log", "in"],
      ["a", "log", "in"],
      ["b", "log", "in"],
      ["c", "log", "in"],
      ["main", "time", 6],
    ],
  },
  {
    id: "test_acquire_fifo_order_2",
    about: "Semaphore.acquire() right after release() waits while the place is on its way to another",
    script: {
      objects: { semaphore: ["Semaphore", 1] },
      main: [
        spawn("a", [acquire("semaphore")]),
        spawn("b", [acquire("semaphore"), release("semaphore"), acquire("semaphore"), log("second time")]),
        spawn("c", [acquire("semaphore")]),
        turns(1),
        release("semaphore"),
        release("semaphore"),
        await_(ref("b")),
      ],
    },
    seesInOrder: [
      ["a", "acquire", true],
      ["b", "acquire", true],
      ["c", "acquire", true],
      ["b", "log", "second time"],
      ["end", "semaphore", shownAs("Semaphore", "locked")],
    ],
  },
  {
    id: "test_acquire_fifo_order_3",
    about: "Semaphore.acquire() keeps the order of the others when the first was cancelled",
    script: {
      objects: { semaphore: ["Semaphore", 0] },
      main: [
        ...spawnAll("abc", [acquire("semaphore")]),
        turns(1),
        cancel("a"),
        turns(1),
        release("semaphore"),
        release("semaphore"),
        await_(ref("c")),
      ],
    },
    seesInOrder: [
      ["a", "acquire", cancelled],
      ["b", "acquire", true],
      ["c", "acquire", true],
    ],
  },
  {
    id: "test_acquire_fifo_order_4",
    about: "Semaphore.acquire() of a newcomer waits behind one whose wake-up is on its way",
    script: {
      objects: { semaphore: ["Semaphore", 0] },
      main: [
        ...spawnAll("ab", [acquire("semaphore")]),
        turns(1),
        release("semaphore"),
        release("semaphore"),
        release("semaphore"),
        state("semaphore"),
        acquire("semaphore"),
        log("through"),
      ],
    },
    seesInOrder: [
      ["a", "acquire", true],
      ["b", "acquire", true],
      ["main", "log", "through"],
    ],
  },
];

/** Comes to the barrier and says how it was. */
const come: Block = [barrier("barrier")];

const broken = raised("BrokenBarrierError");

export const barrierCases: readonly TaskCase[] = [
  {
    id: "test_filling_task_by_task",
    about: "Barrier.wait() waits for the last of its parties, and returns the order in which they came",
    script: {
      objects: { barrier: ["Barrier", 3] },
      main: [
        state("barrier"),
        spawn("a", come),
        turns(1),
        state("barrier"),
        spawn("b", come),
        turns(1),
        state("barrier"),
        barrier("barrier"),
        state("barrier"),
        turns(2),
        state("barrier"),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("Barrier", "filling, waiters:0/3")],
      ["main", "state", shownAs("Barrier", "filling, waiters:1/3")],
      ["main", "state", shownAs("Barrier", "filling, waiters:2/3")],
      ["main", "barrier", 2],
      ["main", "state", shownAs("Barrier", "draining, waiters:0/3")],
      ["a", "barrier", 0],
      ["b", "barrier", 1],
      ["main", "state", shownAs("Barrier", "filling, waiters:0/3")],
    ],
  },
  {
    id: "test_filling_one_task",
    about: "Barrier of one party lets each task through immediately",
    script: {
      objects: { barrier: ["Barrier", 1] },
      main: [callSoon("turn", []), barrier("barrier"), with_("barrier", [log("inside")]), turns(1)],
    },
    seesInOrder: [
      ["main", "barrier", 0],
      ["main", "log", "inside"],
      ["turn", "called", null],
    ],
  },
  {
    id: "test_context_manager",
    about: "Barrier.with() runs its block when all have come",
    script: {
      objects: { barrier: ["Barrier", 2] },
      main: [spawn("a", [with_("barrier", [time()])]), delay(3), with_("barrier", [time()])],
    },
    seesInOrder: [
      ["main", "time", 3],
      ["a", "time", 3],
    ],
  },
  {
    id: "test_filling_tasks_wait_twice",
    about: "Barrier.wait() can be gone through again and again by the same tasks",
    script: {
      objects: { barrier: ["Barrier", 2] },
      main: [...spawnAll("ab", [repeat(3, come)]), await_(ref("a")), await_(ref("b"))],
    },
    seesInOrder: [
      ["b", "barrier", 1],
      ["a", "barrier", 0],
      ["main", "await", "a"],
      ["main", "await", "b"],
      ["end", "barrier", shownAs("Barrier", "filling, waiters:0/2")],
    ],
  },
  {
    id: "an action with the last one",
    about: "Barrier.wait() returns a different number to each task",
    script: {
      objects: { barrier: ["Barrier", 3] },
      main: [
        await_(
          gather(
            ["a", "b", "c"].map((name) => coro(name, [barrier("barrier"), log(`${name} acts`)])),
            false,
          ),
        ),
      ],
    },
    seesInOrder: [
      ["c", "barrier", 2],
      ["c", "log", "c acts"],
      ["a", "barrier", 0],
      ["b", "barrier", 1],
    ],
  },
  {
    id: "test_blocking_tasks_while_draining",
    about: "Barrier.wait() called while the previous round leaves waits for the next round",
    script: {
      objects: { barrier: ["Barrier", 2] },
      main: [
        spawn("a", come),
        turns(1),
        barrier("barrier"),
        state("barrier"),
        spawn("late", come),
        turns(3),
        state("late"),
        state("barrier"),
        barrier("barrier"),
        await_(ref("late")),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("Barrier", "draining, waiters:0/2")],
      ["a", "barrier", 0],
      ["main", "state", ["pending", 0]],
      ["main", "state", shownAs("Barrier", "filling, waiters:1/2")],
      ["main", "barrier", 1],
      ["late", "barrier", 0],
    ],
  },
  {
    id: "one more than there is room for",
    about: "Barrier.wait() of more tasks than its number leaves the rest waiting",
    script: {
      objects: { barrier: ["Barrier", 2] },
      main: [...spawnAll("abc", come), turns(6), state("barrier"), barrier("barrier")],
    },
    seesInOrder: [
      ["b", "barrier", 1],
      ["a", "barrier", 0],
      ["main", "state", shownAs("Barrier", "filling, waiters:1/2")],
      ["main", "barrier", 1],
      ["c", "barrier", 0],
    ],
  },
  {
    id: "test_filling_tasks_cancel_one",
    about: "Barrier.wait() that is cancelled no longer counts, and the others wait for another task",
    script: {
      objects: { barrier: ["Barrier", 3] },
      main: [
        ...spawnAll("ab", come),
        turns(2),
        cancel("a"),
        attempt(await_(ref("a"))),
        state("barrier"),
        spawn("c", come),
        turns(2),
        state("barrier"),
        barrier("barrier"),
        turns(3),
        state("b"),
        state("c"),
      ],
    },
    seesInOrder: [
      ["a", "barrier", cancelled],
      ["main", "state", shownAs("Barrier", "filling, waiters:1/3")],
      ["main", "state", shownAs("Barrier", "filling, waiters:2/3")],
      ["main", "barrier", 2],
      ["main", "state", ["b", 0]],
      ["main", "state", ["c", 0]],
    ],
  },
  {
    id: "the last of a round is cancelled",
    about: "Barrier.wait() that is cancelled while its round leaves does not keep the others inside",
    script: {
      objects: { barrier: ["Barrier", 2] },
      main: [
        spawn("a", come),
        turns(1),
        barrier("barrier"),
        cancel("a"),
        turns(3),
        state("barrier"),
        spawn("b", come),
        barrier("barrier"),
        await_(ref("b")),
      ],
    },
    seesInOrder: [
      ["a", "barrier", cancelled],
      ["main", "state", shownAs("Barrier", "filling, waiters:0/2")],
      ["b", "barrier", 1],
      ["main", "barrier", 0],
    ],
  },
  {
    id: "test_reset_barrier",
    about: "Barrier.reset() changes nothing when no task waits",
    script: {
      objects: { barrier: ["Barrier", 1] },
      main: [barrierReset("barrier"), state("barrier"), barrier("barrier")],
    },
    seesInOrder: [
      ["main", "state", shownAs("Barrier", "filling, waiters:0/1")],
      ["main", "barrier", 0],
    ],
  },
  {
    id: "test_reset_barrier_while_tasks_waiting",
    about: "Barrier.reset() ends all waits with a BrokenBarrierError, and the barrier can be used again",
    script: {
      objects: { barrier: ["Barrier", 3] },
      main: [
        ...spawnAll("ab", come),
        turns(2),
        barrierReset("barrier"),
        state("barrier"),
        turns(3),
        state("barrier"),
        ...spawnAll("cd", come),
        barrier("barrier"),
        turns(3),
        state("c"),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("Barrier", "resetting, waiters:0/3")],
      ["a", "barrier", broken],
      ["b", "barrier", broken],
      ["main", "state", shownAs("Barrier", "filling, waiters:0/3")],
      ["main", "barrier", 0],
      ["main", "state", ["c", 0]],
    ],
  },
  {
    id: "test_reset_barrier_while_tasks_waiting_and_waiting_again",
    about: "Barrier.wait() called while a reset() ends the other waits belongs to the next round",
    script: {
      objects: { barrier: ["Barrier", 3] },
      main: [
        ...spawnAll("ab", [attempt(...come), log("again"), ...come]),
        turns(2),
        barrierReset("barrier"),
        barrier("barrier"),
        await_(ref("a")),
        await_(ref("b")),
      ],
    },
    seesInOrder: [
      ["a", "caught", broken],
      ["b", "caught", broken],
      ["main", "await", "a"],
      ["main", "await", "b"],
    ],
  },
  {
    id: "test_reset_barrier_when_tasks_half_draining",
    about: "Barrier.reset() while a round leaves ends the waits of its remaining tasks with a BrokenBarrierError",
    script: {
      objects: { barrier: ["Barrier", 3] },
      main: [
        ...spawnAll("ab", come),
        turns(2),
        barrier("barrier"),
        barrierReset("barrier"),
        turns(4),
        state("barrier"),
      ],
    },
    seesInOrder: [
      ["main", "barrier", 2],
      ["a", "barrier", broken],
      ["b", "barrier", broken],
      ["main", "state", shownAs("Barrier", "filling, waiters:0/3")],
    ],
  },
  {
    id: "test_reset_barrier_when_tasks_half_draining_half_blocking",
    about: "Barrier.reset() while a round leaves does not end the waits for the next round",
    script: {
      objects: { barrier: ["Barrier", 2] },
      main: [
        spawn("a", come),
        turns(1),
        spawn("late", come),
        barrier("barrier"),
        barrierReset("barrier"),
        turns(5),
        state("barrier"),
        barrier("barrier"),
        await_(ref("late")),
      ],
    },
    seesInOrder: [
      ["main", "barrier", 1],
      ["a", "barrier", broken],
      ["main", "state", shownAs("Barrier", "filling, waiters:1/2")],
      ["main", "barrier", 1],
      ["late", "barrier", 0],
    ],
  },
  {
    id: "test_reset_barrier_while_tasks_draining",
    about: "Barrier.reset() by the last task that leaves a round does not end the waits for the next round",
    script: {
      objects: { barrier: ["Barrier", 2] },
      main: [
        spawn("a", [...come, barrierReset("barrier"), ...come]),
        spawn("b", [...come, ...come]),
        await_(ref("a")),
        await_(ref("b")),
        state("barrier"),
      ],
    },
    seesInOrder: [
      ["b", "barrier", 1],
      ["a", "barrier", 0],
      ["a", "barrierReset", null],
      ["main", "await", "a"],
      ["main", "await", "b"],
      ["main", "state", shownAs("Barrier", "filling, waiters:0/2")],
    ],
  },
  {
    id: "test_abort_barrier",
    about: "Barrier.abort() ends all waits and all later ones with a BrokenBarrierError",
    script: {
      objects: { barrier: ["Barrier", 3] },
      main: [
        ...spawnAll("ab", come),
        turns(2),
        barrierAbort("barrier"),
        state("barrier"),
        turns(3),
        attempt(...come),
        state("barrier"),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("Barrier", "broken")],
      ["a", "barrier", raised("BrokenBarrierError", "Abort or reset of barrier")],
      ["b", "barrier", raised("BrokenBarrierError", "Abort or reset of barrier")],
      ["main", "caught", raised("BrokenBarrierError", "Barrier aborted")],
      ["main", "state", shownAs("Barrier", "broken")],
    ],
  },
  {
    id: "test_reset_barrier_after_abort",
    about: "Barrier.reset() lets a barrier that was aborted be used again",
    script: {
      objects: { barrier: ["Barrier", 2] },
      main: [
        barrierAbort("barrier"),
        state("barrier"),
        barrierReset("barrier"),
        state("barrier"),
        spawn("a", come),
        barrier("barrier"),
        await_(ref("a")),
      ],
    },
    seesInOrder: [
      ["main", "state", shownAs("Barrier", "broken")],
      ["main", "state", shownAs("Barrier", "filling, waiters:0/2")],
      ["a", "barrier", 1],
      ["main", "barrier", 0],
    ],
  },
  {
    id: "test_abort_barrier_when_tasks_half_draining_half_blocking",
    about: "Barrier.abort() while a round leaves also ends the waits for the next round",
    script: {
      objects: { barrier: ["Barrier", 2] },
      main: [
        spawn("a", come),
        turns(1),
        spawn("late", come),
        barrier("barrier"),
        barrierAbort("barrier"),
        turns(5),
        state("barrier"),
      ],
    },
    seesInOrder: [
      ["late", "barrier", broken],
      ["main", "state", shownAs("Barrier", "broken")],
    ],
  },
  {
    id: "test_abort_barrier_when_exception",
    about: "Barrier.abort() by a task that has failed ends the waits of tasks that would wait for it forever",
    script: {
      objects: { barrier: ["Barrier", 3] },
      main: [
        ...spawnAll("ab", [attempt(with_("barrier", [log("never")]))]),
        spawn("failing", [try_([raise("failed")], { on: "error", do: [barrierAbort("barrier")] })]),
        await_(ref("a")),
        await_(ref("b")),
        state("barrier"),
      ],
    },
    seesInOrder: [
      ["failing", "barrierAbort", null],
      ["a", "with", broken],
      ["b", "with", broken],
      ["main", "state", shownAs("Barrier", "broken")],
    ],
  },
  {
    id: "test_abort_barrier_when_exception_then_resetting",
    about: "Barrier.reset() after abort() lets the same tasks meet there again once all their waits have ended",
    script: {
      objects: { barrier: ["Barrier", 3], meeting: ["Barrier", 3] },
      main: [
        ...spawnAll("ab", [attempt(...come), barrier("meeting"), barrier("meeting"), ...come]),
        turns(2),
        barrierAbort("barrier"),
        barrier("meeting"),
        barrierReset("barrier"),
        barrier("meeting"),
        ...come,
        turns(3),
        state("a"),
        state("b"),
      ],
    },
    seesInOrder: [
      ["main", "barrierAbort", null],
      ["a", "caught", broken],
      ["b", "caught", broken],
      ["main", "barrierReset", null],
      ["main", "state", ["a", 0]],
      ["main", "state", ["b", 0]],
      ["end", "barrier", shownAs("Barrier", "filling, waiters:0/3")],
    ],
  },
  {
    id: "a barrier that stays broken",
    about: "Barrier.wait() after abort() throws until reset()",
    script: {
      objects: { barrier: ["Barrier", 2] },
      main: [
        spawn("a", [attempt(...come), attempt(...come), turns(3), ...come]),
        turns(1),
        barrierAbort("barrier"),
        turns(1),
        barrierReset("barrier"),
        ...come,
        await_(ref("a")),
      ],
    },
    seesInOrder: [
      ["a", "caught", raised("BrokenBarrierError", "Abort or reset of barrier")],
      ["a", "caught", raised("BrokenBarrierError", "Barrier aborted")],
      ["main", "barrierReset", null],
      ["main", "await", "a"],
    ],
  },
  {
    id: "wait() with a timeout",
    about: "Barrier.wait() within a timeout that expires is not counted, and the barrier is not broken",
    script: {
      objects: { barrier: ["Barrier", 2] },
      main: [attempt(timeout("t", 2, come)), state("barrier"), spawn("a", come), barrier("barrier"), await_(ref("a"))],
    },
    seesInOrder: [
      ["main", "timeout", raised("TimeoutError")],
      ["main", "state", shownAs("Barrier", "filling, waiters:0/2")],
      ["a", "barrier", 1],
      ["main", "barrier", 0],
    ],
  },
];
