// A made-up comparison of 18 variants, with what strains a page: long names, routers that drop nothing, one whose load
// is even, and controls.
import { renderReport } from "../report/report.ts";
import { routers as registered } from "../routers/registry.ts";
import { controls, type MadeUp, runsOf } from "./made_up_runs.ts";

/** Variants of a made-up comparison, each with numbers of its own. */
function variants(count: number): MadeUp[] {
  const names = [
    "switch",
    "top-any (gate=cosine capacityFactor=1.25)",
    "switch train.learningRate=0.003 model.experts=16",
    ...registered().map(({ name }) => name).filter((name) => name !== "switch"),
  ];
  return names.slice(0, count).map((router, at): MadeUp => ({
    router,
    offset: at === 0 ? 0 : ((at * 7) % 18 - 8) * 0.02,
    choices: at % 3 === 1 ? 2 : 1,
    gate: at % 4 !== 2,
    skew: (at % 6) * 0.25,
    capacity: [1.25, 1.1, 4, 4][at % 4],
  }));
}

/** The report of so many variants on each task. */
export function wideReport(count: number, tasks: readonly string[] = [""]): string {
  const all = tasks.map((task) => runsOf(3, [...variants(count), ...controls], { steps: 60, task }));
  return renderReport(
    {
      name: "compare",
      about: "How well does each router route, between random and the best routing known?",
      command: `deno task experiments compare --routers all --seeds 3`,
      date: "2025-11-22",
    },
    all.flatMap(({ runs }) => runs),
    all.flatMap(({ timings }) => timings),
  );
}
