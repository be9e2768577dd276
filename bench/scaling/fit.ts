// How a figure grows: the exponent b of y = a x^b, by least squares on logarithms.
import jstat from "jstat";

/** The part of jstat used here; the package ships no types. */
interface Models {
  readonly models: {
    ols(y: readonly number[], x: readonly (readonly number[])[]): {
      readonly coef: readonly number[];
      readonly t: { readonly interval95: readonly (readonly number[])[] };
    };
  };
}
const { models }: Models = jstat;

/** Points from which an interval says something: with one degree of freedom it is wider than any question asked. */
const INTERVAL_POINTS = 4;

/** An exponent, with its 95% interval by Student's t; null for fewer than four points. */
export interface Exponent {
  readonly value: number;
  readonly interval: readonly [low: number, high: number] | null;
}

/** @throws {RangeError} for fewer than two points, or values that have no logarithm. */
export function exponentOf(points: readonly { readonly x: number; readonly y: number }[]): Exponent {
  if (points.length < 2) {
    throw new RangeError(`Cannot fit an exponent to ${points.length} points: it takes two`);
  }
  for (const { x, y } of points) {
    if (!(x > 0 && y > 0)) {
      throw new RangeError(`Cannot fit an exponent to ${y} at ${x}: both must be above 0`);
    }
  }
  const found = models.ols(points.map(({ y }) => Math.log(y)), points.map(({ x }) => [1, Math.log(x)]));
  const [low, high] = found.t.interval95[1];
  return { value: found.coef[1], interval: points.length < INTERVAL_POINTS ? null : [low, high] };
}
