// Dropout of hidden units inside experts: Switch's expert dropout (section 2.4), in training only.
import * as z from "zod";
import * as kernels from "../../kernels/mod.ts";
import { affine, greater, multiply } from "../../tensor/arithmetic.ts";
import { spending } from "../../tensor/memory.ts";
import type { OptionField } from "../../tensor/plugins.ts";
import type { Random } from "../../tensor/random.ts";
import { apply, reshape, type Tensor, tensor } from "../../tensor/tensor.ts";

/** The option of a kind of experts with hidden units. */
export const dropoutOption: OptionField<number> = z.number().min(0).lt(1).default(0)
  .describe("share of hidden units dropped in training (Switch fine-tunes with 0.4 in experts)");

/**
 * Hidden units, each zero with probability `share` and else divided by 1 - share; as they are without a stream.
 * @param random The stream of an expert's rows in training.
 * @example
 * ```ts
 * import { cpu, dropUnits, random, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const hidden_NF = tensor(backend, new Float32Array(100).fill(1), [10, 10]);
 * const dropped = await dropUnits(hidden_NF, 0.5, random(0)).read();
 * assertEquals(new Set(dropped), new Set([0, 2]));
 * assertEquals(dropUnits(hidden_NF, 0.5, undefined), hidden_NF);
 * backend.close();
 * ```
 */
export function dropUnits(hidden_NF: Tensor, share: number, random: Random | undefined): Tensor {
  if (share === 0 || !random) return hidden_NF;
  const { shape, backend } = hidden_NF;
  const [key0, key1] = random.split("dropout").key;
  const [draw] = apply(kernels.uniform, [], { key0, key1, shape }, backend);
  // Draws are multiples of 2^-24, so half a step below the share keeps exactly the share of them.
  const least = tensor(backend, [share - 2 ** -25], [1]);
  const kept = spending(reshape(draw, shape), (draw_NF) => greater(draw_NF, least));
  return multiply(hidden_NF, spending(kept, (kept_NF) => affine(kept_NF, 1 / (1 - share), 0)));
}

/** Values that dropout keeps of a hidden unit besides the unit: its factor and the product. */
export function keptByDropout(share: number): number {
  return share === 0 ? 0 : 2;
}
