// The standard normal distribution, value by value and without gradients: what a distribution function and quotients in it
// take their gradients from.
import * as kernels from "../kernels/mod.ts";
import { apply, type Tensor } from "./tensor.ts";

/** Of each value x, with the shape of `x`; no gradient. */
export interface NormalCurve {
  /** Phi(x), taken from the derivative of gelu, Phi(x) + x phi(x). */
  readonly distribution: Tensor;
  /** phi(x), the slope of Phi. */
  readonly density: Tensor;
  /** x phi(x); 0 at infinity, where a product would be NaN. */
  readonly moment: Tensor;
}

/** The curve at `x`. */
export function normalCurve(x: Tensor): NormalCurve {
  const affine = (y: Tensor, scale: number, shift: number) => apply(kernels.affine, [y], { scale, shift })[0];
  const [square] = apply(kernels.unary, [x], { op: "square" });
  const [bell] = apply(kernels.unary, [affine(square, -0.5, 0)], { op: "exp" });
  const density = affine(bell, 1 / Math.sqrt(2 * Math.PI), 0);
  const [slope] = apply(kernels.unaryGradient, [x, affine(density, 0, 1)], { op: "gelu" });
  const [product] = apply(kernels.binary, [x, density], { op: "multiply" });
  const [moment] = apply(kernels.where, [density, product, density], {});
  const [distribution] = apply(kernels.binary, [slope, moment], { op: "subtract" });
  return { distribution, density, moment };
}
