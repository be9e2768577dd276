// What binary ops share: a second operand of a's shape [..., C], or [1], or [C] (one value per column), or [..., 1] (one per
// row), and its gradient, which is summed back to its shape.
import { shapeText, sizeOf } from "../kernels/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import { apply, reshape, type Tensor } from "./tensor.ts";

/** A function of two numbers. */
export type BinaryOp = Parameters<typeof kernels.binary.outputs>[1]["op"];

/** op(a, b), without gradient. */
export function binary(op: BinaryOp, a: Tensor, b: Tensor): Tensor {
  return apply(kernels.binary, [a, b], { op })[0];
}

/** Sums a gradient of a's shape down to the smaller shape of b. */
export function sumTo(gradient: Tensor, like: Tensor): Tensor {
  if (shapeText(gradient.shape) === shapeText(like.shape)) return gradient;
  const rank = gradient.shape.length;
  // Kernels and not the ops of reduce.ts, which imports arithmetic; a gradient has no gradient.
  const sumLast = (x: Tensor) => apply(kernels.sumLast, [x], {})[0];
  const sumFirst = (x: Tensor) => apply(kernels.sumFirst, [x], {})[0];
  if (sizeOf(like.shape) === 1) {
    return reshape(sumLast(rank === 1 ? gradient : sumFirst(gradient)), like.shape);
  }
  if (like.shape.length === rank && like.shape[rank - 1] === 1) return reshape(sumLast(gradient), like.shape);
  return sumFirst(gradient);
}
