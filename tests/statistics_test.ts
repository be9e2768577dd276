// Statistics of the report, against values worked out by hand and printed tables of Student's t.
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { mcnemar, wilson } from "../report/counts.ts";
import { equivalence } from "../report/equivalence.ts";
import { ratioOfMeans } from "../report/ratio.ts";
import {
  differences,
  estimate,
  mean,
  median,
  pairedDifference,
  standardDeviation,
} from "../report/statistics.ts";
import { random } from "../tensor/random.ts";

Deno.test("interval of three values equals mean ± 4.302653 s / √3", () => {
  // Mean 5; deviations -1, 0, 1; s = √((1 + 0 + 1) / 2) = 1.
  const found = estimate([4, 5, 6]);
  assertEquals(found.count, 3);
  assertEquals(found.mean, 5);
  assertEquals(found.standardDeviation, 1);
  assertAlmostEquals(found.interval!.low, 5 - 4.30265273 / Math.sqrt(3), 1e-7);
  assertAlmostEquals(found.interval!.high, 5 + 4.30265273 / Math.sqrt(3), 1e-7);
});

Deno.test("quantiles of Student's t agree with printed tables", () => {
  // Two-sided quantiles by degrees of freedom, as printed in statistical tables to three digits.
  const printed = [
    [0.95, 1, 12.706],
    [0.95, 2, 4.303],
    [0.95, 4, 2.776],
    [0.95, 9, 2.262],
    [0.95, 29, 2.045],
    [0.99, 2, 9.925],
    [0.99, 9, 3.25],
  ];
  for (const [level, freedom, quantile] of printed) {
    const values = Array.from({ length: freedom + 1 }, (_, at) => at);
    const { interval, standardDeviation: deviation, mean: center } = estimate(values, level);
    assertAlmostEquals((interval!.high - center) / (deviation! / Math.sqrt(freedom + 1)), quantile, 5e-4);
  }
});

Deno.test("one value has no interval and no deviation", () => {
  assertEquals(estimate([3]), { count: 1, mean: 3, standardDeviation: null, interval: null });
  assertEquals(standardDeviation([3]), null);
});

Deno.test("equal values have an interval without width", () => {
  assertEquals(estimate([2, 2]).interval, { low: 2, high: 2 });
});

Deno.test("a paired difference takes out what a seed does to both", () => {
  // Seeds move losses by whole nats; the difference is 0.1, 0.2 and 0.3, so its mean is 0.2 and s = 0.1.
  const of = new Map([[0, 1.1], [1, 5.2], [2, 9.3]]);
  const to = new Map([[2, 9], [0, 1], [1, 5], [7, 100]]);
  const paired = pairedDifference(of, to)!;
  assertEquals(paired.count, 3);
  assertAlmostEquals(paired.mean, 0.2, 1e-12);
  assertAlmostEquals(paired.interval!.low, 0.2 - 4.30265273 * 0.1 / Math.sqrt(3), 1e-8);
  assertAlmostEquals(paired.interval!.high, 0.2 + 4.30265273 * 0.1 / Math.sqrt(3), 1e-8);
  assertEquals(differences(to, of).map((each) => Number(each.toFixed(9))), [-0.1, -0.2, -0.3]);
});

Deno.test("without a shared seed there is no paired difference", () => {
  assertEquals(pairedDifference(new Map([[0, 1]]), new Map([[1, 1]])), null);
});

Deno.test("a paired difference of one seed has no interval", () => {
  assertEquals(pairedDifference(new Map([[0, 3], [1, 4]]), new Map([[0, 1]]))?.interval, null);
});

Deno.test("medians of odd and even counts leave the values as they were", () => {
  const values = [9, 1, 5];
  assertEquals(median(values), 5);
  assertEquals(median([...values, 7]), 6);
  assertEquals(values, [9, 1, 5]);
});

Deno.test("no values and impossible levels are refused", () => {
  assertThrows(() => mean([]), RangeError, "there are no values");
  assertThrows(() => median([]), RangeError, "there are no values");
  assertThrows(() => estimate([]), RangeError, "there are no values");
  assertThrows(() => estimate([1, 2], 1), RangeError, "level 1");
});

