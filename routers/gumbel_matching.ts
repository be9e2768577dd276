// Gumbel-Matching: the balanced assignment that is best under log-probabilities plus Gumbel noise, so that loads are equal
// and yet every token's expert is a sample; weights p / q undo what balancing did to its chances.
import * as z from "zod";
import { add } from "../tensor/arithmetic.ts";
import { stopGradient } from "../tensor/tensor.ts";
import {
  assignBalanced,
  balanceBySinkhorn,
  gumbelNoise,
  matchBalanced,
  matchingImportance,
} from "./parts/assignment.ts";
import type { RouterPlugin } from "./router.ts";
import { createSampledRouter, type SampledOptions, sampledOptions } from "./parts/sampled.ts";

/** Options of {@linkcode gumbelMatching}. */
export interface GumbelMatchingOptions extends SampledOptions {
  /**
   * What noise is added to: the router's distribution, or that balanced by Sinkhorn first (the same where E
   * divides T).
   */
  readonly proposal: "router" | "sinkhorn";
  /** Iterations of that balancing. */
  readonly sinkhornIterations: number;
}

/** Balanced Gumbel-Matching (Kool, Maddison and Mnih 2021). */
export const gumbelMatching: RouterPlugin<GumbelMatchingOptions> = {
  name: "gumbel-matching",
  about:
    "Samples a perfectly balanced assignment by solving it on Gumbel-perturbed log-probabilities, and weighs gradients by p / q to stay unbiased.",
  paper: {
    title: "Unbiased Gradient Estimation with Balanced Assignments for Mixtures of Experts",
    year: 2021,
    identifier: "arXiv:2109.11817",
    equations:
      "the balanced estimator as its abstract and figure 1 describe it; formulas derived here (equation numbers unconfirmed)",
  },
  readings: [
    "Only the abstract and figure 1 could be read; conditionals, weights and baselines are derived here and tested by enumeration.",
    "Where E does not divide the tokens, loads differ by one at most.",
    "The baseline is a mean of earlier steps: one of the same batch would be biased.",
  ],
  pitfalls: [
    "The weight is p / q of the conditional given everybody else's noise; a ratio of marginals would be another, and intractable.",
    "Outputs weigh 1: multiplying by p as well would count the router's gradient twice.",
    "Evaluation takes the most probable expert without balance, so its loads say nothing about training's.",
    "On WebGPU the T E scores are read once a layer and step, and matched on the host.",
  ],
  traits: { causal: false, balancedBy: "construction", perToken: "exactly K", gradient: "score function" },
  options: z.strictObject({
    proposal: z.enum(["router", "sinkhorn"]).default("router")
      .describe(
        "what noise is added to: the router's distribution, or that balanced by Sinkhorn first (the same where E divides T)",
      ),
    sinkhornIterations: z.number().int().min(1).max(1000).default(20).describe(
      "iterations of that balancing",
    ),
    ...sampledOptions,
  }),
  expertsPerToken: () => 1,
  create(dims, options, init) {
    return createSampledRouter("gumbel-matching", dims, options, init, async (given_TE, step) => {
      const logProbability_TE = stopGradient(given_TE);
      const logProposal_TE = options.proposal === "sinkhorn"
        ? balanceBySinkhorn(logProbability_TE, { ...step, iterations: options.sinkhornIterations })
        : logProbability_TE;
      // s_ij = log p~_ij + G_ij; z = argmax over balanced z of sum_i s_(i, z_i).
      const score_TE = add(logProposal_TE, gumbelNoise(logProposal_TE, step.random));
      if (!step.weighted) {
        const expert_T = await assignBalanced(score_TE, step);
        return { wanted_T: expert_T, expert_T, importance_T: null };
      }
      const { expert_T, gain_TE } = await matchBalanced(score_TE, step);
      const matching = { expert_T, gain_TE, logProposal_TE, logProbability_TE, real_T: step.real_T };
      return { wanted_T: expert_T, expert_T, importance_T: matchingImportance(matching) };
    });
  },
};
