// A kept dense model as a mixture of experts that was not trained yet, as one more kept model.
import { feedForward } from "../experts/feed_forward.ts";
import type { Backend } from "../kernels/kernel.ts";
import { createModel } from "../models/model.ts";
import { startFrom } from "../models/resize/start.ts";
import type { Upcycling } from "../models/resize/upcycle.ts";
import type { FeedForwardSpec, LayerSpec } from "../models/spec.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { type Chosen, type LayerSettings, parseConfig, type RunConfig } from "./config.ts";
import { type ConvertedModel, convertedModel } from "./converted_model.ts";
import type { LoadedModel } from "./load_model.ts";
import { specOf } from "./spec_of.ts";

/** What a dense model becomes. */
export interface UpcyclingChoice {
  /** Experts of a layer. */
  readonly experts: number;
  /** Experts that a copy of the dense network is cut into, G. */
  readonly parts: number;
  /** What becomes of a copy. */
  readonly how: Upcycling;
  /** Share of an expert's hidden units that `noise` and `drop` change. */
  readonly share: number;
  /** The router, which starts fresh. */
  readonly router: Chosen;
  /** Places of layers, from 0; null = all that are dense. */
  readonly layers: readonly number[] | null;
  /** Seed of what is drawn. */
  readonly seed: number;
}

/**
 * Makes experts of the dense networks of a kept model, as training with `train.conversion` starts
 * ({@linkcode startFrom} of `@switchyard/moe/resize`).
 * @throws {RangeError} when a layer is not dense, or what is chosen does not fit it.
 * @example
 * ```ts
 * import { cpu, findTask, parseTaskOptions } from "@switchyard/moe";
 * import { configOf, createTrainer, loadModel, upcycleModel } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const recall = findTask("recall");
 * const data = await recall.load(parseTaskOptions(recall, { facts: 64 }));
 * const settings = { "task.name": "recall", ...recall.defaults, "task.facts": 64, "model.moeEvery": 0 };
 * const backend = await cpu({ threads: 1 });
 * using trainer = await createTrainer(configOf(settings), { backend, data });
 * using kept = await loadModel(await trainer.encodeModel(), { backend });
 * const choice = { experts: 4, parts: 1, how: "copy", share: 0, layers: null, seed: 0 } as const;
 * using sparse = await upcycleModel(kept, { ...choice, router: { name: "switch" } }, { backend });
 * assertEquals(sparse.model.params["blocks.0.experts.in"].shape[0], 4);
 * ```
 */
export async function upcycleModel(
  loaded: LoadedModel,
  choice: UpcyclingChoice,
  { backend }: { readonly backend: Backend },
): Promise<ConvertedModel> {
  const config = configFor(loaded, choice);
  const { input, target: output } = loaded.model.spec;
  const stream = random(choice.seed);
  const spec = specOf(config, { input, output, bestRouting: null });
  const model = createModel(spec, createInit(backend, stream.split("init")));
  try {
    await startFrom(model, loaded.model, {
      conversion: choice.how,
      share: choice.share,
      random: stream.split("start"),
      called: loaded.run,
    });
  } catch (error) {
    model.free();
    throw error;
  }
  return convertedModel(loaded, model, config);
}

/** Width of a dense network, or of a bank that is one; null of any other part. */
function widthOf(part: FeedForwardSpec): number | null {
  if (part.kind === "dense") return part.width;
  return part.kind === "moe" && part.E === 1 ? part.F : null;
}

function configFor({ config, model, run }: LoadedModel, choice: UpcyclingChoice): RunConfig {
  const { layers } = model.spec;
  const dense = layers.flatMap(({ feedForward }, at) => widthOf(feedForward) === null ? [] : [at]);
  const chosen = choice.layers ?? dense;
  const strange = chosen.find((at) => !dense.includes(at));
  if (strange !== undefined || chosen.length === 0) {
    const named = strange === undefined ? run : `layer ${strange} of ${run}`;
    const places = dense.length === 0 ? "it has no dense layer" : `its dense layers are ${dense.join(", ")}`;
    throw new RangeError(`Cannot upcycle ${named}: ${places}`);
  }
  const perLayer = layers.map((layer, at) =>
    chosen.includes(at) ? upcycled(layer, choice, run) : asItIs(layer, config.model.perLayer[at] ?? {})
  );
  return parseConfig({
    ...config,
    control: null,
    router: choice.router,
    model: { ...config.model, equalCost: false, perLayer },
    train: { ...config.train, from: null, conversion: null, teacher: null },
  });
}

function upcycled(
  { attention, feedForward: part }: LayerSpec,
  { experts, parts }: UpcyclingChoice,
  run: string,
): LayerSettings {
  const width = widthOf(part)! / parts;
  if (!Number.isInteger(width)) {
    throw new RangeError(`Cannot upcycle ${run}: ${parts} parts do not divide a width of ${widthOf(part)}`);
  }
  const expertKind = part.kind === "moe"
    ? { name: part.experts.name, ...part.expertOptions as Record<string, unknown>, outDeviation: null }
    : { name: feedForward.name, activation: "relu", bias: part.kind === "dense" && part.bias };
  return { attention: attention !== null, feedForward: "moe", experts, expertWidth: width, expertKind };
}

/** A layer that stays, whatever the control or the settings for all layers were. */
function asItIs({ attention, feedForward: part }: LayerSpec, own: LayerSettings): LayerSettings {
  const here = { ...own, attention: attention !== null, feedForward: part.kind };
  if (part.kind === "dense") return { ...here, feedForwardWidth: part.width };
  if (part.kind === "none") return here;
  const router = { name: part.router.name, ...part.routerOptions as Record<string, unknown> };
  return { ...here, experts: part.E, expertWidth: part.F, router };
}
