// Elementwise arithmetic with gradients. The second operand of a binary op may be smaller: one value, one per column
// (last axis) or one per row; its gradient is summed back to its shape.
import * as kernels from "../kernels/mod.ts";
import { binary, sumTo } from "./broadcast.ts";
import { apply, differentiable, type Tensor } from "./tensor.ts";
import { unary } from "./unary.ts";

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
