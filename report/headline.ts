// What an experiment found, in a line: for a page that lists many.
import { metrics } from "./judgement.ts";
import { counted } from "./numbers.ts";
import { isJudged, judge, judgedRouters, type Judging } from "./verdicts.ts";

function ofTask(judging: Judging, comparisons: number): string {
  const { comparison: { routers, baselineName }, judgement: { metric, direction } } = judging;
  if (routers.length === 0) return "no router has a finished run";
  if (!isJudged(judging)) return "routers cannot be told apart";
  const best = routers[0];
  const first = routers.length === 1
    ? `${best.name} alone`
    : `${best.name} has the ${direction === "lower" ? "lowest" : "highest"} ${metrics[metric].name} of ${
      counted(routers.length, "router")
    }`;
  const rows = judge(judging, comparisons);
  if (rows.length === 0) return first;
  const found = (["better", "worse", "as good"] as const)
    .map((verdict) => ({ verdict, count: rows.filter((row) => row.verdict === verdict).length }))
    .filter(({ count }) => count > 0)
    .map(({ verdict, count }) => `${count} ${verdict}`);
  return `${first}; against ${baselineName}: ${found.length > 0 ? found.join(", ") : "no difference shown"}`;
}

/** A clause a task, of comparisons in their ranked order; verdicts counted as the report gives them. */
export function headline(all: readonly Judging[]): string {
  const comparisons = all.reduce((sum, judging) => sum + judgedRouters(judging).length, 0);
  const started = all.filter(({ comparison }) => comparison.series.length > 0);
  if (started.length === 0) return "No run has ended yet.";
  return started.map((judging) => {
    const { task } = judging.comparison;
    return `${task && started.length > 1 ? `${task.name}: ` : ""}${ofTask(judging, comparisons)}.`;
  }).join(" ");
}
