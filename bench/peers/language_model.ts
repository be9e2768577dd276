// The whole training step of the default model as a workload: same text, same initial weights, same router (Switch without
// jitter: capacity 1.25, drops by position, balance loss), AdamW with clipping at a constant rate. The losses to meet are
// those of this repository's own model on the CPU, whose parts other tests hold against f64.
import { cpu } from "../../cpu/backend.ts";
import type { Backend } from "../../kernels/kernel.ts";
import { createModel, type Model } from "../../models/model.ts";
import { findSize, type SizeName, vocabularies } from "../../models/sizes.ts";
import { capacityRules } from "../../routers/parts/capacity.ts";
import { switchRouter } from "../../routers/switch.ts";
import { createInit } from "../../tensor/init.ts";
import { random } from "../../tensor/random.ts";
import { loadBrown } from "../../data/brown.ts";
import { prepare } from "../../data/dataset.ts";
import type { TaskData } from "../../tasks/task.ts";
import { textData } from "../../tasks/text.ts";
import { configOf, type RunConfig } from "../../training/config.ts";
import { adamWDefaults, createAdamW } from "../../training/optimizer.ts";
import { specOf } from "../../training/spec_of.ts";
import { createProgressState } from "../../training/train_state.ts";
import { trainStep } from "../../training/train_step.ts";
import type { Values, Workload } from "./workload.ts";

const SEED = 0;
const LEARNING_RATE = 1e-3;
/** Steps whose losses are compared, and steps of text; contenders go round when they need more. */
const CHECKED_STEPS = 3;
const STEPS = 64;

/** A run that takes one step at a time. */
export interface TrainingRun {
  readonly model: Model;
  readonly data: TaskData;
  /** Takes a step and gives its loss, mean cross-entropy in nats. */
  step(): Promise<number>;
  free(): void;
}

function configFor(sizeName: SizeName): RunConfig {
  return configOf(findSize(sizeName), {
    "model.equalCost": true,
    router: { name: "switch", jitter: 0 },
    "train.steps": STEPS,
    seed: SEED,
  });
}

/** The model of `sizeName` with its initial weights and its first steps ahead of it. */
export async function startTraining(backend: Backend, sizeName: SizeName): Promise<TrainingRun> {
  const config = configFor(sizeName);
  const data = await textData(prepare(await loadBrown(), { vocabulary: vocabularies[sizeName] }));
  const model = createModel(specOf(config, data), createInit(backend, random(SEED).split("init")));
  const optimizer = createAdamW(model.params);
  const state = createProgressState(model, optimizer, config.train.length);
  const examplesAt = data.trainingExamples({ ...config.train, random: random(SEED).split("data") });
  const parts = {
    config,
    run: "peers",
    examplesAt,
    backend,
    model,
    optimizer,
    state,
    learningRate: LEARNING_RATE,
  };
  return {
    model,
    data,
    async step() {
      const row = await trainStep(parts);
      state.step++;
      return row.loss;
    },
    free: () => state.free(),
  };
}

/** The workload; preparing it trains for a few steps. */
export function createLanguageModelWorkload(sizeName: SizeName): Workload {
  const { model, train: { batch, length } } = configFor(sizeName);
  const { width: D, heads, layers: blocks, moeEvery, expertWidth: F, experts: E } = model;
  const T = batch * length;
  return {
    name: "language-model",
    about:
      `Training step of the model "${sizeName}": ${T} tokens, D = ${D}, ${blocks} blocks, Switch over ${E} experts`,
    sizes: {
      T,
      length,
      D,
      heads,
      blocks,
      moeEvery,
      F,
      E,
      capacity: capacityRules.switch({ T, E, K: 1, factor: switchRouter.options.parse({}).capacityFactor }),
      balance: switchRouter.options.parse({}).balance,
      learningRate: LEARNING_RATE,
      ...adamWDefaults,
      checkedSteps: CHECKED_STEPS,
      steps: STEPS,
      sizeName,
    },
    flop: null,
    async prepare() {
      using backend = await cpu({ threads: 1 });
      const run = await startTraining(backend, sizeName);
      const inputs: Record<string, Values> = {};
      for (const [name, param] of Object.entries(run.model.params)) {
        inputs[name] = { shape: param.shape, values: await param.read() };
      }
      const tokenId = new Int32Array(STEPS * T);
      const target = new Int32Array(STEPS * T);
      const examplesAt = run.data.trainingExamples({ batch, length, random: random(SEED).split("data") });
      for (let step = 0; step < STEPS; step++) {
        const rows = examplesAt(step);
        tokenId.set(rows.tokenId, step * T);
        target.set(rows.target as Int32Array, step * T);
      }
      inputs.tokenId = { shape: [STEPS, T], values: tokenId };
      inputs.target = { shape: [STEPS, T], values: target };
      const losses: number[] = [];
      while (losses.length < CHECKED_STEPS) losses.push(await run.step());
      run.free();
      // Gradients of products over T rows come back through every block; a step later they have moved the loss.
      const terms = [T, D, F, length];
      const rounding = terms.reduce((sum, count) => sum + 4 * Math.sqrt(count) * 2 ** -24, 0);
      return { inputs, wanted: { losses: { values: losses, allowed: blocks * CHECKED_STEPS * rounding } } };
    },
  };
}
