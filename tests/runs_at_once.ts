// Two runs started together on one backend or two: each must give the record it gives alone.
import { assertEquals, assertNotEquals } from "@std/assert";
import type { Backend } from "../kernels/kernel.ts";
import { textData } from "../tasks/text.ts";
import { recordRows, recordText } from "../training/record_text.ts";
import { train } from "../training/train.ts";
import { madeUpDataset } from "./made_up_text.ts";
import { tinyConfig } from "./run_configs.ts";

/** Settings of a run of a second or less. */
export const small = {
  "model.width": 16,
  "model.feedForwardWidth": 16,
  "model.expertWidth": 16,
  "train.length": 16,
  "train.batch": 2,
  "train.steps": 6,
};
/** Its text. */
export const data = await textData(madeUpDataset({ documents: 6, wordsEach: 200 }));

/** The bytes of a run's record, and the dispatches of its steps. */
async function recordOf(on: Backend, router: string, seed: number): Promise<[string, unknown]> {
  using run = await train(tinyConfig(router, {}, small, { seed }), { backend: on, data });
  const { record, timing } = run;
  const dispatches = timing.steps.map(({ queue }) => queue && [queue.dispatches, queue.dispatchesByStage]);
  return [recordText(recordRows(record)), dispatches];
}

/** Runs started together give what they give alone. */
export async function together(one: Backend, two: Backend, names: readonly string[]): Promise<void> {
  const runs = names.flatMap((name): [Backend, string, number][] => [[one, name, 0], [two, name, 1]]);
  const alone = [];
  for (const run of runs) alone.push(await recordOf(...run));
  assertNotEquals(alone[0][0], alone[1][0]);
  assertEquals(await Promise.all(runs.map((run) => recordOf(...run))), alone);
}
