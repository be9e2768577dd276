// Runs a bench's task, and compares what it computes from its own figures.
import { assert } from "@std/assert";
import { runTask, type Task } from "./task_command.ts";

/** Runs a task's own command with more words. */
export const run = (task: Task, ...words: string[]) => runTask(task, words);

/** Equal but for rounding. */
export function assertClose(got: number, want: number) {
  assert(Math.abs(got - want) <= 1e-6 * want, `${got} and should be ${want}`);
}
