// Zero experts: they give nothing, so that a router may spend no expert on a token (MoE++). Of use beside other kinds, in a
// mixed bank.
import * as z from "zod";
import { differentiable, tensor } from "../tensor/tensor.ts";
import type { ExpertPlugin } from "./expert.ts";

/** Options of {@linkcode zero}: none. */
export type ZeroOptions = Readonly<Record<never, never>>;

/**
 * Zero experts: 0, whatever the token (Jin et al. 2024, MoE++: "discard").
 * @example
 * ```ts
 * import { zero } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const dims = { D: 4, F: 8, E: 2 };
 * assertEquals([zero.parameters(dims, {}), zero.flopPerToken(dims, {})], [0, 0]);
 * ```
 */
export const zero: ExpertPlugin<ZeroOptions> = {
  name: "zero",
  about: "0: the token is left as it is (MoE++).",
  readings: [
    "MoE++'s released code also sets the weight of a zero expert to 0 before the weights of a token's choices are " +
    "divided by their sum, so that the other choice gets all of it; that is a router's matter, and our routers do not.",
  ],
  options: z.strictObject({}),
  parameters: () => 0,
  flopPerToken: () => 0,
  activationsPerToken: ({ D }) => D,
  create: ({ D }) => ({
    params: {},
    apply({ rows: { x_TD, index_N: { shape: [N] } } }) {
      const zeros = (shape: readonly number[]) =>
        tensor(x_TD.backend, new Float32Array(shape[0] * shape[1]), shape);
      return differentiable(zeros([N, D]), [[x_TD, () => zeros(x_TD.shape)]]);
    },
  }),
};
