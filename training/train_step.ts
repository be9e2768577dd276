// One training step. What it draws and which text it sees are functions of the seed and the step alone. Everything it
// reads back is asked for together, at its end: on a GPU a wait costs the same for one number as for all.
import type { LanguageModel, ModelOutput } from "../models/language_model.ts";
import { countDropsByPosition, gateEntropy, loadOf, type RoutingValues } from "../moe/load.ts";
import { add, square } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar, sumAll } from "../tensor/reduce.ts";
import { equalSequences, type Sequences } from "../tensor/sequences.ts";
import { pass } from "../tensor/stage.ts";
import type { Tensor } from "../tensor/tensor.ts";
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
  const { dataset } = options;
  const { batch, length } = plan.size;
  const streams = random(plan.seed);
  const { tokenId, target } = trainingBatch(dataset, {
    batch,
    length,
    random: streams.split("data"),
    step,
    shards: plan.size.sharded ? plan.size.ranks : 1,
  });
  const sequences = equalSequences(batch, length);
  const output = await model.forward({ tokenId_T: tokenId, target_T: target, sequences }, {
    training: true,
    step,
    random: streams.split("routing").split(step),
  });
  const losses = Object.entries(output.losses);
  const sampled = output.layers.flatMap(({ routing }) => routing.estimator ?? []);
  const total = [
    ...losses.map(([, loss]) => loss),
    ...sampled.map((estimator) => scoreFunctionLoss(output.loss_T, estimator, output.targets)),
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
  const norm = pass("optimizer", () => optimizer.update(byName, learningRate, step));
  const sampledLosses = sampled.map((estimator) =>
    weightedMeanLoss(output.loss_T, estimator, output.targets)
  );

  const [loss, gradientNorm, lossValues, layers, observed] = await pass("reading", () =>
    Promise.all([
      scalar(output.loss),
      scalar(norm),
      Promise.all(losses.map(([, value]) => scalar(value))),
      readLoads(output, model.cut.E, sequences, state),
      Promise.all(sampledLosses.map(scalar)),
      ...model.routerParams.map((name, at) => state.noteRouterGradient(name, squares[at])),
    ]));
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
  sequences: Sequences,
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
    countDropsByPosition(values, token_N, sequences, state.drops);
    return { layer, ...loadOf(values) };
  });
}
