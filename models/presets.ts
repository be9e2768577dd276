// Model sizes by name. Expert width is given as hidden units a token passes through (K F) and hidden units there are
// (E F), so that routers with different K cost the same: K = 2 has twice the experts at half the width
// (fine-grained experts, DeepSeekMoE section 3.1).

/** One size of the language model. */
export interface ModelSize {
  /** Model width D and attention heads. */
  readonly width: number;
  readonly heads: number;
  readonly blocks: number;
  /** Every n-th block has an MoE layer in place of its feed-forward network. */
  readonly moeEvery: number;
  /** Hidden units a token passes through in a feed-forward network or its experts: K F. */
  readonly activeUnits: number;
  /** Experts at K = 1; there are K times as many at K choices. */
  readonly experts: number;
  /** Sequence length L and sequences in a batch B. */
  readonly length: number;
  readonly batch: number;
  readonly vocabulary: number;
  readonly steps: number;
  readonly learningRate: number;
  /** Ranks the model is laid out over: sequences and experts in equal blocks. Arithmetic stays in one place. */
  readonly ranks: number;
  /** Ranks that share a node. */
  readonly ranksPerNode: number;
  /** True: each rank trains on its own part of the text. False: every rank draws from all of it. */
  readonly sharded: boolean;
}

/** Sizes by name. */
export const sizes = {
  /** Seconds for a run: for tests and for trying a router out. */
  tiny: {
    width: 32,
    heads: 2,
    blocks: 2,
    moeEvery: 2,
    activeUnits: 64,
    experts: 4,
    length: 32,
    batch: 8,
    vocabulary: 1024,
    steps: 60,
    learningRate: 5e-3,
    ranks: 4,
    ranksPerNode: 2,
    sharded: false,
  },
  /** The default: a few seconds to a minute for a run on two cores. */
  small: {
    width: 64,
    heads: 2,
    blocks: 4,
    moeEvery: 2,
    activeUnits: 256,
    experts: 8,
    length: 64,
    batch: 16,
    vocabulary: 4096,
    steps: 200,
    learningRate: 3e-3,
    ranks: 4,
    ranksPerNode: 2,
    sharded: false,
  },
  /** Minutes for a run on two cores. */
  base: {
    width: 256,
    heads: 4,
    blocks: 6,
    moeEvery: 2,
    activeUnits: 1024,
    experts: 8,
    length: 128,
    batch: 16,
    vocabulary: 8192,
    steps: 1000,
    learningRate: 1e-3,
    ranks: 4,
    ranksPerNode: 2,
    sharded: false,
  },
} as const satisfies Readonly<Record<string, ModelSize>>;

/** Name of a size in {@linkcode sizes}. */
export type SizeName = keyof typeof sizes;

/**
 * A size by name.
 * @throws {RangeError} when there is none of that name.
 * @example
 * ```ts
 * import { findSize, sizes } from "@switchyard/moe";
 * import { assertEquals, assertThrows } from "@std/assert";
 * assertEquals(findSize("tiny"), sizes.tiny);
 * assertThrows(() => findSize("huge"), RangeError, 'Cannot find size "huge": there are "tiny"');
 * ```
 */
export function findSize(name: string): ModelSize {
  if (Object.hasOwn(sizes, name)) return sizes[name as SizeName];
  const names = Object.keys(sizes).map((size) => `"${size}"`).join(", ");
  throw new RangeError(`Cannot find size "${name}": there are ${names}`);
}
