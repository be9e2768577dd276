// Which stage of a step asked for how many dispatches, on backends that queue them: an op's gradient counts to the stage
// that made the op, as its time does. Each backend handle counts its own.
import type { Backend } from "../kernels/kernel.ts";
import { type Context, contextOf } from "./context.ts";

/** Books dispatches that a backend queued under the stage the program is in. */
export function bookDispatches({ dispatches, place: { stage } }: Context, count: number): void {
  dispatches[stage] = (dispatches[stage] ?? 0) + count;
}

/**
 * Dispatches by stage that were asked for on a handle since the last call, if its backend queues them; starts anew.
 * @example
 * ```ts
 * import { cpu, square, takeStageDispatches, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * square(tensor(backend, [1, 2], [2])); // the CPU computes at once and queues nothing
 * assertEquals(takeStageDispatches(backend), {});
 * backend.close();
 * ```
 */
export function takeStageDispatches(backend: Backend): Record<string, number> {
  const context = contextOf(backend);
  const taken = context.dispatches;
  context.dispatches = {};
  return taken;
}
