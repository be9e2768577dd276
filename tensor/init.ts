// Where initial values come from: each parameter draws from the stream of its own name, so adding one parameter
// changes no other.
import type { Backend } from "../kernels/kernel.ts";
import type { Random } from "./random.ts";
import { sizeOf } from "../kernels/kernel.ts";
import { type Parameter, parameter } from "./tensor.ts";

/** Fills `count` values from a stream. */
export type Filler = (random: Random, count: number) => Float32Array;

/** Parameters by name. */
export type Params = Readonly<Record<string, Parameter>>;

/** Makes parameters on a backend. */
export interface Init {
  readonly backend: Backend;
  readonly random: Random;
  parameter(name: string, shape: readonly number[], fill: Filler): Parameter;
  /** The same for a named part, with streams of its own. */
  part(name: string): Init;
}

export function createInit(backend: Backend, random: Random): Init {
  return {
    backend,
    random,
    parameter: (name, shape, fill) => parameter(backend, fill(random.split(name), sizeOf(shape)), shape),
    part: (name) => createInit(backend, random.split(name)),
  };
}

/** The same value everywhere. */
export function constant(value: number): Filler {
  return (_, count) => new Float32Array(count).fill(value);
}

export function normal(standardDeviation: number): Filler {
  return (random, count) => random.normal(count).map((value) => value * standardDeviation);
}

/**
 * Normal values redrawn until they lie within two standard deviations, so that the result's own standard deviation is
 * 0.88 of the one named, as in TensorFlow's `truncated_normal` (Switch Transformer, section 2.4).
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

/** Uniform in [-bound, bound). */
export function uniformWithin(bound: number): Filler {
  return (random, count) => random.uniform(count).map((value) => (2 * value - 1) * bound);
}
