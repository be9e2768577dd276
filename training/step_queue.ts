// What a training step hands to a device that queues: like seconds, it may differ from one device to another.
import type { Backend, QueueCounts } from "../kernels/kernel.ts";
import { takeStageDispatches } from "../tensor/dispatches.ts";

/** Work handed to a device in one step. */
export interface StepQueue extends QueueCounts {
  /** Dispatches by the stage that asked for them, those of its gradients included; they add up to all. */
  readonly dispatchesByStage: Readonly<Record<string, number>>;
}

/** Starts counting; the result says what has been handed over since, and nothing on a backend that does not queue. */
export function watchQueue({ counts }: Backend): () => { readonly queue?: StepQueue } {
  if (!counts) return () => ({});
  const { dispatches, submits, reads } = counts;
  takeStageDispatches();
  return () => ({
    queue: {
      dispatches: counts.dispatches - dispatches,
      submits: counts.submits - submits,
      reads: counts.reads - reads,
      dispatchesByStage: takeStageDispatches(),
    },
  });
}
