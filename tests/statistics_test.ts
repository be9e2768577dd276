// Statistics of the report, against values worked out by hand and printed tables of Student's t.
import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  differences,
  estimate,
  mean,
  median,
  pairedDifference,
  standardDeviation,
} from "../report/statistics.ts";

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
