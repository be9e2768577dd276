// What a training step hands to a device that queues: like seconds, it may differ from one device to another.
import type { Backend } from "../kernels/kernel.ts";
import { takeStageDispatches } from "../tensor/dispatches.ts";
import type { StepTiming } from "./record.ts";

/**
 * Starts counting; the result says of a step that took `seconds` what was handed over since and how much of its time was
 * the program's own, and nothing on a backend that does not queue. Dispatches are the handle's; submits, reads and waits
 * are the device's, so that of two runs at once each counts both.
 */
export function watchQueue(
  backend: Backend,
): (seconds: number) => Pick<StepTiming, "queue" | "hostSeconds"> {
  const { counts } = backend;
  if (!counts) return () => ({});
  const { submits, reads, waitSeconds } = counts;
  takeStageDispatches(backend);
  return (seconds) => {
    const dispatchesByStage = takeStageDispatches(backend);
    return {
      hostSeconds: seconds - (counts.waitSeconds - waitSeconds),
      queue: {
        dispatches: Object.values(dispatchesByStage).reduce((sum, count) => sum + count, 0),
        submits: counts.submits - submits,
        reads: counts.reads - reads,
        dispatchesByStage,
      },
    };
  };
}
