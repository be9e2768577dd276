// What a loop of training adds for routers that sample: a term whose gradient is the score-function estimator. Its value means
// nothing, so no record shows it. What is exact and what is a reading: docs/decisions/score_function_in_a_deep_model.md.
import type { Targets } from "../models/model.ts";
import type { ScoreFunction } from "../routers/router.ts";
import { affine, divide, multiply } from "../tensor/arithmetic.ts";
import { maximum } from "../tensor/piecewise.ts";
import { sumAll } from "../tensor/reduce.ts";
import { stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";

/**
 * mean_t w_t (f_t - b) log p_t, where only log p_t is differentiated: its gradient is the score-function estimator of the
 * gradient of the expected loss (Williams 1992; with importance weights, Kool, Maddison and Mnih 2021). Its value means
 * nothing. Shape [1].
 * @param loss_T f, f32 [T]: what each token's choice of expert is held responsible for; no gradient reaches it.
 * @param estimator As a router that samples returns it, in `Routing.estimator`.
 * @param targets Tokens that have an f, which the mean is over; undefined = all.
 * @example
 * ```ts
 * import { cpu, gradients, log, parameter, tensor } from "@switchyard/moe";
 * import { scoreFunctionLoss } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const p_T = parameter(backend, Float32Array.of(0.5, 0.25), [2]); // chances of the experts that were drawn
 * const estimator = { logProbability_T: log(p_T), importance_T: tensor(backend, [1, 1], [2]), baseline: 2 };
 * const loss_T = tensor(backend, [3, 1], [2]);
 * const [gradient] = await gradients(scoreFunctionLoss(loss_T, estimator), [p_T]);
 * assertEquals(await gradient!.read(), Float32Array.of(1, -2)); // (f - b) / p / 2: make the second one likelier
 * backend.close();
 * ```
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
 * sum_t w_t f_t / sum_t w_t: what `ScoreFunction.observeLoss` is told after a step, and a running baseline is made of.
 * Shape [1], without gradient; 0 when every weight is 0.
 * @param loss_T f, f32 [T].
 * @param estimator As a router that samples returns it, in `Routing.estimator`.
 * @param targets Tokens that have an f, which the sums are over; undefined = all.
 * @example
 * ```ts
 * import { cpu, scalar, tensor } from "@switchyard/moe";
 * import { weightedMeanLoss } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const weight = { importance_T: tensor(backend, [3, 1], [2]), logProbability_T: tensor(backend, [0, 0], [2]) };
 * const loss_T = tensor(backend, [2, 6], [2]);
 * assertEquals(await scalar(weightedMeanLoss(loss_T, { ...weight, baseline: 0 })), 3);
 * backend.close();
 * ```
 */
export function weightedMeanLoss(loss_T: Tensor, estimator: ScoreFunction, targets?: Targets): Tensor {
  const weight_T = weightsOf(estimator, targets);
  const least = tensor(loss_T.backend, [1e-20], [1]);
  return divide(sumAll(multiply(stopGradient(loss_T), weight_T)), maximum(sumAll(weight_T), least));
}
