// Constant experts: a learned vector takes a learned share of the token's place (MoE++). Of use beside other kinds, in a
// mixed bank.
import * as z from "zod";
import { add, multiply } from "../tensor/arithmetic.ts";
import { sliceColumns } from "../tensor/columns.ts";
import { normal, uniformWithin } from "../tensor/init.ts";
import { spending } from "../tensor/memory.ts";
import { groupedMatmul } from "../tensor/products.ts";
import { softmax } from "../tensor/reduce.ts";
import { dispatchRows } from "../tensor/rows.ts";
import type { ExpertPlugin } from "./expert.ts";

/** Options of {@linkcode constantVector}: none. */
export type ConstantVectorOptions = Readonly<Record<never, never>>;

/**
 * Constant experts: a1 x + a2 v with a learned vector v and [a1, a2] = softmax(x W) (Jin et al. 2024, MoE++: "replace").
 * @example
 * ```ts
 * import { constantVector } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const dims = { D: 4, F: 8, E: 2 };
 * assertEquals([constantVector.parameters(dims, {}), constantVector.flopPerToken(dims, {})], [12, 24]);
 * ```
 */
export const constantVector: ExpertPlugin<ConstantVectorOptions> = {
  name: "constant",
  about: "a1 x + a2 v with a learned vector v and [a1, a2] = softmax(x W) (MoE++).",
  readings: [
    "Read in MoE++'s released code, not in the paper. Initial values are those of that code: v is normal with deviation 1, " +
    "W starts as PyTorch's linear layers do, uniform within 1 / sqrt(D). Its training code is not published, so whether v " +
    "decays is our choice: it does not, like a bias.",
  ],
  options: z.strictObject({}),
  parameters: ({ D }) => 3 * D,
  flopPerToken: ({ D }) => 6 * D,
  activationsPerToken: ({ D }) => 2 * D + 4,
  create({ D, E }, _options, init) {
    const mix_ED2 = init.parameter("mix", [E, D, 2], uniformWithin(1 / Math.sqrt(D)));
    const vector_E1D = init.parameter("vector", [E, 1, D], normal(1), { decays: false });
    return {
      params: { mix: mix_ED2, vector: vector_E1D },
      apply({ rows, offset_O }) {
        const share_N2 = spending(groupedMatmul(rows, mix_ED2, offset_O), softmax);
        const column = (at: number) => sliceColumns(share_N2, at, at + 1);
        // Rows past the last are 0 in both parts: there is no token, and no expert whose vector it were.
        return spending(multiply(dispatchRows(rows), column(0)), (own_ND) =>
          spending(
            groupedMatmul(column(1), vector_E1D, offset_O),
            (learned_ND) => add(own_ND, learned_ND),
          ));
      },
    };
  },
};
