/** Text for people: which tasks there are, and what each of them waits for. */
import type { Task } from "../tasks.ts";

/** Each task with its name, its function and its waits; in debug mode also where it was made. */
export function tasksReport(tasks: Iterable<Task<unknown>>): string {
  return [...tasks].map(taskReport).join("\n");
}

function taskReport(task: Task<unknown>): string {
  const lines = [`  ${task.getName()}, ${task._functionName()}(), waits for ${task._waitsFor().join(", ")}`];
  if (task._stack !== undefined && task._stack !== "") {
    lines.push("    made here:", task._stack);
  }
  return lines.join("\n");
}
