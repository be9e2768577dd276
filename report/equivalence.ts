// Equality needs evidence of its own: two one-sided t tests (TOST) against a margin chosen before the run. That no
// difference was shown is not it.
import { estimate, type Interval } from "./statistics.ts";

/** What two one-sided tests found. */
export interface Equivalence {
  /** Whether both tests reject: the mean lies within the margin on either side of 0. */
  readonly holds: boolean;
  /** Interval at level 1 - 2 alpha, which must lie within the margin. */
  readonly interval: Interval;
}

/**
 * Tests whether the mean of paired differences is within `margin` of 0; null for fewer than two values.
 * Schuirmann 1987, doi:10.1007/BF01068419.
 * @param alpha Largest chance of finding equivalence where the mean is the margin away.
 * @throws {RangeError} when the margin is not above 0.
 */
export function equivalence(values: readonly number[], margin: number, alpha = 0.05): Equivalence | null {
  if (!(margin > 0)) {
    throw new RangeError(`Cannot test equivalence within ${margin}: the margin must be above 0`);
  }
  const { interval } = estimate(values, 1 - 2 * alpha);
  return interval && { holds: interval.low > -margin && interval.high < margin, interval };
}
