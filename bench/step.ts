// The whole training step, as training itself times it: forward, backward, update and what the record reads back.
import type { Backend } from "../kernels/kernel.ts";
import { findSize, type SizeName, vocabularies } from "../models/sizes.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import { loadBrown } from "../data/brown.ts";
import { prepare } from "../data/dataset.ts";
import type { TaskData } from "../tasks/task.ts";
import { textData } from "../tasks/text.ts";
import { configOf, type RunConfig } from "../training/config.ts";
import { mixtureStages, passes, type RunHeader, type StepTiming } from "../training/record.ts";
import { train } from "../training/train.ts";
import { spread } from "./rounds.ts";

/** Steps of a run that are not counted: caches fill, and the heap may still grow. */
export const WARM_UP = 3;
/** The same where a step's arrays are bound for the device: it makes bind groups in about twenty steps, then no more. */
const WARM_UP_OF_QUEUE = 20;

/** The language model of a size with a router's default options, all routers at equal cost. */
export function benchConfig(sizeName: string, router: AnyRouterPlugin, steps: number): RunConfig {
  return configOf(findSize(sizeName), {
    "model.equalCost": true,
    "router.name": router.name,
    "train.steps": steps,
    "train.evaluations": 1,
  });
}

/** Text of the language task, with validation cut to one batch: looking at it is no part of a step. */
export async function benchData(sizeName: string): Promise<TaskData> {
  const { train: { batch, length } } = configOf(findSize(sizeName));
  const dataset = prepare(await loadBrown(), { vocabulary: vocabularies[sizeName as SizeName] });
  return await textData({ ...dataset, validation: dataset.validation.subarray(0, batch * length + 1) });
}

/** What to time. */
export interface StepSubject {
  readonly router: AnyRouterPlugin;
  readonly sizeName: string;
  readonly data: TaskData;
  readonly threads: number;
}

/** Trains some steps and returns their timings, with the model's active floating-point operations of a step. */
export async function trainSteps(
  backend: Backend,
  { router, sizeName, data, threads }: StepSubject,
  steps: number,
  onStep: (step: number) => void = () => {},
): Promise<{ steps: readonly StepTiming[]; flop: number; header: RunHeader }> {
  const config = benchConfig(sizeName, router, steps);
  using run = await train(config, {
    backend,
    data,
    machine: { threads, machine: "" },
    onStep: ({ step }) => onStep(step),
  });
  const { record: { header }, timing } = run;
  const { batch, length } = config.train;
  return { steps: timing.steps, flop: 3 * header.activeFlopPerToken * batch * length, header };
}

/**
 * Figures of the best of `counted` steps: `flopPerSecond` of the fastest, and `routingShare` of the least that routing
 * took over the least that MoE blocks did.
 */
export async function bestStep(
  backend: Backend,
  subject: StepSubject,
  counted: number,
): Promise<{ readonly flopPerSecond: number; readonly routingShare: number }> {
  const { steps, flop } = await trainSteps(backend, subject, WARM_UP + counted);
  const timed = steps.slice(WARM_UP);
  const least = (secondsOf: (step: StepTiming) => number) => Math.min(...timed.map(secondsOf));
  const routing = least((step) => stageSeconds(step, "route"));
  const blocks = least((step) => mixtureStages.reduce((all, stage) => all + stageSeconds(step, stage), 0));
  return { flopPerSecond: flop / least(({ seconds }) => seconds), routingShare: routing / blocks };
}

/** What a stage took of a step, in all passes. */
function stageSeconds({ passes: taken }: StepTiming, stage: string): number {
  return passes.reduce((all, pass) => all + (taken?.[pass]?.[stage] ?? 0), 0);
}

/**
 * Figures of a step: `seconds` (median), on a GPU `hostSeconds` of them (median), `flopPerSecond` of the model (three
 * forward passes of active FLOPs), and shares of time: the forward pass by stage, then the other passes whole.
 * `routingShare` is what routing takes of the MoE blocks, forward and backward.
 */
export async function timeStep(
  backend: Backend,
  subject: StepSubject,
  counted: number,
): Promise<Record<string, number>> {
  const warmUp = backend.counts ? WARM_UP_OF_QUEUE : WARM_UP;
  const { steps, flop } = await trainSteps(backend, subject, warmUp + counted);
  const timed = steps.slice(warmUp);
  const sum = (pass: string, stage: string) =>
    timed.reduce((all, { passes }) => all + (passes?.[pass]?.[stage] ?? 0), 0);
  const ofStage = (stage: string) => passes.reduce((all, pass) => all + sum(pass, stage), 0);
  const stages = [...new Set(timed.flatMap(({ stages }) => Object.keys(stages)))];
  const ofPass = (pass: string) => stages.reduce((all, stage) => all + sum(pass, stage), 0);
  const all = passes.reduce((all, pass) => all + ofPass(pass), 0);
  const [forward, ...others] = passes;
  const moe = mixtureStages.reduce((all, stage) => all + ofStage(stage), 0);
  const rest = ofPass(forward) - mixtureStages.reduce((all, stage) => all + sum(forward, stage), 0);
  const seconds = spread(timed.map(({ seconds }) => seconds)).median;
  const host = timed.flatMap(({ hostSeconds }) => hostSeconds ?? []);
  return {
    seconds,
    ...(host.length > 0 ? { hostSeconds: spread(host).median } : {}),
    flopPerSecond: flop / seconds,
    ...Object.fromEntries(mixtureStages.map((stage) => [`${stage}Share`, sum(forward, stage) / all])),
    restShare: rest / all,
    ...Object.fromEntries(others.map((pass) => [`${pass}Share`, ofPass(pass) / all])),
    routingShare: ofStage("route") / moe,
  };
}
