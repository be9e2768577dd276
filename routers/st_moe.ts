// ST-MoE: top-2 with normalised weights, a z-loss that keeps router logits small, and a second expert that is used as
// often as its weight is large against a threshold. Capacity does not count the second choice (Mesh-TensorFlow).
import * as z from "zod";
import * as kernels from "../kernels/mod.ts";
import { affine, greater, multiply } from "../tensor/arithmetic.ts";
import { truncatedNormal } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import type { Random } from "../tensor/random.ts";
import { shareOfRow, softmax } from "../tensor/reduce.ts";
import { topK } from "../tensor/rows.ts";
import { apply, type Tensor, tensor } from "../tensor/tensor.ts";
import {
  capacityOf,
  type CapacityOptions,
  capacityOptions,
  keepWithinCapacity,
  leaveOut,
  leaveOutPadding,
} from "./parts/capacity.ts";
import { balanceLoss, zLoss } from "./parts/losses.ts";
import type { RouterPlugin } from "./router.ts";
import { jitter, tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode stMoe}. */
export interface StMoeOptions extends CapacityOptions {
  readonly groups: number;
  readonly second: "random" | "threshold" | "all" | "none";
  readonly evaluationSecond: "threshold" | "all" | "none";
  readonly threshold: number;
  readonly balance: number;
  readonly balanceCounts: "first" | "all" | "all-mean";
  readonly z: number;
  readonly jitter: number;
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
  options: z.strictObject({
    ...capacityOptions({ rule: "mesh", factor: 1.25, evaluationFactor: 2 }),
    groups: z.number().int().min(1).default(1).describe("groups with a capacity of their own; they divide T"),
    second: z.enum(["random", "threshold", "all", "none"]).default("random").describe(
      "second expert in training: with probability min(1, g2 / threshold), when g2 > threshold, always, or never",
    ),
    evaluationSecond: z.enum(["threshold", "all", "none"]).default("threshold").describe(
      "second expert in evaluation, where nothing is drawn (Mesh-TensorFlow draws there too)",
    ),
    threshold: z.number().positive().max(1).default(0.2).describe(
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
      route(x_TD, { training, random, real_T }) {
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
        const chosen_TK = leaveOutPadding(index_TK, real_T);
        const policy = training ? options.second : options.evaluationSecond;
        const unused_TK = unusedSecond(policy, weight_TK, options.threshold, random);
        const wanted_TK = unused_TK ? leaveOut(unused_TK, chosen_TK) : chosen_TK;
        const expert_TK = keepWithinCapacity(wanted_TK, {
          E,
          capacity: capacityOf(options, { T: scope, E, K: 2 }, training, real_T),
          scope,
          dropOrder: options.dropOrder,
          probability_TK: value_TK,
          random,
          training,
          choiceMajor: true,
        });
        const counts = options.balanceCounts;
        const balance = balanceLoss({
          ...{ probability_TE, wanted_TK: chosen_TK, real_T, scope },
          ...{ counts, weight: options.balance },
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

/** 1 for second choices that are not used, 0 elsewhere; null when all are used. */
function unusedSecond(
  policy: StMoeOptions["second"],
  weight_TK: Tensor,
  threshold: number,
  random: Random,
): Tensor | null {
  const { backend, shape } = weight_TK;
  const secondOnly = tensor(backend, [0, 1], [2]);
  const without = (used_TK: Tensor) => multiply(affine(used_TK, -1, 1), secondOnly);
  switch (policy) {
    case "all":
      return null;
    case "none":
      return without(affine(weight_TK, 0, 0));
    case "threshold":
      return without(greater(weight_TK, tensor(backend, [threshold], [1])));
    case "random": {
      const [key0, key1] = random.split("second").key;
      const [draw_TK] = apply(kernels.uniform, [], { key0, key1, shape }, backend);
      return without(greater(affine(weight_TK, 1 / threshold, 0), draw_TK));
    }
    default:
      return policy satisfies never;
  }
}
