// GShard top-2: the two most probable experts, weights normalised over the two before anything is dropped; the second
// is drawn with probability 2 g2; capacity per group of tokens, all first choices before any second. Mesh-TensorFlow and
// DeepSpeed choose the second expert by other rules, which are options here.
import * as z from "zod";
import * as kernels from "../kernels/mod.ts";
import { add, affine, divide, log, multiply, negate } from "../tensor/arithmetic.ts";
import { concatColumns } from "../tensor/columns.ts";
import { truncatedNormal } from "../tensor/init.ts";
import { maximum } from "../tensor/piecewise.ts";
import { matmul } from "../tensor/products.ts";
import { shareOfRow, softmax, sumLast } from "../tensor/reduce.ts";
import { takeAlong, topK } from "../tensor/rows.ts";
import { apply, reshape, stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";
import type { Random } from "../tensor/random.ts";
import {
  capacityOf,
  type CapacityOptions,
  capacityOptions,
  keepWithinCapacity,
  maskExperts,
} from "./parts/capacity.ts";
import { keptMask } from "./parts/assignment.ts";
import { balanceLoss } from "./parts/losses.ts";
import { zeroPadding } from "./parts/padding.ts";
import { type SecondRule, usedExperts } from "./parts/second_expert.ts";
import type { RouterPlugin, RouteStep } from "./router.ts";
import { tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode gshard}. */
export interface GshardOptions extends CapacityOptions {
  /** Groups G with a capacity of their own; G divides T. */
  readonly groups: number;
  /** Weight of the balance loss (Mesh-TensorFlow's value; the paper names none). */
  readonly balance: number;
  /** Balanced reads 1 (released code), or 1 / E^2 (the paper's formula). */
  readonly balanceScale: "unit" | "paper";
  /**
   * The second expert is used with probability 2 g2 in training; always; with probability g2 /
   * secondThreshold in training, or where g2 is above it (Mesh-TensorFlow); or drawn among all others in
   * training (DeepSpeed).
   */
  readonly second: "random" | "always" | "mesh-random" | "threshold" | "gumbel";
  /** Threshold of Mesh-TensorFlow's two rules. */
  readonly secondThreshold: number;
  /** Weights sum to 1 over both choices, or over those that were kept (DeepSpeed). */
  readonly normalize: "before" | "after";
}

/** GShard's top-2 router (Lepikhin et al. 2020, algorithm 1). */
export const gshard: RouterPlugin<GshardOptions> = {
  name: "gshard",
  about: "Top-2 of a softmax gate, normalised weights, random second expert, capacity per group of tokens.",
  paper: {
    title: "GShard: Scaling Giant Models with Conditional Computation and Automatic Sharding",
    year: 2020,
    identifier: "arXiv:2006.16668",
    equations: "section 2.2, algorithm 1",
  },
  readings: [
    "Capacity is rounded up; the paper leaves rounding open.",
    "In evaluation the second expert is always used, unless a threshold says otherwise.",
    "The balance loss counts first choices before capacity, as algorithm 1 does after its first pass.",
  ],
  pitfalls: [
    "The paper's balance loss reads 1 / E^2 when balanced and released code's reads 1, so weights of one are not weights of the other (balanceScale).",
    "Weights are normalised before dropping: a token that lost a choice gets less than 1 (normalize = after: DeepSpeed).",
    "All first choices come before any second, so a later token can take an earlier one's place: not causal.",
  ],
  // Not causal: a later token's first choice takes the slot that an earlier token's second choice would have had.
  traits: { causal: false, balancedBy: "loss", perToken: "up to K", gradient: "through weight" },
  renamed: { normalise: "normalize" },
  options: z.strictObject({
    ...capacityOptions({ rule: "gshard", factor: 1, evaluationFactor: 2 }),
    groups: z.number().int().min(1).default(1).describe("groups G with a capacity of their own; G divides T"),
    balance: z.number().min(0).default(0.01)
      .describe("weight of the balance loss (Mesh-TensorFlow's value; the paper names none)"),
    balanceScale: z.enum(["unit", "paper"]).default("unit")
      .describe("balanced reads 1 (released code), or 1 / E^2 (the paper's formula)"),
    second: z.enum(["random", "always", "mesh-random", "threshold", "gumbel"]).default("random").describe(
      "the second expert is used with probability 2 g2 in training; always; with probability g2 / secondThreshold in " +
        "training, or where g2 is above it (Mesh-TensorFlow); or drawn among all others in training (DeepSpeed)",
    ),
    secondThreshold: z.number().gt(0).max(1).default(0.2).describe(
      "threshold of Mesh-TensorFlow's two rules",
    ),
    normalize: z.enum(["before", "after"]).default("before")
      .describe("weights sum to 1 over both choices, or over those that were kept (DeepSpeed)"),
  }),
  expertsPerToken: () => 2,
  create({ D, E }, options, init) {
    if (E < 2) throw new RangeError(`Cannot make a gshard router: it needs 2 experts or more, not ${E}`);
    const gate_DE = init.parameter("gate", [D, E], truncatedNormal(1 / Math.sqrt(D)));
    return {
      params: { gate: gate_DE },
      route(given_TD, step) {
        const x_TD = zeroPadding(given_TD, step.real_T);
        const { training, random, real_T } = step;
        const [T] = x_TD.shape;
        if (T % options.groups !== 0) {
          throw new RangeError(
            `Cannot route with gshard: groups = ${options.groups} does not divide ${T} tokens`,
          );
        }
        const scope = T / options.groups;
        const logit_TE = matmul(x_TD, gate_DE);
        const probability_TE = softmax(logit_TE);
        const index_TK = training && options.second === "gumbel"
          ? drawSecond(logit_TE, random)
          : topK(probability_TE, 2).index_TK;
        const value_TK = takeAlong(probability_TE, index_TK);
        const pairWeight_TK = shareOfRow(value_TK); // steps 2 and 4: g1, g2 over g1 + g2
        const chosen_TK = maskExperts(index_TK, real_T);
        const rule = secondRule(options, step);
        const wanted_TK = rule ? maskExperts(chosen_TK, usedExperts(pairWeight_TK, rule)) : chosen_TK;
        const expert_TK = keepWithinCapacity(wanted_TK, {
          E,
          capacity: capacityOf(options, { T: scope, E, K: 2 }, training, real_T),
          capacityAt: (tokens) => capacityOf(options, { T: tokens, E, K: 2 }, training),
          scope,
          dropOrder: options.dropOrder,
          training,
          probability_TK: value_TK,
          random,
          choiceMajor: true,
        });
        const weight_TK = options.normalize === "before"
          ? pairWeight_TK
          : overKept(value_TK, keptMask(expert_TK));
        const weight = options.balance * (options.balanceScale === "paper" ? 1 / (E * E) : 1);
        const balance = balanceLoss({
          probability_TE,
          wanted_TK: chosen_TK,
          real_T,
          scope,
          counts: "first",
          weight,
        });
        return tokenChoice({ wanted_TK, expert_TK, weight_TK }, {
          probability_TE,
          losses: { balance },
        });
      },
    };
  },
};

/** Weights that sum to 1 over kept choices; DeepSpeed's floor of the sum is the least step of f32 at 1. */
function overKept(value_TK: Tensor, kept_TK: Tensor): Tensor {
  const [T] = value_TK.shape;
  const kept = multiply(value_TK, kept_TK);
  const sum_T = sumLast(kept);
  const short_T = affine(stopGradient(sum_T), -1, 2 ** -23);
  const missing_T = maximum(short_T, tensor(sum_T.backend, [0], [1]));
  return divide(kept, reshape(add(sum_T, missing_T), [T, 1]));
}

/** When the second expert is used; null = always. Only a threshold speaks in evaluation, which has no noise. */
function secondRule(
  { second, secondThreshold }: GshardOptions,
  { training, random }: RouteStep,
): SecondRule | null {
  switch (second) {
    case "always":
    case "gumbel":
      return null;
    case "random": // step 4: 2 g2 > rnd
      return training ? { factor: 2, random } : null;
    case "mesh-random":
      return training ? { factor: 1 / secondThreshold, random } : null;
    case "threshold":
      return { threshold: secondThreshold };
    default:
      return second satisfies never;
  }
}

/** The most probable expert and one drawn from the others in proportion to their probability (Gumbel-max), [T, 2]. */
function drawSecond(logit_TE: Tensor, random: Random): Tensor {
  const [T, E] = logit_TE.shape;
  const { index_TK: first_T1 } = topK(stopGradient(logit_TE), 1);
  const [key0, key1] = random.split("second").key;
  const [draw] = apply(kernels.uniform, [], { key0, key1, shape: [T, E] }, logit_TE.backend);
  const gumbel_TE = negate(log(negate(log(draw)))); // a draw of 0 gives -infinity: never chosen
  const ones_T1 = tensor(logit_TE.backend, new Float32Array(T).fill(1), [T, 1]);
  const [isFirst_TE] = apply(kernels.takeAlongGradient, [first_T1, ones_T1], { columns: E });
  const others_TE = add(add(stopGradient(logit_TE), gumbel_TE), affine(isFirst_TE, -1e30, 0));
  return concatColumns([first_T1, topK(others_TE, 1).index_TK]);
}
