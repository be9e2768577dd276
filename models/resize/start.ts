// A model that starts from the weights of another: everything outside feed-forward parts is copied, parts alike are copied
// too, and what differs is said: experts upcycled from dense networks, or left as they were drawn.
import { feedForward } from "../../experts/feed_forward.ts";
import { affine } from "../../tensor/arithmetic.ts";
import type { Random } from "../../tensor/random.ts";
import { type Parameter, tensor } from "../../tensor/tensor.ts";
import type { Model } from "../model.ts";
import { choicesOf, type DenseSpec, type FeedForwardSpec, type MoeSpec } from "../spec.ts";
import type { NamedWeights, Weights } from "./axes.ts";
import { readWeights } from "./read_weights.ts";
import { groupRouter } from "./group_router.ts";
import { type UnitAxes, unitAxes } from "./unit_axes.ts";
import { unitsOf, upcycle, type Upcycling, upcyclings } from "./upcycle.ts";

/**
 * What feed-forward parts start from where they differ from the other model's: experts from copies of its dense networks
 * ({@linkcode upcyclings}), or, with `fresh`, from what they were drawn with, as a dense student's do (Switch Transformer,
 * section 4.2).
 */
export const conversions = [...upcyclings, "fresh"] as const;

/** Name of one of {@linkcode conversions}. */
export type Conversion = typeof conversions[number];

/** How a model starts from another. */
export interface StartOptions {
  /** What feed-forward parts that differ start from; null refuses them. */
  readonly conversion: Conversion | null;
  /** Share of an expert's hidden units that `noise` and `drop` change. */
  readonly share: number;
  /** Stream of what is drawn. */
  readonly random: Random;
  /** What errors call the other model. */
  readonly called: string;
}

/**
 * Gives a model the weights of another, and tells which of its layers were upcycled.
 *
 * An upcycled layer keeps its own, fresh router. Experts narrower than the dense network by a whole number G are parts of
 * copies, and the columns of the router are alike for all parts of a copy, so that a token chooses whole copies (the virtual
 * groups of He et al. 2024, "Upcycling LLMs into MoE"). Weights out of hidden units are multiplied by G, which leaves the
 * outputs of the dense network where the weights of a token sum to 1. Nvidia's code (megatron/core, upcycling_utils.py)
 * spreads that factor over all matrices, which is the same for ReLU alone.
 * @returns Places of upcycled layers.
 * @throws {RangeError} when the two do not fit.
 * @example
 * ```ts
 * import { cpu, createInit, createModel, random } from "@switchyard/moe";
 * import { startFrom } from "@switchyard/moe/resize";
 * import { configOf, type Settings, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * using backend = await cpu({ threads: 1 });
 * const made = (settings: Settings) =>
 *   createModel(specOf(configOf({ "model.layers": 2 }, settings), data), createInit(backend, random(0)));
 * using dense = made({ "model.moeEvery": 0 });
 * using sparse = made({ "model.moeEvery": 2 });
 * const options = { conversion: "copy", share: 0, random: random(1), called: "the dense model" } as const;
 * assertEquals(await startFrom(sparse, dense, options), [1]);
 * const [one, all] = [dense.params["blocks.1.out"], sparse.params["blocks.1.experts.out"]];
 * assertEquals((await all.read()).subarray(0, 256 * 64), await one.read());
 * ```
 */
export async function startFrom(model: Model, source: Model, options: StartOptions): Promise<number[]> {
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot start from ${options.called}: ${why}`);
  };
  const [mine, theirs] = [model.spec.layers, source.spec.layers];
  if (mine.length !== theirs.length) {
    refuse(`it has ${theirs.length} layers, and the model to train has ${mine.length}`);
  }
  const given = await readWeights(source.params);
  const ways = mine.map(({ feedForward }, at) =>
    wayOf(feedForward, theirs[at].feedForward, options.conversion, (why) => refuse(`layer ${at}: ${why}`))
  );
  for (const [name, param] of Object.entries(model.params)) {
    if (!isCopied(name, ways)) continue;
    const { values, shape } = given[name] ?? refuse(`it has no "${name}"`);
    if (String(shape) !== String(param.shape)) {
      refuse(
        `its "${name}" has shape [${shape.join(", ")}], and the model's has [${param.shape.join(", ")}]`,
      );
    }
    param.assign(tensor(param.backend, values, shape));
  }
  for (const [path, { layer, router }] of Object.entries(model.routers)) {
    const state = ways[layer] === "same" ? source.routers[path].router.state?.() : undefined;
    if (state) router.restore?.(state);
  }
  const upcycled = ways.flatMap((way, at) => way === "upcycle" ? [at] : []);
  for (const at of upcycled) {
    const moe = mine[at].feedForward as MoeSpec;
    const network = networkOf(theirs[at].feedForward, at, given);
    await upcycleLayer(model, at, moe, network, options, (why) => refuse(`layer ${at}: ${why}`));
  }
  return upcycled;
}

/** What becomes of a layer's feed-forward part: all of it copied, all but the router, upcycled, or nothing. */
type Way = "same" | "same experts" | "upcycle" | "fresh";

