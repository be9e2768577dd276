// Sinkhorn (S-BASE): experts by the largest entries of an entropy-balanced transport plan in training, of the logits in
// evaluation. The plan carries no gradient, and its largest entries balance loads nearly, not exactly.
import * as z from "zod";
import { sigmoid } from "../tensor/activations.ts";
import { truncatedNormal } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import { softmax } from "../tensor/reduce.ts";
import { takeAlong, topK } from "../tensor/rows.ts";
import { balanceBySinkhorn } from "./parts/assignment.ts";
import {
  capacityOf,
  type CapacityOptions,
  capacityOptions,
  keepWithinCapacity,
  maskExperts,
} from "./parts/capacity.ts";
import { zeroPadding } from "./parts/padding.ts";
import type { RouterPlugin } from "./router.ts";
import { tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode sinkhorn}. */
export interface SinkhornOptions extends CapacityOptions {
  /** Experts a token goes to. */
  readonly k: number;
  /** Sinkhorn iterations; a fixed number, where Megatron-Core goes on to a tolerance of 1e-4. */
  readonly sinkhornIterations: number;
  /** s of the gate's init, sigma = sqrt(s / D). */
  readonly initScale: number;
}

/** Sinkhorn routing (Clark et al. 2022, in the form of Megatron-Core). */
export const sinkhorn: RouterPlugin<SinkhornOptions> = {
  name: "sinkhorn",
  about:
    "Top-k of an entropy-balanced plan in training, of the logits in evaluation; weight = sigmoid of the logit.",
  paper: {
    title: "Unified Scaling Laws for Routed Language Models",
    year: 2022,
    identifier: "arXiv:2202.01169",
    equations:
      "Sinkhorn-BASE in the form of Megatron-Core (the paper's own gate, temperature and iterations are unconfirmed), in the log domain",
  },
  readings: [
    "A fixed number of iterations in the log domain, so that large logits do not overflow; Megatron-Core goes on to a tolerance.",
    "The weight is a sigmoid of the logit at K = 1 and a softmax above, as in Megatron-Core.",
  ],
  pitfalls: [
    "The plan is balanced and its largest entries are nearly so: with the dropless rule nothing bounds an expert's load.",
    "The plan carries no gradient, and adding a balance loss to it is refused by Megatron-Core; there is none here.",
    "Evaluation takes the largest logits, without balancing.",
  ],
  // The plan is balanced; its largest entries are nearly so, which is nothing to rely on.
  traits: { causal: false, balancedBy: "nothing", perToken: "up to K", gradient: "through weight" },
  renamed: { choices: "k", iterations: "sinkhornIterations" },
  options: z.strictObject({
    k: z.number().int().min(1).default(1).describe("experts a token goes to"),
    sinkhornIterations: z.number().int().min(1).max(1000).default(10)
      .describe("Sinkhorn iterations; a fixed number, where Megatron-Core goes on to a tolerance of 1e-4"),
    ...capacityOptions({ rule: "dropless", factor: 1, evaluationFactor: 1 }),
    initScale: z.number().positive().default(0.1).describe("s of the gate's init, sigma = sqrt(s / D)"),
  }),
  expertsPerToken: ({ k }) => k,
  create({ D, E }, options, init) {
    const K = options.k;
    const gate_DE = init.parameter("gate", [D, E], truncatedNormal(Math.sqrt(options.initScale / D)));
    return {
      params: { gate: gate_DE },
      route(given_TD, { training, random, real_T }) {
        const x_TD = zeroPadding(given_TD, real_T);
        const [T] = x_TD.shape;
        if (K > E) throw new RangeError(`Cannot route with sinkhorn: choices = ${K} exceeds ${E} experts`);
        const logit_TE = matmul(x_TD, gate_DE);
        const plan_TE = training
          ? balanceBySinkhorn(logit_TE, { scope: T, real_T, iterations: options.sinkhornIterations })
          : logit_TE;
        const wanted_TK = maskExperts(topK(plan_TE, K).index_TK, real_T);
        const weight_TE = K === 1 ? sigmoid(logit_TE) : softmax(logit_TE);
        const weight_TK = takeAlong(weight_TE, wanted_TK);
        const expert_TK = keepWithinCapacity(wanted_TK, {
          E,
          capacity: capacityOf(options, { T, E, K }, training, real_T),
          capacityAt: (tokens) => capacityOf(options, { T: tokens, E, K }, training),
          scope: T,
          dropOrder: options.dropOrder,
          training,
          probability_TK: weight_TK,
          random,
          choiceMajor: true,
        });
        return tokenChoice({ wanted_TK, expert_TK, weight_TK }, { losses: {} });
      },
    };
  },
};
