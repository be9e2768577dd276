// Activation functions and what gates are made of: element by element, with gradients.
import * as kernels from "../kernels/mod.ts";
import type { GatedParams } from "../kernels/parts/gated.ts";
import { affine } from "./arithmetic.ts";
import { binary } from "./broadcast.ts";
import { normalCurve } from "./normal_curve.ts";
import { apply, differentiable, type Tensor } from "./tensor.ts";
import { together } from "./together.ts";
import { unary, type UnaryOp } from "./unary.ts";

export type { GatedParams };

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
