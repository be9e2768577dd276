// What can be trained on in the page: tasks of the package with settings that suit a page, and what there is to watch.
import { findTask } from "../tasks/registry.ts";
import type { AnyTaskPlugin } from "../tasks/registry.ts";
import type { Settings } from "../training/config.ts";

/** What is drawn of a router's choices: a table of topics and experts, a sentence, or a plane. */
export type SceneKind = "topics" | "sentence" | "plane";

/** A task of the page. */
export interface PageTask {
  readonly name: string;
  /** What the list calls it. */
  readonly label: string;
  readonly plugin: AnyTaskPlugin;
  /** Settings by path, over those of the task's size. */
  readonly settings: Settings;
  readonly scene: SceneKind;
  /** Whether the best routing is known, and its control takes seconds to train. */
  readonly bestKnown: boolean;
}

/** Experts of a router with several choices are as much narrower, so that routers side by side cost the same. */
const equalCost: Settings = { "model.equalCost": true };

/** Every task of the page, in the order of the list. */
export const pageTasks: readonly PageTask[] = [
  {
    name: "regimes",
    label: "Regimes: find the topic",
    plugin: findTask("regimes"),
    settings: equalCost,
    scene: "topics",
    bestKnown: true,
  },
  {
    name: "recall",
    label: "Recall: store facts",
    plugin: findTask("recall"),
    settings: equalCost,
    scene: "topics",
    bestKnown: true,
  },
];

/** @throws {RangeError} when there is none of that name. */
export function findPageTask(name: string): PageTask {
  const found = pageTasks.find((task) => task.name === name);
  if (found) return found;
  const names = pageTasks.map((task) => `"${task.name}"`).join(", ");
  throw new RangeError(`Cannot find task "${name}" in the playground: there are ${names}`);
}
