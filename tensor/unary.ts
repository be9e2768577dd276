// A function of each element, with its gradient.
import * as kernels from "../kernels/mod.ts";
import { apply, differentiable, type Tensor } from "./tensor.ts";

export type UnaryOp = Parameters<typeof kernels.unary.outputs>[1]["op"];

/** op(x), element by element. */
export function unary(op: UnaryOp, x: Tensor): Tensor {
  const [y] = apply(kernels.unary, [x], { op });
  return differentiable(y, [[x, (gradient) => apply(kernels.unaryGradient, [x, gradient], { op })[0]]]);
}
