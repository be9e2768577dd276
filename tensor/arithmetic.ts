// Elementwise arithmetic with gradients. The second operand of a binary op may be smaller: one value, one per column
// (last axis) or one per row; its gradient is summed back to its shape.
import * as kernels from "../kernels/mod.ts";
import type { GatedParams } from "../kernels/parts/gated.ts";
import { binary, sumTo } from "./broadcast.ts";
import { normalCurve } from "./normal_curve.ts";
import { apply, differentiable, type Tensor } from "./tensor.ts";
import { together } from "./together.ts";

export type { GatedParams };

type UnaryOp = Parameters<typeof kernels.unary.outputs>[1]["op"];

function unary(op: UnaryOp, x: Tensor): Tensor {
  const [y] = apply(kernels.unary, [x], { op });
  return differentiable(y, [[x, (gradient) => apply(kernels.unaryGradient, [x, gradient], { op })[0]]]);
}

/**
 * max(x, 0).
 * @example
 * ```ts
 * import { cpu, relu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = relu(tensor(backend, [-1, 2], [2]));
 * assertEquals(await y.read(), Float32Array.of(0, 2));
 * backend.close();
 * ```
 */
export function relu(x: Tensor): Tensor {
  const [y] = apply(kernels.unary, [x], { op: "relu" });
  // Where y is positive, x was: nothing needs x any more.
  return differentiable(y, [[
    x,
    (gradient) => apply(kernels.unaryGradient, [y, gradient], { op: "relu" })[0],
  ]]);
}

/**
 * x Phi(x) with the exact normal distribution function (Hendrycks and Gimpel 2016, section 2).
 * @example
 * ```ts
 * import { cpu, gelu, scalar, tensor } from "@switchyard/moe";
 * import { assertAlmostEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * assertAlmostEquals(await scalar(gelu(tensor(backend, [1], [1]))), 0.8413447, 1e-6);
 * backend.close();
 * ```
 */
export function gelu(x: Tensor): Tensor {
  return unary("gelu", x);
}

/**
 * x sigmoid(x), also called swish (Elfwing, Uchibe and Doya 2018).
 * @example
 * ```ts
 * import { cpu, scalar, silu, tensor } from "@switchyard/moe";
 * import { assertAlmostEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * assertAlmostEquals(await scalar(silu(tensor(backend, [1], [1]))), 1 / (1 + Math.exp(-1)), 1e-6);
 * backend.close();
 * ```
 */
export function silu(x: Tensor): Tensor {
  return unary("silu", x);
}

/**
 * silu(gate) x, element by element, of equal shapes (Shazeer 2020: the hidden units of SwiGLU); or the form of GPT-OSS.
 * @param form Clamps both at a limit, makes the gate's sigmoid steeper and shifts x; nothing of it unless said otherwise.
 * @throws {RangeError} when the shapes differ.
 * @example
 * ```ts
 * import { cpu, gated, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const gate = tensor(backend, [0, 100, -100], [3]);
 * assertEquals((await gated(gate, tensor(backend, [5, 5, 5], [3])).read()).subarray(0, 2), Float32Array.of(0, 500));
 * backend.close();
 * ```
 */
export function gated(gate: Tensor, x: Tensor, form: GatedParams = {}): Tensor {
  return differentiable(
    apply(kernels.swiglu, [gate, x], form)[0],
    together([gate, x], (gradient) => apply(kernels.swigluGradient, [gate, x, gradient], form)),
  );
}

/**
 * The same where gates and units take turns in the last axis: [..., 2 F] -> [..., F], from silu(h[2 f]) h[2 f + 1].
 * @throws {RangeError} when the last axis does not split into pairs.
 * @example
 * ```ts
 * import { cpu, gatedPairs, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const hidden = gatedPairs(tensor(backend, [100, 5, 0, 5], [1, 4]));
 * assertEquals(await hidden.read(), Float32Array.of(500, 0));
 * backend.close();
 * ```
 */
export function gatedPairs(h: Tensor, form: GatedParams = {}): Tensor {
  return differentiable(
    apply(kernels.pairedSwiglu, [h], form)[0],
    [[h, (gradient) => apply(kernels.pairedSwigluGradient, [h, gradient], form)[0]]],
  );
}

/**
 * e^x.
 * @example
 * ```ts
 * import { cpu, exp, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = exp(tensor(backend, [0, -Infinity], [2]));
 * assertEquals(await y.read(), Float32Array.of(1, 0));
 * backend.close();
 * ```
 */
export function exp(x: Tensor): Tensor {
  return unary("exp", x);
}

