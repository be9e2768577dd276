// GShard top-2: the two most probable experts, weights normalised over the two before anything is dropped; the second
// is drawn with probability 2 g2; capacity per group of tokens, all first choices before any second.
import { z } from "zod";
import * as kernels from "../kernels/mod.ts";
import { affine, divide, greater, multiply } from "../tensor/arithmetic.ts";
import { truncatedNormal } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import { softmax, sumLast } from "../tensor/reduce.ts";
import { topK } from "../tensor/rows.ts";
import { apply, reshape, type Tensor, tensor } from "../tensor/tensor.ts";
import type { Random } from "../tensor/random.ts";
import {
  capacityOf,
  type CapacityOptions,
  capacityOptions,
  keepWithinCapacity,
  leaveOut,
  leaveOutPadding,
} from "./capacity.ts";
import { balanceLoss } from "./losses.ts";
import type { RouterPlugin } from "./router.ts";
import { tokenChoice } from "./scoring.ts";

/** Options of {@linkcode gshard}. */
export interface GshardOptions extends CapacityOptions {
  readonly groups: number;
  readonly balance: number;
  readonly balanceScale: "unit" | "paper";
  readonly second: "random" | "always";
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
  // Not causal: a later token's first choice takes the slot that an earlier token's second choice would have had.
  traits: { causal: false, balancedBy: "loss", perToken: "up to K", gradient: "through weight" },
  options: z.strictObject({
    ...capacityOptions({ rule: "gshard", factor: 1, evaluationFactor: 2 }),
    groups: z.number().int().min(1).default(1).describe("groups G with a capacity of their own; G divides T"),
    balance: z.number().min(0).default(0.01)
      .describe("weight of the balance loss (Mesh-TensorFlow's value; the paper names none)"),
    balanceScale: z.enum(["unit", "paper"]).default("unit")
      .describe("balanced reads 1 (released code), or 1 / E^2 (the paper's formula)"),
    second: z.enum(["random", "always"]).default("random")
      .describe("use the second expert with probability 2 g2 in training, or always"),
  }),
  expertsPerToken: () => 2,
  create({ D, E }, options, init) {
    if (E < 2) throw new RangeError(`Cannot make a gshard router: it needs 2 experts or more, not ${E}`);
    const gate_DE = init.parameter("gate", [D, E], truncatedNormal(1 / Math.sqrt(D)));
    return {
      params: { gate: gate_DE },
      route(x_TD, { training, random, real_T }) {
        const [T] = x_TD.shape;
        if (T % options.groups !== 0) {
          throw new RangeError(
            `Cannot route with gshard: groups = ${options.groups} does not divide ${T} tokens`,
          );
        }
        const scope = T / options.groups;
        const probability_TE = softmax(matmul(x_TD, gate_DE));
        const { value_TK, index_TK } = topK(probability_TE, 2);
        const weight_TK = divide(value_TK, reshape(sumLast(value_TK), [T, 1])); // steps 2 and 4: g1, g2 over g1 + g2
        const chosen_TK = leaveOutPadding(index_TK, real_T);
        const drawn = training && options.second === "random";
        const wanted_TK = drawn ? leaveOut(unluckySecond(weight_TK, random), chosen_TK) : chosen_TK;
        const expert_TK = keepWithinCapacity(wanted_TK, {
          E,
          capacity: capacityOf(options, { T: scope, E, K: 2 }, training, real_T),
          scope,
          dropOrder: options.dropOrder,
          training,
          probability_TK: value_TK,
          random,
          choiceMajor: true,
        });
        const balance = balanceLoss({ probability_TE, wanted_TK: chosen_TK, counts: "first", scope, real_T });
        const scale = options.balance * (options.balanceScale === "paper" ? 1 / (E * E) : 1);
        return tokenChoice({ wanted_TK, expert_TK, weight_TK }, {
          probability_TE,
          losses: { balance: affine(balance, scale, 0) },
        });
      },
    };
  },
};

/** 1 for second choices that step 4 does not draw (2 g2 > rnd fails), 0 elsewhere. */
function unluckySecond(weight_TK: Tensor, random: Random): Tensor {
  const shape = weight_TK.shape;
  const [key0, key1] = random.split("second").key;
  const [draw] = apply(kernels.uniform, [], { key0, key1, shape }, weight_TK.backend);
  const drawn = greater(affine(weight_TK, 2, 0), draw);
  const secondOnly = tensor(weight_TK.backend, [0, 1], [2]);
  return multiply(affine(drawn, -1, 1), secondOnly);
}
