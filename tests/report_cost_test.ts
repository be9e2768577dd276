// What routers cost, as the report measures it from records: a router that declares one expert and takes more never
// stands among equals, whatever its traits say.
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { claims, judgings } from "../report/claims.ts";
import { checks } from "../report/checks.ts";
import { comparisons } from "../report/comparison.ts";
import { areEqual, costOf, expertsPerToken, spendsMore } from "../report/cost.ts";
import { renderReport } from "../report/report.ts";
import { scoreRows } from "../report/score_chart.ts";
import type { RunRecord } from "../training/record.ts";
import { controls, type MadeUp, oldRecord, routers, runsOf } from "./made_up_runs.ts";

const even: MadeUp = { ...routers.hash, router: "switch", offset: 0 };

/** Runs of a router that says it takes one expert a token and takes as many as `made` has choices. */
function lying(made: MadeUp): RunRecord[] {
  return runsOf(3, [made]).runs.map((run) => ({
    ...run,
    header: {
      ...run.header,
      expertsPerToken: 1,
      experts: { ...run.header.experts, K: 1 },
      flop: { ...run.header.flop!, expert: 524_288 },
    },
  }));
}

Deno.test("experts per token and FLOPs are counted from kept assignments", () => {
  const [run] = runsOf(1, [routers.switch], { steps: 4 }).runs;
  const layers = run.steps[0].layers.map((load, at) => ({
    ...load,
    kept: at === 0 ? [1024, 512] : [2048, 1024],
  }));
  const counted: RunRecord = {
    ...run,
    steps: [{ ...run.steps[0], layers }, { ...run.steps[1], layers: layers.toReversed() }],
  };
  assertEquals(expertsPerToken(counted.steps[0], 2048), [{ layer: 1, experts: 0.75 }, {
    layer: 3,
    experts: 1.5,
  }]);
  const [{ routers: [series] }] = comparisons([counted], []);
  const cost = costOf(series)!;
  assertEquals([cost.experts.mean, cost.lowest, cost.highest], [1.125, 1.125, 1.125]);
  assertEquals(cost.expertsByLayer, [{ layer: 1, experts: 0.75 }, { layer: 3, experts: 1.5 }]);
  // 2.25 applications of 524288, beside 2621440 and the router's 4096.
  assertEquals(cost.flop!.mean, 2_621_440 + 2.25 * 524_288 + 4096);
  assertEquals([cost.expertFlop!.mean, cost.routerFlop], [2.25 * 524_288, 4096]);
  assertEquals(cost.planned, 2_621_440 + 2 * 524_288 + 4096);
});

Deno.test("where experts differ, each assignment costs what its own expert does", () => {
  const [run] = runsOf(1, [routers.switch], { steps: 4 }).runs;
  const layers = run.steps[0].layers.map((load, at) => ({
    ...load,
    kept: at === 0 ? [1024, 512] : [2048, 1024],
  }));
  const byExpert = [[1000, 0], [600, 40]];
  const counted: RunRecord = {
    ...run,
    header: { ...run.header, flop: { dense: 5000, expert: 410, byExpert, router: 64 } },
    steps: [{ ...run.steps[0], layers }, { ...run.steps[1], layers }],
  };
  const [{ routers: [series] }] = comparisons([counted], []);
  const cost = costOf(series)!;
  const spent = (1024 * 1000 + 2048 * 600 + 1024 * 40) / 2048;
  assertEquals([cost.expertFlop!.mean, cost.flop!.mean, cost.planned], [spent, 5064 + spent, 5064 + 2 * 410]);
});

Deno.test("a router that takes three experts and declares one is ranked apart, by name and by how much", () => {
  const runs = [
    ...runsOf(3, [even, { ...even, router: "honest", offset: -0.1 }, ...controls]).runs,
    ...lying({ ...even, router: "relu", choices: 3, offset: -0.1 }),
  ];
  const [judging] = judgings(runs, [], {});
  const { verdicts } = claims([judging], {});
  // (2621440 + 6 x 524288) / (2621440 + 2 x 524288) = 1.5714, within rounding of counts to whole assignments.
  assertEquals(verdicts.slice(0, 3), [
    "honest is better than switch by 0.100 nats [0.100, 0.100].",
    "relu spends 1.57 times [1.57, 1.57] as much as switch and is ranked apart: at that cost it is better by 0.100 nats [0.100, 0.100].",
    "The other routers spend equal FLOPs per token, measured (within 5%).",
  ]);
  const rows = scoreRows(judging);
  assertEquals([rows.at(-1)!.name, rows.at(-1)!.kind], ["relu", "apart"]);
  assert(rows.slice(0, -1).every(({ kind }) => kind !== "apart"));
  const check = checks(judging.comparison).find(({ about }) => about.startsWith("Equal FLOPs"))!;
  assertEquals(check, {
    about: "Equal FLOPs per token, as measured, within 5%",
    holds: false,
    detail: "from 3.67 M to 5.77 M, 57% apart",
  });
  const html = renderReport({ name: "cost", about: "?", command: "x", date: "2026-11-28" }, runs, []);
  assertStringIncludes(html, "router that spends more: ranked apart");
  assertStringIncludes(html, "3.00 ± 0.00");
  assert(!/Equal active FLOP|more than one expert/.test(html), "a declaration passes for a measurement");
});

Deno.test("a router that drops nothing is no spendthrift beside one that drops, but their cost is not called equal", () => {
  const runs =
    runsOf(3, [{ ...even, capacity: 0.7 }, { ...even, router: "dropless", offset: 0.3 }, ...controls]).runs;
  const [judging] = judgings(runs, [], {});
  const [dropping, dropless] = judging.comparison.routers.map((series) => costOf(series)!);
  assertEquals(spendsMore(dropless, dropping), false);
  assert(!areEqual([dropping, dropless]));
  const { verdicts } = claims([judging], {});
  assertEquals(verdicts[0], "dropless is worse than switch by 0.300 nats [0.300, 0.300].");
  // Three in ten of two experts' 524288 are missing: 1.09.
  assertAlmostEquals(dropless.flop!.mean / dropping.flop!.mean, 1.09, 0.005);
  assert(
    /FLOPs per token are not equal: measured, dropless spends 1\.09 times \[.*\] what switch spends\./.test(
      verdicts[1],
    ),
    verdicts[1],
  );
});

Deno.test("within 5% is equal, past it is not, and what was not measured is neither", () => {
  const [{ routers: series }] = comparisons(runsOf(2, [even]).runs, []);
  const cost = costOf(series[0])!;
  const times = (factor: number) => ({ ...cost, flop: { ...cost.flop!, mean: cost.flop!.mean * factor } });
  assertEquals([areEqual([cost, times(1.049)]), areEqual([cost, times(1.051)])], [true, false]);
  assertEquals([spendsMore(times(1.049), cost), spendsMore(times(1.051), cost)], [false, true]);
  assertEquals(areEqual([cost, null]), false);
  const [{ routers: [old] }] = comparisons(runsOf(2, [even]).runs.map(oldRecord), []);
  assertEquals([costOf(old)!.flop, costOf(old)!.experts.mean > 0.99], [null, true]);
  const check = checks(comparisons(runsOf(2, [even]).runs.map(oldRecord), [])[0]).find(({ about }) =>
    about.startsWith("Equal FLOPs")
  )!;
  assertEquals([check.holds, check.detail], [false, "these records do not hold what was spent"]);
});
