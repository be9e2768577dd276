// Runs an experiment: trains what is planned, some runs side by side in workers where asked, and leaves out, with a
// sentence, a run that fails.
import type { TaskData } from "../tasks/task.ts";
import { prepareFolder, writeAtomic } from "../formats/files.ts";
import type { Machine, RunRecord, TimingRecord } from "../training/record.ts";
import { checkKept } from "../training/model_keeper.ts";
import { checkSameRun, plannedHeader } from "../training/run_rows.ts";
import type { RunStore } from "../training/run_store.ts";
import type { KeptStep } from "../training/saved_model.ts";
import { train } from "../training/train.ts";
import type { Device } from "./device.ts";
import type { PlannedRuns } from "./plan_runs.ts";
import { type Folders, storeOf, tensorBoardFolder } from "./store_of.ts";
import type { RunPlan } from "../experiments/run_plan.ts";
import type { Progress } from "./progress.ts";
import { createWorkers, type Workers } from "./workers.ts";

/** A run that did not end, and why. */
export interface FailedRun {
  readonly plan: RunPlan;
  readonly reason: string;
}

/** Records and timings of an experiment's runs, in the order of its plans. */
export interface Finished {
  readonly runs: readonly RunRecord[];
  readonly timings: readonly TimingRecord[];
  readonly failed: readonly FailedRun[];
}

/** What runs share. */
export interface RunSetting extends Folders {
  readonly device: Device;
  readonly resume: boolean;
  /** Which step's model each run keeps, or null for none. */
  readonly keepModel: KeptStep | null;
  /** Runs side by side; above 1 each trains in a worker on a CPU of its own. */
  readonly jobs: number;
  /** Files given with `--plugin`, for workers to load. */
  readonly pluginPaths: readonly string[];
  readonly machine: Machine;
  readonly version: string;
  readonly progress: Progress;
  /** Told after each run of those that have ended so far. */
  readonly onEnd?: (soFar: Finished) => Promise<void>;
  /** Called once nothing can be refused any more, before the first run. */
  readonly onBegin?: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** A run, its data and its place on disk. */
interface Job {
  readonly plan: RunPlan;
  readonly data: TaskData;
  readonly store: RunStore;
}

/**
 * Trains what is not finished yet.
 * @throws {RangeError} when a run to resume was started otherwise; the signal's reason when it is aborted; {Error} when the
 * machine fails (a lost device, a full disk), with where to go on from.
 */
export async function runAll({ plans, data }: PlannedRuns, setting: RunSetting): Promise<Finished> {
  const { device, folder, jobs, progress, resume, version, keepModel } = setting;
  for (const { names } of plans) {
    const events = tensorBoardFolder(setting, names.run);
    if (events !== null) await prepareFolder(events, 0);
  }
  const all = plans.map((plan): Job => ({
    plan,
    data: data.get(plan.dataKey)!,
    store: storeOf(setting, plan.names.run),
  }));
  if (resume) {
    for (const { plan: { config, names }, data, store } of all) {
      // Reads all of a finished run, so that a damaged file is refused before anything is trained.
      const finished = await store.finished();
      const found = finished?.record.header ?? await store.header();
      if (found) {
        checkSameRun(found, await plannedHeader(config, { data, backend: device.backend, version, names }));
        if (finished && keepModel) await checkKept(store, keepModel, found);
      }
    }
  }
  await setting.onBegin?.();
  for (const { plan } of all) {
    await writeAtomic(`${folder}/${plan.names.run}.json`, JSON.stringify(plan.config, null, 2) + "\n");
  }
  const done = new Map<Job, { record: RunRecord; timing: TimingRecord }>();
  const failed: FailedRun[] = [];
  using workers = jobs > 1
    ? createWorkers(Math.min(jobs, all.length), { ...setting, blas: device.blas })
    : null;
  const waiting = [...all];
  const work = async (worker: number) => {
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      const found = await trainOne(job, all.indexOf(job) + 1, { ...setting, workers, worker });
      if ("reason" in found) failed.push({ plan: job.plan, reason: found.reason });
      else done.set(job, found);
      await setting.onEnd?.(finishedOf(all, done, failed));
    }
  };
  try {
    await Promise.all(Array.from({ length: workers ? workers.count : 1 }, (_, worker) => work(worker)));
  } finally {
    progress.stop();
  }
  const finished = finishedOf(all, done, failed);
  checkEqualStarts(finished.runs);
  return finished;
}

/** What has ended, in the order of the plans. */
function finishedOf(
  all: readonly Job[],
  done: ReadonlyMap<Job, { record: RunRecord; timing: TimingRecord }>,
  failed: readonly FailedRun[],
): Finished {
  const finished = all.flatMap((job) => done.get(job) ?? []);
  return {
    runs: finished.map(({ record }) => record),
    timings: finished.map(({ timing }) => timing),
    failed: [...failed],
  };
}

interface OneSetting extends RunSetting {
  readonly workers: Workers | null;
  readonly worker: number;
}

async function trainOne(
  { plan, data, store }: Job,
  at: number,
  setting: OneSetting,
): Promise<{ record: RunRecord; timing: TimingRecord } | { reason: string }> {
  const { config, names } = plan;
  const { progress, device, machine, resume, signal, version, workers, keepModel } = setting;
  const tokens = config.train.batch * config.train.length;
  const onStart = (step: number) => progress.skip(step);
  const onStep = (step: number, loss: number, seconds: number) =>
    progress.step({ at, run: names.run, step: step + 1, steps: config.train.steps, loss, tokens, seconds });
  try {
    signal.throwIfAborted();
    if (workers) return await workers.train(setting.worker, plan, { onStart, onStep });
    using trained = await train(config, {
      backend: device.backend,
      data,
      store,
      resume,
      ...(keepModel ? { keepModel } : {}),
      machine,
      version,
      names,
      signal,
      onStart,
      onStep: ({ step, loss }, { seconds }) => onStep(step, loss, seconds),
    });
    return { record: trained.record, timing: trained.timing };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    // A run that diverges or breaks its contract is that run's fault; the others go on.
    if (error instanceof RangeError || error instanceof TypeError) return { reason: error.message };
    throw await whereToGoOn(store, names.run, error);
  }
}

/** Adds to a failure of the machine (a lost device, say) where the run can go on from. */
async function whereToGoOn(store: RunStore, run: string, error: unknown): Promise<unknown> {
  if (!(error instanceof Error)) return error;
  const saved = await store.saved();
  const where = saved
    ? `with --resume from ${store.checkpointPath}, saved after step ${saved.record.steps.length}`
    : "from its start with --resume: nothing of it was saved";
  return new Error(`${error.message}; ${run} goes on ${where}`, { cause: error });
}

/** Runs of one task, setting and seed must start from equal weights outside their routers; controls have other experts. */
function checkEqualStarts(runs: readonly RunRecord[]): void {
  const byStart = new Map<string, string>();
  for (const { header } of runs) {
    if (header.control) continue;
    const key = JSON.stringify([
      header.task,
      header.setting,
      header.seed,
      header.model,
      header.config?.experts,
      // Second matrices start at the scale of all that a token passes through.
      header.config?.model.equalCost ? null : header.experts.K,
    ]);
    const first = byStart.get(key) ?? header.initialWeights;
    byStart.set(key, first);
    if (first !== header.initialWeights) {
      throw new RangeError(
        `Cannot compare runs of seed ${header.seed}: ${header.run} started from other weights`,
      );
    }
  }
}
