// From a run's config and its task's data to the model's spec: the one place where the two meet.
import type { AnyExpertPlugin } from "../experts/registry.ts";
import { findExperts, parseExpertOptions } from "../experts/registry.ts";
import { controlled } from "../models/controls.ts";
import { equalCost } from "../models/equal_cost.ts";
import {
  type AttentionSpec,
  choicesOf,
  type FeedForwardSpec,
  type LayerSpec,
  type ModelSpec,
  type MoeSpec,
  type SharedExpertSpec,
} from "../models/spec.ts";
import { findRouter, parseOptions } from "../routers/registry.ts";
import { optionNames } from "../tensor/plugins.ts";
import type { TaskData } from "../tasks/task.ts";
import type { Chosen, ModelSettings, RunConfig } from "./config.ts";

/**
 * The spec of a run's model.
 * @throws {RangeError} when the task's vectors do not have the model's width, K choices do not divide an expert's width, or
 * a control needs what the task does not have.
 * @example
 * ```ts
 * import { findTask, moeLayers, parseTaskOptions } from "@switchyard/moe";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const recall = findTask("recall");
 * const data = await recall.load(parseTaskOptions(recall));
 * const config = configOf({ "task.name": "recall", ...recall.defaults, "router.name": "gshard" });
 * const [{ moe }] = moeLayers(specOf(config, data));
 * assertEquals([moe.E, moe.F, moe.router.name], [8, 32, "gshard"]);
 * ```
 */
export function specOf(
  config: RunConfig,
  data: Pick<TaskData, "input" | "output" | "bestRouting">,
): ModelSpec {
  const { model, train, placement, control } = config;
  for (const side of [data.input, data.output]) {
    if (side.kind === "vectors" && side.vectors.D !== model.width) {
      throw new RangeError(
        `Cannot use model.width = ${model.width} with task "${config.task.name}": its vectors have ${side.vectors.D} ` +
          `values; set model.width=${side.vectors.D}`,
      );
    }
  }
  const spec: ModelSpec = {
    D: model.width,
    input: data.input,
    target: data.output,
    layers: Array.from({ length: model.layers }, (_, at) => layerOf(config, at)),
    outputNorm: data.output.kind === "tokens" || model.outputNorm,
    length: train.length,
    ranks: placement.ranks,
    ranksPerNode: placement.ranksPerNode,
  };
  const chosen = control ? controlled(spec, control, data.bestRouting?.group_V ?? null) : spec;
  const cut = model.equalCost && !control ? equalCost(chosen) : chosen;
  return { ...cut, layers: cut.layers.map((layer) => scaled(layer, config)) };
}

function layerOf({ model, experts, router }: RunConfig, at: number): LayerSpec {
  const own = model.perLayer[at] ?? {};
  const usual = model.moeEvery > 0 && (at + 1) % model.moeEvery === 0 ? "moe" : "dense";
  const width = own.feedForwardWidth ?? model.feedForwardWidth;
  const feedForward = (): FeedForwardSpec => {
    const kind = own.feedForward ?? usual;
    if (kind === "none") return { kind };
    if (kind === "dense") return { kind, width, bias: experts.bias === true, outDeviation: 1 };
    const plugin = findRouter((own.router ?? router).name);
    const bank = findExperts((own.expertKind ?? experts).name);
    const expertOptions = withoutName(own.expertKind ?? experts);
    const sharedWidth = own.sharedExpertWidth ?? model.sharedExpertWidth;
    return {
      kind,
      router: plugin,
      routerOptions: parseOptions(plugin, withoutName(own.router ?? router)),
      experts: bank,
      expertOptions,
      E: own.experts ?? model.experts,
      F: own.expertWidth ?? model.expertWidth,
      sharedExpert: sharedWidth > 0 ? sharedExpertOf(bank, expertOptions, sharedWidth, model) : null,
    };
  };
  return {
    attention: (own.attention ?? true) && model.heads > 0 ? attentionOf(model) : null,
    feedForward: feedForward(),
    norm: model.norm,
    residual: model.residual,
  };
}

/** One expert of the bank's kind, or of the kind that stands for it. */
function sharedExpertOf(
  bank: AnyExpertPlugin,
  options: unknown,
  F: number,
  { sharedExpertMix: mix }: ModelSettings,
): SharedExpertSpec {
  const [experts, expertOptions] = bank.dense?.(options) ?? [bank, options];
  return { experts, expertOptions, F, mix };
}

function attentionOf({ width, heads, keyValueHeads, rotaryWidth }: ModelSettings): AttentionSpec {
  return { heads, keyValueHeads: keyValueHeads ?? heads, rotaryWidth: rotaryWidth ?? width / heads };
}

/** Second matrices start at the scale of a dense network as wide as what a token passes through, whatever K is. */
function scaled(layer: LayerSpec, { model }: RunConfig): LayerSpec {
  const { feedForward } = layer;
  if (feedForward.kind === "none") return layer;
  const scale = model.residualScale ?? 1 / Math.sqrt(2 * model.layers);
  const deviation = (units: number) => scale / Math.sqrt(units);
  if (feedForward.kind === "dense") {
    return { ...layer, feedForward: { ...feedForward, outDeviation: deviation(feedForward.width) } };
  }
  const { sharedExpert } = feedForward;
  const outDeviation = deviation(choicesOf(feedForward) * feedForward.F + (sharedExpert?.F ?? 0));
  return {
    ...layer,
    feedForward: {
      ...scaledExperts(feedForward, outDeviation),
      sharedExpert: sharedExpert ? scaledExperts(sharedExpert, outDeviation) : null,
    },
  };
}

function scaledExperts<Spec extends MoeSpec | SharedExpertSpec>(spec: Spec, outDeviation: number): Spec {
  const given = spec.expertOptions as Record<string, unknown>;
  const scales = given.outDeviation == null && hasOption(spec.experts, "outDeviation");
  const expertOptions = parseExpertOptions(spec.experts, scales ? { ...given, outDeviation } : given);
  return { ...spec, expertOptions };
}

function hasOption(plugin: AnyExpertPlugin, name: string): boolean {
  return optionNames(plugin)?.includes(name) ?? false;
}

function withoutName({ name: _, ...rest }: Chosen): Record<string, unknown> {
  return rest;
}
