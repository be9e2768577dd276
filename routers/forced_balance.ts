// Forced balance: no gate at all, every expert gets the same load. For benchmarks that must not depend on what a router
// learned, and as the even end of any comparison.
import { z } from "zod";
import { wholeNumbers } from "../tensor/rows.ts";
import { tensor } from "../tensor/tensor.ts";
import { leaveOutPadding } from "./capacity.ts";
import type { RouterPlugin } from "./router.ts";
import { tokenChoice } from "./scoring.ts";

/** Options of {@linkcode forcedBalance}. */
export interface ForcedBalanceOptions {
  readonly k: number;
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
  traits: { causal: true, balancedBy: "construction", perToken: "exactly K", gradient: "none" },
  options: z.strictObject({
    k: z.number().int().min(1).default(1).describe("experts a token goes to, each with weight 1 / k"),
    mode: z.enum(["even", "random"]).default("even")
      .describe("in turn over tokens, or in turn over tokens shuffled anew each training step"),
  }),
  expertsPerToken: ({ k }) => k,
  create({ E }, { k: K, mode }) {
    if (K > E) {
      throw new RangeError(`Cannot route with forced-balance: k is ${K}, and there are ${E} experts`);
    }
    return {
      params: {},
      route(x_TD, { training, random, real_T }) {
        const [T] = x_TD.shape;
        const place = mode === "random" && training ? random.split("order").permutation(T) : null;
        const turn = (n: number) => {
          const t = Math.floor(n / K);
          return ((place ? place[t] : t) * K + n % K) % E;
        };
        const wanted_TK = leaveOutPadding(wholeNumbers(x_TD, [T, K], turn), real_T);
        const weight_TK = tensor(x_TD.backend, new Float32Array(T * K).fill(1 / K), [T, K]);
        return tokenChoice({ wanted_TK, expert_TK: wanted_TK, weight_TK }, { losses: {} });
      },
    };
  },
};
