// ST-MoE: top-2 with normalised weights, a z-loss that keeps router logits small, and a second expert that is used as
// often as its weight is large against a threshold. Capacity does not count the second choice (Mesh-TensorFlow).
import * as z from "zod";
import { truncatedNormal } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import type { Random } from "../tensor/random.ts";
import { shareOfRow, softmax } from "../tensor/reduce.ts";
import { topK } from "../tensor/rows.ts";
import {
  capacityOf,
  type CapacityOptions,
  capacityOptions,
  keepWithinCapacity,
  maskExperts,
} from "./parts/capacity.ts";
import { balanceLoss, zLoss } from "./parts/losses.ts";
import { zeroPadding } from "./parts/padding.ts";
import { type SecondRule, usedExperts } from "./parts/second_expert.ts";
import type { RouterPlugin } from "./router.ts";
import { jitter, tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode stMoe}. */
export interface StMoeOptions extends CapacityOptions {
  /** Groups with a capacity of their own; they divide T. */
  readonly groups: number;
  /**
   * Second expert in training: with probability min(1, g2 / secondThreshold), when g2 is above it, always, or
   * never.
   */
  readonly second: "random" | "threshold" | "always" | "never";
  /** Second expert in evaluation, where nothing is drawn (Mesh-TensorFlow draws there too). */
  readonly evaluationSecond: "threshold" | "always" | "never";
  /** Threshold for the second expert's weight g2. */
  readonly secondThreshold: number;
  /** Weight c_B of the balance loss (Mesh-TensorFlow's value). */
  readonly balance: number;
  /** Choices the balance loss counts: first, all (balanced reads 2), all over K. */
  readonly balanceCounts: "first" | "all" | "all-mean";
  /** Weight c_z of the router z-loss (Flaxformer: 1e-4). */
  readonly z: number;
  /** Input noise U(1 - jitter, 1 + jitter) in training. */
  readonly jitter: number;
  /** s of the gate's init, sigma = sqrt(s / D). */
  readonly initScale: number;
}

/** The router of stable and transferable experts (Zoph et al. 2022). */
export const stMoe: RouterPlugin<StMoeOptions> = {
  name: "st-moe",
  about: "Top-2 of a softmax gate with a router z-loss; the second expert is used relative to a threshold.",
  paper: {
    title: "ST-MoE: Designing Stable and Transferable Sparse Expert Models",
    year: 2022,
    identifier: "arXiv:2202.08906",
    equations:
      "equations 5 and 6 (z-loss, total loss); sections 3.4, 4.1 and 5.2 (top-2, capacity, threshold)",
  },
  readings: [
    "In training the second expert is drawn with probability min(1, g2 / threshold), as in " +
    "Mesh-TensorFlow; in evaluation it is used when g2 is above the threshold, since nothing " +
    "is drawn there.",
    "Weights are divided by their sum before anything is dropped.",
  ],
  pitfalls: [
    "The published capacity does not count the second choice: at factor 1.25 at most 62.5% of " +
    "two choices a token fit.",
    "The z-loss is on router logits, a mean over real tokens; a z-loss on output logits is " +
    "another thing.",
  ],
  // Not causal: a later token's first choice takes the slot that an earlier token's second choice would have had.
  traits: { causal: false, balancedBy: "loss", perToken: "up to K", gradient: "through weight" },
  renamed: { threshold: "secondThreshold" },
  renamedValues: {
    second: { all: "always", none: "never" },
    evaluationSecond: { all: "always", none: "never" },
  },
  options: z.strictObject({
    ...capacityOptions({ rule: "mesh", factor: 1.25, evaluationFactor: 2 }),
    groups: z.number().int().min(1).default(1).describe("groups with a capacity of their own; they divide T"),
    second: z.enum(["random", "threshold", "always", "never"]).default("random").describe(
      "second expert in training: with probability min(1, g2 / secondThreshold), when g2 is above it, always, or never",
    ),
    evaluationSecond: z.enum(["threshold", "always", "never"]).default("threshold").describe(
      "second expert in evaluation, where nothing is drawn (Mesh-TensorFlow draws there too)",
    ),
    secondThreshold: z.number().positive().max(1).default(0.2).describe(
      "threshold for the second expert's weight g2",
    ),
    balance: z.number().min(0).default(0.01).describe(
      "weight c_B of the balance loss (Mesh-TensorFlow's value)",
    ),
    balanceCounts: z.enum(["first", "all", "all-mean"]).default("first")
      .describe("choices the balance loss counts: first, all (balanced reads 2), all over K"),
    z: z.number().min(0).default(1e-3).describe("weight c_z of the router z-loss (Flaxformer: 1e-4)"),
    jitter: z.number().min(0).max(1).default(0).describe("input noise U(1 - jitter, 1 + jitter) in training"),
    initScale: z.number().positive().default(0.1).describe("s of the gate's init, sigma = sqrt(s / D)"),
  }),
  expertsPerToken: () => 2,
  create({ D, E }, options, init) {
    if (E < 2) throw new RangeError(`Cannot make an st-moe router: it needs 2 experts or more, not ${E}`);
    const gate_DE = init.parameter("gate", [D, E], truncatedNormal(Math.sqrt(options.initScale / D)));
    return {
      params: { gate: gate_DE },
      route(given_TD, { training, random, real_T }) {
        const x_TD = zeroPadding(given_TD, real_T);
        const [T] = x_TD.shape;
        if (T % options.groups !== 0) {
          throw new RangeError(
            `Cannot route with st-moe: groups = ${options.groups} does not divide ${T} tokens`,
          );
        }
        const scope = T / options.groups;
        const input_TD = training && options.jitter > 0 ? jitter(x_TD, options.jitter, random) : x_TD;
        const logit_TE = matmul(input_TD, gate_DE);
        const probability_TE = softmax(logit_TE);
        const { value_TK, index_TK } = topK(probability_TE, 2);
        const weight_TK = shareOfRow(value_TK);
        const chosen_TK = maskExperts(index_TK, real_T);
        const policy = training ? options.second : options.evaluationSecond;
        const rule = secondRule(policy, options.secondThreshold, random);
        const wanted_TK = rule ? maskExperts(chosen_TK, usedExperts(weight_TK, rule)) : chosen_TK;
        const expert_TK = keepWithinCapacity(wanted_TK, {
          E,
          capacity: capacityOf(options, { T: scope, E, K: 2 }, training, real_T),
          capacityAt: (tokens) => capacityOf(options, { T: tokens, E, K: 2 }, training),
          scope,
          dropOrder: options.dropOrder,
          probability_TK: value_TK,
          random,
          training,
          choiceMajor: true,
        });
        const counts = options.balanceCounts;
        const balance = balanceLoss({
          probability_TE,
          wanted_TK: chosen_TK,
          real_T,
          scope,
          counts,
          weight: options.balance,
        });
        return tokenChoice({ wanted_TK, expert_TK, weight_TK }, {
          probability_TE,
          // Equation 6, without the cross-entropy: c_B L_B + c_z L_z.
          losses: { balance, z: zLoss(logit_TE, real_T, options.z) },
        });
      },
    };
  },
};

/** When the second expert is used; null = always. */
function secondRule(
  policy: StMoeOptions["second"],
  threshold: number,
  random: Random,
): SecondRule | null {
  switch (policy) {
    case "always":
      return null;
    case "never":
      return "never";
    case "threshold":
      return { threshold };
    case "random":
      return { factor: 1 / threshold, random };
    default:
      return policy satisfies never;
  }
}
