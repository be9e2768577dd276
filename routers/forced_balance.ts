// Forced balance: no gate at all, every expert gets the same load. For benchmarks that must not depend on what a router
// learned, and as the even end of any comparison.
import * as z from "zod";
import * as kernels from "../kernels/mod.ts";
import { take, wholeNumbers } from "../tensor/rows.ts";
import { apply, reshape, tensor } from "../tensor/tensor.ts";
import { maskExperts } from "./parts/capacity.ts";
import type { RouterPlugin } from "./router.ts";
import { tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode forcedBalance}. */
export interface ForcedBalanceOptions {
  /** Experts a token goes to, each with weight 1 / k. */
  readonly k: number;
  /** In turn over tokens, or in turn over tokens shuffled anew each training step. */
  readonly mode: "even" | "random";
}

/** Even load without a gate, for benchmarks. */
export const forcedBalance: RouterPlugin<ForcedBalanceOptions> = {
  name: "forced-balance",
  about: "Experts in turn, or in turn over shuffled tokens: even load without a gate, for benchmarks.",
  paper: {
    title: "Megatron-LM, --moe-router-force-load-balancing",
    year: 2024,
    identifier: "NVIDIA/Megatron-LM",
    equations: "the idea; Megatron-LM draws random scores, which are even on average only",
  },
  readings: [
    "random is exactly even too: experts in turn over shuffled tokens.",
  ],
  pitfalls: [
    "No gate is trained and none decides: it is for timing layers and for telling imbalance from other costs.",
    "With mode random the order is drawn in training only; evaluation always deals tokens out in turn.",
  ],
  traits: { causal: true, balancedBy: "construction", perToken: "exactly K", gradient: "none" },
  options: z.strictObject({
    k: z.number().int().min(1).default(1).describe("experts a token goes to, each with weight 1 / k"),
    mode: z.enum(["even", "random"]).default("even")
      .describe("in turn over tokens, or in turn over tokens shuffled anew each training step"),
  }),
  expertsPerToken: ({ k }) => k,
  create({ E }, { k: K, mode }) {
    if (K > E) {
      throw new RangeError(`Cannot make a forced-balance router: k is ${K}, and there are ${E} experts`);
    }
    return {
      params: {},
      route(x_TD, { training, random, real_T }) {
        const [T] = x_TD.shape;
        // Real tokens are numbered, and number i takes row i of the turns; padding has none.
        const one_T1 = maskExperts(wholeNumbers(x_TD, [T, 1], () => 0), real_T);
        const [key0, key1] = random.split("order").key;
        const order = mode === "random" && training
          ? apply(kernels.uniform, [], { key0, key1, shape: [T, 1] }, x_TD.backend)
          : [];
        const numbering = { groups: 1, scope: Math.max(1, T), choiceMajor: false };
        const [number_T1] = apply(kernels.rankInGroup, [one_T1, ...order], numbering);
        const turns_TK = wholeNumbers(x_TD, [T, K], (at) => at % E);
        const wanted_TK = maskExperts(take(turns_TK, reshape(number_T1, [T])), real_T);
        const weight_TK = tensor(x_TD.backend, new Float32Array(T * K).fill(1 / K), [T, K]);
        return tokenChoice({ wanted_TK, expert_TK: wanted_TK, weight_TK }, { losses: {} });
      },
    };
  },
};
