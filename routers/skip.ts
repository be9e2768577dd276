// Skip: experts are drawn from the router's distribution, an expert with too many tokens skips a random part of them, and
// those it keeps count for the skipped, so that gradients stay unbiased.
import * as z from "zod";
import { add } from "../tensor/arithmetic.ts";
import { topK } from "../tensor/rows.ts";
import { reshape, stopGradient } from "../tensor/tensor.ts";
import { gumbelNoise, skipImportance } from "./parts/assignment.ts";
import {
  capacityOf,
  type CapacityOptions,
  capacityOptions,
  keepWithinCapacity,
  maskExperts,
} from "./parts/capacity.ts";
import type { RouterPlugin } from "./router.ts";
import { createSampledRouter, type SampledOptions, sampledOptions } from "./parts/sampled.ts";

/** Options of {@linkcode skip}. */
export interface SkipOptions
  extends SampledOptions, Pick<CapacityOptions, "capacityRule" | "capacityFactor" | "minimumCapacity"> {}

const { capacityRule, capacityFactor, minimumCapacity } = capacityOptions({
  rule: "ceil",
  factor: 1,
  evaluationFactor: 1,
});

/** The skip estimator (Kool, Maddison and Mnih 2021). */
export const skip: RouterPlugin<SkipOptions> = {
  name: "skip",
  about:
    "Samples an expert per token, skips a random part where there are too many, and weighs gradients by n / c to stay unbiased.",
  paper: {
    title: "Unbiased Gradient Estimation with Balanced Assignments for Mixtures of Experts",
    year: 2021,
    identifier: "arXiv:2109.11817",
    equations:
      "the skip estimator as its abstract and figure 1 describe it; formulas derived here (equation numbers unconfirmed)",
  },
  readings: [
    "Only the abstract and figure 1 could be read; w = n / c for what is kept is derived here, and measured unbiased.",
    "The baseline is a mean of earlier steps: one of the same batch would be biased, since z decides who is kept.",
  ],
  pitfalls: [
    "Who is kept must be random: keeping the first c makes the chance depend on position, and no weight corrects that.",
    "Dividing by the number kept instead of weighing by n / c is biased.",
    "Outputs weigh 1: multiplying by p as well would count the router's gradient twice.",
    "Evaluation takes the most probable expert and skips no token.",
  ],
  traits: { causal: false, balancedBy: "nothing", perToken: "up to K", gradient: "score function" },
  options: z.strictObject({ capacityRule, capacityFactor, minimumCapacity, ...sampledOptions }),
  expertsPerToken: () => 1,
  create(dims, options, init) {
    const { E } = dims;
    return createSampledRouter(
      "skip",
      dims,
      options,
      init,
      (logProbability_TE, { scope, real_T, random, weighted }) => {
        const [T] = logProbability_TE.shape;
        // z_i = argmax_j (log p_ij + G_ij): a draw from p_i.
        const score_TE = add(stopGradient(logProbability_TE), gumbelNoise(logProbability_TE, random));
        const { value_TK, index_TK } = topK(score_TE, 1);
        const wanted_TK = maskExperts(index_TK, real_T);
        const rule = {
          ...options,
          evaluationCapacityFactor: options.capacityFactor,
          dropOrder: "random",
        } as const;
        const capacity = capacityOf(rule, { T: scope, E, K: 1 }, true, real_T);
        // A random subset, not the first: who is kept must not depend on place, or the weights below correct nothing.
        const expert_TK = keepWithinCapacity(wanted_TK, {
          E,
          capacity,
          scope,
          dropOrder: "random",
          training: true,
          probability_TK: value_TK,
          random,
          choiceMajor: false,
        });
        const [wanted_T, expert_T] = [reshape(wanted_TK, [T]), reshape(expert_TK, [T])];
        // w_i = delta_i max(1, n_(z_i) / c).
        const importance_T = weighted ? skipImportance({ wanted_T, expert_T, E, capacity }, { scope }) : null;
        return { wanted_T, expert_T, importance_T };
      },
    );
  },
};
