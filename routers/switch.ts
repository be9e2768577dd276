// Switch: each token goes to its most probable expert, weighted by that probability. Of the paper's selective precision
// nothing is left to choose: all arithmetic here is f32, the router's included.
import * as z from "zod";
import { truncatedNormal } from "../tensor/init.ts";
import { affine, subtract, where } from "../tensor/arithmetic.ts";
import { matmul } from "../tensor/products.ts";
import { softmax } from "../tensor/reduce.ts";
import { takeAlong, topK } from "../tensor/rows.ts";
import { stopGradient, type Tensor } from "../tensor/tensor.ts";
import {
  capacityOf,
  type CapacityOptions,
  capacityOptions,
  keepsOrder,
  keepWithinCapacity,
  maskExperts,
} from "./parts/capacity.ts";
import { keptMask } from "./parts/assignment.ts";
import { leaveFewBehind } from "./parts/left_behind.ts";
import { balanceLoss, zLoss } from "./parts/losses.ts";
import { zeroPadding } from "./parts/padding.ts";
import type { RouterPlugin } from "./router.ts";
import { jitter, tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode switchRouter}. */
export interface SwitchOptions extends CapacityOptions {
  /** Input noise U(1 - jitter, 1 + jitter) in training. */
  readonly jitter: number;
  /** Weight alpha of the balance loss. */
  readonly balance: number;
  /** Weight of the z-loss (ST-MoE; not in the Switch paper). */
  readonly z: number;
  /** s of the gate's init, sigma = sqrt(s / D). */
  readonly initScale: number;
  /**
   * Weight of the expert's output (ours but for the first, to tell routing from scale): p; E p, which starts
   * near 1; 1 with the gradient of p; or p over itself, 1 without a gradient.
   */
  readonly outputScale: "probability" | "times experts" | "one" | "normalized";
  /**
   * Experts a token tries, best first, before it is dropped; 1 = off, 4 in Mesh-TensorFlow; above 1 not
   * causal.
   */
  readonly noTokenLeftBehind: number;
}

/** The Switch Transformer's router (Fedus, Zoph and Shazeer 2021). */
export const switchRouter: RouterPlugin<SwitchOptions> = {
  name: "switch",
  about: "Top-1 of a softmax gate, weight = its probability, balance loss, drops over capacity.",
  paper: {
    title: "Switch Transformers: Scaling to Trillion Parameter Models with Simple and Efficient Sparsity",
    year: 2021,
    identifier: "arXiv:2101.03961",
    equations:
      "section 2.1; equations 3 to 6; section 2.4 (init); appendix B (no token left behind); appendix C (jitter)",
  },
  readings: [
    "Capacity is rounded up (equation 3 leaves rounding open; Mesh-TensorFlow truncates, and keeps at least 4).",
    "Scores, softmax and losses are always f32: the paper's selective precision.",
    "All but the first choice of outputScale are ours: controls that tell routing from the scale of the layer's output.",
    "Expert dropout is an option of the experts (dropout), since it is theirs.",
  ],
  pitfalls: [
    "Jitter multiplies the router's input; the paper's listing adds it to the logits, released code does not.",
    "The listing's inclusive running count keeps C - 1 tokens; slots here are counted from 0.",
    "Weights are the probability, never normalised to 1, which would leave the gate without a gradient.",
    "Shares in the balance loss are counted before capacity and are constants; it includes the factor E, so balanced reads 1.",
    "No token left behind brought nothing in the paper, and is not causal.",
  ],
  traits: { causal: true, balancedBy: "loss", perToken: "up to K", gradient: "through weight" },
  traitsWith: (options) => ({ causal: keepsOrder(options) && options.noTokenLeftBehind === 1 }),
  options: z.strictObject({
    ...capacityOptions({ rule: "switch", factor: 1.25, evaluationFactor: 2 }),
    jitter: z.number().min(0).max(1).default(0.01).describe(
      "input noise U(1 - jitter, 1 + jitter) in training",
    ),
    balance: z.number().min(0).default(0.01).describe("weight alpha of the balance loss"),
    z: z.number().min(0).default(0).describe("weight of the z-loss (ST-MoE; not in the Switch paper)"),
    initScale: z.number().positive().default(0.1).describe("s of the gate's init, sigma = sqrt(s / D)"),
    outputScale: z.enum(["probability", "times experts", "one", "normalized"]).default("probability")
      .describe(
        "weight of the expert's output (ours but for the first, to tell routing from scale): p; E p, which starts near 1; 1 " +
          "with the gradient of p; or p over itself, 1 without a gradient",
      ),
    noTokenLeftBehind: z.number().int().min(1).default(1).describe(
      "experts a token tries, best first, before it is dropped; 1 = off, 4 in Mesh-TensorFlow; above 1 not causal",
    ),
  }),
  expertsPerToken: () => 1,
  create({ D, E }, options, init) {
    const gate_DE = init.parameter("gate", [D, E], truncatedNormal(Math.sqrt(options.initScale / D)));
    return {
      params: { gate: gate_DE },
      route(given_TD, { training, random, real_T }) {
        const x_TD = zeroPadding(given_TD, real_T);
        const [T] = x_TD.shape;
        const input_TD = training && options.jitter > 0 ? jitter(x_TD, options.jitter, random) : x_TD;
        const logit_TE = matmul(input_TD, gate_DE);
        const probability_TE = softmax(logit_TE);
        const { value_TK, index_TK } = topK(probability_TE, 1);
        const wanted_TK = maskExperts(index_TK, real_T);
        const scope = {
          E,
          capacity: capacityOf(options, { T, E, K: 1 }, training, real_T),
          capacityAt: (tokens: number) => capacityOf(options, { T: tokens, E, K: 1 }, training),
          scope: T,
          dropOrder: options.dropOrder,
          training,
          random,
        };
        const balance = balanceLoss({
          probability_TE,
          wanted_TK,
          real_T,
          scope: T,
          counts: "first",
          weight: options.balance,
        });
        const rest = {
          probability_TE,
          losses: {
            balance,
            ...(options.z > 0 ? { z: zLoss(logit_TE, real_T, options.z) } : {}),
          },
        };
        const tries = Math.min(options.noTokenLeftBehind, E);
        if (tries > 1) {
          const { index_TK: choice_TK } = topK(probability_TE, tries);
          const expert_TK = leaveFewBehind(choice_TK, { ...scope, probability_TE, real_T });
          // The balance loss counts first choices; the routing wants what it got.
          const last_TK = where(keptMask(expert_TK), expert_TK, wanted_TK);
          const weight_TK = scaled(takeAlong(probability_TE, last_TK), E, options.outputScale);
          return tokenChoice({ wanted_TK: last_TK, expert_TK, weight_TK }, rest);
        }
        const expert_TK = keepWithinCapacity(wanted_TK, {
          ...scope,
          probability_TK: value_TK,
          choiceMajor: false,
        });
        const weight_TK = scaled(value_TK, E, options.outputScale);
        return tokenChoice({ wanted_TK, expert_TK, weight_TK }, rest);
      },
    };
  },
};

/** Weights from probabilities; all but the first kind are there to tell routing from the scale of the layer's output. */
function scaled(probability_TK: Tensor, E: number, kind: SwitchOptions["outputScale"]): Tensor {
  switch (kind) {
    case "probability":
      return probability_TK;
    case "times experts":
      return affine(probability_TK, E, 0);
    case "one":
      return affine(subtract(probability_TK, stopGradient(probability_TK)), 1, 1);
    case "normalized":
      return affine(stopGradient(probability_TK), 0, 1);
  }
}
