/** `ps`, `pstree` and `where`: the tasks of another process. */
import type { FrameCallGraphEntry } from "../asyncio/index.ts";
import { CommandError } from "./errors.ts";
import { evaluateIn } from "./inspector.ts";

/** The description of a task in the other process, as in the first version of the slot. */
export interface TaskDescription {
  /** The number of the worker thread that the task is in; 0 in the main thread. */
  readonly thread: number;
  /** Of a task in a worker thread: begins with the thread's number and a colon. */
  readonly id: string;
  readonly name: string;
  readonly function: string;
  readonly waitsFor: readonly string[];
  readonly callStack: readonly FrameCallGraphEntry[];
  readonly awaitedBy: readonly string[];
  readonly madeAt: string | null;
}

/** What runs in the other process. To describe a task takes it some ten microseconds. */
const QUESTION = {
  expression: `(async () => {
    const registry = globalThis[Symbol.for("contextvars.asyncio.1")];
    if (registry === undefined) {
      return "null";
    }
    const tasks = await Promise.all(registry.copies.map((copy) => copy.describeTasks()));
    return JSON.stringify(tasks.flat());
  })()`,
  extraSeconds: `String((globalThis[Symbol.for("contextvars.asyncio.1")]?.copies ?? [])
    .reduce((seconds, copy) => seconds + copy.allTasks().size / 1000, 0))`,
};

/** @throws {CommandError} If the process cannot be asked, or does not use the library. */
export async function tasksOf(pid: number, port?: number): Promise<TaskDescription[]> {
  const answers = await evaluateIn(pid, QUESTION, port);
  for (const { thread } of answers.filter(({ value }) => value === null)) {
    process.stderr.write(`contextvars: worker thread ${thread} of process ${pid} is too busy to answer\n`);
  }
  const found = answers.flatMap(({ thread, value }) => {
    const tasks = JSON.parse(value ?? "null") as Omit<TaskDescription, "thread">[] | null;
    return tasks === null ? [] : [tasks.map((task) => inThread(thread, task))];
  });
  if (found.length === 0) {
    throw new CommandError(`process ${pid} does not use contextvars/asyncio`);
  }
  return found.flat();
}

/** Each thread has its own addresses, so the same ID may be that of another task in another thread. */
function inThread(thread: number, task: Omit<TaskDescription, "thread">): TaskDescription {
  const unique = (id: string): string => (thread === 0 ? id : `${thread}:${id}`);
  return { ...task, thread, id: unique(task.id), awaitedBy: task.awaitedBy.map(unique) };
}

const COLUMNS = [
  ["tid", 10],
  ["task id", 20],
  ["task name", 20],
  ["coroutine stack", 50],
  ["awaiter chain", 50],
  ["awaiter name", 15],
  ["awaiter id", 15],
] as const;

/**
 * The table of `python -m asyncio ps`, with two more columns: the place of the innermost function, and what the task
 * waits for.
 */
export function psTable(pid: number, found: readonly TaskDescription[]): string {
  const tasks = printable(found);
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const rows = tasks.flatMap((task) => {
    const awaiters = task.awaitedBy.length > 0 ? task.awaitedBy : [undefined];
    return awaiters.map((id) => {
      const awaiter = id === undefined ? undefined : byId.get(id);
      return [
        task.thread === 0 ? String(pid) : `${pid}:${task.thread}`,
        task.id,
        task.name,
        stackText(task),
        awaiter === undefined ? "" : stackText(awaiter),
        awaiter?.name ?? "",
        id ?? "0x0",
        placeText(task),
        task.waitsFor.join(", "),
      ];
    });
  });
  const head = [...COLUMNS.map(([title]) => title), "where", "waits for"];
  const lines = [head, ...rows].map((cells) =>
    cells
      .map((cell, i) => cell.padEnd(COLUMNS[i]?.[1] ?? (i === COLUMNS.length ? 30 : 0)))
      .join(" ")
      .trimEnd(),
  );
  lines.splice(1, 0, "-".repeat(180));
  return lines.join("\n");
}

function stackText({ callStack, function: name }: TaskDescription): string {
  return callStack.length === 0 ? name : callStack.map(({ functionName }) => functionName).join(" -> ");
}

/** The file and line of the innermost function. */
function placeText({ callStack: [frame] }: TaskDescription): string {
  return frame === undefined ? "" : `${frame.fileName.replace(/^.*[\\/]/, "")}:${frame.lineNumber}`;
}

interface Node {
  readonly text: string;
  readonly below: Node[];
}

/**
 * The tree of `python -m asyncio pstree`: tasks, the functions they are in, and the tasks that they wait for.
 *
 * @throws {CommandError} If tasks wait for each other in a circle; the message names them.
 */
