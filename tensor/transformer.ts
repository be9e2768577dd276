// The three ops of a transformer block that are fused for speed: RMS norm, rotary positions, causal attention.
import * as kernels from "../kernels/mod.ts";
import { apply, differentiable, type Tensor } from "./tensor.ts";

/**
 * x / rms(x) times gain, over the last axis: [..., D] and [D] -> [..., D] (Zhang and Sennrich 2019, equation 4).
 * @param epsilon Added to the mean square before its root is taken.
 * @throws {RangeError} when the shapes do not fit or epsilon is below 0.
 * @example
 * ```ts
 * import { cpu, rmsNorm, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = rmsNorm(tensor(backend, [2, -2], [1, 2]), tensor(backend, [1, 3], [2]), 0);
 * assertEquals(await y.read(), Float32Array.of(1, -3));
 * backend.close();
 * ```
 */
export function rmsNorm(x: Tensor, gain_D: Tensor, epsilon = 1e-6): Tensor {
  const [y, inverseRms] = apply(kernels.rmsNorm, [x, gain_D], { epsilon });
  return differentiable(y, [
    [x, (g) => apply(kernels.rmsNormGradient, [x, gain_D, inverseRms, g], {})[0]],
    [gain_D, (g) => apply(kernels.rmsNormGainGradient, [x, inverseRms, g], {})[0]],
  ]);
}

/** Shape of a packed batch of sequences for attention. */
export interface AttentionShape {
  /** Tokens of one sequence; T is a multiple of it. */
  readonly length: number;
  readonly heads: number;
}

/**
 * Rotates queries and keys of [T, 3D] by position, in half-split pairs; values pass (Su et al. 2021, equation 34).
 * @param base Pair i of a head of width W turns by base^(-2i / W) radians a position.
 * @throws {RangeError} when T is no multiple of `length` or D does not split into heads of even width.
 * @example
 * ```ts
 * import { cpu, rope, tensor } from "@switchyard/moe";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const qkv = tensor(backend, [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0], [2, 6]); // two tokens, D = 2
 * const turned = await rope(qkv, { length: 2, heads: 1 }).read();
 * assertEquals(turned.slice(0, 6), Float32Array.of(1, 0, 1, 0, 1, 0)); // position 0 stays
 * assertAlmostEquals(turned[6], Math.cos(1), 1e-6);
 * assertEquals(turned.slice(10), Float32Array.of(1, 0));
 * backend.close();
 * ```
 */
export function rope(qkv: Tensor, shape: AttentionShape, base = 10_000): Tensor {
  const turn = (x: Tensor, inverse: boolean) => apply(kernels.rope, [x], { ...shape, base, inverse })[0];
  return differentiable(turn(qkv, false), [[qkv, (gradient) => turn(gradient, true)]]);
}

/**
 * Causal softmax attention within each sequence: [T, 3D] -> [T, D], scale 1 / sqrt(D / heads) (Vaswani et al. 2017,
 * equation 1).
 * @throws {RangeError} when T is no multiple of `length` or D does not split into the heads.
 * @example
 * ```ts
 * import { attention, cpu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const qkv = tensor(backend, [0, 0, 10, 0, 0, 30], [2, 3]); // two tokens, D = 1: q, k, v
 * const o_TD = attention(qkv, { length: 2, heads: 1 });
 * assertEquals(await o_TD.read(), Float32Array.of(10, 20)); // equal scores: the mean of what a token sees
 * backend.close();
 * ```
 */
export function attention(qkv: Tensor, shape: AttentionShape): Tensor {
  const [o_TD, logsumexp] = apply(kernels.attention, [qkv], shape);
  return differentiable(o_TD, [[
    qkv,
    (g) => apply(kernels.attentionGradient, [qkv, o_TD, logsumexp, g], shape)[0],
  ]]);
}
