// What a training step has to keep, counted by hand from the model's spec alone: to be set beside what the backend's
// heap took at its peak. Every value takes 4 bytes.
import { choicesOf, type ModelSpec, projectedColumns, rowsOf } from "../../models/spec.ts";

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

/**
 * Counts one training step of T tokens on a model of `total` parameters. ReLU's hidden units count once: its gradient can
 * be read off its result.
 */
export function memoryByHand({ D, input, layers }: ModelSpec, T: number, total: number): MemoryByHand {
  let held = 0;
  for (const { attention, feedForward } of layers) {
    // Norm in and out, rotated queries, keys and values, attention's result and row sums.
    if (attention) held += T * (2 * D + projectedColumns(D, attention) + D + attention.heads);
    if (feedForward.kind !== "none") held += T * 2 * D; // Norm in and out.
    // Hidden units; the norm's output that goes in is counted above.
    if (feedForward.kind === "dense") held += T * feedForward.width;
    if (feedForward.kind !== "moe") continue;
    const { E, F } = feedForward;
    const K = choicesOf(feedForward);
    // Probabilities; rows by expert in and out; hidden units.
    held += T * E + T * K * 2 * D + T * K * F;
  }
  // The last norm in and out, and the scores of every word.
  const head = T * (2 * D + rowsOf(input));
  return {
    parameters: BYTES * total,
    optimizer: 2 * BYTES * total,
    activations: BYTES * (held + head),
    gradients: BYTES * total,
  };
}
