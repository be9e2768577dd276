// What is compared with what: all runs on one task, its routers under study apart from its controls. Runs from before
// there were tasks make one comparison without a name.
import type { Control, RunRecord, TimingRecord } from "../training/record.ts";
import { list } from "./numbers.ts";
import { finished, placesOf, type Series, seriesOf } from "./series.ts";

/** All runs on one task. */
export interface Comparison {
  /** The task; null in records from before there were tasks. */
  readonly task: { readonly name: string; readonly about: string } | null;
  /** Everything that was started, routers first. */
  readonly all: readonly Series[];
  /** What has a finished run, routers first. */
  readonly series: readonly Series[];
  /** The routers under study among them. */
  readonly routers: readonly Series[];
  readonly controls: ReadonlyMap<Control, Series>;
  /** The router that others are compared with; null when it has no finished run. */
  readonly baseline: Series | null;
  /** Its name. */
  readonly baselineName: string;
}

/**
 * The router named, where it takes part, else `switch`, else the first: one for all tasks, though it may have failed on
 * some; arms of several settings have other names in each.
 */
function baselineOf(runs: readonly RunRecord[], named: string | undefined): string {
  const names = routersIn(runs);
  if (named !== undefined && names.includes(named)) return named;
  return names.includes("switch") ? "switch" : names[0] ?? "";
}

function routersIn(runs: readonly RunRecord[]): string[] {
  return [
    ...new Set(runs.filter(({ header }) => header.control === undefined).map(({ header }) => header.router)),
  ];
}

function controlsOf(series: readonly Series[]): Map<Control, Series> {
  const controls = new Map<Control, Series>();
  for (const each of series) {
    if (each.control === null) continue;
    const other = controls.get(each.control);
    if (other) {
      throw new RangeError(`Cannot report: ${other.name} and ${each.name} are both "${each.control}"`);
    }
    controls.set(each.control, each);
  }
  return controls;
}

/**
 * One comparison a task, in the order their first runs come.
 * @param baseline Router that others are compared with; `switch` where there is one, else the first, when left out.
 * @throws {RangeError} when there are no runs, two of one name share a seed or differ by more than it, a control comes twice,
 * or no router has the baseline's name.
 */
export function comparisons(
  runs: readonly RunRecord[],
  timings: readonly TimingRecord[],
  baseline?: string,
): Comparison[] {
  if (runs.length === 0) throw new RangeError("Cannot report: there are no runs");
  const places = placesOf(runs);
  const known = routersIn(runs);
  if (baseline !== undefined && !known.includes(baseline)) {
    throw new RangeError(`Cannot compare with "${baseline}": the routers here are ${list(known)}`);
  }
  // Controls belong to one setting; without them arms of different settings are compared with each other.
  const apart = runs.some(({ header }) => header.control !== undefined);
  const keyOf = ({ header: { task, setting } }: RunRecord) =>
    JSON.stringify([task?.name, apart ? setting : null]);
  return [...Map.groupBy(runs, keyOf).values()].map(
    (group): Comparison => {
      const all = seriesOf(group, timings, places);
      const series = finished(all);
      const baselineName = baselineOf(apart && group[0].header.setting ? group : runs, baseline);
      const routers = series.filter(({ control }) => control === null);
      return {
        task: taskOf(group[0], apart),
        all,
        series,
        routers,
        controls: controlsOf(series),
        baseline: routers.find(({ name }) => name === baselineName) ?? null,
        baselineName,
      };
    },
  );
}

function taskOf({ header: { task, setting } }: RunRecord, apart: boolean): Comparison["task"] {
  if (!task) return null;
  return { name: apart && setting ? `${task.name}, ${setting}` : task.name, about: task.about };
}
