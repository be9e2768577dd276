// Noisy top-k: noise is added to a linear gate, all but the k largest scores are left out, and softmax runs over what is
// left. Two losses even out how much and how many tokens experts get. Nobody is dropped.
import { z } from "zod";
import { affine, multiply } from "../tensor/arithmetic.ts";
import { sumFirst } from "../tensor/reduce.ts";
import { reshape, type Tensor } from "../tensor/tensor.ts";
import { leaveOutPadding } from "./capacity.ts";
import { squaredVariation } from "./losses.ts";
import {
  type NoisyGateOptions,
  noisyGateOptions,
  noisyGateParams,
  noisyScores,
  noisyTopK,
} from "./noisy_gate.ts";
import type { RouterPlugin } from "./router.ts";
import { tokenChoice } from "./scoring.ts";

/** Options of {@linkcode noisyTopKRouter}. */
export interface NoisyTopKOptions extends NoisyGateOptions {
  readonly k: number;
}

/** The sparsely-gated mixture of experts (Shazeer et al. 2017). */
export const noisyTopKRouter: RouterPlugin<NoisyTopKOptions> = {
  name: "noisy-top-k",
  about:
    "Top-k of a linear gate with learned noise, softmax over the kept, importance and smooth load losses.",
  paper: {
    title: "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer",
    year: 2017,
    identifier: "arXiv:1701.06538",
    equations: "section 2.1, equations 3 to 5; section 4, equations 6 and 7; appendix A, equations 8 to 11",
  },
  readings: [
    "P(x, i) lets gradient through the threshold as well as through the clean score, as " +
    "released code does.",
    "The variance in CV^2 divides by E; the paper does not say.",
    "Noise is drawn on the host, so that every backend adds the same bits.",
  ],
  pitfalls: [
    "The numerator of P(x, i) is the clean score; taking the noisy one is a common mistake.",
    "V-MoE and Tutel use one threshold for all experts and noise of 1 / E: both are options " +
    "here, and neither is the paper.",
    "With k = 1 the weight is 1, and the task sends the gate no gradient.",
    "The gate starts at 0: without noise (noise = none) every token begins with the first k " +
    "experts.",
  ],
  traits: { causal: true, balancedBy: "loss", perToken: "exactly K", gradient: "through weight" },
  options: z.strictObject({
    k: z.number().int().min(1).default(4).describe(
      "experts a token goes to; with 1 the weight is 1 and only the losses teach the gate",
    ),
    ...noisyGateOptions,
  }),
  expertsPerToken: ({ k }) => k,
  create({ D, E }, options, init) {
    const { k: K } = options;
    if (K > E) {
      throw new RangeError(`Cannot make a noisy-top-k router: k is ${K}, and there are ${E} experts`);
    }
    const params = noisyGateParams(D, E, options, init);
    return {
      params,
      route(x_TD, { training, random, real_T }) {
        const [T] = x_TD.shape;
        const scores = noisyScores(x_TD, params, E, options);
        const found = noisyTopK(scores, K, options, training ? random : null);
        const real = (values_TE: Tensor) => real_T ? multiply(values_TE, reshape(real_T, [T, 1])) : values_TE;
        const importance_E = sumFirst(real(found.gate_TE)); // equation 6
        const losses: Record<string, Tensor> = {
          importance: affine(squaredVariation(importance_E, options.variance), options.importance, 0), // equation 7
        };
        if (found.selected_TE) {
          const load_E = sumFirst(real(found.selected_TE)); // equation 10
          losses.load = affine(squaredVariation(load_E, options.variance), options.load, 0); // equation 11
        }
        const wanted_TK = leaveOutPadding(found.index_TK, real_T);
        return tokenChoice({ wanted_TK, expert_TK: wanted_TK, weight_TK: found.weight_TK }, {
          probability_TE: found.gate_TE,
          losses,
        });
      },
    };
  },
};
