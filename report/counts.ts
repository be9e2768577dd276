// Statistics of counts: how sure a share is, and whether two models that saw the same examples differ.
import jstat from "jstat";
import type { Interval } from "./statistics.ts";

/** The part of jstat used here; the package ships no types. */
interface Distributions {
  readonly normal: { inv(probability: number, mean: number, deviation: number): number };
  readonly binomial: { cdf(count: number, trials: number, probability: number): number };
}
const { normal, binomial }: Distributions = jstat;

function checkCount(what: string, count: number, least: number): void {
  if (!Number.isSafeInteger(count) || count < least) {
    throw new RangeError(`Cannot use ${what} ${count}: it must be a whole number of at least ${least}`);
  }
}

/**
 * Wilson's score interval of a share: `successes` of `trials`, at `level`. Unlike the normal one it covers near 0 and 1.
 * Wilson 1927, doi:10.1080/01621459.1927.10502953.
 * @throws {RangeError} when counts are not whole, or there are more successes than trials.
 */
export function wilson(successes: number, trials: number, level = 0.95): Interval {
  checkCount("trials", trials, 1);
  checkCount("successes", successes, 0);
  if (successes > trials) {
    throw new RangeError(`Cannot use successes ${successes}: there are ${trials} trials`);
  }
  const z = normal.inv(1 - (1 - level) / 2, 0, 1);
  const share = successes / trials;
  const center = (share + z * z / (2 * trials)) / (1 + z * z / trials);
  const half = z / (1 + z * z / trials) *
    Math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials));
  return { low: Math.max(0, center - half), high: Math.min(1, center + half) };
}

/**
 * McNemar's exact test, two-sided: the chance of a split at least as uneven, were the two models equally good. Only examples
 * that one model got right and the other wrong count. McNemar 1947, doi:10.1007/BF02295996.
 * @param first Examples that only the first model got right.
 * @param second Examples that only the second got right.
 * @throws {RangeError} when counts are not whole.
 */
export function mcnemar(first: number, second: number): number {
  checkCount("examples", first, 0);
  checkCount("examples", second, 0);
  if (first === second) return 1;
  return Math.min(1, 2 * binomial.cdf(Math.min(first, second), first + second, 0.5));
}
