// Padding, left out of what a router sees and of what it averages.
import * as kernels from "../../kernels/mod.ts";
import { multiply } from "../../tensor/arithmetic.ts";
import { embedding, wholeNumbers } from "../../tensor/rows.ts";
import { apply, reshape, type Tensor } from "../../tensor/tensor.ts";

/**
 * Values, f32 [T, E], with rows of padding as zeros.
 * @param real_T f32 [T]: 1 = a real token, 0 = padding; undefined = all real.
 * @example
 * ```ts
 * import { cpu, realRows, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const value_TE = tensor(backend, [1, 2, 3, 4], [2, 2]);
 * assertEquals(await realRows(value_TE, tensor(backend, [1, 0], [2])).read(), Float32Array.of(1, 2, 0, 0));
 * backend.close();
 * ```
 */
export function realRows(values_TE: Tensor, real_T: Tensor | undefined): Tensor {
  return real_T ? multiply(values_TE, reshape(real_T, [real_T.shape[0], 1])) : values_TE;
}

/**
 * Tokens, f32 [T, D], with zeros for padding, whatever it holds: NaN times 0 would be NaN. A router that begins with this
 * needs to mask nothing but its choices and its means.
 * @param real_T f32 [T]: 1 = a real token, 0 = padding; undefined = all real.
 * @example
 * ```ts
 * import { cpu, tensor, zeroPadding } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x_TD = tensor(backend, [1, 2, NaN, Infinity], [2, 2]);
 * assertEquals(await zeroPadding(x_TD, tensor(backend, [1, 0], [2])).read(), Float32Array.of(1, 2, 0, 0));
 * backend.close();
 * ```
 */
export function zeroPadding(x_TD: Tensor, real_T: Tensor | undefined): Tensor {
  if (!real_T) return x_TD;
  const { shape } = real_T;
  const own_T = wholeNumbers(x_TD, shape, (t) => t);
  const none_T = wholeNumbers(x_TD, shape, () => -1);
  return embedding(x_TD, apply(kernels.where, [real_T, own_T, none_T], {})[0]);
}
