// Where a run's model starts: from its seed, or from the weights of a kept model (`train.from`).
import type { Backend } from "../kernels/kernel.ts";
import type { Model } from "../models/model.ts";
import { scaleOutputs, startFrom } from "../models/resize/start.ts";
import type { Examples, TaskData } from "../tasks/task.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { sequencesOf } from "../tensor/sequences.ts";
import type { RunConfig } from "./config.ts";
import { type LoadedModel, loadModel, refusePacked } from "./load_model.ts";

/** A run that is about to start. */
export interface Start {
  readonly config: RunConfig;
  readonly data: Pick<TaskData, "vocabulary">;
  readonly backend: Backend;
  /** Training batches by step. */
  readonly examplesAt: (step: number) => Examples;
}

/**
 * Gives a model the weights that its run starts from, where its config names any.
 * @throws {RangeError} when the kept model does not fit; {Error} when it cannot be read, saying why.
 */
export async function startModel(model: Model, start: Start): Promise<void> {
  const { config: { train, seed }, data, backend, examplesAt } = start;
  if (train.from === null) return;
  using source = await loadModel(train.from, { backend });
  refusePacked(source, `start from ${train.from}`);
  refuseOtherWords(source, data, `start from ${source.run}`);
  const upcycled = await startFrom(model, source.model, {
    conversion: train.conversion,
    share: train.conversionShare,
    random: random(seed).split("start"),
    called: `model ${train.from}`,
  });
  if (!train.conversionScale || upcycled.length === 0) return;
  const { tokenId, lengths } = examplesAt(0);
  const batch = { tokenId_T: tokenId, sequences: sequencesOf(lengths) };
  using _scope = memory(backend);
  const { layers } = await model.forward(batch, { training: false, step: 0, random: random(0), backend });
  for (const { layer, routing } of layers) {
    if (!upcycled.includes(layer)) continue;
    const expert_N = await routing.expert_N.read();
    const weight_N = await routing.weight_N.read() as Float32Array;
    const total = weight_N.reduce((sum, weight, n) => expert_N[n] < 0 ? sum : sum + weight, 0);
    scaleOutputs(model, layer, tokenId.length / total);
  }
}

/**
 * Checks that the same number is the same token.
 * @param what What is being done with the model, for the error.
 * @throws {RangeError} when it is not.
 */
export function refuseOtherWords(
  { vocabulary }: LoadedModel,
  data: Pick<TaskData, "vocabulary">,
  what: string,
): void {
  const [theirs, own] = [vocabulary?.words, data.vocabulary?.words];
  if (JSON.stringify(theirs) === JSON.stringify(own)) return;
  throw new RangeError(
    `Cannot ${what}: its vocabulary is not that of the task; choose the text that it was trained on`,
  );
}
