// A ratio of two means measured in the same seeds, with Fieller's interval: exact for normal values, where the usual
// approximation covers too little with three to five seeds.
import { estimate, type Interval, mean, studentQuantile } from "./statistics.ts";

/** A ratio of means and what is known of it. */
export interface Ratio {
  /** Number of pairs. */
  readonly count: number;
  readonly value: number;
  /** Null for one pair, or when the denominator's own interval includes 0: the ratio may then be anything. */
  readonly interval: Interval | null;
}

/**
 * Mean of `above` over mean of `below`, paired by place. The interval holds every ratio r for which a paired t test does not
 * reject that above - r below has mean 0. Fieller 1954, doi:10.1111/j.2517-6161.1954.tb00159.x.
 * @throws {RangeError} when there are no pairs, or not as many of one as of the other.
 */
export function ratioOfMeans(above: readonly number[], below: readonly number[], level = 0.95): Ratio {
  const count = above.length;
  if (count !== below.length) {
    throw new RangeError(`Cannot pair ${count} values with ${below.length}: there must be as many`);
  }
  const [a, b] = [mean(above), mean(below)];
  const ratio = { count, value: a / b, interval: null };
  if (count < 2) return ratio;
  const bounded = estimate(below, level).interval!;
  if (bounded.low <= 0 && bounded.high >= 0) return ratio;
  const covariance = (x: readonly number[], y: readonly number[], mx: number, my: number): number =>
    x.reduce((sum, value, at) => sum + (value - mx) * (y[at] - my), 0) / (count - 1);
  const t2 = studentQuantile(level, count - 1) ** 2 / count;
  // Roots of (b² − t² s_bb) r² − 2 (a b − t² s_ab) r + (a² − t² s_aa) = 0; the first factor is above 0 here.
  const square = b * b - t2 * covariance(below, below, b, b);
  const middle = a * b - t2 * covariance(above, below, a, b);
  const constant = a * a - t2 * covariance(above, above, a, a);
  const root = Math.sqrt(Math.max(0, middle * middle - square * constant));
  return { ...ratio, interval: { low: (middle - root) / square, high: (middle + root) / square } };
}
