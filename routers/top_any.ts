// Top-ANY: any number of choices, weights normalised over them, and a capacity that follows the load: x > 0 is the factor,
// 0 drops nothing, x < 0 drops nothing up to the factor -x. Rows are ragged here, so x < 0 keeps what -x keeps.
import * as z from "zod";
import { normalCdf, relu } from "../tensor/activations.ts";
import { add, affine, exp, multiply, negate, subtract } from "../tensor/arithmetic.ts";
import { constant, type Init, normal, uniformWithin } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import { shareOfRow, softmax, sumFirst } from "../tensor/reduce.ts";
import { takeAlong, topK, wholeNumbers } from "../tensor/rows.ts";
import { type Parameter, seenFrom, type Tensor } from "../tensor/tensor.ts";
import {
  capacityOf,
  type CapacityRule,
  capacityRules,
  type DropOrder,
  keepWithinCapacity,
  maskExperts,
} from "./parts/capacity.ts";
import { balanceLoss, squaredVariation } from "./parts/losses.ts";
import { realRows, zeroPadding } from "./parts/padding.ts";
import { normalNoise } from "./parts/noisy_gate.ts";
import type { RouterPlugin } from "./router.ts";
import { tokenChoice, unitColumns, unitRows } from "./parts/scoring.ts";

/** Options of {@linkcode topAny}. */
export interface TopAnyOptions {
  /** Experts a token goes to. */
  readonly k: number;
  /** x > 0: capacity factor; 0: nothing is dropped; x < 0: nothing is dropped up to the factor -x. */
  readonly capacityFactor: number;
  /** The same in evaluation; null = as in training. */
  readonly evaluationCapacityFactor: number | null;
  /** Rule for the assignments an expert may keep. */
  readonly capacityRule: CapacityRule;
  /** Who is kept when an expert is full; Tutel's batch_prioritized_routing is batch-priority. */
  readonly dropOrder: DropOrder;
  /** x W, or the cosine of a projection of x with each expert's vector over a learned temperature. */
  readonly gate: "linear" | "cosine";
  /** Width of the cosine gate's projection. */
  readonly projection: number;
  /** The cosine gate's temperature tau at the start. */
  readonly temperature: number;
  /** tau never falls below this. */
  readonly leastTemperature: number;
  /** Normal noise of this over E on the scores in training. */
  readonly noise: number;
  /** Divide weights by their sum over the k choices, before anything is dropped, when k > 1. */
  readonly normalize: boolean;
  /** Weight of the balance loss (SwinV2-MoE: 0.01). */
  readonly balance: number;
  /** E sum f P over first choices, or the mean of CV^2 of importance and of smooth load (sample variance). */
  readonly balanceKind: "gshard" | "load-importance";
}

const rules = Object.keys(capacityRules) as [CapacityRule, ...CapacityRule[]];

