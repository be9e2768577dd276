// Which axis of a parameter grows with the number of experts, and which with their hidden units. Shapes of one part made for
// two counts tell, so that no router and no kind of experts has to declare it.
import { sizeOf } from "../../kernels/kernel.ts";

/** A parameter's values on the host. */
export interface Weights {
  /** Row-major. */
  readonly values: Float32Array;
  /** Its dimensions. */
  readonly shape: readonly number[];
}

/** Parameters on the host by name. */
export type NamedWeights = Readonly<Record<string, Weights>>;

/** An axis that grows with a count: each of what is counted owns `block` entries in a row. */
export interface CountedAxis {
  /** Which axis, from 0. */
  readonly axis: number;
  /** Entries of each. */
  readonly block: number;
}

/** New entries of an axis, each a sum of old ones with their weights: `[[[2, 1]]]` takes the third alone. */
export type Mix = readonly (readonly (readonly [from: number, weight: number])[])[];

/**
 * The axis in which a shape differs for two counts; null where it does not.
 * @param refuse Throws what is to be told where no single axis grows as the count does.
 * @example
 * ```ts
 * import { countedAxis } from "@switchyard/moe/resize";
 * import { assertEquals } from "@std/assert";
 * const refuse = (why: string): never => {
 *   throw new RangeError(why);
 * };
 * assertEquals(countedAxis([16, 4], [16, 8], { from: 4, to: 8 }, refuse), { axis: 1, block: 1 });
 * assertEquals(countedAxis([6, 16], [4, 16], { from: 3, to: 2 }, refuse), { axis: 0, block: 2 });
 * assertEquals(countedAxis([16], [16], { from: 4, to: 8 }, refuse), null);
 * ```
 */
export function countedAxis(
  before: readonly number[],
  after: readonly number[],
  { from, to }: { readonly from: number; readonly to: number },
  refuse: (why: string) => never,
): CountedAxis | null {
  const differing = before.flatMap((size, axis) => size === after[axis] ? [] : [axis]);
  if (before.length === after.length && differing.length === 0) return null;
  const [axis] = differing;
  const block = before[axis] / from;
  const fits = before.length === after.length && differing.length === 1 && Number.isInteger(block) &&
    after[axis] === block * to;
  if (!fits) {
    return refuse(
      `its shape is [${before.join(", ")}] for ${from} and [${
        after.join(", ")
      }] for ${to}, which no single ` +
        "axis explains",
    );
  }
  return { axis, block };
}

/**
 * Weights whose entries along an axis are sums of old ones.
 * @example
 * ```ts
 * import { mixAlong } from "@switchyard/moe/resize";
 * import { assertEquals } from "@std/assert";
 * const gate_DE = { values: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] };
 * const kept = mixAlong(gate_DE, { axis: 1, block: 1 }, [[[2, 1]], [[0, 0.5], [1, 0.5]]]);
 * assertEquals(kept, { values: Float32Array.of(3, 1.5, 6, 4.5), shape: [2, 2] });
 * ```
 */
export function mixAlong({ values, shape }: Weights, { axis, block }: CountedAxis, mix: Mix): Weights {
  const inner = block * sizeOf(shape.slice(axis + 1));
  const outer = sizeOf(shape.slice(0, axis));
  const before = shape[axis] / block;
  const made = new Float32Array(outer * mix.length * inner);
  for (let o = 0; o < outer; o++) {
    mix.forEach((parts, at) => {
      const to = (o * mix.length + at) * inner;
      const place = ([from]: readonly [number, number]) => (o * before + from) * inner;
      if (parts.length === 1 && parts[0][1] === 1) {
        made.set(values.subarray(place(parts[0]), place(parts[0]) + inner), to);
        return;
      }
      for (let i = 0; i < inner; i++) {
        made[to + i] = parts.reduce((sum, part) => sum + part[1] * values[place(part) + i], 0);
      }
    });
  }
  return { values: made, shape: shape.with(axis, mix.length * block) };
}

/**
 * Takes some entries as they are.
 * @example
 * ```ts
 * import { taken } from "@switchyard/moe/resize";
 * import { assertEquals } from "@std/assert";
 * assertEquals(taken([3, 0]), [[[3, 1]], [[0, 1]]]);
 * ```
 */
export function taken(entries: readonly number[]): Mix {
  return entries.map((from) => [[from, 1]]);
}
