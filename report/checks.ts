// Whether the comparison is like for like: what must be equal between routers, looked up in the records themselves.
import type { RunHeader } from "../training/record.ts";
import type { Comparison } from "./comparison.ts";
import { areEqual, costOf, equalWithin } from "./cost.ts";
import { compact, counted, list } from "./numbers.ts";
import { placesOf } from "./timings.ts";
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

function flop(series: readonly Series[]): Check {
  const about = `Equal FLOPs per token, as measured, within ${equalWithin * 100}%`;
  const costs = series.map(costOf);
  const means = costs.flatMap((cost) => cost?.flop?.mean ?? []).sort((a, b) => a - b);
  if (means.length < series.length) {
    return { about, holds: false, detail: "these records do not hold what was spent" };
  }
  const [least, most] = [means[0], means.at(-1)!];
  return {
    about,
    holds: areEqual(costs),
    detail: `from ${compact(least)} to ${compact(most)}, ${((most / least - 1) * 100).toPrecision(2)}% apart`,
  };
}

function controls({ controls }: Comparison): Check {
  const found = [...controls.keys()];
  return {
    about: "Controls beside the routers",
    holds: found.includes("no experts") && found.includes("random routing") &&
      (found.includes("best known routing") || found.includes("dense, equal parameters")),
    detail: found.length > 0 ? list(found) : "none",
  };
}

function seeds(series: readonly Series[]): Check {
  const each = series.map(({ runs }) => runs.map(({ header }) => header.seed).join(", "));
  const holds = new Set(each).size === 1;
  return {
    about: "Same finished seeds for every router and control",
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
  const where = placesOf(timings);
  return [{
    about: "Timings from one machine with one number of threads",
    holds: where.length === 1,
    detail: timings.some(({ resumed }) => resumed)
      ? `${list(where)}; runs that went on elsewhere have no seconds a step`
      : list(where),
  }];
}

/** Whether the dense control of equal FLOPs spends what routers were given; nothing where either is unknown. */
function denseFlop({ controls, routers, baseline }: Comparison): Check[] {
  const dense = controls.get("dense, equal FLOPs");
  const own = dense && costOf(dense)?.flop?.mean;
  const planned = costOf(baseline ?? routers[0])?.planned;
  if (!own || !planned) return [];
  return [{
    about: `The control “dense, equal FLOPs” spends what routers may, within ${equalWithin * 100}%`,
    holds: Math.max(own, planned) <= (1 + equalWithin) * Math.min(own, planned),
    detail: `${compact(own)} beside ${compact(planned)}`,
  }];
}

/** Checks over the finished runs of a task, at least one of a router. Controls differ by nature, so fewer apply to them. */
export function checks(comparison: Comparison): Check[] {
  const { series, routers } = comparison;
  const runs = routers.flatMap((each) => each.runs);
  const headers = runs.map(({ header }) => header);
  const all = series.flatMap((each) => each.runs.map(({ header }) => header));
  return [
    controls(comparison),
    initialWeights(headers),
    seeds(series),
    flop(routers),
    ...denseFlop(comparison),
    equal("Same corpus, vocabulary and split", all, ({ data, task }) => [data, task]),
    equal("Same model shape and settings", headers, ({ model, size }) => [size, model]),
    equal("Same precision of experts", headers, ({ experts }) => experts.precision),
    equal("Same number of steps", all, ({ steps }) => steps),
    equal("Same device and multiply-add", all, ({ arithmetic }) => arithmetic),
    equal("Same version of Switchyard", all, ({ version }) => version),
    gradients(runs),
    ...machines(series),
  ];
}
