// Which stage of a step asked for how many dispatches, on backends that queue them: an op's gradient counts to the stage
// that made the op, as its time does.
import { currentStage } from "./stage.ts";

const dispatches = new Map<string, number>();

/** Books dispatches that a backend queued under the stage the program is in. */
export function bookDispatches(count: number): void {
  dispatches.set(currentStage(), (dispatches.get(currentStage()) ?? 0) + count);
}

/**
 * Dispatches by stage since the last call, of backends that queue them; starts counting anew.
 * @example
 * ```ts
 * import { cpu, square, takeStageDispatches, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * square(tensor(backend, [1, 2], [2])); // the CPU computes at once and queues nothing
 * assertEquals(takeStageDispatches(), {});
 * backend.close();
 * ```
 */
export function takeStageDispatches(): Record<string, number> {
  const taken = Object.fromEntries(dispatches);
  dispatches.clear();
  return taken;
}