Deno.test("Wilson's interval agrees with printed values and stays within 0 and 1", () => {
  const found = wilson(8, 10);
  assertAlmostEquals(found.low, 0.4902, 5e-5);
  assertAlmostEquals(found.high, 0.9433, 5e-5);
  // 0 of 10: z^2 / (10 + z^2) with z = 1.959964.
  assertEquals(wilson(0, 10).low, 0);
  assertAlmostEquals(wilson(0, 10).high, 3.8414588 / 13.8414588, 1e-7);
  assertAlmostEquals(wilson(10, 10).low, 10 / 13.8414588, 1e-7);
  assertThrows(() => wilson(11, 10), RangeError, "there are 10 trials");
  assertThrows(() => wilson(0, 0), RangeError, "trials 0");
  assertThrows(() => wilson(0.5, 2), RangeError, "successes 0.5");
});

Deno.test("McNemar's exact test counts splits at least as uneven", () => {
  assertAlmostEquals(mcnemar(1, 9), 2 * (1 + 10) / 1024, 1e-12);
  assertAlmostEquals(mcnemar(6, 0), 2 / 64, 1e-12);
  assertEquals([mcnemar(5, 5), mcnemar(0, 0)], [1, 1]);
  assertThrows(() => mcnemar(-1, 2), RangeError, "examples -1");
});

Deno.test("equivalence holds where the 90% interval lies within the margin", () => {
  // Mean 0.001, s = 0.01; t(0.95, 2) = 2.919986, half-width 0.0168586.
  const values = [-0.009, 0.001, 0.011];
  assertAlmostEquals(equivalence(values, 0.02)!.interval.high, 0.001 + 2.919986 * 0.01 / Math.sqrt(3), 1e-7);
  assertEquals(equivalence(values, 0.0179)!.holds, true);
  assertEquals(equivalence(values, 0.0178)!.holds, false);
  assertEquals(equivalence(values.map((value) => -value), 0.0178)!.holds, false);
  assertEquals(equivalence([0.001], 1), null);
  assertThrows(() => equivalence(values, 0), RangeError, "within 0");
});

Deno.test("Fieller's interval ends where the paired t test turns", () => {
  const above = [0.9, 1.2, 1.0, 1.3];
  const below = [1.1, 1.3, 1.2, 1.25];
  const { value, interval, count } = ratioOfMeans(above, below);
  assertEquals(count, 4);
  assertAlmostEquals(value, 4.4 / 4.85, 1e-12);
  for (const end of [interval!.low, interval!.high]) {
    const rest = estimate(above.map((each, at) => each - end * below[at]));
    // 0 is an end of that interval.
    assertAlmostEquals(Math.min(Math.abs(rest.interval!.low), Math.abs(rest.interval!.high)), 0, 1e-9);
  }
  // Over a denominator without scatter it is the mean's own interval, divided.
  const plain = estimate(above).interval!;
  const divided = ratioOfMeans(above, [2, 2, 2, 2]).interval!;
  assertAlmostEquals(divided.low, plain.low / 2, 1e-12);
  assertAlmostEquals(divided.high, plain.high / 2, 1e-12);
  assertEquals(ratioOfMeans([1, 2], [-1, 1.1]).interval, null, "the denominator may be 0");
  assertEquals(ratioOfMeans([1], [2]), { count: 1, value: 0.5, interval: null });
  assertThrows(() => ratioOfMeans([1, 2], [1]), RangeError, "as many");
});

Deno.test("Fieller's interval covers the ratio in 95% of simulations, with 3 and with 5 seeds", () => {
  const trials = 4000;
  for (const seeds of [3, 5]) {
    // Scores as on a real task: 1.3 nats between random and best, routers and controls each with scatter of their own.
    const normal = random(0).split(seeds).normal(3 * seeds * trials);
    let covered = 0;
    for (let trial = 0; trial < trials; trial++) {
      const at = (which: number, seed: number): number => normal[(3 * trial + which) * seeds + seed];
      const list = (value: (seed: number) => number) =>
        Array.from({ length: seeds }, (_, seed) => value(seed));
      const atRandom = list((seed) => 1.56 + 0.1 * at(0, seed));
      const above = list((seed) => atRandom[seed] - (0.4 + 0.2 * at(1, seed)));
      const below = list((seed) => atRandom[seed] - (0.26 + 0.1 * at(2, seed)));
      const { interval } = ratioOfMeans(above, below);
      // Unbounded counts as covering: it says that nothing is known.
      if (interval === null || (interval.low <= 1.16 / 1.3 && interval.high >= 1.16 / 1.3)) covered++;
    }
    const bounds = wilson(covered, trials, 0.9999);
    assert(bounds.low <= 0.95 && bounds.high >= 0.95, `${seeds} seeds: covered ${covered} of ${trials}`);
  }
});
