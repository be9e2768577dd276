// What planned runs come to: their steps, the room that their files take, and what tuning adds to them.
import { planTrials, type Tuning, withTuned } from "../experiments/tune.ts";
import { evaluationPlan } from "../training/evaluate.ts";
import { specOf } from "../training/spec_of.ts";
import { checkpointBytes } from "./memory_check.ts";
import type { PlannedRuns } from "./plan_runs.ts";

/** Steps of all runs together. */
export function stepsOf({ plans }: PlannedRuns): number {
  return plans.reduce((sum, { config }) => sum + config.train.steps, 0);
}

/** `24 runs of 3600 steps`. */
export function workOf(planned: PlannedRuns): string {
  return `${planned.plans.length} runs of ${stepsOf(planned)} steps`;
}

/** After tuning, every variant runs a second time with what was found. */
export function twiceStudied({ plans, data }: PlannedRuns): PlannedRuns {
  return { plans: [...plans, ...plans.filter(({ config }) => config.control === null)], data };
}

/** Trials, and runs that are judged after them, each have held-out batches of their own. */
export function checkTrials({ plans, data }: PlannedRuns, tuning: Tuning): void {
  for (const { of, plan, values } of planTrials(plans, tuning)) {
    if (Object.keys(values).length > 0) continue; // other trials seldom differ in the size of a batch
    const [judged] = withTuned([of], []);
    for (const { config, dataKey } of [plan, judged]) evaluationPlan(config, data.get(dataKey)!);
  }
}

/** Room for a checkpoint beside the one it replaces, about 4 KiB a row of records, the report, and models that stay. */
export function neededBytes({ plans, data }: PlannedRuns, keepsModels: boolean): number {
  const checkpoints = plans.map(({ config, dataKey }) => checkpointBytes(specOf(config, data.get(dataKey)!)));
  const records = plans.reduce(
    (sum, { config }) => sum + 4096 * config.train.steps / config.train.recordEvery,
    0,
  );
  // A model is a third of its checkpoint, which has two moments more.
  const models = keepsModels ? checkpoints.reduce((sum, bytes) => sum + bytes / 3, 0) : 0;
  return 2 * Math.max(...checkpoints) + records + models + 2 ** 20;
}
