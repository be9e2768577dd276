// Matrix products with gradients: dense, and grouped over ragged blocks of rows.
import * as kernels from "../kernels/mod.ts";
import { apply, differentiable, dims, reshape, type Tensor, tensor } from "./tensor.ts";

/** Whether an operand of {@linkcode matmul} is stored transposed. */
export interface MatmulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/**
 * A B: [M, K] [K, N] -> [M, N].
 * @throws {RangeError} when the shapes do not fit; {TypeError} when an operand is not f32.
 * @example
 * ```ts
 * import { cpu, matmul, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const a = tensor(backend, [1, 2, 3, 4], [2, 2]);
 * const b = tensor(backend, [10, 1], [2, 1]);
 * assertEquals(await matmul(a, b).read(), Float32Array.of(12, 34));
 * assertEquals(await matmul(a, b, { transposeA: true }).read(), Float32Array.of(13, 24));
 * backend.close();
 * ```
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false } = options;
  const product = (x: Tensor, y: Tensor, transposeX: boolean, transposeY: boolean) =>
    apply(kernels.matmul, [x, y], { transposeA: transposeX, transposeB: transposeY })[0];
  return differentiable(product(a, b, transposeA, transposeB), [
    [a, (g) => transposeA ? product(b, g, transposeB, true) : product(g, b, false, !transposeB)],
    [b, (g) => transposeB ? product(g, a, true, transposeA) : product(a, g, !transposeA, false)],
  ]);
}

/**
 * Rows of group e times matrix e: [N, K] [E, K, M] -> [N, M].
 * @param offset_O E + 1 whole numbers: group e holds rows offset[e] to offset[e + 1] - 1; rows past the last give 0.
 * @throws {RangeError} when the shapes do not fit; {TypeError} when element types do not.
 * @example
 * ```ts
 * import { cpu, groupedMatmul, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x_NK = tensor(backend, [1, 2, 3], [3, 1]);
 * const weight_EKM = tensor(backend, [10, 100], [2, 1, 1]);
 * const y_NM = groupedMatmul(x_NK, weight_EKM, tensor(backend, Int32Array.of(0, 1, 2), [3]));
 * assertEquals(await y_NM.read(), Float32Array.of(10, 200, 0));
 * backend.close();
 * ```
 */
export function groupedMatmul(x_NK: Tensor, weight_EKM: Tensor, offset_O: Tensor): Tensor {
  const [y] = apply(kernels.groupedMatmul, [x_NK, weight_EKM, offset_O], { transposeB: false });
  return differentiable(y, [
    [x_NK, (g) => apply(kernels.groupedMatmul, [g, weight_EKM, offset_O], { transposeB: true })[0]],
    [weight_EKM, (g) => apply(kernels.groupedWeightGradient, [x_NK, g, offset_O], {})[0]],
  ]);
}

/**
 * One product for each of B pairs: [B, N, K] [B, K, M] -> [B, N, M].
 * @throws {RangeError} when the shapes do not fit.
 * @example
 * ```ts
 * import { batchedMatmul, cpu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const a_BNK = tensor(backend, [1, 2, 3, 4], [2, 1, 2]);
 * const b_BKM = tensor(backend, [10, 1, 100, 1], [2, 2, 1]);
 * assertEquals(await batchedMatmul(a_BNK, b_BKM).read(), Float32Array.of(12, 304));
 * backend.close();
 * ```
 */
export function batchedMatmul(a_BNK: Tensor, b_BKM: Tensor): Tensor {
  const { B, N, K } = dims(a_BNK, "BNK");
  const { M } = dims(b_BKM, "BKM", { B, K });
  const offset_O = tensor(a_BNK.backend, Int32Array.from({ length: B + 1 }, (_, b) => b * N), [B + 1]);
  return reshape(groupedMatmul(reshape(a_BNK, [B * N, K]), b_BKM, offset_O), [B, N, M]);
}