/** Tutel's router (Hwang et al. 2023). */
export const topAny: RouterPlugin<TopAnyOptions> = {
  name: "top-any",
  about:
    "Top-k of a linear or cosine gate, weights normalised over the k, capacity fixed or as large as the load.",
  paper: {
    title: "Tutel: Adaptive Mixture-of-Experts at Scale",
    year: 2023,
    identifier: "arXiv:2206.03382",
    equations: "equation 1 (capacity); section 4.1 (dynamic capacity, top-ANY); appendix C (cosine router)",
  },
  readings: [
    "Experts work on ragged rows, so a capacity as large as the largest load (x = 0) is no " +
    "capacity, and x < 0 keeps what -x keeps.",
    "load-importance compares scores with scores, as V-MoE does; code of Tutel subtracts a " +
    "score from a probability.",
    "More choices than experts are refused; Tutel silently takes E.",
  ],
  pitfalls: [
    "Weights are normalised before dropping, so a token that lost a choice gets less than 1.",
    "Capacity grows in steps of k: K int(f ceil(T / E)).",
  ],
  // Not causal: a later token's first choice takes the slot that an earlier token's second choice would have had.
  traits: { causal: false, balancedBy: "loss", perToken: "up to K", gradient: "through weight" },
  renamed: {
    capacity: "capacityFactor",
    evaluationCapacity: "evaluationCapacityFactor",
    normalizeGate: "normalize",
  },
  options: z.strictObject({
    k: z.number().int().min(1).default(2).describe("experts a token goes to"),
    capacityFactor: z.number().min(-1000).max(1000).default(1)
      .describe(
        "x > 0: capacity factor; 0: nothing is dropped; x < 0: nothing is dropped up to the factor -x",
      ),
    evaluationCapacityFactor: z.number().min(-1000).max(1000).nullable().default(null)
      .describe("the same in evaluation; null = as in training"),
    capacityRule: z.enum(rules).default("tutel").describe("rule for the assignments an expert may keep"),
    dropOrder: z.enum(["position", "probability", "random", "batch-priority"]).default("position")
      .describe("who is kept when an expert is full; Tutel's batch_prioritized_routing is batch-priority"),
    gate: z.enum(["linear", "cosine"]).default("linear")
      .describe(
        "x W, or the cosine of a projection of x with each expert's vector over a learned temperature",
      ),
    projection: z.number().int().min(1).default(256).describe("width of the cosine gate's projection"),
    temperature: z.number().positive().default(0.5).describe(
      "the cosine gate's temperature tau at the start",
    ),
    leastTemperature: z.number().positive().default(0.01).describe("tau never falls below this"),
    noise: z.number().min(0).default(0).describe("normal noise of this over E on the scores in training"),
    normalize: z.boolean().default(true)
      .describe("divide weights by their sum over the k choices, before anything is dropped, when k > 1"),
    balance: z.number().min(0).default(0.01).describe("weight of the balance loss (SwinV2-MoE: 0.01)"),
    balanceKind: z.enum(["gshard", "load-importance"]).default("gshard").describe(
      "E sum f P over first choices, or the mean of CV^2 of importance and of smooth load (sample variance)",
    ),
  }),
  expertsPerToken: ({ k }) => k,
  create({ D, E }, options, init) {
    const { k: K } = options;
    if (K > E) throw new RangeError(`Cannot make a top-any router: k is ${K}, and there are ${E} experts`);
    const gate = options.gate === "linear" ? linearGate(D, E, init) : cosineGate(D, E, options, init);
    return {
      params: gate.params,
      route(given_TD, { training, random, real_T }) {
        const x_TD = zeroPadding(given_TD, real_T);
        const [T] = x_TD.shape;
        const clean_TE = gate.score(x_TD);
        const noisy_TE = training && options.noise > 0
          ? add(clean_TE, affine(normalNoise(clean_TE, random), options.noise / E, 0))
          : clean_TE;
        const probability_TE = softmax(noisy_TE);
        const { value_TK, index_TK } = topK(probability_TE, K);
        const weight_TK = options.normalize && K > 1 ? shareOfRow(value_TK) : value_TK;
        const wanted_TK = maskExperts(index_TK, real_T);
        const setting = training
          ? options.capacityFactor
          : options.evaluationCapacityFactor ?? options.capacityFactor;
        const expert_TK = keepWithinCapacity(wanted_TK, {
          E,
          capacity: capacityFor(setting, { T, E, K }, options, real_T),
          capacityAt: (tokens) => capacityFor(setting, { T: tokens, E, K }, options),
          scope: T,
          dropOrder: options.dropOrder,
          probability_TK: value_TK,
          random,
          training,
          choiceMajor: true,
        });
        const balance = options.balanceKind === "gshard"
          ? balanceLoss({
            probability_TE,
            wanted_TK,
            real_T,
            scope: T,
            counts: "first",
            weight: options.balance,
          })
          : affine(
            loadImportance(clean_TE, noisy_TE, index_TK, options.noise / E, real_T),
            options.balance,
            0,
          );
        return tokenChoice({ wanted_TK, expert_TK, weight_TK }, {
          probability_TE,
          losses: { balance },
          ...(gate.scalars ? { scalars: gate.scalars(x_TD) } : {}),
        });
      },
    };
  },
};

