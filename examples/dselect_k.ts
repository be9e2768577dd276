// A router of one's own: DSelect-k. Each of k selectors writes the expert's number in binary, every digit a smooth step of a
// linear function of the token, and a loss on the selectors' entropy makes them choose one expert each.
// Try it: deno task check:router examples/dselect_k.ts
import {
  add,
  affine,
  clamp,
  concatColumns,
  greater,
  log,
  maskExperts,
  matmul,
  meanOfReal,
  multiply,
  pow,
  reshape,
  type RouterPlugin,
  sliceColumns,
  softmax,
  square,
  sumLast,
  type Tensor,
  tensor,
  uniformWithin,
  wholeNumbers,
  zeroPadding,
} from "@switchyard/moe";
import * as z from "zod";

/** Options of {@linkcode dselectK}. */
export interface DselectKOptions {
  /** Selectors: experts a token goes to at most, once each has settled on one. */
  readonly k: number;
  /** gamma, the width in which the smooth step rises from 0 to 1. */
  readonly gamma: number;
  /** Weight of the selectors' mean entropy. */
  readonly entropy: number;
  /** Weight of the loss that keeps selectors on codes of experts, where E is no power of two. */
  readonly reachable: number;
}

/** What logarithms and quotients are kept away from 0 by, as in released code. */
const EPSILON = 1e-6;

/** 0 up to -gamma / 2, 1 from gamma / 2, and between them the cubic that joins both smoothly. */
function smoothStep(x: Tensor, gamma: number): Tensor {
  const u = clamp(affine(x, 1 / gamma, 0), -0.5, 0.5);
  return affine(multiply(u, affine(square(u), -2, 1.5)), 1, 0.5); // exactly 0 and 1 at the ends
}

/** Products of digits [T, m] for the codes 0 to E - 1, the first digit the highest: [T, E]. */
function selected(digit_TM: Tensor, E: number): Tensor {
  const digits = Array.from({ length: digit_TM.shape[1] }, (_, at) => sliceColumns(digit_TM, at, at + 1));
  const [last, ...higher] = digits.reverse();
  const not = (one: Tensor) => affine(one, -1, 1);
  const whole = higher.reduce(
    (part, one) => concatColumns([multiply(part, not(one)), multiply(part, one)]),
    concatColumns([not(last), last]),
  );
  return sliceColumns(whole, 0, E);
}

const sum = (parts: readonly Tensor[]) => parts.reduce((a, b) => add(a, b));

/** DSelect-k with gates that see the token. */
export const dselectK: RouterPlugin<DselectKOptions> = {
  name: "dselect-k",
  about: "k selectors write an expert's number in binary by smooth steps; their entropy is a loss.",
  paper: {
    title:
      "DSelect-k: Differentiable Selection in the Mixture of Experts with Applications to Multi-Task Learning",
    year: 2021,
    identifier: "arXiv:2106.03760",
    equations: "the smooth-step, the single-expert selector, the per-example gate, the entropy regulariser",
  },
  readings: [
    "Losses are means over real tokens; released code adds them up over the batch.",
    "Init, EPSILON and the loss for codes without an expert are those of released code (google-research/dselect_k_moe).",
    "The weight of the entropy is ours; released code has 1e-6 on a sum.",
    "The formulas were read in released code, not in the paper's text.",
  ],
  pitfalls: [
    "Every token goes to all E experts at the start, so early steps cost E / k times as much as later ones.",
    "Nothing balances the load of experts.",
    "Outside the smooth step's width its gradient is 0: a selector that has settled stays.",
  ],
  traits: { causal: true, balancedBy: "nothing", perToken: "varies", gradient: "through weight" },
  options: z.strictObject({
    k: z.int().min(1).default(2)
      .describe("selectors: experts a token goes to at most, once each has settled on one"),
    gamma: z.number().positive().default(1)
      .describe("gamma, the width in which the smooth step rises from 0 to 1"),
    entropy: z.number().min(0).default(0.01).describe("weight of the selectors' mean entropy"),
    reachable: z.number().min(0).default(1).describe(
      "weight of the loss that keeps selectors on codes of experts, where E is no power of two",
    ),
  }),
  expertsPerToken: ({ k }) => k,
  create({ D, E }, { k, gamma, entropy, reachable }, init) {
    if (E < 2) throw new RangeError(`Cannot make router "dselect-k": E is ${E}; choose 2 experts or more`);
    const m = Math.ceil(Math.log2(E));
    const code_DC = init.parameter("code", [D, k * m], uniformWithin(gamma / 100));
    const codeBias_C = init.parameter("codeBias", [k * m], uniformWithin(gamma / 100));
    const mix_DK = init.parameter("mix", [D, k], uniformWithin(0.05));
    const mixBias_K = init.parameter("mixBias", [k], uniformWithin(0.05));
    return {
      params: { code: code_DC, codeBias: codeBias_C, mix: mix_DK, mixBias: mixBias_K },
      route(given_TD, { real_T }) {
        const x_TD = zeroPadding(given_TD, real_T); // padding may hold anything, NaN too
        const [T] = x_TD.shape;
        const digit_TC = smoothStep(add(matmul(x_TD, code_DC), codeBias_C), gamma);
        const mix_TK = softmax(add(matmul(x_TD, mix_DK), mixBias_K));
        const selectors = Array.from(
          { length: k },
          (_, i) => selected(sliceColumns(digit_TC, i * m, (i + 1) * m), E),
        );
        const weight_TE = sum(selectors.map((r_TE, i) => multiply(r_TE, sliceColumns(mix_TK, i, i + 1))));
        const entropy_T = sum(
          selectors.map((r_TE) => sumLast(multiply(r_TE, log(affine(r_TE, 1, EPSILON))))),
        );
        const losses: Record<string, Tensor> = {
          entropy: affine(meanOfReal(entropy_T, real_T), -entropy, 0),
        };
        if (2 ** m !== E) {
          const lost_T = sum(selectors.map((r_TE) => pow(affine(sumLast(r_TE), 1, EPSILON), -1)));
          losses.reachable = affine(meanOfReal(lost_T, real_T), reachable, 0);
        }
        // One assignment for each token and expert, -1 where the weight is exactly 0 and on padding.
        const chosen_TE = greater(weight_TE, tensor(x_TD.backend, [0], [1]));
        const expert_TE = maskExperts(wholeNumbers(x_TD, [T, E], (at) => at % E), chosen_TE);
        const expert_N = reshape(maskExperts(expert_TE, real_T), [T * E]);
        return {
          token_N: wholeNumbers(x_TD, [T * E], (at) => Math.floor(at / E)),
          expert_N,
          wanted_N: expert_N, // without a capacity, all that is wanted is kept
          weight_N: reshape(weight_TE, [T * E]),
          choices: null,
          losses,
          // Where some codes are of no expert, the rest need not sum to 1: no distribution then.
          ...(2 ** m === E ? { probability_TE: weight_TE } : {}),
        };
      },
    };
  },
};
