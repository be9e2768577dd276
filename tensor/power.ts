// x^p for a plain number p. A power by a whole number is a chain of products, exact in sign; what is left of the exponent
// goes through a square root or a logarithm, so that rounding does not grow with the exponent's whole part.
import * as kernels from "../kernels/mod.ts";
import { affine } from "./arithmetic.ts";
import { binary } from "./broadcast.ts";
import { apply, differentiable, type Tensor, tensor } from "./tensor.ts";

/**
 * x^exponent, elementwise, for one plain number. A negative x has powers by whole numbers only, others give NaN.
 * At 0 an exponent above 0 gives 0, one of 0 gives 1, and one below 0 gives Infinity. The gradient is p x^(p - 1), so at 0
 * it is 0 for p above 1, 1 for 1, infinite below 1, and for p = 0 it is 0 everywhere.
 * @param exponent Any finite number. Rounding grows with it; where twice the exponent is no whole number, also with |log x|.
 * @throws {RangeError} when the exponent is not finite.
 * @example
 * ```ts
 * import { cpu, gradients, parameter, pow, sumAll } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x = parameter(backend, Float32Array.of(-2, 0, 3), [3]);
 * const y = pow(x, 3);
 * assertEquals(await y.read(), Float32Array.of(-8, 0, 27));
 * const [gradient] = await gradients(sumAll(y), [x]);
 * assertEquals(await gradient!.read(), Float32Array.of(12, 0, 27));
 * backend.close();
 * ```
 */
export function pow(x: Tensor, exponent: number): Tensor {
  if (!Number.isFinite(exponent)) {
    throw new RangeError(`Cannot raise to the power ${exponent}: it must be a finite number`);
  }
  return differentiable(power(x, exponent), [[
    x,
    (gradient) =>
      exponent === 0
        ? affine(gradient, 0, 0)
        : affine(binary("multiply", gradient, power(x, exponent - 1)), exponent, 0),
  ]]);
}

type Step = "square" | "sqrt" | "reciprocal" | "exp" | "log";

function step(op: Step, x: Tensor): Tensor {
  return apply(kernels.unary, [x], { op })[0];
}

/** Without gradient; x itself for 1. */
function power(x: Tensor, exponent: number): Tensor {
  const size = Math.abs(exponent);
  const whole = Math.floor(size);
  const factors = [...wholePower(x, whole), ...fraction(x, size - whole)];
  const one = () => tensor(x.backend, new Float32Array(x.shape.reduce((a, b) => a * b, 1)).fill(1), x.shape);
  const y = factors.length === 0 ? one() : factors.reduce((a, b) => binary("multiply", a, b));
  return exponent < 0 ? step("reciprocal", y) : y;
}

/** Factors x, x^2, x^4, ... whose product is x^whole. */
function wholePower(x: Tensor, whole: number): Tensor[] {
  const factors: Tensor[] = [];
  let square = x;
  for (let left = whole; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) factors.push(square);
    if (left > 1) square = step("square", square);
  }
  return factors;
}

/** x^part for 0 <= part < 1: no factor for 0. */
function fraction(x: Tensor, part: number): Tensor[] {
  if (part === 0) return [];
  if (part === 0.5) return [step("sqrt", x)];
  return [step("exp", affine(step("log", x), part, 0))];
}
