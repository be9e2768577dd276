// A kept model with fewer experts, as one more kept model: which experts go is decided on training examples of its task, and
// its config says how many each layer has now.
import type { Backend } from "../kernels/kernel.ts";
import type { Batch, Model } from "../models/model.ts";
import { alignedExperts } from "../models/resize/align.ts";
import { type FewerExperts, withFewerExperts } from "../models/resize/fewer_experts.ts";
import { mergedExperts, type MergeFeature } from "../models/resize/merge.ts";
import { type ObservedExperts, observeExperts } from "../models/resize/observe.ts";
import { bestExperts, type PruneScore } from "../models/resize/prune.ts";
import { taken } from "../models/resize/axes.ts";
import { moeLayers } from "../models/spec.ts";
import type { TaskData } from "../tasks/task.ts";
import { random } from "../tensor/random.ts";
import { parseConfig, type RunConfig } from "./config.ts";
import { type ConvertedModel, convertedModel } from "./converted_model.ts";
import { batchOf } from "./evaluate.ts";
import { type LoadedModel, refusePacked } from "./load_model.ts";

/** What experts are chosen on. */
export interface Calibration {
  /** Where the model is. */
  readonly backend: Backend;
  /** The model's task, loaded. */
  readonly data: TaskData;
  /** Training batches to look at. */
  readonly batches: number;
}

/** A kept model with fewer experts. */
export interface ResizedModel extends ConvertedModel {
  /** What became of each mixture's experts. */
  readonly layers: readonly (FewerExperts & Pick<ObservedExperts, "load" | "saliency">)[];
}

/**
 * Leaves experts out: those that kept the fewest tokens (`load`), or whose outputs weigh least (`saliency`, REAP: Lasby et al.
 * 2025, [arXiv:2510.13999](https://arxiv.org/abs/2510.13999)). Columns of the router go with them.
 * @param keep Experts of each mixture, or of all of them.
 * @throws {RangeError} when a layer cannot have so many, or its router or its kind of experts cannot be changed.
 * @example
 * ```ts
 * import { cpu, findTask, parseTaskOptions } from "@switchyard/moe";
 * import { configOf, createTrainer, loadModel, pruneExperts } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const recall = findTask("recall");
 * const data = await recall.load(parseTaskOptions(recall, { facts: 64 }));
 * const config = configOf({ "task.name": "recall", ...recall.defaults, "task.facts": 64 });
 * const backend = await cpu({ threads: 1 });
 * using trainer = await createTrainer(config, { backend, data });
 * await trainer.step();
 * using kept = await loadModel(await trainer.encodeModel(), { backend });
 * using pruned = await pruneExperts(kept, 3, "saliency", { backend, data, batches: 2 });
 * assertEquals(pruned.model.params["blocks.0.experts.in"].shape[0], 3);
 * assertEquals(pruned.config.model.perLayer[0].experts, 3);
 * ```
 */
export async function pruneExperts(
  loaded: LoadedModel,
  keep: number | readonly number[],
  by: PruneScore,
  calibration: Calibration,
): Promise<ResizedModel> {
  const counts = countsFor(loaded, keep, "prune");
  const observed = await observe(loaded, calibration);
  const changes = observed.map((each, at) => ({
    layer: each.layer,
    shared: each.shared,
    mix: taken(bestExperts(each, by, counts[at])),
  }));
  return await resizedModel(loaded, changes, observed);
}

/**
 * Merges experts that are alike: by their mean outputs over all tokens (`outputs`, HC-SMoE: Chen et al. 2024,
 * [arXiv:2410.08589](https://arxiv.org/abs/2410.08589)) or by their parameters (`weights`), in groups by average linkage. A
 * group becomes the mean of its members weighed by the tokens they kept, once hidden units are in the most used one's order (M-SMoE:
 * Li et al. 2023, [arXiv:2310.01334](https://arxiv.org/abs/2310.01334)). Columns of the router are averaged alike: both
 * papers' code keeps all columns and lets experts share parameters instead.
 * @param count Experts of each mixture, or of all of them.
 * @param align Whether hidden units are put in like order first.
 * @throws {RangeError} as {@linkcode pruneExperts} does.
 * @example
 * ```ts
 * import { cpu, findTask, parseTaskOptions } from "@switchyard/moe";
 * import { configOf, createTrainer, loadModel, mergeExperts } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const recall = findTask("recall");
 * const data = await recall.load(parseTaskOptions(recall, { facts: 64 }));
 * const config = configOf({ "task.name": "recall", ...recall.defaults, "task.facts": 64 });
 * const backend = await cpu({ threads: 1 });
 * using trainer = await createTrainer(config, { backend, data });
 * await trainer.step();
 * using kept = await loadModel(await trainer.encodeModel(), { backend });
 * using merged = await mergeExperts(kept, 3, { by: "outputs", align: true }, { backend, data, batches: 2 });
 * assertEquals(merged.layers[0].mix.flat().map(([expert]) => expert).sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
 * ```
 */
