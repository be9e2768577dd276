// Runs an experiment: every variant with every seed, seeds outermost, so that whatever has finished can be compared.
import { cutModel } from "../models/language_model.ts";
import { parseOptions } from "../routers/registry.ts";
import type { Dataset } from "../data/dataset.ts";
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { checkSameRun, plannedHeader } from "../training/run_rows.ts";
import { openRunStore, type RunStore } from "../training/run_store.ts";
import type { TrainPlan } from "../training/plan.ts";
import { train } from "../training/train.ts";
import type { Command } from "./command.ts";
import type { Device } from "./device.ts";
import type { Variant } from "./experiment.ts";
import type { Progress } from "./progress.ts";

/** Records and timings of an experiment's runs, in the order of its variants. */
export interface Finished {
  readonly runs: readonly RunRecord[];
  readonly timings: readonly TimingRecord[];
}

/** What runs share. */
export interface RunSetting {
  readonly command: Command;
  readonly dataset: Dataset;
  readonly device: Device;
  readonly machine: string;
  readonly version: string;
  readonly progress: Progress;
}

/**
 * Plans of all runs.
 * @throws {RangeError} for options out of range, variants of unequal cost, or a model that does not fit into memory.
 */
export function planRuns(command: Command, vocabulary: number): TrainPlan[] {
  const variants = command.experiment.variants(command);
  checkAllCompared(command, variants);
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
        precision: command.precision,
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

/** What a user set or brought must take part, or a typing mistake would pass for a result. */
function checkAllCompared({ experiment, settings, plugins }: Command, variants: readonly Variant[]): void {
  const compared = new Set(variants.map(({ router }) => router.name));
  const unused = [...Object.keys(settings), ...plugins.map(({ name }) => name)].find((name) =>
    !compared.has(name)
  );
  if (unused === undefined) return;
  const names = [...compared].map((name) => `"${name}"`).join(", ");
  throw new RangeError(
    `Cannot use router "${unused}": ${experiment.name} compares ${names} here; name others with --routers`,
  );
}

function fileName(label: string): string {
  return label.replaceAll(/[^a-z0-9.]+/gi, "-");
}

/**
 * Trains what is not finished yet.
 * @throws {RangeError} when a run to resume was started otherwise, or runs of one seed did not start from equal weights.
 */
export async function runAll(
  plans: readonly TrainPlan[],
  folder: string,
  setting: RunSetting,
): Promise<Finished> {
  const { command, dataset, device, version, progress } = setting;
  const { backend, threads } = device;
  const stores = plans.map((plan) => openRunStore(folder, plan.run));
  if (command.resume) {
    for (const [at, store] of stores.entries()) {
      const found = await store.header();
      if (found) checkSameRun(found, plannedHeader(plans[at], { dataset, backend, version }));
    }
  }
  const tokens = command.size.batch * command.size.length;
  const runs: RunRecord[] = [];
  const timings: TimingRecord[] = [];
  try {
    for (const [at, plan] of plans.entries()) {
      const running = train(plan, {
        backend,
        dataset,
        store: stores[at],
        resume: command.resume,
        machine: { threads, machine: setting.machine },
        version,
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
      const { record, timing } = await going(stores[at], plan, running);
      runs.push(record);
      timings.push(timing);
    }
  } finally {
    progress.stop();
  }
  checkEqualStarts(runs);
  return { runs, timings };
}

/** Adds to a failure of the machine (a lost device, say) where the run can go on from. */
async function going<Result>(store: RunStore, { run }: TrainPlan, running: Promise<Result>): Promise<Result> {
  try {
    return await running;
  } catch (error) {
    // Values out of range are the command's fault; going on would fail the same way.
    if (!(error instanceof Error) || error instanceof RangeError) throw error;
    const saved = await store.saved();
    const where = saved
      ? `with --resume from ${store.checkpointPath}, saved after step ${saved.record.steps.length}`
      : "from its start with --resume: nothing of it was saved";
    throw new Error(`${error.message}; ${run} goes on ${where}`, { cause: error });
  }
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
