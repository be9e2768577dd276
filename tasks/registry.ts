// The tasks there are: those of this folder and those a program registers.
import { listPlugins } from "../tensor/plugins.ts";
import * as builtIn from "./mod.ts";
import type { TaskPlugin } from "./task.ts";

/** A task plugin, whatever its options are. */
// deno-lint-ignore no-explicit-any -- a list of plugins with different options has no better type
export type AnyTaskPlugin = TaskPlugin<any>;

const known = listPlugins<AnyTaskPlugin>({
  word: "task",
  one: "a task",
  example: "recall",
  parts: ["name", "about", "source", "options", "defaults", "sizes", "load"],
}, builtIn);

/**
 * Every task, by name: those of this package and those registered.
 * @example
 * ```ts
 * import { tasks } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(tasks().some(({ name }) => name === "recall"), true);
 * ```
 */
export function tasks(): readonly AnyTaskPlugin[] {
  return known.all();
}

/**
 * Adds a task of your own.
 * @throws {TypeError} when it lacks a part of a plugin; {RangeError} when another has its name, or the name is not in kebab-case.
 * @example
 * ```ts
 * import { findTask, recall, registerTask } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * registerTask({ ...recall, name: "my-recall" });
 * assertEquals(findTask("my-recall").name, "my-recall");
 * ```
 */
export function registerTask(plugin: AnyTaskPlugin): void {
  known.register(plugin);
}

/**
 * A task by name.
 * @throws {RangeError} when there is none of that name; the message lists the names there are.
 * @example
 * ```ts
 * import { findTask, recall } from "@switchyard/moe";
 * import { assertEquals, assertThrows } from "@std/assert";
 * assertEquals(findTask("recall"), recall);
 * assertThrows(() => findTask("recal"), RangeError, 'Cannot find task "recal": did you mean "recall"?');
 * ```
 */
export function findTask(name: string): AnyTaskPlugin {
  return known.find(name);
}

/**
 * A task's options with defaults filled in.
 * @throws {RangeError} naming the task, the option, the value and what is allowed.
 * @example
 * ```ts
 * import { parseTaskOptions, recall } from "@switchyard/moe";
 * import { assertEquals, assertThrows } from "@std/assert";
 * assertEquals(parseTaskOptions(recall, { objects: 8 }).facts, 2048);
 * assertThrows(() => parseTaskOptions(recall, { objects: 1 }), RangeError, "objects = 1");
 * ```
 */
export function parseTaskOptions<Options>(plugin: TaskPlugin<Options>, given: unknown = {}): Options {
  return known.parse(plugin, given);
}