export async function mergeExperts(
  loaded: LoadedModel,
  count: number | readonly number[],
  { by, align }: { readonly by: MergeFeature; readonly align: boolean },
  calibration: Calibration,
): Promise<ResizedModel> {
  const counts = countsFor(loaded, count, "merge");
  const observed = await observe(loaded, calibration);
  const changes: FewerExperts[] = [];
  for (const [at, each] of observed.entries()) {
    const { layer, load, outputs } = each;
    const features = by === "outputs"
      ? outputs
      : rowsOf(await alignedExperts(loaded.model, layer, [byLoad(load.keys(), load)]), load.length);
    const mix = mergedExperts(each, features, counts[at]);
    const groups = mix.map((members) => byLoad(members.map(([e]) => e), load));
    changes.push({
      layer,
      shared: each.shared,
      mix,
      ...(align ? { aligned: await alignedExperts(loaded.model, layer, groups) } : {}),
    });
  }
  return await resizedModel(loaded, changes, observed);
}

/** Experts, the most used first. */
function byLoad(experts: Iterable<number>, load: readonly number[]): number[] {
  return [...experts].sort((a, b) => load[b] - load[a] || a - b);
}

/** All parameters of each expert. */
function rowsOf(aligned: NonNullable<FewerExperts["aligned"]>, E: number): number[][] {
  return Array.from({ length: E }, (_, e) =>
    Object.values(aligned).flatMap(({ values }) => {
      const size = values.length / E;
      return Array.from(values.subarray(e * size, (e + 1) * size));
    }));
}

/** A count for each mixture. */
function countsFor(
  loaded: LoadedModel,
  given: number | readonly number[],
  what: string,
): number[] {
  refusePacked(loaded, `${what} experts of ${loaded.run}`);
  const { model, config, run } = loaded;
  if (config.control !== null) {
    throw new RangeError(`Cannot ${what} experts of ${run}: it is of the control "${config.control}"`);
  }
  const mixtures = moeLayers(model.spec).length;
  if (mixtures === 0) throw new RangeError(`Cannot ${what} experts of ${run}: it has none`);
  const counts = typeof given === "number" ? new Array<number>(mixtures).fill(given) : [...given];
  if (counts.length === mixtures) return counts;
  throw new RangeError(
    `Cannot ${what} experts of ${run}: ${counts.length} counts are given, and it has ${mixtures} mixtures; give one ` +
      "for each, or one for all",
  );
}

async function observe(
  { model, config, step }: LoadedModel,
  { backend, data, batches }: Calibration,
): Promise<ObservedExperts[]> {
  const { batch, length } = config.train;
  const stream = random(config.seed).split("calibration");
  const examplesAt = data.trainingExamples({ batch, length, random: stream });
  const given: Batch[] = Array.from({ length: batches }, (_, at) => batchOf(examplesAt(at)));
  return await observeExperts(model, given, { backend, step });
}

async function resizedModel(
  loaded: LoadedModel,
  changes: readonly FewerExperts[],
  observed: readonly ObservedExperts[],
): Promise<ResizedModel> {
  const fewer = changes.filter(({ mix }, at) => mix.length < observed[at].load.length);
  const model = await withFewerExperts(loaded.model, fewer);
  return {
    ...convertedModel(loaded, model, configFor(loaded, model)),
    layers: changes.map((change, at) => {
      const { load, saliency } = observed[at];
      return { ...change, load, saliency };
    }),
  };
}

/** The config with the number and the width of each layer's experts as they are now. */
function configFor({ config }: LoadedModel, { spec }: Model): RunConfig {
  const perLayer = spec.layers.map(({ feedForward }, at) => {
    const own = config.model.perLayer[at] ?? {};
    return feedForward.kind === "moe" ? { ...own, experts: feedForward.E, expertWidth: feedForward.F } : own;
  });
  return parseConfig({ ...config, model: { ...config.model, equalCost: false, perLayer } });
}
