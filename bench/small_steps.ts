// Steps of the models that users train most: one layer on a few hundred tokens, and the language model's small sizes. Far
// from any limit, so what is asked is how much of a step is kernels, and how much of it arithmetic.
import type { Backend } from "../kernels/kernel.ts";
import type { TaskData } from "../tasks/task.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";

import { findRouter } from "../routers/registry.ts";
import { configOf, type RunConfig } from "../training/config.ts";
import type { StepTiming } from "../training/record.ts";
import { train } from "../training/train.ts";
import { spread } from "./rounds.ts";
import { benchConfig, benchData } from "./step.ts";
import { costOf, watched } from "./watched.ts";

/** One model and its task. */
export interface SmallStep {
  readonly name: string;
  readonly data: TaskData;
  /** Steps before those that count: engines optimise programs meanwhile. */
  readonly warmUp: number;
  /** The run's config, with so many steps. */
  config(steps: number): RunConfig;
}

/** All that are timed: the tasks of one layer at their small size, and the language model at `tiny` and `small`. */
export async function smallSteps(): Promise<readonly SmallStep[]> {
  const router = findRouter("switch");
  const oneLayer = ["recall", "regimes"].map(async (name): Promise<SmallStep> => {
    const task = findTask(name);
    const settings = { ...task.defaults, ...task.sizes.small };
    return {
      name: `${name}, one layer`,
      data: await task.load(parseTaskOptions(task)),
      warmUp: 30,
      config: (steps) =>
        configOf({
          "task.name": name,
          ...settings,
          "router.name": router.name,
          "train.steps": steps,
          "train.evaluations": 1,
        }),
    };
  });
  const language = ["tiny", "small"].map(async (size): Promise<SmallStep> => ({
    name: `language, ${size}`,
    data: await benchData(size),
    warmUp: size === "tiny" ? 30 : 5,
    config: (steps) => benchConfig(size, router, steps),
  }));
  return await Promise.all([...oneLayer, ...language]);
}

async function stepsOf(
  backend: Backend,
  { config, data }: SmallStep,
  steps: number,
  onStep: (step: number) => void = () => {},
): Promise<readonly StepTiming[]> {
  const options = { backend, data, machine: { threads: 1, machine: "" } };
  using run = await train(config(steps), { ...options, onStep: ({ step }) => onStep(step) });
  return run.timing.steps;
}

/** Floating-point operations of all kernels of one step, the second one. */
export async function flopOfStep(backend: Backend, subject: SmallStep): Promise<number> {
  let flop = 0;
  let counting = false;
  const watching = watched(backend, (call) => flop += counting ? costOf(call).flop : 0);
  await stepsOf(watching, subject, 2, (step) => counting = step === 0);
  return flop;
}

/**
 * Figures of a step: `seconds` (median), `flopPerSecond` of all its kernels, and `kernelShare`, what of a step's time the
 * calls of kernels take; the rest is the program's own. Kernels are timed one by one, which costs each call two looks at
 * the clock.
 */
export async function timeSmallStep(
  backend: Backend,
  subject: SmallStep,
  flop: number,
  counted: number,
): Promise<Record<string, number>> {
  const perStep: number[] = [];
  let inKernels = 0;
  const watching = watched(backend, ({ seconds }) => inKernels += seconds);
  const timings = await stepsOf(watching, subject, subject.warmUp + counted, () => {
    perStep.push(inKernels);
    inKernels = 0;
  });
  const steps = timings.slice(subject.warmUp);
  const shares = steps.map(({ step, seconds }) => Math.min(1, perStep[step] / seconds));
  const seconds = spread(steps.map(({ seconds }) => seconds)).median;
  return { seconds, flopPerSecond: flop / seconds, kernelShare: spread(shares).median };
}
