// From a command to its runs: every task, arm, variant and seed, with the controls that a comparison carries. Seeds are
// outermost, so that whatever has finished can be compared.
import { activeFlop, flopOf, weightsOf } from "../models/cost.ts";
import { type ControlName, controls } from "../models/controls.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import type { TaskData } from "../tasks/task.ts";
import { configOf, parseConfig, type RunConfig, withSetting } from "../training/config.ts";
import { evaluationPlan } from "../training/evaluate.ts";
import { specOf } from "../training/spec_of.ts";
import type { Arm } from "../experiments/arms.ts";
import type { Command } from "./command.ts";
import type { ExperimentTask, Variant } from "../experiments/experiment.ts";
import type { RunPlan } from "../experiments/run_plan.ts";

/** Runs of a command, and the data they need. */
export interface PlannedRuns {
  readonly plans: readonly RunPlan[];
  readonly data: ReadonlyMap<string, TaskData>;
}

/** What is compared on one task under one arm, before the task is loaded. */
export interface Outline {
  readonly task: ExperimentTask;
  readonly arm: Arm;
  readonly base: RunConfig;
  /** Configs of the variants by label. */
  readonly studied: readonly (readonly [label: string, config: RunConfig])[];
}

/**
 * Checks all that can be checked before a task is loaded.
 * @throws {RangeError} for settings out of range, two variants of one name, or a name that takes no part.
 */
export function outlineRuns(command: Command): Outline[] {
  const { tasks, arms, experiment, control } = command;
  const outlines = tasks.flatMap((task) =>
    arms.map((arm): Outline => {
      const base = configOf(task.settings, arm.settings);
      const variants = control === null ? experiment.variants({ ...command, settings: arm.routers }) : [];
      return { task, arm, base, studied: variants.map((each) => [each.label, variantConfig(base, each)]) };
    })
  );
  checkAllCompared(command, outlines);
  checkBaseline(command, outlines);
  const files = outlines.flatMap((each) =>
    each.studied.map(([label]) => namesFor({ ...each, command, label, seed: command.firstSeed }).run)
  );
  const twice = files.find((file, at) => files.indexOf(file) !== at);
  if (twice !== undefined) throw new RangeError(`Cannot plan run ${twice}: two variants have that name`);
  return outlines;
}

/**
 * Plans all runs, loading each task once.
 * @throws {RangeError} when a task cannot be loaded, or variants are of unequal cost.
 */
export async function planRuns(command: Command, outlines: readonly Outline[]): Promise<PlannedRuns> {
  const data = new Map<string, TaskData>();
  const plans: RunPlan[] = [];
  for (const outline of outlines) plans.push(...await plansOf(command, outline, data));
  const seeds = [...new Set(plans.map(({ config }) => config.seed))];
  return { plans: seeds.flatMap((seed) => plans.filter(({ config }) => config.seed === seed)), data };
}

async function plansOf(
  command: Command,
  { task, arm, base, studied }: Outline,
  loaded: Map<string, TaskData>,
): Promise<RunPlan[]> {
  const dataKey = JSON.stringify(base.task);
  const plugin = findTask(base.task.name);
  const { name: _, ...options } = base.task;
  const data = loaded.get(dataKey) ?? await plugin.load(parseTaskOptions(plugin, options));
  loaded.set(dataKey, data);
  checkEqualCost(studied, data);
  // Refuses what is too short for its windows, before any run does.
  evaluationPlan(base, data);
  const held = command.control !== null
    ? [[command.control, { ...base, control: command.control }] as const]
    : command.controls
    ? controlsOf(base, data).map((control) => [control, { ...base, control }] as const)
    : [];
  const seeds = Array.from({ length: command.seeds }, (_, at) => command.firstSeed + at);
  return [...studied, ...held].flatMap(([label, config]) =>
    seeds.map((seed) => ({
      config: { ...config, seed },
      names: namesFor({ command, task, arm, label, seed }),
      dataKey,
    }))
  );
}

