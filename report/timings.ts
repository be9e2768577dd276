// Seconds of a series: which timings can be set side by side, and what a step took.
import type { TimingRecord } from "../training/record.ts";
import { counted } from "./numbers.ts";
import type { Series } from "./series.ts";
import { mean, median } from "./statistics.ts";

/** Timings that can be set side by side: those of a run that went on elsewhere are of two machines, or of two numbers of threads. */
export function ownTimings({ timings }: Series): TimingRecord[] {
  return timings.filter(({ steps, resumed }) => steps.length > 0 && !resumed);
}

/** Where runs were trained: machine and threads, each once. */
export function placesOf(timings: readonly TimingRecord[]): string[] {
  const all = timings.flatMap((timing) => [timing, ...timing.resumed ?? []]);
  return [...new Set(all.map(({ machine, threads }) => `${machine}, ${counted(threads, "thread")}`))];
}

/** Median seconds of a step, then the mean over seeds; null without timings. */
export function secondsPerStep(series: Series): number | null {
  const timed = ownTimings(series);
  if (timed.length === 0) return null;
  return mean(timed.map(({ steps }) => median(steps.map(({ seconds }) => seconds))));
}

/** The most bytes that a series' arrays took at once in a step; null in records from before they were counted. */
export function peakBytesOf({ timings }: Series): number | null {
  const peaks = timings.flatMap(({ steps }) => steps.flatMap(({ peakBytes }) => peakBytes ?? []));
  return peaks.length === 0 ? null : peaks.reduce((most, bytes) => Math.max(most, bytes));
}
