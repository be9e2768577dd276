// How exactly a bank stores what its products read. Half keeps 16-bit copies of weights, tokens and hidden units, and adds
// up in f32; parameters themselves, gradients and everything outside the bank stay f32 (docs/decisions/half_precision.md).
import * as z from "zod";
import type { Backend } from "../../kernels/kernel.ts";
import { toHalf } from "../../tensor/arithmetic.ts";
import { seenFrom, type Tensor } from "../../tensor/tensor.ts";
import type { OptionField } from "../../tensor/plugins.ts";

/** Every precision. */
export const precisions = ["full", "half"] as const;

/** `half` stores operands of experts' products in 16 bits. */
export type Precision = typeof precisions[number];

/** The option of a kind of expert. */
export const precisionOption: OptionField<Precision> = z.enum(precisions).default("full")
  .describe("`half` stores what products read as f16 and adds up in f32 (WebGPU only)");

/**
 * How a bank of a precision hands tensors to a product: as they are, or as copies in f16. Copies of a weight belong with the
 * tokens `beside` it ({@linkcode seenFrom}).
 * @example
 * ```ts
 * import { cpu, operandsIn, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x = tensor(backend, [1, 2], [2]);
 * assertEquals(operandsIn("full")(x), x);
 * backend.close();
 * ```
 */
export function operandsIn(precision: Precision): (x: Tensor, beside?: Tensor) => Tensor {
  return (x, beside = x) => precision === "full" || x.dtype === "f16" ? x : toHalf(seenFrom(beside, x));
}

/**
 * Checks that a backend stores what a precision needs.
 * @throws {RangeError} when it has no 16-bit floats.
 * @example
 * ```ts
 * import { checkPrecision, cpu } from "@switchyard/moe";
 * import { assertThrows } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * checkPrecision("full", backend);
 * assertThrows(() => checkPrecision("half", backend), RangeError, 'on cpu: it stores f32 and i32; choose "full"');
 * backend.close();
 * ```
 */
export function checkPrecision(precision: Precision, backend: Backend): void {
  if (precision === "full" || backend.dtypes.includes("f16")) return;
  throw new RangeError(
    `Cannot run experts in half precision on ${backend.arithmetic.device}: it stores ${
      backend.dtypes.join(" and ")
    }; choose "full", or the WebGPU backend`,
  );
}