function wayOf(
  mine: FeedForwardSpec,
  theirs: FeedForwardSpec,
  conversion: Conversion | null,
  refuse: (why: string) => never,
): Way {
  if (mine.kind === "none" && theirs.kind === "none") return "same";
  if (mine.kind === "dense" && theirs.kind === "dense" && mine.width === theirs.width) return "same";
  if (mine.kind === "moe" && theirs.kind === "moe" && mine.E === theirs.E && mine.F === theirs.F) {
    return mine.router.name === theirs.router.name ? "same" : "same experts";
  }
  if (mine.kind === "none" || theirs.kind === "none") {
    return refuse(`its feed-forward part is ${theirs.kind}, and that of the model to train is ${mine.kind}`);
  }
  if (conversion === "fresh") return "fresh";
  const difference = `it has ${textOf(theirs)}, and the model to train has ${textOf(mine)}`;
  if (conversion === null) {
    return refuse(`${difference}; set train.conversion to ${conversions.join(", ")}`);
  }
  if (mine.kind === "dense" || theirs.kind === "moe" && theirs.E > 1) {
    return refuse(`${difference}, which is no upcycling; set train.conversion to fresh`);
  }
  if (theirs.kind === "moe" && theirs.sharedExpert) {
    return refuse("its one expert has a shared expert beside it, so it is no single network");
  }
  return "upcycle";
}

function textOf(part: DenseSpec | MoeSpec): string {
  return part.kind === "dense"
    ? `a dense network of width ${part.width}`
    : `${part.E} experts of width ${part.F}`;
}

/** Parameters of feed-forward parts: dense networks, experts, shared experts and routers. */
function isCopied(name: string, ways: readonly Way[]): boolean {
  const [, at, router] = name.match(/^blocks\.(\d+)\.(?:experts\.|shared\.|(router\.)|in|out)/) ?? [];
  if (at === undefined) return true;
  const way = ways[Number(at)];
  return way === "same" || way === "same experts" && router === undefined;
}

/** One network with the plugin and the options that a bank of its kind has. */
interface Network {
  readonly params: NamedWeights;
  readonly kind: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** A dense network, or a bank of one expert, as a bank of one. */
function networkOf(part: FeedForwardSpec, at: number, given: NamedWeights): Network {
  if (part.kind === "moe") {
    const prefix = `blocks.${at}.experts.`;
    const own = Object.entries(given).filter(([name]) => name.startsWith(prefix));
    return {
      params: Object.fromEntries(own.map(([name, weights]) => [name.slice(prefix.length), weights])),
      kind: part.experts.name,
      options: part.expertOptions as Record<string, unknown>,
    };
  }
  const { bias } = part as DenseSpec;
  const names = bias ? ["in", "out", "inBias", "outBias"] : ["in", "out"];
  return {
    params: Object.fromEntries(names.map((name) => {
      const { values, shape } = given[`blocks.${at}.${name}`];
      return [name, { values, shape: [1, ...shape] }];
    })),
    kind: feedForward.name,
    options: { ...feedForward.options.parse({ activation: "relu", bias }) },
  };
}

/** Options that do not change which function a network is: initial values, dropout, and how numbers are stored. */
const beside = ["outDeviation", "dropout", "precision", "weights"];

async function upcycleLayer(
  model: Model,
  at: number,
  moe: MoeSpec,
  network: Network,
  { conversion, share, random }: StartOptions,
  refuse: (why: string) => never,
): Promise<void> {
  const wanted = Object.entries(moe.expertOptions as Record<string, unknown>)
    .filter(([name]) => !beside.includes(name));
  const other = moe.experts.name !== network.kind
    ? `experts.name is ${moe.experts.name}, and its network is of the kind ${network.kind}`
    : wanted.filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(network.options[name]))
      .map(([name, value]) =>
        `experts.${name} is ${JSON.stringify(value)}, and its network has ` +
        `${JSON.stringify(network.options[name])}`
      )[0];
  if (other !== undefined) refuse(other);
  const units = unitAxes({ ...moe, E: 1 }, model.spec.D, model.backend);
  const granularity = granularityOf(moe, network.params, units, refuse);
  const stream = random.split(at);
  const made = upcycle(network.params, units, {
    E: moe.E,
    granularity,
    how: conversion as Upcycling,
    share,
    scale: granularity,
    random: stream,
  });
  for (const [name, weights] of Object.entries(made)) {
    assign(model.params[`blocks.${at}.experts.${name}`], weights);
  }
  if (granularity > 1) await groupRouter(model, at, granularity, refuse);
}

/** G: parts that a copy is cut into. */
function granularityOf(
  moe: MoeSpec,
  network: NamedWeights,
  units: UnitAxes,
  refuse: (why: string) => never,
): number {
  const width = unitsOf(network, units);
  const G = Object.values(units).some((axis) => axis !== null) ? width / moe.F : 1;
  if (!Number.isInteger(G)) {
    return refuse(`its network has ${width} hidden units, which experts of width ${moe.F} do not divide`);
  }
  if (moe.E % G !== 0) {
    return refuse(`${moe.E} experts are no whole number of copies in ${G} parts; choose a multiple of ${G}`);
  }
  const K = choicesOf(moe);
  if (K % G !== 0) {
    return refuse(
      `router "${moe.router.name}" sends a token to ${K}, which is no whole number of copies in ${G} parts; ` +
        `choose a multiple of ${G}`,
    );
  }
  return G;
}

/** Multiplies what a layer's experts give by a factor: weights out of hidden units, and biases of the output. */
export function scaleOutputs(model: Model, at: number, factor: number): void {
  const units = unitAxes(model.spec.layers[at].feedForward as MoeSpec, model.spec.D, model.backend);
  for (const [name, axis] of Object.entries(units)) {
    const param = model.params[`blocks.${at}.experts.${name}`];
    if (!axis || axis.axis < param.shape.length - 1) param.assign(affine(param, factor, 0));
  }
}

function assign(param: Parameter, { values, shape }: Weights): void {
  param.assign(tensor(param.backend, values, shape));
}
