// Records of several sources made one comparison. A run that is in two of them counts once; what has one name and is not
// one thing is told apart by its source.
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { settings } from "./series.ts";

/** Runs from one place. */
export interface Source {
  /** What tells it from the others. */
  readonly label: string;
  readonly runs: readonly RunRecord[];
  readonly timings: readonly TimingRecord[];
}

/** Runs of several places, named apart. */
export interface Merged {
  readonly runs: readonly RunRecord[];
  readonly timings: readonly TimingRecord[];
}

interface Placed {
  readonly label: string;
  readonly run: RunRecord;
  readonly timing: TimingRecord | undefined;
}

/** What the report compares a run within: its task and setting. */
function groupOf({ header: { task, setting } }: RunRecord): string {
  return JSON.stringify([task?.name, setting]);
}

/** Equal in everything that is recorded. */
export function isSame(one: RunRecord, other: RunRecord): boolean {
  return one.end?.loss === other.end?.loss && JSON.stringify(one) === JSON.stringify(other);
}

/** Runs that are not in a place before theirs. */
function once(all: readonly Placed[]): Placed[] {
  const kept: Placed[] = [];
  for (const placed of all) {
    const { header } = placed.run;
    const known = kept.some(({ run }) =>
      run.header.run === header.run && run.header.digest === header.digest && isSame(run, placed.run)
    );
    if (!known) kept.push(placed);
  }
  return kept;
}

/** Whether runs of one name are one thing: alike in all but their seed, and no seed twice. */
function areOne(runs: readonly RunRecord[]): boolean {
  const seeds = runs.map(({ header }) => header.seed);
  return new Set(seeds).size === seeds.length &&
    new Set(runs.map(({ header }) => settings(header))).size === 1;
}

/** Keys of groups in which runs have one name in several sources and are not one thing. */
function torn(all: readonly Placed[], keyOf: (run: RunRecord) => string): Set<string> {
  const groups = Map.groupBy(all, ({ run }) => keyOf(run));
  return new Set(
    [...groups].filter(([, each]) =>
      new Set(each.map(({ label }) => label)).size > 1 && !areOne(each.map(({ run }) => run))
    ).map(([key]) => key),
  );
}

/**
 * One set of runs. Where controls of sources differ, each source makes a comparison of its own; else routers of one name
 * that differ get their source's label behind it.
 */
export function merged(sources: readonly Source[]): Merged {
  if (sources.length === 1) return sources[0];
  const all = once(sources.flatMap(({ label, runs, timings }) =>
    runs.map((run): Placed => ({
      label,
      run,
      timing: timings.find((timing) => timing.run === run.header.run),
    }))
  ));
  const controls = all.filter(({ run }) => run.header.control !== undefined);
  const nameOf = (run: RunRecord) => JSON.stringify([groupOf(run), run.header.router]);
  const apart = torn(controls, nameOf);
  const groupsApart = new Set(
    controls.filter(({ run }) => apart.has(nameOf(run))).map(({ run }) => groupOf(run)),
  );
  const together = all.filter(({ run }) => !groupsApart.has(groupOf(run)));
  const named = torn(together.filter(({ run }) => run.header.control === undefined), nameOf);
  const placed = all.map(({ label, run, timing }) => {
    const { header } = run;
    const own = groupsApart.has(groupOf(run))
      ? { setting: [label, header.setting].filter((part) => part !== undefined).join(", ") }
      : named.has(nameOf(run))
      ? { router: `${header.router} (${label})` }
      : {};
    const name = `${label}/${header.run}`;
    return {
      run: { ...run, header: { ...header, ...own, run: name } },
      timing: timing && { ...timing, run: name },
    };
  });
  return {
    runs: placed.map(({ run }) => run),
    timings: placed.flatMap(({ timing }) => timing ?? []),
  };
}
