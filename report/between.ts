// Two sources side by side: what of one name ended at in each, paired by seed. The merged tables compare routers within a
// source; this one tells what a change between the two did.
import { differenceColumn, plusMinusColumn } from "./columns.ts";
import { isSame, type Source } from "./merge.ts";
import { type Estimate, estimate, pairedDifference } from "./statistics.ts";
import type { RunRecord } from "../training/record.ts";

/** A router or control that both sources have. */
export interface Shared {
  readonly name: string;
  /** Final validation loss in each. */
  readonly first: Estimate;
  readonly second: Estimate;
  /** Second minus first in the same seed; null when they share none. */
  readonly difference: Estimate | null;
}

function byName({ runs }: Source): Map<string, RunRecord[]> {
  const ended = runs.filter(({ end }) => end !== null && Number.isFinite(end.loss));
  return Map.groupBy(
    ended,
    ({ header: { task, setting, router } }) =>
      [task?.name, setting, router].filter((part) => part !== undefined).join(", "),
  );
}

function lossBySeed(runs: readonly RunRecord[]): Map<number, number> {
  return new Map(runs.map(({ header, end }) => [header.seed, end!.loss]));
}

/** What both have and is not the same runs, by name, in the first source's order. */
export function between([first, second]: readonly [Source, Source]): Shared[] {
  const others = byName(second);
  return [...byName(first)].flatMap(([name, runs]) => {
    const theirs = others.get(name);
    if (!theirs || runs.every((run) => theirs.some((other) => isSame(run, other)))) return [];
    const [own, its] = [lossBySeed(runs), lossBySeed(theirs)];
    return [{
      name,
      first: estimate([...own.values()]),
      second: estimate([...its.values()]),
      difference: pairedDifference(its, own),
    }];
  });
}

/** Titles and cells, for a table. */
export function betweenTable(
  labels: readonly [string, string],
  shared: readonly Shared[],
): { readonly titles: string[]; readonly rows: string[][] } {
  const columns = [
    plusMinusColumn(shared.map(({ first }) => first)),
    plusMinusColumn(shared.map(({ second }) => second)),
    differenceColumn(shared.map(({ difference }) => difference)),
  ];
  return {
    titles: ["Loss of", labels[0], labels[1], `${labels[1]} − ${labels[0]}, same seed`],
    rows: shared.map(({ name }, at) => [name, ...columns.map((column) => column[at])]),
  };
}
