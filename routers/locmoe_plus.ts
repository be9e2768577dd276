// LocMoE+ (later Expert-Token Resonance): tokens choose experts by cosine, then experts keep the best of the tokens that
// chose them. What one token gets depends on the whole batch, later tokens included: not causal, but for mode "tcr".
import * as z from "zod";
import { relu } from "../tensor/activations.ts";
import { affine, divide, exp, multiply, square } from "../tensor/arithmetic.ts";
import { sliceColumns } from "../tensor/columns.ts";
import type { Params } from "../tensor/init.ts";
import { maximum } from "../tensor/piecewise.ts";
import { meanOfReal, scalar, softmax } from "../tensor/reduce.ts";
import { takeAlong, topK } from "../tensor/rows.ts";
import { reshape, stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";
import { keptMask } from "./parts/assignment.ts";
import {
  capacityOf,
  type CapacityOptions,
  capacityOptions,
  keepWithinCapacity,
  maskExperts,
} from "./parts/capacity.ts";
import { checkChunks, chunkMeans, cosineToChunks } from "./parts/orthogonal_gates.ts";
import { localityOf, type LocalityOptions, localityOptions } from "./parts/locality.ts";
import { balanceLoss } from "./parts/losses.ts";
import { zeroPadding } from "./parts/padding.ts";
import {
  chooseTokens,
  keepMutual,
  keptByExperts,
  softmaxOver,
  weightOfSlots,
} from "./parts/two_sided_choice.ts";
import type { RouterPlugin, RouteStep, Routing } from "./router.ts";
import { tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode locmoePlus}. */
export interface LocmoePlusOptions extends Omit<CapacityOptions, "dropOrder">, LocalityOptions {
  /**
   * Both sides, tokens alone (kept in order of position: causal), experts alone among all tokens, or tcr and
   * from `scheduleSteps` on ecr.
   */
  readonly mode: "both" | "tcr" | "ecr" | "schedule";
  /** Steps of tcr in mode schedule (ours). */
  readonly scheduleSteps: number;
  /** In evaluation, the mode of training, or tcr, which looks at no later token. */
  readonly evaluation: "same" | "tcr";
  /** l: experts a token chooses (equation 5); timings used 1. */
  readonly k: number;
  /**
   * Experts rank the tokens of all ranks together (our reading of global-level rearrangement), or of each
   * rank alone.
   */
  readonly scope: "global" | "rank";
  /**
   * tau: an expert keeps its best tokens until they hold this share of its affinity; null = up to capacity
   * (the paper prints no value).
   */
  readonly threshold: number | null;
  /** Least an expert keeps: exp(D d^2 / (2 - d^2)) / E with d measured in training, d = delta, or none. */
  readonly bound: "dynamic" | "fixed" | "off";
  /** d of a fixed bound, and of a dynamic one before training. */
  readonly delta: number;
  /** d: tokens' largest affinity, averaged over the batch, or the largest of the batch. */
  readonly deltaFrom: "mean" | "largest";
  /** Steps between measurements of d; above 1, each reads one number back (ours). */
  readonly boundEvery: number;
  /** Share of the former d kept at each measurement; above 0, each reads one number back (ours). */
  readonly boundMemory: number;
  /**
   * Softmax of a token's affinities over all experts, over those that kept it, or of its rectified chunk
   * means.
   */
  readonly weight: "softmax" | "kept" | "locmoe";
  /** Weight alpha of the balance loss over top-l choices. */
  readonly balance: number;
}

const { dropOrder: _, ...capacity } = capacityOptions({ rule: "ceil", factor: 1.1, evaluationFactor: 2 });

/** LocMoE+'s router (Li et al. 2024). */
export const locmoePlus: RouterPlugin<LocmoePlusOptions> = {
  name: "locmoe-plus",
  about:
    "Top-l by cosine, then each expert keeps the best of those who chose it, up to a share of their affinity.",
  paper: {
    title: "Expert-Token Resonance MoE (first version: LocMoE+)",
    year: 2024,
    identifier: "arXiv:2406.00023",
    equations:
      "equations 2 to 6; corollary 6 (schedule); remark 7 (bound); tau, weights, cadence and scope are ours",
  },
  readings: [
    "tau is 0.8 and a share of each expert's affinity; the paper prints neither value nor formula.",
    "Equation 6 prints Bottom-C; its text, and this, keep the highest affinities.",
    "Weights are a softmax of a token's affinities over all experts; the paper defines none after both sides chose.",
    "The dynamic bound is measured anew in every batch; cadence and memory are options.",
    "Modes tcr, ecr and a schedule between them are the paper's ablations and corollary 6.",
  ],
  pitfalls: [
    "Experts choose among the tokens that chose them; choosing among all and intersecting wastes capacity.",
    "Affinity is a cosine: by dot products, tokens of large norm would win every expert.",
    "Selection looks at the whole batch, so it leaks the future in a decoder but for mode tcr (evaluation = tcr).",
    "Mode ecr with a threshold ranks all T tokens for every expert, the dearest of its modes.",
  ],
  traits: { causal: false, balancedBy: "loss", perToken: "varies", gradient: "through weight" },
  renamed: { choices: "k" },
  options: z.strictObject({
    mode: z.enum(["both", "tcr", "ecr", "schedule"]).default("both").describe(
      "both sides, tokens alone (kept in order of position: causal), experts alone among all tokens, or tcr and from " +
        "`scheduleSteps` on ecr",
    ),
    scheduleSteps: z.number().int().min(0).default(100).describe("steps of tcr in mode schedule (ours)"),
    evaluation: z.enum(["same", "tcr"]).default("same")
      .describe("in evaluation, the mode of training, or tcr, which looks at no later token"),
    k: z.number().int().min(1).default(1).describe(
      "l: experts a token chooses (equation 5); timings used 1",
    ),
    scope: z.enum(["global", "rank"]).default("global").describe(
      "experts rank the tokens of all ranks together (our reading of global-level rearrangement), or of each rank alone",
    ),
    threshold: z.number().gt(0).max(1).nullable().default(0.8).describe(
      "tau: an expert keeps its best tokens until they hold this share of its affinity; null = up to capacity (the paper " +
        "prints no value)",
    ),
    bound: z.enum(["dynamic", "fixed", "off"]).default("dynamic")
      .describe(
        "least an expert keeps: exp(D d^2 / (2 - d^2)) / E with d measured in training, d = delta, or none",
      ),
    delta: z.number().gt(0).lt(1).default(0.03).describe(
      "d of a fixed bound, and of a dynamic one before training",
    ),
    deltaFrom: z.enum(["mean", "largest"]).default("mean")
      .describe("d: tokens' largest affinity, averaged over the batch, or the largest of the batch"),
    boundEvery: z.number().int().min(1).default(1).describe(
      "steps between measurements of d; above 1, each reads one number back (ours)",
    ),
    boundMemory: z.number().min(0).lt(1).default(0).describe(
      "share of the former d kept at each measurement; above 0, each reads one number back (ours)",
    ),
    ...capacity,
    weight: z.enum(["softmax", "kept", "locmoe"]).default("softmax").describe(
      "softmax of a token's affinities over all experts, over those that kept it, or of its rectified chunk means",
    ),
    balance: z.number().min(0).default(0.01).describe("weight alpha of the balance loss over top-l choices"),
    ...localityOptions(),
  }),
  expertsPerToken: ({ k }) => k,
  create({ D, E }, options) {
    checkChunks("locmoe-plus", D, E);
    if (options.k > E) {
      throw new RangeError(
        `Cannot make router "locmoe-plus": a token cannot choose ${options.k} of ${E} experts`,
      );
    }
    if (options.scope === "rank" && options.mode !== "both" && options.mode !== "tcr") {
      throw new RangeError(
        `Cannot make router "locmoe-plus": mode "${options.mode}" ranks all tokens; choose scope "global"`,
      );
    }
    // With neither cadence nor memory, d is each batch's own, in evaluation too.
    const remembers = options.bound === "dynamic" && (options.boundEvery > 1 || options.boundMemory > 0);
    let remembered = options.delta;
    const params: Params = {};
    return {
      params,
      ...(remembers
        ? {
          state: () => ({ delta: Float32Array.of(remembered) }),
          restore: ({ delta }: Readonly<Record<string, Float32Array>>) => {
            remembered = delta[0];
          },
        }
        : {}),
      async route(given_TD, step) {
        const x_TD = zeroPadding(given_TD, step.real_T);
        const { training, real_T, topology } = step;
        const [T] = x_TD.shape;
        const affinity_TE = cosineToChunks(x_TD, E); // equation 4
        const { index_TK, value_TK } = topK(stopGradient(affinity_TE), options.k); // equation 5
        const delta_1 = () =>
          largestAffinity(reshape(sliceColumns(stopGradient(value_TK), 0, 1), [T]), options, real_T);
        if (remembers && training && T > 0 && step.step % options.boundEvery === 0) {
          const found = await scalar(delta_1());
          remembered = Math.fround(options.boundMemory * remembered + (1 - options.boundMemory) * found);
        }
        const wanted_TK = maskExperts(index_TK, real_T);
        const probability_TE = softmax(
          options.weight === "locmoe" ? relu(chunkMeans(x_TD, E)) : affinity_TE, // equations 2 and 3
        );
        const balance = balanceLoss({
          probability_TE,
          wanted_TK,
          real_T,
          scope: T,
          counts: "all-mean",
          weight: options.balance,
        });
        const losses = { balance, ...localityOf(options, { probability_TE, topology, real_T }) };
        const scores: Scores = { affinity_TE, probability_TE, wanted_TK, value_TK };
        const delta = options.bound === "dynamic" && !remembers && T > 0
          ? delta_1()
          : tensor(x_TD.backend, [remembered], [1]);
        const least = leastKept(options, D, E, delta);
        return {
          ...(sideOf(options, step) === "ecr"
            ? byExperts(scores, options, least, step)
            : byTokens(scores, options, least, step)),
          probability_TE,
          losses,
        };
      },
    };
  },
};

interface Scores {
  readonly affinity_TE: Tensor;
  readonly probability_TE: Tensor;
  readonly wanted_TK: Tensor;
  /** Affinity of each choice, without gradient. */
  readonly value_TK: Tensor;
}

type Assignments = Omit<Routing, "losses" | "probability_TE">;

function sideOf(
  { mode, evaluation, scheduleSteps }: LocmoePlusOptions,
  step: RouteStep,
): "both" | "tcr" | "ecr" {
  if (!step.training && evaluation === "tcr") return "tcr";
  if (mode !== "schedule") return mode;
  return step.step < scheduleSteps ? "tcr" : "ecr"; // corollary 6: tokens choose well early, experts late
}

/** Equation 5 alone, or equations 5 and 6. */
function byTokens(
  { affinity_TE, probability_TE, wanted_TK, value_TK }: Scores,
  options: LocmoePlusOptions,
  least: Tensor,
  step: RouteStep,
): Assignments {
  const [T, E] = affinity_TE.shape;
  const K = options.k;
  const scope = scopeOf(options, T, step);
  const most = capacityOf(
    { ...options, dropOrder: "position" },
    { T: scope, E, K },
    step.training,
    step.real_T,
  );
  const expert_TK = sideOf(options, step) === "tcr"
    ? keepWithinCapacity(wanted_TK, {
      E,
      capacity: most,
      capacityAt: (tokens) =>
        capacityOf({ ...options, dropOrder: "position" }, { T: tokens, E, K }, step.training),
      scope,
      dropOrder: "position",
      training: step.training,
      probability_TK: value_TK,
      random: step.random,
      choiceMajor: false,
    })
    // The printed equation 6 says Bottom-C; its text, and this, keeps the highest affinities.
    : keepMutual(wanted_TK, value_TK, { E, scope, rule: { threshold: options.threshold, least, most } });
  const weight_TK = options.weight === "kept"
    ? softmaxOver(takeAlong(affinity_TE, wanted_TK), keptMask(expert_TK))
    : takeAlong(probability_TE, wanted_TK);
  return tokenChoice({ wanted_TK, expert_TK, weight_TK }, { losses: {} });
}

/** Equation 6 with every token in front of every expert. */
function byExperts(
  { affinity_TE, probability_TE }: Scores,
  options: LocmoePlusOptions,
  least: Tensor,
  { training, real_T }: RouteStep,
): Assignments {
  const [T, E] = affinity_TE.shape;
  const terms = { T, E, K: options.k };
  const positional = { ...options, dropOrder: "position" } as const;
  const slots = Math.min(T, capacityOf(positional, terms, training));
  const most = capacityOf(positional, terms, training, real_T);
  const choice = chooseTokens(affinity_TE, slots, { threshold: options.threshold, least, most }, real_T);
  const weight_TE = options.weight === "kept"
    ? softmaxOver(affinity_TE, keptByExperts(choice, T))
    : probability_TE;
  const N = E * slots;
  const expert_N = reshape(choice.expert_EC, [N]);
  return {
    token_N: reshape(choice.token_EC, [N]),
    expert_N,
    wanted_N: expert_N,
    weight_N: reshape(weightOfSlots(weight_TE, choice), [N]),
    choices: null,
  };
}

/** Tokens ranked together: all, or those of one rank, whose homes must then be equal blocks. */
function scopeOf({ scope }: LocmoePlusOptions, T: number, { topology }: RouteStep): number {
  if (scope === "global" || !topology || T === 0) return Math.max(1, T);
  const size = T / topology.ranks;
  if (!Number.isInteger(size) || !topology.homeRank_T.every((rank, t) => rank === Math.floor(t / size))) {
    throw new RangeError(
      `Cannot route with locmoe-plus: scope "rank" needs the ${T} tokens in equal blocks, one for each of ${topology.ranks} ranks`,
    );
  }
  return size;
}

/** C_min = exp(D d^2 / (2 - d^2)) / E (remark 7), f32 [1], at least the minimum; infinite, it is bounded by capacity. */
function leastKept(
  { bound, minimumCapacity }: LocmoePlusOptions,
  D: number,
  E: number,
  delta: Tensor,
): Tensor {
  const least = tensor(delta.backend, [minimumCapacity], [1]);
  if (bound === "off") return least;
  const squared = square(delta);
  const power = affine(divide(squared, affine(squared, -1, 2)), D, -Math.log(E));
  return maximum(exp(power), least);
}

/** d of remark 7, f32 [1]: tokens' largest affinities, averaged over the batch, or the largest of them. */
function largestAffinity(
  largest_T: Tensor,
  { deltaFrom }: LocmoePlusOptions,
  real_T: Tensor | undefined,
): Tensor {
  if (deltaFrom === "mean") return meanOfReal(largest_T, real_T);
  const real_1T = reshape(real_T ? multiply(largest_T, real_T) : largest_T, [1, largest_T.shape[0]]);
  return reshape(topK(real_1T, 1).value_TK, [1]);
}
