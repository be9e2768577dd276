// Sums, means, softmax and its relatives, with gradients.
import { shapeText, sizeOf } from "../kernels/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import { affine, divide, multiply, where } from "./arithmetic.ts";
import { maximum } from "./piecewise.ts";
import { apply, differentiable, reshape, stopGradient, type Tensor, tensor } from "./tensor.ts";

/**
 * Sum over the last axis: [..., C] -> [...]; a vector gives [1].
 * @example
 * ```ts
 * import { cpu, sumLast, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = sumLast(tensor(backend, [1, 2, 3, 4], [2, 2]));
 * assertEquals(await y.read(), Float32Array.of(3, 7));
 * backend.close();
 * ```
 */
export function sumLast(x: Tensor): Tensor {
  const columns = x.shape[x.shape.length - 1];
  const [y] = apply(kernels.sumLast, [x], {});
  return differentiable(y, [[
    x,
    (gradient) => reshape(apply(kernels.broadcastRows, [gradient], { columns })[0], x.shape),
  ]]);
}

/**
 * Sum over all axes but the last: [..., C] -> [C].
 * @example
 * ```ts
 * import { cpu, sumFirst, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = sumFirst(tensor(backend, [1, 2, 3, 4], [2, 2]));
 * assertEquals(await y.read(), Float32Array.of(4, 6));
 * backend.close();
 * ```
 */
export function sumFirst(x: Tensor): Tensor {
  const columns = x.shape[x.shape.length - 1];
  const rows = columns === 0 ? 0 : sizeOf(x.shape) / columns;
  const [y] = apply(kernels.sumFirst, [x], {});
  return differentiable(y, [[
    x,
    (gradient) => reshape(apply(kernels.broadcastColumns, [gradient], { rows })[0], x.shape),
  ]]);
}

/**
 * Sum of all values, shape [1].
 * @example
 * ```ts
 * import { cpu, scalar, sumAll, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * assertEquals(await scalar(sumAll(tensor(backend, [1, 2, 3, 4], [2, 2]))), 10);
 * backend.close();
 * ```
 */
export function sumAll(x: Tensor): Tensor {
  return sumLast(x.shape.length === 1 ? x : sumFirst(x));
}

/**
 * Mean of all values, shape [1]; NaN where there are none.
 * @example
 * ```ts
 * import { cpu, meanAll, scalar, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * assertEquals(await scalar(meanAll(tensor(backend, [1, 2, 3, 4], [2, 2]))), 2.5);
 * backend.close();
 * ```
 */
export function meanAll(x: Tensor): Tensor {
  return affine(sumAll(x), 1 / sizeOf(x.shape), 0);
}

/**
 * Mean over all axes but the last: [..., C] -> [C].
 * @example
 * ```ts
 * import { cpu, meanFirst, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = meanFirst(tensor(backend, [1, 2, 3, 4], [2, 2]));
 * assertEquals(await y.read(), Float32Array.of(2, 3));
 * backend.close();
 * ```
 */
export function meanFirst(x: Tensor): Tensor {
  return affine(sumFirst(x), x.shape[x.shape.length - 1] / sizeOf(x.shape), 0);
}

/**
 * Mean over real tokens, without padding: [T] -> [1], [T, C] -> [C]; 0 where no token is real. Padding may hold anything, NaN
 * too, and gets gradient 0.
 * @param real_T f32 [T]: 1 = a real token, 0 = padding; undefined = all real.
 * @throws {RangeError} when x has other than T rows, or more than two dimensions.
 * @example
 * ```ts
 * import { cpu, meanOfReal, scalar, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const loss_T = tensor(backend, [1, 3, 100], [3]);
 * assertEquals(await scalar(meanOfReal(loss_T, tensor(backend, [1, 1, 0], [3]))), 2);
 * backend.close();
 * ```
 */
export function meanOfReal(x: Tensor, real_T?: Tensor): Tensor {
  const [T, C] = x.shape;
  if (x.shape.length > 2 || (real_T && shapeText(real_T.shape) !== `[${T}]`)) {
    throw new RangeError(
      `Cannot average shape ${shapeText(x.shape)} over real tokens: it must be [T] or [T, C]` +
        (real_T ? `, with a mask of [T], not ${shapeText(real_T.shape)}` : ""),
    );
  }
  const sum = C === undefined ? sumAll : sumFirst;
  if (!real_T) return affine(sum(x), 1 / Math.max(1, T), 0);
  const mask_T = stopGradient(real_T);
  // Chosen, not multiplied: NaN times 0 is NaN.
  const mask = C === undefined ? mask_T : apply(kernels.broadcastRows, [mask_T], { columns: C })[0];
  const total = sum(where(mask, x, affine(mask, 0, 0)));
  return divide(total, maximum(sumAll(mask_T), tensor(x.backend, [1], [1])));
}

