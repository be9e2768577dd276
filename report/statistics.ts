// Estimates over seeds. Intervals are Student's t on the seeds' own values; routers are compared by the difference
// within a seed, because runs that share a seed share data and initial weights.
import jstat from "jstat";

/** The part of jstat used here; the package ships no types. */
interface Distributions {
  readonly studentt: { inv(probability: number, freedom: number): number };
}
const { studentt }: Distributions = jstat;

/** Ends of an interval. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Mean of some values and what is known of how far it may be off. */
export interface Estimate {
  /** Number of values. */
  readonly count: number;
  readonly mean: number;
  /** Sample standard deviation (n - 1); null for one value. */
  readonly standardDeviation: number | null;
  /** Interval of the mean by Student's t; null for one value. */
  readonly interval: Interval | null;
}

/** The same difference seen from the other side: above 0 where it was below. */
export function turned(estimate: Estimate): Estimate {
  const { interval } = estimate;
  return {
    ...estimate,
    mean: -estimate.mean,
    interval: interval && { low: -interval.high, high: -interval.low },
  };
}

/** @throws {RangeError} when there are no values. */
export function mean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("Cannot take the mean: there are no values");
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @throws {RangeError} when there are no values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("Cannot take the median: there are no values");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The value below which a share of all lies, 0 to 1, between neighbours in a line. */
export function quantile(values: readonly number[], level: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = level * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/** Sample standard deviation (n - 1), or null for fewer than two values. */
export function standardDeviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const center = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1));
}

/** Student's t that a two-sided interval at `level` reaches to. */
export function studentQuantile(level: number, freedom: number): number {
  return studentt.inv(1 - (1 - level) / 2, freedom);
}

/**
 * Mean, standard deviation and the interval of the mean at `level`, 0.95 when left out.
 * @throws {RangeError} when there are no values or the level is not between 0 and 1.
 */
export function estimate(values: readonly number[], level = 0.95): Estimate {
  if (!(level > 0 && level < 1)) {
    throw new RangeError(`Cannot estimate at level ${level}: it must be between 0 and 1`);
  }
  const center = mean(values);
  const deviation = standardDeviation(values);
  if (deviation === null) {
    return { count: values.length, mean: center, standardDeviation: null, interval: null };
  }
  const half = studentQuantile(level, values.length - 1) * deviation / Math.sqrt(values.length);
  return {
    count: values.length,
    mean: center,
    standardDeviation: deviation,
    interval: { low: center - half, high: center + half },
  };
}

/** Differences `of - to` in the seeds that both have, in order of seed. */
export function differences(of: ReadonlyMap<number, number>, to: ReadonlyMap<number, number>): number[] {
  const shared = [...of.keys()].filter((seed) => to.has(seed)).sort((a, b) => a - b);
  return shared.map((seed) => of.get(seed)! - to.get(seed)!);
}

/** Estimate of the difference `of - to` paired by seed, or null when no seed is shared. */
export function pairedDifference(
  of: ReadonlyMap<number, number>,
  to: ReadonlyMap<number, number>,
  level = 0.95,
): Estimate | null {
  const paired = differences(of, to);
  return paired.length === 0 ? null : estimate(paired, level);
}
