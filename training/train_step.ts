// One training step. What it draws and which text it sees are functions of the seed and the step alone. Everything it
// reads back is asked for together, at its end: on a GPU a wait costs the same for one number as for all.
import type { LanguageModel, ModelOutput } from "../models/language_model.ts";
import { countDropsByPosition, gateEntropy, loadOf, type RoutingValues } from "../moe/load.ts";
import { add, square } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar, sumAll } from "../tensor/reduce.ts";
import { pass } from "../tensor/stage.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { type Batch, trainingBatches } from "./batches.ts";
import type { Dataset } from "./dataset.ts";
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
  /** {@linkcode batchesOf} the plan. */
  readonly batchAt: (step: number) => Batch;
  readonly learningRate: number;
}

/** The training batches of a plan by step: its shape, its seed's stream `data`, and a part of the text for each rank. */
export function batchesOf(
  { size, seed }: Pick<TrainPlan, "size" | "seed">,
  dataset: Dataset,
): StepParts["batchAt"] {
  const { batch, length, sharded, ranks } = size;
  return trainingBatches(dataset, {
    batch,
    length,
    random: random(seed).split("data"),
    shards: sharded ? ranks : 1,
  });
}

/** One step: forward, gradients, update, and its row of the record. */
export async function trainStep(
  { plan, options, model, optimizer, state, batchAt, learningRate }: StepParts,
): Promise<StepRow> {
  const { backend } = options;
  using _scope = memory(backend);
  const { step } = state;
  const { batch, length } = plan.size;
  const streams = random(plan.seed);
  const { tokenId, target } = batchAt(step);
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
  const squares = model.routerParams.map((name) => sumAll(square(byName[name])));
  const norm = pass(backend, "optimizer", () => optimizer.update(byName, learningRate, step));
  const sampledLosses = sampled.map((estimator) => weightedMeanLoss(output.loss_T, estimator));

  const [loss, gradientNorm, lossValues, layers, observed] = await pass(
    backend,
    "reading",
    () =>
      Promise.all([
        scalar(output.loss),
        scalar(norm),
        Promise.all(losses.map(([, value]) => scalar(value))),
        readLoads(output, model.cut.E, length, state),
        Promise.all(sampledLosses.map(scalar)),
        ...model.routerParams.map((name, at) => state.noteRouterGradient(name, squares[at])),
      ]),
  );
  const row: StepRow = {
    kind: "step",
    step,
    loss,
    losses: Object.fromEntries(losses.map(([name], at) => [name, lossValues[at]])),
    learningRate,
    gradientNorm,
    layers,
  };
  if (!Number.isFinite(row.loss) || !Number.isFinite(row.gradientNorm)) {
    throw new RangeError(
      `Cannot go on with ${plan.run}: at step ${step} the loss is ${row.loss} and the gradient norm ${row.gradientNorm}`,
    );
  }
  for (const { layer, ...load } of row.layers) model.routers[`blocks.${layer}.router`].observe?.(load);
  sampled.forEach((estimator, at) => estimator.observeLoss?.(observed[at]));
  return row;
}

async function readLoads(
  { layers, topology }: ModelOutput,
  E: number,
  length: number,
  state: ProgressState,
): Promise<LayerLoad[]> {
  const read = await Promise.all(
    layers.map(({ routing: { token_N, wanted_N, expert_N, probability_TE } }) => {
      const entropy = probability_TE ? scalar(gateEntropy(probability_TE)) : null;
      return Promise.all([token_N.read(), wanted_N.read(), expert_N.read(), entropy]);
    }),
  );
  return layers.map(({ layer, routing }, at) => {
    const [token_N, wanted_N, expert_N] = read[at] as Int32Array[];
    const values: RoutingValues = {
      E,
      wanted_N,
      expert_N,
      choices: routing.choices,
      shared: routing.shared ?? 0,
      gateEntropy: read[at][3],
      home: { token_N, topology },
    };
    countDropsByPosition(values, token_N, length, state.drops);
    return { layer, ...loadOf(values) };
  });
}
