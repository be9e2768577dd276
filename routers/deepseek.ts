// DeepSeekMoE and its successors: many narrow experts, some that every token goes to, sigmoid scores, and a bias that is
// nudged by the load after each step and decides the choice but not the weight. Shared experts are the first S of the
// bank, given to every token with weight 1, so that they cost what any other choice costs.
import * as z from "zod";
import { sigmoid, softplus } from "../tensor/activations.ts";
import { add, affine, divide, greater, log, multiply, negate } from "../tensor/arithmetic.ts";
import { normal } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import { softmax, sumLast } from "../tensor/reduce.ts";
import { putAlong, takeAlong, topK, wholeNumbers } from "../tensor/rows.ts";
import type { Sequences } from "../tensor/sequences.ts";
import { reshape, stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";
import { maskExperts } from "./parts/capacity.ts";
import { chosenCounts, shareLoss } from "./parts/losses.ts";
import { zeroPadding } from "./parts/padding.ts";
import type { RouterPlugin } from "./router.ts";
import { tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode deepseek}. */
export interface DeepseekOptions {
  /** Routed experts a token goes to (DeepSeekMoE 2B: 7; V2: 6; V3: 8). */
  readonly k: number;
  /** Experts every token goes to, with weight 1 (V2: 2). */
  readonly shared: number;
  /** Scores: sigmoid (V3) or softmax (V1, V2). */
  readonly score: "sigmoid" | "softmax";
  /** Divide weights by their sum over the chosen (V3); V1 and V2 do not. */
  readonly normalize: boolean;
  /** Factor on routed weights, after normalising (released code: 2.5 in V3-671B, 16 in V2-236B). */
  readonly routedScale: number;
  /** u, the step of the bias after each batch; 0 = no bias. */
  readonly biasRate: number;
  /** b += u sign(e), or b += u e, where e is the mean load minus the expert's. */
  readonly biasRule: "sign" | "error";
  /** Training steps in which the bias moves; null = all (V3 stops for the last 3% of its tokens). */
  readonly biasSteps: number | null;
  /** Groups (devices, nodes) of routed experts; 1 = no limit (V3: 8). */
  readonly expertGroups: number;
  /** Groups M a token may use (V2: 3 of 8; V3: 4 of 8). */
  readonly groupsKept: number;
  /**
   * Score of a group: its best (V2), the sum of its best two (V3), of its best k / M (V3's text, Megatron).
   */
  readonly groupScore: "max" | "top-2" | "share";
  /**
   * Experts of other groups score -infinity (also transformers 5.24), or 0, which beats a negative biased
   * score.
   */
  readonly groupMask: "infinity" | "zero";
  /** Weight alpha of the balance loss (V1: 0.01; V2: 0.003). */
  readonly balance: number;
  /** What f and P are counted over. */
  readonly balanceScope: "sequence" | "batch";
  /** f counts the k best scores without bias (as printed), or the choices made. */
  readonly balanceCounts: "scores" | "biased";
  /** Weight of the balance loss over groups (V2: 0.05). */
  readonly deviceBalance: number;
  /** Weight of the balance loss over groups that tokens are sent to (V2: 0.02). */
  readonly communicationBalance: number;
  /** Standard deviation of the gate's init. */
  readonly initDeviation: number;
}

/** The router of DeepSeek-V3 (2024), with the choices of DeepSeekMoE and DeepSeek-V2 as options. */
export const deepseek: RouterPlugin<DeepseekOptions> = {
  name: "deepseek",
  about:
    "Shared and fine-grained experts, sigmoid scores, balance by a bias on the choice, group-limited routing.",
  paper: {
    title: "DeepSeek-V3 Technical Report",
    year: 2024,
    identifier: "arXiv:2412.19437",
    equations:
      "equations 12 to 20; algorithm 1 of arXiv:2408.15664 (bias); equations 6 to 17 of arXiv:2401.06066 " +
      "(DeepSeekMoE); equations 20 to 31 of arXiv:2405.04434 (DeepSeek-V2)",
  },
  readings: [
    "Defaults are those of DeepSeekMoE 2B (7 routed, 1 shared) with the scores, bias and loss " +
    "of V3; V1: score softmax, normalize false, biasRate 0, balanceScope batch, balance 0.01; " +
    "V2 besides: balanceCounts biased (equations 23 to 31), expertGroups 8, groupsKept 3, groupScore max, routedScale 16.",
    "Shared experts are counted in E, and take no part in what is said about balance.",
    "The routed scale is 1, as in the text of the paper; released code has 2.5 (V3-671B) and " +
    "16 (V2-236B).",
    "Weights are divided by their sum + 1e-20, as in released code.",
  ],
  pitfalls: [
    "The bias decides the choice and never the weight, and no optimizer trains it.",
    "The bias moves by 0.001 a step, so balance takes hundreds of steps to show; 0.01 is " +
    "faster and oscillates later.",
    "The routed scale leaves shared experts alone, and comes after normalising.",
  ],
  traits: { causal: true, balancedBy: "bias", perToken: "exactly K", gradient: "through weight" },
  renamed: { groups: "expertGroups" },
  options: z.strictObject({
    k: z.number().int().min(1).default(7).describe(
      "routed experts a token goes to (DeepSeekMoE 2B: 7; V2: 6; V3: 8)",
    ),
    shared: z.number().int().min(0).default(1).describe("experts every token goes to, with weight 1 (V2: 2)"),
    score: z.enum(["sigmoid", "softmax"]).default("sigmoid").describe(
      "scores: sigmoid (V3) or softmax (V1, V2)",
    ),
    normalize: z.boolean().default(true)
      .describe("divide weights by their sum over the chosen (V3); V1 and V2 do not"),
    routedScale: z.number().positive().default(1)
      .describe("factor on routed weights, after normalising (released code: 2.5 in V3-671B, 16 in V2-236B)"),
    biasRate: z.number().min(0).default(1e-3).describe(
      "u, the step of the bias after each batch; 0 = no bias",
    ),
    biasRule: z.enum(["sign", "error"]).default("sign")
      .describe("b += u sign(e), or b += u e, where e is the mean load minus the expert's"),
    biasSteps: z.number().int().min(0).nullable().default(null)
      .describe(
        "training steps in which the bias moves; null = all (V3 stops for the last 3% of its tokens)",
      ),
    expertGroups: z.number().int().min(1).default(1).describe(
      "groups (devices, nodes) of routed experts; 1 = no limit (V3: 8)",
    ),
    groupsKept: z.number().int().min(1).default(1).describe(
      "groups M a token may use (V2: 3 of 8; V3: 4 of 8)",
    ),
    groupScore: z.enum(["max", "top-2", "share"]).default("top-2").describe(
      "score of a group: its best (V2), the sum of its best two (V3), of its best k / M (V3's text, Megatron)",
    ),
    groupMask: z.enum(["infinity", "zero"]).default("infinity").describe(
      "experts of other groups score -infinity (also transformers 5.24), or 0, which beats a negative biased score",
    ),
    balance: z.number().min(0).default(1e-4).describe(
      "weight alpha of the balance loss (V1: 0.01; V2: 0.003)",
    ),
    balanceScope: z.enum(["sequence", "batch"]).default("sequence").describe("what f and P are counted over"),
    balanceCounts: z.enum(["scores", "biased"]).default("scores")
      .describe("f counts the k best scores without bias (as printed), or the choices made"),
    deviceBalance: z.number().min(0).default(0).describe("weight of the balance loss over groups (V2: 0.05)"),
    communicationBalance: z.number().min(0).default(0)
      .describe("weight of the balance loss over groups that tokens are sent to (V2: 0.02)"),
    initDeviation: z.number().positive().default(0.006).describe("standard deviation of the gate's init"),
  }),
  expertsPerToken: ({ k, shared }) => k + shared,
  create({ D, E }, options, init) {
    const { k: K, shared: S, expertGroups: G, groupsKept: M } = options;
    const R = E - S;
    const inside = R / G;
    if (K > R) {
      throw new RangeError(
        `Cannot make a deepseek router: ${E} experts are too few for ${K} routed and ${S} shared`,
      );
    }
    if (!Number.isInteger(inside) || M > G || M * inside < K) {
      throw new RangeError(
        `Cannot make a deepseek router: ${M} of ${G} groups of ${R} routed experts have no room for ${K} choices each`,
      );
    }
    const gate_DR = init.parameter("gate", [D, R], normal(options.initDeviation));
    const bias = new Float32Array(R);
    let step = 0;
    return {
      params: { gate: gate_DR },
      route(given_TD, { training, real_T, sequences, step: now }) {
        const x_TD = zeroPadding(given_TD, real_T);
        if (training) step = now;
        const [T] = x_TD.shape;
        const logit_TR = matmul(x_TD, gate_DR);
        const score_TR = options.score === "sigmoid" ? sigmoid(logit_TR) : softmax(logit_TR); // V3 15, V1 11
        const biased_TR = add(stopGradient(score_TR), tensor(x_TD.backend, bias, [R])); // V3 16
        const limited_TR = G === 1 ? biased_TR : limitGroups(biased_TR, options, inside);
        const columns_TR = wholeNumbers(x_TD, [T, R], (at) => S + at % R);
        const spread = (values_TR: Tensor) => S === 0 ? values_TR : putAlong(values_TR, columns_TR, E);
        // Shared experts stand before all others: their place in the choice is infinitely good, their score 0.
        const ahead_E = Float32Array.from({ length: E }, (_, e) => e < S ? Infinity : 0);
        const { index_TK } = topK(add(spread(limited_TR), tensor(x_TD.backend, ahead_E, [E])), S + K);
        const chosen_TK = takeAlong(spread(score_TR), index_TK);
        const sum_T1 = affine(reshape(sumLast(chosen_TK), [T, 1]), 1, 1e-20);
        const routed_TK = options.normalize ? divide(chosen_TK, sum_T1) : chosen_TK; // V3 13, V1 10
        const shared_K = Float32Array.from({ length: S + K }, (_, at) => at < S ? 1 : 0);
        const weight_TK = add(
          affine(routed_TK, options.routedScale, 0),
          tensor(x_TD.backend, shared_K, [S + K]),
        );

        // V3 19, s / sum s, from logarithms, since sigmoids of a row may all be too small for f32.
        const share_TR = options.score === "softmax" ? score_TR : softmax(negate(softplus(negate(logit_TR))));
        const counted_TR = options.balanceCounts === "scores" ? stopGradient(score_TR) : limited_TR;
        const wanted_TK = maskExperts(index_TK, real_T);
        return {
          ...tokenChoice({ wanted_TK, expert_TK: wanted_TK, weight_TK }, {
            probability_TE: spread(share_TR),
            losses: balanceLosses(share_TR, counted_TR, {
              options,
              scope: options.balanceScope === "sequence" ? sequences : T,
              real_T,
            }),
          }),
          shared: S,
        };
      },
      observe({ wanted }) {
        if (options.biasSteps !== null && step >= options.biasSteps) return;
        const load = wanted.slice(S);
        const mean = load.reduce((sum, count) => sum + count, 0) / R;
        load.forEach((count, r) => { // algorithm 1 of arXiv:2408.15664
          const error = mean - count;
          bias[r] += options.biasRate * (options.biasRule === "sign" ? Math.sign(error) : error);
        });
      },
      state: () => ({ bias: bias.slice() }),
      restore: (state) => bias.set(state.bias),
    };
  },
};

/** Scores with those of all but the M best groups masked (V3, section 2.1.2; V2, section 2.2.2). */
function limitGroups(score_TR: Tensor, options: DeepseekOptions, inside: number): Tensor {
  const { k: K, expertGroups: G, groupsKept: M, groupScore } = options;
  const [T, R] = score_TR.shape;
  const byGroup = reshape(score_TR, [T * G, inside]);
  const counted = { max: 1, "top-2": 2, share: Math.max(1, Math.floor(K / M)) }[groupScore];
  const group_TG = reshape(sumLast(topK(byGroup, Math.min(counted, inside)).value_TK), [T, G]);
  const ones_TM = tensor(score_TR.backend, new Float32Array(T * M).fill(1), [T, M]);
  const kept = reshape(putAlong(ones_TM, topK(group_TG, M).index_TK, G), [T * G, 1]);
  const masked = options.groupMask === "zero" ? multiply(byGroup, kept) : add(byGroup, log(kept));
  return reshape(masked, [T, R]);
}

interface BalanceParts {
  readonly options: DeepseekOptions;
  readonly scope: number | Sequences;
  readonly real_T: Tensor | undefined;
}

/** V3 17 to 20 and V1 12 to 17, V2 23 to 31: sums over experts or groups of f P, each 1 when even. */
function balanceLosses(
  probability_TR: Tensor,
  counted_TR: Tensor,
  { options, scope, real_T }: BalanceParts,
): Record<string, Tensor> {
  const { k: K, expertGroups: G, groupsKept: M } = options;
  const [T, R] = probability_TR.shape;
  const best_TK = maskExperts(topK(counted_TR, K).index_TK, real_T);
  const picked_TR = chosenCounts(best_TK, R, K);
  const loss = (probability: Tensor, picked: Tensor, weight: number) =>
    shareLoss({ probability_TE: probability, chosen_TE: picked, scope, real_T, weight });
  const losses: Record<string, Tensor> = {};
  if (options.balance > 0) losses.balance = loss(probability_TR, picked_TR, options.balance * R / K);
  if (options.deviceBalance === 0 && options.communicationBalance === 0) return losses;
  const perGroup = (values_TR: Tensor) => reshape(sumLast(reshape(values_TR, [T * G, R / G])), [T, G]);
  const probability_TG = perGroup(probability_TR);
  const picked_TG = perGroup(picked_TR);
  if (options.deviceBalance > 0) {
    losses.device = loss(probability_TG, picked_TG, options.deviceBalance * G / K);
  }
  if (options.communicationBalance > 0) {
    const sent_TG = greater(picked_TG, tensor(picked_TG.backend, [0], [1]));
    losses.communication = loss(probability_TG, sent_TG, options.communicationBalance * G / M);
  }
  return losses;
}
