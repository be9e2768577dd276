// A second model with the values of a first: of the same parameters, under a spec that may ask other parts to hold them.
import { createInit } from "../../tensor/init.ts";
import { random } from "../../tensor/random.ts";
import { createModel, type Model } from "../model.ts";
import type { ModelSpec } from "../spec.ts";

/**
 * A model of a spec with the parameters of another, and what its routers carry.
 * @throws {RangeError} when a parameter is missing or has another shape; nothing stays on the backend then.
 */
export function copyModel(model: Model, spec: ModelSpec): Model {
  const made = createModel(spec, createInit(model.backend, random(0)));
  try {
    for (const [name, param] of Object.entries(made.params)) {
      const from = model.params[name];
      if (!from || String(from.shape) !== String(param.shape)) {
        throw new RangeError(`Cannot copy a model: it has no "${name}" of shape [${param.shape.join(", ")}]`);
      }
      param.assign(from);
    }
    for (const [path, { router }] of Object.entries(made.routers)) {
      const state = model.routers[path].router.state?.();
      if (state) router.restore?.(state);
    }
    return made;
  } catch (error) {
    made.free();
    throw error;
  }
}
