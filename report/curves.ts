// Long series made short: the mean of each `width` consecutive steps, then mean and range over runs. The width is the
// same for every series of a figure and stated in its caption.
import type { Series } from "./series.ts";

/** A value at a step; null where the run has none. */
export interface Sample {
  readonly step: number;
  readonly value: number | null;
}

/** Steps of one bin, averaged over runs. */
export interface CurvePoint {
  readonly step: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** A curve of a series. */
export interface Line {
  readonly series: Series;
  readonly points: readonly CurvePoint[];
}

/** Width of bins that leaves at most `points` of them. */
export function binWidth(steps: number, points: number): number {
  return Math.max(1, Math.ceil(steps / points));
}

interface Bin {
  count: number;
  steps: number;
  values: number;
}

function binned(samples: readonly Sample[], width: number): Map<number, Bin> {
  const bins = new Map<number, Bin>();
  for (const { step, value } of samples) {
    if (value === null || !Number.isFinite(value)) continue;
    const at = Math.floor(step / width);
    const bin = bins.get(at) ?? { count: 0, steps: 0, values: 0 };
    bins.set(at, { count: bin.count + 1, steps: bin.steps + step, values: bin.values + value });
  }
  return bins;
}

/** Mean over runs, and their range; a bin that some run lacks is left out, so that no point mixes different runs. */
export function curve(runs: readonly (readonly Sample[])[], width: number): CurvePoint[] {
  const all = runs.map((samples) => binned(samples, width));
  if (all.length === 0) return [];
  const shared = [...all[0].keys()].filter((at) => all.every((bins) => bins.has(at))).sort((a, b) => a - b);
  return shared.map((at): CurvePoint => {
    const bins = all.map((each) => each.get(at)!);
    const values = bins.map((bin) => bin.values / bin.count);
    return {
      step: bins[0].steps / bins[0].count,
      mean: values.reduce((sum, value) => sum + value, 0) / values.length,
      low: Math.min(...values),
      high: Math.max(...values),
    };
  });
}
