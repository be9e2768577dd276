// Noisy top-k gating, shared by the flat and the hierarchical router: noise, the k largest, softmax over those, and the
// smooth probability of being among them. Noise is drawn on the host, so that every backend sees the same bits.
import * as z from "zod";
import { softplus } from "../../tensor/activations.ts";
import { add, affine, divide, multiply, negate, subtract } from "../../tensor/arithmetic.ts";
import { normalCurve } from "../../tensor/normal_curve.ts";
import { constant, type Init } from "../../tensor/init.ts";
import { matmul } from "../../tensor/products.ts";
import type { Random } from "../../tensor/random.ts";
import { softmax } from "../../tensor/reduce.ts";
import { putAlong, takeAlong, topK, wholeNumbers } from "../../tensor/rows.ts";
import {
  apply,
  differentiable,
  type Parameter,
  reshape,
  stopGradient,
  type Tensor,
  tensor,
} from "../../tensor/tensor.ts";
import * as kernels from "../../kernels/mod.ts";

/** Conventions of a noisy gate that published systems differ in. */
export interface NoisyGateOptions {
  /** Standard deviation of the noise: softplus(x W_noise) (the paper), 1 / E (V-MoE, Tutel), or 0. */
  readonly noise: "softplus" | "fixed" | "none";
  /** Added to softplus(x W_noise); the paper adds nothing, Tensor2Tensor is said to add 0.01. */
  readonly noiseFloor: number;
  /**
   * What P(x, i) compares with: the k-th largest noisy score without i (the paper), or with i (V-MoE, Tutel).
   */
  readonly threshold: "excluding" | "shared";
  /** Weight of the importance loss (translation: 0.01). */
  readonly importance: number;
  /** Weight of the load loss (translation: 0.01). */
  readonly load: number;
  /** Variance in CV^2: divided by E (V-MoE) or by E - 1 (Tutel). */
  readonly variance: "population" | "sample";
}

/** Options of every noisy gate, with the published defaults. */
export const noisyGateOptions = {
  noise: z.enum(["softplus", "fixed", "none"]).default("softplus")
    .describe("standard deviation of the noise: softplus(x W_noise) (the paper), 1 / E (V-MoE, Tutel), or 0"),
  noiseFloor: z.number().min(0).default(0)
    .describe("added to softplus(x W_noise); the paper adds nothing, Tensor2Tensor is said to add 0.01"),
  threshold: z.enum(["excluding", "shared"]).default("excluding").describe(
    "what P(x, i) compares with: the k-th largest noisy score without i (the paper), or with i (V-MoE, Tutel)",
  ),
  importance: z.number().min(0).default(0.1).describe("weight of the importance loss (translation: 0.01)"),
  load: z.number().min(0).default(0.1).describe("weight of the load loss (translation: 0.01)"),
  variance: z.enum(["population", "sample"]).default("population")
    .describe("variance in CV^2: divided by E (V-MoE) or by E - 1 (Tutel)"),
};

/** Parameters of a gate over `scores` outputs, starting at 0 (appendix A). */
export function noisyGateParams(
  D: number,
  scores: number,
  options: NoisyGateOptions,
  init: Init,
): { gate: Parameter; noise?: Parameter } {
  return {
    gate: init.parameter("gate", [D, scores], constant(0)),
    ...(options.noise === "softplus" ? { noise: init.parameter("noise", [D, scores], constant(0)) } : {}),
  };
}

/** What {@linkcode noisyTopK} found for each row. */
export interface NoisyChoices {
  /** The k largest noisy scores' places, i32 [T, K]. */
  readonly index_TK: Tensor;
  /** Softmax over the kept scores, f32 [T, K]. */
  readonly weight_TK: Tensor;
  /** The same in its places, 0 elsewhere: G(x), f32 [T, E]. */
  readonly gate_TE: Tensor;
  /** Probability of being among the k largest if only a score's own noise were drawn anew, f32 [T, E]; null without noise. */
  readonly selected_TE: Tensor | null;
}

/** Scores of a noisy gate, with E scores a row: equation 4, `reshape` first for gates side by side. */
export interface NoisyScores {
  readonly clean_TE: Tensor;
  /** Standard deviation of the noise, f32 [T, E] or [1]; null = no noise. */
  readonly deviation: Tensor | null;
}