/**
 * Natural logarithm; -Infinity at 0, NaN below.
 * @example
 * ```ts
 * import { cpu, log, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = log(tensor(backend, [1, 0], [2]));
 * assertEquals(await y.read(), Float32Array.of(0, -Infinity));
 * backend.close();
 * ```
 */
export function log(x: Tensor): Tensor {
  return unary("log", x);
}

/**
 * -x.
 * @example
 * ```ts
 * import { cpu, negate, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = negate(tensor(backend, [1, -2], [2]));
 * assertEquals(await y.read(), Float32Array.of(-1, 2));
 * backend.close();
 * ```
 */
export function negate(x: Tensor): Tensor {
  return unary("negate", x);
}

/**
 * x^2.
 * @example
 * ```ts
 * import { cpu, square, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = square(tensor(backend, [3, -2], [2]));
 * assertEquals(await y.read(), Float32Array.of(9, 4));
 * backend.close();
 * ```
 */
export function square(x: Tensor): Tensor {
  return unary("square", x);
}

/**
 * Square root; NaN below 0.
 * @example
 * ```ts
 * import { cpu, sqrt, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = sqrt(tensor(backend, [9, 4], [2]));
 * assertEquals(await y.read(), Float32Array.of(3, 2));
 * backend.close();
 * ```
 */
export function sqrt(x: Tensor): Tensor {
  return unary("sqrt", x);
}

/**
 * 1 / (1 + e^-x).
 * @example
 * ```ts
 * import { cpu, sigmoid, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = sigmoid(tensor(backend, [0, -Infinity], [2]));
 * assertEquals(await y.read(), Float32Array.of(0.5, 0));
 * backend.close();
 * ```
 */
export function sigmoid(x: Tensor): Tensor {
  return unary("sigmoid", x);
}

/**
 * log(1 + e^x), which stays above 0 where e^x does.
 * @example
 * ```ts
 * import { cpu, softplus, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = softplus(tensor(backend, [0, 100], [2]));
 * assertEquals(await y.read(), Float32Array.of(Math.log(2), 100));
 * backend.close();
 * ```
 */
export function softplus(x: Tensor): Tensor {
  const step = (op: UnaryOp, y: Tensor) => apply(kernels.unary, [y], { op })[0];
  const above = step("relu", x);
  const size = binary("add", above, step("relu", step("negate", x)));
  // With w = 1 + u as rounded, log(1 + u) = u log(w) / (w - 1): what rounding took is put back. Where w is 1, it is u.
  const u = step("exp", step("negate", size));
  const w = affine(u, 1, 1);
  const rest = affine(w, 1, -1);
  const ratio = binary("divide", binary("multiply", u, step("log", w)), rest);
  const [small] = apply(kernels.where, [rest, ratio, u], {});
  return differentiable(binary("add", above, small), [
    [x, (gradient) => binary("multiply", gradient, step("sigmoid", x))],
  ]);
}

/**
 * Phi(x), the standard normal distribution function.
 * @example
 * ```ts
 * import { cpu, normalCdf, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = normalCdf(tensor(backend, [0, 20, -20], [3]));
 * assertEquals(await y.read(), Float32Array.of(0.5, 1, 0));
 * backend.close();
 * ```
 */
export function normalCdf(x: Tensor): Tensor {
  const { distribution, density } = normalCurve(x);
  return differentiable(distribution, [[x, (gradient) => binary("multiply", gradient, density)]]);
}

/**
 * x scale + shift with two plain numbers.
 * @example
 * ```ts
 * import { affine, cpu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = affine(tensor(backend, [1, 2], [2]), 10, 3);
 * assertEquals(await y.read(), Float32Array.of(13, 23));
 * backend.close();
 * ```
 */
export function affine(x: Tensor, scale: number, shift: number): Tensor {
  const [y] = apply(kernels.affine, [x], { scale, shift });
  return differentiable(y, [[x, (gradient) => apply(kernels.affine, [gradient], { scale, shift: 0 })[0]]]);
}

/**
 * a + b.
 * @param b As every second operand: a's shape [..., C], or [1], or [C] (one per column), or [..., 1] (one per row).
 * @throws {RangeError} when b has another shape; {TypeError} when an operand is not f32.
 * @example
 * ```ts
 * import { add, cpu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = add(tensor(backend, [1, 2, 3, 4], [2, 2]), tensor(backend, [10, 20], [2, 1]));
 * assertEquals(await y.read(), Float32Array.of(11, 12, 23, 24));
 * backend.close();
 * ```
 */
export function add(a: Tensor, b: Tensor): Tensor {
  return differentiable(binary("add", a, b), [
    [a, (gradient) => gradient],
    [b, (gradient) => sumTo(gradient, b)],
  ]);
}

