// A router of one's own: ReMoE's ReLU routing. The gate's positive values are the experts' weights, so a token goes to as many
// experts as have one, and an L1 loss, whose coefficient adapts after every step, drives their mean number to k.
// Try it: deno task check:router examples/relu_routing.ts
import {
  greater,
  maskExperts,
  matmul,
  normal,
  relu,
  reshape,
  type RouterPlugin,
  shareLoss,
  tensor,
  wholeNumbers,
  zeroPadding,
} from "@switchyard/moe";
import * as z from "zod";

/** Options of {@linkcode reluRouting}. */
export interface ReluRoutingOptions {
  /** Mean number of experts a token goes to, once the loss has had its way. */
  readonly k: number;
  /** lambda_0, the coefficient of the first step. */
  readonly coefficient: number;
  /** alpha, what the coefficient is multiplied or divided by after a step. */
  readonly growth: number;
  /** Standard deviation of the gate's init. */
  readonly initDeviation: number;
}

/** ReLU routing; equal in form to the abstract's description and to Megatron-LM's switch loss with a coefficient lambda. */
export const reluRouting: RouterPlugin<ReluRoutingOptions> = {
  name: "relu-routing",
  about: "ReLU of a linear gate is the weight of each expert; an adaptive L1 loss keeps k experts a token.",
  paper: {
    title: "ReMoE: Fully Differentiable Mixture-of-Experts with ReLU Routing",
    year: 2024,
    identifier: "arXiv:2412.14711",
    equations: "the gate, the L1 loss with load balancing, and the rule of its coefficient",
  },
  readings: [
    "Each layer has a coefficient and a sparsity of its own; released code shares one over layers.",
    "Defaults of coefficient and growth are those of released scripts; initDeviation is theirs for all weights.",
    "The formulas were read in public code and in summaries, not in the paper's text.",
  ],
  pitfalls: [
    "Half of all experts are active at the start, so early steps cost E / 2k times as much as later ones.",
    "From 1e-8 the coefficient takes about a hundred steps to reach 1; short runs want a larger one.",
    "An expert that is positive for no token has no gradient and does not come back.",
  ],
  traits: { causal: true, balancedBy: "loss", perToken: "varies", gradient: "through weight" },
  options: z.strictObject({
    k: z.int().min(1).default(1).describe(
      "mean number of experts a token goes to, once the loss has had its way",
    ),
    coefficient: z.number().positive().default(1e-8).describe("lambda_0, the coefficient of the first step"),
    growth: z.number().min(1).default(1.2)
      .describe("alpha, what the coefficient is multiplied or divided by after a step"),
    initDeviation: z.number().positive().default(0.01).describe("standard deviation of the gate's init"),
  }),
  expertsPerToken: ({ k }) => k,
  create({ D, E }, { k, coefficient, growth, initDeviation }, init) {
    if (k > E) throw new RangeError(`Cannot make router "relu-routing": k is ${k}; choose 1 to E = ${E}`);
    const gate_DE = init.parameter("gate", [D, E], normal(initDeviation));
    // lambda = coefficient * growth^exponent. A whole number is exact in a checkpoint, which holds f32.
    let exponent = 0;
    return {
      params: { gate: gate_DE },
      route(given_TD, { real_T }) {
        const x_TD = zeroPadding(given_TD, real_T); // padding may hold anything, NaN too
        const [T] = x_TD.shape;
        const weight_TE = relu(matmul(x_TD, gate_DE));
        const chosen_TE = greater(weight_TE, tensor(x_TD.backend, [0], [1]));
        // One assignment for each token and expert, -1 where the expert is not chosen.
        const expert_TE = maskExperts(wholeNumbers(x_TD, [T, E], (at) => at % E), chosen_TE);
        const expert_N = reshape(expert_TE, [T * E]);
        const lambda = coefficient * growth ** exponent;
        // lambda sum_e f_e mean_t weight_te with f_e = E / (k T) times the tokens that chose e.
        const weight = lambda * E / k;
        const sparsity = shareLoss({ probability_TE: weight_TE, chosen_TE, scope: T, real_T, weight });
        return {
          token_N: wholeNumbers(x_TD, [T * E], (at) => Math.floor(at / E)),
          expert_N,
          wanted_N: expert_N, // without a capacity, all that is wanted is kept
          weight_N: reshape(weight_TE, [T * E]),
          choices: null,
          losses: { sparsity },
          scalars: { lambda: tensor(x_TD.backend, [lambda], [1]) },
        };
      },
      observe({ tokens, kept }) {
        const active = kept.reduce((sum, count) => sum + count, 0) / tokens;
        exponent += Math.sign(active - k); // sign(target sparsity - sparsity), with sparsity 1 - active / E
      },
      state: () => ({ exponent: Float32Array.of(exponent) }),
      restore(state) {
        [exponent] = state.exponent;
      },
    };
  },
};
