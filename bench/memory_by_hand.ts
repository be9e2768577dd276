// What a training step has to keep, counted by hand from the model's sizes alone: to be set beside what the backend's
// heap took at its peak. Every value takes 4 bytes.
import type { ModelSize } from "../models/presets.ts";
import type { RunHeader } from "../training/record.ts";

/** Bytes by what they are for. */
export interface MemoryByHand {
  readonly parameters: number;
  /** AdamW's two moments. */
  readonly optimizer: number;
  /** What the backward pass reads of the forward pass. */
  readonly activations: number;
  /** All gradients of parameters: they exist together, because clipping takes the norm of all. */
  readonly gradients: number;
}

const BYTES = 4;

/** Counts one training step. ReLU's hidden units count once: its gradient can be read off its result. */
export function memoryByHand(
  { width: D, blocks, moeEvery, heads: H, activeUnits, length, batch }: ModelSize,
  { experts: { E, K }, data: { vocabulary: V }, parameters: { total } }: RunHeader,
): MemoryByHand {
  const T = batch * length;
  const layers = Math.floor(blocks / moeEvery);
  // Norm in and out, rotated queries, keys and values, attention's result and row sums, norm in and out.
  const attention = T * (2 * D + 3 * D + D + H + 2 * D);
  // Hidden units; the norm's output that goes in is counted above.
  const dense = T * activeUnits;
  // Probabilities; rows by expert in and out; hidden units: K rows a token with activeUnits / K each.
  const moe = T * E + T * K * 2 * D + T * activeUnits;
  // The last norm in and out, and the scores of every word.
  const head = T * (2 * D + V);
  return {
    parameters: BYTES * total,
    optimizer: 2 * BYTES * total,
    activations: BYTES * (blocks * attention + (blocks - layers) * dense + layers * moe + head),
    gradients: BYTES * total,
  };
}
