// Where initial values come from: each parameter draws from the stream of its own name, so adding one parameter
// changes no other.
import type { Backend } from "../kernels/kernel.ts";
import type { QuantisedMatrices, WeightFormat } from "./quantised.ts";
import type { Random } from "./random.ts";
import { sizeOf } from "../kernels/kernel.ts";
import { type Parameter, parameter, type ParameterOptions } from "./tensor.ts";

/** Fills `count` values from a stream. */
export type Filler = (random: Random, count: number) => Float32Array;

/** Parameters by name. */
export type Params = Readonly<Record<string, Parameter>>;

/** Makes parameters on a backend. */
export interface Init {
  /** Where parameters are made. */
  readonly backend: Backend;
  /** The stream that names are split from. */
  readonly random: Random;
  /** A parameter filled from the stream of its name. Say that a bias does not decay where it has several dimensions. */
  parameter(
    name: string,
    shape: readonly number[],
    fill: Filler,
    options?: Pick<ParameterOptions, "decays">,
  ): Parameter;
  /** The same for a named part, with streams of its own. */
  part(name: string): Init;
  /**
   * Matrices that are there already, in the format and without values in f32: those of a saved model. Absent, or null: make
   * a parameter. They belong to no memory scope; whoever asked for them frees them.
   */
  quantised?(
    name: string,
    shape: readonly [E: number, K: number, M: number],
    format: WeightFormat,
  ): QuantisedMatrices | null;
}

/**
 * Makes parameters on a backend, each from the stream of its own name: adding one changes no other.
 * @example
 * ```ts
 * import { cpu, createInit, normal, random } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const init = createInit(backend, random(0)).part("router");
 * const gate_DE = init.parameter("gate", [4, 2], normal(0.5));
 * assertEquals(await gate_DE.read(), normal(0.5)(random(0).split("router").split("gate"), 8));
 * backend.close();
 * ```
 */
export function createInit(backend: Backend, random: Random): Init {
  return initOf(backend, random, "");
}

function initOf(backend: Backend, random: Random, path: string): Init {
  return {
    backend,
    random,
    parameter(name, shape, fill, options) {
      const values = fill(random.split(name), sizeOf(shape));
      return parameter(backend, values, shape, { ...options, name: path + name });
    },
    part: (name) => initOf(backend, random.split(name), `${path}${name}.`),
  };
}

/**
 * The same value everywhere.
 * @example
 * ```ts
 * import { constant, random } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(constant(1)(random(0), 3), Float32Array.of(1, 1, 1));
 * ```
 */
export function constant(value: number): Filler {
  return (_, count) => new Float32Array(count).fill(value);
}

/**
 * Normal values around 0.
 * @example
 * ```ts
 * import { normal, random } from "@switchyard/moe";
 * import { assertAlmostEquals } from "@std/assert";
 * const values = normal(2)(random(0), 1000);
 * const variance = values.reduce((sum, value) => sum + value ** 2, 0) / 1000;
 * assertAlmostEquals(variance, 4, 0.4);
 * ```
 */
export function normal(standardDeviation: number): Filler {
  return (random, count) => random.normal(count).map((value) => value * standardDeviation);
}

/**
 * Normal values redrawn until they lie within two standard deviations, so that the result's own standard deviation is
 * 0.88 of the one named, as in TensorFlow's `truncated_normal` (Switch Transformer, section 2.4).
 * @example
 * ```ts
 * import { random, truncatedNormal } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const values = truncatedNormal(0.5)(random(0), 1000);
 * assertEquals(values.every((value) => Math.abs(value) <= 1), true);
 * ```
 */
export function truncatedNormal(standardDeviation: number): Filler {
  return (random, count) => {
    const values = new Float32Array(count);
    let filled = 0;
    for (let round = 0; filled < count; round++) {
      for (const value of random.split(round).normal(count - filled)) {
        if (Math.abs(value) <= 2) values[filled++] = value * standardDeviation;
      }
    }
    return values;
  };
}

/**
 * Uniform in [-bound, bound).
 * @example
 * ```ts
 * import { random, uniformWithin } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const values = uniformWithin(0.1)(random(0), 1000);
 * assertEquals(values.every((value) => -0.1 <= value && value < 0.1), true);
 * ```
 */
export function uniformWithin(bound: number): Filler {
  return (random, count) => random.uniform(count).map((value) => (2 * value - 1) * bound);
}

/**
 * A [rows, columns] matrix whose columns (rows, where those are fewer) are orthogonal and of length `gain`: normal vectors,
 * each freed of those before it (Gram and Schmidt, twice, in f64).
 * @throws {RangeError} when it is asked to fill another number of values.
 * @example
 * ```ts
 * import { orthogonal, random } from "@switchyard/moe";
 * import { assertAlmostEquals } from "@std/assert";
 * const [a, b, c, d] = orthogonal(2, 2, 3)(random(0), 4); // columns (a, c) and (b, d)
 * assertAlmostEquals(a * b + c * d, 0, 1e-5);
 * assertAlmostEquals(Math.hypot(a, c), 3, 1e-5);
 * ```
 */
export function orthogonal(rows: number, columns: number, gain: number): Filler {
  return (random, count) => {
    if (count !== rows * columns) {
      throw new RangeError(`Cannot fill ${count} values with a ${rows} by ${columns} orthogonal matrix`);
    }
    const [vectors, length] = [Math.min(rows, columns), Math.max(rows, columns)];
    const drawn = random.normal(count);
    const found: Float64Array[] = [];
    for (let at = 0; at < vectors; at++) {
      const vector = Float64Array.from(drawn.subarray(at * length, (at + 1) * length));
      for (let pass = 0; pass < 2; pass++) {
        for (const other of found) {
          const along = other.reduce((sum, value, i) => sum + value * vector[i], 0);
          for (let i = 0; i < length; i++) vector[i] -= along * other[i];
        }
        const norm = Math.hypot(...vector);
        for (let i = 0; i < length; i++) vector[i] /= norm;
      }
      found.push(vector);
    }
    const byColumn = columns <= rows;
    return Float32Array.from(
      { length: count },
      (_, at) => {
        const [row, column] = [Math.floor(at / columns), at % columns];
        return gain * (byColumn ? found[column][row] : found[row][column]);
      },
    );
  };
}
