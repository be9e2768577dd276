// What experts are worth on a task, and whether it can tell routers apart at all: a difference between routers means
// little where removing the experts costs no more than that.
import jstat from "jstat";
import type { Control } from "../training/record.ts";
import type { Comparison } from "./comparison.ts";
import { finalLoss, type Series } from "./series.ts";
import { type Estimate, type Interval, mean, pairedDifference } from "./statistics.ts";

/** The part of jstat used here; the package ships no types. */
interface Distributions {
  readonly chisquare: { inv(probability: number, freedom: number): number };
}
const { chisquare }: Distributions = jstat;

/** Experts must be worth this many times the seeds' scatter before routers are ranked. */
export const leastWorth = 10;

/** How much seeds move a difference between two routers. */
export interface Scatter {
  readonly value: number;
  /** 95% interval by chi-square, as if all routers scattered alike. */
  readonly interval: Interval;
}

/** What a task's controls say. */
export interface Worth {
  /** What a score of 1 stands for: the best known routing, else a dense model of equal parameters. */
  readonly best: Series | null;
  /** Controls without a finished run that are wanted here. */
  readonly missing: readonly Control[];
  /** Loss without experts minus that of `best`, by seed; null when either is missing. */
  readonly experts: Estimate | null;
  /** Loss of random routing minus that of `best`, by seed. */
  readonly routing: Estimate | null;
  readonly scatter: Scatter | null;
  /** Whether routers can be told apart here; when not, nothing about them is ranked. */
  readonly canTell: boolean;
  /** Why not: controls are missing, there are too few seeds, experts are worth too little, or routing decides nothing. */
  readonly why: "controls" | "seeds" | "worth" | "routing" | null;
}

/**
 * Standard deviation of the difference in loss between two routers in one seed: the root mean square, over all pairs of
 * routers, of the sample standard deviation of their paired differences. That is the square root of twice the residual mean
 * square of losses by router and seed, with (routers - 1)(seeds - 1) degrees of freedom. Routers that did not finish every
 * seed are left out; null with fewer than two routers or seeds.
 */
export function scatterOf(series: readonly Series[]): Scatter | null {
  const seeds = [...new Set(series.flatMap(({ runs }) => runs.map(({ header }) => header.seed)))];
  const whole = series.filter(({ runs }) => runs.length === seeds.length);
  const freedom = (whole.length - 1) * (seeds.length - 1);
  if (whole.length < 2 || seeds.length < 2) return null;
  const losses = whole.map((each) => {
    const loss = finalLoss(each);
    return seeds.map((seed) => loss.get(seed)!);
  });
  const ofSeed = seeds.map((_, at) => mean(losses.map((row) => row[at])));
  const all = mean(ofSeed);
  const squares = losses.flatMap((row) => {
    const own = mean(row);
    return row.map((loss, at) => (loss - own - ofSeed[at] + all) ** 2);
  });
  const value = Math.sqrt(2 * squares.reduce((sum, square) => sum + square, 0) / freedom);
  const end = (probability: number): number =>
    value * Math.sqrt(freedom / chisquare.inv(probability, freedom));
  return { value, interval: { low: end(0.975), high: end(0.025) } };
}

const always = ["no experts", "random routing", "dense, equal FLOPs"] as const;
const bests = ["best known routing", "dense, equal parameters"] as const;

/**
 * Worth of experts and of routing on a task. Routers can be told apart when experts are worth at least ten times the scatter,
 * and both experts and routing more than nothing at 95%. With one router under study, the scatter is taken between it, random routing and the best.
 */
export function worthOf({ controls, routers }: Comparison): Worth {
  const best = bests.map((control) => controls.get(control)).find((series) => series !== undefined) ?? null;
  const [none, random] = [controls.get("no experts"), controls.get("random routing")];
  const missing: Control[] = [
    ...always.filter((control) => !controls.has(control)),
    ...(controls.has("dense, equal parameters") ? [] : ["dense, equal parameters" as const]),
    ...(best === null ? ["best known routing" as const] : []),
  ];
  const minusBest = (series: Series | undefined): Estimate | null =>
    series && best ? pairedDifference(finalLoss(series), finalLoss(best)) : null;
  const experts = minusBest(none);
  const routing = minusBest(random);
  const spread = routers.length === 1 && random && best ? [...routers, random, best] : routers;
  const found = { best, missing, experts, routing, scatter: scatterOf(spread) };
  const why = !none || !random || !best
    ? "controls"
    : !experts?.interval || !routing?.interval || !found.scatter
    ? "seeds"
    : !(experts.interval.low > 0 && experts.mean >= leastWorth * found.scatter.value)
    ? "worth"
    : routing.interval.low > 0
    ? null
    : "routing";
  return { ...found, canTell: why === null, why };
}
