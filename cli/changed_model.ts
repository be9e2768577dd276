// A loaded model with other options of its routers, such as one that drops nothing: the same weights decide by other rules.
import { readAssignment } from "../experiments/arms.ts";
import type { Backend } from "../kernels/kernel.ts";
import type { Model } from "../models/model.ts";
import { copyModel } from "../models/resize/copy_model.ts";
import type { LayerSpec } from "../models/spec.ts";
import { parseOptions } from "../routers/registry.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import type { LoadedModel } from "../training/load_model.ts";

/**
 * The model, or another with its weights where options are set: `switch.capacityRule=dropless`.
 * @throws {RangeError} when a word is no option of a router that the model has, or the weights do not fit what it asks for.
 */
export function changedModel(
  { model, config, run }: LoadedModel,
  words: readonly string[],
  backend: Backend,
): Model {
  if (words.length === 0) return model;
  const changes = words.map((word) => {
    const { router, path, values, source } = readAssignment("set", word);
    const has = model.spec.layers.some(({ feedForward: one }) =>
      one.kind === "moe" && one.router.name === router
    );
    if (router === null || !has || values.length !== 1) {
      throw new RangeError(
        `Cannot use ${source}: set one value of an option of a router of ${run}, which has ${
          routersOf(model)
        }`,
      );
    }
    return { router, option: path.slice(router.length + 1), value: values[0] };
  });
  const changed = (layer: LayerSpec): LayerSpec => {
    const { feedForward } = layer;
    if (feedForward.kind !== "moe") return layer;
    const own = changes.filter(({ router }) => router === feedForward.router.name);
    const options = own.reduce<unknown>(
      (all, { option, value }) => ({ ...all as Record<string, unknown>, [option]: value }),
      feedForward.routerOptions,
    );
    return {
      ...layer,
      feedForward: { ...feedForward, routerOptions: parseOptions(feedForward.router, options) },
    };
  };
  const spec = { ...model.spec, layers: model.spec.layers.map(changed) };
  const init = createInit(backend, random(config.seed).split("init"));
  return copyModel(model, spec, { init, purpose: `export ${run} with ${words.join(" ")}` });
}

function routersOf(model: Model): string {
  const names = Object.values(model.routers).map(({ called }) => called);
  return names.length === 0 ? "none" : [...new Set(names)].join(" and ");
}
