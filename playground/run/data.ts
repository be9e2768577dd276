// A task's data in a page.
import { findTask, parseTaskOptions } from "../../tasks/registry.ts";
import type { TaskData } from "../../tasks/task.ts";
import type { Chosen } from "../../training/run_schema.ts";

/** Loads the task of a config. */
export async function loadData({ name, ...options }: Chosen): Promise<TaskData> {
  const plugin = findTask(name);
  return await plugin.load(parseTaskOptions(plugin, options));
}
