// The whole training step, as training itself times it: forward, backward, update and what the record reads back.
import type { CpuBackend } from "../cpu/backend.ts";
import type { ModelSize } from "../models/presets.ts";
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import { loadBrown } from "../training/brown.ts";
import { type Dataset, prepare } from "../training/dataset.ts";
import { stages } from "../training/record.ts";
import { train } from "../training/train.ts";
import { spread } from "./rounds.ts";

/** Steps of a run that are not counted: caches fill, and the heap may still grow. */
const WARM_UP = 3;

/** Text of the default job, with validation cut to one batch: looking at it is no part of a step. */
export async function benchDataset(size: ModelSize): Promise<Dataset> {
  const dataset = prepare(await loadBrown(), { vocabulary: size.vocabulary });
  return { ...dataset, validation: dataset.validation.subarray(0, size.batch * size.length + 1) };
}

/** What to time. */
export interface StepSubject {
  readonly router: AnyRouterPlugin;
  readonly size: ModelSize;
  readonly sizeName: string;
  readonly dataset: Dataset;
  readonly backend: CpuBackend;
  /** Steps counted. */
  readonly steps: number;
}

/**
 * Trains for a while and returns figures of a step: `seconds` (median), `flopPerSecond` of the model (three forward
 * passes of active FLOPs), share of time by stage, bytes in use after a step and at the peak.
 */
export async function timeStep(subject: StepSubject): Promise<Record<string, number>> {
  const { router, size, sizeName, dataset, backend } = subject;
  const steps = WARM_UP + subject.steps;
  let usedBytes = 0;
  const { record, timing } = await train(
    {
      ...{ run: router.name, label: router.name, size, sizeName, steps, seed: 0 },
      ...{ router, routerOptions: parseOptions(router) },
    },
    {
      ...{ backend, dataset, machine: { threads: backend.threads, machine: "" }, version: "" },
      onStep: () => usedBytes = backend.statistics().usedBytes,
    },
  );
  const counted = timing.steps.slice(WARM_UP);
  const seconds = spread(counted.map(({ seconds }) => seconds)).median;
  const sum = (stage: string) => counted.reduce((all, { stages }) => all + (stages[stage] ?? 0), 0);
  const all = stages.reduce((all, stage) => all + sum(stage), 0);
  return {
    seconds,
    flopPerSecond: 3 * record.header.activeFlopPerToken * size.batch * size.length / seconds,
    ...Object.fromEntries(stages.map((stage) => [`${stage}Share`, sum(stage) / all])),
    usedBytes,
    peakBytes: backend.statistics().carvedBytes,
  };
}
