// Experts that differ by matrices of low rank from one network they share: act(x (W_in + A_in B_in)) (W_out + A_out B_out).
// The shared products run once over the rows of all experts; only the small ones are grouped.
import * as z from "zod";
import { gelu, relu, silu } from "../tensor/activations.ts";
import { add } from "../tensor/arithmetic.ts";
import { constant, normal } from "../tensor/init.ts";
import { spending } from "../tensor/memory.ts";
import { groupedMatmul } from "../tensor/products.ts";
import { type SortedRows, take } from "../tensor/rows.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { ExpertPlugin } from "./expert.ts";
import { feedForward } from "./feed_forward.ts";
import { dropoutOption, dropUnits, keptByDropout } from "./parts/dropout.ts";
import { outDeviationOption, unitsIn, unitsOut } from "./parts/init.ts";

const activations = { relu, gelu, silu } as const;

/** Options of {@linkcode lowRank}. */
export interface LowRankOptions {
  /** Columns of A and rows of B, R. */
  readonly rank: number;
  /** Activation of the hidden units. */
  readonly activation: "relu" | "gelu" | "silu";
  /** Standard deviation of W_out's init; null = 1 / sqrt(F). */
  readonly outDeviation: number | null;
  /** Share of hidden units dropped in training (Switch fine-tunes with 0.4 in experts). */
  readonly dropout: number;
}

/**
 * Low-rank experts on a shared base: each adds A B of rank R to both matrices of one feed-forward network, as LoRA does (Hu
 * et al. 2021; its factor alpha / r is left out, since A is trained at the scale it starts at).
 * @example
 * ```ts
 * import { lowRank, parseExpertOptions } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const [dims, options] = [{ D: 4, F: 8, E: 2 }, parseExpertOptions(lowRank, { rank: 1 })];
 * assertEquals([lowRank.parameters(dims, options), lowRank.sharedParameters!(dims, options)], [24, 64]);
 * assertEquals(lowRank.flopPerToken(dims, options), 2 * (64 + 24));
 * ```
 */
export const lowRank: ExpertPlugin<LowRankOptions> = {
  name: "low-rank",
  about:
    "act(x (W_in + A_in B_in)) (W_out + A_out B_out): W of all experts together, A and B of low rank of each.",
  readings: [
    "A and B start as in LoRA (Hu et al. 2021), B at 0; its factor alpha / r is left out. That the shared network is " +
    "trained with them, and both matrices have a difference, is our choice: no paper's figures stand behind it.",
  ],
  options: z.strictObject({
    rank: z.number().int().min(1).default(8).describe("columns of A and rows of B, R"),
    activation: z.enum(["relu", "gelu", "silu"]).default("relu").describe("activation of the hidden units"),
    outDeviation: outDeviationOption,
    dropout: dropoutOption,
  }),
  parameters: ({ D, F }, { rank }) => 2 * rank * (D + F),
  sharedParameters: ({ D, F }) => 2 * D * F,
  flopPerToken: ({ D, F }, { rank }) => 4 * D * F + 4 * rank * (D + F),
  activationsPerToken: ({ D, F }, { rank, activation, dropout }) =>
    D + 2 * rank + F * ((activation === "relu" ? 1 : 2) + keptByDropout(dropout)),
  dense: ({ activation, outDeviation, dropout }) => [
    feedForward,
    feedForward.options.parse({ activation, outDeviation, dropout }),
  ],
  create(dims, options, init) {
    const { D, F, E } = dims;
    const { rank: R, dropout } = options;
    const whole = { D, F, E: 1 };
    const in_1DF = unitsIn("in", whole, init);
    const out_1FD = unitsOut("out", whole, options.outDeviation ?? 1 / Math.sqrt(F), init);
    // B starts at 0: every expert starts as the shared network, and A alone tells them apart.
    const inA_EDR = init.parameter("inA", [E, D, R], normal(1 / Math.sqrt(D)));
    const inB_ERF = init.parameter("inB", [E, R, F], constant(0));
    const outA_EFR = init.parameter("outA", [E, F, R], normal(1 / Math.sqrt(F)));
    const outB_ERD = init.parameter("outB", [E, R, D], constant(0));
    return {
      params: { inA: inA_EDR, inB: inB_ERF, outA: outA_EFR, outB: outB_ERD },
      shared: { in: in_1DF, out: out_1FD },
      apply({ rows, offset_O, random }) {
        const all_2 = take(offset_O, tensor(offset_O.backend, Int32Array.of(0, E), [2]));
        const product = (x: Tensor | SortedRows, shared: Tensor, a: Tensor, b: Tensor) =>
          spending(groupedMatmul(x, shared, all_2), (base) =>
            spending(
              groupedMatmul(groupedMatmul(x, a, offset_O), b, offset_O),
              (own) => add(base, own),
            ));
        const sums_NF = product(rows, in_1DF, inA_EDR, inB_ERF);
        const units_NF = options.activation === "relu"
          ? spending(sums_NF, relu)
          : activations[options.activation](sums_NF);
        return product(dropUnits(units_NF, dropout, random), out_1FD, outA_EFR, outB_ERD);
      },
    };
  },
};
