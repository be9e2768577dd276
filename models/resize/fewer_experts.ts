// A model with fewer experts, each one of the old ones or a sum of several. Parameters, columns of routers and what routers
// carry are treated alike, along whichever axis grows with the number of experts.
import { createInit } from "../../tensor/init.ts";
import { random } from "../../tensor/random.ts";
import { tensor } from "../../tensor/tensor.ts";
import { createModel, type Model } from "../model.ts";
import type { LayerSpec, MoeSpec } from "../spec.ts";
import { countedAxis, type Mix, mixAlong, type NamedWeights, type Weights } from "./axes.ts";
import { readWeights } from "./read_weights.ts";

/** What becomes of one layer's experts. */
export interface FewerExperts {
  /** Place of the layer, from 0. */
  readonly layer: number;
  /** The new experts, of old ones. */
  readonly mix: Mix;
  /** First experts that every token goes to, which have no columns in the router and stay first; 0 when left out. */
  readonly shared?: number;
  /** The old experts' parameters by the model's names, where they are not taken as the model has them. */
  readonly aligned?: NamedWeights;
}

/**
 * Makes a model whose layers have the experts of `changes`; layers not named stay as they are.
 * @throws {RangeError} for a router without a column for each expert, or whose options do not allow so few; experts of
 * different kinds.
 * @example
 * ```ts
 * import { cpu, createInit, createModel, random } from "@switchyard/moe";
 * import { taken, withFewerExperts } from "@switchyard/moe/resize";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * using backend = await cpu({ threads: 1 });
 * using model = createModel(specOf(configOf({ "model.layers": 2 }), data), createInit(backend, random(0)));
 * using smaller = await withFewerExperts(model, [{ layer: 1, mix: taken([0, 2, 5]) }]);
 * const { shape } = smaller.params["blocks.1.experts.in"];
 * assertEquals([shape, smaller.params["blocks.1.router.gate"].shape], [[3, 64, 256], [64, 3]]);
 * ```
 */
export async function withFewerExperts(model: Model, changes: readonly FewerExperts[]): Promise<Model> {
  const byLayer = new Map(changes.map((change) => [change.layer, change]));
  const layers = model.spec.layers.map((layer, at): LayerSpec => {
    const change = byLayer.get(at);
    const { feedForward } = layer;
    if (!change || feedForward.kind !== "moe") return layer;
    if (change.mix.length >= feedForward.E) {
      throw new RangeError(
        `Cannot change the experts of layer ${at}: ${change.mix.length} are no fewer than its ${feedForward.E}`,
      );
    }
    return { ...layer, feedForward: { ...feedForward, E: change.mix.length } };
  });
  const given = await readWeights(model.params);
  const made = createModel({ ...model.spec, layers }, createInit(model.backend, random(0)));
  try {
    for (const [name, param] of Object.entries(made.params)) {
      const change = changeOf(name, byLayer);
      const weights = change?.aligned?.[name] ?? given[name];
      const { values } = change ? resized(model, name, weights, param.shape, change) : weights;
      param.assign(tensor(param.backend, values, param.shape));
    }
    for (const [path, { router, layer, called }] of Object.entries(made.routers)) {
      const change = byLayer.get(layer);
      const state = model.routers[path].router.state?.() ?? {};
      const wanted = router.state?.() ?? {};
      const next = Object.fromEntries(
        Object.entries(state).map(([name, values]) => {
          const weights = { values, shape: [values.length] };
          if (!change) return [name, values];
          const shape = [wanted[name].length];
          return [name, resized(model, `state of ${called}, ${name}`, weights, shape, change).values];
        }),
      );
      if (change) refuseFixed(model, made, path);
      if (Object.keys(next).length > 0) router.restore?.(next);
    }
    return made;
  } catch (error) {
    made.free();
    throw error;
  }
}

/** The change of the experts or the router that a parameter belongs to. */
function changeOf(name: string, byLayer: ReadonlyMap<number, FewerExperts>): FewerExperts | undefined {
  const [, at] = name.match(/^blocks\.(\d+)\.(?:experts|router)\./) ?? [];
  return at === undefined ? undefined : byLayer.get(Number(at));
}

/** Weights of a layer's experts or router as the change has them. */
function resized(
  model: Model,
  name: string,
  weights: Weights,
  shape: readonly number[],
  { layer, mix, shared = 0 }: FewerExperts,
): Weights {
  const { E } = model.spec.layers[layer].feedForward as MoeSpec;
  const without = name.includes(".experts.") ? 0 : shared;
  const counts = { from: E - without, to: mix.length - without };
  const axis = countedAxis(weights.shape, shape, counts, (why) => {
    throw new RangeError(`Cannot change the experts of layer ${layer}: "${name}": ${why}`);
  });
  const own = mix.slice(without).map((parts) =>
    parts.map(([from, weight]) => [from - without, weight] as const)
  );
  return axis ? mixAlong(weights, axis, own) : weights;
}

/** A router without a column or a number for each expert would send tokens elsewhere. */
function refuseFixed(model: Model, made: Model, path: string): void {
  const { called, params, router } = model.routers[path];
  const grows = params.some((name) => String(model.params[name].shape) !== String(made.params[name].shape)) ||
    Object.entries(router.state?.() ?? {}).some(([name, values]) =>
      values.length !== made.routers[path].router.state!()[name].length
    );
  if (grows) return;
  throw new RangeError(
    `Cannot change the experts of ${called}: it has no column for each of them, so tokens of those left would go elsewhere`,
  );
}
