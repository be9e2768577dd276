// A language model's last product and its loss as one op. The scores of all words are the largest array of a step; their
// gradient, as large again, is made for some of the rows at a time and used up at once.
import * as kernels from "../kernels/mod.ts";
import { memory, release } from "./memory.ts";
import { wholeNumbers } from "./rows.ts";
import { apply, applyOver, differentiable, dims, type Tensor } from "./tensor.ts";
import { together } from "./together.ts";

/** Fewer take more memory; more pack the weights again and add their gradient up more often. */
const PARTS = 4;

/**
 * Cross-entropy of each row of x W^T with its target, in nats, [T]: `crossEntropy(matmul(x, W, { transposeB: true }))`
 * without the whole gradient of the scores, [T, V]. Rows with target -1 give 0.
 * @param x_TD f32 [T, D].
 * @param weight_VD f32 [V, D].
 * @param target_T Whole numbers below V, or -1; i32 [T].
 * @throws {RangeError} when shapes do not fit; {TypeError} when element types do not.
 * @example
 * ```ts
 * import { cpu, gradients, meanAll, parameter, tensor, vocabularyLoss } from "@switchyard/moe";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x_TD = tensor(backend, [1, 2], [2, 1]);
 * const weight_VD = parameter(backend, Float32Array.of(0, 0), [2, 1]);
 * const loss_T = vocabularyLoss(x_TD, weight_VD, tensor(backend, Int32Array.of(0, -1), [2]));
 * assertAlmostEquals((await loss_T.read())[0], Math.log(2), 1e-6);
 * const [gradient] = await gradients(meanAll(loss_T), [weight_VD]);
 * assertEquals(await gradient!.read(), Float32Array.of(-0.25, 0.25));
 * backend.close();
 * ```
 */
export function vocabularyLoss(x_TD: Tensor, weight_VD: Tensor, target_T: Tensor): Tensor {
  const { T } = dims(x_TD, "TD");
  const [score_TV] = apply(kernels.matmul, [x_TD, weight_VD], { transposeA: false, transposeB: true });
  const [loss_T, logsumexp_T] = apply(kernels.crossEntropy, [score_TV, target_T], {});
  const rows = Math.max(1, Math.ceil(T / PARTS));

  /** Adds what rows `first` to `first + rows - 1` give to the gradients so far. */
  function part(gradient_T: Tensor, first: number, before: readonly Tensor[]): readonly Tensor[] {
    using scope = memory();
    const R = Math.min(rows, T - first);
    const inputs = [score_TV, target_T, logsumexp_T, gradient_T];
    const [dscore_RV] = apply(kernels.crossEntropyGradient, inputs, { first, rows: R });
    const [dx_RD] = apply(kernels.matmul, [dscore_RV, weight_VD], { transposeA: false, transposeB: false });
    const [x_RD] = apply(kernels.gatherRows, [x_TD, wholeNumbers(x_TD, [R], (row) => first + row)], {});
    const [dweight_VD] = apply(kernels.matmul, [dscore_RV, x_RD], { transposeA: true, transposeB: false });
    const row_T = wholeNumbers(x_TD, [T], (t) => t >= first && t < first + R ? t - first : -1);
    const [dx_TD, sum_VD] = before;
    const based = dx_TD !== undefined;
    const [next_TD] = apply(kernels.combineRows, [dx_RD, row_T, ...(based ? [dx_TD] : [])], {
      each: 1,
      based,
    });
    const next_VD = sum_VD ? applyOver(kernels.binary, [sum_VD, dweight_VD], { op: "add" })[0] : dweight_VD;
    before.forEach(release);
    return [scope.keep(next_TD), scope.keep(next_VD)];
  }

  return differentiable(
    loss_T,
    together([x_TD, weight_VD], (gradient_T) => {
      let sums: readonly Tensor[] = [];
      for (let first = 0; first < Math.max(1, T); first += rows) sums = part(gradient_T, first, sums);
      return sums;
    }),
  );
}
