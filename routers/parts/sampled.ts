// What routers that sample share: a softmax gate, a drawn expert with weight 1, a score-function estimator with importance
// weights and a baseline, and the biased comparators as options. How the estimator enters training and what of it is exact
// in a deep model: docs/decisions/score_function_in_a_deep_model.md.
import * as z from "zod";
import { affine } from "../../tensor/arithmetic.ts";
import { type Init, truncatedNormal } from "../../tensor/init.ts";
import { matmul } from "../../tensor/products.ts";
import type { Random } from "../../tensor/random.ts";
import { softmax } from "../../tensor/reduce.ts";
import { takeAlong, topK } from "../../tensor/rows.ts";
import { reshape, type Tensor } from "../../tensor/tensor.ts";
import { type Balancing, keptMask, logSoftmax, ones, scopeOf } from "./assignment.ts";
import { maskExperts } from "./capacity.ts";
import { balanceLoss } from "./losses.ts";
import { zeroPadding } from "./padding.ts";
import type { Router, RouterDims } from "../router.ts";
import { tokenChoice } from "./scoring.ts";

/** Options routers that sample share. */
export interface SampledOptions {
  /** Groups of tokens with a balance of their own; divides T. */
  readonly groups: number;
  /** How the router learns; differentiable weighs outputs by p as Switch does, and is biased. */
  readonly gradient: "score-function" | "differentiable";
  /** Importance weights in the score function and in experts' gradients; false is biased. */
  readonly weighted: boolean;
  /** Subtracted from the loss: mean of earlier steps (log V before the first), or nothing. */
  readonly baseline: "running-mean" | "none";
  /** Share of the old mean in the new one. */
  readonly baselineDecay: number;
  /** Weight of a Switch balance loss; more than 0 is a biased comparator. */
  readonly balance: number;
  /** s of the gate's init, sigma = sqrt(s / D). */
  readonly initScale: number;
}

/** Declarations of {@linkcode SampledOptions}. */
export const sampledOptions = {
  groups: z.number().int().min(1).default(1)
    .describe("groups of tokens with a balance of their own; divides T"),
  gradient: z.enum(["score-function", "differentiable"]).default("score-function")
    .describe("how the router learns; differentiable weighs outputs by p as Switch does, and is biased"),
  weighted: z.boolean().default(true)
    .describe("importance weights in the score function and in experts' gradients; false is biased"),
  baseline: z.enum(["running-mean", "none"]).default("running-mean")
    .describe("subtracted from the loss: mean of earlier steps (log V before the first), or nothing"),
  baselineDecay: z.number().min(0).max(1).default(0.9).describe("share of the old mean in the new one"),
  balance: z.number().min(0).default(0)
    .describe("weight of a Switch balance loss; more than 0 is a biased comparator"),
  initScale: z.number().positive().default(0.1).describe("s of the gate's init, sigma = sqrt(s / D)"),
} as const;

/** What experts are drawn by. */
export interface DrawStep extends Balancing {
  readonly random: Random;
  /** Whether importance weights are wanted. */
  readonly weighted: boolean;
}

/** A drawn expert for every token. */
export interface Draw {
  /** Before capacity and after it, i32 [T]; -1 for padding. */
  readonly wanted_T: Tensor;
  readonly expert_T: Tensor;
  /** Importance weights, f32 [T], where they are wanted. */
  readonly importance_T: Tensor | null;
}

/** A router that draws experts in training and takes the most probable one, without capacity, in evaluation. */
export function createSampledRouter(
  name: string,
  { D, E, V }: RouterDims,
  options: SampledOptions,
  init: Init,
  draw: (logProbability_TE: Tensor, step: DrawStep) => Draw | Promise<Draw>,
): Router {
  const gate_DE = init.parameter("gate", [D, E], truncatedNormal(Math.sqrt(options.initScale / D)));
  const scoreFunction = options.gradient === "score-function";
  const weighted = scoreFunction && options.weighted;
  const running = scoreFunction && options.baseline === "running-mean";
  // A model that knows nothing loses log V nats, so that is where the mean of no steps stands; without a vocabulary, at 0.
  let mean = Math.fround(Math.log(V ?? 1));
  const state: Pick<Router, "state" | "restore"> = {
    state: () => ({ baseline: Float32Array.of(mean) }),
    restore: ({ baseline }) => void (mean = baseline[0]),
  };
  return {
    params: { gate: gate_DE },
    ...(running ? state : {}),
    async route(given_TD, { training, random, real_T }) {
      const x_TD = zeroPadding(given_TD, real_T);
      const [T] = x_TD.shape;
      const logit_TE = matmul(x_TD, gate_DE);
      const logProbability_TE = logSoftmax(logit_TE);
      const probability_TE = softmax(logit_TE);
      const own = (x_TE: Tensor, expert_T: Tensor) =>
        reshape(takeAlong(x_TE, reshape(expert_T, [T, 1])), [T]);
      const weightOf = (expert_T: Tensor) => scoreFunction ? ones(x_TD, [T]) : own(probability_TE, expert_T);
      const chosen = (wanted_T: Tensor, expert_T: Tensor, losses: Record<string, Tensor>) => {
        const column = (x_T: Tensor) => reshape(x_T, [T, 1]);
        return tokenChoice({
          wanted_TK: column(wanted_T),
          expert_TK: column(expert_T),
          weight_TK: column(weightOf(wanted_T)),
        }, { losses, probability_TE });
      };
      if (!training) {
        const best_T = reshape(maskExperts(topK(logProbability_TE, 1).index_TK, real_T), [T]);
        return chosen(best_T, best_T, {});
      }
      const scope = scopeOf(T, options.groups, name);
      const drawn = await draw(logProbability_TE, { scope, real_T, random, weighted });
      const losses: Record<string, Tensor> = {};
      if (options.balance > 0) {
        const wanted_TK = reshape(drawn.wanted_T, [T, 1]);
        const terms = { probability_TE, wanted_TK, counts: "first", scope, real_T } as const;
        losses.balance = affine(balanceLoss(terms), options.balance, 0);
      }
      const routing = chosen(drawn.wanted_T, drawn.expert_T, losses);
      if (!scoreFunction) return routing;
      const importance_T = drawn.importance_T ?? keptMask(drawn.expert_T);
      return {
        ...routing,
        gradientWeight_N: importance_T,
        estimator: {
          logProbability_T: own(logProbability_TE, drawn.wanted_T),
          importance_T,
          baseline: running ? mean : 0,
          ...(running ? { observeLoss } : {}),
        },
      };
    },
  };

  function observeLoss(loss: number): void {
    if (Number.isFinite(loss)) {
      mean = Math.fround(options.baselineDecay * mean + (1 - options.baselineDecay) * loss);
    }
  }
}