export function psTree(found: readonly TaskDescription[]): string {
  const tasks = printable(found);
  const below = new Map<string, TaskDescription[]>(tasks.map((task) => [task.id, []]));
  for (const task of tasks) {
    for (const id of task.awaitedBy) {
      below.get(id)?.push(task);
    }
  }
  checkCycles(tasks, below);
  const roots = tasks.filter((task) => !task.awaitedBy.some((id) => below.has(id)));
  const search = { below, room: MOST_TASKS };
  const lines = roots.flatMap((task) => treeLines([taskNode(task, search, 0)], ""));
  return [
    ...lines,
    ...(search.room < 0 ? [`the tree leaves tasks out after the first ${MOST_TASKS}; ps lists each task once`] : []),
  ].join("\n");
}

/** The tree shows a task below each task that waits for it, so layers that wait for the same tasks multiply its lines. */
const MOST_TASKS = 100_000;

/** How many lines of the tree may lie below one another. */
const DEEPEST = 300;

interface Search {
  readonly below: ReadonlyMap<string, TaskDescription[]>;
  /** How many more tasks there may be; below zero if one was left out. */
  room: number;
}

function taskNode({ id, name, callStack }: TaskDescription, search: Search, depth: number): Node {
  if (depth > DEEPEST) {
    return { text: `(T) ${name}: and more`, below: [] };
  }
  let inner = (search.below.get(id) ?? []).flatMap((each) => {
    search.room -= 1;
    return search.room < 0 ? [] : [taskNode(each, search, depth + callStack.length + 1)];
  });
  for (const { functionName, fileName, lineNumber } of callStack) {
    inner = [{ text: ` ${functionName} ${fileName}:${lineNumber}`, below: inner }];
  }
  return { text: `(T) ${name}`, below: inner };
}

function treeLines(nodes: readonly Node[], indent: string): string[] {
  return nodes.flatMap((node, i) => {
    const isLast = i === nodes.length - 1;
    return [
      `${indent}${isLast ? "└── " : "├── "}${node.text}`,
      ...treeLines(node.below, `${indent}${isLast ? "    " : "│   "}`),
    ];
  });
}

/** Not recursive, because thousands of tasks may wait for each other in a row. */
function checkCycles(tasks: readonly TaskDescription[], below: ReadonlyMap<string, TaskDescription[]>): void {
  const finished = new Set<TaskDescription>();
  for (const start of tasks) {
    const path = [start];
    const left = [below.get(start.id)?.values()];
    while (path.length > 0) {
      const next = finished.has(path.at(-1) as TaskDescription) ? undefined : left.at(-1)?.next().value;
      if (next === undefined) {
        finished.add(path.pop() as TaskDescription);
        left.pop();
      } else if (path.includes(next)) {
        const names = [...path.slice(path.indexOf(next)), next].map(({ name }) => name);
        throw new CommandError(
          `the tasks wait for each other in a cycle, so there is no tree to print: ${names.join(" → ")}`,
        );
      } else {
        path.push(next);
        left.push(below.get(next.id)?.values());
      }
    }
  }
}

/** Returns the task with this name or ID. @throws {CommandError} If there is none, or more than one. */
export function taskNamed(wanted: string, tasks: readonly TaskDescription[]): TaskDescription {
  // A name may be given as it is printed.
  const text = escapedLine(wanted);
  const [task, another] = tasks.filter(({ name, id }) => escapedLine(name) === text || id === wanted);
  if (task === undefined) {
    throw new CommandError(`there is no task with the name or id ${wanted}; ps lists them`);
  }
  if (another !== undefined) {
    throw new CommandError(`several tasks have the name ${wanted}: give the id, such as ${task.id}`);
  }
  return task;
}

/** Returns where a task is, and what it waits for. */
export function whereText(found: TaskDescription, all: readonly TaskDescription[]): string {
  const task = printable(found);
  const awaiters = printable(all)
    .filter(({ id }) => task.awaitedBy.includes(id))
    .map(({ name, id }) => `${name} (${id})`);
  const lines = [
    `${task.name}, ${task.function}(), id ${task.id}`,
    `waits for: ${task.waitsFor.length > 0 ? task.waitsFor.join(", ") : "its turn"}`,
    ...(awaiters.length > 0 ? [`awaited by: ${awaiters.join(", ")}`] : []),
    ...(task.callStack.length > 0 ? ["stack (most recent call last):"] : []),
    ...task.callStack
      .toReversed()
      .map(({ fileName, lineNumber, functionName }) => `  File "${fileName}", line ${lineNumber}, in ${functionName}`),
    ...(task.madeAt === null ? [] : ["made here:", task.madeAt]),
  ];
  return lines.join("\n");
}

/** The same with control characters escaped: a name may hold anything, and a terminal would obey it. */
function printable<T>(described: T): T {
  return JSON.parse(JSON.stringify(described), (key, value: unknown) => {
    if (typeof value !== "string") {
      return value;
    }
    return key === "madeAt" ? value.split("\n").map(escapedLine).join("\n") : escapedLine(value);
  }) as T;
}

/** Also characters that change the direction of what follows. */
function escapedLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, escaped);
}

/** JSON of what was found, in which a terminal finds nothing to obey either. */
export function jsonText(found: unknown): string {
  return JSON.stringify(found, null, 2).split("\n").map(escapedLine).join("\n");
}

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) as number).toString(16).padStart(4, "0")}`;
}
