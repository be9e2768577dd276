// Elementwise arithmetic with gradients. The second operand of a binary op may be smaller: one value, one per column
// (last axis) or one per row; its gradient is summed back to its shape.
import { shapeText, sizeOf } from "../kernels/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import { sumAll, sumFirst, sumLast } from "./reduce.ts";
import { apply, differentiable, reshape, stopGradient, type Tensor, tensor } from "./tensor.ts";

type UnaryOp = Parameters<typeof kernels.unary.outputs>[1]["op"];
type BinaryOp = Parameters<typeof kernels.binary.outputs>[1]["op"];

function unary(op: UnaryOp, x: Tensor): Tensor {
  const [y] = apply(kernels.unary, [x], { op });
  return differentiable(y, [[x, (gradient) => apply(kernels.unaryGradient, [x, gradient], { op })[0]]]);
}

/** max(x, 0). */
export function relu(x: Tensor): Tensor {
  return unary("relu", x);
}

/** x Phi(x) with the exact normal distribution function. */
export function gelu(x: Tensor): Tensor {
  return unary("gelu", x);
}

/** x sigmoid(x), also called swish. */
export function silu(x: Tensor): Tensor {
  return unary("silu", x);
}

export function exp(x: Tensor): Tensor {
  return unary("exp", x);
}

/** Natural logarithm. */
export function log(x: Tensor): Tensor {
  return unary("log", x);
}

export function negate(x: Tensor): Tensor {
  return unary("negate", x);
}

export function square(x: Tensor): Tensor {
  return unary("square", x);
}

export function sqrt(x: Tensor): Tensor {
  return unary("sqrt", x);
}

export function sigmoid(x: Tensor): Tensor {
  return unary("sigmoid", x);
}

/** log(1 + e^x), which stays above 0 where e^x does. */
export function softplus(x: Tensor): Tensor {
  const step = (op: UnaryOp, y: Tensor) => apply(kernels.unary, [y], { op })[0];
  const above = step("relu", x);
  const size = binary("add", above, step("relu", step("negate", x)));
  const smooth = step("log", affine(step("exp", step("negate", size)), 1, 1));
  // Below -15, log(1 + e^x) is e^x to the last bit, and 1 + e^x has lost most of it.
  const far = binary("greater", step("negate", x), tensor(x.backend, [15], [1]));
  const [y] = apply(kernels.where, [far, step("exp", x), binary("add", above, smooth)], {});
  return differentiable(y, [[x, (gradient) => binary("multiply", gradient, step("sigmoid", x))]]);
}

/** Phi(x), the standard normal distribution function, taken from the derivative of gelu: Phi(x) + x phi(x). */
export function normalCdf(x: Tensor): Tensor {
  const density = affine(
    apply(kernels.unary, [affine(apply(kernels.unary, [x], { op: "square" })[0], -0.5, 0)], { op: "exp" })[0],
    1 / Math.sqrt(2 * Math.PI),
    0,
  );
  const ones = affine(stopGradient(x), 0, 1);
  const [slope] = apply(kernels.unaryGradient, [x, ones], { op: "gelu" });
  const [bell] = apply(kernels.binary, [x, density], { op: "multiply" });
  return differentiable(binary("subtract", slope, bell), [
    [x, (gradient) => binary("multiply", gradient, density)],
  ]);
}

/** x scale + shift with two plain numbers. */
export function affine(x: Tensor, scale: number, shift: number): Tensor {
  const [y] = apply(kernels.affine, [x], { scale, shift });
  return differentiable(y, [[x, (gradient) => apply(kernels.affine, [gradient], { scale, shift: 0 })[0]]]);
}

function binary(op: BinaryOp, a: Tensor, b: Tensor): Tensor {
  return apply(kernels.binary, [a, b], { op })[0];
}

/** Sums a gradient of a's shape down to the smaller shape of b. */
function sumTo(gradient: Tensor, like: Tensor): Tensor {
  if (shapeText(gradient.shape) === shapeText(like.shape)) return gradient;
  const rank = gradient.shape.length;
  if (sizeOf(like.shape) === 1) return reshape(sumAll(gradient), like.shape);
  if (like.shape.length === rank && like.shape[rank - 1] === 1) return reshape(sumLast(gradient), like.shape);
  return sumFirst(gradient);
}

/** a + b. */
export function add(a: Tensor, b: Tensor): Tensor {
  return differentiable(binary("add", a, b), [
    [a, (gradient) => gradient],
    [b, (gradient) => sumTo(gradient, b)],
  ]);
}

/** a - b. */
export function subtract(a: Tensor, b: Tensor): Tensor {
  return differentiable(binary("subtract", a, b), [
    [a, (gradient) => gradient],
    [b, (gradient) => negate(sumTo(gradient, b))],
  ]);
}

/** a b, elementwise. */
export function multiply(a: Tensor, b: Tensor): Tensor {
  return differentiable(binary("multiply", a, b), [
    [a, (gradient) => binary("multiply", gradient, b)],
    [b, (gradient) => sumTo(binary("multiply", gradient, a), b)],
  ]);
}

/** a / b, elementwise. */
export function divide(a: Tensor, b: Tensor): Tensor {
  return differentiable(binary("divide", a, b), [
    [a, (gradient) => binary("divide", gradient, b)],
    [b, (gradient) => {
      const quotient = binary("divide", binary("divide", a, b), b);
      return negate(sumTo(binary("multiply", gradient, quotient), b));
    }],
  ]);
}

/** 1 where a > b, else 0; no gradient. */
export function greater(a: Tensor, b: Tensor): Tensor {
  return binary("greater", a, b);
}

/** The larger of a and b, elementwise; no gradient. */
export function maximum(a: Tensor, b: Tensor): Tensor {
  return binary("maximum", a, b);
}

/** `mask` not 0 ? a : b; gradient to both, none to the mask. All of one shape. */
export function where(mask: Tensor, a: Tensor, b: Tensor): Tensor {
  const zerosLike = (gradient: Tensor) => affine(gradient, 0, 0);
  const choose = (x: Tensor, y: Tensor) => apply(kernels.where, [mask, x, y], {})[0];
  return differentiable(choose(a, b), [
    [a, (gradient) => choose(gradient, zerosLike(gradient))],
    [b, (gradient) => choose(zerosLike(gradient), gradient)],
  ]);
}

/** Whole numbers as f32; no gradient. */
export function toFloat(x: Tensor): Tensor {
  return apply(kernels.toFloat, [x], {})[0];
}
