// A run of a second or less, for tests that compare records of it: on one backend, on two at once, in a browser.
import type { Backend } from "../kernels/kernel.ts";
import { textData } from "../tasks/text.ts";
import { recordRows, recordText } from "../training/record_text.ts";
import { train, type TrainOptions } from "../training/train.ts";
import { madeUpDataset } from "./made_up_text.ts";
import { tinyConfig } from "./run_configs.ts";

/** Its settings. */
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
export async function recordOf(
  on: Backend,
  router: string,
  seed: number,
  options: Pick<TrainOptions, "onStep"> = {},
): Promise<[string, unknown]> {
  using run = await train(tinyConfig(router, {}, small, { seed }), { backend: on, data, ...options });
  const { record, timing } = run;
  const dispatches = timing.steps.map(({ queue }) => queue && [queue.dispatches, queue.dispatchesByStage]);
  return [recordText(recordRows(record)), dispatches];
}
