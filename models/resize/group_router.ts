// Columns of a router that are alike for experts which belong together: the virtual groups of Nvidia's upcycling.
import { createInit } from "../../tensor/init.ts";
import { releaseHeld } from "../../tensor/memory.ts";
import { random } from "../../tensor/random.ts";
import { tensor } from "../../tensor/tensor.ts";
import type { Model } from "../model.ts";
import { type MoeSpec, rowsOf } from "../spec.ts";
import { type CountedAxis, countedAxis, mixAlong, taken } from "./axes.ts";

/** The axis of experts in each parameter of a layer's router, by name; null where there is none. */
export function routerAxes(
  model: Model,
  at: number,
  refuse: (why: string) => never,
): Record<string, CountedAxis | null> {
  const { D, input, length, layers } = model.spec;
  const { router, routerOptions, E } = layers[at].feedForward as MoeSpec;
  const V = rowsOf(input);
  const tokenCount_V = input.kind === "tokens" ? input.tokenCount_V : new Int32Array(V).fill(1);
  const init = createInit(model.backend, random(0));
  const other = router.create({ D, E: 2 * E, V, length, tokenCount_V }, routerOptions, init);
  releaseHeld(Object.values(other.params));
  return Object.fromEntries(
    Object.entries(other.params).map(([name, { shape }]) => {
      const path = `blocks.${at}.router.${name}`;
      const counts = { from: E, to: 2 * E };
      const axis = countedAxis(model.params[path].shape, shape, counts, (why) => refuse(`"${path}": ${why}`));
      return [name, axis];
    }),
  );
}

/** Gives every expert the columns of the first of its group of G. */
export async function groupRouter(
  model: Model,
  at: number,
  G: number,
  refuse: (why: string) => never,
): Promise<void> {
  const { E, router } = model.spec.layers[at].feedForward as MoeSpec;
  const axes = routerAxes(model, at, refuse);
  if (Object.values(axes).every((axis) => axis === null)) {
    refuse(`router "${router.name}" has no columns of experts, so parts of a copy cannot go together`);
  }
  const firsts = Array.from({ length: E }, (_, e) => e - e % G);
  for (const [name, axis] of Object.entries(axes)) {
    if (!axis) continue;
    const param = model.params[`blocks.${at}.router.${name}`];
    const values = await param.read() as Float32Array;
    const grouped = mixAlong({ values, shape: param.shape }, axis, taken(firsts));
    param.assign(tensor(param.backend, grouped.values, grouped.shape));
  }
}
