// What the trainer adds for routers that sample: a term whose gradient is the score-function estimator. Its value means
// nothing, so no record shows it. What is exact and what is a reading: docs/decisions/score_function_in_a_deep_model.md.
import type { Targets } from "../models/model.ts";
import type { ScoreFunction } from "../routers/router.ts";
import { affine, divide, multiply } from "../tensor/arithmetic.ts";
import { maximum } from "../tensor/piecewise.ts";
import { sumAll } from "../tensor/reduce.ts";
import { stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";

/**
 * mean_t w_t (f_t - b) log p_t, where only log p_t is differentiated. Shape [1].
 * @param loss_T f: what each token's choice of expert is held responsible for.
 * @param targets Tokens that have an f, which the mean is over; undefined = all.
 */
export function scoreFunctionLoss(loss_T: Tensor, estimator: ScoreFunction, targets?: Targets): Tensor {
  const advantage_T = affine(stopGradient(loss_T), 1, -estimator.baseline);
  const factor_T = multiply(weightsOf(estimator, targets), advantage_T);
  const count = targets?.count ?? loss_T.shape[0];
  return affine(sumAll(multiply(estimator.logProbability_T, factor_T)), 1 / Math.max(1, count), 0);
}

function weightsOf({ importance_T }: ScoreFunction, targets: Targets | undefined): Tensor {
  const weight_T = stopGradient(importance_T);
  return targets?.mask_T ? multiply(weight_T, targets.mask_T) : weight_T;
}

/**
 * sum_t w_t f_t / sum_t w_t: what a running baseline is made of. Shape [1]; 0 when every weight is 0.
 * @param targets Tokens that have an f, which the sums are over; undefined = all.
 */
export function weightedMeanLoss(loss_T: Tensor, estimator: ScoreFunction, targets?: Targets): Tensor {
  const weight_T = weightsOf(estimator, targets);
  const least = tensor(loss_T.backend, [1e-20], [1]);
  return divide(sumAll(multiply(stopGradient(loss_T), weight_T)), maximum(sumAll(weight_T), least));
}
