// A second model with the values of a first: of the same parameters, under a spec that may ask other parts to hold them.
import { createInit, type Init } from "../../tensor/init.ts";
import { random } from "../../tensor/random.ts";
import { createModel, type Model } from "../model.ts";
import type { ModelSpec } from "../spec.ts";

/** How a model is copied. */
export interface CopyOptions {
  /** Draws whatever is neither a parameter nor state, such as the tables of `hash`; default: seed 0. */
  readonly init?: Init;
  /** What the copy is for, as a refusal says it; default: `copy a model`. */
  readonly purpose?: string;
}

/**
 * A model of a spec with the parameters of another, and what its routers carry.
 * @throws {RangeError} when a parameter is missing or has another shape; nothing stays on the backend then.
 */
export function copyModel(
  model: Model,
  spec: ModelSpec,
  { init = createInit(model.backend, random(0)), purpose = "copy a model" }: CopyOptions = {},
): Model {
  const made = createModel(spec, init);
  try {
    for (const [name, param] of Object.entries(made.params)) {
      const from = model.params[name];
      if (!from || String(from.shape) !== String(param.shape)) {
        throw new RangeError(`Cannot ${purpose}: it has no "${name}" of shape [${param.shape.join(", ")}]`);
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
