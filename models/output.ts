// A model's last part: a norm where the spec has one, scores against the embedding or frozen vectors, and the loss.
import { square, subtract } from "../tensor/arithmetic.ts";
import { constant, type Init } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import { crossEntropy, sumLast } from "../tensor/reduce.ts";
import { type Parameter, parameter, stopGradient, type Tensor } from "../tensor/tensor.ts";
import { rmsNorm } from "../tensor/transformer.ts";
import { vocabularyLoss } from "../tensor/vocabulary_loss.ts";
import type { FrozenVectors, ModelSpec } from "./spec.ts";

/** Scores and losses of hidden states. */
export interface OutputPart {
  /** f32 [T, D] -> [T, V or classes]. */
  scores(x_TD: Tensor): Tensor;
  /** Loss of each token, [T]. */
  loss(x_TD: Tensor, target_T: Tensor): Tensor;
  /** The same of scores that are wanted besides, [T]. */
  lossOfScores(score_TR: Tensor, target_T: Tensor): Tensor;
}

/** Vectors on the backend that carry no gradient and belong to no memory scope; `held` is what has to be freed. */
export function frozenTable(
  { backend }: Init,
  { values, rows, D }: FrozenVectors,
  held: Parameter[],
): Tensor {
  const table = parameter(backend, values, [rows, D]);
  held.push(table);
  return stopGradient(table);
}

/** Makes the part; its norm, if any, is entered in `params` as `norm`. */
export function createOutput(
  { D, target, outputNorm }: ModelSpec,
  embedding_VD: Tensor | null,
  params: Record<string, Parameter>,
  held: Parameter[],
  init: Init,
): OutputPart {
  const norm_D = outputNorm ? params.norm = init.parameter("norm", [D], constant(1)) : null;
  const table_RD = target.kind === "tokens" ? embedding_VD : frozenTable(init, target.vectors, held);
  if (!table_RD) {
    throw new RangeError(
      "Cannot score tokens against an embedding: the model reads frozen vectors; give it vectors to score",
    );
  }
  const normed = (x_TD: Tensor) => norm_D ? rmsNorm(x_TD, norm_D) : x_TD;
  const scores = (x_TD: Tensor) => matmul(normed(x_TD), table_RD, { transposeB: true });
  if (target.kind === "vectors" && target.loss === "squared-error") {
    const lossOfScores = (score_TR: Tensor, target_TR: Tensor) =>
      sumLast(square(subtract(score_TR, target_TR)));
    return { scores, lossOfScores, loss: (x_TD, target_TR) => lossOfScores(scores(x_TD), target_TR) };
  }
  return {
    scores,
    lossOfScores: crossEntropy,
    loss: (x_TD, target_T) => vocabularyLoss(normed(x_TD), table_RD, target_T),
  };
}
