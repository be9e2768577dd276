// The order of rows: best first where the experiment's rule ranks, else as the experiment has them.
import { costOf, spendsMore } from "./cost.ts";
import { metrics } from "./judgement.ts";
import type { Series } from "./series.ts";
import { mean } from "./statistics.ts";
import { isJudged, type Judging } from "./verdicts.ts";

/** Mean of the judged metric, lower always better; behind all others where there is none. */
function placeOf({ runs }: Series, { judgement: { metric, direction } }: Judging): number {
  const values = runs.map(metrics[metric].of).filter((value) => value !== null);
  if (values.length === 0) return Infinity;
  return direction === "lower" ? mean(values) : -mean(values);
}

/**
 * The same with routers best first, those that spend more than they may behind the others, and controls last; routers keep
 * the experiment's order where they are not judged.
 */
export function ranked(judging: Judging): Judging {
  const { comparison } = judging;
  if (!isJudged(judging)) return judging;
  const baseline = comparison.baseline && costOf(comparison.baseline);
  const rows = comparison.routers.map((series) => {
    const cost = costOf(series);
    return {
      series,
      apart: baseline !== null && cost !== null && spendsMore(cost, baseline),
      place: placeOf(series, judging),
    };
  });
  const routers = rows.toSorted((a, b) => Number(a.apart) - Number(b.apart) || a.place - b.place)
    .map(({ series }) => series);
  const controls = comparison.series.filter(({ control }) => control !== null);
  return { ...judging, comparison: { ...comparison, routers, series: [...routers, ...controls] } };
}
