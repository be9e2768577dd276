// Refuses a model that cannot fit, before any training: better than running out of memory an hour later.
import type { ModelSize } from "../models/presets.ts";
import type { Device } from "./device.ts";

/**
 * Lower bound of what a training step holds: weights, moments and activations of every block (two norms, queries, keys
 * and values, attention, two sums, hidden units), with logits and the embedding's gradient when the backward pass begins
 * or all gradients when it ends.
 */
export function leastBytes(size: ModelSize, vocabulary: number): number {
  const { width, blocks, activeUnits, length, batch } = size;
  const T = batch * length;
  const weights = weightsOf(size, vocabulary);
  const activations = blocks * T * (8 * width + activeUnits);
  return 4 * (3 * weights + activations + Math.max((T + width) * vocabulary, weights));
}

/** Weights outside routers and norms. */
export function weightsOf(size: ModelSize, vocabulary: number): number {
  const { width, blocks, moeEvery, activeUnits, experts } = size;
  const banks = Math.floor(blocks / moeEvery);
  const networks = blocks - banks + banks * experts;
  return vocabulary * width + blocks * 4 * width ** 2 + networks * 2 * width * activeUnits;
}

/** The largest arrays of a step: logits, embedding, a bank of experts' weights, hidden units. */
export function largestArray(size: ModelSize, vocabulary: number): number {
  const { width, activeUnits, experts, length, batch } = size;
  const T = batch * length;
  return 4 * Math.max(T * vocabulary, vocabulary * width, width * activeUnits * experts, T * activeUnits);
}

/** @throws {RangeError} when a step needs more than a device has, or an array is larger than it takes. */
export function checkMemory(
  size: ModelSize,
  vocabulary: number,
  device: Pick<Device, "about" | "heapBytes" | "largestBytes">,
): void {
  const what = `Cannot train with a vocabulary of ${vocabulary} words and width ${size.width}`;
  const bytes = leastBytes(size, vocabulary);
  if (bytes > device.heapBytes) {
    throw new RangeError(
      `${what}: a step needs at least ${gibibytes(bytes)} and the CPU backend's heap ends at 4 GiB`,
    );
  }
  const largest = largestArray(size, vocabulary);
  if (largest > device.largestBytes) {
    throw new RangeError(
      `${what}: its largest array takes ${gibibytes(largest)}, ${device.about} takes ` +
        `${gibibytes(device.largestBytes)} an array`,
    );
  }
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
