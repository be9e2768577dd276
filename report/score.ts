// The routing score: how far a router gets from random routing (0) to the best routing known (1). Above 1 is possible.
import type { Comparison } from "./comparison.ts";
import { type Ratio, ratioOfMeans } from "./ratio.ts";
import { pairedLosses, type Series } from "./series.ts";
import type { Worth } from "./worth.ts";

/** A series and its score. */
export interface Scored {
  readonly series: Series;
  readonly score: Ratio;
}

/**
 * (loss of random routing - loss) / (loss of random routing - loss of the best), both means over the seeds that all three
 * finished, with Fieller's 95% interval; null when a control is missing or they share no seed. The best is `best known
 * routing` where the task has it, else `dense, equal parameters`.
 */
export function scoreOf(series: Series, random: Series | undefined, best: Series | null): Ratio | null {
  if (!random || !best) return null;
  const [own, atRandom, atBest] = pairedLosses([series, random, best]);
  if (own.length === 0) return null;
  return ratioOfMeans(
    atRandom.map((loss, at) => loss - own[at]),
    atRandom.map((loss, at) => loss - atBest[at]),
  );
}

/** Scores of everything but random routing and the best themselves; empty where routers cannot be told apart. */
export function scores({ series, controls }: Comparison, { best, canTell }: Worth): Scored[] {
  const random = controls.get("random routing");
  return series.filter((each) => canTell && each !== random && each !== best).flatMap((each) => {
    const score = scoreOf(each, random, best);
    return score ? [{ series: each, score }] : [];
  });
}
