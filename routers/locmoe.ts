// LocMoE: top-1 of a gate that needs no learning, a loss that keeps tokens on their node, and a capacity never below the
// least that lets an expert meet a token it is meant for. The gate has no parameters: training moves x.
import * as z from "zod";
import * as kernels from "../kernels/mod.ts";
import { relu } from "../tensor/activations.ts";
import { add, affine, greater, multiply } from "../tensor/arithmetic.ts";
import type { Params } from "../tensor/init.ts";
import { maximum } from "../tensor/piecewise.ts";
import { matmul } from "../tensor/products.ts";
import type { Random } from "../tensor/random.ts";
import { softmax } from "../tensor/reduce.ts";
import { takeAlong, topK } from "../tensor/rows.ts";
import { apply, reshape, seenFrom, stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";
import {
  capacityOf,
  type CapacityOptions,
  capacityOptions,
  keepsOrder,
  keepWithinCapacity,
  maskExperts,
} from "./parts/capacity.ts";
import { type BoundForm, capacityBound } from "./parts/capacity_bound.ts";
import { checkChunks, chunkMeans, orthogonalGate, orthonormalColumns } from "./parts/orthogonal_gates.ts";
import { localityOf, type LocalityOptions, localityOptions } from "./parts/locality.ts";
import { balanceLoss } from "./parts/losses.ts";
import { zeroPadding } from "./parts/padding.ts";
import type { RouterPlugin } from "./router.ts";
import { tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode locmoe}. */
export interface LocmoeOptions extends CapacityOptions, LocalityOptions {
  /** Chunk means without parameters (equation 4), or a learned gate kept orthogonal with the same norms. */
  readonly gate: "grap" | "orthogonal";
  /** ReLU before the softmax (equation 2). */
  readonly rectify: boolean;
  /**
   * Who takes a token all of whose rectified scores are 0: the highest score before ReLU, or a random draw
   * (in evaluation always the same).
   */
  readonly ties: "score" | "random";
  /** eps of equation 2, uniform in [-noise, noise) in training; the paper does not define it. */
  readonly noise: number;
  /** Capacity by rule and factor, by the lower bound of equation 9, or the larger of both. */
  readonly capacityFrom: "factor" | "bound" | "larger";
  /** Form of the lower bound. */
  readonly bound: BoundForm;
  /** Least cosine of a token an expert is meant for; 0.03 was measured in the paper's model. */
  readonly delta: number;
  /** Weight alpha of the balance loss (equation 5). */
  readonly balance: number;
}

/** LocMoE's router (Li et al. 2024). */
export const locmoe: RouterPlugin<LocmoeOptions> = {
  name: "locmoe",
  about:
    "Top-1 of grouped average pooling, a loss for experts on the token's node, capacity above a lower bound.",
  paper: {
    title: "LocMoE: A Low-Overhead MoE for Large Language Model Training",
    year: 2024,
    identifier: "arXiv:2401.13920",
    equations: "equations 2 to 9; mu, D_l, the use of the bound and eps of equation 2 are our reading",
  },
  readings: [
    "mu is 0.01, and D_l is even over a rank's local experts but for a share eta = 0.01 over the others: the paper gives neither, and with eta = 0 the loss is infinite.",
    "D_c is a mean of probabilities over each rank's tokens; counts would have no gradient.",
    "Capacity is the larger of factor and bound, from the minimum to T; eps of equation 2 is 0.",
    "The cap of lemma 3 counts both signs of the cosine, as printed; assumption 3 alone would give half.",
  ],
  pitfalls: [
    "With the GrAP gate there is nothing to learn: training moves x, and routing changes only with it.",
    "If all chunk means of a token are below 0 every rectified score is 0, and argmax would always take expert 0: ties go by the score before ReLU, or at random.",
    "GrAP is the mean itself; dividing by D / E once more is a common mistake, and so is the KL the wrong way round.",
    "The bound grows exponentially in delta^2 D, so it is clamped; at delta 0.1, D 5120 and 16 experts it is 8.5e10.",
  ],
  traits: { causal: true, balancedBy: "loss", perToken: "up to K", gradient: "through weight" },
  traitsWith: (options) => ({ causal: keepsOrder(options) }),
  renamed: { capacity: "capacityFrom" },
  options: z.strictObject({
    gate: z.enum(["grap", "orthogonal"]).default("grap")
      .describe(
        "chunk means without parameters (equation 4), or a learned gate kept orthogonal with the same norms",
      ),
    rectify: z.boolean().default(true).describe("ReLU before the softmax (equation 2)"),
    ties: z.enum(["score", "random"]).default("score").describe(
      "who takes a token all of whose rectified scores are 0: the highest score before ReLU, or a random draw (in " +
        "evaluation always the same)",
    ),
    noise: z.number().min(0).default(0)
      .describe("eps of equation 2, uniform in [-noise, noise) in training; the paper does not define it"),
    capacityFrom: z.enum(["factor", "bound", "larger"]).default("larger")
      .describe("capacity by rule and factor, by the lower bound of equation 9, or the larger of both"),
    bound: z.enum(["exact", "erfc", "exponential"]).default("exact").describe("form of the lower bound"),
    delta: z.number().gt(0).lt(1).default(0.03)
      .describe("least cosine of a token an expert is meant for; 0.03 was measured in the paper's model"),
    ...capacityOptions({ rule: "ceil", factor: 1.25, evaluationFactor: 2 }),
    balance: z.number().min(0).default(0.01).describe("weight alpha of the balance loss (equation 5)"),
    ...localityOptions(),
  }),
  expertsPerToken: () => 1,
  create({ D, E }, options, init) {
    if (options.gate === "grap") checkChunks("locmoe", D, E);
    if (E > D) {
      throw new RangeError(`Cannot make router "locmoe": ${E} rows of width ${D} are never orthogonal`);
    }
    const bound = capacityBound(options.bound, { E, D: Math.max(2, D), delta: options.delta });
    const params: Params = options.gate === "grap"
      ? {}
      : { gate: init.parameter("gate", [D, E], orthonormalColumns(D, E)) };
    const fixedTies = init.random.split("ties");
    return {
      params,
      route(given_TD, { training, random, real_T, topology }) {
        const x_TD = zeroPadding(given_TD, real_T);
        const [T] = x_TD.shape;
        // Equation 4; the mean is the whole weight, there is no second division by D / E.
        const mean_TE = options.gate === "grap"
          ? chunkMeans(x_TD, E)
          : matmul(x_TD, orthogonalGate(seenFrom(x_TD, params.gate)));
        const score_TE = training && options.noise > 0 ? noisy(mean_TE, options.noise, random) : mean_TE;
        const gate_TE = options.rectify ? relu(score_TE) : score_TE; // equation 2
        const probability_TE = softmax(gate_TE);
        const wanted_TK = maskExperts(
          options.ties === "score"
            // Where any score is above 0 its order is that of the rectified ones.
            ? topK(stopGradient(score_TE), 1).index_TK
            : topAmongEqual(gate_TE, training ? random.split("ties") : fixedTies),
          real_T,
        );
        // Equation 3: the kept weight is the softmax probability, not 1.
        const weight_TK = takeAlong(probability_TE, wanted_TK);
        const expert_TK = keepWithinCapacity(wanted_TK, {
          E,
          capacity: capacityFor(options, bound, { T, E, training, real_T }),
          capacityAt: (tokens) => capacityFor(options, bound, { T: tokens, E, training }),
          scope: T,
          dropOrder: options.dropOrder,
          training,
          probability_TK: weight_TK,
          random,
          choiceMajor: false,
        });
        const balance = balanceLoss({
          probability_TE,
          wanted_TK,
          real_T,
          scope: T,
          counts: "first",
          weight: options.balance,
        });
        return tokenChoice({ wanted_TK, expert_TK, weight_TK }, {
          probability_TE,
          losses: { balance, ...localityOf(options, { probability_TE, topology, real_T }) },
        });
      },
    };
  },
};

/** What {@linkcode capacityFor} counts over. */
interface CapacityOver {
  readonly T: number;
  readonly E: number;
  readonly training: boolean;
}

function capacityFor(options: LocmoeOptions, bound: number, over: CapacityOver): number;
function capacityFor(
  options: LocmoeOptions,
  bound: number,
  over: CapacityOver & { readonly real_T: Tensor | undefined },
): number | Tensor;
/** Assignments an expert may keep: section 3.2's rule, equation 9's bound, or the larger, from `minimumCapacity` to T. */
function capacityFor(
  options: LocmoeOptions,
  bound: number,
  { T, E, training, real_T }: CapacityOver & { readonly real_T?: Tensor | undefined },
): number | Tensor {
  const byFactor = capacityOf(options, { T, E, K: 1 }, training, real_T);
  if (options.capacityFrom === "factor") return byFactor;
  const byBound = Math.max(options.minimumCapacity, Math.min(Math.ceil(bound), T));
  if (options.capacityFrom === "bound") return byBound;
  return typeof byFactor === "number"
    ? Math.max(byFactor, byBound)
    : maximum(byFactor, tensor(byFactor.backend, [byBound], [1]));
}

function noisy(score_TE: Tensor, noise: number, random: Random): Tensor {
  const [key0, key1] = random.split("noise").key;
  const [draw] = apply(kernels.uniform, [], { key0, key1, shape: score_TE.shape }, score_TE.backend);
  return add(score_TE, affine(draw, 2 * noise, -noise));
}

/** The highest of each row, drawn evenly where several are equal, [T, 1]. */
function topAmongEqual(score_TE: Tensor, random: Random): Tensor {
  const [T] = score_TE.shape;
  const [key0, key1] = random.key;
  const { value_TK } = topK(stopGradient(score_TE), 1);
  const below_TE = greater(affine(stopGradient(score_TE), -1, 0), reshape(affine(value_TK, -1, 0), [T, 1]));
  const [draw] = apply(kernels.uniform, [], { key0, key1, shape: score_TE.shape }, score_TE.backend);
  return topK(multiply(affine(below_TE, -1, 1), affine(draw, 1, 1)), 1).index_TK;
}
