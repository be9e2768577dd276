// Sizes of the language model as settings of a run, by path. Expert width is given at one expert a token: at K choices
// `model.equalCost` cuts the same hidden units into K times as many experts, K times narrower (DeepSeekMoE section 3.1).

/** Settings of a run by path. */
export type SizeSettings = Readonly<Record<string, unknown>>;

/** Named sizes. */
export const sizes = {
  /** Seconds for a run: for tests and for trying a router out. */
  tiny: {
    "model.width": 32,
    "model.heads": 2,
    "model.layers": 2,
    "model.moeEvery": 2,
    "model.feedForwardWidth": 64,
    "model.experts": 4,
    "model.expertWidth": 64,
    "train.length": 32,
    "train.batch": 8,
    "train.steps": 60,
    "train.learningRate": 5e-3,
    "placement.ranks": 4,
    "placement.ranksPerNode": 2,
  },
  /** A few seconds to a minute for a run on two cores. */
  small: {
    "model.width": 64,
    "model.heads": 2,
    "model.layers": 4,
    "model.moeEvery": 2,
    "model.feedForwardWidth": 256,
    "model.experts": 8,
    "model.expertWidth": 256,
    "train.length": 64,
    "train.batch": 16,
    "train.steps": 150,
    "train.learningRate": 3e-3,
    "placement.ranks": 4,
    "placement.ranksPerNode": 2,
  },
  /** Minutes for a run on two cores. */
  base: {
    "model.width": 256,
    "model.heads": 4,
    "model.layers": 6,
    "model.moeEvery": 2,
    "model.feedForwardWidth": 1024,
    "model.experts": 8,
    "model.expertWidth": 1024,
    "train.length": 128,
    "train.batch": 16,
    "train.steps": 1000,
    "train.learningRate": 1e-3,
    "placement.ranks": 4,
    "placement.ranksPerNode": 2,
  },
} as const satisfies Readonly<Record<string, SizeSettings>>;

/** Words that a size's vocabulary numbers at most, where a task numbers words. */
export const vocabularies: Readonly<Record<SizeName, number>> = { tiny: 1024, small: 4096, base: 8192 };

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
export function findSize(name: string): SizeSettings {
  if (Object.hasOwn(sizes, name)) return sizes[name as SizeName];
  const names = Object.keys(sizes).map((size) => `"${size}"`).join(", ");
  throw new RangeError(`Cannot find size "${name}": there are ${names}`);
}

/**
 * One dial: settings that follow from the number of layers alone. Width is 16 a layer; heads are 32 wide; an expert has
 * four times the width; the learning rate falls with the square root of the width (3e-3 at 64); steps grow with the square
 * of the depth (150 at 4 layers). Ours: a rule of thumb for models of this size, tuned nowhere.
 * @throws {RangeError} when depth is no whole number from 2 to 64.
 * @example
 * ```ts
 * import { sizeOfDepth } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const size = sizeOfDepth(4);
 * assertEquals([size["model.width"], size["model.expertWidth"], size["train.learningRate"]], [64, 256, 0.003]);
 * ```
 */
export function sizeOfDepth(depth: number): SizeSettings {
  if (!Number.isInteger(depth) || depth < 2 || depth > 64) {
    throw new RangeError(`Cannot use depth ${depth}: choose a whole number from 2 to 64`);
  }
  const width = 16 * depth;
  return {
    "model.width": width,
    "model.heads": Math.max(1, 2 ** Math.floor(Math.log2(width / 32))),
    "model.layers": depth,
    "model.moeEvery": 2,
    "model.feedForwardWidth": 4 * width,
    "model.experts": 8,
    "model.expertWidth": 4 * width,
    "train.length": depth < 6 ? 64 : 128,
    "train.batch": 16,
    "train.steps": Math.round(150 * (depth / 4) ** 2),
    "train.learningRate": Number((3e-3 * Math.sqrt(64 / width)).toPrecision(3)),
    "placement.ranks": 4,
    "placement.ranksPerNode": 2,
  };
}
