// The three ops of a transformer block that are fused for speed: RMS norm, rotary positions, causal attention.
import * as kernels from "../kernels/mod.ts";
import { apply, differentiable, type Tensor } from "./tensor.ts";

/** x / rms(x) times gain, over the last axis (Zhang and Sennrich 2019). */
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

/** Rotates queries and keys of [T, 3D] by position (Su et al. 2021, half-split pairs); values pass. */
export function rope(qkv: Tensor, shape: AttentionShape, base = 10_000): Tensor {
  const turn = (x: Tensor, inverse: boolean) => apply(kernels.rope, [x], { ...shape, base, inverse })[0];
  return differentiable(turn(qkv, false), [[qkv, (gradient) => turn(gradient, true)]]);
}

/** Causal softmax attention within each sequence: [T, 3D] -> [T, D], scale 1 / sqrt(D / heads). */
export function attention(qkv: Tensor, shape: AttentionShape): Tensor {
  const [o_TD, logsumexp] = apply(kernels.attention, [qkv], shape);
  return differentiable(o_TD, [[
    qkv,
    (g) => apply(kernels.attentionGradient, [qkv, o_TD, logsumexp, g], shape)[0],
  ]]);
}
