// The three ops of a transformer block that are fused for speed: RMS norm, rotary positions, causal attention. The last two
// take queries, keys and values apart, or side by side as one product makes them.
import * as kernels from "../kernels/mod.ts";
import { offsetsOn, type Sequences } from "./sequences.ts";
import { apply, carriesGradient, differentiable, type Tensor } from "./tensor.ts";
import { together } from "./together.ts";

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

/** How rotary positions turn. */
export interface Rotation {
  /** Where in its sequence each row is. */
  readonly sequences: Sequences;
  /** Heads in a row. */
  readonly heads: number;
  /** Columns of a head that are turned, from its first on; the others are copied. Default: all. */
  readonly rotaryWidth?: number;
  /** Pair i of a head turns by base^(-2i / rotaryWidth) radians a position. Default: 10,000. */
  readonly base?: number;
}

/** Which rows attend to which, and how many heads share keys and values. */
export interface AttentionShape {
  /** Rows of one sequence, which attend to each other. */
  readonly sequences: Sequences;
  /** Heads of queries, H. */
  readonly heads: number;
  /** Heads of keys and values, G, which divide H (grouped-query attention, Ainslie et al. 2023). Default: H. */
  readonly keyValueHeads?: number;
}

/**
 * Rotates each head of queries or keys [T, H W] by its position in its sequence, in half-split pairs (Su et al. 2021,
 * equation 34).
 * @throws {RangeError} when the sequences do not have T rows, columns do not split into heads, or `rotaryWidth` is no even
 * number up to the heads' width.
 * @example
 * ```ts
 * import { cpu, rope, sequencesOf, tensor } from "@switchyard/moe";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const q = tensor(backend, [1, 0, 1, 0, 1, 0], [3, 2]); // a sequence of two tokens, and one of one
 * const turned = await rope(q, { sequences: sequencesOf([2, 1]), heads: 1 }).read();
 * assertEquals(turned.slice(0, 2), Float32Array.of(1, 0)); // position 0 stays
 * assertAlmostEquals(turned[2], Math.cos(1), 1e-6);
 * assertEquals(turned.slice(4), Float32Array.of(1, 0)); // the next sequence begins at 0
 * backend.close();
 * ```
 */
export function rope(x_TC: Tensor, rotation: Rotation): Tensor {
  return turn(x_TC, rotation, rotation.heads, rotation.heads);
}

/**
 * The same for queries, keys and values side by side, [T, (H + 2 G) W]: queries and keys turn, values pass.
 * @throws {RangeError} as {@linkcode rope} does.
 * @example
 * ```ts
 * import { cpu, packedRope, sequencesOf, tensor } from "@switchyard/moe";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const qkv = tensor(backend, [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0], [2, 6]); // two tokens, one head of width 2
 * const turned = await packedRope(qkv, { sequences: sequencesOf([2]), heads: 1 }).read();
 * assertEquals(turned.slice(0, 6), Float32Array.of(1, 0, 1, 0, 1, 0)); // position 0 stays
 * assertAlmostEquals(turned[6], Math.cos(1), 1e-6);
 * assertEquals(turned.slice(10), Float32Array.of(1, 0));
 * backend.close();
 * ```
 */
export function packedRope(qkv: Tensor, rotation: Rotation & AttentionShape): Tensor {
  const { heads, keyValueHeads = heads } = rotation;
  return turn(qkv, rotation, heads + 2 * keyValueHeads, heads + keyValueHeads);
}

function turn(x_TC: Tensor, rotation: Rotation, heads: number, turned: number): Tensor {
  const { sequences, base = 10_000 } = rotation;
  checkRows("rope", x_TC, sequences);
  const { rotaryWidth = x_TC.shape[1] / heads } = rotation;
  const offset_O = offsetsOn(x_TC.backend, sequences);
  const by = (x: Tensor, inverse: boolean) => {
    const { longest, past: from } = sequences;
    const params = { longest, from, heads, turned, rotaryWidth, base, inverse };
    return apply(kernels.rope, [x, offset_O], params)[0];
  };
  return differentiable(by(x_TC, false), [[x_TC, (gradient) => by(gradient, true)]]);
}

/**
 * Causal softmax attention within each sequence: queries [T, H W], keys and values [T, G W] -> [T, H W], scale 1 / sqrt(W)
 * (Vaswani et al. 2017, equation 1). Heads of queries h to h + H / G - 1 share a head of keys and values. Where sequences
 * have a past, keys and values have its rows too, [T + B past, G W], in front of each sequence's own; no gradient passes.
 * @throws {RangeError} when the sequences do not have T rows, G does not divide H, or columns do not split into the heads;
 * {TypeError} when sequences have a past and an input carries a gradient.
 * @example
 * ```ts
 * import { attention, cpu, sequencesOf, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const q = tensor(backend, [0, 0, 0, 0], [2, 2]); // two heads of width 1
 * const [k, v] = [tensor(backend, [0, 0], [2, 1]), tensor(backend, [10, 30], [2, 1])];
 * const o = attention(q, k, v, { sequences: sequencesOf([2]), heads: 2, keyValueHeads: 1 });
 * assertEquals(await o.read(), Float32Array.of(10, 10, 20, 20)); // equal scores: the mean of what a token sees
 * backend.close();
 * ```
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, shape: AttentionShape): Tensor {
  return attend([q, k, v], shape, false);
}

/**
 * The same for queries, keys and values side by side, [T, (H + 2 G) W] -> [T, H W].
 * @param all Where sequences have a past, the rows of all their tokens, [T + B past, (H + 2 G) W].
 * @throws {RangeError} and {TypeError} as {@linkcode attention} does.
 * @example
 * ```ts
 * import { cpu, packedAttention, sequencesOf, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const qkv = tensor(backend, [0, 0, 10, 0, 0, 30], [2, 3]); // two tokens, one head of width 1
 * const o_TD = packedAttention(qkv, { sequences: sequencesOf([2]), heads: 1 });
 * assertEquals(await o_TD.read(), Float32Array.of(10, 20));
 * backend.close();
 * ```
 */
export function packedAttention(qkv: Tensor, shape: AttentionShape, all: Tensor = qkv): Tensor {
  return attend([qkv, all, all], shape, true);
}

function attend(inputs: readonly [Tensor, Tensor, Tensor], shape: AttentionShape, packed: boolean): Tensor {
  const { sequences, heads, keyValueHeads = heads } = shape;
  checkRows("attention", inputs[0], sequences);
  const { longest, past, pairs } = sequences;
  if (past > 0 && inputs.some(carriesGradient)) {
    throw new TypeError(
      `Cannot run attention behind ${past} tokens on inputs that carry a gradient: none goes back there; stop it first`,
    );
  }
  const params = { heads, keyValueHeads, longest, past, pairs, packed };
  const given = [...inputs, offsetsOn(inputs[0].backend, sequences)];
  const [o_TD, normalizer] = apply(kernels.attention, given, params);
  const gradients = (g: Tensor) => apply(kernels.attentionGradient, [...given, o_TD, normalizer, g], params);
  return differentiable(
    o_TD,
    packed ? [[inputs[0], (g) => gradients(g)[0]]] : together(inputs, gradients),
  );
}

function checkRows(op: string, x: Tensor, { T }: Sequences): void {
  if (x.shape[0] !== T) {
    throw new RangeError(
      `Cannot run ${op}: there are ${x.shape[0]} rows for sequences of ${T} tokens in all`,
    );
  }
}
