// Noisy top-k: noise is added to a linear gate, all but the k largest scores are left out, and softmax runs over what is
// left. Two losses even out how much and how many tokens experts get. No token is dropped. Strictly balanced gating, the
// same paper's other gate, is an option.
import * as z from "zod";
import { affine } from "../tensor/arithmetic.ts";
import { constant, type Init } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import { softmax, sumFirst } from "../tensor/reduce.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { maskExperts } from "./parts/capacity.ts";
import { squaredVariation } from "./parts/losses.ts";
import { realRows, zeroPadding } from "./parts/padding.ts";
import {
  type NoisyGateOptions,
  noisyGateOptions,
  noisyGateParams,
  noisyScores,
  noisyTopK,
} from "./parts/noisy_gate.ts";
import type { Router, RouterPlugin } from "./router.ts";
import { tokenChoice } from "./parts/scoring.ts";
import { batchwiseLoss, chooseBatchwise, chooseByThreshold } from "./parts/strict_gate.ts";

/** Options of {@linkcode noisyTopKRouter}. */
export interface NoisyTopKOptions extends NoisyGateOptions {
  /**
   * Experts a token goes to (strict: on average); with 1 the weight is 1 and only the losses teach the gate.
   */
  readonly k: number;
  /**
   * Noisy top-k, or strictly balanced (appendix F): in training experts take their best tokens, equally many,
   * in evaluation those above a learned threshold.
   */
  readonly gating: "top-k" | "strict";
  /** Weight of the loss that teaches strict gating's thresholds. */
  readonly batchwise: number;
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
    equations:
      "section 2.1, equations 3 to 5; section 4, equations 6 and 7; appendix A, equations 8 to 11; appendix F, equations 15 to 20",
  },
  readings: [
    "P(x, i) lets gradient through the threshold as well as through the clean score, as " +
    "released code does.",
    "The variance in CV^2 divides by E; the paper does not say.",
    "Noise is drawn on the host, so that every backend adds the same bits.",
    "Strict gating has no noise (equation 15 has none) and no load loss (loads are equal); the importance loss stays, on " +
    "the gates of equation 16. m = k |X| / n is rounded down, and counts real tokens.",
    "Thresholds are parameters that start at 1 / E. Equation 20 is divided by |X|, so that it does not fill the clipped " +
    "norm of all gradients, and teaches thresholds alone.",
  ],
  pitfalls: [
    "The numerator of P(x, i) is the clean score; taking the noisy one is a common mistake.",
    "V-MoE and Tutel use one threshold for all experts and noise of 1 / E: both are options " +
    "here, and neither is the paper.",
    "With k = 1 the weight is 1, and the task sends the gate no gradient.",
    "The gate starts at 0: without noise (noise = none) every token begins with the first k " +
    "experts.",
    "Strict gating looks at the whole batch in training, so it is not causal there; in evaluation each token is judged " +
    "alone, and may get any number of experts: K is a mean, and only as good as the thresholds.",
    "Strict gating starts with equal gates, where experts take the earliest tokens; one step later they differ.",
  ],
  traits: { causal: true, balancedBy: "loss", perToken: "exactly K", gradient: "through weight" },
  traitsWith: ({ gating }) => gating === "strict" ? { perToken: "varies" } : {},
  options: z.strictObject({
    k: z.number().int().min(1).default(4).describe(
      "experts a token goes to (strict: on average); with 1 the weight is 1 and only the losses teach the gate",
    ),
    gating: z.enum(["top-k", "strict"]).default("top-k").describe(
      "noisy top-k, or strictly balanced (appendix F): in training experts take their best tokens, equally many, in " +
        "evaluation those above a learned threshold",
    ),
    batchwise: z.number().min(0).default(1).describe(
      "weight of the loss that teaches strict gating's thresholds",
    ),
    ...noisyGateOptions,
  }),
  expertsPerToken: ({ k }) => k,
  create({ D, E }, options, init) {
    const { k: K } = options;
    if (K > E) {
      throw new RangeError(`Cannot make a noisy-top-k router: k is ${K}, and there are ${E} experts`);
    }
    return options.gating === "strict" ? strictRouter(D, E, options, init) : topKRouter(D, E, options, init);
  },
};

function topKRouter(D: number, E: number, options: NoisyTopKOptions, init: Init): Router {
  const params = noisyGateParams(D, E, options, init);
  return {
    params,
    route(given_TD, { training, random, real_T }) {
      const x_TD = zeroPadding(given_TD, real_T);
      const found = noisyTopK(
        noisyScores(x_TD, params, E, options),
        options.k,
        options,
        training ? random : null,
      );
      const losses: Record<string, Tensor> = { importance: importanceLoss(found.gate_TE, options, real_T) };
      if (found.selected_TE) {
        const load_E = sumFirst(realRows(found.selected_TE, real_T)); // equation 10
        losses.load = affine(squaredVariation(load_E, options.variance), options.load, 0); // equation 11
      }
      const wanted_TK = maskExperts(found.index_TK, real_T);
      return tokenChoice({ wanted_TK, expert_TK: wanted_TK, weight_TK: found.weight_TK }, {
        probability_TE: found.gate_TE,
        losses,
      });
    },
  };
}

function strictRouter(D: number, E: number, options: NoisyTopKOptions, init: Init): Router {
  const params = {
    gate: init.parameter("gate", [D, E], constant(0)),
    threshold: init.parameter("threshold", [E], constant(1 / E)),
  };
  return {
    params,
    route(given_TD, { training, real_T }) {
      const x_TD = zeroPadding(given_TD, real_T);
      const probability_TE = softmax(matmul(x_TD, params.gate)); // equation 15
      const { assignments, gate_TE, mask_TE } = training
        ? chooseBatchwise(probability_TE, options.k, real_T)
        : chooseByThreshold(probability_TE, params.threshold, real_T);
      const batchwise = batchwiseLoss(probability_TE, params.threshold, mask_TE, real_T);
      const losses = {
        importance: importanceLoss(gate_TE, options, real_T),
        batchwise: affine(batchwise, options.batchwise, 0),
      };
      return { ...assignments, losses, probability_TE };
    },
  };
}

function importanceLoss(gate_TE: Tensor, options: NoisyTopKOptions, real_T: Tensor | undefined): Tensor {
  const importance_E = sumFirst(realRows(gate_TE, real_T)); // equation 6
  return affine(squaredVariation(importance_E, options.variance), options.importance, 0); // equation 7
}
