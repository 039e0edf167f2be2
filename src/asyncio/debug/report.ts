/** A readable report of all tasks: where each of them is, and what it waits for. */
import { functionName } from "../../repr.ts";
import type { Task } from "../tasks.ts";
import { frameText } from "./frames.ts";
import { framesOf } from "./task-stack.ts";
import { waitsOf } from "./task-text.ts";

/** Returns each task's name, function, waits and stack, and in debug mode the place where it was created. */
export async function tasksReport(tasks: Iterable<Task<unknown>>): Promise<string> {
  return (await Promise.all([...tasks].map(taskReport))).join("\n");
}

async function taskReport(task: Task<unknown>): Promise<string> {
  const waits = waitsOf(task);
  const head = `  ${task.getName()}, ${functionName(task._function)}()${waits.length > 0 ? `, waits for ${waits.join(", ")}` : ""}`;
  const above = [...task._awaitedBy()].map((each) => (each as Task<unknown>).getName());
  const lines = [head, ...(await framesOf(task)).map((frame) => `    ${frameText(frame)}`)];
  if (above.length > 0) {
    lines.push(`    awaited by: ${above.join(", ")}`);
  }
  if (task._stack !== undefined && task._stack !== "") {
    lines.push("    made here:", task._stack);
  }
  return lines.join("\n");
}
