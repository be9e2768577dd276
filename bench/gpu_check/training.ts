// Training steps on words drawn at random, so that a check needs no text: the same words, weights and losses on every
// backend but for rounding.
import { type Backend, sizeOf } from "../../kernels/kernel.ts";
import { createModel } from "../../models/model.ts";
import { sizes } from "../../models/sizes.ts";
import type { TaskData } from "../../tasks/task.ts";
import { createInit, type Init } from "../../tensor/init.ts";
import { random } from "../../tensor/random.ts";
import { parameter } from "../../tensor/tensor.ts";
import { repeatedNormal } from "../layer.ts";
import { dryData } from "../../tools/dry_step.ts";
import { configOf, type RunConfig, type Settings } from "../../training/config.ts";
import { createAdamW } from "../../training/optimizer.ts";
import { specOf } from "../../training/spec_of.ts";
import { createProgressState } from "../../training/train_state.ts";
import { trainStep } from "../../training/train_step.ts";

/** A model to train a few steps. */
export interface Size {
  readonly name: string;
  readonly settings: Settings;
  /** Words of its vocabulary. */
  readonly V: number;
}

/** A named size of the language task. */
export function namedSize(name: keyof typeof sizes, V: number): Size {
  return { name, settings: sizes[name], V };
}

/** The next of V words, where words are drawn alike and one in two is followed by the next higher one. */
function randomWords(V: number): TaskData {
  return {
    ...dryData(V),
    name: "random words",
    trainingExamples: ({ batch, length, random: stream }) => (step) => {
      const T = batch * length;
      const drawn = stream.split(step).uniform(2 * T + 2);
      const word = new Int32Array(T + 1);
      for (let t = 0; t <= T; t++) {
        const follows = t > 0 && drawn[2 * t] < 0.5;
        word[t] = follows ? (word[t - 1] + 1) % V : Math.floor(drawn[2 * t + 1] * V);
      }
      return {
        tokenId: word.slice(0, T),
        target: word.slice(1),
        lengths: new Array<number>(batch).fill(length),
      };
    },
  };
}

/** The config of a size with a router, experts storing what they multiply in full or half precision. */
export function configAt({ settings }: Size, router: string, precision: "full" | "half" = "full"): RunConfig {
  return configOf(settings, {
    "router.name": router,
    ...(precision === "half" ? { "experts.precision": "half" } : {}),
  });
}

/** Weights at the usual scale that cost next to nothing to draw, and gains of 1. */
export function quickInit(backend: Backend): Init {
  return {
    backend,
    random: random(0),
    parameter: (_, shape) => {
      const values = shape.length === 1
        ? new Float32Array(sizeOf(shape)).fill(1)
        : repeatedNormal(sizeOf(shape), 1 / Math.sqrt(shape[shape.length - 2]));
      return parameter(backend, values, shape);
    },
    part: () => quickInit(backend),
  };
}

/** Losses of some steps, and what the fastest took. @param init Weights; the usual ones when left out. */
export async function trainSome(
  backend: Backend,
  config: RunConfig,
  V: number,
  steps: number,
  init: (backend: Backend) => Init = (backend) => createInit(backend, random(0).split("init")),
): Promise<{ losses: number[]; seconds: number }> {
  const data = randomWords(V);
  const model = createModel(specOf(config, data), init(backend));
  const optimizer = createAdamW(model.params, config.train);
  const { batch, length, learningRate } = config.train;
  const state = createProgressState(model, optimizer, length);
  try {
    const examplesAt = data.trainingExamples({ batch, length, random: random(0).split("data"), shards: 1 });
    const parts = { config, run: "check", examplesAt, backend, model, optimizer, state, learningRate };
    const losses: number[] = [];
    let seconds = Infinity;
    for (; state.step < steps; state.step++) {
      const start = performance.now();
      losses.push((await trainStep(parts)).loss);
      seconds = Math.min(seconds, (performance.now() - start) / 1000);
    }
    return { losses, seconds };
  } finally {
    state.free();
  }
}