/**
 * a - b, shapes as in {@linkcode add}.
 * @example
 * ```ts
 * import { cpu, subtract, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = subtract(tensor(backend, [1, 2], [2]), tensor(backend, [3], [1]));
 * assertEquals(await y.read(), Float32Array.of(-2, -1));
 * backend.close();
 * ```
 */
export function subtract(a: Tensor, b: Tensor): Tensor {
  return differentiable(binary("subtract", a, b), [
    [a, (gradient) => gradient],
    [b, (gradient) => negate(sumTo(gradient, b))],
  ]);
}

/**
 * a b, elementwise, shapes as in {@linkcode add}.
 * @example
 * ```ts
 * import { cpu, multiply, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = multiply(tensor(backend, [1, 2, 3, 4], [2, 2]), tensor(backend, [10, 100], [2]));
 * assertEquals(await y.read(), Float32Array.of(10, 200, 30, 400));
 * backend.close();
 * ```
 */
export function multiply(a: Tensor, b: Tensor): Tensor {
  return differentiable(binary("multiply", a, b), [
    [a, (gradient) => binary("multiply", gradient, b)],
    [b, (gradient) => sumTo(binary("multiply", gradient, a), b)],
  ]);
}

/**
 * a / b, elementwise, shapes as in {@linkcode add}.
 * @example
 * ```ts
 * import { cpu, divide, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = divide(tensor(backend, [1, 2], [2]), tensor(backend, [4], [1]));
 * assertEquals(await y.read(), Float32Array.of(0.25, 0.5));
 * backend.close();
 * ```
 */
export function divide(a: Tensor, b: Tensor): Tensor {
  return differentiable(binary("divide", a, b), [
    [a, (gradient) => binary("divide", gradient, b)],
    [b, (gradient) => {
      const quotient = binary("divide", binary("divide", a, b), b);
      return negate(sumTo(binary("multiply", gradient, quotient), b));
    }],
  ]);
}

/**
 * 1 where a > b, else 0; no gradient. Shapes as in {@linkcode add}.
 * @example
 * ```ts
 * import { cpu, greater, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = greater(tensor(backend, [1, 2, 3], [3]), tensor(backend, [2], [1]));
 * assertEquals(await y.read(), Float32Array.of(0, 0, 1));
 * backend.close();
 * ```
 */
export function greater(a: Tensor, b: Tensor): Tensor {
  return binary("greater", a, b);
}

/**
 * `mask` not 0 ? a : b, all of one shape; gradient to a and b, none to the mask.
 * @throws {RangeError} when shapes differ; {TypeError} when a and b have different element types.
 * @example
 * ```ts
 * import { cpu, tensor, where } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = where(tensor(backend, [1, 0], [2]), tensor(backend, [1, 2], [2]), tensor(backend, [3, 4], [2]));
 * assertEquals(await y.read(), Float32Array.of(1, 4));
 * backend.close();
 * ```
 */
export function where(mask: Tensor, a: Tensor, b: Tensor): Tensor {
  const zerosLike = (gradient: Tensor) => affine(gradient, 0, 0);
  const choose = (x: Tensor, y: Tensor) => apply(kernels.where, [mask, x, y], {})[0];
  return differentiable(choose(a, b), [
    [a, (gradient) => choose(gradient, zerosLike(gradient))],
    [b, (gradient) => choose(zerosLike(gradient), gradient)],
  ]);
}

/**
 * Whole numbers as f32, exact up to 2^24; no gradient.
 * @throws {TypeError} when x is not i32.
 * @example
 * ```ts
 * import { cpu, tensor, toFloat } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = toFloat(tensor(backend, Int32Array.of(-1, 7), [2]));
 * assertEquals(await y.read(), Float32Array.of(-1, 7));
 * backend.close();
 * ```
 */
export function toFloat(x: Tensor): Tensor {
  return apply(kernels.toFloat, [x], {})[0];
}

/**
 * f32 rounded to f16, ties to even, from 65,520 on to infinity. The gradient passes as it is, in f32: the derivative of
 * rounding is taken as 1.
 * @throws {TypeError} when x is not f32, or its backend is the CPU, which stores no f16.
 * @example
 * ```ts
 * import { adapterFacts, tensor, toHalf, webgpu } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * if (await adapterFacts()) {
 *   const backend = await webgpu();
 *   const y = toHalf(tensor(backend, [0.1, 70_000], [2]));
 *   assertEquals(y.dtype, "f16");
 *   assertEquals(await y.read(), Float32Array.of(0.0999755859375, Infinity));
 *   backend.close();
 * }
 * ```
 */
export function toHalf(x: Tensor): Tensor {
  return differentiable(apply(kernels.toHalf, [x], {})[0], [[x, (gradient) => gradient]]);
}
