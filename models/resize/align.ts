// Experts whose hidden units are put in the order in which they are most like those of one of them: what each computes is the
// same, and their mean is more than a mean of unlike units (weight matching, Ainsworth et al. 2022; as M-SMoE does first).
import { assignBalanced } from "../../routers/parts/assignment.ts";
import { joined } from "../../tensor/joined.ts";
import { memory } from "../../tensor/memory.ts";
import { matmul } from "../../tensor/products.ts";
import { tensor } from "../../tensor/tensor.ts";
import type { Model } from "../model.ts";
import type { MoeSpec } from "../spec.ts";
import { type CountedAxis, countedAxis, mixAlong, type NamedWeights, taken, type Weights } from "./axes.ts";
import { readWeights } from "./read_weights.ts";
import { type UnitAxes, unitAxes } from "./unit_axes.ts";

/** One expert's parameters by name, [1, ...] each. */
type Expert = Record<string, Weights>;

/**
 * Parameters of a layer's experts by the model's names. In each group hidden units of all but the first expert are put in the
 * order that makes the sum of products of their weights with the first's as large as can be; experts in no group stay as
 * they are.
 * @throws {RangeError} when a parameter does not grow with the number of experts or units along one axis.
 * @example
 * ```ts
 * import { cpu, createInit, createModel, random } from "@switchyard/moe";
 * import { alignedExperts } from "@switchyard/moe/resize";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * using backend = await cpu({ threads: 1 });
 * using model = createModel(specOf(configOf({ "model.layers": 2 }), data), createInit(backend, random(0)));
 * const aligned = await alignedExperts(model, 1, [[2, 5]]);
 * const [before, after] = [await model.params["blocks.1.experts.in"].read(), aligned["blocks.1.experts.in"].values];
 * const changed = Array.from({ length: 8 }, (_, e) => e).filter((e) => after[e * 64 * 256] !== before[e * 64 * 256]);
 * assertEquals(changed, [5]);
 * ```
 */
export async function alignedExperts(
  model: Model,
  layer: number,
  groups: readonly (readonly number[])[],
): Promise<NamedWeights> {
  const moe = model.spec.layers[layer].feedForward as MoeSpec;
  const units = unitAxes(moe, model.spec.D, model.backend);
  const prefix = `blocks.${layer}.experts.`;
  const names = Object.keys(units).filter((name) => units[name] !== null);
  const given = await readWeights(
    Object.fromEntries(names.map((name) => [name, model.params[`${prefix}${name}`]])),
  );
  const axes = Object.fromEntries(names.map((name) => [name, expertAxis(given[name], moe.E, prefix + name)]));
  const expertAt = (e: number): Expert =>
    Object.fromEntries(names.map((name) => [name, mixAlong(given[name], axes[name], taken([e]))]));
  const aligned = Array.from({ length: moe.E }, (_, e) => expertAt(e));
  for (const [reference, ...others] of groups) {
    for (const e of others) {
      const order = await orderLike(aligned[reference], aligned[e], units, model);
      aligned[e] = reordered(aligned[e], units, order);
    }
  }
  return Object.fromEntries(
    names.map((name) => {
      const all = aligned.map((expert) => expert[name].values);
      return [`${prefix}${name}`, { values: joined(Float32Array, all), shape: given[name].shape }];
    }),
  );
}

/** Experts lie along the first axis, each with as many entries. */
function expertAxis({ shape }: Weights, E: number, name: string): CountedAxis {
  return countedAxis(shape, shape.with(0, 2 * shape[0]), { from: E, to: 2 * E }, (why) => {
    throw new RangeError(`Cannot align experts in "${name}": ${why}`);
  })!;
}

/** For each hidden unit of one expert the unit of another that goes with it. */
async function orderLike(
  like: Expert,
  expert: Expert,
  units: UnitAxes,
  { backend }: Model,
): Promise<number[]> {
  const [one, other] = [like, expert].map((each) => rowsOfUnits(each, units));
  const F = one.length;
  using _scope = memory(backend);
  const [a_FW, b_FW] = [one, other].map((rows) =>
    tensor(backend, joined(Float32Array, rows), [F, rows[0].length])
  );
  const order_F = await assignBalanced(matmul(a_FW, b_FW, { transposeB: true }), { scope: F });
  return Array.from(await order_F.read());
}

/** All weights of each hidden unit, in and out of it. */
function rowsOfUnits(expert: Expert, units: UnitAxes): Float32Array[] {
  const [[name, { shape }]] = Object.entries(expert);
  const F = shape[units[name]!.axis] / units[name]!.block;
  return Array.from(
    { length: F },
    (_, f) =>
      joined(
        Float32Array,
        Object.entries(expert).map(([name, weights]) => mixAlong(weights, units[name]!, taken([f])).values),
      ),
  );
}

function reordered(expert: Expert, units: UnitAxes, order: readonly number[]): Expert {
  return Object.fromEntries(
    Object.entries(expert).map(([name, weights]) => [name, mixAlong(weights, units[name]!, taken(order))]),
  );
}
