// The report over made-up runs whose numbers are known: what it says, what it leaves out, and that names cannot break it.
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { parseHTML } from "linkedom";
import { renderReport } from "../report/report.ts";
import { compactColumn, differenceColumn, plusMinusColumn, ratioColumn } from "../report/columns.ts";
import { tableCsv } from "../report/csv.ts";
import { recordTable } from "../report/record_table.ts";
import { binWidth, curve } from "../report/curves.ts";
import { spread } from "../report/end_labels.ts";
import { loadOverSteps } from "../report/load_plots.ts";
import { compact, digitsFor } from "../report/numbers.ts";
import { heatClass, hues, surfaces } from "../report/palette.ts";
import { lift } from "../report/specialisation_plots.ts";
import { summaryTable } from "../report/table.ts";
import type { LayerLoad, RunRecord, TimingRecord } from "../training/record.ts";
import { controls, type MadeUp, recordOf, routers, runsOf } from "./made_up_runs.ts";

const experiment = {
  name: "Which router reaches the lowest loss?",
  about: "Three routers train the same small model.",
  command: "deno task experiments router_quality --seeds 3",
  date: "2025-11-22",
};

/** Routers with their controls, as a comparison has them. */
function all(
  seeds: number,
  names: readonly MadeUp[] = Object.values(routers),
  steps = 60,
): { runs: RunRecord[]; timings: TimingRecord[] } {
  return runsOf(seeds, [...names, ...controls], { steps });
}

interface Found {
  readonly textContent: string;
  getAttribute(name: string): string | null;
  querySelectorAll(text: string): Iterable<Found>;
}

function select(html: string, selectors: string): Found[] {
  const { document } = parseHTML(html) as unknown as {
    document: { querySelectorAll(text: string): Iterable<Found> };
  };
  return [...document.querySelectorAll(selectors)];
}

function claimsOf(html: string, kind = "verdicts"): string[] {
  return select(html, `.claims.${kind} li`).map(({ textContent }) => textContent);
}

