// Cells of a column of numbers, all with as many digits after the point, so that decimals stand under each other. Digits
// follow the smallest uncertainty of the column.
import { digitsFor, fixed, missing } from "./numbers.ts";
import type { Estimate, Interval } from "./statistics.ts";

/** A value with its interval; null where there is none. */
interface Known {
  readonly value: number;
  readonly interval: Interval | null;
}

const MOST_DIGITS = 4;

function digitsOf(known: readonly (Known | null)[]): number {
  const digits = known.flatMap((each) =>
    each?.interval ? digitsFor((each.interval.high - each.interval.low) / 2) : []
  ).sort((a, b) => a - b);
  if (digits.length === 0) return 3;
  // One row that is far surer than most does not make all the others long.
  return Math.min(MOST_DIGITS, digits.at(-1)!, digits[Math.floor((digits.length - 1) / 2)] + 1);
}

function knownOf(estimate: Estimate | null): Known | null {
  return estimate && { value: estimate.mean, interval: estimate.interval };
}

/** `4.953 ± 0.021`, or the bare mean without an interval. */
export function plusMinusColumn(estimates: readonly (Estimate | null)[], most = MOST_DIGITS): string[] {
  const digits = Math.min(most, digitsOf(estimates.map(knownOf)));
  return estimates.map((each) => {
    if (each === null) return missing;
    const { mean, interval } = each;
    const half = interval ? ` ± ${fixed((interval.high - interval.low) / 2, digits)}` : "";
    return fixed(mean, digits) + half;
  });
}

function withRange(known: readonly (Known | null)[], isSigned: boolean, most: number): string[] {
  const digits = Math.min(most, digitsOf(known));
  const text = (value: number) => {
    const shown = fixed(value, digits);
    return isSigned && !shown.startsWith("−") ? `+${shown}` : shown;
  };
  return known.map((each) => {
    if (each === null) return missing;
    const { value, interval } = each;
    return text(value) + (interval ? ` [${text(interval.low)}, ${text(interval.high)}]` : "");
  });
}

/** `+0.031 [+0.010, +0.052]`: signs throughout, because a minus alone would move the point. */
export function differenceColumn(estimates: readonly (Estimate | null)[]): string[] {
  return withRange(estimates.map(knownOf), true, MOST_DIGITS);
}

/** `0.88 [0.81, 0.95]`, with three digits at most, and with signs where any value or end is below 0. */
export function ratioColumn(ratios: readonly (Known | null)[]): string[] {
  const isSigned = ratios.some((each) => each !== null && Math.min(each.value, each.interval?.low ?? 0) < 0);
  return withRange(ratios, isSigned, 3);
}

/** Fixed digits, and a dash where there is nothing. */
export function fixedColumn(values: readonly (number | null)[], digits: number): string[] {
  return values.map((value) => value === null ? missing : fixed(value, digits));
}

const suffixes = ["", " k", " M", " G", " T", " P"];

/** `3.67 ± 0.05 M`: one metric suffix for the whole column, three significant digits of its largest value. */
export function compactColumn(values: readonly (Estimate | number | null)[]): string[] {
  const estimates = values.map((value) =>
    typeof value === "number" ? { mean: value, interval: null } : value
  );
  const sizes = estimates.flatMap((each) => each && each.mean !== 0 ? Math.abs(each.mean) : []);
  if (sizes.length === 0) return estimates.map((each) => each === null ? missing : "0");
  const place = Math.min(suffixes.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(...sizes)) / 3)));
  const scale = 1000 ** place;
  const whole = place === 0 && estimates.every((each) => each === null || Number.isInteger(each.mean));
  const digits = whole ? 0 : digitsAt(Math.max(...sizes) / scale, Math.min(...sizes) / scale);
  return estimates.map((each) => {
    if (each === null) return missing;
    const { mean, interval } = each;
    const half = interval ? ` ± ${fixed((interval.high - interval.low) / 2 / scale, digits)}` : "";
    return fixed(mean / scale, digits) + half + suffixes[place];
  });
}

/** Three significant digits of the largest, and at least one of the smallest. */
function digitsAt(largest: number, smallest: number): number {
  const wanted = Math.max(2 - Math.floor(Math.log10(largest)), -Math.floor(Math.log10(smallest)));
  return Math.min(MOST_DIGITS, Math.max(0, wanted));
}
