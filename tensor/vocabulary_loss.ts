// A language model's last product and its loss as one op. The scores of all words are the largest array of a step; only
// their own gradient reads them, so it may take their place.
import * as kernels from "../kernels/mod.ts";
import { release } from "./memory.ts";
import { apply, applyOver, differentiable, type Tensor } from "./tensor.ts";
import { together } from "./together.ts";

/**
 * Cross-entropy of each row of x W^T with its target, in nats, [T]: `crossEntropy(matmul(x, W, { transposeB: true }))`
 * in half the memory, where a backend can write one array over another. Rows with target -1 give 0.
 * @param x_TD f32 [T, D].
 * @param weight_VD f32 [V, D].
 * @param target_T Whole numbers below V, or -1; i32 [T].
 * @throws {RangeError} when shapes do not fit; {TypeError} when element types do not, and from `gradients` when the loss
 * is differentiated twice: the first time uses the scores up.
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
  const product = (a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean) =>
    apply(kernels.matmul, [a, b], { transposeA, transposeB })[0];
  const score_TV = product(x_TD, weight_VD, false, true);
  const [loss_T, normalizer_T2] = apply(kernels.crossEntropy, [score_TV, target_T], {});
  let spent = false;
  return differentiable(
    loss_T,
    together([x_TD, weight_VD], (gradient_T) => {
      if (spent) {
        throw new TypeError(
          "Cannot differentiate vocabularyLoss again: its scores were used up the first time; make the loss anew",
        );
      }
      spent = true;
      const inputs = [score_TV, target_T, normalizer_T2, gradient_T];
      const [slope_TV] = applyOver(kernels.crossEntropyGradient, inputs, {});
      release(score_TV);
      return [product(slope_TV, weight_VD, false, false), product(slope_TV, x_TD, true, false)];
    }),
  );
}