interface Gate {
  readonly params: Readonly<Record<string, Parameter>>;
  /** What is worth recording of it. */
  scalars?(x_TD: Tensor): Readonly<Record<string, Tensor>>;
  score(x_TD: Tensor): Tensor;
}

function linearGate(D: number, E: number, init: Init): Gate {
  const gate_DE = init.parameter("gate", [D, E], uniformWithin(1 / Math.sqrt(D)));
  return { params: { gate: gate_DE }, score: (x_TD) => matmul(x_TD, gate_DE) };
}

/** Appendix C: ((W x) . m_e) / (|W x| |m_e|) / tau, with log(1 / tau) learned and tau kept from falling too low. */
function cosineGate(D: number, E: number, options: TopAnyOptions, init: Init): Gate {
  const P = options.projection;
  const params = {
    projection: init.parameter("projection", [D, P], uniformWithin(1 / Math.sqrt(D))),
    projectionBias: init.parameter("projectionBias", [P], uniformWithin(1 / Math.sqrt(D))),
    expert: init.parameter("expert", [P, E], normal(0.01)),
    logScale: init.parameter("logScale", [1], constant(Math.log(1 / options.temperature))),
  };
  const most = Math.log(1 / options.leastTemperature);
  const cappedBy = (x_TD: Tensor) =>
    subtract(params.logScale, relu(affine(seenFrom(x_TD, params.logScale), 1, -most)));
  return {
    params,
    score(x_TD) {
      const projected_TP = add(matmul(x_TD, params.projection), params.projectionBias);
      const cosine_TE = matmul(
        unitRows(projected_TP, 1e-24),
        unitColumns(seenFrom(x_TD, params.expert), 1e-24),
      );
      return multiply(cosine_TE, exp(cappedBy(x_TD)));
    },
    scalars: (x_TD) => ({ temperature: exp(negate(cappedBy(x_TD))) }),
  };
}

function capacityFor(
  setting: number,
  terms: { readonly T: number; readonly E: number; readonly K: number },
  options: TopAnyOptions,
): number;
function capacityFor(
  setting: number,
  terms: { readonly T: number; readonly E: number; readonly K: number },
  options: TopAnyOptions,
  real_T: Tensor | undefined,
): number | Tensor;
/** Section 4.1. With ragged rows a capacity as large as the largest load is none at all. */
function capacityFor(
  setting: number,
  { T, E, K }: { readonly T: number; readonly E: number; readonly K: number },
  { capacityRule, dropOrder }: TopAnyOptions,
  real_T?: Tensor,
): number | Tensor {
  const factor = Math.abs(setting);
  const options = {
    capacityRule: setting === 0 ? "dropless" as const : capacityRule,
    capacityFactor: factor,
    evaluationCapacityFactor: factor,
    minimumCapacity: 1,
    dropOrder,
  };
  return capacityOf(options, { T, E, K }, true, real_T);
}

/**
 * (CV^2 of importance + CV^2 of load) / 2, sample variance. Load is Phi((clean - k-th noisy) / deviation) in scores, as in
 * V-MoE; Tutel's code takes probabilities for the clean side. Without noise it is importance alone.
 */
function loadImportance(
  clean_TE: Tensor,
  noisy_TE: Tensor,
  index_TK: Tensor,
  deviation: number,
  real_T: Tensor | undefined,
): Tensor {
  const [T, K] = index_TK.shape;
  const importance = squaredVariation(sumFirst(realRows(softmax(clean_TE), real_T)), "sample");
  if (deviation === 0) return importance;
  const kept_TK = takeAlong(noisy_TE, index_TK);
  const kth_T1 = takeAlong(kept_TK, wholeNumbers(index_TK, [T, 1], () => K - 1));
  const selected_TE = normalCdf(affine(subtract(clean_TE, kth_T1), 1 / deviation, 0));
  return affine(add(importance, squaredVariation(sumFirst(realRows(selected_TE, real_T)), "sample")), 0.5, 0);
}
