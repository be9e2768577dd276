// Importance weights of routers that sample: where few tokens outweigh the rest, a gradient rests on those few, and the
// report warns.
import type { LayerLoad } from "../training/record.ts";
import type { FinishedRun, Series } from "./series.ts";
import { type Estimate, estimate, mean } from "./statistics.ts";

/** A smaller effective share than this is warned of. */
export const leastEffectiveShare = 0.5;

/** Importance weights of a series in the last quarter of training, over seeds. */
export interface Importance {
  /** Largest weight of a run. */
  readonly largest: Estimate;
  /** Effective share of the weights, mean over layers and steps of a run: 1 when all are equal. */
  readonly effectiveShare: Estimate;
}

type Weights = NonNullable<LayerLoad["importance"]>;

function late({ steps }: FinishedRun): Weights[] {
  return steps.slice(Math.floor(steps.length * 3 / 4)).flatMap(({ layers }) =>
    layers.flatMap(({ importance }) => importance ?? [])
  );
}

/** Null for a router without importance weights. */
export function importanceOf({ runs }: Series): Importance | null {
  const weights = runs.map(late).filter(({ length }) => length > 0);
  if (weights.length === 0) return null;
  return {
    largest: estimate(weights.map((run) => run.reduce((most, { largest }) => Math.max(most, largest), 0))),
    effectiveShare: estimate(weights.map((run) => mean(run.map(({ effectiveShare }) => effectiveShare)))),
  };
}