/** Controls that say something about the runs of a config (docs/decisions/controls.md). */
function controlsOf(base: RunConfig, data: TaskData): ControlName[] {
  const weights = (control: ControlName) => weightsOf(specOf({ ...base, control }, data)).total;
  return controls.filter((control) => {
    if (control === "best known routing") return data.bestRouting !== null;
    // Regression without experts has nothing left to train.
    if (control === "no experts") return weights(control) > 0;
    if (control !== "dense, equal parameters") return true;
    // Where width adds no parameters (linear experts), it would be "dense, equal FLOPs" once more.
    return weights(control) > weights("dense, equal FLOPs") || weights(control) === weights("random routing");
  });
}

function variantConfig(base: RunConfig, { settings }: Variant): RunConfig {
  let json: Record<string, unknown> = { ...base };
  for (const [path, value] of Object.entries(settings)) json = withSetting(json, path, value);
  return parseConfig(json);
}

function labelOf(label: string, { label: arm }: Arm): string {
  return arm === "" ? label : `${label} ${arm}`;
}

function namesFor(
  { command, task, arm, label, seed }: {
    command: Command;
    task: ExperimentTask;
    arm: Arm;
    label: string;
    seed: number;
  },
): RunPlan["names"] {
  const full = labelOf(label, arm);
  const prefix = command.tasks.length > 1 ? `${task.label}-` : "";
  return {
    run: `${`${prefix}${full}`.replaceAll(/[^a-z0-9.=]+/gi, "-")}-seed${seed}`,
    label: full,
    setting: arm.label,
    size: command.size,
    task: task.label,
  };
}

/** What is declared must be equal where an experiment asks for equal cost; what is measured stands in the report. */
function checkEqualCost(variants: readonly (readonly [string, RunConfig])[], data: TaskData): void {
  const costs = new Map(
    variants.filter(([, { model }]) => model.equalCost)
      .map(([label, config]) => [label, activeFlop(flopOf(specOf(config, data)))]),
  );
  for (const [, config] of variants) specOf(config, data);
  if (new Set(costs.values()).size > 1) {
    const list = [...costs].map(([label, flop]) => `${label} ${flop}`).join(", ");
    throw new RangeError(`Cannot compare variants of unequal active FLOPs per token: ${list}`);
  }
}

/** What a user set or brought must take part, or a typing mistake would pass for a result. */
function checkAllCompared({ experiment, arms, brought }: Command, outlines: readonly Outline[]): void {
  const configs = outlines.flatMap(({ studied }) => studied.map(([, config]) => config));
  const namesOf = (plugins: readonly { readonly name: string }[]) => plugins.map(({ name }) => name);
  const layers = configs.flatMap(({ model }) => model.perLayer);
  const kinds = [
    {
      word: "router",
      given: [...arms.flatMap(({ routers }) => Object.keys(routers)), ...namesOf(brought.routers)],
      used: [
        ...configs.map(({ router }) => router.name),
        ...layers.flatMap(({ router }) => router?.name ?? []),
      ],
      how: "name others with --routers",
    },
    {
      word: "experts",
      given: namesOf(brought.experts),
      used: [
        ...configs.map(({ experts }) => experts.name),
        ...layers.flatMap(({ expertKind }) => expertKind?.name ?? []),
      ],
      how: "name another kind with --experts",
    },
    {
      word: "task",
      given: namesOf(brought.tasks),
      used: outlines.map(({ base }) => base.task.name),
      how: "name others with --task",
    },
  ];
  for (const { word, given, used, how } of kinds) {
    const unused = given.find((name) => !used.includes(name));
    if (unused === undefined) continue;
    const names = [...new Set(used)].map((name) => `"${name}"`).join(", ") || `no ${word}`;
    throw new RangeError(
      `Cannot use ${word} "${unused}": ${experiment.name} ${
        word === "router" ? "compares" : "uses"
      } ${names} here; ${how}`,
    );
  }
}

function checkBaseline({ baseline }: Command, outlines: readonly Outline[]): void {
  if (baseline === null) return;
  const labels = [
    ...new Set(outlines.flatMap(({ arm, studied }) => studied.map(([label]) => labelOf(label, arm)))),
  ];
  if (labels.includes(baseline)) return;
  throw new RangeError(
    `Cannot use --baseline ${baseline}: the variants are ${labels.map((label) => `"${label}"`).join(", ")}`,
  );
}
