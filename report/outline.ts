// What a page that lists many experiments says of one.
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { judgings, type Reading } from "./claims.ts";
import { headline } from "./headline.ts";

/** An experiment in a few words. */
export interface Outline {
  readonly tasks: readonly string[];
  /** Routers under study, in the experiment's order. */
  readonly variants: readonly string[];
  /** Runs that went to their end. */
  readonly finished: number;
  /** What was found, in a line. */
  readonly headline: string;
}

/** @throws {RangeError} as `judgings` does; no runs make an outline too. */
export function outlineOf(
  reading: Reading,
  runs: readonly RunRecord[],
  timings: readonly TimingRecord[],
): Outline {
  const all = runs.length === 0 ? [] : judgings(runs, timings, reading);
  const series = all.flatMap(({ comparison }) => comparison.all);
  const tasks = all.flatMap(({ comparison: { task, all: [first] } }) =>
    task?.name ?? first.header.data.corpus
  );
  return {
    tasks: [...new Set(tasks)],
    variants: [...new Set(series.filter(({ control }) => control === null).map(({ name }) => name))],
    finished: series.reduce((sum, each) => sum + each.runs.length, 0),
    headline: headline(all),
  };
}
