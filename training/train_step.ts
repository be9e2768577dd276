// One training step. What it draws and which text it sees are functions of the seed and the step alone.
import type { LanguageModel } from "../models/language_model.ts";
import { countDropsByPosition, gateEntropy, loadOf, type RoutingValues } from "../moe/load.ts";
import { add, square } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar, sumAll } from "../tensor/reduce.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { trainingBatch } from "./batches.ts";
import type { AdamW } from "./optimizer.ts";
import type { TrainOptions, TrainPlan } from "./plan.ts";
import type { LayerLoad, StepRow } from "./record.ts";
import { scoreFunctionLoss, weightedMeanLoss } from "./score_function.ts";
import type { ProgressState } from "./train_state.ts";

/** What a step works on. */
export interface StepParts {
  readonly plan: TrainPlan;
  readonly options: TrainOptions;
  readonly model: LanguageModel;
  readonly optimizer: AdamW;
  readonly state: ProgressState;
  readonly learningRate: number;
}

/** One step: forward, gradients, update, and its row of the record. */
export async function trainStep(
  { plan, options, model, optimizer, state, learningRate }: StepParts,
): Promise<StepRow> {
  using _scope = memory();
  const { step } = state;
  const { backend, dataset } = options;
  const { batch, length } = plan.size;
  const streams = random(plan.seed);
  const { tokenId, target } = trainingBatch(dataset, { batch, length, random: streams.split("data"), step });
  const T = batch * length;
  const inputs = { tokenId_T: tensor(backend, tokenId, [T]), target_T: tensor(backend, target, [T]) };
  const output = await model.forward(inputs, {
    training: true,
    step,
    random: streams.split("routing").split(step),
  });
  const losses = Object.entries(output.losses);
  const sampled = output.layers.flatMap(({ routing }) => routing.estimator ?? []);
  const total = [
    ...losses.map(([, loss]) => loss),
    ...sampled.map((estimator) => scoreFunctionLoss(output.loss_T, estimator)),
  ].reduce(add, output.loss);
  const names = Object.keys(model.params);
  const found = await gradients(total, Object.values(model.params));
  const byName: Record<string, Tensor> = {};
  names.forEach((name, at) => {
    const gradient = found[at];
    if (!gradient) throw new TypeError(`Cannot train ${plan.run}: no gradient reaches "${name}"`);
    byName[name] = gradient;
  });
  for (const name of model.routerParams) await state.noteRouterGradient(name, sumAll(square(byName[name])));
  const norm = optimizer.update(byName, learningRate, step);

  const row: StepRow = {
    kind: "step",
    step,
    loss: await scalar(output.loss),
    losses: Object.fromEntries(
      await Promise.all(losses.map(async ([name, loss]) => [name, await scalar(loss)])),
    ),
    learningRate,
    gradientNorm: await scalar(norm),
    layers: await readLoads(output.layers, model.cut.E, length, state),
  };
  if (!Number.isFinite(row.loss) || !Number.isFinite(row.gradientNorm)) {
    throw new RangeError(
      `Cannot go on with ${plan.run}: at step ${step} the loss is ${row.loss} and the gradient norm ${row.gradientNorm}`,
    );
  }
  for (const { layer, ...load } of row.layers) model.routers[`blocks.${layer}.router`].observe?.(load);
  for (const estimator of sampled) {
    estimator.observeLoss?.(await scalar(weightedMeanLoss(output.loss_T, estimator)));
  }
  return row;
}

async function readLoads(
  layers: Awaited<ReturnType<LanguageModel["forward"]>>["layers"],
  E: number,
  length: number,
  state: ProgressState,
): Promise<LayerLoad[]> {
  const loads: LayerLoad[] = [];
  for (const { layer, routing } of layers) {
    const values: RoutingValues = {
      E,
      wanted_N: await routing.wanted_N.read() as Int32Array,
      expert_N: await routing.expert_N.read() as Int32Array,
      choices: routing.choices,
      gateEntropy: routing.probability_TE ? await scalar(gateEntropy(routing.probability_TE)) : null,
    };
    countDropsByPosition(values, await routing.token_N.read() as Int32Array, length, state.drops);
    loads.push({ layer, ...loadOf(values) });
  }
  return loads;
}
