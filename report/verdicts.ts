// Verdicts: a router against the baseline, paired by seed, by the rule that the experiment set before it ran. Intervals
// are widened for all comparisons that the report makes (Bonferroni).
import type { Comparison } from "./comparison.ts";
import { type Cost, costOf, spendsMore } from "./cost.ts";
import { equivalence } from "./equivalence.ts";
import { type Judgement, metrics } from "./judgement.ts";
import { type Ratio, ratioOfMeans } from "./ratio.ts";
import { type Series, sharedSeeds } from "./series.ts";
import { type Estimate, estimate } from "./statistics.ts";
import { leastWorth, type Worth } from "./worth.ts";

export type Verdict = "better" | "worse" | "as good" | "no difference shown";

/**
 * What paired differences (router - baseline) allow to say, at 95% over `comparisons` of them together. A margin goes first:
 * a difference that surely lies within it is "as good", though it may also exclude 0. Null for fewer than two differences.
 */
export function verdictOf(
  differences: readonly number[],
  { direction, margin }: Pick<Judgement, "direction" | "margin">,
  comparisons = 1,
): { readonly verdict: Verdict; readonly difference: Estimate } | null {
  if (differences.length < 2) return null;
  const alpha = 0.05 / comparisons;
  const difference = estimate(differences, 1 - alpha);
  const { low, high } = difference.interval!;
  if (margin !== null && equivalence(differences, margin, alpha)!.holds) {
    return { verdict: "as good", difference };
  }
  if (low <= 0 && high >= 0) return { verdict: "no difference shown", difference };
  return { verdict: (high < 0) === (direction === "lower") ? "better" : "worse", difference };
}

/** A router's verdict, and what it rests on. */
export interface Judged {
  readonly series: Series;
  readonly verdict: Verdict;
  /** Difference to the baseline, with the widened interval. */
  readonly difference: Estimate;
  /** Whether its own 95% interval, not widened, excludes 0. */
  readonly aloneExcludes0: boolean;
  /** Measured FLOPs per token over the baseline's, by seed; null when not measured. */
  readonly spending: Ratio | null;
  /** Whether it spends more than it may, and so is ranked apart. */
  readonly apart: boolean;
}

/** A comparison as the experiment judges it. */
export interface Judging {
  readonly comparison: Comparison;
  readonly worth: Worth;
  readonly judgement: Judgement;
}

function valuesOf({ runs }: Series, { metric }: Judgement): Map<number, number> {
  return new Map(runs.flatMap((run) => {
    const value = metrics[metric].of(run);
    return value === null ? [] : [[run.header.seed, value] as const];
  }));
}

function paired(series: Series, baseline: Series, judgement: Judgement): number[] {
  const [own, its] = [valuesOf(series, judgement), valuesOf(baseline, judgement)];
  return sharedSeeds([series, baseline]).filter((seed) => own.has(seed) && its.has(seed)).map((seed) =>
    own.get(seed)! - its.get(seed)!
  );
}

/** Whether routers are judged here at all: a metric of routing needs a task that can tell. */
export function isJudged({ judgement, worth }: Judging): boolean {
  return !metrics[judgement.metric].needsControls || worth.canTell;
}

/** Routers that a verdict is given on: all but the baseline that share at least two seeds with it. */
export function judgedRouters(judging: Judging): Series[] {
  const { comparison: { routers, baseline }, judgement } = judging;
  if (!baseline || !isJudged(judging)) return [];
  return routers.filter((each) => each !== baseline && paired(each, baseline, judgement).length >= 2);
}

/** The margin, where it is small against what experts are worth: at most a tenth. */
export function usableMargin({ judgement, worth }: Judging): number | null {
  if (judgement.margin === null || !metrics[judgement.metric].needsControls) return judgement.margin;
  return judgement.margin <= worth.experts!.mean / leastWorth ? judgement.margin : null;
}

function spendingOf(own: Cost | null, its: Cost | null, series: Series, baseline: Series): Ratio | null {
  if (!own?.flopBySeed || !its?.flopBySeed) return null;
  const seeds = sharedSeeds([series, baseline]);
  return ratioOfMeans(
    seeds.map((seed) => own.flopBySeed!.get(seed)!),
    seeds.map((seed) => its.flopBySeed!.get(seed)!),
  );
}

/** Verdicts in the order of the routers; `comparisons` counts all that the report makes. */
export function judge(judging: Judging, comparisons: number): Judged[] {
  const { comparison: { baseline }, judgement } = judging;
  const its = baseline && costOf(baseline);
  return judgedRouters(judging).map((series): Judged => {
    const differences = paired(series, baseline!, judgement);
    const own = costOf(series);
    const alone = estimate(differences).interval!;
    return {
      series,
      ...verdictOf(differences, { ...judgement, margin: usableMargin(judging) }, comparisons)!,
      aloneExcludes0: alone.low > 0 || alone.high < 0,
      spending: spendingOf(own, its, series, baseline!),
      apart: own !== null && its !== null && spendsMore(own, its),
    };
  });
}
