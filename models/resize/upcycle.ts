// From one network to a bank of experts: sparse upcycling by copies (Komatsuzaki et al. 2022), copies with noise, copies with
// some hidden units drawn anew (Drop-Upcycling), each cut into narrower experts where the bank has those (Nvidia).
import { joined } from "../../tensor/joined.ts";
import type { Random } from "../../tensor/random.ts";
import { type CountedAxis, mixAlong, type NamedWeights, taken, type Weights } from "./axes.ts";
import type { UnitAxes } from "./unit_axes.ts";

/**
 * What becomes of a copy. `copy`: nothing. `noise`: some of its hidden units get normal noise. `drop`: the weights of some
 * of its hidden units are drawn anew, with the mean and the deviation that they had.
 */
export const upcyclings = ["copy", "noise", "drop"] as const;

/** Name of one of {@linkcode upcyclings}. */
export type Upcycling = typeof upcyclings[number];

/** How a bank is made of one network. */
export interface UpcycleOptions {
  /** Experts of the bank, E. */
  readonly E: number;
  /** Experts that one copy is cut into, G, which divides E and the network's hidden units. */
  readonly granularity: number;
  /** What becomes of a copy. */
  readonly how: Upcycling;
  /** Share of an expert's hidden units that `noise` and `drop` change, rounded down. */
  readonly share: number;
  /** Factor of the weights that lead out of hidden units. */
  readonly scale: number;
  /** Stream of what is drawn. */
  readonly random: Random;
}

/** Standard deviation of `noise`: that of released code (Taishi-N324/Drop-Upcycling, conversions/noise_upcycling.py). */
const NOISE = 0.02;

/**
 * A bank of E experts from a network, which is a bank of one. Expert e is part e mod G of a copy; a copy's parts are neighbours.
 * Drop-Upcycling (Nakamura et al. 2025, section 3) chooses the same hidden units in all matrices of an expert, as here; its
 * released code chooses them matrix by matrix.
 * @param network Parameters [1, ...] by name, the experts' axis first.
 * @param units Where hidden units lie in them.
 * @example
 * ```ts
 * import { random } from "@switchyard/moe";
 * import { upcycle } from "@switchyard/moe/resize";
 * import { assertEquals } from "@std/assert";
 * const network = {
 *   in: { values: Float32Array.of(1, 2), shape: [1, 1, 2] }, // D = 1, F = 2
 *   out: { values: Float32Array.of(3, 4), shape: [1, 2, 1] },
 * };
 * const units = { in: { axis: 2, block: 1 }, out: { axis: 1, block: 1 } };
 * const options = { how: "copy", share: 0, random: random(0) } as const;
 * const whole = upcycle(network, units, { ...options, E: 2, granularity: 1, scale: 1 });
 * assertEquals(whole.in, { values: Float32Array.of(1, 2, 1, 2), shape: [2, 1, 2] });
 * const cut = upcycle(network, units, { ...options, E: 4, granularity: 2, scale: 2 });
 * assertEquals(cut.in, { values: Float32Array.of(1, 2, 1, 2), shape: [4, 1, 1] });
 * assertEquals(cut.out, { values: Float32Array.of(6, 8, 6, 8), shape: [4, 1, 1] });
 * ```
 */
export function upcycle(
  network: NamedWeights,
  units: UnitAxes,
  options: UpcycleOptions,
): Record<string, Weights> {
  const { E, granularity: G, random } = options;
  const F = unitsOf(network, units) / G;
  const experts = Array.from({ length: E }, (_, e) => ({
    part: Array.from({ length: F }, (_, f) => (e % G) * F + f),
    changed: chosenUnits(F, options.share, random.split("units").split(e)),
    random: random.split("values").split(e),
  }));
  return Object.fromEntries(
    Object.entries(network).map(([name, weights]) => {
      const axis = units[name];
      const made = experts.map((expert) => {
        if (!axis) return weights.values;
        const part = mixAlong(weights, axis, taken(expert.part));
        changeUnits(part, axis, expert.changed, options.how, expert.random.split(name));
        // What leads out of hidden units has their axis before its own columns.
        return axis.axis < weights.shape.length - 1 ? scaled(part.values, options.scale) : part.values;
      });
      const shape = axis ? weights.shape.with(axis.axis, F * axis.block) : weights.shape;
      return [name, { values: joined(Float32Array, made), shape: shape.with(0, E * weights.shape[0]) }];
    }),
  );
}

/** Hidden units of a network; 1 where it has none. */
export function unitsOf(network: NamedWeights, units: UnitAxes): number {
  for (const [name, { shape }] of Object.entries(network)) {
    const axis = units[name];
    if (axis) return shape[axis.axis] / axis.block;
  }
  return 1;
}

function scaled(values: Float32Array, scale: number): Float32Array {
  return scale === 1 ? values : values.map((value) => value * scale);
}

/** A share of F units, drawn without replacement. */
function chosenUnits(F: number, share: number, random: Random): ReadonlySet<number> {
  const drawn = random.uniform(F);
  const order = Array.from(drawn, (_, f) => f).sort((a, b) => drawn[a] - drawn[b]);
  return new Set(order.slice(0, Math.floor(share * F)));
}

/** Changes the weights of some units in place. */
function changeUnits(
  { values, shape }: Weights,
  { axis, block }: CountedAxis,
  chosen: ReadonlySet<number>,
  how: Upcycling,
  random: Random,
): void {
  if (how === "copy" || chosen.size === 0) return;
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const places = Array.from(values, (_, at) => at)
    .filter((at) => chosen.has(Math.floor(Math.floor(at / inner) % shape[axis] / block)));
  const drawn = random.normal(places.length);
  const { mean, deviation } = statisticsOf(places.map((at) => values[at]));
  places.forEach((at, n) => {
    values[at] = how === "noise" ? values[at] + NOISE * drawn[n] : mean + deviation * drawn[n];
  });
}

/** Mean and sample standard deviation, as released code takes them. */
function statisticsOf(values: readonly number[]): { readonly mean: number; readonly deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / Math.max(1, values.length - 1)) };
}
