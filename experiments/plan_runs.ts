// From a command to its runs: every task, arm, variant and seed, with the controls that a comparison carries. Seeds are
// outermost, so that whatever has finished can be compared.
import { activeFlop, flopOf, weightsOf } from "../models/cost.ts";
import { type ControlName, controls } from "../models/controls.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import type { TaskData } from "../tasks/task.ts";
import { configOf, parseConfig, type RunConfig, withSetting } from "../training/config.ts";
import { specOf } from "../training/spec_of.ts";
import type { Arm } from "./arms.ts";
import type { Command } from "./command.ts";
import type { ExperimentTask, Variant } from "./experiment.ts";
import type { RunPlan } from "./run_plan.ts";

/** Runs of a command, and the data they need. */
export interface PlannedRuns {
  readonly plans: readonly RunPlan[];
  readonly data: ReadonlyMap<string, TaskData>;
}

/**
 * Checks and plans all runs, loading each task once.
 * @throws {RangeError} for options out of range, variants of unequal cost, or a name that takes no part.
 */
export async function planRuns(command: Command): Promise<PlannedRuns> {
  const data = new Map<string, TaskData>();
  const plans: RunPlan[] = [];
  for (const task of command.tasks) {
    for (const arm of command.arms) plans.push(...await plansOf(command, task, arm, data));
  }
  checkAllCompared(command, plans);
  checkBaseline(command, plans);
  const files = plans.map(({ names }) => names.run);
  const twice = files.find((file, at) => files.indexOf(file) !== at);
  if (twice !== undefined) throw new RangeError(`Cannot plan run ${twice}: two variants have that name`);
  const seeds = [...new Set(plans.map(({ config }) => config.seed))];
  return { plans: seeds.flatMap((seed) => plans.filter(({ config }) => config.seed === seed)), data };
}

async function plansOf(
  command: Command,
  task: ExperimentTask,
  arm: Arm,
  loaded: Map<string, TaskData>,
): Promise<RunPlan[]> {
  const base = configOf(task.settings, arm.settings);
  const dataKey = JSON.stringify(base.task);
  const plugin = findTask(base.task.name);
  const { name: _, ...options } = base.task;
  const data = loaded.get(dataKey) ?? await plugin.load(parseTaskOptions(plugin, options));
  loaded.set(dataKey, data);
  const variants = command.experiment.variants({ ...command, settings: arm.routers });
  const studied = variants.map((variant) => [variant.label, variantConfig(base, variant)] as const);
  checkEqualCost(studied, data);
  const held = command.controls
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

function namesFor(
  { command, task, arm, label, seed }: {
    command: Command;
    task: ExperimentTask;
    arm: Arm;
    label: string;
    seed: number;
  },
): RunPlan["names"] {
  const full = arm.label === "" ? label : `${label} ${arm.label}`;
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
function checkAllCompared({ experiment, arms, plugins }: Command, plans: readonly RunPlan[]): void {
  const compared = new Set(
    plans.filter(({ config }) => !config.control).map(({ config }) => config.router.name),
  );
  const unused = [...arms.flatMap(({ routers }) => Object.keys(routers)), ...plugins.map(({ name }) => name)]
    .find((name) => !compared.has(name));
  if (unused === undefined) return;
  const names = [...compared].map((name) => `"${name}"`).join(", ");
  throw new RangeError(
    `Cannot use router "${unused}": ${experiment.name} compares ${names} here; name others with --routers`,
  );
}

function checkBaseline({ baseline }: Command, plans: readonly RunPlan[]): void {
  if (baseline === null) return;
  const labels = [...new Set(plans.filter(({ config }) => !config.control).map(({ names }) => names.label))];
  if (labels.includes(baseline)) return;
  throw new RangeError(
    `Cannot use --baseline ${baseline}: the variants are ${labels.map((label) => `"${label}"`).join(", ")}`,
  );
}
