// What can be trained on in the page: tasks of the package with settings that suit a page, and what there is to watch.
import { functionNames, piecewiseLinear } from "../tasks/piecewise.ts";
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
  /** Options that one looks for first. */
  readonly first?: readonly string[];
  /** Options for which a page has only some values. */
  readonly choices?: Readonly<Record<string, readonly string[]>>;
}

/** Experts of a router with several choices are as much narrower, so that routers side by side cost the same. */
const equalCost: Settings = { "model.equalCost": true };

/** Functions of two variables, which can be drawn as a plane. */
const planes: readonly string[] = functionNames.filter((name) => piecewiseLinear[name].variables === 2);

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
  {
    name: "plane",
    label: "Plane: divide a square",
    plugin: findTask("regression"),
    settings: {
      "task.function": planes[0],
      "task.points": 400,
      "model.width": 3,
      "model.experts": 4,
      "train.length": 400,
      "train.steps": 1500,
    },
    scene: "plane",
    bestKnown: true,
    first: ["function"],
    choices: { function: planes },
  },
  {
    name: "language",
    label: "Language: the next word",
    plugin: findTask("language"),
    settings: { "task.corpus": "brown-sample", ...equalCost },
    scene: "sentence",
    bestKnown: false,
    choices: { corpus: ["brown-sample"], unit: ["words"] },
  },
];

/** @throws {RangeError} when there is none of that name. */
export function findPageTask(name: string): PageTask {
  const found = pageTasks.find((task) => task.name === name);
  if (found) return found;
  const names = pageTasks.map((task) => `"${task.name}"`).join(", ");
  throw new RangeError(`Cannot find task "${name}" in the playground: there are ${names}`);
}
