// Sums, means, softmax and its relatives, with gradients.
import { shapeText, sizeOf } from "../kernels/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import { affine, multiply } from "./arithmetic.ts";
import { apply, differentiable, reshape, type Tensor } from "./tensor.ts";

/** Sum over the last axis: [..., C] -> [...]; a vector gives [1]. */
export function sumLast(x: Tensor): Tensor {
  const columns = x.shape[x.shape.length - 1];
  const [y] = apply(kernels.sumLast, [x], {});
  return differentiable(y, [[
    x,
    (gradient) => reshape(apply(kernels.broadcastRows, [gradient], { columns })[0], x.shape),
  ]]);
}

/** Sum over all axes but the last: [..., C] -> [C]. */
export function sumFirst(x: Tensor): Tensor {
  const columns = x.shape[x.shape.length - 1];
  const rows = columns === 0 ? 0 : sizeOf(x.shape) / columns;
  const [y] = apply(kernels.sumFirst, [x], {});
  return differentiable(y, [[
    x,
    (gradient) => reshape(apply(kernels.broadcastColumns, [gradient], { rows })[0], x.shape),
  ]]);
}

/** Sum of all values, shape [1]. */
export function sumAll(x: Tensor): Tensor {
  return sumLast(x.shape.length === 1 ? x : sumFirst(x));
}

/** Mean of all values, shape [1]. */
export function meanAll(x: Tensor): Tensor {
  return affine(sumAll(x), 1 / sizeOf(x.shape), 0);
}

/** Mean over all axes but the last: [..., C] -> [C]. */
export function meanFirst(x: Tensor): Tensor {
  return affine(sumFirst(x), x.shape[x.shape.length - 1] / sizeOf(x.shape), 0);
}

/** Softmax over the last axis. */
export function softmax(x: Tensor): Tensor {
  const [y] = apply(kernels.softmax, [x], {});
  return differentiable(y, [[x, (gradient) => apply(kernels.softmaxGradient, [y, gradient], {})[0]]]);
}

/** log sum exp over the last axis: [..., C] -> [...]. */
export function logsumexp(x: Tensor): Tensor {
  const [y] = apply(kernels.logsumexp, [x], {});
  return differentiable(y, [[
    x,
    (gradient) =>
      multiply(apply(kernels.softmax, [x], {})[0], reshape(gradient, [...x.shape.slice(0, -1), 1])),
  ]]);
}

/**
 * Cross-entropy of each row of logits with its target, in nats; rows with target -1 give 0.
 * @param logits_TV Shape [T, V].
 * @param target_T Whole numbers below V, or -1.
 */
export function crossEntropy(logits_TV: Tensor, target_T: Tensor): Tensor {
  const [loss_T, logsumexp_T] = apply(kernels.crossEntropy, [logits_TV, target_T], {});
  return differentiable(loss_T, [[
    logits_TV,
    (gradient) => apply(kernels.crossEntropyGradient, [logits_TV, target_T, logsumexp_T, gradient], {})[0],
  ]]);
}

/** The one value of a tensor of shape [1]. */
export async function scalar(x: Tensor): Promise<number> {
  if (sizeOf(x.shape) !== 1) throw new RangeError(`Cannot read shape ${shapeText(x.shape)} as one value`);
  return (await x.read())[0];
}