Deno.test("a report has its sections, a figure each, nothing to fetch, and one script for pointers", () => {
  const { runs, timings } = all(3);
  const html = renderReport(experiment, runs, timings);
  const sections = [
    "summary",
    "table",
    "cost",
    "loss",
    "training",
    "load",
    "dropped",
    "entropy",
    "choices",
    "specialisation",
    "time",
    "setup",
  ];
  assertEquals(select(html, "h2").map((title) => title.getAttribute("id")), sections);
  // One a figure, and one for each router of which a heatmap is left out: hash flows evenly, too.
  assertEquals(select(html, "figcaption").length, 12 + 3 + 1);
  assertEquals(select(html, "svg.plot:not([aria-label])").length, 0);
  assertEquals(select(html, "th:not([scope])").length, 0);
  assertEquals(select(html, "link, img, iframe, object, foreignObject").length, 0);
  const [script, ...others] = select(html, "script").map(({ textContent }) => textContent);
  assertEquals(others, []);
  assert(
    !/fetch|import|XMLHttp|eval|innerHTML|storage|cookie/i.test(script),
    "the script does more than tell",
  );
  assert(!/https?:|url\(|@import|src=/.test(html), "the page names something to load");
  assert(!/NaN|undefined|\[object/.test(html), "the page shows a value that does not exist");
  assertEquals(renderReport(experiment, runs, timings), html);
});

Deno.test("claims and table hold the intervals that come out by hand", () => {
  const html = renderReport(experiment, all(3).runs, all(3).timings);
  // gshard - switch by seed: -0.036, -0.046, -0.038; mean -0.04, s = √((16 + 36 + 4)e-6 / 2) = 0.0052915,
  // half-width 4.302653 s / √3 = 0.013145.
  // Bonferroni over two: t(0.9875, 2) = 6.205347, half-width 0.018958.
  const claims = claimsOf(html);
  assertEquals(claims[0], "gshard is better than switch by 0.040 nats [0.021, 0.059].");
  // hash - switch: -0.01, 0.14, 0.08; mean 0.07, s = 0.0754983, half-width 0.270487.
  assertEquals(claims[1], "No difference to switch is shown for hash.");
  assertEquals(
    claims[3],
    "Intervals of differences are paired by seed (Student's t) and widened for all 2 comparisons (Bonferroni): were all routers equal, even one “better” or “worse” would come up in at most 5% of such reports.",
  );
  // Without experts 5 + 1.5, best 5 - 0.2, random 5 + 1, in every seed; so the intervals have no width.
  // Variances of paired differences: 0.000028 (gshard - switch), 0.0057 (hash - switch), 0.006448 (hash - gshard); their mean
  // is 0.0637^2, with 4 degrees of freedom: chi-square 0.4844 and 11.1433.
  assertEquals(claimsOf(html, "worth"), [
    "Experts are worth 1.700 nats [1.700, 1.700] and routing decides 1.200 nats [1.200, 1.200]; seeds move a difference between two routers by 0.064 nats [0.038, 0.183].",
  ]);
  assert(claimsOf(html, "facts")[0].includes("perplexity 812.4 (6.700 nats). All 3 models beat it"));
  const rows = (caption: string) =>
    select(html, `#table ~ .scroll[aria-label="${caption}"] tbody tr`).map(({ textContent }) => textContent);
  const cells = rows("Routers and controls compared");
  assertEquals(cells.length, 8);
  // Best first; gshard: 5.074, 4.884, 4.982; mean 4.98, s = 0.095016, half-width 0.236036.
  assert(cells[0].startsWith("gshard4.980 ± 0.236"), cells[0]);
  assert(cells[0].includes("−0.040 [−0.053, −0.027]"), cells[0]);
  // switch: 5.11, 4.93, 5.02; mean 5.02, s = 0.09, half-width 0.223572.
  assert(cells[1].startsWith("switch5.020 ± 0.224"), cells[1]);
  assert(cells[2].includes("+0.070 [−0.118, +0.258]"), cells[2]);
  // The median step is 40 ms although the mean is 56; 16 x 128 tokens in it are 51.2 thousand a second.
  const loads = rows("Their loads and speed");
  assertEquals(loads.length, 8);
  for (const cell of loads) assert(cell.includes("51.2 k") && cell.includes("40.0"), cell);
});

Deno.test("where a device queues work, the report counts it; elsewhere it says nothing of it", () => {
  const { runs, timings } = runsOf(2, Object.values(routers));
  assert(!renderReport(experiment, runs, timings).includes("Dispatches of a step"));
  const queued = timings.map((timing): TimingRecord => ({
    ...timing,
    steps: timing.steps.map((row) => {
      // One step in ten waits once more; routers other than hash score, which takes ten dispatches.
      const route = timing.run.startsWith("hash") ? 1 : 11;
      const dispatchesByStage = { solve: 2, rest: 70, experts: 16, route, dispatch: 21 };
      return {
        ...row,
        hostSeconds: row.step % 10 === 0 ? 1 : 0.004,
        queue: { dispatches: 109 + route, submits: 1, reads: row.step % 10 === 0 ? 2 : 1, dispatchesByStage },
      };
    }),
  }));
  const html = renderReport(experiment, runs, queued);
  const found = select(html, ".scroll[aria-label^='Dispatches of a step'] tr").map((row) =>
    Array.from(row.querySelectorAll("th, td"), ({ textContent }) => textContent)
  );
  assertEquals(found, [
    ["Router", "route", "dispatch", "experts", "solve", "rest", "Dispatches", "Submits", "Reads", "Host ms"],
    ["switch", "11", "21", "16", "2", "70", "120", "1", "1", "4.00"],
    ["gshard", "11", "21", "16", "2", "70", "120", "1", "1", "4.00"],
    ["hash", "1", "21", "16", "2", "70", "110", "1", "1", "4.00"],
  ]);
});

Deno.test("where arrays of a step were counted, the report says what they took; elsewhere nothing of it", () => {
  const { runs, timings } = runsOf(2, Object.values(routers));
  assert(!renderReport(experiment, runs, timings).includes("Memory of a step"));
  const counted = timings.map((timing): TimingRecord => ({
    ...timing,
    steps: timing.steps.map((row) => ({
      ...row,
      peakBytes: (timing.run.startsWith("hash") ? 1 : 3) * 2 ** 20 + row.step % 2,
    })),
  }));
  const html = renderReport(experiment, runs, counted);
  const found = select(html, ".scroll[aria-label^='Memory of a step'] tr").map((row) =>
    Array.from(row.querySelectorAll("th, td"), ({ textContent }) => textContent)
  );
  assertEquals(found, [["Router", "MiB"], ["switch", "3.00"], ["gshard", "3.00"], ["hash", "1.00"]]);
});

Deno.test("when every interval includes 0, no router is called better", () => {
  const rival = { ...routers.hash, router: "rival", offset: 0 };
  const { runs, timings } = all(3, [routers.switch, { ...routers.hash, offset: -0.02 }, rival]);
  const claims = claimsOf(renderReport(experiment, runs, timings));
  // rival has no seeds of its own in the made-up data, so it equals switch in every seed.
  assertEquals(claims[0], "None of the 2 other routers is shown to be better or worse than switch.");
  assert(!claims.some((claim) => / is (better|worse) than /.test(claim)));
});

Deno.test("with one seed the report says that intervals cannot be given", () => {
  const { runs, timings } = all(1);
  const html = renderReport(experiment, runs, timings);
  assertEquals(claimsOf(html, "worth"), [
    "Routers cannot be told apart: that takes two seeds that routers and controls finished.",
  ]);
  assertEquals(claimsOf(html), []);
  assert(!html.includes("±</td>") && !/<td>[^<]*±/.test(html), "a single seed got an interval");
  assert(html.includes("With one seed a router, intervals cannot be given."));
});

Deno.test("incomplete and diverged runs are named and left out of all numbers", () => {
  const { runs, timings } = all(3);
  const cut = { ...recordOf(routers.switch, 3, { steps: 60 }), end: null };
  const stopped = { ...cut, steps: cut.steps.slice(0, 17) };
  const diverged = recordOf(routers.gshard, 3, { steps: 60 });
  const bad = { ...diverged, end: { ...diverged.end!, loss: NaN } };
  const html = renderReport(experiment, [...runs, stopped, bad], timings);
  assertEquals(claimsOf(html, "left-out"), [
    "Run switch-seed3 is incomplete (its record stops at step 17 of 60) and is left out of all numbers.",
    "Run gshard-seed3 diverged (its final loss is no finite number) and is left out of all numbers.",
  ]);
  assertEquals(claimsOf(html)[0], claimsOf(renderReport(experiment, runs, timings))[0]);
  assert(summaryTable([...runs, stopped], timings).includes("Run switch-seed3 is incomplete"));
  const none = renderReport(experiment, [stopped], []);
  assertEquals(claimsOf(none)[0], "No run finished, so there are no results yet.");
});

Deno.test("names, words and options from plugins are escaped everywhere", () => {
  const name = `<img src=x onerror=alert(1)>"'&`;
  const evil = { ...routers.gshard, router: name };
  const { runs, timings } = all(2, [evil, routers.switch, { ...routers.hash, router: "</style><script>" }]);
  const end = {
    ...runs[0].end!,
    specialisation: runs[0].end!.specialisation.map((each) => ({
      ...each,
      labels: each.labels.map((label) => ({ ...label, names: label.names.map((kind) => `<b>${kind}`) })),
      words: each.words.map(() => ["<script>alert(2)</script>"]),
    })),
  };
  const html = renderReport(
    { ...experiment, command: "a && b <c>" },
    [{ ...runs[0], end }, ...runs.slice(1)],
    timings,
  );
  assertEquals(select(html, "img, b b, td b, text b").length, 0);
  // The page's own script is the only one.
  assertEquals([select(html, "script").length, html.split("<script").length - 1], [1, 1]);
  assert(!html.includes("<img"), "markup from a name reached the page");
  assert(select(html, "tbody th").some(({ textContent }) => textContent === name));
  assert(html.includes("a &amp;&amp; b &lt;c&gt;"));
});

Deno.test("a model without MoE layers, and runs without evaluations or timings, still make a report", () => {
  const dense = runsOf(3, [{ ...routers.hash, router: "dense" }]).runs.map((run): RunRecord => ({
    ...run,
    steps: run.steps.map((row) => ({ ...row, layers: [] })),
    evaluations: [],
    end: { ...run.end!, keptShare: 1, droppedShareByPosition: [], specialisation: [] },
  }));
  const { runs } = all(3, [routers.switch, routers.gshard]);
  const html = renderReport(experiment, [...runs, ...dense], []);
  assert(!/NaN|undefined|Infinity/.test(html), "the page shows a value that does not exist");
  const [loss, load] = select(html, "#table ~ .scroll tbody tr").map(({ textContent }) => textContent)
    .filter((text) => /^dense[\d.]+ ?[±%]/.test(text));
  assert(loss.startsWith("dense5.0"), loss);
  assertEquals(loss.split("–").length - 1, 1, "experts per token");
  assertEquals(load.split("–").length - 1, 5, "load CV, max/mean, dead experts, tokens a second, ms a step");
  assert(html.includes("No timings came with these runs."));
  const alone = renderReport(experiment, dense, []);
  assertEquals(claimsOf(alone), []);
  assert(
    claimsOf(alone, "worth")[0].startsWith(
      "This report cannot say what routing is worth: it lacks the controls",
    ),
  );
  assertEquals(alone.split("These runs recorded nothing to show here.").length - 1, 4);
  assert(!/NaN|undefined|Infinity/.test(alone), "the page shows a value that does not exist");
});

Deno.test("several better routers share a sentence, and one that does not survive widening is no verdict", () => {
  // near is gshard, whose interval barely clears 0 at 95% but not at 97.5%.
  const far = { ...routers.switch, router: "far", offset: -0.1 };
  const claims = claimsOf(
    renderReport(experiment, all(3, [routers.switch, far, { ...routers.gshard, offset: -0.014 }]).runs, []),
  );
  assertEquals(claims[0], "far is better than switch by 0.100 nats [0.100, 0.100].");
  assertEquals(claims[1], "No difference to switch is shown for gshard.");
  assert(
    claims.includes("Not widened, the interval excludes 0 for gshard; that is no verdict."),
    claims.join("\n"),
  );
  const both = claimsOf(renderReport(experiment, all(3, [routers.switch, far, routers.gshard]).runs, []));
  assertEquals(
    both[0],
    "2 routers are better than switch: far by 0.100 nats [0.100, 0.100] and gshard by 0.040 nats [0.021, 0.059].",
  );
});

Deno.test("what is not like for like shows as a failed check", () => {
  const { runs, timings } = all(2, [routers.switch, routers.gshard]);
  const header = {
    ...runs[0].header,
    initialWeights: "other",
    flop: { ...runs[0].header.flop!, dense: 4_000_000 },
  };
  const frozen = { ...runs[1].end!, routerGradient: 0 };
  const html = renderReport(experiment, [
    { ...runs[0], header },
    { ...runs[1], end: frozen },
    ...runs.slice(2),
  ], timings);
  const failed = select(html, ".checks .fails").map(({ textContent }) => textContent);
  assertEquals(failed.length, 4);
  assert(failed[0].includes("hashes differ in seed 0"));
  assert(/from 3\.\d+ M to 4\.\d+ M, \d+% apart/.test(failed[1]), failed[1]);
  assert(
    failed[2].includes("“dense, equal FLOPs” spends what routers may, within 5%: 3.67 M beside 5.05 M"),
    failed[2],
  );
  assert(failed[3].includes("no gradient reached switch-seed1"));
  assertEquals(select(renderReport(experiment, runs, timings), ".checks .fails").length, 0);
});

Deno.test("a repeated seed, or runs of one name that differ by more than it, are refused", () => {
  const { runs } = all(2, [routers.switch]);
  const [first, second] = runs;
  const wide = { ...second, header: { ...second.header, routerOptions: { capacityFactor: 2 } } };
  assertThrows(
    () => summaryTable([first, first], []),
    RangeError,
    "Cannot report switch: there are two runs with seed 0",
  );
  assertThrows(
    () => summaryTable([first, wide], []),
    RangeError,
    "switch-seed0 and switch-seed1 differ by more",
  );
  const named = { ...wide, header: { ...wide.header, router: "switch, capacity 2" } };
  assert(summaryTable([first, named], []).includes("switch, capacity 2"));
  assertThrows(() => summaryTable([], []), RangeError, "there are no runs");
});

Deno.test("the terminal's table has a line a router and no colour codes", () => {
  const { runs, timings } = all(3, [routers.switch, { ...routers.hash, router: "ha\u001b[31msh" }]);
  const text = summaryTable(runs, timings);
  assert(!text.includes("\u001b"), "control characters reached the terminal");
  // Twice: frame and head of a table, a line for each of 2 routers and 5 controls, and frame.
  assertEquals(text.split("\n").filter((line) => /^[┌│├└]/.test(line)).length, 2 * (3 + 7 + 1));
  assert(text.includes("5.02 ± 0.22") && text.includes("Loss − switch"));
  for (const line of text.split("\n").filter((line) => /^[┌│├└]/.test(line))) {
    assert(line.length <= 140, `a table of ${line.length} columns`);
  }
});

Deno.test("records.csv has a row a run, step and layer, then evaluations, and no formulas", () => {
  const run = recordOf({ ...routers.gshard, router: "=cmd()" }, 0, { steps: 5 });
  const lines = tableCsv(recordTable([run])).trim().split("\n").map((line) => line.split(","));
  assertEquals(lines.length, 1 + 5 * 2 + 13);
  const row = Object.fromEntries(lines[0].map((name, at) => [name, lines[2][at]]));
  assertEquals(row.kind, "step");
  assertEquals([row.step, row.layer, row.router], ["0", "3", "'=cmd()"]);
  const { kept } = run.steps[0].layers[1];
  assertEquals(Number(row.experts_per_token), kept.reduce((sum, count) => sum + count) / 2048);
  assertEquals(Number(row.dropped_share), run.steps[0].layers[1].droppedShare);
  assertEquals(Number(row.loss_balance), run.steps[0].losses.balance);
  const last = Object.fromEntries(lines[0].map((name, at) => [name, lines.at(-1)![at]]));
  assertEquals([last.kind, last.layer, last.loss], ["evaluation", "", ""]);
  assertEquals(Number(last.validation_loss), run.evaluations.at(-1)!.loss);
});

Deno.test("curves average windows, span seeds, and skip windows that a seed lacks", () => {
  const runs = [[1, 3, 5, 7], [3, 5, 7]].map((values) => values.map((value, step) => ({ step, value })));
  assertEquals(curve(runs, 2), [{ step: 0.5, mean: 3, low: 2, high: 4 }, {
    step: 2.5,
    mean: 6.5,
    low: 6,
    high: 7,
  }]);
  assertEquals(
    curve([[{ step: 0, value: null }, { step: 4, value: 1 }], [{ step: 4, value: 2 }]], 1).length,
    1,
  );
  assertEquals([binWidth(300, 60), binWidth(301, 60), binWidth(5, 60)], [5, 6, 1]);
});

Deno.test("heatmaps show shares as multiples of an even share", () => {
  const run = recordOf(routers.switch, 0, { steps: 4 });
  const layers = (wanted: number[]): LayerLoad[] => [{ ...run.steps[0].layers[0], wanted }];
  const steps = [[4, 0], [2, 2], [0, 0]].map((wanted, step) => ({
    ...run.steps[0],
    step,
    layers: layers(wanted),
  }));
  const { from, ratios } = loadOverSteps({ ...run, end: run.end!, steps }, 1, 2);
  assertEquals(from, 0);
  assertEquals(ratios, [[1.5, null], [0.5, null]]);
  assertEquals([0, 0.2, 0.9, 1, 1.1, 2, 9].map(heatClass), [0, 0, 4, 4, 4, 7, 8]);
  // Expert 0 takes 3 of 4 nouns with half of all tokens; no token is a verb.
  assertEquals(lift([[3, 0, 1], [1, 0, 3]]), [[1.5, null, 0.5], [0.5, null, 1.5]]);
  assertEquals(lift([[0, 0], [2, 2]])[0], [null, null]);
});

Deno.test("numbers show the digits that their uncertainty allows", () => {
  assertEquals([0.2236, 0.0131, 0.00042, 12, 0].map(digitsFor), [2, 3, 5, 2, 3]);
  assertEquals([0, 950, 999.6, 12_345, 3_670_016, 2e9].map(compact), [
    "0",
    "950",
    "1.00 k",
    "12.3 k",
    "3.67 M",
    "2.00 G",
  ]);
});

Deno.test("every series colour has 3 to 1 contrast with the page, light and dark", () => {
  const luminance = (hex: string): number => {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  assertAlmostEquals(luminance("#ffffff"), 1, 1e-12);
  for (const theme of ["light", "dark"] as const) {
    for (const hue of hues) {
      const [low, high] = [luminance(hue[theme]), luminance(surfaces[theme])].sort((a, b) => a - b);
      assert((high + 0.05) / (low + 0.05) >= 3, `${hue[theme]} on ${surfaces[theme]}`);
    }
  }
});

Deno.test("seven routers of three seeds and 300 steps stay below three megabytes", () => {
  const seven = Array.from(
    { length: 7 },
    (_, at) => ({ ...routers.gshard, router: `router-${at}`, skew: at / 4 }),
  );
  const { runs, timings } = all(3, seven, 300);
  const html = renderReport(experiment, runs, timings);
  assert(html.length < 3e6, `${html.length} characters`);
});

Deno.test("routers that are not causal are named before any number, on the page and in a terminal", () => {
  const leaking = (made: MadeUp, seed: number): RunRecord => {
    const record = recordOf(made, seed);
    return { ...record, header: { ...record.header, causal: false } };
  };
  const seeds = [0, 1, 2];
  const of = (gshard: typeof recordOf, hash: typeof recordOf) => [
    ...seeds.map((seed) => ({ ...recordOf(routers.switch, seed) })),
    ...seeds.map((seed) => gshard(routers.gshard, seed)),
    ...seeds.map((seed) => hash(routers.hash, seed)),
  ];
  const [first] = claimsOf(renderReport(experiment, of(leaking, leaking), []), "warnings");
  assert(first.startsWith("gshard and hash are not causal: what a token gets may depend on tokens after it"));
  assert(first.includes("their loss and perplexity may see the future"));
  const one = of(leaking, recordOf);
  assert(claimsOf(renderReport(experiment, one, []), "warnings")[0].startsWith("gshard is not causal"));
  assert(summaryTable(one, []).includes("gshard is not causal"));
  const none = of(recordOf, recordOf);
  assert(!renderReport(experiment, none, []).includes("not causal"));
  assert(!summaryTable(none, []).includes("not causal"));
});

Deno.test("names at the ends of lines keep their order and their distance, as near as can be", () => {
  assertEquals(spread([50, 10, 30], 15, 0, 100), [50, 10, 30]);
  // Two at 40 share what they miss: 32.5 and 47.5; the third is free.
  assertEquals(spread([40, 40, 90], 15, 0, 100), [32.5, 47.5, 90]);
  // Least squares of 10, 12 and 14 at distances of 15: their mean in the middle would start at -3.
  assertEquals(spread([10, 12, 14], 15, 0, 100), [0, 15, 30]);
  assertEquals(spread([99, 100], 15, 0, 100), [85, 100]);
});

Deno.test("cells of a column have as many digits after the point, and signs where one is needed", () => {
  const known = (mean: number, half: number) => ({
    count: 3,
    mean,
    standardDeviation: 1,
    interval: { low: mean - half, high: mean + half },
  });
  assertEquals(plusMinusColumn([known(5, 0.22), null, known(5.16, 0.043)]), [
    "5.000 ± 0.220",
    "–",
    "5.160 ± 0.043",
  ]);
  assertEquals(differenceColumn([known(-0.04, 0.02), known(0, 0.02)]), [
    "−0.040 [−0.060, −0.020]",
    "+0.000 [−0.020, +0.020]",
  ]);
  assertEquals(ratioColumn([{ value: 0.5, interval: { low: 0.4, high: 0.6 } }]), ["0.50 [0.40, 0.60]"]);
  assertEquals(compactColumn([known(3.67e6, 1800), 973_000, null, 0]), [
    "3.67 ± 0.00 M",
    "0.97 M",
    "–",
    "0.00 M",
  ]);
  assertEquals(compactColumn([12, 0]), ["12", "0"]);
});

Deno.test("eighteen routers get small charts, flat ones a sentence, and no heatmap that is even throughout", () => {
  const many = Array.from({ length: 18 }, (_, at): MadeUp => ({
    ...(at % 2 === 0 ? routers.switch : routers.hash),
    router: `router-${at}`,
    offset: at / 100,
  }));
  const { runs, timings } = runsOf(2, [...many, ...controls], { steps: 40 });
  const html = renderReport(experiment, runs, timings);
  const small = select(html, ".small-multiples .plot").map((drawing) => drawing.getAttribute("aria-label")!);
  assert(small.includes("Validation loss over steps: router-17"), small.join("\n"));
  // hash keeps every token, so its experts per token are 1 in every step.
  assert(!small.includes("Experts per token over steps: router-1"), "a flat line was drawn");
  assert(small.includes("Experts per token over steps: router-0"), "a line that moves was not drawn");
  assert(/Flat, and so not drawn: 1\.00 in router-1, router-3,/.test(html), "flat lines are not named");
  // Of 18 routers, each one's heatmaps and words stay closed until they are asked for: experts with experts, what experts
  // took, and which words they promote.
  assertEquals(select(html, "#choices ~ details").length, 18);
  assertEquals(select(html, "#specialisation ~ details").length, 2 * 18);
  assertEquals(select(html, "details").length, 3 * 18);
  assertEquals(select(html, "details[open]").length, 0);
  const even = runs.map((run): RunRecord => ({
    ...run,
    steps: run.steps.map((row) => ({
      ...row,
      layers: row.layers.map((load) => ({ ...load, wanted: load.wanted.map(() => 100) })),
    })),
  }));
  const flat = renderReport(experiment, even, timings);
  assertEquals(select(flat, "#load ~ figure .plot").length, 0);
  assert(flat.includes("Even throughout, every cell within 15% of an even share"), "they are not named");
});

Deno.test("experts that every token goes to are in no picture of balance", () => {
  const run = recordOf(routers.switch, 0, { steps: 2 });
  const steps = run.steps.map((row) => ({
    ...row,
    layers: row.layers.map((load) => ({ ...load, shared: 1, wanted: [2048, 300, 100, 200, 0, 0, 0, 0] })),
  }));
  const found = loadOverSteps({ ...run, steps, end: run.end! }, 1, 1);
  assertEquals(found.shared, 1);
  // 600 routed assignments over 7 experts.
  assertEquals(found.ratios.map(([ratio]) => ratio), [3.5, 700 / 600, 1400 / 600, 0, 0, 0, 0]);
});
