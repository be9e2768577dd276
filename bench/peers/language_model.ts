// The whole training step of the default model as a workload: same text, same initial weights, same router (Switch without
// jitter: capacity 1.25, drops by position, balance loss), AdamW with clipping at a constant rate. The losses to meet are
// those of this repository's own model on the CPU, whose parts other tests hold against f64.
import { cpu } from "../../cpu/backend.ts";
import type { Backend } from "../../kernels/kernel.ts";
import { createLanguageModel, type LanguageModel } from "../../models/language_model.ts";
import { findSize, type SizeName } from "../../models/presets.ts";
import { capacityRules } from "../../routers/capacity.ts";
import { switchRouter } from "../../routers/switch.ts";
import { createInit } from "../../tensor/init.ts";
import { random } from "../../tensor/random.ts";
import { trainingBatches } from "../../training/batches.ts";
import { loadBrown } from "../../training/brown.ts";
import { type Dataset, prepare } from "../../training/dataset.ts";
import { adamWDefaults, createAdamW } from "../../training/optimizer.ts";
import type { TrainPlan } from "../../training/plan.ts";
import { createProgressState } from "../../training/train_state.ts";
import { batchesOf, trainStep } from "../../training/train_step.ts";
import type { Values, Workload } from "./workload.ts";

const SEED = 0;
const LEARNING_RATE = 1e-3;
/** Steps whose losses are compared, and steps of text; contenders go round when they need more. */
const CHECKED_STEPS = 3;
const STEPS = 64;

/** A run that takes one step at a time. */
export interface TrainingRun {
  readonly model: LanguageModel;
  readonly dataset: Dataset;
  /** Takes a step and gives its loss, mean cross-entropy in nats. */
  step(): Promise<number>;
  free(): void;
}

/** The model of `sizeName` with its initial weights and its first steps ahead of it. */
export async function startTraining(backend: Backend, sizeName: SizeName): Promise<TrainingRun> {
  const size = findSize(sizeName);
  const dataset = prepare(await loadBrown(), { vocabulary: size.vocabulary });
  const routerOptions = switchRouter.options.parse({ jitter: 0 });
  const plan: TrainPlan = {
    ...{ run: "peers", label: "switch", sizeName, size, seed: SEED, steps: STEPS },
    ...{ router: switchRouter, routerOptions },
  };
  const model = createLanguageModel({
    ...plan,
    V: dataset.vocabulary.size,
    tokenCount_V: dataset.countByToken,
  }, createInit(backend, random(SEED).split("init")));
  const optimizer = createAdamW(model.params);
  const state = createProgressState(model, optimizer);
  const options = { backend, dataset, machine: { threads: 1, machine: "" }, version: "" };
  const batchAt = batchesOf(plan, dataset);
  const parts = { plan, options, model, optimizer, state, batchAt, learningRate: LEARNING_RATE };
  return {
    model,
    dataset,
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
  const size = findSize(sizeName);
  const { batch, length, width: D, heads, blocks, moeEvery, activeUnits: F, experts: E } = size;
  const T = batch * length;
  return {
    name: "language-model",
    about:
      `Training step of the model "${sizeName}": ${T} tokens, D = ${D}, ${blocks} blocks, Switch over ${E} experts`,
    sizes: {
      ...{ T, length, D, heads, blocks, moeEvery, F, E },
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
      const batchAt = trainingBatches(run.dataset, { batch, length, random: random(SEED).split("data") });
      for (let step = 0; step < STEPS; step++) {
        const rows = batchAt(step);
        tokenId.set(rows.tokenId, step * T);
        target.set(rows.target, step * T);
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
