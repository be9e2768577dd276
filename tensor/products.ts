// Matrix products with gradients: dense, and grouped over ragged blocks of rows.
import type { Activation } from "../kernels/parts/activation.ts";
import type { GroupedMatmulParams } from "../kernels/grouped_matmul/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import type { QuantisedMatrices } from "./quantised.ts";
import { type SortedRows, unsortGradient, wholeNumbers } from "./rows.ts";
import { apply, differentiable, dims, reshape, type Tensor, tensor } from "./tensor.ts";

export type { Activation };

/** Whether an operand of {@linkcode matmul} is stored transposed. */
export interface MatmulOptions {
  /** A is stored [K, M]. Default false. */
  readonly transposeA?: boolean;
  /** B is stored [N, K]. Default false. */
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

/** What {@linkcode groupedMatmul} does to its sums before they are stored. */
export interface GroupedMatmulOptions {
  /** A bias for each group, f32 [E, M]. */
  readonly bias_EM?: Tensor | undefined;
  /** What sums go through. */
  readonly activation?: Activation | undefined;
  /** Stores the result as f16, for another product to read. */
  readonly half?: boolean | undefined;
}

/**
 * Rows of group e times matrix e: [N, K] [E, K, M] -> [N, M], plus the group's bias and through an activation if wanted.
 * Rows and matrices are f32 or f16; sums and gradients are f32. Matrices in a format of weights ({@linkcode quantise}) are
 * decoded as the product reads them.
 * @param x Rows one after the other, or sorted but not copied ({@linkcode sortRows}).
 * @param offset_O E + 1 whole numbers: group e holds rows offset[e] to offset[e + 1] - 1; rows past the last give 0.
 * @throws {RangeError} when the shapes do not fit; {TypeError} when element types do not.
 * @example
 * ```ts
 * import { cpu, groupedMatmul, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x_NK = tensor(backend, [1, 2, 3], [3, 1]);
 * const weight_EKM = tensor(backend, [10, 100], [2, 1, 1]);
 * const offset_O = tensor(backend, Int32Array.of(0, 1, 2), [3]);
 * assertEquals(await groupedMatmul(x_NK, weight_EKM, offset_O).read(), Float32Array.of(10, 200, 0));
 * const bias_EM = tensor(backend, [-20, 1], [2, 1]);
 * const y_NM = groupedMatmul(x_NK, weight_EKM, offset_O, { bias_EM, activation: "relu" });
 * assertEquals(await y_NM.read(), Float32Array.of(0, 201, 0));
 * backend.close();
 * ```
 */
export function groupedMatmul(
  x: Tensor | SortedRows,
  weight_EKM: Tensor | QuantisedMatrices,
  offset_O: Tensor,
  { bias_EM, activation, half }: GroupedMatmulOptions = {},
): Tensor {
  const product = productWith(weight_EKM);
  const weights = "words" in weight_EKM ? weight_EKM.of : weight_EKM;
  const sorted = "x_TD" in x ? x : null;
  const source = "x_TD" in x ? x.x_TD : x;
  const index = sorted ? [sorted.index_N] : [];
  const each = sorted ? { each: sorted.each } : {};
  const [y, slope] = product(source, [offset_O, ...index, ...(bias_EM ? [bias_EM] : [])], {
    transposeB: false,
    ...each,
    biased: bias_EM !== undefined,
    half: half === true,
    ...(activation ? { activation } : {}),
  });
  // A product of an activation's result multiplies its gradient by the derivative itself.
  const before = sorted ? undefined : source.made?.activation;
  const backwards = (g: Tensor) => {
    if (before) {
      return product(g, [offset_O, before.factors], { transposeB: true, factor: before.factor })[0];
    }
    const [gradient_NK] = product(g, [offset_O], { transposeB: true });
    return sorted ? unsortGradient(gradient_NK, sorted) : gradient_NK;
  };
  const weightGradient = (g: Tensor) =>
    apply(kernels.groupedWeightGradient, [source, g, offset_O, ...index], each)[0];
  // With a fused activation this node is the pre-activation; its values are never stored.
  const sum = differentiable(slope ?? y, [
    [before?.sum ?? source, backwards],
    ...(weights ? [[weights, weightGradient] as const] : []),
    ...(bias_EM ? [[bias_EM, (g: Tensor) => sumByGroup(g, offset_O)] as const] : []),
  ]);
  if (!activation) return sum;
  const backThrough = (g: Tensor) =>
    slope
      ? apply(kernels.binary, [slope, g], { op: "multiply" })[0]
      : apply(kernels.unaryGradient, [y, g], { op: "relu" })[0];
  return differentiable(y, [[sum, backThrough]], {
    sum,
    factors: slope ?? y,
    factor: slope ? "value" : "positive",
  });
}

/** Products of rows with matrices, whichever way those are kept; `rest` is what follows them among a kernel's inputs. */
function productWith(matrices: Tensor | QuantisedMatrices) {
  return (rows: Tensor, rest: readonly Tensor[], params: GroupedMatmulParams): Tensor[] => {
    if (!("words" in matrices)) return apply(kernels.groupedMatmul, [rows, matrices, ...rest], params);
    const { words, format, shape: [, inputs, outputs] } = matrices;
    if (params.half) throw new TypeError(`Cannot store a product as f16: its matrices are kept as ${format}`);
    return apply(kernels.quantisedMatmul, [rows, words, ...rest], { ...params, format, inputs, outputs });
  };
}

/** Sums of each group's rows, [N, M] -> [E, M]. */
function sumByGroup(x_NM: Tensor, offset_O: Tensor): Tensor {
  const row_N = wholeNumbers(x_NM, [x_NM.shape[0]], (at) => at);
  return apply(kernels.combineRows, [x_NM, row_N, row_N, offset_O], {})[0];
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
