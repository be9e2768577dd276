// Weights in fewer bits, as products read them: codes and scales in words of 32 bits, decoded inside the product.
import * as kernels from "../kernels/mod.ts";
import type { WeightFormat } from "../kernels/parts/weight_formats.ts";
import { apply, dims, type Tensor } from "./tensor.ts";

export type { WeightFormat };

/** Matrices [E, K, M] kept in a format of weights. */
export interface QuantisedMatrices {
  /** How they are kept. */
  readonly format: WeightFormat;
  /** Their size as numbers, [E, K, M]: K inputs, M outputs. */
  readonly shape: readonly [E: number, K: number, M: number];
  /** Codes and scales, i32 [E, words]. */
  readonly words: Tensor;
  /** What they were rounded from: gradients go straight there, as if nothing had been rounded. Absent: nowhere. */
  readonly of?: Tensor;
}

/**
 * Rounds matrices to a format of weights, for {@linkcode groupedMatmul} to read. The gradient of a product goes straight
 * through to `weight_EKM`, as if it were the rounded matrices (straight-through estimator, Bengio et al. 2013,
 * arXiv:1308.3432).
 * @param weight_EKM K inputs and M outputs of E matrices, f32.
 * @throws {RangeError} when it has another rank, or there is no such format; {TypeError} when it is not f32.
 * @example
 * ```ts
 * import { cpu, groupedMatmul, quantise, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * using backend = await cpu({ threads: 1 });
 * const weight_EKM = tensor(backend, [6, 0.6], [1, 1, 2]);
 * const x_NK = tensor(backend, [10], [1, 1]);
 * const offset_O = tensor(backend, Int32Array.of(0, 1), [2]);
 * // A block of an output's inputs shares a scale, the largest size in it: here each output has one input.
 * const y_NM = groupedMatmul(x_NK, quantise(weight_EKM, "mxfp4"), offset_O);
 * assertEquals(await y_NM.read(), Float32Array.of(60, 5)); // 0.6 is 4.8 eighths, and E2M1 has 4 and 6
 * ```
 */
export function quantise(weight_EKM: Tensor, format: WeightFormat): QuantisedMatrices {
  const [words] = apply(kernels.quantise, [weight_EKM], { format });
  const { E, K, M } = dims(weight_EKM, "EKM");
  return { format, shape: [E, K, M], words, of: weight_EKM };
}
