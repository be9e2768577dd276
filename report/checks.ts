// Whether the comparison is like for like: what must be equal between routers, looked up in the records themselves.
import type { RunHeader } from "../training/record.ts";
import { compact, counted, list } from "./numbers.ts";
import type { FinishedRun, Series } from "./series.ts";

export interface Check {
  readonly about: string;
  readonly holds: boolean;
  /** What was found, where the statement does not say it already. */
  readonly detail: string | null;
}

function equal(
  about: string,
  headers: readonly RunHeader[],
  of: (header: RunHeader) => unknown,
): Check {
  const distinct = new Set(headers.map((header) => JSON.stringify(of(header))));
  return {
    about,
    holds: distinct.size === 1,
    detail: distinct.size === 1 ? null : `${distinct.size} different ones`,
  };
}

function initialWeights(headers: readonly RunHeader[]): Check {
  const seeds = Map.groupBy(headers, ({ seed }) => seed);
  const unequal = [...seeds].filter(([, group]) =>
    new Set(group.map((each) => each.initialWeights)).size > 1
  );
  return {
    about: "Equal initial weights outside routers in runs of one seed",
    holds: unequal.length === 0,
    detail: unequal.length === 0
      ? `one hash a seed, ${counted(seeds.size, "seed")}`
      : `hashes differ in seed ${list(unequal.map(([seed]) => String(seed)))}`,
  };
}

function flop(headers: readonly RunHeader[]): Check {
  const values = [...new Set(headers.map(({ activeFlopPerToken }) => activeFlopPerToken))].sort((a, b) =>
    a - b
  );
  const spread = values.length < 2 ? 0 : values.at(-1)! / values[0] - 1;
  return {
    about: "Equal active FLOP per token",
    holds: values.length === 1,
    detail: values.length === 1
      ? `${compact(values[0])} in all runs`
      : `from ${compact(values[0])} to ${compact(values.at(-1)!)}, ${(spread * 100).toPrecision(2)}% apart`,
  };
}

function seeds(series: readonly Series[]): Check {
  const each = series.map(({ runs }) => runs.map(({ header }) => header.seed).join(", "));
  const holds = new Set(each).size === 1;
  return {
    about: "Same finished seeds for every router",
    holds,
    detail: holds ? `seeds ${each[0]}` : list(series.map(({ name }, at) => `${name}: ${each[at]}`)),
  };
}

function gradients(runs: readonly FinishedRun[]): Check {
  const frozen = runs.filter(({ end }) => end.routerGradient === 0).map(({ header }) => header.run);
  return {
    about: "Every router with parameters received gradient",
    holds: frozen.length === 0,
    detail: frozen.length === 0 ? null : `no gradient reached ${list(frozen)}`,
  };
}

function machines(series: readonly Series[]): Check[] {
  const timings = series.flatMap((each) => each.timings);
  if (timings.length === 0) return [];
  const where = [
    ...new Set(timings.map(({ machine, threads }) => `${machine}, ${counted(threads, "thread")}`)),
  ];
  return [{
    about: "Timings from one machine with one number of threads",
    holds: where.length === 1,
    detail: list(where),
  }];
}

/** Checks over finished runs; needs at least one. */
export function checks(series: readonly Series[]): Check[] {
  const runs = series.flatMap((each) => each.runs);
  const headers = runs.map(({ header }) => header);
  return [
    initialWeights(headers),
    seeds(series),
    flop(headers),
    equal("Same corpus, vocabulary and split", headers, ({ data }) => data),
    equal("Same model shape and settings", headers, ({ model, size }) => [size, model]),
    equal("Same precision of experts", headers, ({ experts }) => experts.precision),
    equal("Same number of steps", headers, ({ steps }) => steps),
    equal("Same device and multiply-add", headers, ({ arithmetic }) => arithmetic),
    equal("Same version of Switchyard", headers, ({ version }) => version),
    gradients(runs),
    ...machines(series),
  ];
}
