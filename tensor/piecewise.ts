// Functions with a kink, and what their gradients are there: the larger and the smaller of two values, a range, size.
import * as kernels from "../kernels/mod.ts";
import { relu } from "./activations.ts";
import { add, affine, negate } from "./arithmetic.ts";
import { binary, sumTo } from "./broadcast.ts";
import { apply, differentiable, type Tensor, tensor } from "./tensor.ts";

/**
 * The larger of a and b, elementwise; NaN where either is. Shapes as in {@linkcode add}.
 * The gradient goes to the larger; where both are equal, half of it to each, as in PyTorch and JAX.
 * @example
 * ```ts
 * import { cpu, gradients, maximum, parameter, sumAll, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x = parameter(backend, Float32Array.of(1, 2, 3), [3]);
 * const y = maximum(x, tensor(backend, [2], [1]));
 * assertEquals(await y.read(), Float32Array.of(2, 2, 3));
 * const [gradient] = await gradients(sumAll(y), [x]);
 * assertEquals(await gradient!.read(), Float32Array.of(0, 0.5, 1));
 * backend.close();
 * ```
 */
export function maximum(a: Tensor, b: Tensor): Tensor {
  return oneOf("maximum", a, b, () => shareAbove(a, b));
}

/**
 * The smaller of a and b, elementwise; NaN where either is. Shapes as in {@linkcode add}.
 * The gradient goes to the smaller; where both are equal, half of it to each, as in PyTorch and JAX.
 * @example
 * ```ts
 * import { cpu, minimum, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = minimum(tensor(backend, [1, 2, 3], [3]), tensor(backend, [2], [1]));
 * assertEquals(await y.read(), Float32Array.of(1, 2, 2));
 * backend.close();
 * ```
 */
export function minimum(a: Tensor, b: Tensor): Tensor {
  return oneOf("minimum", a, b, () => affine(shareAbove(a, b), -1, 1));
}

/** @param shareOfA The share of the gradient that goes to a. */
function oneOf(op: "maximum" | "minimum", a: Tensor, b: Tensor, shareOfA: () => Tensor): Tensor {
  return differentiable(binary(op, a, b), [
    [a, (gradient) => binary("multiply", gradient, shareOfA())],
    [b, (gradient) => sumTo(binary("multiply", gradient, affine(shareOfA(), -1, 1)), b)],
  ]);
}

/** 1 where a > b, 1/2 where they are equal, 0 where a < b; no gradient. */
function shareAbove(a: Tensor, b: Tensor): Tensor {
  const minus = (x: Tensor) => apply(kernels.affine, [x], { scale: -1, shift: 0 })[0];
  const order = binary("subtract", binary("greater", a, b), binary("greater", minus(a), minus(b)));
  return apply(kernels.affine, [order], { scale: 0.5, shift: 0.5 })[0];
}

/**
 * x, but at least `low` and at most `high`; NaN stays NaN. One side is open with -Infinity or Infinity.
 * The gradient passes from `low` to `high`, both included, and is 0 outside, as in PyTorch.
 * @throws {RangeError} when `low` is above `high`, or one of them is NaN.
 * @example
 * ```ts
 * import { clamp, cpu, gradients, parameter, sumAll } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x = parameter(backend, Float32Array.of(-3, -1, 0.5, 2), [4]);
 * const y = clamp(x, -1, 1);
 * assertEquals(await y.read(), Float32Array.of(-1, -1, 0.5, 1));
 * const [gradient] = await gradients(sumAll(y), [x]);
 * assertEquals(await gradient!.read(), Float32Array.of(0, 1, 1, 0));
 * backend.close();
 * ```
 */
export function clamp(x: Tensor, low: number, high: number): Tensor {
  if (!(low <= high)) {
    throw new RangeError(`Cannot clamp to ${low} to ${high}: the first must not be above the second`);
  }
  const [least, most] = [low, high].map((value) => tensor(x.backend, [value], [1]));
  const isOutside = () => {
    const below = binary("greater", apply(kernels.affine, [x], { scale: -1, shift: 0 })[0], negate(least));
    return binary("maximum", below, binary("greater", x, most));
  };
  return differentiable(binary("minimum", binary("maximum", x, least), most), [[
    x,
    (gradient) => apply(kernels.where, [isOutside(), affine(gradient, 0, 0), gradient], {})[0],
  ]]);
}

/**
 * |x|. The gradient is the sign of x, and 0 at 0.
 * @example
 * ```ts
 * import { abs, cpu, gradients, parameter, sumAll } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x = parameter(backend, Float32Array.of(-3, 0, 2), [3]);
 * const y = abs(x);
 * assertEquals(await y.read(), Float32Array.of(3, 0, 2));
 * const [gradient] = await gradients(sumAll(y), [x]);
 * assertEquals(await gradient!.read(), Float32Array.of(-1, 0, 1));
 * backend.close();
 * ```
 */
export function abs(x: Tensor): Tensor {
  return add(relu(x), relu(negate(x)));
}
