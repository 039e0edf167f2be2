/** What the text of a task shows: its name, its function, and what it waits for. */
import { functionName, repr } from "../../repr.ts";
import { isRunning } from "../current-task.ts";
import type { Task } from "../tasks.ts";

/** The parts of a task's text that other Futures do not have. */
export function taskDetails(task: Task<unknown>): string[] {
  const waitedFor = nestedText(() => waitsOf(task)[0]);
  const wait = waitedFor === undefined ? [] : [`wait_for=${waitedFor}`];
  return [`name=${repr(task.getName())}`, `coro=<${functionName(task._function)}()>`, ...wait];
}

/** The descriptions of the task's waits; none if it waits only for its turn. */
export function waitsOf(task: Task<unknown>): string[] {
  const waits = task._waits();
  if (waits.length === 0 && !task.done() && !isRunning(task)) {
    return ["<a promise that is not the library's>"];
  }
  return waits.map((wait) => wait.waitedFor()).filter((text) => text !== null);
}

/** How many tasks that wait for each other are shown in the text of the first. */
const SHOWN_TASKS = 3;
let shownTasks = 0;

/** The text, or `...` if it is nested in the texts of too many others. */
function nestedText(text: () => string | undefined): string | undefined {
  if (shownTasks === SHOWN_TASKS) {
    return "...";
  }
  shownTasks += 1;
  try {
    return text();
  } finally {
    shownTasks -= 1;
  }
}
