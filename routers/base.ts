// BASE: in training every expert gets equally many tokens, assigned so that the sum of affinities is as large as can be;
// in evaluation each token takes its best expert. No loss, no capacity, no hyper-parameter.
import * as z from "zod";
import { sigmoid } from "../tensor/activations.ts";
import { normal, orthogonal } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import { takeAlong, topK } from "../tensor/rows.ts";
import { reshape } from "../tensor/tensor.ts";
import { assignBalanced, scopeOf } from "./parts/assignment.ts";
import { maskExperts } from "./parts/capacity.ts";
import { zeroPadding } from "./parts/padding.ts";
import type { RouterPlugin } from "./router.ts";
import { tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode base}. */
export interface BaseOptions {
  /** Groups of tokens that are assigned separately, as workers are in the paper; divides T. */
  readonly groups: number;
  /** Init of the experts' embeddings; the released code's is orthogonal. */
  readonly centroids: "orthogonal" | "normal";
  /** Length of each embedding at the start. */
  readonly gain: number;
}

/** BASE layers (Lewis et al. 2021). */
export const base: RouterPlugin<BaseOptions> = {
  name: "base",
  about:
    "Exact balanced assignment of highest total affinity in training, best expert in evaluation; weight = sigmoid of the affinity.",
  paper: {
    title: "BASE Layers: Simplifying Training of Large, Sparse Models",
    year: 2021,
    identifier: "arXiv:2103.16716",
    equations: "section 3; init as in the released code; exact where that finishes its auction approximately",
  },
  readings: [
    "Assignment is exact; released code finishes its auction approximately, so its experts may differ.",
    "Groups are blocks of the batch; the paper's shuffle of tokens across workers is left out.",
    "The block adds the residual; released code mixes it in with the same weight, which comes to the same.",
  ],
  pitfalls: [
    "Balance holds in training alone: in evaluation each token takes its best expert, or the future would leak.",
    "The weight is a sigmoid of the affinity, not a softmax over experts.",
    "On WebGPU the T E affinities are read once a layer and step, and assigned on the host.",
  ],
  traits: { causal: false, balancedBy: "construction", perToken: "exactly K", gradient: "through weight" },
  options: z.strictObject({
    groups: z.number().int().min(1).default(1)
      .describe("groups of tokens that are assigned separately, as workers are in the paper; divides T"),
    centroids: z.enum(["orthogonal", "normal"]).default("orthogonal")
      .describe("init of the experts' embeddings; the released code's is orthogonal"),
    gain: z.number().positive().default(0.1).describe("length of each embedding at the start"),
  }),
  expertsPerToken: () => 1,
  create({ D, E }, options, init) {
    const fill = options.centroids === "orthogonal"
      ? orthogonal(D, E, options.gain)
      : normal(options.gain / Math.sqrt(D));
    const centroid_DE = init.parameter("centroids", [D, E], fill);
    return {
      params: { centroids: centroid_DE },
      async route(given_TD, { training, real_T }) {
        const x_TD = zeroPadding(given_TD, real_T);
        const [T] = x_TD.shape;
        const affinity_TE = matmul(x_TD, centroid_DE); // h_t . w_e
        const balancing = () => ({ scope: scopeOf(T, options.groups, "base"), real_T });
        const expert_TK = training
          ? reshape(await assignBalanced(affinity_TE, balancing()), [T, 1])
          : maskExperts(topK(affinity_TE, 1).index_TK, real_T);
        const weight_TK = sigmoid(takeAlong(affinity_TE, expert_TK));
        return tokenChoice({ wanted_TK: expert_TK, expert_TK, weight_TK }, { losses: {} });
      },
    };
  },
};
