// Runs an experiment: every variant with every seed, seeds outermost, so that whatever has finished can be compared.
import type { CpuBackend } from "../cpu/backend.ts";
import { cutModel } from "../models/language_model.ts";
import { parseOptions } from "../routers/registry.ts";
import type { Dataset } from "../training/dataset.ts";
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { openRunStore } from "../training/run_store.ts";
import type { TrainPlan } from "../training/plan.ts";
import { train } from "../training/train.ts";
import type { Command } from "./command.ts";
import { createProgress } from "./progress.ts";

/** Records and timings of an experiment's runs, in the order of its variants. */
export interface Finished {
  readonly runs: readonly RunRecord[];
  readonly timings: readonly TimingRecord[];
}

/** What runs share. */
export interface RunSetting {
  readonly command: Command;
  readonly dataset: Dataset;
  readonly backend: CpuBackend;
  readonly machine: string;
  readonly version: string;
  readonly terminal: boolean;
}

/**
 * Plans of all runs.
 * @throws {RangeError} for options out of range, variants of unequal cost, or a model that does not fit into memory.
 */
export function planRuns(command: Command, vocabulary: number): TrainPlan[] {
  const variants = command.experiment.variants(command);
  const plans = Array.from(
    { length: command.seeds },
    (_, seed) =>
      variants.map(({ label, router, options }): TrainPlan => ({
        run: `${fileName(label)}-seed${seed}`,
        label,
        router,
        routerOptions: parseOptions(router, options),
        seed,
        steps: command.steps,
        size: command.size,
        sizeName: command.sizeName,
      })),
  ).flat();
  const costs = new Map(
    plans.map((plan) => [plan.label, cutModel({ ...plan, V: vocabulary }).activeFlopPerToken]),
  );
  if (new Set(costs.values()).size > 1) {
    const list = [...costs].map(([label, flop]) => `${label} ${flop}`).join(", ");
    throw new RangeError(`Cannot compare variants of unequal active FLOPs per token: ${list}`);
  }
  return plans;
}

function fileName(label: string): string {
  return label.replaceAll(/[^a-z0-9.]+/gi, "-");
}

/** Trains what is not finished yet. @throws {RangeError} when runs of one seed did not start from equal weights. */
export async function runAll(
  plans: readonly TrainPlan[],
  folder: string,
  setting: RunSetting,
): Promise<Finished> {
  const { command, dataset, backend } = setting;
  const progress = createProgress(plans.length, plans.length * command.steps, setting.terminal);
  const tokens = command.size.batch * command.size.length;
  const runs: RunRecord[] = [];
  const timings: TimingRecord[] = [];
  try {
    for (const [at, plan] of plans.entries()) {
      const store = openRunStore(folder, plan.run);
      const before = command.resume ? await store.finished() : null;
      const found = before ?? await train(plan, {
        backend,
        dataset,
        store,
        resume: command.resume,
        machine: { threads: backend.threads, machine: setting.machine },
        version: setting.version,
        onStart: (step) => progress.skip(step),
        onStep: ({ step, loss }, { seconds }) =>
          progress.step({
            at: at + 1,
            run: plan.run,
            step: step + 1,
            steps: plan.steps,
            loss,
            tokens,
            seconds,
          }),
      });
      if (before) progress.skip(command.steps);
      runs.push(found.record);
      timings.push(found.timing);
    }
  } finally {
    progress.stop();
  }
  checkEqualStarts(runs);
  return { runs, timings };
}

function checkEqualStarts(runs: readonly RunRecord[]): void {
  const bySeed = new Map<number, string>();
  for (const { header } of runs) {
    const first = bySeed.get(header.seed) ?? header.initialWeights;
    bySeed.set(header.seed, first);
    if (first !== header.initialWeights) {
      throw new RangeError(
        `Cannot compare runs of seed ${header.seed}: ${header.run} started from other weights`,
      );
    }
  }
}
