// Runs grouped into what is compared: a series is all runs of one name, which may differ by seed alone. Only finished
// runs count; the others are named.
import type { Control, EndRow, RunHeader, RunRecord, TimingRecord } from "../training/record.ts";

/** A run that went to its end. */
export interface FinishedRun extends RunRecord {
  readonly end: EndRow;
}

/** A run that is named, and left out of all numbers. */
export interface LeftOutRun {
  readonly header: RunHeader;
  /** What happened to it, to follow its name. */
  readonly reason: string;
}

export interface Series {
  /** The router, with what sets it apart where one runs several ways. */
  readonly name: string;
  /** Place in the experiment, which fixes the colour: routers from 0 up, controls from -1 down. */
  readonly index: number;
  /** Which control it is; null for a router under study. */
  readonly control: Control | null;
  /** Header of its first run. */
  readonly header: RunHeader;
  /** Finished runs in order of seed. */
  readonly runs: readonly FinishedRun[];
  readonly leftOut: readonly LeftOutRun[];
  readonly timings: readonly TimingRecord[];
}

/** Everything a run was given except its seed. */
export function settings(
  { plugin, routerOptions, size, model, steps, control, task, config }: RunHeader,
): string {
  const unseeded = typeof config === "object" && config !== null ? { ...config, seed: null } : config;
  return JSON.stringify([plugin, routerOptions, size, model, steps, control, task, unseeded]);
}

function isFinished(run: RunRecord): run is FinishedRun {
  return run.end !== null && Number.isFinite(run.end.loss);
}

function whyLeftOut(run: RunRecord): string {
  if (run.end) return "diverged (its final loss is no finite number)";
  const last = run.steps.at(-1)?.step;
  return last === undefined
    ? "is incomplete (its record holds no steps)"
    : `is incomplete (its record stops at step ${last + 1} of ${run.header.steps})`;
}

/** Colours of names: those of routers from 0 up, those of controls from -1 down, in the order they come. */
export function placesOf(runs: readonly RunRecord[]): Map<string, number> {
  const names = (controls: boolean) => [
    ...new Set(
      runs.filter(({ header }) => (header.control !== undefined) === controls).map(({ header }) =>
        header.router
      ),
    ),
  ];
  return new Map([
    ...names(true).map((name, at) => [name, -1 - at] as const),
    ...names(false).map((name, at) => [name, at] as const),
  ]);
}

/**
 * Series of one task: routers in the order their first runs come, then controls.
 * @param places Colours, where other tasks have a say in them too.
 * @throws {RangeError} when there are no runs, or two of one name that share a seed or differ by more than it.
 */
export function seriesOf(
  runs: readonly RunRecord[],
  timings: readonly TimingRecord[],
  places: ReadonlyMap<string, number> = placesOf(runs),
): Series[] {
  if (runs.length === 0) throw new RangeError("Cannot report: there are no runs");
  const groups = Map.groupBy(runs, ({ header }) => header.router);
  const series = [...groups].map(([name, group]): Series => {
    const header = group[0].header;
    const stranger = group.find((run) => settings(run.header) !== settings(header));
    if (stranger) {
      throw new RangeError(
        `Cannot report ${name}: runs ${header.run} and ${stranger.header.run} differ by more than their seed`,
      );
    }
    const seeds = group.map((run) => run.header.seed);
    const twice = seeds.find((seed, at) => seeds.indexOf(seed) !== at);
    if (twice !== undefined) {
      throw new RangeError(`Cannot report ${name}: there are two runs with seed ${twice}`);
    }
    const finished = group.filter(isFinished).sort((a, b) => a.header.seed - b.header.seed);
    return {
      name,
      index: places.get(name)!,
      control: header.control ?? null,
      header,
      runs: finished,
      leftOut: group.filter((run) => !isFinished(run)).map((run) => ({
        header: run.header,
        reason: whyLeftOut(run),
      })),
      timings: timings.filter((timing) => finished.some((run) => run.header.run === timing.run)),
    };
  });
  return [
    ...series.filter(({ control }) => control === null),
    ...series.filter(({ control }) => control !== null),
  ];
}

/** Series with at least one finished run. */
export function finished(series: readonly Series[]): Series[] {
  return series.filter(({ runs }) => runs.length > 0);
}

/** Seeds that all of some series finished, in order. */
export function sharedSeeds(series: readonly Series[]): number[] {
  const [first, ...others] = series.map(({ runs }) => runs.map(({ header }) => header.seed));
  return (first ?? []).filter((seed) => others.every((seeds) => seeds.includes(seed)));
}

/** One value a seed. */
export function bySeed(series: Series, valueOf: (run: FinishedRun) => number): Map<number, number> {
  return new Map(series.runs.map((run) => [run.header.seed, valueOf(run)]));
}

/** Final validation loss by seed. */
export function finalLoss(series: Series): Map<number, number> {
  return bySeed(series, ({ end }) => end.loss);
}

/** Losses of some series in the seeds that all of them finished, a list each. */
export function pairedLosses(series: readonly Series[]): number[][] {
  const seeds = sharedSeeds(series);
  return series.map((each) => {
    const loss = finalLoss(each);
    return seeds.map((seed) => loss.get(seed)!);
  });
}
