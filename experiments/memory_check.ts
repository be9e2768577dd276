// Refuses a model that cannot fit, before any training: better than running out of memory an hour later.
import type { ModelSize } from "../models/presets.ts";

const HEAP_BYTES = 2 ** 32;

/**
 * Lower bound of what a training step holds: weights, gradients, moments and their successors, logits and their
 * gradient, activations of every block.
 */
export function leastBytes(size: ModelSize, vocabulary: number): number {
  const { width, blocks, activeUnits, length, batch } = size;
  const T = batch * length;
  const weights = weightsOf(size, vocabulary);
  const activations = blocks * T * (12 * width + 2 * activeUnits);
  return 4 * (5 * weights + 2 * T * vocabulary + activations);
}

/** Weights outside routers and norms. */
export function weightsOf(size: ModelSize, vocabulary: number): number {
  const { width, blocks, moeEvery, activeUnits, experts } = size;
  const banks = Math.floor(blocks / moeEvery);
  const networks = blocks - banks + banks * experts;
  return vocabulary * width + blocks * 4 * width ** 2 + networks * 2 * width * activeUnits;
}

/** @throws {RangeError} when a step needs more than the CPU backend's heap. */
export function checkMemory(size: ModelSize, vocabulary: number): void {
  const bytes = leastBytes(size, vocabulary);
  if (bytes <= HEAP_BYTES) return;
  throw new RangeError(
    `Cannot train with a vocabulary of ${vocabulary} words and width ${size.width}: a step needs at least ` +
      `${(bytes / 2 ** 30).toFixed(1)} GiB and the CPU backend's heap ends at 4 GiB`,
  );
}