/**
 * Softmax over the last axis; a row of nothing but -Infinity gives NaN.
 * @example
 * ```ts
 * import { cpu, softmax, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = softmax(tensor(backend, [1000, 1000, 0, -Infinity], [2, 2]));
 * assertEquals(await y.read(), Float32Array.of(0.5, 0.5, 1, 0));
 * backend.close();
 * ```
 */
export function softmax(x: Tensor): Tensor {
  const [y] = apply(kernels.softmax, [x], {});
  return differentiable(y, [[x, (gradient) => apply(kernels.softmaxGradient, [y, gradient], {})[0]]]);
}

/**
 * Rows divided by their sums, [R, C]; a row whose sum is 0 gives NaN.
 * @example
 * ```ts
 * import { cpu, shareOfRow, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * assertEquals(await shareOfRow(tensor(backend, [1, 3, 2, 2], [2, 2])).read(), Float32Array.of(0.25, 0.75, 0.5, 0.5));
 * backend.close();
 * ```
 */
export function shareOfRow(x_RC: Tensor): Tensor {
  const [R] = x_RC.shape;
  const [total_R] = apply(kernels.sumLast, [x_RC], {});
  const [y_RC] = apply(kernels.binary, [x_RC, reshape(total_R, [R, 1])], { op: "divide" });
  return differentiable(y_RC, [[
    x_RC,
    (gradient) => apply(kernels.rowShareGradient, [y_RC, total_R, gradient], {})[0],
  ]]);
}

/**
 * log sum exp over the last axis: [..., C] -> [...]; a vector gives [1].
 * @example
 * ```ts
 * import { cpu, logsumexp, scalar, tensor } from "@switchyard/moe";
 * import { assertAlmostEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * assertAlmostEquals(await scalar(logsumexp(tensor(backend, [7, 7], [1, 2]))), 7 + Math.log(2), 1e-5);
 * backend.close();
 * ```
 */
export function logsumexp(x: Tensor): Tensor {
  const [y] = apply(kernels.logsumexp, [x], {});
  return differentiable(y, [[
    x,
    (gradient) =>
      multiply(apply(kernels.softmax, [x], {})[0], reshape(gradient, [...x.shape.slice(0, -1), 1])),
  ]]);
}

/**
 * Cross-entropy of each row of logits with its target, in nats, shape [T]; rows with target -1 give 0.
 * @param logits_TV Shape [T, V].
 * @param target_T Whole numbers below V, or -1; i32 [T].
 * @throws {RangeError} when shapes do not fit; {TypeError} when element types do not.
 * @example
 * ```ts
 * import { cpu, crossEntropy, tensor } from "@switchyard/moe";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const logits_TV = tensor(backend, [0, 0, 5, 1], [2, 2]);
 * const loss_T = await crossEntropy(logits_TV, tensor(backend, Int32Array.of(0, -1), [2])).read();
 * assertAlmostEquals(loss_T[0], Math.log(2), 1e-6);
 * assertEquals(loss_T[1], 0);
 * backend.close();
 * ```
 */
export function crossEntropy(logits_TV: Tensor, target_T: Tensor): Tensor {
  const [loss_T, normalizer_T2] = apply(kernels.crossEntropy, [logits_TV, target_T], {});
  return differentiable(loss_T, [[
    logits_TV,
    (gradient) => apply(kernels.crossEntropyGradient, [logits_TV, target_T, normalizer_T2, gradient], {})[0],
  ]]);
}

/**
 * The one value of a tensor of shape [1].
 * @throws {RangeError} when it holds more or less than one value.
 * @example
 * ```ts
 * import { cpu, scalar, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * assertEquals(await scalar(tensor(backend, [7], [1])), 7);
 * backend.close();
 * ```
 */
export async function scalar(x: Tensor): Promise<number> {
  if (sizeOf(x.shape) !== 1) throw new RangeError(`Cannot read shape ${shapeText(x.shape)} as one value`);
  return (await x.read())[0];
}
