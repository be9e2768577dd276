// What a training step hands to a device that queues: like seconds, it may differ from one device to another.
import type { Backend, QueueCounts } from "../kernels/kernel.ts";
import { takeStageDispatches } from "../tensor/dispatches.ts";
import type { StepTiming } from "./record.ts";

/** Work handed to a device in one step. */
export interface StepQueue extends Omit<QueueCounts, "waitSeconds"> {
  /** Dispatches by the stage that asked for them, those of its gradients included; they add up to all. */
  readonly dispatchesByStage: Readonly<Record<string, number>>;
}

/**
 * Starts counting; the result says of a step that took `seconds` what was handed over since and how much of its time was
 * the program's own, and nothing on a backend that does not queue.
 */
export function watchQueue(
  { counts }: Backend,
): (seconds: number) => Pick<StepTiming, "queue" | "hostSeconds"> {
  if (!counts) return () => ({});
  const { dispatches, submits, reads, waitSeconds } = counts;
  takeStageDispatches();
  return (seconds) => ({
    hostSeconds: seconds - (counts.waitSeconds - waitSeconds),
    queue: {
      dispatches: counts.dispatches - dispatches,
      submits: counts.submits - submits,
      reads: counts.reads - reads,
      dispatchesByStage: takeStageDispatches(),
    },
  });
}
