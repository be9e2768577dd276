// What the trainer adds for routers that sample: a term whose gradient is the score-function estimator. Its value means
// nothing, so no record shows it. What is exact and what is a reading: docs/decisions/score_function_in_a_deep_model.md.
import type { ScoreFunction } from "../routers/router.ts";
import { affine, divide, maximum, multiply } from "../tensor/arithmetic.ts";
import { meanAll, sumAll } from "../tensor/reduce.ts";
import { stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";

/**
 * mean_t w_t (f_t - b) log p_t, where only log p_t is differentiated. Shape [1].
 * @param loss_T f: what each token's choice of expert is held responsible for.
 */
export function scoreFunctionLoss(loss_T: Tensor, estimator: ScoreFunction): Tensor {
  const advantage_T = affine(stopGradient(loss_T), 1, -estimator.baseline);
  const factor_T = multiply(stopGradient(estimator.importance_T), advantage_T);
  return meanAll(multiply(estimator.logProbability_T, factor_T));
}

/** sum_t w_t f_t / sum_t w_t: what a running baseline is made of. Shape [1]; 0 when every weight is 0. */
export function weightedMeanLoss(loss_T: Tensor, { importance_T }: ScoreFunction): Tensor {
  const weight_T = stopGradient(importance_T);
  const least = tensor(loss_T.backend, [1e-20], [1]);
  return divide(sumAll(multiply(stopGradient(loss_T), weight_T)), maximum(sumAll(weight_T), least));
}