/** Clean scores and the deviation of their noise, cut into gates of E scores. */
export function noisyScores(
  x_TD: Tensor,
  params: ReturnType<typeof noisyGateParams>,
  E: number,
  options: NoisyGateOptions,
): NoisyScores {
  const cut = (scores: Tensor) => reshape(scores, [scores.shape[0] * scores.shape[1] / E, E]);
  const clean_TE = cut(matmul(x_TD, params.gate));
  switch (options.noise) {
    case "softplus":
      return {
        clean_TE,
        deviation: affine(
          softplus(cut(matmul(x_TD, params.noise!))),
          1,
          Math.max(options.noiseFloor, LEAST_DEVIATION),
        ),
      };
    case "fixed":
      return { clean_TE, deviation: tensor(x_TD.backend, [1 / E], [1]) };
    case "none":
      return { clean_TE, deviation: null };
    default:
      return options.noise satisfies never;
  }
}

/** Equations 3 to 5 and P(x, i) of appendix A. `random` null = no noise (evaluation). */
export function noisyTopK(
  { clean_TE, deviation }: NoisyScores,
  K: number,
  options: NoisyGateOptions,
  random: Random | null,
): NoisyChoices {
  const [T, E] = clean_TE.shape;
  const noisy_TE = deviation && random
    ? add(clean_TE, multiply(normalNoise(clean_TE, random), deviation)) // equation 4
    : clean_TE;
  const { value_TK: best_TK, index_TK: place_TK } = topK(noisy_TE, Math.min(K + 1, E));
  const column = (at: number) => wholeNumbers(clean_TE, [T, 1], () => at);
  const index_TK = firstColumns(place_TK, K);
  const weight_TK = softmax(takeAlong(noisy_TE, index_TK)); // equations 3 and 5
  const gate_TE = putAlong(weight_TK, index_TK, E);
  if (!deviation) return { index_TK, weight_TK, gate_TE, selected_TE: null };
  if (K === E) return { index_TK, weight_TK, gate_TE, selected_TE: affine(gate_TE, 0, 1) };
  const kth_T1 = takeAlong(best_TK, column(K - 1));
  let margin_TE = subtract(clean_TE, kth_T1);
  if (options.threshold === "excluding") {
    // Without i, the k-th largest is the (k + 1)-th of all where i is among the k.
    const ones_TK = tensor(clean_TE.backend, new Float32Array(T * K).fill(1), [T, K]);
    const among_TE = apply(kernels.takeAlongGradient, [index_TK, ones_TK], { columns: E })[0];
    const step_T1 = subtract(kth_T1, takeAlong(best_TK, column(K)));
    margin_TE = add(margin_TE, multiply(among_TE, step_T1));
  }
  return { index_TK, weight_TK, gate_TE, selected_TE: selectionProbability(margin_TE, deviation) };
}

/** What deviations are at least: what is divided by one stays within the range of f32. */
const LEAST_DEVIATION = 1e-30;

/**
 * Phi(margin / deviation). A deviation that is next to nothing leaves 0, 1/2 or 1, and gradients of 0 where autograd of a
 * quotient would give 0 times infinity.
 */
function selectionProbability(margin_TE: Tensor, deviation: Tensor): Tensor {
  const own = stopGradient(deviation);
  const { distribution, density, moment } = normalCurve(divide(stopGradient(margin_TE), own));
  // Both slopes are 0 where the density is.
  const ofMargin = [margin_TE, (gradient: Tensor) => multiply(gradient, divide(density, own))] as const;
  const ofDeviation = [
    deviation,
    (gradient: Tensor) => negate(multiply(gradient, divide(moment, own))),
  ] as const;
  const varies = deviation.shape.length === margin_TE.shape.length;
  return differentiable(distribution, varies ? [ofMargin, ofDeviation] : [ofMargin]);
}

/** Standard normal noise for each score, from the stream "noise". */
export function normalNoise(score_TE: Tensor, random: Random): Tensor {
  const [key0, key1] = random.split("noise").key;
  return apply(kernels.normal, [], { key0, key1, shape: score_TE.shape }, score_TE.backend)[0];
}

function firstColumns(index: Tensor, K: number): Tensor {
  const [T, columns] = index.shape;
  if (columns === K) return index;
  const at_N = wholeNumbers(index, [T * K], (n) => Math.floor(n / K) * columns + n % K);
  return reshape(apply(kernels.gatherRows, [reshape(index, [T * columns]), at_N], {})[0], [T, K]);
}
